/** The trail's end, and what comes behind it, oldest first. */
import type { AuditRow, Store } from '../store/store.ts';

export interface TailOptions {
  /** How many events that are there already. */
  readonly last: number;
  /** Goes on with what comes, until the signal. */
  readonly follow?: { readonly signal: AbortSignal; readonly everyMs?: number };
  /** Only this account's events. */
  readonly account?: string;
}

const pageLinks = 500;

export async function* tail(store: Store, options: TailOptions): AsyncGenerator<AuditRow> {
  const places = new Map<string, number>();
  const shown: AuditRow[] = [];
  for (const shard of await store.shards()) {
    const seq = (await store.head(shard))?.seq ?? 0;
    shown.push(...(await before(store, shard, seq, options)));
    places.set(shard, seq + 1);
  }
  shown.sort((a, b) => a.timeMs - b.timeMs || a.seq - b.seq);
  yield* options.last === 0 ? [] : shown.slice(-options.last);
  while (options.follow !== undefined && !options.follow.signal.aborted) {
    for (const shard of await store.shards()) yield* onward(store, shard, places, options);
    await sleep(options.follow.everyMs ?? 200, options.follow.signal);
  }
}

/** The last events of a chain that are wanted, reading backwards page by page. */
async function before(store: Store, shard: string, top: number, options: TailOptions): Promise<AuditRow[]> {
  const wanted: AuditRow[] = [];
  let end = top;
  while (end > 0 && wanted.length < options.last) {
    const from = Math.max(1, end - pageLinks + 1);
    const last = end;
    const { rows } = await store.chain(shard, from, pageLinks);
    wanted.unshift(...rows.filter((row) => row.seq <= last && isOf(row, options.account)));
    end = from - 1;
  }
  return wanted;
}

async function* onward(store: Store, shard: string, places: Map<string, number>, options: TailOptions): AsyncGenerator<AuditRow> {
  let from = places.get(shard) ?? 1;
  for (;;) {
    const { rows, next } = await store.chain(shard, from, pageLinks);
    for (const row of rows) {
      if (row.seq < from) continue;
      from = row.seq + 1;
      if (isOf(row, options.account)) yield row;
    }
    places.set(shard, from);
    if (next === undefined) return;
  }
}

function isOf(row: AuditRow, account: string | undefined): boolean {
  return account === undefined || row.body.includes(`"recipientAccountId":"${account}"`);
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const stop = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      done();
    };
    const timer = setTimeout(stop, ms);
    signal.addEventListener('abort', stop);
  });
}
