import type { Attribute } from '../../src/hsm/core.ts';
import { ATTR, CLASS, KEY, MECH } from '../../src/hsm/numbers.ts';
import { attribute, bytes, decrypt, gives, hashOf, judge, refuses, sign, verify, type Parts, type Play } from './door.ts';

const pkcs1: Readonly<Record<string, number>> = {
  'SHA-1': 0x06, 'SHA-224': 0x46, 'SHA-256': 0x40, 'SHA-384': 0x41, 'SHA-512': 0x42, 'SHA3-224': 0x66, 'SHA3-256': 0x60, 'SHA3-384': 0x61, 'SHA3-512': 0x62,
};
const pss: Readonly<Record<string, number>> = {
  'SHA-1': 0x0e, 'SHA-224': 0x47, 'SHA-256': 0x43, 'SHA-384': 0x44, 'SHA-512': 0x45, 'SHA3-224': 0x67, 'SHA3-256': 0x63, 'SHA3-384': 0x64, 'SHA3-512': 0x65,
};

const even = (hex: string): Buffer => bytes(hex.length % 2 === 0 ? hex : `0${hex}`);
const der = (hex: string): Parts => [[ATTR.VALUE, bytes(hex)]];
/** Whatever numbers a source gives. */
function numbers(from: Record<string, string>): Parts {
  const all: readonly (readonly [string, number])[] = [
    ['n', ATTR.MODULUS], ['e', ATTR.PUBLIC_EXPONENT], ['d', ATTR.PRIVATE_EXPONENT], ['p', ATTR.PRIME_1], ['q', ATTR.PRIME_2],
    ['dmp1', ATTR.EXPONENT_1], ['dmq1', ATTR.EXPONENT_2], ['iqmp', ATTR.COEFFICIENT],
  ];
  return all.filter(([name]) => typeof from[name] === 'string' && from[name] !== '').map(([name, type]): Attribute => [type, even(from[name]!)]);
}

const verifies: Play = (c, tally) => {
  judge(tally, c, verify(KEY.RSA, der(c.group['publicKeyDer']), pkcs1[c.group['sha']]!, {}, c.test['msg'], c.test['sig']));
};
const signs: Play = (c, tally) => {
  const mech = pkcs1[c.group['sha']];
  if (mech === undefined) return tally.leave('no such hash in PKCS#11\'s RSA mechanisms');
  judge(tally, c, sign(KEY.RSA, der(c.group['privateKeyPkcs8']), mech, {}, c.test['msg']), c.test['sig']);
};
const pssVerifies: Play = (c, tally) => {
  const { group, test } = c;
  const params = { hash: hashOf(group['sha'])!, mgf: hashOf(group['mgfSha'])!, saltLength: group['sLen'] as number };
  const key = { n: group['publicKey']['modulus'], e: group['publicKey']['publicExponent'] };
  judge(tally, c, verify(KEY.RSA, numbers(key), pss[group['sha']]!, params, test['msg'], test['sig']));
};
const oaep: Play = (c, tally) => {
  const { group, test } = c;
  const params = { hash: hashOf(group['sha'])!, mgf: hashOf(group['mgfSha'])!, label: bytes(test['label']) };
  judge(tally, c, decrypt(KEY.RSA, der(group['privateKeyPkcs8']), MECH.RSA_OAEP, params, test['ct']), test['msg']);
};

const acvpSignature: Play = ({ group, test }, tally) => {
  const name = (group['hashAlg'] as string).replace('SHA2-', 'SHA-');
  const mech = (group['sigType'] === 'pss' ? pss : pkcs1)[name];
  if (mech === undefined || String(group['maskFunction']).startsWith('shake')) return tally.leave('SHAKE as hash or mask, which PKCS#11 has not for RSA');
  if (group['conformance'] !== undefined) return tally.leave('SP 800-106 makes messages that are not whole bytes');
  const key = numbers({ n: group['n'] ?? test['n'], e: group['e'] ?? test['e'] });
  const params = group['sigType'] === 'pss' ? { saltLength: group['saltLen'] as number } : {};
  const answer = verify(KEY.RSA, key, mech, params, test['message'], test['signature']);
  tally.check(refuses(answer) === (test['testPassed'] === false), [test['tcId'], answer]);
};

