/**
 * Input shapes, declared: what a member may be, and the sentences AWS answers when it is not.
 *
 * Reading goes once over the value. A wrong JSON type ends it at once (SerializationException); broken
 * constraints are gathered and reported in one sentence (ValidationException). Unknown members are
 * ignored, a null member is an absent one. A blob, or a secret, arrives as the index of its bytes in `blobs`.
 */
import { fail, validation } from './errors.ts';

/** What one reading gathers. */
export class Reading {
  readonly #blobs: readonly Buffer[];
  #findings: string[] | undefined;
  #taken = 0;

  constructor(blobs: readonly Buffer[]) {
    this.#blobs = blobs;
  }

  add(subject: string, path: string, constraint: string): void {
    (this.#findings ??= []).push(`${subject} at '${path}' failed to satisfy constraint: ${constraint}`);
  }

  /** Each blob is named once; a number that a client wrote where a blob belongs repeats one, or names none. */
  blob(index: unknown, wanted = 'a Blob'): Buffer {
    if (typeof index !== 'number' || !Number.isInteger(index)) throw mismatch(index, wanted);
    const bytes = this.#blobs[index];
    const bit = 1 << index;
    if (bytes === undefined || (this.#taken & bit) !== 0) throw mismatch(index, wanted);
    this.#taken |= bit;
    return bytes;
  }

  finish(): void {
    const found = this.#findings;
    if (found === undefined) return;
    throw validation(`${found.length} validation error${found.length === 1 ? '' : 's'} detected: ${found.join('; ')}`);
  }
}

export interface Shape<T> {
  readonly kind: 'text' | 'secret' | 'choice' | 'integer' | 'flag' | 'time' | 'blob' | 'list' | 'map' | 'struct';
  /** Its value is never shown. */
  readonly sensitive?: boolean;
  read(value: unknown, path: string, reading: Reading): T;
}

export interface Optional<T> {
  readonly optional: Shape<T>;
}

export const optional = <T>(shape: Shape<T>): Optional<T> => ({ optional: shape });

export type Member = Shape<unknown> | Optional<unknown>;
export type Members = Readonly<Record<string, Member>>;

type ValueOf<M> = M extends Optional<infer T> ? T : M extends Shape<infer T> ? T : never;
type OptionalNames<M> = { [K in keyof M]: M[K] extends Optional<unknown> ? K : never }[keyof M];

/** What reading a structure of these members gives. */
export type InputOf<M> =
  { readonly [K in Exclude<keyof M, OptionalNames<M>>]: ValueOf<M[K]> } &
  { readonly [K in OptionalNames<M>]?: ValueOf<M[K]> | undefined };

/* ---- wrong JSON types -------------------------------------------------- */

function mismatch(value: unknown, wanted: string): Error {
  if (Array.isArray(value)) return fail('SerializationException', 'Start of list found where not expected');
  switch (typeof value) {
    case 'object': return fail('SerializationException', 'Start of structure or map found where not expected.');
    case 'number': return fail('SerializationException', `NUMBER_VALUE can not be converted to ${wanted}`);
    case 'boolean': return fail('SerializationException', `${value ? 'TRUE' : 'FALSE'}_VALUE can not be converted to ${wanted}`);
    default: return fail('SerializationException', `STRING_VALUE can not be converted to ${wanted}`);
  }
}

const absent = (value: unknown): value is null | undefined => value === undefined || value === null;

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (Array.isArray(value)) throw fail('SerializationException', 'Start of list found where not expected');
  if (typeof value !== 'object') throw fail('SerializationException', 'Unexpected field type');
  return value as Readonly<Record<string, unknown>>;
}

/* ---- scalars ------------------------------------------------------------- */

export interface Limits {
  readonly min?: number;
  readonly max?: number;
}

const tooLong = (max: number) => `Member must have length less than or equal to ${max}`;
const tooShort = (min: number) => `Member must have length greater than or equal to ${min}`;

function checkLength(length: number, limits: Limits, report: (constraint: string) => void): void {
  if (limits.max !== undefined && length > limits.max) report(tooLong(limits.max));
  if (limits.min !== undefined && length < limits.min) report(tooShort(limits.min));
}

/** Constraints a list element can break are told about the list: all of them, whichever broke. */
interface Element {
  readonly constraints: readonly string[];
  fits(value: unknown): boolean;
}

export interface TextShape extends Shape<string>, Limits, Element {
  readonly kind: 'text';
  readonly pattern?: string;
}

export function text(limits: Limits & { readonly pattern?: string; readonly sensitive?: boolean } = {}): TextShape {
  const { min, max, pattern, sensitive = false } = limits;
  const whole = pattern === undefined ? undefined : new RegExp(`^(?:${pattern})$`, 'u');
  const constraints: string[] = [];
  if (max !== undefined) constraints.push(tooLong(max));
  if (min !== undefined) constraints.push(tooShort(min));
  if (pattern !== undefined) constraints.push(`Member must satisfy regular expression pattern: ${pattern}`);
  const fits = (value: unknown): boolean =>
    typeof value === 'string' && (max === undefined || value.length <= max) && (min === undefined || value.length >= min) &&
    (whole === undefined || whole.test(value));

  return {
    kind: 'text', ...limits, constraints, fits,
    read(value, path, reading) {
      if (typeof value !== 'string') throw mismatch(value, 'a String');
      if (fits(value)) return value;
      const subject = sensitive ? 'Value' : `Value '${value}'`;
      checkLength(value.length, limits, (constraint) => reading.add(subject, path, constraint));
      if (whole !== undefined && !whole.test(value)) reading.add(subject, path, `Member must satisfy regular expression pattern: ${pattern}`);
      return value;
    },
  };
}

export interface ChoiceShape<T extends string> extends Shape<T>, Element {
  readonly kind: 'choice';
  readonly values: readonly T[];
}

/** One of a set; `shown` is the order AWS prints it in, where that is known and differs. */
export function oneOf<const T extends string>(values: readonly T[], shown: readonly T[] = values): ChoiceShape<T> {
  const known = new Set<string>(values);
  const constraint = `Member must satisfy enum value set: [${shown.join(', ')}]`;
  return {
    kind: 'choice', values, constraints: [constraint],
    fits: (value) => typeof value === 'string' && known.has(value),
    read(value, path, reading) {
      if (typeof value !== 'string') throw mismatch(value, 'a String');
      if (!known.has(value)) reading.add(`Value '${value}'`, path, constraint);
      return value as T;
    },
  };
}

export interface IntegerShape extends Shape<number>, Limits {
  readonly kind: 'integer';
}

export function integer(limits: Limits): IntegerShape {
  return {
    kind: 'integer', ...limits,
    read(value, path, reading) {
      if (typeof value !== 'number') throw mismatch(value, 'an Integer');
      const whole = Math.trunc(value);
      if (limits.max !== undefined && whole > limits.max) reading.add(`Value '${whole}'`, path, `Member must have value less than or equal to ${limits.max}`);
      if (limits.min !== undefined && whole < limits.min) reading.add(`Value '${whole}'`, path, `Member must have value greater than or equal to ${limits.min}`);
      return whole;
    },
  };
}

export const flag: Shape<boolean> = {
  kind: 'flag',
  read(value) {
    if (typeof value !== 'boolean') throw mismatch(value, 'a Boolean');
    return value;
  },
};

/** Epoch seconds, with a fraction allowed; ISO 8601 text is taken too. Gives milliseconds. */
export const time: Shape<number> = {
  kind: 'time',
  read(value) {
    const ms = typeof value === 'number' ? Math.round(value * 1000) : typeof value === 'string' ? Date.parse(value) : NaN;
    if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) throw mismatch(value, 'a Timestamp');
    return ms;
  },
};

export interface BlobShape extends Shape<Buffer>, Limits {
  readonly kind: 'blob';
}

export function blob(limits: Limits & { readonly sensitive?: boolean }): BlobShape {
  return {
    kind: 'blob', ...limits,
    read(value, path, reading) {
      const bytes = reading.blob(value);
      checkLength(bytes.length, limits, (constraint) => reading.add('Value', path, constraint));
      return bytes;
    },
  };
}

export interface SecretShape extends Shape<Buffer>, Limits {
  readonly kind: 'secret';
  readonly pattern?: string;
}

/**
 * Text that is a secret: its bytes (UTF-8) come beside the JSON and are never a string. `allowed` says of
 * each byte what `pattern` says of each character; a pattern of one class of ASCII is all there is.
 */
export function secretText(limits: Limits & ({ readonly pattern: string; readonly allowed: RegExp } | { readonly pattern?: never; readonly allowed?: never })): SecretShape {
  const { min, max, pattern, allowed } = limits;
  const fits = allowed === undefined ? undefined : Array.from({ length: 256 }, (_, byte) => byte < 128 && allowed.test(String.fromCharCode(byte)));
  return {
    kind: 'secret', sensitive: true,
    ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }), ...(pattern === undefined ? {} : { pattern }),
    read(value, path, reading) {
      const bytes = reading.blob(value, 'a String');
      checkLength(lengthOfText(bytes), limits, (constraint) => reading.add('Value', path, constraint));
      if (fits !== undefined && !bytes.every((byte) => fits[byte] === true)) reading.add('Value', path, `Member must satisfy regular expression pattern: ${pattern}`);
      return bytes;
    },
  };
}

