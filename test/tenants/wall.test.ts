// Another account's resource: the answer is the same, byte for byte but for the request's id, whether it was never there, is there in whatever state, or is gone.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookupEvents } from '../../src/audit/lookup.ts';
import { removeKey } from './gone.ts';
import { requests, takesAlias, type Kind, type Things } from './requests.ts';
import { away, furnish, home, openTwo, type Two, type Who } from './two.ts';
import { region, type Answered } from '../server/room.ts';

let two: Two;
/** Of the account that asks: what its requests carry besides. */
let own: Things;
let ahead = 0;
beforeAll(async () => {
  two = await openTwo('dev', { gridMs: 1 });
  const now = two.room.store.now.bind(two.room.store);
  two.room.store.now = () => now() + ahead;
  own = await furnish(two, two.b.root);
  for (const [name, Condition] of Object.entries(conditions)) curious.set(name, await two.give(away, name, { Effect: 'Allow', Action: 'kms:*', Resource: '*', Condition }));
  await two.call(two.b.root, 'CreateAlias', { AliasName: 'alias/own', TargetKeyId: own.keys.symmetric });
});
afterAll(async () => {
  expect(two.room.reports).toEqual([]);
  await two.close();
});

/** Users whose own policies ask what the key is like: what decides must not be the other account's key. */
const conditions: Readonly<Record<string, object>> = {
  'same-key': { Bool: { 'kms:ReEncryptOnSameKey': 'true' } },
  'other-key': { Bool: { 'kms:ReEncryptOnSameKey': 'false' } },
  spec: { StringEquals: { 'kms:KeySpec': 'SYMMETRIC_DEFAULT' } },
  'no-spec': { Null: { 'kms:KeySpec': 'true' } },
  alias: { 'ForAnyValue:StringLike': { 'kms:ResourceAliases': 'alias/*' } },
  tag: { StringEquals: { 'aws:ResourceTag/x': 'y' } },
  owner: { StringEquals: { 'aws:ResourceAccount': home } },
};
const curious = new Map<string, Who>();

/** All of an answer that may not differ. */
function said({ status, headers, text }: Answered): unknown {
  const { date: _, 'x-amzn-requestid': id, ...rest } = headers;
  return { status, headers: rest, text: text.replaceAll(String(id), 'ID') };
}

const idOf = (kind: Kind): string => (kind === 'multi' ? `mrk-${'0123456789abcdef'.repeat(2)}` : `00000000-0000-4000-8000-00000000000${['symmetric', 'sign', 'mac', 'agree', 'kem', 'external'].indexOf(kind)}`);
const arnOf = (kind: Kind): string => `arn:aws:kms:${region}:${home}:key/${idOf(kind)}`;
const aliasArn = `arn:aws:kms:${region}:${home}:alias/theirs`;

/** Everything the second account can say about the first one's keys, as three of its people. */
async function askAll(): Promise<ReadonlyMap<string, unknown>> {
  const answers = new Map<string, unknown>();
  const { b } = two;
  for (const [name, who] of Object.entries({ root: b.root, mighty: b.mighty, idle: b.idle })) {
    for (const [operation, { kind, input }] of Object.entries(requests)) {
      const names = [arnOf(kind), ...(takesAlias.includes(operation) ? [aliasArn] : [])];
      for (const key of names) answers.set(`${operation} ${key} as ${name}`, said(await two.raw(who, operation, input(own, key, who.arn))));
    }
    // Two keys at once, and what a policy may ask about both.
    const move = { CiphertextBlob: own.blob, DestinationKeyId: arnOf('symmetric') };
    answers.set(`ReEncrypt to a key as ${name}`, said(await two.raw(who, 'ReEncrypt', move)));
    answers.set(`ReEncrypt to an alias as ${name}`, said(await two.raw(who, 'ReEncrypt', { ...move, SourceKeyId: arnOf('symmetric'), DestinationKeyId: aliasArn })));
    for (const operation of ['ListAliases', 'DescribeKey']) answers.set(`${operation} by a bare id as ${name}`, said(await two.raw(who, operation, { KeyId: idOf('symmetric') })));
    for (const [action, form] of Object.entries(iamForms)) answers.set(`${action} as ${name}`, said(await two.query(who, action === 'AssumeRole' ? 'sts' : 'iam', { Action: action, ...form })));
  }
  for (const [name, who] of curious) {
    const move = { CiphertextBlob: own.blob, SourceKeyId: arnOf('symmetric'), DestinationKeyId: aliasArn };
    answers.set(`ReEncrypt as ${name}`, said(await two.raw(who, 'ReEncrypt', move)));
    for (const operation of ['Encrypt', 'DescribeKey', 'DisableKey', 'ListGrants']) answers.set(`${operation} as ${name}`, said(await two.raw(who, operation, requests[operation]!.input(own, arnOf('symmetric'), who.arn))));
  }
  return answers;
}

