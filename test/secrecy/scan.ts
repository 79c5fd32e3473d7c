/** The memory search of scan.c, built once and run against a process. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
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

function scanner(): string {
  const source = join(root, 'test/secrecy/scan.c');
  const program = join(root, 'build/scan');
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(join(root, 'build'), { recursive: true });
    execFileSync('cc', ['-O2', '-std=c11', '-D_GNU_SOURCE', '-o', program, source]);
  }
  return program;
}

/** Every place in the readable memory of `pid` where one of the needles lies, in any form. */
export function scan(pid: number, needles: readonly Needle[]): readonly Hit[] {
  const input = needles.map(({ label, bytes }) => `${label} ${Buffer.from(bytes).toString('hex')}\n`).join('');
  const { status, stdout, stderr } = spawnSync(scanner(), [String(pid)], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0 && status !== 1) throw new Error(`the scan failed: ${stderr}`);
  return stdout.split('\n').filter((line) => line.startsWith('hit ')).map((line) => {
    const words = line.split(' ');
    return { label: words[1] ?? '', kind: words[2] ?? '', mapping: words.slice(3, -1).join(' '), count: Number(words.at(-1)) };
  });
}
