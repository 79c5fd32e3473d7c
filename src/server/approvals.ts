/**
 * Destructive administration waits for a quorum: where the root key has shares, as many of them as open it approve
 * one act each time. The core counts and checks them; what came for one act counts for no other.
 */
import { randomUuid } from '../store/uuid.ts';
import { AdminError } from './accounts.ts';
import type { AdminAnswer } from './admin.ts';
import type { RootKeeper } from './root-keeper.ts';

interface Pending {
  readonly what: string;
  readonly untilMs: number;
  /** Whose shares count; default: those of the root's header. */
  readonly header?: Buffer;
  run(): Promise<AdminAnswer>;
}

const patienceMs = 30 * 60_000;
const most = 16;

export class Approvals {
  readonly #keeper: RootKeeper;
  readonly #pending = new Map<string, Pending>();

  constructor(keeper: RootKeeper) {
    this.#keeper = keeper;
  }

  /** Runs at once where the root has no shares; else when it is approved, within half an hour. */
  async ask(what: string, run: () => Promise<AdminAnswer>): Promise<AdminAnswer> {
    const people = (await this.#keeper.slots()).find((slot) => slot.how === 'shares');
    if (people === undefined) return await run();
    const approval = this.wait(what, run);
    return { status: 202, body: { approval, what, need: people.threshold, message: `${people.threshold} share holders have to approve it: strongroom operator approve ${approval}` } };
  }

  /** Waits, whatever slots there are; for the shares of `header`, where it is given. */
  wait(what: string, run: () => Promise<AdminAnswer>, header?: Buffer): string {
    this.#expire();
    if (this.#pending.size >= most) throw new AdminError(409, `${most} acts wait for approval already`);
    const approval = randomUuid().slice(0, 8);
    this.#pending.set(approval, { what, run, untilMs: Date.now() + patienceMs, ...(header === undefined ? {} : { header }) });
    return approval;
  }

  list(): readonly { readonly approval: string; readonly what: string; readonly untilMs: number }[] {
    this.#expire();
    return [...this.#pending].map(([approval, { what, untilMs }]) => ({ approval, what, untilMs }));
  }

  /** The act's own answer, when enough came. */
  async approve(approval: string, share: Buffer): Promise<AdminAnswer> {
    this.#expire();
    const pending = this.#pending.get(approval);
    if (pending === undefined) throw new AdminError(404, `nothing waits for approval as ${approval.slice(0, 40)}`);
    const { have, need } = await this.#keeper.putShare(`approve ${approval}`, share, pending.header);
    if (have < need) return { body: { approval, what: pending.what, have, need } };
    this.#pending.delete(approval);
    return await pending.run();
  }

  /** The server was sealed: nothing of before is carried out. */
  forget(): void {
    this.#pending.clear();
  }

  #expire(): void {
    for (const [id, { untilMs }] of this.#pending) if (untilMs < Date.now()) this.#pending.delete(id);
  }
}
