// The Containerfile cannot be built where no image can be fetched. Its instructions are read here and carried out in a
// directory instead: the same install, the same user without rights, a tree that is mounted read-only, data beside it.
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, startServer } from '../clients/running.ts';
import { pack, type Packed } from './packed.ts';

const lines = readFileSync(join(root, 'Containerfile'), 'utf8').replace(/\\\n\s*/g, ' ').split('\n').filter((l) => l !== '' && !l.startsWith('#'));
const instruction = (name: string): string => lines.find((l) => l.startsWith(`${name} `))?.slice(name.length + 1) ?? '';
const settings = Object.fromEntries(instruction('ENV').split(/\s+/).map((pair) => pair.split('=') as [string, string]));

describe('Containerfile', () => {
  it('names a user without rights, a volume that is his, a health check that exists', () => {
    expect(instruction('USER')).toMatch(/^([1-9]\d*):\1$/);
    expect(instruction('VOLUME')).toBe(settings['STRONGROOM_HOME']);
    expect(instruction('RUN')).toContain(`install -d -o ${instruction('USER').replace(':', ' -g ')} -m 0700 ${instruction('VOLUME')}`);
    expect(instruction('EXPOSE')).toBe(settings['STRONGROOM_LISTEN']?.split(':')[1]);
    const [program] = JSON.parse(instruction('ENTRYPOINT')) as string[];
    expect(instruction('HEALTHCHECK')).toContain(`CMD ["${program ?? ''}", "status"]`);
    expect(program).toBe(`${/--prefix (\S+)/.exec(instruction('RUN'))?.[1] ?? ''}/bin/strongroom`);
    expect(instruction('CMD')).toBe('["serve"]');
    expect(lines.at(0)).toMatch(/^FROM docker\.io\/library\/node:(20|22|24)-\S+-slim$/);
    // No secret is built in.
    expect(lines.join('\n')).not.toMatch(/SECRET|PASSPHRASE|COPY (?!strongroom-\*\.tgz)/);
  });
});

// Mount namespaces and other users are root's.
const canMount = spawnSync('unshare', ['-m', 'sh', '-c', 'mount -o bind /tmp /tmp && mount -o remount,bind,ro /tmp']).status === 0;
describe.skipIf(process.getuid?.() !== 0 || !canMount)('its steps without a container', () => {
  const uid = Number(instruction('USER').split(':')[0]);
  let packed: Packed;
  let prefix: string;
  let home: string;
  beforeAll(() => {
    packed = pack('own');
    prefix = join(packed.app, 'opt');
    const { status, stderr } = packed.run('npm', ['install', '--global', '--prefix', prefix, '--omit=dev', '--no-audit', '--no-fund', packed.tarball]);
    if (status !== 0) throw new Error(stderr);
    home = join(packed.app, 'data');
    mkdirSync(home, { mode: 0o700 });
    chownSync(home, uid, uid);
  });
  afterAll(() => { packed?.remove(); });

  // Everything but the data is mounted read-only, /tmp included, as `--read-only` does.
  const isolated = (...more: string[]): [string, ...string[]] => ['/usr/bin/unshare', '-m', '/bin/sh', '-c',
    `mount --bind '${home}' '${home}' && mount -o remount,bind,ro / && exec setpriv --reuid ${uid} --regid ${uid} --clear-groups --no-new-privs --bounding-set=-all "$@"`, 'sh', ...more];

  it('runs as that user over a read-only tree, healthy, and stops on SIGTERM', async () => {
    const program = { command: isolated(join(prefix, 'bin/strongroom')), cwd: packed.app, path: `${packed.path}:/usr/bin:/bin` };
    expect(spawnSync(...split(isolated('/usr/bin/touch', join(packed.app, 'x')))).stderr.toString()).toContain('Read-only file system');
    const server = await startServer({ home, program, env: { ...settings, STRONGROOM_HOME: home, STRONGROOM_LISTEN: '127.0.0.1:0' } });
    for (const file of ['root.key', 'credentials', 'strongroom.db']) expect(statSync(join(home, file))).toMatchObject({ uid, gid: uid });
    expect(server.cli('status').status).toBe(0);
    expect(JSON.parse(server.cli('account', 'create', '--json').stdout)).toMatchObject({ accountId: expect.stringMatching(/^\d{12}$/) as string });
    expect(await server.stop()).toBe(0);
    rmSync(home, { recursive: true, force: true });
  });
});

function split([command, ...words]: readonly [string, ...string[]]): [string, string[]] {
  return [command, words];
}
