// `cmake --install`: the module and its p11-kit configuration lie where programs look, and work from there.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has, newRoom, root, type Room } from './room.ts';

const build = join(root, 'build/native');
const mayMount = (): boolean => spawnSync('unshare', ['-m', 'true'], { stdio: 'ignore' }).status === 0;

describe.skipIf(!existsSync(join(build, 'CMakeCache.txt')))('cmake --install', () => {
  let room: Room;
  let files: string[];
  const dest = (path: string): string => join(room.home, 'dest', path);
  beforeAll(() => {
    room = newRoom();
    const done = room.run('cmake', ['--install', build, '--component', 'pkcs11'], { DESTDIR: join(room.home, 'dest') });
    expect(done.status, done.stdout + done.stderr).toBe(0);
    files = [...done.stdout.matchAll(/Installing: (.*)/g)].map(([, path]) => path!.slice(join(room.home, 'dest').length));
  });
  afterAll(() => { room.remove(); });

  it('puts four files, where distributions have such', () => {
    expect(files.map((path) => path.replace(/^.*\/pkcs11\/lib/, 'LIB/pkcs11/lib'))).toEqual([
      'LIB/pkcs11/libstrongroom-pkcs11.so', '/usr/share/p11-kit/modules/strongroom.module', '/etc/strongroom/pkcs11.conf', '/usr/lib/tmpfiles.d/strongroom.conf',
    ]);
    const asked = has('pkg-config') ? room.run('pkg-config', ['--variable=p11_module_path', 'p11-kit-1']).stdout.trim() : '';
    if (asked !== '') expect(files[0]).toBe(`${asked}/libstrongroom-pkcs11.so`);
    expect(readFileSync(dest('/etc/strongroom/pkcs11.conf'), 'utf8')).toMatch(/^home = \/var\/lib\/strongroom$/m);
  });

  // In a mount namespace, where the installed folders stand in for the system's: p11-kit looks nowhere else for root.
  const apart = (script: string): ReturnType<Room['run']> => room.run('unshare', ['-m', 'sh', '-c', script]);
  it.skipIf(!has('p11-kit') || !has('unshare') || !mayMount())('p11-kit finds the module by its name', () => {
    const folders = ['/usr/share/p11-kit/modules', files[0]!.replace(/\/[^/]*$/, '')];
    const listed = apart(`${folders.map((folder) => `mount --bind ${dest(folder)} ${folder}`).join(' && ')} && p11-kit list-modules`);
    expect(listed.stdout, listed.stderr).toMatch(/strongroom: .*libstrongroom-pkcs11\.so\n\s+library-description: Strongroom software HSM/);
  });
});
