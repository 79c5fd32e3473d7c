import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Delivery, publicKeyFile } from '../../src/audit/delivery.ts';
import type { DeliveryOptions } from '../../src/audit/delivery.ts';
import type { CloudTrailEvent } from '../../src/audit/event.ts';
import { verifyFiles } from '../../src/audit/files.ts';
import { sumsObject } from '../../src/audit/logfile.ts';
import type { Digest } from '../../src/audit/logfile.ts';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import { CoreSigner } from '../../src/audit/signer.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import { core } from '../store/core.ts';

const account = '111122223333';
const other = '999988887777';
const region = 'us-east-1';
const hour = 3_600_000;
const service = core.serviceSession();

let home: string;
let directory: string;
let store: SqliteStore;
let signer: CoreSigner;
let delivery: Delivery;
let now: number;
let lines: string[];

async function start(more: Partial<DeliveryOptions> = {}): Promise<void> {
  store = await openSqlite({ home, core, clock: () => now });
  signer = await CoreSigner.open(core, store, service);
  delivery = new Delivery({ store, signer, directory, log: (line) => { lines.push(line); }, ...more });
}
async function write(count: number, recipients = [account]): Promise<void> {
  const recorder = new ChainRecorder(store);
  await Promise.all(Array.from({ length: count }, () => recorder.record({
    source: 'kms.amazonaws.com', name: 'Encrypt', readOnly: true, region, requestId: 'r', sourceIp: '127.0.0.1', userAgent: 'ü "x"', recipients,
    actor: { account, arn: `arn:aws:iam::${account}:root`, principalId: account, accessKeyId: 'AKIAEXAMPLE' },
  }).durable));
}
const files = (): string[] => (existsSync(join(directory, 'AWSLogs')) ? readdirSync(join(directory, 'AWSLogs'), { recursive: true, encoding: 'utf8' }) : []).map((name) => `AWSLogs/${name}`).filter((name) => /\.(gz|sig|part)$/.test(name)).sort();
const logs = (): string[] => files().filter((name) => name.includes('/CloudTrail/'));
const digests = (): string[] => files().filter((name) => name.includes('/CloudTrail-Digest/') && name.endsWith('.gz'));
const content = (name: string): string => gunzipSync(readFileSync(join(directory, name))).toString('utf8');
const events = (): CloudTrailEvent[] => logs().flatMap((name) => (JSON.parse(content(name)) as { Records: CloudTrailEvent[] }).Records);
const digest = (name: string): Digest => JSON.parse(content(name)) as Digest;
const edit = (name: string, change: (text: string) => string): void => { writeFileSync(join(directory, name), gzipSync(change(content(name)))); };
const found = async (): Promise<string[]> => (await verifyFiles(store, signer, directory)).findings.map(({ kind, object }) => `${kind} ${object}`);

/** The program of docs/audit.md, as it stands there. */
function independent(): { readonly status: number | null; readonly said: string } {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/audit.md'), 'utf8');
  const program = join(home, 'verify.py');
  writeFileSync(program, /```python\n([^]*?)```/.exec(page)?.[1] ?? '');
  const { status, stdout, stderr } = spawnSync('python3', [program, directory, join(directory, publicKeyFile)], { encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'delivery-'));
  directory = join(home, 'trail');
  now = Date.UTC(2026, 2, 4, 5, 6, 7);
  lines = [];
  await start();
});
afterEach(async () => {
  await store.close();
  rmSync(home, { recursive: true });
});

