/** `strongroom acvp run FILE`: answers to NIST's ACVP vector sets, from the core. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { HsmError, type Attribute, type KeyHandle, type MechanismParams, type SessionHandle } from '../hsm/core.ts';
import { loadCore, type NativeCore } from '../hsm/native.ts';
import { ATTR, CLASS, KEY, MECH, PARAM } from '../hsm/numbers.ts';
import { CommandError, exitCode, say } from './output.ts';

type Fields = Readonly<Record<string, unknown>>;
interface Bench { readonly core: NativeCore; readonly session: SessionHandle }
type Answer = (bench: Bench, group: Fields, test: Fields) => Fields;

/** Said of a case that the core has no words for; it is left out, and counted. */
class NotHere extends Error {}

const text = (fields: Fields, name: string): string => {
  const value = fields[name];
  if (value !== undefined && typeof value !== 'string') throw new CommandError(exitCode.usage, `'${name}' is not a string`);
  return value ?? '';
};
const bytes = (fields: Fields, name: string): Buffer => Buffer.from(text(fields, name), 'hex');
const number = (fields: Fields, name: string): number => {
  const value = fields[name];
  if (typeof value !== 'number') throw new CommandError(exitCode.usage, `'${name}' is not a number`);
  return value;
};
const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex').toUpperCase();

// ---- one use of a key that comes with the case

function withKey<T>({ core, session }: Bench, klass: number, type: number, parts: readonly Attribute[], uses: readonly number[], work: (key: KeyHandle) => T): T {
  const key = core.create(session, 0, [[ATTR.CLASS, klass], [ATTR.KEY_TYPE, type], ...parts, ...uses.map((use): Attribute => [use, true])]);
  try {
    return work(key);
  } finally {
    core.destroy(session, key);
  }
}

const sized = (length: number, work: (room: Buffer) => number): string => {
  const room = Buffer.alloc(length + 64);
  return hex(room.subarray(0, work(room)));
};
const seal = (bench: Bench, key: Buffer, mech: number, params: MechanismParams, plain: Buffer): string =>
  withKey(bench, CLASS.SECRET, KEY.AES, [[ATTR.VALUE, key]], [ATTR.ENCRYPT], (k) => sized(plain.length, (room) => bench.core.encryptInto(bench.session, k, mech, params, plain, room)));
const open = (bench: Bench, key: Buffer, mech: number, params: MechanismParams, sealed: Buffer): string =>
  withKey(bench, CLASS.SECRET, KEY.AES, [[ATTR.VALUE, key]], [ATTR.DECRYPT], (k) => sized(sealed.length, (room) => bench.core.decryptInto(bench.session, k, mech, params, sealed, room)));
const mac = (bench: Bench, type: number, key: Buffer, mech: number, params: MechanismParams, message: Buffer): string =>
  withKey(bench, CLASS.SECRET, type, [[ATTR.VALUE, key]], [ATTR.SIGN], (k) => hex(bench.core.sign(bench.session, k, mech, params, message)));
const checks = (bench: Bench, klass: number, type: number, parts: readonly Attribute[], mech: number, params: MechanismParams, message: Buffer, given: Buffer): Fields => ({
  testPassed: verdict(() => withKey(bench, klass, type, parts, [ATTR.VERIFY], (k) => bench.core.verify(bench.session, k, mech, params, message, given))),
});

/** A refusal of the core is an answer: the case does not pass. */
function verdict(work: () => boolean): boolean {
  try {
    return work();
  } catch (error) {
    if (error instanceof HsmError) return false;
    throw error;
  }
}
const openedOr = (work: () => Fields): Fields => {
  let found: Fields = { testPassed: false };
  verdict(() => { found = work(); return true; });
  return found;
};
/** A case that is refused in one way only. */
const whole = (group: Fields): void => {
  if (group['testType'] !== 'AFT' && group['testType'] !== 'GDT') throw new NotHere(`${text(group, 'testType')} cases`);
};

// ---- algorithms

