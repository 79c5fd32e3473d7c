/** The store on one SQLite file: this process's own, with one writer thread and verified records in memory. */
import Database from 'better-sqlite3';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Core } from '../hsm/core.ts';
import { RecordCache } from './cache.ts';
import { Chain, tallyTable } from './chain.ts';
import { GroupCommit } from './commit.ts';
import type { Piece } from './commit.ts';
import { readCounts } from './counts.ts';
import { lockHome } from './lock.ts';
import type { HomeLock } from './lock.ts';
import { cursorFrom, cursorOf, equalsText, freeze, indexKeys, macBody, requireId, rowFrom } from './records.ts';
import type { IndexKey, StoredRecord } from './records.ts';
import { indexes, StoreError } from './store.ts';
import type { AuditHead, ChainPage, AuditRow, EventQuery, IndexName, NewAuditRow, NewRow, Page, Query, Row, Store, Table, Tally, Tx } from './store.ts';
import { TrailReader } from './trail.ts';
import { randomUuid } from './uuid.ts';
import type { Ceiling, Condition, DeleteRecord, Place, PutRecord, WireWrite } from './wire.ts';

/** What the store needs of the core. */
export type RecordMac = Pick<Core, 'recordMac' | 'recordCheck' | 'sha256'>;

export interface SqliteOptions {
  readonly home: string;
  readonly core: RecordMac;
  /** Milliseconds since the epoch. Default: the system's clock. */
  readonly clock?: () => number;
  /** Bytes of verified records kept in memory. */
  readonly cacheBytes?: number;
  /** Largest size of the database in bytes; default: the disk's. */
  readonly ceiling?: number;
}

const defaultCacheBytes = 256 * 1024 * 1024;
const longestPage = 1000;
const attempts = 10;
/** Before every record. */
const firstPlace: Place = ['', ''];
const nothing = (): void => undefined;
const newShard = (): string => `shard-${randomUuid().slice(0, 8)}`;

/** Its header authenticates itself and is what opens the core, so it cannot carry the core's MAC. */
const bare: Table = 'root';

