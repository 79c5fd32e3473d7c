/** Imported material: what is missing, what goes, and when what waits is ready to become current. */
import type { Row, Table, Tx } from '../store/store.ts';
import type { Key } from './key.ts';
import { changed, materialRowId, type KeyRecord, type KeyState, type Material, type MaterialRecord } from './records.ts';
import { relatedKeys } from './related.ts';

/** Not the key's for good: it can go, and other material come in its place. */
export const isPending = ({ state }: Material): boolean => state === 'PENDING_ROTATION' || state === 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION';

/** A key of imported material needs all that it was ever given. */
export function materialMissing({ origin, materials }: Pick<KeyRecord, 'origin' | 'materials'>): boolean {
  if (origin !== 'EXTERNAL') return false;
  const needed = materials.filter((material) => !isPending(material));
  return needed.length === 0 || needed.some(({ imported }) => imported?.state !== 'IMPORTED');
}

export const hasExpired = ({ imported }: Material, nowMs: number): boolean =>
  imported?.state === 'IMPORTED' && imported.validToMs !== undefined && imported.validToMs <= nowMs;

/** Material whose time is over is gone, also where the caretaker has not come by yet. */
export function stateAt({ origin, materials }: KeyRecord, state: KeyState, nowMs: number): KeyState {
  if (origin !== 'EXTERNAL' || (state !== 'Enabled' && state !== 'Disabled')) return state;
  return materials.some((material) => !isPending(material) && hasExpired(material, nowMs)) ? 'PendingImport' : state;
}

/** The same entry, without its bytes in this Region. */
export function awaited(material: Material): Material {
  if (material.imported === undefined) return material;
  const { validToMs: _, ...imported } = material.imported;
  return { ...material, imported: { ...imported, state: 'PENDING_IMPORT' } };
}

/** The record with these materials, waiting for what is missing now. */
export function withMaterials(record: KeyRecord, materials: readonly Material[]): KeyRecord {
  const waits = materialMissing({ ...record, materials }) && record.deletion === undefined;
  return changed(record, { materials, ...(waits ? { state: 'PendingImport' } : {}) });
}

/** The key as it is when these materials are gone from its Region. */
function without(key: Key, gone: readonly Material[]): KeyRecord {
  const names = new Set(gone.map(({ id }) => id));
  return withMaterials(key.record, key.record.materials.flatMap((material): readonly Material[] => {
    if (!names.has(material.id) || material.imported === undefined) return [material];
    // What was never current is forgotten where it came in first; what once was must come back, the same.
    return isPending(material) && !key.isReplica ? [] : [awaited(material)];
  }));
}

export interface Gone {
  readonly region: string;
  readonly id: string;
}

/**
 * In a transaction: these materials go from the key's Region. What waited at a primary for its rotation
 * goes from the replicas too. Answers what the keyring has to forget.
 */
export async function removeMaterials(tx: Tx, key: Key, materials: readonly Material[]): Promise<readonly Gone[]> {
  const gone: Gone[] = [];
  const remove = async (region: string, id: string) => {
    const row: Row<MaterialRecord> | undefined = await tx.get<MaterialRecord>('material' satisfies Table, materialRowId(region, id));
    if (row !== undefined) tx.delete(row);
    gone.push({ region, id });
  };
  for (const { id } of materials) await remove(key.region, id);
  tx.update(key.row, { body: without(key, materials) });
  const pending = materials.filter(isPending).map(({ id }) => id);
  if (pending.length === 0 || !key.isPrimary) return gone;
  for (const replica of (await relatedKeys(tx, key)).filter(({ region }) => region !== key.region)) {
    for (const id of pending) await remove(replica.region, id);
    tx.update(replica.row, { body: changed(replica.record, { materials: replica.record.materials.filter(({ id }) => !pending.includes(id)) }) });
  }
  return gone;
}

/** What waits for its rotation is ready when every Region of the set has it. */
export function settlePending(set: readonly Key[], materials: readonly Material[]): readonly Material[] {
  return materials.map((material) => {
    if (!isPending(material)) return material;
    const everywhere = set.every(({ record }) => record.materials.find(({ id }) => id === material.id)?.imported?.state === 'IMPORTED');
    return { ...material, state: everywhere ? 'PENDING_ROTATION' : 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION' };
  });
}
