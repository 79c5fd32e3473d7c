/**
 * Records at rest: what one may ask, whoever answers (SQLite here; a PostgreSQL-wire database has the
 * same face). Shaped for a distributed SQL database from the first day: asynchronous, no sequences,
 * text/bigint/blob only, ids made by the caller, keyset cursors, and a transaction is reads followed by
 * one conditional write batch, run by one writer with group commit.
 *
 * Every record carries account, Region, version and times from one clock, and a MAC by the core over
 * (table, id, version, body). An altered record is refused by name: {@link StoreError} 'Integrity'.
 */

/** Tables of the store. Index columns are extracted from the body, so the MAC covers them too. */
export type Table = 'root' | 'account' | 'credential' | 'principal' | 'key' | 'material' | 'alias' | 'grant' | 'policy' | 'setting' | 'counter' | 'name' | 'link' | 'keystore' | 'xks-proxy' | 'xks-credential' | 'xks-key';

export interface Row<T> {
  readonly table: Table;
  /** Unique in the table: text, at most 512 bytes, made by the caller. */
  readonly id: string;
  readonly account: string;
  readonly region: string;
  /** 1 at insert, one more with each update. */
  readonly version: number;
  readonly createdMs: number;
  readonly updatedMs: number;
  /** Plain data; frozen. */
  readonly body: T;
  /** Sealed object that belongs to the record, written in the same transaction. */
  readonly sealed?: Buffer;
}

export interface Page<T> {
  readonly rows: readonly Row<T>[];
  /** Opaque; absent at the end. */
  readonly next?: string;
}

/**
 * What `list` can ask: equality columns, then the order column, then id. A column is `account`, `region`
 * or a member of the body (text, or an integer below 2^53); a row whose body lacks one of an index's
 * members is not in that index. The tables' users add what they need here.
 */
export const indexes = {
  'account.all': { table: 'account', equals: [] },
  /** Accounts whose waiting period ends at `dueMs`, soonest first. */
  'account.due': { table: 'account', equals: [], order: 'dueMs' },
  'key.place': { table: 'key', equals: ['account', 'region'] },
  /** Keys with work to do at `dueMs` (deletion, rotation, expiry), soonest first. */
  'key.due': { table: 'key', equals: [], order: 'dueMs' },
  /** Keys of a custom key store. */
  'key.store': { table: 'key', equals: ['account', 'region', 'keyStoreId'] },
  'keystore.place': { table: 'keystore', equals: ['account', 'region'] },
  'keystore.state': { table: 'keystore', equals: ['state'] },
  'material.key': { table: 'material', equals: ['key'] },
  'alias.place': { table: 'alias', equals: ['account', 'region'] },
  'alias.key': { table: 'alias', equals: ['key'] },
  'grant.key': { table: 'grant', equals: ['key'] },
  'grant.grantee': { table: 'grant', equals: ['key', 'grantee'] },
  'grant.retiring': { table: 'grant', equals: ['region', 'retiring'] },
  'credential.principal': { table: 'credential', equals: ['account', 'principal'] },
  /** Users, groups, roles of an account, by name. */
  'principal.account': { table: 'principal', equals: ['account', 'kind'], order: 'sortName' },
  /** Managed policies of an account, by name; a key's policy has no kind and is not in it. */
  'policy.account': { table: 'policy', equals: ['account', 'kind'], order: 'sortName' },
  /** Who is in a group, who holds a managed policy. */
  'link.to': { table: 'link', equals: ['account', 'to'] },
  /** Usage of an account on a day. */
  'counter.day': { table: 'counter', equals: ['account', 'day'] },
  'xks-proxy.all': { table: 'xks-proxy', equals: [] },
  'xks-key.account': { table: 'xks-key', equals: ['account'], order: 'keyId' },
  'setting.kind': { table: 'setting', equals: ['account', 'region', 'kind'] },
} as const satisfies Record<string, { readonly table: Table; readonly equals: readonly string[]; readonly order?: string }>;

export type IndexName = keyof typeof indexes;

/** Ordered by (…equals, order column, id). */
export interface Query {
  readonly index: IndexName;
  readonly equals: readonly string[];
  readonly after?: string;
  readonly limit: number;
}

export interface Reader {
  get<T>(table: Table, id: string): Promise<Row<T> | undefined>;
  list<T>(table: Table, query: Query): Promise<Page<T>>;
}

export interface NewRow<T> {
  readonly id: string;
  readonly account: string;
  readonly region: string;
  readonly body: T;
  readonly sealed?: Buffer;
}

/** Reads see the store as it is; writes are collected and applied all or none. */
export interface Tx extends Reader {
  /** Fails the transaction with StoreError 'Exists' when the id (or a unique index value) is taken. */
  insert<T>(table: Table, row: NewRow<T>): void;
  /** Conditional on `row.version`; a lost race runs the whole transaction again. */
  update<T>(row: Row<T>, change: { readonly body?: T; readonly sealed?: Buffer | null }): void;
  delete(row: Row<unknown>): void;
  /**
   * Asks, as the commit is applied, that fewer than `most` rows have these values in the index: before this
   * transaction's own writes, after all that were applied earlier. Else it fails with StoreError 'Ceiling'.
   */
  below(index: IndexName, equals: readonly string[], most: number): void;
}

