/** Accounts, access keys, users and roles from a seed file. What is there already is left as it is. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPrincipal, named, newUser } from '../iam/directory.ts';
import type { PrincipalKind, RoleRecord } from '../iam/records.ts';
import { documentAt, fieldsAt, listAt, SeedError, textAt, type Fields } from '../kms/seed.ts';
import type { Store } from '../store/store.ts';
import { AdminError, type Accounts } from './accounts.ts';

interface Ground {
  readonly accounts: Accounts;
  readonly store: Store;
  readonly home: string;
}

/** How many were made. */
export async function seedAccounts(ground: Ground, document: Fields): Promise<number> {
  let made = 0;
  for (const [i, value] of listAt(document['Accounts'], 'Accounts').entries()) {
    const at = `Accounts[${i}]`;
    const fields = fieldsAt(value, at);
    const account = textAt(fields, 'AccountId', at) ?? '';
    if ((await ground.store.get('account', account)) === undefined) {
      await ground.accounts.create(account, textAt(fields, 'Name', at));
      made++;
    }
    await seedCredentials(ground, account, undefined, fields, at);
    for (const [j, user] of listAt(fields['Users'], `${at}.Users`).entries()) await seedUser(ground, account, fieldsAt(user, `${at}.Users[${j}]`), `${at}.Users[${j}]`);
    for (const [j, role] of listAt(fields['Roles'], `${at}.Roles`).entries()) await seedRole(ground, account, fieldsAt(role, `${at}.Roles[${j}]`), `${at}.Roles[${j}]`);
  }
  return made;
}

async function seedUser(ground: Ground, account: string, fields: Fields, at: string): Promise<void> {
  const name = textAt(fields, 'UserName', at) ?? '';
  if ((await findPrincipal(ground.store, account, 'user', name)) === undefined) {
    await ground.accounts.directory.create(account, 'user', newUser(account, name));
    await seedPolicies(ground, account, 'user', name, fields, at);
  }
  await seedCredentials(ground, account, name, fields, at);
}

async function seedRole(ground: Ground, account: string, fields: Fields, at: string): Promise<void> {
  const name = textAt(fields, 'RoleName', at) ?? '';
  if ((await findPrincipal(ground.store, account, 'role', name)) !== undefined) return;
  const trust = documentAt(fields['AssumeRolePolicyDocument']);
  if (trust === undefined) throw new SeedError(`${at}.AssumeRolePolicyDocument is missing`);
  const bare: RoleRecord = { kind: 'role', name: '', sortName: '', path: '/', arn: '', inline: {}, attached: [], tags: [], trust, maxSessionSeconds: 3600 };
  await ground.accounts.directory.create(account, 'role', named(bare, account, name, '/'));
  await seedPolicies(ground, account, 'role', name, fields, at);
}

async function seedPolicies({ accounts: { directory } }: Ground, account: string, kind: PrincipalKind, name: string, fields: Fields, at: string): Promise<void> {
  for (const [policy, document] of Object.entries(fieldsAt(fields['Policies'] ?? {}, `${at}.Policies`))) await directory.putInline(account, kind, name, policy, documentAt(document) ?? '');
  for (const arn of listAt(fields['AttachedPolicies'], `${at}.AttachedPolicies`)) await directory.attach(account, kind, name, String(arn));
}

async function seedCredentials(ground: Ground, account: string, userName: string | undefined, fields: Fields, at: string): Promise<void> {
  for (const [i, value] of listAt(fields['Credentials'], `${at}.Credentials`).entries()) {
    const one = fieldsAt(value, `${at}.Credentials[${i}]`);
    const accessKeyId = textAt(one, 'AccessKeyId', at);
    const secret = textAt(one, 'SecretAccessKey', at);
    if (accessKeyId === undefined || secret === undefined) throw new SeedError(`${at}.Credentials[${i}] needs AccessKeyId and SecretAccessKey`);
    await giveCredential(ground, account, accessKeyId, secret, userName);
  }
}

/** A known access key: the core reads its secret from a file, as it does with any that was chosen. Open until closed. */
export async function giveCredential({ accounts, store, home }: Ground, account: string, accessKeyId: string, secret: string, userName?: string, write?: string): Promise<void> {
  if ((await store.get('credential', accessKeyId)) !== undefined) {
    if (write === undefined) return;
    // A first start that was killed before its file was written: done again.
    await accounts.deleteCredential(account, userName, accessKeyId);
  }
  if (!/^\w{1,128}$/.test(accessKeyId)) throw new AdminError(400, 'an access key id is 1 to 128 letters, digits and _');
  const path = join(home, `secret-${process.pid}`);
  writeFileSync(path, secret, { mode: 0o600 });
  try {
    const made = await accounts.createCredential({ account, accessKeyId, secret: { from: 'file', path }, show: false, ...(userName === undefined ? {} : { userName }) });
    if (write === undefined) accounts.closeCredential(made);
    else accounts.writeCredential(made, write, 'default');
  } finally {
    rmSync(path, { force: true });
  }
}
