import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keySpecs, keyUsages } from '../../src/kms/shapes.ts';
import { away, day, home, makeWorld, region, type Body, type World } from './world.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

const create = async (input: Body = {}): Promise<Body> => (await w.call('CreateKey', input)).KeyMetadata;
const describeKey = async (KeyId: string): Promise<Body> => (await w.call('DescribeKey', { KeyId })).KeyMetadata;

describe('CreateKey', () => {
  test('answers the whole metadata, which DescribeKey repeats', async () => {
    const made = await create({ Description: 'mine', Tags: [{ TagKey: 'a', TagValue: 'b' }] });
    expect(made).toEqual({
      AWSAccountId: home, KeyId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/), Arn: `arn:aws:kms:${region}:${home}:key/${made.KeyId}`,
      CreationDate: expect.any(Number), Enabled: true, Description: 'mine', KeyUsage: 'ENCRYPT_DECRYPT', KeyState: 'Enabled', Origin: 'AWS_KMS', KeyManager: 'CUSTOMER',
      CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT', KeySpec: 'SYMMETRIC_DEFAULT', EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'], MultiRegion: false,
      CurrentKeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(Math.abs(made.CreationDate * 1000 - w.now())).toBeLessThan(60_000);
    expect(await describeKey(made.KeyId)).toEqual(made);
    expect(await w.call('ListResourceTags', { KeyId: made.KeyId })).toEqual({ Tags: [{ TagKey: 'a', TagValue: 'b' }], Truncated: false });
  });

  const pairs: Readonly<Record<string, readonly string[]>> = {
    SYMMETRIC_DEFAULT: ['ENCRYPT_DECRYPT'], RSA_2048: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'], RSA_3072: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'], RSA_4096: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'],
    ECC_NIST_P256: ['SIGN_VERIFY', 'KEY_AGREEMENT'], ECC_NIST_P384: ['SIGN_VERIFY', 'KEY_AGREEMENT'], ECC_NIST_P521: ['SIGN_VERIFY', 'KEY_AGREEMENT'],
    ECC_SECG_P256K1: ['SIGN_VERIFY'], ECC_NIST_EDWARDS25519: ['SIGN_VERIFY'], HMAC_224: ['GENERATE_VERIFY_MAC'], HMAC_256: ['GENERATE_VERIFY_MAC'], HMAC_384: ['GENERATE_VERIFY_MAC'],
    HMAC_512: ['GENERATE_VERIFY_MAC'], ML_DSA_44: ['SIGN_VERIFY'], ML_DSA_65: ['SIGN_VERIFY'], ML_DSA_87: ['SIGN_VERIFY'], ML_KEM_512: ['ENCAPSULATE_DECAPSULATE'],
    ML_KEM_768: ['ENCAPSULATE_DECAPSULATE'], ML_KEM_1024: ['ENCAPSULATE_DECAPSULATE'], SM2: [],
  };
  test.each(keySpecs)('%s with each usage', async (KeySpec) => {
    for (const KeyUsage of keyUsages) {
      const answer = await w.ask('CreateKey', { KeySpec, KeyUsage, Origin: 'EXTERNAL' });
      if (pairs[KeySpec]?.includes(KeyUsage)) {
        expect(answer).toMatchObject({ ok: true, body: { KeyMetadata: { KeySpec, KeyUsage, CustomerMasterKeySpec: KeySpec, KeyState: 'PendingImport', Enabled: false } } });
      } else if (KeySpec === 'SM2' && ['ENCRYPT_DECRYPT', 'SIGN_VERIFY', 'KEY_AGREEMENT'].includes(KeyUsage)) {
        expect(answer).toMatchObject({ ok: false, error: { code: 'UnsupportedOperationException', message: 'KeySpec SM2 is not supported in this Region' } });
      } else {
        expect(answer).toMatchObject({ ok: false, error: { code: 'ValidationException', message: `KeyUsage ${KeyUsage} is not compatible with KeySpec ${KeySpec}` } });
      }
    }
    if (KeySpec !== 'SYMMETRIC_DEFAULT') {
      expect(await w.refusal('CreateKey', { KeySpec })).toEqual({ code: 'ValidationException', status: 400, message: 'You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.' });
    }
  });

  test('the old member names the spec too', async () => {
    expect((await create({ CustomerMasterKeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })).KeySpec).toBe('ECC_NIST_P256');
    for (const KeySpec of ['RSA_2048', 'ECC_NIST_P256']) {
      expect(await w.refusal('CreateKey', { CustomerMasterKeySpec: 'ECC_NIST_P256', KeySpec, KeyUsage: 'SIGN_VERIFY' })).toEqual({
        code: 'ValidationException', status: 400, message: 'You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.',
      });
    }
  });

  test('an imported key waits for its material', async () => {
    const made = await create({ Origin: 'EXTERNAL' });
    expect(made).toMatchObject({ KeyState: 'PendingImport', Enabled: false, Origin: 'EXTERNAL' });
    expect(made).not.toHaveProperty('CurrentKeyMaterialId');
    expect(made).not.toHaveProperty('ExpirationModel');
  });

  test('members of custom key stores go with their origin', async () => {
    const wrong: readonly Body[] = [{ Origin: 'AWS_CLOUDHSM' }, { CustomKeyStoreId: 'cks-1' }, { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId: 'cks-1' }, { XksKeyId: 'x' }];
    for (const input of wrong) expect((await w.refusal('CreateKey', input)).code).toBe('ValidationException');
    expect((await w.refusal('CreateKey', { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: 'cks-1' })).code).toBe('CustomKeyStoreNotFoundException');
  });
});

