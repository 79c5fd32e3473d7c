/** A real server in its own process and its own empty home, as a stranger would start it. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

/** What a client sees of a server. */
export interface Served {
  readonly home: string;
  readonly url: string;
  /** What a client needs: credentials and config files, nothing else from this machine. */
  readonly env: NodeJS.ProcessEnv;
  /** The strongroom command against this home. */
  cli(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string };
  stop(): Promise<number | null>;
}

export interface Running extends Served {
  readonly process: ChildProcess;
  /** SIGKILL and forget; the home stays. */
  kill(): Promise<void>;
}

export interface StartOptions {
  readonly home?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Another strongroom than the checkout's. */
  readonly program?: Program;
}

/** A command that `serve` and its like are words of. */
export interface Program {
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  readonly path?: string;
  readonly uid?: number;
}

/**
 * The server for real clients. `npm run test:clients` starts one for all of them and names it in the environment; without
 * it each file has its own. Two Regions, so that multi-Region keys can be looked at by every client.
 */
export async function clientServer(): Promise<Served> {
  const shared = process.env['STRONGROOM_CLIENTS_SERVER'];
  if (shared === undefined) return await startServer({ env: { STRONGROOM_REGIONS: 'us-east-1,eu-west-1' } });
  const { home, url } = JSON.parse(shared) as { home: string; url: string };
  return { home, url, env: clientEnv(home), cli: commandFor(home), async stop() { return await Promise.resolve(0); } };
}

/** Access key and secret of the first account, for clients that want them by hand. */
export function credentialsOf(home: string): { readonly accessKeyId: string; readonly secretAccessKey: string } {
  const file = readFileSync(join(home, 'credentials'), 'utf8');
  const value = (name: string): string => new RegExp(`${name}\\s*=\\s*(\\S+)`).exec(file)?.[1] ?? '';
  return { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') };
}

const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(AWS_|STRONGROOM_|VITEST|NODE_OPTIONS)/.test(name)));

function clientEnv(home: string): NodeJS.ProcessEnv {
  return { ...clean, AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'), AWS_CONFIG_FILE: join(home, 'config'), AWS_PAGER: '', AWS_EC2_METADATA_DISABLED: 'true' };
}

function commandFor(home: string, { command: [file, ...first], cwd, path, uid }: Program = { command: [process.execPath, 'bin/strongroom.js'], cwd: root }): Running['cli'] {
  return (...args) => {
    const { status, stdout, stderr } = spawnSync(file, [...first, ...args], { cwd, env: { ...clean, ...(path === undefined ? {} : { PATH: path }), STRONGROOM_HOME: home }, ...userOf(uid), encoding: 'utf8' });
    return { status, stdout, stderr };
  };
}

function userOf(uid: number | undefined): { uid?: number; gid?: number } {
  return uid === undefined ? {} : { uid, gid: uid };
}

export function newHome(): string {
  return mkdtempSync(join(tmpdir(), 'strongroom-'));
}

export async function startServer(options: StartOptions = {}): Promise<Running> {
  const home = options.home ?? newHome();
  const { command: [command, ...words], cwd, path, uid }: Program = options.program ?? { command: [process.execPath, '--import', 'tsx', 'src/cli/main.ts'], cwd: root };
  const env = { ...clean, STRONGROOM_HOME: home, STRONGROOM_LISTEN: '127.0.0.1:0', ...options.env, ...(path === undefined ? {} : { PATH: path }) };
  const child = spawn(command, [...words, 'serve'], { cwd, env, ...userOf(uid), stdio: ['ignore', 'pipe', 'pipe'] });
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
  return {
    home,
    url,
    process: child,
    env: clientEnv(home),
    cli: commandFor(home, options.program),
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
