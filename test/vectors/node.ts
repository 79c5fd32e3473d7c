/** The Node door of the core. */
import { HsmError, type Attribute, type KeyHandle } from '../../src/hsm/core.ts';
import { loadCore } from '../../src/hsm/native.ts';
import { ATTR, CLASS, KEY, MECH } from '../../src/hsm/numbers.ts';
import type { Door } from './door.ts';

export const core = loadCore();
const session = core.openSession(core.ephemeralPartition('vectors'), { readWrite: true });
const room = Buffer.alloc(1 << 17);

const uses: Record<number, readonly number[]> = {
  [CLASS.SECRET]: [ATTR.ENCRYPT, ATTR.DECRYPT, ATTR.SIGN, ATTR.VERIFY, ATTR.DERIVE],
  [CLASS.PRIVATE]: [ATTR.DECRYPT, ATTR.SIGN, ATTR.DERIVE, ATTR.DECAPSULATE],
  [CLASS.PUBLIC]: [ATTR.ENCRYPT, ATTR.VERIFY, ATTR.ENCAPSULATE],
};

export const nodeDoor: Door<KeyHandle> = {
  create: (klass, type, parts) => core.create(session, 0, [
    [ATTR.CLASS, klass], [ATTR.KEY_TYPE, type], ...parts, ...uses[klass]!.map((use): Attribute => [use, true]),
    ...(klass === CLASS.PUBLIC ? [] : [[ATTR.SENSITIVE, false], [ATTR.EXTRACTABLE, true]] as Attribute[]),
    ...(type === KEY.ML_KEM ? [[ATTR.REVEAL, true] as Attribute] : []),
  ]),
  destroy: (key) => { core.destroy(session, key); },
  encrypt: (key, mech, params, data) => room.subarray(0, core.encryptInto(session, key, mech, params, data, room)),
  decrypt: (key, mech, params, data) => room.subarray(0, core.decryptInto(session, key, mech, params, data, room)),
  sign: (key, mech, params, message) => core.sign(session, key, mech, params, message),
  verify: (key, mech, params, message, signature) => core.verify(session, key, mech, params, message, signature),
  attribute: (key, wanted) => core.getAttribute(session, key, wanted),
  spki: (key) => core.publicKey(session, key),
  deriveAndMac(key, mech, params, length, message) {
    const made = core.derive(session, key, mech, params, [
      [ATTR.CLASS, CLASS.SECRET], [ATTR.KEY_TYPE, KEY.GENERIC], [ATTR.SIGN, true],
      ...(length === undefined ? [] : [[ATTR.VALUE_LEN, length] as Attribute]),
    ]);
    const mark = core.sign(session, made, MECH.SHA256_HMAC, undefined, message);
    core.destroy(session, made);
    return mark;
  },
  decapsulate(key, ciphertext) {
    const shared = core.payload(64);
    try {
      core.kemOpen(session, key, ciphertext, shared);
      return Buffer.from(shared.bytes);
    } finally {
      shared.release();
    }
  },
  encapsulate(key) {
    const shared = core.payload(64);
    try {
      return core.kemSeal(session, key, shared);
    } finally {
      shared.release();
    }
  },
  digest: (mech, message) => core.digest(session, mech, message),
  refusal: (error) => (error instanceof HsmError ? error.code : undefined),
};
