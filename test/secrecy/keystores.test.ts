// Custom key stores by real servers: one KMS over HTTP, one XKS proxy over HTTPS, a module in a process. What they were told in confidence, the
// module's password and the proxy's secret, lies nowhere in the KMS's memory, database or trail. The control must be found.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, sign, type Endpoint } from '../../src/bench/endpoint.ts';
import { has, modulePath, newToken, type Token } from '../clients/pkcs11/token.ts';
import { credentialsOf, startServer, type Running } from '../clients/running.ts';
import { certificate } from '../kms/xks-double.ts';
import { scan } from './scan.ts';

const password = 'MarkerPasswordKq7vXz3nWt9';
const marker = 'a description that stays in the record cache';
const host = 'xks.example.com';
const cluster = 'cluster-strongroomaa';
const isLoadable = (() => {
  try {
    createRequire(import.meta.url).resolve('pkcs11js/build/Release/pkcs11.node');
    return true;
  } catch {
    return false;
  }
})();
const canModule = isLoadable && has('pkcs11-tool') && existsSync(modulePath);

const folder = mkdtempSync(join(tmpdir(), 'strongroom-keystores-'));
let token: Token | undefined;
let proxy: Running;
let kms: Running;
let endpoint: Endpoint;
let client: Client;
let told: { readonly path: string; readonly accessKeyId: string; readonly secretAccessKey: string };

type Json = Record<string, unknown>;

/** What goes to a proxy has 250 ms, and this machine may be busy: the sentence that says so is reason to ask again. */
async function call(operation: string, input: Json): Promise<Json> {
  for (let tries = 0; ; tries++) {
    try {
      return await client.call(sign(endpoint, operation, input));
    } catch (error) {
      if (tries === 20 || !(error instanceof Error) || !error.message.includes('did not respond in time')) throw error;
    }
  }
}

async function connected(CustomKeyStoreId: unknown): Promise<void> {
  for (;;) {
    await call('ConnectCustomKeyStore', { CustomKeyStoreId });
    let entry: Json | undefined;
    do {
      [entry] = (await call('DescribeCustomKeyStores', { CustomKeyStoreId }))['CustomKeyStores'] as Json[];
    } while (entry?.['ConnectionState'] === 'CONNECTING');
    if (entry?.['ConnectionState'] === 'CONNECTED') return;
    expect(entry?.['ConnectionErrorCode']).toBe('XKS_PROXY_TIMED_OUT');
    await call('DisconnectCustomKeyStore', { CustomKeyStoreId });
  }
}

async function thereAndBack(KeyId: unknown): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const Plaintext = Buffer.from(`message ${i}`).toString('base64');
    const { CiphertextBlob } = await call('Encrypt', { KeyId, Plaintext });
    expect((await call('Decrypt', { CiphertextBlob }))['Plaintext']).toBe(Plaintext);
  }
}

const kmsEnv = (): Readonly<Record<string, string>> => ({
  STRONGROOM_KEY_STORE_CA: join(folder, 'tls', `${host}.pem`), STRONGROOM_KEY_STORE_CONNECT_TO: `${host}=${new URL(proxy.url).host}`, STRONGROOM_KEY_STORE_HOSTS: host,
  ...(canModule ? { STRONGROOM_CLOUDHSM_CLUSTERS: join(folder, 'clusters.json') } : {}),
});

beforeAll(async () => {
  const tls = join(folder, 'tls');
  mkdirSync(tls);
  certificate(tls, host);
  proxy = await startServer({ env: { STRONGROOM_TLS_CERT: join(tls, `${host}.pem`), STRONGROOM_TLS_KEY: join(tls, `${host}.key`) } });
  const made = proxy.cli('xks', 'create', 'payments', '--account', '000000000000', '--json');
  if (made.status !== 0) throw new Error(made.stderr);
  told = JSON.parse(made.stdout) as typeof told;
  const added = proxy.cli('xks', 'key', 'add', 'payments', 'orders');
  if (added.status !== 0) throw new Error(added.stderr);

  if (canModule) {
    token = newToken('kms');
    token.run('pkcs11-tool', ['--module', modulePath, '--token-label', 'kms', '--login', '--pin', '1234', '--change-pin', '--new-pin', password]);
    writeFileSync(join(folder, 'clusters.json'), JSON.stringify({ [cluster]: { module: modulePath, token: 'kms', environment: { STRONGROOM_HOME: token.home } } }));
  }
  kms = await startServer({ home: join(folder, 'home'), env: kmsEnv() });
  endpoint = { url: kms.url, region: 'us-east-1', ...credentialsOf(kms.home) };
  client = new Client(kms.url, 8);
}, 120_000);

