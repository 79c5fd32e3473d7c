// The movable clock, what the caretaker does by it, and the events it sends.
import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateKeyCommand, DecryptCommand, DescribeKeyCommand, EnableKeyRotationCommand, EncryptCommand, GetParametersForImportCommand, ImportKeyMaterialCommand, KMSInvalidStateException, ListKeyRotationsCommand, NotFoundException, ScheduleKeyDeletionCommand, type KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newHome, startServer, type Running } from '../clients/running.ts';
import { clientOf, listen, startDouble, type Listener } from './double.ts';
import { rmSync } from 'node:fs';

const day = 86_400_000;
let hook: Listener;
let home: string;
let server: Running;
let kms: KMSClient;

beforeAll(async () => {
  hook = await listen();
  home = newHome();
  server = await startDouble({ home, env: { STRONGROOM_EVENTS_WEBHOOK: hook.url } });
  kms = clientOf(server);
});
afterAll(async () => {
  kms?.destroy();
  await server?.stop();
  hook?.close();
  rmSync(home, { recursive: true, force: true });
});

const clock = (...args: string[]): { now: string; aheadMs: number } => {
  const { status, stdout, stderr } = server.cli('clock', ...args, '--json');
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout) as { now: string; aheadMs: number };
};

const events = (): { 'detail-type': string; detail: unknown }[] =>
  readFileSync(join(home, 'events.jsonl'), 'utf8').trim().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { 'detail-type': string; detail: unknown });

describe('the clock of a double', () => {
  it('deletes a key when its waiting period has passed, and says so', async () => {
    expect(clock('show').aheadMs).toBe(0);
    const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? '';
    await kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    clock('advance', '6d23h');
    expect((await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState).toBe('PendingDeletion');
    hook.refuse = 1;
    clock('advance', '2h');
    await expect(kms.send(new DescribeKeyCommand({ KeyId }))).rejects.toBeInstanceOf(NotFoundException);
    expect(events()).toMatchObject([{
      version: '0', source: 'aws.kms', 'detail-type': 'KMS CMK Deletion', account: '000000000000', region: 'us-east-1',
      resources: [`arn:aws:kms:us-east-1:000000000000:key/${KeyId}`], detail: { 'key-id': KeyId },
    }]);
    // Refused once, sent again.
    await vi.waitFor(() => { expect(hook.heard).toEqual(events()); }, 10_000);
  });

  it('rotates a key when it is due; what was encrypted before still opens', async () => {
    const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? '';
    await kms.send(new EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 90 }));
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('before') }));
    clock('advance', '90d1m');
    const { Rotations } = await kms.send(new ListKeyRotationsCommand({ KeyId }));
    expect(Rotations).toHaveLength(1);
    expect(Rotations?.[0]?.RotationType).toBe('AUTOMATIC');
    expect(Buffer.from((await kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext ?? []).toString()).toBe('before');
    expect(events().at(-1)).toMatchObject({ 'detail-type': 'KMS CMK Rotation', detail: { 'key-id': KeyId } });
  });

  it('takes imported material away when it expires, and says so; the same material comes back', async () => {
    const KeyId = (await kms.send(new CreateKeyCommand({ Origin: 'EXTERNAL' }))).KeyMetadata?.KeyId ?? '';
    const material = randomBytes(32);
    const bring = async (ValidTo?: Date): Promise<void> => {
      const { ImportToken, PublicKey = new Uint8Array() } = await kms.send(new GetParametersForImportCommand({ KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' }));
      const key = createPublicKey({ key: Buffer.from(PublicKey), format: 'der', type: 'spki' });
      const EncryptedKeyMaterial = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, material);
      await kms.send(new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ...(ValidTo === undefined ? { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } : { ValidTo }) }));
    };
    await bring(new Date(Date.parse(clock('show').now) + 2 * day));
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('for two days') }));
    const before = events().length;
    clock('advance', '1d23h');
    await kms.send(new DecryptCommand({ CiphertextBlob }));
    expect(events()).toHaveLength(before);
    clock('advance', '2h');
    await expect(kms.send(new DecryptCommand({ CiphertextBlob }))).rejects.toBeInstanceOf(KMSInvalidStateException);
    expect((await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState).toBe('PendingImport');
    expect(events().slice(before)).toMatchObject([{
      version: '0', source: 'aws.kms', 'detail-type': 'KMS Imported Key Material Expiration', account: '000000000000', region: 'us-east-1',
      resources: [`arn:aws:kms:us-east-1:000000000000:key/${KeyId}`], detail: { 'key-id': KeyId },
    }]);
    await vi.waitFor(() => { expect(hook.heard).toEqual(events()); }, 10_000);
    expect(server.cli('audit', 'tail', '--json').stdout).toContain('"eventName":"DeleteExpiredKeyMaterial"');
    // Told once, however often the clock moves.
    clock('advance', '30d');
    expect(events()).toHaveLength(before + 1);
    await bring();
    expect(Buffer.from((await kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext ?? []).toString()).toBe('for two days');
  });

  it('goes forward only', async () => {
    const { now } = clock('show');
    const back = server.cli('clock', 'set', '2020-01-01T00:00:00Z');
    expect(back.status).toBe(2);
    expect(back.stderr).toMatch(/only goes forward/);
    for (const wrong of ['soon', '7', '-7d', '']) expect(server.cli('clock', 'advance', '--', wrong).status).toBe(2);
    expect(server.cli('clock', 'set', 'yesterday').status).toBe(2);
    expect(Date.parse(clock('show').now)).toBeGreaterThanOrEqual(Date.parse(now));
  });

  it('is where it was after a restart, and clients need not know', async () => {
    const { now } = clock('set', '2040-01-01T00:00:00Z');
    expect(now).toMatch(/^2040-01-01T00:0/);
    await server.kill();
    server = await startServer({ home });
    kms.destroy();
    kms = clientOf(server);
    expect(clock('show').now).toMatch(/^2040-01-01T00:0/);
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
    expect(KeyMetadata?.CreationDate?.getUTCFullYear()).toBe(2040);
    expect(Date.now()).toBeLessThan(Date.UTC(2040, 0, 1) - day);
  });
});

it('a production home refuses', async () => {
  const vault = await startServer();
  try {
    for (const args of [['clock', 'show'], ['clock', 'advance', '7d']]) {
      const { status, stderr } = vault.cli(...args);
      expect(status).toBe(5);
      expect(stderr).toMatch(/production mode since its root key was made/);
    }
  } finally {
    await vault.stop();
  }
});
