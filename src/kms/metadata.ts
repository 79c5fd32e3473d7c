/** How keys show themselves: KeyMetadata, and times in AWS's seconds. */
import { keyArn } from '../iam/arn.ts';
import type { Key } from './key.ts';
import type { Answer, AnswerValue } from './operation.ts';
import type { Material } from './records.ts';
import { algorithmsOf } from './specs.ts';

/** Epoch seconds, with a fraction. */
export const epoch = (ms: number): number => ms / 1000;

export function keyMetadata(key: Key): Answer {
  const { record } = key;
  const { member, algorithms } = algorithmsOf(record.spec, record.usage);
  return {
    AWSAccountId: key.account,
    KeyId: record.keyId,
    Arn: key.arn,
    CreationDate: epoch(record.createdMs),
    Enabled: key.state === 'Enabled',
    Description: record.description,
    KeyUsage: record.usage,
    KeyState: key.state,
    ...deletionMembers(key),
    ...importMembers(record.materials),
    Origin: record.origin,
    ...(record.keyStoreId === undefined ? {} : { CustomKeyStoreId: record.keyStoreId }),
    ...(record.clusterId === undefined ? {} : { CloudHsmClusterId: record.clusterId }),
    ...(record.xksKeyId === undefined ? {} : { XksKeyConfiguration: { Id: record.xksKeyId } }),
    KeyManager: record.manager,
    CustomerMasterKeySpec: record.spec,
    KeySpec: record.spec,
    [member]: algorithms,
    MultiRegion: record.multiRegion !== undefined,
    ...(record.multiRegion === undefined ? {} : { MultiRegionConfiguration: multiRegionConfiguration(key, record.multiRegion) }),
    // From the first import on, also while the material is gone again.
    ...(record.spec === 'SYMMETRIC_DEFAULT' && record.keyStoreId === undefined && key.material !== undefined ? { CurrentKeyMaterialId: key.material.id } : {}),
  };
}

function deletionMembers({ record: { state, deletion } }: Key): Answer {
  if (deletion === undefined) return {};
  if (state === 'PendingReplicaDeletion') return { PendingDeletionWindowInDays: deletion.windowDays };
  return deletion.dueMs === undefined ? {} : { DeletionDate: epoch(deletion.dueMs) };
}

/** ValidTo is the earliest expiry among the materials the key must have. */
function importMembers(materials: readonly Material[]): Answer {
  const present = materials.flatMap(({ imported, state }) =>
    (imported?.state === 'IMPORTED' && (state === 'CURRENT' || state === 'NON_CURRENT') ? [imported] : []));
  const expiring = present.flatMap(({ validToMs }) => (validToMs === undefined ? [] : [validToMs]));
  if (present.length === 0) return {};
  return expiring.length === 0 ? { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }
    : { ValidTo: epoch(Math.min(...expiring)), ExpirationModel: 'KEY_MATERIAL_EXPIRES' };
}

function multiRegionConfiguration(key: Key, { primary, replicas }: { readonly primary: string; readonly replicas: readonly string[] }): AnswerValue {
  const place = (region: string) => ({ Arn: keyArn(region, key.account, key.record.keyId), Region: region });
  return {
    MultiRegionKeyType: primary === key.region ? 'PRIMARY' : 'REPLICA',
    PrimaryKey: place(primary),
    ReplicaKeys: replicas.map(place),
  };
}
