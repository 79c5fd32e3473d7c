// Log files of a double that begins anew, and of accounts that stop or go.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { CreateKeyCommand, ListKeysCommand, type KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AdminClient } from '../../src/cli/admin.ts';
import type { Running } from '../clients/running.ts';
import { clientOf, startDouble } from './double.ts';

const account = '000000000000';
const tenant = '210987654321';
let directory: string;
let server: Running;
let kms: KMSClient;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'strongroom-trail-'));
  server = await startDouble({ env: { STRONGROOM_TRAIL_DIR: directory } });
  kms = clientOf(server, { accessKeyId: 'test', secretAccessKey: 'test' });
});
afterAll(async () => {
  kms?.destroy();
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const run = (...args: string[]): string => {
  const { status, stdout, stderr } = server.cli(...args);
  expect([args.join(' '), status, stderr]).toEqual([args.join(' '), 0, '']);
  return stdout;
};
const admin = <T>(path: string, body: object = {}): Promise<T> => new AdminClient(server.home).post<T>(path, body);
const deliver = (): Promise<object> => admin('/v1/audit/deliver', { digest: true });
/** Events of the delivered log files of an account. */
function delivered(of = account): { readonly eventID: string; readonly eventName: string; readonly recipientAccountId: string }[] {
  const folder = join(directory, 'AWSLogs', of, 'CloudTrail');
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json.gz')).sort() : [];
  return names.flatMap((name) => (JSON.parse(gunzipSync(readFileSync(join(folder, name))).toString('utf8')) as { Records: ReturnType<typeof delivered> }).Records);
}
/** In no order: files of one minute have random names. */
const names = (of?: string): string[] => delivered(of).map(({ eventName }) => eventName).sort();
const twice = (of?: string): string[] => delivered(of).map(({ eventID }) => eventID).filter((id, i, all) => all.indexOf(id) !== i);

const whole = async (): Promise<void> => {
  expect(await admin('/v1/audit/verify')).toMatchObject({ faults: [] });
  expect(await admin('/v1/audit/files', { directory })).toMatchObject({ faults: [] });
};

describe('a reset', () => {
  it('leaves what was delivered, delivers what was not, and goes on behind it', async () => {
    for (const round of [1, 2]) {
      await kms.send(new CreateKeyCommand({}));
      await deliver();
      await kms.send(new ListKeysCommand({}));
      run('clock', 'advance', '400d');
      await deliver();
      await kms.send(new ListKeysCommand({}));
      run('reset');
      // Nobody delivered the last one but the reset.
      expect(names()).toEqual([...Array<string>(round).fill('CreateKey'), ...Array<string>(2 * round).fill('ListKeys')]);
      await whole();
    }
    await kms.send(new CreateKeyCommand({}));
    await deliver();
    expect(names()).toHaveLength(7);
    expect(twice()).toEqual([]);
    await whole();
  });
});

describe('an account', () => {
  it('that is suspended, and one that is deleted, keep their trail, and the end is in it', async () => {
    run('account', 'create', tenant);
    run('account', 'suspend', tenant);
    await deliver();
    expect(names(tenant)).toEqual(['SuspendAccount']);
    await whole();
    run('account', 'resume', tenant);
    run('account', 'delete', tenant, '--days', '7', '--yes');
    await deliver();
    await whole();
    run('clock', 'advance', '8d');
    expect(run('account', 'list')).toContain('Deleted');
    await deliver();
    expect(names(tenant)).toEqual(['DeleteAccount', 'ResumeAccount', 'ScheduleAccountDeletion', 'SuspendAccount']);
    expect(twice(tenant)).toEqual([]);
    await whole();
    // A reset forgets the account; its files stay.
    run('reset');
    expect(names(tenant)).toHaveLength(4);
    await whole();
  });
});
