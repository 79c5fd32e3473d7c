/** The Cryptoki door: the same plays, as C_ calls on the module a program would load. */
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Attribute, MechanismParams } from '../../src/hsm/core.ts';
import { ATTR, CLASS, HASH, KEY, MECH, PARAM } from '../../src/hsm/numbers.ts';
import { Bytes, Caller, Struct, bytes, nameOf, room, struct, type Word } from '../pkcs11/caller.ts';
import { NotHere, type Door, type Parts } from './door.ts';

const USER = 1;
const SO = 0;

class Refused extends Error {}

function attributeWord(value: Attribute[1]): Bytes {
  if (typeof value === 'boolean') return bytes(Uint8Array.of(value ? 1 : 0));
  if (typeof value !== 'number') return bytes(value);
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(BigInt(value));
  return bytes(word);
}
const template = (attributes: readonly Attribute[]): Struct =>
  struct(...attributes.flatMap(([type, value]) => {
    const word = attributeWord(value);
    return [type, word, word.bytes.length] as Word[];
  }));

// ---- mechanisms

const digests: Readonly<Record<number, readonly [mech: number, mgf: number, prf: number, hmac: number]>> = {
  [HASH.SHA1]: [0x220, 1, 1, 0x221], [HASH.SHA224]: [0x255, 5, 3, 0x256], [HASH.SHA256]: [0x250, 2, 4, 0x251],
  [HASH.SHA384]: [0x260, 3, 5, 0x261], [HASH.SHA512]: [0x270, 4, 6, 0x271], [HASH.SHA512_224]: [0x48, 0, 7, 0], [HASH.SHA512_256]: [0x4c, 0, 8, 0],
  [HASH.SHA3_224]: [0x2b5, 6, 0, 0x2b6], [HASH.SHA3_256]: [0x2b0, 7, 0, 0x2b1], [HASH.SHA3_384]: [0x2c0, 8, 0, 0x2c1], [HASH.SHA3_512]: [0x2d0, 9, 0, 0x2d1],
};
const hashWords = (hash: number | undefined): readonly [number, number, number, number] => {
  const words = digests[hash ?? HASH.NONE];
  if (words === undefined) throw new NotHere('PKCS#11 has no number for this hash as a parameter');
  return words;
};
/** The hash that a mechanism's own name says. */
const inside: Readonly<Record<number, number>> = {
  0x0e: HASH.SHA1, 0x47: HASH.SHA224, 0x43: HASH.SHA256, 0x44: HASH.SHA384, 0x45: HASH.SHA512,
  0x67: HASH.SHA3_224, 0x63: HASH.SHA3_256, 0x64: HASH.SHA3_384, 0x65: HASH.SHA3_512,
};
const given = (data: Uint8Array | undefined): readonly [Word, number] => (data === undefined || data.length === 0 ? [null, 0] : [bytes(data), data.length]);
const swapped = (data: Uint8Array | undefined): readonly [number, Word] => {
  const [word, length] = given(data);
  return [length, word];
};
const hedge = (params: MechanismParams): number => (((params.flags ?? 0) & PARAM.DETERMINISTIC) === 0 ? 0 : 2);

function counterKdf(params: MechanismParams): Struct {
  const cmac = ((params.flags ?? 0) & PARAM.CMAC) !== 0;
  const [before, after] = [params.label ?? new Uint8Array(0), params.data ?? new Uint8Array(0)];
  const parts = [
    ...(before.length === 0 ? [] : [4, bytes(before), before.length]),
    1, struct(0, params.counterBits ?? 0), 16,
    ...(after.length === 0 ? [] : [4, bytes(after), after.length]),
  ];
  return struct(cmac ? 0x108a : hashWords(params.hash)[3], parts.length / 3, struct(...parts), 0, null);
}

