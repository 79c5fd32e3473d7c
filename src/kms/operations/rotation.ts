/** Rotation: the yearly kind, the kind on demand, and what has been. */
import { keyOperation } from '../define.ts';
import { fail, states } from '../errors.ts';
import { requireCustomerKey } from './keys.ts';
import { awaited, withMaterials } from '../imported.ts';
import type { Key } from '../key.ts';
import { slicePage } from '../marker.ts';
import { epoch } from '../metadata.ts';
import { changed, type Material, type Rotation } from '../records.ts';
import { changeAll, relatedKeys } from '../related.ts';
import { prepareMaterial, rotateIn, withCurrent } from '../rotate.ts';
import type { Run } from '../run.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';

const day = 86_400_000;
const minute = 60_000;
const mostOnDemand = 25;
const usualPeriod = 365;

/** Only symmetric keys of ours rotate; imported ones on demand. */
function requireRotatable(key: Key): void {
  if (key.record.spec !== 'SYMMETRIC_DEFAULT') throw fail('UnsupportedOperationException');
  if (key.record.keyStoreId !== undefined) throw states.badOrigin(key.arn, key.record.origin);
}

function requireAutomatic(key: Key): void {
  requireRotatable(key);
  if (key.record.origin !== 'AWS_KMS') throw states.badOrigin(key.arn, key.record.origin);
  requirePrimary(key);
}

export function requirePrimary(key: Key): void {
  if (key.isReplica) throw fail('UnsupportedOperationException', `${key.arn} is not a multi-region primary key.`);
}

/* ---- automatic ------------------------------------------------------------------- */

/** Enabled anew it keeps its schedule, unless the period changes. */
function enabled(before: Rotation | undefined, period: number | undefined, nowMs: number): Rotation {
  const periodDays = period ?? (before?.enabled === true ? before.periodDays : usualPeriod);
  if (before?.enabled === true && before.periodDays === periodDays) return before;
  return { enabled: true, periodDays, nextMs: nowMs + periodDays * day };
}

export const enableKeyRotation = keyOperation({
  name: 'EnableKeyRotation',
  input: { KeyId: s.KeyIdType, RotationPeriodInDays: optional(s.RotationPeriodInDaysType) },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'automaticRotation',
  async run(run, { RotationPeriodInDays: period }, key) {
    requireAutomatic(key);
    requireCustomerKey(key);
    await run.change(key, 'automaticRotation', ({ record }) => changed(record, { rotation: enabled(record.rotation, period, run.nowMs) }));
    return {};
  },
});

export const disableKeyRotation = keyOperation({
  name: 'DisableKeyRotation',
  input: { KeyId: s.KeyIdType },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'automaticRotation',
  async run(run, _, key) {
    requireAutomatic(key);
    requireCustomerKey(key);
    await run.change(key, 'automaticRotation', ({ record }) => (record.rotation?.enabled === true ? changed(record, { rotation: { ...record.rotation, enabled: false } }) : undefined));
    return {};
  },
});

export const getKeyRotationStatus = keyOperation({
  name: 'GetKeyRotationStatus',
  input: { KeyId: s.KeyIdType },
  readOnly: true,
  crossAccount: true,
  key: (input) => input.KeyId,
  states: 'any',
  async run(run, _, key) {
    requireRotatable(key);
    if (key.record.state === 'PendingImport') throw states.badOrigin(key.arn, key.record.origin);
    // A replica's rotation is its primary's.
    const source = key.isReplica ? await run.lookUp(key.account, key.record.keyId, key.record.multiRegion?.primary) : key;
    const rotation = source?.record.rotation;
    const on = rotation?.enabled === true && key.record.deletion === undefined;
    return {
      KeyId: key.arn, KeyRotationEnabled: on,
      ...(on ? { RotationPeriodInDays: rotation.periodDays, NextRotationDate: epoch(rotation.nextMs) } : {}),
    };
  },
});

/* ---- on demand ---------------------------------------------------------------------- */

/** An automatic rotation this near has the right of way. */
const tooNear = 20 * minute;

