import { createHmac } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { HsmError, type Attribute, type KeyHandle, type MechanismParams } from '../../src/hsm/core.ts';
import { loadCore } from '../../src/hsm/native.ts';
import { ATTR, CLASS, HASH, KEY, MECH } from '../../src/hsm/numbers.ts';

/** The vectors' way into the core: a key from its parts, one use of it, the answer or the refusal. */
export const core = loadCore();
const session = core.openSession(core.ephemeralPartition('vectors'), { readWrite: true });

export type Answer = { readonly refused: string } | { readonly hex: string };
export type Parts = readonly Attribute[];
type Json = Record<string, any>; // eslint-disable-line -- whatever the sources hold

const uses: Record<number, readonly number[]> = {
  [CLASS.SECRET]: [ATTR.ENCRYPT, ATTR.DECRYPT, ATTR.SIGN, ATTR.VERIFY, ATTR.DERIVE],
  [CLASS.PRIVATE]: [ATTR.DECRYPT, ATTR.SIGN, ATTR.DERIVE, ATTR.DECAPSULATE],
  [CLASS.PUBLIC]: [ATTR.ENCRYPT, ATTR.VERIFY, ATTR.ENCAPSULATE],
};

export const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** What the core says to `work` done with a fresh key; the key is destroyed after. */
function withKey(klass: number, type: number, parts: Parts, work: (key: KeyHandle) => Uint8Array | boolean): Answer {
  let key: KeyHandle | undefined;
  try {
    key = core.create(session, 0, [
      [ATTR.CLASS, klass], [ATTR.KEY_TYPE, type], ...parts, ...uses[klass]!.map((use): Attribute => [use, true]),
      ...(klass === CLASS.PUBLIC ? [] : [[ATTR.SENSITIVE, false], [ATTR.EXTRACTABLE, true]] as Attribute[]),
    ]);
    const answer = work(key);
    return answer === false ? { refused: 'not verified' } : { hex: answer === true ? '' : Buffer.from(answer).toString('hex') };
  } catch (error) {
    if (!(error instanceof HsmError)) throw error;
    return { refused: error.code };
  } finally {
    if (key !== undefined) core.destroy(session, key);
  }
}

const room = Buffer.alloc(1 << 17);
const secret = (type: number, key: string): readonly [number, number, Parts] => [CLASS.SECRET, type, [[ATTR.VALUE, bytes(key)]]];

export const seal = (type: number, key: string, mech: number, params: MechanismParams, plain: string): Answer =>
  withKey(...secret(type, key), (k) => room.subarray(0, core.encryptInto(session, k, mech, params, bytes(plain), room)));
export const open = (type: number, key: string, mech: number, params: MechanismParams, sealed: string): Answer =>
  withKey(...secret(type, key), (k) => room.subarray(0, core.decryptInto(session, k, mech, params, bytes(sealed), room)));
export const mac = (type: number, key: string, mech: number, params: MechanismParams, message: string): Answer =>
  withKey(...secret(type, key), (k) => core.sign(session, k, mech, params, bytes(message)));
export const checkMac = (type: number, key: string, mech: number, params: MechanismParams, message: string, tag: string): Answer =>
  withKey(...secret(type, key), (k) => core.verify(session, k, mech, params, bytes(message), bytes(tag)));

export const sign = (type: number, parts: Parts, mech: number, params: MechanismParams, message: string): Answer =>
  withKey(CLASS.PRIVATE, type, parts, (k) => core.sign(session, k, mech, params, bytes(message)));
export const verify = (type: number, parts: Parts, mech: number, params: MechanismParams, message: string, signature: string): Answer =>
  withKey(CLASS.PUBLIC, type, parts, (k) => core.verify(session, k, mech, params, bytes(message), bytes(signature)));
export const decrypt = (type: number, parts: Parts, mech: number, params: MechanismParams, ciphertext: string): Answer =>
  withKey(CLASS.PRIVATE, type, parts, (k) => room.subarray(0, core.decryptInto(session, k, mech, params, bytes(ciphertext), room)));
/** A public attribute of a key made of `parts`. */
export const attribute = (klass: number, type: number, parts: Parts, wanted: number): Answer =>
  withKey(klass, type, parts, (k) => core.getAttribute(session, k, wanted));
export const spkiOf = (type: number, parts: Parts): Answer => withKey(CLASS.PRIVATE, type, parts, (k) => core.publicKey(session, k));

/**
 * What a derived key answers. Its bytes do not leave through this door, so the answer is a MAC under it,
 * to be compared with {@link macUnder} the expected bytes.
 */
