/**
 * A policy document: its grammar, checked when it is stored, and its compiled form, asked at every
 * request. Only syntax is judged here; whether a principal exists is the directory's to say.
 */
import { compileCondition, type Condition } from './conditions.ts';
import { expand, type Context } from './context.ts';
import { closeness, closenessOf, parseAwsPrincipal, type Closeness, type Principal, type PrincipalEntry } from './principal.ts';
import { matchesArn } from './arn.ts';
import { matchesWildcard, quoteWildcards } from './wildcard.ts';

export type PolicyKind = 'resource' | 'identity' | 'trust';

export class PolicyError extends Error {
  override readonly name = 'PolicyError';
}

/** A list, or everything but a list. */
interface Choice<T> {
  readonly entries: readonly T[];
  readonly not: boolean;
}

export interface Statement {
  readonly sid: string;
  readonly effect: 'Allow' | 'Deny';
  readonly principals: Choice<PrincipalEntry> | undefined;
  readonly actions: Choice<string> | undefined;
  readonly resources: Choice<string> | undefined;
  readonly conditions: readonly Condition[];
}

export interface Policy {
  readonly id: string;
  /** Since 2012-10-17 `${…}` is a variable; before, it is text. */
  readonly variables: boolean;
  readonly statements: readonly Statement[];
  /** The condition keys it asks, in lower case. */
  readonly asks: ReadonlySet<string>;
}

/* ---- reading ---------------------------------------------------------------- */

/** `ids`: of those whom it meant when it was stored, by ARN. Throws {@link PolicyError} with a sentence that says what is wrong. */
export function parsePolicy(text: string, kind: PolicyKind, ids: Readonly<Record<string, string>> = noIds): Policy {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new PolicyError('This policy contains invalid Json');
  }
  const policy = object(document, 'Syntax errors in policy.');
  onlyMembers(policy, ['Version', 'Id', 'Statement']);
  const version = policy['Version'];
  if (version !== undefined && version !== '2012-10-17' && version !== '2008-10-17') throw new PolicyError('The policy must contain a valid version string.');
  const id = policy['Id'];
  if (id !== undefined && typeof id !== 'string') throw new PolicyError('Syntax errors in policy.');
  const given = policy['Statement'];
  const statements = Array.isArray(given) ? given : given === undefined ? [] : [given];
  if (statements.length === 0) throw new PolicyError('Syntax errors in policy.');
  const read = statements.map((statement) => parseStatement(statement, kind, ids));
  return Object.freeze({
    id: id ?? '', variables: version === '2012-10-17', statements: Object.freeze(read),
    asks: new Set(read.flatMap((statement) => statement.conditions.map((condition) => condition.key))),
  });
}

const noIds: Readonly<Record<string, string>> = Object.freeze({});

function meant(entry: PrincipalEntry, ids: Readonly<Record<string, string>>): PrincipalEntry {
  const id = entry.names === 'arn' && Object.hasOwn(ids, entry.arn) ? ids[entry.arn] : undefined;
  return entry.names === 'arn' && id !== undefined ? { ...entry, id } : entry;
}

const everything: Choice<string> = Object.freeze({ entries: Object.freeze(['*']), not: false });

function parseStatement(value: unknown, kind: PolicyKind, ids: Readonly<Record<string, string>>): Statement {
  const statement = object(value, 'Syntax errors in policy.');
  onlyMembers(statement, ['Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition']);
  const { Sid: sid, Effect: effect } = statement;
  if (sid !== undefined && typeof sid !== 'string') throw new PolicyError('Syntax errors in policy.');
  if (effect !== 'Allow' && effect !== 'Deny') throw new PolicyError('Syntax errors in policy.');
  const read: Statement = {
    sid: sid ?? '', effect,
    principals: choice(statement, 'Principal', (given) => parsePrincipals(given).map((entry) => meant(entry, ids))),
    actions: choice(statement, 'Action', parseActions),
    // A trust policy lies on its role: it speaks of nothing else.
    resources: choice(statement, 'Resource', (given) => texts(given)) ?? (kind === 'trust' ? everything : undefined),
    conditions: parseConditions(statement['Condition']),
  };
  if (kind === 'identity' && read.principals !== undefined) throw new PolicyError('Policy document should not specify a principal.');
  if (kind !== 'identity' && read.principals === undefined) throw new PolicyError('Policy statement must contain a principal.');
  if (kind === 'trust' && read.resources !== everything) throw new PolicyError('Has prohibited field Resource.');
  // A key policy's statement without actions or resources is taken, and has no effect.
  if (kind !== 'resource' && read.actions === undefined) throw new PolicyError('Policy statement must contain actions.');
  if (kind === 'identity' && read.resources === undefined) throw new PolicyError('Policy statement must contain resources.');
  return Object.freeze(read);
}

