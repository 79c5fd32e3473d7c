/** Each way a request can break a constraint of the model, and AWS's sentence for it. */
import type { Body } from '../world.ts';
import { inputOf, shapeOf, type ModelShape } from './model.ts';

/** Something each patterned shape takes. */
const texts: Readonly<Record<string, string>> = {
  AliasNameType: 'alias/a', BackingKeyIdType: '0'.repeat(64), RegionType: 'us-east-1', ServicePrincipalType: 's3.amazonaws.com', XksProxyUriEndpointType: 'https://example.com',
  XksProxyUriPathType: '/kms/xks/v1', XksProxyVpcEndpointServiceNameType: 'com.amazonaws.vpce.us-east-1.vpce-svc-0', AccountIdType: '111122223333', CloudHsmClusterIdType: 'cluster-abcdefghijk',
  GrantConstraintSourceArnType: 'arn:aws:s3:us-east-1:111122223333:bucket', KeyStorePasswordType: 'password', XksProxyAuthenticationAccessKeyIdType: 'A'.repeat(20),
  XksProxyAuthenticationRawSecretAccessKeyType: 'a'.repeat(43),
};
const goodText = (name: string, { min = 1 }: ModelShape): string => texts[name] ?? 'a'.repeat(Math.max(min, 1));

/** Something the shape takes. */
export function fitting(name: string): unknown {
  const shape = shapeOf(name);
  if (shape.enum !== undefined) return shape.enum[0];
  switch (shape.type) {
    case 'string': return goodText(name, shape);
    case 'integer': return shape.min ?? 1;
    case 'boolean': return true;
    case 'timestamp': return 0;
    case 'blob': return Buffer.alloc(shape.min ?? 1);
    case 'map': return {};
    case 'list': return [fitting(shape.member?.shape ?? '')];
    default: return Object.fromEntries((shape.required ?? []).map((member) => [member, fitting(shape.members?.[member]?.shape ?? '')]));
  }
}

interface Broken {
  readonly what: string;
  readonly value: unknown;
  /** All that it breaks, in the order they are told. One that ends in `[` is followed by the values of a set, in an order of AWS's own. */
  readonly sentences: readonly string[];
}

const must = (subject: string, path: string, constraint: string) => `${subject} at '${path}' failed to satisfy constraint: ${constraint}`;
const longest = (max: number) => `Member must have length less than or equal to ${max}`;
const shortest = (min: number) => `Member must have length greater than or equal to ${min}`;
const patterned = (pattern: string) => `Member must satisfy regular expression pattern: ${pattern}`;

const matches = (pattern: string | undefined, text: string): boolean => pattern === undefined || new RegExp(`^(?:${pattern})$`, 'u').test(text);

function* brokenText(name: string, path: string, shape: ModelShape): Generator<Broken> {
  const { min = 0, max = Infinity, pattern, sensitive = false } = shape;
  const told = (value: string) => [
    ...(value.length > max ? [longest(max)] : []), ...(value.length < min ? [shortest(min)] : []), ...(pattern === undefined || matches(pattern, value) ? [] : [patterned(pattern)]),
  ].map((constraint) => must(sensitive ? 'Value' : `Value '${value}'`, path, constraint));
  const of = (what: string, value: string): Broken => ({ what, value, sentences: told(value) });
  if (max < Infinity) yield of('is too long', goodText(name, shape).padEnd(max + 1, goodText(name, shape).at(-1)));
  if (min > 0) yield of('is too short', goodText(name, shape).slice(0, min - 1));
  if (pattern !== undefined) yield of('does not fit its pattern', '\u4f60'.repeat(Math.max(min, 1)));
}

