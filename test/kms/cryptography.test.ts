import { constants, createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, publicEncrypt, sign as nodeSign, verify as nodeVerify, type KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type Body, type World } from './world.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

const message = Buffer.from('what was said');
const digestOf = (name: string, bytes: Buffer) => createHash(name).update(bytes).digest();

async function make(KeySpec: string, KeyUsage: string): Promise<Body> {
  const { KeyMetadata } = await w.call('CreateKey', { KeySpec, KeyUsage });
  return KeyMetadata;
}

async function publicKeyOf(KeyId: string): Promise<KeyObject> {
  const { PublicKey } = await w.call('GetPublicKey', { KeyId });
  return createPublicKey({ key: PublicKey, format: 'der', type: 'spki' });
}

describe('symmetric', () => {
  test('a blob opens with its context, in any order, and with no other', async () => {
    const { KeyId, Arn } = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const context = { tenant: 'a', purpose: 'b' };
    const sealed = await w.call('Encrypt', { KeyId, Plaintext: message, EncryptionContext: context });
    expect(sealed).toEqual({ CiphertextBlob: expect.any(Buffer), KeyId: Arn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
    const opened = await w.call('Decrypt', { CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: { purpose: 'b', tenant: 'a' } });
    expect(opened).toEqual({ KeyId: Arn, Plaintext: message, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT', KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    for (const wrong of [{}, { tenant: 'a' }, { ...context, more: '' }, { tenant: 'A', purpose: 'b' }, { tenanta: '', purpose: 'b' }]) {
      expect(await w.refusal('Decrypt', { CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: wrong })).toEqual({ code: 'InvalidCiphertextException', message: undefined, status: 400 });
    }
  });

  test('every flipped byte is refused', async () => {
    const { KeyId } = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
    for (let i = 0; i < CiphertextBlob.length; i++) {
      const changed = Buffer.from(CiphertextBlob);
      changed[i] = (changed[i] ?? 0) ^ 1;
      const { code } = await w.refusal('Decrypt', { CiphertextBlob: changed });
      // A blob that names another key is asked of that key: nobody may tell whether it is there.
      expect(['InvalidCiphertextException', 'AccessDeniedException']).toContain(code);
    }
    for (const length of [1, 20, CiphertextBlob.length - 1]) {
      expect((await w.refusal('Decrypt', { CiphertextBlob: CiphertextBlob.subarray(0, length) })).code).toBe('InvalidCiphertextException');
    }
  });

  test('the largest plaintext makes a blob that Decrypt takes', async () => {
    const { KeyId } = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const Plaintext = Buffer.alloc(4096, 7);
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext });
    expect(CiphertextBlob.length).toBeLessThanOrEqual(6144);
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext).toEqual(Plaintext);
  });

  test('another key is IncorrectKey, whatever its kind', async () => {
    const { KeyId } = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: message });
    for (const other of [await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'), await make('ECC_NIST_P256', 'SIGN_VERIFY')]) {
      expect(await w.refusal('Decrypt', { CiphertextBlob, KeyId: other.KeyId })).toEqual({
        code: 'IncorrectKeyException', status: 400, message: 'The key ID in the request does not identify a CMK that can perform this operation.',
      });
    }
  });

  test('ReEncrypt moves a blob to another key and context', async () => {
    const from = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const to = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: from.KeyId, Plaintext: message, EncryptionContext: { a: '1' } });
    const moved = await w.call('ReEncrypt', { CiphertextBlob, SourceEncryptionContext: { a: '1' }, DestinationKeyId: to.KeyId, DestinationEncryptionContext: { b: '2' } });
    expect(moved).toEqual({
      CiphertextBlob: expect.any(Buffer), SourceKeyId: from.Arn, KeyId: to.Arn, SourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      DestinationEncryptionAlgorithm: 'SYMMETRIC_DEFAULT', SourceKeyMaterialId: from.CurrentKeyMaterialId, DestinationKeyMaterialId: to.CurrentKeyMaterialId,
    });
    expect((await w.call('Decrypt', { CiphertextBlob: moved.CiphertextBlob, EncryptionContext: { b: '2' }, KeyId: to.KeyId })).Plaintext).toEqual(message);
    expect((await w.refusal('ReEncrypt', { CiphertextBlob, DestinationKeyId: to.KeyId })).code).toBe('InvalidCiphertextException');
  });

  test('data keys: as asked, opened by Decrypt', async () => {
    const { KeyId, Arn, CurrentKeyMaterialId } = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    for (const [wanted, length] of [[{ KeySpec: 'AES_256' }, 32], [{ KeySpec: 'AES_128' }, 16], [{ NumberOfBytes: 1024 }, 1024], [{ NumberOfBytes: 1 }, 1]] as const) {
      const made = await w.call('GenerateDataKey', { KeyId, ...wanted, EncryptionContext: { a: 'b' } });
      expect(made).toEqual({ CiphertextBlob: expect.any(Buffer), Plaintext: expect.any(Buffer), KeyId: Arn, KeyMaterialId: CurrentKeyMaterialId });
      expect(made.Plaintext.length).toBe(length);
      expect((await w.call('Decrypt', { CiphertextBlob: made.CiphertextBlob, EncryptionContext: { a: 'b' } })).Plaintext).toEqual(made.Plaintext);
      const silent = await w.call('GenerateDataKeyWithoutPlaintext', { KeyId, ...wanted });
      expect(silent).toEqual({ CiphertextBlob: expect.any(Buffer), KeyId: Arn, KeyMaterialId: CurrentKeyMaterialId });
      expect((await w.call('Decrypt', { CiphertextBlob: silent.CiphertextBlob })).Plaintext.length).toBe(length);
    }
  });

  test.each(['RSA_2048', 'RSA_3072', 'ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521', 'ECC_SECG_P256K1', 'ECC_NIST_EDWARDS25519', 'ML_KEM_512', 'ML_KEM_768', 'ML_KEM_1024'])('data key pairs: %s', async (KeyPairSpec) => {
    const { KeyId, Arn, CurrentKeyMaterialId } = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const made = await w.call('GenerateDataKeyPair', { KeyId, KeyPairSpec });
    expect(made).toEqual({
      PrivateKeyCiphertextBlob: expect.any(Buffer), PrivateKeyPlaintext: expect.any(Buffer), PublicKey: expect.any(Buffer), KeyId: Arn, KeyPairSpec, KeyMaterialId: CurrentKeyMaterialId,
    });
    expect((await w.call('Decrypt', { CiphertextBlob: made.PrivateKeyCiphertextBlob })).Plaintext).toEqual(made.PrivateKeyPlaintext);
    if (!KeyPairSpec.startsWith('ML_')) {
      const own = createPublicKey(createPrivateKey({ key: made.PrivateKeyPlaintext, format: 'der', type: 'pkcs8' }));
      expect(own.export({ format: 'der', type: 'spki' })).toEqual(made.PublicKey);
    }
    const silent = await w.call('GenerateDataKeyPairWithoutPlaintext', { KeyId, KeyPairSpec });
    expect(Object.keys(silent).sort()).toEqual(['KeyId', 'KeyMaterialId', 'KeyPairSpec', 'PrivateKeyCiphertextBlob', 'PublicKey']);
  });
});

