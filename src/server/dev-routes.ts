/** What the operator of a double for tests can ask beside: the clock, known keys, a fresh start. Refused by any other server. */
import { IamError } from '../iam/errors.ts';
import { ClockError } from '../kms/clock.ts';
import type { Clock } from '../kms/clock.ts';
import type { Services } from '../kms/run.ts';
import { fieldsAt, readKeys, SeedError, seedKeys } from '../kms/seed.ts';
import type { Core } from '../hsm/core.ts';
import type { Store } from '../store/store.ts';
import { AdminError } from './accounts.ts';
import type { Accounts } from './accounts.ts';
import type { AdminAnswer, AdminCall, AdminRoute } from './admin.ts';
import { seedAccounts } from './seed.ts';

export interface DevContext {
  readonly core: Core;
  readonly store: Store;
  readonly clock: Clock;
  /** Does what has fallen due; resolves when it is done. */
  readonly wake: () => Promise<unknown>;
  readonly accounts: Accounts;
  readonly kms: Services;
  readonly home: string;
  /** Everything goes; first account and credentials are made again. */
  readonly reset: () => Promise<void>;
  /** The first account. */
  readonly account: string;
}

export function devRoutes(context: DevContext): readonly AdminRoute[] {
  const { core } = context;
  const only = (run: AdminRoute['run']): AdminRoute['run'] => (call) => {
    const { mode } = core.describe();
    if (mode !== 'dev') throw new AdminError(409, `this home is in ${mode} mode since its root key was made: clock, seed and reset are for STRONGROOM_MODE=dev`);
    return run(call);
  };
  return [
    { method: 'GET', path: '/v1/clock', run: only(() => shown(context)) },
    { method: 'POST', path: '/v1/clock', run: only((call) => move(context, call)) },
    { method: 'POST', path: '/v1/seed', run: only((call) => seed(context, call)) },
    { method: 'POST', path: '/v1/reset', run: only(() => reset(context)) },
  ];
}

function shown({ clock }: DevContext): AdminAnswer {
  const nowMs = clock.now();
  return { body: { nowMs, now: new Date(nowMs).toISOString(), aheadMs: clock.aheadMs } };
}

/** Answers when the caretaker has done what fell due in the time that was passed over. */
async function move(context: DevContext, { body }: AdminCall): Promise<AdminAnswer> {
  const { clock, store, wake } = context;
  const { nowMs, advanceMs } = body;
  const to = typeof nowMs === 'number' && advanceMs === undefined ? nowMs
    : typeof advanceMs === 'number' && nowMs === undefined && advanceMs >= 0 ? clock.now() + advanceMs : undefined;
  if (to === undefined) throw new AdminError(400, 'give nowMs, a time in milliseconds since 1970, or advanceMs, how many to go forward');
  try {
    await clock.set(store, to);
  } catch (error) {
    throw error instanceof ClockError ? new AdminError(400, error.message) : error;
  }
  await wake();
  return shown(context);
}

async function seed(context: DevContext, { body }: AdminCall): Promise<AdminAnswer> {
  const { kms, account, wake } = context;
  try {
    const document = fieldsAt(body['document'], 'the file');
    const plan = readKeys(document, { account: placed(body['account']) ?? account, region: placed(body['region']) ?? kms.regions[0] ?? '' });
    const accounts = await seedAccounts(context, document);
    const done = await seedKeys(kms, plan);
    await wake();
    return { body: { accounts, ...done } };
  } catch (error) {
    if (error instanceof SeedError || error instanceof IamError) throw new AdminError(400, error.message);
    throw error;
  }
}

const placed = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

async function reset(context: DevContext): Promise<AdminAnswer> {
  await context.reset();
  return { body: { accountId: context.account } };
}
