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
import { eventIdOf } from './sums.ts';

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

/** Links out of their place that are remembered; who moved more has changed everything. */
const mostDisplaced = 50_000;
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

/** What is kept of a link that was read. */
interface Link {
  readonly seq: number;
  readonly previous: Buffer;
  readonly hash: Uint8Array;
  readonly eventId: string | undefined;
}

/** Numbers that were passed over, and what the links around them say of those inside. */
interface Gap {
  readonly from: number;
  readonly to: number;
  /** Hash of the link before. */
  readonly before: Uint8Array;
  /** What the link behind, or the head, says was the hash of the last one. */
  readonly claim: Buffer | undefined;
}

interface Displaced extends Link {
  /** The link it lies behind. */
  readonly behind: number;
}

/**
 * One chain, link by link, in the order in which the links lie. A number that comes too early is held
 * until the next link says what happened: the numbers go on from it, so those before it are missing, or
 * they go on without it, so it is out of its place. What is missing and what is out of place is put
 * together at the end.
 */
class Walk {
  readonly #shard: string;
  readonly #core: RecordMac;
  readonly #all: Finding[];
  readonly #findings: Finding[] = [];
  readonly #first: AuditHead | undefined;
  readonly #gaps: Gap[] = [];
  readonly #displaced = new Map<number, Displaced>();
  /** The newest link in its place. */
  #last: Link = { seq: 0, previous: Buffer.alloc(32), hash: new Uint8Array(32), eventId: undefined };
  #held: Displaced | undefined;
  /** The highest number of this chain that was found. */
  #top = 0;
  /** Number of the link read last, wherever it belongs. */
  #behind = 0;
  #broken = false;
  #atFirst: Uint8Array | undefined;

  constructor(shard: string, head: AuditHead | undefined, core: RecordMac, findings: Finding[]) {
    this.#shard = shard;
    this.#core = core;
    this.#all = findings;
    this.#first = head;
  }