export async function openSqlite(options: SqliteOptions): Promise<SqliteStore> {
  mkdirSync(options.home, { recursive: true, mode: 0o700 });
  const lock = lockHome(options.home);
  try {
    return await SqliteStore.start(options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

export class SqliteStore implements Store {
  readonly #core: RecordMac;
  readonly #clock: () => number;
  readonly #lock: HomeLock;
  readonly #db: Database.Database;
  readonly #cache: RecordCache;
  readonly #trail: TrailReader;
  readonly #writer: GroupCommit;
  readonly #get;
  readonly #list;
  readonly #head;
  readonly #tallies;
  #losers: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(options: SqliteOptions, lock: HomeLock, db: Database.Database, writer: GroupCommit) {
    this.#core = options.core;
    this.#clock = options.clock ?? Date.now;
    this.#lock = lock;
    this.#db = db;
    this.#cache = new RecordCache(options.cacheBytes ?? defaultCacheBytes);
    this.#get = db.prepare<[string, string], StoredRecord>('SELECT * FROM record WHERE tab = ? AND id = ?');
    this.#list = db.prepare<[string, string, string, string, string, number], StoredRecord & { ord: string; entry: string }>(
      `SELECT i.ord AS ord, i.id AS entry, r.* FROM record_index i LEFT JOIN record r ON r.tab = ? AND r.id = i.id
       WHERE i.name = ? AND i.equals = ? AND (i.ord, i.id) > (?, ?) ORDER BY i.ord, i.id LIMIT ?`);
    this.#head = db.prepare<[string], AuditHead>('SELECT shard, seq, hash, mac FROM audit_head WHERE shard = ?');
    this.#tallies = db.prepare<[string, number, number], { first_seq: number; counts: Buffer; mac: Buffer }>('SELECT first_seq, CAST(counts AS BLOB) AS counts, CAST(mac AS BLOB) AS mac FROM audit_usage WHERE shard = ? AND first_seq >= ? ORDER BY first_seq LIMIT ?');
    this.#trail = new TrailReader(db);
    const shard = this.#trail.shards()[0] ?? newShard();
    this.#writer = writer;
    writer.follow(new Chain(options.core, shard, this.#head.get(shard)));
  }

  static async start(options: SqliteOptions, lock: HomeLock): Promise<SqliteStore> {
    const path = join(options.home, 'strongroom.db');
    // Made here, because SQLite gives the files beside it the mode that it finds.
    closeSync(openSync(path, 'a', 0o600));
    const writer = await GroupCommit.start(options.ceiling === undefined ? { path } : { path, ceiling: options.ceiling });
    try {
      const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 5_000 });
      db.pragma('cache_size = -65536');
      return new SqliteStore(options, lock, db, writer);
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  now(): number {
    return this.#clock();
  }

  peek<T>(table: Table, id: string): Row<T> | undefined {
    return this.#cache.get(table, id) as Row<T> | undefined;
  }

  async get<T>(table: Table, id: string): Promise<Row<T> | undefined> {
    return this.#find<T>(table, id);
  }

  async list<T>(table: Table, query: Query): Promise<Page<T>> {
    this.#requireOpen();
    const index = indexes[query.index];
    if (index.table !== table || index.equals.length !== query.equals.length) throw new TypeError(`index ${query.index} does not answer this query of ${table}`);
    const limit = Math.max(1, Math.min(query.limit, longestPage));
    const start = query.after === undefined ? { order: '', id: '' } : cursorFrom(query.after);
    if (start === undefined) throw new TypeError('the cursor is not one that list gave');
    const equals = equalsText(query.equals);
    const found = this.#list.all(table, query.index, equals, start.order, start.id, limit + 1);
    const rows = found.slice(0, limit).map((record) => this.#listed<T>(table, query.index, equals, record));
    const last = found[limit - 1];
    return found.length > limit && last !== undefined ? { rows, next: cursorOf(last.ord, last.entry) } : { rows };
  }

  /**
   * The first attempt runs beside all others. Whoever lost a race runs again alone among the losers, on
   * what the last commit left, and goes first in the next one: so many writers of one record all get
   * through, one a commit.
   */
  async tx<R>(fn: (tx: Tx) => Promise<R>): Promise<R> {
    this.#requireOpen();
    const tx = new Collector(this);
    const result = await fn(tx);
    if (await this.#commit(tx, false)) return result;
    const retry = this.#losers.then(() => this.#again(fn));
    this.#losers = retry.then(nothing, nothing);
    return await retry;
  }

  append(events: readonly NewAuditRow[]): Promise<void> {
    return this.#writer.append(events);
  }

  async purge(account: string): Promise<number> {
    // Again until nothing is found: what was under way when the account was closed may have come behind the walk.
    let all = 0;
    for (let found = -1; found !== 0; all += found) found = await this.#purgeOnce(account);
    return all;
  }

  async #purgeOnce(account: string): Promise<number> {
    let count = 0;
    for (let place: Place | undefined = firstPlace; place !== undefined;) {
      this.#requireOpen();
      const piece: Piece = await this.#writer.purge(account, place);
      for (const [table, id] of piece.gone) this.#cache.delete(table as Table, id);
      count += piece.gone.length;
      place = piece.next;
    }
    return count;
  }

  async chain(shard: string, from: number, limit: number): Promise<ChainPage> {
    this.#requireOpen();
    return this.#trail.chain(shard, from, limit);
  }

  async tallies(shard: string, from: number, limit: number): Promise<readonly Tally[]> {
    this.#requireOpen();
    return this.#tallies.all(shard, from, limit).filter(({ first_seq: first, counts, mac }) => this.#core.recordCheck(tallyTable, shard, first, counts, mac)).map(({ first_seq: first, counts }) => readCounts(first, counts));
  }

  async shards(): Promise<readonly string[]> {
    this.#requireOpen();
    return this.#trail.shards();
  }

  async head(shard: string): Promise<AuditHead | undefined> {
    this.#requireOpen();
    return this.#head.get(shard);
  }

  async events(query: EventQuery): Promise<{ readonly rows: readonly AuditRow[]; readonly next?: string }> {
    await this.#writer.index();
    return this.#trail.events(query);
  }

  /** Takes everything away but the root's record and the audit key: records, and the trail. For doubles in tests; who holds rows must forget them. */
  async wipe(): Promise<void> {
    this.#requireOpen();
    await this.#writer.wipe(new Chain(this.#core, newShard(), undefined));
    this.#cache.clear();
  }

  /** Waits for what is under way, then lets go of the home. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writer.close();
    this.#db.close();
    this.#cache.clear();
    this.#lock.release();
  }

  #requireOpen(): void {
    if (this.#closed) throw new StoreError('Closed', 'the store is closed');
  }

  #find<T>(table: Table, id: string): Row<T> | undefined {
    const cached = this.#cache.get(table, id);
    if (cached !== undefined) return cached as Row<T>;
    this.#requireOpen();
    const record = this.#get.get(table, id);
    return record === undefined ? undefined : this.#checked<T>(record);
  }

  /** The index only says where to look: what it says has to be what the verified record says. */
  #listed<T>(table: Table, index: string, equals: string, record: StoredRecord & { ord: string; entry: string }): Row<T> {
    if (record.id === null) throw new StoreError('Integrity', `${table} ${record.entry} was taken out of the store`);
    const cached = this.#cache.get(table, record.id);
    const row = cached?.version === record.version && cached.createdMs === record.created_ms ? (cached as Row<T>) : this.#checked<T>(record);
    const held = indexKeys(table, row.account, row.region, row.body).some(([name, values, order]) => name === index && values === equals && order === record.ord);
    if (!held) throw new StoreError('Integrity', `the index ${index} lists ${table} ${record.id} where it does not belong`);
    return row;
  }

  #checked<T>(record: StoredRecord): Row<T> {
    const table = record.tab as Table;
    if (table !== bare && !this.#core.recordCheck(table, record.id, record.version, this.#covered(record), record.mac)) {
      throw new StoreError('Integrity', `${table} ${record.id} was altered in the store`);
    }
    const row = rowFrom<T>(record);
    if (table !== bare) this.#cache.set(row, record.body.length + (record.sealed?.length ?? 0));
    return row;
  }

  #covered(record: Pick<StoredRecord, 'account' | 'region' | 'created_ms' | 'updated_ms' | 'body'> & { readonly sealed: Uint8Array | null }): Buffer {
    const digest = record.sealed === null ? undefined : this.#core.sha256(record.sealed);
    return macBody(record.account, record.region, record.created_ms, record.updated_ms, digest, record.body);
  }

  async #again<R>(fn: (tx: Tx) => Promise<R>): Promise<R> {
    for (let attempt = 2; ; attempt++) {
      await this.#writer.landed();
      this.#requireOpen();
      const tx = new Collector(this);
      const result = await fn(tx);
      if (await this.#commit(tx, true)) return result;
      if (attempt === attempts) throw new StoreError('Conflict', `the transaction lost ${attempts} races: ${tx.subject}`);
    }
  }

  /** False: somebody was faster. */
  async #commit(tx: Collector, first: boolean): Promise<boolean> {
    const { conditions, ceilings, writes } = tx;
    if (writes.length === 0) return true;
    const now = this.now();
    const records = writes.map((write) => this.#prepare(write, now));
    const outcome = await this.#writer.commit({ conditions, ceilings, writes: records.map((record) => record.wire) }, first);
    if (outcome?.code === 'Conflict') {
      // The copies that misled it may be those in memory.
      for (const [table, id] of conditions) this.#cache.delete(table as Table, id);
      for (const write of writes) this.#cache.delete(write.table, write.id);
      return false;
    }
    if (outcome !== undefined) throw new StoreError(outcome.code, outcome.message);
    for (const record of records) {
      if (record.row === undefined) this.#cache.delete(record.wire.table as Table, record.wire.id);
      else if (record.row.table !== bare) this.#cache.set(record.row, record.size);
    }
    return true;
  }

  #prepare(write: PendingWrite, now: number): { readonly wire: WireWrite; readonly row?: Row<unknown>; readonly size: number } {
    const { table, id, old } = write;
    const leave = old === undefined ? [] : indexKeys(table, old.account, old.region, old.body);
    if (write.kind === 'delete') {
      const wire: DeleteRecord = { kind: 'delete', table, id, version: old!.version, createdMs: old!.createdMs, leave };
      return { wire, size: 0 };
    }
    const text = JSON.stringify(write.body);
    if (text === undefined) throw new TypeError(`the body of ${table} ${id} is not plain data`);
    const body = Buffer.from(new TextEncoder().encode(text).buffer);
    const row = freeze({
      table, id, account: write.account, region: write.region,
      version: (old?.version ?? 0) + 1, createdMs: old?.createdMs ?? now, updatedMs: now,
      body: JSON.parse(text) as unknown,
    });
    const sealed = write.sealed === undefined ? null : Uint8Array.from(write.sealed);
    const mac = table === bare ? Buffer.alloc(0)
      : this.#core.recordMac(table, id, row.version, this.#covered({ account: row.account, region: row.region, created_ms: row.createdMs, updated_ms: now, body, sealed }));
    const enter: readonly IndexKey[] = indexKeys(table, row.account, row.region, row.body);
    const wire: PutRecord = {
      kind: write.kind, table, id, account: row.account, region: row.region, version: row.version,
      createdMs: row.createdMs, updatedMs: now, body, sealed, mac: Uint8Array.from(mac), leave, enter,
    };
    const whole: Row<unknown> = sealed === null ? row : Object.freeze({ ...row, sealed: Buffer.from(sealed.buffer as ArrayBuffer) });
    return { wire, row: whole, size: body.length + (sealed?.length ?? 0) };
  }
}

