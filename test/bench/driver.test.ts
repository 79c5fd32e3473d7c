// The native drivers: every work once, on our module, on SoftHSM2 where it is installed, and on the library by itself. Nothing is timed.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Driver, prepareDriver, type Work } from '../../src/bench/driver.ts';
import { judge } from '../../src/bench/judge.ts';
import { Unavailable, WrongAnswer } from '../../src/bench/measure.ts';
import { drivers, installedModules, namedModule, Tokens, type Token } from '../../src/bench/modules.ts';

const few: readonly Work[] = [
  { work: 'gcm-seal', size: 64 }, { work: 'gcm-open', size: 64 }, { work: 'gcm-seal', size: 1 << 20 }, { work: 'gcm-seal', size: 64, threads: 2 }, { work: 'gcm-seal', size: 64, threads: 2, ownKeys: true },
  { work: 'cbc', size: 64 }, { work: 'kw' }, { work: 'hmac', size: 64 }, { work: 'sha256', size: 64 }, { work: 'random', size: 32 },
  { work: 'sign', kind: 'p256' }, { work: 'verify', kind: 'p384' }, { work: 'sign', kind: 'rsa', size: 2048 }, { work: 'sign', kind: 'ed25519' }, { work: 'ecdh', kind: 'p256' },
  { work: 'keygen', kind: 'aes' }, { work: 'keygen', kind: 'p256' },
];
const tokenWorks: readonly Work[] = [{ work: 'cbc-open', size: 64 }, { work: 'kw-open' }, { work: 'session' }, { work: 'attribute' }, { work: 'login' }, { work: 'create' }, { work: 'first-sign' }];
const modern: readonly Work[] = [{ work: 'sign', kind: 'mldsa65' }, { work: 'verify', kind: 'mldsa65' }, { work: 'encapsulate', kind: 'mlkem768' }, { work: 'decapsulate', kind: 'mlkem768' }];

const called = (w: Work): string => `${w.work} ${w.kind ?? ''} ${w.size ?? ''} ${w.threads ?? ''}${w.ownKeys === true ? ' own keys' : ''}`.replace(/ +/g, ' ').trim();

async function once(token: Pick<Token, 'command'>, work: Work): Promise<void> {
  const prepared = await prepareDriver(token.command, work, judge);
  try {
    const spent = await prepared.run(2);
    expect(spent?.wallNs).toBeGreaterThan(0);
    await prepared.check();
  } finally {
    await prepared.close?.();
  }
}

const cache = mkdtempSync(join(tmpdir(), 'strongroom-test-'));
let tokens: Tokens;

beforeAll(() => {
  // Filled tokens are kept: here, for the length of this file.
  process.env['XDG_CACHE_HOME'] = cache;
  tokens = new Tokens();
});

afterAll(() => {
  tokens.remove();
  rmSync(cache, { recursive: true, force: true });
});

describe('the library by itself', () => {
  const raw = { command: { program: drivers.raw, args: [] } };
  for (const work of [...few, ...modern]) it(called(work), async () => { await once(raw, work); });
});

describe('our module', () => {
  for (const work of [...few, ...tokenWorks, ...modern]) it(called(work), async () => { await once(await tokens.empty(namedModule('strongroom')), work); });

  it('finds each of the objects that it was filled with, and a fresh process finds one', async () => {
    const token = await tokens.filled(namedModule('strongroom'), 20);
    await once(token, { work: 'find', size: 20 });
    await once(token, { work: 'ready' });
  });

  it('fills a token once', async () => {
    expect(existsSync(join(cache, 'strongroom/bench/tokens/strongroom-20'))).toBe(true);
    const again = new Tokens((text) => { throw new Error(`filled again: ${text}`); });
    try {
      await once(await again.filled(namedModule('strongroom'), 20), { work: 'find', size: 20 });
    } finally {
      again.remove();
    }
  });
});

const softhsm = installedModules().modules.find((m) => m.kind === 'softhsm');

describe.skipIf(softhsm === undefined)('SoftHSM2', () => {
  const module = softhsm ?? namedModule('strongroom');
  for (const work of [...few, ...tokenWorks]) it(called(work), async () => { await once(await tokens.empty(module), work); });

  it('says what it does not have', async () => {
    const token = await tokens.empty(module);
    for (const work of modern) await expect(once(token, work)).rejects.toBeInstanceOf(Unavailable);
  });

  it('has its parts together when it was filled by parts', async () => {
    await once(await tokens.filled(module, 300), { work: 'find', size: 300 });
  });
});

const nss = installedModules().modules.find((m) => m.kind === 'nss');

describe.skipIf(nss === undefined)('NSS softokn', () => {
  for (const work of few.filter((w) => w.kind !== 'ed25519')) it(called(work), async () => { await once(await tokens.empty(nss ?? namedModule('strongroom')), work); });
});

describe('a driver', () => {
  it('refuses what is no order, and works on', async () => {
    const driver = new Driver({ program: drivers.raw, args: [] });
    await driver.about;
    await expect(driver.ask('dance')).rejects.toThrow('nothing is prepared');
    await expect(driver.ask('prepare gcm-seal - 99999999 1 one')).rejects.toThrow('not an order');
    await expect(driver.ask('prepare nothing - 0 1 one')).rejects.toBeInstanceOf(Unavailable);
    await driver.ask('prepare sha256 - 64 1 one');
    await driver.ask('run 1');
    await driver.close();
  });

  it('says why a module cannot be loaded', async () => {
    const driver = new Driver({ program: drivers.module, args: ['/nowhere.so'] });
    await expect(driver.about).rejects.toThrow('nowhere.so');
    await driver.close();
  });

  it('does not know our code: it is linked with the C library alone', () => {
    const needed = [...execFileSync('readelf', ['-d', drivers.module], { encoding: 'utf8' }).matchAll(/NEEDED.*\[(.+)\]/g)].map((m) => m[1]);
    expect(needed.filter((n) => n?.startsWith('libc.so') !== true && n?.startsWith('ld-') !== true)).toEqual([]);
  });
});

describe('the judge outside', () => {
  const work: Work = { work: 'hmac', size: 64 };
  const right = Buffer.from('8d9725ca885c41', 'hex');

  it('throws out each kind of wrong answer', () => {
    const key = Buffer.from(Uint8Array.from({ length: 32 }, (_, i) => i));
    expect(judge(work, { key, mac: right })).toMatch(/not HMAC/);
    expect(judge({ work: 'sha256', size: 64 }, { digest: Buffer.alloc(32) })).toMatch(/not SHA/);
    expect(judge({ work: 'gcm-seal', size: 64 }, { key, iv: Buffer.alloc(12), sealed: Buffer.alloc(80) })).toMatch(/does not open/);
    expect(judge({ work: 'cbc', size: 64 }, { key, iv: Buffer.alloc(16), sealed: Buffer.alloc(80) })).toMatch(/does not open/);
    expect(judge({ work: 'kw' }, { key, plain: key, wrapped: Buffer.alloc(40) })).toMatch(/does not unwrap/);
    expect(judge({ work: 'sign', kind: 'ed25519' }, { point: Buffer.alloc(32, 1), signature: Buffer.alloc(64) })).toMatch(/does not verify/);
  });

  it('is asked by the driver, and its no is a wrong answer', async () => {
    const prepared = await prepareDriver({ program: drivers.raw, args: [] }, { work: 'sha256', size: 64 }, () => 'no');
    await prepared.run(1);
    await expect(Promise.resolve(prepared.check())).rejects.toBeInstanceOf(WrongAnswer);
    await prepared.close?.();
  });
});