const bytewise = (test: Fields, group: Fields): void => {
  const bits = test['payloadLen'] ?? group['payloadLen'] ?? test['len'] ?? 0;
  if (Number(bits) % 8 !== 0) throw new NotHere('messages that are not whole bytes');
};
const cipher = (mech: number, params: (test: Fields) => MechanismParams): Answer => (bench, group, test) => {
  whole(group);
  bytewise(test, group);
  if (group['kwCipher'] === 'inverse') throw new NotHere('the inverse cipher');
  if (text(group, 'direction') === 'encrypt') return { ct: seal(bench, bytes(test, 'key'), mech, params(test), bytes(test, 'pt')) };
  return openedOr(() => ({ pt: open(bench, bytes(test, 'key'), mech, params(test), bytes(test, 'ct')) }));
};
const aead = (mech: number, apart: boolean): Answer => (bench, group, test) => {
  whole(group);
  if (test['iv'] === undefined) throw new NotHere('an iv made inside, which ends up in the answer');
  const params = { iv: bytes(test, 'iv'), aad: bytes(test, 'aad'), tagBits: number(group, 'tagLen') };
  if (text(group, 'direction') !== 'encrypt') return openedOr(() => ({ pt: open(bench, bytes(test, 'key'), mech, params, Buffer.concat([bytes(test, 'ct'), bytes(test, 'tag')])) }));
  const all = seal(bench, bytes(test, 'key'), mech, params, bytes(test, 'pt'));
  return apart ? { ct: all.slice(0, all.length - params.tagBits / 4), tag: all.slice(all.length - params.tagBits / 4) } : { ct: all };
};
const gmac: Answer = (bench, group, test) => {
  whole(group);
  const params = { iv: bytes(test, 'iv'), tagBits: number(group, 'tagLen') };
  return text(group, 'direction') === 'encrypt'
    ? { tag: mac(bench, KEY.AES, bytes(test, 'key'), MECH.AES_GMAC, params, bytes(test, 'aad')) }
    : checks(bench, CLASS.SECRET, KEY.AES, [[ATTR.VALUE, bytes(test, 'key')]], MECH.AES_GMAC, params, bytes(test, 'aad'), bytes(test, 'tag'));
};
const cmac: Answer = (bench, group, test) => {
  whole(group);
  const params = { tagBits: number(group, 'macLen') };
  return text(group, 'direction') === 'gen'
    ? { mac: mac(bench, KEY.AES, bytes(test, 'key'), MECH.AES_CMAC_GENERAL, params, bytes(test, 'message')) }
    : checks(bench, CLASS.SECRET, KEY.AES, [[ATTR.VALUE, bytes(test, 'key')]], MECH.AES_CMAC_GENERAL, params, bytes(test, 'message'), bytes(test, 'mac'));
};
const hmac = (mech: number): Answer => (bench, group, test) => {
  whole(group);
  const bits = Number(test['macLen'] ?? group['macLen']);
  return { mac: mac(bench, KEY.GENERIC, bytes(test, 'key'), mech, {}, bytes(test, 'msg')).slice(0, bits / 4) };
};
const hash = (mech: number): Answer => ({ core, session }, group, test) => {
  whole(group);
  bytewise(test, group);
  if (test['largeMsg'] !== undefined) throw new NotHere('messages of gigabytes');
  return { md: hex(core.digest(session, mech, bytes(test, 'msg').subarray(0, number(test, 'len') / 8))) };
};

