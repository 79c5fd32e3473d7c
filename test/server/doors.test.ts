import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { adminSocketPath } from '../../src/server/admin.ts';
import { account, accessKeyId, call, kmsTarget, newHome, openRoom, send, sign } from './room.ts';
import type { Room } from './room.ts';

let room: Room | undefined;
afterEach(async () => {
  const { home } = room ?? {};
  await room?.stop();
  room = undefined;
  if (home !== undefined) rmSync(home, { recursive: true });
});

async function admin(home: string, method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  return await new Promise((done, fail) => {
    const asked = request({ socketPath: adminSocketPath(home), method, path, headers: { 'content-length': Buffer.byteLength(text) } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => { done({ status: answer.statusCode ?? 0, body: JSON.parse(Buffer.concat(parts).toString('utf8')) as Record<string, unknown> }); });
    });
    asked.on('error', fail);
    asked.end(text);
  });
}

describe('the admin socket', () => {
  it('is the user\'s alone, and makes accounts whose credentials work', async () => {
    room = await openRoom(newHome());
    expect(statSync(adminSocketPath(room.home)).mode & 0o777).toBe(0o600);
    const made = await admin(room.home, 'POST', '/v1/accounts', { accountId: '999988887777' });
    expect(made.status).toBe(200);
    expect(made.body).toEqual({ accountId: '999988887777', accessKeyId: expect.stringMatching(/^AKIA[A-Z2-7]{16}$/) as string, secretAccessKey: expect.stringMatching(/^[\w/+]{40}$/) as string });
    const mine = { accessKeyId: made.body['accessKeyId'] as string, secret: made.body['secretAccessKey'] as string };
    const key = await call(room, 'CreateKey', {}, mine);
    expect(key.body['KeyMetadata']).toMatchObject({ AWSAccountId: '999988887777' });
    // Its wall: the other account sees nothing.
    const KeyId = (key.body['KeyMetadata'] as { KeyId: string }).KeyId;
    expect((await call(room, 'DescribeKey', { KeyId })).status).toBe(400);
    expect((await admin(room.home, 'GET', '/v1/accounts')).body).toMatchObject({ accounts: [{ accountId: account, status: 'Active' }, { accountId: '999988887777', status: 'Active' }] });
  });

  it('makes access keys for users, and accounts at random', async () => {
    room = await openRoom(newHome());
    const { body } = await admin(room.home, 'POST', '/v1/credentials', { accountId: account, userName: 'ann' });
    const who = 'Action=GetCallerIdentity&Version=2011-06-15';
    const host = new URL(room.server.url).host;
    const signed = sign(host, who, { service: 'sts', accessKeyId: body['accessKeyId'] as string, secret: body['secretAccessKey'] as string, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    expect((await send(room.server.url, 'POST', '/', signed, who)).text).toMatch(new RegExp(`<Arn>arn:aws:iam::${account}:user/ann</Arn><UserId>AIDA[A-Z2-7]{16}</UserId>`));
    expect((await admin(room.home, 'POST', '/v1/accounts')).body['accountId']).toMatch(/^[1-9]\d{11}$/);
  });

  it.each([
    ['POST', '/v1/accounts', { accountId: 'x' }, 400], ['POST', '/v1/accounts', { accountId: account }, 409], ['POST', '/v1/accounts', '[', 400],
    ['POST', '/v1/credentials', {}, 400], ['POST', '/v1/credentials', { accountId: '555555555555' }, 404], ['POST', '/v1/credentials', { accountId: account, userName: 'a b' }, 400],
    ['GET', '/v1/audit?last=x', undefined, 400], ['GET', '/v1/audit?after=x', undefined, 400], ['GET', '/v1/none', undefined, 404], ['DELETE', '/v1/accounts', undefined, 400],
  ] as const)('%s %s %j is refused with a sentence', async (method, path, body, status) => {
    room = await openRoom(newHome());
    const answered = await admin(room.home, method, path, body);
    expect(answered.status).toBe(status);
    expect(typeof answered.body['message']).toBe('string');
    expect(room.reports).toEqual([]);
  });

  it('shows health, the trail\'s end and whether it holds', async () => {
    room = await openRoom(newHome());
    await call(room, 'ListKeys', {});
    expect((await admin(room.home, 'GET', '/v1/health')).body).toMatchObject({ status: 'ok' });
    const tail = await admin(room.home, 'GET', '/v1/audit?last=1');
    expect(tail.body).toMatchObject({ events: [{ eventName: 'ListKeys', userIdentity: { accessKeyId } }] });
    await call(room, 'ListAliases', {});
    expect((await admin(room.home, 'GET', `/v1/audit?after=${tail.body['next'] as string}`)).body).toMatchObject({ events: [{ eventName: 'ListAliases' }] });
    expect((await admin(room.home, 'POST', '/v1/audit/verify')).body).toMatchObject({ events: 2, shards: 1, faults: [] });
  });

  it('moves to a short path where the home\'s is too long, and leaves nothing there', async () => {
    const home = join(mkdtempSync(join(tmpdir(), 'room-')), 'long-'.repeat(30));
    mkdirSync(home, { mode: 0o700 });
    room = await openRoom(home);
    const path = adminSocketPath(home);
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(107);
    expect(readFileSync(join(home, 'admin.sock.path'), 'utf8').trim()).toBe(path);
    expect((await admin(home, 'GET', '/v1/health')).status).toBe(200);
    await room.stop();
    room = undefined;
    expect(existsSync(path)).toBe(false);
    rmSync(home, { recursive: true });
  });
});

describe('TLS', () => {
  it('serves with the operator\'s certificate', async () => {
    const home = newHome();
    const [cert, key] = [join(home, 'cert.pem'), join(home, 'key.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
    room = await openRoom(home, { tls: { cert, key } });
    expect(room.server.url).toMatch(/^https:/);
    const host = new URL(room.server.url).host;
    const text = await new Promise<string>((done, fail) => {
      const asked = httpsRequest(new URL(room?.server.url ?? ''), { method: 'POST', ca: readFileSync(cert), setHost: false, headers: { ...sign(host, '{}', { headers: kmsTarget('ListKeys') }), 'content-length': '2' } }, (answer) => {
        answer.setEncoding('utf8').on('data', (part: string) => { done(part); });
      });
      asked.on('error', fail);
      asked.end('{}');
    });
    expect(JSON.parse(text)).toMatchObject({ Truncated: false });
  });
});

describe('stopping', () => {
  it('lets a request under way finish, and takes no new one', async () => {
    room = await openRoom(newHome());
    const slow = Array.from({ length: 2 }, () => call(room!, 'CreateKey', { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }));
    while (room.server.metrics.underWay < 2) await new Promise((later) => setTimeout(later, 5));
    const stopped = room.server.close();
    expect((await Promise.all(slow)).map(({ status }) => status)).toEqual([200, 200]);
    await stopped;
    await expect(call(room, 'ListKeys', {})).rejects.toThrow();
  });

  it('does not wait for connections that say nothing', async () => {
    room = await openRoom(newHome());
    const { hostname, port } = new URL(room.server.url);
    const idle = connect(Number(port), hostname);
    await new Promise((ready) => idle.once('connect', ready));
    const start = Date.now();
    await room.server.close();
    expect(Date.now() - start).toBeLessThan(5_000);
    idle.destroy();
  }, 30_000);
});

it('keeps answering beside a crowd of idle connections', async () => {
  room = await openRoom(newHome());
  const { hostname, port } = new URL(room.server.url);
  const wanted = process.env['STRONGROOM_TEST_FULL'] === undefined ? 1_000 : 10_000;
  const crowd: Socket[] = [];
  for (let i = 0; i < wanted; i += 250) {
    await Promise.all(Array.from({ length: Math.min(250, wanted - i) }, () => new Promise<void>((ready, fail) => {
      const socket = connect(Number(port), hostname, ready);
      socket.on('error', fail);
      crowd.push(socket);
    })));
  }
  const answered = await Promise.all(Array.from({ length: 200 }, () => call(room!, 'GenerateRandom', { NumberOfBytes: 32 })));
  expect(answered.every(({ status }) => status === 200)).toBe(true);
  for (const socket of crowd) socket.removeAllListeners('error').on('error', () => undefined).destroy();
}, 120_000);
