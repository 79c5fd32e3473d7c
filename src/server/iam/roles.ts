/** Roles: who may become them is their trust policy. */
import { checkedPolicy, named, weight } from '../../iam/directory.ts';
import { refused } from '../../iam/errors.ts';
import { existsArn } from '../../iam/identities.ts';
import { limits } from '../../iam/limits.ts';
import { idsOf, shownText } from '../../iam/meant.ts';
import { principalsOf } from '../../iam/policy.ts';
import type { RoleRecord } from '../../iam/records.ts';
import type { Row, Store } from '../../store/store.ts';
import type { Xml } from '../query.ts';
import { allOf, boundaryOf, document, page, paging, requestTags, tagList, targetOf, time, type IamAction, type IamCall, type Paging } from './action.ts';

export async function roleXml(store: Store, { id, body, createdMs }: Row<RoleRecord>, whole: boolean): Promise<{ readonly [element: string]: Xml }> {
  const trust = await shownText(store, body.trust, body.trustIds);
  return {
    Path: body.path, RoleName: body.name, RoleId: id, Arn: body.arn, CreateDate: time(createdMs),
    AssumeRolePolicyDocument: document(trust), Description: body.description, MaxSessionDuration: body.maxSessionSeconds,
    ...(whole ? { PermissionsBoundary: boundaryOf(body.boundary), Tags: tagList(body.tags), RoleLastUsed: {} } : {}),
  };
}

/** Grammar, size, and that whom it names is there. Answers what a role keeps. */
async function checkTrust({ store }: IamCall, text: string): Promise<Pick<RoleRecord, 'trust' | 'trustIds'>> {
  const policy = checkedPolicy(text, 'trust');
  if (weight(text) > limits.trustBytes) throw refused.quota('ACLSizePerRole', limits.trustBytes);
  for (const entry of principalsOf(policy)) {
    const there = entry.names === 'arn' ? await existsArn(store, entry.arn) : entry.names === 'account' ? (await store.get('account', entry.account)) !== undefined : true;
    if (!there) throw refused.malformed(`Invalid principal in policy: "AWS":"${entry.names === 'arn' ? entry.arn : entry.names === 'account' ? entry.account : ''}"`);
  }
  const trustIds = await idsOf(store, policy);
  return trustIds === undefined ? { trust: text } : { trust: text, trustIds };
}

interface CreateRole {
  readonly RoleName: string;
  readonly Path: string;
  readonly AssumeRolePolicyDocument: string;
  readonly Description: string | undefined;
  readonly MaxSessionDuration: number;
  readonly PermissionsBoundary: string | undefined;
  readonly Tags: RoleRecord['tags'];
}

const createRole: IamAction<CreateRole> = {
  read: (fields) => ({
    RoleName: fields.name('RoleName', 64), Path: fields.path() ?? '/', AssumeRolePolicyDocument: fields.document('AssumeRolePolicyDocument'),
    Description: fields.sized('Description', 0, 1000), MaxSessionDuration: fields.number('MaxSessionDuration', 3600, 43_200) ?? 3600,
    PermissionsBoundary: fields.optionalArn('PermissionsBoundary'), Tags: fields.tags(),
  }),
  target: ({ RoleName, Path, PermissionsBoundary, Tags }, { account }) =>
    ({ arn: `arn:aws:iam::${account}:role${Path}${RoleName}`, facts: { 'iam:PermissionsBoundary': PermissionsBoundary, ...requestTags(Tags) } }),
  async run(input, at) {
    const trust = await checkTrust(at, input.AssumeRolePolicyDocument);
    const record = named<RoleRecord>({
      kind: 'role', name: '', sortName: '', path: '', arn: '', inline: {}, attached: [], tags: input.Tags,
      ...trust, maxSessionSeconds: input.MaxSessionDuration,
      ...(input.Description === undefined ? {} : { description: input.Description }),
      ...(input.PermissionsBoundary === undefined ? {} : { boundary: input.PermissionsBoundary }),
    }, at.account, input.RoleName, input.Path);
    return { Role: await roleXml(at.store, await at.directory.create(at.account, 'role', record), true) };
  },
};