const curveOids: Readonly<Record<string, { readonly oid: string; readonly width: number } | undefined>> = {
  'P-224': { oid: '06052b81040021', width: 28 }, 'P-256': { oid: '06082a8648ce3d030107', width: 32 },
  'P-384': { oid: '06052b81040022', width: 48 }, 'P-521': { oid: '06052b81040023', width: 66 },
};
const ecdsaMechs: Readonly<Record<string, number | undefined>> = {
  'SHA2-224': MECH.ECDSA_SHA224, 'SHA2-256': MECH.ECDSA_SHA256, 'SHA2-384': MECH.ECDSA_SHA384, 'SHA2-512': MECH.ECDSA_SHA512,
};
const ecdsaPlace = (group: Fields): { readonly oid: Buffer; readonly width: number; readonly mech: number } => {
  const curve = curveOids[text(group, 'curve')];
  const mech = ecdsaMechs[text(group, 'hashAlg')];
  if (curve === undefined) throw new NotHere(`curve ${text(group, 'curve')}`);
  if (mech === undefined) throw new NotHere(`ECDSA with ${text(group, 'hashAlg')}`);
  if (group['conformance'] !== undefined || group['componentTest'] === true) throw new NotHere('messages that are hashed outside');
  return { oid: Buffer.from(curve.oid, 'hex'), width: curve.width, mech };
};
const wide = (fields: Fields, name: string, width: number): Buffer => Buffer.from(text(fields, name).padStart(width * 2, '0'), 'hex');
const octets = (inner: Buffer): Buffer => Buffer.concat([Buffer.from(inner.length < 128 ? [4, inner.length] : [4, 0x81, inner.length]), inner]);
const ecdsaVerify: Answer = (bench, group, test) => {
  const { oid, width, mech } = ecdsaPlace(group);
  const [x, y, r, s] = ['qx', 'qy', 'r', 's'].map((name) => wide(test, name, width)) as [Buffer, Buffer, Buffer, Buffer];
  const parts: Attribute[] = [[ATTR.EC_PARAMS, oid], [ATTR.EC_POINT, octets(Buffer.concat([Buffer.from([4]), x, y]))]];
  return checks(bench, CLASS.PUBLIC, KEY.EC, parts, mech, {}, bytes(test, 'message'), Buffer.concat([r, s]));
};
const ecdsaDeterministic: Answer = (bench, group, test) => {
  const { oid, width, mech } = ecdsaPlace(group);
  const signature = withKey(bench, CLASS.PRIVATE, KEY.EC, [[ATTR.EC_PARAMS, oid], [ATTR.VALUE, wide(group, 'd', width)]], [ATTR.SIGN],
    (k) => bench.core.sign(bench.session, k, mech, { flags: PARAM.DETERMINISTIC }, bytes(test, 'message')));
  return { r: hex(signature.subarray(0, width)), s: hex(signature.subarray(width)) };
};
const ed25519Oid = Buffer.from('06032b6570', 'hex');
const eddsa = (verifies: boolean): Answer => (bench, group, test) => {
  if (text(group, 'curve') !== 'ED-25519') throw new NotHere(text(group, 'curve'));
  const params = { flags: group['preHash'] === true ? PARAM.PH : 0, label: bytes(test, 'context') };
  const q = test['q'] === undefined ? group : test;
  if (verifies) return checks(bench, CLASS.PUBLIC, KEY.EDWARDS, [[ATTR.EC_PARAMS, ed25519Oid], [ATTR.EC_POINT, octets(bytes(q, 'q'))]], MECH.EDDSA, params, bytes(test, 'message'), bytes(test, 'signature'));
  const d = test['d'] === undefined ? group : test;
  return {
    signature: withKey(bench, CLASS.PRIVATE, KEY.EDWARDS, [[ATTR.EC_PARAMS, ed25519Oid], [ATTR.VALUE, bytes(d, 'd')]], [ATTR.SIGN],
      (k) => hex(bench.core.sign(bench.session, k, MECH.EDDSA, params, bytes(test, 'message')))),
  };
};
const rsaMechs: Readonly<Record<string, readonly [pkcs: number, pss: number] | undefined>> = {
  'SHA2-224': [MECH.SHA224_RSA_PKCS, MECH.SHA224_RSA_PSS], 'SHA2-256': [MECH.SHA256_RSA_PKCS, MECH.SHA256_RSA_PSS],
  'SHA2-384': [MECH.SHA384_RSA_PKCS, MECH.SHA384_RSA_PSS], 'SHA2-512': [MECH.SHA512_RSA_PKCS, MECH.SHA512_RSA_PSS],
};
const even = (digits: string): Buffer => Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
const rsaVerify: Answer = (bench, group, test) => {
  const mechs = rsaMechs[text(group, 'hashAlg')];
  if (mechs === undefined || text(group, 'maskFunction').startsWith('shake')) throw new NotHere(`RSA with ${text(group, 'hashAlg')}, ${text(group, 'maskFunction')}`);
  if (!['pkcs1v1.5', 'pss'].includes(text(group, 'sigType'))) throw new NotHere(text(group, 'sigType'));
  if (group['conformance'] !== undefined) throw new NotHere('messages that are not whole bytes');
  const key = group['n'] === undefined ? test : group;
  const pss = text(group, 'sigType') === 'pss';
  const parts: Attribute[] = [[ATTR.MODULUS, even(text(key, 'n'))], [ATTR.PUBLIC_EXPONENT, even(text(key, 'e'))]];
  return checks(bench, CLASS.PUBLIC, KEY.RSA, parts, mechs[pss ? 1 : 0], pss ? { saltLength: number(group, 'saltLen') } : {}, bytes(test, 'message'), bytes(test, 'signature'));
};

