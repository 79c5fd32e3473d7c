// After ten thousand requests over HTTP, no data key that was served, no plaintext that was opened, no access-key secret and no
// root slot key lies in the server's memory or heap snapshot, in any form. Every search has a control that must be found.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Client, sign, type Endpoint, type Signed } from '../../src/bench/endpoint.ts';
import { startServer, type Running } from '../clients/running.ts';
import { heapSnapshot } from './heap.ts';
import { scan, scanFile, type Hit, type Needle } from './scan.ts';

const secret = 'MarkerSecretOfTheAccessKeyWk7qZp3xVn9tB2';
const accessKeyId = 'AKIAMARKERSECRET0000';
const connections = 16;
const marker = 'a description that stays in the record cache';

interface Work {
  readonly running: Running;
  readonly endpoint: Endpoint;
  readonly folder: string;
}

async function begin(env: Readonly<Record<string, string>> = {}): Promise<Work> {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-secrecy-'));
  const file = join(folder, 'secret');
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  const running = await startServer({
    env: {
      STRONGROOM_ROOT_ACCESS_KEY_ID: accessKeyId, STRONGROOM_ROOT_SECRET_ACCESS_KEY_FILE: file,
      NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${folder}`, ...env,
    },
  });
  return { running, folder, endpoint: { url: running.url, region: 'us-east-1', accessKeyId, secretAccessKey: secret } };
}

async function end({ running, folder }: Work): Promise<void> {
  await running.stop();
  rmSync(folder, { recursive: true, force: true });
}

const bytesOf = (text: unknown): Buffer => Buffer.from(String(text), 'base64');

async function createKey(client: Client, { endpoint }: Work): Promise<string> {
  const { KeyMetadata } = await client.call(sign(endpoint, 'CreateKey', { Description: marker }));
  return (KeyMetadata as { KeyId: string }).KeyId;
}

/** GenerateDataKey, Encrypt and Decrypt by turns; answers every secret that was served. */
async function use(client: Client, { endpoint }: Work, KeyId: string, rounds: number): Promise<readonly Needle[]> {
  const needles: Needle[] = [];
  const one = async (i: number): Promise<void> => {
    const made = await client.call(sign(endpoint, 'GenerateDataKey', { KeyId, KeySpec: 'AES_256' }));
    needles.push({ label: `data-key-${i}`, bytes: bytesOf(made['Plaintext']) });
    const plain = Buffer.from(Array.from({ length: 48 }, (_, at) => (i * 31 + at * 17 + (i >> 3)) & 255));
    plain.writeUInt32LE((i * 2654435761) >>> 0, 16);
    plain.writeUInt32LE((i * 2246822519) >>> 0, 4);
    plain.writeUInt32LE((i * 3266489917) >>> 0, 36);
    const sealed = await client.call(sign(endpoint, 'Encrypt', { KeyId, Plaintext: plain.toString('base64') }));
    const opened = await client.call(sign(endpoint, 'Decrypt', { CiphertextBlob: sealed['CiphertextBlob'] }));
    if (!bytesOf(opened['Plaintext']).equals(plain)) throw new Error('wrong plaintext');
    needles.push({ label: `plaintext-${i}`, bytes: plain });
  };
  let next = 0;
  await Promise.all(Array.from({ length: connections }, async () => {
    while (next < rounds) {
      next += 1;
      await one(next);
    }
  }));
  return needles;
}

/** What node:http and libuv may hold of the latest request or answer is used again by other requests. */
async function unrelated(client: Client, { endpoint }: Work, KeyId: string, count: number): Promise<void> {
  const requests: Signed[] = Array.from({ length: 64 }, (_, i) =>
    i % 2 === 0 ? sign(endpoint, 'ListKeys', { Limit: 1 + (i % 7) }) : sign(endpoint, 'UpdateKeyDescription', { KeyId, Description: 'x'.repeat(40 + i * 23) }));
  await client.flood([sign(endpoint, 'DescribeKey', { KeyId })], connections, connections);
  await client.flood(requests, count, connections);
}

const keysAtRest = (home: string): readonly Needle[] => [
  { label: 'access-key-secret', bytes: Buffer.from(secret, 'latin1') },
  { label: 'root-slot-key', bytes: readFileSync(join(home, 'root.key')).subarray(37) },
];
const control: Needle = { label: 'control', bytes: Buffer.from(marker, 'latin1') };

const found = (hits: readonly Hit[], label: string): readonly Hit[] => hits.filter((h) => h.label.startsWith(label));

describe('the server\'s memory', () => {
  it('over HTTP holds no served data key, no plaintext, no credential and no root key', async () => {
    const work = await begin();
    const client = new Client(work.endpoint.url, connections);
    await createKey(client, work);
    const key = await createKey(client, work);
    const served = await use(client, work, key, 3334);
    await unrelated(client, work, key, 1000);
    const needles = [...served, ...keysAtRest(work.running.home), control];
    const hits = scan(work.running.process.pid ?? 0, needles);
    expect(found(hits, 'control').length).toBeGreaterThan(0);
    expect(hits.filter((h) => h.label !== 'control')).toEqual([]);

    const snapshot = await heapSnapshot(work.running, work.folder);
    const inHeap = scanFile(snapshot, needles);
    expect(found(inHeap, 'control').length).toBeGreaterThan(0);
    expect(inHeap.filter((h) => h.label !== 'control')).toEqual([]);
    client.close();
    await end(work);
  }, 600_000);

  it('over HTTPS holds what Node\'s TLS keeps, by name, and no key of ours', async () => {
    const certificates = mkdtempSync(join(tmpdir(), 'strongroom-secrecy-tls-'));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', '-days', '2',
      '-subj', '/CN=strongroom', '-addext', 'subjectAltName=IP:127.0.0.1'], { cwd: certificates, stdio: 'ignore' });
    const work = await begin({ STRONGROOM_TLS_CERT: join(certificates, 'cert.pem'), STRONGROOM_TLS_KEY: join(certificates, 'key.pem') });
    const client = new Client(work.endpoint.url, connections, { ca: readFileSync(join(certificates, 'cert.pem')) });
    await createKey(client, work);
    const key = await createKey(client, work);
    const served = await use(client, work, key, 300);
    await unrelated(client, work, key, 1000);
    const scalar = Buffer.from(/priv:\s*([0-9a-f:\s]+)pub:/.exec(execFileSync('openssl', ['ec', '-in', join(certificates, 'key.pem'), '-text', '-noout'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))?.[1]?.replaceAll(/[\s:]/g, '') ?? '', 'hex').subarray(-32);
    const hits = scan(work.running.process.pid ?? 0, [...served, ...keysAtRest(work.running.home), control, { label: 'tls-private-key', bytes: scalar }]);
    expect(found(hits, 'control').length).toBeGreaterThan(0);
    // The named exceptions of docs/boundary.md: Node's TLS keeps its own private key, and the wire form
    // (base64) of what lay last in a connection's record buffers: at most one answer and one request each.
    expect(found(hits, 'tls-private-key').length).toBeGreaterThan(0);
    const rest = hits.filter((h) => h.label !== 'control' && h.label !== 'tls-private-key');
    expect(rest.filter((h) => h.kind !== 'base64' || !/^(data-key|plaintext)-/.test(h.label))).toEqual([]);
    expect(new Set(rest.map((h) => h.label)).size).toBeLessThanOrEqual(2 * connections);
    console.log(`over HTTPS, Node's TLS kept ${rest.length} of ${served.length} served secrets in record buffers, and its own key in ${found(hits, 'tls-private-key').length} mappings`);
    client.close();
    await end(work);
    rmSync(certificates, { recursive: true, force: true });
  }, 600_000);
});
