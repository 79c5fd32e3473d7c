/** The keys of a multi-Region set: one record a Region, some members the same in all. */
import type { Tx } from '../store/store.ts';
import { Key } from './key.ts';
import { changed, keyRowId, type KeyRecord } from './records.ts';

/** The Regions of the key's set; its own alone for a single-Region key. */
export function regionsOf(key: Key): readonly string[] {
  const set = key.record.multiRegion;
  return set === undefined ? [key.region] : [set.primary, ...set.replicas];
}

/** All of the set as the transaction sees them, this key among them. */
export async function relatedKeys(tx: Tx, key: Key): Promise<readonly Key[]> {
  const rows = await Promise.all(regionsOf(key).map((region) => tx.get<KeyRecord>('key', keyRowId(key.account, region, key.record.keyId))));
  return rows.flatMap((row) => (row === undefined ? [] : [new Key(row)]));
}

/** Write the same change into every record of the set. */
export function changeAll(tx: Tx, keys: readonly Key[], change: (key: Key) => Parameters<typeof changed>[1]): void {
  for (const key of keys) tx.update(key.row, { body: changed(key.record, change(key)) });
}