interface PendingWrite {
  readonly kind: 'insert' | 'update' | 'delete';
  readonly table: Table;
  readonly id: string;
  readonly account: string;
  readonly region: string;
  readonly body: unknown;
  readonly sealed: Uint8Array | undefined;
  readonly old: Row<unknown> | undefined;
}

/** A transaction in the making: what it read, what it wants written. */
class Collector implements Tx {
  readonly #store: SqliteStore;
  readonly #read = new Map<string, Condition>();
  readonly writes: PendingWrite[] = [];
  readonly ceilings: Ceiling[] = [];

  constructor(store: SqliteStore) {
    this.#store = store;
  }

  get conditions(): readonly Condition[] {
    return [...this.#read.values()];
  }

  get subject(): string {
    return this.writes.map((write) => `${write.table} ${write.id}`).join(', ');
  }

  async get<T>(table: Table, id: string): Promise<Row<T> | undefined> {
    const row = this.#store.peek<T>(table, id) ?? (await this.#store.get<T>(table, id));
    const key = `${table} ${id}`;
    if (!this.#read.has(key)) this.#read.set(key, [table, id, row?.version ?? 0, row?.createdMs ?? 0]);
    return row;
  }

  list<T>(table: Table, query: Query): Promise<Page<T>> {
    return this.#store.list<T>(table, query);
  }

  insert<T>(table: Table, row: NewRow<T>): void {
    requireId(table, row.id);
    this.writes.push({ kind: 'insert', table, id: row.id, account: row.account, region: row.region, body: row.body, sealed: row.sealed, old: undefined });
  }

  update<T>(row: Row<T>, change: { readonly body?: T; readonly sealed?: Buffer | null }): void {
    const sealed = change.sealed === undefined ? row.sealed : (change.sealed ?? undefined);
    this.writes.push({ kind: 'update', table: row.table, id: row.id, account: row.account, region: row.region, body: change.body ?? row.body, sealed, old: row });
  }

  below(index: IndexName, equals: readonly string[], most: number): void {
    this.ceilings.push([index, equalsText(equals), most]);
  }

  delete(row: Row<unknown>): void {
    this.writes.push({ kind: 'delete', table: row.table, id: row.id, account: row.account, region: row.region, body: undefined, sealed: undefined, old: row });
  }
}
