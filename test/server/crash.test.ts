/** kill -9 while keys are being made: whatever was acknowledged is there after the restart. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { verifyTrail } from '../../src/audit/verify.ts';
import { accessKeyId, kmsTarget, newHome, openRoom, secret, send, sign } from './room.ts';

const rounds = process.env['STRONGROOM_TEST_FULL'] === undefined ? 50 : 250;
const root = resolve(import.meta.dirname, '../..');

interface Server {
  readonly url: string;
  readonly child: ChildProcess;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
}

async function start(home: string): Promise<Server> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'serve'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env, STRONGROOM_HOME: home, STRONGROOM_LISTEN: '127.0.0.1:0', STRONGROOM_ACCOUNT: '111122223333',
      STRONGROOM_ROOT_ACCESS_KEY_ID: accessKeyId, STRONGROOM_ROOT_SECRET_ACCESS_KEY_FILE: join(home, 'given'),
    },
  });
  const gone = new Promise<void>((done) => { child.once('exit', () => { done(); }); });
  const url = await new Promise<string>((ready, fail) => {
    let said = '';
    child.stderr.on('data', (part: Buffer) => { said += part.toString(); });
    child.stdout.on('data', (part: Buffer) => {
      said += part.toString();
      const found = /ready on (http:\S+)/.exec(said);
      if (found?.[1] !== undefined) ready(found[1]);
    });
    child.once('exit', (code) => { fail(new Error(`the server ended with ${String(code)}: ${said}`)); });
  });
  return { url, child, gone };
}

async function ask(url: string, operation: string, input: unknown): Promise<Record<string, unknown>> {
  const body = JSON.stringify(input);
  const answered = await send(url, 'POST', '/', sign(new URL(url).host, body, { headers: kmsTarget(operation) }), body);
  if (answered.status !== 200) throw new Error(`${operation}: ${answered.status} ${answered.text}`);
  return JSON.parse(answered.text === '' ? '{}' : answered.text) as Record<string, unknown>;
}

it(`${rounds} times killed, nothing acknowledged is lost and the trail holds`, async () => {
  const home = newHome();
  writeFileSync(join(home, 'given'), secret, { mode: 0o600 });
  const made: { readonly id: string; readonly blob: unknown }[] = [];
  for (let round = 0; round < rounds; round++) {
    const { url, child, gone } = await start(home);
    const fresh: typeof made = [];
    let underWay = (): void => undefined;
    const first = new Promise<void>((begun) => { underWay = begun; });
    const maker = async (): Promise<void> => {
      try {
        for (;;) {
          const { KeyMetadata } = await ask(url, 'CreateKey', {});
          const id = (KeyMetadata as { KeyId: string }).KeyId;
          const { CiphertextBlob } = await ask(url, 'Encrypt', { KeyId: id, Plaintext: Buffer.from(id).toString('base64') });
          fresh.push({ id, blob: CiphertextBlob });
          underWay();
        }
      } catch {
        // killed
      }
    };
    // What the last life acknowledged, asked of this one.
    for (const { id, blob } of made.slice(-20)) {
      expect(await ask(url, 'Decrypt', { CiphertextBlob: blob })).toMatchObject({ Plaintext: Buffer.from(id).toString('base64') });
    }
    const makers = Array.from({ length: 8 }, maker);
    await first;
    await new Promise((later) => setTimeout(later, Math.random() * 150));
    child.kill('SIGKILL');
    await Promise.all([gone, ...makers]);
    made.push(...fresh);
  }
  expect(made.length).toBeGreaterThanOrEqual(rounds);

  const room = await openRoom(home);
  for (const { id } of made) expect(await ask(room.server.url, 'DescribeKey', { KeyId: id })).toMatchObject({ KeyMetadata: { KeyId: id } });
  const verdict = await verifyTrail(room.store, room.core);
  expect(verdict.findings).toEqual([]);
  expect(verdict.events).toBeGreaterThan(made.length * 2);
  await room.stop();
  rmSync(home, { recursive: true });
}, 1_800_000);
