/** Suspending, resuming, restricting and deleting accounts, for the operator. */
import type { AccountRecord } from '../iam/records.ts';
import { AdminError } from './accounts.ts';
import type { AdminAnswer, AdminCall, AdminRoute } from './admin.ts';
import type { Lifecycle } from './lifecycle.ts';

export function accountRoutes(lifecycle: Lifecycle): readonly AdminRoute[] {
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
    route('DELETE', '', (account, { query }) => lifecycle.scheduleDeletion(account, daysOf(query.get('days')))),
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
