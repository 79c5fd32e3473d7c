import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { away, home, makeWorld, otherRegion, region, type Body, type World } from './world.ts';

let w: World;
let key: Body;
beforeAll(async () => {
  w = await makeWorld();
  key = (await w.call('CreateKey')).KeyMetadata;
  await w.call('CreateAlias', { AliasName: 'alias/here', TargetKeyId: key.KeyId });
});
afterAll(() => w.close());

const arn = (id: string, at = region, of = home) => `arn:aws:kms:${at}:${of}:key/${id}`;
const alias = (name: string, at = region, of = home) => `arn:aws:kms:${at}:${of}:${name}`;
const unknown = '12345678-1234-1234-1234-123456789012';

describe('how a key is named', () => {
  test('by id, ARN, alias and alias ARN', async () => {
    for (const KeyId of [key.KeyId, key.Arn, 'alias/here', alias('alias/here')]) {
      expect((await w.call('DescribeKey', { KeyId })).KeyMetadata.Arn).toBe(key.Arn);
      expect((await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') })).KeyId).toBe(key.Arn);
    }
  });

  const missing: readonly [string, string][] = [
    [unknown, `Key '${arn(unknown)}' does not exist`],
    ['mrk-1234567812341234123412345678901a', `Key '${arn('mrk-1234567812341234123412345678901a')}' does not exist`],
    [arn(unknown), `Key '${arn(unknown)}' does not exist`],
    ['foo', "Invalid keyId 'foo'"],
    ['12345678123412341234123456789012', "Invalid keyId '12345678123412341234123456789012'"],
    ['mrk-1234', "Invalid keyId 'mrk-1234'"],
    [arn('foo'), "Invalid keyId 'foo'"],
    [arn(unknown, otherRegion), `Invalid arn ${otherRegion}`],
    [alias('alias/here', otherRegion), `Invalid arn ${otherRegion}`],
    ['alias/nowhere', `Alias ${alias('alias/nowhere')} is not found.`],
    [alias('alias/nowhere'), `Alias ${alias('alias/nowhere')} is not found.`],
  ];
  test.each(missing)('%s', async (KeyId, message) => {
    expect(await w.refusal('DescribeKey', { KeyId })).toEqual({ code: 'NotFoundException', message, status: 400 });
  });

  test('an ARN that is none of a key', async () => {
    for (const KeyId of ['arn:aws:s3:::bucket', 'arn:aws:kms', `arn:aws:kms:${region}:12:key/${unknown}`]) {
      expect((await w.refusal('DescribeKey', { KeyId })).code).toBe('InvalidArnException');
    }
  });

  test('operations that take no alias', async () => {
    for (const operation of ['EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'GetKeyPolicy', 'ListGrants', 'GetKeyRotationStatus', 'ListResourceTags', 'GetKeyLastUsage']) {
      expect(await w.refusal(operation, { KeyId: 'alias/here' })).toEqual({ code: 'NotFoundException', message: "Invalid keyId 'alias/here'", status: 400 });
    }
  });

  test('another account\'s key says the same, there or not', async () => {
    const hidden = (operation: string, resource: string) => ({
      code: 'AccessDeniedException', status: 400,
      message: `User: arn:aws:iam::${away}:root is not authorized to perform: kms:${operation} on resource: ${resource} because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`,
    });
    const as = { account: away };
    for (const KeyId of [key.Arn, arn(unknown), alias('alias/here'), alias('alias/nowhere')]) {
      expect(await w.refusal('DescribeKey', { KeyId }, as)).toEqual(hidden('DescribeKey', KeyId));
    }
    for (const KeyId of [key.Arn, arn(unknown)]) {
      for (const operation of ['ScheduleKeyDeletion', 'GetKeyPolicy', 'EnableKeyRotation', 'ListResourceTags']) {
        expect(await w.refusal(operation, { KeyId }, as)).toEqual(hidden(operation, KeyId));
      }
    }
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') });
    expect(await w.refusal('Decrypt', { CiphertextBlob }, as)).toEqual({
      code: 'AccessDeniedException', status: 400,
      message: 'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.',
    });
    // The other account's key of that id is nobody's business here.
    expect((await w.refusal('DescribeKey', { KeyId: key.KeyId }, as)).message).toBe(`Key '${arn(key.KeyId, region, away)}' does not exist`);
  });
});

describe('aliases', () => {
  const bad: readonly [string, string, string | undefined][] = [
    ['here', 'ValidationException', 'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html'],
    ['alias/my:alias', 'ValidationException', 'alias/my:alias contains invalid characters for an alias'],
    ['alias/', 'InvalidAliasNameException', 'alias/ is not a valid alias name.'],
    ['alias/aws/mine', 'NotAuthorizedException', undefined],
    ['alias/here', 'AlreadyExistsException', `An alias with the name ${alias('alias/here')} already exists`],
  ];
  test.each(bad)('CreateAlias of %s', async (AliasName, code, message) => {
    expect(await w.refusal('CreateAlias', { AliasName, TargetKeyId: key.KeyId })).toEqual({ code, message, status: 400 });
  });

  test('an alias points at a key, never at an alias', async () => {
    for (const TargetKeyId of ['alias/here', alias('alias/here')]) {
      expect(await w.refusal('CreateAlias', { AliasName: 'alias/other', TargetKeyId })).toEqual({ code: 'ValidationException', message: 'Aliases must refer to keys. Not aliases', status: 400 });
    }
  });

  test('created, listed, moved, deleted', async () => {
    const other = (await w.call('CreateKey')).KeyMetadata;
    expect(await w.call('CreateAlias', { AliasName: 'alias/life', TargetKeyId: key.KeyId })).toEqual({});
    const entry = { AliasName: 'alias/life', AliasArn: alias('alias/life'), TargetKeyId: key.KeyId, CreationDate: expect.any(Number), LastUpdatedDate: expect.any(Number) };
    expect((await w.call('ListAliases')).Aliases).toContainEqual(entry);
    expect((await w.call('ListAliases', { KeyId: other.KeyId })).Aliases).toEqual([]);
    expect(await w.call('UpdateAlias', { AliasName: 'alias/life', TargetKeyId: other.KeyId })).toEqual({});
    expect(await w.call('ListAliases', { KeyId: other.Arn })).toEqual({ Aliases: [{ ...entry, TargetKeyId: other.KeyId }], Truncated: false });
    expect(await w.call('DeleteAlias', { AliasName: 'alias/life' })).toEqual({});
    for (const operation of ['DeleteAlias', 'UpdateAlias']) {
      expect(await w.refusal(operation, { AliasName: 'alias/life', TargetKeyId: key.KeyId })).toEqual({ code: 'NotFoundException', message: `Alias ${alias('alias/life')} is not found.`, status: 400 });
    }
  });

  test('an alias keeps to one kind of key', async () => {
    const mac = (await w.call('CreateKey', { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' })).KeyMetadata;
    const sign = (await w.call('CreateKey', { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })).KeyMetadata;
    const encrypt = (await w.call('CreateKey', { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' })).KeyMetadata;
    await w.call('CreateAlias', { AliasName: 'alias/sign', TargetKeyId: sign.KeyId });
    for (const target of [mac, encrypt, key]) expect((await w.refusal('UpdateAlias', { AliasName: 'alias/sign', TargetKeyId: target.KeyId })).code).toBe('ValidationException');
  });

  test('fifty a key', async () => {
    const full = (await w.call('CreateKey')).KeyMetadata;
    for (let i = 0; i < 50; i++) await w.call('CreateAlias', { AliasName: `alias/full-${i}`, TargetKeyId: full.KeyId });
    expect((await w.refusal('CreateAlias', { AliasName: 'alias/full-50', TargetKeyId: full.KeyId })).code).toBe('LimitExceededException');
  });

  test('are their Region\'s and their account\'s own', async () => {
    expect((await w.refusal('DescribeKey', { KeyId: 'alias/here' }, { region: otherRegion })).message).toBe(`Alias ${alias('alias/here', otherRegion)} is not found.`);
    expect((await w.refusal('DescribeKey', { KeyId: 'alias/here' }, { account: away })).message).toBe(`Alias ${alias('alias/here', region, away)} is not found.`);
    const others = (await w.call('ListAliases', {}, { account: away })).Aliases.map(({ AliasName }: Body) => AliasName);
    expect(others.filter((name: string) => !name.startsWith('alias/aws/'))).toEqual([]);
  });
});

describe('pages', () => {
  test('ListKeys gives every key once', async () => {
    const made = await Promise.all(Array.from({ length: 7 }, async () => (await w.call('CreateKey', {}, { account: away })).KeyMetadata.KeyId));
    const seen: string[] = [];
    for (let Marker: string | undefined; ;) {
      const page = await w.call('ListKeys', { Limit: 3, ...(Marker === undefined ? {} : { Marker }) }, { account: away });
      seen.push(...page.Keys.map((one: Body) => one.KeyId));
      expect(page.Keys.every((one: Body) => one.KeyArn === arn(one.KeyId, region, away))).toBe(true);
      expect(page.Truncated).toBe('NextMarker' in page);
      if (!page.Truncated) break;
      Marker = page.NextMarker;
    }
    expect(seen.sort()).toEqual(made.sort());
  });

  test('a marker is good for its own list', async () => {
    const { NextMarker } = await w.call('ListKeys', { Limit: 1 }, { account: away });
    const invalid = { code: 'InvalidMarkerException', message: 'Could not deserialize marker', status: 400 };
    expect(await w.refusal('ListKeys', { Marker: NextMarker })).toEqual(invalid);
    expect(await w.refusal('ListAliases', { Marker: NextMarker }, { account: away })).toEqual(invalid);
    expect(await w.refusal('ListKeys', { Marker: 'made up' }, { account: away })).toEqual(invalid);
    expect(await w.refusal('ListKeys', { Marker: `${NextMarker}A` }, { account: away })).toEqual(invalid);
  });

  test('limits: ListAliases and ListGrants 100, ListResourceTags 50', async () => {
    expect((await w.refusal('ListAliases', { Limit: 101 })).code).toBe('ValidationException');
    expect((await w.refusal('ListGrants', { KeyId: key.KeyId, Limit: 101 })).code).toBe('ValidationException');
    expect((await w.refusal('ListResourceTags', { KeyId: key.KeyId, Limit: 51 })).code).toBe('ValidationException');
    expect((await w.refusal('ListKeys', { Limit: 1001 })).message).toBe("1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000");
  });
});
