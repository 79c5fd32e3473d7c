/**
 * Group commit on the event loop's side. What arrives while the writer is busy travels together: one
 * message, one SQLite transaction, one sync. When a commit lets n waiters go, n are expected back: the
 * next one leaves when as many wait again, or a millisecond later. A lone caller never waits.
 */
import { Worker } from 'node:worker_threads';
import { StoreError } from './store.ts';
import type { NewAuditRow } from './store.ts';
import type { FromWriter, Outcome, Place, ToWriter, WireHead, WireSegment, WireTally, WireTx, WriterOptions } from './wire.ts';

/** Makes a chain's next links; asked when a batch leaves, told when it has landed. */
export interface Links {
  next(events: readonly NewAuditRow[]): { readonly segments: readonly WireSegment[]; readonly tally: WireTally; readonly head: WireHead };
  committed(head: WireHead): void;
}

interface Waiting {
  readonly tx: WireTx;
  readonly done: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
}

/** A promise that may have many listeners, or none. */
class Gate {
  readonly promise: Promise<void>;
  open!: () => void;
  fail!: (error: unknown) => void;
  constructor() {
    this.promise = new Promise((open, fail) => {
      this.open = open;
      this.fail = fail;
    });
    this.promise.catch(() => undefined);
  }
}

interface Batch {
  readonly txs: Waiting[];
  readonly events: NewAuditRow[];
  readonly appended: Gate;
  readonly landed: Gate;
  head: WireHead | undefined;
}

function sizeOf(batch: Batch): number {
  return batch.txs.length + batch.events.length;
}

/** Of a purge: what went, and where to go on. */
export type Piece = Pick<Extract<FromWriter, { kind: 'purged' }>, 'gone' | 'next'>;

const patienceMs = 1;
const mostExpected = 256;

function emptyBatch(): Batch {
  return { txs: [], events: [], appended: new Gate(), landed: new Gate(), head: undefined };
}

/** Links in one row of the database: a look-up reads the whole row. */
export const longestSegment = 256;

export class GroupCommit {
  readonly #worker: Worker;
  #links: Links | undefined;
  #next = emptyBatch();
  #flying: Batch | undefined;
  #scheduled = false;
  /** How many waiters make a batch worth sending before its time. */
  #expected = 1;
  #patience: NodeJS.Timeout | undefined;
  #indexing: Gate | undefined;
  readonly #purging: { readonly done: (piece: Piece) => void; readonly fail: (error: unknown) => void }[] = [];
  #wiping: Gate | undefined;
  #closing: Gate | undefined;
  #broken: StoreError | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: FromWriter) => { this.#hear(message); });
    worker.on('error', (error) => { this.#break(new StoreError('Closed', `the store's writer died: ${error.message}`)); });
    worker.on('exit', () => { this.#break(new StoreError('Closed', 'the store is closed')); });
  }

  static async start(options: WriterOptions): Promise<GroupCommit> {
    const worker = new Worker(new URL('./writer.mjs', import.meta.url), { workerData: options, execArgv: [] });
    await new Promise<void>((ready, fail) => {
      worker.once('error', fail);
      worker.once('message', (message: FromWriter) => {
        worker.removeListener('error', fail);
        if (message.kind === 'refused') fail(new StoreError(message.code, message.message));
        else ready();
      });
    });
    return new GroupCommit(worker);
  }

  /** Whose links `append` makes from now on. */
  follow(links: Links): void {
    this.#links = links;
  }

  /** Resolves when durable, or with why not; rejects when the whole batch failed. first: ahead of its batch. */
  commit(tx: WireTx, first: boolean): Promise<Outcome> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    return new Promise((done, fail) => {
      if (first) this.#next.txs.unshift({ tx, done, fail });
      else this.#next.txs.push({ tx, done, fail });
      this.#schedule();
    });
  }

  /** Resolves when no batch is on its way to the disk. */
  landed(): Promise<void> {
    return this.#flying?.landed.promise ?? Promise.resolve();
  }

  append(events: readonly NewAuditRow[]): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    for (const event of events) this.#next.events.push(event);
    this.#schedule();
    return this.#next.appended.promise;
  }

  /** Resolves when everything committed so far can be looked up. */
  index(): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    if (this.#indexing === undefined) {
      this.#indexing = new Gate();
      this.#say({ kind: 'index' });
    }
    return this.#indexing.promise;
  }

