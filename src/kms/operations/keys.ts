/** The life of keys: made, described, listed, switched on and off, scheduled for deletion and spared. */
import type { NewRow, Reader, Tx } from '../../store/store.ts';
import { ceilingAs, keepBelow } from '../ceilings.ts';
import { keyOperation, operation } from '../define.ts';
import { fail, validation } from '../errors.ts';
import { customOf, GivenError, givenMaterialId, sealGiven, withoutMaterial, type Custom } from '../given.ts';
import { materialMissing } from '../imported.ts';
import { Key } from '../key.ts';
import { inCreateKey } from '../keystores/failure.ts';
import { accountsIn, checkedPolicy, defaultPolicy, policyRecord } from '../keypolicy.ts';
import { listPage } from '../marker.ts';
import { makeMaterial, materialRow } from '../material.ts';
import { epoch, keyMetadata } from '../metadata.ts';
import { changed, externalKeyRowId, keyRowId, keyStoreRowId, type KeyRecord, type KeyState, type KeyStoreRecord, type Material, type PolicyRecord, type Tag } from '../records.ts';
import type { Run } from '../run.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';
import { specs } from '../specs.ts';
import { checkTags } from '../tagging.ts';
import { storeNamed, wrongState } from './keystores.ts';

const day = 86_400_000;

/* ---- CreateKey ---------------------------------------------------------------- */

const createInput = {
  Policy: optional(s.PolicyType),
  Description: optional(s.DescriptionType),
  KeyUsage: optional(s.KeyUsageType),
  CustomerMasterKeySpec: optional(s.CustomerMasterKeySpec),
  KeySpec: optional(s.KeySpec),
  Origin: optional(s.OriginType),
  CustomKeyStoreId: optional(s.CustomKeyStoreIdType),
  BypassPolicyLockoutSafetyCheck: optional(s.BooleanType),
  Tags: optional(s.TagList),
  MultiRegion: optional(s.NullableBooleanType),
  XksKeyId: optional(s.XksKeyIdType),
} as const;

interface Wish {
  readonly KeySpec?: s.KeySpecName | undefined;
  readonly CustomerMasterKeySpec?: s.KeySpecName | undefined;
  readonly KeyUsage?: s.KeyUsageName | undefined;
}

/** Spec and usage, from what was given; refusals in AWS's words. */
function specAndUsage(input: Wish): { readonly spec: s.KeySpecName; readonly usage: s.KeyUsageName } {
  const { KeySpec: given, CustomerMasterKeySpec: old } = input;
  if (given !== undefined && old !== undefined) {
    throw validation('You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.');
  }
  const spec = given ?? old ?? 'SYMMETRIC_DEFAULT';
  const usage = input.KeyUsage ?? (spec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : undefined);
  if (usage === undefined) throw validation('You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.');
  if (!specs[spec].usages.includes(usage)) throw validation(`KeyUsage ${usage} is not compatible with KeySpec ${spec}`);
  if (specs[spec].core === undefined) throw fail('UnsupportedOperationException', `KeySpec ${spec} is not supported in this Region`);
  return { spec, usage };
}

interface Store {
  readonly Origin?: s.OriginName | undefined;
  readonly CustomKeyStoreId?: string | undefined;
  readonly XksKeyId?: string | undefined;
}

/** Members that only keys of custom key stores take. */
function checkOrigin({ Origin: origin = 'AWS_KMS', CustomKeyStoreId: store, XksKeyId: xks }: Store): void {
  const outside = origin === 'AWS_CLOUDHSM' || origin === 'EXTERNAL_KEY_STORE';
  if (outside && store === undefined) throw validation(`CustomKeyStoreId is required when Origin is ${origin}.`);
  if (!outside && store !== undefined) throw validation(`CustomKeyStoreId is not compatible with Origin ${origin}.`);
  if (origin === 'EXTERNAL_KEY_STORE' && xks === undefined) throw validation('XksKeyId is required when Origin is EXTERNAL_KEY_STORE.');
  if (origin !== 'EXTERNAL_KEY_STORE' && xks !== undefined) throw validation(`XksKeyId is not compatible with Origin ${origin}.`);
}

