/**
 * The blob that leaves for a key in a custom key store: the core's blob, sealed once more by the store.
 * The format is docs/formats/keystore.md. Nothing in it is secret.
 */
import type { Core } from '../../hsm/core.ts';
import type { Key } from '../key.ts';
import type { KeyStoreTypeName } from '../shapes.ts';

/** What a store makes of the bytes it seals. */
export interface Wrapped {
  /** 12 or 16 bytes. */
  readonly iv: Buffer;
  /** 16 bytes. */
  readonly tag: Buffer;
  /** At most 20 bytes the store wants to see again. */
  readonly metadata: Buffer;
  readonly ciphertext: Buffer;
}

/** Whom an outer blob names, unauthenticated. */
export interface OuterName {
  readonly account: string;
  readonly objectId: string;
  readonly materialId: string;
  readonly type: KeyStoreTypeName;
}

type Hash = Pick<Core, 'sha256'>;

const magic = Buffer.from('SRk\u0001', 'latin1');
const types: readonly (KeyStoreTypeName | undefined)[] = [undefined, 'AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE'];
const at = { type: 4, account: 5, object: 17, material: 33 } as const;
/** Additional data of the store's seal. */
export const headerLength = 65;
const tagLength = 16;
const checkLength = 16;
export const longestMetadata = 20;

/** Of the key's current material; throws for a key whose names have no place here. */
export function headerOf(key: Key): Buffer {
  const { keyId, origin } = key.record;
  const materialId = key.material?.id ?? '';
  const type = types.indexOf(origin as KeyStoreTypeName);
  const object = Buffer.from(keyId.replaceAll('-', ''), 'hex');
  const material = Buffer.from(materialId, 'hex');
  if (type < 1 || object.length !== 16 || material.length !== 32) throw new Error(`${key.arn} has no place in a custom key store`);
  return Buffer.concat([magic, Buffer.of(type), Buffer.from(key.account, 'latin1'), object, material]);
}

export function packOuter(core: Hash, header: Buffer, { iv, tag, metadata, ciphertext }: Wrapped): Buffer {
  const whole = Buffer.concat([header, Buffer.of(iv.length), iv, Buffer.of(metadata.length), metadata, tag, ciphertext]);
  return Buffer.concat([whole, core.sha256(whole).subarray(0, checkLength)]);
}

export function peekOuter(core: Hash, blob: Buffer): OuterName | undefined {
  const parts = readOuter(core, blob);
  return parts?.name;
}

/** Undefined: not one of these, or not whole. */
export function readOuter(core: Hash, blob: Buffer): { readonly name: OuterName; readonly header: Buffer; readonly wrapped: Wrapped } | undefined {
  const end = blob.length - checkLength;
  if (end <= headerLength || !blob.subarray(0, magic.length).equals(magic)) return undefined;
  const type = types[blob[at.type] ?? 0];
  if (type === undefined || !core.sha256(blob.subarray(0, end)).subarray(0, checkLength).equals(blob.subarray(end))) return undefined;
  let offset = headerLength;
  const take = (length: number): Buffer => blob.subarray(offset, Math.min(offset += length, end));
  const iv = take(take(1)[0] ?? 0);
  const metadata = take(take(1)[0] ?? 0);
  const tag = take(tagLength);
  if (offset >= end || (iv.length !== 12 && iv.length !== 16) || metadata.length > longestMetadata) return undefined;
  const name = { account: blob.toString('latin1', at.account, at.object), objectId: uuidOf(blob), materialId: blob.toString('hex', at.material, headerLength), type };
  return { name, header: blob.subarray(0, headerLength), wrapped: { iv, tag, metadata, ciphertext: blob.subarray(offset, end) } };
}

function uuidOf(blob: Buffer): string {
  const h = blob.toString('hex', at.object, at.material);
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
}
