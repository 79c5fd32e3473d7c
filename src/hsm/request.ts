import { HsmError, type Attribute, type KeyInfo, type KeySpec } from './core.ts';
import { ATTR, CLASS, CURVE, HASH, KEY, MECH, USE } from './numbers.ts';

/** What a key may be used for. Asked for at its making, never widened afterwards. */
export type KeyUse = 'encrypt' | 'decrypt' | 'sign' | 'verify' | 'wrap' | 'unwrap' | 'derive' | 'encapsulate' | 'decapsulate';

export type HashName = 'sha224' | 'sha256' | 'sha384' | 'sha512' | 'sha3-256' | 'sha3-384' | 'sha3-512';
export type CurveName = 'P-224' | 'P-256' | 'P-384' | 'P-521' | 'secp256k1';

interface Common {
  /** Shown by {@link Key.label} and found by `find`; at most 255 bytes of UTF-8. */
  readonly label?: string;
  /** Default: what the type is usually for, see each type. */
  readonly use?: readonly KeyUse[];
  /** May it leave wrapped under another key? Default false: it never leaves but sealed. */
  readonly extractable?: boolean;
}

/** AES; default use encrypt, decrypt. With use sign, verify it makes CMACs; with wrap, unwrap it wraps keys. */
export interface AesRequest extends Common { readonly type: 'aes'; /** Default 256. */ readonly bits?: 128 | 192 | 256 }
/** HMAC; default use sign, verify. */
export interface HmacRequest extends Common { readonly type: 'hmac'; /** Default 256. */ readonly bits?: number; /** Default sha256. */ readonly hash?: HashName }
/** A secret that other keys are derived from by HKDF; default use derive. */
export interface SecretRequest extends Common { readonly type: 'secret'; /** Default 256. */ readonly bits?: number }
/** RSA; default use sign, verify. With encrypt, decrypt: OAEP. */
export interface RsaRequest extends Common { readonly type: 'rsa'; /** Default 3072. */ readonly bits?: 2048 | 3072 | 4096 }
/** ECDSA, or ECDH with use derive; default use sign, verify. */
export interface EcRequest extends Common { readonly type: 'ec'; /** Default P-256. */ readonly curve?: CurveName }
export interface Ed25519Request extends Common { readonly type: 'ed25519' }
export interface X25519Request extends Common { readonly type: 'x25519' }
export interface MlDsaRequest extends Common { readonly type: 'ml-dsa'; /** Default 65. */ readonly set?: 44 | 65 | 87 }
export interface MlKemRequest extends Common { readonly type: 'ml-kem'; /** Default 768. */ readonly set?: 512 | 768 | 1024 }

export type SymmetricRequest = AesRequest | HmacRequest | SecretRequest;
export type PairRequest = RsaRequest | EcRequest | Ed25519Request | X25519Request | MlDsaRequest | MlKemRequest;
export type KeyRequest = SymmetricRequest | PairRequest;
export type KeyType = KeyRequest['type'];

const curves: Readonly<Record<CurveName, number>> = { 'P-224': CURVE.P224, 'P-256': CURVE.P256, 'P-384': CURVE.P384, 'P-521': CURVE.P521, secp256k1: CURVE.SECP256K1 };
export const hashes: Readonly<Record<HashName, number>> = {
  sha224: HASH.SHA224, sha256: HASH.SHA256, sha384: HASH.SHA384, sha512: HASH.SHA512,
  'sha3-256': HASH.SHA3_256, 'sha3-384': HASH.SHA3_384, 'sha3-512': HASH.SHA3_512,
};

const signing: readonly KeyUse[] = ['sign', 'verify'];
const usual: Readonly<Record<KeyType, readonly KeyUse[]>> = {
  aes: ['encrypt', 'decrypt'], hmac: signing, secret: ['derive'], rsa: signing, ec: signing, ed25519: signing,
  x25519: ['derive'], 'ml-dsa': signing, 'ml-kem': ['encapsulate', 'decapsulate'],
};

