/**
 * Condition operators. A condition is one operator, one key and its values; a statement's conditions
 * must all hold. Each operator is a row: how two texts compare, and whether it says "not".
 *
 * How absence counts: a missing key fails an operator and satisfies a "not" operator; with `…IfExists`
 * it satisfies both; `ForAllValues:` holds for no values, `ForAnyValue:` does not, not even with
 * `…IfExists`, which asks about each value and there is none. A variable without a value equals nothing.
 */
import { expand, type Context } from './context.ts';
import { matchesArn } from './arn.ts';
import { matchesWildcard, quoteWildcards } from './wildcard.ts';

type Compare = (given: string, wanted: string) => boolean;

interface Operator {
  readonly compare: Compare;
  readonly not?: true;
  /** How a value is prepared: whole text or a pattern (then variables' own wildcards are quoted). */
  readonly pattern?: true;
  /** Checked when the policy is stored: what AWS calls a malformed document. */
  readonly valid?: (wanted: string) => boolean;
}

const numeric = (holds: (a: number, b: number) => boolean): Compare => (given, wanted) => {
  const [a, b] = [toNumber(given), toNumber(wanted)];
  return a !== undefined && b !== undefined && holds(a, b);
};
const date = (holds: (a: number, b: number) => boolean): Compare => (given, wanted) => {
  const [a, b] = [toTime(given), toTime(wanted)];
  return a !== undefined && b !== undefined && holds(a, b);
};

