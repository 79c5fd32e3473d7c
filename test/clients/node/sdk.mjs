// The AWS SDK for JavaScript with the libraries that stand beside it: JWTs, post-quantum signatures, wrapped key material.
import assert from 'node:assert/strict';
import { createCipheriv, createECDH, createHmac, createPublicKey, generateKeyPairSync, constants, publicEncrypt, randomBytes, verify, createHash } from 'node:crypto';
import * as aws from '@aws-sdk/client-kms';
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';
import { compactVerify, createLocalJWKSet, jwtVerify } from 'jose';
import { check, done } from './checks.mjs';

const kms = new aws.KMSClient({});
const send = (name, input) => kms.send(new aws[`${name}Command`](input));
const create = async (KeySpec, KeyUsage, more = {}) => (await send('CreateKey', { KeySpec, KeyUsage, ...more })).KeyMetadata.KeyId;
const spki = async (KeyId) => Buffer.from((await send('GetPublicKey', { KeyId })).PublicKey);
const publicKey = async (KeyId) => createPublicKey({ key: await spki(KeyId), format: 'der', type: 'spki' });
const symmetric = await create();

// ---- each refusal is its class, and the client's fault

const disabled = await create();
await send('DisableKey', { KeyId: disabled });
const pending = await create();
await send('ScheduleKeyDeletion', { KeyId: pending, PendingWindowInDays: 7 });
const ec = await create('ECC_NIST_P256', 'SIGN_VERIFY');
const hmac = await create('HMAC_256', 'GENERATE_VERIFY_MAC');
for (const [name, operation, input] of [
  ['DisabledException', 'Encrypt', { KeyId: disabled, Plaintext: Buffer.from('x') }],
  ['KMSInvalidStateException', 'Encrypt', { KeyId: pending, Plaintext: Buffer.from('x') }],
  ['NotFoundException', 'DescribeKey', { KeyId: 'alias/js-none' }],
  ['InvalidCiphertextException', 'Decrypt', { CiphertextBlob: Buffer.alloc(200, 7) }],
  ['KMSInvalidSignatureException', 'Verify', { KeyId: ec, Message: Buffer.from('m'), Signature: Buffer.alloc(70, 1), SigningAlgorithm: 'ECDSA_SHA_256' }],
  ['KMSInvalidMacException', 'VerifyMac', { KeyId: hmac, Message: Buffer.from('m'), Mac: Buffer.alloc(32), MacAlgorithm: 'HMAC_SHA_256' }],
  ['InvalidKeyUsageException', 'Encrypt', { KeyId: ec, Plaintext: Buffer.from('x') }],
  ['DryRunOperationException', 'Sign', { KeyId: ec, Message: Buffer.from('x'), SigningAlgorithm: 'ECDSA_SHA_256', DryRun: true }],
  ['UnsupportedOperationException', 'GetPublicKey', { KeyId: symmetric }],
  ['InvalidArnException', 'DescribeKey', { KeyId: 'arn:aws:s3:::bucket' }],
]) {
  await check(`throws ${name}`, async () => {
    const error = await send(operation, input).then(() => assert.fail('not refused'), (e) => e);
    assert.ok(error instanceof aws[name], `${error.name}: ${error.message}`);
    assert.ok(error instanceof aws.KMSServiceException);
    assert.equal(error.$fault, 'client');
    assert.equal(error.$metadata.httpStatusCode, 400);
    assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
  });
}

// ---- JWTs: signed by a handle, verified by jose from a key set

const hashOf = { 256: 'sha256', 384: 'sha384', 512: 'sha512' };
/** ECDSA as JWS wants it: two numbers side by side. */
function rawSignature(der, size) {
  const int = (at) => [der.subarray(at + 2, at + 2 + der[at + 1]), at + 2 + der[at + 1]];
  const start = der[1] & 0x80 ? 2 + (der[1] & 0x7f) : 2;
  const [r, next] = int(start);
  const [s] = int(next);
  return Buffer.concat([r, s].map((n) => Buffer.concat([Buffer.alloc(size), n]).subarray(-size)));
}
for (const [alg, spec, algorithm, size] of [
  ['ES256', 'ECC_NIST_P256', 'ECDSA_SHA_256', 32], ['ES384', 'ECC_NIST_P384', 'ECDSA_SHA_384', 48], ['ES512', 'ECC_NIST_P521', 'ECDSA_SHA_512', 66],
  ['RS256', 'RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_256'], ['PS384', 'RSA_3072', 'RSASSA_PSS_SHA_384'],
]) {
  await check(`a JWT with ${alg}`, async () => {
    const KeyId = await create(spec, 'SIGN_VERIFY');
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg, kid: KeyId })}.${part({ sub: 'js', exp: Math.floor(Date.now() / 1000) + 60 })}`;
    const Message = createHash(hashOf[alg.slice(2)]).update(text).digest();
    const { Signature } = await send('Sign', { KeyId, Message, MessageType: 'DIGEST', SigningAlgorithm: algorithm });
    const signature = size === undefined ? Buffer.from(Signature) : rawSignature(Buffer.from(Signature), size);
    const jwks = createLocalJWKSet({ keys: [{ ...(await publicKey(KeyId)).export({ format: 'jwk' }), kid: KeyId, alg, use: 'sig' }] });
    const token = `${text}.${signature.toString('base64url')}`;
    assert.equal((await jwtVerify(token, jwks)).payload.sub, 'js');
    await assert.rejects(compactVerify(`${text}x.${signature.toString('base64url')}`, jwks));
  });
}

await check('a JWT with EdDSA', async () => {
  const KeyId = await create('ECC_NIST_EDWARDS25519', 'SIGN_VERIFY');
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'EdDSA' })}.${part({ sub: 'js' })}`;
  const { Signature } = await send('Sign', { KeyId, Message: Buffer.from(text), SigningAlgorithm: 'ED25519_SHA_512' });
  assert.equal((await jwtVerify(`${text}.${Buffer.from(Signature).toString('base64url')}`, await publicKey(KeyId))).payload.sub, 'js');
});

