// Both halves of an external key store: one server's KMS on keys that another server holds.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConnectCustomKeyStoreCommand, CreateCustomKeyStoreCommand, CreateKeyCommand, DecryptCommand, DescribeCustomKeyStoresCommand, EncryptCommand, KMSInvalidStateException, type KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { clientOf } from '../dev/double.ts';
import { startServer, type Running } from './running.ts';

const host = 'keys.example.com';
const client = 'cks.kms.us-east-1.amazonaws.com';
/** 250 ms are little on a machine that runs a test suite: what came too late is asked again. */
const patiently = { timeout: 60_000, interval: 200 };
let work: string;
let vault: Running;
let front: Running;
let kms: KMSClient;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'strongroom-xks-'));
  const certificate = (name: string, subject: string): void => {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2', '-subj', `/CN=${subject}`, '-addext', `subjectAltName=DNS:${subject}`], { cwd: work, stdio: 'ignore' });
  };
  certificate('vault', host);
  certificate('kms', client);
  const at = (name: string): string => join(work, name);
  vault = await startServer({ env: { STRONGROOM_TLS_CERT: at('vault.pem'), STRONGROOM_TLS_KEY: at('vault.key'), STRONGROOM_XKS_CLIENT_CA: at('kms.pem'), STRONGROOM_XKS_CLIENT_NAMES: client } });
  front = await startServer({ env: {
    STRONGROOM_KEY_STORE_CA: at('vault.pem'), STRONGROOM_KEY_STORE_CLIENT_CERT: at('kms.pem'), STRONGROOM_KEY_STORE_CLIENT_KEY: at('kms.key'),
    STRONGROOM_KEY_STORE_CONNECT_TO: `${host}=${new URL(vault.url).host}`,
  } });
  kms = clientOf(front);
});
afterAll(async () => {
  kms?.destroy();
  await front?.stop();
  await vault?.stop();
  rmSync(work, { recursive: true, force: true });
});

it('encrypts and decrypts while the other holds the key, and not a moment longer', async () => {
  const made = JSON.parse(vault.cli('xks', 'create', 'payments', '--account', '000000000000', '--json').stdout) as { readonly accessKeyId: string; readonly secretAccessKey: string; readonly uriPath: string };
  expect(vault.cli('xks', 'key', 'add', 'payments', 'orders').status).toBe(0);
  const { CustomKeyStoreId } = await vi.waitFor(() => kms.send(new CreateCustomKeyStoreCommand({
    CustomKeyStoreName: 'outside', CustomKeyStoreType: 'EXTERNAL_KEY_STORE', XksProxyConnectivity: 'PUBLIC_ENDPOINT', XksProxyUriEndpoint: `https://${host}`, XksProxyUriPath: made.uriPath,
    XksProxyAuthenticationCredential: { AccessKeyId: made.accessKeyId, RawSecretAccessKey: made.secretAccessKey },
  })), patiently);
  await kms.send(new ConnectCustomKeyStoreCommand({ CustomKeyStoreId }));
  await vi.waitFor(async () => {
    const { CustomKeyStores } = await kms.send(new DescribeCustomKeyStoresCommand({ CustomKeyStoreId }));
    expect(CustomKeyStores?.[0]?.ConnectionState).toBe('CONNECTED');
  }, patiently);
  const KeyId = (await vi.waitFor(() => kms.send(new CreateKeyCommand({ Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId: 'orders' })), patiently)).KeyMetadata?.KeyId;
  const { CiphertextBlob } = await vi.waitFor(() => kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('held elsewhere'), EncryptionContext: { a: 'b' } })), patiently);
  const decrypt = () => kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { a: 'b' } }));
  expect(Buffer.from((await vi.waitFor(decrypt, patiently)).Plaintext ?? []).toString()).toBe('held elsewhere');

  expect(vault.cli('xks', 'key', 'disable', 'orders', '--account', '000000000000').status).toBe(0);
  await expect(decrypt()).rejects.toBeInstanceOf(KMSInvalidStateException);
  expect(vault.cli('xks', 'key', 'enable', 'orders', '--account', '000000000000').status).toBe(0);
  expect(Buffer.from((await vi.waitFor(decrypt, patiently)).Plaintext ?? []).toString()).toBe('held elsewhere');

  const trail = vault.cli('audit', 'tail', '--lines', '50', '--json').stdout;
  for (const name of ['GetHealthStatus', 'GetKeyMetadata', 'Encrypt', 'Decrypt']) expect(trail).toContain(`"eventName":"${name}"`);
  expect(trail).toContain(`"clientCertificate":"${client}"`);
  expect(trail).toContain('"awsPrincipalArn":"arn:aws:iam::000000000000:root"');
  expect(trail).not.toContain(Buffer.from('held elsewhere').toString('base64'));
});