/** Without CRT numbers the core works them out. */
const primitive = (work: (key: Parts, input: string) => ReturnType<typeof sign>, input: string, output: string): Play => ({ test }, tally) => {
  const answer = work(numbers(test as Record<string, string>), test[input]);
  tally.check(test['testPassed'] === false ? refuses(answer) : 'hex' in answer && gives(answer, (test[output] as string).padStart(answer.hex.length, '0')), [test['tcId'], answer]);
};

export const rsa: Readonly<Record<string, Play>> = {
  'wycheproof/rsa_signature_2048_sha256': verifies,
  'wycheproof/rsa_signature_3072_sha512': verifies,
  'wycheproof/rsa_signature_4096_sha256': verifies,
  'wycheproof/rsa_pkcs1_2048_sig_gen': signs,
  'wycheproof/rsa_pkcs1_3072_sig_gen': signs,
  'wycheproof/rsa_pkcs1_4096_sig_gen': signs,
  'wycheproof/rsa_pss_2048_sha1_mgf1_20': pssVerifies,
  'wycheproof/rsa_pss_2048_sha256_mgf1_32': pssVerifies,
  'wycheproof/rsa_pss_3072_sha256_mgf1_32': pssVerifies,
  'wycheproof/rsa_pss_4096_sha512_mgf1_32': pssVerifies,
  'wycheproof/rsa_oaep_2048_sha1_mgf1sha1': oaep,
  'wycheproof/rsa_oaep_2048_sha256_mgf1sha256': oaep,
  'wycheproof/rsa_oaep_3072_sha256_mgf1sha256': oaep,
  'wycheproof/rsa_oaep_4096_sha256_mgf1sha256': oaep,
  // Implicit rejection: what is badly padded opens to something else, the same each time.
  'wycheproof/rsa_pkcs1_2048': (c, tally) => {
    const { group, test } = c;
    const again = [0, 1].map(() => decrypt(KEY.RSA, der(group['privateKeyPkcs8']), MECH.RSA_PKCS, {}, test['ct']));
    if (test['result'] !== 'invalid') judge(tally, c, again[0]!, test['msg']);
    else tally.check(!gives(again[0]!, test['msg']) && JSON.stringify(again[0]) === JSON.stringify(again[1]), [test['tcId'], again]);
  },
  // What it opens to is the same in every library that follows the draft.
  'implicit-rejection/rsa_2048': ({ group, test }, tally) => {
    const answer = decrypt(KEY.RSA, der(group['privateKeyPkcs8']), MECH.RSA_PKCS, {}, test['ct']);
    tally.check(gives(answer, test['msg']), [test['tcId'], test['comment'], answer]);
  },
  'acvp/RSA-SigGen-FIPS186-5': acvpSignature,
  'acvp/RSA-SigVer-FIPS186-5': acvpSignature,
  'acvp/RSA-SignaturePrimitive-2.0': primitive((key, input) => sign(KEY.RSA, key, MECH.RSA_X_509, {}, input), 'message', 'signature'),
  'acvp/RSA-DecryptionPrimitive-Sp800-56Br2': primitive((key, input) => decrypt(KEY.RSA, key, MECH.RSA_X_509, {}, input), 'ct', 'pt'),
  'acvp/RSA-KeyGen-FIPS186-5': ({ test }, tally) => {
    const answer = attribute(CLASS.PRIVATE, KEY.RSA, numbers({ n: test['n'], e: test['e'], p: test['p'], q: test['q'] }), ATTR.MODULUS);
    tally.check(gives(answer, test['n']), [test['tcId'], answer]);
  },
};
