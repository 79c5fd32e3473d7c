/**
 * A caller's own side: the policies that speak for it, and whether a principal that a policy names
 * exists. What was compiled is kept with the rows it came from; the store gives the same object while a
 * row does not change, so a request costs a few look-ups in memory.
 */
import type { Reader, Row, Store } from '../store/store.ts';
import { parseArn } from './arn.ts';
import { builtInPolicies } from './builtin.ts';
import { findPrincipal } from './directory.ts';
import { parsePolicy, type Policy } from './policy.ts';
import { nameIn, policyRowId } from './records.ts';
import type { GroupRecord, ManagedPolicyRecord, PrincipalRecord } from './records.ts';
import type { Principal, PrincipalEntry } from './principal.ts';

export interface Identity {
  readonly policies: readonly Policy[];
  readonly boundary?: Policy;
  /** Of the caller's session: one of them must allow. */
  readonly session?: readonly Policy[];
}

/** How the caller came: whose row speaks for it, and what its session leaves of that. */
export interface Acting {
  /** AIDA…, or AROA…:SESSION. */
  readonly principalId: string;
  readonly sessionPolicies?: readonly Policy[];
}

export interface Identities {
  /** The root of an account needs no policy: callers do not ask for it. */
  of(principal: Principal, acting: Acting): Promise<Identity> | Identity;
  exists(entry: PrincipalEntry): Promise<boolean> | boolean;
}

/** A policy and where it came from, for whoever wants to know which one decided. */
export interface SourcedPolicy {
  readonly id: string;
  readonly kind: 'user' | 'group' | 'role' | 'managed' | 'none';
  readonly text: string;
  readonly policy: Policy;
}

export interface SourcedIdentity {
  readonly policies: readonly SourcedPolicy[];
  readonly boundary?: SourcedPolicy;
}

interface Compiled {
  readonly rows: readonly Row<unknown>[];
  readonly identity: Identity;
}

const nothing: Identity = Object.freeze({ policies: Object.freeze([]) });
const kept = 10_000;

/** The row that speaks for a principal id. */
export const rowOf = (principalId: string): string => {
  const colon = principalId.indexOf(':');
  return colon < 0 ? principalId : principalId.slice(0, colon);
};

export class StoredIdentities implements Identities {
  readonly #store: Store;
  readonly #compiled = new Map<string, Compiled>();

  constructor(store: Store) {
    this.#store = store;
  }

