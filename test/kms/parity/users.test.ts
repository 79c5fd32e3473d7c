/**
 * What users of other AWS-KMS-compatible servers complain about, by the complaint: none of it may be true
 * here. docs/kms.md lists them and names these tests.
 */
import { createCipheriv, createDecipheriv, createHmac, createPublicKey, diffieHellman, generateKeyPairSync, privateDecrypt, randomBytes, sign as nodeSign, verify as nodeVerify, constants } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { away, home, makeWorld, region, type Body, type World } from '../world.ts';
import { create, everything, forever, message, policy, user, wrapped } from './kit.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

const publicKeyOf = async (KeyId: string) => createPublicKey({ key: (await w.call('GetPublicKey', { KeyId })).PublicKey, format: 'der', type: 'spki' });

/** RSA_AES_KEY_WRAP_SHA_256, as a client makes it. */
async function bring(KeyId: string, material: Buffer): Promise<void> {
  const { PublicKey, ImportToken } = await w.call('GetParametersForImport', { KeyId, WrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256', WrappingKeySpec: 'RSA_2048' });
  const aes = randomBytes(32);
  const cipher = createCipheriv('id-aes256-wrap-pad', aes, Buffer.from('a65959a6', 'hex'));
  await w.call('ImportKeyMaterial', { KeyId, ImportToken, EncryptedKeyMaterial: Buffer.concat([wrapped(PublicKey, aes), cipher.update(material), cipher.final()]), ...forever });
}

describe('the wrong key is not accepted', () => {
  test('Decrypt heeds its KeyId', async () => {
    const [right, wrong] = [await create(w), await create(w)];
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: right.KeyId, Plaintext: message });
    expect((await w.refusal('Decrypt', { CiphertextBlob, KeyId: wrong.KeyId })).code).toBe('IncorrectKeyException');
    await w.call('CreateAlias', { AliasName: 'alias/wrong', TargetKeyId: wrong.KeyId });
    expect((await w.refusal('Decrypt', { CiphertextBlob, KeyId: 'alias/wrong' })).code).toBe('IncorrectKeyException');
  });
  test('a disabled key does nothing', async () => {
    const { KeyId } = await create(w);
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: message });
    await w.call('DisableKey', { KeyId });
    for (const [operation, input] of [['Encrypt', { KeyId, Plaintext: message }], ['Decrypt', { CiphertextBlob }], ['GenerateDataKey', { KeyId, KeySpec: 'AES_256' }]] as const) {
      expect((await w.refusal(operation, input)).code).toBe('DisabledException');
    }
  });
});

describe('policies bite', () => {
  test('least privilege: one action, one alias, one context', async () => {
    const { KeyId } = await create(w);
    await w.call('CreateAlias', { AliasName: 'alias/app', TargetKeyId: KeyId });
    await w.call('CreateAlias', { AliasName: 'alias/ops', TargetKeyId: KeyId });
    const as = { who: 'user/narrow' };
    w.let(user('narrow'), { Statement: { Effect: 'Allow', Action: 'kms:Encrypt', Resource: `arn:aws:kms:${region}:${home}:key/*`, Condition: { StringEquals: { 'kms:RequestAlias': 'alias/app', 'kms:EncryptionContext:app': 'one' } } } });
    const encrypt = async (input: Body) => (await w.ask('Encrypt', { Plaintext: message, ...input }, as)).ok;
    expect(await encrypt({ KeyId: 'alias/app', EncryptionContext: { app: 'one' } })).toBe(true);
    expect(await encrypt({ KeyId: 'alias/app', EncryptionContext: { app: 'two' } })).toBe(false);
    expect(await encrypt({ KeyId: 'alias/app' })).toBe(false);
    expect(await encrypt({ KeyId: 'alias/ops', EncryptionContext: { app: 'one' } })).toBe(false);
    expect(await encrypt({ KeyId, EncryptionContext: { app: 'one' } })).toBe(false);
    expect((await w.refusal('Decrypt', { CiphertextBlob: (await w.call('Encrypt', { KeyId, Plaintext: message })).CiphertextBlob }, as)).code).toBe('AccessDeniedException');
  });
  test('a key policy alone decides where it leaves the account out', async () => {
    const { KeyId } = await create(w, { BypassPolicyLockoutSafetyCheck: true, Policy: policy({ Effect: 'Allow', Principal: { AWS: user('only') }, Action: 'kms:*', Resource: '*' }) });
    expect((await w.refusal('DescribeKey', { KeyId })).code).toBe('AccessDeniedException');
    expect((await w.call('DescribeKey', { KeyId }, { who: 'user/only' })).KeyMetadata.KeyId).toBe(KeyId);
  });
  test('a statement without Action or Resource is taken and means nothing', async () => {
    const { KeyId } = await create(w);
    const { Resource: _, ...pointless } = { ...everything, Principal: { AWS: user('nobody') } };
    await w.call('PutKeyPolicy', { KeyId, Policy: policy(everything, pointless) });
    expect((await w.refusal('DescribeKey', { KeyId }, { who: 'user/nobody' })).code).toBe('AccessDeniedException');
  });
});

