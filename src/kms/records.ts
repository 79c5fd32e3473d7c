/** What the KMS keeps: the bodies of its rows. Plain data; the store MACs and versions them. */
import type { Kept } from '../hsm/keyring.ts';
import type { Row } from '../store/store.ts';
import type { ConnectivityName, GrantOperationName, KeySpecName, KeyStoreTypeName, KeyUsageName, OriginName } from './shapes.ts';

export type KeyState =
  | 'Creating' | 'Enabled' | 'Disabled' | 'PendingImport' | 'PendingDeletion' | 'PendingReplicaDeletion' | 'Unavailable' | 'Updating';

export const keyStates: readonly KeyState[] =
  ['Creating', 'Enabled', 'Disabled', 'PendingImport', 'PendingDeletion', 'PendingReplicaDeletion', 'Unavailable', 'Updating'];

/** One key material of a key, in the order they became known. The sealed object is a `material` row. */
export interface Material {
  /** 64 hex digits: what ciphertexts name and answers call KeyMaterialId. */
  readonly id: string;
  readonly state: 'CURRENT' | 'NON_CURRENT' | 'PENDING_ROTATION' | 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION';
  readonly createdMs: number;
  readonly rotatedMs?: number;
  readonly rotationType?: 'AUTOMATIC' | 'ON_DEMAND';
  /** Imported material only. */
  readonly imported?: {
    readonly state: 'IMPORTED' | 'PENDING_IMPORT';
    readonly description?: string;
    readonly expirationModel: 'KEY_MATERIAL_EXPIRES' | 'KEY_MATERIAL_DOES_NOT_EXPIRE';
    readonly validToMs?: number;
  };
}

export interface Rotation {
  readonly enabled: boolean;
  readonly periodDays: number;
  /** When the next automatic rotation is due. */
  readonly nextMs: number;
}

export interface Deletion {
  readonly scheduledMs: number;
  readonly windowDays: number;
  /** Absent while a multi-Region primary waits for its replicas. */
  readonly dueMs?: number;
}

export interface KeyRecord {
  readonly keyId: string;
  readonly spec: KeySpecName;
  readonly usage: KeyUsageName;
  readonly origin: OriginName;
  readonly manager: 'CUSTOMER' | 'AWS';
  readonly state: KeyState;
  readonly description: string;
  readonly createdMs: number;
  readonly tags: readonly Tag[];
  readonly materials: readonly Material[];
  readonly rotation?: Rotation;
  /** Rotations on demand so far: AWS allows a fixed number in a key's life. */
  readonly onDemandRotations: number;
  readonly deletion?: Deletion;
  /** Where the key lives, multi-Region keys only; the same in all related records. */
  readonly multiRegion?: { readonly primary: string; readonly replicas: readonly string[] };
  /** Of a key in a custom key store: which, and what it stands on there. */
  readonly keyStoreId?: string;
  readonly clusterId?: string;
  readonly xksKeyId?: string;
  /** A grant was made on it; else none is looked for. */
  readonly hasGrants: boolean;
  /** Accounts whose callers the sealed key admits: those its policy and grants name. */
  readonly sharedWith: readonly string[];
  /** Next moment the caretaker has work with this key. */
  readonly dueMs?: number;
}

export interface Tag {
  readonly TagKey: string;
  readonly TagValue: string;
}

export type ConnectionState = 'DISCONNECTED' | 'CONNECTING' | 'CONNECTED' | 'FAILED';

export type ConnectionErrorCode =
  | 'INVALID_CREDENTIALS' | 'CLUSTER_NOT_FOUND' | 'NETWORK_ERRORS' | 'INTERNAL_ERROR' | 'INSUFFICIENT_CLOUDHSM_HSMS' | 'USER_LOCKED_OUT' | 'USER_NOT_FOUND'
  | 'USER_LOGGED_IN' | 'XKS_PROXY_ACCESS_DENIED' | 'XKS_PROXY_NOT_REACHABLE' | 'XKS_PROXY_INVALID_RESPONSE' | 'XKS_PROXY_INVALID_CONFIGURATION'
  | 'XKS_PROXY_TIMED_OUT' | 'XKS_PROXY_INVALID_TLS_CONFIGURATION';

/** A custom key store. The row's sealed bytes are its credential: the password, or the secret access key. */
export interface KeyStoreRecord {
  readonly storeId: string;
  readonly name: string;
  readonly type: KeyStoreTypeName;
  readonly createdMs: number;
  readonly state: ConnectionState;
  /** Why it FAILED. */
  readonly errorCode?: ConnectionErrorCode;
  /** Goes up with each connecting and disconnecting: what an older attempt finds out counts no more. */
  readonly attempt: number;
  readonly cluster?: { readonly id: string; readonly trustAnchor: string };
  readonly proxy?: ProxyRecord;
}

