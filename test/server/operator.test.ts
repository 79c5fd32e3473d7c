/** The root key's life as its operators see it: a whole server, its socket, its shares. */
import { mkdtempSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AdminClient } from '../../src/cli/admin.ts';
import { openStrongroom, readConfig, type Strongroom } from '../../src/open.ts';

let home: string;
let room: Strongroom | undefined;
const open: Server[] = [];

beforeEach(() => { home = mkdtempSync(join(tmpdir(), 'operator-')); });
afterEach(async () => {
  await room?.close();
  room = undefined;
  for (const server of open.splice(0)) server.close();
  rmSync(home, { recursive: true });
});

async function start(more: Readonly<Record<string, string>> = {}): Promise<Strongroom> {
  room = await openStrongroom(readConfig({ STRONGROOM_HOME: home, STRONGROOM_LISTEN: '127.0.0.1:0', STRONGROOM_UNSEAL: 'operator', ...more }));
  return room;
}

async function stop(): Promise<void> {
  await room?.close();
  room = undefined;
}

const admin = (): AdminClient => new AdminClient(home);
const put = async (share: string, path = '/v1/operator/share'): Promise<Record<string, unknown>> => JSON.parse((await admin().send('POST', path, Buffer.from(share))).toString()) as Record<string, unknown>;
const status = (): Promise<Record<string, unknown>> => admin().get('/v1/operator');

/** Until the server serves the other way. */
async function until(wanted: 'ok' | 'sealed'): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const health = await fetch(`${room?.url ?? ''}/health`).then((answer) => answer.json() as Promise<{ status: string }>).catch(() => ({ status: '' }));
    if (health.status === wanted) return;
    await wait(50);
  }
  throw new Error(`never ${wanted}`);
}

async function init(shares: number, threshold: number): Promise<readonly string[]> {
  const made = await admin().post<{ shares: string }>('/v1/operator/init', { shares, threshold });
  await until('ok');
  return made.shares.split(' ');
}

const listKeys = (): Promise<Response> => fetch(`${room?.url ?? ''}/`, { method: 'POST', headers: { 'x-amz-target': 'TrentService.ListKeys' }, body: '{}' });

test('a home without a root key is sealed, says so to everybody, and is made by operators', async () => {
  const { url } = await start();
  const answer = await listKeys();
  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({ __type: 'ServiceUnavailableException', message: 'Strongroom has no root key yet. On its machine an operator makes it with: strongroom operator init' });
  const sts = await fetch(`${url}/`, { method: 'POST', body: 'Action=GetCallerIdentity&Version=2011-06-15', headers: { 'content-type': 'application/x-www-form-urlencoded' } });
  expect([sts.status, await sts.text()]).toEqual([503, expect.stringContaining('<Code>ServiceUnavailable</Code>')]);
  expect((await fetch(`${url}/kms/xks/v1/health`, { method: 'POST', body: '{}' })).status).toBe(503);
  expect((await fetch(`${url}/health`)).status).toBe(503);
  await expect(admin().get('/v1/accounts')).rejects.toThrow('strongroom operator init');
  await expect(put('srs1-')).rejects.toThrow('no root key yet');
  expect(await status()).toMatchObject({ initialised: false, sealed: true, slots: [] });
  expect(existsSync(join(home, 'root.key'))).toBe(false);

  const shares = await init(5, 3);
  expect(new Set(shares).size).toBe(5);
  for (const share of shares) expect(share).toMatch(/^srs1(-[a-z2-7]{4}){19}$/);
  expect((await listKeys()).status).toBe(400);
  expect(readFileSync(join(home, 'credentials'), 'utf8')).toContain('aws_secret_access_key');
  expect(await status()).toMatchObject({ initialised: true, sealed: false, openedBy: 'shares', slots: [{ index: 0, how: 'shares', threshold: 3, count: 5 }] });
  await expect(admin().post('/v1/operator/init', { shares: 1, threshold: 1 })).rejects.toThrow('there is a root key already');
});