export const createKey = operation({
  name: 'CreateKey',
  input: createInput,
  readOnly: false,
  async run(run, input) {
    const { spec, usage } = specAndUsage(input);
    checkOrigin(input);
    const given = input.Tags ?? [];
    checkTags(given);
    const custom = customFor(run, given, input.Origin);
    const { tags } = custom;
    await run.permit('kms:CreateKey');
    if (tags.length > 0) await run.permit('kms:TagResource');

    const { ids } = run.services;
    const origin = input.Origin ?? 'AWS_KMS';
    const store = input.CustomKeyStoreId === undefined ? undefined : await storeFor(run, input.CustomKeyStoreId, origin, spec, input.MultiRegion ?? false);
    const keyId = custom.keyId ?? (input.MultiRegion === true ? ids.multiRegionKeyId() : ids.uuid());
    const bare: KeyRecord = {
      keyId, spec, usage, origin, manager: 'CUSTOMER', state: origin === 'EXTERNAL' ? 'PendingImport' : 'Enabled',
      description: input.Description ?? '', createdMs: run.nowMs, tags, materials: [], onDemandRotations: 0, hasGrants: false, sharedWith: [],
      ...(input.MultiRegion === true ? { multiRegion: { primary: run.region, replicas: [] } } : {}),
      ...(store === undefined ? {} : { keyStoreId: store.storeId }),
      ...(store?.cluster === undefined ? {} : { clusterId: store.cluster.id }),
      ...(input.XksKeyId === undefined ? {} : { xksKeyId: input.XksKeyId }),
    };
    const policyText = input.Policy ?? defaultPolicy(run.account);
    const policy = await checkedPolicy(run, policyText, unsaved(run, bare), input.BypassPolicyLockoutSafetyCheck ?? false);
    const key = await insertKey(run, { ...bare, sharedWith: accountsIn(policy, run.account) }, await policyRecord(run, policyText, policy), custom.material);
    run.touch(key);
    return { KeyMetadata: keyMetadata(key) };
  },
});

/** The store a key is to live in: connected, of the key's kind, for symmetric keys of one Region. */
async function storeFor(run: Run, storeId: string, origin: s.OriginName, spec: s.KeySpecName, multiRegion: boolean): Promise<KeyStoreRecord> {
  const { body } = await storeNamed(run, storeId);
  if (body.type !== origin) throw validation(`Custom key store ${storeId} is of type ${body.type}, which is not compatible with Origin ${origin}.`);
  if (spec !== 'SYMMETRIC_DEFAULT') throw fail('UnsupportedOperationException', `KeySpec ${spec} is not supported in a custom key store.`);
  if (multiRegion) throw fail('UnsupportedOperationException', 'Multi-Region keys are not supported in a custom key store.');
  if (body.state !== 'CONNECTED') throw wrongState(body);
  return body;
}

/** In a double, LocalStack's tags are obeyed; elsewhere they are tags like others, as in AWS. */
function customFor(run: Run, tags: readonly Tag[], origin: s.OriginName | undefined): Custom {
  if (!run.services.double) return { tags };
  // The trail does not get to see the material either.
  run.input = { ...run.input, ...(tags.length === 0 ? {} : { Tags: withoutMaterial(tags) }) };
  const custom = orRefused(() => customOf(tags));
  const { MultiRegion: several = false } = run.input;
  if (custom.keyId !== undefined && custom.keyId.startsWith('mrk-') !== several) throw validation('Ids of multi-Region keys, and of no others, begin with mrk-.');
  if (custom.material !== undefined && (origin ?? 'AWS_KMS') !== 'AWS_KMS') throw validation('Key material is given by tags for keys of origin AWS_KMS only.');
  return custom;
}

function orRefused<R>(work: () => R): R {
  try {
    return work();
  } catch (error) {
    throw error instanceof GivenError ? validation(error.message) : error;
  }
}

/** A key as it will be: policies are tried against it before it is there. */
export function unsaved(run: Run, body: KeyRecord, region = run.region): Key {
  return new Key({
    table: 'key', id: keyRowId(run.account, region, body.keyId), account: run.account, region, version: 1, createdMs: run.nowMs, updatedMs: run.nowMs, body,
  });
}

