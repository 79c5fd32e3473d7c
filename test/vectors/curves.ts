import { createHash } from 'node:crypto';
import type { Attribute } from '../../src/hsm/core.ts';
import { ATTR, CLASS, KEY, MECH, PARAM } from '../../src/hsm/numbers.ts';
import { attribute, bytes, derive, gives, judge, macUnder, refuses, sign, verify, type Parts, type Play } from './door.ts';

const oids: Readonly<Record<string, string>> = {
  'P-224': '06052b81040021', 'P-256': '06082a8648ce3d030107', 'P-384': '06052b81040022', 'P-521': '06052b81040023', secp256k1: '06052b8104000a',
  secp224r1: '06052b81040021', secp256r1: '06082a8648ce3d030107', secp384r1: '06052b81040022', secp521r1: '06052b81040023',
  ed25519: '06032b6570', x25519: '06032b656e',
};
const names: Readonly<Record<string, string>> = { 'ED-25519': 'ed25519', 'Curve25519': 'x25519', X25519: 'x25519' };
const ecdsaMech: Readonly<Record<string, number>> = {
  'SHA-1': 0x1042, 'SHA-224': 0x1043, 'SHA-256': 0x1044, 'SHA-384': 0x1045, 'SHA-512': 0x1046,
  'SHA3-224': 0x1047, 'SHA3-256': 0x1048, 'SHA3-384': 0x1049, 'SHA3-512': 0x104a,
};

const width = (curve: string): number => Math.ceil(Number(/\d+/.exec(curve)![0]) / 8) * 2;
const on = (curve: string, ...rest: Attribute[]): Parts => [[ATTR.EC_PARAMS, bytes(oids[curve]!)], ...rest];
const numberOn = (curve: string, d: string): Parts => on(curve, [ATTR.VALUE, bytes(d)]);
const pointOn = (curve: string, x: string, y: string): Parts =>
  on(curve, [ATTR.EC_POINT, bytes(`04${x.padStart(width(curve), '0')}${y.padStart(width(curve), '0')}`)]);
const pointOf = (curve: string, point: string): Parts => on(curve, [ATTR.EC_POINT, bytes(point)]);

const ecdsa = (flags: number): Play => (c, tally) => {
  const { group, test } = c;
  if (flags === 0 && test['flags'].includes('SignatureSize') && test['sig'].length % 4 === 0) {
    return tally.leave('PKCS#11 takes r || s of any even length up to twice the order\'s (3.2, 6.3.1)');
  }
  judge(tally, c, verify(KEY.EC, [[ATTR.VALUE, bytes(group['publicKeyDer'])]], ecdsaMech[group['sha']]!, { flags }, test['msg'], test['sig']));
};

function hashed(name: string, message: string): string {
  const shake = /^SHAKE-(128|256)$/.exec(name);
  const hash = shake === null ? createHash(name.replace('SHA2-512/', 'sha512-')) : createHash(`shake${shake[1]!}`, { outputLength: Number(shake[1]) / 4 });
  return hash.update(bytes(message)).digest('hex');
}

const acvpEcdsa: Play = ({ group, test }, tally) => {
  const inside = ecdsaMech[(group['hashAlg'] as string).replace('SHA2-', 'SHA-')];
  if (oids[group['curve']] === undefined) return tally.leave('a curve AWS-LC has not');
  if (group['conformance'] !== undefined) return tally.leave('SP 800-106 makes messages that are not whole bytes');
  // Hashes that PKCS#11 has no ECDSA mechanism for are made outside.
  const [mech, message] = inside === undefined ? [MECH.ECDSA, hashed(group['hashAlg'], test['message'])] : [inside, test['message'] as string];
  const key = test['qx'] === undefined ? group : test;
  const length = width(group['curve']);
  const signature = (test['r'] as string).padStart(length, '0') + (test['s'] as string).padStart(length, '0');
  const answer = verify(KEY.EC, pointOn(group['curve'], key['qx'], key['qy']), mech, {}, message, signature);
  tally.check(refuses(answer) === (test['testPassed'] === false), [test['tcId'], answer]);
  if (group['d'] !== undefined && test['testPassed'] === undefined && group['deterministic'] !== undefined) {
    tally.check(gives(sign(KEY.EC, numberOn(group['curve'], group['d']), mech, { flags: PARAM.DETERMINISTIC }, message), signature), test['tcId']);
  }
};

const deterministic: Play = (c, tally) => acvpEcdsa({ ...c, group: { ...c.group, deterministic: true } }, tally);

const ecdh = (curve: string): Play => (c, tally) => {
  const { test } = c;
  judge(tally, c, derive(CLASS.PRIVATE, KEY.EC, numberOn(curve, test['private']), MECH.ECDH1_DERIVE, { peer: bytes(test['public']) }, undefined), macUnder(test['shared']));
};

const montgomery = (d: string, peer: string): ReturnType<typeof derive> =>
  derive(CLASS.PRIVATE, KEY.MONTGOMERY, numberOn('x25519', d), MECH.ECDH1_DERIVE, { peer: bytes(peer) }, undefined);

