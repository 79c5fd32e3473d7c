// Cross-compile the Cryptoki module for arm64 into build/arm64 and use it under qemu-user.
// Needs: apt-get install gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
// The first run builds AWS-LC for it (366 files, cached in build/arm64/aws-lc).
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const build = join(root, 'build/arm64');
const sysroot = '/usr/aarch64-linux-gnu';
const toolchain = `-DCMAKE_TOOLCHAIN_FILE=${join(root, 'test/cross/aarch64.cmake')}`;
const run = (cmd, args, env = {}) => execFileSync(cmd, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
const input = (name) => execFileSync(process.execPath, ['scripts/native.mjs', '--print', name], { cwd: root, encoding: 'utf8' }).trim();

const awslc = join(build, 'aws-lc');
if (!existsSync(join(awslc, 'libcrypto.a'))) {
  const source = input('AWSLC_SOURCE');
  run('cmake', ['-S', source, '-B', join(build, 'aws-lc-build'), toolchain, ...JSON.parse(input('AWSLC_OPTIONS'))]);
  run('cmake', ['--build', join(build, 'aws-lc-build'), '--target', 'crypto', '--parallel']);
  mkdirSync(awslc, { recursive: true });
  cpSync(join(source, 'include'), join(awslc, 'include'), { recursive: true });
  cpSync(join(build, 'aws-lc-build/crypto/libcrypto.a'), join(awslc, 'libcrypto.a'));
}
const inputs = ['CRYPTOKI_DIR', 'NAPI_INCLUDE', 'SQLITE_DIR'].map((name) => `-D${name}=${input(name)}`);
run('cmake', ['-S', root, '-B', join(build, 'native'), toolchain, '-DCMAKE_BUILD_TYPE=Release', `-DAWSLC_ROOT=${awslc}`, ...inputs]);
run('cmake', ['--build', join(build, 'native'), '--target', 'pkcs11', '--parallel']);

const check = join(build, 'check');
const home = mkdtempSync(join(tmpdir(), 'strongroom-'));
try {
  run('aarch64-linux-gnu-gcc', ['-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE', '-isystem', input('CRYPTOKI_DIR'), '-o', check, join(root, 'test/cross/check.c'), '-ldl']);
  run('qemu-aarch64', ['-L', sysroot, check, join(build, 'native/Release/libstrongroom-pkcs11.so')], { STRONGROOM_HOME: home });
} finally {
  rmSync(home, { recursive: true, force: true });
}