/** The parameters as the mechanism's structure has them, or undefined for a mechanism without. */
function parameters(mech: number, params: MechanismParams): Struct | Bytes | undefined {
  const flags = params.flags ?? 0;
  if ((flags & PARAM.PREHASHED) !== 0) throw new NotHere('PKCS#11 has no mechanism for a message representative');
  switch (mech) {
    case MECH.AES_GCM:
    case MECH.AES_GMAC:
      return struct(...given(params.iv), (params.iv?.length ?? 0) * 8, ...given(params.aad), params.tagBits ?? 0);
    case MECH.AES_CBC:
    case MECH.AES_CBC_PAD:
      return bytes(params.iv ?? new Uint8Array(0));
    case MECH.AES_CTR: {
      const iv = Buffer.from(params.iv!);
      return struct(128, iv.readBigUInt64LE(0), iv.readBigUInt64LE(8));
    }
    case MECH.RSA_OAEP:
      return struct(hashWords(params.hash)[0], hashWords(params.mgf)[1], 1, ...given(params.label));
    case MECH.ECDH1_DERIVE:
      return struct(1, 0, null, ...swapped(params.peer));
    case MECH.EDDSA:
      return struct((flags & PARAM.PH) === 0 ? 0 : 1, ...swapped(params.label));
    case MECH.ML_DSA:
      return struct(hedge(params), ...given(params.label));
    case MECH.HASH_ML_DSA:
      return struct(hedge(params), ...given(params.label), hashWords(params.hash)[0]);
    case MECH.HKDF_DERIVE:
      return struct(0x0101, hashWords(params.hash)[0], params.salt!.length === 0 ? 1 : 2, ...given(params.salt), 0, ...given(params.label));
    case MECH.SP800_108_COUNTER:
      return counterKdf(params);
    default:
      if (params.tagBits !== undefined) return struct(params.tagBits / 8);
      if (inside[mech] !== undefined) {
        const hash = params.hash ?? inside[mech];
        return struct(hashWords(hash)[0], hashWords(params.mgf ?? hash)[1], params.saltLength as number);
      }
      if ((flags & PARAM.DETERMINISTIC) !== 0) throw new NotHere('ECDSA in PKCS#11 has no parameter that asks for RFC 6979');
      return undefined;
  }
}

function mechanism(mech: number, params: MechanismParams = {}, data = 0): Struct {
  // The length of the data is the first word of CCM's parameters.
  const made = mech === MECH.AES_CCM
    ? struct(data, ...given(params.iv), ...given(params.aad), params.tagBits! / 8)
    : parameters(mech, params);
  if (made === undefined) return struct(mech, null, 0);
  return struct(mech, made, made instanceof Struct ? made.words.length * 8 : made.bytes.length);
}

// ---- keys: as programs give them, by their parts, never as DER of the whole

const curveOids: Readonly<Record<string, string>> = {
  'P-224': '06052b81040021', 'P-256': '06082a8648ce3d030107', 'P-384': '06052b81040022', 'P-521': '06052b81040023', secp256k1: '06052b8104000a',
  Ed25519: '06032b6570', X25519: '06032b656e',
};
const b64 = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');

function octetString(value: Buffer): Buffer {
  const length = value.length < 128 ? [value.length] : value.length < 256 ? [0x81, value.length] : [0x82, value.length >> 8, value.length & 255];
  return Buffer.concat([Buffer.from([4, ...length]), value]);
}

function rsaParts(jwk: JsonWebKey): Parts {
  const all: readonly (readonly [number, string | undefined])[] = [
    [ATTR.MODULUS, jwk.n], [ATTR.PUBLIC_EXPONENT, jwk.e], [ATTR.PRIVATE_EXPONENT, jwk.d], [ATTR.PRIME_1, jwk.p], [ATTR.PRIME_2, jwk.q],
    [ATTR.EXPONENT_1, jwk.dp], [ATTR.EXPONENT_2, jwk.dq], [ATTR.COEFFICIENT, jwk.qi],
  ];
  return all.filter(([, value]) => value !== undefined).map(([type, value]): Attribute => [type, b64(value)]);
}
function pointParts(jwk: JsonWebKey): Parts {
  const point = jwk.kty === 'OKP' ? b64(jwk.x) : Buffer.concat([Buffer.from([4]), b64(jwk.x), b64(jwk.y)]);
  return [[ATTR.EC_PARAMS, Buffer.from(curveOids[jwk.crv!]!, 'hex')], [ATTR.EC_POINT, octetString(point)]];
}
/** ML-DSA's and ML-KEM's keys by the length of the public one. */
const sets: Readonly<Record<number, number>> = { 1312: 1, 1952: 2, 2592: 3, 800: 1, 1184: 2, 1568: 3 };

function apart(klass: number, type: number, parts: Parts): Parts {
  const [only] = parts;
  if (parts.length !== 1 || only === undefined || only[0] !== ATTR.VALUE || klass === CLASS.SECRET) return parts;
  const der = Buffer.from(only[1] as Uint8Array);
  if (type === KEY.ML_DSA || type === KEY.ML_KEM) {
    const length = Object.keys(sets).map(Number).find((n) => der.length - n > 0 && der.length - n < 30)!;
    return [[ATTR.PARAMETER_SET, sets[length]!], [ATTR.VALUE, der.subarray(der.length - length)]];
  }
  const key: KeyObject = klass === CLASS.PUBLIC ? createPublicKey({ key: der, format: 'der', type: 'spki' }) : createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const jwk = key.export({ format: 'jwk' });
  return jwk.kty === 'RSA' ? rsaParts(jwk) : pointParts(jwk);
}

