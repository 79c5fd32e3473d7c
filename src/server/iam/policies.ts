/** Managed policies and their versions, and who holds them. */
import { builtInPolicies, type BuiltInPolicy } from '../../iam/builtin.ts';
import { refused } from '../../iam/errors.ts';
import { changePolicy, createPolicy, createVersion, deletePolicy, deleteVersion, findPolicy, setDefaultVersion, versionOf } from '../../iam/managed.ts';
import { limits } from '../../iam/limits.ts';
import { nameIn, policyRowId } from '../../iam/records.ts';
import type { LinkRecord, ManagedPolicyRecord, PolicyVersion, PrincipalRecord, Tag } from '../../iam/records.ts';
import type { Row } from '../../store/store.ts';
import type { Xml } from '../query.ts';
import { allOf, document, page, paging, requestTags, slice, tagFacts, tagList, time, type IamAction, type IamCall, type Paging, type Target } from './action.ts';

export function policyXml({ body, createdMs, updatedMs }: Row<ManagedPolicyRecord>, whole: boolean): { readonly [element: string]: Xml } {
  return {
    PolicyName: body.name, PolicyId: body.policyId, Arn: body.arn, Path: body.path, DefaultVersionId: body.defaultVersion,
    AttachmentCount: body.attachments, PermissionsBoundaryUsageCount: body.boundaries, IsAttachable: true,
    CreateDate: time(createdMs), UpdateDate: time(updatedMs),
    ...(whole ? { Description: body.description, Tags: tagList(body.tags) } : {}),
  };
}

/** When AWS made most of them. */
const builtInDate = '2015-02-06T18:39:46Z';

function builtInXml({ arn, name, policyId, description }: BuiltInPolicy, whole: boolean): Xml {
  return {
    PolicyName: name, PolicyId: policyId, Arn: arn, Path: '/', DefaultVersionId: 'v1', IsAttachable: true,
    CreateDate: builtInDate, UpdateDate: builtInDate, ...(whole ? { Description: description } : {}),
  };
}

export function versionXml(version: PolicyVersion, isDefault: boolean, withDocument: boolean): Xml {
  return { ...(withDocument ? { Document: document(version.text) } : {}), VersionId: version.id, IsDefaultVersion: isDefault, CreateDate: time(version.createdMs) };
}

async function policyTarget({ store, account }: IamCall, arn: string): Promise<Target> {
  const row = await store.get<ManagedPolicyRecord>('policy', policyRowId(account, nameIn(arn)));
  return row?.body.arn === arn ? { arn, facts: { ...tagFacts('aws:ResourceTag', row.body.tags), ...tagFacts('iam:ResourceTag', row.body.tags) } } : { arn };
}

/* ---- policies ------------------------------------------------------------------------ */

interface NewPolicyInput {
  readonly PolicyName: string;
  readonly Path: string;
  readonly PolicyDocument: string;
  readonly Description: string | undefined;
  readonly Tags: readonly Tag[];
}

const create: IamAction<NewPolicyInput> = {
  read: (fields) => ({
    PolicyName: fields.name('PolicyName'), Path: fields.path() ?? '/', PolicyDocument: fields.document('PolicyDocument'),
    Description: fields.sized('Description', 0, 1000), Tags: fields.tags(),
  }),
  target: ({ PolicyName, Path, Tags }, { account }) => ({ arn: `arn:aws:iam::${account}:policy${Path}${PolicyName}`, facts: requestTags(Tags) }),
  async run({ PolicyName: name, Path: path, PolicyDocument: text, Description: description, Tags: tags }, { directory, account }) {
    return { Policy: policyXml(await createPolicy(directory, account, { name, path, text, description, tags }), true) };
  },
};

const get: IamAction<{ readonly PolicyArn: string }> = {
  readOnly: true,
  read: (fields) => ({ PolicyArn: fields.arn('PolicyArn') }),
  target: ({ PolicyArn }, at) => policyTarget(at, PolicyArn),
  async run({ PolicyArn }, { store, account }) {
    const own = builtInPolicies.get(PolicyArn);
    return { Policy: own === undefined ? policyXml(await findPolicy(store, account, PolicyArn), true) : builtInXml(own, true) };
  },
};

interface ListPolicies extends Paging {
  readonly Scope: string;
  readonly OnlyAttached: boolean;
  readonly PathPrefix: string;
}