export interface Store extends Reader {
  /**
   * Runs `fn`, then commits what it wrote, conditional on what it read by `get`; runs it again when
   * something changed in between (at most 10 times, jittered). `fn` has no other side effects.
   * Resolves when the commit is durable.
   */
  tx<R>(fn: (tx: Tx) => Promise<R>): Promise<R>;
  /**
   * A cached, verified record without a turn of the event loop; undefined says "ask get". Writes by
   * this store's own transactions are seen at once.
   */
  peek<T>(table: Table, id: string): Row<T> | undefined;
  /**
   * Takes every record of an account out of the file, its own row aside, and overwrites what they left
   * there; what the trail says of it stays. In pieces, between which others commit: cut short, it is asked for again.
   * Resolves when durable, with how many there were.
   */
  purge(account: string): Promise<number>;
  /**
   * Appends to this writer's audit chain in the next group commit, which gives sequence and hash (so a
   * commit that fails leaves the chain as it was). Resolves when durable.
   */
  append(events: readonly NewAuditRow[]): Promise<void>;
  /** Audit rows in chain order, as they lie there: reading checks nothing, src/audit/verify.ts does. */
  chain(shard: string, from: number, limit: number): Promise<ChainPage>;
  /** What was counted with the links, by commit, from link `from` on; one that was altered is left out. */
  tallies(shard: string, from: number, limit: number): Promise<readonly Tally[]>;
  shards(): Promise<readonly string[]>;
  /** What the chain's writer last said of it; undefined when nothing says so. */
  head(shard: string): Promise<AuditHead | undefined>;
  events(query: EventQuery): Promise<{ readonly rows: readonly AuditRow[]; readonly next?: string }>;
  /** Milliseconds since the epoch: the one clock (movable in dev mode only). */
  now(): number;
  close(): Promise<void>;
}

/** An event to append: CloudTrail-shaped JSON text. Look-ups read account, Region, time and names out of it. */
export interface NewAuditRow {
  readonly timeMs: number;
  readonly body: string;
  /** As what it counts; absent: a service's own event counts as nothing. */
  readonly usage?: UsageNote;
}

export interface UsageNote {
  readonly account: string;
  readonly region: string;
  /** `kms:Encrypt` */
  readonly operation: string;
  /** ARNs. */
  readonly keys: readonly string[];
  readonly failed: boolean;
}

/** Requests that are alike. */
export interface Count extends Omit<UsageNote, 'failed'> {
  /** Since the epoch. */
  readonly hour: number;
  readonly requests: number;
  readonly errors: number;
}

/** The requests of one commit, links `first` to `last`. */
export interface Tally {
  readonly first: number;
  readonly last: number;
  readonly counts: readonly Count[];
}

/** One link of an audit chain. */
export interface AuditRow {
  readonly shard: string;
  /** 1, 2, 3 … without a gap. */
  readonly seq: number;
  readonly timeMs: number;
  readonly body: string;
  /**
   * Hash of the link before; zeros in the first. A link's hash is SHA-256 over (previous, seq, timeMs,
   * body): docs/formats/audit.md.
   */
  readonly previous: Buffer;
}

/** At least `limit` links, if there are so many: pages end where the writer's commits ended. */
export interface ChainPage {
  readonly rows: readonly AuditRow[];
  /** Where to go on; absent at the end. */
  readonly next?: number;
}

/** The newest link. Rewritten with every commit, so that the chain can neither be cut nor recomputed. */
export interface AuditHead {
  readonly shard: string;
  readonly seq: number;
  /** Hash of link `seq`. */
  readonly hash: Buffer;
  /** The core's MAC over (shard, seq, hash). */
  readonly mac: Buffer;
}

export interface EventQuery {
  readonly account: string;
  readonly region: string;
  readonly attribute?: { readonly key: 'EventId' | 'EventName' | 'Username' | 'ResourceName' | 'EventSource' | 'ReadOnly' | 'AccessKeyId' | 'ResourceType'; readonly value: string };
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly after?: string;
  readonly limit: number;
}

/**
 * Exists: an id is taken. Ceiling: there are as many as there may be. Conflict: lost every race. Integrity: a record was altered. Busy: another
 * process has the store. Full: no space. Io: the disk failed. Closed: after close, or after a failure
 * that leaves unknown what is durable.
 */
export type StoreErrorCode = 'Exists' | 'Ceiling' | 'Conflict' | 'Integrity' | 'Busy' | 'Full' | 'Io' | 'Closed';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  constructor(readonly code: StoreErrorCode, message: string) {
    super(message);
  }
}