function toNumber(text: string): number | undefined {
  return /^[+-]?(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : undefined;
}

/** ISO 8601, or epoch seconds. Milliseconds. */
function toTime(text: string): number | undefined {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  return Number.isFinite(ms) ? ms : undefined;
}

const isNumber = (text: string) => text.includes('${') || toNumber(text) !== undefined;
const isTime = (text: string) => text.includes('${') || toTime(text) !== undefined;
const isBool = (text: string) => text.includes('${') || /^(true|false)$/i.test(text);
const isNetwork = (text: string) => text.includes('${') || parseNetwork(text) !== undefined;

const sameIgnoringCase: Compare = (a, b) => a.toLowerCase() === b.toLowerCase();
const same: Compare = (a, b) => a === b;
const like: Compare = (given, wanted) => matchesWildcard(wanted, given);
const arnLike: Compare = (given, wanted) => matchesArn(wanted, given);
const inNetwork: Compare = (given, wanted) => {
  const address = parseAddress(given);
  const network = parseNetwork(wanted);
  return address !== undefined && network !== undefined && address.bits === network.bits && address.value >> network.shift === network.value >> network.shift;
};

const operators: Readonly<Record<string, Operator>> = {
  StringEquals: { compare: same },
  StringNotEquals: { compare: same, not: true },
  StringEqualsIgnoreCase: { compare: sameIgnoringCase },
  StringNotEqualsIgnoreCase: { compare: sameIgnoringCase, not: true },
  StringLike: { compare: like, pattern: true },
  StringNotLike: { compare: like, pattern: true, not: true },
  NumericEquals: { compare: numeric((a, b) => a === b), valid: isNumber },
  NumericNotEquals: { compare: numeric((a, b) => a === b), not: true, valid: isNumber },
  NumericLessThan: { compare: numeric((a, b) => a < b), valid: isNumber },
  NumericLessThanEquals: { compare: numeric((a, b) => a <= b), valid: isNumber },
  NumericGreaterThan: { compare: numeric((a, b) => a > b), valid: isNumber },
  NumericGreaterThanEquals: { compare: numeric((a, b) => a >= b), valid: isNumber },
  DateEquals: { compare: date((a, b) => a === b), valid: isTime },
  DateNotEquals: { compare: date((a, b) => a === b), not: true, valid: isTime },
  DateLessThan: { compare: date((a, b) => a < b), valid: isTime },
  DateLessThanEquals: { compare: date((a, b) => a <= b), valid: isTime },
  DateGreaterThan: { compare: date((a, b) => a > b), valid: isTime },
  DateGreaterThanEquals: { compare: date((a, b) => a >= b), valid: isTime },
  Bool: { compare: sameIgnoringCase, valid: isBool },
  BinaryEquals: { compare: same },
  IpAddress: { compare: inNetwork, valid: isNetwork },
  NotIpAddress: { compare: inNetwork, not: true, valid: isNetwork },
  ArnEquals: { compare: arnLike, pattern: true },
  ArnLike: { compare: arnLike, pattern: true },
  ArnNotEquals: { compare: arnLike, pattern: true, not: true },
  ArnNotLike: { compare: arnLike, pattern: true, not: true },
};

/** Operator names are matched without regard to case, as AWS does. */
const byLowerCase = new Map(Object.entries(operators).map(([name, operator]) => [name.toLowerCase(), operator]));

export interface Condition {
  readonly key: string;
  readonly values: readonly string[];
  holds(context: Context, variables: boolean): boolean;
}

/** Compile one condition; undefined when the operator is unknown or a value is not of its type. */
export function compileCondition(name: string, key: string, values: readonly string[]): Condition | undefined {
  const parsed = /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/i.exec(name);
  if (parsed === null || key === '') return undefined;
  const [, set, bare = '', ifExists] = parsed;
  const lowerKey = key.toLowerCase();
  if (bare.toLowerCase() === 'null') {
    if (set !== undefined || ifExists !== undefined || !values.every(isBool)) return undefined;
    return { key: lowerKey, values, holds: (context) => values.some((v) => (context.values(lowerKey) === undefined) === (v.toLowerCase() === 'true')) };
  }
  const operator = byLowerCase.get(bare.toLowerCase());
  if (operator === undefined || !values.every(operator.valid ?? (() => true))) return undefined;
  const quantifier = set?.toLowerCase();
  return {
    key: lowerKey, values,
    holds: (context, variables) =>
      decide(operator, quantifier, ifExists !== undefined, context.values(lowerKey), wantedTexts(operator, values, context, variables)),
  };
}

function wantedTexts(operator: Operator, values: readonly string[], context: Context, variables: boolean): readonly string[] {
  if (!variables) return values;
  const quote = operator.pattern ? quoteWildcards : undefined;
  return values.flatMap((value) => expand(value, context, quote) ?? []);
}

function decide(operator: Operator, quantifier: string | undefined, ifExists: boolean, given: readonly string[] | undefined, wanted: readonly string[]): boolean {
  const matches = (value: string): boolean => wanted.some((text) => operator.compare(value, text));
  const satisfied = operator.not ? (value: string): boolean => !matches(value) : matches;

  if (given === undefined || given.length === 0) {
    if (quantifier !== undefined) return quantifier === 'forallvalues';
    return ifExists || operator.not === true;
  }
  if (quantifier === 'forallvalues') return given.every(satisfied);
  if (quantifier === 'foranyvalue') return given.some(satisfied);
  return operator.not ? given.every(satisfied) : given.some(satisfied);
}

/* ---- networks ------------------------------------------------------------- */

interface Address { readonly bits: 32 | 128; readonly value: bigint }

function parseAddress(text: string): Address | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  if (mapped !== undefined) return parseAddress(mapped);
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Address | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)) return undefined;
  return { bits: 32, value: parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) };
}

function parseV6(text: string): Address | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = (half: string | undefined) => (half === undefined || half === '' ? [] : half.split(':'));
  const [head, tail] = [groups(halves[0]), groups(halves[1])];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...Array<string>(missing).fill('0'), ...tail];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return { bits: 128, value: all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) };
}

function parseNetwork(text: string): (Address & { readonly shift: bigint }) | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const length = slash < 0 ? address.bits : toNumber(text.slice(slash + 1));
  if (length === undefined || !Number.isInteger(length) || length < 0 || length > address.bits) return undefined;
  return { ...address, shift: BigInt(address.bits - length) };
}