test('people open it after a start and after sealing, at the same address', async () => {
  const { url } = await start();
  const shares = await init(3, 2);
  await stop();
  await start({ STRONGROOM_LISTEN: new URL(url).host });
  expect((await listKeys()).status).toBe(503);
  expect(await put(shares[2]!)).toEqual({ have: 1, need: 2, sealed: true });
  await expect(put(shares[2]!)).rejects.toThrow('given already');
  await expect(put(`${shares[0]!.slice(0, -1)}b`)).rejects.toThrow('mistyped');
  expect(await put(shares[0]!)).toEqual({ have: 2, need: 2, sealed: false });
  await until('ok');
  expect((await listKeys()).status).toBe(400);
  await admin().post('/v1/operator/seal', {});
  await until('sealed');
  expect((await listKeys()).status).toBe(503);
  await expect(admin().post('/v1/operator/seal', {})).rejects.toThrow('not open');
  await expect(admin().post('/v1/operator/unseal', {})).rejects.toThrow('shares');
  await put(shares[1]!);
  await admin().send('DELETE', '/v1/operator/share', undefined);
  expect(await put(shares[1]!)).toMatchObject({ have: 1 });
  await put(shares[2]!);
  await until('ok');
  const { accounts } = await admin().get<{ accounts: unknown[] }>('/v1/accounts');
  expect(accounts).toHaveLength(1);
});

test('deleting an account and a backup wait for a quorum, each for its own', async () => {
  await start();
  const shares = await init(3, 2);
  await admin().post('/v1/accounts', { accountId: '111122223333' });
  const ask = async (): Promise<{ approval: string; need: number }> => JSON.parse((await admin().bytes('DELETE', '/v1/accounts/111122223333')).toString()) as { approval: string; need: number };
  const first = await ask();
  const second = await ask();
  expect(first.need).toBe(2);
  const approve = (approval: string, share: string): Promise<Record<string, unknown>> => put(share, `/v1/operator/approvals/${approval}`);
  expect(await approve(first.approval, shares[0]!)).toMatchObject({ have: 1, need: 2 });
  expect(await approve(second.approval, shares[1]!)).toMatchObject({ have: 1, need: 2 });
  await expect(approve('00000000', shares[1]!)).rejects.toThrow('nothing waits');
  expect((await admin().get<{ accounts: { status: string }[] }>('/v1/accounts')).accounts.map((one) => one.status)).toEqual(['Active', 'Active']);
  expect(await approve(second.approval, shares[2]!)).toMatchObject({ accountId: '111122223333', status: 'PendingDeletion' });
  await expect(approve(second.approval, shares[2]!)).rejects.toThrow('nothing waits');

  const passphraseFile = join(home, 'phrase');
  writeFileSync(passphraseFile, 'correct horse battery\n');
  const path = join(home, 'root.backup');
  const backup = await admin().post<{ approval: string }>('/v1/operator/backup', { path, passphraseFile });
  expect(existsSync(path)).toBe(false);
  await approve(backup.approval, shares[0]!);
  expect(await approve(backup.approval, shares[1]!)).toEqual({ path });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await expect(admin().post('/v1/operator/restore', { path, passphraseFile })).rejects.toThrow('sealed server');
  await admin().post('/v1/operator/seal', {});
  await until('sealed');
  writeFileSync(join(home, 'wrong'), 'wrong\n');
  await expect(admin().post('/v1/operator/restore', { path, passphraseFile: join(home, 'wrong') })).rejects.toThrow('does not open');
  await admin().post('/v1/operator/restore', { path, passphraseFile });
  await until('ok');
  expect(await status()).toMatchObject({ openedBy: 'passphrase', slots: [{ index: 0, how: 'passphrase' }], approvals: [] });
  // no people any more: nobody is asked
  expect(await admin().post('/v1/operator/slots', { keyFile: join(home, 'late.key') })).toMatchObject({ done: true });
});

test('new shares stand beside the old until they confirmed', async () => {
  await start();
  const old = await init(2, 2);
  const asked = await admin().post<{ approval: string }>('/v1/operator/rekey', { shares: 3, threshold: 2 });
  await put(old[0]!, `/v1/operator/approvals/${asked.approval}`);
  const made = await put(old[1]!, `/v1/operator/approvals/${asked.approval}`) as { approval: string; shares: string };
  const fresh = made.shares.split(' ');
  expect(fresh).toHaveLength(3);
  expect((await status())['slots']).toHaveLength(2);
  const confirm = `/v1/operator/approvals/${made.approval}`;
  await expect(put(old[0]!, confirm)).rejects.toThrow('shares that were replaced');
  await put(fresh[0]!, confirm);
  expect(await put(fresh[2]!, confirm)).toEqual({ done: true });
  expect((await status())['slots']).toEqual([{ index: 0, how: 'shares', threshold: 2, count: 3 }]);
  await admin().post('/v1/operator/seal', {});
  await until('sealed');
  await expect(put(old[0]!)).rejects.toThrow('shares that were replaced');
  await put(fresh[1]!);
  await put(fresh[2]!);
  await until('ok');
});

