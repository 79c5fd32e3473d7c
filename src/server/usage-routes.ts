/** What an account used, for the operator. */
import type { Usage } from '../audit/usage.ts';
import type { Store } from '../store/store.ts';
import { AdminError } from './accounts.ts';
import type { AdminRoute } from './admin.ts';

const day = 86_400_000;

export function usageRoutes(store: Store, usage: Usage): readonly AdminRoute[] {
  return [{
    method: 'GET', path: '/v1/usage',
    run: async ({ query }) => {
      const account = query.get('account') ?? '';
      const days = Number(query.get('days') ?? 30);
      if (!/^\d{12}$/.test(account)) throw new AdminError(400, 'account is twelve digits');
      if (!Number.isSafeInteger(days) || days < 1 || days > 3660) throw new AdminError(400, 'days is 1 to 3660');
      const names = Array.from({ length: days }, (_, i) => new Date(store.now() - i * day).toISOString().slice(0, 10)).reverse();
      return { body: { usage: await usage.of(account, names) } };
    },
  }];
}
