/**
 * Nothing that a client can send makes a 5xx, over HTTP and by the core's own JSON cutter: bodies made
 * from the operation table, mostly right so that the inner checks are reached, with wrong types, missing,
 * unknown and repeated members, `__proto__`, deep nesting, numbers beyond all bounds and bytes that are
 * no UTF-8.
 */
import fc from 'fast-check';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { operationNames, operations } from '../../src/kms/operations/table.ts';
import type { ChoiceShape, ListShape, Member, Members, Shape, StructShape } from '../../src/kms/shape.ts';
import { account, call, kmsTarget, newHome, openRoom, region, send, sign, type Room } from './room.ts';

let room: Room;
let host: string;
const keys: string[] = [];
beforeAll(async () => {
  room = await openRoom(newHome());
  host = new URL(room.server.url).host;
  const kinds = [
    {}, { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' }, { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' },
    { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }, { KeySpec: 'ML_KEM_512', KeyUsage: 'ENCAPSULATE_DECAPSULATE' }, { KeySpec: 'ML_DSA_44', KeyUsage: 'SIGN_VERIFY' },
    { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' }, { Origin: 'EXTERNAL' }, { MultiRegion: true },
  ];
  for (const kind of kinds) keys.push(((await call(room, 'CreateKey', kind)).body['KeyMetadata'] as { readonly KeyId: string }).KeyId);
  await call(room, 'CreateAlias', { AliasName: 'alias/here', TargetKeyId: keys[0] });
});
afterAll(async () => {
  expect(room.reports).toEqual([]);
  await room.stop();
  rmSync(room.home, { recursive: true });
});

/* ---- JSON as text --------------------------------------------------------------------- */

/** Stands for bytes that are no UTF-8, until the body is bytes. */
const hole = '\uE000';
const notUtf8 = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]].map((bytes) => Buffer.from(bytes));

type Text = fc.Arbitrary<string>;
const quoted = (text: string): string => JSON.stringify(text);
const nested = (open: string, close: string, depth: number): string => `${open.repeat(depth)}1${close.repeat(depth)}`;

const strange: Text = fc.constantFrom(
  'null', 'true', 'false', '0', '-1', '-0', '1.5', '1e400', '-1e400', '1e-400', '9007199254740993', '123456789012345678901234567890', '2147483648', '[]', '{}', '""', '[null]', '[[]]', '{"":""}',
  '{"__proto__":{"toString":1}}', '{"toString":null}', '{"constructor":{"prototype":{}}}', '[{"toString":"x"}]', '"__proto__"', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\ufeff"', `"${hole}"`, `"a${hole}b"`,
  '"AQ="', '"A"', '"====" ', '"A\\u0051=="', '"../.."', '"alias/"', '"arn:aws:kms:::"', '"${aws:username}"', nested('[', ']', 60), nested('{"a":', '}', 60), nested('[', ']', 5000), nested('{"a":', '}', 5000),
  quoted('x'.repeat(20_000)), `[${'"x",'.repeat(3000)}"x"]`, `{${Array.from({ length: 2000 }, (_, i) => `"k${i}":"v"`).join()}}`,
);

const word: Text = fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('default', '0'.repeat(64), 's3.amazonaws.com', region, 'eu-west-1', '')).map(quoted);
const name: Text = fc.nat(9).chain((i) => fc.constantFrom(keys[i] ?? '', `arn:aws:kms:${region}:${account}:key/${keys[i] ?? ''}`, 'alias/here')).map(quoted);

function textOf(member: string): Text {
  if (/KeyId$/.test(member)) return name;
  switch (member) {
    case 'AliasName': return fc.constantFrom('"alias/here"', '"alias/new"', '"alias/aws/s3"', '"nothing"');
    case 'Policy': return fc.oneof(fc.constantFrom('{}', '[]', '{"Statement":[]}', '{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}'), fc.json()).map(quoted);
    case 'GranteePrincipal': case 'RetiringPrincipal': return fc.constantFrom(`"arn:aws:iam::${account}:root"`, '"*"', '"nobody"');
    default: return word;
  }
}