/** Each way of breaking one value. */
function breakings(name: string, path: string): readonly Broken[] {
  const shape = shapeOf(name);
  const { min, max } = shape;
  const one = (what: string, value: unknown, sentence: string): Broken => ({ what, value, sentences: [sentence] });
  if (shape.enum !== undefined) return [one('is none of the set', 'NONE', must("Value 'NONE'", path, 'Member must satisfy enum value set: ['))];
  switch (shape.type) {
    case 'integer': return [
      ...(max === undefined ? [] : [one('is too great', max + 1, must(`Value '${max + 1}'`, path, `Member must have value less than or equal to ${max}`))]),
      ...(min === undefined ? [] : [one('is too small', min - 1, must(`Value '${min - 1}'`, path, `Member must have value greater than or equal to ${min}`))]),
    ];
    case 'blob': return [
      ...(max === undefined ? [] : [one('is too long', Buffer.alloc(max + 1), must('Value', path, longest(max)))]),
      ...(min === undefined ? [] : [one('is too short', Buffer.alloc(min - 1), must('Value', path, shortest(min)))]),
    ];
    case 'string': return [...brokenText(name, path, shape)].filter(({ sentences }) => sentences.length > 0);
    case 'map': return [one('has a null', { a: null }, must("Value '{a=null}'", path, 'Map value must satisfy constraint: [Member must not be null]'))];
    case 'structure': return Object.entries(shape.members ?? {}).flatMap(([inner, { shape: of }]) =>
      breakings(of, `${path}.${camel(inner)}`).map(({ what, value, sentences }) => ({ what: `.${inner} ${what}`, value: { ...(fitting(name) as Body), [inner]: value }, sentences })));
    case 'list': return brokenLists(path, shape);
    default: return [];
  }
}

/** Elements that are structures are named one by one; scalars are told about the list as a whole. */
function brokenLists(path: string, { member, max }: ModelShape): readonly Broken[] {
  const element = member?.shape ?? '';
  const shape = shapeOf(element);
  const found: Broken[] = [];
  if (max !== undefined) {
    const value = Array<unknown>(max + 1).fill(fitting(element));
    found.push({ what: 'has too many', value, sentences: [must(`Value '[${value.join(', ')}]'`, path, longest(max))] });
  }
  if (shape.type === 'structure') {
    for (const [inner, { shape: of }] of Object.entries(shape.members ?? {})) {
      for (const { what, value, sentences } of breakings(of, `${path}.2.member.${camel(inner)}`)) {
        found.push({ what: `, second .${inner} ${what}`, value: [fitting(element), { ...(fitting(element) as Body), [inner]: value }], sentences });
      }
    }
    return found;
  }
  const told = shape.enum !== undefined ? 'Member must satisfy enum value set: [' : [
    ...(shape.max === undefined ? [] : [longest(shape.max)]), ...(shape.min === undefined ? [] : [shortest(shape.min)]), ...(shape.pattern === undefined ? [] : [patterned(shape.pattern)]),
  ].join(', ');
  const bad = shape.enum === undefined ? '' : 'NONE';
  const good = fitting(element);
  found.push({ what: 'has one that breaks', value: [good, bad], sentences: [must(`Value '[${String(good)}, ${bad}]'`, path, `Member must satisfy constraint: [${told}${shape.enum === undefined ? ']' : ''}`)] });
  return found;
}

export const camel = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

export interface Breaking extends Broken {
  readonly member: string;
  readonly input: Body;
}

/** Of one operation: a request that breaks this and nothing else. */
export function breakingsOf(operation: string): readonly Breaking[] {
  const inputName = inputOf(operation) ?? '';
  const input = shapeOf(inputName);
  const whole = fitting(inputName) as Body;
  return Object.entries(input.members ?? {}).flatMap(([member, { shape }]) => {
    const path = camel(member);
    const { [member]: _, ...rest } = whole;
    const missing: readonly Breaking[] = input.required?.includes(member) !== true ? []
      : [{ member, what: 'is missing', value: undefined, input: rest, sentences: [must(shapeOf(shape).sensitive === true ? 'Value' : 'Value null', path, 'Member must not be null')] }];
    return [...missing, ...breakings(shape, path).map((broken) => ({ ...broken, member, input: { ...whole, [member]: broken.value } }))];
  });
}

/** Several members broken at once: one sentence, in the order of the members. */
export function together(operation: string): { readonly input: Body; readonly sentences: readonly string[] } | undefined {
  const first = new Map<string, Breaking>();
  for (const breaking of breakingsOf(operation)) if (breaking.value !== undefined && !first.has(breaking.member)) first.set(breaking.member, breaking);
  if (first.size < 2) return undefined;
  const whole = fitting(inputOf(operation) ?? '') as Body;
  const broken = [...first.values()];
  return { input: { ...whole, ...Object.fromEntries(broken.map(({ member, value }) => [member, value])) }, sentences: broken.flatMap(({ sentences }) => sentences) };
}

export const detected = (sentences: readonly string[]): string => `${sentences.length} validation error${sentences.length === 1 ? '' : 's'} detected: ${sentences.join('; ')}`;