export function derive(klass: number, type: number, parts: Parts, mech: number, params: MechanismParams, length: number | undefined): Answer {
  return withKey(klass, type, parts, (base) => {
    const made = core.derive(session, base, mech, params, [
      [ATTR.CLASS, CLASS.SECRET], [ATTR.KEY_TYPE, KEY.GENERIC], [ATTR.SIGN, true],
      ...(length === undefined ? [] : [[ATTR.VALUE_LEN, length] as Attribute]),
    ]);
    const mark = core.sign(session, made, MECH.SHA256_HMAC, undefined, probe);
    core.destroy(session, made);
    return mark;
  });
}

const probe = Buffer.from('who are you');
/** HMAC-SHA-256 as node:crypto makes it. */
export const macUnder = (key: string): string => createHmac('sha256', bytes(key)).update(probe).digest('hex');

export function decapsulate(parts: Parts, ciphertext: string): Answer {
  const shared = core.payload(64);
  const answer = withKey(CLASS.PRIVATE, KEY.ML_KEM, [...parts, [ATTR.REVEAL, true]], (k) => {
    core.kemOpen(session, k, bytes(ciphertext), shared);
    return shared.bytes;
  });
  shared.release();
  return answer;
}

/** Encapsulates to a public key; the answer is the ciphertext. */
export function encapsulate(parts: Parts): Answer {
  const shared = core.payload(64);
  const answer = withKey(CLASS.PUBLIC, KEY.ML_KEM, [...parts, [ATTR.REVEAL, true]], (k) => core.kemSeal(session, k, shared));
  shared.release();
  return answer;
}

export const digest = (mech: number, message: string): Answer => ({ hex: core.digest(session, mech, bytes(message)).toString('hex') });

/** Hashes by all the names the sources give them. */
export function hashOf(name: string): number | undefined {
  const plain = name.replace(/^SHA2-/, 'SHA-').replace('SHA-512/', 'SHA512_').replace('SHAKE-', 'SHAKE').replace('SHA-', 'SHA').replace('SHA3-', 'SHA3_');
  return (HASH as Record<string, number>)[plain];
}

// ---- reading the files

const folder = new URL('./', import.meta.url);
export const files = (source: string): readonly string[] =>
  readdirSync(new URL(`${source}/`, folder)).map((name) => name.replace(/(_test)?(\.part)?\.json(\.gz)?$/, '')).sort();

function load(source: string, name: string): Json {
  const file = readdirSync(new URL(`${source}/`, folder)).find((f) => new RegExp(`^${name.replace(/[.+]/g, '\\$&')}(_test)?(\\.part)?\\.json(\\.gz)?$`).test(f));
  if (file === undefined) throw new Error(`no file for ${source}/${name}`);
  const raw = readFileSync(new URL(`${source}/${file}`, folder));
  return JSON.parse((file.endsWith('.gz') ? gunzipSync(raw) : raw).toString()) as Json;
}

export interface Case { readonly group: Json; readonly test: Json }

export type Play = (c: Case, tally: Tally) => void;

/** What came of a file's cases: wrong ones by name, those left out by reason. */
export class Tally {
  readonly wrong: string[] = [];
  readonly left = new Map<string, number>();
  played = 0;
  constructor(readonly cases: number) {}

  check(right: boolean, what: unknown): void {
    if (!right) this.wrong.push(JSON.stringify(what));
  }
  leave(why: string): void {
    this.left.set(why, (this.left.get(why) ?? 0) + 1);
  }
}

/**
 * Plays each case of a file; `play` checks, or leaves the case with a reason. The tally counts every case
 * once, as played or left.
 */
export function playAll(source: string, name: string, play: Play): Tally {
  const cases = (load(source, name)['testGroups'] as Json[]).flatMap((group) => (group['tests'] as Json[]).map((test) => ({ group, test })));
  const tally = new Tally(cases.length);
  for (const c of cases) {
    const before = [...tally.left.values()].reduce((a, b) => a + b, 0);
    play(c, tally);
    if ([...tally.left.values()].reduce((a, b) => a + b, 0) === before) tally.played += 1;
  }
  return tally;
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
export const gives = (answer: Answer, hex: string): boolean => 'hex' in answer && same(answer.hex, hex);
export const refuses = (answer: Answer): boolean => 'refused' in answer;

/** Wycheproof's verdict on an answer. */
export function judge(tally: Tally, { test }: Case, answer: Answer, output = ''): void {
  const works = gives(answer, output);
  const result = test['result'] as string;
  tally.check(result === 'valid' ? works : result === 'invalid' ? refuses(answer) : works || refuses(answer), { tcId: test['tcId'], result, answer, comment: test['comment'] });
}
