/**
 * Key material from outside: a wrapping key for it, the material itself, and its end. It is unwrapped in
 * the core and named by a fingerprint there, so that the same bytes are known when they come again.
 */
import { HsmError, type HsmErrorCode, type ImportWrap } from '../../hsm/core.ts';
import { keyOperation } from '../define.ts';
import { fail, invalidCiphertext, states, validation, type ExceptionCode } from '../errors.ts';
import { awaited, isPending, materialMissing, removeMaterials, type Gone } from '../imported.ts';
import { Key } from '../key.ts';
import { coreAttributes, materialRow } from '../material.ts';
import { epoch } from '../metadata.ts';
import { keptOf, materialRowId, type KeyRecord, type Material, type MaterialRecord } from '../records.ts';
import { changeAll, relatedKeys } from '../related.ts';
import type { Run } from '../run.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';
import { rsaBytes } from '../specs.ts';
import type { Tx } from '../../store/store.ts';

const day = 86_400_000;
const parametersLast = day;
const longestLife = 365 * day;

function requireExternal(key: Key): void {
  if (key.record.origin !== 'EXTERNAL') throw states.badOrigin(key.arn, key.record.origin);
}

/* ---- GetParametersForImport --------------------------------------------------------- */

const wraps = {
  RSAES_OAEP_SHA_1: 'oaepSha1', RSAES_OAEP_SHA_256: 'oaepSha256', RSA_AES_KEY_WRAP_SHA_1: 'aesKeyWrapSha1', RSA_AES_KEY_WRAP_SHA_256: 'aesKeyWrapSha256',
} as const;

const unsupported = (sentence: string) => fail('UnsupportedOperationException', sentence);

/** Which way fits which key: what OAEP alone cannot carry needs an AES key between. */
function wrapFor(key: Key, algorithm: keyof typeof wraps | 'RSAES_PKCS1_V1_5' | 'SM2PKE', spec: 'RSA_2048' | 'RSA_3072' | 'RSA_4096' | 'SM2'): { readonly wrap: ImportWrap; readonly bits: number } {
  if (algorithm === 'RSAES_PKCS1_V1_5') throw unsupported('The RSAES_PKCS1_V1_5 wrapping algorithm is no longer supported.');
  if (algorithm === 'SM2PKE' || spec === 'SM2') throw unsupported('SM2 is not supported in this Region');
  const direct = algorithm === 'RSAES_OAEP_SHA_1' || algorithm === 'RSAES_OAEP_SHA_256';
  const own = key.record.spec;
  if (direct && (own.startsWith('RSA_') || (own === 'ECC_NIST_P521' && spec === 'RSA_2048'))) {
    throw unsupported(`WrappingAlgorithm ${algorithm} with WrappingKeySpec ${spec} is not supported for key spec ${own}.`);
  }
  return { wrap: wraps[algorithm], bits: rsaBytes(spec) * 8 };
}

export const getParametersForImport = keyOperation({
  name: 'GetParametersForImport',
  input: { KeyId: s.KeyIdType, WrappingAlgorithm: s.AlgorithmSpec, WrappingKeySpec: s.WrappingKeySpec },
  readOnly: true,
  key: (input) => input.KeyId,
  states: 'import',
  async run(run, { WrappingAlgorithm: algorithm, WrappingKeySpec: spec }, key) {
    requireExternal(key);
    const { wrap, bits } = wrapFor(key, algorithm, spec);
    const { core, session, partitions } = run.services;
    const validToMs = run.nowMs + parametersLast;
    const { publicKey, token } = await core.importBegin(session, await partitions.of(key.account), key.record.keyId, wrap, bits, validToMs);
    return { KeyId: key.arn, ImportToken: token, PublicKey: publicKey, ParametersValidTo: epoch(validToMs) };
  },
});

/* ---- ImportKeyMaterial ----------------------------------------------------------------- */

interface Given {
  readonly ValidTo?: number | undefined;
  readonly ExpirationModel?: 'KEY_MATERIAL_EXPIRES' | 'KEY_MATERIAL_DOES_NOT_EXPIRE' | undefined;
  readonly ImportType?: 'NEW_KEY_MATERIAL' | 'EXISTING_KEY_MATERIAL' | undefined;
  readonly KeyMaterialDescription?: string | undefined;
  readonly KeyMaterialId?: string | undefined;
}

type Imported = NonNullable<Material['imported']>;

