import { createHash } from 'node:crypto';
import { ATTR, CLASS, HASH, KEY, MECH, PARAM } from '../../src/hsm/numbers.ts';
import { attribute, bytes, decapsulate, encapsulate, gives, judge, refuses, sign, spkiOf, verify, type Parts, type Play } from './door.ts';

const setOf = (name: string): number => ({ 'ML-DSA-44': 1, 'ML-DSA-65': 2, 'ML-DSA-87': 3, 'ML-KEM-512': 1, 'ML-KEM-768': 2, 'ML-KEM-1024': 3 })[name]!;
const part = (set: number, type: number, value: string): Parts => [[ATTR.PARAMETER_SET, set], [type, bytes(value)]];
const fromSeed = (set: number, seed: string): Parts => part(set, ATTR.SEED, seed);
const value = (set: number, hex: string): Parts => part(set, ATTR.VALUE, hex);

const dsaVerify = (set: number): Play => (c, tally) => {
  const { group, test } = c;
  const mu = test['msg'] === undefined;
  const params = mu ? { flags: PARAM.PREHASHED } : { label: bytes(test['ctx'] ?? '') };
  judge(tally, c, verify(KEY.ML_DSA, value(set, group['publicKey']), MECH.ML_DSA, params, mu ? test['mu'] : test['msg'], test['sig']));
};
const dsaSign = (set: number): Play => (c, tally) => {
  const { group, test } = c;
  const mu = test['msg'] === undefined;
  const label = bytes(test['ctx'] ?? '');
  const [flags, message] = mu ? [PARAM.PREHASHED, test['mu'] as string] : [0, test['msg'] as string];
  if (test['flags'].includes('Randomized')) {
    const pub = attribute(CLASS.PUBLIC, KEY.ML_DSA, value(set, group['publicKey']), ATTR.VALUE);
    tally.check(gives(pub, group['publicKey']) && !refuses(verify(KEY.ML_DSA, value(set, group['publicKey']), MECH.ML_DSA, { flags, label }, message, test['sig'])), test['tcId']);
    return;
  }
  judge(tally, c, sign(KEY.ML_DSA, fromSeed(set, group['privateSeed']), MECH.ML_DSA, { flags: flags | PARAM.DETERMINISTIC, label }, message), test['sig']);
};

/** The hash of HashML-DSA, computed outside: CKM_HASH_ML_DSA takes the digest. */
function prehash(name: string, message: string): { readonly hash: number; readonly digest: string } {
  const plain = name.replace('SHA2-', 'SHA').replace('SHA3-', 'SHA3_').replace('SHAKE-', 'SHAKE').replace('/', '_');
  const node = name.replace('SHA2-', 'sha').replace('SHA3-', 'sha3-').replace('SHAKE-', 'shake').replace('/', '-');
  const length = plain === 'SHAKE128' ? 32 : plain === 'SHAKE256' ? 64 : undefined;
  const digest = createHash(node, length === undefined ? undefined : { outputLength: length }).update(bytes(message)).digest('hex');
  return { hash: (HASH as Record<string, number>)[plain]!, digest };
}

const acvpDsa: Play = ({ group, test }, tally) => {
  if (group['signatureInterface'] === 'internal' && !group['externalMu']) return tally.leave('the internal interface has no mechanism');
  const set = setOf(group['parameterSet']);
  const label = bytes(test['context'] ?? '');
  const hashed = group['preHash'] === 'preHash' ? prehash(test['hashAlg'], test['message']) : undefined;
  const mech = hashed === undefined ? MECH.ML_DSA : MECH.HASH_ML_DSA;
  const message = (group['externalMu'] ? test['mu'] : hashed?.digest ?? test['message']) as string;
  const params = group['externalMu'] ? { flags: PARAM.PREHASHED } : { label, flags: 0, ...(hashed === undefined ? {} : { hash: hashed.hash }) };
  if (group['deterministic'] === undefined) {
    const answer = verify(KEY.ML_DSA, value(set, test['pk'] ?? group['pk']), mech, params, message, test['signature']);
    tally.check(refuses(answer) === !test['testPassed'], [test['tcId'], answer]);
  } else if (group['deterministic'] === true) {
    tally.check(gives(sign(KEY.ML_DSA, value(set, test['sk']), mech, { ...params, flags: params.flags | PARAM.DETERMINISTIC }, message), test['signature']), test['tcId']);
  } else {
    // The signature has coins in it that no mechanism takes: it must verify.
    const spki = spkiOf(KEY.ML_DSA, value(set, test['sk']));
    tally.check('hex' in spki && !refuses(verify(KEY.ML_DSA, [[ATTR.VALUE, bytes(spki.hex)]], mech, params, message, test['signature'])), test['tcId']);
  }
};

