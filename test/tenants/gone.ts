/** A key at the end of its waiting period, without the waiting: every row of it goes. */
import type { Store } from '../../src/store/store.ts';

export async function removeKey(store: Store, id: string): Promise<void> {
  const lists = await Promise.all((['alias.key', 'grant.key', 'material.key'] as const).map((index) => store.list(index.split('.')[0] as 'alias' | 'grant' | 'material', { index, equals: [id], limit: 1000 })));
  await store.tx(async (tx) => {
    for (const table of ['key', 'policy'] as const) {
      const row = await tx.get(table, id);
      if (row !== undefined) tx.delete(row);
    }
    for (const { rows } of lists) for (const row of rows) tx.delete(row);
  });
}
