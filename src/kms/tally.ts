/**
 * About how many there are, to tell whether a ceiling is near: counted once from the store, then kept up by
 * those who add and take away. What is under way, and what other nodes add, is not in it.
 */
import type { Reader, Query } from '../store/store.ts';

const mostKept = 10_000;

export class Tally {
  readonly #store: Reader;
  /** What it counts. */
  readonly query: (name: string) => Pick<Query, 'index' | 'equals'> & { readonly table: 'key' | 'grant' };
  readonly #counts = new Map<string, number>();

  constructor(store: Reader, query: (name: string) => Pick<Query, 'index' | 'equals'> & { readonly table: 'key' | 'grant' }) {
    this.#store = store;
    this.query = query;
  }

  async of(name: string): Promise<number> {
    const known = this.#counts.get(name);
    if (known !== undefined) return known;
    const { table, ...query } = this.query(name);
    let count = 0;
    for (let after: string | undefined; ;) {
      const page = await this.#store.list(table, { ...query, limit: 1000, ...(after === undefined ? {} : { after }) });
      count += page.rows.length;
      if (page.next === undefined) break;
      after = page.next;
    }
    if (this.#counts.size >= mostKept) this.#counts.clear();
    this.#counts.set(name, count);
    return count;
  }

  /** The store was emptied. */
  clear(): void {
    this.#counts.clear();
  }

  add(name: string, change: 1 | -1): void {
    const known = this.#counts.get(name);
    if (known !== undefined) this.#counts.set(name, known + change);
  }
}
