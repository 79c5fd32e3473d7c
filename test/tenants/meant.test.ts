// A policy, trust policy or grant means the user or role that had the ARN when it was stored. Who is made later under the same name is somebody else; who is renamed is still the same.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { away, home, openTwo, type Two, type Who } from './two.ts';

let two: Two;
beforeAll(async () => { two = await openTwo(); });
afterAll(async () => {
  expect(two.room.reports).toEqual([]);
  await two.close();
});

async function iam(form: Readonly<Record<string, string>>, who = two.a.root): Promise<string> {
  const { status, text } = await two.query(who, 'iam', form);
  if (status !== 200) throw new Error(text);
  return text;
}
const idIn = (text: string): string => /<(?:UserId|RoleId)>(.*?)</.exec(text)?.[1] ?? '';
const idOf = async (name: string): Promise<string> => idIn(await iam({ Action: 'GetUser', UserName: name }));

/** Somebody of that name: allowed nothing but what others say of them. */
async function somebody(name: string, account = home): Promise<Who> {
  const made = await two.room.accounts.createCredential({ account, userName: name, secret: { from: 'made' }, show: true });
  const who = { accessKeyId: made.accessKeyId, secret: made.secret!.bytes.toString('latin1'), arn: made.principal };
  made.secret!.release();
  two.room.accounts.closeCredential(made);
  return who;
}
async function gone(name: string, who: Who): Promise<void> {
  await iam({ Action: 'DeleteAccessKey', UserName: name, AccessKeyId: who.accessKeyId });
  await iam({ Action: 'DeleteUser', UserName: name });
}

const statement = (Principal: unknown, more: object = {}) => ({ Effect: 'Allow', Principal, Action: 'kms:*', Resource: '*', ...more });
const root = { AWS: `arn:aws:iam::${home}:root` };
const policy = (...statements: object[]): string => JSON.stringify({ Version: '2012-10-17', Id: 'one', Statement: statements });
const newKey = async (Policy: string): Promise<string> => (await two.call(two.a.root, 'CreateKey', { Policy }))['KeyMetadata'].Arn as string;
const principals = async (KeyId: string): Promise<readonly unknown[]> => {
  const { Policy } = await two.call(two.a.root, 'GetKeyPolicy', { KeyId });
  return (JSON.parse(String(Policy)) as { Statement: { Principal: unknown }[] }).Statement.map(({ Principal }) => Principal);
};

describe('a key policy', () => {
  it('means who had the name, and shows the id of who is gone', async () => {
    const first = await somebody('alice');
    const id = await idOf('alice');
    const text = policy(statement(root), statement({ AWS: [first.arn, two.a.mighty.arn] }), statement({ AWS: '*' }, { Effect: 'Deny', Action: 'kms:DeleteAlias', Condition: { StringEquals: { 'aws:PrincipalArn': first.arn } } }));
    const KeyId = await newKey(text);
    expect((await two.call(two.a.root, 'GetKeyPolicy', { KeyId }))['Policy']).toBe(text);
    expect(await two.code(first, 'DescribeKey', { KeyId })).toBe('ok');

    await gone('alice', first);
    expect(await principals(KeyId)).toEqual([root, { AWS: [id, two.a.mighty.arn] }, { AWS: '*' }]);
    const second = await somebody('alice');
    expect(second.arn).toBe(first.arn);
    expect(await two.code(second, 'DescribeKey', { KeyId })).toBe('AccessDeniedException');
    const shown = (await two.call(two.a.root, 'GetKeyPolicy', { KeyId }))['Policy'] as string;
    expect(shown).toContain(`"AWS": [\n          "${id}",`);
    // A condition's value is text: who has that ARN, whoever it is.
    expect(shown).toContain(`"aws:PrincipalArn": "${first.arn}"`);

    // What is shown can be stored again, and names nobody; naming the new one is another matter.
    await two.call(two.a.root, 'PutKeyPolicy', { KeyId, Policy: shown });
    expect(await two.code(second, 'DescribeKey', { KeyId })).toBe('AccessDeniedException');
    await two.call(two.a.root, 'PutKeyPolicy', { KeyId, Policy: text });
    expect(await two.code(second, 'DescribeKey', { KeyId })).toBe('ok');
  });

  it('follows who is renamed, and does not pass to who takes the old name', async () => {
    const bob = await somebody('bob');
    const KeyId = await newKey(policy(statement(root), statement({ AWS: bob.arn })));
    await iam({ Action: 'UpdateUser', UserName: 'bob', NewUserName: 'robert' });
    const other = await somebody('bob');
    expect(await two.code(bob, 'DescribeKey', { KeyId })).toBe('ok');
    expect(await two.code(other, 'DescribeKey', { KeyId })).toBe('AccessDeniedException');
    expect(await principals(KeyId)).toEqual([root, { AWS: bob.arn.replace('bob', 'robert') }]);
  });

  it('that denies somebody does not deny the next of that name', async () => {
    const first = await somebody('carol');
    const KeyId = await newKey(policy(statement(root), statement({ AWS: `arn:aws:iam::${home}:root` }, { Action: 'kms:List*' }), statement({ AWS: first.arn }, { Effect: 'Deny', Action: 'kms:DescribeKey' })));
    await gone('carol', first);
    const second = await somebody('carol');
    await two.room.accounts.directory.putInline(home, 'user', 'carol', 'all', JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }));
    expect(await two.code(second, 'DescribeKey', { KeyId })).toBe('ok');
  });

  it('of another account\'s user too', async () => {
    const first = await somebody('dave', away);
    await two.room.accounts.directory.putInline(away, 'user', 'dave', 'all', JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }));
    const KeyId = await newKey(policy(statement(root), statement({ AWS: first.arn })));
    expect(await two.code(first, 'DescribeKey', { KeyId })).toBe('ok');
    await two.room.accounts.directory.deleteInline(away, 'user', 'dave', 'all');
    await two.room.accounts.deleteCredential(away, 'dave', first.accessKeyId);
    await two.room.accounts.directory.remove(away, 'user', 'dave');
    const second = await somebody('dave', away);
    await two.room.accounts.directory.putInline(away, 'user', 'dave', 'all', JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }));
    expect(await two.code(second, 'DescribeKey', { KeyId })).toBe('AccessDeniedException');
  });
});

