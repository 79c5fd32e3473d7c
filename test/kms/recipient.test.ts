/** Secrets for an attested recipient only: what leaves is CMS that openssl opens. */
import { execFileSync } from 'node:child_process';
import { createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDocument, makeEnclave, type Enclave } from './attestation-maker.ts';
import { home, makeWorld, type Body, type World } from './world.ts';

let w: World;
let enclave: Enclave;
const folder = mkdtempSync(join(tmpdir(), 'strongroom-cms-'));
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicKey = pair.publicKey.export({ format: 'der', type: 'spki' });

beforeAll(async () => {
  w = await makeWorld();
  enclave = makeEnclave({ root: w.root });
  writeFileSync(join(folder, 'key.pem'), pair.privateKey.export({ format: 'pem', type: 'pkcs8' }));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await w.close();
});

const recipient = (wish: Parameters<typeof makeDocument>[1] = {}) =>
  ({ Recipient: { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument: makeDocument(enclave, { publicKey, timestamp: w.now(), ...wish }) } });
const opened = (cms: Buffer): Buffer => execFileSync('openssl', ['cms', '-decrypt', '-inform', 'DER', '-inkey', join(folder, 'key.pem')], { input: cms });
const create = async (input: Body = {}): Promise<Body> => (await w.call('CreateKey', input)).KeyMetadata;

describe('enveloped answers', () => {
  test('Decrypt', async () => {
    const { KeyId, Arn } = await create();
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('for one reader'), EncryptionContext: { a: 'b' } });
    const answer = await w.call('Decrypt', { CiphertextBlob, EncryptionContext: { a: 'b' }, ...recipient() });
    expect(answer).toEqual({ KeyId: Arn, CiphertextForRecipient: expect.any(Buffer), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
    expect(opened(answer.CiphertextForRecipient).toString()).toBe('for one reader');
    expect((await w.refusal('Decrypt', { CiphertextBlob, ...recipient() })).code).toBe('InvalidCiphertextException');
  });

  test.each(['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'])('Decrypt with RSA, %s', async (EncryptionAlgorithm) => {
    const { KeyId, Arn } = await create({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, EncryptionAlgorithm, Plaintext: Buffer.from('for one reader') });
    const answer = await w.call('Decrypt', { KeyId, EncryptionAlgorithm, CiphertextBlob, ...recipient() });
    expect(answer).toEqual({ KeyId: Arn, CiphertextForRecipient: expect.any(Buffer), EncryptionAlgorithm });
    expect(opened(answer.CiphertextForRecipient).toString()).toBe('for one reader');
    CiphertextBlob[9] ^= 1;
    expect((await w.refusal('Decrypt', { KeyId, EncryptionAlgorithm, CiphertextBlob, ...recipient() })).code).toBe('InvalidCiphertextException');
  });

  test('GenerateDataKey and its pair', async () => {
    const { KeyId, Arn } = await create();
    const key = await w.call('GenerateDataKey', { KeyId, KeySpec: 'AES_256', ...recipient() });
    expect(key).toEqual({ KeyId: Arn, CiphertextBlob: expect.any(Buffer), CiphertextForRecipient: expect.any(Buffer) });
    expect(opened(key.CiphertextForRecipient)).toEqual((await w.call('Decrypt', { CiphertextBlob: key.CiphertextBlob })).Plaintext);
    const made = await w.call('GenerateDataKeyPair', { KeyId, KeyPairSpec: 'ECC_NIST_P256', ...recipient() });
    expect(Object.keys(made).sort()).toEqual(['CiphertextForRecipient', 'KeyId', 'KeyPairSpec', 'PrivateKeyCiphertextBlob', 'PublicKey']);
    expect(opened(made.CiphertextForRecipient)).toEqual((await w.call('Decrypt', { CiphertextBlob: made.PrivateKeyCiphertextBlob })).Plaintext);
  });

  test('GenerateRandom', async () => {
    const answer = await w.call('GenerateRandom', { NumberOfBytes: 100, ...recipient() });
    expect(Object.keys(answer)).toEqual(['CiphertextForRecipient']);
    expect(opened(answer.CiphertextForRecipient).length).toBe(100);
  });

  test('DeriveSharedSecret', async () => {
    const { KeyId } = await create({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' });
    const peer = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const answer = await w.call('DeriveSharedSecret', { KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: peer.publicKey.export({ format: 'der', type: 'spki' }), ...recipient() });
    expect(answer).not.toHaveProperty('SharedSecret');
    const own = createPublicKey({ key: (await w.call('GetPublicKey', { KeyId })).PublicKey, format: 'der', type: 'spki' });
    expect(opened(answer.CiphertextForRecipient)).toEqual(diffieHellman({ publicKey: own, privateKey: peer.privateKey }));
  });
});

test('a policy asks for the image that was measured', async () => {
  const statement = { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${home}:root` }, Action: 'kms:*', Resource: '*' };
  const image = 'a0'.repeat(48);
  const { KeyId } = await create({ Policy: JSON.stringify({ Version: '2012-10-17', Statement: [
    statement,
    { ...statement, Effect: 'Deny', Action: 'kms:GenerateDataKey', Condition: { StringNotEqualsIgnoreCase: { 'kms:RecipientAttestation:ImageSha384': image } } },
  ] }) });
  const wish = { KeyId, KeySpec: 'AES_256' };
  await w.call('GenerateDataKey', { ...wish, ...recipient() });
  expect((await w.refusal('GenerateDataKey', wish)).code).toBe('AccessDeniedException');
  expect((await w.refusal('GenerateDataKey', { ...wish, ...recipient({ pcrs: new Map([[0, Buffer.alloc(48)]]) }) })).code).toBe('AccessDeniedException');
});

test('refusals', async () => {
  const { KeyId } = await create();
  const bad: readonly Body[] = [
    { Recipient: {} }, { Recipient: { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' } }, { Recipient: { AttestationDocument: Buffer.from('x') } },
    { Recipient: { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument: Buffer.from('x') } },
    recipient({ timestamp: w.now() - 600_000 }), { Recipient: { ...recipient().Recipient, AttestationDocument: makeDocument(makeEnclave(), { publicKey }) } },
  ];
  for (const more of bad) expect((await w.refusal('GenerateDataKey', { KeyId, KeySpec: 'AES_256', ...more })).code).toBe('ValidationException');
  for (const odd of [generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey, generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey]) {
    expect((await w.refusal('GenerateDataKey', { KeyId, KeySpec: 'AES_256', ...recipient({ publicKey: odd.export({ format: 'der', type: 'spki' }) }) })).code).toBe('ValidationException');
  }
});
