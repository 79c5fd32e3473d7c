// Bleichenbacher 1998: whoever may ask which ciphertexts are well padded (PKCS#1 v1.5) reads any of them.
// Outside the laboratory a bad padding opens to a made-up message (implicit rejection): there is nothing to ask.
import { ATTR, KEY, MECH } from '../../src/hsm/numbers.ts';
import { asked, flag, least, modulo, most, power, roundUp, toBytes, toNumber, type Attack } from './ground.ts';

export const settings = ['pkcs1-oracle'] as const;

/** bits: of the victim's key; limit: questions after which the attacker gives up. */
export const bleichenbacher = (bits: number, limit: number): Attack => async ({ core, session }) => {
  const secret = Buffer.from('the secret of the day');
  const key = await core.generatePair(session, 0, { type: KEY.RSA, param: bits }, [flag(ATTR.DECRYPT, true)]);
  const n = toNumber(core.getAttribute(session, key, ATTR.MODULUS));
  const e = toNumber(core.getAttribute(session, key, ATTR.PUBLIC_EXPONENT));
  const length = bits / 8;
  // Somebody sends the victim a message, and the attacker sees it pass.
  const filler = Buffer.alloc(length - 3 - secret.length, 0x42);
  const seen = power(toNumber(Buffer.concat([Buffer.from([0, 2]), filler, Buffer.from([0]), secret])), e, n);

  let questions = 0;
  const room = Buffer.alloc(length);
  const conforms = (s: bigint): boolean => {
    questions += 1;
    return asked(() => core.decryptInto(session, key, MECH.RSA_PKCS, undefined, toBytes((seen * power(s, e, n)) % n, length), room)).refused === undefined;
  };

  const b = 1n << BigInt(8 * (length - 2));
  let ranges: readonly (readonly [bigint, bigint])[] = [[2n * b, 3n * b - 1n]];
  let s = roundUp(n, 3n * b);
  const searchFrom = (start: bigint): bigint | undefined => {
    for (let t = start; questions < limit; t += 1n) if (conforms(t)) return t;
    return undefined;
  };
  // Within one range, only multipliers that can fall into the window are asked about.
  const searchIn = ([low, high]: readonly [bigint, bigint], last: bigint): bigint | undefined => {
    for (let r = roundUp(2n * (high * last - 2n * b), n); questions < limit; r += 1n) {
      for (let t = roundUp(2n * b + r * n, high); t < roundUp(3n * b + r * n, low) && questions < limit; t += 1n) if (conforms(t)) return t;
    }
    return undefined;
  };
  const narrow = (t: bigint): (readonly [bigint, bigint])[] => ranges.flatMap(([low, high]) => {
    const found: (readonly [bigint, bigint])[] = [];
    for (let r = roundUp(low * t - 3n * b + 1n, n); r <= (high * t - 2n * b) / n; r += 1n) {
      const from = most(low, roundUp(2n * b + r * n, t));
      const to = least(high, (3n * b - 1n + r * n) / t);
      if (from <= to) found.push([from, to]);
    }
    return found;
  });

  let first = true;
  for (;;) {
    const [only] = ranges;
    const next = first || ranges.length !== 1 || only === undefined ? searchFrom(first ? s : s + 1n) : searchIn(only, s);
    if (next === undefined) return { succeeded: false, story: `gave up after ${questions} questions` };
    s = next;
    first = false;
    ranges = narrow(s);
    const [left] = ranges;
    if (left === undefined) return { succeeded: false, story: `after ${questions} questions the answers contradict each other` };
    if (ranges.length === 1 && left[0] === left[1]) {
      const clear = toBytes(modulo(left[0], n), length);
      const text = clear.subarray(clear.indexOf(0, 2) + 1);
      return text.equals(secret)
        ? { succeeded: true, story: `read '${text.toString()}' after ${questions} questions` }
        : { succeeded: false, story: `every padding was right, and ${questions} questions led to nothing` };
    }
  }
};
