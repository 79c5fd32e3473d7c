/** The account as a whole: its alias, all its people and policies at once, who has which credentials. */
import { rootArn } from '../../iam/arn.ts';
import { IamError, refused } from '../../iam/errors.ts';
import type { AccountRecord, CredentialRecord, GroupRecord, Inline, ManagedPolicyRecord, PrincipalRecord, RoleRecord, UserRecord } from '../../iam/records.ts';
import { nameIn } from '../../iam/records.ts';
import type { Row } from '../../store/store.ts';
import type { Fields } from '../fields.ts';
import type { Xml } from '../query.ts';
import { boundaryOf, document, page, paging, tagList, time, type IamAction, type IamCall, type Paging, type Target } from './action.ts';
import { policyXml, versionXml } from './policies.ts';
import { roleXml } from './roles.ts';
import { groupXml, userXml } from './users.ts';

const everything = (): Target => ({ arn: '*' });

/* ---- the alias --------------------------------------------------------------------- */

/** In the table `setting`. It names no address to sign in at, so two accounts may have the same: neither learns of the other. */
interface AliasRecord {
  readonly kind: 'account-alias';
  readonly alias: string;
}

const aliasRow = (account: string): string => `account-alias/${account}`;

function readAlias(fields: Fields): { readonly AccountAlias: string } {
  const alias = fields.sized('AccountAlias', 3, 63) ?? fields.need('AccountAlias');
  if (!/^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$/.test(alias)) throw refused.invalid('The specified value for accountAlias is invalid. It must contain only lowercase alphanumeric characters and/or hyphens, and neither begin nor end with a hyphen.');
  return { AccountAlias: alias };
}

/** An account has one: the new one takes its place. */
const createAccountAlias: IamAction<{ readonly AccountAlias: string }> = {
  read: readAlias,
  target: everything,
  async run({ AccountAlias: alias }, { store, account }) {
    await store.tx(async (tx) => {
      const row = await tx.get<AliasRecord>('setting', aliasRow(account));
      const body: AliasRecord = { kind: 'account-alias', alias };
      if (row === undefined) tx.insert<AliasRecord>('setting', { id: aliasRow(account), account, region: '', body });
      else tx.update(row, { body });
    });
    return undefined;
  },
};

const deleteAccountAlias: IamAction<{ readonly AccountAlias: string }> = {
  read: readAlias,
  target: everything,
  async run({ AccountAlias: alias }, { store, account }) {
    await store.tx(async (tx) => {
      const row = await tx.get<AliasRecord>('setting', aliasRow(account));
      if (row?.body.alias !== alias) throw new IamError('NoSuchEntity', `The account alias ${alias} cannot be found.`);
      tx.delete(row);
    });
    return undefined;
  },
};

const listAccountAliases: IamAction<Paging> = {
  readOnly: true,
  read: paging,
  target: everything,
  async run(_, { store, account }) {
    const own = await store.get<AliasRecord>('setting', aliasRow(account));
    return { AccountAliases: own === undefined ? [] : [own.body.alias], IsTruncated: false };
  },
};

/* ---- all of it ------------------------------------------------------------------------ */

const inlineXml = (inline: Inline): Xml => Object.entries(inline).map(([PolicyName, text]) => ({ PolicyName, PolicyDocument: document(text) }));
const attachedXml = (arns: readonly string[]): Xml => arns.map((PolicyArn) => ({ PolicyName: nameIn(PolicyArn), PolicyArn }));

async function userDetail(row: Row<UserRecord>, { store }: IamCall): Promise<Xml> {
  const groups: string[] = [];
  for (const id of row.body.groups) {
    const group = await store.get<GroupRecord>('principal', id);
    if (group !== undefined) groups.push(group.body.name);
  }
  return { ...userXml(row, true), GroupList: groups, UserPolicyList: inlineXml(row.body.inline), AttachedManagedPolicies: attachedXml(row.body.attached) };
}

const groupDetail = (row: Row<GroupRecord>): Xml => ({ ...groupXml(row), GroupPolicyList: inlineXml(row.body.inline), AttachedManagedPolicies: attachedXml(row.body.attached) });

async function roleDetail(row: Row<RoleRecord>, { store }: IamCall): Promise<Xml> {
  const { Description: _, MaxSessionDuration: __, ...common } = await roleXml(store, row, false);
  return {
    ...common, InstanceProfileList: [], RolePolicyList: inlineXml(row.body.inline), AttachedManagedPolicies: attachedXml(row.body.attached),
    PermissionsBoundary: boundaryOf(row.body.boundary), Tags: tagList(row.body.tags), RoleLastUsed: {},
  };
}

function policyDetail(row: Row<ManagedPolicyRecord>): Xml {
  const { Tags: _, ...common } = policyXml(row, true);
  return { ...common, PolicyVersionList: row.body.versions.map((version) => versionXml(version, version.id === row.body.defaultVersion, true)) };
}

const sections = ['User', 'Group', 'Role', 'LocalManagedPolicy'] as const;
type Section = (typeof sections)[number];

interface Details extends Paging {
  readonly Filter: readonly string[];
}

