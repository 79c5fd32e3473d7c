/**
 * The one writer, on a thread of its own, so that waiting for the disk never stops the event loop. A
 * batch is one SQLite transaction: everything that came while the last one was being synced. In it each
 * caller's transaction stands alone: one that lost a race is left out, its neighbours are not.
 */
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { indexKeys, indexSignature } from './records.ts';
import type { StoredRecord } from './records.ts';
import { migrations } from './migrations.ts';
import { TrailIndex } from './trail.ts';
import type { StoreErrorCode } from './store.ts';
import type { FromWriter, Outcome, Place, ToWriter, WireSegment, WireHead, WireTally, WireTx, WireWrite, WriterOptions } from './wire.ts';

/** After this long without a batch the trail's look-up index catches up, a step at a time. */
const idleMs = 300;
/** Busy or not, an index this old catches up a step now and then. */
const staleMs = 60_000;
const stepMs = 250;
const stepEvents = 2_000;
/** Records a piece of a purge looks at: some milliseconds. */
const pieceRecords = 500;

class Writer {
  readonly #db: Database.Database;
  readonly #trail: TrailIndex;
  readonly #version;
  readonly #insert;
  readonly #update;
  readonly #delete;
  readonly #enter;
  readonly #leave;
  readonly #count;
  readonly #segment;
  readonly #head;
  readonly #tally;
  readonly #begin;
  readonly #commit;
  readonly #save;
  readonly #release;
  #idle: NodeJS.Timeout | undefined;
  /** When the index was last complete, and when it last made a step. */
  #completeAt = Date.now();
  #steppedAt = 0;

  constructor(options: WriterOptions) {
    this.#db = new Database(options.path, { timeout: 5_000 });
    const db = this.#db;
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    // What is deleted is overwritten: a key that was shredded is not to be found in the file.
    db.pragma('secure_delete = ON');
    db.pragma('wal_autocheckpoint = 4000');
    if (options.ceiling !== undefined) db.pragma(`max_page_count = ${Math.floor(options.ceiling / 4096)}`);
    migrate(db);
    this.#version = db.prepare<[string, string], { version: number; created_ms: number }>('SELECT version, created_ms FROM record WHERE tab = ? AND id = ?');
    this.#insert = db.prepare('INSERT INTO record (tab, id, account, region, version, created_ms, updated_ms, body, sealed, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#update = db.prepare('UPDATE record SET version = ?, updated_ms = ?, body = ?, sealed = ?, mac = ? WHERE tab = ? AND id = ? AND version = ? AND created_ms = ?');
    this.#delete = db.prepare('DELETE FROM record WHERE tab = ? AND id = ? AND version = ? AND created_ms = ?');
    this.#enter = db.prepare('INSERT INTO record_index (name, equals, ord, id) VALUES (?, ?, ?, ?)');
    this.#leave = db.prepare('DELETE FROM record_index WHERE name = ? AND equals = ? AND ord = ? AND id = ?');
    this.#count = db.prepare<[string, string, number], { n: number }>('SELECT count(*) AS n FROM (SELECT 1 FROM record_index WHERE name = ? AND equals = ? LIMIT ?)');
    this.#segment = db.prepare('INSERT INTO audit_segment (shard, first_seq, count, links) VALUES (?, ?, ?, ?)');
    this.#tally = db.prepare('INSERT INTO audit_usage (shard, first_seq, counts, mac) VALUES (?, ?, ?, ?)');
    this.#head = db.prepare('INSERT INTO audit_head (shard, seq, hash, mac) VALUES (?, ?, ?, ?) ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac');
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#save = db.prepare('SAVEPOINT tx');
    this.#release = db.prepare('RELEASE tx');
    this.#trail = new TrailIndex(db);
    reindex(db);
  }