const list: IamAction<ListPolicies> = {
  readOnly: true,
  read: (fields) => ({
    Scope: fields.text('Scope') === undefined ? 'All' : fields.oneOf('Scope', 'All', 'AWS', 'Local'), OnlyAttached: fields.flag('OnlyAttached'),
    PathPrefix: fields.text('PathPrefix') === undefined ? '/' : fields.pathPrefix(), ...paging(fields),
  }),
  target: (_, at) => allOf(at, 'policy'),
  async run(input, at) {
    // AWS's own are few: they come with the first page.
    const own = input.Scope === 'Local' || input.OnlyAttached || input.Marker !== undefined || input.PathPrefix !== '/' ? [] : [...builtInPolicies.values()].map((one) => builtInXml(one, false));
    if (input.Scope === 'AWS') return { Policies: own, IsTruncated: false };
    const room = { ...input, MaxItems: Math.max(1, (input.MaxItems ?? 100) - own.length) };
    const { items, more } = await page<ManagedPolicyRecord>(at, `policies${input.PathPrefix}${input.OnlyAttached}`, 'policy', 'policy.account', [at.account, 'managed'], room,
      (row) => (row.body.path.startsWith(input.PathPrefix) && (!input.OnlyAttached || row.body.attachments + row.body.boundaries > 0) ? policyXml(row, false) : undefined));
    return { Policies: [...own, ...items], ...more };
  },
};

const remove: IamAction<{ readonly PolicyArn: string }> = {
  read: (fields) => ({ PolicyArn: fields.arn('PolicyArn') }),
  target: ({ PolicyArn }, at) => policyTarget(at, PolicyArn),
  async run({ PolicyArn }, { directory, account }) {
    await deletePolicy(directory, account, PolicyArn);
    return undefined;
  },
};

/* ---- versions -------------------------------------------------------------------------- */

const createPolicyVersion: IamAction<{ readonly PolicyArn: string; readonly PolicyDocument: string; readonly SetAsDefault: boolean }> = {
  read: (fields) => ({ PolicyArn: fields.arn('PolicyArn'), PolicyDocument: fields.document('PolicyDocument'), SetAsDefault: fields.flag('SetAsDefault') }),
  target: ({ PolicyArn }, at) => policyTarget(at, PolicyArn),
  async run({ PolicyArn, PolicyDocument, SetAsDefault }, { directory, account }) {
    return { PolicyVersion: versionXml(await createVersion(directory, account, PolicyArn, PolicyDocument, SetAsDefault), SetAsDefault, false) };
  },
};

interface OneVersion {
  readonly PolicyArn: string;
  readonly VersionId: string;
}

const builtInVersion = (own: BuiltInPolicy): PolicyVersion => ({ id: 'v1', text: own.text, createdMs: Date.parse(builtInDate) });

const getPolicyVersion: IamAction<OneVersion> = {
  readOnly: true,
  read: (fields) => ({ PolicyArn: fields.arn('PolicyArn'), VersionId: fields.need('VersionId') }),
  target: ({ PolicyArn }, at) => policyTarget(at, PolicyArn),
  async run({ PolicyArn, VersionId }, { store, account }) {
    const own = builtInPolicies.get(PolicyArn);
    if (own !== undefined) {
      if (VersionId !== 'v1') throw refused.noVersion(PolicyArn, VersionId);
      return { PolicyVersion: versionXml(builtInVersion(own), true, true) };
    }
    const { body } = await findPolicy(store, account, PolicyArn);
    return { PolicyVersion: versionXml(versionOf(body, VersionId), body.defaultVersion === VersionId, true) };
  },
};

const listPolicyVersions: IamAction<Paging & { readonly PolicyArn: string }> = {
  readOnly: true,
  read: (fields) => ({ PolicyArn: fields.arn('PolicyArn'), ...paging(fields) }),
  target: ({ PolicyArn }, at) => policyTarget(at, PolicyArn),
  async run(input, at) {
    const own = builtInPolicies.get(input.PolicyArn);
    const { versions, defaultVersion } = own === undefined ? (await findPolicy(at.store, at.account, input.PolicyArn)).body : { versions: [builtInVersion(own)], defaultVersion: 'v1' };
    // The newest first.
    const { items, more } = slice(at, `versions/${input.PolicyArn}`, versions, ({ id }) => String(1e9 - Number(id.slice(1))), input, (one) => versionXml(one, one.id === defaultVersion, false));
    return { Versions: items, ...more };
  },
};

function onVersion(change: (at: IamCall, arn: string, version: string) => Promise<void>): IamAction<OneVersion> {
  return {
    read: (fields) => ({ PolicyArn: fields.arn('PolicyArn'), VersionId: fields.need('VersionId') }),
    target: ({ PolicyArn }, at) => policyTarget(at, PolicyArn),
    async run({ PolicyArn, VersionId }, at) {
      await change(at, PolicyArn, VersionId);
      return undefined;
    },
  };
}

/* ---- tags --------------------------------------------------------------------------------- */

const tagPolicy: IamAction<{ readonly PolicyArn: string; readonly Tags: readonly Tag[] }> = {
  read: (fields) => ({ PolicyArn: fields.arn('PolicyArn'), Tags: fields.tags() }),
  async target({ PolicyArn, Tags }, at) {
    const { arn, facts } = await policyTarget(at, PolicyArn);
    return { arn, facts: { ...facts, ...requestTags(Tags) } };
  },
  async run({ PolicyArn, Tags }, { directory, account }) {
    const given = new Set(Tags.map(({ Key }) => Key.toLowerCase()));
    await changePolicy(directory, account, PolicyArn, (record) => {
      const tags = [...record.tags.filter(({ Key }) => !given.has(Key.toLowerCase())), ...Tags];
      if (tags.length > limits.tags) throw refused.quota('TagsPerPolicy', limits.tags);
      return { ...record, tags };
    });
    return undefined;
  },
};

