/**
 * The service's clock. It runs with the system's; in dev mode it can be set forward, so that waiting
 * periods, rotations and expiries pass when a test wants them to. How far is kept in the store.
 * Signatures are measured by the system's clock all the same.
 */
import type { Row, Store } from '../store/store.ts';

interface ClockRecord {
  readonly kind: 'clock';
  readonly aheadMs: number;
}

const rowId = 'clock';
/** Dates end in the year 275760; AWS's fields long before. */
const latest = Date.UTC(9999, 11, 31);

/** A time that the clock cannot be set to; the message says why. */
export class ClockError extends Error {
  override readonly name = 'ClockError';
}

export class Clock {
  readonly #system: () => number;
  #aheadMs = 0;

  constructor(system: () => number = Date.now) {
    this.#system = system;
  }

  readonly now = (): number => this.#system() + this.#aheadMs;

  get aheadMs(): number {
    return this.#aheadMs;
  }

  /** As it was left. */
  async load(store: Store): Promise<void> {
    this.#aheadMs = (await store.get<ClockRecord>('setting', rowId))?.body.aheadMs ?? 0;
  }

  /** Kept first, then true: a restart never goes back behind an answer. Never backwards. */
  async set(store: Store, nowMs: number): Promise<void> {
    if (!Number.isSafeInteger(nowMs) || nowMs > latest) throw new ClockError('a time is milliseconds since 1970, before the year 10000');
    const aheadMs = nowMs - this.#system();
    if (aheadMs < this.#aheadMs) throw new ClockError(`the clock is at ${new Date(this.now()).toISOString()} and only goes forward: strongroom reset takes it back`);
    await store.tx(async (tx) => {
      const row: Row<ClockRecord> | undefined = await tx.get<ClockRecord>('setting', rowId);
      const body: ClockRecord = { kind: 'clock', aheadMs };
      if (row === undefined) tx.insert('setting', { id: rowId, account: '', region: '', body });
      else tx.update(row, { body });
    });
    this.#aheadMs = Math.max(aheadMs, this.#aheadMs);
  }

  /** The system's time again. */
  reset(): void {
    this.#aheadMs = 0;
  }
}
