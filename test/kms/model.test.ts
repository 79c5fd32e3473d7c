/** The operation table against AWS's service model (botocore 1.44.5; kms-service-2.NOTICE). */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { exceptionCodes } from '../../src/kms/errors.ts';
import { operations } from '../../src/kms/operations/table.ts';
import type { BlobShape, ChoiceShape, IntegerShape, ListShape, Member, Members, SecretShape, Shape, StructShape, TextShape } from '../../src/kms/shape.ts';

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
  readonly exception?: boolean;
  readonly fault?: boolean;
}
interface Model {
  readonly operations: Readonly<Record<string, { readonly input?: { readonly shape: string } }>>;
  readonly shapes: Readonly<Record<string, ModelShape>>;
}
const model = JSON.parse(readFileSync(new URL('kms-service-2.json', import.meta.url), 'utf8')) as Model;
const shapeOf = (name: string): ModelShape => model.shapes[name] as ModelShape;

/** What a model shape says, and what ours says, in the same words. */
function modelSays(name: string): unknown {
  const shape = shapeOf(name);
  const { min, max, pattern, sensitive = false } = shape;
  switch (shape.type) {
    case 'string': return shape.enum === undefined ? { text: { min, max, pattern, sensitive } } : { choice: [...shape.enum].sort() };
    case 'integer': return { integer: { min, max } };
    case 'boolean': return 'flag';
    case 'timestamp': return 'time';
    case 'blob': return { blob: { min, max, sensitive } };
    case 'map': return 'map of text';
    case 'list': return { list: { min, max }, of: modelSays(shape.member?.shape ?? '') };
    case 'structure': return Object.fromEntries(Object.entries(shape.members ?? {}).map(([member, { shape: of }]) => [member, { required: shape.required?.includes(member) ?? false, is: modelSays(of) }]));
    default: throw new Error(`${name} is a ${shape.type}`);
  }
}

function weSay(shape: Shape<unknown>): unknown {
  const sensitive = shape.sensitive ?? false;
  switch (shape.kind) {
    case 'secret': { const { min, max, pattern } = shape as SecretShape; return { text: { min, max, pattern, sensitive } }; }
    case 'text': { const { min, max, pattern } = shape as TextShape; return { text: { min, max, pattern, sensitive } }; }
    case 'choice': return { choice: [...(shape as ChoiceShape<string>).values].sort() };
    case 'integer': { const { min, max } = shape as IntegerShape; return { integer: { min, max } }; }
    case 'flag': case 'time': return shape.kind;
    case 'blob': { const { min, max } = shape as BlobShape; return { blob: { min, max, sensitive } }; }
    case 'map': return 'map of text';
    case 'list': { const { min, max, of } = shape as ListShape<unknown>; return { list: { min, max }, of: weSay(of) }; }
    case 'struct': return structSays((shape as StructShape<Members>).members);
  }
}

const structSays = (members: Members): unknown =>
  Object.fromEntries(Object.entries(members).map(([name, member]: [string, Member]) => ['optional' in member ? [name, { required: false, is: weSay(member.optional) }] : [name, { required: true, is: weSay(member) }]][0] as [string, unknown]));

describe('every operation of the model', () => {
  test.each(Object.keys(model.operations))('%s takes what the model says', (name) => {
    const input = model.operations[name]?.input?.shape ?? '';
    const ours = operations[name as keyof typeof operations];
    expect(ours.name).toBe(name);
    expect(structSays(ours.input.members)).toEqual(modelSays(input));
  });

  test('none is missing', () => {
    expect(Object.keys(model.operations).filter((name) => !(name in operations))).toEqual([]);
  });

  test('none is ours alone', () => {
    expect(Object.keys(operations).filter((name) => !(name in model.operations))).toEqual([]);
  });
});

test('every exception of the model has its code', () => {
  const modelled = Object.entries(model.shapes).filter(([, shape]) => shape.exception === true).map(([name]) => name);
  expect(modelled.filter((name) => !(exceptionCodes as readonly string[]).includes(name))).toEqual([]);
});
