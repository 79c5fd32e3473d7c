// Minerva and TPM-Fail 2019: ECDSA nonces of which a few leading bits are known (there by timing, here because they
// are zero) tell the private key: each signature is one row of a lattice whose short vector is made of the nonces.
import { ATTR, CURVE, KEY, MECH } from '../../src/hsm/numbers.ts';
import { flag, inverse, modulo, toNumber, type Attack } from './ground.ts';

export const settings = ['short-nonces=32'] as const;
const bits = 32n;
const signatures = 12;

// NIST P-256
const p = (1n << 256n) - (1n << 224n) + (1n << 192n) + (1n << 96n) - 1n;
const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const G = [0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n, 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n] as const;
type Point = readonly [bigint, bigint] | undefined;

function plus(a: Point, b: Point): Point {
  if (a === undefined || b === undefined) return a ?? b;
  if (a[0] === b[0] && modulo(a[1] + b[1], p) === 0n) return undefined;
  const slope = a[0] === b[0] ? modulo((3n * a[0] * a[0] - 3n) * inverse(2n * a[1], p), p) : modulo((b[1] - a[1]) * inverse(b[0] - a[0], p), p);
  const x = modulo(slope * slope - a[0] - b[0], p);
  return [x, modulo(slope * (a[0] - x) - a[1], p)];
}
function multiply(k: bigint): Point {
  let result: Point;
  let base: Point = G;
  for (let e = k; e > 0n; e >>= 1n) {
    if ((e & 1n) === 1n) result = plus(result, base);
    base = plus(base, base);
  }
  return result;
}

/** LLL (Lenstra, Lenstra, Lovász) in whole numbers, after Cohen's algorithm 2.6.7. Rows in, reduced rows out. */
export function reduce(rows: readonly (readonly bigint[])[]): bigint[][] {
  const b = rows.map((row) => [...row]);
  const size = b.length;
  const d: bigint[] = [1n];
  const lambda = b.map(() => new Array<bigint>(size).fill(0n));
  const at = (i: number): bigint[] => b[i]!;
  const dot = (x: readonly bigint[], y: readonly bigint[]): bigint => x.reduce((sum, v, i) => sum + v * y[i]!, 0n);
  const near = (a: bigint, q: bigint): bigint => { const t = 2n * a + q; const f = t / (2n * q); return t < 0n && f * 2n * q !== t ? f - 1n : f; };
  const shorten = (k: number, l: number): void => {
    const q = near(lambda[k]![l]!, d[l + 1]!);
    if (q === 0n) return;
    b[k] = at(k).map((v, i) => v - q * at(l)[i]!);
    lambda[k]![l] = lambda[k]![l]! - q * d[l + 1]!;
    for (let i = 0; i < l; i += 1) lambda[k]![i] = lambda[k]![i]! - q * lambda[l]![i]!;
  };
  let k = 1;
  let highest = 0;
  d[1] = dot(at(0), at(0));
  while (k < size) {
    if (k > highest) {
      highest = k;
      for (let j = 0; j <= k; j += 1) {
        let u = dot(at(k), at(j));
        for (let i = 0; i < j; i += 1) u = (d[i + 1]! * u - lambda[k]![i]! * lambda[j]![i]!) / d[i]!;
        if (j < k) lambda[k]![j] = u;
        else d[k + 1] = u;
      }
    }
    shorten(k, k - 1);
    const l = lambda[k]![k - 1]!;
    if (4n * (d[k + 1]! * d[k - 1]! + l * l) < 3n * d[k]! * d[k]!) {
      [b[k], b[k - 1]] = [at(k - 1), at(k)];
      for (let j = 0; j < k - 1; j += 1) [lambda[k]![j], lambda[k - 1]![j]] = [lambda[k - 1]![j]!, lambda[k]![j]!];
      const fresh = (d[k - 1]! * d[k + 1]! + l * l) / d[k]!;
      for (let i = k + 1; i <= highest; i += 1) {
        const t = lambda[i]![k]!;
        lambda[i]![k] = (d[k + 1]! * lambda[i]![k - 1]! - l * t) / d[k]!;
        lambda[i]![k - 1] = (fresh * t + l * lambda[i]![k]!) / d[k + 1]!;
      }
      d[k] = fresh;
      k = Math.max(1, k - 1);
    } else {
      for (let j = k - 2; j >= 0; j -= 1) shorten(k, j);
      k += 1;
    }
  }
  return b;
}

export const minerva: Attack = async ({ core, session }) => {
  const key = await core.generatePair(session, 0, { type: KEY.EC, param: CURVE.P256 }, [flag(ATTR.SIGN, true)]);
  const spki = core.publicKey(session, key);
  const x = toNumber(spki.subarray(spki.length - 64, spki.length - 32));

  const seen = Array.from({ length: signatures }, (_, i) => {
    const message = Buffer.from(`message ${i}`);
    const signature = core.sign(session, key, MECH.ECDSA_SHA256, undefined, message);
    return { r: toNumber(signature.subarray(0, 32)), s: toNumber(signature.subarray(32)), z: toNumber(core.digest(session, MECH.SHA256, message)) };
  });
  // k = t d + u (mod n), and k < 2^(256 - bits): centred, a lattice with (k1, k2, …, d, bound) as a short vector.
  const bound = 1n << (256n - bits);
  const t = seen.map(({ r, s }) => modulo(r * inverse(s, n), n));
  const u = seen.map(({ s, z }) => modulo(z * inverse(s, n), n));
  const m = seen.length;
  // All is multiplied by n, so that d weighs as much as the nonces do.
  const rows: bigint[][] = [];
  for (let i = 0; i < m; i += 1) rows.push([...Array.from({ length: m }, (_, j) => (i === j ? n * n : 0n)), 0n, 0n]);
  rows.push([...t.map((v) => v * n), bound / 2n, 0n]);
  rows.push([...u.map((v) => modulo(v - bound / 2n, n) * n), 0n, (bound / 2n) * n]);
  for (const row of reduce(rows)) {
    for (const candidate of [row[m]! / (bound / 2n), -row[m]! / (bound / 2n)].map((v) => modulo(v, n))) {
      if (candidate !== 0n && multiply(candidate)?.[0] === x) return { succeeded: true, story: `the private key, from ${m} signatures: 0x${candidate.toString(16).slice(0, 16)}…` };
    }
  }
  return { succeeded: false, story: `${m} signatures told nothing` };
};
