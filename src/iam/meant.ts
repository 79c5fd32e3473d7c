/**
 * Whom a stored policy meant. A user or role that a policy names by ARN is kept by its unique id as well, which no other
 * ever has: one that is made later under the same name is somebody else, and a renamed one is still the same. Where the
 * one meant is gone, its id stands in the text, as AWS shows it.
 */
import type { Reader } from '../store/store.ts';
import { parseArn } from './arn.ts';
import { findPrincipal } from './directory.ts';
import { rowOf } from './identities.ts';
import { principalsOf, type Policy } from './policy.ts';
import { nameIn, type PrincipalRecord } from './records.ts';

/** Unique ids by ARN, as the policy writes it: AIDA…, AROA…, AROA…:SESSION. */
export type Ids = Readonly<Record<string, string>>;

/** Undefined: there is none, or nothing that has an id. */
export async function idOfArn(reader: Reader, arn: string): Promise<string | undefined> {
  const parsed = parseArn(arn);
  const [kind = '', first = '', session = ''] = parsed?.resource.split('/') ?? [];
  if (parsed?.service === 'sts' && kind === 'assumed-role') {
    const role = await findPrincipal(reader, parsed.account, 'role', first);
    return role && `${role.id}:${session}`;
  }
  if (parsed?.service !== 'iam' || (kind !== 'user' && kind !== 'role')) return undefined;
  const row = await findPrincipal(reader, parsed.account, kind, nameIn(arn));
  return row?.body.arn === arn ? row.id : undefined;
}

/** Undefined: the policy names nobody that has an id. */
export async function idsOf(reader: Reader, policy: Policy): Promise<Ids | undefined> {
  const ids: Record<string, string> = {};
  for (const entry of principalsOf(policy)) {
    const id = entry.names === 'arn' ? await idOfArn(reader, entry.arn) : undefined;
    if (entry.names === 'arn' && id !== undefined) ids[entry.arn] = id;
  }
  return Object.keys(ids).length === 0 ? undefined : ids;
}

/** The text as it is shown: with the names of today, and ids where nobody has them any more. */
export async function shownText(reader: Reader, text: string, ids: Ids | undefined): Promise<string> {
  const changed = new Map<string, string>();
  for (const [arn, id] of Object.entries(ids ?? {})) {
    const now = (await nameOf(reader, arn, id)) ?? id;
    if (now !== arn) changed.set(arn, now);
  }
  return changed.size === 0 ? text : renamed(text, changed);
}

async function nameOf(reader: Reader, arn: string, id: string): Promise<string | undefined> {
  const row = await reader.get<PrincipalRecord>('principal', rowOf(id));
  // A session is shown by its role's name, which does not change.
  return row && (rowOf(id) === id ? row.body.arn : arn);
}

interface Document {
  readonly Statement: unknown;
}

/** In the principals only: a condition's value is text. */
function renamed(text: string, names: ReadonlyMap<string, string>): string {
  const document = JSON.parse(text) as Document;
  const one = (value: unknown): unknown => (typeof value === 'string' ? names.get(value) ?? value : Array.isArray(value) ? value.map(one) : value);
  const principals = (value: unknown): unknown =>
    (typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).map(([type, list]) => [type, type === 'AWS' ? one(list) : list])) : value);
  const statement = (value: unknown): unknown =>
    Object.fromEntries(Object.entries(value as object).map(([member, inside]) => [member, member === 'Principal' || member === 'NotPrincipal' ? principals(inside) : inside]));
  const { Statement: statements } = document;
  return JSON.stringify({ ...document, Statement: Array.isArray(statements) ? statements.map(statement) : statement(statements) }, null, 2);
}