  step(row: AuditRow): void {
    const { seq, previous } = row;
    const link: Displaced = { seq, previous, hash: sha256(coveredBytes(row)), eventId: eventIdOf(row.body), behind: this.#behind };
    this.#behind = seq;
    if (seq === this.#first?.seq) this.#atFirst = link.hash;
    this.#judgeHeld(seq);
    if (seq === this.#last.seq + 1) this.#follow(link);
    else if (seq > this.#last.seq) this.#held = link;
    else if (this.#inGap(seq)) this.#displace(link);
    else this.#find('repeated', `event ${seq} is there twice`, link);
  }

  end(now: AuditHead | undefined): AuditHead | undefined {
    this.#judgeHeld(Infinity);
    this.#closeLastGap();
    this.#resolve();
    const vouched = this.#judgeHead(now);
    this.#findings.sort((a, b) => (a.seq ?? Infinity) - (b.seq ?? Infinity));
    this.#all.push(...this.#findings.slice(0, mostFindings - this.#all.length));
    return vouched;
  }

  /** `next`: the number behind it. */
  #judgeHeld(next: number): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    if (next > this.#last.seq && next < held.seq) this.#displace(held);
    else this.#follow(held);
  }

  /** A link in its place is intact when the link behind it carries its hash. */
  #follow(link: Link): void {
    const { seq, previous } = link;
    const last = this.#last;
    if (seq > last.seq + 1) this.#gaps.push({ from: last.seq + 1, to: seq - 1, before: last.hash, claim: Buffer.from(previous) });
    else if (!same(last.hash, previous)) this.#edited(seq === 1 ? link : last);
    this.#last = { ...link, previous: Buffer.from(previous) };
    this.#top = seq;
  }

  #displace(link: Displaced): void {
    if (this.#displaced.size < mostDisplaced) this.#displaced.set(link.seq, { ...link, previous: Buffer.from(link.previous) });
    else this.#find('moved', `event ${link.seq} is out of its place`, link);
  }

  #inGap(seq: number): boolean {
    return !this.#displaced.has(seq) && this.#gaps.some(({ from, to }) => seq >= from && seq <= to);
  }

  /** Up to the highest number that was found elsewhere; what lacks behind it was cut off. */
  #closeLastGap(): void {
    const head = this.#first;
    if (head === undefined) return;
    const last = this.#last;
    let to = last.seq;
    for (const seq of this.#displaced.keys()) if (seq > to && seq <= head.seq) to = seq;
    if (to === last.seq) return;
    this.#gaps.push({ from: last.seq + 1, to, before: last.hash, claim: to === head.seq ? head.hash : undefined });
    this.#top = to;
  }

  /** What was missing may have been found elsewhere, under its number or another. */
  #resolve(): void {
    const missing = new Set<number>();
    for (const { from, to } of this.#gaps) for (let seq = from; seq <= to && missing.size < mostDisplaced; seq++) missing.add(seq);
    for (const link of this.#displaced.values()) if (missing.delete(link.seq)) this.#judgeMoved(link);
    for (const link of this.#displaced.values()) if (!this.#homes(link)) this.#judgeStray(link, missing);
    for (const gap of this.#gaps) this.#compareMoved(gap);
    for (const seq of missing) {
      this.#broken = true;
      this.#find('removed', `event ${seq} was removed`, { seq, eventId: undefined });
    }
  }

  #homes({ seq }: Link): boolean {
    return this.#gaps.some(({ from, to }) => seq >= from && seq <= to);
  }

  #judgeMoved(link: Displaced): void {
    const { seq, behind } = link;
    const place = behind + 1;
    const other = this.#displaced.get(place);
    // Of two neighbours only one is out of order; both changed places.
    const neighbour = place + 1 === seq;
    if (other?.behind === seq - 1 || neighbour) this.#find('moved', `event ${seq} lies where event ${place} belongs: they were swapped`, link);
    else this.#find('moved', `event ${seq} lies behind event ${behind}: it was moved`, link);
    if (neighbour) this.#find('moved', `event ${place} lies where event ${seq} belongs: they were swapped`, { seq: place, eventId: undefined });
  }

  /** A number that nobody misses, in the place of one that is missing. */
  #judgeStray(link: Displaced, missing: Set<number>): void {
    const place = link.behind + 1;
    if (missing.delete(place)) this.#edited({ seq: place, eventId: link.eventId });
    else this.#find('repeated', `event ${link.seq} is there twice`, link);
  }

  /** Moved links are compared as those in their places are. */
  #compareMoved({ from, to, before, claim }: Gap): void {
    let hash: Uint8Array | undefined = before;
    for (let seq = from; seq <= Math.min(to, from + mostDisplaced); seq++) {
      const link = this.#displaced.get(seq);
      if (link !== undefined && hash !== undefined && !same(hash, link.previous)) this.#edited({ seq: seq - 1, eventId: this.#displaced.get(seq - 1)?.eventId });
      hash = link?.hash;
    }
    const last = this.#displaced.get(to);
    if (last !== undefined && claim !== undefined && !same(last.hash, claim)) this.#edited(last);
  }

  #judgeHead(now: AuditHead | undefined): AuditHead | undefined {
    const head = this.#first;
    const top = this.#top;
    if (now === undefined || head === undefined) {
      this.#find('head', 'the chain has no head: nothing says how long it was');
      return undefined;
    }
    if (!headHolds(this.#core, head) || !headHolds(this.#core, now)) {
      this.#find('head', 'the head was altered: the core does not vouch for it');
      return undefined;
    }
    if (top < head.seq) this.#find('cut', `events ${top + 1} to ${head.seq} were cut off the end`, { seq: top + 1, eventId: undefined });
    if (top > now.seq) this.#find('added', `events ${now.seq + 1} to ${top} were added behind the end`, { seq: now.seq + 1, eventId: undefined });
    if (this.#atFirst !== undefined && !same(this.#atFirst, head.hash)) this.#headDiffers(head, this.#last);
    return now;
  }

  /** The links agree with each other, perhaps, but not with what the core signed. */
  #headDiffers(head: AuditHead, last: Link): void {
    if (this.#broken) return;
    this.#find('recomputed', `event ${head.seq} was edited, or an earlier one was and the chain computed anew: its hash is not the one the core vouches for`, { seq: head.seq, eventId: last.seq === head.seq ? last.eventId : undefined });
  }

  #edited({ seq, eventId }: Pick<Link, 'seq' | 'eventId'>): void {
    this.#broken = true;
    this.#find('edited', `event ${seq} was edited`, { seq, eventId });
  }

  #find(kind: Finding['kind'], sentence: string, at?: Pick<Link, 'seq' | 'eventId'>): void {
    if (this.#findings.length >= mostFindings) return;
    this.#findings.push({ shard: this.#shard, kind, sentence, ...(at === undefined ? {} : { seq: at.seq }), ...(at?.eventId === undefined ? {} : { eventId: at.eventId }) });
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
