/**
 * Fixed moments for refusals that must not tell "not yours" from "not there". What the two cost differs, in look-ups,
 * policies and writes, and on a quiet line microseconds can be measured. So such an answer waits until a whole number of
 * steps has passed since its request came; the work is done long before the first. The timer is set when the request
 * comes, before anything is known of it, because where a timer fires between two milliseconds depends on when it was set.
 */

/** Far above what a refusal costs, a commit to disk included; far below what a caller who errs would mind. */
export const gridMs = 50;

export class Beat {
  readonly #ms: number;
  #timer: NodeJS.Timeout;
  #go: (() => void) | undefined;

  /** Of a request that has just come. */
  constructor(ms: number) {
    this.#ms = ms;
    this.#timer = this.#set();
  }

  /** The next step. */
  next(): Promise<void> {
    return new Promise((go) => { this.#go = go; });
  }

  /** No answer waits any more. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #set(): NodeJS.Timeout {
    return setTimeout(() => {
      if (this.#go !== undefined) return this.#go();
      this.#timer = this.#set();
    }, this.#ms);
  }
}
