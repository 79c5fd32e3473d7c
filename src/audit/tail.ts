/** The trail's end, and what comes behind it, oldest first; a page says where the next begins. */
import type { AuditRow, Store } from '../store/store.ts';

export interface TailPage {
  readonly rows: readonly AuditRow[];
  /** Opaque: give it to {@link eventsAfter}. */
  readonly next: string;
}

/** Shard and the number that comes next in it. */
type Places = Readonly<Record<string, number>>;

const pageLinks = 500;
const mostEvents = 10_000;

export async function lastEvents(store: Store, count: number, account?: string): Promise<TailPage> {
  const places: Record<string, number> = {};
  const found: AuditRow[] = [];
  const wanted = Math.min(count, mostEvents);
  for (const shard of await store.shards()) {
    const top = (await store.head(shard))?.seq ?? 0;
    places[shard] = top + 1;
    found.push(...(await before(store, shard, top, wanted, account)));
  }
  return { rows: wanted === 0 ? [] : inTime(found).slice(-wanted), next: cursorOf(places) };
}

/** At most about {@link pageLinks} events a shard: an empty page is the end for now. undefined: not a cursor of ours. */
export async function eventsAfter(store: Store, cursor: string, account?: string): Promise<TailPage | undefined> {
  const known = placesOf(cursor);
  if (known === undefined) return undefined;
  const places: Record<string, number> = { ...known };
  const found: AuditRow[] = [];
  for (const shard of await store.shards()) {
    const from = known[shard] ?? 1;
    const { rows, next } = await store.chain(shard, from, pageLinks);
    found.push(...rows.filter((row) => row.seq >= from && isOf(row, account)));
    const last = rows[rows.length - 1];
    places[shard] = next ?? (last === undefined ? from : Math.max(from, last.seq + 1));
  }
  return { rows: inTime(found), next: cursorOf(places) };
}

/** The last events of a chain that are wanted, reading backwards page by page. */
async function before(store: Store, shard: string, top: number, wanted: number, account: string | undefined): Promise<AuditRow[]> {
  let found: AuditRow[] = [];
  let end = top;
  while (end > 0 && found.length < wanted) {
    const from = Math.max(1, end - pageLinks + 1);
    const last = end;
    const { rows } = await store.chain(shard, from, pageLinks);
    found = [...rows.filter((row) => row.seq >= from && row.seq <= last && isOf(row, account)), ...found];
    end = from - 1;
  }
  return found;
}

function inTime(rows: AuditRow[]): AuditRow[] {
  return rows.sort((a, b) => a.timeMs - b.timeMs || a.seq - b.seq);
}

function isOf(row: AuditRow, account: string | undefined): boolean {
  return account === undefined || row.body.includes(`"recipientAccountId":"${account}"`);
}

function cursorOf(places: Places): string {
  return Buffer.from(JSON.stringify(places), 'utf8').toString('base64url');
}

function placesOf(cursor: string): Places | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
    return Object.values(parsed).every((seq) => Number.isSafeInteger(seq) && seq > 0) ? (parsed as Places) : undefined;
  } catch {
    return undefined;
  }
}
