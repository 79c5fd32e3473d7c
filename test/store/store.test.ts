import Database from 'better-sqlite3';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from '../../src/store/sqlite.ts';
import type { SqliteStore, SqliteOptions } from '../../src/store/sqlite.ts';
import type { Row } from '../../src/store/store.ts';
import { core } from './core.ts';

interface Thing { readonly name?: string; readonly dueMs?: number; readonly n?: number }

let home: string;
let store: SqliteStore;
const open = async (more: Partial<SqliteOptions> = {}): Promise<SqliteStore> => openSqlite({ home, core, ...more });
const place = { account: '111122223333', region: 'us-east-1' };

async function put(id: string, body: Thing, sealed?: Buffer): Promise<void> {
  await store.tx(async (tx) => { tx.insert<Thing>('key', sealed === undefined ? { id, ...place, body } : { id, ...place, body, sealed }); });
}
async function row(id: string): Promise<Row<Thing>> {
  const found = await store.get<Thing>('key', id);
  if (found === undefined) throw new Error(`no ${id}`);
  return found;
}
async function edit(statement: string, ...values: unknown[]): Promise<void> {
  await store.close();
  const db = new Database(join(home, 'strongroom.db'));
  expect(db.prepare(statement).run(...values).changes).toBeGreaterThan(0);
  db.close();
  store = await open();
}

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'store-'));
  store = await open();
});
afterEach(async () => {
  await store.close();
  rmSync(home, { recursive: true });
});

describe('records', () => {
  it('are there after a restart, frozen, with version, times and sealed object', async () => {
    await put('a', { name: 'x' }, Buffer.from('sealed'));
    await store.close();
    store = await open();
    const a = await row('a');
    expect(a).toMatchObject({ table: 'key', id: 'a', ...place, version: 1, body: { name: 'x' } });
    expect(a.sealed?.toString()).toBe('sealed');
    expect(Object.isFrozen(a.body)).toBe(true);
    expect(store.peek('key', 'a')).toBe(a);
  });

  it('an update raises the version and keeps the sealed object; null takes it away', async () => {
    await put('a', { n: 1 }, Buffer.from('s'));
    await store.tx(async (tx) => { tx.update(await row('a'), { body: { n: 2 } }); void tx; });
    expect(await row('a')).toMatchObject({ version: 2, body: { n: 2 }, sealed: Buffer.from('s') });
    await store.tx(async (tx) => { tx.update(await row('a'), { sealed: null }); });
    expect((await row('a')).sealed).toBeUndefined();
    await store.tx(async (tx) => { tx.delete(await row('a')); });
    expect(await store.get('key', 'a')).toBeUndefined();
  });

  it('an id can be taken once', async () => {
    await put('a', {});
    await expect(put('a', {})).rejects.toMatchObject({ code: 'Exists' });
  });

  it('200 increments of one counter, started together, are 200', async () => {
    await put('a', { n: 0 });
    let runs = 0;
    const one = (): Promise<void> => store.tx(async (tx) => {
      runs++;
      const a = await tx.get<Thing>('key', 'a');
      tx.update(a!, { body: { n: (a!.body.n ?? 0) + 1 } });
    });
    await Promise.all(Array.from({ length: 200 }, one));
    expect((await row('a')).body.n).toBe(200);
    expect(runs).toBeGreaterThan(200);
  });

  it('a failing transaction leaves its neighbours in the batch alone, and nothing of itself', async () => {
    await put('taken', {});
    const results = await Promise.allSettled([
      put('b', {}),
      store.tx(async (tx) => { tx.insert('key', { id: 'half', ...place, body: {} }); tx.insert('key', { id: 'taken', ...place, body: {} }); }),
      put('c', {}),
    ]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await store.get('key', 'half')).toBeUndefined();
    expect((await store.list('key', { index: 'key.place', equals: [place.account, place.region], limit: 10 })).rows.map((one) => one.id)).toEqual(['b', 'c', 'taken']);
  });
});

describe('a ceiling', () => {
  const add = (id: string, most: number): Promise<void> => store.tx(async (tx) => {
    tx.below('key.place', [place.account, place.region], most);
    tx.insert('key', { id, ...place, body: {} });
  });

  it('lets as many in as there may be, however many come at once', async () => {
    const results = await Promise.allSettled(Array.from({ length: 60 }, (_, i) => add(`k${i}`, 7)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(7);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'Ceiling' });
    expect((await store.list('key', { index: 'key.place', equals: [place.account, place.region], limit: 100 })).rows).toHaveLength(7);
  });

  it('makes room again when a row goes, and counts its own index alone', async () => {
    await add('a', 1);
    await expect(add('b', 1)).rejects.toMatchObject({ code: 'Ceiling' });
    await store.tx(async (tx) => {
      tx.below('key.place', [place.account, 'elsewhere'], 1);
      tx.insert('key', { id: 'c', ...place, region: 'elsewhere', body: {} });
    });
    await store.tx(async (tx) => { tx.delete(await row('a')); });
    await add('b', 1);
  });
});

