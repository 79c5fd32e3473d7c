/**
 * Key material that somebody gives in the clear, for doubles in tests: known keys, so that fixtures made
 * once open for ever. The core takes it under a root key of dev mode alone.
 */
import type { Attribute, Core, PartitionHandle, SessionHandle } from '../hsm/core.ts';
import { HsmError } from '../hsm/core.ts';
import { ATTR, CLASS } from '../hsm/numbers.ts';
import { keyTypeOf } from '../hsm/request.ts';
import { coreAttributes } from './material.ts';
import type { KeyRecord, Tag } from './records.ts';
import { isKeyId } from './resolve.ts';
import type { KeySpecName } from './shapes.ts';
import { specs } from './specs.ts';

/** What was given is no such key; the message says why. */
export class GivenError extends Error {
  override readonly name = 'GivenError';
}

interface Taker {
  readonly core: Core;
  readonly session: SessionHandle;
}

/** `material`: raw for secret keys, PKCS#8 for private ones. */
export function sealGiven(
  { core, session }: Taker, partition: PartitionHandle, record: Pick<KeyRecord, 'keyId' | 'spec' | 'usage' | 'sharedWith'>, materialId: string, material: Uint8Array,
): Buffer {
  const { core: spec, pair } = specs[record.spec];
  const own = coreAttributes(record.spec, record.usage, record.sharedWith);
  const handle = create({ core, session }, partition, pair ? undefined : spec?.type, material, own);
  try {
    const found = core.describeKey(session, handle).spec;
    if (found.type !== spec?.type || found.param !== spec.param) throw new GivenError(`the material is no key of ${record.spec}`);
    return core.seal(session, handle, { objectId: record.keyId, materialId });
  } finally {
    core.destroy(session, handle);
  }
}

/** Which spec a private key in PKCS#8 is of. */
export function specOfPrivate({ core, session }: Taker, partition: PartitionHandle, pkcs8: Uint8Array): KeySpecName {
  const handle = create({ core, session }, partition, undefined, pkcs8, [[ATTR.SENSITIVE, true], [ATTR.EXTRACTABLE, false]]);
  try {
    const { type, param } = core.describeKey(session, handle).spec;
    const found = Object.entries(specs).find(([, { core: spec }]) => spec?.type === type && spec.param === param);
    if (found === undefined) throw new GivenError('KMS has no key spec for this private key');
    return found[0] as KeySpecName;
  } finally {
    core.destroy(session, handle);
  }
}

/** `type` undefined: a private key, which says itself of what type it is. */
function create({ core, session }: Taker, partition: PartitionHandle, type: number | undefined, material: Uint8Array, more: readonly Attribute[]) {
  try {
    return core.create(session, partition, [
      [ATTR.CLASS, type === undefined ? CLASS.PRIVATE : CLASS.SECRET], [ATTR.KEY_TYPE, type ?? keyTypeOf(material)], [ATTR.VALUE, material], ...more,
    ]);
  } catch (error) {
    if (!(error instanceof HsmError)) throw error;
    if (error.code === 'HSM_E_MODE') throw new GivenError('key material is taken in the clear in dev mode only: STRONGROOM_MODE=dev when the home is made');
    throw new GivenError(`the material cannot be used: ${error.message}`);
  }
}

/** The same for the same place, so that what was encrypted under a seeded key opens after a reset, and elsewhere. */
export function givenMaterialId(core: Core, account: string, keyId: string, index: number): string {
  return core.sha256(Buffer.from(JSON.stringify(['given material', account, keyId, index]), 'utf8')).toString('hex');
}

/* ---- LocalStack's tags --------------------------------------------------------- */

const idTag = '_custom_id_';
const materialTag = '_custom_key_material_';

export interface Custom {
  readonly keyId?: string;
  readonly material?: Buffer;
  /** What stays: the material does not. */
  readonly tags: readonly Tag[];
}

/** A key id and material asked for by tags. Throws GivenError. */
export function customOf(tags: readonly Tag[]): Custom {
  const keyId = tags.find(({ TagKey }) => TagKey === idTag)?.TagValue;
  const text = tags.find(({ TagKey }) => TagKey === materialTag)?.TagValue;
  if (keyId !== undefined && !isKeyId(keyId)) throw new GivenError(`${idTag}: a key id is a UUID, or mrk- and 32 hex digits`);
  if (text !== undefined && !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new GivenError(`${materialTag} is not base64`);
  return {
    tags: withoutMaterial(tags),
    ...(keyId === undefined ? {} : { keyId }),
    ...(text === undefined ? {} : { material: Buffer.from(text, 'base64') }),
  };
}

/** Tags without what nobody should read again. */
export const withoutMaterial = (tags: readonly Tag[]): readonly Tag[] => tags.filter(({ TagKey }) => TagKey !== materialTag);

/* ---- PEM -------------------------------------------------------------------------- */

const oids = { rsa: '06092a864886f70d0101010500', ec: '06072a8648ce3d0201' };

/** The private key in a PEM text as PKCS#8; RFC 5915 and PKCS #1 are wrapped in it. */
export function pkcs8Of(pem: string): Buffer {
  const found = /-----BEGIN (EC |RSA |)PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END \1PRIVATE KEY-----/.exec(pem);
  if (found === null) throw new GivenError('there is no private key in the PEM text (PKCS#8, EC or RSA, not encrypted)');
  const der = Buffer.from(found[2] ?? '', 'base64');
  if (found[1] === '') return der;
  const algorithm = found[1] === 'RSA ' ? Buffer.from(oids.rsa, 'hex') : Buffer.concat([Buffer.from(oids.ec, 'hex'), curveIn(der)]);
  return element(0x30, Buffer.concat([Buffer.from('020100', 'hex'), element(0x30, algorithm), element(0x04, der)]));
}

/** ECPrivateKey { version 1, OCTET STRING, [0] { OBJECT IDENTIFIER } … }: the identifier, whole. */
function curveIn(der: Buffer): Buffer {
  const inside = der[0] === 0x30 ? ((der[1] ?? 0) > 0x80 ? (der[1] ?? 0) - 0x80 : 0) + 2 : 0;
  const key = inside + 3;
  const parameters = der[key] === 0x04 ? key + 2 + (der[key + 1] ?? 0) : 0;
  if (inside === 0 || der[parameters] !== 0xa0 || der[parameters + 2] !== 0x06) throw new GivenError('the EC private key does not say on which curve it lies');
  return der.subarray(parameters + 2, parameters + 4 + (der[parameters + 3] ?? 0));
}

function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
