/**
 * Users, groups and roles at rest. A principal is one row with all that speaks for it, found by its
 * unique id; its name is a row that points there, so that a name can change and nothing else must. What
 * others must find by (a group's members, a policy's holders) are link rows, counted in the row they
 * point to: nothing can be taken away while somebody takes hold of it.
 */
import type { Reader, Row, Store, Tx } from '../store/store.ts';
import { builtInPolicies } from './builtin.ts';
import { refused } from './errors.ts';
import { limits } from './limits.ts';
import { parsePolicy, PolicyError, type Policy, type PolicyKind } from './policy.ts';
import { censusRowId, linkRowId, nameIn, nameRowId, policyRowId } from './records.ts';
import type { CensusRecord, CredentialRecord, LinkRecord, ManagedPolicyRecord, NameRecord, PrincipalKind, PrincipalRecord, RecordOf, RoleRecord, UserRecord } from './records.ts';

const prefixes: Readonly<Record<PrincipalKind, string>> = { user: 'AIDA', group: 'AGPA', role: 'AROA' };
const noCensus: CensusRecord = { user: 0, group: 0, role: 0, managed: 0 };

export class Directory {
  readonly store: Store;
  readonly newId: (prefix: string) => string;

  /** newId: a fresh id that begins so. */
  constructor(store: Store, newId: (prefix: string) => string) {
    this.store = store;
    this.newId = newId;
  }

  /** Throws NoSuchEntity. */
  async find<K extends PrincipalKind>(account: string, kind: K, name: string, reader: Reader = this.store): Promise<Row<RecordOf<K>>> {
    const row = await findPrincipal(reader, account, kind, name);
    if (row === undefined) throw refused.noSuch(kind, name);
    return row;
  }

  async create<K extends PrincipalKind>(account: string, kind: K, record: RecordOf<K>): Promise<Row<RecordOf<K>>> {
    const id = this.newId(prefixes[kind]);
    await this.store.tx((tx) => insertPrincipal(tx, account, id, record));
    return (await this.store.get<RecordOf<K>>('principal', id)) ?? gone(kind, record.name);
  }

  /** Read, change, write; `next` may throw and may use the transaction. Undefined: leave it. */
  async change<K extends PrincipalKind>(
    account: string, kind: K, name: string,
    next: (record: RecordOf<K>, tx: Tx, row: Row<RecordOf<K>>) => Promise<RecordOf<K> | undefined> | RecordOf<K> | undefined,
  ): Promise<void> {
    await this.store.tx(async (tx) => {
      const row = await this.find(account, kind, name, tx);
      const body = await next(row.body, tx, row);
      if (body !== undefined) tx.update(row, { body });
    });
  }

  async rename<K extends 'user' | 'group'>(account: string, kind: K, name: string, to: { readonly name?: string | undefined; readonly path?: string | undefined }): Promise<void> {
    await this.change(account, kind, name, async (record, tx, row) => {
      const next = named(record, account, to.name ?? record.name, to.path ?? record.path);
      if (next.sortName !== record.sortName) {
        const taken = await tx.get<NameRecord>('name', nameRowId(account, kind, next.name));
        if (taken !== undefined) throw refused.exists(kind, next.name);
        const held = await tx.get<NameRecord>('name', nameRowId(account, kind, record.name));
        if (held !== undefined) tx.delete(held);
        tx.insert<NameRecord>('name', { id: nameRowId(account, kind, next.name), account, region: '', body: { to: row.id } });
      }
      for (const id of next.kind === 'user' ? next.keys : []) {
        const key = await tx.get<CredentialRecord>('credential', id);
        if (key !== undefined) tx.update(key, { body: { ...key.body, principal: next.arn, userName: next.name } });
      }
      return next;
    });
  }

  /** Throws DeleteConflict while something depends on it. */
  async remove(account: string, kind: PrincipalKind, name: string): Promise<void> {
    await this.store.tx(async (tx) => {
      const row = await this.find<PrincipalKind>(account, kind, name, tx);
      const { body } = row;
      if (body.kind === 'user' && body.keys.length > 0) throw refused.conflict('delete access keys');
      if (body.attached.length > 0) throw refused.conflict('detach all policies');
      if (Object.keys(body.inline).length > 0) throw refused.conflict('delete policies');
      if (body.kind === 'user' && body.groups.length > 0) throw refused.conflict('remove user from groups');
      if (body.kind === 'group' && body.members > 0) throw refused.conflict('remove users from group');
      if (body.kind !== 'group' && body.boundary !== undefined) await letGo(tx, row, body.boundary, 'boundary');
      const held = await tx.get<NameRecord>('name', nameRowId(account, kind, body.name));
      if (held !== undefined) tx.delete(held);
      tx.delete(row);
      await count(tx, account, kind, -1);
    });
  }

