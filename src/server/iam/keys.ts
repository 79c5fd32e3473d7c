/** Access keys. The secret is made in the core and leaves once, as bytes. */
import { refused } from '../../iam/errors.ts';
import type { CredentialRecord } from '../../iam/records.ts';
import type { Row } from '../../store/store.ts';
import { paging, selfOr, slice, targetOf, time, type IamAction, type Paging } from './action.ts';

interface Owned {
  readonly UserName: string | undefined;
  readonly AccessKeyId: string;
}

const createAccessKey: IamAction<{ readonly UserName: string | undefined }> = {
  read: (fields, at) => ({ UserName: selfOr(fields, at) }),
  target: ({ UserName }, at) => targetOf(at, 'user', UserName),
  async run({ UserName }, { accounts, account, store }) {
    const made = await accounts.createCredential({ account, secret: { from: 'made' }, show: true, strict: true, ...(UserName === undefined ? {} : { userName: UserName }) });
    accounts.closeCredential(made);
    return { AccessKey: { UserName, AccessKeyId: made.accessKeyId, Status: 'Active', SecretAccessKey: made.secret, CreateDate: time(store.now()) } };
  },
};

const listAccessKeys: IamAction<Paging & { readonly UserName: string | undefined }> = {
  readOnly: true,
  read: (fields, at) => ({ UserName: selfOr(fields, at), ...paging(fields) }),
  target: ({ UserName }, at) => targetOf(at, 'user', UserName),
  async run(input, at) {
    const rows = await at.accounts.credentialsOf(at.account, input.UserName);
    const { items, more } = slice<Row<CredentialRecord>>(at, `keys/${input.UserName ?? ''}`, rows, ({ id }) => id, input,
      ({ id, body, createdMs }) => ({ UserName: body.userName, AccessKeyId: id, Status: body.status, CreateDate: time(createdMs) }));
    return { ...(input.UserName === undefined ? {} : { UserName: input.UserName }), AccessKeyMetadata: items, ...more };
  },
};

const updateAccessKey: IamAction<Owned & { readonly Status: 'Active' | 'Inactive' }> = {
  read: (fields, at) => ({ UserName: selfOr(fields, at), AccessKeyId: fields.name('AccessKeyId'), Status: fields.oneOf('Status', 'Active', 'Inactive') }),
  target: ({ UserName }, at) => targetOf(at, 'user', UserName),
  async run({ UserName, AccessKeyId, Status }, { accounts, account }) {
    await accounts.changeCredential(account, UserName, AccessKeyId, Status);
    return undefined;
  },
};

const deleteAccessKey: IamAction<Owned> = {
  read: (fields, at) => ({ UserName: selfOr(fields, at), AccessKeyId: fields.name('AccessKeyId') }),
  target: ({ UserName }, at) => targetOf(at, 'user', UserName),
  async run({ UserName, AccessKeyId }, { accounts, account }) {
    await accounts.deleteCredential(account, UserName, AccessKeyId);
    return undefined;
  },
};

const getAccessKeyLastUsed: IamAction<{ readonly AccessKeyId: string }> = {
  readOnly: true,
  read: (fields) => ({ AccessKeyId: fields.name('AccessKeyId') }),
  async target({ AccessKeyId }, at) {
    const row = await at.store.get<CredentialRecord>('credential', AccessKeyId);
    return await targetOf(at, 'user', row?.account === at.account ? row.body.userName : '*');
  },
  async run({ AccessKeyId }, { store, account, credentials }) {
    const row = await store.get<CredentialRecord>('credential', AccessKeyId);
    if (row?.account !== account) throw refused.noKey(AccessKeyId);
    const last = await credentials.lastUse(AccessKeyId);
    return {
      UserName: row.body.userName,
      AccessKeyLastUsed: last === undefined ? { ServiceName: 'N/A', Region: 'N/A' } : { LastUsedDate: time(last.timeMs), ServiceName: last.service, Region: last.region },
    };
  },
};

export const keyActions = {
  CreateAccessKey: createAccessKey, ListAccessKeys: listAccessKeys, UpdateAccessKey: updateAccessKey, DeleteAccessKey: deleteAccessKey, GetAccessKeyLastUsed: getAccessKeyLastUsed,
};
