/** Nothing that a client can send makes a 5xx: values of every shape in every member of every operation. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operationNames, operations } from '../../src/kms/operations/table.ts';
import type { ChoiceShape, ListShape, Member, Members, Shape, StructShape } from '../../src/kms/shape.ts';
import { home, makeWorld, otherRegion, region, type Body, type World } from './world.ts';

let w: World;
let names: string[] = [];
beforeAll(async () => {
  w = await makeWorld();
  const kinds: readonly Body[] = [
    {}, { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }, { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' }, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' },
    { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' }, { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }, { KeySpec: 'ML_KEM_512', KeyUsage: 'ENCAPSULATE_DECAPSULATE' },
    { KeySpec: 'ML_DSA_44', KeyUsage: 'SIGN_VERIFY' }, { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' }, { Origin: 'EXTERNAL' }, { MultiRegion: true },
  ];
  for (const input of kinds) names.push((await w.call('CreateKey', input)).KeyMetadata.KeyId);
  await w.call('CreateAlias', { AliasName: 'alias/here', TargetKeyId: names[0] });
});
afterAll(() => w.close());

const strange = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1e308, 1.5, '', '\u0000', '\ud800', '../..', 'arn:aws:kms:::', 'alias/', "'; DROP TABLE record; --", '${aws:username}', [], {}, [null], [[]], { a: null }, 'x'.repeat(10_000)),
  fc.string({ maxLength: 40 }), fc.json({ maxDepth: 4 }).map((text) => JSON.parse(text) as unknown),
);

/** Mostly what the shape asks for, so that the inner checks are reached too. */
function valueOf(name: string, shape: Shape<unknown>): fc.Arbitrary<unknown> {
  const good = ((): fc.Arbitrary<unknown> => {
    switch (shape.kind) {
      case 'choice': return fc.constantFrom(...(shape as ChoiceShape<string>).values);
      case 'integer': return fc.integer({ min: 0, max: 2600 });
      case 'flag': return fc.boolean();
      case 'time': return fc.oneof(fc.constant(0), fc.double({ min: -1e12, max: 1e12, noNaN: true }), fc.constant('2030-01-01T00:00:00Z'));
      case 'blob': return fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
      case 'map': return fc.dictionary(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), { maxKeys: 4 });
      case 'list': return fc.array(valueOf(name, (shape as ListShape<unknown>).of), { maxLength: 3 });
      case 'struct': return inputOf((shape as StructShape<Members>).members);
      case 'text': case 'secret': return texts(name);
    }
  })();
  return fc.oneof({ weight: 8, arbitrary: good }, { weight: 1, arbitrary: strange });
}

function texts(name: string): fc.Arbitrary<unknown> {
  const key = fc.integer({ min: 0, max: 10 }).map((i) => names[i] ?? '');
  switch (name) {
    case 'KeyId': case 'TargetKeyId': case 'DestinationKeyId': case 'SourceKeyId': return fc.oneof(key, key.map((id) => `arn:aws:kms:${region}:${home}:key/${id}`), fc.constant('alias/here'));
    case 'AliasName': return fc.constantFrom('alias/here', 'alias/new', 'alias/aws/s3', 'nothing');
    case 'Policy': return fc.oneof(fc.constant('{}'), fc.json(), fc.record({ Statement: fc.array(fc.dictionary(fc.constantFrom('Effect', 'Principal', 'Action', 'Condition', 'Resource'), fc.oneof(fc.constantFrom('Allow', '*'), fc.json())), { maxLength: 2 }) }).map((policy) => JSON.stringify(policy)));
    case 'GranteePrincipal': case 'RetiringPrincipal': return fc.constantFrom(`arn:aws:iam::${home}:root`, `arn:aws:iam::${home}:user/x`, '*', 'nobody');
    case 'ReplicaRegion': case 'PrimaryRegion': return fc.constantFrom(region, otherRegion, 'mars-north-1');
    default: return fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('default', '0'.repeat(64), 's3.amazonaws.com'));
  }
}

function inputOf(members: Members): fc.Arbitrary<Body> {
  const required = Object.entries(members).filter(([, member]) => !('optional' in member)).map(([name]) => name);
  const shapes = Object.fromEntries(Object.entries(members).map(([name, member]: [string, Member]) => [name, valueOf(name, 'optional' in member ? member.optional : member)]));
  const needed = fc.record(Object.fromEntries(required.map((name) => [name, shapes[name] as fc.Arbitrary<unknown>])));
  return fc.tuple(fc.record(shapes, { requiredKeys: [] }), needed, fc.nat(9)).map(([some, all, n]) => (n === 0 ? some : { ...all, ...some }));
}

describe('whatever is sent', () => {
  test.each(operationNames)('%s', async (name) => {
    await fc.assert(fc.asyncProperty(fc.oneof({ weight: 9, arbitrary: inputOf(operations[name].input.members) }, { weight: 1, arbitrary: strange }), async (input) => {
      const answer = await w.ask(name, input);
      if (!answer.ok) expect(answer.error.status, `${answer.error.code} ${w.log.at(-1) ?? ''}`).toBe(400);
      // RSA keys are made for these: fewer rounds.
    }), { numRuns: name === 'GetParametersForImport' || name.startsWith('GenerateDataKeyPair') ? 25 : 120 });
  }, 60_000);
});

test('an unknown operation', async () => {
  for (const name of ['Nothing', '', '__proto__', 'constructor', 'toString', 'x'.repeat(1000)]) {
    expect(await w.refusal(name)).toEqual({ code: 'UnknownOperationException', message: undefined, status: 400 });
  }
});