/** Attribute and gate bit of each use, and on which half of a pair it lies. */
const uses: Readonly<Record<KeyUse, { readonly attr: number; readonly bit: number; readonly half: 'public' | 'private' }>> = {
  encrypt: { attr: ATTR.ENCRYPT, bit: USE.ENCRYPT, half: 'public' },
  decrypt: { attr: ATTR.DECRYPT, bit: USE.DECRYPT, half: 'private' },
  sign: { attr: ATTR.SIGN, bit: USE.SIGN, half: 'private' },
  verify: { attr: ATTR.VERIFY, bit: USE.VERIFY, half: 'public' },
  wrap: { attr: ATTR.WRAP, bit: USE.WRAP, half: 'public' },
  unwrap: { attr: ATTR.UNWRAP, bit: USE.UNWRAP, half: 'private' },
  derive: { attr: ATTR.DERIVE, bit: USE.DERIVE, half: 'private' },
  encapsulate: { attr: ATTR.ENCAPSULATE, bit: USE.ENCAP, half: 'public' },
  decapsulate: { attr: ATTR.DECAPSULATE, bit: USE.DECAP, half: 'private' },
};
const allUses = Object.keys(uses) as readonly KeyUse[];
const secretUses = allUses.filter((use) => use !== 'encapsulate' && use !== 'decapsulate');

export const isPair = (type: KeyType): boolean => type !== 'aes' && type !== 'hmac' && type !== 'secret';

/** Type and size as the core says it. Throws TypeError for what is no request. */
export function specOf(request: KeyRequest): KeySpec {
  switch (request.type) {
    case 'aes': return { type: KEY.AES, param: request.bits ?? 256 };
    case 'hmac': return { type: KEY.GENERIC, param: request.bits ?? 256 };
    case 'secret': return { type: KEY.HKDF, param: request.bits ?? 256 };
    case 'rsa': return { type: KEY.RSA, param: request.bits ?? 3072 };
    case 'ec': return { type: KEY.EC, param: curves[request.curve ?? 'P-256'] ?? 0 };
    case 'ed25519': return { type: KEY.EDWARDS, param: CURVE.ED25519 };
    case 'x25519': return { type: KEY.MONTGOMERY, param: CURVE.X25519 };
    case 'ml-dsa': return { type: KEY.ML_DSA, param: request.set ?? 65 };
    case 'ml-kem': return { type: KEY.ML_KEM, param: request.set ?? 768 };
    default: throw new TypeError(`type must be one of ${Object.keys(usual).join(', ')}`);
  }
}

/** Attributes of a key to be made: every use is said, granted or not. */
export function attributesOf(request: KeyRequest): Attribute[] {
  const granted = request.use ?? usual[request.type];
  for (const use of granted) if (!(use in uses)) throw new TypeError(`use must be of ${allUses.join(', ')}`);
  const pair = isPair(request.type);
  const attributes: Attribute[] = (pair ? allUses.filter((use) => uses[use].half === 'private') : secretUses)
    .map((use): Attribute => [uses[use].attr, granted.includes(use)]);
  attributes.push([ATTR.SENSITIVE, true], [ATTR.EXTRACTABLE, request.extractable ?? false]);
  if (request.type === 'hmac') attributes.push([ATTR.ALLOWED_MECHANISMS, packMechanism(hmacOf(request.hash ?? 'sha256'))]);
  if (request.label !== undefined) attributes.push([ATTR.LABEL, Buffer.from(request.label)]);
  return attributes;
}

/** What a key that is derived or unwrapped shall be, beside {@link attributesOf}. */
export function shapeOf(request: SymmetricRequest): Attribute[] {
  const spec = specOf(request);
  return [[ATTR.CLASS, CLASS.SECRET], [ATTR.KEY_TYPE, spec.type], [ATTR.VALUE_LEN, spec.param / 8]];
}

/** The public half as an object of its own, from its SPKI. A private key says no public uses; they follow. */
export function publicAttributes(spec: KeySpec, spki: Uint8Array, granted: readonly KeyUse[]): Attribute[] {
  return [[ATTR.CLASS, CLASS.PUBLIC], [ATTR.KEY_TYPE, spec.type], [ATTR.VALUE, spki], ...publicUses(granted)];
}

function publicUses(granted: readonly KeyUse[]): Attribute[] {
  return allUses.filter((use) => uses[use].half === 'public').map((use): Attribute => [uses[use].attr, granted.includes(use)]);
}

/** The public half of a pair that is made. */
export function publicHalfOf(request: PairRequest): Attribute[] {
  return [...publicUses(request.use ?? usual[request.type]), ...(request.label === undefined ? [] : [[ATTR.LABEL, Buffer.from(request.label)] as Attribute])];
}

