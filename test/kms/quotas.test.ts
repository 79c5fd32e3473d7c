import { afterAll, beforeAll, expect, test } from 'vitest';
import { AwsQuotas } from '../../src/kms/quotas.ts';
import { away, makeWorld, type World } from './world.ts';

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
  await w.call('GenerateDataKeyPair', { KeyId, KeyPairSpec: 'RSA_2048' });
  expect(await w.refusal('GenerateDataKeyPair', { KeyId, KeyPairSpec: 'RSA_2048' })).toEqual(too);
  for (let i = 0; i < 150; i++) await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
});
