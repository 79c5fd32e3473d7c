/** Users and groups. */
import { named, newUser } from '../../iam/directory.ts';
import { refused } from '../../iam/errors.ts';
import { rootArn } from '../../iam/arn.ts';
import type { AccountRecord, GroupRecord, LinkRecord, PrincipalRecord, UserRecord } from '../../iam/records.ts';
import type { Row } from '../../store/store.ts';
import type { Xml } from '../query.ts';
import { allOf, boundaryOf, page, paging, requestTags, selfOr, slice, tagList, targetOf, time, type IamAction, type IamCall, type Paging } from './action.ts';

export function userXml({ id, body, createdMs }: Row<UserRecord>, whole: boolean): { readonly [element: string]: Xml } {
  return {
    Path: body.path, UserName: body.name, UserId: id, Arn: body.arn, CreateDate: time(createdMs),
    ...(whole ? { PermissionsBoundary: boundaryOf(body.boundary), Tags: tagList(body.tags) } : {}),
  };
}

export function groupXml({ id, body, createdMs }: Row<GroupRecord>): { readonly [element: string]: Xml } {
  return { Path: body.path, GroupName: body.name, GroupId: id, Arn: body.arn, CreateDate: time(createdMs) };
}

const createUser: IamAction<{ readonly UserName: string; readonly Path: string; readonly PermissionsBoundary: string | undefined; readonly Tags: UserRecord['tags'] }> = {
  read: (fields) => ({ UserName: fields.name('UserName', 64), Path: fields.path() ?? '/', PermissionsBoundary: fields.optionalArn('PermissionsBoundary'), Tags: fields.tags() }),
  target: ({ UserName, Path, PermissionsBoundary, Tags }, { account }) =>
    ({ arn: `arn:aws:iam::${account}:user${Path}${UserName}`, facts: { 'iam:PermissionsBoundary': PermissionsBoundary, ...requestTags(Tags) } }),
  async run({ UserName, Path, PermissionsBoundary, Tags }, { directory, account }) {
    const record = { ...newUser(account, UserName, Path), tags: Tags, ...(PermissionsBoundary === undefined ? {} : { boundary: PermissionsBoundary }) };
    return { User: userXml(await directory.create(account, 'user', record), true) };
  },
};

const getUser: IamAction<{ readonly UserName: string | undefined }> = {
  readOnly: true,
  read: (fields, at) => ({ UserName: selfOr(fields, at) }),
  target: ({ UserName }, at) => targetOf(at, 'user', UserName),
  async run({ UserName }, { directory, store, account }) {
    if (UserName !== undefined) return { User: userXml(await directory.find(account, 'user', UserName), true) };
    const row = await store.get<AccountRecord>('account', account);
    return { User: { Path: '/', UserId: account, Arn: rootArn(account), CreateDate: time(row?.createdMs ?? 0) } };
  },
};

const listUsers: IamAction<Paging & { readonly PathPrefix: string }> = {
  readOnly: true,
  read: (fields) => ({ PathPrefix: fields.pathPrefix(), ...paging(fields) }),
  target: (_, at) => allOf(at, 'user'),
  async run(input, at) {
    const { items, more } = await page<UserRecord>(at, `users${input.PathPrefix}`, 'principal', 'principal.account', [at.account, 'user'], input,
      (row) => (row.body.path.startsWith(input.PathPrefix) ? userXml(row, false) : undefined));
    return { Users: items, ...more };
  },
};

const updateUser: IamAction<{ readonly UserName: string; readonly NewUserName: string | undefined; readonly NewPath: string | undefined }> = {
  read: (fields) => ({ UserName: fields.name('UserName'), NewUserName: fields.optionalName('NewUserName', 64), NewPath: fields.path('NewPath') }),
  target: ({ UserName }, at) => targetOf(at, 'user', UserName),
  async run({ UserName, NewUserName, NewPath }, { directory, account }) {
    await directory.rename(account, 'user', UserName, { name: NewUserName, path: NewPath });
    return undefined;
  },
};