const untagPolicy: IamAction<{ readonly PolicyArn: string; readonly TagKeys: readonly string[] }> = {
  read: (fields) => ({ PolicyArn: fields.arn('PolicyArn'), TagKeys: fields.list('TagKeys') }),
  async target({ PolicyArn, TagKeys }, at) {
    const { arn, facts } = await policyTarget(at, PolicyArn);
    return { arn, facts: { ...facts, 'aws:TagKeys': TagKeys } };
  },
  async run({ PolicyArn, TagKeys }, { directory, account }) {
    const gone = new Set(TagKeys.map((key) => key.toLowerCase()));
    await changePolicy(directory, account, PolicyArn, (record) => ({ ...record, tags: record.tags.filter(({ Key }) => !gone.has(Key.toLowerCase())) }));
    return undefined;
  },
};

const listPolicyTags: IamAction<Paging & { readonly PolicyArn: string }> = {
  readOnly: true,
  read: (fields) => ({ PolicyArn: fields.arn('PolicyArn'), ...paging(fields) }),
  target: ({ PolicyArn }, at) => policyTarget(at, PolicyArn),
  async run(input, at) {
    const tags = builtInPolicies.has(input.PolicyArn) ? [] : (await findPolicy(at.store, at.account, input.PolicyArn)).body.tags;
    const { items, more } = slice(at, `tags/${input.PolicyArn}`, tags, ({ Key }) => Key, input, ({ Key, Value }) => ({ Key, Value }));
    return { Tags: items, ...more };
  },
};

/* ---- holders ------------------------------------------------------------------------------ */

interface Holders extends Paging {
  readonly PolicyArn: string;
  readonly EntityFilter: string | undefined;
  readonly PathPrefix: string;
  readonly PolicyUsageFilter: string | undefined;
}

const kindsByFilter: Readonly<Record<string, PrincipalRecord['kind']>> = { User: 'user', Group: 'group', Role: 'role' };

const listEntitiesForPolicy: IamAction<Holders> = {
  readOnly: true,
  read: (fields) => ({
    PolicyArn: fields.arn('PolicyArn'), PathPrefix: fields.pathPrefix(),
    EntityFilter: fields.text('EntityFilter') && fields.oneOf('EntityFilter', 'User', 'Role', 'Group', 'LocalManagedPolicy', 'AWSManagedPolicy'),
    PolicyUsageFilter: fields.text('PolicyUsageFilter') && fields.oneOf('PolicyUsageFilter', 'PermissionsPolicy', 'PermissionsBoundary'), ...paging(fields),
  }),
  target: ({ PolicyArn }, at) => policyTarget(at, PolicyArn),
  async run(input, at) {
    const own = builtInPolicies.has(input.PolicyArn);
    if (!own) await findPolicy(at.store, at.account, input.PolicyArn);
    const found = { user: [] as Xml[], group: [] as Xml[], role: [] as Xml[] };
    const to = policyRowId(at.account, own ? input.PolicyArn : nameIn(input.PolicyArn));
    const how = input.PolicyUsageFilter === undefined ? undefined : input.PolicyUsageFilter === 'PermissionsPolicy' ? 'attached' : 'boundary';
    const { more } = await page<LinkRecord>(at, `holders/${to}`, 'link', 'link.to', [at.account, to], input, async ({ body }) => {
      const row = await at.store.get<PrincipalRecord>('principal', body.from);
      if (row === undefined || (how !== undefined && body.how !== how) || !row.body.path.startsWith(input.PathPrefix)) return undefined;
      if (input.EntityFilter !== undefined && kindsByFilter[input.EntityFilter] !== row.body.kind) return undefined;
      const noun = { user: 'User', group: 'Group', role: 'Role' }[row.body.kind];
      found[row.body.kind].push({ [`${noun}Name`]: row.body.name, [`${noun}Id`]: row.id });
      return true;
    });
    return { PolicyGroups: found.group, PolicyUsers: found.user, PolicyRoles: found.role, ...more };
  },
};

export const policyActions = {
  CreatePolicy: create, GetPolicy: get, ListPolicies: list, DeletePolicy: remove,
  CreatePolicyVersion: createPolicyVersion, GetPolicyVersion: getPolicyVersion, ListPolicyVersions: listPolicyVersions,
  DeletePolicyVersion: onVersion((at, arn, version) => deleteVersion(at.directory, at.account, arn, version)),
  SetDefaultPolicyVersion: onVersion((at, arn, version) => setDefaultVersion(at.directory, at.account, arn, version)),
  ListEntitiesForPolicy: listEntitiesForPolicy,
  TagPolicy: tagPolicy, UntagPolicy: untagPolicy, ListPolicyTags: listPolicyTags,
};
