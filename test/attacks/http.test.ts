// The literature over HTTP: what a caller with valid credentials, who may use a key, learns from the answers.
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newHome, openRoom, send, sign, type Room } from '../server/room.ts';

const home = newHome();
let room: Room;
beforeAll(async () => { room = await openRoom(home); });
afterAll(async () => {
  await room.stop();
  rmSync(home, { recursive: true, force: true });
});

type Answer = Record<string, string>;
async function ask(operation: string, input: object): Promise<{ readonly status: number; readonly text: string; readonly body: Answer }> {
  const body = JSON.stringify(input);
  const { url } = room.server;
  const headers = sign(new URL(url).host, body, { headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `TrentService.${operation}` } });
  const { status, text } = await send(url, 'POST', '/', headers, body);
  return { status, text, body: JSON.parse(text === '' ? '{}' : text) as Answer };
}
async function make(KeySpec: string, KeyUsage: string): Promise<string> {
  const { status, text } = await ask('CreateKey', { KeySpec, KeyUsage });
  expect([status, text]).toEqual([200, text]);
  return (JSON.parse(text) as { KeyMetadata: { KeyId: string } }).KeyMetadata.KeyId;
}
const changed = (base64: string, at: number, mask: number): string => {
  const bytes = Buffer.from(base64, 'base64');
  bytes[at] = (bytes[at] ?? 0) ^ mask;
  return bytes.toString('base64');
};

test('Manger 2001: a touched OAEP ciphertext gets one answer, wherever its padding breaks', async () => {
  const KeyId = await make('RSA_2048', 'ENCRYPT_DECRYPT');
  const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
  const { body } = await ask('Encrypt', { KeyId, EncryptionAlgorithm, Plaintext: Buffer.from('secret').toString('base64') });
  const seen = new Set<string>();
  for (let i = 0; i < 40; i += 1) {
    const { status, text } = await ask('Decrypt', { KeyId, EncryptionAlgorithm, CiphertextBlob: changed(body['CiphertextBlob']!, 255 - i * 6, 1 << (i % 8)) });
    seen.add(`${status} ${text}`);
  }
  expect([...seen]).toEqual([expect.stringMatching(/^400 .*InvalidCiphertextException/)]);
  expect((await ask('Decrypt', { KeyId, EncryptionAlgorithm, CiphertextBlob: body['CiphertextBlob'] })).body['Plaintext']).toBe(Buffer.from('secret').toString('base64'));
});

test('Vaudenay 2002: a touched envelope gets one answer, whatever byte was touched', async () => {
  const KeyId = await make('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
  const { body } = await ask('Encrypt', { KeyId, Plaintext: Buffer.from('secret').toString('base64') });
  const length = Buffer.from(body['CiphertextBlob']!, 'base64').length;
  const seen = new Set<string>();
  // From the nonce on; what is before says in the clear whose key it is.
  for (let i = length - 70; i < length; i += 1) {
    const { status, text } = await ask('Decrypt', { KeyId, CiphertextBlob: changed(body['CiphertextBlob']!, i, 1) });
    seen.add(`${status} ${text}`);
  }
  expect([...seen]).toEqual([expect.stringMatching(/^400 .*InvalidCiphertextException/)]);
});

test('Biehl, Meyer and Mueller 2000: a point that is not on the curve agrees on nothing', async () => {
  const KeyId = await make('ECC_NIST_P256', 'KEY_AGREEMENT');
  const { body } = await ask('GetPublicKey', { KeyId });
  const derive = (PublicKey: string): ReturnType<typeof ask> => ask('DeriveSharedSecret', { KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey });
  expect((await derive(body['PublicKey']!)).status).toBe(200);
  const length = Buffer.from(body['PublicKey']!, 'base64').length;
  for (let i = 1; i <= 64; i += 4) {
    const { status, text } = await derive(changed(body['PublicKey']!, length - i, 1));
    expect([status, text.includes('SharedSecret":"')]).toEqual([400, false]);
  }
});

test('a console of 2010: no ECDSA nonce comes twice', async () => {
  const KeyId = await make('ECC_NIST_P256', 'SIGN_VERIFY');
  const rs = new Set<string>();
  for (let i = 0; i < 100; i += 1) {
    const { body } = await ask('Sign', { KeyId, SigningAlgorithm: 'ECDSA_SHA_256', Message: Buffer.from('the same').toString('base64') });
    rs.add(Buffer.from(body['Signature']!, 'base64').subarray(4, 36).toString('hex'));
  }
  expect(rs.size).toBe(100);
});
