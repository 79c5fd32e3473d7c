// Key material that is known, brought in over HTTP wrapped as KMS takes it, and used by sixteen connections: searched for in the server's
// memory while it works, then in its heap snapshot, its report, its files, metrics and log, after the material was deleted, and in its core.
import { constants, createCipheriv, createHash, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, sign, type Endpoint } from '../../src/bench/endpoint.ts';
import { credentialsOf, root, startServer, type Running } from '../clients/running.ts';
import { heapSnapshot } from './heap.ts';
import { coreOf, leavesCores } from './host.ts';
import { ecKey, ecNeedles, ed25519Key, ed25519Needles, hmacNeedles, mlDsaKey, mlDsaNeedles, nonceNeedles, plainSignature, rsaKey, rsaNeedles } from './keys.ts';
import { scan, scanFile, type Hit, type Needle } from './scan.ts';

const whole = process.env['STRONGROOM_TEST_FULL'] !== undefined;
const marker = 'a description that stays in the record cache';
const message = Buffer.from('a message that everybody may see, of more than thirty-two bytes');
const digest = createHash('sha256').update(message).digest();
const keys = { symmetric: randomBytes(32), hmac: randomBytes(32), ec: ecKey(), rsa: rsaKey(), ed25519: ed25519Key(), mlDsa: mlDsaKey() };
const needles: Needle[] = [
  ...hmacNeedles('symmetric', keys.symmetric), ...hmacNeedles('hmac', keys.hmac), ...ecNeedles('ec', keys.ec), ...rsaNeedles('rsa', keys.rsa),
  ...ed25519Needles('ed25519', keys.ed25519, [message]), ...mlDsaNeedles('mldsa', keys.mlDsa), { label: 'control', bytes: Buffer.from(marker, 'latin1') },
];

