// Session tokens: no row, any node, an end; and nothing of them but by the core.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newUser } from '../../src/iam/directory.ts';
import { StoredIdentities } from '../../src/iam/identities.ts';
import { principalOf } from '../../src/iam/principal.ts';
import { iamActions } from '../../src/server/iam.ts';
import { Tokens, type SessionClaims } from '../../src/server/tokens.ts';
import { account, call, newHome, openRoom, type Room } from '../server/room.ts';

const home = newHome();
let room: Room;
let tokens: Tokens;

beforeAll(async () => {
  room = await openRoom(home);
  tokens = tokensOf(room);
});
afterAll(async () => {
  await room.stop();
  rmSync(home, { recursive: true, force: true });
});

const tokensOf = ({ core, store, accounts }: Room): Tokens => new Tokens(core, store, accounts, core.serviceSession());
const root = (seconds: number): SessionClaims => ({ arn: `arn:aws:iam::${account}:root`, principalId: account, tags: {}, issuedMs: Date.now(), expiresMs: Date.now() + seconds * 1000 });

interface Temporary {
  readonly accessKeyId: string;
  readonly secret: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function issue(claims: SessionClaims): Promise<Temporary> {
  const { accessKeyId, secret, token } = await tokens.issue(account, claims);
  const text = secret.bytes.toString('latin1');
  secret.release();
  return { accessKeyId, secret: text, headers: { 'x-amz-security-token': token } };
}

describe('a session token', () => {
  it('is good without a row, and after a restart', async () => {
    const session = await issue(root(900));
    expect((await call(room, 'ListKeys', {}, session)).status).toBe(200);
    expect(await room.store.get('credential', session.accessKeyId)).toBeUndefined();
    await room.stop();
    room = await openRoom(home);
    tokens = tokensOf(room);
    expect((await call(room, 'ListKeys', {}, session)).status).toBe(200);
  });

  it('ends', async () => {
    const { status, body } = await call(room, 'ListKeys', {}, await issue(root(-1)));
    expect([status, body['__type']]).toEqual([400, 'ExpiredTokenException']);
  });

  it('is refused with any byte changed', async () => {
    const session = await issue(root(900));
    const bytes = Buffer.from(session.headers['x-amz-security-token'] ?? '', 'base64');
    for (let i = 0; i < bytes.length; i += 1) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(await tokens.open(session.accessKeyId, changed.toString('base64'))).toBeUndefined();
    }
    for (let length = 0; length < bytes.length; length += 7) expect(await tokens.open(session.accessKeyId, bytes.toString('base64', 0, length))).toBeUndefined();
    expect(await tokens.open('ASIAAAAAAAAAAAAAAAAA', bytes.toString('base64'))).toBeUndefined();
    expect(await tokens.open(session.accessKeyId, bytes.toString('base64'))).toBeDefined();
  });

  it('ends with its account\'s suspension', async () => {
    const session = await issue(root(900));
    const change = async (status: 'Active' | 'Suspended'): Promise<void> => room.store.tx(async (tx) => {
      const row = await tx.get<{ status: string }>('account', account);
      if (row !== undefined) tx.update(row, { body: { ...row.body, status } });
    });
    expect((await call(room, 'ListKeys', {}, session)).status).toBe(200);
    await change('Suspended');
    expect((await call(room, 'ListKeys', {}, session)).body['__type']).toBe('UnrecognizedClientException');
    await change('Active');
    expect((await call(room, 'ListKeys', {}, session)).status).toBe(200);
  });
});

describe('identities', () => {
  it('are compiled once while nothing changes, and anew when something does', async () => {
    const { directory } = room.accounts;
    const { id } = await directory.create(account, 'user', newUser(account, 'kept'));
    const identities = new StoredIdentities(room.store);
    const principal = principalOf(`arn:aws:iam::${account}:user/kept`);
    const of = () => identities.of(principal, { principalId: id });
    await of();
    expect(of()).toBe(of());
    const text = JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'kms:*', Resource: '*' } });
    await directory.putInline(account, 'user', 'kept', 'p', text);
    expect((await of()).policies).toHaveLength(1);
    await directory.attach(account, 'user', 'kept', 'arn:aws:iam::aws:policy/AdministratorAccess');
    expect((await of()).policies).toHaveLength(2);
    await directory.deleteInline(account, 'user', 'kept', 'p');
    expect((await of()).policies).toHaveLength(1);
  });

  it('of nobody are empty', async () => {
    const identities = new StoredIdentities(room.store);
    expect((await identities.of(principalOf(`arn:aws:iam::${account}:user/none`), { principalId: 'AIDANOBODY' })).policies).toEqual([]);
  });

  it('hold what is counted to what is there, however many act at once', async () => {
    const { directory } = room.accounts;
    const names = Array.from({ length: 12 }, (_, i) => `many-${i}`);
    const before = (await directory.census(account)).user;
    await Promise.all(names.map(async (name) => { await directory.create(account, 'user', newUser(account, name)); }));
    expect((await directory.census(account)).user).toBe(before + names.length);
    const twice = await Promise.allSettled([1, 2, 3].map(async () => { await directory.create(account, 'user', newUser(account, 'one')); }));
    expect(twice.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await Promise.all(names.map(async (name) => { await directory.remove(account, 'user', name); }));
    expect((await directory.census(account)).user).toBe(before + 1);
  });
});

it('every action of IAM and STS is in docs/iam.md, and no other', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/iam.md'), 'utf8');
  const table = text.slice(text.indexOf('## Actions'), text.indexOf('Of AWS\'s own'));
  const named = [...table.matchAll(/\b[A-Z][a-z]+[A-Z]\w+/g)].map(([name]) => name).sort();
  expect(named).toEqual([...iamActions, 'GetCallerIdentity', 'AssumeRole', 'GetSessionToken', 'GetAccessKeyInfo'].sort());
});