// ---- ML-DSA, verified by @noble/post-quantum

for (const [spec, mlDsa] of [['ML_DSA_44', ml_dsa44], ['ML_DSA_65', ml_dsa65], ['ML_DSA_87', ml_dsa87]]) {
  await check(`${spec}, judged by noble`, async () => {
    const KeyId = await create(spec, 'SIGN_VERIFY');
    const Message = Buffer.from('signed for a long time');
    const { Signature } = await send('Sign', { KeyId, Message, SigningAlgorithm: 'ML_DSA_SHAKE_256' });
    const raw = (await spki(KeyId)).subarray(-mlDsa.lengths.publicKey);
    assert.equal(mlDsa.verify(Signature, Message, raw), true);
    assert.equal(mlDsa.verify(Signature, Buffer.from('else'), raw), false);
  });
}

// ---- key material of one's own, wrapped by Node

async function importKey(KeyId, material, WrappingAlgorithm, WrappingKeySpec) {
  const given = await send('GetParametersForImport', { KeyId, WrappingAlgorithm, WrappingKeySpec });
  const key = { key: createPublicKey({ key: Buffer.from(given.PublicKey), format: 'der', type: 'spki' }), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: WrappingAlgorithm.endsWith('_1') ? 'sha1' : 'sha256' };
  let EncryptedKeyMaterial;
  if (WrappingAlgorithm.startsWith('RSA_AES')) {
    const kek = randomBytes(32);
    const cipher = createCipheriv('id-aes256-wrap-pad', kek, Buffer.from('a65959a6', 'hex'));
    EncryptedKeyMaterial = Buffer.concat([publicEncrypt(key, kek), cipher.update(material), cipher.final()]);
  } else {
    EncryptedKeyMaterial = publicEncrypt(key, material);
  }
  await send('ImportKeyMaterial', { KeyId, ImportToken: given.ImportToken, EncryptedKeyMaterial, ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' });
}

for (const [wrapping, spec] of [['RSA_AES_KEY_WRAP_SHA_256', 'RSA_2048'], ['RSA_AES_KEY_WRAP_SHA_1', 'RSA_4096']]) {
  await check(`a P-256 key wrapped with id-aes256-wrap-pad: ${wrapping}, ${spec}`, async () => {
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const KeyId = await create('ECC_NIST_P256', 'SIGN_VERIFY', { Origin: 'EXTERNAL' });
    await importKey(KeyId, own.privateKey.export({ format: 'der', type: 'pkcs8' }), wrapping, spec);
    const { Signature } = await send('Sign', { KeyId, Message: Buffer.from('m'), SigningAlgorithm: 'ECDSA_SHA_256' });
    assert.ok(verify('sha256', Buffer.from('m'), own.publicKey, Signature));
  });
}
for (const bits of [256, 512]) {
  await check(`an HMAC_${bits} key of one's own gives Node's MACs`, async () => {
    const material = randomBytes(bits / 8);
    const KeyId = await create(`HMAC_${bits}`, 'GENERATE_VERIFY_MAC', { Origin: 'EXTERNAL' });
    await importKey(KeyId, material, 'RSAES_OAEP_SHA_256', 'RSA_3072');
    const { Mac } = await send('GenerateMac', { KeyId, Message: Buffer.from('m'), MacAlgorithm: `HMAC_SHA_${bits}` });
    assert.deepEqual(Buffer.from(Mac), createHmac(`sha${bits}`, material).update('m').digest());
  });
}

// ---- the rest

for (const hash of ['sha1', 'sha256']) {
  await check(`opens what Node sealed with OAEP ${hash}`, async () => {
    const KeyId = await create('RSA_2048', 'ENCRYPT_DECRYPT');
    const CiphertextBlob = publicEncrypt({ key: await publicKey(KeyId), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash }, Buffer.from('from outside'));
    const { Plaintext } = await send('Decrypt', { KeyId, CiphertextBlob, EncryptionAlgorithm: `RSAES_OAEP_${hash.toUpperCase().replace('SHA', 'SHA_')}` });
    assert.equal(Buffer.from(Plaintext).toString(), 'from outside');
  });
}
for (const [spec, curve] of [['ECC_NIST_P256', 'prime256v1'], ['ECC_NIST_P521', 'secp521r1']]) {
  await check(`agrees with Node on a secret: ${spec}`, async () => {
    const KeyId = await create(spec, 'KEY_AGREEMENT');
    const pair = generateKeyPairSync('ec', { namedCurve: curve });
    const { SharedSecret } = await send('DeriveSharedSecret', { KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: pair.publicKey.export({ format: 'der', type: 'spki' }) });
    const ours = createECDH(curve);
    const size = Math.ceil({ prime256v1: 256, secp521r1: 521 }[curve] / 8);
    ours.setPrivateKey(Buffer.from(pair.privateKey.export({ format: 'jwk' }).d, 'base64url'));
    assert.deepEqual(Buffer.from(SharedSecret), ours.computeSecret(Buffer.concat([Buffer.from([4]), (await spki(KeyId)).subarray(-2 * size)])));
  });
}
done();