describe('lists', () => {
  it('page by cursor, in order, seeing each row once', async () => {
    const ids = Array.from({ length: 57 }, (_, i) => `k${String(i).padStart(3, '0')}`);
    await Promise.all(ids.map((id) => put(id, {})));
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await store.list<Thing>('key', { index: 'key.place', equals: [place.account, place.region], limit: 10, ...(after === undefined ? {} : { after }) });
      expect(page.rows.length).toBeLessThanOrEqual(10);
      seen.push(...page.rows.map((one) => one.id));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual(ids);
  });

  it('order by number, and leave out rows without the member', async () => {
    await put('late', { dueMs: 20_000_000_000 });
    await put('soon', { dueMs: 9 });
    await put('never', {});
    const ids = async (): Promise<string[]> => (await store.list('key', { index: 'key.due', equals: [], limit: 5 })).rows.map((one) => one.id);
    expect(await ids()).toEqual(['soon', 'late']);
    await store.tx(async (tx) => { tx.update(await row('soon'), { body: {} }); });
    expect(await ids()).toEqual(['late']);
  });

  it('a cursor that is none is refused', async () => {
    await expect(store.list('key', { index: 'key.due', equals: [], limit: 5, after: 'x' })).rejects.toThrow('cursor');
  });
});

describe('an altered database', () => {
  beforeEach(() => put('a', { name: 'x', dueMs: 5 }, Buffer.from('sealed')));
  const cases: readonly (readonly [string, string, unknown[]])[] = [
    ['body', "UPDATE record SET body = ? WHERE id = 'a'", [Buffer.from('{"name":"y","dueMs":5}')]],
    ['sealed object', "UPDATE record SET sealed = ? WHERE id = 'a'", [Buffer.from('other')]],
    ['missing sealed object', "UPDATE record SET sealed = NULL WHERE id = 'a'", []],
    ['version', "UPDATE record SET version = 7 WHERE id = 'a'", []],
    ['account', "UPDATE record SET account = '999999999999' WHERE id = 'a'", []],
    ['time', "UPDATE record SET created_ms = 1 WHERE id = 'a'", []],
    ['MAC', "UPDATE record SET mac = zeroblob(32) WHERE id = 'a'", []],
  ];
  it.each(cases)('is refused by name: %s', async (_what, statement, values) => {
    await edit(statement, ...values);
    await expect(store.get('key', 'a')).rejects.toMatchObject({ code: 'Integrity', message: 'key a was altered in the store' });
  });
  it('a row under another id is refused', async () => {
    await edit("UPDATE record SET id = 'b' WHERE id = 'a'");
    await expect(store.get('key', 'b')).rejects.toMatchObject({ code: 'Integrity' });
  });
  it('an index entry moved, or pointing nowhere, is refused', async () => {
    await edit("UPDATE record_index SET ord = '0000000000000001' WHERE name = 'key.due'");
    await expect(store.list('key', { index: 'key.due', equals: [], limit: 5 })).rejects.toMatchObject({ code: 'Integrity' });
    await edit("DELETE FROM record WHERE id = 'a'");
    await expect(store.list('key', { index: 'key.due', equals: [], limit: 5 })).rejects.toMatchObject({ code: 'Integrity', message: 'key a was taken out of the store' });
  });
});

