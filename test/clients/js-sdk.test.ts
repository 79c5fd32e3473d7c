// @aws-sdk/client-kms: typed errors, and results judged by Node's own crypto.
import { createPublicKey, verify } from 'node:crypto';
import {
  CreateKeyCommand, DecryptCommand, DescribeKeyCommand, DisableKeyCommand, DisabledException, EncryptCommand, GenerateDataKeyCommand, GenerateRandomCommand,
  GetPublicKeyCommand, IncorrectKeyException, InvalidCiphertextException, KMSClient, KMSInvalidSignatureException, ListKeysCommand, NotFoundException, SignCommand, VerifyCommand, paginateListKeys,
  type KeySpec, type KeyUsageType, type SigningAlgorithmSpec,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startServer, type Running } from './running.ts';

let server: Running;
let kms: KMSClient;

beforeAll(async () => {
  server = await startServer();
  const file = readFileSync(join(server.home, 'credentials'), 'utf8');
  const value = (name: string): string => new RegExp(`${name}\\s*=\\s*(\\S+)`).exec(file)?.[1] ?? '';
  kms = new KMSClient({ endpoint: server.url, region: 'us-east-1', credentials: { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') } });
});
afterAll(async () => {
  kms?.destroy();
  await server?.stop();
});

const create = async (KeySpec?: KeySpec, KeyUsage?: KeyUsageType): Promise<string> =>
  (await kms.send(new CreateKeyCommand({ KeySpec, KeyUsage }))).KeyMetadata?.KeyId ?? '';

describe('AWS SDK for JavaScript v3', () => {
  it('goes round', async () => {
    const KeyId = await create();
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('hello'), EncryptionContext: { a: 'ä/+"\\' } }));
    const { Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { a: 'ä/+"\\' } }));
    expect(Buffer.from(Plaintext ?? []).toString()).toBe('hello');
    const random = await kms.send(new GenerateRandomCommand({ NumberOfBytes: 1024 }));
    expect(random.Plaintext).toHaveLength(1024);
  });

  it('throws typed errors', async () => {
    const KeyId = await create();
    const other = await create();
    const { CiphertextBlob } = await kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_128' }));
    await expect(kms.send(new DecryptCommand({ CiphertextBlob, KeyId: other }))).rejects.toBeInstanceOf(IncorrectKeyException);
    await expect(kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { x: 'y' } }))).rejects.toBeInstanceOf(InvalidCiphertextException);
    await expect(kms.send(new DescribeKeyCommand({ KeyId: 'alias/none' }))).rejects.toBeInstanceOf(NotFoundException);
    await kms.send(new DisableKeyCommand({ KeyId }));
    const refused = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') })).catch((e: unknown) => e);
    expect(refused).toBeInstanceOf(DisabledException);
    expect(refused).toMatchObject({ $fault: 'client', $metadata: { httpStatusCode: 400 } });
  });

  it.each<[KeySpec, SigningAlgorithmSpec, string]>([
    ['RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_512', 'sha512'],
    ['ECC_NIST_P256', 'ECDSA_SHA_256', 'sha256'],
    ['ECC_NIST_P521', 'ECDSA_SHA_512', 'sha512'],
    ['ECC_SECG_P256K1', 'ECDSA_SHA_256', 'sha256'],
  ])('%s signatures verify with node:crypto', async (spec, SigningAlgorithm, hash) => {
    const KeyId = await create(spec, 'SIGN_VERIFY');
    const Message = Buffer.from('signed by a handle');
    const { Signature } = await kms.send(new SignCommand({ KeyId, Message, SigningAlgorithm }));
    const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId }));
    const key = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
    expect(verify(hash, Message, key, Buffer.from(Signature ?? []))).toBe(true);
    await expect(kms.send(new VerifyCommand({ KeyId, Message: Buffer.from('no'), Signature, SigningAlgorithm }))).rejects.toBeInstanceOf(KMSInvalidSignatureException);
  });

  it('Ed25519 too', async () => {
    const KeyId = await create('ECC_NIST_EDWARDS25519' as KeySpec, 'SIGN_VERIFY');
    const Message = Buffer.from('pure');
    const { Signature } = await kms.send(new SignCommand({ KeyId, Message, SigningAlgorithm: 'ED25519_SHA_512' as SigningAlgorithmSpec }));
    const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId }));
    const key = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
    expect(verify(null, Message, key, Buffer.from(Signature ?? []))).toBe(true);
  });

  it('pages', async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, async () => await create()));
    const seen: string[] = [];
    for await (const page of paginateListKeys({ client: kms, pageSize: 2 }, {})) seen.push(...(page.Keys ?? []).map((k) => k.KeyId ?? ''));
    expect(seen).toEqual(expect.arrayContaining(ids));
    const { Truncated } = await kms.send(new ListKeysCommand({ Limit: 1000 }));
    expect(Truncated).toBe(false);
  });
});
