/** AWS CLI and boto3 in a virtual environment of their own, made once below build/. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './running.ts';

// At least two weeks old: the freshest releases can be half there.
const packages = ['awscli==1.45.11', 'boto3==1.43.11'];

/** The folder of the environment's programs. Installing takes about 20 seconds the first time; suites that run side by side wait for one another. */
export function pythonClients(): string {
  const folder = join(root, 'build', 'clients-python');
  const stamp = join(folder, 'strongroom.txt');
  const wanted = packages.join('\n');
  const ready = (): boolean => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (ready()) return join(folder, 'bin');
  mkdirSync(join(root, 'build'), { recursive: true });
  const release = lock(`${folder}.lock`);
  try {
    if (!ready()) {
      rmSync(folder, { recursive: true, force: true });
      execFileSync('python3', ['-m', 'venv', folder], { stdio: 'inherit' });
      execFileSync(join(folder, 'bin/pip'), ['install', '-q', '--disable-pip-version-check', ...packages], { stdio: 'inherit' });
      writeFileSync(stamp, wanted);
    }
  } finally {
    release();
  }
  return join(folder, 'bin');
}

/** A folder is made by one only. One that is ten minutes old was left by a run that was killed. */
function lock(path: string): () => void {
  for (;;) {
    try {
      mkdirSync(path);
      return () => { rmSync(path, { recursive: true, force: true }); };
    } catch {
      if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 600_000) rmSync(path, { recursive: true, force: true });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
}
