/** What the operator sees of keys: their records, never their material. */
import type { AccountRecord } from '../iam/records.ts';
import type { AliasRecord, KeyRecord, KeyRow } from '../kms/records.ts';
import type { Store } from '../store/store.ts';
import { AdminError } from './accounts.ts';
import type { AdminAnswer, AdminCall, AdminRoute } from './admin.ts';

/** Keys live at (account, Region); places are walked in order, and a cursor names where a page ended. */
interface Place {
  readonly account: string;
  readonly region: string;
}

export function keyRoutes(store: Store, regions: readonly string[]): readonly AdminRoute[] {
  return [
    { method: 'GET', path: '/v1/keys', run: (call) => list(store, regions, call) },
    { method: 'GET', path: '/v1/keys/:key', run: (call) => show(store, regions, call) },
  ];
}

async function list(store: Store, regions: readonly string[], { query }: AdminCall): Promise<AdminAnswer> {
  const limit = Number(query.get('limit') ?? 100);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > 1000) throw new AdminError(400, 'limit is 1 to 1000');
  const places = await placesOf(store, regions, query.get('account'), query.get('region'));
  const after = query.get('after');
  const [fromPlace = '', cursor = ''] = after === null ? [] : split(after);
  let at = after === null ? 0 : places.findIndex((p) => nameOf(p) === fromPlace);
  if (at < 0) throw new AdminError(400, 'after is not a place that an answer gave');
  const keys: unknown[] = [];
  let next = cursor === '' ? undefined : cursor;
  for (; at < places.length; at += 1) {
    const place = places[at];
    if (place === undefined) break;
    do {
      const page = await store.list<KeyRecord>('key', { index: 'key.place', equals: [place.account, place.region], limit: limit - keys.length, ...(next === undefined ? {} : { after: next }) });
      for (const row of page.rows) keys.push(await lineOf(store, row));
      next = page.next;
      if (keys.length >= limit) {
        const following = next !== undefined ? `${nameOf(place)}~${next}` : at + 1 < places.length ? `${nameOf(places[at + 1] ?? place)}~` : undefined;
        return { body: { keys, ...(following === undefined ? {} : { next: following }) } };
      }
    } while (next !== undefined);
  }
  return { body: { keys } };
}

async function show(store: Store, regions: readonly string[], { path }: AdminCall): Promise<AdminAnswer> {
  const id = path['key'] ?? '';
  for (const { account, region } of await placesOf(store, regions, null, null)) {
    const row = await store.get<KeyRecord>('key', `${account}/${region}/${id}`);
    if (row === undefined) continue;
    const { materials, ...record } = row.body;
    return { body: { ...(await lineOf(store, row)), ...record, version: row.version, materials: materials.map(({ id: materialId, state, createdMs }) => ({ id: materialId, state, createdMs })) } };
  }
  throw new AdminError(404, `there is no key ${id.slice(0, 60)}`);
}

async function placesOf(store: Store, regions: readonly string[], account: string | null, region: string | null): Promise<readonly Place[]> {
  const accounts: string[] = [];
  if (account !== null) accounts.push(account);
  else {
    let after: string | undefined;
    do {
      const page = await store.list<AccountRecord>('account', { index: 'account.all', equals: [], limit: 1000, ...(after === undefined ? {} : { after }) });
      accounts.push(...page.rows.map((row) => row.id));
      after = page.next;
    } while (after !== undefined);
  }
  return accounts.flatMap((a) => (region === null ? regions : [region]).map((r) => ({ account: a, region: r })));
}

async function lineOf(store: Store, row: KeyRow): Promise<Record<string, unknown>> {
  const { rows } = await store.list<AliasRecord>('alias', { index: 'alias.key', equals: [row.id], limit: 50 });
  const { keyId, spec, usage, state, createdMs } = row.body;
  return { keyId, arn: `arn:aws:kms:${row.region}:${row.account}:key/${keyId}`, account: row.account, region: row.region, spec, usage, state, createdMs, aliases: rows.map((alias) => alias.body.name) };
}

const nameOf = ({ account, region }: Place): string => `${account},${region}`;

function split(after: string): [string, string] {
  const at = after.indexOf('~');
  return at < 0 ? [after, ''] : [after.slice(0, at), after.slice(at + 1)];
}