// ---- signatures

const orders: Readonly<Record<string, number>> = { '06052b81040021': 28, '06082a8648ce3d030107': 32, '06052b81040022': 48, '06052b81040023': 66, '06052b8104000a': 32 };

/** r || s of a signature in strict DER; undefined for anything else. */
function rawSignature(der: Buffer, width: number): Buffer | undefined {
  let at = 0;
  const length = (): number => {
    const first = der[at++] ?? -1;
    if (first < 128) return first;
    const value = first === 0x81 ? der[at++] ?? -1 : -1;
    return value < 128 ? -1 : value;
  };
  const integer = (): Buffer | undefined => {
    if (der[at++] !== 2) return undefined;
    const n = length();
    const value = der.subarray(at, at + n);
    at += n;
    const minimal = n > 0 && value.length === n && (value[0]! & 0x80) === 0 && !(n > 1 && value[0] === 0 && (value[1]! & 0x80) === 0);
    const stripped = minimal && value[0] === 0 ? value.subarray(1) : value;
    return minimal && stripped.length <= width ? Buffer.concat([Buffer.alloc(width - stripped.length), stripped]) : undefined;
  };
  if (der[at++] !== 0x30 || length() !== der.length - at) return undefined;
  const [r, s] = [integer(), integer()];
  return r !== undefined && s !== undefined && at === der.length ? Buffer.concat([r, s]) : undefined;
}

// ---- the door

const uses: Readonly<Record<number, readonly number[]>> = {
  [CLASS.SECRET]: [ATTR.ENCRYPT, ATTR.DECRYPT, ATTR.SIGN, ATTR.VERIFY, ATTR.DERIVE],
  [CLASS.PRIVATE]: [ATTR.DECRYPT, ATTR.SIGN, ATTR.DERIVE, ATTR.DECAPSULATE],
  [CLASS.PUBLIC]: [ATTR.ENCRYPT, ATTR.VERIFY, ATTR.ENCAPSULATE],
};
const open: readonly Attribute[] = [[ATTR.SENSITIVE, false], [ATTR.EXTRACTABLE, true]];
const made: readonly Attribute[] = [[ATTR.CLASS, CLASS.SECRET], [ATTR.KEY_TYPE, KEY.GENERIC], [ATTR.SIGN, true], ...open];

interface Key { readonly handle: bigint; readonly parts: Parts }

export class CryptokiDoor implements Door<Key> {
  readonly #module = new Caller();
  readonly #session: number;

  constructor() {
    const pin = (text: string): readonly [Bytes, number] => [bytes(Buffer.from(text)), text.length];
    this.#ok('C_Initialize', null);
    this.#ok('C_InitToken', 0, ...pin('12345678'), bytes(Buffer.from('vectors'.padEnd(32))));
    const session = struct(0);
    this.#ok('C_OpenSession', 0, 6, null, null, session);
    this.#session = session.number(0);
    this.#ok('C_Login', this.#session, SO, ...pin('12345678'));
    this.#ok('C_InitPIN', this.#session, ...pin('1234'));
    this.#ok('C_Logout', this.#session);
    this.#ok('C_Login', this.#session, USER, ...pin('1234'));
  }

