// `npm test`: set-up, types, native tests (plain, sanitizers, valgrind), then vitest. Ends with one
// line: N passed, N failed, N skipped. Arguments are passed to vitest, and then only vitest runs.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const only = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };

const run = (command, args) => new Promise((done) => {
  let text = '';
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.on('data', (chunk) => { process.stdout.write(chunk); text += chunk; });
  child.on('error', (error) => done({ code: 1, text: String(error) }));
  child.on('close', (code) => done({ code, text }));
});
const stage = async (name, work) => {
  console.log(`\n== ${name}`);
  const started = Date.now();
  await work();
  console.log(`== ${name}: ${((Date.now() - started) / 1000).toFixed(0)} s`);
};
const count = (ok) => { total[ok ? 'passed' : 'failed'] += 1; };

const setup = await run(process.execPath, ['scripts/setup.mjs', '--tests']);
if (setup.code !== 0) {
  console.log('0 passed, 1 failed, 0 skipped');
  process.exit(1);
}

if (only.length === 0) {
  await stage('types', async () => count((await run(process.execPath, ['node_modules/typescript/bin/tsc', '--noEmit'])).code === 0));
  await stage('native', async () => {
    const { code, text } = await run(process.execPath, ['scripts/native-tests.mjs']);
    const line = text.match(/native: (\d+) passed, (\d+) failed, (\d+) skipped/);
    if (line === null) return count(false);
    total.passed += Number(line[1]);
    total.failed += Number(line[2]);
    total.skipped += Number(line[3]);
    if (code !== 0 && Number(line[2]) === 0) count(false);
  });
}

// The full run has the real clients against one server, in a stage of their own.
const clientsApart = process.env.STRONGROOM_TEST_FULL !== undefined && only.length === 0;

await stage('vitest', async () => {
  const report = join(root, 'build', 'vitest.json');
  mkdirSync(join(root, 'build'), { recursive: true });
  rmSync(report, { force: true });
  const { code } = await run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`,
    ...(clientsApart ? ['--exclude', 'test/clients/*.test.ts'] : []), ...only]);
  if (!existsSync(report)) return count(false);
  const found = JSON.parse(readFileSync(report, 'utf8'));
  total.passed += found.numPassedTests;
  total.failed += found.numFailedTests;
  total.skipped += found.numPendingTests + found.numTodoTests;
  // A file that does not load, or an unhandled error, is a failure without a failed test.
  if (code !== 0 && found.numFailedTests === 0) count(false);
});

if (clientsApart) {
  await stage('clients', async () => {
    const { code, text } = await run(process.execPath, ['scripts/clients.mjs']);
    const line = text.match(/^(\d+) passed, (\d+) failed, (\d+) skipped$/m);
    if (line === null) return count(false);
    total.passed += Number(line[1]);
    total.failed += Number(line[2]);
    total.skipped += Number(line[3]);
    if (code !== 0 && Number(line[2]) === 0) count(false);
  });
}

console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
