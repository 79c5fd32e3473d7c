/** What the event loop and the writer's thread say to each other. */
import type { IndexKey } from './records.ts';
import type { StoreErrorCode } from './store.ts';

export interface WriterOptions {
  readonly path: string;
  /** Largest size of the database, in bytes; absent: the disk decides. */
  readonly ceiling?: number;
}

/** A record a transaction relies on: version 0 says that there was none. */
export type Condition = readonly [table: string, id: string, version: number, createdMs: number];

export interface PutRecord {
  readonly kind: 'insert' | 'update';
  readonly table: string;
  readonly id: string;
  readonly account: string;
  readonly region: string;
  readonly version: number;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly body: Uint8Array;
  readonly sealed: Uint8Array | null;
  readonly mac: Uint8Array;
  /** Index entries that go, and that come. */
  readonly leave: readonly IndexKey[];
  readonly enter: readonly IndexKey[];
}

export interface DeleteRecord {
  readonly kind: 'delete';
  readonly table: string;
  readonly id: string;
  readonly version: number;
  readonly createdMs: number;
  readonly leave: readonly IndexKey[];
}

export type WireWrite = PutRecord | DeleteRecord;

/** An index, its equality columns as text, and how many of these there may be at most before the transaction. */
export type Ceiling = readonly [name: string, equals: string, most: number];

export interface WireTx {
  readonly conditions: readonly Condition[];
  readonly ceilings: readonly Ceiling[];
  readonly writes: readonly WireWrite[];
}

export interface WireSegment {
  readonly shard: string;
  readonly first: number;
  readonly count: number;
  readonly links: Uint8Array;
}

export interface WireTally {
  readonly shard: string;
  readonly first: number;
  readonly counts: Uint8Array;
  readonly mac: Uint8Array;
}

export interface WireHead {
  readonly shard: string;
  readonly seq: number;
  readonly hash: Uint8Array;
  readonly mac: Uint8Array;
}

/** A record's: they lie in this order. */
export type Place = readonly [table: string, id: string];

export type ToWriter =
  | { readonly kind: 'commit'; readonly txs: readonly WireTx[]; readonly segments: readonly WireSegment[]; readonly tally: WireTally | undefined; readonly head: WireHead | undefined }
  /** Bring the look-up index of the audit trail up to date. */
  | { readonly kind: 'index' }
  /** Take an account's records away, its own row aside: among the next records after a place in the table. */
  | { readonly kind: 'purge'; readonly account: string; readonly after: Place }
  /** Everything goes but what opens the core. */
  | { readonly kind: 'wipe' }
  | { readonly kind: 'close' };

/** undefined: applied. */
export type Outcome = { readonly code: StoreErrorCode; readonly message: string } | undefined;

export type FromWriter =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly code: StoreErrorCode; readonly message: string }
  /** `failure`: nothing of the batch was applied. `broken`: nor will anything be again. */
  | { readonly kind: 'committed'; readonly outcomes: readonly Outcome[]; readonly failure?: Outcome; readonly broken: boolean }
  | { readonly kind: 'indexed'; readonly failure?: Outcome }
  /** `gone`: what was taken away; `next`: where to go on, absent at the table's end. */
  | { readonly kind: 'purged'; readonly gone: readonly Place[]; readonly next?: Place; readonly failure?: Outcome }
  | { readonly kind: 'wiped'; readonly failure?: Outcome }
  | { readonly kind: 'closed' };
