/** AWS CLI and boto3 in a virtual environment of their own, made once below build/. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './running.ts';

// At least two weeks old: the freshest releases can be half there.
const packages = ['awscli==1.45.11', 'boto3==1.43.11'];

/** The folder of the environment's programs. Installing takes about 20 seconds the first time. */
export function pythonClients(): string {
  const folder = join(root, 'build', 'clients-python');
  const stamp = join(folder, 'strongroom.txt');
  const wanted = packages.join('\n');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(root, 'build'), { recursive: true });
    execFileSync('python3', ['-m', 'venv', folder], { stdio: 'inherit' });
    execFileSync(join(folder, 'bin/pip'), ['install', '-q', '--disable-pip-version-check', ...packages], { stdio: 'inherit' });
    writeFileSync(stamp, wanted);
  }
  return join(folder, 'bin');
}