describe('tags', () => {
  test('given, changed, taken away, in pages', async () => {
    const { KeyId } = await create();
    await w.call('TagResource', { KeyId, Tags: [{ TagKey: 'a', TagValue: '1' }, { TagKey: 'b', TagValue: '' }] });
    await w.call('TagResource', { KeyId, Tags: [{ TagKey: 'a', TagValue: '2' }] });
    await w.call('UntagResource', { KeyId, TagKeys: ['absent'] });
    const page = await w.call('ListResourceTags', { KeyId, Limit: 1 });
    expect(page).toEqual({ Tags: [{ TagKey: 'a', TagValue: '2' }], Truncated: true, NextMarker: expect.any(String) });
    expect(await w.call('ListResourceTags', { KeyId, Limit: 1, Marker: page.NextMarker })).toEqual({ Tags: [{ TagKey: 'b', TagValue: '' }], Truncated: false });
    await w.call('UntagResource', { KeyId, TagKeys: ['a', 'b'] });
    expect(await w.call('ListResourceTags', { KeyId })).toEqual({ Tags: [], Truncated: false });
  });

  test('refusals', async () => {
    const { KeyId } = await create();
    const many = Array.from({ length: 51 }, (_, i) => ({ TagKey: `k${i}`, TagValue: '' }));
    const table: readonly [readonly Body[], string][] = [
      [[{ TagKey: 'aws:x', TagValue: '' }], 'Tags beginning with aws: are reserved'],
      [[{ TagKey: 'x', TagValue: '' }, { TagKey: 'x', TagValue: '1' }], 'Duplicate tag keys'],
      [many, 'Too many tags'],
    ];
    for (const [Tags, message] of table) {
      expect(await w.refusal('TagResource', { KeyId, Tags })).toEqual({ code: 'TagException', message, status: 400 });
      expect(await w.refusal('CreateKey', { Tags })).toEqual({ code: 'TagException', message, status: 400 });
    }
    await w.call('TagResource', { KeyId, Tags: many.slice(1) });
    expect((await w.refusal('TagResource', { KeyId, Tags: many.slice(0, 1) })).message).toBe('Too many tags');
  });
});

