/**
 * Keys from a seed file: fixed ids and given material, for doubles in tests. Ours and local-kms's two
 * formats are read as they are. A key or alias that is there already is left as it is, so that seeding
 * again does nothing.
 */
import { parsePolicy, PolicyError } from '../iam/policy.ts';
import { ATTR, CLASS, HASH, KEY, MECH } from '../hsm/numbers.ts';
import type { PartitionHandle } from '../hsm/core.ts';
import { GivenError, givenMaterialId, pkcs8Of, sealGiven, specOfPrivate } from './given.ts';
import { accountsIn, defaultPolicy } from './keypolicy.ts';
import { coreAttributes, makeMaterial, materialRow } from './material.ts';
import { aliasRowId, changed, keyRowId, type AliasRecord, type KeyRecord, type Material, type Tag } from './records.ts';
import { isKeyId } from './resolve.ts';
import type { Services } from './run.ts';
import type { KeySpecName, KeyUsageName } from './shapes.ts';
import { specs } from './specs.ts';

/** The file cannot be used; the message says where and why. */
export class SeedError extends Error {
  override readonly name = 'SeedError';
}

export type Fields = Readonly<Record<string, unknown>>;

interface SeedKey {
  readonly at: string;
  readonly keyId: string;
  readonly account: string;
  readonly region: string;
  readonly spec: KeySpecName | undefined;
  readonly usage: string | undefined;
  readonly description: string;
  readonly external: boolean;
  readonly enabled: boolean;
  readonly tags: readonly Tag[];
  readonly policy: string | undefined;
  readonly rotateMs: number | undefined;
  /** Raw or PKCS#8, the oldest first. */
  readonly material: readonly Buffer[];
}

interface SeedAlias {
  readonly at: string;
  readonly name: string;
  readonly target: string;
  readonly account: string;
  readonly region: string;
}

export interface SeedPlan {
  readonly keys: readonly SeedKey[];
  readonly aliases: readonly SeedAlias[];
}

export interface Seeded {
  readonly keys: number;
  readonly aliases: number;
  /** Was there already. */
  readonly present: number;
}

/* ---- reading --------------------------------------------------------------------- */

export function fieldsAt(value: unknown, at: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SeedError(`${at} is not a mapping`);
  return value as Fields;
}

export function listAt(value: unknown, at: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new SeedError(`${at} is not a list`);
  return value;
}

export function textAt(fields: Fields, name: string, at: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  // YAML reads an account's twelve digits as a number where they are not quoted.
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value).padStart(name === 'AccountId' || name === 'Account' ? 12 : 0, '0');
  if (typeof value !== 'string') throw new SeedError(`${at}.${name} is not a text`);
  return value;
}

