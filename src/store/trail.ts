/**
 * Looking events up. The trail itself is written as whole segments, because that is what a request has
 * to wait for; the index over it is made from it afterwards, on the writer's thread when it is idle, and
 * completed before a look-up is answered. It holds nothing that the trail does not.
 */
import type Database from 'better-sqlite3';
import { readSegment } from './segment.ts';
import type { AuditRow, ChainPage, EventQuery } from './store.ts';

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

function scopesOf(event: Indexed): string[] {
  const account = event.recipientAccountId ?? '';
  const region = event.awsRegion ?? '';
  const scopes = [scopeName(account, region, '', '')];
  const add = (key: Attribute, value: string | undefined): void => {
    if (value !== undefined) scopes.push(scopeName(account, region, key, value));
  };
  add('EventName', event.eventName);
  add('EventSource', event.eventSource);
  add('ReadOnly', event.readOnly === undefined ? undefined : String(event.readOnly));
  add('Username', usernameOf(event.userIdentity));
  add('AccessKeyId', event.userIdentity?.accessKeyId);
  const names = new Set<string>();
  const types = new Set<string>();
  for (const resource of event.resources ?? []) {
    if (resource.ARN !== undefined) names.add(resource.ARN);
    if (resource.type !== undefined) types.add(resource.type);
  }
  for (const name of names) add('ResourceName', name);
  for (const type of types) add('ResourceType', type);
  return scopes;
}

/** The writer's side. */
export class TrailIndex {
  readonly #db: Database.Database;
  readonly #behind;
  readonly #segments;
  readonly #scope;
  readonly #newScope;
  readonly #enter;
  readonly #event;
  readonly #mark;
  readonly #scopes = new Map<string, number | bigint>();

