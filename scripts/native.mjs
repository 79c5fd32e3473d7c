// Fetch AWS-LC and the Cryptoki header by native/deps/Cargo.lock, build libcrypto.a once (cached
// outside build/), then run the one CMake build. `--print NAME` prints one of CMake's inputs.
// Further arguments go to CMake; `--dir NAME` chooses the folder below build/, `--target T` the target.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const run = (cmd, args) => execFileSync(cmd, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
const ask = (cmd, args) => execFileSync(cmd, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'inherit'] });

const options = [
  '-DCMAKE_BUILD_TYPE=Release', '-DBUILD_SHARED_LIBS=OFF', '-DBUILD_TESTING=OFF', '-DBUILD_LIBSSL=OFF', '-DBUILD_TOOL=OFF',
  '-DDISABLE_GO=ON', '-DDISABLE_PERL=ON', '-DENABLE_SOURCE_MODIFICATION=OFF', '-DCMAKE_POSITION_INDEPENDENT_CODE=ON',
  '-DCMAKE_C_VISIBILITY_PRESET=hidden', '-DDISABLE_CPU_JITTER_ENTROPY=ON',
];

// GCC clears and copies structs with `rep stos` and `rep movs` unless told; a GCM message has two of
// them in libcrypto, 10 ns each (CMakeLists.txt builds the rest with the same).
const strategy = ['memcpy', 'memset'].map((f) => `-m${f}-strategy=unrolled_loop:256:noalign,libcall:-1:noalign`);

const have = (command) => { try { ask(command, ['--version']); return true; } catch { return false; } };
const generator = have('ninja') ? ['-G', 'Ninja'] : [];

function crates() {
  const manifest = ['--manifest-path', 'native/deps/Cargo.toml', '--locked'];
  run('cargo', ['fetch', '-q', ...manifest]);
  const { packages } = JSON.parse(ask('cargo', ['metadata', '--format-version', '1', ...manifest]));
  const folder = (name) => dirname(packages.find((p) => p.name === name).manifest_path);
  return { awslc: join(folder('aws-lc-sys'), 'aws-lc'), cryptoki: join(folder('cryptoki-sys'), 'vendor') };
}

// Only GCC for x86 knows the flags.
function tuned() {
  try {
    execFileSync('cc', [...strategy, '-E', '-x', 'c', '/dev/null'], { stdio: 'ignore' });
    return [...options, `-DCMAKE_C_FLAGS=${strategy.join(' ')}`];
  } catch {
    return options;
  }
}

function awslc(source) {
  const options = tuned();
  const key = createHash('sha256')
    .update(readFileSync(join(root, 'native/deps/Cargo.lock')))
    .update(options.join())
    .update(ask('cc', ['--version']))
    .digest('hex').slice(0, 16);
  const cache = process.env.STRONGROOM_BUILD_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'strongroom', 'aws-lc');
  const done = join(cache, key);
  if (existsSync(join(done, 'libcrypto.a'))) return done;
  const work = `${done}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  run('cmake', ['-S', source, '-B', `${work}/b`, ...generator, ...options]);
  run('cmake', ['--build', `${work}/b`, '--target', 'crypto', '--parallel']);
  mkdirSync(`${work}/out`);
  cpSync(join(source, 'include'), `${work}/out/include`, { recursive: true });
  cpSync(`${work}/b/crypto/libcrypto.a`, `${work}/out/libcrypto.a`);
  rmSync(done, { recursive: true, force: true });
  renameSync(`${work}/out`, done); // atomic: two builders never see halves
  rmSync(work, { recursive: true, force: true });
  return done;
}

// better-sqlite3 carries the amalgamation; one version of SQLite for both doors.
const sqlite = () => join(root, 'node_modules/better-sqlite3/deps/sqlite3');

const found = crates();
const inputs = {
  AWSLC_ROOT: () => awslc(found.awslc),
  CRYPTOKI_DIR: () => found.cryptoki,
  NAPI_INCLUDE: () => [require('node-addon-api').include_dir, require('node-api-headers').include_dir].map((d) => resolve(root, d)).join(';'),
  SQLITE_DIR: sqlite,
};

// For other builds of the same library (scripts/arm64.mjs).
const printed = { ...inputs, AWSLC_SOURCE: () => found.awslc, AWSLC_OPTIONS: () => JSON.stringify([...generator, ...options]) };

const args = process.argv.slice(2);
const take = (flag) => { const i = args.indexOf(flag); return i < 0 ? undefined : args.splice(i, 2)[1]; };
const print = take('--print');
if (print !== undefined) {
  console.log(printed[print]());
} else {
  const dir = join(root, 'build', take('--dir') ?? 'native');
  const target = take('--target');
  run('cmake', ['-S', '.', '-B', dir, ...generator, ...Object.entries(inputs).map(([name, value]) => `-D${name}=${value()}`), ...args]);
  run('cmake', ['--build', dir, '--parallel', ...(target === undefined ? [] : ['--target', target])]);
}
