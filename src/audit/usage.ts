/**
 * Usage by account, key, operation and hour. A commit counts its requests in the transaction that writes
 * their events (store/counts.ts); here the counts are summed up by day: a transaction moves the cursor and
 * adds what lies before it, so every recorded request counts once, whatever was killed when. Counts that
 * are missing or altered are made again from the events. No request waits for it.
 */
import type { AuditRow, Count, Store } from '../store/store.ts';

/** A day of one key, or of the whole account (key ''). */
export interface UsageRecord {
  readonly day: string;
  readonly key: string;
  /** By hour (00 to 23), by operation (`kms:Encrypt`): requests, and how many of them failed. */
  readonly hours: Readonly<Record<string, Readonly<Record<string, readonly [requests: number, errors: number]>>>>;
}

interface CursorRecord {
  readonly kind: 'usage';
  readonly places: Readonly<Record<string, number>>;
}

type Counts = Map<string, { account: string; region: string; day: string; key: string; hours: Record<string, Record<string, [number, number]>> }>;

/** What was summed, and the number behind it. */
interface Summed {
  readonly counts: Counts;
  readonly next: number;
}

const cursorRow = 'usage';
const pageLinks = 2_000;
const pageTallies = 500;

export class Usage {
  readonly #store: Store;
  readonly #log: (line: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(store: Store, log: (line: string) => void = () => undefined) {
    this.#store = store;
    this.#log = log;
  }

  /** Takes up what the last run left uncounted. */
  start(everyMs = 30_000): void {
    const go = (): void => { this.count().catch((error: unknown) => { this.#log(`usage: ${error instanceof Error ? error.message : typeof error}`); }); };
    go();
    this.#timer ??= setInterval(go, everyMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.count().catch((error: unknown) => { this.#log(`usage: ${error instanceof Error ? error.message : typeof error}`); });
  }

  /** Everything recorded so far. */
  count(): Promise<void> {
    const round = this.#round.then(async () => {
      for (const shard of await this.#store.shards()) while (await this.#step(shard)) await new Promise((turn) => setImmediate(turn));
    });
    this.#round = round.catch(() => undefined);
    return round;
  }

  /** An account's days, first and last included. */
  async of(account: string, days: readonly string[]): Promise<readonly UsageRecord[]> {
    await this.count();
    const found: UsageRecord[] = [];
    for (const day of days) {
      for (let after: string | undefined; ;) {
        const page = await this.#store.list<UsageRecord>('counter', { index: 'counter.day', equals: [account, day], limit: 1000, ...(after === undefined ? {} : { after }) });
        found.push(...page.rows.map(({ body }) => body));
        if (page.next === undefined) break;
        after = page.next;
      }
    }
    return found;
  }

  /** undefined: the next commit's counts are not there. */
  async #counted(shard: string, from: number): Promise<Summed | undefined> {
    const counts: Counts = new Map();
    let next = from;
    for (const tally of await this.#store.tallies(shard, from, pageTallies)) {
      if (tally.first !== next) break;
      for (const count of tally.counts) gather(counts, count);
      next = tally.last + 1;
    }
    return next === from ? undefined : { counts, next };
  }

  /** From the events, up to where there are counts again. */
  async #recounted(shard: string, from: number): Promise<Summed> {
    const counts: Counts = new Map();
    const end = (await this.#store.tallies(shard, from, pageTallies))[0]?.first ?? ((await this.#store.head(shard))?.seq ?? 0) + 1;
    let next = from;
    for (const row of end <= from ? [] : (await this.#store.chain(shard, from, pageLinks)).rows) {
      if (row.seq < from || row.seq >= end) continue;
      const count = countOf(row);
      if (count !== undefined) gather(counts, count);
      next = Math.max(next, row.seq + 1);
    }
    // Events that were taken away cannot be counted: audit verify names them.
    return { counts, next: next === from && end > from ? end : next };
  }

  async #step(shard: string): Promise<boolean> {
    const from = (await this.#store.get<CursorRecord>('setting', cursorRow))?.body.places[shard] ?? 1;
    const { counts, next } = (await this.#counted(shard, from)) ?? (await this.#recounted(shard, from));
    if (next === from) return false;
    await this.#store.tx(async (tx) => {
      const cursor = await tx.get<CursorRecord>('setting', cursorRow);
      if ((cursor?.body.places[shard] ?? 1) !== from) return;
      const body: CursorRecord = { kind: 'usage', places: { ...cursor?.body.places, [shard]: next } };
      if (cursor === undefined) tx.insert('setting', { id: cursorRow, account: '', region: '', body });
      else tx.update(cursor, { body });
      for (const [id, { account, region, day, key, hours }] of counts) {
        const row = await tx.get<UsageRecord>('counter', id);
        if (row === undefined) tx.insert<UsageRecord>('counter', { id, account, region: key === '' ? '' : region, body: { day, key, hours } });
        else tx.update(row, { body: { day, key, hours: added(row.body.hours, hours) } });
      }
    });
    return true;
  }
}

interface Event {
  readonly eventType?: string;
  readonly eventSource?: string;
  readonly eventName?: string;
  readonly errorCode?: string;
  readonly awsRegion?: string;
  readonly recipientAccountId?: string;
  readonly resources?: readonly { readonly ARN?: string; readonly type?: string }[];
}

/** undefined: counts as nothing, or is no event any more. */
function countOf({ body, timeMs }: AuditRow): Count | undefined {
  let event: Event;
  try {
    event = JSON.parse(body) as Event;
  } catch {
    return undefined;
  }
  const { recipientAccountId: account, awsRegion: region = '', eventSource = '', eventName } = event;
  if (event.eventType !== 'AwsApiCall' || account === undefined || eventName === undefined) return undefined;
  const keys = (event.resources ?? []).flatMap(({ ARN, type }) => (type === 'AWS::KMS::Key' && ARN !== undefined ? [ARN] : []));
  return { hour: Math.floor(timeMs / 3_600_000), account, region, operation: `${eventSource.split('.')[0] ?? ''}:${eventName}`, keys, requests: 1, errors: event.errorCode === undefined ? 0 : 1 };
}

function gather(counts: Counts, { hour, account, region, operation, keys, requests, errors }: Count): void {
  const time = new Date(hour * 3_600_000).toISOString();
  const day = time.slice(0, 10);
  for (const key of new Set(['', ...keys])) {
    const id = `usage/${account}/${day}/${key}`;
    let entry = counts.get(id);
    if (entry === undefined) counts.set(id, (entry = { account, region, day, key, hours: {} }));
    const cell = ((entry.hours[time.slice(11, 13)] ??= {})[operation] ??= [0, 0]);
    cell[0] += requests;
    cell[1] += errors;
  }
}

function added(a: UsageRecord['hours'], b: UsageRecord['hours']): UsageRecord['hours'] {
  const sum: Record<string, Record<string, readonly [number, number]>> = Object.fromEntries(Object.entries(a).map(([hour, cells]) => [hour, { ...cells }]));
  for (const [hour, cells] of Object.entries(b)) {
    for (const [operation, [requests, errors]] of Object.entries(cells)) {
      const known = (sum[hour] ??= {})[operation] ?? [0, 0];
      (sum[hour] ??= {})[operation] = [known[0] + requests, known[1] + errors];
    }
  }
  return sum;
}