  #ok(name: string, ...args: readonly Word[]): void {
    const rv = this.#module.call(name, ...args);
    if (rv !== 0) throw new Refused(`${name}: ${nameOf(rv)}`);
  }
  /** A call whose last arguments are a buffer and its length, with room enough. */
  #bytes(name: string, ...args: readonly Word[]): Buffer {
    const [into, length] = [room(1 << 15), struct(1 << 15)];
    this.#ok(name, ...args, into, length);
    return Buffer.from(into.bytes.subarray(0, length.number(0)));
  }
  #handle(name: string, ...args: readonly Word[]): bigint {
    const handle = struct(0);
    this.#ok(name, ...args, handle);
    return handle.image.readBigUInt64LE();
  }
  #destroy(handle: bigint): void {
    this.#ok('C_DestroyObject', this.#session, handle);
  }

  create(klass: number, type: number, parts: Parts): Key {
    const own = apart(klass, type, parts);
    const attributes: readonly Attribute[] = [
      [ATTR.CLASS, klass], [ATTR.KEY_TYPE, type], ...own, ...uses[klass]!.map((use): Attribute => [use, true]), ...(klass === CLASS.PUBLIC ? [] : open),
    ];
    return { handle: this.#handle('C_CreateObject', this.#session, template(attributes), attributes.length), parts: own };
  }
  destroy(key: Key): void {
    this.#destroy(key.handle);
  }
  encrypt(key: Key, mech: number, params: MechanismParams, data: Buffer): Uint8Array {
    this.#ok('C_EncryptInit', this.#session, mechanism(mech, params, data.length), key.handle);
    return this.#bytes('C_Encrypt', this.#session, bytes(data), data.length);
  }
  decrypt(key: Key, mech: number, params: MechanismParams, data: Buffer): Uint8Array {
    this.#ok('C_DecryptInit', this.#session, mechanism(mech, params, Math.max(0, data.length - (params.tagBits ?? 0) / 8)), key.handle);
    return this.#bytes('C_Decrypt', this.#session, bytes(data), data.length);
  }
  sign(key: Key, mech: number, params: MechanismParams, message: Buffer): Uint8Array {
    this.#ok('C_SignInit', this.#session, mechanism(mech, params), key.handle);
    return this.#bytes('C_Sign', this.#session, bytes(message), message.length);
  }
  verify(key: Key, mech: number, params: MechanismParams, message: Buffer, signature: Buffer): boolean {
    let proof: Buffer | undefined = signature;
    if (((params.flags ?? 0) & PARAM.DER) !== 0) {
      const oid = Buffer.from(key.parts.find(([type]) => type === ATTR.EC_PARAMS)![1] as Uint8Array).toString('hex');
      proof = rawSignature(signature, orders[oid]!);
      // Encodings are the caller's affair here; a good one is never left out.
      if (proof === undefined) throw new NotHere('no DER of two numbers of the order\'s length: PKCS#11 has r || s');
    }
    this.#ok('C_VerifyInit', this.#session, mechanism(mech, params), key.handle);
    this.#ok('C_Verify', this.#session, bytes(message), message.length, bytes(proof), proof.length);
    return true;
  }
  attribute(key: Key, wanted: number): Uint8Array {
    const value = room(1 << 13);
    const list = struct(wanted, value, 1 << 13);
    this.#ok('C_GetAttributeValue', this.#session, key.handle, list, 1);
    return value.bytes.subarray(0, list.number(2));
  }
  spki(key: Key): Uint8Array {
    return this.attribute(key, ATTR.PUBLIC_KEY_INFO);
  }
  deriveAndMac(key: Key, mech: number, params: MechanismParams, length: number | undefined, message: Buffer): Uint8Array {
    const attributes: readonly Attribute[] = [...made, ...(length === undefined ? [] : [[ATTR.VALUE_LEN, length] as Attribute])];
    const derived = mech === MECH.PBKDF2
      ? this.#handle('C_GenerateKey', this.#session, this.#password(key, params), template(attributes), attributes.length)
      : this.#handle('C_DeriveKey', this.#session, mechanism(mech, params), key.handle, template(attributes), attributes.length);
    const mark = this.sign({ handle: derived, parts: [] }, MECH.SHA256_HMAC, {}, message);
    this.#destroy(derived);
    return mark;
  }
  /** PKCS#11 takes the password itself, not a key of it. */
  #password(key: Key, params: MechanismParams): Struct {
    const password = key.parts[0]![1] as Uint8Array;
    const words = struct(1, ...given(params.salt), params.iterations!, hashWords(params.hash)[2], null, 0, bytes(password), password.length);
    return struct(MECH.PBKDF2, words, 72);
  }
  #revealed(handle: bigint): Uint8Array {
    try {
      return this.attribute({ handle, parts: [] }, ATTR.VALUE);
    } finally {
      this.#destroy(handle);
    }
  }
  decapsulate(key: Key, ciphertext: Buffer): Uint8Array {
    return this.#revealed(this.#handle('C_DecapsulateKey', this.#session, mechanism(MECH.ML_KEM), key.handle, template(made), made.length, bytes(ciphertext), ciphertext.length));
  }
  encapsulate(key: Key): Uint8Array {
    const [into, length, secret] = [room(2048), struct(2048), struct(0)];
    this.#ok('C_EncapsulateKey', this.#session, mechanism(MECH.ML_KEM), key.handle, template(made), made.length, into, length, secret);
    this.#destroy(secret.image.readBigUInt64LE());
    return into.bytes.subarray(0, length.number(0));
  }
  digest(mech: number, message: Buffer): Uint8Array {
    if (mech >= 0x80000000) throw new NotHere('PKCS#11 has no number for this digest');
    this.#ok('C_DigestInit', this.#session, mechanism(mech));
    return this.#bytes('C_Digest', this.#session, bytes(message), message.length);
  }
  refusal(error: unknown): string | undefined {
    return error instanceof Refused ? error.message : undefined;
  }
  close(): void {
    this.#module.close();
  }
}