  constructor(db: Database.Database) {
    this.#db = db;
    this.#behind = db.prepare<[], { shard: string; seq: number }>(
      'SELECT h.shard AS shard, coalesce(m.seq, 0) AS seq FROM audit_head h LEFT JOIN audit_mark m ON m.shard = h.shard WHERE h.seq > coalesce(m.seq, 0) ORDER BY h.shard LIMIT 1');
    this.#segments = db.prepare<[string, number], { first_seq: number; count: number; links: Buffer }>(
      'SELECT first_seq, count, links FROM audit_segment WHERE shard = ? AND first_seq > ? ORDER BY first_seq LIMIT 200');
    this.#scope = db.prepare<[string], { scope: number }>('SELECT scope FROM audit_scope WHERE name = ?');
    this.#newScope = db.prepare<[string]>('INSERT INTO audit_scope (name) VALUES (?)');
    this.#enter = db.prepare('INSERT OR IGNORE INTO audit_index (scope, time_ms, shard, seq) VALUES (?, ?, ?, ?)');
    this.#event = db.prepare('INSERT OR IGNORE INTO audit_event (event_id, account, shard, seq) VALUES (?, ?, ?, ?)');
    this.#mark = db.prepare('INSERT INTO audit_mark (shard, seq) VALUES (?, ?) ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq');
  }

  /** Indexes whole segments until about `events` are done; answers whether more wait. */
  step(events: number): boolean {
    const behind = this.#behind.get();
    if (behind === undefined) return false;
    try {
      return this.#db.transaction(() => this.#stepShard(behind.shard, behind.seq, events))();
    } catch (error) {
      // The ids in this map may have been rolled back.
      this.#scopes.clear();
      throw error;
    }
  }

  #stepShard(shard: string, seq: number, events: number): boolean {
    let done = 0;
    let last = seq;
    for (const segment of this.#segments.all(shard, seq)) {
      for (const row of readSegment(shard, segment.links)) this.#enterEvent(row);
      last = segment.first_seq + segment.count - 1;
      done += segment.count;
      if (done >= events) break;
    }
    // A chain that was cut has nothing where its head says there is something: verify names it.
    if (done === 0) return false;
    this.#mark.run(shard, last);
    return true;
  }

  #enterEvent(row: AuditRow): void {
    const event = eventOf(row.body);
    if (event === undefined) return;
    for (const scope of scopesOf(event)) this.#enter.run(this.#scopeId(scope), row.timeMs, row.shard, row.seq);
    if (event.eventID !== undefined) this.#event.run(event.eventID, event.recipientAccountId ?? '', row.shard, row.seq);
  }

  #scopeId(name: string): number | bigint {
    const known = this.#scopes.get(name);
    if (known !== undefined) return known;
    const id = this.#scope.get(name)?.scope ?? this.#newScope.run(name).lastInsertRowid;
    if (this.#scopes.size > 20_000) this.#scopes.clear();
    this.#scopes.set(name, id);
    return id;
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

interface Place {
  readonly time_ms: number;
  readonly shard: string;
  readonly seq: number;
}

/** The reader's side: newest first, a page at a time, each page as quick as the first. */
export class TrailReader {
  readonly #scope;
  readonly #page;
  readonly #event;
  readonly #segment;
  readonly #segmentAt;
  readonly #chain;
  readonly #shards;

  constructor(db: Database.Database) {
    this.#scope = db.prepare<[string], { scope: number }>('SELECT scope FROM audit_scope WHERE name = ?');
    this.#page = db.prepare<[number, number, number, string, number, number], Place>(
      `SELECT time_ms, shard, seq FROM audit_index WHERE scope = ? AND time_ms >= ? AND (time_ms, shard, seq) < (?, ?, ?)
       ORDER BY time_ms DESC, shard DESC, seq DESC LIMIT ?`);
    this.#event = db.prepare<[string, string], { shard: string; seq: number }>('SELECT shard, seq FROM audit_event WHERE event_id = ? AND account = ?');
    this.#segment = db.prepare<[string, number], { links: Buffer }>('SELECT links FROM audit_segment WHERE shard = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT 1');
    this.#segmentAt = db.prepare<[string, number], { first_seq: number }>('SELECT first_seq FROM audit_segment WHERE shard = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT 1');
    this.#chain = db.prepare<[string, number, number], { first_seq: number; links: Buffer }>(
      'SELECT first_seq, links FROM audit_segment WHERE shard = ? AND first_seq >= ? ORDER BY first_seq LIMIT ?');
    this.#shards = db.prepare<[], { shard: string }>('SELECT shard FROM audit_head UNION SELECT DISTINCT shard FROM audit_segment');
  }

  shards(): string[] {
    return this.#shards.all().map((row) => row.shard);
  }

  events(query: EventQuery): { readonly rows: readonly AuditRow[]; readonly next?: string } {
    if (query.attribute?.key === 'EventId') return { rows: this.#byId(query, query.attribute.value) };
    const scope = this.#scope.get(scopeName(query.account, query.region, query.attribute?.key ?? '', query.attribute?.value ?? ''))?.scope;
    if (scope === undefined) return { rows: [] };
    const limit = Math.max(1, Math.min(query.limit, 1000));
    const [time, shard, seq] = placeFrom(query.after) ?? [(query.toMs ?? Number.MAX_SAFE_INTEGER - 1) + 1, '', 0];
    const places = this.#page.all(scope, query.fromMs ?? 0, time, shard, seq, limit + 1);
    const shown = places.slice(0, limit);
    const rows = shown.map((place) => this.#link(place.shard, place.seq)).filter((row) => row !== undefined);
    const last = shown[shown.length - 1];
    return places.length > limit && last !== undefined ? { rows, next: placeText(last) } : { rows };
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

  #byId(query: EventQuery, id: string): AuditRow[] {
    const place = this.#event.get(id, query.account);
    const row = place === undefined ? undefined : this.#link(place.shard, place.seq);
    if (row === undefined || row.timeMs < (query.fromMs ?? 0) || row.timeMs > (query.toMs ?? Number.MAX_SAFE_INTEGER)) return [];
    return eventOf(row.body)?.awsRegion === query.region ? [row] : [];
  }

  #link(shard: string, seq: number): AuditRow | undefined {
    const segment = this.#segment.get(shard, seq);
    if (segment === undefined) return undefined;
    for (const row of readSegment(shard, segment.links)) if (row.seq === seq) return row;
    return undefined;
  }
}

function placeText(place: Place): string {
  return Buffer.from(JSON.stringify([place.time_ms, place.shard, place.seq]), 'utf8').toString('base64url');
}

function placeFrom(text: string | undefined): readonly [number, string, number] | undefined {
  if (text === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (!Array.isArray(parsed)) return undefined;
    const [time, shard, seq] = parsed as unknown[];
    return Number.isSafeInteger(time) && typeof shard === 'string' && Number.isSafeInteger(seq) ? [time as number, shard, seq as number] : undefined;
  } catch {
    return undefined;
  }
}