const policyArn = `arn:aws:iam::${home}:policy/theirs`;
const iamForms: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  AssumeRole: { RoleArn: `arn:aws:iam::${home}:role/theirs`, RoleSessionName: 'me-too' },
  AttachUserPolicy: { UserName: 'idle', PolicyArn: policyArn },
  GetPolicy: { PolicyArn: policyArn },
  ListEntitiesForPolicy: { PolicyArn: policyArn },
  PutUserPermissionsBoundary: { UserName: 'idle', PermissionsBoundary: policyArn },
  SimulatePrincipalPolicy: { PolicySourceArn: `arn:aws:iam::${home}:user/theirs`, 'ActionNames.member.1': 'kms:Encrypt' },
  GetUser: { UserName: 'theirs' },
  GetAccessKeyLastUsed: { AccessKeyId: 'AKIATHEIRS0000000000' },
  UpdateAccessKey: { AccessKeyId: 'AKIATHEIRS0000000000', Status: 'Inactive' },
  DeleteAccessKey: { AccessKeyId: 'AKIATHEIRS0000000000' },
};

const iam = async (who: Who, form: Readonly<Record<string, string>>): Promise<void> => {
  const { status, text } = await two.query(who, 'iam', form);
  if (status !== 200) throw new Error(text);
};

