/** An IAM action is a value: what it reads, on what it acts, what it does. The way through is the same for all. */
import type { Directory } from '../../iam/directory.ts';
import { findPrincipal } from '../../iam/directory.ts';
import { IamError, refused } from '../../iam/errors.ts';
import type { PrincipalKind, Tag } from '../../iam/records.ts';
import type { Core } from '../../hsm/core.ts';
import type { Markers } from '../../kms/marker.ts';
import type { IndexName, Row, Store, Table } from '../../store/store.ts';
import type { Accounts } from '../accounts.ts';
import type { Credentials } from '../credentials.ts';
import { Fields } from '../fields.ts';
import type { Facts, Gate } from '../gate.ts';
import type { Action, ActionCall, Xml } from '../query.ts';

/** What IAM stands on. */
export interface IamParts {
  readonly core: Core;
  readonly store: Store;
  readonly directory: Directory;
  readonly accounts: Accounts;
  readonly credentials: Pick<Credentials, 'lastUse'>;
  readonly gate: Gate;
  readonly markers: Markers;
}

export interface IamCall extends IamParts {
  readonly call: ActionCall;
  readonly account: string;
}

/** On what an action acts, and what conditions may ask about it. */
export interface Target {
  readonly arn: string;
  readonly facts?: Facts;
}

export interface IamAction<I> {
  readonly readOnly?: true;
  read(fields: Fields, at: IamCall): I;
  target(input: I, at: IamCall): Promise<Target> | Target;
  run(input: I, at: IamCall): Promise<Xml | undefined>;
  /** Members that the trail is not to show. */
  readonly unsaid?: readonly string[];
}

/** The way through: read, note, ask, run. */
export function bind<I extends object>(name: string, action: IamAction<I>, parts: IamParts): Action {
  const readOnly = action.readOnly === true;
  return {
    readOnly,
    async run(call) {
      const at: IamCall = { ...parts, call, account: call.caller.account };
      // What GetSessionToken gave out does not manage identities.
      if (call.caller.roleArn === undefined && call.caller.accessKeyId.startsWith('ASIA')) throw new IamError('InvalidClientTokenId', 'The security token included in the request is invalid');
      const input = action.read(new Fields(call.form), at);
      call.note(camelled(input, action.unsaid));
      const { arn, facts } = await action.target(input, at);
      await parts.gate.check(call, `iam:${name}`, arn, facts);
      const result = await action.run(input, at);
      return { ...(result === undefined ? {} : { result }), ...(readOnly || result === undefined ? {} : { response: camelled(result) }) };
    },
  };
}

/** For the trail: names in lower camel case, secrets left out. */
export function camelled(value: unknown, unsaid: readonly string[] = []): unknown {
  if (Array.isArray(value)) return value.map((one: unknown) => camelled(one));
  if (typeof value !== 'object' || value === null) return value;
  if ('release' in value) return undefined;
  const told: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) if (item !== undefined && !unsaid.includes(name)) told[name.charAt(0).toLowerCase() + name.slice(1)] = camelled(item);
  return Object.keys(told).length === 0 ? undefined : told;
}

/* ---- targets ------------------------------------------------------------------- */

/** A principal by name; one that is not there has the ARN that it would have. */
export async function targetOf({ store, account }: IamCall, kind: PrincipalKind, name: string | undefined, facts: Facts = {}): Promise<Target> {
  if (name === undefined) return { arn: `arn:aws:iam::${account}:root`, facts };
  const row = await findPrincipal<PrincipalKind>(store, account, kind, name);
  if (row === undefined) return { arn: `arn:aws:iam::${account}:${kind}/${name}`, facts };
  const { body } = row;
  const own: Facts = body.kind === 'group' ? {} : { 'iam:PermissionsBoundary': body.boundary, ...tagFacts('aws:ResourceTag', body.tags), ...tagFacts('iam:ResourceTag', body.tags) };
  return { arn: body.arn, facts: { ...own, ...facts } };
}

