// Secrets under valgrind (scripts/ct.mjs): no branch and no address of ours depends on one. The clock is
// left to `npm run test:ct`: what a busy machine measures is no test.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('no path of ours branches on a secret, and those that leak on purpose are found', () => {
  const root = join(import.meta.dirname, '..', '..');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/ct.mjs', '--quick'], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  expect(status === 0 ? '' : stdout + stderr).toBe('');
  if (stdout.includes('valgrind is not installed')) return;
  expect(stdout.match(/found: /g)).toHaveLength(4);
}, 240_000);
