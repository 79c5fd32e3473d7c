/** Self-tests while serving: at an interval, and when an operator asks. One that fails ends all service; that is the core's doing. */
import type { Core } from '../hsm/core.ts';

const hour = 3_600_000;

export interface SelfTestRun {
  readonly atMs: number;
  readonly tests: number;
  readonly failed?: string;
}

export class SelfTests {
  readonly #core: Core & { selfTestSlow(name?: string): Promise<{ readonly failed?: string }> };
  readonly #everyMs: number;
  readonly #log: (line: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #under: Promise<SelfTestRun> | undefined;
  #last: SelfTestRun | undefined;

  constructor(core: Core & { selfTestSlow(name?: string): Promise<{ readonly failed?: string }> }, hours: number, log: (line: string) => void) {
    this.#core = core;
    this.#everyMs = hours * hour;
    this.#log = log;
    // The core has run them all when it was powered on.
    this.#last = { atMs: Date.now(), tests: core.selfTests().length };
  }

  get last(): SelfTestRun | undefined {
    return this.#last;
  }

  start(): void {
    if (this.#everyMs > 0) this.#timer ??= setInterval(() => void this.run().catch(() => undefined), this.#everyMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#under?.catch(() => undefined);
  }

  /** All of them, or the one of this name. */
  run(name?: string): Promise<SelfTestRun> {
    this.#under ??= this.#run(name).finally(() => { this.#under = undefined; });
    return this.#under;
  }

  async #run(name: string | undefined): Promise<SelfTestRun> {
    const { failed } = await this.#core.selfTestSlow(name);
    const done = { atMs: Date.now(), tests: name === undefined ? this.#core.selfTests().length : 1, ...(failed === undefined ? {} : { failed }) };
    if (failed !== undefined) this.#log(`self-test ${failed} failed: nothing is served until the server is started again`);
    this.#last = done;
    return done;
  }
}