let folder: string;
let running: Running;
let client: Client;
let endpoint: Endpoint;
let log = '';
const ids: string[] = [];
const call = (operation: string, input: object): Promise<Record<string, unknown>> => client.call(sign(endpoint, operation, input));
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** RSA_AES_KEY_WRAP_SHA_256, as a client does it. */
async function bring(KeySpec: string, KeyUsage: string, material: Uint8Array): Promise<string> {
  const made = await call('CreateKey', { Origin: 'EXTERNAL', KeySpec, KeyUsage, Description: marker });
  const { KeyId } = made['KeyMetadata'] as { KeyId: string };
  const { ImportToken, PublicKey } = await call('GetParametersForImport', { KeyId, WrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256', WrappingKeySpec: 'RSA_2048' });
  const aes = randomBytes(32);
  const cipher = createCipheriv('id-aes256-wrap-pad', aes, Buffer.from('a65959a6', 'hex'));
  const key = createPublicKey({ key: Buffer.from(String(PublicKey), 'base64'), format: 'der', type: 'spki' });
  const sealed = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, aes);
  await call('ImportKeyMaterial', { KeyId, ImportToken, EncryptedKeyMaterial: base64(Buffer.concat([sealed, cipher.update(material), cipher.final()])), ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' });
  needles.push({ label: 'wrapping-key', bytes: aes });
  ids.push(KeyId);
  return KeyId;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-imported-'));
  running = await startServer({
    home: join(folder, 'home'),
    // A shell raises the limit that would leave no core; a core goes where the program was started.
    program: { command: ['sh', '-c', 'ulimit -c unlimited; exec "$0" "$@"', process.execPath, join(root, 'bin/strongroom.js')], cwd: folder },
    env: { NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --report-on-signal --report-signal=SIGURG --diagnostic-dir=${folder}`, UV_THREADPOOL_SIZE: '8' },
  });
  for (const stream of [running.process.stdout, running.process.stderr]) stream?.on('data', (chunk: Buffer) => { log += chunk.toString('utf8'); });
  endpoint = { url: running.url, region: 'us-east-1', ...credentialsOf(running.home) };
  client = new Client(running.url, 16);
}, 120_000);

afterAll(async () => {
  client.close();
  await running.kill();
  rmSync(folder, { recursive: true, force: true });
});

const isControl = ({ label }: Hit): boolean => label === 'control';
function clean(hits: readonly Hit[]): void {
  expect(hits.filter((hit) => !isControl(hit))).toEqual([]);
  expect(hits.filter(isControl).length).toBeGreaterThan(0);
}

/** What node:http holds of the latest requests is used again by others. */
const unrelated = (): Promise<unknown> => client.flood(Array.from({ length: 64 }, (_, i) => sign(endpoint, 'ListKeys', { Limit: 1 + (i % 7) })), 500, 16);

async function appears(what: string, in_: string, complete: (file: string) => boolean): Promise<string> {
  for (let i = 0; i < 300; i += 1) {
    const name = readdirSync(in_).find((file) => file.includes(what));
    if (name !== undefined && complete(join(in_, name))) return join(in_, name);
    await new Promise((done) => { setTimeout(done, 100); });
  }
  throw new Error(`no ${what} came`);
}

describe('key material that was brought in', () => {
  it('is not in the server\'s memory while sixteen connections use it', async () => {
    const symmetric = await bring('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', keys.symmetric);
    const hmac = await bring('HMAC_256', 'GENERATE_VERIFY_MAC', keys.hmac);
    const ec = await bring('ECC_NIST_P256', 'SIGN_VERIFY', keys.ec.der);
    const rsa = await bring('RSA_2048', 'SIGN_VERIFY', keys.rsa.der);
    const ed25519 = await bring('ECC_NIST_EDWARDS25519', 'SIGN_VERIFY', keys.ed25519.der);
    const mlDsa = await bring('ML_DSA_65', 'SIGN_VERIFY', keys.mlDsa.der);
    const Message = base64(message);
    const work = [
      sign(endpoint, 'Encrypt', { KeyId: symmetric, Plaintext: Message }), sign(endpoint, 'GenerateDataKeyWithoutPlaintext', { KeyId: symmetric, KeySpec: 'AES_256' }),
      sign(endpoint, 'GenerateMac', { KeyId: hmac, Message, MacAlgorithm: 'HMAC_SHA_256' }),
      sign(endpoint, 'Sign', { KeyId: ec, Message: base64(digest), MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' }),
      sign(endpoint, 'Sign', { KeyId: rsa, Message, SigningAlgorithm: 'RSASSA_PSS_SHA_256' }),
      sign(endpoint, 'Sign', { KeyId: ed25519, Message, SigningAlgorithm: 'ED25519_SHA_512' }),
      sign(endpoint, 'Sign', { KeyId: mlDsa, Message, SigningAlgorithm: 'ML_DSA_SHAKE_256' }),
    ];
    await client.flood(work, work.length, 1);
    let working = true;
    const flood = client.flood(work, whole ? 4000 : 280, 16).finally(() => { working = false; });
    let scans = 0;
    while (working) {
      clean(scan(running.process.pid ?? 0, needles));
      scans += 1;
      await new Promise((done) => { setTimeout(done, 50); });
    }
    await flood;
    expect(scans).toBeGreaterThan(1);

    const signatures: Buffer[] = [];
    for (let i = 0; i < 24; i += 1) {
      const { Signature } = await call('Sign', { KeyId: ec, Message: base64(digest), MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' });
      signatures.push(plainSignature(Buffer.from(String(Signature), 'base64')));
    }
    needles.push(...nonceNeedles('ec', keys.ec, digest, signatures));
    clean(scan(running.process.pid ?? 0, needles));
  }, 240_000);

  it('nor in its heap snapshot, its report, its files, metrics and log', async () => {
    clean(scanFile(await heapSnapshot(running, folder), needles));
    running.process.kill('SIGURG');
    const report = await appears('report.', folder, (file) => readFileSync(file, 'utf8').trimEnd().endsWith('}'));
    expect(scanFile(report, [...needles, { label: 'path', bytes: Buffer.from('bin/strongroom.js') }]).map(({ label }) => label)).toEqual(expect.arrayContaining(['path']));
    expect(scanFile(report, needles)).toEqual([]);
    const metrics = await (await fetch(`${running.url}/metrics`)).text();
    expect(metrics).toContain('strongroom');
    const files = readdirSync(running.home, { recursive: true, encoding: 'utf8' }).map((name) => join(running.home, name)).filter((name) => statSync(name).isFile() && statSync(name).size > 0);
    expect(files.some((name) => name.endsWith('.db-wal'))).toBe(true);
    const hits = files.flatMap((name) => scanFile(name, needles));
    clean(hits);
    for (const text of [metrics, log]) for (const { label, bytes } of needles) for (const form of ['base64', 'hex'] as const) expect([label, text.includes(Buffer.from(bytes).toString(form).replace(/=+$/, ''))]).toEqual([label, false]);
  }, 240_000);

  it('nor anywhere after it was deleted, nor in the core of the server', async () => {
    for (const KeyId of ids) await call('DeleteImportedKeyMaterial', { KeyId });
    await unrelated();
    clean(scan(running.process.pid ?? 0, needles));
    running.process.kill('SIGABRT');
    await new Promise((done) => { running.process.once('exit', done); });
    const core = coreOf(folder);
    expect(core === undefined).toBe(!leavesCores);
    if (core !== undefined) clean(scanFile(core, needles));
  }, 240_000);
});