test('grants let in, constrain, and end', async () => {
  const { KeyId } = await create(w);
  const as = { who: 'user/grantee' };
  const { GrantId } = await w.call('CreateGrant', { KeyId, GranteePrincipal: user('grantee'), Operations: ['Encrypt'], Constraints: { EncryptionContextEquals: { app: 'one' } } });
  expect((await w.ask('Encrypt', { KeyId, Plaintext: message, EncryptionContext: { app: 'one' } }, as)).ok).toBe(true);
  expect((await w.ask('Encrypt', { KeyId, Plaintext: message, EncryptionContext: { app: 'two' } }, as)).ok).toBe(false);
  await w.call('RevokeGrant', { KeyId, GrantId });
  expect((await w.ask('Encrypt', { KeyId, Plaintext: message, EncryptionContext: { app: 'one' } }, as)).ok).toBe(false);
});

describe('imported keys are the keys that were brought', () => {
  const der = { format: 'der', type: 'pkcs8' } as const;
  test('asymmetric: what they sign and decrypt is theirs', async () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    const signer = await create(w, { Origin: 'EXTERNAL', KeySpec: 'ECC_SECG_P256K1', KeyUsage: 'SIGN_VERIFY' });
    await bring(signer.KeyId, ec.privateKey.export(der));
    const { Signature } = await w.call('Sign', { KeyId: signer.KeyId, Message: message, SigningAlgorithm: 'ECDSA_SHA_256' });
    expect(nodeVerify('sha256', message, ec.publicKey, Signature)).toBe(true);
    const Mine = nodeSign('sha256', message, ec.privateKey);
    expect((await w.call('Verify', { KeyId: signer.KeyId, Message: message, SigningAlgorithm: 'ECDSA_SHA_256', Signature: Mine })).SignatureValid).toBe(true);

    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const opener = await create(w, { Origin: 'EXTERNAL', KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
    await bring(opener.KeyId, rsa.privateKey.export(der));
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: opener.KeyId, Plaintext: message, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' });
    expect(privateDecrypt({ key: rsa.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, CiphertextBlob)).toEqual(message);
  });
  test('HMAC, and symmetric: no two materials open each other\'s', async () => {
    const secret = randomBytes(64);
    const mac = await create(w, { Origin: 'EXTERNAL', KeySpec: 'HMAC_512', KeyUsage: 'GENERATE_VERIFY_MAC' });
    await bring(mac.KeyId, secret);
    expect((await w.call('GenerateMac', { KeyId: mac.KeyId, Message: message, MacAlgorithm: 'HMAC_SHA_512' })).Mac).toEqual(createHmac('sha512', secret).update(message).digest());

    const key = await create(w, { Origin: 'EXTERNAL' });
    await bring(key.KeyId, randomBytes(32));
    const made = [await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.alloc(64) }), await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.alloc(64) })];
    expect(made[0].CiphertextBlob).not.toEqual(made[1].CiphertextBlob);
    expect((await w.call('Decrypt', { CiphertextBlob: made[0].CiphertextBlob })).Plaintext).toEqual(Buffer.alloc(64));
  });
  test('imported keys rotate on demand', async () => {
    const { KeyId } = await create(w, { Origin: 'EXTERNAL' });
    await bring(KeyId, randomBytes(32));
    const before = await w.call('Encrypt', { KeyId, Plaintext: message });
    const { PublicKey, ImportToken } = await w.call('GetParametersForImport', { KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' });
    await w.call('ImportKeyMaterial', { KeyId, ImportToken, EncryptedKeyMaterial: wrapped(PublicKey, randomBytes(32)), ImportType: 'NEW_KEY_MATERIAL', ...forever });
    await w.call('RotateKeyOnDemand', { KeyId });
    expect((await w.call('Decrypt', { CiphertextBlob: before.CiphertextBlob })).Plaintext).toEqual(message);
  });
});

