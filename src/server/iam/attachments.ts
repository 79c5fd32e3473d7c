/** What speaks for a user, group or role: inline policies, attached ones, boundaries. The same for all three. */
import { refused } from '../../iam/errors.ts';
import { nameIn, type PrincipalKind, type PrincipalRecord } from '../../iam/records.ts';
import type { Row } from '../../store/store.ts';
import { document, paging, slice, targetOf, type IamAction, type Paging } from './action.ts';

interface Kind {
  readonly kind: PrincipalKind;
  /** `User`: in the names of actions. */
  readonly noun: string;
}

interface Named {
  readonly name: string;
}
interface NamedPolicy extends Named {
  readonly PolicyName: string;
}
interface NamedArn extends Named {
  readonly PolicyArn: string;
}

type Actions = Readonly<Record<string, IamAction<object>>>;

const unsaid = ['name'];

function inlineActions({ kind, noun }: Kind): Actions {
  const member = `${noun}Name`;
  const put: IamAction<NamedPolicy & { readonly PolicyDocument: string }> = {
    unsaid,
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), PolicyName: fields.name('PolicyName'), PolicyDocument: fields.document('PolicyDocument') }),
    target: ({ name }, at) => targetOf(at, kind, name),
    async run({ name, PolicyName, PolicyDocument }, { directory, account }) {
      await directory.putInline(account, kind, name, PolicyName, PolicyDocument);
      return undefined;
    },
  };
  const get: IamAction<NamedPolicy> = {
    readOnly: true,
    unsaid,
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), PolicyName: fields.name('PolicyName') }),
    target: ({ name }, at) => targetOf(at, kind, name),
    async run({ name, PolicyName }, { directory, account }) {
      const row: Row<PrincipalRecord> = await directory.find<PrincipalKind>(account, kind, name);
      const text = Object.hasOwn(row.body.inline, PolicyName) ? row.body.inline[PolicyName] : undefined;
      if (text === undefined) throw refused.noSuch(`${kind} policy`, PolicyName);
      return { [member]: row.body.name, PolicyName, PolicyDocument: document(text) };
    },
  };
  const remove: IamAction<NamedPolicy> = {
    unsaid,
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), PolicyName: fields.name('PolicyName') }),
    target: ({ name }, at) => targetOf(at, kind, name),
    async run({ name, PolicyName }, { directory, account }) {
      await directory.deleteInline(account, kind, name, PolicyName);
      return undefined;
    },
  };
  const list: IamAction<Named & Paging> = {
    readOnly: true,
    unsaid,
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), ...paging(fields) }),
    target: ({ name }, at) => targetOf(at, kind, name),
    async run(input, at) {
      const { id, body }: Row<PrincipalRecord> = await at.directory.find<PrincipalKind>(at.account, kind, input.name);
      const { items, more } = slice(at, `inline/${id}`, Object.keys(body.inline), (name) => name, input, (name) => name);
      return { PolicyNames: items, ...more };
    },
  };
  return { [`Put${noun}Policy`]: put, [`Get${noun}Policy`]: get, [`Delete${noun}Policy`]: remove, [`List${noun}Policies`]: list };
}

function attachActions({ kind, noun }: Kind): Actions {
  const member = `${noun}Name`;
  const change = (way: 'attach' | 'detach'): IamAction<NamedArn> => ({
    unsaid,
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), PolicyArn: fields.arn('PolicyArn') }),
    target: ({ name, PolicyArn }, at) => targetOf(at, kind, name, { 'iam:PolicyARN': PolicyArn }),
    async run({ name, PolicyArn }, { directory, account }) {
      await directory[way](account, kind, name, PolicyArn);
      return undefined;
    },
  });
  const list: IamAction<Named & Paging & { readonly PathPrefix: string }> = {
    readOnly: true,
    unsaid,
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), PathPrefix: fields.pathPrefix(), ...paging(fields) }),
    target: ({ name }, at) => targetOf(at, kind, name),
    async run(input, at) {
      const { id, body }: Row<PrincipalRecord> = await at.directory.find<PrincipalKind>(at.account, kind, input.name);
      const arns = body.attached.filter((arn) => arn.slice(arn.indexOf(':policy/') + ':policy'.length).startsWith(input.PathPrefix));
      const { items, more } = slice(at, `attached/${id}`, arns, nameIn, input, (arn) => ({ PolicyName: nameIn(arn), PolicyArn: arn }));
      return { AttachedPolicies: items, ...more };
    },
  };
  return { [`Attach${noun}Policy`]: change('attach'), [`Detach${noun}Policy`]: change('detach'), [`ListAttached${noun}Policies`]: list };
}

function boundaryActions(kind: 'user' | 'role', noun: string): Actions {
  const member = `${noun}Name`;
  const put: IamAction<Named & { readonly PermissionsBoundary: string }> = {
    unsaid,
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member), PermissionsBoundary: fields.arn('PermissionsBoundary') }),
    target: ({ name, PermissionsBoundary }, at) => targetOf(at, kind, name, { 'iam:PermissionsBoundary': PermissionsBoundary }),
    async run({ name, PermissionsBoundary }, { directory, account }) {
      await directory.bound(account, kind, name, PermissionsBoundary);
      return undefined;
    },
  };
  const remove: IamAction<Named> = {
    unsaid,
    read: (fields) => ({ [member]: fields.name(member), name: fields.name(member) }),
    target: ({ name }, at) => targetOf(at, kind, name),
    async run({ name }, { directory, account }) {
      await directory.bound(account, kind, name, undefined);
      return undefined;
    },
  };
  return { [`Put${noun}PermissionsBoundary`]: put, [`Delete${noun}PermissionsBoundary`]: remove };
}

const kinds: readonly Kind[] = [{ kind: 'user', noun: 'User' }, { kind: 'group', noun: 'Group' }, { kind: 'role', noun: 'Role' }];

export const attachmentActions: Actions = Object.assign({}, ...kinds.map((kind) => ({ ...inlineActions(kind), ...attachActions(kind) })), boundaryActions('user', 'User'), boundaryActions('role', 'Role')) as Actions;
