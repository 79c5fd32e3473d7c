/**
 * Keys that are known, and whatever follows from each that would give it away: what a search looks for. The forms are those
 * that libraries keep: expanded schedules, hash keys, midstates, parts and Montgomery forms of numbers.
 */
import { createCipheriv, createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { shake256 } from '@noble/hashes/sha3.js';
import type { Needle } from './scan.ts';

export const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
export const toBytes = (n: bigint, length: number): Buffer => Buffer.from(n.toString(16).padStart(2 * length, '0'), 'hex');
const mod = (a: bigint, n: bigint): bigint => ((a % n) + n) % n;

function inverse(a: bigint, n: bigint): bigint {
  let [r, s, x, y] = [n, mod(a, n), 0n, 1n];
  while (s !== 0n) {
    const q = r / s;
    [r, s, x, y] = [s, r - q * s, y, x - q * y];
  }
  return mod(x, n);
}

/** Each run of `size` bytes turned round: as a machine keeps the words of a big-endian text. */
function turned(bytes: Uint8Array, size: number): Buffer {
  const out = Buffer.alloc(bytes.length);
  for (let i = 0; i < bytes.length; i += size) Buffer.from(bytes.subarray(i, i + size)).reverse().copy(out, i);
  return out;
}

/* ---- AES -------------------------------------------------------------------------- */

const double = (a: number): number => ((a << 1) ^ (a & 0x80 ? 0x11b : 0)) & 0xff;

const sbox = ((): Uint8Array => {
  const power: number[] = [];
  for (let i = 0, a = 1; i < 255; i += 1, a ^= double(a)) power.push(a);
  const box = new Uint8Array(256);
  for (let a = 0; a < 256; a += 1) {
    const b = a === 0 ? 0 : power[(255 - power.indexOf(a)) % 255]!;
    box[a] = [0, 1, 2, 3, 4].reduce((sum, by) => sum ^ (((b << by) | (b >> (8 - by))) & 0xff), 0x63);
  }
  return box;
})();

/** All round keys, in order (FIPS 197, 5.2). */
export function aesSchedule(key: Uint8Array): Buffer {
  const words = key.length / 4;
  const out = Buffer.alloc(16 * (words + 7));
  out.set(key);
  for (let i = words, constant = 1; i < 4 * (words + 7); i += 1) {
    let last = [...out.subarray(4 * i - 4, 4 * i)];
    if (i % words === 0) {
      last = [...last.slice(1), last[0]!].map((byte) => sbox[byte]!);
      last[0]! ^= constant;
      constant = double(constant);
    } else if (words === 8 && i % words === 4) {
      last = last.map((byte) => sbox[byte]!);
    }
    for (let j = 0; j < 4; j += 1) out[4 * i + j] = out[4 * (i - words) + j]! ^ last[j]!;
  }
  return out;
}

/** Round keys of the equivalent inverse cipher (5.3.5): all but the outer ones through InvMixColumns. */
function aesInverseSchedule(key: Uint8Array): Buffer {
  const out = aesSchedule(key);
  const times = (a: number, by: number): number => [0, 1, 2, 3].reduce((sum, bit) => sum ^ ((by >> bit) & 1 ? Array.from({ length: bit }).reduce<number>(double, a) : 0), 0);
  for (let i = 16; i < out.length - 16; i += 4) {
    const column = [...out.subarray(i, i + 4)];
    for (let j = 0; j < 4; j += 1) out[i + j] = [14, 11, 13, 9].reduce((sum, by, k) => sum ^ times(column[(j + k) % 4]!, by), 0);
  }
  return out;
}

/** GHASH's key and its powers: as bytes, and as libraries with carry-less multiplication keep them (times x, in halves). */
function ghashKeys(key: Uint8Array): readonly Buffer[] {
  const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null);
  const h = toNumber(cipher.update(Buffer.alloc(16)));
  // GCM's bits run backwards: bit 127 of the number is the coefficient of 1.
  const timesX = (a: bigint): bigint => (a >> 1n) ^ ((a & 1n) === 1n ? 0xe1n << 120n : 0n);
  const multiply = (a: bigint, b: bigint): bigint => {
    let sum = 0n;
    for (let i = 127n; i >= 0n; i -= 1n, b = timesX(b)) if (((a >> i) & 1n) === 1n) sum ^= b;
    return sum;
  };
  const polynomial = (0xc2n << 120n) | 1n;
  const twisted = (a: bigint): bigint => ((a << 1n) & ((1n << 128n) - 1n)) ^ (a >> 127n === 1n ? polynomial : 0n);
  const all: Buffer[] = [];
  for (let power = h, i = 0; i < 8; i += 1, power = multiply(power, h)) {
    for (const form of [power, twisted(power)]) {
      const bytes = toBytes(form, 16);
      all.push(bytes, Buffer.concat([bytes.subarray(8), bytes.subarray(0, 8)]));
    }
  }
  return all;
}

