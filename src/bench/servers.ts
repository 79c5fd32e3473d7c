/** Endpoints that a run starts for itself, each a process with a scratch home: ours, a bare node:http server, peers that are installed. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { listenerOf, type Endpoint } from './endpoint.ts';
import { Unavailable } from './measure.ts';
import { cacheFolder } from './modules.ts';

const root = resolve(import.meta.dirname, '../..');

export interface Server extends Endpoint {
  readonly name: string;
  readonly version?: string;
  /** Does no KMS's work: its answers carry the members and mean nothing. */
  readonly hollow?: boolean;
  stop(): Promise<void>;
}

/**
 * Servers are in process groups of their own, so that Ctrl-C on a terminal asks the bench alone to stop and
 * not what it measures; whoever is still there when the bench ends, ends with it.
 */
const alive = new Set<ChildProcess>();

process.on('exit', () => { for (const child of alive) child.kill('SIGTERM'); });

function kept<T extends ChildProcess>(child: T): T {
  alive.add(child);
  child.once('exit', () => { alive.delete(child); });
  return child;
}

/** Our server; in `home` when one is given, which then stays. */
export async function startOurs(home?: string): Promise<Server> {
  const place = home ?? mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const child = kept(spawn(process.execPath, ['bin/strongroom.js', 'serve'], { detached: true, cwd: root, env: { ...process.env, STRONGROOM_HOME: place, STRONGROOM_LISTEN: '127.0.0.1:0' }, stdio: ['ignore', 'pipe', 'ignore'] }));
  const url = await readyUrl(child, /ready on (\S+)/);
  const file = readFileSync(join(place, 'credentials'), 'utf8');
  const value = (name: string): string => new RegExp(`${name}\\s*=\\s*(\\S+)`).exec(file)?.[1] ?? '';
  return {
    name: 'strongroom', url, region: 'us-east-1', accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key'), pid: child.pid ?? 0,
    async stop() {
      await ended(child);
      if (home === undefined) rmSync(place, { recursive: true, force: true });
    },
  };
}

/** What node:http costs by itself. */
export async function startBare(): Promise<Server> {
  const child = kept(fork(join(import.meta.dirname, 'bare-server.mjs'), { detached: true, cwd: root, execArgv: [], stdio: ['ignore', 'pipe', 'inherit', 'ipc'] }));
  const url = await readyUrl(child, /listening on (\S+)/);
  return { name: 'bare node:http', hollow: true, url, region: 'us-east-1', accessKeyId: 'AKIDBARESERVER000000', secretAccessKey: 'none', pid: child.pid ?? 0, async stop() { await ended(child); } };
}

const anyone = { region: 'us-east-1', accessKeyId: 'AKIDANYBODY000000000', secretAccessKey: 'anything' };

function program(name: string, ...folders: readonly string[]): string {
  const file = [...folders, ...(process.env['PATH'] ?? '').split(delimiter)].map((folder) => join(folder, name)).find((f) => existsSync(f));
  if (file === undefined) throw new Unavailable('not installed: scripts/bench-peers tells how');
  return file;
}

/** moto's server, from where scripts/bench-peers puts it. Its threads come and go with connections. */
export async function startMoto(): Promise<Server> {
  const file = program('moto_server', join(cacheFolder(), 'moto/bin'));
  const port = await freePort();
  const child = kept(spawn(file, ['-H', '127.0.0.1', '-p', String(port)], { detached: true, stdio: 'ignore' }));
  const version = /^moto-(.+)\.dist-info$/m.exec(packagesBeside(file).join('\n'))?.[1];
  return { name: 'moto', ...(version === undefined ? {} : { version }), ...anyone, url: await answers(child, port), pid: child.pid ?? 0, coarse: true, async stop() { await ended(child); } };
}

/** What is installed in the venv of a program. */
function packagesBeside(file: string): readonly string[] {
  const lib = join(file, '../../lib');
  return existsSync(lib) ? readdirSync(lib).filter((n) => n.startsWith('python')).flatMap((n) => readdirSync(join(lib, n, 'site-packages'))) : [];
}

export async function startLocalKms(): Promise<Server> {
  const file = program('local-kms', cacheFolder());
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const child = kept(spawn(file, [], { detached: true, env: { ...process.env, PORT: String(port), KMS_DATA_PATH: folder, KMS_REGION: anyone.region }, stdio: 'ignore' }));
  return {
    name: 'local-kms', ...anyone, url: await answers(child, port), pid: child.pid ?? 0, coarse: true,
    async stop() { await ended(child); rmSync(folder, { recursive: true, force: true }); },
  };
}

/** An endpoint that is there. Its CPU counts where its process can be seen; its credentials come from where AWS's tools look first. */
export function givenEndpoint(url: string): Server {
  const pid = listenerOf(url);
  const env = process.env;
  return {
    name: url, url, region: env['AWS_REGION'] ?? anyone.region, accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? anyone.accessKeyId, secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? anyone.secretAccessKey,
    coarse: true, ...(pid === undefined ? {} : { pid }),
    async stop() { /* not ours to stop */ },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => { server.listen(0, '127.0.0.1', done); });
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** A server that says nothing when it is ready. */
async function answers(child: ChildProcess, port: number): Promise<string> {
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 300; tries += 1) {
    if (child.exitCode !== null) break;
    try {
      await fetch(url);
      return url;
    } catch {
      await new Promise((done) => setTimeout(done, 100));
    }
  }
  child.kill('SIGTERM');
  throw new Unavailable('it was started and never answered');
}

async function readyUrl(child: ChildProcess, pattern: RegExp): Promise<string> {
  return await new Promise((done, fail) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const found = pattern.exec(text)?.[1];
      if (found !== undefined) done(found);
    });
    child.once('exit', (code) => { fail(new Error(`a server ended with ${code} before it was ready`)); });
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((done) => { child.once('exit', () => { done(); }); child.kill('SIGTERM'); });
}