const deleteUser: IamAction<{ readonly UserName: string }> = {
  read: (fields) => ({ UserName: fields.name('UserName') }),
  target: ({ UserName }, at) => targetOf(at, 'user', UserName),
  async run({ UserName }, { directory, account }) {
    await directory.remove(account, 'user', UserName);
    return undefined;
  },
};

/* ---- groups ------------------------------------------------------------------------- */

const createGroup: IamAction<{ readonly GroupName: string; readonly Path: string }> = {
  read: (fields) => ({ GroupName: fields.name('GroupName'), Path: fields.path() ?? '/' }),
  target: ({ GroupName, Path }, { account }) => ({ arn: `arn:aws:iam::${account}:group${Path}${GroupName}` }),
  async run({ GroupName, Path }, { directory, account }) {
    const record = named<GroupRecord>({ kind: 'group', name: '', sortName: '', path: '', arn: '', inline: {}, attached: [], members: 0 }, account, GroupName, Path);
    return { Group: groupXml(await directory.create(account, 'group', record)) };
  },
};

const getGroup: IamAction<Paging & { readonly GroupName: string }> = {
  readOnly: true,
  read: (fields) => ({ GroupName: fields.name('GroupName'), ...paging(fields) }),
  target: ({ GroupName }, at) => targetOf(at, 'group', GroupName),
  async run(input, at) {
    const group = await at.directory.find(at.account, 'group', input.GroupName);
    const { items, more } = await page<LinkRecord>(at, `group/${group.id}`, 'link', 'link.to', [at.account, group.id], input, async ({ body }) => {
      const row = await at.store.get<UserRecord>('principal', body.from);
      return row && userXml(row, false);
    });
    return { Group: groupXml(group), Users: items, ...more };
  },
};

const listGroups: IamAction<Paging & { readonly PathPrefix: string }> = {
  readOnly: true,
  read: (fields) => ({ PathPrefix: fields.pathPrefix(), ...paging(fields) }),
  target: (_, at) => allOf(at, 'group'),
  async run(input, at) {
    const { items, more } = await page<GroupRecord>(at, `groups${input.PathPrefix}`, 'principal', 'principal.account', [at.account, 'group'], input,
      (row) => (row.body.path.startsWith(input.PathPrefix) ? groupXml(row) : undefined));
    return { Groups: items, ...more };
  },
};

const updateGroup: IamAction<{ readonly GroupName: string; readonly NewGroupName: string | undefined; readonly NewPath: string | undefined }> = {
  read: (fields) => ({ GroupName: fields.name('GroupName'), NewGroupName: fields.optionalName('NewGroupName'), NewPath: fields.path('NewPath') }),
  target: ({ GroupName }, at) => targetOf(at, 'group', GroupName),
  async run({ GroupName, NewGroupName, NewPath }, { directory, account }) {
    await directory.rename(account, 'group', GroupName, { name: NewGroupName, path: NewPath });
    return undefined;
  },
};

const deleteGroup: IamAction<{ readonly GroupName: string }> = {
  read: (fields) => ({ GroupName: fields.name('GroupName') }),
  target: ({ GroupName }, at) => targetOf(at, 'group', GroupName),
  async run({ GroupName }, { directory, account }) {
    await directory.remove(account, 'group', GroupName);
    return undefined;
  },
};

function membership(change: (at: IamCall, group: string, user: string) => Promise<void>): IamAction<{ readonly GroupName: string; readonly UserName: string }> {
  return {
    read: (fields) => ({ GroupName: fields.name('GroupName'), UserName: fields.name('UserName') }),
    target: ({ GroupName }, at) => targetOf(at, 'group', GroupName),
    async run({ GroupName, UserName }, at) {
      await change(at, GroupName, UserName);
      return undefined;
    },
  };
}