export function aesNeedles(label: string, key: Uint8Array): readonly Needle[] {
  return [
    { label, bytes: key },
    ...[aesSchedule(key), aesInverseSchedule(key)].flatMap((bytes) => [bytes, turned(bytes, 4)]).map((bytes) => ({ label: `${label}-round-keys`, bytes })),
    ...ghashKeys(key).map((bytes) => ({ label: `${label}-ghash`, bytes })),
  ];
}

/* ---- HMAC -------------------------------------------------------------------------- */

/** The compression function's state after one block: from the two of a key every MAC follows. */
function midstate(hash: typeof sha256 | typeof sha512, block: Uint8Array): Buffer {
  const state = hash.create();
  state.update(block);
  const words = Reflect.apply(Reflect.get(state, 'get') as () => number[], state, []);
  return Buffer.concat(words.map((word) => toBytes(BigInt(word >>> 0), 4)));
}

export function hmacNeedles(label: string, key: Uint8Array): readonly Needle[] {
  return [
    { label, bytes: key },
    ...([[sha256, 64, 4], [sha512, 128, 8]] as const).flatMap(([hash, length, word]) => [0x36, 0x5c].flatMap((pad) => {
      const block = Buffer.alloc(length, pad);
      (key.length > length ? hash(key) : key).forEach((byte, i) => { block[i]! ^= byte; });
      const state = midstate(hash, block);
      return [block.subarray(0, key.length), state, turned(state, word)].map((bytes, i) => ({ label: `${label}-${i === 0 ? 'padded' : 'midstate'}`, bytes }));
    })),
  ];
}

/* ---- numbers ------------------------------------------------------------------------- */

/** A secret number below `n`: itself, its inverse, each also times R as Montgomery's multiplication has it. */
function residues(label: string, secret: bigint, n: bigint, length: number): readonly Needle[] {
  const radix = 1n << BigInt(8 * (Math.ceil(length / 8) * 8));
  return [secret, inverse(secret, n)].flatMap((x) => [x, mod(x * radix, n)]).map((x) => ({ label, bytes: toBytes(x, length) }));
}

export interface RsaKey { readonly der: Buffer; readonly spki: Buffer; readonly parts: Readonly<Record<'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi', Buffer>> }

export function rsaKey(modulusLength = 2048): RsaKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  const jwk = privateKey.export({ format: 'jwk' }) as Record<string, string>;
  const parts = Object.fromEntries(['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => [name, Buffer.from(jwk[name] ?? '', 'base64url')])) as RsaKey['parts'];
  return { der: privateKey.export({ format: 'der', type: 'pkcs8' }), spki: publicKey.export({ format: 'der', type: 'spki' }), parts };
}

export function rsaNeedles(label: string, { parts }: RsaKey): readonly Needle[] {
  const [p, q, qi] = [toNumber(parts.p), toNumber(parts.q), toNumber(parts.qi)];
  const half = parts.p.length;
  const radix = 1n << BigInt(8 * half);
  return [
    ...(['d', 'p', 'q', 'dp', 'dq', 'qi'] as const).map((name) => ({ label: `${label}-${name}`, bytes: parts[name] })),
    { label: `${label}-qi-montgomery`, bytes: toBytes(mod(qi * radix, p), half) },
    ...[p, q].map((prime) => ({ label: `${label}-square-of-R`, bytes: toBytes(mod(radix * radix, prime), half) })),
  ];
}

export const p256 = { order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n, length: 32 } as const;

export interface EcKey { readonly der: Buffer; readonly spki: Buffer; readonly scalar: Buffer; readonly point: Buffer }

export function ecKey(): EcKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { d = '', x = '', y = '' } = privateKey.export({ format: 'jwk' });
  return {
    der: privateKey.export({ format: 'der', type: 'pkcs8' }), spki: publicKey.export({ format: 'der', type: 'spki' }), scalar: Buffer.from(d, 'base64url'),
    point: Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]),
  };
}

export const ecNeedles = (label: string, { scalar }: EcKey): readonly Needle[] => residues(`${label}-scalar`, toNumber(scalar), p256.order, p256.length);