/** CKK_ number of an SPKI or PKCS#8 by its algorithm's object identifier. Throws HsmError HSM_E_FORMAT. */
export function keyTypeOf(spki: Uint8Array): number {
  // SEQUENCE { (INTEGER,) SEQUENCE { OBJECT IDENTIFIER …
  const start = header(spki, 0, 0x30);
  const at = start >= 0 && spki[start] === 0x02 ? start + 2 + (spki[start + 1] ?? 0) : start;
  const algorithm = at < 0 ? -1 : header(spki, at, 0x30);
  const oid = algorithm < 0 ? -1 : header(spki, algorithm, 0x06);
  const name = oid < 0 ? '' : Buffer.from(spki.subarray(oid, oid + (spki[oid - 1] ?? 0))).toString('hex');
  const type = algorithms[name];
  if (type === undefined) throw new HsmError('HSM_E_FORMAT', 'not a SubjectPublicKeyInfo or PKCS#8 of a known algorithm');
  return type;
}

/** Where the content of the DER element at `at` begins; -1: another tag. */
function header(der: Uint8Array, at: number, tag: number): number {
  if (der[at] !== tag) return -1;
  const length = der[at + 1] ?? 0;
  return at + 2 + (length > 0x80 ? length - 0x80 : 0);
}

const algorithms: Readonly<Record<string, number>> = {
  '2a864886f70d010101': KEY.RSA, '2a8648ce3d0201': KEY.EC, '2b6570': KEY.EDWARDS, '2b656e': KEY.MONTGOMERY,
  '608648016503040311': KEY.ML_DSA, '608648016503040312': KEY.ML_DSA, '608648016503040313': KEY.ML_DSA,
  '608648016503040401': KEY.ML_KEM, '608648016503040402': KEY.ML_KEM, '608648016503040403': KEY.ML_KEM,
};

/** Uses of a key as the gate holds them; for a private key those of its public half as well. */
export function usesOf(info: KeyInfo): KeyUse[] {
  const held = allUses.filter((use) => (info.use & uses[use].bit) !== 0);
  if (info.class !== CLASS.PRIVATE) return held;
  const other: Partial<Record<KeyUse, KeyUse>> = { sign: 'verify', decrypt: 'encrypt', unwrap: 'wrap', decapsulate: 'encapsulate' };
  return [...held, ...held.flatMap((use) => other[use] ?? [])];
}

export function typeOf(spec: KeySpec): KeyType {
  switch (spec.type) {
    case KEY.AES: return 'aes';
    case KEY.GENERIC: return 'hmac';
    case KEY.HKDF: return 'secret';
    case KEY.RSA: return 'rsa';
    case KEY.EC: return 'ec';
    case KEY.EDWARDS: return 'ed25519';
    case KEY.MONTGOMERY: return 'x25519';
    case KEY.ML_DSA: return 'ml-dsa';
    case KEY.ML_KEM: return 'ml-kem';
    default: throw new TypeError(`a key of type 0x${spec.type.toString(16)} has no class here`);
  }
}

export const curveName = (param: number): CurveName | undefined => (Object.keys(curves) as CurveName[]).find((name) => curves[name] === param);

const hmacs: Readonly<Record<HashName, number>> = {
  sha224: MECH.SHA224_HMAC, sha256: MECH.SHA256_HMAC, sha384: MECH.SHA384_HMAC, sha512: MECH.SHA512_HMAC,
  'sha3-256': MECH.SHA3_256_HMAC, 'sha3-384': 0x2c1, 'sha3-512': 0x2d1,
};

/** Mechanism of an HMAC key: one hash a key, held by the gate (CKA_ALLOWED_MECHANISMS). */
export function hmacOf(hash: HashName): number {
  const mech = hmacs[hash];
  if (mech === undefined) throw new TypeError(`hash must be one of ${Object.keys(hmacs).join(', ')}`);
  return mech;
}

/** CKA_ALLOWED_MECHANISMS, written and read. */
export function packMechanism(mech: number): Buffer {
  const packed = new BigUint64Array([BigInt(mech)]);
  return Buffer.from(packed.buffer, 0, 8);
}

export function readMechanism(packed: Buffer): number | undefined {
  return packed.length === 8 ? Number(new BigUint64Array(new Uint8Array(packed).buffer)[0]) : undefined;
}
