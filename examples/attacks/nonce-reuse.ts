// Joux 2006: two GCM messages under one iv give the authentication key, and with it any message's tag can be forged.
// The core makes ivs itself, at random; in the laboratory they can be made to repeat.
import { ATTR, KEY, MECH, PARAM } from '../../src/hsm/numbers.ts';
import { asked, flag, toBytes, toNumber, type Attack } from './ground.ts';

export const settings = ['iv-stuck'] as const;

// GF(2^128) as GCM writes it: the first bit is the coefficient of 1.
const R = 0xe1n << 120n;
function times(a: bigint, b: bigint): bigint {
  let z = 0n;
  let v = b;
  for (let i = 127n; i >= 0n; i -= 1n) {
    if (((a >> i) & 1n) === 1n) z ^= v;
    v = (v & 1n) === 1n ? (v >> 1n) ^ R : v >> 1n;
  }
  return z;
}
const one = 1n << 127n;
function raise(a: bigint, exponent: bigint): bigint {
  let result = one;
  let base = a;
  for (let e = exponent; e > 0n; e >>= 1n) {
    if ((e & 1n) === 1n) result = times(result, base);
    base = times(base, base);
  }
  return result;
}
const invert = (a: bigint): bigint => raise(a, (1n << 128n) - 2n);
const root = (a: bigint): bigint => raise(a, 1n << 127n);

export const nonceReuse: Attack = ({ core, session }) => {
  const key = core.generate(session, 0, { type: KEY.AES, param: 256 }, [flag(ATTR.ENCRYPT, true), flag(ATTR.DECRYPT, true)]);
  const room = Buffer.alloc(64);
  const seal = (text: string): { readonly iv: Buffer; readonly c: bigint; readonly tag: bigint } => {
    const blob = Buffer.from(room.subarray(0, core.encryptInto(session, key, MECH.AES_GCM, { flags: PARAM.IV_MADE }, Buffer.from(text), room)));
    return { iv: blob.subarray(0, 12), c: toNumber(blob.subarray(12, 28)), tag: toNumber(blob.subarray(28)) };
  };
  // Two messages of one block; the attacker knows what the first says.
  const first = seal('pay Alice 10 EUR');
  const second = seal('pay Bob 9999 EUR');
  // tag = (c h + length) h + mask, so the difference of two tags under one iv is (c1 + c2) h^2.
  const h = root(times(first.tag ^ second.tag, invert(first.c ^ second.c)));
  const forged = first.c ^ toNumber(Buffer.from('pay Alice 10 EUR')) ^ toNumber(Buffer.from('pay Mallory 1000'));
  const tag = first.tag ^ times(times(first.c ^ forged, h), h);
  const blob = Buffer.concat([first.iv, toBytes(forged, 16), toBytes(tag, 16)]);
  const { answer, refused } = asked(() => room.subarray(0, core.decryptInto(session, key, MECH.AES_GCM, { flags: PARAM.IV_MADE }, blob, room)).toString());
  return answer === undefined
    ? { succeeded: false, story: `the forged message was refused (${refused ?? ''})` }
    : { succeeded: answer === 'pay Mallory 1000', story: `a message nobody sealed was taken: '${answer}'` };
};
