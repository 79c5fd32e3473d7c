/** Customer managed policies: documents with versions, one of them in force. */
import type { Reader, Row } from '../store/store.ts';
import { builtInPolicies } from './builtin.ts';
import { checkedPolicy, count, weight, type Directory } from './directory.ts';
import { refused, IamError } from './errors.ts';
import { limits } from './limits.ts';
import { nameIn, policyRowId } from './records.ts';
import type { ManagedPolicyRecord, PolicyVersion, Tag } from './records.ts';

export interface NewPolicy {
  readonly name: string;
  readonly path: string;
  readonly text: string;
  readonly description: string | undefined;
  readonly tags: readonly Tag[];
}

type PolicyRow = Row<ManagedPolicyRecord>;

/** Throws NoSuchEntity; AWS's own policies are in no row. */
export async function findPolicy(reader: Reader, account: string, arn: string): Promise<PolicyRow> {
  const row = await reader.get<ManagedPolicyRecord>('policy', policyRowId(account, nameIn(arn)));
  if (row?.body.arn !== arn) throw refused.noPolicy(arn);
  return row;
}

export async function createPolicy({ store, newId }: Directory, account: string, { name, path, text, description, tags }: NewPolicy): Promise<PolicyRow> {
  checkDocument(text);
  const arn = `arn:aws:iam::${account}:policy${path}${name}`;
  const id = policyRowId(account, name);
  const record: ManagedPolicyRecord = {
    kind: 'managed', arn, policyId: newId('ANPA'), name, sortName: name.toLowerCase(), path, tags, ...(description === undefined ? {} : { description }),
    versions: [{ id: 'v1', text, createdMs: store.now() }], defaultVersion: 'v1', lastVersion: 1, attachments: 0, boundaries: 0,
  };
  await store.tx(async (tx) => {
    if ((await tx.get('policy', id)) !== undefined) throw refused.policyExists(name);
    await count(tx, account, 'managed', 1);
    tx.insert('policy', { id, account, region: '', body: record });
  });
  return await findPolicy(store, account, arn);
}

export async function deletePolicy({ store }: Directory, account: string, arn: string): Promise<void> {
  requireOwn(arn);
  await store.tx(async (tx) => {
    const row = await findPolicy(tx, account, arn);
    if (row.body.attachments + row.body.boundaries > 0) throw new IamError('DeleteConflict', 'Cannot delete a policy attached to entities.');
    if (row.body.versions.length > 1) {
      throw new IamError('DeleteConflict', "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.");
    }
    tx.delete(row);
    await count(tx, account, 'managed', -1);
  });
}

/** Read, change, write. */
export async function changePolicy({ store }: Directory, account: string, arn: string, next: (record: ManagedPolicyRecord) => ManagedPolicyRecord): Promise<void> {
  requireOwn(arn);
  await store.tx(async (tx) => {
    const row = await findPolicy(tx, account, arn);
    tx.update(row, { body: next(row.body) });
  });
}

export async function createVersion(directory: Directory, account: string, arn: string, text: string, asDefault: boolean): Promise<PolicyVersion> {
  checkDocument(text);
  let made: PolicyVersion = { id: '', text, createdMs: directory.store.now() };
  await changePolicy(directory, account, arn, (record) => {
    if (record.versions.length >= limits.versionsPerPolicy) {
      throw new IamError('LimitExceeded', 'A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.');
    }
    made = { ...made, id: `v${record.lastVersion + 1}` };
    return { ...record, versions: [made, ...record.versions], lastVersion: record.lastVersion + 1, ...(asDefault ? { defaultVersion: made.id } : {}) };
  });
  return made;
}

export async function deleteVersion(directory: Directory, account: string, arn: string, version: string): Promise<void> {
  await changePolicy(directory, account, arn, (record) => {
    versionOf(record, version);
    if (record.defaultVersion === version) throw new IamError('DeleteConflict', 'Cannot delete the default version of a policy.');
    return { ...record, versions: record.versions.filter(({ id }) => id !== version) };
  });
}

export async function setDefaultVersion(directory: Directory, account: string, arn: string, version: string): Promise<void> {
  await changePolicy(directory, account, arn, (record) => ({ ...record, defaultVersion: versionOf(record, version).id }));
}

export function versionOf(record: ManagedPolicyRecord, version: string): PolicyVersion {
  const found = record.versions.find(({ id }) => id === version);
  if (found === undefined) throw refused.noVersion(record.arn, version);
  return found;
}

function checkDocument(text: string): void {
  checkedPolicy(text, 'identity');
  if (weight(text) > limits.policyBytes) throw refused.quota('PolicySize', limits.policyBytes);
}

function requireOwn(arn: string): void {
  if (builtInPolicies.has(arn)) throw refused.denied(`Policy ${arn} is managed by AWS and cannot be changed.`);
}