describe('cryptography is what it says', () => {
  test('an agreed secret is the raw x-coordinate', async () => {
    const { KeyId } = await create(w, { KeySpec: 'ECC_NIST_P384', KeyUsage: 'KEY_AGREEMENT' });
    const peer = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
    const { SharedSecret } = await w.call('DeriveSharedSecret', { KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: peer.publicKey.export({ format: 'der', type: 'spki' }) });
    expect(SharedSecret).toEqual(diffieHellman({ publicKey: await publicKeyOf(KeyId), privateKey: peer.privateKey }));
  });
  test('every key of a size is its own', async () => {
    const keys = await Promise.all(Array.from({ length: 3 }, async () => (await w.call('GetPublicKey', { KeyId: (await create(w, { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })).KeyId })).PublicKey.toString('hex')));
    expect(new Set(keys).size).toBe(3);
  });
  test('a data key opens what it sealed, elsewhere', async () => {
    const { KeyId } = await create(w);
    const { Plaintext, CiphertextBlob } = await w.call('GenerateDataKey', { KeyId, KeySpec: 'AES_256' });
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', Plaintext, iv);
    const sealed = Buffer.concat([cipher.update(message), cipher.final()]);
    const again = (await w.call('Decrypt', { CiphertextBlob })).Plaintext;
    const open = createDecipheriv('aes-256-gcm', again, iv).setAuthTag(cipher.getAuthTag());
    expect(Buffer.concat([open.update(sealed), open.final()])).toEqual(message);
  });
});

test('infrastructure tools find what they wait for at once', async () => {
  const { KeyId, KeyState } = await create(w, { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY', Tags: [{ TagKey: 'a', TagValue: 'b' }] });
  expect(KeyState).toBe('Enabled');
  expect((await w.call('DescribeKey', { KeyId })).KeyMetadata.KeyState).toBe('Enabled');
  // Terraform takes this for "does not rotate".
  expect((await w.refusal('GetKeyRotationStatus', { KeyId })).code).toBe('UnsupportedOperationException');
  expect((await w.call('ListResourceTags', { KeyId })).Tags).toEqual([{ TagKey: 'a', TagValue: 'b' }]);
  const Policy = policy(everything);
  await w.call('PutKeyPolicy', { KeyId, Policy });
  expect((await w.call('GetKeyPolicy', { KeyId })).Policy).toBe(Policy);
});

test('every customer has keys of their own', async () => {
  const [mine, theirs] = [await create(w), (await w.call('CreateKey', {}, { account: away })).KeyMetadata];
  const ids = async (account: string) => (await w.call('ListKeys', { Limit: 1000 }, { account })).Keys.map((key: Body) => key.KeyId);
  expect(await ids(home)).toContain(mine.KeyId);
  expect(await ids(home)).not.toContain(theirs.KeyId);
  expect(await ids(away)).not.toContain(mine.KeyId);
  for (const KeyId of [mine.KeyId, mine.Arn]) expect((await w.ask('Encrypt', { KeyId, Plaintext: message }, { account: away })).ok).toBe(false);
});
