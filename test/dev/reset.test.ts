// A double begins anew without stopping.
import { randomUUID } from 'node:crypto';
import { CreateAliasCommand, CreateGrantCommand, CreateKeyCommand, DecryptCommand, DescribeKeyCommand, EncryptCommand, ListAliasesCommand, ListKeysCommand, type KMSClient } from '@aws-sdk/client-kms';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newHome, startServer, type Running } from '../clients/running.ts';
import { clientOf, startDouble } from './double.ts';

let home: string;
let server: Running;
let kms: KMSClient;

beforeAll(async () => {
  home = newHome();
  server = await startDouble({ home });
  kms = clientOf(server, { accessKeyId: 'test', secretAccessKey: 'test' });
});
afterAll(async () => {
  kms?.destroy();
  await server?.stop();
  rmSync(home, { recursive: true, force: true });
});

async function fill(): Promise<{ readonly KeyId: string; readonly blob: Uint8Array }> {
  const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? '';
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/mine', TargetKeyId: KeyId }));
  await kms.send(new CreateGrantCommand({ KeyId, GranteePrincipal: 'arn:aws:iam::000000000000:root', Operations: ['Decrypt'] }));
  const { CiphertextBlob: blob = new Uint8Array() } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));
  return { KeyId, blob };
}

it('everything is gone, the same credentials go on, again and again', async () => {
  for (let round = 0; round < 2; round++) {
    const { KeyId, blob } = await fill();
    expect(server.cli('account', 'create', '--json').status).toBe(0);
    expect(server.cli('clock', 'advance', '400d').status).toBe(0);
    const { status, stderr } = server.cli('reset');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect((await kms.send(new ListKeysCommand({}))).Keys).toEqual([]);
    expect((await kms.send(new ListAliasesCommand({}))).Aliases?.filter(({ AliasName }) => AliasName === 'alias/mine')).toEqual([]);
    await expect(kms.send(new DescribeKeyCommand({ KeyId }))).rejects.toMatchObject({ name: 'NotFoundException' });
    await expect(kms.send(new DecryptCommand({ CiphertextBlob: blob }))).rejects.toMatchObject({ $fault: 'client' });
    expect((JSON.parse(server.cli('account', 'list', '--json').stdout) as { accountId: string }[]).map((one) => one.accountId)).toEqual(['000000000000']);
    expect((JSON.parse(server.cli('clock', 'show', '--json').stdout) as { aheadMs: number }).aheadMs).toBe(0);
    expect(server.cli('audit', 'tail').stdout).not.toContain('CreateGrant');
  }
  expect(server.cli('audit', 'verify').status).toBe(0);
});

it('what came after a reset is there after a restart', async () => {
  const { KeyId, blob } = await fill();
  await server.kill();
  server = await startServer({ home });
  kms.destroy();
  kms = clientOf(server);
  expect((await kms.send(new ListKeysCommand({}))).Keys?.map((key) => key.KeyId)).toEqual([KeyId]);
  expect(Buffer.from((await kms.send(new DecryptCommand({ CiphertextBlob: blob }))).Plaintext ?? []).toString()).toBe('x');
  expect(server.cli('audit', 'verify').status).toBe(0);
});

it('requests under way meanwhile do no harm', async () => {
  let done = false;
  const seen = new Set<string>();
  const busy = Promise.all([1, 2, 3].map(async () => {
    while (!done) {
      await kms.send(new CreateKeyCommand({ Description: randomUUID() })).then(() => seen.add('ok'), (error: unknown) => seen.add((error as Error).name));
    }
  }));
  const { status } = server.cli('reset');
  await new Promise((turn) => setTimeout(turn, 300));
  done = true;
  await busy;
  expect(status).toBe(0);
  expect(seen).toContain('ok');
  const { KeyId, blob } = await fill();
  expect((await kms.send(new DecryptCommand({ CiphertextBlob: blob, KeyId }))).KeyId).toContain(KeyId);
  expect(server.cli('audit', 'verify').status).toBe(0);
});

it('a production home refuses', async () => {
  const vault = await startServer();
  try {
    const { status, stderr } = vault.cli('reset');
    expect(status).toBe(5);
    expect(stderr).toMatch(/production mode/);
  } finally {
    await vault.stop();
  }
});
