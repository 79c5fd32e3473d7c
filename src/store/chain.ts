/**
 * This writer's audit chain: where it stands, and the next links. The core MACs the head with every
 * commit: without it the chain could be cut or computed anew by whoever edits the database.
 */
import { longestSegment } from './commit.ts';
import { packCounts } from './counts.ts';
import type { RecordMac } from './sqlite.ts';
import { writeU64 } from './records.ts';
import { chainStart, packSegment } from './segment.ts';
import { StoreError } from './store.ts';
import type { AuditHead, NewAuditRow } from './store.ts';
import type { WireHead, WireSegment, WireTally } from './wire.ts';

/** What the head's MAC covers, as the "record" `shard` of the "table" `audit_head`. */
export function headBytes(seq: number, hash: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(8 + hash.length);
  bytes.set(hash, writeU64(bytes, seq, 0));
  return bytes;
}

export function headHolds(core: RecordMac, head: AuditHead): boolean {
  return core.recordCheck('audit_head', head.shard, head.seq, headBytes(head.seq, head.hash), head.mac);
}

/** What the MAC of a commit's counts calls their table: their id is the shard, their version the first link's number. */
export const tallyTable = 'audit_usage';

export class Chain {
  readonly shard: string;
  readonly #core: RecordMac;
  #seq = 0;
  #hash: Uint8Array = chainStart;
  /** Not checked yet: the core may still be sealed when the store opens. */
  #claimed: AuditHead | undefined;

  constructor(core: RecordMac, shard: string, head: AuditHead | undefined) {
    this.#core = core;
    this.shard = shard;
    this.#claimed = head;
  }

  next(events: readonly NewAuditRow[]): { readonly segments: readonly WireSegment[]; readonly tally: WireTally; readonly head: WireHead } {
    this.#resume();
    const segments: WireSegment[] = [];
    let first = this.#seq + 1;
    let hash = this.#hash;
    for (let at = 0; at < events.length; at += longestSegment) {
      const part = events.length <= longestSegment ? events : events.slice(at, at + longestSegment);
      const segment = packSegment(part, first, hash, (bytes) => this.#core.sha256(bytes));
      segments.push({ shard: this.shard, first, count: segment.count, links: segment.bytes });
      first += segment.count;
      hash = segment.hash;
    }
    const seq = first - 1;
    const opening = this.#seq + 1;
    const counts = Uint8Array.from(packCounts(events, opening));
    const tally = { shard: this.shard, first: opening, counts, mac: Uint8Array.from(this.#core.recordMac(tallyTable, this.shard, opening, counts)) };
    return { segments, tally, head: { shard: this.shard, seq, hash, mac: this.#core.recordMac('audit_head', this.shard, seq, headBytes(seq, hash)) } };
  }

  committed(head: WireHead): void {
    this.#seq = head.seq;
    this.#hash = head.hash;
  }

  #resume(): void {
    const head = this.#claimed;
    if (head === undefined) return;
    if (!headHolds(this.#core, head)) throw new StoreError('Integrity', `the head of audit chain ${head.shard} was altered: nothing is appended to it`);
    this.#seq = head.seq;
    this.#hash = head.hash;
    this.#claimed = undefined;
  }
}