const left = 'Ed448 and X448, which AWS-LC has not';

export const curves: Readonly<Record<string, Play>> = {
  'wycheproof/ecdsa_secp256k1_sha256': ecdsa(PARAM.DER),
  'wycheproof/ecdsa_secp256r1_sha256': ecdsa(PARAM.DER),
  'wycheproof/ecdsa_secp521r1_sha512': ecdsa(PARAM.DER),
  'wycheproof/ecdsa_secp256r1_sha256_p1363': ecdsa(0),
  'wycheproof/ecdsa_secp384r1_sha512_p1363': ecdsa(0),
  'acvp/ECDSA-SigVer-FIPS186-5': acvpEcdsa,
  'acvp/ECDSA-SigGen-FIPS186-5': acvpEcdsa,
  'acvp/DetECDSA-SigGen-FIPS186-5': deterministic,
  'acvp/ECDSA-KeyVer-FIPS186-5': ({ group, test }, tally) => {
    const answer = attribute(CLASS.PUBLIC, KEY.EC, pointOn(group['curve'], test['qx'], test['qy']), ATTR.EC_POINT);
    tally.check(refuses(answer) === !test['testPassed'], [test['tcId'], answer]);
  },
  'acvp/ECDSA-KeyGen-FIPS186-5': ({ group, test }, tally) => {
    const answer = attribute(CLASS.PRIVATE, KEY.EC, numberOn(group['curve'], test['d']), ATTR.EC_POINT);
    const [x, y] = [test['qx'], test['qy']].map((n: string) => n.padStart(width(group['curve']), '0').toLowerCase());
    tally.check('hex' in answer && answer.hex.endsWith(`${x}${y}`), test['tcId']);
  },
  'wycheproof/ecdh_secp256r1': ecdh('P-256'),
  'wycheproof/ecdh_secp256r1_ecpoint': ecdh('P-256'),
  'wycheproof/ecdh_secp521r1_ecpoint': ecdh('P-521'),
  'wycheproof/x25519': (c, tally) => { judge(tally, c, montgomery(c.test['private'], c.test['public']), macUnder(c.test['shared'])); },
  'acvp/XECDH-SSC-RFC7748': ({ group, test }, tally) => {
    if (names[group['curve']] === undefined) return tally.leave(left);
    tally.check(gives(montgomery(test['privateIut'], test['publicServer']), macUnder(test['z'])) === (test['testPassed'] ?? true), test['tcId']);
  },
  'acvp/XECDH-keyGen-RFC7748': ({ group, test }, tally) => {
    if (names[group['curve']] === undefined) return tally.leave(left);
    const answer = attribute(CLASS.PRIVATE, KEY.MONTGOMERY, numberOn('x25519', test['privateKey']), ATTR.EC_POINT);
    tally.check('hex' in answer && answer.hex.endsWith((test['publicKey'] as string).toLowerCase()), [test['tcId'], answer]);
  },
  'wycheproof/ed25519': (c, tally) => {
    judge(tally, c, verify(KEY.EDWARDS, [[ATTR.VALUE, bytes(c.group['publicKeyDer'])]], MECH.EDDSA, {}, c.test['msg'], c.test['sig']));
  },
  'acvp/EDDSA-SigGen-1.0': ({ group, test }, tally) => {
    if (names[group['curve']] === undefined) return tally.leave(left);
    const params = { flags: group['preHash'] ? PARAM.PH : 0, label: bytes(test['context'] ?? '') };
    tally.check(gives(sign(KEY.EDWARDS, numberOn('ed25519', test['d'] ?? group['d']), MECH.EDDSA, params, test['message']), test['signature']), test['tcId']);
  },
  'acvp/EDDSA-SigVer-1.0': ({ group, test }, tally) => {
    if (names[group['curve']] === undefined) return tally.leave(left);
    const params = { flags: group['preHash'] ? PARAM.PH : 0, label: bytes(test['context'] ?? '') };
    const answer = verify(KEY.EDWARDS, pointOf('ed25519', test['q'] ?? group['q']), MECH.EDDSA, params, test['message'], test['signature']);
    tally.check(refuses(answer) === !test['testPassed'], [test['tcId'], answer]);
  },
  'acvp/EDDSA-KeyVer-1.0': ({ group, test }, tally) => {
    if (names[group['curve']] === undefined) return tally.leave(left);
    tally.check(refuses(attribute(CLASS.PUBLIC, KEY.EDWARDS, pointOf('ed25519', test['q']), ATTR.EC_POINT)) === !test['testPassed'], test['tcId']);
  },
  'acvp/EDDSA-KeyGen-1.0': ({ group, test }, tally) => {
    if (names[group['curve']] === undefined) return tally.leave(left);
    const answer = attribute(CLASS.PRIVATE, KEY.EDWARDS, numberOn('ed25519', test['d']), ATTR.EC_POINT);
    tally.check('hex' in answer && answer.hex.endsWith((test['q'] as string).toLowerCase()), test['tcId']);
  },
};