/** The nonce of each ECDSA signature (r, s side by side) of a 32-byte digest, recovered by who knows the key: k = (z + r d) / s. */
export function nonceNeedles(label: string, { scalar }: EcKey, digest: Uint8Array, signatures: readonly Uint8Array[]): readonly Needle[] {
  return signatures.flatMap((signature, i) => {
    const [r, s] = [toNumber(signature.subarray(0, 32)), toNumber(signature.subarray(32, 64))];
    const k = mod((toNumber(digest) + r * toNumber(scalar)) * inverse(s, p256.order), p256.order);
    // A signature may carry n - s: its nonce is then the other one.
    return [k, p256.order - k].flatMap((nonce) => residues(`${label}-nonce-${i}`, nonce, p256.order, p256.length));
  });
}

/** r and s side by side, from DER. */
export function plainSignature(der: Uint8Array): Buffer {
  const part = (at: number): Buffer => toBytes(toNumber(der.subarray(at + 2, at + 2 + der[at + 1]!)), 32);
  return Buffer.concat([part(2), part(4 + der[3]!)]);
}

export interface SeedKey { readonly der: Buffer; readonly seed: Buffer }

export function ed25519Key(): SeedKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const der = privateKey.export({ format: 'der', type: 'pkcs8' });
  return { der, seed: Buffer.from(der.subarray(-32)) };
}

/** Seed, scalar and prefix (RFC 8032, 5.1.5), and the nonce of each message. */
export function ed25519Needles(label: string, { seed }: SeedKey, messages: readonly Uint8Array[]): readonly Needle[] {
  const order = (1n << 252n) + 27742317777372353535851937790883648493n;
  const digest = createHash('sha512').update(seed).digest();
  const scalar = Buffer.from(digest.subarray(0, 32));
  scalar[0]! &= 248;
  scalar[31] = (scalar[31]! & 63) | 64;
  const nonces = messages.map((message) => createHash('sha512').update(digest.subarray(32)).update(message).digest());
  return [
    { label: `${label}-seed`, bytes: seed },
    ...[digest, turned(digest, 8), scalar, toBytes(mod(toNumber(turned(scalar, 32)), order), 32)].map((bytes) => ({ label: `${label}-scalar`, bytes })),
    ...nonces.flatMap((nonce) => [nonce, turned(nonce, 8), toBytes(mod(toNumber(turned(nonce, 64)), order), 32)]).map((bytes) => ({ label: `${label}-nonce`, bytes })),
  ];
}

/** PKCS#8 of an ML-DSA-65 key as its seed (RFC 9881). */
export function mlDsaKey(): SeedKey {
  const seed = randomBytes(32);
  const tlv = (tag: number, body: Buffer): Buffer => Buffer.concat([Buffer.from([tag, body.length]), body]);
  const algorithm = tlv(0x30, tlv(0x06, Buffer.from('608648016503040312', 'hex')));
  return { seed, der: tlv(0x30, Buffer.concat([Buffer.from('020100', 'hex'), algorithm, tlv(0x04, tlv(0x80, seed))])) };
}

/** Seed, rho', K (FIPS 204, algorithm 6), and the short vectors s1 and s2 as an expanded key has them packed (ML-DSA-65: eta = 4). */
export function mlDsaNeedles(label: string, { seed }: SeedKey): readonly Needle[] {
  const expanded = Buffer.from(shake256(Buffer.concat([seed, Buffer.from([6, 5])]), { dkLen: 128 }));
  const short = expanded.subarray(32, 96);
  const vectors = Array.from({ length: 11 }, (_, i) => {
    const stream = shake256(Buffer.concat([short, Buffer.from([i, 0])]), { dkLen: 512 });
    const coefficients = [...stream].flatMap((byte) => [byte & 15, byte >> 4]).filter((z) => z < 9).slice(0, 256).map((z) => 4 - z);
    return Buffer.from(Array.from({ length: 128 }, (_, at) => (4 - coefficients[2 * at]!) | ((4 - coefficients[2 * at + 1]!) << 4)));
  });
  return [
    { label: `${label}-seed`, bytes: seed }, { label: `${label}-rho`, bytes: short }, { label: `${label}-K`, bytes: expanded.subarray(96) },
    ...vectors.map((bytes) => ({ label: `${label}-short`, bytes })),
  ];
}

/** A PIN or passphrase: its characters, and what PBKDF2 starts from. */
export const pinNeedles = (label: string, pin: string): readonly Needle[] => hmacNeedles(label, Buffer.from(pin, 'latin1'));