/** Now and then something that has no business there. */
function value(member: string, shape: Shape<unknown>): Text {
  const fit = ((): Text => {
    switch (shape.kind) {
      case 'choice': return fc.constantFrom(...(shape as ChoiceShape<string>).values.map(quoted));
      case 'integer': return fc.integer({ min: 0, max: 2600 }).map(String);
      case 'flag': return fc.constantFrom('true', 'false');
      case 'time': return fc.constantFrom('0', '1e12', '4e9', '"2030-01-01T00:00:00Z"', '-5');
      case 'blob': return fc.uint8Array({ maxLength: 80 }).map((bytes) => quoted(Buffer.from(bytes).toString('base64')));
      case 'map': return fc.array(fc.tuple(fc.constantFrom('"a"', '"b"', '"__proto__"', '"toString"', '""'), word), { maxLength: 4 }).map((pairs) => `{${pairs.map((pair) => pair.join(':')).join()}}`);
      case 'list': return fc.array(value(member, (shape as ListShape<unknown>).of), { maxLength: 3 }).map((items) => `[${items.join()}]`);
      case 'struct': return object((shape as StructShape<Members>).members);
      case 'text': case 'secret': return textOf(member);
    }
  })();
  return fc.oneof({ weight: 9, arbitrary: fit }, { weight: 1, arbitrary: strange });
}

/** Required members mostly there; others as they come, some twice, some nobody knows. */
function object(members: Members): Text {
  const entries = Object.entries(members).map(([member, of]: [string, Member]) => value(member, 'optional' in of ? of.optional : of).map((text) => `${quoted(member)}:${text}`));
  const needed = entries.filter((_, i) => !('optional' in (Object.values(members)[i] as Member)));
  const odd = fc.tuple(fc.constantFrom('"__proto__"', '"constructor"', '"Unknown"', '""', '"\\u004beyId"', '"KeyId"'), strange).map((pair) => pair.join(':'));
  const some = entries.length === 0 ? fc.constant<string[]>([]) : fc.array(fc.oneof({ weight: 8, arbitrary: fc.oneof(...entries) }, { weight: 1, arbitrary: odd }), { maxLength: 5 });
  const must = fc.oneof({ weight: 8, arbitrary: fc.tuple(...needed) }, { weight: 1, arbitrary: fc.constant<string[]>([]) });
  return fc.tuple(must, some).map(([first, rest]) => `{${[...first, ...rest].join()}}`);
}

const bodies = (members: Members): fc.Arbitrary<Buffer> =>
  fc.tuple(fc.oneof({ weight: 30, arbitrary: object(members) }, { weight: 1, arbitrary: strange }), fc.constantFrom(...notUtf8)).map(([text, bytes]) =>
    Buffer.concat(text.split(hole).flatMap((part, i) => (i === 0 ? [Buffer.from(part)] : [bytes, Buffer.from(part)]))));

/** RSA keys are made for these. */
const slow = (operation: string): boolean => operation === 'GetParametersForImport' || operation.startsWith('GenerateDataKeyPair') || operation === 'CreateKey';

describe('whatever is sent', () => {
  it.each(operationNames)('%s', async (operation) => {
    await fc.assert(fc.asyncProperty(bodies(operations[operation].input.members), async (body) => {
      const answered = await send(room.server.url, 'POST', '/', sign(host, body, { headers: kmsTarget(operation) }), body);
      expect(answered.status, `${operation} ${body.toString('latin1').slice(0, 400)} -> ${answered.text} ${String(room.reports.at(-1))}`).toBeLessThan(500);
      expect(answered.headers['x-amzn-requestid']).toBeDefined();
      expect(() => JSON.parse(answered.text) as unknown).not.toThrow();
    }), { numRuns: (process.env['STRONGROOM_TEST_FULL'] === undefined ? 1 : 10) * (slow(operation) ? 12 : 50) });
  }, 120_000);
});
