// What a run of the laboratory makes, one thread after another: one line of JSON. The environment holds the settings.
import { ATTR, CURVE, KEY, MECH } from '../../../src/hsm/numbers.ts';
import { loadCore } from '../../../src/hsm/native.ts';

const core = loadCore();
const partition = core.ephemeralPartition('run');
const session = core.openSession(partition);
const message = Buffer.from('message');
const room = Buffer.alloc(256);
const key = core.generate(session, 0, { type: KEY.AES, param: 256 }, [[ATTR.ENCRYPT, true]]);
const blob = Buffer.from(room.subarray(0, core.encryptInto(session, key, MECH.AES_GCM, { flags: 1 }, message, room)));
const signer = core.generate(session, 0, { type: KEY.GENERIC, param: 256 }, [[ATTR.SIGN, true]]);
const bytes = Buffer.from(core.sign(session, signer, MECH.SHA256_HMAC, undefined, message));
// Pairs are made on the queue's one thread, which has a generator of its own.
const pair = await core.generatePair(session, 0, { type: KEY.EC, param: CURVE.P256 }, [[ATTR.SIGN, true]]);
const rsa = await core.generatePair(session, 0, { type: KEY.RSA, param: 1024 }, [[ATTR.SIGN, true]]);
console.log(JSON.stringify({
  blob: blob.toString('hex'), mac: bytes.toString('hex'), ec: core.publicKey(session, pair).toString('hex'), rsa: core.publicKey(session, rsa).toString('hex'),
  signature: core.sign(session, pair, MECH.ECDSA_SHA256, undefined, message).toString('hex'),
}));
core.close();
