/** Key material: making it in the core, sealing it, and admitting other accounts to it. */
import type { Attribute, Binding, PartitionHandle } from '../hsm/core.ts';
import { ATTR } from '../hsm/numbers.ts';
import type { NewRow, Tx } from '../store/store.ts';
import type { Key } from './key.ts';
import { keptOf, materialRowId, type KeyRecord, type MaterialRecord } from './records.ts';
import type { Services } from './run.ts';
import type { KeySpecName, KeyUsageName } from './shapes.ts';
import { attributesOf, specs } from './specs.ts';

const sharedWith = (accounts: readonly string[]): Attribute => [ATTR.SHARED_WITH, Buffer.from(accounts.join(''), 'latin1')];

/** What every KMS key carries in the core: its usage, whom it is shared with, and that it stays inside. */
export function coreAttributes(spec: KeySpecName, usage: KeyUsageName, shared: readonly string[]): readonly Attribute[] {
  const fixed: readonly Attribute[] = [[ATTR.SENSITIVE, true], [ATTR.EXTRACTABLE, false], ...attributesOf(usage, specs[spec])];
  return shared.length === 0 ? fixed : [...fixed, sharedWith(shared)];
}

/** Fresh material, sealed. The handle is closed again: the keyring opens what is used. */
export async function makeMaterial(
  { core, session }: Services, partition: PartitionHandle, record: Pick<KeyRecord, 'keyId' | 'spec' | 'usage' | 'sharedWith'>, materialId: string,
): Promise<Buffer> {
  const { core: spec, pair } = specs[record.spec];
  if (spec === undefined) throw new Error(`no ${record.spec} here`);
  const attributes = coreAttributes(record.spec, record.usage, record.sharedWith);
  const handle = pair ? await core.generatePair(session, partition, spec, attributes) : core.generate(session, partition, spec, attributes);
  try {
    return core.seal(session, handle, { objectId: record.keyId, materialId });
  } finally {
    core.destroy(session, handle);
  }
}

export function materialRow(key: { readonly id: string; readonly account: string; readonly region: string }, keyId: string, materialId: string, sealed: Buffer): NewRow<MaterialRecord> {
  return { id: materialRowId(key.region, materialId), account: key.account, region: key.region, body: { key: key.id, keyId, materialId }, sealed };
}

/** The same material under the same name, admitting these accounts and no others. */
export async function resealFor({ core, session, partitions }: Services, account: string, binding: Binding, sealed: Buffer, accounts: readonly string[]): Promise<Buffer> {
  const partition = await partitions.of(account);
  const handle = core.open(session, partition, binding, sealed);
  try {
    core.setAttributes(session, handle, [sharedWith(accounts)]);
    return core.seal(session, handle, binding);
  } finally {
    core.closeObject(session, handle);
  }
}

/** In a transaction: seal every material of the key anew, admitting these accounts. Answers what to forget afterwards. */
export async function share(services: Services, tx: Tx, key: Key, accounts: readonly string[]): Promise<() => void> {
  const partition = await services.partitions.of(key.account);
  const forget: (() => void)[] = [];
  for (const { id: materialId } of key.record.materials) {
    const row = await tx.get<MaterialRecord>('material', materialRowId(key.region, materialId));
    if (row?.sealed === undefined) continue;
    const binding = { objectId: key.record.keyId, materialId };
    tx.update(row, { sealed: await resealFor(services, key.account, binding, row.sealed, accounts) });
    forget.push(() => services.keyring.forget(partition, keptOf(key.region, binding.objectId, materialId)));
  }
  return () => forget.forEach((one) => one());
}