describe('the home', () => {
  it('is one process\'s', async () => {
    await expect(open()).rejects.toMatchObject({ code: 'Busy', message: expect.stringContaining(`in use by process ${process.pid}`) as string });
  });
  it('has no file that others can read', async () => {
    await put('a', {});
    const files = readdirSync(home);
    expect(files).toEqual(expect.arrayContaining(['lock', 'pid', 'strongroom.db', 'strongroom.db-wal']));
    for (const file of files) expect([file, statSync(join(home, file)).mode & 0o077]).toEqual([file, 0]);
  });
  it('closed stores say so', async () => {
    await store.close();
    await expect(store.get('key', 'a')).rejects.toMatchObject({ code: 'Closed' });
    await expect(put('a', {})).rejects.toMatchObject({ code: 'Closed' });
    store = await open();
  });
  it('indexes declared anew are made from the records', async () => {
    await put('a', { dueMs: 1 });
    await edit("UPDATE fact SET value = 'older' WHERE name = 'indexes'");
    expect((await store.list('key', { index: 'key.due', equals: [], limit: 5 })).rows.length).toBe(1);
  });
  it('a full disk is an error; nothing half-made stays, what was there stays usable', async () => {
    await store.close();
    store = await open({ ceiling: 400 * 1024 });
    const body = { name: 'x'.repeat(3000) };
    let made = 0;
    const fill = async (): Promise<void> => { for (;;) { await put(`f${made}`, body); made++; } };
    await expect(fill()).rejects.toMatchObject({ code: 'Full' });
    expect(made).toBeGreaterThan(20);
    expect(await store.get('key', `f${made}`)).toBeUndefined();
    await store.append([{ timeMs: 1, body: JSON.stringify({ x: 'y'.repeat(90_000) }) }]).then(() => { throw new Error('appended'); }, (error: unknown) => { expect(error).toMatchObject({ code: 'Full' }); });
    await store.close();
    store = await open();
    await put(`f${made}`, body);
    await store.append([{ timeMs: 1, body: '{}' }]);
    const [shard] = await store.shards();
    expect((await store.chain(shard!, 1, 10)).rows.map((link) => link.seq)).toEqual([1]);
    expect((await store.list('key', { index: 'key.place', equals: [place.account, place.region], limit: 1000 })).rows.length).toBe(made + 1);
  });
});

describe('purging an account', () => {
  const many = 3_000;
  const theirs = '999988887777';
  async function fill(account: string, count: number, name: string): Promise<void> {
    for (let from = 0; from < count; from += 500) {
      await store.tx(async (tx) => {
        for (let i = from; i < Math.min(count, from + 500); i += 1) tx.insert<Thing>('key', { id: `${account}/${i}`, account, region: 'us-east-1', body: { name: `${name}-${i}` }, sealed: Buffer.from(`${name} sealed ${i}`) });
      });
    }
  }
  const onDisk = (text: string): boolean => readdirSync(home).filter((file) => file.startsWith('strongroom.db') && !file.endsWith('-shm')).some((file) => readFileSync(join(home, file)).includes(text));

  it('is done in pieces: others commit between them, and lose nothing', async () => {
    await fill(place.account, many, 'mine');
    await fill(theirs, 700, 'theirs');
    expect(onDisk('mine sealed 2999')).toBe(true);
    let done = false;
    const purged = store.purge(place.account).finally(() => { done = true; });
    let between = 0;
    for (; !done; between += 1) await store.tx(async (tx) => { tx.insert<Thing>('key', { id: `new/${between}`, account: theirs, region: 'us-east-1', body: { name: 'new' } }); });
    expect(await purged).toBe(many);
    // Seven pieces and more of the first walk, and as many of the second, which finds nothing.
    expect(between).toBeGreaterThan(7);
    expect((await store.list('key', { index: 'key.place', equals: [place.account, place.region], limit: 10 })).rows).toEqual([]);
    expect(store.peek('key', `${place.account}/5`)).toBeUndefined();
    expect(onDisk('mine sealed')).toBe(false);
    let left = 0;
    for (let after: string | undefined; ;) {
      const page = await store.list<Thing>('key', { index: 'key.place', equals: [theirs, place.region], limit: 1000, ...(after === undefined ? {} : { after }) });
      left += page.rows.length;
      after = page.next;
      if (after === undefined) break;
    }
    expect(left).toBe(700 + between);
  });

  it('takes what comes behind the walk, and goes on after it was cut short', async () => {
    await fill(place.account, 1_200, 'mine');
    const purged = store.purge(place.account);
    // Lies before everything: the walk has passed it.
    await store.tx(async (tx) => { tx.insert<Thing>('alias', { id: 'late', ...place, body: { name: 'late' } }); });
    expect(await purged).toBe(1_201);
    await fill(place.account, 1_200, 'mine');
    const cut = store.purge(place.account).catch((error: unknown) => error);
    await store.close();
    expect(await cut).toMatchObject({ code: 'Closed' });
    store = await open();
    await store.purge(place.account);
    expect((await store.list('key', { index: 'key.place', equals: [place.account, place.region], limit: 10 })).rows).toEqual([]);
    expect(onDisk('mine sealed')).toBe(false);
  });
});
