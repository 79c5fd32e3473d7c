/** Every constraint of every member of the model, broken one at a time: AWS's exact sentence. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../../src/kms/operations/table.ts';
import { makeWorld, type Body, type World } from './world.ts';

interface ModelShape {
  readonly type: string;
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly sensitive?: boolean;
  readonly required?: readonly string[];
  readonly members?: Readonly<Record<string, { readonly shape: string }>>;
  readonly member?: { readonly shape: string };
}
const model = JSON.parse(readFileSync(new URL('kms-service-2.json', import.meta.url), 'utf8')) as {
  readonly operations: Readonly<Record<string, { readonly input?: { readonly shape: string } }>>;
  readonly shapes: Readonly<Record<string, ModelShape>>;
};
const shapeOf = (name: string): ModelShape => model.shapes[name] as ModelShape;

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

/** Something the shape takes. */
function good(name: string): unknown {
  const shape = shapeOf(name);
  if (shape.enum !== undefined) return shape.enum[0];
  switch (shape.type) {
    case 'string': return goodText(name, shape);
    case 'integer': return shape.min ?? 1;
    case 'boolean': return true;
    case 'timestamp': return 0;
    case 'blob': return Buffer.alloc(shape.min ?? 1);
    case 'map': return {};
    case 'list': return [good(shape.member?.shape ?? '')];
    default: return Object.fromEntries((shape.required ?? []).map((member) => [member, good(shape.members?.[member]?.shape ?? '')]));
  }
}

const texts: Readonly<Record<string, string>> = {
  AliasNameType: 'alias/a', BackingKeyIdType: '0'.repeat(64), RegionType: 'us-east-1', ServicePrincipalType: 's3.amazonaws.com', XksProxyUriEndpointType: 'https://example.com',
  XksProxyUriPathType: '/kms/xks/v1', XksProxyVpcEndpointServiceNameType: 'com.amazonaws.vpce.us-east-1.vpce-svc-0', AccountIdType: '111122223333', CloudHsmClusterIdType: 'cluster-abcdefghijk',
  GrantConstraintSourceArnType: 'arn:aws:s3:us-east-1:111122223333:bucket', KeyStorePasswordType: 'password', XksProxyAuthenticationAccessKeyIdType: 'A'.repeat(20),
  XksProxyAuthenticationRawSecretAccessKeyType: 'a'.repeat(43),
};
const goodText = (name: string, { min = 1 }: ModelShape): string => texts[name] ?? 'a'.repeat(Math.max(min, 1));

interface Broken {
  readonly what: string;
  readonly value: unknown;
  readonly sentence: string;
}

const must = (subject: string, path: string, constraint: string) => `${subject} at '${path}' failed to satisfy constraint: ${constraint}`;
const detected = (sentence: string) => `1 validation error detected: ${sentence}`;
const longest = (max: number) => `Member must have length less than or equal to ${max}`;
const shortest = (min: number) => `Member must have length greater than or equal to ${min}`;

