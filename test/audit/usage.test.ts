import Database from 'better-sqlite3';
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

it('what a commit counts is written with its events, and made again from them where it was altered or taken away', async () => {
  const home = mkdtempSync(join(tmpdir(), 'usage-'));
  const clock = (): number => Date.UTC(2026, 2, 4, 5, 6, 7);
  let store = await openSqlite({ home, core, clock });
  const write = async (name: string, ARNs: readonly string[], recipients = [account]): Promise<void> => {
    await new ChainRecorder(store).record({
      source: 'kms.amazonaws.com', name, readOnly: true, region: 'us-east-1', requestId: 'r', sourceIp: '127.0.0.1', userAgent: 'x', recipients,
      actor: { account, arn: `arn:aws:iam::${account}:root`, principalId: account, accessKeyId: 'AKIAEXAMPLE' }, resources: ARNs.map((one) => ({ accountId: account, type: 'AWS::KMS::Key', ARN: one })),
    }).durable;
  };
  const days = ['2026-03-04'];
  const read = async (of = account): Promise<unknown> => Object.fromEntries((await new Usage(store).of(of, days)).map(({ key, hours }) => [key, hours['05']]));
  for (let i = 0; i < 3; i++) await write('Encrypt', [ARN]);
  await write('ReEncrypt', [ARN, `${ARN}2`, ARN], [account, '999988887777']);
  await new ChainRecorder(store).record({ source: 'kms.amazonaws.com', name: 'RotateKey', readOnly: false, region: 'us-east-1', requestId: 'r', sourceIp: 'x', userAgent: 'x', actor: undefined, recipients: [account] }).durable;
  const [shard = ''] = await store.shards();
  // Nothing was summed up yet, and every commit has its counts.
  const tallies = await store.tallies(shard, 1, 100);
  expect(tallies.map(({ first, last, counts }) => [first, last, counts.map(({ operation, requests }) => [operation, requests])])).toEqual([
    [1, 1, [['kms:Encrypt', 1]]], [2, 2, [['kms:Encrypt', 1]]], [3, 3, [['kms:Encrypt', 1]]], [4, 5, [['kms:ReEncrypt', 1], ['kms:ReEncrypt', 1]]], [6, 6, []],
  ]);
  await store.close();
  const db = new Database(join(home, 'strongroom.db'));
  db.prepare("UPDATE audit_usage SET counts = replace(counts, '1,0]', '9,0]') WHERE first_seq = 2").run();
  db.prepare('DELETE FROM audit_usage WHERE first_seq = 4').run();
  db.close();
  store = await openSqlite({ home, core, clock });
  expect((await store.tallies(shard, 1, 100)).map(({ first }) => first)).toEqual([1, 3, 6]);
  const reEncrypt = { 'kms:ReEncrypt': [1, 0] };
  expect(await read()).toEqual({ '': { 'kms:Encrypt': [3, 0], ...reEncrypt }, [ARN]: { 'kms:Encrypt': [3, 0], ...reEncrypt }, [`${ARN}2`]: reEncrypt });
  expect(await read('999988887777')).toEqual({ '': reEncrypt, [ARN]: reEncrypt, [`${ARN}2`]: reEncrypt });
  // It outlives the account, as its events do.
  await store.purge(account);
  expect(await read()).toMatchObject({ [ARN]: { 'kms:Encrypt': [3, 0] } });
  await store.close();
  rmSync(home, { recursive: true });
});

it('a commit that does not land leaves no counts', async () => {
  const home = mkdtempSync(join(tmpdir(), 'usage-'));
  const store = await openSqlite({ home, core, ceiling: 400_000 });
  const big = { source: 'kms.amazonaws.com', name: 'Encrypt', readOnly: true, region: 'us-east-1', requestId: 'r', sourceIp: '127.0.0.1', userAgent: 'x', recipients: [account], actor: { account, arn: `arn:aws:iam::${account}:root`, principalId: account, accessKeyId: 'AKIAEXAMPLE' } };
  await new ChainRecorder(store).record(big).durable;
  await expect(new ChainRecorder(store).record({ ...big, request: 'x'.repeat(900_000) }).durable).rejects.toMatchObject({ code: 'Full' });
  await new ChainRecorder(store).record(big).durable;
  const [shard = ''] = await store.shards();
  expect((await store.tallies(shard, 1, 10)).map(({ first, last }) => [first, last])).toEqual([[1, 1], [2, 2]]);
  await store.close();
  rmSync(home, { recursive: true });
});
