/** Suspending, resuming, restricting and deleting accounts, for the operator. */
import type { AccountRecord } from '../iam/records.ts';
import { AdminError } from './accounts.ts';
import type { AdminAnswer, AdminCall, AdminRoute } from './admin.ts';
import type { Approvals } from './approvals.ts';
import type { Lifecycle } from './lifecycle.ts';

export function accountRoutes(lifecycle: Lifecycle, approvals?: Approvals): readonly AdminRoute[] {
  const route = (method: AdminRoute['method'], verb: string, act: (account: string, call: AdminCall) => Promise<AccountRecord>): AdminRoute => ({
    method, path: `/v1/accounts/:account${verb}`,
    run: async (call) => shown(call.path['account'] ?? '', await act(call.path['account'] ?? '', call)),
  });
  return [
    route('POST', '/suspend', (account) => lifecycle.suspend(account)),
    route('POST', '/resume', (account) => lifecycle.resume(account)),
    route('POST', '/strict', (account, { body: { strict } }) => {
      if (typeof strict !== 'boolean') throw new AdminError(400, 'strict is true or false');
      return lifecycle.setStrict(account, strict);
    }),
    { method: 'DELETE', path: '/v1/accounts/:account', run: async ({ path: { account = '' }, query }) => {
      const days = daysOf(query.get('days'));
      const act = async (): Promise<AdminAnswer> => shown(account, await lifecycle.scheduleDeletion(account, days));
      return approvals === undefined ? await act() : await approvals.ask(`account ${account.slice(0, 40)} deleted`, act);
    } },
    route('POST', '/cancel-deletion', (account) => lifecycle.cancelDeletion(account)),
  ];
}

function daysOf(text: string | null): number | undefined {
  if (text === null) return undefined;
  if (!/^\d{1,3}$/.test(text)) throw new AdminError(400, 'days is a number');
  return Number(text);
}

function shown(accountId: string, { status, dueMs, strict = false }: AccountRecord): AdminAnswer {
  return { body: { accountId, status, strict, ...(dueMs === undefined ? {} : { dueMs }) } };
}