describe('log files', () => {
  it('lie where CloudTrail puts them and hold every event once', async () => {
    await write(3);
    await write(2, [account, other]);
    await delivery.run();
    expect(logs().map((name) => name.replace(/_[0-9A-F]{16}\./, '_X.'))).toEqual([account, other].map((id) => `AWSLogs/${id}/CloudTrail/us-east-1/2026/03/04/${id}_CloudTrail_us-east-1_20260304T0506Z_X.json.gz`));
    expect(events().map((event) => event.recipientAccountId)).toEqual([...Array<string>(5).fill(account), other, other]);
    await delivery.run();
    expect(logs()).toHaveLength(2);
    await write(1);
    await delivery.stop();
    expect(events()).toHaveLength(8);
    expect(new Set(events().map((event) => event.eventID)).size).toBe(8);
  });

  it('are the same files after a round that was cut short', async () => {
    await write(4);
    // The files are written, the cursor is not moved.
    const honest = store.tx.bind(store);
    let commits = 0;
    store.tx = async (fn) => {
      if (++commits === 2) throw new Error('killed');
      return honest(fn);
    };
    await expect(delivery.run()).rejects.toThrow('killed');
    const before = logs();
    expect(before).toHaveLength(1);
    await store.close();
    now += 10 * 60_000;
    await start();
    await write(3);
    await delivery.run();
    expect(logs()).toHaveLength(2);
    expect(logs()).toContain(before[0]);
    expect(new Set(events().map((event) => event.eventID)).size).toBe(7);
    expect(events()).toHaveLength(7);
    expect(await found()).toEqual([]);
  });

  it('are the same after a digest that was cut short', async () => {
    await write(4);
    await delivery.run();
    const honest = store.tx.bind(store);
    let commits = 0;
    store.tx = async (fn) => {
      if (++commits === 2) throw new Error('killed');
      return honest(fn);
    };
    await expect(delivery.run(true)).rejects.toThrow('killed');
    const [first] = digests();
    const text = content(first ?? '');
    expect(await found()).toEqual([]);
    await store.close();
    now += 10 * 60_000;
    await start();
    await write(1);
    await delivery.run(true);
    expect(digests()).toHaveLength(2);
    expect(content(first ?? '')).toBe(text);
    expect(await found()).toEqual([]);
    expect(independent()).toMatchObject({ status: 0 });
  });

  it('come when the directory can be written again', async () => {
    writeFileSync(directory, '');
    await write(2);
    await delivery.stop();
    expect(lines).toHaveLength(1);
    rmSync(directory);
    await delivery.run();
    expect(events()).toHaveLength(2);
  });
});

describe('digests', () => {
  it('come by the hour, each naming the one before', async () => {
    await write(2);
    await delivery.run();
    expect(digests()).toEqual([]);
    now += hour;
    await write(1);
    await delivery.run();
    now += hour;
    await delivery.run();
    expect(digests()).toHaveLength(1);
    await write(1);
    await delivery.run();
    const [one, two] = digests().map(digest);
    expect(one).toMatchObject({ awsAccountId: account, digestStartTime: '2026-03-04T05:06:07Z', digestEndTime: '2026-03-04T06:06:07Z', previousDigestSignature: null, digestPublicKeyFingerprint: signer.fingerprint, oldestEventTime: '2026-03-04T05:06:07Z', newestEventTime: '2026-03-04T06:06:07Z' });
    expect(one?.logFiles).toHaveLength(2);
    expect(two).toMatchObject({ digestStartTime: '2026-03-04T06:06:07Z', digestEndTime: '2026-03-04T07:06:07Z', previousDigestS3Object: one?.digestS3Object });
    expect(await verifyFiles(store, signer, directory)).toEqual({ logs: 3, digests: 2, findings: [] });
    expect(independent()).toEqual({ status: 0, said: '3 log files: whole\n' });
  });

  it('are signed by a key that stays the same over restarts', async () => {
    const { fingerprint } = signer;
    await store.close();
    await start();
    expect(signer.fingerprint).toBe(fingerprint);
  });
});

