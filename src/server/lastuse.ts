/** When an access key was used last: exact in memory, written down at most every quarter of an hour. */
import type { Store } from '../store/store.ts';

export interface LastUse {
  readonly timeMs: number;
  readonly service: string;
  readonly region: string;
}

const written = 15 * 60_000;
const kept = 10_000;

export class LastUses {
  readonly #store: Store;
  readonly #known = new Map<string, { use: LastUse; writtenMs: number }>();

  constructor(store: Store) {
    this.#store = store;
  }

  note(accessKeyId: string, service: string, region: string): void {
    const use = { timeMs: this.#store.now(), service, region };
    const known = this.#known.get(accessKeyId);
    if (known !== undefined) known.use = use;
    if (known !== undefined && use.timeMs - known.writtenMs < written) return;
    if (this.#known.size >= kept) this.#known.clear();
    this.#known.set(accessKeyId, { use, writtenMs: use.timeMs });
    // A lost note is a note fifteen minutes old: no request waits or fails for it.
    this.#write(accessKeyId, use).catch(() => undefined);
  }

  async of(accessKeyId: string): Promise<LastUse | undefined> {
    return this.#known.get(accessKeyId)?.use ?? (await this.#store.get<LastUse>('counter', rowId(accessKeyId)))?.body;
  }

  async #write(accessKeyId: string, use: LastUse): Promise<void> {
    const id = rowId(accessKeyId);
    await this.#store.tx(async (tx) => {
      const row = await tx.get<LastUse>('counter', id);
      const credential = await tx.get('credential', accessKeyId);
      if (credential === undefined) return;
      if (row === undefined) tx.insert<LastUse>('counter', { id, account: credential.account, region: '', body: use });
      else tx.update(row, { body: use });
    });
  }
}

const rowId = (accessKeyId: string): string => `key-use/${accessKeyId}`;
