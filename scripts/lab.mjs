// `npm run build:lab`: the laboratory (docs/laboratory.md) into build/lab. One at a time: tests ask for it side by side.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const lock = join(root, 'build', 'lab.lock');
const alive = (pid) => { try { process.kill(pid, 0); return true; } catch { return false; } };
mkdirSync(join(root, 'build'), { recursive: true });
for (;;) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    break;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  let holder = 0;
  try { holder = Number(readFileSync(lock, 'utf8')); } catch { /* given back just now */ }
  // An empty file is being written.
  if (holder > 0 && !alive(holder)) rmSync(lock, { force: true });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
}
process.on('exit', () => rmSync(lock, { force: true }));
const { status } = spawnSync(process.execPath, ['scripts/native.mjs', '--dir', 'lab', '--target', 'laboratory', '-DSTRONGROOM_LAB=ON'], { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