describe('deletion', () => {
  test('scheduled, cancelled, scheduled again and done', async () => {
    const { KeyId, Arn } = await create();
    await w.call('CreateAlias', { AliasName: 'alias/doomed', TargetKeyId: KeyId });
    await w.call('CreateGrant', { KeyId, GranteePrincipal: `arn:aws:iam::${home}:user/alice`, Operations: ['Encrypt'] });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });

    const scheduled = await w.call('ScheduleKeyDeletion', { KeyId });
    expect(scheduled).toEqual({ KeyId: Arn, DeletionDate: expect.any(Number), KeyState: 'PendingDeletion', PendingWindowInDays: 30 });
    expect(scheduled.DeletionDate * 1000 - w.now()).toBeGreaterThan(29.9 * day);
    expect(await describeKey(KeyId)).toMatchObject({ KeyState: 'PendingDeletion', Enabled: false, DeletionDate: scheduled.DeletionDate });
    expect(await w.call('CancelKeyDeletion', { KeyId })).toEqual({ KeyId: Arn });
    expect(await describeKey(KeyId)).toMatchObject({ KeyState: 'Disabled', Enabled: false });
    expect(await describeKey(KeyId)).not.toHaveProperty('DeletionDate');
    await w.call('EnableKey', { KeyId });
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext.toString()).toBe('x');

    await w.call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    w.pass(6.9 * day);
    await w.caretaker.run();
    expect((await describeKey(KeyId)).KeyState).toBe('PendingDeletion');
    w.pass(0.2 * day);
    expect(await w.caretaker.run()).toBe(1);
    expect(await w.caretaker.run()).toBe(0);
    expect((await w.refusal('DescribeKey', { KeyId })).code).toBe('NotFoundException');
    expect((await w.refusal('DescribeKey', { KeyId: 'alias/doomed' })).code).toBe('NotFoundException');
    expect((await w.refusal('Decrypt', { CiphertextBlob })).code).toBe('AccessDeniedException');
    for (const table of ['key', 'policy'] as const) expect(await w.store.get(table, `${home}/${region}/${KeyId}`)).toBeUndefined();
    expect((await w.store.list('material', { index: 'material.key', equals: [`${home}/${region}/${KeyId}`], limit: 10 })).rows).toEqual([]);
    expect((await w.store.list('grant', { index: 'grant.key', equals: [`${home}/${region}/${KeyId}`], limit: 10 })).rows).toEqual([]);
    expect((await w.trail()).find((event) => event.eventName === 'DeleteKey')).toMatchObject({ eventType: 'AwsServiceEvent', resources: [{ ARN: Arn }], additionalEventData: { keyId: KeyId } });
  });

  test('the window is 7 to 30 days', async () => {
    const { KeyId } = await create();
    for (const [days, bound] of [[6, 'greater than or equal to 7'], [31, 'less than or equal to 30'], [1, 'greater than or equal to 7'], [365, 'less than or equal to 30']] as const) {
      expect(await w.refusal('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: days })).toEqual({
        code: 'ValidationException', status: 400,
        message: `1 validation error detected: Value '${days}' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value ${bound}`,
      });
    }
  });

  test('a key that never got its material goes back to waiting for it', async () => {
    const { KeyId } = await create({ Origin: 'EXTERNAL' });
    await w.call('ScheduleKeyDeletion', { KeyId });
    await w.call('CancelKeyDeletion', { KeyId });
    expect((await describeKey(KeyId)).KeyState).toBe('PendingImport');
  });
});

