/**
 * Suspending and deleting accounts, and making them strict. A deletion waits, 7 to 30 days; when it is due the account's key
 * goes first, and with it everything that was ever sealed under it, here and in copies of this file
 * made from then on. Then its records go. Each step looks again, so a round that was cut short, or runs
 * on two nodes, does it once.
 */
import type { Recorder } from '../audit/recorder.ts';
import type { PartitionHandle } from '../hsm/core.ts';
import type { AccountRecord } from '../iam/records.ts';
import type { Row, Store } from '../store/store.ts';
import { randomUuid } from '../store/uuid.ts';
import { AdminError } from './accounts.ts';
import type { Accounts } from './accounts.ts';

const day = 86_400_000;
const waitingDays = { least: 7, most: 30 } as const;

export interface LifecycleOptions {
  readonly store: Store;
  readonly accounts: Accounts;
  readonly recorder: Recorder;
  readonly region: string;
  /** Whoever keeps handles of the account's partition lets them go. */
  readonly forget: (account: string, partition: PartitionHandle | undefined) => void;
  readonly log: (line: string) => void;
  /** Between two rounds; default ten seconds. */
  readonly everyMs?: number;
}

type Act = 'RestrictAccount' | 'UnrestrictAccount' | 'SuspendAccount' | 'ResumeAccount' | 'ScheduleAccountDeletion' | 'CancelAccountDeletion' | 'DeleteAccount';

export class Lifecycle {
  readonly #options: LifecycleOptions;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<number> | undefined;

  constructor(options: LifecycleOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.run(), this.#options.everyMs ?? 10_000).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#round;
  }

  /** Its credentials stop with the next request. */
  suspend(account: string): Promise<AccountRecord> {
    return this.#change(account, 'SuspendAccount', (body) => {
      if (body.status !== 'Active') throw new AdminError(409, `account ${account} is ${body.status}`);
      return { ...body, status: 'Suspended' };
    });
  }

  resume(account: string): Promise<AccountRecord> {
    return this.#change(account, 'ResumeAccount', (body) => {
      if (body.status !== 'Suspended') throw new AdminError(409, `account ${account} is ${body.status}`);
      return { ...body, status: 'Active' };
    });
  }

  /**
   * In force when this resolves. Lifting it counts from the next start: an open partition stays what it is,
   * so that nobody gets plaintext out of a running server by way of the operator's socket.
   */
  async setStrict(account: string, strict: boolean): Promise<AccountRecord> {
    const body = await this.#change(account, strict ? 'RestrictAccount' : 'UnrestrictAccount', ({ strict: _, ...rest }) => {
      if (rest.status === 'Deleted') throw new AdminError(409, `account ${account} is Deleted`);
      return strict ? { ...rest, strict } : rest;
    });
    if (strict) await this.#options.accounts.restrict(account);
    return body;
  }

  scheduleDeletion(account: string, days: number = waitingDays.most): Promise<AccountRecord> {
    if (!Number.isSafeInteger(days) || days < waitingDays.least || days > waitingDays.most) throw new AdminError(400, `the waiting period is ${waitingDays.least} to ${waitingDays.most} days`);
    const dueMs = this.#options.store.now() + days * day;
    return this.#change(account, 'ScheduleAccountDeletion', (body) => {
      if (body.status === 'PendingDeletion' || body.status === 'Deleted') throw new AdminError(409, `account ${account} is ${body.status}`);
      return { ...body, status: 'PendingDeletion', dueMs };
    });
  }

  /** It stays suspended, as a key stays disabled. */
  cancelDeletion(account: string): Promise<AccountRecord> {
    return this.#change(account, 'CancelAccountDeletion', ({ dueMs: _, ...body }) => {
      if (body.status !== 'PendingDeletion') throw new AdminError(409, `account ${account} is ${body.status}`);
      return { ...body, status: 'Suspended' };
    });
  }

  /** Deletes what is due; answers how many. Never rejects. */
  run(): Promise<number> {
    this.#round ??= this.#work().finally(() => { this.#round = undefined; });
    return this.#round;
  }

  /** The clock was moved: what is due now is done when this resolves. */
  async wake(): Promise<void> {
    await this.#round;
    await this.run();
  }

  async #work(): Promise<number> {
    const { store, log } = this.#options;
    let done = 0;
    try {
      const { rows } = await store.list<AccountRecord>('account', { index: 'account.due', equals: [], limit: 100 });
      for (const row of rows) {
        if ((row.body.dueMs ?? Infinity) > store.now()) break;
        await this.#delete(row);
        done += 1;
      }
    } catch (error) {
      log(`accounts: ${error instanceof Error ? `${error.name}: ${error.message}` : typeof error}`);
    }
    return done;
  }

  /** The key first; `dueMs` last, so that whatever is cut short is taken up again. */
  async #delete({ id }: Row<AccountRecord>): Promise<void> {
    const { store, accounts, forget } = this.#options;
    const isOurs = await store.tx(async (tx) => {
      const row = await tx.get<AccountRecord>('account', id);
      if (row?.body.dueMs === undefined || row.body.dueMs > store.now()) return false;
      tx.update(row, { body: { status: 'Deleted', dueMs: row.body.dueMs }, sealed: null });
      return true;
    });
    if (!isOurs) return;
    forget(id, await accounts.close(id));
    await store.purge(id);
    await this.#record(id, 'DeleteAccount');
    await store.tx(async (tx) => {
      const row = await tx.get<AccountRecord>('account', id);
      if (row !== undefined) tx.update(row, { body: { status: 'Deleted' } });
    });
  }

  async #change(account: string, act: Act, next: (body: AccountRecord) => AccountRecord): Promise<AccountRecord> {
    const { store } = this.#options;
    const body = await store.tx(async (tx) => {
      const row = await tx.get<AccountRecord>('account', account);
      if (row === undefined) throw new AdminError(404, `there is no account ${account.slice(0, 40)}`);
      const changed = next(row.body);
      tx.update(row, { body: changed });
      return changed;
    });
    await this.#record(account, act);
    return body;
  }

  /** In the account's own trail, as an event of the service. */
  async #record(account: string, name: Act): Promise<void> {
    await this.#options.recorder.record({
      source: 'account.amazonaws.com', name, readOnly: false, region: this.#options.region, requestId: randomUuid(), sourceIp: 'AWS Internal', userAgent: 'AWS Internal',
      actor: undefined, recipients: [account],
    }).durable;
  }
}
