// The laboratory (docs/laboratory.md): what it can break, and that nothing of it is outside.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { addonPath, labAddonPath, loadAddon, type LabAddon } from '../../src/hsm/addon.ts';
import type { KeyHandle, PartitionHandle, SessionHandle } from '../../src/hsm/core.ts';
import { loadCore, type NativeCore } from '../../src/hsm/native.ts';
import { ATTR, CURVE, KEY, MECH, PARAM } from '../../src/hsm/numbers.ts';

const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'strongroom-lab-'));
const message = Buffer.from('message');
let addon: LabAddon;

beforeAll(() => {
  const built = spawnSync('npm', ['run', '-s', 'build:lab'], { cwd: root, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stdout + built.stderr);
  addon = createRequire(import.meta.url)(labAddonPath) as LabAddon;
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let core: NativeCore | undefined;
let made: string[] = [];
const set = (setting: string): void => {
  made.push(`${setting.split('=')[0]}=off`);
  addon.lab(setting);
};
const open = (): { core: NativeCore; partition: PartitionHandle; session: SessionHandle } => {
  core = loadCore({ addon: labAddonPath });
  const partition = core.ephemeralPartition('lab');
  return { core, partition, session: core.openSession(partition) };
};
afterEach(() => {
  for (const setting of made) addon.lab(setting);
  made = [];
  core?.close();
  core = undefined;
});
const code = (call: () => unknown): string => {
  try {
    call();
    return 'done';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('a release has no laboratory: no call, no switch, no setting from the environment', () => {
  expect(Object.keys(loadAddon(addonPath)).filter((name) => /^lab/i.test(name))).toEqual([]);
  const names = readFileSync(join(root, 'native/base/lab.h'), 'utf8').match(/"[a-z0-9]+-[a-z-]+"/g)?.map((name) => name.slice(1, -1)) ?? [];
  expect(names.length).toBeGreaterThan(10);
  const release = readFileSync(addonPath);
  const laboratory = readFileSync(labAddonPath);
  for (const name of [...names, 'STRONGROOM_LAB']) expect([name, release.includes(name), laboratory.includes(name)]).toEqual([name, false, true]);
});

test('its version says what it is', () => {
  expect(open().core.describe().version).toMatch(/-lab$/);
});

test('a root of mode lab is made and opened in the laboratory alone, a production root outside alone', () => {
  const inside = open().core;
  const outside = loadCore({ addon: addonPath });
  try {
    const how = (name: string): { how: 'keyfile'; path: string } => ({ how: 'keyfile', path: join(folder, name) });
    expect(code(() => inside.createRoot('production', how('a')))).toBe('HSM_E_MODE');
    expect(code(() => outside.createRoot('lab', how('b')))).toBe('HSM_E_MODE');
    const lab = inside.createRoot('lab', how('lab.key'));
    const production = outside.createRoot('production', how('production.key'));
    inside.closeRoot();
    outside.closeRoot();
    expect(code(() => outside.openRoot(lab, how('lab.key')))).toBe('HSM_E_MODE');
    expect(code(() => inside.openRoot(production, how('production.key')))).toBe('HSM_E_MODE');
    inside.openRoot(lab, how('lab.key'));
    inside.closeRoot();
  } finally {
    outside.close();
  }
});

test('a token made outside does not open in the laboratory', async () => {
  const outside = loadCore({ addon: addonPath });
  const device = join(folder, 'device');
  try {
    const { header } = await outside.createToken(device, Buffer.from('officer'), false);
    expect(code(() => addon.tokenOpen(device, header))).toBe('HSM_E_STATE');
    open();
    expect(code(() => addon.tokenOpen(device, header))).toBe('HSM_E_INTEGRITY');
  } finally {
    outside.close();
  }
});

test('each self-test fails by name, at the run that was chosen, and ends the service', () => {
  const names = open().core.selfTests();
  core?.close();
  for (const name of names) {
    set(`fail=${name}`);
    expect(code(() => loadCore({ addon: labAddonPath }))).toBe('HSM_E_SELF_TEST');
    expect(addon.describe()).toMatchObject({ state: 'error', why: name });
  }
  set('fail=AES-GCM@2');
  const { core: running, session } = open();
  expect(running.selfTest('AES-GCM')).toEqual({ failed: 'AES-GCM' });
  expect(running.describe()).toMatchObject({ state: 'error', why: 'AES-GCM' });
  expect(code(() => running.generate(session, 0, { type: KEY.AES, param: 256 }, []))).toBe('HSM_E_SELF_TEST');
});

test('a pair that is not consistent is not handed out', async () => {
  const { core: running, session } = open();
  set('fail=pairwise');
  await expect(running.generatePair(session, 0, { type: KEY.EC, param: CURVE.P256 }, [])).rejects.toMatchObject({ code: 'HSM_E_SELF_TEST' });
});

test('a generator that repeats itself ends the service', () => {
  const { core: running, session } = open();
  set('output-stuck');
  expect(code(() => { for (let i = 0; i < 100; i += 1) running.generate(session, 0, { type: KEY.AES, param: 256 }, []); })).toBe('HSM_E_RANDOM');
  expect(running.describe()).toMatchObject({ state: 'error', why: 'random generator: output repeats' });
});

test('a fault in dP makes no signature, unless the check of signatures is off too', async () => {
  const { core: running, session } = open();
  const key = await running.generatePair(session, 0, { type: KEY.RSA, param: 2048 }, [[ATTR.SIGN, true]]);
  const sign = (): Buffer => running.sign(session, key, MECH.SHA256_RSA_PKCS, undefined, message);
  const right = Buffer.from(sign());
  set('dp-flip');
  expect(code(sign)).toBe('HSM_E_CRYPTO');
  set('unchecked');
  expect(sign().equals(right)).toBe(false);
  addon.lab('dp-flip=off');
  expect(sign().equals(right)).toBe(true);
});

test('one flipped bit of a nonce is another signature; one of a tag, another verdict', async () => {
  const { core: running, session } = open();
  const pair = await running.generatePair(session, 0, { type: KEY.EC, param: CURVE.P256 }, [[ATTR.SIGN, true]]);
  const sign = (): string => running.sign(session, pair, MECH.ECDSA_SHA256, { flags: PARAM.DETERMINISTIC }, message).toString('hex');
  const before = sign();
  expect(sign()).toBe(before);
  set('nonce-flip');
  expect(sign()).not.toBe(before);
  const key = running.generate(session, 0, { type: KEY.GENERIC, param: 256 }, [[ATTR.SIGN, true], [ATTR.VERIFY, true]]);
  const mac = Buffer.from(running.sign(session, key, MECH.SHA256_HMAC, undefined, message));
  const near = Buffer.from(mac.map((byte, i) => (i === 0 ? byte ^ 1 : byte)));
  const verdicts = (): boolean[] => [mac, near].map((tag) => running.verify(session, key, MECH.SHA256_HMAC, undefined, message, tag));
  expect(verdicts()).toEqual([true, false]);
  set('tag-flip');
  expect(verdicts()).toEqual([false, true]);
  set('leaky-compare');
  addon.lab('tag-flip=off');
  expect(verdicts()).toEqual([true, false]);
});

test('a tamper event in the middle of an operation: everything is gone, in the state of zeroised', async () => {
  const { core: running, session } = open();
  const key = running.generate(session, 0, { type: KEY.AES, param: 256 }, [[ATTR.ENCRYPT, true]]);
  const room = Buffer.alloc(64);
  const encrypt = (): number => running.encryptInto(session, key, MECH.AES_GCM, { flags: PARAM.IV_MADE }, message, room);
  set('tamper-at=3');
  const codes: string[] = [];
  for (let i = 0; i < 200 && running.describe().state !== 'zeroised'; i += 1) {
    codes.push(code(encrypt));
    await new Promise((done) => setTimeout(done, 5));
  }
  expect(codes.slice(0, 2)).toEqual(['done', 'done']);
  expect(running.describe()).toMatchObject({ state: 'zeroised', why: 'laboratory: tamper event during an operation', objects: 0, sessions: 0 });
  expect(code(encrypt)).toMatch(/HSM_E_(STATE|SESSION)/);
});

test('a setting that does not exist is refused, also from the environment', () => {
  expect(code(() => { open(); addon.lab('no-such-thing'); })).toBe('HSM_E_ARGS');
  expect(code(() => addon.lab('dp-flip=much'))).toBe('HSM_E_ARGS');
  expect(code(() => addon.lab('fail=AES-GCM@0'))).toBe('HSM_E_ARGS');
});

const run = (settings: string): { lines: string; trace: string } => {
  const trace = join(folder, 'trace.jsonl');
  rmSync(trace, { force: true });
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', 'test/lab/programs/replay.ts'], {
    cwd: root, encoding: 'utf8', env: { ...process.env, STRONGROOM_MODE: 'lab', STRONGROOM_LAB: `${settings}trace=${trace}` },
  });
  expect(status === 0 ? '' : stderr).toBe('');
  return { lines: stdout, trace: readFileSync(trace, 'utf8') };
};

test('a run with a seed replays bit for bit, what it makes and its trace; without, it does not', () => {
  const [first, again, other, free, freeAgain] = ['seed=7,', 'seed=7,', 'seed=8,', '', ''].map(run);
  expect(again).toEqual(first);
  for (const pair of [[first, other], [free, freeAgain]]) {
    const [a, b] = pair.map((r) => JSON.parse(r?.lines ?? '') as Record<string, string>);
    for (const name of Object.keys(a ?? {})) expect([name, a?.[name] === b?.[name]]).toEqual([name, false]);
  }
});

test('the same entropy each time: two runs make the same keys', () => {
  expect(run('entropy-same,').lines).toBe(run('entropy-same,').lines);
});

test('every state, self-test, use, login and operation is a line of JSON', () => {
  const lines = run('').trace.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.map(({ n }) => n)).toEqual(lines.map((_, i) => i + 1));
  expect(lines.filter(({ event }) => event === 'state').map(({ from, to }) => `${String(from)} ${String(to)}`)).toEqual(['off testing', 'testing ready', 'ready off']);
  expect(lines.filter(({ event, status }) => event === 'self-test' && status === 'HSM_OK').length).toBeGreaterThan(20);
  expect(lines).toContainEqual(expect.objectContaining({ event: 'use', mechanism: 'AES_GCM', status: 'HSM_OK', role: 1 }));
  expect(lines).toContainEqual(expect.objectContaining({ event: 'operation', status: 'HSM_OK' }));
});

test('raw noise, a sample a byte', () => {
  open();
  const room = Buffer.alloc(4096);
  expect(addon.labNoise(0, room)).toBe(4096);
  expect(new Set(room).size).toBeGreaterThan(200);
  expect(code(() => addon.labNoise(2, room))).toBe('HSM_E_ARGS');
});
