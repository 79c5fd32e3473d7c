/**
 * Looking events up. The trail itself is written as whole segments, because that is what a request has
 * to wait for; the index over it is made from it afterwards, on the writer's thread when it is idle, and
 * completed before a look-up is answered. It holds nothing that the trail does not.
 */
import type Database from 'better-sqlite3';
import { fullChunk, packEntries, readEntries } from './posting.ts';
import type { Entry } from './posting.ts';
import { readSegment } from './segment.ts';
import type { AuditRow, ChainPage, EventQuery } from './store.ts';
import { timeOfUuid } from './uuid.ts';

/** Attributes by which events are looked up, beside time and id; the names are CloudTrail's. */
type Attribute = NonNullable<EventQuery['attribute']>['key'];

/** What the index takes out of an event. */
interface Indexed {
  readonly eventID?: string;
  readonly eventName?: string;
  readonly eventSource?: string;
  readonly readOnly?: boolean;
  readonly awsRegion?: string;
  readonly recipientAccountId?: string;
  readonly userIdentity?: { readonly type?: string; readonly userName?: string; readonly principalId?: string; readonly accessKeyId?: string };
  readonly resources?: readonly { readonly ARN?: string; readonly type?: string }[];
}

/** The name under which CloudTrail finds a caller: the user's, or the session's of an assumed role. */
export function usernameOf(identity: Indexed['userIdentity']): string | undefined {
  if (identity === undefined) return undefined;
  if (identity.type === 'Root') return 'root';
  const session = identity.principalId?.split(':')[1];
  return identity.userName ?? session;
}

export function scopeName(account: string, region: string, key: Attribute | '', value: string): string {
  return JSON.stringify([account, region, key, value]);
}

function scopesOf(event: Indexed): Set<string> {
  const account = event.recipientAccountId ?? '';
  const region = event.awsRegion ?? '';
  const scopes = new Set([scopeName(account, region, '', '')]);
  const add = (key: Attribute, value: string | undefined): void => {
    if (value !== undefined) scopes.add(scopeName(account, region, key, value));
  };
  add('EventName', event.eventName);
  add('EventSource', event.eventSource);
  add('ReadOnly', event.readOnly === undefined ? undefined : String(event.readOnly));
  add('Username', usernameOf(event.userIdentity));
  add('AccessKeyId', event.userIdentity?.accessKeyId);
  for (const resource of event.resources ?? []) {
    add('ResourceName', resource.ARN);
    add('ResourceType', resource.type);
  }
  return scopes;
}

/** The writer's side. */
export class TrailIndex {
  readonly #db: Database.Database;
  readonly #behind;
  readonly #segments;
  readonly #scope;
  readonly #newScope;
  readonly #last;
  readonly #put;
  readonly #lower;
  readonly #mark;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#behind = db.prepare<[], { shard: string; seq: number }>(
      'SELECT h.shard AS shard, coalesce(m.seq, 0) AS seq FROM audit_head h LEFT JOIN audit_mark m ON m.shard = h.shard WHERE h.seq > coalesce(m.seq, 0) ORDER BY h.shard LIMIT 1');
    this.#segments = db.prepare<[string, number], { first_seq: number; count: number; links: Buffer }>(
      'SELECT first_seq, count, links FROM audit_segment WHERE shard = ? AND first_seq > ? ORDER BY first_seq LIMIT 500');
    this.#scope = db.prepare<[string], { scope: number }>('SELECT scope FROM audit_scope WHERE name = ?');
    this.#newScope = db.prepare<[string]>('INSERT INTO audit_scope (name) VALUES (?)');
    this.#last = db.prepare<[number | bigint, string], { first_seq: number; low_ms: number; high_ms: number; entries: Buffer }>(
      'SELECT first_seq, low_ms, high_ms, entries FROM audit_posting WHERE scope = ? AND shard = ? ORDER BY first_seq DESC LIMIT 1');
    this.#put = db.prepare('INSERT OR REPLACE INTO audit_posting (scope, shard, first_seq, low_ms, high_ms, entries) VALUES (?, ?, ?, ?, ?, ?)');
    this.#lower = db.prepare('UPDATE audit_posting SET low_ms = ? WHERE scope = ? AND shard = ? AND low_ms > ?');
    this.#mark = db.prepare('INSERT INTO audit_mark (shard, seq) VALUES (?, ?) ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq');
  }

  /** Indexes whole segments until about `events` are done; answers whether more wait. */
  step(events: number): boolean {
    const behind = this.#behind.get();
    if (behind === undefined) return false;
    return this.#db.transaction(() => this.#stepShard(behind.shard, behind.seq, events))();
  }

  #stepShard(shard: string, seq: number, events: number): boolean {
    const fresh = new Map<string, Entry[]>();
    let done = 0;
    let last = seq;
    for (const segment of this.#segments.iterate(shard, seq)) {
      for (const row of readSegment(shard, segment.links)) gather(fresh, row);
      last = segment.first_seq + segment.count - 1;
      done += segment.count;
      if (done >= events) break;
    }
    // A chain that was cut has nothing where its head says there is something: verify names it.
    if (done === 0) return false;
    for (const [name, entries] of fresh) this.#append(name, shard, entries);
    this.#mark.run(shard, last);
    return true;
  }

  /**
   * `low_ms` is the earliest time in a chunk and all behind it, `high_ms` the latest in it and all before
   * it: so both only grow along a chain, whatever clocks did, and a range of time is found in one step.
   */
  #append(name: string, shard: string, fresh: readonly Entry[]): void {
    const scope = this.#scope.get(name)?.scope ?? this.#newScope.run(name).lastInsertRowid;
    const last = this.#last.get(scope, shard);
    const known = last === undefined ? [] : readEntries(last.entries);
    const entries = known.length < fullChunk ? [...known, ...fresh] : fresh;
    let high = last?.high_ms ?? 0;
    for (let at = 0; at < entries.length; at += fullChunk) {
      const chunk = entries.slice(at, at + fullChunk);
      const times = chunk.map((entry) => entry.timeMs);
      const low = Math.min(...times);
      high = Math.max(high, ...times);
      this.#put.run(scope, shard, chunk[0]?.seq, low, high, packEntries(chunk));
      // Only where a clock was set back does anything lie above.
      this.#lower.run(low, scope, shard, low);
    }
  }
}