describe('policies', () => {
  const statement = (more: Body = {}) => ({ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${home}:root` }, Action: 'kms:*', Resource: '*', ...more });
  const policy = (...statements: Body[]) => JSON.stringify({ Version: '2012-10-17', Statement: statements });

  test('each key has one, named default', async () => {
    const { KeyId } = await create();
    const { Policy, PolicyName } = await w.call('GetKeyPolicy', { KeyId });
    expect(PolicyName).toBe('default');
    expect(JSON.parse(Policy)).toEqual({
      Version: '2012-10-17', Id: 'key-default-1',
      Statement: [{ Sid: 'Enable IAM User Permissions', Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${home}:root` }, Action: 'kms:*', Resource: '*' }],
    });
    expect(await w.call('ListKeyPolicies', { KeyId })).toEqual({ PolicyNames: ['default'], Truncated: false });
    expect(await w.refusal('GetKeyPolicy', { KeyId, PolicyName: 'other' })).toEqual({ code: 'NotFoundException', message: 'No such policy exists', status: 400 });
    const text = policy(statement(), statement({ Action: 'kms:Encrypt' }));
    expect(await w.call('PutKeyPolicy', { KeyId, PolicyName: 'default', Policy: text })).toEqual({});
    expect((await w.call('GetKeyPolicy', { KeyId, PolicyName: 'default' })).Policy).toBe(text);
  });

  test('refusals', async () => {
    const { KeyId } = await create();
    const locked = 'The new key policy will not allow you to update the key policy in the future.';
    const table: readonly [string, string, string | undefined][] = [
      ['{', 'MalformedPolicyDocumentException', undefined],
      [policy(statement({ Principal: { AWS: 'arn:aws:iam::999999999999:root' } })), 'MalformedPolicyDocumentException', 'Policy contains a statement with one or more invalid principals.'],
      [policy(statement({ Action: 'kms:Encrypt' })), 'MalformedPolicyDocumentException', locked],
      [policy(statement({ Principal: { AWS: `arn:aws:iam::${away}:root` } })), 'MalformedPolicyDocumentException', locked],
      [policy(statement(), statement({ Effect: 'Deny', Action: 'kms:PutKeyPolicy' })), 'MalformedPolicyDocumentException', locked],
      [policy(statement({ Sid: 'x'.repeat(33_000) })), 'LimitExceededException', undefined],
    ];
    for (const [Policy, code, message] of table) {
      for (const answer of [await w.refusal('PutKeyPolicy', { KeyId, Policy }), await w.refusal('CreateKey', { Policy })]) {
        expect(answer.code).toBe(code);
        if (message !== undefined) expect(answer.message).toBe(message);
      }
    }
    await w.call('PutKeyPolicy', { KeyId, Policy: policy(statement({ Action: 'kms:Encrypt' })), BypassPolicyLockoutSafetyCheck: true });
    expect((await w.refusal('DescribeKey', { KeyId })).message).toBe(
      `User: arn:aws:iam::${home}:root is not authorized to perform: kms:DescribeKey on resource: arn:aws:kms:${region}:${home}:key/${KeyId} because no resource-based policy allows the kms:DescribeKey action`);
    expect((await w.refusal('PutKeyPolicy', { KeyId: (await create()).KeyId, PolicyName: 'AWS_RAM', Policy: policy(statement()) })).message).toBe('The AWS_RAM policy can only be managed by the RAM service.');
  });

  test('conditions bite: encryption context, tags, services, source', async () => {
    const denyUnless = (operator: string, key: string, value: string) => statement({ Effect: 'Deny', Action: 'kms:Encrypt', Condition: { [operator]: { [key]: value } } });
    const encrypt = (KeyId: string, more: Body = {}, as = {}) => w.ask('Encrypt', { KeyId, Plaintext: Buffer.from('x'), ...more }, as);
    const table: readonly [Body, () => [Body, Body], () => [Body, Body]][] = [
      [denyUnless('StringNotEquals', 'kms:EncryptionContext:App', 'one'), () => [{ EncryptionContext: { App: 'one' } }, {}], () => [{ EncryptionContext: { App: 'two' } }, {}]],
      [denyUnless('Null', 'kms:EncryptionContextKeys', 'true'), () => [{ EncryptionContext: { a: '' } }, {}], () => [{}, {}]],
      [denyUnless('NotIpAddress', 'aws:SourceIp', '10.0.0.0/8'), () => [{}, { sourceIp: '10.1.2.3' }], () => [{}, { sourceIp: '127.0.0.1' }]],
      [denyUnless('StringNotEquals', 'aws:ResourceTag/stage', 'prod'), () => [{}, {}], () => [{}, {}]],
      [denyUnless('StringNotEquals', 'kms:ViaService', 's3.us-east-1.amazonaws.com'), () => [{}, { caller: { viaService: 's3.us-east-1.amazonaws.com' } }], () => [{}, {}]],
      [denyUnless('ForAllValues:StringNotEquals', 'kms:ResourceAliases', 'alias/let-in'), () => [{}, {}], () => [{}, {}]],
    ];
    for (const [i, [condition, good, bad]] of table.entries()) {
      const { KeyId } = await create({ Policy: policy(statement(), condition), ...(i === 3 ? { Tags: [{ TagKey: 'stage', TagValue: 'prod' }] } : {}) });
      if (i === 5) await w.call('CreateAlias', { AliasName: 'alias/let-in', TargetKeyId: KeyId });
      expect(await encrypt(KeyId, ...good()), JSON.stringify(condition)).toMatchObject({ ok: true });
      if (i === 3) await w.call('UntagResource', { KeyId, TagKeys: ['stage'] });
      if (i === 5) await w.call('DeleteAlias', { AliasName: 'alias/let-in' });
      expect(await encrypt(KeyId, ...bad()), JSON.stringify(condition)).toMatchObject({ ok: false, error: { code: 'AccessDeniedException', message: expect.stringContaining('with an explicit deny in a resource-based policy') } });
    }
  });

  test('users need both the key\'s delegation and their own policy', async () => {
    const { KeyId, Arn } = await create();
    const as = { who: 'user/alice' };
    expect((await w.refusal('DescribeKey', { KeyId }, as)).message).toBe(
      `User: arn:aws:iam::${home}:user/alice is not authorized to perform: kms:DescribeKey on resource: ${Arn} because no identity-based policy allows the kms:DescribeKey action`);
    w.let(`arn:aws:iam::${home}:user/alice`, { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['kms:DescribeKey', 'kms:CreateKey'], Resource: '*' }] });
    expect((await w.call('DescribeKey', { KeyId }, as)).KeyMetadata.Arn).toBe(Arn);
    expect((await w.refusal('Encrypt', { KeyId, Plaintext: Buffer.from('x') }, as)).code).toBe('AccessDeniedException');
    expect((await w.refusal('ListKeys', {}, as)).message).toBe(
      `User: arn:aws:iam::${home}:user/alice is not authorized to perform: kms:ListKeys on resource: * because no identity-based policy allows the kms:ListKeys action`);
    expect((await w.call('CreateKey', { BypassPolicyLockoutSafetyCheck: true }, as)).KeyMetadata.Enabled).toBe(true);
  });

  test('another account uses a shared key, until it is shared no more', async () => {
    const as = { account: away };
    const { KeyId, Arn } = await create({ Policy: policy(statement(), statement({ Principal: { AWS: `arn:aws:iam::${away}:root` } })) });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: Arn, Plaintext: Buffer.from('x') }, as);
    expect((await w.call('Decrypt', { CiphertextBlob }, as)).Plaintext.toString()).toBe('x');
    expect((await w.refusal('ScheduleKeyDeletion', { KeyId: Arn }, as)).code).toBe('AccessDeniedException');
    expect((await w.trail(away)).some((event) => event.eventName === 'Encrypt' && event.resources?.[0]?.accountId === home)).toBe(true);
    expect((await w.trail(home)).some((event) => event.eventName === 'Encrypt' && event.userIdentity.accountId === away && event.sharedEventID !== undefined)).toBe(true);
    await w.call('PutKeyPolicy', { KeyId, Policy: policy(statement()) });
    expect((await w.refusal('Decrypt', { CiphertextBlob }, as)).code).toBe('AccessDeniedException');
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext.toString()).toBe('x');
  });

  test('a bare key id is enough beside a blob, which says whose key it is', async () => {
    const as = { account: away };
    const { KeyId, Arn } = await create({ Policy: policy(statement(), statement({ Principal: { AWS: `arn:aws:iam::${away}:root` } })) });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
    expect((await w.call('Decrypt', { KeyId, CiphertextBlob }, as)).KeyId).toBe(Arn);
    const own = (await w.call('CreateKey', {}, as)).KeyMetadata;
    expect((await w.call('ReEncrypt', { SourceKeyId: KeyId, CiphertextBlob, DestinationKeyId: own.KeyId }, as)).SourceKeyId).toBe(Arn);
    expect((await w.refusal('Decrypt', { KeyId: own.KeyId, CiphertextBlob }, as)).code).toBe('IncorrectKeyException');
    expect((await w.refusal('Encrypt', { KeyId, Plaintext: Buffer.from('x') }, as)).code).toBe('NotFoundException');
    await w.call('PutKeyPolicy', { KeyId, Policy: policy(statement()) });
    expect((await w.refusal('Decrypt', { KeyId, CiphertextBlob }, as)).code).toBe('AccessDeniedException');
  });

  test('the core holds the wall by itself', async () => {
    const { KeyId, Arn } = await create();
    // As if the gate above had let everybody in: the policy says so, but the sealed key does not.
    await w.store.tx(async (tx) => {
      const row = await tx.get<{ text: string }>('policy', `${home}/${region}/${KeyId}`);
      if (row !== undefined) tx.update(row, { body: { text: policy(statement(), statement({ Principal: '*' })) } });
    });
    expect((await w.refusal('Encrypt', { KeyId: Arn, Plaintext: Buffer.from('x') }, { account: away })).code).toBe('AccessDeniedException');
    expect(w.log.at(-1)).toBe(`Encrypt: a policy admits account ${away} to ${Arn}, the sealed key does not`);
    expect((await w.call('Encrypt', { KeyId: Arn, Plaintext: Buffer.from('x') })).KeyId).toBe(Arn);
  });
});

