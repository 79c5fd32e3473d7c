import type { Session } from './session.ts';
import { HsmError } from './core.ts';

export interface PoolOptions {
  /** Most sessions at once; default 8. */
  readonly size?: number;
  /** Milliseconds to wait for one; default 30,000. */
  readonly timeoutMs?: number;
}

interface Waiter { readonly take: (session: Session) => void; readonly fail: (error: Error) => void; readonly timer: NodeJS.Timeout }

/** Sessions of one partition, lent to one piece of work at a time. First come, first served. */
export class SessionPool {
  readonly #make: () => Session | Promise<Session>;
  readonly #size: number;
  readonly #timeoutMs: number;
  readonly #idle: Session[] = [];
  readonly #waiting: Waiter[] = [];
  #made = 0;
  #open = true;

  constructor(make: () => Session | Promise<Session>, options: PoolOptions = {}) {
    const size = options.size ?? 8;
    if (!Number.isSafeInteger(size) || size < 1) throw new TypeError('size must be at least 1');
    this.#make = make;
    this.#size = size;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  /** Sessions made and not closed. */
  get size(): number {
    return this.#made;
  }

  /** Runs `work` with a session of its own. HSM_E_LIMIT when none is free in time, HSM_E_STATE when the pool is closed. */
  async use<R>(work: (session: Session) => R | Promise<R>): Promise<R> {
    const session = await this.#take();
    try {
      return await work(session);
    } finally {
      this.#give(session);
    }
  }

  /** Sessions at work are closed when they come back; whoever waits is refused. */
  close(): void {
    this.#open = false;
    for (const session of this.#idle.splice(0)) this.#end(session);
    for (const waiter of this.#waiting.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.fail(closed());
    }
  }

  async #take(): Promise<Session> {
    if (!this.#open) throw closed();
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#made >= this.#size) return await this.#wait();
    this.#made++;
    try {
      return await this.#make();
    } catch (error) {
      this.#made--;
      throw error;
    }
  }

  #wait(): Promise<Session> {
    return new Promise((take, fail) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        fail(new HsmError('HSM_E_LIMIT', `no session became free in ${this.#timeoutMs} ms`));
      }, this.#timeoutMs);
      const waiter: Waiter = { take, fail, timer };
      this.#waiting.push(waiter);
    });
  }

  #give(session: Session): void {
    if (!this.#open || !session.isOpen) {
      this.#end(session);
      this.#replace();
      return;
    }
    const waiter = this.#waiting.shift();
    if (waiter === undefined) {
      this.#idle.push(session);
      return;
    }
    clearTimeout(waiter.timer);
    waiter.take(session);
  }

  /** A session ended at work: whoever waits gets a new one. */
  #replace(): void {
    const waiter = this.#open ? this.#waiting.shift() : undefined;
    if (waiter === undefined) return;
    clearTimeout(waiter.timer);
    this.#take().then(waiter.take, waiter.fail);
  }

  #end(session: Session): void {
    this.#made--;
    session.close();
  }
}

const closed = (): HsmError => new HsmError('HSM_E_STATE', 'the pool is closed');
