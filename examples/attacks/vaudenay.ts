// Vaudenay 2002, through unwrapping (Bardou et al. 2012): CBC padding that is told right from wrong opens any
// ciphertext, though the key that opens it gives out no plaintext. A strict partition takes no key in that is not
// authenticated, so nothing is told; in the laboratory the strictness can be switched off.
import { ATTR, CLASS, KEY, MECH } from '../../src/hsm/numbers.ts';
import { asked, flag, type Attack, type Attribute } from './ground.ts';

export const settings = ['strict-off'] as const;

export const vaudenay: Attack = ({ core, partition, session }) => {
  const secret = Buffer.from('attack at dawn; bring the horses');
  const key = core.generate(session, 0, { type: KEY.AES, param: 256 }, [flag(ATTR.ENCRYPT, true), flag(ATTR.DECRYPT, false), flag(ATTR.UNWRAP, true)]);
  const iv = Buffer.alloc(16, 7);
  const room = Buffer.alloc(64);
  const seen = Buffer.from(room.subarray(0, core.encryptInto(session, key, MECH.AES_CBC_PAD, { iv }, secret, room)));
  core.restrictPartition(partition);

  let questions = 0;
  const template: readonly Attribute[] = [[ATTR.CLASS, CLASS.SECRET], [ATTR.KEY_TYPE, KEY.GENERIC]];
  // Nothing left of a block is right padding too: a whole block of it.
  const padded = (before: Uint8Array, block: Uint8Array): boolean => {
    questions += 1;
    const { answer, refused } = asked(() => core.unwrap(session, key, MECH.AES_CBC_PAD, { iv: before }, block, template));
    if (answer !== undefined) core.destroy(session, answer);
    return answer !== undefined || refused === 'HSM_E_CIPHERTEXT_LEN';
  };
  const open = (block: Uint8Array): Buffer | undefined => {
    const raw = Buffer.alloc(16);
    for (let at = 15; at >= 0; at -= 1) {
      const want = 16 - at;
      const before = Buffer.alloc(16, 0x55);
      for (let i = at + 1; i < 16; i += 1) before[i] = (raw[i] ?? 0) ^ want;
      let found = false;
      for (let guess = 0; guess < 256 && !found; guess += 1) {
        before[at] = guess;
        if (!padded(before, block)) continue;
        // 02 02 is right as well as 01: another byte before it must not matter.
        if (at > 0) before[at - 1] = 0xaa;
        found = at === 0 || padded(before, block);
        if (at > 0) before[at - 1] = 0x55;
        if (found) raw[at] = guess ^ want;
      }
      if (!found) return undefined;
    }
    return raw;
  };

  let clear = Buffer.alloc(0);
  for (let at = 0; at < seen.length; at += 16) {
    const raw = open(seen.subarray(at, at + 16));
    if (raw === undefined) return { succeeded: false, story: `no answer told one ciphertext from another (${questions} questions)` };
    const before = at === 0 ? iv : seen.subarray(at - 16, at);
    clear = Buffer.concat([clear, raw.map((x, i) => x ^ (before[i] ?? 0))]);
  }
  const text = clear.subarray(0, clear.length - (clear.at(-1) ?? 0));
  return { succeeded: text.equals(secret), story: `read '${text.toString()}' after ${questions} questions` };
};
