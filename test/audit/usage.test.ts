import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import { Usage } from '../../src/audit/usage.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { core } from '../store/core.ts';

const account = '111122223333';
const ARN = `arn:aws:kms:us-east-1:${account}:key/k`;

it('usage counts each event once, over restarts, kills and failed commits', async () => {
  const home = mkdtempSync(join(tmpdir(), 'usage-'));
  const clock = (): number => Date.UTC(2026, 2, 4, 5, 6, 7);
  let store = await openSqlite({ home, core, clock });
  const write = async (count: number, error = false): Promise<void> => {
    const recorder = new ChainRecorder(store);
    await Promise.all(Array.from({ length: count }, () => recorder.record({
      source: 'kms.amazonaws.com', name: 'Encrypt', readOnly: true, region: 'us-east-1', requestId: 'r', sourceIp: '127.0.0.1', userAgent: 'x', recipients: [account],
      actor: { account, arn: `arn:aws:iam::${account}:root`, principalId: account, accessKeyId: 'AKIAEXAMPLE' }, resources: [{ accountId: account, type: 'AWS::KMS::Key', ARN }],
      ...(error ? { error: { code: 'AccessDenied', message: 'no' } } : {}),
    }).durable));
  };
  const read = async (): Promise<unknown> => (await new Usage(store).of(account, ['2026-03-04'])).map(({ key, hours }) => [key, hours['05']?.['kms:Encrypt']]);
  await write(2500);
  await write(3, true);
  const honest = store.tx.bind(store);
  store.tx = async () => { throw new Error('killed'); };
  await expect(new Usage(store).count()).rejects.toThrow('killed');
  store.tx = honest;
  expect(await read()).toEqual([['', [2503, 3]], [ARN, [2503, 3]]]);
  await write(4);
  await store.close();
  store = await openSqlite({ home, core, clock });
  expect(await read()).toEqual([['', [2507, 3]], [ARN, [2507, 3]]]);
  expect(await read()).toEqual([['', [2507, 3]], [ARN, [2507, 3]]]);
  await store.close();
  rmSync(home, { recursive: true });
});
