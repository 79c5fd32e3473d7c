/** New material for a symmetric key: made once, sealed for each Region of its set, current from now on. */
import type { Tx } from '../store/store.ts';
import type { Key } from './key.ts';
import { makeMaterial, materialRow, resealFor } from './material.ts';
import type { Material } from './records.ts';
import { relatedKeys, changeAll } from './related.ts';
import type { Services } from './run.ts';

const day = 86_400_000;

export interface NewMaterial {
  readonly id: string;
  /** Sealed once for each Region of the set: each admits its own list of accounts. */
  readonly sealed: ReadonlyMap<string, Buffer>;
}

/** Outside of the transaction that will use it: making keys is no read of the store. */
export async function prepareMaterial(services: Services, keys: readonly Key[]): Promise<NewMaterial> {
  const [first] = keys;
  if (first === undefined) throw new Error('no key to rotate');
  const partition = await services.partitions.of(first.account);
  const id = services.ids.long();
  const own = await makeMaterial(services, partition, first.record, id);
  const sealed = new Map([[first.region, own]]);
  for (const key of keys.slice(1)) sealed.set(key.region, await resealFor(services, key.account, { objectId: key.record.keyId, materialId: id }, own, key.record.sharedWith));
  return { id, sealed };
}

/** In a transaction: the prepared material becomes current in every Region. */
export async function rotateIn(tx: Tx, key: Key, made: NewMaterial, type: 'AUTOMATIC' | 'ON_DEMAND', nowMs: number): Promise<void> {
  const keys = await relatedKeys(tx, key);
  changeAll(tx, keys, ({ record, region }) => ({
    materials: withCurrent(record.materials, { id: made.id, state: 'CURRENT', createdMs: nowMs, rotatedMs: nowMs, rotationType: type }),
    ...(type === 'ON_DEMAND' ? { onDemandRotations: record.onDemandRotations + 1 } : {}),
    ...(type === 'AUTOMATIC' && region === key.region && record.rotation !== undefined
      ? { rotation: { ...record.rotation, nextMs: nowMs + record.rotation.periodDays * day } } : {}),
  }));
  for (const related of keys) {
    const sealed = made.sealed.get(related.region);
    if (sealed === undefined) throw new Error(`${related.arn} became related while it was rotated`);
    tx.insert('material', materialRow(related, related.record.keyId, made.id, sealed));
  }
}

/** The material that was current stays, for what it once encrypted. */
export function withCurrent(materials: readonly Material[], next: Material): readonly Material[] {
  const before = materials.filter(({ id }) => id !== next.id).map((material): Material => (material.state === 'CURRENT' ? { ...material, state: 'NON_CURRENT' } : material));
  return [...before, next];
}