function importedOf(given: Given, nowMs: number): Imported {
  const { ValidTo: validToMs, ExpirationModel: model = 'KEY_MATERIAL_EXPIRES', KeyMaterialDescription: description } = given;
  if (model === 'KEY_MATERIAL_EXPIRES' && validToMs === undefined) throw validation('A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES');
  if (model === 'KEY_MATERIAL_DOES_NOT_EXPIRE' && validToMs !== undefined) throw validation('A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE');
  if (validToMs !== undefined && validToMs <= nowMs) throw validation('ValidTo must be in the future.');
  if (validToMs !== undefined && validToMs > nowMs + longestLife) throw validation('ValidTo must be at most 365 days in the future.');
  return {
    state: 'IMPORTED', expirationModel: model, ...(description === undefined ? {} : { description }), ...(validToMs === undefined ? {} : { validToMs }),
  };
}

/** Only symmetric keys have more than one material. */
function checkTypes(key: Key, given: Given): void {
  const { ImportType: type, KeyMaterialId: id, KeyMaterialDescription: description } = given;
  if (key.record.spec !== 'SYMMETRIC_DEFAULT' && (type === 'NEW_KEY_MATERIAL' && key.record.materials.length > 0 || id !== undefined || description !== undefined)) {
    throw validation(`ImportType NEW_KEY_MATERIAL, KeyMaterialId and KeyMaterialDescription are for symmetric encryption keys.`);
  }
  if (type === 'NEW_KEY_MATERIAL' && id !== undefined) throw validation('KeyMaterialId cannot be specified when ImportType is NEW_KEY_MATERIAL.');
}

/** What the core says of token and material, in AWS's exceptions. */
const refusals: Readonly<Partial<Record<HsmErrorCode, ExceptionCode>>> = {
  HSM_E_FORMAT: 'InvalidImportTokenException',
  HSM_E_INTEGRITY: 'InvalidImportTokenException',
  HSM_E_EXPIRED: 'ExpiredImportTokenException',
  HSM_E_CIPHERTEXT: 'InvalidCiphertextException',
  HSM_E_CIPHERTEXT_LEN: 'InvalidCiphertextException',
  HSM_E_DATA: 'InvalidCiphertextException',
  HSM_E_DATA_LEN: 'InvalidCiphertextException',
  HSM_E_KEY_SIZE: 'IncorrectKeyMaterialException',
  HSM_E_KEY_TYPE: 'IncorrectKeyMaterialException',
  HSM_E_KEY_VALUE: 'IncorrectKeyMaterialException',
  HSM_E_CURVE: 'IncorrectKeyMaterialException',
};

function asImportRefusal(error: unknown): never {
  const code = error instanceof HsmError ? refusals[error.code] : undefined;
  if (code === 'InvalidCiphertextException') throw invalidCiphertext();
  throw code === undefined ? error : fail(code);
}

interface Arrived {
  readonly id: string;
  readonly sealed: Buffer;
}

/** Unwrap in the core and seal under the fingerprint's name. */
async function takeIn(run: Run, key: Key, token: Buffer, wrapped: Buffer): Promise<Arrived> {
  const { core, session, partitions } = run.services;
  const { spec, usage, keyId, sharedWith } = key.record;
  const coreSpec = key.spec.core;
  if (coreSpec === undefined) throw new Error(`no ${spec} here`);
  const partition = await partitions.of(key.account);
  const { fingerprint, key: handle } = await core
    .importFinish(session, partition, keyId, token, wrapped, run.nowMs, coreSpec, coreAttributes(spec, usage, sharedWith))
    .catch(asImportRefusal);
  try {
    const id = fingerprint.toString('hex');
    return { id, sealed: core.seal(session, handle, { objectId: keyId, materialId: id }) };
  } finally {
    core.closeObject(session, handle);
  }
}

export const importKeyMaterial = keyOperation({
  name: 'ImportKeyMaterial',
  input: {
    KeyId: s.KeyIdType,
    ImportToken: s.CiphertextType,
    EncryptedKeyMaterial: s.CiphertextType,
    ValidTo: optional(s.DateType),
    ExpirationModel: optional(s.ExpirationModelType),
    ImportType: optional(s.ImportType),
    KeyMaterialDescription: optional(s.KeyMaterialDescriptionType),
    KeyMaterialId: optional(s.BackingKeyIdType),
  },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'import',
  async run(run, input, key) {
    requireExternal(key);
    const imported = importedOf(input, run.nowMs);
    checkTypes(key, input);
    const arrived = await takeIn(run, key, input.ImportToken, input.EncryptedKeyMaterial);
    await run.store.tx(async (tx) => {
      const now = await run.reread(tx, key, 'import');
      await place(tx, now, arrived, imported, input, run.nowMs);
    });
    await forget(run, key, [{ region: key.region, id: arrived.id }]);
    run.extra = { keyMaterialId: arrived.id };
    return { KeyId: key.arn, KeyMaterialId: arrived.id };
  },
});

const wrongMaterial = () => fail('IncorrectKeyMaterialException', 'The key material in the request does not match the key material that was previously imported into this KMS key.');