  /* ---- groups ------------------------------------------------------------------- */

  async join(account: string, group: string, user: string): Promise<void> {
    await this.change(account, 'user', user, async (record, tx, row) => {
      const to = await this.find(account, 'group', group, tx);
      if (record.groups.includes(to.id)) return undefined;
      if (record.groups.length >= limits.groupsPerUser) throw refused.quota('GroupsPerUser', limits.groupsPerUser);
      tx.update(to, { body: { ...to.body, members: to.body.members + 1 } });
      tx.insert<LinkRecord>('link', { id: linkRowId(to.id, row.id, 'member'), account, region: '', body: { to: to.id, how: 'member', from: row.id } });
      return { ...record, groups: [...record.groups, to.id] };
    });
  }

  async leave(account: string, group: string, user: string): Promise<void> {
    await this.change(account, 'user', user, async (record, tx, row) => {
      const to = await this.find(account, 'group', group, tx);
      if (!record.groups.includes(to.id)) throw refused.noSuch('user', user);
      tx.update(to, { body: { ...to.body, members: to.body.members - 1 } });
      await unlink(tx, to.id, row.id, 'member');
      return { ...record, groups: record.groups.filter((id) => id !== to.id) };
    });
  }

  /* ---- policies of a principal ---------------------------------------------------- */

  async attach(account: string, kind: PrincipalKind, name: string, policy: string): Promise<void> {
    await this.change<PrincipalKind>(account, kind, name, async (record, tx, row) => {
      if (record.attached.includes(policy)) return undefined;
      if (record.attached.length >= limits.attachedPolicies) throw refused.quota(`PoliciesPer${kind.charAt(0).toUpperCase()}${kind.slice(1)}`, limits.attachedPolicies);
      await takeHold(tx, account, row.id, policy, 'attached');
      return { ...record, attached: [...record.attached, policy] };
    });
  }

  async detach(account: string, kind: PrincipalKind, name: string, policy: string): Promise<void> {
    await this.change<PrincipalKind>(account, kind, name, async (record, tx, row) => {
      if (!record.attached.includes(policy)) throw refused.noPolicy(policy);
      await letGo(tx, row, policy, 'attached');
      return { ...record, attached: record.attached.filter((arn) => arn !== policy) };
    });
  }

  /** Undefined takes it away. */
  async bound(account: string, kind: 'user' | 'role', name: string, policy: string | undefined): Promise<void> {
    await this.change<'user' | 'role'>(account, kind, name, async (record, tx, row) => {
      const { boundary, ...free } = record as RoleRecord;
      if (policy === boundary) {
        if (policy === undefined) throw refused.noSuch(`${kind} permissions boundary`, name);
        return undefined;
      }
      if (boundary !== undefined) await letGo(tx, row, boundary, 'boundary');
      if (policy === undefined) return free;
      await takeHold(tx, account, row.id, policy, 'boundary');
      return { ...record, boundary: policy };
    });
  }

  async putInline(account: string, kind: PrincipalKind, name: string, policy: string, text: string): Promise<void> {
    checkedPolicy(text, 'identity');
    await this.change<PrincipalKind>(account, kind, name, (record) => {
      const inline = { ...record.inline, [policy]: text };
      const size = Object.values(inline).reduce((sum, one) => sum + weight(one), 0);
      if (size > limits.inlineBytes[kind]) throw refused.quota('PolicySize', limits.inlineBytes[kind]);
      return { ...record, inline };
    });
  }

  async deleteInline(account: string, kind: PrincipalKind, name: string, policy: string): Promise<void> {
    await this.change<PrincipalKind>(account, kind, name, (record) => {
      if (!Object.hasOwn(record.inline, policy)) throw refused.noSuch(`${kind} policy`, policy);
      return { ...record, inline: Object.fromEntries(Object.entries(record.inline).filter(([given]) => given !== policy)) };
    });
  }

  async census(account: string): Promise<CensusRecord> {
    return (await this.store.get<CensusRecord>('counter', censusRowId(account)))?.body ?? noCensus;
  }
}

