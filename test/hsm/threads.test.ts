import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { Attribute } from '../../src/hsm/core.ts';
import { loadCore } from '../../src/hsm/native.ts';
import { ATTR, CURVE, KEY, MECH } from '../../src/hsm/numbers.ts';
import { openHsm } from '../../src/index.ts';

const at = (name: string): string => fileURLToPath(new URL(`./programs/${name}`, import.meta.url));

interface Ended { readonly code: number | null; readonly signal: string | null; readonly stdout: string; readonly stderr: string }
const run = (...args: string[]): Promise<Ended> => new Promise((done) => {
  const child = execFile(process.execPath, ['--import', 'tsx', ...args], (_, stdout, stderr) => { done({ code: child.exitCode, signal: child.signalCode, stdout, stderr }); });
});

const start = (data: { id: number; close?: boolean; endless?: boolean }): Worker => new Worker(at('worker.mjs'), { workerData: data });
const said = (worker: Worker): Promise<unknown> => new Promise((done, fail) => { worker.once('message', done).once('error', fail); });
const ended = (worker: Worker): Promise<number> => new Promise((done) => worker.once('exit', done));

describe('worker threads', () => {
  test('several use the core at once, whether they close it or not', async () => {
    const workers = [0, 1, 2, 3].map((id) => start({ id, close: id % 2 === 0 }));
    const exits = workers.map(ended);
    expect(await Promise.all(workers.map(said))).toEqual([208, 208, 208, 208]);
    expect(await Promise.all(exits)).toEqual([0, 0, 0, 0]);
  });

  test('one that is terminated at work leaves the others alone', async () => {
    const hsm = await openHsm();
    const session = hsm.session();
    const key = await session.generateKey({ type: 'rsa', bits: 2048 });
    for (let round = 0; round < 3; round++) {
      const worker = start({ id: 10 + round, endless: true });
      await said(worker);
      await worker.terminate();
      expect(key.verify('still here', await key.sign('still here'))).toBe(true);
    }
    hsm.close();
  });
});

test('the service indicator comes back with the result of each piece of work', async () => {
  const core = loadCore();
  const session = core.openSession(core.ephemeralPartition('indicator'));
  const sign: Attribute[] = [[ATTR.SIGN, true]];
  const good = await core.generatePair(session, 0, { type: KEY.RSA, param: 2048 }, sign);
  const odd = await core.generatePair(session, 0, { type: KEY.EC, param: CURVE.SECP256K1 }, sign);
  const told = await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    const approved = i % 3 !== 0;
    await (approved ? core.signSlow(session, good, MECH.SHA256_RSA_PKCS, undefined, Buffer.from('m')) : core.signSlow(session, odd, MECH.ECDSA_SHA256, undefined, Buffer.from('m')));
    return core.approved() === approved;
  }));
  expect(told.every(Boolean)).toBe(true);
  core.close();
});

describe('a process that ends in the middle of work', () => {
  test.each(['exit', 'later', 'close-exit', 'close', 'itself'])('by %s ends with 0', async (how) => {
    const { code, signal, stderr } = await run(at('exits.ts'), how);
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('by an uncaught error ends with 1, not by a signal', async () => {
    const { code, signal, stderr } = await run(at('exits.ts'), 'throw');
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toContain('on purpose');
  });
});

test('cluster workers and forked children have a core of their own, and the parent goes on', async () => {
  const { code, stdout, stderr } = await run(at('cluster.ts'));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({ answers: [true, true, true, true], codes: [0, 0, 0, 0], still: true });
});
