/** What comes back to us was made by us: blobs, grant tokens, import tokens and markers, byte by byte. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { away, home, makeWorld, type Body, type World } from '../world.ts';
import { create, everything, external, granted, importing, message, policy } from './kit.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

const flipped = (bytes: Buffer, at: number, mask: number): Buffer => {
  const bent = Buffer.from(bytes);
  bent[at] = (bent[at] ?? 0) ^ mask;
  return bent;
};
const mutations = (bytes: Buffer): readonly Buffer[] => [
  ...Array.from(bytes, (_, i) => flipped(bytes, i, 1 << (i % 8))), ...Array.from(bytes, (_, i) => flipped(bytes, i, 0xff)),
  bytes.subarray(1), bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.from([0])]), Buffer.concat([bytes, bytes]), Buffer.alloc(bytes.length),
];

describe('a ciphertext', () => {
  const EncryptionContext = { purpose: 'test' };
  test('every byte of it, bent two ways', async () => {
    const { KeyId } = await create(w);
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: message, EncryptionContext });
    expect((await w.call('Decrypt', { CiphertextBlob, EncryptionContext })).Plaintext).toEqual(message);
    const codes = new Set<string>();
    for (const bent of mutations(CiphertextBlob)) {
      for (const named of [{}, { KeyId }]) {
        const answer = await w.ask('Decrypt', { CiphertextBlob: bent, EncryptionContext, ...named });
        expect(answer.ok).toBe(false);
        if (!answer.ok) codes.add(`${answer.error.code} ${answer.error.status}`);
      }
      expect((await w.ask('ReEncrypt', { CiphertextBlob: bent, SourceEncryptionContext: EncryptionContext, DestinationKeyId: KeyId })).ok).toBe(false);
    }
    // A bent name is another key's, which nobody may use.
    expect([...codes].sort()).toEqual(['AccessDeniedException 400', 'IncorrectKeyException 400', 'InvalidCiphertextException 400']);
  });

  test('its context is a set of pairs: free of order, exact in every byte', async () => {
    const { KeyId } = await create(w);
    const opens = async (made: Body, given: Body) => {
      const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: message, EncryptionContext: made });
      return (await w.ask('Decrypt', { CiphertextBlob, EncryptionContext: given })).ok;
    };
    expect(await opens({ a: '1', b: '2' }, { b: '2', a: '1' })).toBe(true);
    expect(await opens({}, {})).toBe(true);
    const others: readonly [Body, Body][] = [
      [{ ab: 'c' }, { a: 'bc' }], [{ a: 'b', c: 'd' }, { a: 'bcd' }], [{ a: 'b' }, { A: 'b' }], [{ a: 'b' }, { a: 'B' }], [{ a: 'b' }, { a: 'b', c: '' }], [{ a: '' }, {}],
      [{ a: '\u00e9' }, { a: 'e\u0301' }], [{ a: 'b ' }, { a: 'b' }],
    ];
    for (const [made, given] of others) expect(await opens(made, given), JSON.stringify([made, given])).toBe(false);
  });
});

test('a grant token, every character', async () => {
  const key = await create(w, { Policy: policy(everything) });
  const { GrantToken } = await granted(w, key);
  const { KeyId } = key;
  await w.call('Encrypt', { KeyId, Plaintext: message, GrantTokens: [GrantToken] });
  const bytes = Buffer.from(GrantToken, 'base64');
  const bent = [...mutations(bytes).map((one) => one.toString('base64')), `${GrantToken}=`, GrantToken.slice(1), ` ${GrantToken}`, GrantToken.toLowerCase()];
  for (const token of bent.filter((one) => one.length > 0)) {
    expect(await w.refusal('Encrypt', { KeyId, Plaintext: message, GrantTokens: [token] })).toMatchObject({ code: 'InvalidGrantTokenException', status: 400 });
    expect(await w.refusal('RetireGrant', { GrantToken: token })).toMatchObject({ code: 'InvalidGrantTokenException' });
  }
});

test('an import token, every byte', async () => {
  const { KeyId } = await external(w);
  const input = await importing(w, KeyId, randomBytes(32));
  for (const ImportToken of mutations(input.ImportToken).filter(({ length }) => length <= 6144)) {
    expect(await w.refusal('ImportKeyMaterial', { ...input, ImportToken })).toMatchObject({ code: 'InvalidImportTokenException', status: 400 });
  }
  expect((await w.ask('ImportKeyMaterial', input)).ok).toBe(true);
});

test('a marker, every character; and it is good for one list of one account', async () => {
  for (let i = 0; i < 3; i++) await create(w);
  const { NextMarker } = await w.call('ListKeys', { Limit: 1 });
  expect((await w.call('ListKeys', { Limit: 1, Marker: NextMarker })).Keys).toHaveLength(1);
  const bytes = Buffer.from(NextMarker, 'base64url');
  const bent = [...mutations(bytes).map((one) => one.toString('base64url')), `${NextMarker}A`, `${NextMarker}=`, ` ${NextMarker}`].filter((one) => one.length > 0);
  for (const Marker of bent) expect(await w.refusal('ListKeys', { Marker }), Marker).toMatchObject({ code: 'InvalidMarkerException', status: 400 });
  expect(await w.refusal('ListKeys', { Marker: NextMarker }, { account: away })).toMatchObject({ code: 'InvalidMarkerException' });
  expect(await w.refusal('ListRetirableGrants', { Marker: NextMarker, RetiringPrincipal: `arn:aws:iam::${home}:root` })).toMatchObject({ code: 'InvalidMarkerException' });
});