/** Private keys do not leave: both must open the same ciphertext alike, one of each kind they tell apart. */
function sameKem(set: number, seed: string, dk: string): boolean {
  const spki = spkiOf(KEY.ML_KEM, value(set, dk));
  const good = 'hex' in spki ? encapsulate([[ATTR.VALUE, bytes(spki.hex)]]) : spki;
  if (!('hex' in good)) return false;
  return [good.hex, '00'.repeat(good.hex.length / 2)].every((ct) => {
    const [one, other] = [decapsulate(fromSeed(set, seed), ct), decapsulate(value(set, dk), ct)];
    return 'hex' in one && gives(other, one.hex);
  });
}

const kemSeed = (set: number): Play => (c, tally) => { judge(tally, c, decapsulate(fromSeed(set, c.test['seed']), c.test['c']), c.test['K']); };

export const lattice: Readonly<Record<string, Play>> = {
  'wycheproof/mldsa_44_verify': dsaVerify(1),
  'wycheproof/mldsa_65_verify': dsaVerify(2),
  'wycheproof/mldsa_44_sign_seed': dsaSign(1),
  'wycheproof/mldsa_65_sign_seed': dsaSign(2),
  'acvp/ML-DSA-keyGen-FIPS204': ({ group, test }, tally) => {
    const set = setOf(group['parameterSet']);
    const spki = spkiOf(KEY.ML_DSA, fromSeed(set, test['seed']));
    // Private keys do not leave: the expanded one says the same as the one from the seed.
    const [one, other] = [fromSeed(set, test['seed']), value(set, test['sk'])].map((key) => sign(KEY.ML_DSA, key, MECH.ML_DSA, { flags: PARAM.DETERMINISTIC }, ''));
    tally.check('hex' in one! && gives(other!, one.hex), [test['tcId'], 'sk']);
    tally.check('hex' in spki && spki.hex.endsWith((test['pk'] as string).toLowerCase()), [test['tcId'], 'pk']);
    tally.check(gives(spkiOf(KEY.ML_DSA, value(set, test['sk'])), 'hex' in spki ? spki.hex : ''), [test['tcId'], 'pk of sk']);
  },
  'acvp/ML-DSA-sigGen-FIPS204': acvpDsa,
  'acvp/ML-DSA-sigVer-FIPS204': acvpDsa,
  'wycheproof/mlkem_512': kemSeed(1),
  'wycheproof/mlkem_768': kemSeed(2),
  'wycheproof/mlkem_512_keygen_seed': (c, tally) => {
    const spki = spkiOf(KEY.ML_KEM, fromSeed(1, c.test['seed']));
    tally.check(sameKem(1, c.test['seed'], c.test['dk']) && 'hex' in spki && spki.hex.endsWith(c.test['ek']), c.test['tcId']);
  },
  'wycheproof/mlkem_768_semi_expanded_decaps': (c, tally) => { judge(tally, c, decapsulate(value(2, c.test['dk']), c.test['c']), c.test['K']); },
  // The coins are the core's own: a good public key is taken, a bad one refused.
  'wycheproof/mlkem_768_encaps': (c, tally) => {
    const answer = encapsulate(value(2, c.test['ek']));
    tally.check(refuses(answer) === (c.test['result'] === 'invalid'), [c.test['tcId'], answer]);
  },
  'acvp/ML-KEM-keyGen-FIPS203': ({ group, test }, tally) => {
    const set = setOf(group['parameterSet']);
    const spki = spkiOf(KEY.ML_KEM, fromSeed(set, test['d'] + test['z']));
    tally.check(sameKem(set, test['d'] + test['z'], test['dk']), [test['tcId'], 'dk']);
    tally.check('hex' in spki && spki.hex.endsWith((test['ek'] as string).toLowerCase()), [test['tcId'], 'ek']);
  },
  'acvp/ML-KEM-encapDecap-FIPS203': ({ group, test }, tally) => {
    const set = setOf(group['parameterSet']);
    if (group['function'] === 'encapsulationKeyCheck') tally.check(refuses(encapsulate(value(set, test['ek']))) === !test['testPassed'], test['tcId']);
    else if (group['function'] === 'decapsulationKeyCheck') {
      tally.check(refuses(spkiOf(KEY.ML_KEM, value(set, test['dk']))) === !test['testPassed'], test['tcId']);
    } else tally.check(gives(decapsulate(value(set, test['dk'] ?? group['dk']), test['c']), test['k']), test['tcId']);
  },
};