describe('dry runs', () => {
  const would = { code: 'DryRunOperationException', message: 'The request would have succeeded, but the DryRun option is set.', status: 400 };
  test('succeed by this refusal and do nothing', async () => {
    const key = await create();
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') });
    const table: readonly [string, Body][] = [
      ['Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') }], ['Decrypt', { CiphertextBlob }], ['Decrypt', { KeyId: key.KeyId, DryRunModifiers: ['IGNORE_CIPHERTEXT'] }],
      ['ReEncrypt', { CiphertextBlob, DestinationKeyId: key.KeyId }], ['ReEncrypt', { SourceKeyId: key.KeyId, DestinationKeyId: key.KeyId, DryRunModifiers: ['IGNORE_CIPHERTEXT'] }],
      ['GenerateDataKey', { KeyId: key.KeyId, KeySpec: 'AES_256' }], ['GenerateDataKeyWithoutPlaintext', { KeyId: key.KeyId, KeySpec: 'AES_256' }],
      ['GenerateDataKeyPair', { KeyId: key.KeyId, KeyPairSpec: 'RSA_4096' }], ['GenerateDataKeyPairWithoutPlaintext', { KeyId: key.KeyId, KeyPairSpec: 'RSA_4096' }],
      ['CreateGrant', { KeyId: key.KeyId, GranteePrincipal: `arn:aws:iam::${home}:user/a`, Operations: ['Encrypt'] }],
    ];
    for (const [operation, input] of table) expect(await w.refusal(operation, { ...input, DryRun: true }), operation).toEqual(would);
    expect((await w.call('ListGrants', { KeyId: key.KeyId })).Grants).toEqual([]);
    expect((await w.trail()).find((event) => event.eventName === 'Encrypt' && event.errorCode === 'DryRunOperationException')).toMatchObject({ errorMessage: would.message, readOnly: true });
  });

  test('other refusals are as without it', async () => {
    const { KeyId, Arn } = await create();
    await w.call('DisableKey', { KeyId });
    expect((await w.refusal('Encrypt', { KeyId, Plaintext: Buffer.from('x'), DryRun: true })).message).toBe(`${Arn} is disabled.`);
    expect((await w.refusal('Decrypt', { KeyId, DryRunModifiers: ['IGNORE_CIPHERTEXT'] })).code).toBe('ValidationException');
    expect((await w.refusal('Decrypt', { DryRun: true, DryRunModifiers: ['IGNORE_CIPHERTEXT'] })).code).toBe('ValidationException');
    expect((await w.refusal('Decrypt', { DryRun: true })).message).toBe("1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null");
  });
});

