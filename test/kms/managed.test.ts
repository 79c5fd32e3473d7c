import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { predefinedAliases } from '../../src/kms/predefined.ts';
import { day, home, makeWorld, region, type Body, type World } from './world.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

describe('AWS managed keys', () => {
  const via = { caller: { viaService: `s3.${region}.amazonaws.com` } };

  test('are made when DescribeKey asks for them, once', async () => {
    expect((await w.refusal('Encrypt', { KeyId: 'alias/aws/s3', Plaintext: Buffer.from('x') })).code).toBe('NotFoundException');
    const [one, two] = await Promise.all([w.call('DescribeKey', { KeyId: 'alias/aws/s3' }), w.call('DescribeKey', { KeyId: 'alias/aws/s3' })]);
    expect(one.KeyMetadata).toMatchObject({ KeyManager: 'AWS', KeyState: 'Enabled', KeySpec: 'SYMMETRIC_DEFAULT', Origin: 'AWS_KMS' });
    expect(two.KeyMetadata.Arn).toBe(one.KeyMetadata.Arn);
    expect((await w.refusal('DescribeKey', { KeyId: 'alias/aws/nothing' })).code).toBe('NotFoundException');
  });

  test('serve what comes through their service alone', async () => {
    await w.call('DescribeKey', { KeyId: 'alias/aws/s3' });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId: 'alias/aws/s3', Plaintext: Buffer.from('x') }, via);
    expect((await w.call('Decrypt', { CiphertextBlob }, via)).Plaintext.toString()).toBe('x');
    expect((await w.refusal('Encrypt', { KeyId: 'alias/aws/s3', Plaintext: Buffer.from('x') })).code).toBe('AccessDeniedException');
    expect((await w.refusal('Encrypt', { KeyId: 'alias/aws/s3', Plaintext: Buffer.from('x') }, { caller: { viaService: `sqs.${region}.amazonaws.com` } })).code).toBe('AccessDeniedException');
  });

  test('rotate every year and can be read, not changed', async () => {
    const { KeyId } = (await w.call('DescribeKey', { KeyId: 'alias/aws/s3' })).KeyMetadata;
    expect(await w.call('GetKeyRotationStatus', { KeyId })).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 365 });
    expect(JSON.parse((await w.call('GetKeyPolicy', { KeyId })).Policy).Id).toBe('auto-s3-1');
    const changes: readonly [string, Body][] = [
      ['DisableKey', {}], ['ScheduleKeyDeletion', {}], ['DisableKeyRotation', {}], ['TagResource', { Tags: [] }], ['UpdateKeyDescription', { Description: '' }],
      ['PutKeyPolicy', { Policy: '{}' }], ['RotateKeyOnDemand', {}],
    ];
    for (const [operation, input] of changes) expect((await w.ask(operation, { KeyId, ...input })).ok, operation).toBe(false);
    const before = (await w.call('DescribeKey', { KeyId })).KeyMetadata.CurrentKeyMaterialId;
    w.pass(366 * day);
    await w.caretaker.run();
    expect((await w.call('DescribeKey', { KeyId })).KeyMetadata.CurrentKeyMaterialId).not.toBe(before);
  });

  test('one that is made between two pages makes no other go missing', async () => {
    const first = await w.call('ListAliases', { Limit: 3 });
    await w.call('DescribeKey', { KeyId: first.Aliases[0].AliasName });
    const names: string[] = first.Aliases.map(({ AliasName }: Body) => AliasName);
    for (let Marker = first.NextMarker; Marker !== undefined;) {
      const page: Body = await w.call('ListAliases', { Limit: 3, Marker });
      names.push(...page.Aliases.map(({ AliasName }: Body) => AliasName));
      Marker = page.NextMarker;
    }
    expect(predefinedAliases.filter((name) => !names.includes(name))).toEqual([]);
  });

  test('are among the aliases before they are made', async () => {
    await w.call('DescribeKey', { KeyId: 'alias/aws/s3' });
    const mine = (await w.call('CreateKey')).KeyMetadata;
    for (let i = 0; i < 5; i++) await w.call('CreateAlias', { AliasName: `alias/mine-${i}`, TargetKeyId: mine.KeyId });
    for (const Limit of [1, 3, 7, 50, 100]) {
      const seen: Body[] = [];
      for (let Marker: string | undefined; ;) {
        const page: Body = await w.call('ListAliases', { Limit, ...(Marker === undefined ? {} : { Marker }) });
        expect(page.Aliases.length).toBeLessThanOrEqual(Limit);
        seen.push(...page.Aliases);
        if (!page.Truncated) break;
        Marker = page.NextMarker;
      }
      const names = seen.map(({ AliasName }) => AliasName);
      expect(new Set(names).size).toBe(names.length);
      expect(names.filter((name) => name.startsWith('alias/mine-')).length).toBe(5);
      expect(seen.find(({ AliasName }) => AliasName === 'alias/aws/ebs')).toEqual({ AliasName: 'alias/aws/ebs', AliasArn: `arn:aws:kms:${region}:${home}:alias/aws/ebs` });
      expect(seen.find(({ AliasName }) => AliasName === 'alias/aws/s3')).toHaveProperty('TargetKeyId');
    }
  });
});
