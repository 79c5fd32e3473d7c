import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { away, home, makeWorld, region, type Body, type World } from './world.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

const alice = `arn:aws:iam::${home}:user/alice`;
const bob = `arn:aws:iam::${home}:user/bob`;
const as = { who: 'user/alice' };
const plain = { Plaintext: Buffer.from('x') };
const create = async (input: Body = {}): Promise<Body> => (await w.call('CreateKey', input)).KeyMetadata;

describe('a grant', () => {
  test('lets its grantee do what it says, and no more, until it is revoked', async () => {
    const { KeyId, Arn } = await create();
    expect((await w.refusal('Encrypt', { KeyId, ...plain }, as)).code).toBe('AccessDeniedException');
    const made = await w.call('CreateGrant', { KeyId, GranteePrincipal: alice, RetiringPrincipal: bob, Operations: ['Encrypt', 'DescribeKey'], Name: 'one' });
    expect(made).toEqual({ GrantToken: expect.any(String), GrantId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    await w.call('Encrypt', { KeyId, ...plain }, as);
    await w.call('DescribeKey', { KeyId, GrantTokens: [made.GrantToken] }, as);
    expect((await w.refusal('GenerateDataKey', { KeyId, KeySpec: 'AES_256' }, as)).code).toBe('AccessDeniedException');
    expect((await w.refusal('Encrypt', { KeyId, ...plain }, { who: 'user/carol' })).code).toBe('AccessDeniedException');
    expect(await w.call('ListGrants', { KeyId })).toEqual({
      Grants: [{
        KeyId: Arn, GrantId: made.GrantId, Name: 'one', CreationDate: expect.any(Number), GranteePrincipal: alice, RetiringPrincipal: bob,
        IssuingAccount: `arn:aws:iam::${home}:root`, Operations: ['Encrypt', 'DescribeKey'],
      }],
      Truncated: false,
    });
    expect(await w.refusal('RevokeGrant', { KeyId, GrantId: made.GrantId, DryRun: true })).toMatchObject({ code: 'DryRunOperationException' });
    expect(await w.call('RevokeGrant', { KeyId, GrantId: made.GrantId })).toEqual({});
    expect((await w.refusal('Encrypt', { KeyId, ...plain }, as)).code).toBe('AccessDeniedException');
    expect((await w.refusal('RevokeGrant', { KeyId, GrantId: made.GrantId })).code).toBe('NotFoundException');
  });

  test('does not outdo a deny', async () => {
    const { KeyId } = await create({ Policy: JSON.stringify({ Version: '2012-10-17', Statement: [
      { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${home}:root` }, Action: 'kms:*', Resource: '*' },
      { Effect: 'Deny', Principal: { AWS: alice }, Action: 'kms:Encrypt', Resource: '*' }] }) });
    await w.call('CreateGrant', { KeyId, GranteePrincipal: alice, Operations: ['Encrypt'] });
    expect((await w.refusal('Encrypt', { KeyId, ...plain }, as)).message).toContain('explicit deny in a resource-based policy');
  });

  test('by name is made once, without a name each time', async () => {
    const { KeyId } = await create();
    const input = { KeyId, GranteePrincipal: alice, Operations: ['Encrypt'] };
    const first = await w.call('CreateGrant', { ...input, Name: 'n' });
    const again = await w.call('CreateGrant', { ...input, Name: 'n' });
    expect(again.GrantId).toBe(first.GrantId);
    expect(again.GrantToken).not.toBe(first.GrantToken);
    expect((await w.call('CreateGrant', { ...input, Operations: ['Decrypt'], Name: 'n' })).GrantId).not.toBe(first.GrantId);
    expect((await w.call('CreateGrant', input)).GrantId).not.toBe((await w.call('CreateGrant', input)).GrantId);
    expect((await w.call('ListGrants', { KeyId })).Grants.length).toBe(4);
  });

  test('to a role reaches its sessions, to an account its users with a policy of their own', async () => {
    const { KeyId } = await create();
    await w.call('CreateGrant', { KeyId, GranteePrincipal: `arn:aws:iam::${home}:role/app`, Operations: ['Encrypt'] });
    await w.call('Encrypt', { KeyId, ...plain }, { who: 'assumed-role/app/one' });
    expect((await w.refusal('Encrypt', { KeyId, ...plain }, { who: 'assumed-role/other/one' })).code).toBe('AccessDeniedException');
    const shared = await create();
    await w.call('CreateGrant', { KeyId: shared.KeyId, GranteePrincipal: `arn:aws:iam::${away}:root`, Operations: ['Encrypt'] });
    await w.call('Encrypt', { KeyId: shared.Arn, ...plain }, { account: away });
    expect((await w.refusal('Encrypt', { KeyId: shared.Arn, ...plain }, { account: away, who: 'user/dave' })).code).toBe('AccessDeniedException');
    w.let(`arn:aws:iam::${away}:user/dave`, { Statement: { Effect: 'Allow', Action: 'kms:Encrypt', Resource: '*' } });
    await w.call('Encrypt', { KeyId: shared.Arn, ...plain }, { account: away, who: 'user/dave' });
  });

  test('to another account opens the key\'s partition, and closes it again', async () => {
    const { KeyId, Arn } = await create();
    const outside = { account: away };
    const { GrantId } = await w.call('CreateGrant', { KeyId, GranteePrincipal: `arn:aws:iam::${away}:root`, Operations: ['Encrypt', 'Decrypt', 'RetireGrant'] });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: Arn, ...plain }, outside);
    expect((await w.call('Decrypt', { CiphertextBlob }, outside)).Plaintext.toString()).toBe('x');
    const record = async () => (await w.store.get<{ sharedWith: string[] }>('key', `${home}/${region}/${KeyId}`))?.body.sharedWith;
    expect(await record()).toEqual([away]);
    expect(await w.call('RetireGrant', { KeyId: Arn, GrantId }, outside)).toEqual({});
    expect(await record()).toEqual([]);
    expect((await w.refusal('Decrypt', { CiphertextBlob }, outside)).code).toBe('AccessDeniedException');
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext.toString()).toBe('x');
  });
});

describe('constraints', () => {
  test('of the encryption context', async () => {
    const { KeyId } = await create();
    await w.call('CreateGrant', { KeyId, GranteePrincipal: alice, Operations: ['Encrypt', 'DescribeKey'], Constraints: { EncryptionContextSubset: { a: '1' } } });
    await w.call('CreateGrant', { KeyId, GranteePrincipal: bob, Operations: ['Encrypt'], Constraints: { EncryptionContextEquals: { a: '1' } } });
    const encrypt = async (who: string, EncryptionContext?: Body) => (await w.ask('Encrypt', { KeyId, ...plain, ...(EncryptionContext === undefined ? {} : { EncryptionContext }) }, { who })).ok;
    expect(await encrypt('user/alice', { a: '1' })).toBe(true);
    expect(await encrypt('user/alice', { a: '1', b: '2' })).toBe(true);
    expect(await encrypt('user/alice', { a: '2' })).toBe(false);
    expect(await encrypt('user/alice')).toBe(false);
    // As AWS has it: names in either case, values exactly.
    await w.call('CreateGrant', { KeyId, GranteePrincipal: `arn:aws:iam::${home}:user/frank`, Operations: ['Encrypt'], Constraints: { EncryptionContextEquals: { App: 'One' } } });
    expect(await encrypt('user/frank', { aPP: 'One' })).toBe(true);
    expect(await encrypt('user/frank', { App: 'one' })).toBe(false);
    expect(await encrypt('user/frank', { App: 'One', app: 'One' })).toBe(false);
    expect(await encrypt('user/bob', { a: '1' })).toBe(true);
    expect(await encrypt('user/bob', { a: '1', b: '2' })).toBe(false);
    await w.call('DescribeKey', { KeyId }, as);
  });

  test('are inherited by grants made under a grant', async () => {
    const { KeyId } = await create();
    await w.call('CreateGrant', { KeyId, GranteePrincipal: alice, Operations: ['CreateGrant', 'Encrypt'], Constraints: { EncryptionContextSubset: { a: '1' } } });
    const child = (more: Body) => w.ask('CreateGrant', { KeyId, GranteePrincipal: bob, Operations: ['Encrypt'], ...more }, as);
    expect(await child({ Constraints: { EncryptionContextSubset: { a: '1', b: '2' } } })).toMatchObject({ ok: true });
    expect(await child({ Constraints: { EncryptionContextEquals: { a: '1' } } })).toMatchObject({ ok: true });
    for (const more of [{}, { Constraints: { EncryptionContextSubset: { b: '1' } } }, { Operations: ['Decrypt'], Constraints: { EncryptionContextEquals: { a: '1' } } }]) {
      expect(await child(more)).toMatchObject({ ok: false, error: { code: 'AccessDeniedException' } });
    }
  });

  test('have bounds', async () => {
    const { KeyId } = await create();
    const input = { KeyId, GranteePrincipal: alice, Operations: ['Encrypt'] };
    const pairs = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, '']));
    expect((await w.refusal('CreateGrant', { ...input, Constraints: { EncryptionContextSubset: pairs } })).code).toBe('ValidationException');
    expect((await w.refusal('CreateGrant', { ...input, Constraints: { EncryptionContextSubset: { a: 'x'.repeat(385) } } })).code).toBe('ValidationException');
    const mac = await create({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
    expect((await w.refusal('CreateGrant', { ...input, KeyId: mac.KeyId, Operations: ['GenerateMac'], Constraints: { EncryptionContextSubset: { a: '' } } })).code).toBe('ValidationException');
  });
});

describe('refusals of CreateGrant', () => {
  test('operations must fit the key', async () => {
    const kinds: readonly [Body, string, string][] = [
      [{}, 'Encrypt', 'Sign'], [{ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' }, 'GetPublicKey', 'GenerateDataKey'], [{ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }, 'Verify', 'Encrypt'],
      [{ KeySpec: 'HMAC_224', KeyUsage: 'GENERATE_VERIFY_MAC' }, 'VerifyMac', 'GetPublicKey'], [{ KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' }, 'DeriveSharedSecret', 'Sign'],
      [{ KeySpec: 'ML_KEM_512', KeyUsage: 'ENCAPSULATE_DECAPSULATE' }, 'Encapsulate', 'Encrypt'],
    ];
    for (const [input, good, bad] of kinds) {
      const { KeyId } = await create(input);
      await w.call('CreateGrant', { KeyId, GranteePrincipal: alice, Operations: [good, 'CreateGrant', 'RetireGrant', 'DescribeKey'] });
      expect((await w.refusal('CreateGrant', { KeyId, GranteePrincipal: alice, Operations: [good, bad] })).code).toBe('ValidationException');
    }
  });

  test('parties', async () => {
    const { KeyId } = await create();
    const Operations = ['Encrypt'];
    const source = { Constraints: { SourceArn: 'arn:aws:s3:::bucket/aaaaaa' } };
    const table: readonly [Body, string][] = [
      [{}, 'ValidationException'],
      [{ GranteePrincipal: alice, GranteeServicePrincipal: 's3.amazonaws.com' }, 'ValidationException'],
      [{ GranteePrincipal: alice, RetiringPrincipal: bob, RetiringServicePrincipal: 's3.amazonaws.com' }, 'ValidationException'],
      [{ GranteePrincipal: alice, Operations: [] }, 'ValidationException'],
      [{ GranteeServicePrincipal: 's3.amazonaws.com' }, 'ValidationException'],
      [{ GranteeServicePrincipal: 's3.amazonaws.com', Constraints: { SourceArn: 'arn:aws:s3:us-east-1:111122223333:bucket/b' } }, 'ValidationException'],
      [{ GranteePrincipal: 'alice' }, 'InvalidArnException'],
      [{ GranteePrincipal: 'arn:aws:iam::999999999999:user/nobody' }, 'InvalidArnException'],
      [{ GranteePrincipal: alice, ...source }, 'ValidationException'],
      [{ GranteePrincipal: alice, GrantTokens: ['made up'] }, 'InvalidGrantTokenException'],
    ];
    for (const [input, code] of table) expect((await w.refusal('CreateGrant', { KeyId, Operations, ...input })).code, JSON.stringify(input)).toBe(code);
    const good = { GranteeServicePrincipal: 's3.amazonaws.com', RetiringServicePrincipal: 's3.amazonaws.com', Constraints: { SourceArn: 'arn:aws:s3:us-east-1:111122223333:bucket/b' } };
    await w.call('CreateGrant', { KeyId, Operations, ...good });
    expect((await w.call('ListGrants', { KeyId })).Grants).toMatchObject([good]);
    // That filter is for services.
    expect((await w.refusal('ListGrants', { KeyId, GranteeServicePrincipal: 's3.amazonaws.com' })).code).toBe('AccessDeniedException');
    const service = { caller: { service: 's3.amazonaws.com', account: home, facts: { 'aws:SourceArn': 'arn:aws:s3:us-east-1:111122223333:bucket/b' } } };
    await w.call('Encrypt', { KeyId, ...plain }, service);
    expect((await w.refusal('Encrypt', { KeyId, ...plain }, { caller: { ...service.caller, facts: {} } })).code).toBe('AccessDeniedException');
  });
});

test('a policy lets services make grants for somebody, and nobody else', async () => {
  const root = { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${home}:root` }, Action: 'kms:*', Resource: '*' };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [root, { ...root, Effect: 'Deny', Action: ['kms:CreateGrant', 'kms:RevokeGrant'], Condition: { Bool: { 'kms:GrantIsForAWSResource': 'false' } } }] });
  const { KeyId } = await create({ Policy });
  const wish = { KeyId, GranteePrincipal: alice, Operations: ['Encrypt'] };
  expect((await w.refusal('CreateGrant', wish)).code).toBe('AccessDeniedException');
  const via = { caller: { viaService: `ec2.${region}.amazonaws.com` } };
  const { GrantId } = await w.call('CreateGrant', wish, via);
  expect((await w.refusal('RevokeGrant', { KeyId, GrantId })).code).toBe('AccessDeniedException');
  await w.call('RevokeGrant', { KeyId, GrantId }, via);
});

describe('retiring', () => {
  const grant = async (KeyId: string, more: Body = {}) => w.call('CreateGrant', { KeyId, GranteePrincipal: alice, RetiringPrincipal: bob, Operations: ['Encrypt'], ...more });

  test('by whoever may, by token or by name', async () => {
    const { KeyId, Arn } = await create();
    const first = await grant(KeyId);
    expect((await w.refusal('RetireGrant', { GrantToken: first.GrantToken }, as)).code).toBe('AccessDeniedException');
    expect((await w.refusal('RetireGrant', { GrantToken: first.GrantToken, DryRun: true }, { who: 'user/bob' })).code).toBe('DryRunOperationException');
    expect(await w.call('RetireGrant', { GrantToken: first.GrantToken }, { who: 'user/bob' })).toEqual({});
    expect((await w.refusal('RetireGrant', { GrantToken: first.GrantToken })).code).toBe('NotFoundException');
    const second = await grant(KeyId, { Operations: ['Encrypt', 'RetireGrant'] });
    expect(await w.call('RetireGrant', { KeyId: Arn, GrantId: second.GrantId }, as)).toEqual({});
    const third = await grant(KeyId);
    expect(await w.call('RetireGrant', { KeyId: Arn, GrantId: third.GrantId })).toEqual({});
    const fourth = await grant(KeyId);
    w.let(`arn:aws:iam::${home}:user/erin`, { Statement: { Effect: 'Allow', Action: 'kms:RetireGrant', Resource: '*' } });
    expect(await w.call('RetireGrant', { KeyId, GrantId: fourth.GrantId }, { who: 'user/erin' })).toEqual({});
  });

  test('by the account that made it, whoever owns the key', async () => {
    const share = { Effect: 'Allow', Principal: { AWS: [`arn:aws:iam::${home}:root`, `arn:aws:iam::${away}:root`] }, Action: 'kms:*', Resource: '*' };
    const { KeyId, Arn } = await create({ Policy: JSON.stringify({ Version: '2012-10-17', Statement: [share] }) });
    const made = await w.call('CreateGrant', { KeyId: Arn, GranteePrincipal: alice, Operations: ['Encrypt'] }, { account: away });
    expect((await w.call('ListGrants', { KeyId })).Grants).toMatchObject([{ IssuingAccount: `arn:aws:iam::${away}:root` }]);
    expect(await w.call('RetireGrant', { KeyId: Arn, GrantId: made.GrantId }, { account: away })).toEqual({});
  });

  test('refusals', async () => {
    const { KeyId } = await create();
    const { GrantToken } = await grant(KeyId);
    expect((await w.refusal('RetireGrant', {})).code).toBe('ValidationException');
    expect((await w.refusal('RetireGrant', { GrantToken: 'x' })).code).toBe('InvalidGrantTokenException');
    expect((await w.refusal('RetireGrant', { GrantToken: GrantToken.replace(/^./, (c: string) => (c === 'A' ? 'B' : 'A')) })).code).toBe('InvalidGrantTokenException');
    expect((await w.refusal('RetireGrant', { KeyId, GrantId: 'x' })).code).toBe('InvalidGrantIdException');
    expect((await w.refusal('RetireGrant', { KeyId, GrantId: '0'.repeat(64) })).code).toBe('NotFoundException');
    expect((await w.refusal('RevokeGrant', { KeyId, GrantId: 'x' })).code).toBe('InvalidGrantIdException');
    const elsewhere = { KeyId: `arn:aws:kms:${region}:${home}:key/12345678-1234-1234-1234-123456789012`, GrantId: '0'.repeat(64) };
    expect((await w.refusal('RetireGrant', elsewhere, { account: away })).message).toContain('the resource does not exist in this Region');
  });

  test('a grant\'s token works for its key alone', async () => {
    const other = await create();
    const { KeyId } = await create();
    const { GrantToken } = await grant(KeyId);
    expect((await w.refusal('Encrypt', { KeyId: other.KeyId, ...plain, GrantTokens: [GrantToken] }, as)).code).toBe('AccessDeniedException');
  });
});

test('lists, in pages and by principal', async () => {
  const { KeyId } = await create();
  for (let i = 0; i < 5; i++) await w.call('CreateGrant', { KeyId, GranteePrincipal: i % 2 ? alice : bob, RetiringPrincipal: `arn:aws:iam::${home}:user/retirer`, Operations: ['Encrypt'] });
  const seen: string[] = [];
  for (let Marker: string | undefined; ;) {
    const page: Body = await w.call('ListGrants', { KeyId, Limit: 2, ...(Marker === undefined ? {} : { Marker }) });
    seen.push(...page.Grants.map((one: Body) => one.GrantId));
    if (!page.Truncated) break;
    Marker = page.NextMarker;
  }
  expect(new Set(seen).size).toBe(5);
  expect((await w.call('ListGrants', { KeyId, GranteePrincipal: alice })).Grants.length).toBe(2);
  expect((await w.call('ListGrants', { KeyId, GrantId: seen[0] })).Grants.length).toBe(1);
  expect((await w.call('ListGrants', { KeyId, GrantId: '0'.repeat(64) })).Grants).toEqual([]);
  expect((await w.call('ListRetirableGrants', { RetiringPrincipal: `arn:aws:iam::${home}:user/retirer`, Limit: 3 })).Grants.length).toBe(3);
  expect((await w.refusal('ListRetirableGrants', {})).code).toBe('ValidationException');
  expect((await w.refusal('ListRetirableGrants', { RetiringPrincipal: `arn:aws:iam::${away}:user/x` })).code).toBe('AccessDeniedException');
  expect((await w.refusal('ListRetirableGrants', { RetiringServicePrincipal: 's3.amazonaws.com' })).code).toBe('AccessDeniedException');
});

test('many at once', async () => {
  const { KeyId } = await create();
  const made = await Promise.all(Array.from({ length: 40 }, () => w.call('CreateGrant', { KeyId, GranteePrincipal: alice, Operations: ['Encrypt'] })));
  expect(new Set(made.map(({ GrantId }: Body) => GrantId)).size).toBe(40);
  expect((await w.call('ListGrants', { KeyId, Limit: 100 })).Grants.length).toBe(40);
});