  commit(txs: readonly WireTx[], segments: readonly WireSegment[], tally: WireTally | undefined, head: WireHead | undefined): FromWriter {
    let outcomes: Outcome[];
    try {
      this.#begin.run();
      outcomes = txs.map((tx) => this.#apply(tx));
      for (const segment of segments) this.#segment.run(segment.shard, segment.first, segment.count, segment.links);
      if (tally !== undefined) this.#tally.run(tally.shard, tally.first, tally.counts, tally.mac);
      if (head !== undefined) this.#head.run(head.shard, head.seq, head.hash, head.mac);
    } catch (error) {
      this.#rollBack();
      return { kind: 'committed', outcomes: [], failure: outcomeOf(error), broken: false };
    }
    try {
      this.#commit.run();
    } catch (error) {
      this.#rollBack();
      const failure = outcomeOf(error);
      // A sync that failed says nothing about what a restart will find: stop here, let the restart tell.
      return { kind: 'committed', outcomes: [], failure, broken: failure.code === 'Io' };
    }
    this.#rest();
    return { kind: 'committed', outcomes, broken: false };
  }

  /** Brings the whole trail into its look-up index. */
  index(): void {
    while (this.#trail.step(stepEvents)) { /* until nothing is left */ }
    this.#completeAt = Date.now();
  }

  /**
   * A piece of the walk through the table: so many records are looked at, and the account's among them go, all or none.
   * Others' commits come between two pieces. Before the walk and after it the log that still holds old pages is emptied:
   * first what was shredded before, then what the walk took away.
   */
  purge(account: string, after: Place): FromWriter {
    const [table, id] = after;
    if (table === '') this.#db.pragma('wal_checkpoint(TRUNCATE)');
    const passed = this.#db.prepare<[string, string, number], { tab: string; id: string; account: string }>('SELECT tab, id, account FROM record WHERE (tab, id) > (?, ?) ORDER BY tab, id LIMIT ?').all(table, id, pieceRecords);
    const gone = passed.filter((row) => row.account === account && row.tab !== 'root' && row.tab !== 'account' && !isUsage(row));
    const find = this.#db.prepare<[string, string], StoredRecord>('SELECT * FROM record WHERE tab = ? AND id = ?');
    const remove = this.#db.prepare<[string, string]>('DELETE FROM record WHERE tab = ? AND id = ?');
    this.#db.transaction(() => {
      for (const place of gone) {
        const row = find.get(place.tab, place.id);
        if (row === undefined) continue;
        for (const [name, equals, order] of indexKeys(row.tab, row.account, row.region, JSON.parse(row.body.toString('utf8')))) this.#leave.run(name, equals, order, row.id);
        remove.run(row.tab, row.id);
      }
    }).immediate();
    const last = passed[pieceRecords - 1];
    if (last === undefined) this.#db.pragma('wal_checkpoint(TRUNCATE)');
    return { kind: 'purged', gone: gone.map((row): Place => [row.tab, row.id]), ...(last === undefined ? {} : { next: [last.tab, last.id] }) };
  }

  /** All records but the root's and the audit key's, and the trail with its index. */
  wipe(): void {
    const kept = "id IN ('audit-partition', 'audit-key')";
    this.#db.transaction(() => {
      this.#db.exec(`DELETE FROM record WHERE tab <> 'root' AND NOT (tab = 'setting' AND ${kept})`);
      this.#db.exec(`DELETE FROM record_index WHERE NOT (name = 'setting.kind' AND ${kept})`);
      for (const table of ['audit_segment', 'audit_usage', 'audit_head', 'audit_scope', 'audit_posting', 'audit_mark']) this.#db.exec(`DELETE FROM ${table}`);
    }).immediate();
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#db.pragma('wal_checkpoint(TRUNCATE)');
    this.#db.close();
  }

  #apply(tx: WireTx): Outcome {
    for (const [table, id, version, createdMs] of tx.conditions) {
      const now = this.#version.get(table, id);
      if ((now?.version ?? 0) !== version || (now !== undefined && now.created_ms !== createdMs)) return { code: 'Conflict', message: `${table} ${id} has changed` };
    }
    for (const [name, equals, most] of tx.ceilings) {
      if ((this.#count.get(name, equals, most)?.n ?? 0) >= most) return { code: 'Ceiling', message: `${name} ${equals} has ${most} already` };
    }
    if (tx.writes.length === 0) return undefined;
    this.#save.run();
    for (const write of tx.writes) {
      const outcome = this.#write(write);
      if (outcome !== undefined) {
        this.#db.exec('ROLLBACK TO tx; RELEASE tx');
        return outcome;
      }
    }
    this.#release.run();
    return undefined;
  }

  #write(write: WireWrite): Outcome {
    const { table, id } = write;
    for (const [name, equals, order] of write.leave) this.#leave.run(name, equals, order, id);
    if (write.kind === 'delete') {
      return this.#delete.run(table, id, write.version, write.createdMs).changes === 1 ? undefined : { code: 'Conflict', message: `${table} ${id} has changed` };
    }
    if (write.kind === 'insert') {
      if (this.#version.get(table, id) !== undefined) return { code: 'Exists', message: `${table} ${id} exists` };
      this.#insert.run(table, id, write.account, write.region, write.version, write.createdMs, write.updatedMs, write.body, write.sealed, write.mac);
    } else if (this.#update.run(write.version, write.updatedMs, write.body, write.sealed, write.mac, table, id, write.version - 1, write.createdMs).changes !== 1) {
      return { code: 'Conflict', message: `${table} ${id} has changed` };
    }
    for (const [name, equals, order] of write.enter) this.#enter.run(name, equals, order, id);
    return undefined;
  }

  #rollBack(): void {
    // SQLite has rolled back by itself after some failures.
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
  }

  #rest(): void {
    const now = Date.now();
    if (now - this.#completeAt > staleMs && now - this.#steppedAt > stepMs) this.#step(now);
    if (this.#idle === undefined) this.#idle = setTimeout(() => { this.#catchUp(); }, idleMs).unref();
    else this.#idle.refresh();
  }

  #catchUp(): void {
    if (this.#step(Date.now())) this.#idle?.refresh();
  }

  /** The index can be made again from the trail at any time: a failure here loses nothing and stops nobody. */
  #step(now: number): boolean {
    this.#steppedAt = now;
    try {
      if (this.#trail.step(stepEvents)) return true;
      this.#completeAt = now;
    } catch {
      // said when somebody looks events up
    }
    return false;
  }
}