export interface ProxyRecord {
  readonly connectivity: ConnectivityName;
  /** https:// and a host. */
  readonly endpoint: string;
  readonly path: string;
  readonly accessKeyId: string;
  readonly vpcServiceName?: string;
  readonly vpcServiceOwner?: string;
}

/** The custom key stores of an account in a Region, in one row, so that what must be unique among them is. */
export interface KeyStoreDirectory {
  readonly kind: 'keystores';
  readonly stores: readonly DirectoryEntry[];
}

export type DirectoryEntry = Pick<KeyStoreRecord, 'storeId' | 'name'> & {
  readonly clusterId?: string;
  readonly proxy?: Pick<ProxyRecord, 'connectivity' | 'endpoint' | 'path' | 'vpcServiceName'>;
};

export interface MaterialRecord {
  /** The key's row id. */
  readonly key: string;
  readonly keyId: string;
  readonly materialId: string;
}

export interface AliasRecord {
  readonly name: string;
  /** The target's row id; absent while a predefined alias has no key yet. */
  readonly key: string;
  readonly keyId: string;
  readonly createdMs: number;
  readonly updatedMs: number;
}

/** The key's policy document as it was given; the row's id is the key's. */
export interface PolicyRecord {
  readonly text: string;
  /** Unique ids of the users and roles it meant when it was stored, by ARN. */
  readonly ids?: Readonly<Record<string, string>>;
}

export interface GrantRecord {
  /** The key's row id. */
  readonly key: string;
  readonly keyId: string;
  readonly grantId: string;
  /** A principal's ARN, or a service's name. */
  readonly grantee: string;
  readonly granteeIs: 'principal' | 'service';
  /** Unique id of the user or role it meant when it was made. */
  readonly granteeId?: string;
  readonly retiring?: string;
  readonly retiringIs?: 'principal' | 'service';
  readonly retiringId?: string;
  readonly name?: string;
  readonly operations: readonly GrantOperationName[];
  readonly constraints?: GrantConstraint;
  readonly issuer: string;
  readonly createdMs: number;
}

export interface GrantConstraint {
  readonly EncryptionContextSubset?: Readonly<Record<string, string>>;
  readonly EncryptionContextEquals?: Readonly<Record<string, string>>;
  readonly SourceArn?: string;
}

export type KeyRow = Row<KeyRecord>;
export type KeyStoreRow = Row<KeyStoreRecord>;

export const keyRowId = (account: string, region: string, keyId: string): string => `${account}/${region}/${keyId}`;
export const aliasRowId = (account: string, region: string, name: string): string => `${account}/${region}/${name}`;
export const keyStoreRowId = (account: string, region: string, storeId: string): string => `${account}/${region}/${storeId}`;
export const directoryRowId = (account: string, region: string): string => `keystores/${account}/${region}`;
/** One KMS key for each external key of a store. */
export const externalKeyRowId = (account: string, region: string, storeId: string, xksKeyId: string): string => `xks/${account}/${region}/${storeId}/${xksKeyId}`;
export const grantRowId = (key: string, grantId: string): string => `${key}/${grantId}`;
/** A row for each Region, so that a replica's sharing and imports are its own. The sealed bytes are the same. */
export const materialRowId = (region: string, materialId: string): string => `${region}/${materialId}`;
/** What the keyring calls it: each Region's sealed object admits its own list of accounts. */
export const keptOf = (region: string, keyId: string, materialId: string): Kept => ({ place: region, objectId: keyId, materialId });

export const currentMaterial = (key: KeyRecord): Material | undefined => key.materials.find((material) => material.state === 'CURRENT');

/** The soonest of: deletion, automatic rotation, expiry of imported material. */
export function dueOf(key: Omit<KeyRecord, 'dueMs'>): number | undefined {
  const moments: number[] = [];
  if (key.deletion?.dueMs !== undefined) moments.push(key.deletion.dueMs);
  // Only a multi-Region primary's record has `rotation`: replicas read it there.
  if (key.rotation?.enabled === true && key.state === 'Enabled' && key.deletion === undefined) moments.push(key.rotation.nextMs);
  for (const { imported } of key.materials) {
    if (imported?.state === 'IMPORTED' && imported.validToMs !== undefined) moments.push(imported.validToMs);
  }
  return moments.length === 0 ? undefined : Math.min(...moments);
}

/** A changed record with its due time brought up to date. */
export function changed(key: KeyRecord, change: Partial<{ [K in keyof KeyRecord]: KeyRecord[K] | undefined }>): KeyRecord {
  const next: Record<string, unknown> = { ...key, ...change };
  for (const name in next) if (next[name] === undefined) delete next[name];
  delete next['dueMs'];
  const due = dueOf(next as unknown as KeyRecord);
  return (due === undefined ? next : { ...next, dueMs: due }) as unknown as KeyRecord;
}
