/** ReplicateKey, UpdatePrimaryRegion: one key in several Regions. */
import { keyArn } from '../../iam/arn.ts';
import { StoreError } from '../../store/store.ts';
import { keyOperation } from '../define.ts';
import { fail, naming, validation } from '../errors.ts';
import { noRoom, placeOf, requireCustomerKey, requireRoom, unsaved } from './keys.ts';
import { awaited, settlePending } from '../imported.ts';
import { Key } from '../key.ts';
import { accountsIn, checkedPolicy, defaultPolicy, policyRecord } from '../keypolicy.ts';
import { materialRow, resealFor } from '../material.ts';
import { keyMetadata } from '../metadata.ts';
import { keyRowId, materialRowId, type KeyRecord, type MaterialRecord, type PolicyRecord } from '../records.ts';
import { changeAll, relatedKeys } from '../related.ts';
import { requirePrimary } from './rotation.ts';
import type { Run } from '../run.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';
import { stateRefusal } from '../states.ts';
import { checkTags } from '../tagging.ts';
import { replicaEntry } from '../trail.ts';

function requireMultiRegionPrimary(key: Key): void {
  if (key.record.multiRegion === undefined) throw fail('UnsupportedOperationException', `${key.arn} is not a multi-region primary key.`);
  requirePrimary(key);
}

/* ---- ReplicateKey ----------------------------------------------------------------- */

export const replicateKey = keyOperation({
  name: 'ReplicateKey',
  input: {
    KeyId: s.KeyIdType,
    ReplicaRegion: s.RegionType,
    Policy: optional(s.PolicyType),
    BypassPolicyLockoutSafetyCheck: optional(s.BooleanType),
    Description: optional(s.DescriptionType),
    Tags: optional(s.TagList),
  },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'replicate',
  async run(run, input, key) {
    requireMultiRegionPrimary(key);
    const region = input.ReplicaRegion;
    if (!run.services.regions.includes(region)) throw validation(`ReplicaRegion ${region} is not a Region of this service.`);
    const tags = input.Tags ?? [];
    checkTags(tags);
    const there = { values: { 'aws:requestedregion': region } };
    await run.permit('kms:CreateKey', '*', run.account, undefined, there);
    if (tags.length > 0) await run.permit('kms:TagResource', '*', run.account, undefined, there);

    const policyText = input.Policy ?? defaultPolicy(run.account);
    const replica = unsaved(run, replicaRecord(run, key, region, input.Description ?? '', tags), region);
    const policy = await checkedPolicy(run, policyText, replica, input.BypassPolicyLockoutSafetyCheck ?? false);
    const made = await insertReplica(run, key, region, { ...replica.record, sharedWith: accountsIn(policy, run.account) }, await policyRecord(run, policyText, policy));
    run.services.keyTally.add(placeOf(run, region), 1);
    run.touch(made);
    const metadata = keyMetadata(made);
    await run.services.recorder.record(replicaEntry(run, made, metadata)).durable;
    return {
      ReplicaKeyMetadata: metadata, ReplicaPolicy: policyText,
      ...(tags.length === 0 ? {} : { ReplicaTags: tags.map(({ TagKey, TagValue }) => ({ TagKey, TagValue })) }),
    };
  },
});

/** What a replica shares with its primary, and what is its own. Imported material must be imported again. */
function replicaRecord(run: Run, { record }: Key, region: string, description: string, tags: KeyRecord['tags']): KeyRecord {
  const { rotation: _, deletion: __, dueMs: ___, ...shared } = record;
  const set = record.multiRegion ?? { primary: run.region, replicas: [] };
  const external = record.origin === 'EXTERNAL';
  return {
    ...shared, description, tags, createdMs: run.nowMs, hasGrants: false, sharedWith: [], state: external ? 'PendingImport' : 'Enabled',
    materials: external ? record.materials.map(awaited) : record.materials,
    multiRegion: { ...set, replicas: [...set.replicas, region].sort() },
  };
}

async function insertReplica(run: Run, key: Key, region: string, body: KeyRecord, policy: PolicyRecord): Promise<Key> {
  const place = { id: keyRowId(key.account, region, body.keyId), account: key.account, region };
  const there = fail('AlreadyExistsException', `A key with the ARN ${keyArn(region, key.account, body.keyId)} already exists`);
  return run.store.tx(async (tx) => {
    const now = await run.reread(tx, key, 'replicate');
    requireMultiRegionPrimary(now);
    if ((await tx.get('key', place.id)) !== undefined) throw there;
    await requireRoom(run, tx, region);
    const set = now.record.multiRegion ?? { primary: key.region, replicas: [] };
    const multiRegion = { ...set, replicas: [...set.replicas, region].sort() };
    const bare: KeyRecord = { ...body, multiRegion, materials: now.record.materials.map(awaited) };
    const present = await relatedKeys(tx, now);
    // What waits for a rotation waits for the new Region too.
    const settled = ({ materials }: KeyRecord) => settlePending([...present, unsaved(run, bare, region)], materials);
    changeAll(tx, present, ({ record }) => ({ multiRegion, materials: settled(record) }));

    const replica: KeyRecord = { ...bare, materials: settled(bare) };
    tx.insert('key', { ...place, body: replica });
    tx.insert('policy', { ...place, body: policy });
    for (const { id } of replica.origin === 'EXTERNAL' ? [] : replica.materials) {
      const row = await tx.get<MaterialRecord>('material', materialRowId(key.region, id));
      if (row?.sealed === undefined) throw new Error(`material ${id} of ${key.arn} is not there`);
      const sealed = await resealFor(run.services, key.account, { objectId: replica.keyId, materialId: id }, row.sealed, replica.sharedWith);
      tx.insert('material', materialRow(place, replica.keyId, id, sealed));
    }
    return unsaved(run, replica, region);
  }).catch((error: unknown) => {
    throw error instanceof StoreError && error.code === 'Exists' ? there : error;
  }).catch(noRoom(run, region));
}

/* ---- UpdatePrimaryRegion -------------------------------------------------------------- */

export const updatePrimaryRegion = keyOperation({
  name: 'UpdatePrimaryRegion',
  input: { KeyId: s.KeyIdType, PrimaryRegion: s.RegionType },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'replicate',
  async run(run, { PrimaryRegion: region }, key) {
    requireMultiRegionPrimary(key);
    requireCustomerKey(key);
    if (region === key.region) throw fail('UnsupportedOperationException', `${key.arn} is the primary key already.`);
    const next = key.record.multiRegion?.replicas.includes(region) ? await run.lookUp(key.account, key.record.keyId, region) : undefined;
    if (next === undefined) throw naming.noKey(keyArn(region, key.account, key.record.keyId));
    await run.permit('kms:UpdatePrimaryRegion', next.arn, next.account, next);
    run.touch(next);
    await run.store.tx(async (tx) => {
      const now = await run.reread(tx, key, 'replicate');
      requireMultiRegionPrimary(now);
      const set = now.record.multiRegion;
      if (set === undefined || !set.replicas.includes(region)) throw naming.noKey(next.arn);
      const keys = await relatedKeys(tx, now);
      const heir = keys.find((one) => one.region === region);
      const refusal = heir && stateRefusal('replicate', heir.record.state, heir.arn);
      if (heir === undefined || refusal !== undefined) throw refusal ?? naming.noKey(next.arn);
      const multiRegion = { primary: region, replicas: [...set.replicas.filter((one) => one !== region), key.region].sort() };
      // The rotation schedule goes with the primary.
      changeAll(tx, keys, (one) => ({ multiRegion, rotation: one.region === region ? now.record.rotation : undefined }));
    });
    return {};
  },
});