  /** One piece; pieces come one after another, in the order asked. */
  purge(account: string, after: Place): Promise<Piece> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    return new Promise((done, fail) => {
      this.#purging.push({ done, fail });
      this.#say({ kind: 'purge', account, after });
    });
  }

  /** Everything goes; the chain goes on with `links`. What is committed meanwhile comes before or after, whole. */
  async wipe(links: Links): Promise<void> {
    while (this.#flying !== undefined) await this.landed();
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#wiping !== undefined) throw new StoreError('Busy', 'the store is being wiped already');
    const gate = new Gate();
    this.#wiping = gate;
    this.#say({ kind: 'wipe' });
    this.follow(links);
    await gate.promise;
  }

  async close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = new Gate();
      while (this.#broken === undefined && (this.#flying !== undefined || this.#scheduled || sizeOf(this.#next) > 0)) await new Promise((turn) => setImmediate(turn));
      if (this.#broken === undefined) this.#say({ kind: 'close' });
      else this.#closing.open();
    }
    await this.#closing.promise;
  }

  #schedule(): void {
    if (this.#scheduled || this.#flying !== undefined) return;
    if (sizeOf(this.#next) < this.#expected) {
      this.#patience ??= setTimeout(() => { this.#leave(); }, patienceMs);
      return;
    }
    this.#leave();
  }

  /** At the end of this turn of the loop: what else it brings still comes along. */
  #leave(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#scheduled = true;
    setImmediate(() => { this.#send(); });
  }

  #send(): void {
    this.#scheduled = false;
    const batch = this.#next;
    this.#next = emptyBatch();
    if (this.#broken !== undefined) return this.#refuse(batch, this.#broken);
    this.#flying = batch;
    let segments: readonly WireSegment[] = [];
    let tally: WireTally | undefined;
    try {
      if (batch.events.length > 0 && this.#links !== undefined) ({ segments, tally, head: batch.head } = this.#links.next(batch.events));
    } catch (error) {
      // A chain that may not be continued stops its events, not the transactions beside them.
      batch.appended.fail(error);
    }
    const transfer = segments.map((segment) => segment.links.buffer as ArrayBuffer);
    this.#worker.postMessage({ kind: 'commit', txs: batch.txs.map((waiting) => waiting.tx), segments, tally, head: batch.head } satisfies ToWriter, transfer);
  }

  #hear(message: FromWriter): void {
    if (message.kind === 'committed') this.#land(message);
    if (message.kind === 'indexed') {
      const gate = this.#indexing;
      this.#indexing = undefined;
      if (message.failure === undefined) gate?.open();
      else gate?.fail(new StoreError(message.failure.code, message.failure.message));
    }
    if (message.kind === 'purged') {
      const waiting = this.#purging.shift();
      if (message.failure === undefined) waiting?.done(message);
      else waiting?.fail(new StoreError(message.failure.code, message.failure.message));
    }
    if (message.kind === 'wiped') {
      const gate = this.#wiping;
      this.#wiping = undefined;
      if (message.failure === undefined) gate?.open();
      else gate?.fail(new StoreError(message.failure.code, message.failure.message));
    }
    if (message.kind === 'closed') {
      this.#break(new StoreError('Closed', 'the store is closed'));
      this.#closing?.open();
    }
  }

  #land(message: Extract<FromWriter, { kind: 'committed' }>): void {
    const batch = this.#flying;
    this.#flying = undefined;
    if (batch === undefined) return;
    if (message.failure !== undefined) {
      const error = new StoreError(message.failure.code, message.failure.message);
      this.#refuse(batch, error);
      if (message.broken) this.#break(new StoreError('Closed', `the store stopped after a failed write: ${error.message}`));
    } else {
      if (batch.head !== undefined) this.#links?.committed(batch.head);
      batch.txs.forEach((waiting, i) => { waiting.done(message.outcomes[i]); });
      batch.appended.open();
    }
    batch.landed.open();
    this.#expected = Math.min(mostExpected, sizeOf(batch) + sizeOf(this.#next));
    if (sizeOf(this.#next) > 0) this.#schedule();
  }

  #refuse(batch: Batch, error: StoreError): void {
    for (const waiting of batch.txs) waiting.fail(error);
    batch.appended.fail(error);
    batch.landed.open();
  }

  #break(error: StoreError): void {
    if (this.#broken !== undefined) return;
    this.#broken = error;
    if (this.#flying !== undefined) this.#refuse(this.#flying, error);
    this.#flying = undefined;
    this.#refuse(this.#next, error);
    this.#next = emptyBatch();
    this.#indexing?.fail(error);
    for (const waiting of this.#purging.splice(0)) waiting.fail(error);
    this.#wiping?.fail(error);
    this.#closing?.open();
  }

  #say(message: ToWriter): void {
    this.#worker.postMessage(message);
  }
}