const SHA3_512 = 0x2d0, SHA3_384 = 0x2c0;
const answers: Readonly<Record<string, Answer | undefined>> = {
  'ACVP-AES-CBC': cipher(MECH.AES_CBC, (test) => ({ iv: bytes(test, 'iv') })), 'ACVP-AES-CTR': cipher(MECH.AES_CTR, (test) => ({ iv: bytes(test, 'iv') })),
  'ACVP-AES-KW': cipher(MECH.AES_KEY_WRAP, () => ({})), 'ACVP-AES-KWP': cipher(MECH.AES_KEY_WRAP_KWP, () => ({})),
  'ACVP-AES-GCM': aead(MECH.AES_GCM, true), 'ACVP-AES-CCM': aead(MECH.AES_CCM, false), 'ACVP-AES-GMAC': gmac, 'CMAC-AES': cmac,
  'HMAC-SHA2-224': hmac(MECH.SHA224_HMAC), 'HMAC-SHA2-256': hmac(MECH.SHA256_HMAC), 'HMAC-SHA2-384': hmac(MECH.SHA384_HMAC),
  'HMAC-SHA2-512': hmac(MECH.SHA512_HMAC), 'HMAC-SHA3-256': hmac(MECH.SHA3_256_HMAC),
  'SHA2-224': hash(MECH.SHA224), 'SHA2-256': hash(MECH.SHA256), 'SHA2-384': hash(MECH.SHA384), 'SHA2-512': hash(MECH.SHA512),
  'SHA3-256': hash(MECH.SHA3_256), 'SHA3-384': hash(SHA3_384), 'SHA3-512': hash(SHA3_512),
  'ECDSA/sigVer': ecdsaVerify, 'DetECDSA/sigGen': ecdsaDeterministic, 'EDDSA/sigGen': eddsa(false), 'EDDSA/sigVer': eddsa(true), 'RSA/sigVer': rsaVerify,
};

export interface AcvpResult {
  readonly response: Fields;
  readonly answered: number;
  /** Why cases were left out, and how many. */
  readonly left: ReadonlyMap<string, number>;
}

const list = (fields: Fields, name: string): readonly Fields[] => {
  const value = fields[name];
  if (!Array.isArray(value)) throw new CommandError(exitCode.usage, `no '${name}': not an ACVP vector set`);
  return value as readonly Fields[];
};

/** Answers a vector set; what the core has no words for is left out and told. `mode`: where the set does not say. */
export function answerAcvp(core: NativeCore, set: Fields, mode?: string): AcvpResult {
  const algorithm = text(set, 'algorithm');
  const named = set['mode'] === undefined ? mode : text(set, 'mode');
  const answer = answers[algorithm] ?? answers[`${algorithm}/${named ?? ''}`];
  if (answer === undefined) throw new CommandError(exitCode.usage, `no answers for ${algorithm}${named === undefined ? '' : ` ${named}`}`, `there are ${Object.keys(answers).join(', ')}`);
  const partition = core.ephemeralPartition('acvp');
  const session = core.openSession(partition);
  const left = new Map<string, number>();
  let answered = 0;
  try {
    const testGroups = list(set, 'testGroups').map((group) => ({
      tgId: group['tgId'],
      tests: list(group, 'tests').flatMap((test) => {
        try {
          const found = answer({ core, session }, group, test);
          answered += 1;
          return [{ tcId: test['tcId'], ...found }];
        } catch (error) {
          if (!(error instanceof NotHere)) throw error;
          left.set(error.message, (left.get(error.message) ?? 0) + 1);
          return [];
        }
      }),
    }));
    return { response: { vsId: set['vsId'], algorithm, ...(named === undefined ? {} : { mode: named }), revision: set['revision'], isSample: set['isSample'] ?? false, testGroups }, answered, left };
  } finally {
    core.closeSession(session);
    core.closePartition(partition);
  }
}

export function addAcvpCommands(program: Command): void {
  program.command('acvp').description('answers to NIST\'s algorithm vectors (ACVP)')
    .command('run <file>')
    .description('answers the vector set in a file')
    .option('--mode <name>', 'sigGen, sigVer …, where the set does not say')
    .option('--out <file>', 'where the answers go; default: standard output')
    .action((file: string, options: { mode?: string; out?: string }) => {
      const read: unknown = JSON.parse(readFileSync(file, 'utf8'));
      // As the protocol has it, or the set alone: [{ acvVersion }, { … }].
      const set = (Array.isArray(read) ? read.at(-1) : read) as Fields;
      const core = loadCore();
      try {
        const { response, answered, left } = answerAcvp(core, set, options.mode);
        const out = `${JSON.stringify(Array.isArray(read) ? [read[0], response] : response, null, 2)}\n`;
        if (options.out === undefined) process.stdout.write(out);
        else writeFileSync(options.out, out);
        say(`${answered} cases answered${[...left].map(([why, n]) => `; ${n} left out: ${why}`).join('')}`);
      } finally {
        core.close();
      }
    });
}