export function tagFacts(prefix: string, tags: readonly Tag[]): Facts {
  return Object.fromEntries(tags.map(({ Key, Value }) => [`${prefix}/${Key}`, Value]));
}

/** What a request that brings tags says of itself. */
export function requestTags(tags: readonly Tag[]): Facts {
  return tags.length === 0 ? {} : { ...tagFacts('aws:RequestTag', tags), 'aws:TagKeys': tags.map(({ Key }) => Key) };
}

/** The whole account: `arn:aws:iam::ACCOUNT:user/` for lists of users. */
export const allOf = ({ account }: IamCall, kind: string): Target => ({ arn: `arn:aws:iam::${account}:${kind}/` });

/** A user that a request leaves out is the caller. */
export function selfOr(fields: Fields, at: IamCall): string | undefined {
  return fields.optionalName('UserName') ?? at.call.caller.userName;
}

/* ---- pages ---------------------------------------------------------------------- */

export interface Paging {
  readonly Marker: string | undefined;
  readonly MaxItems: number | undefined;
}

export const paging = (fields: Fields): Paging => ({ Marker: fields.sized('Marker', 1, 4096), MaxItems: fields.number('MaxItems', 1, 1000) });

const usualPage = 100;

interface Shown {
  readonly items: readonly Xml[];
  readonly more: { readonly [element: string]: Xml };
}

/** One page of an index, without what `show` leaves out. */
export async function page<T>(
  at: IamCall, scope: string, table: Table, index: IndexName, equals: readonly string[], { Marker, MaxItems }: Paging,
  show: (row: Row<T>) => Promise<Xml | undefined> | Xml | undefined,
): Promise<Shown> {
  const items: Xml[] = [];
  const most = MaxItems ?? usualPage;
  let after = opened(at, scope, Marker);
  do {
    const found = await at.store.list<T>(table, { index, equals, limit: most - items.length, ...(after === undefined ? {} : { after }) });
    for (const row of found.rows) {
      const shown = await show(row);
      if (shown !== undefined) items.push(shown);
    }
    after = found.next;
  } while (after !== undefined && items.length < most);
  return { items, more: after === undefined ? { IsTruncated: false } : { IsTruncated: true, Marker: at.markers.make(scopeOf(at, scope), after) } };
}

/** A page of a short list that is at hand, in the order of its names. */
export function slice<T>(at: IamCall, scope: string, all: readonly T[], nameOf: (item: T) => string, { Marker, MaxItems }: Paging, show: (item: T) => Xml): Shown {
  const most = MaxItems ?? usualPage;
  const after = opened(at, scope, Marker);
  const rest = [...all].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)).filter((item) => after === undefined || nameOf(item) > after);
  const items = rest.slice(0, most);
  const last = items[items.length - 1];
  return {
    items: items.map(show),
    more: rest.length <= most || last === undefined ? { IsTruncated: false } : { IsTruncated: true, Marker: at.markers.make(scopeOf(at, scope), nameOf(last)) },
  };
}

const scopeOf = ({ account }: IamCall, scope: string): string => `iam/${account}/${scope}`;

function opened(at: IamCall, scope: string, marker: string | undefined): string | undefined {
  try {
    return at.markers.open(scopeOf(at, scope), marker);
  } catch {
    throw refused.invalid('Invalid Marker.');
  }
}

/* ---- elements --------------------------------------------------------------------- */

export const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** Documents go out percent-encoded. */
export const document = (text: string): string => encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

export const tagList = (tags: readonly Tag[]): Xml => (tags.length === 0 ? undefined : tags.map(({ Key, Value }) => ({ Key, Value })));

export const boundaryOf = (arn: string | undefined): Xml => (arn === undefined ? undefined : { PermissionsBoundaryType: 'Policy', PermissionsBoundaryArn: arn });
