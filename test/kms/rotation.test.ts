import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { away, day, home, makeWorld, otherRegion, region, type Body, type World } from './world.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

const create = async (input: Body = {}): Promise<Body> => (await w.call('CreateKey', input)).KeyMetadata;
const plain = { Plaintext: Buffer.from('x') };
const opens = async (CiphertextBlob: Buffer, as = {}) => (await w.call('Decrypt', { CiphertextBlob }, as)).KeyMaterialId;

describe('automatic rotation', () => {
  test('is off, on, off', async () => {
    const { KeyId, Arn } = await create();
    expect(await w.call('GetKeyRotationStatus', { KeyId })).toEqual({ KeyId: Arn, KeyRotationEnabled: false });
    expect(await w.call('EnableKeyRotation', { KeyId })).toEqual({});
    const on = await w.call('GetKeyRotationStatus', { KeyId });
    expect(on).toEqual({ KeyId: Arn, KeyRotationEnabled: true, RotationPeriodInDays: 365, NextRotationDate: expect.any(Number) });
    expect(Math.round((on.NextRotationDate * 1000 - w.now()) / day)).toBe(365);
    w.pass(10 * day);
    await w.call('EnableKeyRotation', { KeyId });
    expect(await w.call('GetKeyRotationStatus', { KeyId })).toEqual(on);
    await w.call('EnableKeyRotation', { KeyId, RotationPeriodInDays: 90 });
    const changed = await w.call('GetKeyRotationStatus', { KeyId });
    expect(Math.round((changed.NextRotationDate * 1000 - w.now()) / day)).toBe(90);
    await w.call('ScheduleKeyDeletion', { KeyId });
    expect(await w.call('GetKeyRotationStatus', { KeyId })).toEqual({ KeyId: Arn, KeyRotationEnabled: false });
    await w.call('CancelKeyDeletion', { KeyId });
    expect(await w.call('GetKeyRotationStatus', { KeyId })).toEqual(changed);
    await w.call('EnableKey', { KeyId });
    await w.call('DisableKeyRotation', { KeyId });
    expect(await w.call('GetKeyRotationStatus', { KeyId })).toEqual({ KeyId: Arn, KeyRotationEnabled: false });
  });

  test('happens when due, and what was encrypted before still opens', async () => {
    const { KeyId, Arn, CurrentKeyMaterialId: first } = await create();
    await w.call('EnableKeyRotation', { KeyId, RotationPeriodInDays: 100 });
    const before = await w.call('Encrypt', { KeyId, ...plain });
    w.pass(99 * day);
    expect(await w.caretaker.run()).toBe(0);
    w.pass(2 * day);
    expect(await w.caretaker.run()).toBe(1);
    expect(await w.caretaker.run()).toBe(0);
    const second = (await w.call('DescribeKey', { KeyId })).KeyMetadata.CurrentKeyMaterialId;
    expect(second).not.toBe(first);
    const after = await w.call('Encrypt', { KeyId, ...plain });
    expect(await opens(before.CiphertextBlob)).toBe(first);
    expect(await opens(after.CiphertextBlob)).toBe(second);
    const moved = await w.call('ReEncrypt', { CiphertextBlob: before.CiphertextBlob, DestinationKeyId: KeyId });
    expect(moved).toMatchObject({ SourceKeyMaterialId: first, DestinationKeyMaterialId: second });
    expect(await opens(moved.CiphertextBlob)).toBe(second);
    expect(await w.call('ListKeyRotations', { KeyId })).toEqual({
      Rotations: [{ KeyId, KeyMaterialId: second, KeyMaterialState: 'CURRENT', RotationDate: expect.any(Number), RotationType: 'AUTOMATIC' }], Truncated: false,
    });
    expect((await w.call('ListKeyRotations', { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' })).Rotations[0]).toEqual({ KeyId, KeyMaterialId: first, KeyMaterialState: 'NON_CURRENT' });
    expect((await w.trail()).find(({ eventName }) => eventName === 'RotateKey')).toMatchObject({ eventType: 'AwsServiceEvent', resources: [{ ARN: Arn }] });
  });

  test('waits while the key is disabled', async () => {
    const { KeyId, CurrentKeyMaterialId: first } = await create();
    await w.call('EnableKeyRotation', { KeyId, RotationPeriodInDays: 90 });
    await w.call('DisableKey', { KeyId });
    w.pass(200 * day);
    const current = async () => (await w.call('DescribeKey', { KeyId })).KeyMetadata.CurrentKeyMaterialId;
    await w.caretaker.run();
    expect(await current()).toBe(first);
    await w.call('EnableKey', { KeyId });
    await w.caretaker.run();
    expect(await current()).not.toBe(first);
  });

  test('is for symmetric keys of ours', async () => {
    for (const input of [{ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }, { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }]) {
      const { KeyId } = await create(input);
      for (const operation of ['EnableKeyRotation', 'DisableKeyRotation', 'GetKeyRotationStatus', 'RotateKeyOnDemand', 'ListKeyRotations']) {
        expect((await w.refusal(operation, { KeyId })).code).toBe('UnsupportedOperationException');
      }
    }
    const { KeyId, Arn } = await create({ Origin: 'EXTERNAL' });
    expect((await w.refusal('EnableKeyRotation', { KeyId })).message).toBe(`${Arn} origin is EXTERNAL which is not valid for this operation.`);
  });
});

describe('rotation on demand', () => {
  test('twenty-five times, without moving the schedule', async () => {
    const { KeyId, Arn, CurrentKeyMaterialId: first } = await create();
    await w.call('EnableKeyRotation', { KeyId });
    const schedule = await w.call('GetKeyRotationStatus', { KeyId });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, ...plain });
    for (let i = 0; i < 25; i++) expect(await w.call('RotateKeyOnDemand', { KeyId })).toEqual({ KeyId: Arn });
    expect(await w.refusal('RotateKeyOnDemand', { KeyId })).toEqual({
      code: 'LimitExceededException', status: 400,
      message: `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${Arn}`,
    });
    expect(await w.call('GetKeyRotationStatus', { KeyId })).toEqual(schedule);
    expect(await opens(CiphertextBlob)).toBe(first);
    const page = await w.call('ListKeyRotations', { KeyId, Limit: 20 });
    expect(page).toMatchObject({ Truncated: true });
    const rest = await w.call('ListKeyRotations', { KeyId, Limit: 20, Marker: page.NextMarker });
    expect([page.Rotations.length, rest.Rotations.length, rest.Truncated]).toEqual([20, 5, false]);
  });

  test('gives way to an automatic one', async () => {
    const { KeyId } = await create();
    await w.call('EnableKeyRotation', { KeyId, RotationPeriodInDays: 90 });
    w.pass(90 * day - 10 * 60_000);
    expect((await w.refusal('RotateKeyOnDemand', { KeyId })).code).toBe('ConflictException');
  });
});

describe('multi-Region keys', () => {
  const there = { region: otherRegion };
  const arn = (keyId: string, at: string) => `arn:aws:kms:${at}:${home}:key/${keyId}`;

  test('one key id, one material, two Regions', async () => {
    const key = await create({ MultiRegion: true, Description: 'first', Tags: [{ TagKey: 'a', TagValue: '' }] });
    expect(key.KeyId).toMatch(/^mrk-[0-9a-f]{32}$/);
    expect(key).toMatchObject({ MultiRegion: true, MultiRegionConfiguration: { MultiRegionKeyType: 'PRIMARY', PrimaryKey: { Arn: key.Arn, Region: region }, ReplicaKeys: [] } });
    expect((await w.refusal('DescribeKey', { KeyId: key.KeyId }, there)).code).toBe('NotFoundException');

    const made = await w.call('ReplicateKey', { KeyId: key.KeyId, ReplicaRegion: otherRegion, Description: 'second', Tags: [{ TagKey: 'b', TagValue: 'c' }] });
    expect(made).toMatchObject({
      ReplicaKeyMetadata: {
        KeyId: key.KeyId, Arn: arn(key.KeyId, otherRegion), KeyState: 'Enabled', Description: 'second', CurrentKeyMaterialId: key.CurrentKeyMaterialId,
        MultiRegionConfiguration: { MultiRegionKeyType: 'REPLICA', PrimaryKey: { Arn: key.Arn, Region: region }, ReplicaKeys: [{ Arn: arn(key.KeyId, otherRegion), Region: otherRegion }] },
      },
      ReplicaTags: [{ TagKey: 'b', TagValue: 'c' }],
    });
    expect(JSON.parse(made.ReplicaPolicy).Id).toBe('key-default-1');
    // In the other Region's trail it is the making of a key.
    expect((await w.trail(home, otherRegion)).find(({ eventName }) => eventName === 'CreateKey')).toMatchObject({
      awsRegion: otherRegion, readOnly: false, resources: [{ ARN: arn(key.KeyId, otherRegion) }], responseElements: { keyMetadata: { keyId: key.KeyId } },
    });
    expect((await w.call('DescribeKey', { KeyId: key.KeyId }, there)).KeyMetadata).toEqual(made.ReplicaKeyMetadata);

    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: key.KeyId, ...plain });
    expect(await w.call('Decrypt', { CiphertextBlob }, there)).toMatchObject({ KeyId: arn(key.KeyId, otherRegion), Plaintext: plain.Plaintext });
    await w.call('DisableKey', { KeyId: key.KeyId }, there);
    expect(await opens(CiphertextBlob)).toBe(key.CurrentKeyMaterialId);
    expect((await w.refusal('Decrypt', { CiphertextBlob }, there)).code).toBe('DisabledException');
    await w.call('EnableKey', { KeyId: key.KeyId }, there);

    await w.call('EnableKeyRotation', { KeyId: key.KeyId });
    expect(await w.call('GetKeyRotationStatus', { KeyId: key.KeyId }, there)).toMatchObject({ KeyRotationEnabled: true });
    expect((await w.refusal('EnableKeyRotation', { KeyId: key.KeyId }, there)).message).toBe(`${arn(key.KeyId, otherRegion)} is not a multi-region primary key.`);
    await w.call('RotateKeyOnDemand', { KeyId: key.KeyId });
    const after = await w.call('Encrypt', { KeyId: key.KeyId, ...plain }, there);
    expect(await opens(after.CiphertextBlob)).not.toBe(key.CurrentKeyMaterialId);
    expect(await opens(CiphertextBlob, there)).toBe(key.CurrentKeyMaterialId);
  });

  test('a Region\'s key admits whom its own policy names, and nobody else', async () => {
    const { KeyId } = await create({ MultiRegion: true });
    const share = (account: string) => ({ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' });
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [share(home), share(away)] });
    expect(await w.call('ReplicateKey', { KeyId, ReplicaRegion: otherRegion, Policy })).not.toHaveProperty('ReplicaTags');
    // Both are open in the core at once, one shared and one not.
    await w.call('Encrypt', { KeyId, ...plain });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: arn(KeyId, otherRegion), ...plain }, { account: away, ...there });
    expect((await w.refusal('Decrypt', { CiphertextBlob, KeyId: arn(KeyId, region) }, { account: away })).code).toBe('AccessDeniedException');
    await w.call('PutKeyPolicy', { KeyId, Policy: JSON.stringify({ Version: '2012-10-17', Statement: [share(home)] }) }, there);
    expect((await w.refusal('Decrypt', { CiphertextBlob }, { account: away, ...there })).code).toBe('AccessDeniedException');
    expect((await w.call('Decrypt', { CiphertextBlob }, there)).Plaintext).toEqual(plain.Plaintext);
  });

  test('refusals', async () => {
    const single = await create();
    expect((await w.refusal('ReplicateKey', { KeyId: single.KeyId, ReplicaRegion: otherRegion })).message).toBe(`${single.Arn} is not a multi-region primary key.`);
    const key = await create({ MultiRegion: true });
    expect((await w.refusal('ReplicateKey', { KeyId: key.KeyId, ReplicaRegion: region })).code).toBe('AlreadyExistsException');
    expect((await w.refusal('ReplicateKey', { KeyId: key.KeyId, ReplicaRegion: 'ap-south-1' })).code).toBe('ValidationException');
    await w.call('ReplicateKey', { KeyId: key.KeyId, ReplicaRegion: otherRegion });
    expect((await w.refusal('ReplicateKey', { KeyId: key.KeyId, ReplicaRegion: otherRegion })).code).toBe('AlreadyExistsException');
    expect((await w.refusal('ReplicateKey', { KeyId: key.KeyId, ReplicaRegion: region }, there)).message).toBe(`${arn(key.KeyId, otherRegion)} is not a multi-region primary key.`);
    expect((await w.refusal('UpdatePrimaryRegion', { KeyId: key.KeyId, PrimaryRegion: 'ap-south-1' })).code).toBe('NotFoundException');
    expect((await w.refusal('UpdatePrimaryRegion', { KeyId: key.KeyId, PrimaryRegion: otherRegion }, there)).code).toBe('UnsupportedOperationException');
  });

  test('the primary\'s role moves, and the schedule with it', async () => {
    const { KeyId } = await create({ MultiRegion: true });
    await w.call('EnableKeyRotation', { KeyId, RotationPeriodInDays: 200 });
    await w.call('ReplicateKey', { KeyId, ReplicaRegion: otherRegion });
    const schedule = await w.call('GetKeyRotationStatus', { KeyId });
    expect(await w.call('UpdatePrimaryRegion', { KeyId, PrimaryRegion: otherRegion })).toEqual({});
    const configuration = { PrimaryKey: { Arn: arn(KeyId, otherRegion), Region: otherRegion }, ReplicaKeys: [{ Arn: arn(KeyId, region), Region: region }] };
    expect((await w.call('DescribeKey', { KeyId })).KeyMetadata.MultiRegionConfiguration).toEqual({ MultiRegionKeyType: 'REPLICA', ...configuration });
    expect((await w.call('DescribeKey', { KeyId }, there)).KeyMetadata.MultiRegionConfiguration).toEqual({ MultiRegionKeyType: 'PRIMARY', ...configuration });
    expect((await w.call('GetKeyRotationStatus', { KeyId }, there)).NextRotationDate).toBe(schedule.NextRotationDate);
    w.pass(201 * day);
    await w.caretaker.run();
    expect((await w.call('ListKeyRotations', { KeyId })).Rotations.length).toBe(1);
  });

  test('a primary waits for its replicas before it goes', async () => {
    const { KeyId } = await create({ MultiRegion: true });
    await w.call('ReplicateKey', { KeyId, ReplicaRegion: otherRegion });
    const scheduled = await w.call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 10 });
    expect(scheduled).toEqual({ KeyId: arn(KeyId, region), KeyState: 'PendingReplicaDeletion', PendingWindowInDays: 10 });
    expect((await w.call('DescribeKey', { KeyId })).KeyMetadata).toMatchObject({ KeyState: 'PendingReplicaDeletion', PendingDeletionWindowInDays: 10 });
    w.pass(11 * day);
    await w.caretaker.run();
    expect((await w.call('DescribeKey', { KeyId })).KeyMetadata.KeyState).toBe('PendingReplicaDeletion');
    await w.call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 }, there);
    w.pass(8 * day);
    await w.caretaker.run();
    expect((await w.refusal('DescribeKey', { KeyId }, there)).code).toBe('NotFoundException');
    const waiting = (await w.call('DescribeKey', { KeyId })).KeyMetadata;
    expect(waiting).toMatchObject({ KeyState: 'PendingDeletion', MultiRegionConfiguration: { ReplicaKeys: [] } });
    expect(Math.round((waiting.DeletionDate * 1000 - w.now()) / day)).toBe(10);
    w.pass(11 * day);
    await w.caretaker.run();
    expect((await w.refusal('DescribeKey', { KeyId })).code).toBe('NotFoundException');
  });

  test('a replica of an imported key waits for its own import', async () => {
    const { KeyId } = await create({ MultiRegion: true, Origin: 'EXTERNAL' });
    const { ReplicaKeyMetadata } = await w.call('ReplicateKey', { KeyId, ReplicaRegion: otherRegion });
    expect(ReplicaKeyMetadata).toMatchObject({ KeyState: 'PendingImport', Origin: 'EXTERNAL' });
  });
});