/** Make the material, where it is ours to make, and write key, policy and material at once. */
async function insertKey(run: Run, bare: KeyRecord, policy: PolicyRecord, given?: Buffer): Promise<Key> {
  const { services } = run;
  const partition = await services.partitions.of(run.account);
  const made = bare.origin !== 'EXTERNAL' ? { id: given === undefined ? services.ids.long() : givenMaterialId(run.core, run.account, bare.keyId, 0) } : undefined;
  const sealed = made && (given === undefined
    ? await makeMaterial(services, partition, bare, made.id) : orRefused(() => sealGiven(services, partition, bare, made.id, given)));
  const materials: readonly Material[] = made === undefined ? [] : [{ id: made.id, state: 'CURRENT', createdMs: run.nowMs }];
  const key = unsaved(run, { ...bare, materials });
  const dismiss = bare.keyStoreId === undefined ? undefined : await admit(run, key, bare.keyStoreId);
  try {
    await writeKey(run, key, policy, made?.id, sealed);
  } catch (error) {
    await dismiss?.();
    throw error;
  }
  services.keyTally.add(placeOf(run, run.region), 1);
  return key;
}

/** The store makes, or looks at, what the key will stand on. Answers how to take that back. */
async function admit(run: Run, key: Key, storeId: string): Promise<() => Promise<void>> {
  const { keyStores, log } = run.services;
  // In a double ids are given: what a key that is there stands on is left alone.
  if ((await run.store.get('key', key.id)) !== undefined) throw alreadyThere(key);
  await claimExternal(run, run.store, key);
  try {
    const store = await keyStores.of(keyStoreRowId(key.account, key.region, storeId));
    await store.admit(key, run.asking(key));
    return () => store.destroy(key).catch((error: unknown) => { log(`${key.arn} was not made; its key is left in custom key store ${storeId}: ${error instanceof Error ? error.message : typeof error}`); });
  } catch (error) {
    throw inCreateKey(error);
  }
}

const alreadyThere = ({ arn }: Key) => fail('AlreadyExistsException', `${arn} already exists`);

/** One KMS key for an external key. Answers the row that says so, where it is to be written. */
async function claimExternal(run: Run, reader: Pick<Reader, 'get'>, { account, region, record, id }: Key): Promise<NewRow<{ readonly to: string }> | undefined> {
  const { keyStoreId, xksKeyId } = record;
  if (keyStoreId === undefined || xksKeyId === undefined) return undefined;
  const row = externalKeyRowId(account, region, keyStoreId, xksKeyId);
  if ((await reader.get('name', row)) !== undefined) {
    throw fail('XksKeyAlreadyInUseException', `External key ${xksKeyId} is already associated with a KMS key in custom key store ${keyStoreId}.`);
  }
  return { id: row, account, region, body: { to: id } };
}

async function writeKey(run: Run, key: Key, policy: PolicyRecord, materialId: string | undefined, sealed: Buffer | undefined): Promise<void> {
  const { keyId, keyStoreId } = key.record;
  await run.store.tx(async (tx) => {
    const place = { id: key.id, account: key.account, region: key.region };
    if ((await tx.get('key', key.id)) !== undefined) throw alreadyThere(key);
    await requireRoom(run, tx, run.region);
    if (keyStoreId !== undefined) {
      // Read in here: a store that is disconnected and deleted meanwhile takes no key.
      const { body } = await storeNamed(run, keyStoreId, tx);
      if (body.state !== 'CONNECTED') throw wrongState(body);
      const claim = await claimExternal(run, tx, key);
      if (claim !== undefined) tx.insert('name', claim);
    }
    tx.insert('key', { ...place, body: key.record });
    tx.insert('policy', { ...place, body: policy });
    if (materialId !== undefined && sealed !== undefined) tx.insert('material', materialRow(key, keyId, materialId, sealed));
  }).catch(noRoom(run, run.region));
}

export const placeOf = (run: Run, region: string): string => `${run.account}/${region}`;

/** In a transaction that adds a key. */
export const requireRoom = (run: Run, tx: Tx, region: string): Promise<void> =>
  keepBelow(tx, run.services.keyTally, placeOf(run, region), run.services.ceilings.keys);

export const noRoom = ({ services: { ceilings } }: Run, region: string) => ceilingAs(fail('LimitExceededException', `The account has ${ceilings.keys} KMS keys in ${region} already.`));

/* ---- reading -------------------------------------------------------------------- */

export const describeKey = keyOperation({
  name: 'DescribeKey',
  input: { KeyId: s.KeyIdType, GrantTokens: optional(s.GrantTokenList) },
  readOnly: true,
  crossAccount: true,
  key: (input) => input.KeyId,
  aliases: true,
  states: 'any',
  run: (_, __, key) => ({ KeyMetadata: keyMetadata(key) }),
});

