// Boneh, DeMillo and Lipton 1997 (Lenstra's form): one RSA signature with a fault in one CRT half gives a factor of
// the modulus. Signatures are verified before they leave; only where that check is off, too, does one get out.
import { ATTR, KEY, MECH } from '../../src/hsm/numbers.ts';
import { asked, divisor, flag, modulo, power, toNumber, type Attack } from './ground.ts';

export const settings = ['dp-flip', 'unchecked'] as const;

export const crtFault: Attack = async ({ core, session }) => {
  const key = await core.generatePair(session, 0, { type: KEY.RSA, param: 2048 }, [flag(ATTR.SIGN, true)]);
  const n = toNumber(core.getAttribute(session, key, ATTR.MODULUS));
  const e = toNumber(core.getAttribute(session, key, ATTR.PUBLIC_EXPONENT));
  const message = Buffer.from('pay 10');
  const { answer: signature, refused } = asked(() => core.sign(session, key, MECH.SHA256_RSA_PKCS, undefined, message));
  if (signature === undefined) return { succeeded: false, story: `the faulty signature did not leave (${refused ?? ''})` };

  // What a right signature opens to: 00 01 ff … 00, DigestInfo, SHA-256.
  const info = Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), core.digest(session, MECH.SHA256, message)]);
  const right = toNumber(Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(256 - 3 - info.length, 0xff), Buffer.from([0]), info]));
  const factor = divisor(modulo(power(toNumber(signature), e, n) - right, n), n);
  const found = factor > 1n && factor < n && n % factor === 0n;
  return { succeeded: found, story: found ? `a factor of the modulus: 0x${factor.toString(16).slice(0, 16)}…` : 'the signature was right' };
};