/** Each way of breaking a scalar alone; enumerations compare without their order, which follows no rule. */
function breakings(name: string, path: string): readonly Broken[] {
  const shape = shapeOf(name);
  const hidden = shape.sensitive ?? false;
  const shown = (value: unknown) => (hidden ? 'Value' : `Value '${String(value)}'`);
  const broken: Broken[] = [];
  if (shape.enum !== undefined) {
    broken.push({ what: 'is none of the set', value: 'NONE', sentence: must("Value 'NONE'", path, 'Member must satisfy enum value set: [') });
  } else if (shape.type === 'integer') {
    if (shape.max !== undefined) broken.push({ what: 'is too great', value: shape.max + 1, sentence: must(shown(shape.max + 1), path, `Member must have value less than or equal to ${shape.max}`) });
    if (shape.min !== undefined) broken.push({ what: 'is too small', value: shape.min - 1, sentence: must(shown(shape.min - 1), path, `Member must have value greater than or equal to ${shape.min}`) });
  } else if (shape.type === 'blob') {
    if (shape.max !== undefined) broken.push({ what: 'is too long', value: Buffer.alloc(shape.max + 1), sentence: must('Value', path, longest(shape.max)) });
    if (shape.min !== undefined) broken.push({ what: 'is too short', value: Buffer.alloc(shape.min - 1), sentence: must('Value', path, shortest(shape.min)) });
  } else if (shape.type === 'string') {
    if (shape.max !== undefined && shape.pattern === undefined) {
      const value = 'a'.repeat(shape.max + 1);
      broken.push({ what: 'is too long', value, sentence: must(shown(value), path, longest(shape.max)) });
    }
    if (shape.min !== undefined && shape.min > 0 && shape.pattern === undefined) {
      const value = 'a'.repeat(shape.min - 1);
      broken.push({ what: 'is too short', value, sentence: must(shown(value), path, shortest(shape.min)) });
    }
    const odd = shape.pattern === undefined ? undefined : ['\u4f60'.repeat(Math.max(shape.min ?? 1, 1))].find((text) => text.length <= (shape.max ?? Infinity));
    if (odd !== undefined) broken.push({ what: 'does not fit its pattern', value: odd, sentence: must(shown(odd), path, `Member must satisfy regular expression pattern: ${shape.pattern ?? ''}`) });
  }
  return broken;
}

const camel = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);

function cases(operation: string): readonly (readonly [what: string, input: Body, sentence: string])[] {
  const inputName = model.operations[operation]?.input?.shape ?? '';
  const input = shapeOf(inputName);
  const whole = good(inputName) as Body;
  const found: (readonly [string, Body, string])[] = [];
  for (const [member, { shape }] of Object.entries(input.members ?? {})) {
    const own = shapeOf(shape);
    const path = camel(member);
    if (input.required?.includes(member)) {
      const { [member]: _, ...rest } = whole;
      found.push([`${member} is missing`, rest, must(own.sensitive ? 'Value' : 'Value null', path, 'Member must not be null')]);
    }
    for (const { what, value, sentence } of breakings(shape, path)) found.push([`${member} ${what}`, { ...whole, [member]: value }, sentence]);
    if (own.type === 'list' && own.max !== undefined) {
      const value = Array<unknown>(own.max + 1).fill(good(own.member?.shape ?? ''));
      found.push([`${member} has too many`, { ...whole, [member]: value }, must(`Value '[${value.join(', ')}]'`, path, longest(own.max))]);
    }
    if (own.type === 'list' && shapeOf(own.member?.shape ?? '').type === 'structure') {
      for (const [inner, { shape: of }] of Object.entries(shapeOf(own.member?.shape ?? '').members ?? {})) {
        for (const { what, value, sentence } of breakings(of, `${path}.1.member.${camel(inner)}`)) {
          found.push([`${member}.${inner} ${what}`, { ...whole, [member]: [{ ...(good(own.member?.shape ?? '') as Body), [inner]: value }] }, sentence]);
        }
      }
    }
    if (own.type === 'structure') {
      for (const [inner, { shape: of }] of Object.entries(own.members ?? {})) {
        for (const { what, value, sentence } of breakings(of, `${path}.${camel(inner)}`)) {
          found.push([`${member}.${inner} ${what}`, { ...whole, [member]: { ...(good(shape) as Body), [inner]: value } }, sentence]);
        }
      }
    }
  }
  return found;
}

let count = 0;
describe.each(Object.keys(operations))('%s', (operation) => {
  const table = cases(operation);
  if (table.length === 0) return;
  test.each(table)('%s', async (_, input, sentence) => {
    const { code, message, status } = await w.refusal(operation, input);
    expect([code, status]).toEqual(['ValidationException', 400]);
    // An enumeration's sentence ends in its values, in an order of AWS's own.
    if (sentence.endsWith('[')) expect(message?.startsWith(detected(sentence))).toBe(true);
    else expect(message).toBe(detected(sentence));
    count++;
  });
});

test('there were many', () => { expect(count).toBeGreaterThan(250); });