export const listKeys = operation({
  name: 'ListKeys',
  input: { Limit: optional(s.LimitType), Marker: optional(s.MarkerType), ResourceOwners: optional(s.ResourceOwnersList) },
  readOnly: true,
  async run(run, input) {
    await run.permit('kms:ListKeys');
    // Nothing is shared through RAM here: asked for that alone, the answer is an empty list.
    if (input.ResourceOwners !== undefined && !input.ResourceOwners.includes('SELF')) return { Keys: [], Truncated: false };
    const place = [run.account, run.region] as const;
    const { items, more } = await listPage<KeyRecord, { readonly KeyId: string; readonly KeyArn: string }>(
      run.store, run.services.markers, `ListKeys ${place.join(' ')}`, 'key', { index: 'key.place', equals: place }, input, { otherwise: 100, most: 1000 },
      (row) => ({ KeyId: row.body.keyId, KeyArn: new Key(row).arn }),
    );
    return { Keys: items, ...more };
  },
});

/* ---- state ------------------------------------------------------------------------ */

export const enableKey = keyOperation({
  name: 'EnableKey',
  input: { KeyId: s.KeyIdType },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'enable',
  run: (run, _, key) => switchTo(run, key, 'Enabled'),
});

export const disableKey = keyOperation({
  name: 'DisableKey',
  input: { KeyId: s.KeyIdType },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'enable',
  run: (run, _, key) => switchTo(run, key, 'Disabled'),
});

async function switchTo(run: Run, key: Key, state: 'Enabled' | 'Disabled'): Promise<Record<string, never>> {
  requireCustomerKey(key);
  await run.change(key, 'enable', ({ record }) => (record.state === state ? undefined : changed(record, { state })));
  return {};
}

/** AWS managed keys can be looked at, not changed. */
export function requireCustomerKey(key: Key): void {
  if (key.record.manager === 'AWS') throw fail('UnsupportedOperationException', `${key.arn} is an AWS managed key: this operation is not supported for it.`);
}

export const updateKeyDescription = keyOperation({
  name: 'UpdateKeyDescription',
  input: { KeyId: s.KeyIdType, Description: s.DescriptionType },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'edit',
  async run(run, { Description: description }, key) {
    requireCustomerKey(key);
    await run.change(key, 'edit', ({ record }) => (record.description === description ? undefined : changed(record, { description })));
    return {};
  },
});

/* ---- deletion ------------------------------------------------------------------------ */

const shortest = 7;
const longest = 30;

export const scheduleKeyDeletion = keyOperation({
  name: 'ScheduleKeyDeletion',
  input: { KeyId: s.KeyIdType, PendingWindowInDays: optional(s.PendingWindowInDaysType) },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'scheduleDeletion',
  check({ PendingWindowInDays: days = longest }) {
    const bound = days < shortest ? `greater than or equal to ${shortest}` : days > longest ? `less than or equal to ${longest}` : undefined;
    if (bound !== undefined) throw validation(`1 validation error detected: Value '${days}' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value ${bound}`);
  },
  async run(run, { PendingWindowInDays: windowDays = longest }, key) {
    requireCustomerKey(key);
    const dueMs = run.nowMs + windowDays * day;
    let state: KeyState = 'PendingDeletion';
    await run.change(key, 'scheduleDeletion', (now) => {
      // A primary waits for its replicas: its own window starts when the last of them is gone.
      const waits = now.isPrimary && (now.record.multiRegion?.replicas.length ?? 0) > 0;
      state = waits ? 'PendingReplicaDeletion' : 'PendingDeletion';
      return changed(now.record, { state, deletion: { scheduledMs: run.nowMs, windowDays, ...(waits ? {} : { dueMs }) } });
    });
    return {
      KeyId: key.arn, ...(state === 'PendingDeletion' ? { DeletionDate: epoch(dueMs) } : {}), KeyState: state, PendingWindowInDays: windowDays,
    };
  },
});

export const cancelKeyDeletion = keyOperation({
  name: 'CancelKeyDeletion',
  input: { KeyId: s.KeyIdType },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'cancelDeletion',
  async run(run, _, key) {
    await run.change(key, 'cancelDeletion', ({ record }) => changed(record, { state: materialMissing(record) ? 'PendingImport' : 'Disabled', deletion: undefined }));
    return { KeyId: key.arn };
  },
});