/** A marker of one section is none of another: its first character says which. */
const getAccountAuthorizationDetails: IamAction<Details> = {
  readOnly: true,
  read(fields) {
    const Filter = fields.list('Filter');
    for (const one of Filter) if (one !== 'AWSManagedPolicy' && !sections.some((section) => section === one)) throw refused.invalid(`1 validation error detected: Value '[${one}]' at 'filter' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [User, Role, Group, LocalManagedPolicy, AWSManagedPolicy]]`);
    return { Filter, ...paging(fields) };
  },
  target: everything,
  async run({ Filter, Marker, MaxItems = 100 }, at) {
    const wanted = sections.filter((section) => Filter.length === 0 || Filter.includes(section));
    const found: Record<Section, readonly Xml[]> = { User: [], Group: [], Role: [], LocalManagedPolicy: [] };
    let place = Marker === undefined ? 0 : Number(Marker.charAt(0));
    if (Number.isNaN(place) || place >= wanted.length) {
      if (Marker !== undefined) throw refused.invalid('Invalid Marker.');
      place = 0;
    }
    let marker = Marker?.slice(1) || undefined;
    let room = MaxItems;
    for (; place < wanted.length; place++, marker = undefined) {
      const section = wanted[place] as Section;
      if (room === 0) return answer(found, `${place}`);
      const { items, more } = await sectionPage(at, section, { Marker: marker, MaxItems: room });
      found[section] = items;
      room -= items.length;
      if (more['IsTruncated'] === true) return answer(found, `${place}${String(more['Marker'])}`);
    }
    return answer(found, undefined);
  },
};

function answer(found: Readonly<Record<Section, readonly Xml[]>>, marker: string | undefined): Xml {
  return {
    UserDetailList: found.User, GroupDetailList: found.Group, RoleDetailList: found.Role, Policies: found.LocalManagedPolicy,
    IsTruncated: marker !== undefined, ...(marker === undefined ? {} : { Marker: marker }),
  };
}

function sectionPage(at: IamCall, section: Section, paging: Paging): ReturnType<typeof page> {
  if (section === 'LocalManagedPolicy') return page<ManagedPolicyRecord>(at, 'details/policy', 'policy', 'policy.account', [at.account, 'managed'], paging, policyDetail);
  return page<PrincipalRecord>(at, `details/${section}`, 'principal', 'principal.account', [at.account, section.toLowerCase()], paging, (row) =>
    (row.body.kind === 'user' ? userDetail(row as Row<UserRecord>, at) : row.body.kind === 'group' ? groupDetail(row as Row<GroupRecord>) : roleDetail(row as Row<RoleRecord>, at)));
}

/* ---- credentials ------------------------------------------------------------------------ */

const columns = 'user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,'
  + 'access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,'
  + 'access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,'
  + 'cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated';

/** Made when it is fetched, so there is nothing to wait for. */
const generateCredentialReport: IamAction<object> = {
  readOnly: true,
  read: () => ({}),
  target: everything,
  run: async () => ({ State: 'COMPLETE' }),
};

const getCredentialReport: IamAction<object> = {
  readOnly: true,
  read: () => ({}),
  target: everything,
  async run(_, at) {
    const account = await at.store.get<AccountRecord>('account', at.account);
    const lines = [columns, await reportLine(at, undefined, ['<root_account>', rootArn(at.account), time(account?.createdMs ?? 0)])];
    for (let after: string | undefined; ;) {
      const users = await at.store.list<UserRecord>('principal', { index: 'principal.account', equals: [at.account, 'user'], limit: 1000, ...(after === undefined ? {} : { after }) });
      for (const { body, createdMs } of users.rows) lines.push(await reportLine(at, body.name, [body.name, body.arn, time(createdMs)]));
      if (users.next === undefined) break;
      after = users.next;
    }
    return { Content: Buffer.from(lines.join('\n'), 'utf8').toString('base64'), ReportFormat: 'text/csv', GeneratedTime: time(at.store.now()) };
  },
};

async function reportLine(at: IamCall, user: string | undefined, who: readonly string[]): Promise<string> {
  const keys = await at.accounts.credentialsOf(at.account, user);
  const cells = [...who, 'not_supported', 'N/A', 'N/A', 'N/A', 'false'];
  for (const place of [0, 1]) cells.push(...(await keyCells(at, keys[place])));
  return [...cells, 'false', 'N/A', 'false', 'N/A'].join(',');
}

async function keyCells({ credentials }: IamCall, key: Row<CredentialRecord> | undefined): Promise<readonly string[]> {
  if (key === undefined) return ['false', 'N/A', 'N/A', 'N/A', 'N/A'];
  const last = await credentials.lastUse(key.id);
  return [String(key.body.status === 'Active'), time(key.createdMs), ...(last === undefined ? ['N/A', 'N/A', 'N/A'] : [time(last.timeMs), last.region, last.service])];
}

export const accountActions: Readonly<Record<string, IamAction<object>>> = {
  CreateAccountAlias: createAccountAlias, DeleteAccountAlias: deleteAccountAlias, ListAccountAliases: listAccountAliases,
  GetAccountAuthorizationDetails: getAccountAuthorizationDetails, GenerateCredentialReport: generateCredentialReport, GetCredentialReport: getCredentialReport,
};