describe('a trust policy', () => {
  const trust = (arn: string): string => JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Principal: { AWS: arn }, Action: 'sts:AssumeRole' } });
  const assume = async (who: Who, role: string): Promise<number> => (await two.query(who, 'sts', { Action: 'AssumeRole', RoleArn: `arn:aws:iam::${home}:role/${role}`, RoleSessionName: 'one' })).status;

  it('means who had the name', async () => {
    const first = await somebody('erin');
    const id = await idOf('erin');
    await iam({ Action: 'CreateRole', RoleName: 'trusting', AssumeRolePolicyDocument: trust(first.arn) });
    expect(await assume(first, 'trusting')).toBe(200);
    await gone('erin', first);
    const second = await somebody('erin');
    expect(await assume(second, 'trusting')).toBe(403);
    for (const form of [{ Action: 'GetRole', RoleName: 'trusting' }, { Action: 'ListRoles' }]) expect(decodeURIComponent(await iam(form))).toContain(`"AWS": "${id}"`);
    await iam({ Action: 'UpdateAssumeRolePolicy', RoleName: 'trusting', PolicyDocument: trust(second.arn) });
    expect(await assume(second, 'trusting')).toBe(200);
  });

  it('of a role: of the one that was there, and its sessions', async () => {
    await iam({ Action: 'CreateRole', RoleName: 'app', AssumeRolePolicyDocument: trust(`arn:aws:iam::${home}:root`) });
    const session = async (): Promise<Who> => {
      const { text } = await two.query(two.a.mighty, 'sts', { Action: 'AssumeRole', RoleArn: `arn:aws:iam::${home}:role/app`, RoleSessionName: 'one' });
      const part = (name: string): string => new RegExp(`<${name}>(.*?)</${name}>`).exec(text)?.[1] ?? '';
      return { accessKeyId: part('AccessKeyId'), secret: part('SecretAccessKey'), token: part('SessionToken'), arn: `arn:aws:sts::${home}:assumed-role/app/one` };
    };
    const first = await session();
    const byRole = await newKey(policy(statement(root), statement({ AWS: `arn:aws:iam::${home}:role/app` })));
    const bySession = await newKey(policy(statement(root), statement({ AWS: first.arn })));
    for (const KeyId of [byRole, bySession]) expect((await two.raw(first, 'DescribeKey', { KeyId })).status).toBe(200);
    await iam({ Action: 'DeleteRole', RoleName: 'app' });
    await iam({ Action: 'CreateRole', RoleName: 'app', AssumeRolePolicyDocument: trust(`arn:aws:iam::${home}:root`) });
    const second = await session();
    for (const KeyId of [byRole, bySession]) expect((await two.raw(second, 'DescribeKey', { KeyId })).status).toBe(400);
    expect((await principals(byRole))[1]).toEqual({ AWS: expect.stringMatching(/^AROA[A-Z0-9]{16}$/) as string });
    expect((await principals(bySession))[1]).toEqual({ AWS: expect.stringMatching(/^AROA[A-Z0-9]{16}:one$/) as string });
    const { Policy } = await two.call(two.a.root, 'GetKeyPolicy', { KeyId: bySession });
    await two.call(two.a.root, 'PutKeyPolicy', { KeyId: bySession, Policy });
    expect((await two.raw(second, 'DescribeKey', { KeyId: bySession })).status).toBe(400);
  });
});

describe('a grant', () => {
  it('means who had the name, to use it and to retire it', async () => {
    const KeyId = await newKey(policy(statement(root)));
    const first = await somebody('frank');
    const wish = { KeyId, GranteePrincipal: first.arn, RetiringPrincipal: first.arn, Operations: ['DescribeKey'], Name: 'one' };
    const grant = await two.call(two.a.root, 'CreateGrant', wish);
    expect(await two.code(first, 'DescribeKey', { KeyId })).toBe('ok');
    await gone('frank', first);
    const second = await somebody('frank');
    expect(await two.code(second, 'DescribeKey', { KeyId })).toBe('AccessDeniedException');
    expect(await two.code(second, 'RetireGrant', { GrantToken: grant['GrantToken'] })).toBe('AccessDeniedException');
    // The same words now mean somebody else, so it is another grant.
    const again = await two.call(two.a.root, 'CreateGrant', wish);
    expect(again['GrantId']).not.toBe(grant['GrantId']);
    expect(await two.code(second, 'DescribeKey', { KeyId })).toBe('ok');
    expect(await two.code(second, 'RetireGrant', { GrantToken: again['GrantToken'] })).toBe('ok');
  });
});