const getRole: IamAction<{ readonly RoleName: string }> = {
  readOnly: true,
  read: (fields) => ({ RoleName: fields.name('RoleName') }),
  target: ({ RoleName }, at) => targetOf(at, 'role', RoleName),
  run: async ({ RoleName }, { directory, account, store }) => ({ Role: await roleXml(store, await directory.find(account, 'role', RoleName), true) }),
};

const listRoles: IamAction<Paging & { readonly PathPrefix: string }> = {
  readOnly: true,
  read: (fields) => ({ PathPrefix: fields.pathPrefix(), ...paging(fields) }),
  target: (_, at) => allOf(at, 'role'),
  async run(input, at) {
    const { items, more } = await page<RoleRecord>(at, `roles${input.PathPrefix}`, 'principal', 'principal.account', [at.account, 'role'], input,
      (row) => (row.body.path.startsWith(input.PathPrefix) ? roleXml(at.store, row, false) : undefined));
    return { Roles: items, ...more };
  },
};

const updateRole: IamAction<{ readonly RoleName: string; readonly Description: string | undefined; readonly MaxSessionDuration: number | undefined }> = {
  read: (fields) => ({ RoleName: fields.name('RoleName'), Description: fields.sized('Description', 0, 1000), MaxSessionDuration: fields.number('MaxSessionDuration', 3600, 43_200) }),
  target: ({ RoleName }, at) => targetOf(at, 'role', RoleName),
  async run({ RoleName, Description, MaxSessionDuration }, { directory, account }) {
    await directory.change(account, 'role', RoleName, (record) => ({
      ...record, ...(Description === undefined ? {} : { description: Description }), ...(MaxSessionDuration === undefined ? {} : { maxSessionSeconds: MaxSessionDuration }),
    }));
    return {};
  },
};

const updateRoleDescription: IamAction<{ readonly RoleName: string; readonly Description: string }> = {
  read: (fields) => ({ RoleName: fields.name('RoleName'), Description: fields.sized('Description', 0, 1000) ?? fields.need('Description') }),
  target: ({ RoleName }, at) => targetOf(at, 'role', RoleName),
  async run({ RoleName, Description }, { directory, account, store }) {
    await directory.change(account, 'role', RoleName, (record) => ({ ...record, description: Description }));
    return { Role: await roleXml(store, await directory.find(account, 'role', RoleName), true) };
  },
};

const updateAssumeRolePolicy: IamAction<{ readonly RoleName: string; readonly PolicyDocument: string }> = {
  read: (fields) => ({ RoleName: fields.name('RoleName'), PolicyDocument: fields.document('PolicyDocument') }),
  target: ({ RoleName }, at) => targetOf(at, 'role', RoleName),
  async run({ RoleName, PolicyDocument }, at) {
    const trust = await checkTrust(at, PolicyDocument);
    await at.directory.change(at.account, 'role', RoleName, ({ trustIds: _, ...record }) => ({ ...record, ...trust }));
    return undefined;
  },
};

const deleteRole: IamAction<{ readonly RoleName: string }> = {
  read: (fields) => ({ RoleName: fields.name('RoleName') }),
  target: ({ RoleName }, at) => targetOf(at, 'role', RoleName),
  async run({ RoleName }, { directory, account }) {
    await directory.remove(account, 'role', RoleName);
    return undefined;
  },
};

export const roleActions = {
  CreateRole: createRole, GetRole: getRole, ListRoles: listRoles, UpdateRole: updateRole, UpdateRoleDescription: updateRoleDescription, UpdateAssumeRolePolicy: updateAssumeRolePolicy, DeleteRole: deleteRole,
};
