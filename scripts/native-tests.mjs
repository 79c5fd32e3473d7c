// Build and run the native tests three times: as released but with faults, under ASan and UBSan, and
// under valgrind; in the full run those with threads also under ThreadSanitizer. One line a program, then `native: N passed, N failed, N skipped`, counted from
// cmocka's own summaries. Arguments choose programs (`arena` for arena_test) or variants (`--valgrind`).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const words = process.argv.slice(2);
const chosen = words.filter((w) => !w.startsWith('--')).flatMap((w) => (/_(test|fuzz)$/.test(w) ? [w] : [`${w}_test`, `${w}_fuzz`]));
const variants = words.filter((w) => w.startsWith('--')).map((w) => w.slice(2));
const strict = process.env.CI === 'true';
// What takes long takes it whole in the full run.
const patience = process.env.STRONGROOM_TEST_FULL === undefined ? 1 : 6;
const total = { passed: 0, failed: 0, skipped: 0 };

const works = (command, args, input) => spawnSync(command, args, { input, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;
const env = { ...process.env };
if (works('ccache', ['--version'])) {
  env.CMAKE_C_COMPILER_LAUNCHER ??= 'ccache';
  env.CMAKE_CXX_COMPILER_LAUNCHER ??= 'ccache';
}

const run = (command, args, more, seconds) => new Promise((done) => {
  let text = '';
  const child = spawn(command, args, { cwd: root, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => { text += `\nkilled after ${seconds} s\n`; child.kill('SIGKILL'); }, seconds * 1000);
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { text += chunk; });
  child.on('error', (error) => { clearTimeout(timer); done({ code: 1, text: String(error), pid: 0 }); });
  child.on('close', (code, signal) => { clearTimeout(timer); done({ code: code ?? signal, text, pid: child.pid }); });
});

const tail = (text, lines) => text.trimEnd().split('\n').slice(-lines).map((l) => `    ${l}`).join('\n');

async function build(folder, options) {
  const { code, text } = await run(process.execPath,
    ['scripts/native.mjs', '--dir', folder, '--target', 'native_tests', '-DSTRONGROOM_TESTS=ON', '-DSTRONGROOM_FAULTS=ON', ...options], {}, 600);
  if (code === 0) return readFileSync(join(root, 'build', folder, 'native_tests.txt'), 'utf8').trim().split('\n');
  console.log(`native: the ${folder} build failed\n${tail(text, 60)}`);
  total.failed += 1;
  return [];
}

// A program that ends before its summary has passed what it said OK to, and failed once.
function count(text, code) {
  const said = (word) => Number(text.match(new RegExp(`^\\[ +${word} +\\] (\\d+) test\\(s\\)`, 'm'))?.[1] ?? 0);
  const whole = /^\[=+\] \d+ test\(s\) run/m.test(text);
  const found = whole
    ? { passed: said('PASSED'), failed: said('FAILED'), skipped: said('SKIPPED') }
    : { passed: (text.match(/^\[ +OK \]/gm) ?? []).length, failed: 1, skipped: 0 };
  if (code !== 0 && found.failed === 0) found.failed = 1;
  return found;
}

async function test(suite, name) {
  const started = Date.now();
  const [command, args, more] = suite.how(name, join(root, 'build', suite.folder, name));
  const { code, text, pid } = await run(command, args, more, suite.seconds * patience);
  const found = count(text, code);
  const leaks = suite.leaks(name, text, pid);
  if (leaks !== '') found.failed += 1;
  for (const key of Object.keys(total)) total[key] += found[key];
  const rest = [[found.failed, 'failed'], [found.skipped, 'skipped']].filter(([n]) => n > 0).map(([n, word]) => `, ${n} ${word}`).join('');
  console.log(`${suite.name.padEnd(9)} ${name.padEnd(20)} ${found.passed} passed${rest} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  if (found.failed > 0) console.log(tail(text + leaks, 60));
}

// Leaks count in the program itself, not in children it forks: there the memory of threads that
// vanished is lost, and of the tests that went on in the parent.
const logs = join(root, 'build', 'valgrind');
const log = (name, pid) => join(logs, `${name}.${pid}`);

// Depths and sizes are those of released code. Fuzzing rounds under valgrind take minutes and see
// what the sanitizers saw.
const measures = (name) => /measure/.test(name);
const rounds = (name) => /_fuzz$/.test(name);
// Under valgrind threads run one at a time: who waits for a stack waits past any bound. The sanitizers watch them.
const crowds = (name) => /threads|crowd/.test(name);
// Processes killed by the hundred leave memcheck nothing to look at.
const killed = (name) => /faults/.test(name);

const suites = [
  {
    name: 'plain', folder: 'tests', options: [], fits: () => true, seconds: 300,
    ready: () => undefined,
    how: (name, file) => [file, [], {}],
    leaks: () => '',
  },
  {
    name: 'sanitized', folder: 'sanitized', options: ['-DSTRONGROOM_SANITIZE=address,undefined'], fits: (name) => !measures(name), seconds: 300,
    ready: () => (works('cc', ['-fsanitize=address,undefined', '-x', 'c', '-o', '/dev/null', '-'], 'int main(void){return 0;}')
      ? undefined : 'the compiler has no AddressSanitizer: sanitized tests skipped'),
    // LeakSanitizer in a child of a process with threads may wait for ever.
    how: (name, file) => [file, [], {
      ASAN_OPTIONS: `abort_on_error=1:detect_leaks=${/fork/.test(name) ? 0 : 1}`, LSAN_OPTIONS: 'exitcode=0', UBSAN_OPTIONS: 'print_stacktrace=1',
    }],
    leaks: (name, text, pid) => (text.includes(`==${pid}==ERROR: LeakSanitizer`) ? '\nleaks' : ''),
  },
  {
    name: 'threads', folder: 'threads', options: ['-DSTRONGROOM_SANITIZE=thread'], fits: (name) => crowds(name) || /^life/.test(name), seconds: 300, full: true,
    ready: () => (works('cc', ['-fsanitize=thread', '-x', 'c', '-o', '/dev/null', '-'], 'int main(void){return 0;}')
      ? undefined : 'the compiler has no ThreadSanitizer: crowds of threads skipped'),
    how: (name, file) => [file, [], { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1' }],
    leaks: () => '',
  },
  {
    name: 'valgrind', folder: 'tests', options: [], fits: (name) => !measures(name) && !rounds(name) && !crowds(name) && !killed(name), seconds: 600,
    ready: () => (works('valgrind', ['--version']) ? undefined : 'valgrind is not installed: memory checks skipped'),
    how: (name, file) => ['valgrind', ['-q', '--error-exitcode=9', '--leak-check=full', '--show-leak-kinds=definite',
      '--errors-for-leak-kinds=none', `--log-file=${log(name, '%p')}`, file], { STRONGROOM_SLOW: '1' }],
    leaks: (name, text, pid) => {
      const found = existsSync(log(name, pid)) ? readFileSync(log(name, pid), 'utf8') : '';
      return found.includes('definitely lost') || found.includes('ERROR SUMMARY') || /^==\d+== (Invalid|Conditional|Use of|Syscall)/m.test(found) ? `\n${found}` : '';
    },
  },
];

rmSync(logs, { recursive: true, force: true });
mkdirSync(logs, { recursive: true });
for (const suite of suites) {
  if (variants.length > 0 ? !variants.includes(suite.name) : suite.full && process.env.STRONGROOM_TEST_FULL === undefined) continue;
  const missing = suite.ready();
  if (missing !== undefined) {
    console.log(`native: ${missing}`);
    total[strict ? 'failed' : 'skipped'] += 1;
    continue;
  }
  const names = (await build(suite.folder, suite.options)).filter((name) => suite.fits(name) && (chosen.length === 0 || chosen.includes(name)));
  // Two at a time: each takes a core at most, and most wait for something.
  const next = names.values();
  const lane = async () => {
    for (const name of next) await test(suite, name);
  };
  await Promise.all([lane(), lane()]);
}

console.log(`native: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