  of(principal: Principal, acting: Acting): Promise<Identity> | Identity {
    const { sessionPolicies: session } = acting;
    if (principal.kind === 'root') return session === undefined ? nothing : { ...nothing, session };
    const id = rowOf(acting.principalId);
    const known = this.#compiled.get(id);
    if (known !== undefined && known.rows.every((row) => this.#store.peek(row.table, row.id) === row)) return within(known.identity, session);
    return this.#compile(id).then((identity) => within(identity, session));
  }

  async exists(entry: PrincipalEntry): Promise<boolean> {
    if (entry.names === 'account') return (await this.#store.get('account', entry.account)) !== undefined;
    return entry.names === 'arn' ? await existsArn(this.#store, entry.arn) : true;
  }

  async #compile(id: string): Promise<Identity> {
    const rows: Row<unknown>[] = [];
    const row = await this.#store.get<PrincipalRecord>('principal', id);
    if (row === undefined) {
      this.#compiled.delete(id);
      return nothing;
    }
    const found = await sourcedIdentity(this.#store, row, rows);
    const policies = found.policies.map(({ policy }) => policy);
    const identity: Identity = Object.freeze(found.boundary === undefined ? { policies } : { policies, boundary: found.boundary.policy });
    if (this.#compiled.size >= kept) this.#compiled.clear();
    this.#compiled.set(id, { rows, identity });
    return identity;
  }
}

const within = (identity: Identity, session: readonly Policy[] | undefined): Identity => (session === undefined ? identity : { ...identity, session });

/** All that speaks for a principal; `rows` gets what was read. */
export async function sourcedIdentity(reader: Reader, row: Row<PrincipalRecord>, rows: Row<unknown>[] = []): Promise<SourcedIdentity> {
  const { body } = row;
  rows.push(row);
  const policies = [...inlineOf(row), ...(await attachedTo(reader, row, rows))];
  for (const id of body.kind === 'user' ? body.groups : []) {
    const group = await reader.get<GroupRecord>('principal', id);
    if (group === undefined) continue;
    rows.push(group);
    policies.push(...inlineOf(group), ...(await attachedTo(reader, group, rows)));
  }
  const boundary = body.kind === 'group' || body.boundary === undefined ? undefined : await managed(reader, row.account, body.boundary, rows);
  // A boundary that cannot be found bounds everything away.
  return body.kind !== 'group' && body.boundary !== undefined ? { policies, boundary: boundary ?? nothingAllowed } : { policies };
}

const denyAll = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}';
const nothingAllowed: SourcedPolicy = { id: 'missing', kind: 'managed', text: denyAll, policy: parsePolicy(denyAll, 'identity') };

/** Inline policies compiled once a row. */
const inlineCompiled = new WeakMap<Row<PrincipalRecord>, readonly SourcedPolicy[]>();
const managedCompiled = new WeakMap<Row<ManagedPolicyRecord>, SourcedPolicy>();

function inlineOf(row: Row<PrincipalRecord>): readonly SourcedPolicy[] {
  const known = inlineCompiled.get(row);
  if (known !== undefined) return known;
  const { kind, name, inline } = row.body;
  const compiled = Object.entries(inline).map(([policy, text]): SourcedPolicy => ({ id: `${kind}_${name}_${policy}`, kind, text, policy: parsePolicy(text, 'identity') }));
  inlineCompiled.set(row, compiled);
  return compiled;
}

async function attachedTo(reader: Reader, row: Row<PrincipalRecord>, rows: Row<unknown>[]): Promise<readonly SourcedPolicy[]> {
  const found: SourcedPolicy[] = [];
  for (const arn of row.body.attached) {
    const policy = await managed(reader, row.account, arn, rows);
    if (policy !== undefined) found.push(policy);
  }
  return found;
}

/** A managed policy's default version. */
export async function managed(reader: Reader, account: string, arn: string, rows: Row<unknown>[] = []): Promise<SourcedPolicy | undefined> {
  const own = builtInPolicies.get(arn);
  if (own !== undefined) return { id: own.name, kind: 'managed', text: own.text, policy: own.policy };
  const row = await reader.get<ManagedPolicyRecord>('policy', policyRowId(account, nameIn(arn)));
  if (row?.body.arn !== arn) return undefined;
  rows.push(row);
  const known = managedCompiled.get(row);
  if (known !== undefined) return known;
  const text = row.body.versions.find((version) => version.id === row.body.defaultVersion)?.text ?? denyAll;
  const compiled: SourcedPolicy = { id: row.body.name, kind: 'managed', text, policy: parsePolicy(text, 'identity') };
  managedCompiled.set(row, compiled);
  return compiled;
}

/** A user or role by its whole ARN, path included; a session by its role. */
export async function existsArn(reader: Reader, arn: string): Promise<boolean> {
  const parsed = parseArn(arn);
  if (parsed === undefined) return false;
  const [kind = '', first = ''] = parsed.resource.split('/');
  if (parsed.service === 'sts') {
    if (kind !== 'assumed-role') return (await reader.get('account', parsed.account)) !== undefined;
    return (await findPrincipal(reader, parsed.account, 'role', first)) !== undefined;
  }
  if (kind !== 'user' && kind !== 'role') return false;
  return (await findPrincipal(reader, parsed.account, kind, nameIn(arn)))?.body.arn === arn;
}
