import { createHmac } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Attribute, MechanismParams } from '../../src/hsm/core.ts';
import { ATTR, CLASS, HASH, KEY } from '../../src/hsm/numbers.ts';

/** The vectors' way into the core: a key from its parts, one use of it, the answer or the refusal. Through which door, a test file says. */
export type Answer = { readonly refused: string } | { readonly hex: string };
export type Parts = readonly Attribute[];
type Json = Record<string, any>; // eslint-disable-line -- whatever the sources hold

/** What a door must be able to do with a key `K` that it made. */
export interface Door<K> {
  create(klass: number, type: number, parts: Parts): K;
  destroy(key: K): void;
  encrypt(key: K, mech: number, params: MechanismParams, data: Buffer): Uint8Array;
  decrypt(key: K, mech: number, params: MechanismParams, data: Buffer): Uint8Array;
  sign(key: K, mech: number, params: MechanismParams, message: Buffer): Uint8Array;
  verify(key: K, mech: number, params: MechanismParams, message: Buffer, signature: Buffer): boolean;
  attribute(key: K, wanted: number): Uint8Array;
  spki(key: K): Uint8Array;
  /** A MAC over `message` under a generic secret derived from the key. */
  deriveAndMac(key: K, mech: number, params: MechanismParams, length: number | undefined, message: Buffer): Uint8Array;
  decapsulate(key: K, ciphertext: Buffer): Uint8Array;
  encapsulate(key: K): Uint8Array;
  digest(mech: number, message: Buffer): Uint8Array;
  /** The name of a refusal; undefined for an error that is none. */
  refusal(error: unknown): string | undefined;
}

/** Thrown by a door that has no words for a case; it is then left out with the reason. */
export class NotHere extends Error {}

let door: Door<unknown>;
export function playThrough<K>(chosen: Door<K>): void {
  door = chosen as Door<unknown>;
}

export const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** What the core says to `work` done with a fresh key; the key is destroyed after. */
function withKey(klass: number, type: number, parts: Parts, work: (key: unknown) => Uint8Array | boolean): Answer {
  let key: unknown;
  try {
    key = door.create(klass, type, parts);
    const answer = work(key);
    return answer === false ? { refused: 'not verified' } : { hex: answer === true ? '' : Buffer.from(answer).toString('hex') };
  } catch (error) {
    const refused = door.refusal(error);
    if (refused === undefined) throw error;
    return { refused };
  } finally {
    if (key !== undefined) door.destroy(key);
  }
}

const secret = (type: number, key: string): readonly [number, number, Parts] => [CLASS.SECRET, type, [[ATTR.VALUE, bytes(key)]]];

export const seal = (type: number, key: string, mech: number, params: MechanismParams, plain: string): Answer =>
  withKey(...secret(type, key), (k) => door.encrypt(k, mech, params, bytes(plain)));
export const open = (type: number, key: string, mech: number, params: MechanismParams, sealed: string): Answer =>
  withKey(...secret(type, key), (k) => door.decrypt(k, mech, params, bytes(sealed)));
export const mac = (type: number, key: string, mech: number, params: MechanismParams, message: string): Answer =>
  withKey(...secret(type, key), (k) => door.sign(k, mech, params, bytes(message)));
export const checkMac = (type: number, key: string, mech: number, params: MechanismParams, message: string, tag: string): Answer =>
  withKey(...secret(type, key), (k) => door.verify(k, mech, params, bytes(message), bytes(tag)));

export const sign = (type: number, parts: Parts, mech: number, params: MechanismParams, message: string): Answer =>
  withKey(CLASS.PRIVATE, type, parts, (k) => door.sign(k, mech, params, bytes(message)));
export const verify = (type: number, parts: Parts, mech: number, params: MechanismParams, message: string, signature: string): Answer =>
  withKey(CLASS.PUBLIC, type, parts, (k) => door.verify(k, mech, params, bytes(message), bytes(signature)));
export const decrypt = (type: number, parts: Parts, mech: number, params: MechanismParams, ciphertext: string): Answer =>
  withKey(CLASS.PRIVATE, type, parts, (k) => door.decrypt(k, mech, params, bytes(ciphertext)));
/** A public attribute of a key made of `parts`. */
export const attribute = (klass: number, type: number, parts: Parts, wanted: number): Answer =>
  withKey(klass, type, parts, (k) => door.attribute(k, wanted));
export const spkiOf = (type: number, parts: Parts): Answer => withKey(CLASS.PRIVATE, type, parts, (k) => door.spki(k));

const probe = Buffer.from('who are you');
/**
 * What a derived key answers: a MAC under it, to be compared with {@link macUnder} the expected bytes. A
 * key's own bytes do not leave.
 */
export const derive = (klass: number, type: number, parts: Parts, mech: number, params: MechanismParams, length: number | undefined): Answer =>
  withKey(klass, type, parts, (base) => door.deriveAndMac(base, mech, params, length, probe));
/** HMAC-SHA-256 as node:crypto makes it. */
export const macUnder = (key: string): string => createHmac('sha256', bytes(key)).update(probe).digest('hex');

export const decapsulate = (parts: Parts, ciphertext: string): Answer =>
  withKey(CLASS.PRIVATE, KEY.ML_KEM, parts, (k) => door.decapsulate(k, bytes(ciphertext)));
/** Encapsulates to a public key; the answer is the ciphertext. */
export const encapsulate = (parts: Parts): Answer => withKey(CLASS.PUBLIC, KEY.ML_KEM, parts, (k) => door.encapsulate(k));

export const digest = (mech: number, message: string): Answer => ({ hex: Buffer.from(door.digest(mech, bytes(message))).toString('hex') });

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
    try {
      play(c, tally);
    } catch (error) {
      if (!(error instanceof NotHere)) throw error;
      tally.leave(error.message);
    }
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
