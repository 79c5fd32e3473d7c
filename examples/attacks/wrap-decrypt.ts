// Clulow 2003: a key that may wrap and may decrypt gives out every key it can wrap. A strict partition makes no such
// key, and wraps with the record of what was wrapped; in the laboratory the strictness can be switched off.
import { ATTR, KEY, MECH } from '../../src/hsm/numbers.ts';
import { asked, flag, type Attack } from './ground.ts';

export const settings = ['strict-off'] as const;

export const wrapDecrypt: Attack = ({ core, partition, session }) => {
  core.restrictPartition(partition);
  const victim = core.generate(session, 0, { type: KEY.AES, param: 128 }, [flag(ATTR.EXTRACTABLE, true), flag(ATTR.SENSITIVE, true), flag(ATTR.ENCRYPT, true)]);
  const room = Buffer.alloc(256);
  const marker = Buffer.alloc(16, 0x2a);
  const proof = Buffer.from(room.subarray(0, core.encryptInto(session, victim, MECH.AES_ECB, undefined, marker, room)));

  const made = asked(() => core.generate(session, 0, { type: KEY.AES, param: 256 }, [flag(ATTR.WRAP, true), flag(ATTR.DECRYPT, true)]));
  if (made.answer === undefined) return { succeeded: false, story: `no key both wraps and decrypts (${made.refused ?? ''})` };
  const kek = made.answer;
  const wrapped = core.wrap(session, kek, MECH.AES_KEY_WRAP_KWP, undefined, victim);
  const bytes = Buffer.from(room.subarray(0, core.decryptInto(session, kek, MECH.AES_KEY_WRAP_KWP, undefined, wrapped, room)));

  // Is it the key? It does outside what the victim does inside.
  const thief = core.ephemeralPartition('attacker');
  const own = core.openSession(thief);
  const stolen = core.create(own, 0, [[ATTR.CLASS, 4], [ATTR.KEY_TYPE, KEY.AES], [ATTR.VALUE, bytes], [ATTR.ENCRYPT, true]]);
  const same = room.subarray(0, core.encryptInto(own, stolen, MECH.AES_ECB, undefined, marker, room)).equals(proof);
  return { succeeded: same, story: same ? `the key in the clear: ${bytes.toString('hex')}` : 'what came out is not the key' };
};
