import { KEY, MECH } from '../../src/hsm/numbers.ts';
import { bytes, checkMac, gives, judge, mac, open, refuses, seal, type Play } from './door.ts';


const aead = (mech: number): Play => (c, tally) => {
  const { group, test } = c;
  const params = { iv: bytes(test['iv']), aad: bytes(test['aad']), tagBits: group['tagSize'] as number };
  if (test['result'] === 'valid') tally.check(gives(seal(KEY.AES, test['key'], mech, params, test['msg']), test['ct'] + test['tag']), test['tcId']);
  judge(tally, c, open(KEY.AES, test['key'], mech, params, test['ct'] + test['tag']), test['msg']);
};

const acvpAead = (mech: number): Play => ({ group, test }, tally) => {
  const params = { iv: bytes(test['iv']), aad: bytes(test['aad'] ?? ''), tagBits: group['tagLen'] as number };
  const [clear, sealed] = [(test['pt'] ?? '') as string, (test['ct'] ?? '') + (test['tag'] ?? '')];
  if (group['direction'] === 'encrypt') tally.check(gives(seal(KEY.AES, test['key'], mech, params, clear), sealed), test['tcId']);
  else {
    const answer = open(KEY.AES, test['key'], mech, params, sealed);
    tally.check(test['testPassed'] === false ? refuses(answer) : gives(answer, clear), test['tcId']);
  }
};

/** Both directions of a mode without a tag. */
const plain = (mech: number, params: (test: Record<string, string>) => { iv?: Uint8Array }): Play => ({ group, test }, tally) => {
  const bits = (test['payloadLen'] ?? group['payloadLen']) as number | undefined;
  if (group['testType'] === 'MCT') return tally.leave('Monte Carlo loops feed outputs back; the mode itself is in the other cases');
  if (test['iv'] === undefined && mech === MECH.AES_CTR) return tally.leave('the counter is the tested module\'s own');
  if (mech === MECH.AES_CTR && bits !== undefined && bits % 8 !== 0) return tally.leave('not whole bytes');
  const encrypt = group['direction'] === 'encrypt';
  const [from, to] = encrypt ? [test['pt'], test['ct']] : [test['ct'], test['pt']];
  const answer = (encrypt ? seal : open)(KEY.AES, test['key'], mech, params(test), from as string);
  tally.check(test['testPassed'] === false ? refuses(answer) : gives(answer, to as string), [test['tcId'], answer]);
};

export const aes: Readonly<Record<string, Play>> = {
  'wycheproof/aes_gcm': aead(MECH.AES_GCM),
  'wycheproof/aes_ccm': aead(MECH.AES_CCM),
  'wycheproof/aes_cbc_pkcs5': (c, tally) => {
    const { test } = c;
    const params = { iv: bytes(test['iv']) };
    if (test['result'] === 'valid') tally.check(gives(seal(KEY.AES, test['key'], MECH.AES_CBC_PAD, params, test['msg']), test['ct']), test['tcId']);
    judge(tally, c, open(KEY.AES, test['key'], MECH.AES_CBC_PAD, params, test['ct']), test['msg']);
  },
  'wycheproof/aes_cmac': (c, tally) => {
    const { group, test } = c;
    const params = { tagBits: group['tagSize'] as number };
    if (test['result'] === 'valid') tally.check(gives(mac(KEY.AES, test['key'], MECH.AES_CMAC_GENERAL, params, test['msg']), test['tag']), test['tcId']);
    judge(tally, c, checkMac(KEY.AES, test['key'], MECH.AES_CMAC_GENERAL, params, test['msg'], test['tag']));
  },
  'wycheproof/aes_gmac': (c, tally) => {
    const { group, test } = c;
    const params = { iv: bytes(test['iv']), tagBits: group['tagSize'] as number };
    if (test['result'] === 'valid') tally.check(gives(mac(KEY.AES, test['key'], MECH.AES_GMAC, params, test['msg']), test['tag']), test['tcId']);
    judge(tally, c, checkMac(KEY.AES, test['key'], MECH.AES_GMAC, params, test['msg'], test['tag']));
  },
  'wycheproof/aes_wrap': (c, tally) => {
    const { test } = c;
    if (test['result'] === 'valid') tally.check(gives(seal(KEY.AES, test['key'], MECH.AES_KEY_WRAP, {}, test['msg']), test['ct']), test['tcId']);
    judge(tally, c, open(KEY.AES, test['key'], MECH.AES_KEY_WRAP, {}, test['ct']), test['msg']);
  },
  'acvp/ACVP-AES-GCM-1.0': acvpAead(MECH.AES_GCM),
  'acvp/ACVP-AES-CCM-1.0': acvpAead(MECH.AES_CCM),
  'acvp/ACVP-AES-GMAC-1.0': ({ group, test }, tally) => {
    const params = { iv: bytes(test['iv']), tagBits: group['tagLen'] as number };
    if (group['direction'] === 'encrypt') tally.check(gives(mac(KEY.AES, test['key'], MECH.AES_GMAC, params, test['aad']), test['tag']), test['tcId']);
    else tally.check(refuses(checkMac(KEY.AES, test['key'], MECH.AES_GMAC, params, test['aad'], test['tag'])) === (test['testPassed'] === false), test['tcId']);
  },
  'acvp/ACVP-AES-KW-1.0': plain(MECH.AES_KEY_WRAP, () => ({})),
  'acvp/ACVP-AES-KWP-1.0': plain(MECH.AES_KEY_WRAP_KWP, () => ({})),
  'acvp/ACVP-AES-CBC-1.0': plain(MECH.AES_CBC, (test) => ({ iv: bytes(test['iv']!) })),
  'acvp/ACVP-AES-CTR-1.0': plain(MECH.AES_CTR, (test) => ({ iv: bytes(test['iv']!) })),
  'acvp/CMAC-AES-1.0': ({ group, test }, tally) => {
    const params = { tagBits: group['macLen'] as number };
    if (group['direction'] === 'gen') tally.check(gives(mac(KEY.AES, test['key'], MECH.AES_CMAC_GENERAL, params, test['message']), test['mac']), test['tcId']);
    else tally.check(refuses(checkMac(KEY.AES, test['key'], MECH.AES_CMAC_GENERAL, params, test['message'], test['mac'])) === (test['testPassed'] === false), test['tcId']);
  },
};
