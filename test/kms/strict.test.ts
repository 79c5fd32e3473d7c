/** A strict account: the core releases plaintext to attested recipients alone, whatever policies say. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import { operations } from '../../src/kms/operations/table.ts';
import { Lifecycle } from '../../src/server/lifecycle.ts';
import { makeDocument, makeEnclave, type Enclave } from './attestation-maker.ts';
import { away, home, makeWorld, region, type Body, type World } from './world.ts';

let w: World;
let enclave: Enclave;
let lifecycle: Lifecycle;
const publicKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'der', type: 'spki' });
const peer = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({ format: 'der', type: 'spki' });
const refusal = {
  code: 'AccessDeniedException', status: 400,
  message: 'The account that owns the KMS key is strict: it releases plaintext to attested recipients only. Specify a Recipient, where the operation has one.',
};
const keys: Record<'symmetric' | 'rsa' | 'agreement' | 'kem', string> = { symmetric: '', rsa: '', agreement: '', kem: '' };
const made: Record<'symmetric' | 'rsa' | 'kem', Buffer> = { symmetric: Buffer.alloc(0), rsa: Buffer.alloc(0), kem: Buffer.alloc(0) };
const openToAll = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: [home, away].map((id) => `arn:aws:iam::${id}:root`) }, Action: 'kms:*', Resource: '*' }] });

beforeAll(async () => {
  w = await makeWorld();
  enclave = makeEnclave({ root: w.root });
  lifecycle = new Lifecycle({ store: w.store, accounts: w.accounts, recorder: new ChainRecorder(w.store), region, forget: () => undefined, log: (line) => { w.log.push(line); } });
  const create = async (input: Body): Promise<string> => (await w.call('CreateKey', { Policy: openToAll, ...input })).KeyMetadata.Arn;
  keys.symmetric = await create({});
  keys.rsa = await create({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  keys.agreement = await create({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' });
  keys.kem = await create({ KeySpec: 'ML_KEM_768', KeyUsage: 'ENCAPSULATE_DECAPSULATE' });
  made.symmetric = (await w.call('Encrypt', { KeyId: keys.symmetric, Plaintext: Buffer.from('s') })).CiphertextBlob;
  made.rsa = (await w.call('Encrypt', { KeyId: keys.rsa, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256', Plaintext: Buffer.from('r') })).CiphertextBlob;
  made.kem = (await w.call('Encapsulate', { KeyId: keys.kem, EncapsulationAlgorithm: 'ML_KEM' })).SharedSecretCiphertextBlob;
  expect(await lifecycle.setStrict(home, true)).toEqual({ status: 'Active', strict: true });
});
afterAll(async () => {
  expect(w.log).toEqual([]);
  await w.close();
});

const recipient = () => ({ Recipient: { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument: makeDocument(enclave, { publicKey, timestamp: w.now() }) } });
/** Every operation that would release plaintext. */
const releasing: Record<string, () => [operation: string, input: Body]> = {
  'Decrypt': () => ['Decrypt', { CiphertextBlob: made.symmetric }],
  'Decrypt under an RSA key': () => ['Decrypt', { KeyId: keys.rsa, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256', CiphertextBlob: made.rsa }],
  'GenerateDataKey': () => ['GenerateDataKey', { KeyId: keys.symmetric, KeySpec: 'AES_256' }],
  'GenerateDataKeyPair': () => ['GenerateDataKeyPair', { KeyId: keys.symmetric, KeyPairSpec: 'ECC_NIST_P256' }],
  'DeriveSharedSecret': () => ['DeriveSharedSecret', { KeyId: keys.agreement, KeyAgreementAlgorithm: 'ECDH', PublicKey: peer }],
};
const without: typeof releasing = {
  'ReEncrypt from an RSA key': () => ['ReEncrypt', { SourceKeyId: keys.rsa, SourceEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', CiphertextBlob: made.rsa, DestinationKeyId: keys.symmetric }],
  'ReEncrypt to an RSA key': () => ['ReEncrypt', { CiphertextBlob: made.symmetric, DestinationKeyId: keys.rsa, DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }],
  'Encapsulate': () => ['Encapsulate', { KeyId: keys.kem, EncapsulationAlgorithm: 'ML_KEM' }],
  'Decapsulate': () => ['Decapsulate', { KeyId: keys.kem, EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob: made.kem }],
};

describe('releases no plaintext', () => {
  it.each(Object.entries({ ...releasing, ...without }))('%s', async (_, ask) => {
    expect(await w.refusal(...ask())).toEqual(refusal);
    expect(await w.refusal(...ask(), { account: away })).toEqual(refusal);
  });

  it.each(Object.entries(releasing))('but to a recipient: %s', async (_, ask) => {
    const [operation, input] = ask();
    for (const account of [home, away]) {
      const answer = await w.call(operation, { ...input, ...recipient() }, { account });
      expect(answer.CiphertextForRecipient.length).toBeGreaterThan(300);
      for (const member of ['Plaintext', 'PrivateKeyPlaintext', 'SharedSecret']) expect(answer).not.toHaveProperty(member);
    }
  });

  it('all of those that take a recipient were asked', () => {
    const taking = Object.values(operations).filter(({ input }) => 'Recipient' in input.members).map(({ name }) => name);
    const asked = Object.values(releasing).map((ask) => ask()[0]);
    expect([...new Set([...asked, 'GenerateRandom'])].sort()).toEqual(taking.sort());
  });
});

test('goes on with what makes none, and makes keys of every kind', async () => {
  await w.call('Encrypt', { KeyId: keys.symmetric, Plaintext: Buffer.from('x') });
  await w.call('Encrypt', { KeyId: keys.rsa, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256', Plaintext: Buffer.from('x') });
  await w.call('GenerateDataKeyWithoutPlaintext', { KeyId: keys.symmetric, KeySpec: 'AES_256' });
  await w.call('GenerateDataKeyPairWithoutPlaintext', { KeyId: keys.symmetric, KeyPairSpec: 'ECC_NIST_P256' });
  await w.call('ReEncrypt', { CiphertextBlob: made.symmetric, DestinationKeyId: keys.symmetric, DestinationEncryptionContext: { a: 'b' } });
  await w.call('GenerateRandom', { NumberOfBytes: 16 });
  await w.call('RotateKeyOnDemand', { KeyId: keys.symmetric });
  for (const [KeySpec, KeyUsage] of [['HMAC_256', 'GENERATE_VERIFY_MAC'], ['ECC_NIST_P256', 'SIGN_VERIFY'], ['ECC_SECG_P256K1', 'SIGN_VERIFY'], ['ECC_NIST_EDWARDS25519', 'SIGN_VERIFY'], ['RSA_2048', 'SIGN_VERIFY'], ['ML_DSA_44', 'SIGN_VERIFY'], ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT']]) {
    const { KeyId } = (await w.call('CreateKey', { KeySpec, KeyUsage })).KeyMetadata;
    if (KeyUsage === 'SIGN_VERIFY') expect((await w.call('GetPublicKey', { KeyId })).PublicKey.length).toBeGreaterThan(40);
    if (KeyUsage === 'GENERATE_VERIFY_MAC') await w.call('GenerateMac', { KeyId, MacAlgorithm: 'HMAC_SHA_256', Message: Buffer.from('m') });
  }
});

test('other accounts are as they were, and the change is in the trail', async () => {
  const { KeyId } = (await w.call('CreateKey', {}, { account: away })).KeyMetadata;
  expect((await w.call('GenerateDataKey', { KeyId, KeySpec: 'AES_256' }, { account: away })).Plaintext).toHaveLength(32);
  expect((await w.trail(home)).map(({ eventName }) => eventName)).toContain('RestrictAccount');
});

test('is strict when it is opened again, and from the next opening on no more', async () => {
  const reopened = async (): Promise<void> => {
    const partition = await w.accounts.close(home);
    w.kms.services.partitions.forget(home);
    if (partition !== undefined) w.kms.services.keyring.forgetPartition(partition);
  };
  // Away's caller: home's own session went with its partition.
  const decrypt = () => w.ask('Decrypt', { CiphertextBlob: made.symmetric }, { account: away });
  await reopened();
  expect(await decrypt()).toMatchObject({ ok: false, error: refusal });
  expect(await lifecycle.setStrict(home, false)).toEqual({ status: 'Active' });
  expect(await decrypt()).toMatchObject({ ok: false, error: refusal });
  await reopened();
  expect(await decrypt()).toMatchObject({ ok: true });
});
