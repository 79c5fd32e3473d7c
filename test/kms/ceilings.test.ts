/** However many come at once, no more get in than there may be. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awsCeilings } from '../../src/kms/ceilings.ts';
import { home, makeWorld, otherRegion, type Body, type World } from './world.ts';

const keys = 12;
const grantsPerKey = 7;
let w: World;
beforeAll(async () => { w = await makeWorld({ ceilings: { ...awsCeilings, keys, grantsPerKey } }); });
afterAll(async () => {
  expect(w.log).toEqual([]);
  await w.close();
});

const create = async (input: Body = {}): Promise<string> => (await w.call('CreateKey', input)).KeyMetadata.Arn;
const many = (count: number, ask: (n: number) => [operation: string, input: Body, region?: string]) => Promise.all(Array.from({ length: count }, (_, n) => {
  const [operation, input, region] = ask(n);
  return w.ask(operation, input, region === undefined ? {} : { region });
}));
const refused = (answers: Awaited<ReturnType<typeof many>>) => answers.flatMap((answer) => (answer.ok ? [] : [answer.error]));
const principal = `arn:aws:iam::${home}:root`;

describe('at once', () => {
  it('aliases of a key: 50', async () => {
    const key = await create();
    const other = await create();
    for (let n = 0; n < 40; n++) await w.call('CreateAlias', { AliasName: `alias/first-${n}`, TargetKeyId: key });
    for (let n = 0; n < 5; n++) await w.call('CreateAlias', { AliasName: `alias/other-${n}`, TargetKeyId: other });
    const answers = await many(25, (n) => (n % 5 === 0
      ? ['UpdateAlias', { AliasName: `alias/other-${n / 5}`, TargetKeyId: key }]
      : ['CreateAlias', { AliasName: `alias/second-${n}`, TargetKeyId: key }]));
    expect(refused(answers)).toEqual(Array(15).fill({ code: 'LimitExceededException', message: `The key ${key} has 50 aliases already.`, status: 400 }));
    expect((await w.call('ListAliases', { KeyId: key, Limit: 100 })).Aliases).toHaveLength(50);
    // One that points there already takes no more room; one that goes makes some.
    await w.call('UpdateAlias', { AliasName: 'alias/first-0', TargetKeyId: key });
    await w.call('DeleteAlias', { AliasName: 'alias/first-0' });
    await w.call('CreateAlias', { AliasName: 'alias/last', TargetKeyId: key });
  });

  it('grants of a key', async () => {
    const KeyId = await create();
    const answers = await many(20, (n) => ['CreateGrant', { KeyId, GranteePrincipal: principal, Operations: ['Encrypt'], Name: `n${n}` }]);
    expect(refused(answers)).toEqual(Array(20 - grantsPerKey).fill({ code: 'LimitExceededException', message: `The key ${KeyId} has ${grantsPerKey} grants already.`, status: 400 }));
    const { Grants } = await w.call('ListGrants', { KeyId });
    expect(Grants).toHaveLength(grantsPerKey);
    // What is there already is answered again, and makes no more of it.
    const [{ GrantId, Name }] = Grants;
    expect((await w.call('CreateGrant', { KeyId, GranteePrincipal: principal, Operations: ['Encrypt'], Name })).GrantId).toBe(GrantId);
    await w.call('RevokeGrant', { KeyId, GrantId });
    expect(refused(await many(3, () => ['CreateGrant', { KeyId, GranteePrincipal: principal, Operations: ['Decrypt'] }]))).toHaveLength(2);
  });

  it('keys of an account in a Region, replicas among them', async () => {
    const primaries = [await create({ MultiRegion: true }), await create({ MultiRegion: true })];
    const there = (await w.call('ListKeys', { Limit: 1000 })).Keys.length as number;
    const answers = await many(20, () => ['CreateKey', {}]);
    expect(refused(answers)).toEqual(Array(20 - (keys - there)).fill({ code: 'LimitExceededException', message: `The account has ${keys} KMS keys in us-east-1 already.`, status: 400 }));
    expect((await w.call('ListKeys', { Limit: 1000 })).Keys).toHaveLength(keys);
    expect(refused(await many(keys - 1, () => ['CreateKey', {}, otherRegion]))).toEqual([]);
    const replicas = await many(2, (n) => ['ReplicateKey', { KeyId: primaries[n], ReplicaRegion: otherRegion }]);
    expect(refused(replicas)).toEqual([{ code: 'LimitExceededException', message: `The account has ${keys} KMS keys in ${otherRegion} already.`, status: 400 }]);
    expect((await w.call('ListKeys', { Limit: 1000 }, { region: otherRegion })).Keys).toHaveLength(keys);
  });
});
