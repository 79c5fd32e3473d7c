import Database from 'better-sqlite3';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookupEvents } from '../../src/audit/lookup.ts';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import { Lifecycle } from '../../src/server/lifecycle.ts';
import { account, accessKeyId, call, newHome, openRoom, region } from './room.ts';
import type { Room } from './room.ts';

const day = 86_400_000;
const refusal = { status: 400, body: { __type: 'UnrecognizedClientException', message: 'The security token included in the request is invalid.' } };

let room: Room;
let lifecycle: Lifecycle;
let keyId: string;
let ahead = 0;
const forgotten: string[] = [];
beforeAll(async () => {
  room = await openRoom(newHome());
  const now = room.store.now.bind(room.store);
  room.store.now = () => now() + ahead;
  lifecycle = new Lifecycle({
    store: room.store, accounts: room.accounts, recorder: new ChainRecorder(room.store), region,
    forget: (id) => { forgotten.push(id); }, log: (line) => { room.reports.push(line); },
  });
  keyId = ((await call(room, 'CreateKey', {})).body['KeyMetadata'] as { KeyId: string }).KeyId;
  await call(room, 'CreateAlias', { AliasName: 'alias/a', TargetKeyId: keyId });
  await room.accounts.create('999988887777');
});
afterAll(async () => {
  expect(room.reports).toEqual([]);
  await room.stop();
  rmSync(room.home, { recursive: true });
});
const rows = (id: string): string[] => {
  const db = new Database(join(room.home, 'strongroom.db'), { readonly: true });
  const found = db.prepare<[string], { tab: string }>('SELECT DISTINCT tab FROM record WHERE account = ? ORDER BY tab').all(id).map(({ tab }) => tab);
  db.close();
  return found;
};

describe('an account', () => {
  it('that is suspended stops with the next request, and resumes', async () => {
    expect(await call(room, 'ListKeys', {})).toMatchObject({ status: 200 });
    expect(await lifecycle.suspend(account)).toEqual({ status: 'Suspended' });
    expect(await call(room, 'ListKeys', {})).toEqual(refusal);
    await expect(lifecycle.suspend(account)).rejects.toMatchObject({ status: 409 });
    await lifecycle.resume(account);
    expect(await call(room, 'ListKeys', {})).toMatchObject({ status: 200 });
    const { Events } = await lookupEvents(room.store, account, region, { LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'SuspendAccount' }] });
    expect(Events).toHaveLength(1);
  });

  it('waits 7 to 30 days to be deleted, and may be kept', async () => {
    for (const days of [6, 31, 1.5]) expect(() => lifecycle.scheduleDeletion(account, days)).toThrow('the waiting period is 7 to 30 days');
    const { dueMs } = await lifecycle.scheduleDeletion(account, 7);
    expect(dueMs).toBeGreaterThan(room.store.now() + 7 * day - 60_000);
    expect(await call(room, 'ListKeys', {})).toEqual(refusal);
    ahead = 6.9 * day;
    expect(await lifecycle.run()).toBe(0);
    expect(await lifecycle.cancelDeletion(account)).toEqual({ status: 'Suspended' });
    ahead = 40 * day;
    expect(await lifecycle.run()).toBe(0);
    ahead = 0;
    await lifecycle.resume(account);
    expect(await call(room, 'DescribeKey', { KeyId: keyId })).toMatchObject({ status: 200 });
    await expect(lifecycle.suspend('123456789012')).rejects.toMatchObject({ status: 404 });
  });

  it('that is due loses its key and every record; its neighbour loses nothing', async () => {
    const sealed = (await room.store.get('account', account))?.sealed ?? Buffer.alloc(0);
    expect(sealed.length).toBeGreaterThan(32);
    const file = join(room.home, 'strongroom.db');
    const onDisk = (): boolean => [file, `${file}-wal`].some((name) => readFileSync(name).includes(sealed.subarray(-32)));
    const neighbour = rows('999988887777');
    expect(rows(account)).toEqual(expect.arrayContaining(['account', 'alias', 'credential', 'key', 'material', 'policy']));
    expect(onDisk()).toBe(true);
    await lifecycle.scheduleDeletion(account, 7);
    ahead = 7 * day;
    expect(await lifecycle.run()).toBe(1);
    expect(await lifecycle.run()).toBe(0);
    expect(rows(account)).toEqual(['account']);
    expect(rows('999988887777')).toEqual(neighbour);
    expect(onDisk()).toBe(false);
    expect(forgotten).toEqual([account]);
    expect(await room.store.get('account', account)).toMatchObject({ body: { status: 'Deleted' } });
    expect((await room.store.get('account', account))?.sealed).toBeUndefined();
    expect(await room.store.get('credential', accessKeyId)).toBeUndefined();
    expect(await room.accounts.partition(account)).toBeUndefined();
    expect(await call(room, 'ListKeys', {})).toEqual(refusal);
    await expect(room.accounts.create(account)).rejects.toMatchObject({ status: 409 });
    expect((await lookupEvents(room.store, account, region, { LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'DeleteAccount' }] })).Events).toHaveLength(1);
  });
});
