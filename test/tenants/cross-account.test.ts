// Another account's key, operation by operation: used where both sides' policies allow it, or refused whatever they say.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { operationNames } from '../../src/kms/operations/table.ts';
import { keyless, requests, type Things } from './requests.ts';
import { away, furnish, home, openTwo, type Two } from './two.ts';

/** As AWS's reference has it: the 56 operations, and what a caller of another account may. */
const table: Readonly<Record<string, 'allowed' | 'refused' | 'own account'>> = {
  CancelKeyDeletion: 'refused', ConnectCustomKeyStore: 'own account', CreateAlias: 'refused', CreateCustomKeyStore: 'own account', CreateGrant: 'allowed',
  CreateKey: 'own account', Decapsulate: 'allowed', Decrypt: 'allowed', DeleteAlias: 'own account', DeleteCustomKeyStore: 'own account',
  DeleteImportedKeyMaterial: 'refused', DeriveSharedSecret: 'allowed', DescribeCustomKeyStores: 'own account', DescribeKey: 'allowed', DisableKey: 'refused',
  DisableKeyRotation: 'refused', DisconnectCustomKeyStore: 'own account', EnableKey: 'refused', EnableKeyRotation: 'refused', Encapsulate: 'allowed',
  Encrypt: 'allowed', GenerateDataKey: 'allowed', GenerateDataKeyPair: 'allowed', GenerateDataKeyPairWithoutPlaintext: 'allowed',
  GenerateDataKeyWithoutPlaintext: 'allowed', GenerateMac: 'allowed', GenerateRandom: 'own account', GetKeyLastUsage: 'refused', GetKeyPolicy: 'refused',
  GetKeyRotationStatus: 'allowed', GetParametersForImport: 'refused', GetPublicKey: 'allowed', ImportKeyMaterial: 'refused', ListAliases: 'own account',
  ListGrants: 'allowed', ListKeyPolicies: 'refused', ListKeyRotations: 'refused', ListKeys: 'own account', ListResourceTags: 'refused',
  ListRetirableGrants: 'own account', PutKeyPolicy: 'refused', ReEncrypt: 'allowed', ReplicateKey: 'refused', RetireGrant: 'allowed', RevokeGrant: 'allowed',
  RotateKeyOnDemand: 'refused', ScheduleKeyDeletion: 'refused', Sign: 'allowed', TagResource: 'refused', UntagResource: 'refused', UpdateAlias: 'refused',
  UpdateCustomKeyStore: 'own account', UpdateKeyDescription: 'refused', UpdatePrimaryRegion: 'refused', Verify: 'allowed', VerifyMac: 'allowed',
};

const open = JSON.stringify({
  Version: '2012-10-17',
  Statement: [home, away].map((account) => ({ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' })),
});

let two: Two;
let shared: Things;
let closed: Things;
beforeAll(async () => {
  two = await openTwo();
  shared = await furnish(two, two.a.root, () => ({ Policy: open }));
  closed = await furnish(two, two.a.root);
  // An alias of its own, to be pointed elsewhere.
  const { KeyMetadata } = await two.call(two.b.root, 'CreateKey', {});
  await two.call(two.b.root, 'CreateAlias', { AliasName: 'alias/own', TargetKeyId: KeyMetadata.KeyId });
});
afterAll(async () => {
  expect(two.room.reports).toEqual([]);
  await two.close();
});

it('the table has every operation, and the requests all that take a key', () => {
  expect(Object.keys(table)).toHaveLength(56);
  expect(operationNames.filter((name) => table[name] === undefined)).toEqual([]);
  expect(Object.keys(table).filter((name) => table[name] === 'own account').sort()).toEqual([...keyless].sort());
  expect(Object.keys(requests).sort()).toEqual(Object.keys(table).filter((name) => table[name] !== 'own account').sort());
});

/** A grant to end, each time. */
async function fresh(things: Things): Promise<Things> {
  const { GrantId, GrantToken } = await two.call(two.a.root, 'CreateGrant', { KeyId: things.keys.symmetric, GranteePrincipal: two.a.root.arn, Operations: ['Encrypt'] });
  return { ...things, grantId: GrantId as string, grantToken: GrantToken as string };
}

describe.each(Object.entries(requests))('%s', (operation, { kind, input }) => {
  const ask = async (things: Things, who: Two['a']['root']): Promise<string> => two.code(who, operation, input(await fresh(things), things.keys[kind], who.arn));

  it(`of another account's shared key is ${table[operation]}`, async () => {
    const expected = table[operation] === 'allowed' ? 'ok' : 'AccessDeniedException';
    expect(await ask(shared, two.b.root)).toBe(expected);
    expect(await ask(shared, two.b.mighty)).toBe(expected);
  });

  it('is refused where only one side allows it', async () => {
    expect(await ask(shared, two.b.idle)).toBe('AccessDeniedException');
    expect(await ask(closed, two.b.mighty)).toBe('AccessDeniedException');
    expect(await ask(closed, two.b.root)).toBe('AccessDeniedException');
  });
});

it('nothing that was refused changed anything', async () => {
  for (const things of [shared, closed]) {
    for (const [kind, KeyId] of Object.entries(things.keys)) {
      const { KeyMetadata } = await two.call(two.a.root, 'DescribeKey', { KeyId });
      expect(KeyMetadata).toMatchObject({ KeyState: kind === 'external' ? 'PendingImport' : 'Enabled', Description: '' });
      expect(await two.call(two.a.root, 'GetKeyPolicy', { KeyId })).toEqual({ Policy: things === shared ? open : expect.stringContaining('key-default-1') as string, PolicyName: 'default' });
      expect((await two.call(two.a.root, 'ListResourceTags', { KeyId }))['Tags']).toEqual([]);
    }
  }
});
