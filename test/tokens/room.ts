/** A home of its own, the command line on it, and programs of others. */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { CommandError } from '../../src/cli/output.ts';
import { addTokenCommands } from '../../src/cli/token.ts';

export const root = resolve(import.meta.dirname, '../..');
export const modulePath = join(root, 'build/Release/libstrongroom-pkcs11.so');
export const userPin = '1234';
export const officerPin = '87654321';

export interface Said { readonly status: number | null; readonly stdout: string; readonly stderr: string }

export interface Room {
  readonly home: string;
  /** `strongroom token …` in this process; what `--…-stdin` would read, line by line, comes from files. */
  token(args: readonly string[], lines?: readonly string[], env?: Readonly<Record<string, string>>): Promise<Said>;
  /** The same, and it must succeed; what it printed. */
  does(args: readonly string[], lines?: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>;
  /** As a person starts it. */
  process(args: readonly string[], lines?: readonly string[]): SpawnSyncReturns<string>;
  run(program: string, args: readonly string[], env?: Readonly<Record<string, string>>): SpawnSyncReturns<string>;
  /** pkcs11-tool on the token `mine`, logged in. */
  tool(...args: readonly string[]): string;
  file(name: string, text?: string | Uint8Array): string;
  remove(): void;
}

export function newRoom(home = mkdtempSync(join(tmpdir(), 'strongroom-'))): Room {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(STRONGROOM_|SOFTHSM|VITEST|NODE_OPTIONS)/.test(name)));
  const env = { ...clean, STRONGROOM_HOME: home, LC_ALL: 'C' };
  const room: Room = {
    home,
    async token(args, lines = [], extra = {}) {
      let next = 0;
      const given = args.flatMap((arg) => {
        const name = /^(--.*)-stdin$/.exec(arg)?.[1];
        return name === undefined ? [arg] : [`${name}-file`, room.file(`line-${next}`, lines[next++] ?? '')];
      });
      return await inProcess(given, { STRONGROOM_HOME: home, ...extra });
    },
    process: (args, lines = []) => spawnSync(process.execPath, ['--import', 'tsx', join(root, 'src/cli/main.ts'), 'token', ...args], {
      cwd: root, env, encoding: 'utf8', timeout: 60_000, input: lines.map((l) => `${l}\n`).join(''),
    }),
    async does(args, lines, extra) {
      const done = await room.token(args, lines, extra);
      if (done.status !== 0) throw new Error(`token ${args.join(' ')}: ${done.status ?? ''}\n${done.stdout}${done.stderr}`);
      return done.stdout;
    },
    run: (program, args, extra = {}) => spawnSync(program, args, { cwd: home, env: { ...env, ...extra }, encoding: 'utf8', timeout: 60_000, maxBuffer: 1 << 24 }),
    tool(...args) {
      const done = room.run('pkcs11-tool', ['--module', modulePath, '--token-label', 'mine', '--login', '--pin', userPin, ...args]);
      if (done.status !== 0) throw new Error(`pkcs11-tool ${args.join(' ')}: ${done.status ?? done.signal}\n${done.stdout}${done.stderr}`);
      return done.stdout + done.stderr;
    },
    file(name, text) {
      if (text !== undefined) writeFileSync(join(home, name), text, { mode: 0o600 });
      return join(home, name);
    },
    remove: () => { rmSync(home, { recursive: true, force: true }); },
  };
  return room;
}

/** One command of the program, with its environment, its words caught. */
async function inProcess(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Said> {
  const before = { ...process.env };
  const [out, err] = [process.stdout.write, process.stderr.write];
  let stdout = '', stderr = '', status = 0;
  Object.assign(process.env, env);
  process.stdout.write = (text: string | Uint8Array) => { stdout += String(text); return true; };
  process.stderr.write = (text: string | Uint8Array) => { stderr += String(text); return true; };
  try {
    const program = new Command().exitOverride();
    addTokenCommands(program);
    await program.parseAsync(['token', ...args], { from: 'user' });
  } catch (error) {
    status = error instanceof CommandError ? error.code : 1;
    stderr += `${error instanceof Error ? error.message : String(error)}\n`;
  } finally {
    [process.stdout.write, process.stderr.write] = [out, err];
    for (const name of Object.keys(env)) if (before[name] === undefined) delete process.env[name]; else process.env[name] = before[name];
  }
  return { status, stdout, stderr };
}

export const makeMine = async (room: Room, ...more: readonly string[]): Promise<void> => { await room.does(['init', '--label', 'mine', '--so-pin-stdin', '--pin-stdin', ...more], [officerPin, userPin]); };

export const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0;