/** Where the material belongs among those the key has. */
async function place(tx: Tx, key: Key, { id, sealed }: Arrived, imported: Imported, given: Given, nowMs: number): Promise<void> {
  const { materials } = key.record;
  const known = materials.find((material) => material.id === id);
  const fresh = (given.ImportType ?? (materials.length === 0 ? 'NEW_KEY_MATERIAL' : 'EXISTING_KEY_MATERIAL')) === 'NEW_KEY_MATERIAL';
  if (given.KeyMaterialId !== undefined && given.KeyMaterialId !== id) throw wrongMaterial();
  if (fresh ? known !== undefined : known === undefined) throw wrongMaterial();
  await putMaterial(tx, key, id, sealed);
  if (known === undefined) await addNew(tx, key, { id, state: 'CURRENT', createdMs: nowMs, imported });
  else await bringBack(tx, key, known, imported);
}

/** The first becomes current; a later one waits for a rotation, and for the replicas to have it too. */
async function addNew(tx: Tx, key: Key, material: Material): Promise<void> {
  if (key.isReplica) throw fail('UnsupportedOperationException', `${key.arn} is not a multi-region primary key.`);
  const { materials, spec } = key.record;
  const pending = materials.find(isPending);
  if (pending !== undefined) {
    throw fail('KMSInvalidStateException', `New key material (id: ${material.id}) cannot be imported into KMS key ${key.record.keyId}, because another key material (id: ${pending.id}) is pending rotation.`);
  }
  if (materials.length > 0 && spec !== 'SYMMETRIC_DEFAULT') throw wrongMaterial();
  const related = await relatedKeys(tx, key);
  const state = materials.length === 0 ? 'CURRENT' : related.length > 1 ? 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION' : 'PENDING_ROTATION';
  changeAll(tx, related, ({ record, region }) => {
    const here = region === key.region;
    const own: Material = { ...(here ? material : awaited(material)), state };
    return settled({ ...record, materials: [...record.materials, own] });
  });
}

/** The same bytes again, in this Region; the last Region to have a waiting one makes it ready for rotation. */
async function bringBack(tx: Tx, key: Key, known: Material, imported: Imported): Promise<void> {
  const description = imported.description ?? known.imported?.description;
  const own: Material = { ...known, imported: { ...imported, ...(description === undefined ? {} : { description }) } };
  const related = await relatedKeys(tx, key);
  const everywhere = related.every(({ region, record }) => region === key.region || record.materials.find(({ id }) => id === known.id)?.imported?.state === 'IMPORTED');
  const ready = known.state === 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION' && everywhere;
  changeAll(tx, ready ? related : [key], ({ record, region }) => settled({
    ...record,
    materials: record.materials.map((material): Material => {
      if (material.id !== known.id) return material;
      return { ...(region === key.region ? own : material), ...(ready ? { state: 'PENDING_ROTATION' } : {}) };
    }),
  }));
}

/** A key that waited for its last missing material is enabled by it. */
function settled(record: KeyRecord): Partial<KeyRecord> {
  const { materials } = record;
  return { materials, ...(record.state === 'PendingImport' && !materialMissing(record) ? { state: 'Enabled' } : {}) };
}

async function putMaterial(tx: Tx, key: Key, id: string, sealed: Buffer): Promise<void> {
  const row = await tx.get<MaterialRecord>('material', materialRowId(key.region, id));
  if (row === undefined) tx.insert('material', materialRow(key, key.record.keyId, id, sealed));
  else tx.update(row, { sealed });
}

async function forget(run: Run, key: Key, gone: readonly Gone[]): Promise<void> {
  const { keyring, partitions } = run.services;
  const partition = await partitions.of(key.account);
  for (const { region, id } of gone) keyring.forget(partition, keptOf(region, key.record.keyId, id));
}

/* ---- DeleteImportedKeyMaterial ----------------------------------------------------------- */

export const deleteImportedKeyMaterial = keyOperation({
  name: 'DeleteImportedKeyMaterial',
  input: { KeyId: s.KeyIdType, KeyMaterialId: optional(s.BackingKeyIdType) },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'any',
  async run(run, { KeyMaterialId: wanted }, key) {
    requireExternal(key);
    const found = await run.store.tx(async (tx) => {
      const now = await run.reread(tx, key, 'any');
      const material = wanted === undefined ? now.material : now.record.materials.find(({ id }) => id === wanted);
      if (material === undefined && wanted !== undefined) throw fail('NotFoundException', `Key material '${wanted}' does not exist`);
      return { id: material?.id, gone: material?.imported?.state === 'IMPORTED' ? await removeMaterials(tx, now, [material]) : [] };
    });
    await forget(run, key, found.gone);
    return { KeyId: key.arn, KeyMaterialId: found.id };
  },
});