describe('RSA encryption', () => {
  test.each([['RSA_2048', 214, 190], ['RSA_3072', 342, 318], ['RSA_4096', 470, 446]] as const)('%s', async (spec, most1, most256) => {
    const { KeyId, Arn } = await make(spec, 'ENCRYPT_DECRYPT');
    const key = await publicKeyOf(KeyId);
    for (const [EncryptionAlgorithm, oaepHash, most] of [['RSAES_OAEP_SHA_1', 'sha1', most1], ['RSAES_OAEP_SHA_256', 'sha256', most256]] as const) {
      const Plaintext = Buffer.alloc(most, 3);
      const sealed = await w.call('Encrypt', { KeyId, Plaintext, EncryptionAlgorithm });
      expect((await w.call('Decrypt', { KeyId, CiphertextBlob: sealed.CiphertextBlob, EncryptionAlgorithm }))).toEqual({ KeyId: Arn, Plaintext, EncryptionAlgorithm });
      const outside = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, message);
      expect((await w.call('Decrypt', { KeyId, CiphertextBlob: outside, EncryptionAlgorithm })).Plaintext).toEqual(message);
      expect(await w.refusal('Encrypt', { KeyId, Plaintext: Buffer.alloc(most + 1), EncryptionAlgorithm })).toEqual({
        code: 'ValidationException', status: 400, message: `Algorithm ${EncryptionAlgorithm} and key spec ${spec} cannot encrypt data larger than ${most} bytes.`,
      });
      for (const bad of [Buffer.alloc(outside.length, 1), Buffer.alloc(10, 1)]) {
        expect(await w.refusal('Decrypt', { KeyId, CiphertextBlob: bad, EncryptionAlgorithm })).toEqual({ code: 'InvalidCiphertextException', message: undefined, status: 400 });
      }
    }
  });

  test('ReEncrypt between kinds of keys', async () => {
    const symmetric = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
    const rsa = await make('RSA_2048', 'ENCRYPT_DECRYPT');
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: symmetric.KeyId, Plaintext: message });
    const there = await w.call('ReEncrypt', { CiphertextBlob, DestinationKeyId: rsa.KeyId, DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' });
    expect(there.CiphertextBlob.length).toBe(256);
    const back = await w.call('ReEncrypt', { CiphertextBlob: there.CiphertextBlob, SourceKeyId: rsa.KeyId, SourceEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', DestinationKeyId: symmetric.KeyId });
    expect((await w.call('Decrypt', { CiphertextBlob: back.CiphertextBlob })).Plaintext).toEqual(message);
  });
});

describe('signatures, verified by others', () => {
  const rsaAlgorithms = ['PKCS1_V1_5', 'PSS'].flatMap((padding) => ['256', '384', '512'].map((size) => [padding, size] as const));

  test.each(['RSA_2048', 'RSA_3072', 'RSA_4096'])('%s', async (spec) => {
    const { KeyId, Arn } = await make(spec, 'SIGN_VERIFY');
    const key = await publicKeyOf(KeyId);
    for (const [padding, size] of rsaAlgorithms) {
      const SigningAlgorithm = `RSASSA_${padding}_SHA_${size}`;
      const options = padding === 'PSS' ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : { key };
      for (const [MessageType, Message] of [['RAW', message], ['DIGEST', digestOf(`sha${size}`, message)]] as const) {
        const signed = await w.call('Sign', { KeyId, Message, MessageType, SigningAlgorithm });
        expect(signed).toEqual({ KeyId: Arn, Signature: expect.any(Buffer), SigningAlgorithm });
        expect(nodeVerify(`sha${size}`, message, options, signed.Signature)).toBe(true);
        await verifies(KeyId, Arn, { Message, MessageType, SigningAlgorithm, Signature: signed.Signature });
      }
    }
  });

  test.each([['ECC_NIST_P256', '256'], ['ECC_NIST_P384', '384'], ['ECC_NIST_P521', '512'], ['ECC_SECG_P256K1', '256']] as const)('%s', async (spec, size) => {
    const { KeyId, Arn } = await make(spec, 'SIGN_VERIFY');
    const key = await publicKeyOf(KeyId);
    const SigningAlgorithm = `ECDSA_SHA_${size}`;
    for (const [MessageType, Message] of [['RAW', message], ['DIGEST', digestOf(`sha${size}`, message)]] as const) {
      const { Signature } = await w.call('Sign', { KeyId, Message, MessageType, SigningAlgorithm });
      expect(nodeVerify(`sha${size}`, message, { key, dsaEncoding: 'der' }, Signature)).toBe(true);
      await verifies(KeyId, Arn, { Message, MessageType, SigningAlgorithm, Signature });
    }
  });

  test('ECC_NIST_EDWARDS25519', async () => {
    const { KeyId, Arn } = await make('ECC_NIST_EDWARDS25519', 'SIGN_VERIFY');
    const key = await publicKeyOf(KeyId);
    const { Signature } = await w.call('Sign', { KeyId, Message: message, SigningAlgorithm: 'ED25519_SHA_512' });
    expect(Signature.length).toBe(64);
    expect(nodeVerify(null, message, key, Signature)).toBe(true);
    await verifies(KeyId, Arn, { Message: message, SigningAlgorithm: 'ED25519_SHA_512', Signature });

    const digest = digestOf('sha512', message);
    const hashed = { Message: digest, MessageType: 'DIGEST', SigningAlgorithm: 'ED25519_PH_SHA_512' };
    const prehashed = await w.call('Sign', { KeyId, ...hashed });
    await verifies(KeyId, Arn, { ...hashed, Signature: prehashed.Signature });
    // Not the plain kind, over the digest or over the message.
    expect(nodeVerify(null, digest, key, prehashed.Signature)).toBe(false);
    expect(nodeVerify(null, message, key, prehashed.Signature)).toBe(false);
  });

  test.each([['ML_DSA_44', 1334, 2420], ['ML_DSA_65', 1974, 3309], ['ML_DSA_87', 2614, 4627]] as const)('%s', async (spec, keyLength, length) => {
    const { KeyId, Arn } = await make(spec, 'SIGN_VERIFY');
    const { PublicKey } = await w.call('GetPublicKey', { KeyId });
    expect(PublicKey.length).toBe(keyLength);
    const SigningAlgorithm = 'ML_DSA_SHAKE_256';
    const { Signature } = await w.call('Sign', { KeyId, Message: message, SigningAlgorithm });
    expect(Signature.length).toBe(length);
    await verifies(KeyId, Arn, { Message: message, SigningAlgorithm, Signature });
    // FIPS 204, 6.2: mu = SHAKE256(SHAKE256(pk, 64) || 0 || 0 || M, 64)
    const shake = (bytes: Buffer) => createHash('shake256', { outputLength: 64 }).update(bytes).digest();
    const mu = shake(Buffer.concat([shake(PublicKey.subarray(22)), Buffer.from([0, 0]), message]));
    await verifies(KeyId, Arn, { Message: mu, MessageType: 'EXTERNAL_MU', SigningAlgorithm, Signature });
    const outside = await w.call('Sign', { KeyId, Message: mu, MessageType: 'EXTERNAL_MU', SigningAlgorithm });
    await verifies(KeyId, Arn, { Message: message, SigningAlgorithm, Signature: outside.Signature });
  });

  async function verifies(KeyId: string, Arn: string, input: Body): Promise<void> {
    expect(await w.call('Verify', { KeyId, ...input })).toEqual({ KeyId: Arn, SignatureValid: true, SigningAlgorithm: input.SigningAlgorithm });
    const bent = Buffer.from(input.Signature);
    bent[bent.length - 1] = (bent[bent.length - 1] ?? 0) ^ 1;
    for (const Signature of [bent, Buffer.from([1]), Buffer.alloc(6144, 97)]) {
      expect(await w.refusal('Verify', { KeyId, ...input, Signature })).toEqual({ code: 'KMSInvalidSignatureException', message: undefined, status: 400 });
    }
  }

  test('refusals of message types and lengths', async () => {
    const p256 = await make('ECC_NIST_P256', 'SIGN_VERIFY');
    const ed = await make('ECC_NIST_EDWARDS25519', 'SIGN_VERIFY');
    const dsa = await make('ML_DSA_44', 'SIGN_VERIFY');
    const table: readonly [Body, Body, string, string][] = [
      [p256, { SigningAlgorithm: 'ECDSA_SHA_256', MessageType: 'DIGEST' }, 'ValidationException', 'Digest is invalid length for algorithm ECDSA_SHA_256.'],
      [p256, { SigningAlgorithm: 'ECDSA_SHA_384', MessageType: 'DIGEST' }, 'InvalidKeyUsageException', 'Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.'],
      [p256, { SigningAlgorithm: 'ECDSA_SHA_256', MessageType: 'EXTERNAL_MU' }, 'ValidationException', 'Message type EXTERNAL_MU is incompatible with key spec ECC_NIST_P256.'],
      [ed, { SigningAlgorithm: 'ED25519_SHA_512', MessageType: 'DIGEST' }, 'ValidationException', 'Message type DIGEST is incompatible with algorithm ED25519_SHA_512.'],
      [ed, { SigningAlgorithm: 'ED25519_PH_SHA_512', MessageType: 'RAW' }, 'ValidationException', 'Message type RAW is incompatible with algorithm ED25519_PH_SHA_512.'],
      [ed, { SigningAlgorithm: 'ED25519_PH_SHA_512', MessageType: 'DIGEST' }, 'ValidationException', 'Digest is invalid length for algorithm ED25519_PH_SHA_512.'],
      [dsa, { SigningAlgorithm: 'ML_DSA_SHAKE_256', MessageType: 'DIGEST' }, 'ValidationException', 'Message type DIGEST is incompatible with key spec ML_DSA_44.'],
      [dsa, { SigningAlgorithm: 'ML_DSA_SHAKE_256', MessageType: 'EXTERNAL_MU' }, 'ValidationException', 'Digest is invalid length for algorithm ML_DSA_SHAKE_256.'],
    ];
    for (const [key, input, code, sentence] of table) {
      expect(await w.refusal('Sign', { KeyId: key.KeyId, Message: message, ...input })).toEqual({ code, message: sentence, status: 400 });
      expect(await w.refusal('Verify', { KeyId: key.KeyId, Message: message, Signature: Buffer.alloc(64), ...input })).toEqual({ code, message: sentence, status: 400 });
    }
  });
});

test.each(['224', '256', '384', '512'])('HMAC_%s', async (size) => {
  const { KeyId, Arn, MacAlgorithms } = await make(`HMAC_${size}`, 'GENERATE_VERIFY_MAC');
  const MacAlgorithm = `HMAC_SHA_${size}`;
  expect(MacAlgorithms).toEqual([MacAlgorithm]);
  const { Mac, ...rest } = await w.call('GenerateMac', { KeyId, Message: message, MacAlgorithm });
  expect(rest).toEqual({ KeyId: Arn, MacAlgorithm });
  expect(Mac.length).toBe(Number(size) / 8);
  expect(await w.call('VerifyMac', { KeyId, Message: message, MacAlgorithm, Mac })).toEqual({ KeyId: Arn, MacAlgorithm, MacValid: true });
  for (const bad of [Mac.subarray(1), Buffer.concat([Mac, Buffer.from([0])]), createHmac('sha256', 'x').update(message).digest()]) {
    expect(await w.refusal('VerifyMac', { KeyId, Message: message, MacAlgorithm, Mac: bad })).toEqual({ code: 'KMSInvalidMacException', message: undefined, status: 400 });
  }
});

test.each([['ECC_NIST_P256', 'prime256v1', 32], ['ECC_NIST_P384', 'secp384r1', 48], ['ECC_NIST_P521', 'secp521r1', 66]] as const)('ECDH on %s', async (spec, namedCurve, length) => {
  const { KeyId, Arn, KeyAgreementAlgorithms } = await make(spec, 'KEY_AGREEMENT');
  expect(KeyAgreementAlgorithms).toEqual(['ECDH']);
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
  const PublicKey = publicKey.export({ format: 'der', type: 'spki' });
  const { SharedSecret, ...rest } = await w.call('DeriveSharedSecret', { KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey });
  expect(rest).toEqual({ KeyId: Arn, KeyAgreementAlgorithm: 'ECDH', KeyOrigin: 'AWS_KMS' });
  expect(SharedSecret.length).toBe(length);
  expect(SharedSecret).toEqual(diffieHellman({ publicKey: await publicKeyOf(KeyId), privateKey }));
  const strange = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'der', type: 'spki' });
  for (const bad of [Buffer.from('not a key'), strange, generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' })]) {
    expect((await w.refusal('DeriveSharedSecret', { KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: bad })).code).toBe('ValidationException');
  }
});

