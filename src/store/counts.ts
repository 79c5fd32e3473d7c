/**
 * What the requests of a commit were, counted as they are written: a row beside the commit's links, in the
 * same transaction, under the core's MAC. Who sums usage up reads these and parses no event.
 *
 *     {"last": seq of the commit's last link, "counts": [[hour, account, Region, operation, [key, …], requests, errors], …]}
 *
 * Its number is that of the commit's first link; the hour is in hours since the epoch.
 */
import type { Count, NewAuditRow, Tally } from './store.ts';

export function packCounts(rows: readonly NewAuditRow[], first: number): Buffer {
  const found = new Map<string, { readonly count: Count; requests: number; errors: number }>();
  for (const { timeMs, usage } of rows) {
    if (usage === undefined) continue;
    const { account, region, operation, keys, failed } = usage;
    const hour = Math.floor(timeMs / 3_600_000);
    const name = `${hour} ${account} ${region} ${operation} ${keys.join(' ')}`;
    let entry = found.get(name);
    if (entry === undefined) found.set(name, (entry = { count: { hour, account, region, operation, keys, requests: 0, errors: 0 }, requests: 0, errors: 0 }));
    entry.requests += 1;
    if (failed) entry.errors += 1;
  }
  const counts = [...found.values()].map(({ count: { hour, account, region, operation, keys }, requests, errors }) => [hour, account, region, operation, keys, requests, errors]);
  return Buffer.from(JSON.stringify({ last: first + rows.length - 1, counts }), 'utf8');
}

/** Of bytes whose MAC holds. */
export function readCounts(first: number, bytes: Buffer): Tally {
  const { last, counts } = JSON.parse(bytes.toString('utf8')) as { readonly last: number; readonly counts: readonly (readonly [number, string, string, string, readonly string[], number, number])[] };
  return { first, last, counts: counts.map(([hour, account, region, operation, keys, requests, errors]) => ({ hour, account, region, operation, keys, requests, errors })) };
}