describe('files that were tampered with are named, by the server and by the program in docs/audit.md', () => {
  beforeEach(async () => {
    for (let i = 0; i < 3; i++) {
      await write(2);
      now += hour;
      await delivery.run(true);
    }
    expect(digests()).toHaveLength(3);
    expect(await found()).toEqual([]);
    expect(independent().status).toBe(0);
  });

  it('an edited log file', async () => {
    const [, name = ''] = logs();
    const [{ eventID } = { eventID: '' }] = (JSON.parse(content(name)) as { Records: CloudTrailEvent[] }).Records;
    edit(name, (text) => text.replace('Encrypt', 'Decrypt'));
    expect((await verifyFiles(store, signer, directory)).findings).toEqual([{ kind: 'edited', object: name, eventId: eventID, sentence: `${name}: event ${eventID} was edited` }]);
    expect(independent()).toEqual({ status: 1, said: `${name}: event ${eventID} was edited\n` });
  });
  it('events that were removed, swapped and added in a log file', async () => {
    await write(6);
    // Names of one minute are in no order.
    now += hour;
    await delivery.run(true);
    const name = logs().at(-1) ?? '';
    const { Records } = JSON.parse(content(name)) as { Records: CloudTrailEvent[] };
    const [a, b, c, d, e, f] = Records as [CloudTrailEvent, CloudTrailEvent, CloudTrailEvent, CloudTrailEvent, CloudTrailEvent, CloudTrailEvent];
    const strange = { ...a, eventID: a.eventID.replace(/.$/, (last) => (last === '0' ? '1' : '0')) };
    edit(name, () => JSON.stringify({ Records: [a, e, c, b, f, strange] }));
    const said = [`event ${d.eventID} was removed`, `event ${strange.eventID} was added`, `event ${b.eventID} was moved`, `event ${e.eventID} was moved`].map((what) => `${name}: ${what}`);
    expect((await verifyFiles(store, signer, directory)).findings.map(({ sentence }) => sentence)).toEqual(said);
    expect(independent()).toEqual({ status: 1, said: `${said.join('\n')}\n` });
  });
  it('a log file whose events are all there, and one that is no list of events any more', async () => {
    const [name = '', other = ''] = logs();
    edit(name, (text) => text.replace('[', '[ '));
    edit(other, (text) => text.slice(0, -40));
    expect(await found()).toEqual(expect.arrayContaining([`edited ${name}`, `removed ${other}`]));
    expect(independent()).toMatchObject({ status: 1, said: expect.stringMatching(new RegExp(`${name}: edited[^]*${other}: edited, not JSON`)) as string });
  });
  it('the sums of a log file, edited and removed', async () => {
    const [first = '', second = ''] = logs().map(sumsObject);
    edit(first, (text) => text.replace(/[0-9a-f]\n/, 'x\n'));
    rmSync(join(directory, second));
    expect((await found()).sort()).toEqual([`edited ${first}`, `removed ${second}`]);
    const { status, said } = independent();
    expect(status).toBe(1);
    expect(said).toContain(`${first}: edited`);
    expect(said).toContain(`${second}: removed`);
  });
  it('a removed log file', async () => {
    const [name = ''] = logs();
    rmSync(join(directory, name));
    expect(await found()).toEqual([`removed ${name}`]);
    expect(independent()).toEqual({ status: 1, said: `${name}: removed\n` });
  });
  it('a log file that is no gzip any more', async () => {
    const [name = ''] = logs();
    writeFileSync(join(directory, name), 'x');
    expect(await found()).toEqual([`unreadable ${name}`]);
    expect(independent()).toMatchObject({ status: 1, said: expect.stringContaining(`${name}: edited`) as string });
  });
  it('a digest replaced by an earlier one', async () => {
    const [first = '', second = ''] = digests();
    for (const end of ['.gz', '.sig']) writeFileSync(join(directory, second.replace(/\.gz$/, end)), readFileSync(join(directory, first.replace(/\.gz$/, end))));
    expect(await found()).toContain(`edited ${second}`);
    const { status, said } = independent();
    expect(status).toBe(1);
    expect(said).toContain(`${second}: edited or replaced`);
  });
  it('a digest edited along with its log file', async () => {
    const [name = '', log = ''] = [digests()[1], logs()[1]];
    edit(log, (text) => text.replace('Encrypt', 'Decrypt'));
    edit(name, (text) => text.replace(/"hashValue":"[0-9a-f]{64}"/, `"hashValue":"${core.sha256(Buffer.from(content(log))).toString('hex')}"`));
    expect(await found()).toContain(`edited ${name}`);
    expect(independent().said).toContain(`${name}: edited or replaced`);
  });
  it('a removed digest, in the middle and at the end', async () => {
    const [, middle = '', last = ''] = digests();
    renameSync(join(directory, middle), join(home, 'middle'));
    expect(await found()).toContain(`removed ${middle}`);
    expect(independent().said).toContain(`${middle}: the digest before`);
    renameSync(join(home, 'middle'), join(directory, middle));
    rmSync(join(directory, last));
    // The one before still vouches for its files.
    expect(await found()).toEqual([`removed ${last}`, `added ${logs()[2] ?? ''}`]);
  });
  it('a signature that was exchanged', async () => {
    const [name = ''] = digests();
    writeFileSync(join(directory, name.replace(/\.gz$/, '.sig')), '00'.repeat(256));
    expect(await found()).toEqual([`unsigned ${name}`]);
    expect(independent().status).toBe(1);
  });
  it('a file that nobody delivered', async () => {
    const name = (logs()[0] ?? '').replace(/_[0-9A-F]{16}\./, '_0000000000000000.');
    writeFileSync(join(directory, name), gzipSync('{"Records":[]}'));
    expect(await found()).toEqual([`added ${name}`]);
    expect(independent().said).toContain(`${name}: in no digest`);
  });
  it('a file that no digest covers yet', async () => {
    await write(1);
    await delivery.run();
    const name = logs().at(-1) ?? '';
    rmSync(join(directory, name));
    expect(await found()).toEqual([`removed ${name}`]);
  });
});