function checkOnDemand(run: Run, key: Key): void {
  const { rotation, onDemandRotations } = key.record;
  if (onDemandRotations >= mostOnDemand) {
    throw fail('LimitExceededException', `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${key.arn}`);
  }
  if (rotation?.enabled === true && rotation.nextMs - run.nowMs < tooNear) {
    throw fail('ConflictException', `An automatic rotation of ${key.arn} is in progress or about to begin.`);
  }
}

export const rotateKeyOnDemand = keyOperation({
  name: 'RotateKeyOnDemand',
  input: { KeyId: s.KeyIdType },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'rotateNow',
  async run(run, _, key) {
    requireRotatable(key);
    requireCustomerKey(key);
    requirePrimary(key);
    checkOnDemand(run, key);
    if (key.record.origin === 'EXTERNAL') await rotateImported(run, key);
    else await rotateOwn(run, key);
    return { KeyId: key.arn };
  },
});

async function rotateOwn(run: Run, key: Key): Promise<void> {
  const related = await run.store.tx((tx) => relatedKeys(tx, key));
  const made = await prepareMaterial(run.services, related);
  await run.store.tx(async (tx) => {
    const now = await run.reread(tx, key, 'rotateNow');
    checkOnDemand(run, now);
    await rotateIn(tx, now, made, 'ON_DEMAND', run.nowMs);
  });
}

/** The material imported last takes over, in every Region of the set. */
async function rotateImported(run: Run, key: Key): Promise<void> {
  await run.store.tx(async (tx) => {
    const now = await run.reread(tx, key, 'rotateNow');
    checkOnDemand(run, now);
    const pending = now.record.materials.find(({ state }) => state === 'PENDING_ROTATION');
    if (pending === undefined) throw fail('KMSInvalidStateException', `No available key material pending rotation for the key: ${key.arn}.`);
    const next = { state: 'CURRENT', rotatedMs: run.nowMs, rotationType: 'ON_DEMAND' } as const;
    changeAll(tx, await relatedKeys(tx, now), ({ record }) => {
      // A Region that lacks it, or gave it back, waits for it from now on.
      const own = record.materials.find(({ id }) => id === pending.id) ?? awaited(pending);
      return { ...withMaterials(record, withCurrent(record.materials, { ...own, ...next })), onDemandRotations: record.onDemandRotations + 1 };
    });
  });
}

/* ---- history ---------------------------------------------------------------------------- */

function show(key: Key, material: Material) {
  const { imported } = material;
  return {
    KeyId: key.record.keyId, KeyMaterialId: material.id, KeyMaterialState: material.state,
    ...(imported === undefined ? {} : {
      ImportState: imported.state,
      ...(imported.description === undefined ? {} : { KeyMaterialDescription: imported.description }),
      ...(imported.state === 'IMPORTED' ? { ExpirationModel: imported.expirationModel } : {}),
      ...(imported.validToMs === undefined ? {} : { ValidTo: epoch(imported.validToMs) }),
    }),
    ...(material.rotatedMs === undefined ? {} : { RotationDate: epoch(material.rotatedMs), RotationType: material.rotationType }),
  };
}

export const listKeyRotations = keyOperation({
  name: 'ListKeyRotations',
  input: { KeyId: s.KeyIdType, IncludeKeyMaterial: optional(s.IncludeKeyMaterial), Limit: optional(s.LimitType), Marker: optional(s.MarkerType) },
  readOnly: true,
  key: (input) => input.KeyId,
  states: 'any',
  run(run, input, key) {
    requireRotatable(key);
    const include = input.IncludeKeyMaterial ?? 'ROTATIONS_ONLY';
    const all = key.record.materials.filter(({ rotatedMs }) => include === 'ALL_KEY_MATERIAL' || rotatedMs !== undefined);
    const { items, more } = slicePage(run.services.markers, `ListKeyRotations ${key.id} ${include}`, all, input, { otherwise: 100, most: 1000 });
    return { Rotations: items.map((material) => show(key, material)), ...more };
  },
});