/** What an account used outlives it, as the trail does: it says nothing that the trail does not. */
const isUsage = ({ tab, id }: { readonly tab: string; readonly id: string }): boolean => tab === 'counter' && id.startsWith('usage/');

function migrate(db: Database.Database): void {
  db.exec('CREATE TABLE IF NOT EXISTS migration (step BIGINT NOT NULL PRIMARY KEY, statement TEXT NOT NULL) WITHOUT ROWID');
  const done = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM migration').get()?.n ?? 0;
  for (const [step, statement] of migrations.entries()) {
    if (step < done) continue;
    db.transaction(() => {
      db.exec(statement);
      db.prepare('INSERT INTO migration (step, statement) VALUES (?, ?)').run(step, statement);
    })();
  }
}

/** Makes the record index anew where the declared indexes are not those it was made by. */
function reindex(db: Database.Database): void {
  const made = db.prepare<[], { value: string }>("SELECT value FROM fact WHERE name = 'indexes'").get()?.value;
  if (made === indexSignature) return;
  db.transaction(() => {
    db.exec('DELETE FROM record_index');
    const enter = db.prepare('INSERT INTO record_index (name, equals, ord, id) VALUES (?, ?, ?, ?)');
    const page = db.prepare<[string, string], { tab: string; id: string; account: string; region: string; body: Buffer }>(
      'SELECT tab, id, account, region, body FROM record WHERE (tab, id) > (?, ?) ORDER BY tab, id LIMIT 1000');
    let rows = page.all('', '');
    while (rows.length > 0) {
      for (const row of rows) {
        for (const [name, equals, order] of indexKeys(row.tab, row.account, row.region, JSON.parse(row.body.toString('utf8')))) enter.run(name, equals, order, row.id);
      }
      const last = rows[rows.length - 1];
      rows = last === undefined ? [] : page.all(last.tab, last.id);
    }
    db.prepare("INSERT INTO fact (name, value) VALUES ('indexes', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value").run(indexSignature);
  })();
}

function outcomeOf(error: unknown): { readonly code: StoreErrorCode; readonly message: string } {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Database.SqliteError ? error.code : '';
  if (code === 'SQLITE_FULL') return { code: 'Full', message: 'there is no space left for the database' };
  if (code.startsWith('SQLITE_BUSY')) return { code: 'Busy', message: 'another process has locked the database' };
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return { code: 'Integrity', message: `the database file is damaged: ${message}` };
  return { code: 'Io', message };
}

function serve(): void {
  const port = parentPort;
  if (port === null) throw new Error('the writer runs in a worker thread');
  const say = (message: FromWriter): void => { port.postMessage(message); };
  let writer: Writer;
  try {
    writer = new Writer(workerData as WriterOptions);
  } catch (error) {
    say({ kind: 'refused', ...outcomeOf(error) });
    return;
  }
  port.on('message', (message: ToWriter) => {
    if (message.kind === 'commit') {
      say(writer.commit(message.txs, message.segments, message.tally, message.head));
    } else if (message.kind === 'purge') {
      try {
        say(writer.purge(message.account, message.after));
      } catch (error) {
        say({ kind: 'purged', gone: [], failure: outcomeOf(error) });
      }
    } else if (message.kind === 'wipe') {
      try {
        writer.wipe();
        say({ kind: 'wiped' });
      } catch (error) {
        say({ kind: 'wiped', failure: outcomeOf(error) });
      }
    } else if (message.kind === 'index') {
      try {
        writer.index();
        say({ kind: 'indexed' });
      } catch (error) {
        say({ kind: 'indexed', failure: outcomeOf(error) });
      }
    } else {
      try {
        writer.close();
      } finally {
        say({ kind: 'closed' });
        port.close();
      }
    }
  });
  say({ kind: 'ready' });
}

serve();
