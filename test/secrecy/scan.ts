/** The search of scan.c, built once and run against a process or a file. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../clients/running.ts';

export interface Needle {
  readonly label: string;
  readonly bytes: Uint8Array;
}

export interface Hit {
  readonly label: string;
  readonly kind: string;
  readonly mapping: string;
  readonly count: number;
}

/** A program of this folder, compiled when its source is newer. */
export function compiled(name: string, file: string, ...options: readonly string[]): string {
  const source = join(root, 'test/secrecy', file);
  const program = join(root, 'build', name);
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(join(root, 'build'), { recursive: true });
    // Test files run side by side: what is half written is no program.
    const fresh = `${program}.${process.pid}`;
    execFileSync('cc', ['-O2', '-std=c11', '-D_GNU_SOURCE', '-o', fresh, source, ...options]);
    renameSync(fresh, program);
  }
  return program;
}

function run(needles: readonly Needle[], args: readonly string[], uid?: number): readonly Hit[] {
  const input = needles.map(({ label, bytes }) => `${label} ${Buffer.from(bytes).toString('hex')}\n`).join('');
  const { status, stdout, stderr } = spawnSync(compiled('scan', 'scan.c'), args, { input, encoding: 'utf8', maxBuffer: 1 << 28, ...(uid === undefined ? {} : { uid, gid: uid }) });
  if (status !== 0 && status !== 1) throw new Error(`the scan failed: ${stderr}`);
  return stdout.split('\n').filter((line) => line.startsWith('hit ')).map((line) => {
    const words = line.split(' ');
    return { label: words[1] ?? '', kind: words[2] ?? '', mapping: words.slice(3, -1).join(' '), count: Number(words.at(-1)) };
  });
}

/** Every place in the memory of `pid`, as far as `uid` may read it, where one of the needles lies, in any form. */
export const scan = (pid: number, needles: readonly Needle[], uid?: number): readonly Hit[] => run(needles, [String(pid)], uid);

/** The same, and every AES key schedule, known or not. */
export const scanForSchedules = (pid: number, needles: readonly Needle[]): readonly Hit[] => run(needles, ['-s', String(pid)]);

/** The same of a file: a heap snapshot, a core. */
export const scanFile = (file: string, needles: readonly Needle[]): readonly Hit[] => run(needles, ['-f', file]);

export const scanFileForSchedules = (file: string, needles: readonly Needle[]): readonly Hit[] => run(needles, ['-s', '-f', file]);