function choice<T>(statement: Readonly<Record<string, unknown>>, name: string, read: (given: unknown) => readonly T[]): Choice<T> | undefined {
  const positive = statement[name];
  const negative = statement[`Not${name}`];
  if (positive !== undefined && negative !== undefined) throw new PolicyError('Syntax errors in policy.');
  if (positive !== undefined) return { entries: read(positive), not: false };
  return negative === undefined ? undefined : { entries: read(negative), not: true };
}

function parseActions(given: unknown): readonly string[] {
  const actions = texts(given).map((action) => action.toLowerCase());
  if (!actions.every((action) => action === '*' || /^[a-z0-9-]+:[a-z0-9*?]+$/.test(action))) {
    throw new PolicyError('Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.');
  }
  return actions;
}

const badPrincipal = () => new PolicyError('Policy contains a statement with one or more invalid principals.');

function parsePrincipals(given: unknown): readonly PrincipalEntry[] {
  if (given === '*') return [{ names: 'any' }];
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw badPrincipal();
  const entries = Object.entries(given).flatMap(([type, names]) => texts(names).map((name): PrincipalEntry => {
    if (type === 'AWS') {
      const entry = parseAwsPrincipal(name);
      if (entry === undefined) throw badPrincipal();
      return entry;
    }
    if (type === 'Service' && /^[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(name)) return { names: 'service', service: name };
    if (type === 'Federated' || type === 'CanonicalUser') return { names: 'other', id: name };
    throw badPrincipal();
  }));
  if (entries.length === 0) throw badPrincipal();
  return entries;
}

function parseConditions(given: unknown): readonly Condition[] {
  if (given === undefined) return [];
  return Object.entries(object(given, 'Syntax errors in policy.')).flatMap(([operator, block]) =>
    Object.entries(object(block, 'Syntax errors in policy.')).map(([key, values]) => {
      const condition = compileCondition(operator, key, scalars(values));
      if (condition === undefined) throw new PolicyError('Syntax errors in policy.');
      return condition;
    }));
}

function object(value: unknown, sentence: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new PolicyError(sentence);
  return value as Readonly<Record<string, unknown>>;
}

function onlyMembers(value: Readonly<Record<string, unknown>>, names: readonly string[]): void {
  if (!Object.keys(value).every((name) => names.includes(name))) throw new PolicyError('Syntax errors in policy.');
}

function texts(value: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!all.every((item) => typeof item === 'string')) throw new PolicyError('Syntax errors in policy.');
  return all;
}

/** Condition values may be written as JSON numbers and booleans. */
function scalars(value: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!all.every((item) => ['string', 'number', 'boolean'].includes(typeof item))) throw new PolicyError('Syntax errors in policy.');
  return all.map(String);
}

/* ---- asking ------------------------------------------------------------------ */

/** How closely the statement's principals name this one; without a Principal element, exactly. */
export function principalCloseness(statement: Statement, principal: Principal): Closeness {
  const { principals } = statement;
  if (principals === undefined) return closeness.exact;
  let closest: Closeness = closeness.none;
  for (const entry of principals.entries) {
    const found = closenessOf(entry, principal);
    if (found > closest) closest = found;
  }
  if (!principals.not) return closest;
  // NotPrincipal: an account in the list spares its root from a Deny, but its users only by their own names.
  const spared = statement.effect === 'Deny' ? closest > closeness.account : closest > closeness.none;
  return spared ? closeness.none : closeness.any;
}

/** Does the statement speak of this action on this resource, in this context? `action` in lower case. */
export function speaksOf(statement: Statement, policy: Policy, action: string, resource: string, context: Context): boolean {
  return matchesAction(statement, action) && matchesResource(statement, policy, resource, context) &&
    statement.conditions.every((condition) => condition.holds(context, policy.variables));
}

function matchesAction({ actions }: Statement, action: string): boolean {
  if (actions === undefined) return false;
  return actions.entries.some((pattern) => pattern === '*' || pattern === action || matchesWildcard(pattern, action)) !== actions.not;
}

function matchesResource({ resources }: Statement, policy: Policy, resource: string, context: Context): boolean {
  if (resources === undefined) return false;
  const matched = resources.entries.some((pattern) => {
    if (pattern === '*') return true;
    const filled = policy.variables ? expand(pattern, context, quoteWildcards) : pattern;
    return filled !== undefined && (filled === resource || matchesArn(filled, resource));
  });
  return matched !== resources.not;
}

/** Principals a document names, for the check that they exist and for sharing a key's partition. */
export function principalsOf(policy: Policy): readonly PrincipalEntry[] {
  return policy.statements.flatMap((statement) => statement.principals?.entries ?? []);
}
