/**
 * Does the trail still say what was written? Reads every link once, in bounded memory, and names what
 * does not hold: an event that was edited, removed, moved or added, a chain that was cut or computed
 * anew. The hash here is not the one that made the chain (the core's), so each checks the other.
 *
 * A store put back as a whole to an earlier state, heads included, is not found here: compare `head`
 * with one that was kept elsewhere.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { headHolds } from '../store/chain.ts';
import { coveredBytes } from '../store/segment.ts';
import type { RecordMac } from '../store/sqlite.ts';
import type { AuditHead, AuditRow, Store } from '../store/store.ts';

export interface Finding {
  readonly shard: string;
  /** The event; absent where the chain as a whole is meant. */
  readonly seq?: number;
  readonly eventId?: string;
  readonly kind: 'edited' | 'removed' | 'moved' | 'added' | 'repeated' | 'cut' | 'recomputed' | 'head';
  readonly sentence: string;
}

export interface Verdict {
  readonly events: number;
  readonly heads: readonly { readonly shard: string; readonly seq: number; readonly hash: string }[];
  readonly findings: readonly Finding[];
}

/** How far apart two swapped links may lie and still be called swapped. */
const window = 50_000;
const pageLinks = 2_000;
const mostFindings = 1_000;

export async function verifyTrail(store: Store, core: RecordMac, progress?: (events: number) => void): Promise<Verdict> {
  const findings: Finding[] = [];
  const heads: { shard: string; seq: number; hash: string }[] = [];
  let events = 0;
  for (const shard of await store.shards()) {
    const walk = new Walk(shard, await store.head(shard), core, findings);
    let from: number | undefined = 1;
    while (from !== undefined) {
      const page = await store.chain(shard, from, pageLinks);
      for (const row of page.rows) walk.step(row);
      events += page.rows.length;
      progress?.(events);
      from = page.next;
      // Let whoever else uses this thread have it.
      await new Promise((turn) => setImmediate(turn));
    }
    const head = walk.end(await store.head(shard));
    if (head !== undefined) heads.push({ shard, seq: head.seq, hash: Buffer.from(head.hash).toString('hex') });
  }
  return { events, heads, findings };
}

/** One chain, link by link. */
class Walk {
  readonly #shard: string;
  readonly #core: RecordMac;
  readonly #findings: Finding[];
  readonly #first: AuditHead | undefined;
  /** Hash and event id of the links read lately, by number. */
  readonly #seen = new Map<number, { readonly hash: Uint8Array; readonly eventId: string | undefined }>();
  /** What links whose predecessor has not been read say of it. */
  readonly #claims = new Map<number, Buffer>();
  /** Numbers passed over, first to last. */
  readonly #gaps: { from: number; to: number }[] = [];
  #top = 0;
  #broken = false;
  #atFirst: Uint8Array | undefined;

  constructor(shard: string, head: AuditHead | undefined, core: RecordMac, findings: Finding[]) {
    this.#shard = shard;
    this.#core = core;
    this.#findings = findings;
    this.#first = head;
  }

  step(row: AuditRow): void {
    const { seq } = row;
    const hash = sha256(coveredBytes(row));
    const eventId = eventIdOf(row.body);
    if (seq === this.#first?.seq) this.#atFirst = hash;
    if (seq > this.#top) {
      if (seq > this.#top + 1) this.#gaps.push({ from: this.#top + 1, to: seq - 1 });
      this.#top = seq;
    } else if (!this.#fill(seq)) {
      return this.#find('repeated', `event ${seq} is there twice`, seq, eventId);
    } else {
      this.#find('moved', `event ${seq} lies behind event ${this.#top}: they were swapped or moved`, seq, eventId);
    }
    this.#compare(row, hash, eventId);
    this.#remember(seq, hash, eventId);
  }

  end(now: AuditHead | undefined): AuditHead | undefined {
    for (const gap of this.#gaps) {
      this.#broken = true;
      for (let seq = gap.from; seq <= gap.to && this.#findings.length < mostFindings; seq++) this.#find('removed', `event ${seq} was removed`, seq);
    }
    const head = this.#first;
    if (now === undefined || head === undefined) {
      this.#find('head', 'the chain has no head: nothing says how long it was');
      return undefined;
    }
    if (!headHolds(this.#core, head) || !headHolds(this.#core, now)) {
      this.#find('head', 'the head was altered: the core does not vouch for it');
      return undefined;
    }
    if (this.#top < head.seq) this.#find('cut', `events ${this.#top + 1} to ${head.seq} were cut off the end`, this.#top + 1);
    if (this.#top > now.seq) this.#find('added', `events ${now.seq + 1} to ${this.#top} were added behind the end`, now.seq + 1);
    if (this.#atFirst !== undefined && !same(this.#atFirst, head.hash)) this.#headDiffers(head);
    return now;
  }

  /** The links agree with each other, perhaps, but not with what the core signed. */
  #headDiffers(head: AuditHead): void {
    if (this.#broken) return;
    const last = this.#seen.get(head.seq);
    this.#find('recomputed', `event ${head.seq} was edited, or an earlier one was and the chain computed anew: its hash is not the one the core vouches for`, head.seq, last?.eventId);
  }

  /** A link is intact when the link behind it carries its hash. */
  #compare(row: AuditRow, hash: Uint8Array, eventId: string | undefined): void {
    const { seq } = row;
    const before = this.#seen.get(seq - 1);
    if (seq === 1) {
      if (row.previous.some((byte) => byte !== 0)) this.#edited(1, eventId);
    } else if (before === undefined) {
      this.#claims.set(seq - 1, Buffer.from(row.previous));
    } else if (!same(before.hash, row.previous)) {
      this.#edited(seq - 1, before.eventId);
    }
    const claim = this.#claims.get(seq);
    if (claim === undefined) return;
    this.#claims.delete(seq);
    if (!same(hash, claim)) this.#edited(seq, eventId);
  }

  #edited(seq: number, eventId: string | undefined): void {
    this.#broken = true;
    this.#find('edited', `event ${seq} was edited`, seq, eventId);
  }

  /** Takes `seq` out of the gaps; false when it is in none. */
  #fill(seq: number): boolean {
    const at = this.#gaps.findIndex((gap) => seq >= gap.from && seq <= gap.to);
    const gap = this.#gaps[at];
    if (gap === undefined) return false;
    const rest = [{ from: gap.from, to: seq - 1 }, { from: seq + 1, to: gap.to }].filter((part) => part.from <= part.to);
    this.#gaps.splice(at, 1, ...rest);
    return true;
  }

  #remember(seq: number, hash: Uint8Array, eventId: string | undefined): void {
    this.#seen.set(seq, { hash, eventId });
    for (const known of [this.#seen, this.#claims]) {
      if (known.size <= window) continue;
      const [oldest] = known.keys();
      if (oldest !== undefined) known.delete(oldest);
    }
  }

  #find(kind: Finding['kind'], sentence: string, seq?: number, eventId?: string): void {
    if (this.#findings.length >= mostFindings) return;
    this.#findings.push({ shard: this.#shard, kind, sentence, ...(seq === undefined ? {} : { seq }), ...(eventId === undefined ? {} : { eventId }) });
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function eventIdOf(body: string): string | undefined {
  return /"eventID":"([0-9a-f-]{36})"/.exec(body)?.[1];
}
