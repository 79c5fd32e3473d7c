/**
 * The last use of each key, for GetKeyLastUsage. Gathered in memory and written now and then: a use
 * costs no write of its own, and a crash forgets at most the last few seconds (the trail has them).
 */
import type { Store } from '../store/store.ts';
import type { Run } from './run.ts';

export interface LastUse {
  readonly operation: string;
  readonly atMs: number;
  readonly eventId: string;
  readonly requestId: string;
}

interface Entry {
  readonly account: string;
  readonly region: string;
  readonly use: LastUse;
}

/** Row of a key's last use. */
export const lastUseRowId = (key: string): string => `last-use/${key}`;

export class LastUsage {
  readonly #store: Store;
  #fresh = new Map<string, Entry>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** `eventOf`: the event's id in the trail of the key's own account. */
  note(run: Run, eventOf: (account: string) => string): void {
    for (const key of run.used) {
      const use = { operation: run.operation.name, atMs: run.nowMs, eventId: eventOf(key.account), requestId: run.request.requestId };
      this.#fresh.set(key.id, { account: key.account, region: key.region, use });
    }
  }

  async of(key: string): Promise<LastUse | undefined> {
    return this.#fresh.get(key)?.use ?? (await this.#store.get<LastUse>('counter', lastUseRowId(key)))?.body;
  }

  /** A key that went takes its record along. */
  forget(key: string): void {
    this.#fresh.delete(key);
  }

  async flush(): Promise<void> {
    const entries = [...this.#fresh];
    this.#fresh = new Map();
    try {
      for (let i = 0; i < entries.length; i += 100) await this.#write(entries.slice(i, i + 100));
    } catch (error) {
      // Kept for the next time, unless used again meanwhile.
      for (const [key, entry] of entries) if (!this.#fresh.has(key)) this.#fresh.set(key, entry);
      throw error;
    }
  }

  async #write(entries: readonly (readonly [string, Entry])[]): Promise<void> {
    await this.#store.tx(async (tx) => {
      for (const [key, { account, region, use }] of entries) {
        if ((await tx.get('key', key)) === undefined) continue;
        const row = await tx.get<LastUse>('counter', lastUseRowId(key));
        if (row === undefined) tx.insert('counter', { id: lastUseRowId(key), account, region, body: use });
        else if (row.body.atMs <= use.atMs) tx.update(row, { body: use });
      }
    });
  }
}
