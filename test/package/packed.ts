/** The package as a stranger gets it: made by scripts/pack.mjs and npm, installed in an empty directory, on a PATH without a compiler. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../clients/running.ts';

export interface Packed {
  /** The directory that ran `npm install`. */
  readonly app: string;
  /** The installed package. */
  readonly installed: string;
  readonly tarball: string;
  /** A PATH with node, npm, npx and a shell, and nothing else. */
  readonly path: string;
  run(command: string, args: readonly string[], env?: Readonly<Record<string, string>>): { readonly status: number | null; readonly stdout: string; readonly stderr: string };
  remove(): void;
}

export function pack(abi: 'own' | 'all'): Packed {
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'strongroom-pack-')));
  chmodSync(work, 0o755);
  execFileSync(process.execPath, ['scripts/pack.mjs', '--to', join(work, 'stage'), '--abi', abi], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', join(work, 'stage')], { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] });
  rmSync(join(work, 'stage'), { recursive: true });
  const tarball = join(work, readdirSync(work).find((f) => f.endsWith('.tgz')) ?? '');
  return { ...install(work, tarball, process.execPath), tarball, remove() { rmSync(work, { recursive: true, force: true }); } };
}

/** Installs the package for a Node, in an empty directory below `work`. */
export function install(work: string, tarball: string, node: string): Omit<Packed, 'remove'> {
  const place = mkdtempSync(join(work, 'on-'));
  chmodSync(place, 0o755);
  const path = join(place, 'bin');
  const app = join(place, 'app');
  for (const folder of [path, app]) mkdirSync(folder, { recursive: true });
  const which = (tool: string): string => realpathSync(execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim());
  for (const [tool, file] of [['node', node], ['npm', which('npm')], ['npx', which('npx')], ['sh', which('sh')]] as const) symlinkSync(file, join(path, tool));
  const env = Object.fromEntries(Object.entries(process.env).filter(([k]) => !/^(npm_|AWS_|STRONGROOM_|VITEST|NODE_OPTIONS)/i.test(k)));
  const run: Packed['run'] = (command, args, more = {}) => {
    const { status, stdout, stderr } = spawnSync(join(path, command), args, { cwd: app, env: { ...env, PATH: path, ...more }, encoding: 'utf8' });
    return { status, stdout, stderr };
  };
  const { status, stderr } = run('npm', ['install', '--no-audit', '--no-fund', tarball]);
  if (status !== 0) throw new Error(stderr);
  return { app, installed: join(app, 'node_modules/strongroom'), tarball, path, run };
}