/** Keeps what it is given: enough of a KMS for a slot. */
async function kmsDouble(): Promise<{ readonly url: string; down: boolean; readonly seen: string[] }> {
  const kept = new Map<string, string>();
  const double = { url: '', down: false, seen: [] as string[] };
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part: Buffer) => { text += part.toString(); });
    request.on('end', () => {
      const target = String(request.headers['x-amz-target']);
      double.seen.push(`${target} ${String(request.headers.authorization).split(',')[0]}`);
      const { Plaintext, CiphertextBlob, EncryptionContext } = JSON.parse(text) as Record<string, string>;
      expect(EncryptionContext).toEqual({ purpose: 'strongroom-unseal' });
      if (Plaintext !== undefined) kept.set(Buffer.from(`blob ${kept.size}`).toString('base64'), Plaintext);
      const answer = Plaintext === undefined ? { Plaintext: kept.get(CiphertextBlob ?? '') } : { CiphertextBlob: [...kept.keys()].at(-1) };
      response.writeHead(double.down ? 503 : 200).end(JSON.stringify(double.down ? { message: 'down' } : answer));
    });
  });
  await new Promise<void>((ready) => { server.listen(0, '127.0.0.1', ready); });
  open.push(server);
  double.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return double;
}

test('a KMS elsewhere opens it at each start, with the core\'s own half', async () => {
  const kms = await kmsDouble();
  writeFileSync(join(home, 'secret'), 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n');
  const settings = { STRONGROOM_UNSEAL_KMS_ENDPOINT: kms.url, STRONGROOM_UNSEAL_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', STRONGROOM_UNSEAL_SECRET_ACCESS_KEY_FILE: join(home, 'secret') };
  await start({ ...settings, STRONGROOM_UNSEAL: 'file' });
  await admin().post('/v1/operator/slots', { note: { kms: 'alias/unseal' } });
  expect(await status()).toMatchObject({ slots: [{ how: 'keyfile' }, { how: 'held', by: 'the KMS key alias/unseal' }] });
  await admin().bytes('DELETE', '/v1/operator/slots/0');
  await expect(admin().bytes('DELETE', '/v1/operator/slots/0')).rejects.toThrow('the last slot');
  await stop();
  await start(settings);
  expect((await listKeys()).status).toBe(400);
  expect(await status()).toMatchObject({ openedBy: 'held' });
  expect(kms.seen).toEqual(['TrentService.Encrypt', 'TrentService.Decrypt'].map((target) => expect.stringMatching(new RegExp(`^${target} AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/\\d{8}/us-east-1/kms/aws4_request$`)) as unknown));
  await stop();
  kms.down = true;
  await start(settings);
  expect((await listKeys()).status).toBe(503);
  await expect(admin().post('/v1/operator/unseal', {})).rejects.toThrow('the KMS answered 503');
  kms.down = false;
  rmSync(join(home, 'unseal.part'));
  await expect(admin().post('/v1/operator/unseal', {})).rejects.toThrow('cannot be read');
});

test('a key file that is not at hand leaves it sealed; a wrong one is told at once', async () => {
  await start({ STRONGROOM_UNSEAL: 'file' });
  await stop();
  const file = join(home, 'root.key');
  const key = readFileSync(file);
  rmSync(file);
  await start({ STRONGROOM_UNSEAL: 'file' });
  expect((await listKeys()).status).toBe(503);
  writeFileSync(file, key, { mode: 0o600 });
  await admin().post('/v1/operator/unseal', {});
  await until('ok');
  await stop();
  key[21] = (key[21] ?? 0) ^ 1;
  writeFileSync(file, key);
  await expect(start({ STRONGROOM_UNSEAL: 'file' })).rejects.toThrow('does not belong to this store');
});

test('self-tests run when asked, and say so', async () => {
  await start({ STRONGROOM_UNSEAL: 'file' });
  const { tests, last } = await admin().get<{ tests: string[]; last: { tests: number } }>('/v1/self-tests');
  expect(last.tests).toBe(tests.length);
  expect(await admin().post('/v1/self-tests', {})).toMatchObject({ tests: tests.length });
  expect(await admin().post('/v1/self-tests', { name: tests[0] })).toMatchObject({ tests: 1 });
  await expect(admin().post('/v1/self-tests', { name: 'none' })).rejects.toThrow('no such self-test');
});
