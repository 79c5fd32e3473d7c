// Secrets of credentials that were made while the server served (users' access keys, sessions, services, accounts): shown once, used to sign, and
// then nowhere: not in memory or heap, in no file of the home, no log, no delivered trail. Nor are the signing keys that follow from them. Every search has a control.
import { createHmac } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type Running } from '../clients/running.ts';
import { kmsTarget, send, sign, type Answered } from '../server/room.ts';
import { heapSnapshot } from './heap.ts';
import { scan, scanFile, type Hit, type Needle } from './scan.ts';

const first = { accessKeyId: 'AKIAMARKERSECRET0000', secret: 'MarkerSecretOfTheAccessKeyWk7qZp3xVn9tB2' };
const marker = 'a description that stays in the record cache';
const region = 'us-east-1';
const rounds = 6;

interface Credential {
  readonly kind: string;
  readonly accessKeyId: string;
  readonly secret: string;
  readonly token?: string;
}

let running: Running;
let folder: string;
let trail: string;
let log = '';
const made: Credential[] = [];
const days = new Set<string>();

const host = (): string => new URL(running.url).host;
const form = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };

function query(by: Omit<Credential, 'kind'>, service: 'iam' | 'sts', fields: Readonly<Record<string, string>>): Promise<Answered> {
  const body = new URLSearchParams({ Version: service === 'iam' ? '2010-05-08' : '2011-06-15', ...fields }).toString();
  return send(running.url, 'POST', '/', sign(host(), body, { ...by, service, region, headers: form }), body);
}

function kms(by: Omit<Credential, 'kind'>, operation: string, input: object): Promise<Answered> {
  const body = JSON.stringify(input);
  days.add(new Date().toISOString().slice(0, 10).replaceAll('-', ''));
  return send(running.url, 'POST', '/', sign(host(), body, { ...by, region, headers: { ...kmsTarget(operation), ...(by.token === undefined ? {} : { 'x-amz-security-token': by.token }) } }), body);
}

function keep(kind: string, { status, text }: Answered): Credential {
  const part = (name: string): string => new RegExp(`<${name}>(.*?)</${name}>`).exec(text)?.[1] ?? '';
  const token = part('SessionToken');
  const credential = { kind, accessKeyId: part('AccessKeyId'), secret: part('SecretAccessKey'), ...(token === '' ? {} : { token }) };
  if (status !== 200 || credential.secret.length !== 40) throw new Error(`${kind}: ${status}`);
  made.push(credential);
  return credential;
}

