import { CLASS, ATTR, HASH, KEY, MECH, PARAM } from '../../src/hsm/numbers.ts';
import { bytes, checkMac, derive, digest, gives, hashOf, judge, mac, macUnder, type Answer, type Play } from './door.ts';

/** CKM_<hash>_HMAC_GENERAL. */
const general: Readonly<Record<number, number>> = {
  [HASH.SHA1]: 0x222, [HASH.SHA256]: 0x252, [HASH.SHA384]: 0x262, [HASH.SHA512]: 0x272, [HASH.SHA3_256]: 0x2b2,
};

const hmac = (hash: number): Play => (c, tally) => {
  const { group, test } = c;
  const params = { tagBits: group['tagSize'] as number };
  if (test['result'] === 'valid') tally.check(gives(mac(KEY.GENERIC, test['key'], general[hash]!, params, test['msg']), test['tag']), test['tcId']);
  judge(tally, c, checkMac(KEY.GENERIC, test['key'], general[hash]!, params, test['msg'], test['tag']));
};

const acvpHmac = (hash: number): Play => ({ group, test }, tally) => {
  const params = { tagBits: (test['macLen'] ?? group['macLen']) as number };
  tally.check(gives(mac(KEY.GENERIC, test['key'], general[hash]!, params, test['msg']), test['mac']), test['tcId']);
};

const sha = (mech: number): Play => ({ group, test }, tally) => {
  if (group['testType'] === 'MCT') return tally.leave('Monte Carlo loops feed outputs back; the hash itself is in the other cases');
  if (test['largeMsg'] !== undefined) return tally.leave('messages of gigabytes');
  if (test['len'] % 8 !== 0 || (test['outLen'] ?? 0) % 8 !== 0) return tally.leave('not whole bytes');
  const answer = digest(mech, test['len'] === 0 ? '' : test['msg']) as { hex: string };
  tally.check(gives({ hex: answer.hex.slice(0, (test['md'] as string).length) }, test['md']), test['tcId']);
};

/** From a generic secret. */
const made = (key: string, mech: number, params: Parameters<typeof derive>[4], length: number): Answer =>
  derive(CLASS.SECRET, KEY.GENERIC, [[ATTR.VALUE, bytes(key)]], mech, params, length);

const hkdf = (hash: number): Play => (c, tally) => {
  const { test } = c;
  const params = { hash, salt: bytes(test['salt']), label: bytes(test['info']), flags: PARAM.EXTRACT | PARAM.EXPAND };
  judge(tally, c, made(test['ikm'], MECH.HKDF_DERIVE, params, test['size']), macUnder(test['okm']));
};

export const hash: Readonly<Record<string, Play>> = {
  'wycheproof/hmac_sha1': hmac(HASH.SHA1),
  'wycheproof/hmac_sha256': hmac(HASH.SHA256),
  'wycheproof/hmac_sha384': hmac(HASH.SHA384),
  'wycheproof/hmac_sha3_256': hmac(HASH.SHA3_256),
  'acvp/HMAC-SHA2-256-2.0': acvpHmac(HASH.SHA256),
  'acvp/HMAC-SHA2-384-2.0': acvpHmac(HASH.SHA384),
  'acvp/HMAC-SHA2-512-2.0': acvpHmac(HASH.SHA512),
  'acvp/HMAC-SHA3-256-2.0': acvpHmac(HASH.SHA3_256),
  'acvp/SHA2-256-1.0': sha(MECH.SHA256),
  'acvp/SHA2-384-1.0': sha(MECH.SHA384),
  'acvp/SHA2-512-1.0': sha(MECH.SHA512),
  'acvp/SHA3-256-2.0': sha(MECH.SHA3_256),
  'acvp/SHA3-512-2.0': sha(0x2d0),
  'acvp/SHAKE-256-1.0': sha(MECH.SHAKE256),
  'wycheproof/hkdf_sha1': hkdf(HASH.SHA1),
  'wycheproof/hkdf_sha256': hkdf(HASH.SHA256),
  'wycheproof/pbkdf2_hmacsha256': (c, tally) => {
    const { test } = c;
    if (test['password'] === '') return tally.leave('an empty password is no key');
    const params = { hash: HASH.SHA256, salt: bytes(test['salt']), iterations: test['iterationCount'] as number };
    judge(tally, c, made(test['password'], MECH.PBKDF2, params, test['dkLen']), macUnder(test['dk']));
  },
  'acvp/PBKDF-1.0': ({ group, test }, tally) => {
    const params = { hash: hashOf(group['hmacAlg'])!, salt: bytes(test['salt']), iterations: test['iterationCount'] as number };
    const password = Buffer.from(test['password']).toString('hex');
    tally.check(gives(made(password, MECH.PBKDF2, params, test['keyLen'] / 8), macUnder(test['derivedKey'])), test['tcId']);
  },
  'acvp/KDF-1.0': ({ group, test }, tally) => {
    const fixed = test['fixedData'] as string;
    const split = group['counterLocation'] === 'before fixed data' ? 0 : group['counterLocation'] === 'after fixed data' ? fixed.length : test['breakLocation'] / 4;
    if (split % 2 !== 0) return tally.leave('the counter stands inside a byte');
    const cmac = (group['macMode'] as string).startsWith('CMAC');
    const params = {
      ...(cmac ? {} : { hash: hashOf((group['macMode'] as string).replace('HMAC-', ''))! }), flags: PARAM.RAW | (cmac ? PARAM.CMAC : 0),
      counterBits: group['counterLength'] as number, label: bytes(fixed.slice(0, split)), data: bytes(fixed.slice(split)),
    };
    tally.check(gives(made(test['keyIn'], MECH.SP800_108_COUNTER, params, group['keyOutLength'] / 8), macUnder(test['keyOut'])), test['tcId']);
  },
};