test.each([['ML_KEM_512', 768], ['ML_KEM_768', 1088], ['ML_KEM_1024', 1568]] as const)('%s', async (spec, length) => {
  const { KeyId, Arn, EncapsulationAlgorithms } = await make(spec, 'ENCAPSULATE_DECAPSULATE');
  expect(EncapsulationAlgorithms).toEqual(['ML_KEM']);
  const { SharedSecret, SharedSecretCiphertextBlob, ...rest } = await w.call('Encapsulate', { KeyId, EncapsulationAlgorithm: 'ML_KEM' });
  expect(rest).toEqual({ KeyId: Arn, EncapsulationAlgorithm: 'ML_KEM' });
  expect([SharedSecret.length, SharedSecretCiphertextBlob.length]).toEqual([32, length]);
  const opened = await w.call('Decapsulate', { KeyId, EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob });
  expect(opened).toEqual({ KeyId: Arn, EncapsulationAlgorithm: 'ML_KEM', SharedSecret });
  const bent = Buffer.from(SharedSecretCiphertextBlob);
  bent[0] = (bent[0] ?? 0) ^ 1;
  const rejected = await w.call('Decapsulate', { KeyId, EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob: bent });
  expect(rejected.SharedSecret.length).toBe(32);
  expect(rejected.SharedSecret).not.toEqual(SharedSecret);
  expect(await w.refusal('Decapsulate', { KeyId, EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob: bent.subarray(1) }))
    .toEqual({ code: 'InvalidCiphertextException', message: undefined, status: 400 });
});

test('GenerateRandom', async () => {
  expect((await w.call('GenerateRandom', { NumberOfBytes: 1024 })).Plaintext.length).toBe(1024);
  expect(await w.refusal('GenerateRandom')).toEqual({ code: 'ValidationException', message: 'NumberOfBytes is required.', status: 400 });
});

test('node signs as a check of the check', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  expect(nodeVerify('sha256', Buffer.from('other'), publicKey, nodeSign('sha256', message, privateKey))).toBe(false);
});
