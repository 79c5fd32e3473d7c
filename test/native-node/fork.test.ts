import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

interface Ended { readonly code: number | null; readonly signal: string | null; readonly stdout: string; readonly stderr: string }

const program = (name: string): string => resolve(import.meta.dirname, 'programs', name);
const node = [process.execPath, '--import', 'tsx'];

function run(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((done) => {
    const child = execFile(words[0]!, words.slice(1), { env: { ...process.env, ...env } }, (_, stdout, stderr) => {
      done({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
    });
  });
}

test('a parent that starts children in every way goes on working, and ends well', async () => {
  const { code, signal, stdout, stderr } = await run([...node, program('children.ts')]);
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toEqual({ codes: [0], signed: true });
});

// The superuser may lock what he likes: the capability goes before the limit counts.
const limited = (kib: number | 'unlimited', words: readonly string[]): readonly string[] => {
  const limit = ['sh', '-c', `ulimit -l ${kib} && exec "$@"`, 'sh', ...words];
  return process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', ...limit] : limit;
};

const KIB = 1024;
const limits: readonly { readonly kib: number; readonly kind: string; readonly reason: RegExp; readonly size: readonly [number, number] }[] = [
  { kib: 0, kind: 'plain', reason: /RLIMIT_MEMLOCK is 0 KiB/, size: [7 * KIB * KIB, 8 * KIB * KIB] },
  { kib: 64, kind: 'plain', reason: /RLIMIT_MEMLOCK is 64 KiB/, size: [7 * KIB * KIB, 8 * KIB * KIB] },
  { kib: 2048, kind: 'memfd_secret', reason: /^$/, size: [KIB * KIB, 1.5 * KIB * KIB] },
  { kib: 8192, kind: 'memfd_secret', reason: /^$/, size: [5 * KIB * KIB, 6 * KIB * KIB] },
];

describe.each(limits)('with RLIMIT_MEMLOCK at $kib KiB', ({ kib, kind, reason, size }) => {
  test(`the addon works, and its memory is ${kind}`, async () => {
    const { code, stdout, stderr } = await run(limited(kib, [...node, program('alone.ts')]));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const said = JSON.parse(stdout) as { good: boolean; kind: string; reason: string; size: number; limit: number };
    expect(said.good).toBe(true);
    expect(said.limit).toBe(kib * KIB);
    // A kernel without memfd_secret has locked memory at best, and says so.
    if (kind === 'memfd_secret' && said.kind === 'locked') return expect(said.reason).toMatch(/^memfd_secret: /);
    expect(said.kind).toBe(kind);
    expect(said.reason).toMatch(reason);
    expect(said.size).toBeGreaterThanOrEqual(size[0]);
    expect(said.size).toBeLessThanOrEqual(size[1]);
  });

  test('the Cryptoki module works', async () => {
    const module = resolve('build/Release/libstrongroom-pkcs11.so');
    expect(existsSync(module)).toBe(true);
    const home = mkdtempSync(join(tmpdir(), 'strongroom-limits-'));
    try {
      const { code, stdout, stderr } = await run(limited(kib, [...node, program('module.ts'), module]), { STRONGROOM_HOME: home });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout)).toMatchObject({ random: true, digest: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' });
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});
