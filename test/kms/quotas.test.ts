import { afterAll, beforeAll, expect, test } from 'vitest';
import { AwsQuotas } from '../../src/kms/quotas.ts';
import { away, makeWorld, otherRegion, type World } from './world.ts';

let w: World;
beforeAll(async () => { w = await makeWorld({ quotas: new AwsQuotas() }); });
afterAll(() => w.close());

const too = { code: 'ThrottlingException', message: 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.', status: 400 };

test('what comes too fast is refused, account by account, and forgiven with time', async () => {
  const answers = await Promise.all(Array.from({ length: 8 }, () => w.ask('CreateKey')));
  expect(answers.filter(({ ok }) => ok).length).toBe(5);
  expect(answers.find(({ ok }) => !ok)).toEqual({ ok: false, error: too });
  expect((await w.ask('CreateKey', {}, { account: away })).ok).toBe(true);
  w.pass(1000);
  const { KeyId } = (await w.call('CreateKey')).KeyMetadata;
  for (let i = 0; i < 150; i++) await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
});

test('each operation has a bucket of its own, cryptography one a kind of key', async () => {
  w.pass(10_000);
  const { KeyId } = (await w.call('CreateKey', { Origin: 'EXTERNAL' })).KeyMetadata;
  // One a second.
  await w.call('GetParametersForImport', { KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' });
  expect(await w.refusal('GetParametersForImport', { KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' })).toEqual(too);
  for (let i = 0; i < 5; i++) await w.call('UpdateKeyDescription', { KeyId, Description: String(i) });
  expect(await w.refusal('UpdateKeyDescription', { KeyId, Description: '' })).toEqual(too);
  expect((await w.ask('UntagResource', { KeyId, TagKeys: ['a'] })).ok).toBe(true);
});

test('a replica is charged in both Regions: two keys over there', async () => {
  w.pass(10_000);
  const keys = [];
  for (let i = 0; i < 3; i++) keys.push((await w.call('CreateKey', { MultiRegion: true })).KeyMetadata.KeyId);
  for (const KeyId of keys.slice(0, 2)) await w.call('ReplicateKey', { KeyId, ReplicaRegion: otherRegion });
  expect(await w.refusal('ReplicateKey', { KeyId: keys[2], ReplicaRegion: otherRegion })).toEqual(too);
  expect((await w.ask('CreateKey', {}, { region: otherRegion })).ok).toBe(true);
  expect((await w.ask('CreateKey', {}, { region: otherRegion })).ok).toBe(false);
});

test('each custom key store has 1,800 requests a second of its own', () => {
  const quotas = new AwsQuotas();
  for (let i = 0; i < 1800; i++) quotas.chargeStore('one', 0);
  expect(() => { quotas.chargeStore('one', 0); }).toThrow('You have exceeded the rate');
  quotas.chargeStore('two', 0);
  quotas.chargeStore('one', 1);
});
