/** Key stores on PKCS#11 modules, each in a process of its own: SoftHSM and our own module. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Key } from '../../src/kms/key.ts';
import type { ModuleStore } from '../../src/kms/keystores/module-store.ts';
import { StoreFailure } from '../../src/kms/keystores/failure.ts';
import { readKeyStoreSettings, type Cluster } from '../../src/kms/keystores/settings.ts';
import { has, modulePath, newToken } from '../clients/pkcs11/token.ts';
import { certificate } from './xks-double.ts';
import { byModule, noting } from './keystores-model.ts';
import { away, day, home, makeWorld, region, type Body, type World } from './world.ts';

const softhsm = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so'].find((path) => existsSync(path));
const isLoadable = (() => {
  try {
    createRequire(import.meta.url).resolve('pkcs11js/build/Release/pkcs11.node');
    return true;
  } catch {
    return false;
  }
})();

const password = 'kms-user-password';
const folder = mkdtempSync(join(tmpdir(), 'strongroom-modules-'));
afterAll(() => { rmSync(folder, { recursive: true }); });
const anchor = has('openssl') ? certificate(folder, 'anchor.example.com').cert : '';

interface Kind {
  readonly id: string;
  readonly cluster: () => Cluster;
}

function softToken(): Cluster {
  const tokens = join(folder, 'softhsm');
  mkdirSync(tokens);
  const conf = join(folder, 'softhsm2.conf');
  writeFileSync(conf, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  execFileSync('softhsm2-util', ['--init-token', '--free', '--label', 'kms', '--so-pin', 'officer', '--pin', password], { env: { ...process.env, SOFTHSM2_CONF: conf }, stdio: 'ignore' });
  return { id: softId, module: softhsm ?? '', token: 'kms', environment: { SOFTHSM2_CONF: conf } };
}

function ownToken(): Cluster {
  const token = newToken('kms');
  token.run('pkcs11-tool', ['--module', modulePath, '--token-label', 'kms', '--login', '--pin', '1234', '--change-pin', '--new-pin', password]);
  return { id: ownId, module: modulePath, token: 'kms', environment: { STRONGROOM_HOME: token.home } };
}

const softId = 'cluster-softhsm222a';
const ownId = 'cluster-strongroomaa';
const kinds: readonly Kind[] = [
  ...(softhsm !== undefined && has('softhsm2-util') ? [{ id: softId, cluster: softToken }] : []),
  ...(has('pkcs11-tool') && existsSync(modulePath) ? [{ id: ownId, cluster: ownToken }] : []),
];

const reached = new Set<string>();
let w: World;
const clusters = new Map<string, Cluster>();
beforeAll(async () => {
  for (const { id, cluster } of kinds) clusters.set(id, cluster());
  clusters.set('cluster-nomodulehere', { id: 'cluster-nomodulehere', module: join(folder, 'nothing.so'), token: 'kms', environment: {} });
  w = noting(await makeWorld({ keyStoreSettings: { clusters, proxies: {} } }), reached);
});
afterAll(() => w.close());

let count = 0;
const input = (CloudHsmClusterId: string, more: Body = {}): Body => ({ CustomKeyStoreName: `store ${++count}`, CloudHsmClusterId, KeyStorePassword: password, TrustAnchorCertificate: anchor, ...more });
const described = async (CustomKeyStoreId: string): Promise<Body> => (await w.call('DescribeCustomKeyStores', { CustomKeyStoreId })).CustomKeyStores[0];

async function until(CustomKeyStoreId: string, fits: (entry: Body) => boolean): Promise<Body> {
  for (;;) {
    const entry = await described(CustomKeyStoreId);
    if (fits(entry)) return entry;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}
const settled = (id: string) => until(id, ({ ConnectionState }) => ConnectionState !== 'CONNECTING');

async function connected(id: string): Promise<string> {
  const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', input(id));
  await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
  expect((await settled(CustomKeyStoreId)).ConnectionState, w.log.join()).toBe('CONNECTED');
  return CustomKeyStoreId;
}
const live = async (storeId: string): Promise<ModuleStore> => (await w.kms.services.keyStores.of(`${home}/${region}/${storeId}`)) as ModuleStore;
const make = async (CustomKeyStoreId: string): Promise<Body> => (await w.call('CreateKey', { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId })).KeyMetadata;
async function gone(...keys: Body[]): Promise<void> {
  for (const { KeyId } of keys) await w.call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
  w.pass(8 * day);
  await w.caretaker.run();
}
async function ended(CustomKeyStoreId: string): Promise<void> {
  await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
  await w.call('DeleteCustomKeyStore', { CustomKeyStoreId });
}

describe.skipIf(!isLoadable).each(kinds)('$id', ({ id }) => {
  let CustomKeyStoreId: string;
  let key: Body;
  beforeAll(async () => {
    CustomKeyStoreId = await connected(id);
    key = await make(CustomKeyStoreId);
  }, 60_000);
  afterAll(async () => {
    await gone(key);
    await ended(CustomKeyStoreId);
  });

  test('shows itself and its keys', async () => {
    expect(await described(CustomKeyStoreId)).toEqual({
      CustomKeyStoreId, CustomKeyStoreName: expect.any(String), CloudHsmClusterId: id, TrustAnchorCertificate: anchor, ConnectionState: 'CONNECTED', CreationDate: expect.any(Number), CustomKeyStoreType: 'AWS_CLOUDHSM',
    });
    expect(key).toMatchObject({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId, CloudHsmClusterId: id, KeyState: 'Enabled' });
    expect(await w.refusal('CreateCustomKeyStore', input(id))).toMatchObject({ code: 'CloudHsmClusterInUseException' });
    expect(await w.refusal('DeleteCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
  });

  test('everything goes there and back, sealed twice', async () => {
    const { KeyId } = key;
    const plain = (await w.call('CreateKey')).KeyMetadata;
    const pairs = { EncryptionContext: { a: 'b' } };
    for (const length of [1, 32, 4096]) {
      const Plaintext = Buffer.alloc(length, 3);
      const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext, ...pairs });
      expect(CiphertextBlob.subarray(0, 5).toString('latin1')).toBe('SRk\u0001\u0001');
      expect((await w.call('Decrypt', { CiphertextBlob, ...pairs })).Plaintext).toEqual(Plaintext);
      expect(await w.refusal('Decrypt', { CiphertextBlob })).toEqual({ code: 'InvalidCiphertextException', message: undefined, status: 400 });
    }
    const { CiphertextBlob, Plaintext } = await w.call('GenerateDataKey', { KeyId, KeySpec: 'AES_256' });
    const there = await w.call('ReEncrypt', { CiphertextBlob, DestinationKeyId: plain.KeyId });
    const back = await w.call('ReEncrypt', { CiphertextBlob: there.CiphertextBlob, DestinationKeyId: KeyId });
    expect((await w.call('Decrypt', { CiphertextBlob: back.CiphertextBlob })).Plaintext).toEqual(Plaintext);
    expect((await w.call('GenerateDataKeyWithoutPlaintext', { KeyId, KeySpec: 'AES_128' })).CiphertextBlob).toBeDefined();
    expect(await w.refusal('GenerateDataKeyPair', { KeyId, KeyPairSpec: 'RSA_2048' })).toMatchObject({ code: 'UnsupportedOperationException' });
    const [one, two] = [await w.call('GenerateRandom', { NumberOfBytes: 64, CustomKeyStoreId }), await w.call('GenerateRandom', { NumberOfBytes: 64, CustomKeyStoreId })];
    expect(one.Plaintext).toHaveLength(64);
    expect(one.Plaintext).not.toEqual(two.Plaintext);
    expect(await w.refusal('GenerateRandom', { NumberOfBytes: 8, CustomKeyStoreId: 'cks-none' })).toMatchObject({ code: 'CustomKeyStoreNotFoundException' });
    expect(await w.refusal('GenerateRandom', { NumberOfBytes: 8, CustomKeyStoreId }, { account: away })).toMatchObject({ code: 'CustomKeyStoreNotFoundException' });
  });

  test('each flipped byte is refused; what the module itself finds altered, too', async () => {
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') });
    for (let i = 0; i < CiphertextBlob.length; i += 3) {
      const altered = Buffer.from(CiphertextBlob as Buffer);
      altered[i] = (altered[i] ?? 0) ^ 0x10;
      expect((await w.refusal('Decrypt', { CiphertextBlob: altered, KeyId: key.KeyId })).code, String(i)).toBe('InvalidCiphertextException');
    }
    // The sum is no secret: who mends it meets the module's own tag.
    const forged = Buffer.from(CiphertextBlob as Buffer);
    forged[100] = (forged[100] ?? 0) ^ 1;
    w.core.sha256(forged.subarray(0, -16)).copy(forged, forged.length - 16, 0, 16);
    expect((await w.refusal('Decrypt', { CiphertextBlob: forged, KeyId: key.KeyId })).code).toMatch(/^(InvalidCiphertext|KMSInvalidState)Exception$/);
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext).toEqual(Buffer.from('x'));
  });

  test('a process that is killed in mid-load takes nothing with it but what was under way', async () => {
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('stays') });
    const before = await (await live(CustomKeyStoreId)).pid();
    const load = Array.from({ length: 200 }, () => w.ask('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('load') }));
    await load[20];
    process.kill(before ?? 0, 'SIGKILL');
    const answers = await Promise.all(load);
    const refused = answers.flatMap((answer) => (answer.ok ? [] : [answer.error]));
    expect(answers.some(({ ok }) => ok)).toBe(true);
    for (const error of refused) expect(error).toMatchObject({ code: 'KMSInvalidStateException', status: 400 });
    // Once its end was noticed, what comes next waits for the new one.
    const pid = async () => (await live(CustomKeyStoreId)).pid();
    while ((await pid()) === before) await new Promise((resolve) => { setTimeout(resolve, 5); });
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext).toEqual(Buffer.from('stays'));
    expect((await described(CustomKeyStoreId)).ConnectionState).toBe('CONNECTED');
  }, 60_000);

  test('the password in the process list, the records and the trail: nowhere', async () => {
    const pid = await (await live(CustomKeyStoreId)).pid();
    const shown = execFileSync('sh', ['-c', `tr '\\0' ' ' < /proc/${pid}/cmdline; tr '\\0' ' ' < /proc/${pid}/environ`], { encoding: 'utf8' });
    expect(shown).toContain('module-process');
    expect(shown).not.toContain(password);
    expect(shown).not.toContain('VITEST');
    const row = await w.store.get('keystore', `${home}/${region}/${CustomKeyStoreId}`);
    expect(row?.sealed?.includes(password)).toBe(false);
    expect(JSON.stringify(row?.body)).not.toContain(password);
    const events = JSON.stringify(await w.trail());
    expect(events).toContain('CreateCustomKeyStore');
    expect(events).not.toContain(password);
  });

  test('a key that is deleted is gone from the module', async () => {
    const mortal = await make(CustomKeyStoreId);
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: mortal.KeyId, Plaintext: Buffer.from('x') });
    const store = await live(CustomKeyStoreId);
    const before = await w.store.get('key', `${home}/${region}/${mortal.KeyId}`);
    await gone(mortal);
    expect(w.log.filter((line) => line.includes(mortal.KeyId))).toEqual([]);
    await expect(store.unwrap(new Key(before as never), CiphertextBlob)).rejects.toMatchObject({ code: 'KMSInvalidStateException', sentence: 'The key material of the KMS key is not in the CloudHSM cluster.' });
  });

  test('disconnected, its keys are unavailable; connected, they are back', async () => {
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') });
    await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    expect((await w.call('DescribeKey', { KeyId: key.KeyId })).KeyMetadata.KeyState).toBe('Unavailable');
    expect(await w.refusal('GenerateRandom', { NumberOfBytes: 8, CustomKeyStoreId })).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    expect(await w.refusal('DeleteCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'CustomKeyStoreHasCMKsException' });
    await w.call('UpdateCustomKeyStore', { CustomKeyStoreId, KeyStorePassword: 'not the password' });
    await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
    expect(await settled(CustomKeyStoreId)).toMatchObject({ ConnectionState: 'FAILED', ConnectionErrorCode: 'INVALID_CREDENTIALS' });
    await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    await w.call('UpdateCustomKeyStore', { CustomKeyStoreId, KeyStorePassword: password });
    await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
    expect((await settled(CustomKeyStoreId)).ConnectionState).toBe('CONNECTED');
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext).toEqual(Buffer.from('x'));
  }, 60_000);

  test('what was connected is connected again after a restart', async () => {
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') });
    await w.kms.services.keyStores.close();
    expect((await described(CustomKeyStoreId)).ConnectionState).toBe('CONNECTED');
    expect(await w.refusal('Decrypt', { CiphertextBlob })).toMatchObject({ code: 'KMSInvalidStateException' });
    await w.kms.services.keyStores.resume();
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext).toEqual(Buffer.from('x'));
    // The module comes up later than the server.
    await w.kms.services.keyStores.close();
    const cluster = clusters.get(id);
    Object.assign(cluster ?? {}, { token: 'late' });
    await w.kms.services.keyStores.resume();
    while (!w.log.some((line) => line.includes('trying again'))) await new Promise((resolve) => { setTimeout(resolve, 20); });
    Object.assign(cluster ?? {}, { token: 'kms' });
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext).toEqual(Buffer.from('x'));
    w.log.length = 0;
  }, 60_000);
});

describe.skipIf(!isLoadable || kinds.length === 0)('clusters that are not as they should be', () => {
  test('unknown, without a module, without a token, of another certificate', async () => {
    const id = kinds[0]?.id ?? '';
    const cluster = clusters.get(id);
    if (cluster === undefined) throw new Error('no cluster');
    expect(await w.refusal('CreateCustomKeyStore', input('cluster-aaaaaaaaaaa'))).toMatchObject({ code: 'CloudHsmClusterNotFoundException' });
    expect(await w.refusal('CreateCustomKeyStore', input('cluster-nomodulehere'))).toMatchObject({ code: 'CloudHsmClusterInvalidConfigurationException' });
    clusters.set(id, { ...cluster, token: 'another' });
    expect(await w.refusal('CreateCustomKeyStore', input(id))).toMatchObject({ code: 'CloudHsmClusterNotActiveException' });
    clusters.set(id, { ...cluster, trustAnchor: 'another' });
    expect(await w.refusal('CreateCustomKeyStore', input(id))).toMatchObject({ code: 'IncorrectTrustAnchorException' });
    clusters.set(id, { ...cluster, trustAnchor: `${anchor}\n` });
    const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', input(id));
    clusters.set('cluster-another2222', { ...cluster, id: 'cluster-another2222', trustAnchor: 'another' });
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, CloudHsmClusterId: 'cluster-another2222' })).toMatchObject({ code: 'CloudHsmClusterNotRelatedException' });
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, CloudHsmClusterId: 'cluster-aaaaaaaaaaa' })).toMatchObject({ code: 'CloudHsmClusterNotFoundException' });
    clusters.set('cluster-another2222', { ...cluster, id: 'cluster-another2222', trustAnchor: anchor });
    expect(await w.call('UpdateCustomKeyStore', { CustomKeyStoreId, CloudHsmClusterId: 'cluster-another2222' })).toEqual({});
    expect((await described(CustomKeyStoreId)).CloudHsmClusterId).toBe('cluster-another2222');
    for (const [more, code] of [[{ token: 'another' }, 'CloudHsmClusterNotActiveException'], [{ module: join(folder, 'nothing.so') }, 'CloudHsmClusterInvalidConfigurationException']] as const) {
      clusters.set('cluster-broken22222', { ...cluster, id: 'cluster-broken22222', trustAnchor: anchor, ...more });
      expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, CloudHsmClusterId: 'cluster-broken22222' })).toMatchObject({ code });
    }
    clusters.delete('cluster-another2222');
    expect(await w.refusal('ConnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'CloudHsmClusterNotActiveException' });
    clusters.set(id, cluster);
    await w.call('DeleteCustomKeyStore', { CustomKeyStoreId });
  }, 60_000);

  test('one whose process will not start again fails', async () => {
    const id = kinds[0]?.id ?? '';
    const cluster = clusters.get(id);
    if (cluster === undefined) throw new Error('no cluster');
    clusters.set(id, cluster);
    const CustomKeyStoreId = await connected(id);
    const pid = await (await live(CustomKeyStoreId)).pid();
    // The token is taken away, then the process is killed.
    Object.assign(cluster, { token: 'gone' });
    process.kill(pid ?? 0, 'SIGKILL');
    expect(await until(CustomKeyStoreId, ({ ConnectionState }) => ConnectionState !== 'CONNECTED')).toMatchObject({ ConnectionState: 'FAILED', ConnectionErrorCode: 'INSUFFICIENT_CLOUDHSM_HSMS' });
    Object.assign(cluster, { token: 'kms' });
    await ended(CustomKeyStoreId);
  }, 60_000);
});

describe.skipIf(!isLoadable || kinds.length === 0)('a module that refuses, or takes too long', () => {
  test('has its exceptions', async () => {
    const CustomKeyStoreId = await connected(kinds[0]?.id ?? '');
    const store = (await live(CustomKeyStoreId)) as unknown as Record<string, unknown>;
    const fails = (reason: 'refused' | 'slow' | 'stopped') => () => Promise.reject(new StoreFailure(reason));
    store['admit'] = fails('refused');
    expect(await w.refusal('CreateKey', { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId })).toMatchObject({ code: 'CloudHsmClusterInvalidConfigurationException' });
    store['admit'] = fails('slow');
    expect(await w.refusal('CreateKey', { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId })).toMatchObject({ code: 'DependencyTimeoutException' });
    store['random'] = fails('slow');
    expect(await w.refusal('GenerateRandom', { NumberOfBytes: 8, CustomKeyStoreId })).toMatchObject({ code: 'DependencyTimeoutException' });
    store['random'] = fails('stopped');
    expect(await w.refusal('GenerateRandom', { NumberOfBytes: 8, CustomKeyStoreId })).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    await ended(CustomKeyStoreId);
  }, 60_000);

  test('every exception that the model names for clusters was reached', () => {
    expect(byModule.filter((pair) => !reached.has(pair))).toEqual([]);
  });
});

describe('the operator\'s file', () => {
  const file = join(folder, 'clusters.json');
  const read = (content: unknown) => {
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return readKeyStoreSettings({ STRONGROOM_CLOUDHSM_CLUSTERS: file }).clusters;
  };

  test('names modules, beside itself or by their whole path', () => {
    writeFileSync(join(folder, 'ca.pem'), 'PEM');
    expect([...read({ 'cluster-aaaaaaaaaaa': { module: 'm.so', token: 't', user: 'kmsuser:', trustAnchor: 'ca.pem', environment: { A: 'b' } } }).values()]).toEqual([
      { id: 'cluster-aaaaaaaaaaa', module: join(folder, 'm.so'), token: 't', user: 'kmsuser:', trustAnchor: 'PEM', environment: { A: 'b' } },
    ]);
  });

  test.each<[string, unknown]>([
    ['not JSON', '{'], ['not an object', []], ["is not a cluster's id", { x: {} }], ['is not an object', { 'cluster-aaaaaaaaaaa': 1 }], ['needs module', { 'cluster-aaaaaaaaaaa': {} }],
    ["has 'pin'", { 'cluster-aaaaaaaaaaa': { module: 'm', token: 't', pin: '1' } }], ['cannot be read', { 'cluster-aaaaaaaaaaa': { module: 'm', token: 't', trustAnchor: 'none' } }],
    ['environment', { 'cluster-aaaaaaaaaaa': { module: 'm', token: 't', environment: { A: 1 } } }],
  ])('%s', (words, content) => {
    expect(() => read(content)).toThrow(words);
  });

  test('proxies: certificates, detours, hosts', () => {
    writeFileSync(join(folder, 'own.pem'), anchor);
    const { proxies } = readKeyStoreSettings({ STRONGROOM_KEY_STORE_CA: join(folder, 'own.pem'), STRONGROOM_KEY_STORE_CONNECT_TO: 'a.example.com=127.0.0.1:8443, b.example.com=[::1]:1', STRONGROOM_KEY_STORE_HOSTS: 'A.example.com' });
    expect(proxies.authorities?.at(-1)).toBe(anchor);
    expect(proxies.authorities?.length).toBeGreaterThan(50);
    expect([...proxies.connectTo ?? []]).toEqual([['a.example.com', { host: '127.0.0.1', port: 8443 }], ['b.example.com', { host: '::1', port: 1 }]]);
    expect([...proxies.hosts ?? []]).toEqual(['a.example.com']);
    expect(() => readKeyStoreSettings({ STRONGROOM_KEY_STORE_CONNECT_TO: 'nonsense' })).toThrow('STRONGROOM_KEY_STORE_CONNECT_TO');
    expect(() => readKeyStoreSettings({ STRONGROOM_KEY_STORE_CLIENT_CERT: join(folder, 'own.pem') })).toThrow('go together');
  });
});
