// `npm run fuzz -- [--minutes N] [NAME ...]`: the harnesses of test/fuzz for as long as you like, sanitizers
// on, each in its turn. With clang they run under libFuzzer, from the inputs of earlier runs in
// build/fuzz/NAME; an input that fails is kept in build/fuzz/failed and ends the run.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const words = process.argv.slice(2);
const at = words.indexOf('--minutes');
const minutes = at < 0 ? 10 : Number(words.splice(at, 2)[1]);
if (!(minutes > 0)) {
  console.error('usage: npm run fuzz -- [--minutes N] [NAME ...]');
  process.exit(2);
}

const clang = ['clang', 'clang-14', 'clang-16', 'clang-19'].find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
const folder = clang === undefined ? 'sanitized' : 'fuzzing';
const options = ['-DSTRONGROOM_TESTS=ON', '-DSTRONGROOM_FAULTS=ON', '-DSTRONGROOM_SANITIZE=address,undefined',
  ...(clang === undefined ? [] : ['-DSTRONGROOM_FUZZ=ON', `-DCMAKE_C_COMPILER=${clang}`, `-DCMAKE_CXX_COMPILER=${clang.replace('clang', 'clang++')}`])];
const built = spawnSync(process.execPath, ['scripts/native.mjs', '--dir', folder, '--target', 'fuzz', ...options], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
if (built.status !== 0) process.exit(1);

const all = readFileSync(join(root, 'CMakeLists.txt'), 'utf8').match(/set\(FUZZ_TESTS([^)]*)\)/)[1].trim().split(/\s+/);
const chosen = words.length === 0 ? all : all.filter((name) => words.includes(name) || words.includes(name.replace(/_fuzz$/, '')));
if (chosen.length === 0) {
  console.error(`no such harness; there are ${all.join(', ')}`);
  process.exit(2);
}

const seconds = Math.max(1, Math.round((minutes * 60) / chosen.length));
const failed = join(root, 'build', 'fuzz', 'failed');
mkdirSync(failed, { recursive: true });
for (const name of chosen) {
  const corpus = join(root, 'build', 'fuzz', name);
  mkdirSync(corpus, { recursive: true });
  const program = join(root, 'build', folder, name);
  const args = clang === undefined ? [] : [corpus, `-max_total_time=${seconds}`, `-artifact_prefix=${failed}/${name}-`, '-timeout=60', '-len_control=20', '-rss_limit_mb=4096', '-print_final_stats=1'];
  console.log(`fuzz: ${name}, ${seconds} s`);
  const { status, signal } = spawnSync(program, args, {
    cwd: root, stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ASAN_OPTIONS: 'abort_on_error=1:detect_leaks=1', UBSAN_OPTIONS: 'print_stacktrace=1', STRONGROOM_FUZZ_SECONDS: String(seconds), STRONGROOM_FUZZ_SEED: String(Date.now() % 1_000_000_000) },
  });
  if (status !== 0) {
    console.error(`fuzz: ${name} failed (${signal ?? status})${existsSync(failed) ? `; inputs: ${readdirSync(failed).map((f) => join('build/fuzz/failed', f)).join(' ')}` : ''}`);
    process.exit(1);
  }
}
console.log('fuzz: nothing found');
