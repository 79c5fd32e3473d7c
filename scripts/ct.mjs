// `npm run test:ct [-- --quick]`: does anything of ours branch on a secret, or use one as an address? First
// under valgrind with secrets undefined (test/ct/secrets.c), then by the clock (test/ct/clock.c). The
// controls of both leak on purpose and must be found. Ends with `ct: N passed, N failed, N skipped`.
// --quick leaves the clock out, and the slowest curves and parameter sets.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const quick = process.argv.includes('--quick');
const folder = join(root, 'build', 'tests');
const total = { passed: 0, failed: 0, skipped: 0 };
const tell = (ok, text) => { total[ok ? 'passed' : 'failed'] += 1; console.log(`${ok ? 'ok    ' : 'FAILED'} ${text}`); };

// Without valgrind its header is missing too.
const valgrind = spawnSync('valgrind', ['--version']).status === 0;
const target = valgrind ? 'ct' : 'ct_clock';
const built = spawnSync(process.execPath, ['scripts/native.mjs', '--dir', 'tests', '--target', target, '-DSTRONGROOM_TESTS=ON', '-DSTRONGROOM_FAULTS=ON'],
  { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
if (built.status !== 0) {
  console.error(built.stdout.slice(-4000), built.stderr.slice(-4000));
  process.exit(1);
}

// Functions of ours: what the archive defines, and the test's own.
function functions() {
  const ours = new Set();
  for (const file of ['libcore.a', 'ct_secrets']) {
    const defined = (text) => text.split('\n').filter((l) => / [tT] /.test(l)).map((l) => l.trim().split(/\s+/).at(-1));
    const names = defined(execFileSync('nm', [join(folder, file)], { encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'ignore'] }));
    for (const name of names) if (file === 'libcore.a' || /^(control_|message_choose|pick|mask_)/.test(name)) ours.add(name);
  }
  return ours;
}

// Valgrind names a function, and what it stands in for (memcmp is called by somebody).
const stand = /^(memcmp|bcmp|__memcmp|memcpy|memmove|memset|strlen|memchr|__mem|__str|_dl_|str)/;
function read(log, ours) {
  const cases = new Map();
  let now = 'before', frames = [], what = '';
  const close = () => {
    if (what !== '') {
      // How much the library allocates is the library's choice, though our allocator does the sum.
      const outside = frames.findIndex((f) => /^OPENSSL_(malloc|zalloc|calloc|realloc|free)$/.test(f));
      const first = frames.slice(Math.max(0, outside)).find((f) => !stand.test(f)) ?? '?';
      const entry = cases.get(now) ?? { ours: new Set(), library: 0 };
      if (ours.has(first)) entry.ours.add(`${what} in ${frames.slice(0, 4).join(' < ')}`);
      else entry.library += 1;
      cases.set(now, entry);
    }
    frames = [];
    what = '';
  };
  for (const raw of log.split('\n')) {
    const line = raw.replace(/^(==|\*\*)\d+(==|\*\*) ?/, '').trim();
    const begun = line.match(/^== case (.*)$/);
    const frame = line.match(/^(?:at|by) 0x[0-9A-F]+: (\S+)/);
    if (begun) {
      close();
      now = begun[1];
      if (!cases.has(now)) cases.set(now, { ours: new Set(), library: 0 });
    } else if (frame) {
      frames.push(frame[1]);
    } else if (/depends on uninitialised|Use of uninitialised|uninitialised byte/.test(line)) {
      close();
      what = /^Conditional/.test(line) ? 'a branch' : /^Use of/.test(line) ? 'an address' : 'a system call';
    } else if (line === '') {
      close();
    }
  }
  close();
  return cases;
}

function secrets() {
  if (!valgrind) {
    console.log('ct: valgrind is not installed: secrets not followed');
    total[process.env.CI === 'true' ? 'failed' : 'skipped'] += 1;
    return;
  }
  const log = join(root, 'build', 'ct', 'valgrind.log');
  mkdirSync(join(root, 'build', 'ct'), { recursive: true });
  const env = { ...process.env, ...(quick ? { STRONGROOM_SLOW: '1' } : {}) };
  const run = spawnSync('valgrind', ['-q', '--error-limit=no', '--num-callers=12', '--undef-value-errors=yes', `--log-file=${log}`, join(folder, 'ct_secrets')],
    { cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 26 });
  tell(run.status === 0, 'every operation does what it did, with its secrets undefined');
  if (run.status !== 0) console.log(run.stdout.slice(-2000), run.stderr.slice(-3000));
  let library = 0, paths = 0;
  for (const [name, found] of read(readFileSync(log, 'utf8'), functions())) {
    library += found.library;
    if (name === 'before' || name === 'the end') continue;
    if (name.startsWith('control: ')) {
      tell(found.ours.size > 0, `found: ${name.slice(9)}`);
    } else {
      paths += 1;
      if (found.ours.size > 0) tell(false, `${name}: ${[...found.ours].slice(0, 3).join('; ')}`);
      else total.passed += 1;
    }
  }
  tell(paths > (quick ? 100 : 180), `${paths} paths of secrets followed`);
  console.log(`       (${library} places in AWS-LC, where it makes keys, checks imported ones or rejects samples)`);
}

// One line a subject: "held NAME t" or "told NAME t"; controls begin with "control: ".
function clock() {
  const run = spawnSync(join(folder, 'ct_clock'), { cwd: root, encoding: 'utf8' });
  if (run.status !== 0) return tell(false, `ct_clock ended with ${run.signal ?? run.status}`);
  for (const line of run.stdout.trim().split('\n')) {
    const [, verdict, t, name] = line.match(/^(held|told) +(\S+) (.*)$/);
    const control = name.startsWith('control: ');
    tell(control === (verdict === 'told'), `by the clock: ${name} (t = ${t}${control ? ', to be found' : ''})`);
  }
}

secrets();
if (!quick) clock();
console.log(`ct: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 && total.passed + total.skipped > 0 ? 0 : 1);