afterAll(async () => {
  client.close();
  await kms.stop();
  await proxy.stop();
  token?.remove();
  rmSync(folder, { recursive: true });
});

const proxySecret = (): Buffer => Buffer.from(told.secretAccessKey, 'latin1');

describe('custom key stores, by real servers', () => {
  it('a KMS stands on our own XKS proxy', async () => {
    const { CustomKeyStoreId } = await call('CreateCustomKeyStore', {
      CustomKeyStoreName: 'outside', CustomKeyStoreType: 'EXTERNAL_KEY_STORE', XksProxyConnectivity: 'PUBLIC_ENDPOINT', XksProxyUriEndpoint: `https://${host}`, XksProxyUriPath: '/payments/kms/xks/v1',
      XksProxyAuthenticationCredential: { AccessKeyId: told.accessKeyId, RawSecretAccessKey: told.secretAccessKey },
    });
    await connected(CustomKeyStoreId);
    const { KeyMetadata } = await call('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId: 'orders', Description: marker });
    await thereAndBack((KeyMetadata as Json)['KeyId']);
  }, 120_000);

  it.skipIf(!canModule)('and on our own PKCS#11 module', async () => {
    const { CustomKeyStoreId } = await call('CreateCustomKeyStore', { CustomKeyStoreName: 'vault', CloudHsmClusterId: cluster, TrustAnchorCertificate: 'any', KeyStorePassword: password });
    await connected(CustomKeyStoreId);
    const { KeyMetadata } = await call('CreateKey', { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId });
    await thereAndBack((KeyMetadata as Json)['KeyId']);
  }, 120_000);

  it('neither secret lies in the server\'s memory, files or trail', async () => {
    // What node:http holds of the latest requests is used again by others.
    await client.flood(Array.from({ length: 64 }, (_, i) => sign(endpoint, 'ListKeys', { Limit: 1 + (i % 7) })), 1000, 8);
    const hits = scan(kms.process.pid ?? 0, [
      { label: 'control', bytes: Buffer.from(marker, 'latin1') }, { label: 'password', bytes: Buffer.from(password, 'latin1') }, { label: 'secret', bytes: proxySecret() },
    ]);
    expect(hits.filter(({ label }) => label === 'control').length).toBeGreaterThan(0);
    expect(hits.filter(({ label }) => label !== 'control')).toEqual([]);

    const files = readdirSync(kms.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name)));
    const within = (needle: string | Buffer): number => files.filter((bytes) => bytes.includes(needle)).length;
    expect(within(marker)).toBeGreaterThan(0);
    expect([within(password), within(proxySecret())]).toEqual([0, 0]);
  }, 120_000);

  it('what was connected is connected after a restart; the module\'s process ends with the server', async () => {
    const before = canModule ? childrenOf(kms.process.pid ?? 0) : [];
    expect(before.length).toBe(canModule ? 1 : 0);
    const { Keys } = await call('ListKeys', {});
    const blobs = await Promise.all((Keys as Json[]).map(({ KeyId }) => call('Encrypt', { KeyId, Plaintext: 'AAAA' })));
    client.close();
    await kms.kill();
    kms = await startServer({ home: join(folder, 'home'), env: kmsEnv() });
    endpoint = { ...endpoint, url: kms.url };
    client = new Client(kms.url, 8);
    for (const { CiphertextBlob } of blobs) expect((await call('Decrypt', { CiphertextBlob }))['Plaintext']).toBe('AAAA');
    for (const pid of before) while (existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`).length > 0) await new Promise((done) => { setTimeout(done, 20); });
  }, 120_000);
});

function childrenOf(pid: number): readonly number[] {
  return execFileSync('sh', ['-c', `cat /proc/${pid}/task/*/children`], { encoding: 'utf8' }).trim().split(/\s+/).filter((text) => text !== '').map(Number)
    .filter((child) => readFileSync(`/proc/${child}/cmdline`, 'latin1').includes('module-process'));
}