/** Of UTF-8, in the units AWS counts text in: a character outside the basic plane is two. */
function lengthOfText(bytes: Buffer): number {
  let length = 0;
  for (const byte of bytes) length += byte >= 0xf0 ? 2 : (byte & 0xc0) === 0x80 ? 0 : 1;
  return length;
}

/* ---- gathered values ------------------------------------------------------ */

export interface ListShape<T> extends Shape<readonly T[]>, Limits {
  readonly kind: 'list';
  readonly of: Shape<T>;
}

/** Elements that are structures are named one by one; scalars are told about the list as a whole. */
export function list<T>(of: Shape<T>, limits: Limits = {}): ListShape<T> {
  const element = of.kind === 'struct' ? undefined : (of as Shape<T> & Element);
  return {
    kind: 'list', of, ...limits,
    read(value, path, reading) {
      if (!Array.isArray(value)) throw typeof value === 'object' ? mismatch(value, '') : fail('SerializationException', 'Unexpected field type');
      // Types first: what is no string cannot be shown in a sentence.
      if (element !== undefined) for (const item of value) if (!absent(item) && typeof item !== 'string') throw mismatch(item, 'a String');
      const shown = (): string => (element === undefined ? 'Value' : `Value '[${value.join(', ')}]'`);
      checkLength(value.length, limits, (constraint) => reading.add(shown(), path, constraint));
      let broken = false;
      const items = value.map((item: unknown, i): T => {
        if (element === undefined) return of.read(item ?? {}, `${path}.${i + 1}.member`, reading);
        broken ||= !element.fits(item);
        return item as T;
      });
      if (broken) reading.add(shown(), path, `Member must satisfy constraint: [${element?.constraints.join(', ')}]`);
      return items;
    },
  };
}