function keepTold(kind: string, stdout: string): void {
  const told = JSON.parse(stdout) as { accessKeyId: string; secretAccessKey: string };
  made.push({ kind, accessKeyId: told.accessKeyId, secret: told.secretAccessKey });
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** The secret, and each key of SigV4's chain that follows from it on the days it was used. */
function needlesOf({ kind, secret }: Credential, i: number): readonly Needle[] {
  const chain = [...days].flatMap((day) => {
    const keys: Buffer[] = [];
    [day, region, 'kms', 'aws4_request'].reduce<string | Buffer>((key, part) => keys[keys.push(hmac(key, part)) - 1]!, `AWS4${secret}`);
    return keys.map((bytes, step) => ({ label: `${kind}-${i}-chain-${step}`, bytes }));
  });
  return [{ label: `${kind}-${i}`, bytes: Buffer.from(secret, 'latin1') }, ...chain];
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-credentials-'));
  trail = join(folder, 'trail');
  writeFileSync(join(folder, 'secret'), `${first.secret}\n`, { mode: 0o600 });
  running = await startServer({
    home: mkdtempSync(join(tmpdir(), 'strongroom-credentials-home-')),
    env: {
      STRONGROOM_ROOT_ACCESS_KEY_ID: first.accessKeyId, STRONGROOM_ROOT_SECRET_ACCESS_KEY_FILE: join(folder, 'secret'), STRONGROOM_TRAIL_DIR: trail,
      NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${folder}`,
    },
  });
  for (const stream of [running.process.stdout, running.process.stderr]) stream?.on('data', (chunk: Buffer) => { log += chunk.toString('utf8'); });

  expect((await kms(first, 'CreateKey', { Description: marker })).status).toBe(200);
  const trust = JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Principal: { AWS: '000000000000' }, Action: 'sts:AssumeRole' } });
  const all = JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } });
  expect((await query(first, 'iam', { Action: 'CreateRole', RoleName: 'app', AssumeRolePolicyDocument: trust })).status).toBe(200);
  for (let i = 0; i < rounds; i += 1) {
    expect((await query(first, 'iam', { Action: 'CreateUser', UserName: `user-${i}` })).status).toBe(200);
    expect((await query(first, 'iam', { Action: 'PutUserPolicy', UserName: `user-${i}`, PolicyName: 'all', PolicyDocument: all })).status).toBe(200);
    const user = keep('access-key', await query(first, 'iam', { Action: 'CreateAccessKey', UserName: `user-${i}` }));
    keep('session', await query(user, 'sts', { Action: 'GetSessionToken' }));
    keep('role-session', await query(user, 'sts', { Action: 'AssumeRole', RoleArn: 'arn:aws:iam::000000000000:role/app', RoleSessionName: 'one' }));
  }
  for (let i = 0; i < 2; i += 1) {
    const service = running.cli('service-principal', 'create', `svc${i}`, '--account', '000000000000', '--json');
    const account = running.cli('account', 'create', '--json');
    expect([service.status, account.status, service.stderr, account.stderr]).toEqual([0, 0, '', '']);
    keepTold('service', service.stdout);
    keepTold('account', account.stdout);
  }
  // Each signs: the keys that follow from it are derived and remembered in the core.
  for (const credential of made) expect([200, 400]).toContain((await kms(credential, 'ListKeys', {})).status);
  await kms({ ...made[0]!, secret: 'x'.repeat(40) }, 'ListKeys', {});
  // What node:http and libuv may hold of the latest answers is used again by other requests; so at the operator's door.
  for (let i = 0; i < 300; i += 1) await kms(first, i % 3 === 0 ? 'ListKeys' : 'CreateAlias', { AliasName: `alias/${'x'.repeat(i % 200)}${i}`, TargetKeyId: 'none' });
  for (let i = 0; i < 3; i += 1) running.cli('account', 'list', '--json');
  expect(running.cli('audit', 'deliver').status).toBe(0);
}, 600_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(running.home, { recursive: true, force: true });
});

const needles = (): readonly Needle[] => [...made.flatMap(needlesOf), ...needlesOf({ kind: 'first', accessKeyId: first.accessKeyId, secret: first.secret }, 0), { label: 'control', bytes: Buffer.from(marker, 'latin1') }];
const others = (hits: readonly Hit[]): readonly Hit[] => hits.filter(({ label }) => label !== 'control');

describe('a secret that was shown once', () => {
  it('is not in the server\'s memory, nor what follows from it', () => {
    const hits = scan(running.process.pid ?? 0, needles());
    expect(hits.filter(({ label }) => label === 'control').length).toBeGreaterThan(0);
    expect(others(hits)).toEqual([]);
  });

  it('is not in its heap', async () => {
    const hits = scanFile(await heapSnapshot(running, folder), needles());
    expect(hits.filter(({ label }) => label === 'control').length).toBeGreaterThan(0);
    expect(others(hits)).toEqual([]);
  });

  it('is in no file: database, log of the database, events, delivered trail; and in nothing that was logged', async () => {
    const before = filesOf(running.home);
    expect(before.some(({ name }) => name.endsWith('strongroom.db-wal'))).toBe(true);
    expect(found(before)).toEqual(new Map([['first-0', ['credentials']]]));
    await running.stop();
    const files = [...filesOf(running.home), ...filesOf(trail), { name: 'log', bytes: Buffer.from(log) }];
    // The controls: what is to be found is, in the database, in a file that was delivered, and in the log.
    const where = (text: string): readonly string[] => files.filter(({ bytes }) => bytes.includes(text)).map(({ name }) => name);
    expect(where(marker)).toEqual(expect.arrayContaining(['strongroom.db', expect.stringMatching(/CloudTrail.*\.json\.gz$/) as string]));
    expect(where('requests that nobody signed validly')).toEqual(['log']);
    expect(found(files)).toEqual(new Map([['first-0', ['credentials']]]));
  });
});

interface Held {
  readonly name: string;
  readonly bytes: Buffer;
}

function filesOf(root: string): readonly Held[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(root, name)).isFile()).map((name) => {
    const bytes = readFileSync(join(root, name));
    return { name, bytes: name.endsWith('.gz') ? gunzipSync(bytes) : bytes };
  });
}

/** By label: the files that hold it, as it is, in base64 or in hex. */
function found(files: readonly Held[]): ReadonlyMap<string, readonly string[]> {
  const all = new Map<string, string[]>();
  for (const { label, bytes } of needles()) {
    if (label === 'control') continue;
    const forms = [Buffer.from(bytes), ...['base64', 'hex'].map((encoding) => Buffer.from(Buffer.from(bytes).toString(encoding as BufferEncoding).replace(/=+$/, '')))];
    for (const { name, bytes: held } of files) if (forms.some((one) => held.includes(one))) all.set(label, [...(all.get(label) ?? []), name]);
  }
  return all;
}
