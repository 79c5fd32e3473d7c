/** A directory of its own for a client that works on files, and its programs run there. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
}

export class Workshop {
  readonly path: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(name: string, env: NodeJS.ProcessEnv) {
    this.path = mkdtempSync(join(tmpdir(), `strongroom-${name}-`));
    this.#env = { ...env, HOME: this.path };
  }

  /** A file's path; with `content` the file is written. */
  file(name: string, content?: string | Buffer): string {
    const path = join(this.path, name);
    if (content !== undefined) writeFileSync(path, content);
    return path;
  }

  read(name: string): string {
    return readFileSync(join(this.path, name), 'utf8');
  }

  bytes(name: string): Buffer {
    return readFileSync(join(this.path, name));
  }

  has(name: string): boolean {
    return existsSync(join(this.path, name));
  }

  try(command: string, args: readonly string[], { env = {}, input }: RunOptions = {}): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
    const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: this.path, env: { ...this.#env, ...env }, encoding: 'utf8', timeout: 120_000, ...(input === undefined ? {} : { input }) });
    return { status, stdout, stderr: error === undefined ? stderr : `${stderr}${error.message}` };
  }

  /** What the program printed; throws what it complained of. */
  run(command: string, args: readonly string[], options: RunOptions = {}): string {
    const { status, stdout, stderr } = this.try(command, args, options);
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${String(status)}\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** What a program that must fail complained of. */
  refused(command: string, args: readonly string[], options: RunOptions = {}): string {
    const { status, stdout, stderr } = this.try(command, args, options);
    if (status === 0) throw new Error(`${command} ${args.join(' ')}: not refused\n${stdout}`);
    return stdout + stderr;
  }

  openssl(...args: readonly string[]): string {
    return this.run('openssl', args);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
