/** Looks at what a driver answered, with node:crypto: no module is its own judge where that can be helped. */
import { createDecipheriv, createHash, createHmac, createPublicKey, verify, type KeyObject } from 'node:crypto';
import type { Answer, Work } from './driver.ts';

/** The message of every work: native/bench/drive.h. */
const message = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7) % 251));

export function judge(work: Work, answer: Answer): string | undefined {
  const { key, iv, sealed, wrapped, plain, mac, digest, signature } = answer;
  const size = work.size ?? 0;
  if (sealed !== undefined && key !== undefined && iv !== undefined) return opens(work, key, iv, sealed, message(size)) ? undefined : 'what was sealed does not open elsewhere';
  if (wrapped !== undefined && key !== undefined && plain !== undefined) return unwraps(key, wrapped).equals(plain) ? undefined : 'what was wrapped does not unwrap elsewhere';
  if (mac !== undefined && key !== undefined) return createHmac('sha256', key).update(message(size)).digest().equals(mac) ? undefined : 'the MAC is not HMAC-SHA-256';
  if (digest !== undefined) return createHash('sha256').update(message(size)).digest().equals(digest) ? undefined : 'the digest is not SHA-256';
  if (signature !== undefined) return holds(work, answer, signature) ? undefined : 'the signature does not verify elsewhere';
  return undefined;
}

function opens(work: Work, key: Buffer, iv: Buffer, sealed: Buffer, clear: Buffer): boolean {
  try {
    if (work.work.startsWith('cbc')) {
      const cipher = createDecipheriv('aes-256-cbc', key, iv);
      return Buffer.concat([cipher.update(sealed), cipher.final()]).equals(clear);
    }
    const cipher = createDecipheriv('aes-256-gcm', key, iv);
    cipher.setAuthTag(sealed.subarray(-16));
    return Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()]).equals(clear);
  } catch {
    return false;
  }
}

function unwraps(key: Buffer, wrapped: Buffer): Buffer {
  try {
    const cipher = createDecipheriv('id-aes256-wrap', key, Buffer.alloc(8, 0xa6));
    return Buffer.concat([cipher.update(wrapped), cipher.final()]);
  } catch {
    return Buffer.alloc(0);
  }
}

const url = (bytes: Buffer): string => bytes.toString('base64url');

/** PKCS#11 gives points as an OCTET STRING, some modules without its head. */
function bare(point: Buffer, lengths: readonly number[]): Buffer {
  return lengths.includes(point.length) ? point : point.subarray(2);
}

function publicKey(work: Work, { modulus, exponent, point }: Answer): KeyObject | undefined {
  if (modulus !== undefined && exponent !== undefined) return createPublicKey({ key: { kty: 'RSA', n: url(modulus), e: url(exponent) }, format: 'jwk' });
  if (point === undefined) return undefined;
  if (work.kind === 'ed25519') return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: url(bare(point, [32])) }, format: 'jwk' });
  const half = work.kind === 'p384' ? 48 : 32;
  const xy = bare(point, [2 * half + 1]).subarray(1);
  return createPublicKey({ key: { kty: 'EC', crv: half === 48 ? 'P-384' : 'P-256', x: url(xy.subarray(0, half)), y: url(xy.subarray(half)) }, format: 'jwk' });
}

function holds(work: Work, answer: Answer, signature: Buffer): boolean {
  const key = publicKey(work, answer);
  // ML-DSA: this Node's OpenSSL has none; the driver had the module verify, and refuse a forgery.
  if (key === undefined) return true;
  const hash = work.kind === 'p384' ? 'sha384' : work.kind === 'ed25519' ? null : 'sha256';
  return verify(hash, message(64), { key, dsaEncoding: 'ieee-p1363' }, signature);
}