function gone(kind: string, name: string): never {
  throw refused.noSuch(kind, name);
}

/* ---- rows ------------------------------------------------------------------------ */

export async function findPrincipal<K extends PrincipalKind>(reader: Reader, account: string, kind: K, name: string): Promise<Row<RecordOf<K>> | undefined> {
  const held = await reader.get<NameRecord>('name', nameRowId(account, kind, name));
  return held && (await reader.get<RecordOf<K>>('principal', held.body.to));
}

/** Throws EntityAlreadyExists. */
export async function insertPrincipal<K extends PrincipalKind>(tx: Tx, account: string, id: string, record: RecordOf<K>): Promise<void> {
  const key = nameRowId(account, record.kind, record.name);
  if ((await tx.get<NameRecord>('name', key)) !== undefined) throw refused.exists(record.kind, record.name);
  await count(tx, account, record.kind, 1);
  if (record.kind !== 'group' && record.boundary !== undefined) await takeHold(tx, account, id, record.boundary, 'boundary');
  tx.insert<NameRecord>('name', { id: key, account, region: '', body: { to: id } });
  tx.insert<PrincipalRecord>('principal', { id, account, region: '', body: record });
}

/** The same record under another name and path. */
export function named<R extends PrincipalRecord>(record: R, account: string, name: string, path: string): R {
  return { ...record, name, path, sortName: name.toLowerCase(), arn: `arn:aws:iam::${account}:${record.kind}${path}${name}` };
}

export function newUser(account: string, name: string, path = '/'): UserRecord {
  return named({ kind: 'user', name, sortName: '', path, arn: '', inline: {}, attached: [], tags: [], groups: [], keys: [] }, account, name, path);
}

/** One more or fewer of a kind; throws LimitExceeded. */
export async function count(tx: Tx, account: string, kind: keyof CensusRecord, by: 1 | -1): Promise<void> {
  const id = censusRowId(account);
  const row = await tx.get<CensusRecord>('counter', id);
  const now = row?.body ?? noCensus;
  const next = { ...now, [kind]: now[kind] + by };
  const { name, most } = limits.perAccount[kind];
  if (by > 0 && next[kind] > most) throw refused.quota(name, most);
  if (row === undefined) tx.insert<CensusRecord>('counter', { id, account, region: '', body: next });
  else tx.update(row, { body: next });
}

/** A principal takes hold of a managed policy; throws NoSuchEntity. */
async function takeHold(tx: Tx, account: string, from: string, arn: string, how: 'attached' | 'boundary'): Promise<void> {
  const to = policyRowId(account, builtInPolicies.has(arn) ? arn : nameIn(arn));
  if (!builtInPolicies.has(arn)) {
    const row = await tx.get<ManagedPolicyRecord>('policy', to);
    if (row?.body.arn !== arn) throw refused.notAttachable(arn);
    tx.update(row, { body: held(row.body, how, 1) });
  }
  tx.insert<LinkRecord>('link', { id: linkRowId(to, from, how), account, region: '', body: { to, how, from } });
}

async function letGo(tx: Tx, { id, account }: Row<unknown>, arn: string, how: 'attached' | 'boundary'): Promise<void> {
  const to = policyRowId(account, builtInPolicies.has(arn) ? arn : nameIn(arn));
  const row = builtInPolicies.has(arn) ? undefined : await tx.get<ManagedPolicyRecord>('policy', to);
  if (row !== undefined) tx.update(row, { body: held(row.body, how, -1) });
  await unlink(tx, to, id, how);
}

function held(record: ManagedPolicyRecord, how: 'attached' | 'boundary', by: number): ManagedPolicyRecord {
  return how === 'attached' ? { ...record, attachments: record.attachments + by } : { ...record, boundaries: record.boundaries + by };
}

async function unlink(tx: Tx, to: string, from: string, how: LinkRecord['how']): Promise<void> {
  const link = await tx.get<LinkRecord>('link', linkRowId(to, from, how));
  if (link !== undefined) tx.delete(link);
}

/* ---- documents -------------------------------------------------------------------- */

/** AWS counts what is not white space. */
export const weight = (text: string): number => text.replaceAll(/\s/g, '').length;

/** Throws MalformedPolicyDocument. */
export function checkedPolicy(text: string, kind: PolicyKind): Policy {
  try {
    return parsePolicy(text, kind);
  } catch (error) {
    if (error instanceof PolicyError) throw refused.malformed(error.message);
    throw error;
  }
}