function gather(fresh: Map<string, Entry[]>, row: AuditRow): void {
  const event = eventOf(row.body);
  if (event === undefined) return;
  for (const scope of scopesOf(event)) {
    const entries = fresh.get(scope);
    if (entries === undefined) fresh.set(scope, [row]);
    else entries.push(row);
  }
}

/** undefined: an altered link that is no event any more. It is no look-up's business, verify names it. */
function eventOf(body: string): Indexed | undefined {
  try {
    const event: unknown = JSON.parse(body);
    return typeof event === 'object' && event !== null ? event : undefined;
  } catch {
    return undefined;
  }
}

/** Where a look-up goes on in each chain: below this number. */
type Places = Readonly<Record<string, number>>;

const beyond = 2 ** 47;

/** The reader's side: newest first, a page at a time, each page as quick as the first. */
export class TrailReader {
  readonly #scope;
  readonly #chunks;
  readonly #newest;
  readonly #segment;
  readonly #segmentAt;
  readonly #chain;
  readonly #shards;

  constructor(db: Database.Database) {
    this.#scope = db.prepare<[string], { scope: number }>('SELECT scope FROM audit_scope WHERE name = ?');
    this.#chunks = db.prepare<[number, string, number], { high_ms: number; entries: Buffer }>(
      'SELECT high_ms, entries FROM audit_posting WHERE scope = ? AND shard = ? AND first_seq <= ? ORDER BY first_seq DESC');
    this.#newest = db.prepare<[number, string, number], { first_seq: number }>(
      'SELECT first_seq FROM audit_posting WHERE scope = ? AND shard = ? AND low_ms <= ? ORDER BY low_ms DESC, first_seq DESC LIMIT 1');
    this.#segment = db.prepare<[string, number], { first_seq: number; count: number; links: Buffer }>('SELECT first_seq, count, links FROM audit_segment WHERE shard = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT 1');
    this.#segmentAt = db.prepare<[string, number], { first_seq: number }>('SELECT first_seq FROM audit_segment WHERE shard = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT 1');
    this.#chain = db.prepare<[string, number, number], { first_seq: number; links: Buffer }>(
      'SELECT first_seq, links FROM audit_segment WHERE shard = ? AND first_seq >= ? ORDER BY first_seq LIMIT ?');
    // A step a shard: DISTINCT would read every segment's name.
    this.#shards = db.prepare<[], { shard: string }>(
      `WITH RECURSIVE written (shard) AS (
         SELECT min(shard) FROM audit_segment
         UNION ALL SELECT (SELECT min(s.shard) FROM audit_segment s WHERE s.shard > written.shard) FROM written WHERE written.shard IS NOT NULL)
       SELECT shard FROM written WHERE shard IS NOT NULL UNION SELECT shard FROM audit_head`);
  }

  shards(): string[] {
    return this.#shards.all().map((row) => row.shard);
  }

  events(query: EventQuery): { readonly rows: readonly AuditRow[]; readonly next?: string } {
    if (query.attribute?.key === 'EventId') return { rows: this.#byId(query, query.attribute.value) };
    const scope = this.#scope.get(scopeName(query.account, query.region, query.attribute?.key ?? '', query.attribute?.value ?? ''))?.scope;
    if (scope === undefined) return { rows: [] };
    const limit = Math.max(1, Math.min(query.limit, 1000));
    const places = placesFrom(query.after);
    const found = merged(this.shards().map((shard) => ({ shard, entries: this.#entries(scope, shard, places[shard] ?? beyond, query, limit + 1) })), limit + 1);
    const shown = found.slice(0, limit);
    const rows = this.#links(shown);
    if (found.length <= limit) return { rows };
    const next: Record<string, number> = { ...places };
    for (const { shard, entry } of shown) next[shard] = Math.min(next[shard] ?? beyond, entry.seq);
    return { rows, next: placesText(next) };
  }

  /** Goes by the segments' own numbers, so that no altered link leads the reader astray. */
  chain(shard: string, from: number, limit: number): ChainPage {
    const rows: AuditRow[] = [];
    let at = this.#segmentAt.get(shard, from)?.first_seq ?? from;
    for (;;) {
      const segments = this.#chain.all(shard, at, 20);
      for (const segment of segments) {
        if (rows.length >= limit) return { rows, next: segment.first_seq };
        for (const row of readSegment(shard, segment.links)) if (segment.first_seq >= from || row.seq >= from) rows.push(row);
        at = segment.first_seq + 1;
      }
      if (segments.length < 20) return { rows };
    }
  }

  /** Newest first in chain order; a clock that was set back moves nothing. */
  #entries(scope: number, shard: string, below: number, query: EventQuery, limit: number): Entry[] {
    const { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER } = query;
    const newest = this.#newest.get(scope, shard, toMs);
    const found: Entry[] = [];
    if (newest === undefined) return found;
    for (const { high_ms: highMs, entries } of this.#chunks.iterate(scope, shard, Math.min(newest.first_seq, below - 1))) {
      if (highMs < fromMs) break;
      for (const entry of readEntries(entries).reverse()) {
        if (entry.seq >= below || entry.timeMs < fromMs || entry.timeMs > toMs) continue;
        found.push(entry);
        if (found.length === limit) return found;
      }
    }
    return found;
  }

  /** An event's id begins with its time. */
  #byId(query: EventQuery, id: string): AuditRow[] {
    const timeMs = timeOfUuid(id);
    if (timeMs === undefined || timeMs < (query.fromMs ?? 0) || timeMs > (query.toMs ?? Number.MAX_SAFE_INTEGER)) return [];
    const scope = this.#scope.get(scopeName(query.account, query.region, '', ''))?.scope;
    if (scope === undefined) return [];
    const moment: EventQuery = { account: query.account, region: query.region, fromMs: timeMs, toMs: timeMs, limit: 1 };
    for (const shard of this.shards()) {
      const entries = this.#entries(scope, shard, beyond, moment, Number.MAX_SAFE_INTEGER);
      const row = this.#links(entries.map((entry) => ({ shard, entry }))).find((one) => eventOf(one.body)?.eventID === id);
      if (row !== undefined) return [row];
    }
    return [];
  }

  /** Neighbours lie in one segment: it is read once for all of them. */
  #links(places: readonly Found[]): AuditRow[] {
    const found: AuditRow[] = [];
    let held: { readonly shard: string; readonly first: number; readonly end: number; readonly rows: ReadonlyMap<number, AuditRow> } | undefined;
    for (const { shard, entry: { seq } } of places) {
      if (held?.shard !== shard || seq < held.first || seq >= held.end) {
        const segment = this.#segment.get(shard, seq);
        if (segment === undefined) continue;
        const rows = new Map([...readSegment(shard, segment.links)].map((row) => [row.seq, row]));
        held = { shard, first: segment.first_seq, end: segment.first_seq + segment.count, rows };
      }
      const row = held.rows.get(seq);
      if (row !== undefined) found.push(row);
    }
    return found;
  }
}

interface Found {
  readonly shard: string;
  readonly entry: Entry;
}

/** By time across chains, each in its own order: what a page leaves out lies behind all it shows. */
function merged(chains: readonly { readonly shard: string; readonly entries: readonly Entry[] }[], limit: number): readonly Found[] {
  const at = chains.map(() => 0);
  const found: Found[] = [];
  while (found.length < limit) {
    let best: { readonly i: number; readonly entry: Entry } | undefined;
    for (const [i, { entries }] of chains.entries()) {
      const entry = entries[at[i] ?? 0];
      if (entry !== undefined && (best === undefined || entry.timeMs >= best.entry.timeMs)) best = { i, entry };
    }
    const chain = best && chains[best.i];
    if (best === undefined || chain === undefined) break;
    found.push({ shard: chain.shard, entry: best.entry });
    at[best.i] = (at[best.i] ?? 0) + 1;
  }
  return found;
}

function placesText(places: Places): string {
  return Buffer.from(JSON.stringify(places), 'utf8').toString('base64url');
}

function placesFrom(text: string | undefined): Places {
  if (text === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null && Object.values(parsed).every((seq) => Number.isSafeInteger(seq))) return parsed as Places;
  } catch {
    // not a place that a page gave
  }
  return {};
}
