/** A real server in its own process and its own empty home, as a stranger would start it. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

export interface Running {
  readonly home: string;
  readonly url: string;
  readonly process: ChildProcess;
  /** What a client needs: credentials and config files, nothing else from this machine. */
  readonly env: NodeJS.ProcessEnv;
  /** The strongroom command against this home. */
  cli(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string };
  stop(): Promise<number | null>;
  /** SIGKILL and forget; the home stays. */
  kill(): Promise<void>;
}

export interface StartOptions {
  readonly home?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Another strongroom than the checkout's: a command that `serve` and its like are words of. */
  readonly program?: { readonly command: readonly [string, ...string[]]; readonly cwd: string; readonly path?: string; readonly uid?: number };
}

export function newHome(): string {
  return mkdtempSync(join(tmpdir(), 'strongroom-'));
}

export async function startServer(options: StartOptions = {}): Promise<Running> {
  const home = options.home ?? newHome();
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(AWS_|STRONGROOM_|VITEST|NODE_OPTIONS)/.test(name)));
  const serverEnv = { ...clean, STRONGROOM_HOME: home, STRONGROOM_LISTEN: '127.0.0.1:0', ...options.env };
  const { command: [command, ...words], cwd, path, uid } = options.program ?? { command: [process.execPath, '--import', 'tsx', 'src/cli/main.ts'] as const, cwd: root };
  const user = { ...(uid === undefined ? {} : { uid, gid: uid }) };
  const PATH = path === undefined ? {} : { PATH: path };
  const child = spawn(command, [...words, 'serve'], { cwd, env: { ...serverEnv, ...PATH }, ...user, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((done) => child.once('exit', done));
  const url = await new Promise<string>((done, fail) => {
    let text = '';
    const read = (chunk: Buffer): void => {
      text += chunk.toString('utf8');
      const ready = /strongroom: ready on (\S+)/.exec(text);
      if (ready?.[1] !== undefined) done(ready[1]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => { fail(new Error(`the server ended with ${code}:\n${text}`)); });
  });
  const env: NodeJS.ProcessEnv = { ...clean, AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'), AWS_CONFIG_FILE: join(home, 'config'), AWS_PAGER: '', AWS_EC2_METADATA_DISABLED: 'true' };
  return {
    home,
    url,
    process: child,
    env,
    cli(...args) {
      const [file, ...first]: readonly [string, ...string[]] = options.program?.command ?? [process.execPath, 'bin/strongroom.js'];
      const { status, stdout, stderr } = spawnSync(file, [...first, ...args], { cwd, env: { ...clean, ...PATH, STRONGROOM_HOME: home }, ...user, encoding: 'utf8' });
      return { status, stdout, stderr };
    },
    async stop() {
      child.kill('SIGTERM');
      const code = await exited;
      if (options.home === undefined) rmSync(home, { recursive: true, force: true });
      return code;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