export interface MapShape extends Shape<Readonly<Record<string, string>>> {
  readonly kind: 'map';
}

/** Text to text. The parsed object itself is handed on: read it by its own keys only. */
export const textMap: MapShape = {
  kind: 'map',
  read(value, path, reading) {
    const pairs = record(value);
    for (const name in pairs) {
      const item = pairs[name];
      if (typeof item === 'string') continue;
      if (!absent(item)) throw mismatch(item, 'a String');
      reading.add(`Value '{${name}=null}'`, path, 'Map value must satisfy constraint: [Member must not be null]');
    }
    return pairs as Readonly<Record<string, string>>;
  },
};

export interface StructShape<M extends Members> extends Shape<InputOf<M>> {
  readonly kind: 'struct';
  readonly members: M;
}

const camel = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

export function struct<const M extends Members>(members: M): StructShape<M> {
  const fields = Object.entries(members).map(([name, member]) => ({
    name, path: camel(name),
    required: !('optional' in member),
    shape: 'optional' in member ? member.optional : member,
  }));
  return {
    kind: 'struct', members,
    read(value, path, reading) {
      const given = record(value);
      const read: Record<string, unknown> = {};
      for (const { name, path: own, required, shape } of fields) {
        const item = given[name];
        const at = path === '' ? own : `${path}.${own}`;
        if (!absent(item)) read[name] = shape.read(item, at, reading);
        else if (required) reading.add(shape.sensitive === true ? 'Value' : 'Value null', at, 'Member must not be null');
      }
      return read as InputOf<M>;
    },
  };
}

/** Read a request's input: the whole of checking, in one call. */
export function readInput<M extends Members>(shape: StructShape<M>, input: unknown, blobs: readonly Buffer[]): InputOf<M> {
  const reading = new Reading(blobs);
  const read = shape.read(input ?? {}, '', reading);
  reading.finish();
  return read;
}

/** Paths of the members that are bytes, e.g. `Plaintext`, `Recipient.AttestationDocument`; of secret text with `=` before. */
export function blobPaths(shape: StructShape<Members>, above = ''): readonly string[] {
  return Object.entries(shape.members).flatMap(([name, member]) => {
    const own = 'optional' in member ? member.optional : member;
    if (own.kind === 'blob') return [above + name];
    if (own.kind === 'secret') return [`=${above}${name}`];
    return own.kind === 'struct' ? blobPaths(own as StructShape<Members>, `${above}${name}.`) : [];
  });
}