const locked = JSON.stringify({ Version: '2012-10-17', Statement: [
  { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${home}:root` }, Action: 'kms:*', Resource: '*' },
  { Effect: 'Deny', Principal: '*', Action: 'kms:*', Resource: '*', Condition: { StringEquals: { 'kms:CallerAccount': away } } },
] });

/** What the first account makes of the same names, and does with them. */
async function make(): Promise<Things> {
  const things = await furnish(two, two.a.root, (kind) => ({ Tags: [{ TagKey: '_custom_id_', TagValue: idOf(kind) }] }));
  await two.call(two.a.root, 'CreateAlias', { AliasName: 'alias/theirs', TargetKeyId: things.keys.symmetric });
  const trust = JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Principal: { AWS: home }, Action: 'sts:AssumeRole' } });
  await iam(two.a.root, { Action: 'CreateRole', RoleName: 'theirs', AssumeRolePolicyDocument: trust });
  await iam(two.a.root, { Action: 'CreatePolicy', PolicyName: 'theirs', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }) });
  await iam(two.a.root, { Action: 'CreateUser', UserName: 'theirs' });
  const made = await two.room.accounts.createCredential({ account: home, userName: 'theirs', accessKeyId: 'AKIATHEIRS0000000000', secret: { from: 'made' }, show: false });
  two.room.accounts.closeCredential(made);
  return things;
}

function expectSame(now: ReadonlyMap<string, unknown>, before: ReadonlyMap<string, unknown>): void {
  const differ = [...before].filter(([name, answer]) => JSON.stringify(now.get(name)) !== JSON.stringify(answer));
  expect(differ.map(([name, answer]) => ({ name, before: answer, now: now.get(name) }))).toEqual([]);
}

it('the comparison tells answers that differ: of one\'s own key', async () => {
  const name = { KeyId: idOf('mac').replace('4000', '4001') };
  const asked = async () => new Map([['DescribeKey', said(await two.raw(two.b.root, 'DescribeKey', name))]]);
  const before = await asked();
  await two.call(two.b.root, 'CreateKey', { Tags: [{ TagKey: '_custom_id_', TagValue: name.KeyId }] });
  const now = await asked();
  expect(() => { expectSame(now, before); }).toThrow();
});

describe('what another account learns of a resource', () => {
  let before: ReadonlyMap<string, unknown>;
  let things: Things;

  it('that was never there: a refusal to every request', async () => {
    before = await askAll();
    expect(before.size).toBeGreaterThan(200);
    for (const [name, answer] of before) expect([name, (answer as { status: number }).status >= 400 || name.startsWith('GetUser') || name.startsWith('Get')]).toEqual([name, true]);
  });

  it('that is there: the same', async () => {
    things = await make();
    expectSame(await askAll(), before);
  });

  it('that is locked, disabled, tagged, granted, rotated: the same', async () => {
    const { a } = two;
    const KeyId = things.keys.symmetric;
    await two.call(a.root, 'CreateGrant', { KeyId, GranteePrincipal: a.mighty.arn, Operations: ['Decrypt'] });
    await two.call(a.root, 'RotateKeyOnDemand', { KeyId });
    await two.call(a.root, 'TagResource', { KeyId, Tags: [{ TagKey: 'x', TagValue: 'y' }] });
    expectSame(await askAll(), before);
    await two.call(a.root, 'PutKeyPolicy', { KeyId, Policy: locked });
    for (const key of Object.values(things.keys)) if (key !== things.keys.external) await two.call(a.root, 'DisableKey', { KeyId: key });
    expectSame(await askAll(), before);
  });

  it('whose blob it holds: the same after the key is gone as while it was there', async () => {
    const { a, b } = two;
    const asked = async (): Promise<readonly unknown[]> => Promise.all([b.root, b.mighty, b.idle].flatMap((who) => [
      two.raw(who, 'Decrypt', { CiphertextBlob: things.blob }), two.raw(who, 'Decrypt', { CiphertextBlob: things.blob, KeyId: arnOf('symmetric') }),
      two.raw(who, 'Decrypt', { CiphertextBlob: things.blob, KeyId: own.keys.symmetric }), two.raw(who, 'ReEncrypt', { CiphertextBlob: things.blob, DestinationKeyId: own.keys.symmetric }),
      two.raw(who, 'RetireGrant', { GrantToken: things.grantToken }), two.raw(who, 'RetireGrant', { KeyId: arnOf('symmetric'), GrantId: things.grantId }),
    ]).map(async (answer) => said(await answer)));
    const there = await asked();
    for (const KeyId of Object.values(things.keys)) await two.call(a.root, 'ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    expect(await asked()).toEqual(there);
    expectSame(await askAll(), before);
    for (const kind of Object.keys(things.keys)) await removeKey(two.room.store, `${home}/${region}/${idOf(kind as Kind)}`);
    expect(await two.code(a.root, 'DescribeKey', { KeyId: arnOf('symmetric') })).toBe('NotFoundException');
    expect(await asked()).toEqual(there);
    expectSame(await askAll(), before);
  });

  it('from its own trail: nothing else', async () => {
    const kinds = new Map<string, Set<string>>();
    for (let token: string | undefined; ;) {
      const page: Awaited<ReturnType<typeof lookupEvents>> = await lookupEvents(two.room.store, away, region, { LookupAttributes: [{ AttributeKey: 'EventSource', AttributeValue: 'kms.amazonaws.com' }], ...(token === undefined ? {} : { NextToken: token }) });
      for (const { CloudTrailEvent } of page.Events) {
        const { eventID, requestID, eventTime, ...rest } = JSON.parse(CloudTrailEvent) as Record<string, unknown>;
        if (rest['errorCode'] !== 'AccessDeniedException') continue;
        expect([typeof eventID, typeof requestID, typeof eventTime]).toEqual(['string', 'string', 'string']);
        const { requestParameters, userIdentity, eventName, ...answer } = rest;
        const request = JSON.stringify([eventName, requestParameters, userIdentity]);
        kinds.set(request, (kinds.get(request) ?? new Set()).add(JSON.stringify(answer)));
      }
      token = page.NextToken;
      if (token === undefined) break;
    }
    expect(kinds.size).toBeGreaterThan(100);
    expect([...kinds].filter(([, answers]) => answers.size > 1)).toEqual([]);
    expect([...kinds.values()].flatMap((answers) => [...answers]).filter((answer) => answer.includes('sharedEventID'))).toEqual([]);
  });

  it('while its owner is told who asked', async () => {
    const { Events } = await lookupEvents(two.room.store, home, region, { LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'GenerateMac' }], MaxResults: 50 });
    const events = Events.map(({ CloudTrailEvent }) => JSON.parse(CloudTrailEvent) as { userIdentity: { accountId: string }; errorCode?: string; resources: { accountId: string }[] });
    const asked = events.filter(({ userIdentity }) => userIdentity.accountId === away);
    expect(asked.length).toBeGreaterThan(0);
    for (const { errorCode, resources } of asked) expect([errorCode, resources.map(({ accountId }) => accountId)]).toEqual(['AccessDeniedException', [home]]);
  });
});