/** A policy document, as text or as it is. */
export function documentAt(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

interface Place {
  readonly account: string;
  readonly region: string;
}

export function readKeys(document: Fields, otherwise: Place): SeedPlan {
  const keys = keyEntries(document['Keys']).map(([at, fields, family]) => readKey(at, fields, family, otherwise));
  const aliases = listAt(document['Aliases'], 'Aliases').map((value, i): SeedAlias => {
    const at = `Aliases[${i}]`;
    const fields = fieldsAt(value, at);
    const name = textAt(fields, 'AliasName', at) ?? '';
    if (!/^alias\/[a-zA-Z0-9/_-]{1,250}$/.test(name) || name.startsWith('alias/aws/')) throw new SeedError(`${at}.AliasName is not a name such as alias/testing`);
    const target = textAt(fields, 'TargetKeyId', at) ?? '';
    const key = keys.find(({ keyId }) => keyId === target);
    return { at, name, target, account: textAt(fields, 'Account', at) ?? key?.account ?? otherwise.account, region: textAt(fields, 'Region', at) ?? key?.region ?? otherwise.region };
  });
  return { keys, aliases };
}

/** Version 1 groups keys by kind, version 2 lists them. */
function keyEntries(value: unknown): (readonly [at: string, fields: Fields, family: string])[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map((one, i) => [`Keys[${i}]`, fieldsAt(one, `Keys[${i}]`), ''] as const);
  const found: (readonly [string, Fields, string])[] = [];
  for (const [kind, families] of Object.entries(fieldsAt(value, 'Keys'))) {
    for (const [family, list] of Object.entries(fieldsAt(families, `Keys.${kind}`))) {
      const at = `Keys.${kind}.${family}`;
      if (!['Symmetric.Aes', 'Symmetric.Hmac', 'Asymmetric.Rsa', 'Asymmetric.Ecc'].includes(`${kind}.${family}`)) throw new SeedError(`${at} is none of Symmetric.Aes, Symmetric.Hmac, Asymmetric.Rsa, Asymmetric.Ecc`);
      listAt(list, at).forEach((one, i) => found.push([`${at}[${i}]`, fieldsAt(one, `${at}[${i}]`), family]));
    }
  }
  return found;
}

function readKey(at: string, fields: Fields, family: string, otherwise: Place): SeedKey {
  const about = fields['Metadata'] === undefined ? fields : fieldsAt(fields['Metadata'], `${at}.Metadata`);
  const given = fields['Material'] === undefined ? fields : fieldsAt(fields['Material'], `${at}.Material`);
  const keyId = textAt(fields, 'KeyId', at) ?? textAt(about, 'KeyId', at) ?? '';
  if (!isKeyId(keyId) || keyId.startsWith('mrk-')) throw new SeedError(`${at}: KeyId '${keyId.slice(0, 80)}' is not a UUID`);
  const spec = textAt(about, 'KeySpec', at) ?? textAt(about, 'CustomerMasterKeySpec', at) ?? (family === 'Aes' ? 'SYMMETRIC_DEFAULT' : undefined);
  if (spec !== undefined && (!Object.hasOwn(specs, spec) || specs[spec as KeySpecName].core === undefined)) throw new SeedError(`${at}: there is no KeySpec ${spec}`);
  const origin = textAt(about, 'Origin', at) ?? 'AWS_KMS';
  if (origin !== 'AWS_KMS' && origin !== 'EXTERNAL') throw new SeedError(`${at}: Origin is AWS_KMS or EXTERNAL`);
  const rotation = textAt(fields, 'NextKeyRotation', at);
  const rotateMs = rotation === undefined ? undefined : Date.parse(rotation);
  if (Number.isNaN(rotateMs)) throw new SeedError(`${at}.NextKeyRotation is not an ISO 8601 time`);
  return {
    at, keyId, spec: spec as KeySpecName | undefined, usage: textAt(about, 'KeyUsage', at), description: textAt(about, 'Description', at) ?? '',
    external: origin === 'EXTERNAL', enabled: about['Enabled'] !== false, rotateMs,
    account: textAt(fields, 'Account', at) ?? otherwise.account, region: textAt(fields, 'Region', at) ?? otherwise.region,
    tags: readTags(fields['Tags'], `${at}.Tags`), policy: documentAt(fields['Policy']), material: readMaterial(given, at),
  };
}

/** A list as AWS has it, or a mapping. */
function readTags(value: unknown, at: string): readonly Tag[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return Object.entries(fieldsAt(value, at)).map(([TagKey, TagValue]) => ({ TagKey, TagValue: String(TagValue) }));
  return value.map((one, i) => {
    const fields = fieldsAt(one, `${at}[${i}]`);
    return { TagKey: textAt(fields, 'TagKey', at) ?? textAt(fields, 'Key', at) ?? '', TagValue: textAt(fields, 'TagValue', at) ?? textAt(fields, 'Value', at) ?? '' };
  });
}

function readMaterial(fields: Fields, at: string): readonly Buffer[] {
  const pem = textAt(fields, 'PrivateKeyPem', at);
  if (pem !== undefined) return [within(at, () => pkcs8Of(pem))];
  return listAt(fields['BackingKeys'], `${at}.BackingKeys`).map((value, i) => {
    const hex = String(value);
    if (typeof value !== 'string' || hex.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(hex)) throw new SeedError(`${at}.BackingKeys[${i}] is not hex (quote it if it is all digits)`);
    return Buffer.from(hex, 'hex');
  });
}

function within<R>(at: string, work: () => R): R {
  try {
    return work();
  } catch (error) {
    throw error instanceof GivenError || error instanceof PolicyError ? new SeedError(`${at}: ${error.message}`) : error;
  }
}

/* ---- making ------------------------------------------------------------------------- */

export async function seedKeys(services: Services, { keys, aliases }: SeedPlan): Promise<Seeded> {
  const done = { keys: 0, aliases: 0, present: 0 };
  for (const key of keys) {
    if (await seedKey(services, key)) done.keys++;
    else done.present++;
  }
  for (const alias of aliases) {
    if (await seedAlias(services, alias)) done.aliases++;
    else done.present++;
  }
  return done;
}

async function seedKey(services: Services, seed: SeedKey): Promise<boolean> {
  const { store } = services;
  const { at, account, region, keyId, external } = seed;
  const id = keyRowId(account, region, keyId);
  if ((await store.get('key', id)) !== undefined) return false;
  if (!services.regions.includes(region)) throw new SeedError(`${at}: Region ${region} is not served here (STRONGROOM_REGIONS)`);
  const partition = await partitionOf(services, account, at);
  const { spec, usage } = specAndUsage(services, seed, partition);
  const text = seed.policy ?? defaultPolicy(account);
  const sharedWith = within(at, () => accountsIn(parsePolicy(text, 'resource'), account));
  const nowMs = store.now();
  const bare: KeyRecord = {
    keyId, spec, usage, origin: external ? 'EXTERNAL' : 'AWS_KMS', manager: 'CUSTOMER', state: seed.enabled ? 'Enabled' : 'Disabled', description: seed.description,
    createdMs: nowMs, tags: seed.tags, materials: [], onDemandRotations: 0, hasGrants: false, sharedWith,
  };
  const made = await materialsOf(services, partition, bare, seed);
  const materials = made.map(([material]) => material);
  const record = changed(bare, {
    materials, ...(external && made.length === 0 ? { state: 'PendingImport' } : {}),
    ...(seed.rotateMs === undefined || spec !== 'SYMMETRIC_DEFAULT' || external ? {} : { rotation: { enabled: true, periodDays: 365, nextMs: seed.rotateMs } }),
  });
  const place = { id, account, region };
  await store.tx(async (tx) => {
    if ((await tx.get('key', id)) !== undefined) return;
    tx.insert('key', { ...place, body: record });
    tx.insert('policy', { ...place, body: { text } });
    for (const [material, sealed] of made) tx.insert('material', materialRow(place, keyId, material.id, sealed));
  });
  services.keyTally.add(`${account}/${region}`, 1);
  return true;
}

async function partitionOf({ partition }: Services, account: string, at: string): Promise<PartitionHandle> {
  const found = await partition(account);
  if (found === undefined) throw new SeedError(`${at}: there is no account ${account}`);
  return found;
}

function specAndUsage(services: Services, { at, spec: given, usage: wanted, material }: SeedKey, partition: PartitionHandle): { readonly spec: KeySpecName; readonly usage: KeyUsageName } {
  const [first] = material;
  const spec = given ?? (first === undefined ? 'SYMMETRIC_DEFAULT' : within(at, () => specOfPrivate(services, partition, first)));
  const { usages } = specs[spec];
  const usage = usages.find((one) => one === wanted) ?? (wanted === undefined ? usages[0] : undefined);
  if (usage === undefined) throw new SeedError(`${at}: KeyUsage ${wanted ?? ''} is not compatible with KeySpec ${spec}`);
  return { spec, usage };
}

/** Each with its sealed form, the last one current. Material of an external key comes in as any import does. */
async function materialsOf(services: Services, partition: PartitionHandle, record: KeyRecord, { at, account, material }: SeedKey): Promise<(readonly [Material, Buffer])[]> {
  const { createdMs, spec, origin } = record;
  if (material.length > 1 && (spec !== 'SYMMETRIC_DEFAULT' || origin === 'EXTERNAL')) throw new SeedError(`${at}: only keys of SYMMETRIC_DEFAULT and origin AWS_KMS have more than one material`);
  if (origin === 'EXTERNAL') return material[0] === undefined ? [] : [await imported(services, partition, record, material[0], at)];
  if (material.length === 0) {
    const id = services.ids.long();
    return [[{ id, state: 'CURRENT', createdMs }, await makeMaterial(services, partition, record, id)]];
  }
  return material.map((bytes, i) => {
    const id = givenMaterialId(services.core, account, record.keyId, i);
    const sealed = within(at, () => sealGiven(services, partition, record, id, bytes));
    return [{ id, state: i === material.length - 1 ? 'CURRENT' : 'NON_CURRENT', createdMs, ...(i === 0 ? {} : { rotatedMs: createdMs, rotationType: 'ON_DEMAND' }) }, sealed];
  });
}

/** So that the same bytes are known when somebody imports them again. */
async function imported({ core, session }: Services, partition: PartitionHandle, { keyId, spec, usage, sharedWith, createdMs }: KeyRecord, bytes: Buffer, at: string): Promise<readonly [Material, Buffer]> {
  const coreSpec = specs[spec].core;
  if (coreSpec === undefined || specs[spec].pair) throw new SeedError(`${at}: material of a key of origin EXTERNAL and spec ${spec} is imported by ImportKeyMaterial`);
  const { publicKey, token } = await core.importBegin(session, partition, keyId, 'oaepSha256', 2048, createdMs + 60_000);
  const wrapped = wrapFor(core, publicKey, bytes);
  const { fingerprint, key } = await core.importFinish(session, partition, keyId, token, wrapped, createdMs, coreSpec, coreAttributes(spec, usage, sharedWith))
    .catch((error: unknown) => { throw new SeedError(`${at}: the material is no key of ${spec}: ${error instanceof Error ? error.message : ''}`); });
  try {
    const id = fingerprint.toString('hex');
    return [{ id, state: 'CURRENT', createdMs, imported: { state: 'IMPORTED', expirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } }, core.seal(session, key, { objectId: keyId, materialId: id })];
  } finally {
    core.closeObject(session, key);
  }
}

function wrapFor(core: Services['core'], publicKey: Buffer, bytes: Buffer): Buffer {
  const scratch = core.ephemeralPartition('seed');
  try {
    const user = core.openSession(scratch);
    const key = core.create(user, 0, [[ATTR.CLASS, CLASS.PUBLIC], [ATTR.KEY_TYPE, KEY.RSA], [ATTR.VALUE, publicKey], [ATTR.ENCRYPT, true]]);
    const out = Buffer.alloc(512);
    return out.subarray(0, core.encryptInto(user, key, MECH.RSA_OAEP, { hash: HASH.SHA256, mgf: HASH.SHA256 }, bytes, out));
  } finally {
    core.closePartition(scratch);
  }
}

async function seedAlias({ store }: Services, { at, name, target, account, region }: SeedAlias): Promise<boolean> {
  const id = aliasRowId(account, region, name);
  return await store.tx(async (tx) => {
    const key = await tx.get<KeyRecord>('key', keyRowId(account, region, target));
    if (key === undefined) throw new SeedError(`${at}: there is no key ${target} in account ${account}, Region ${region}`);
    if ((await tx.get('alias', id)) !== undefined) return false;
    const nowMs = store.now();
    tx.insert<AliasRecord>('alias', { id, account, region, body: { name, key: key.id, keyId: target, createdMs: nowMs, updatedMs: nowMs } });
    return true;
  });
}