test('the last use of a key', async () => {
  const { KeyId, Arn, CreationDate } = await create();
  const unused = { KeyId, KeyLastUsage: {}, TrackingStartDate: CreationDate, KeyCreationDate: CreationDate };
  expect(await w.call('GetKeyLastUsage', { KeyId })).toEqual(unused);
  await w.refusal('Encrypt', { KeyId, Plaintext: Buffer.from('x'), DryRun: true });
  await w.call('DescribeKey', { KeyId });
  expect(await w.call('GetKeyLastUsage', { KeyId })).toEqual(unused);
  await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
  await w.call('GenerateDataKey', { KeyId, KeySpec: 'AES_256' });
  const event = (await w.trail()).find(({ eventName, resources }) => eventName === 'GenerateDataKey' && resources?.[0]?.ARN === Arn);
  const used = { ...unused, KeyLastUsage: { Operation: 'GenerateDataKey', Timestamp: expect.any(Number), CloudTrailEventId: event?.eventID, KmsRequestId: event?.requestID } };
  expect(await w.call('GetKeyLastUsage', { KeyId })).toEqual(used);
  await w.kms.flush();
  expect(await w.call('GetKeyLastUsage', { KeyId })).toEqual(used);
});

test('the last use names the event in the trail of the key\'s own account', async () => {
  const statement = { Effect: 'Allow', Principal: { AWS: [`arn:aws:iam::${home}:root`, `arn:aws:iam::${away}:root`] }, Action: 'kms:*', Resource: '*' };
  const { KeyId, Arn } = await create({ Policy: JSON.stringify({ Version: '2012-10-17', Statement: [statement] }) });
  await w.call('Encrypt', { KeyId: Arn, Plaintext: Buffer.from('x') }, { account: away });
  const [mine, theirs] = await Promise.all([home, away].map(async (account) =>
    (await w.trail(account)).find(({ eventName, resources }) => eventName === 'Encrypt' && resources?.[0]?.ARN === Arn)));
  expect(mine?.eventID).not.toBe(theirs?.eventID);
  expect(mine?.sharedEventID).toBe(theirs?.sharedEventID);
  expect((await w.call('GetKeyLastUsage', { KeyId })).KeyLastUsage.CloudTrailEventId).toBe(mine?.eventID);
});

