// `npm run test:secrecy [-- --quick]`: is anything secret where another could read it? The tests of test/secrecy as a whole, and
// those of the native tests and of test/hsm that the promise rests on. Ends with `secrecy: N passed, N failed, N skipped`.
// --quick: as `npm test` has them.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const quick = process.argv.includes('--quick');
const total = { passed: 0, failed: 0, skipped: 0 };
const run = (args, env = {}) => spawnSync(process.execPath, args, { cwd: root, env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'inherit'] });

const built = run(['scripts/native.mjs']);
if (built.status !== 0) {
  console.error(built.stdout.slice(-4000));
  process.exit(1);
}

// What is wiped, hidden, not handed on: from inside.
const native = run(['scripts/native-tests.mjs', '--plain', 'scan', 'stack', 'arena', 'fork', 'payload']);
console.log(native.stdout.trim());
const counts = native.stdout.match(/native: (\d+) passed, (\d+) failed, (\d+) skipped/);
if (counts === null) total.failed += 1;
else ['passed', 'failed', 'skipped'].forEach((name, i) => { total[name] += Number(counts[i + 1]); });

// From outside.
const report = join(root, 'build', 'secrecy.json');
mkdirSync(join(root, 'build'), { recursive: true });
rmSync(report, { force: true });
const outside = run(['node_modules/vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`,
  'test/secrecy', 'test/hsm/exports.test.ts', 'test/hsm/secrets.test.ts', 'test/hsm/symbols.test.ts', 'test/walls.test.ts'], quick ? {} : { STRONGROOM_TEST_FULL: '1' });
console.log(outside.stdout.trim());
try {
  const found = JSON.parse(readFileSync(report, 'utf8'));
  total.passed += found.numPassedTests;
  total.failed += found.numFailedTests;
  total.skipped += found.numPendingTests + found.numTodoTests;
  // A file that does not load, or an unhandled error, is a failure without a failed test.
  if (outside.status !== 0 && found.numFailedTests === 0) total.failed += 1;
} catch {
  total.failed += 1;
}

console.log(`secrecy: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
