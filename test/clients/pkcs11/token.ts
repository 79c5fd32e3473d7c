/** A token of its own in a home of its own, and the programs that use it as they would any other. */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../../..');
export const modulePath = join(root, 'build/Release/libstrongroom-pkcs11.so');
export const pin = '1234';
export const soPin = '12345678';

/** OpenSSL's PKCS#11 engine, and a configuration that loads the module through it. */
export const engine = '/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so';
export const engineConfig = `openssl_conf = all\n[all]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\nengine_id = pkcs11\n`
  + `dynamic_path = ${engine}\nMODULE_PATH = ${modulePath}\nPIN = ${pin}\ninit = 0\n[req]\ndistinguished_name = name\n[name]\n`;

export function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0;
}

export interface Token {
  readonly home: string;
  readonly label: string;
  readonly env: NodeJS.ProcessEnv;
  file(name: string): string;
  /** Run and answer what it said; throws with its words when it fails. */
  run(program: string, args: readonly string[], options?: { readonly input?: string; readonly env?: Readonly<Record<string, string>> }): string;
  /** The same, whatever comes of it. */
  attempt(program: string, args: readonly string[], options?: { readonly input?: string; readonly env?: Readonly<Record<string, string>> }): SpawnSyncReturns<string>;
  /** pkcs11-tool, logged in. */
  tool(...args: readonly string[]): string;
  remove(): void;
}

export function newToken(label = 'client', extra: Readonly<Record<string, string>> = {}): Token {
  const home = mkdtempSync(join(tmpdir(), 'strongroom-'));
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(STRONGROOM_|VITEST|NODE_OPTIONS|OPENSSL_|SOFTHSM)/.test(name)));
  const env = { ...clean, STRONGROOM_HOME: home, LC_ALL: 'C', ...extra };
  const token: Token = {
    home,
    label,
    env,
    file: (name) => join(home, name),
    attempt: (program, args, options = {}) => spawnSync(program, args, {
      env: { ...env, ...options.env }, cwd: home, encoding: 'utf8', timeout: 60_000, maxBuffer: 1 << 24, ...(options.input === undefined ? {} : { input: options.input }),
    }),
    run(program, args, options = {}) {
      const done = token.attempt(program, args, options);
      if (done.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.status ?? done.signal}\n${done.stdout}${done.stderr}`);
      return done.stdout + done.stderr;
    },
    tool: (...args) => token.run('pkcs11-tool', ['--module', modulePath, '--token-label', label, '--login', '--pin', pin, ...args]),
    remove: () => { rmSync(home, { recursive: true, force: true }); },
  };
  token.run('pkcs11-tool', ['--module', modulePath, '--init-token', '--slot', '0', '--label', label, '--so-pin', soPin]);
  token.run('pkcs11-tool', ['--module', modulePath, '--init-pin', '--token-label', label, '--so-pin', soPin, '--pin', pin]);
  return token;
}