test('the trail says who did what to which key, and no secret', async () => {
  const { KeyId, Arn, CurrentKeyMaterialId } = await create();
  const secret = 'the plaintext itself';
  const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from(secret), EncryptionContext: { Purpose: 'test' } });
  await w.refusal('Decrypt', { CiphertextBlob });
  const events = (await w.trail()).filter(({ resources }) => resources?.[0]?.ARN === Arn);
  expect(events.find(({ eventName }) => eventName === 'Encrypt')).toMatchObject({
    eventSource: 'kms.amazonaws.com', awsRegion: region, sourceIPAddress: '127.0.0.1', readOnly: true, eventType: 'AwsApiCall', recipientAccountId: home,
    requestParameters: { keyId: KeyId, encryptionContext: { Purpose: 'test' } }, responseElements: null, additionalEventData: { keyMaterialId: CurrentKeyMaterialId },
    userIdentity: { type: 'Root', arn: `arn:aws:iam::${home}:root`, accountId: home }, resources: [{ ARN: Arn, accountId: home, type: 'AWS::KMS::Key' }],
  });
  expect(events.find(({ eventName }) => eventName === 'Decrypt')).toMatchObject({ errorCode: 'InvalidCiphertextException' });
  expect(events.find(({ eventName }) => eventName === 'CreateKey')).toMatchObject({ readOnly: false, responseElements: { keyMetadata: { keyId: KeyId } } });
  const text = JSON.stringify(events);
  for (const form of [secret, Buffer.from(secret).toString('base64'), CiphertextBlob.toString('base64')]) expect(text).not.toContain(form);
});