const listGroupsForUser: IamAction<Paging & { readonly UserName: string }> = {
  readOnly: true,
  read: (fields) => ({ UserName: fields.name('UserName'), ...paging(fields) }),
  target: ({ UserName }, at) => targetOf(at, 'user', UserName),
  async run(input, at) {
    const user = await at.directory.find(at.account, 'user', input.UserName);
    const groups: Row<GroupRecord>[] = [];
    for (const id of user.body.groups) {
      const row = await at.store.get<GroupRecord>('principal', id);
      if (row !== undefined) groups.push(row);
    }
    const { items, more } = slice(at, `groups-of/${user.id}`, groups, ({ body }) => body.sortName, input, groupXml);
    return { Groups: items, ...more };
  },
};

/* ---- tags ---------------------------------------------------------------------------- */

type Tagged = 'user' | 'role';
type Member = 'UserName' | 'RoleName';

const tagsOf = (kind: Tagged, member: Member): Readonly<Record<string, IamAction<object>>> => {
  const tag: IamAction<{ readonly name: string; readonly Tags: UserRecord['tags'] }> = {
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), Tags: fields.tags() }),
    target: ({ name, Tags }, at) => targetOf(at, kind, name, requestTags(Tags)),
    unsaid: ['name'],
    async run({ name, Tags }, { directory, account }) {
      await directory.change<Tagged>(account, kind, name, (record) => {
        const given = new Set(Tags.map(({ Key }) => Key.toLowerCase()));
        const tags = [...record.tags.filter(({ Key }) => !given.has(Key.toLowerCase())), ...Tags];
        if (tags.length > 50) throw refused.quota(kind === 'user' ? 'TagsPerUser' : 'TagsPerRole', 50);
        return { ...record, tags };
      });
      return undefined;
    },
  };
  const untag: IamAction<{ readonly name: string; readonly TagKeys: readonly string[] }> = {
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), TagKeys: fields.list('TagKeys') }),
    target: ({ name, TagKeys }, at) => targetOf(at, kind, name, { 'aws:TagKeys': TagKeys }),
    unsaid: ['name'],
    async run({ name, TagKeys }, { directory, account }) {
      const gone = new Set(TagKeys.map((key) => key.toLowerCase()));
      await directory.change<Tagged>(account, kind, name, (record) => ({ ...record, tags: record.tags.filter(({ Key }) => !gone.has(Key.toLowerCase())) }));
      return undefined;
    },
  };
  const list: IamAction<Paging & { readonly name: string }> = {
    readOnly: true,
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), ...paging(fields) }),
    target: ({ name }, at) => targetOf(at, kind, name),
    unsaid: ['name'],
    async run(input, at) {
      const row: Row<PrincipalRecord> = await at.directory.find<Tagged>(at.account, kind, input.name);
      const tags = row.body.kind === 'group' ? [] : row.body.tags;
      const { items, more } = slice(at, `tags/${row.id}`, tags, ({ Key }) => Key, input, ({ Key, Value }) => ({ Key, Value }));
      return { Tags: items, ...more };
    },
  };
  const noun = kind === 'user' ? 'User' : 'Role';
  return { [`Tag${noun}`]: tag, [`Untag${noun}`]: untag, [`List${noun}Tags`]: list };
};

export const userActions = {
  CreateUser: createUser, GetUser: getUser, ListUsers: listUsers, UpdateUser: updateUser, DeleteUser: deleteUser,
  CreateGroup: createGroup, GetGroup: getGroup, ListGroups: listGroups, UpdateGroup: updateGroup, DeleteGroup: deleteGroup,
  AddUserToGroup: membership((at, group, user) => at.directory.join(at.account, group, user)),
  RemoveUserFromGroup: membership((at, group, user) => at.directory.leave(at.account, group, user)),
  ListGroupsForUser: listGroupsForUser,
  ...tagsOf('user', 'UserName'), ...tagsOf('role', 'RoleName'),
};
