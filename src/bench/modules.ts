/**
 * Cryptoki modules as subjects: where the known ones lie, what each wants to hear before it has a token,
 * and tokens in scratch folders, so that nobody's own token is touched. A token with many objects is made
 * once by the module itself and kept in the cache folder.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { Driver, type Command } from './driver.ts';
import { Unavailable } from './measure.ts';

const root = resolve(import.meta.dirname, '../..');
const release = join(root, 'build/Release');

export const drivers = { module: join(release, 'strongroom-bench-module'), raw: join(release, 'strongroom-bench-raw') };

type Kind = 'strongroom' | 'softhsm' | 'nss' | 'kryoptic' | 'other';

/** A module to measure. `pinFile` and `token` name a token that is there: of hardware, or of a module we cannot make one for. */
export interface Module {
  readonly name: string;
  readonly kind: Kind;
  readonly file: string;
  readonly pinFile?: string;
  readonly token?: string;
}

/** Where bench-peers puts what it builds and fetches. */
export const cacheFolder = (): string => join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'strongroom', 'bench');

const libraries = ['/usr/lib', '/usr/local/lib', '/usr/lib64', ...['x86_64', 'aarch64'].map((a) => `/usr/lib/${a}-linux-gnu`)];

const known: readonly { readonly name: string; readonly kind: Kind; readonly files: () => readonly string[] }[] = [
  { name: 'strongroom', kind: 'strongroom', files: () => [join(release, 'libstrongroom-pkcs11.so')] },
  { name: 'SoftHSM2', kind: 'softhsm', files: () => libraries.flatMap((l) => [join(l, 'softhsm/libsofthsm2.so'), join(l, 'libsofthsm2.so')]) },
  { name: 'NSS softokn', kind: 'nss', files: () => libraries.flatMap((l) => [join(l, 'libsoftokn3.so'), join(l, 'nss/libsoftokn3.so')]) },
  { name: 'Kryoptic', kind: 'kryoptic', files: () => [join(cacheFolder(), 'libkryoptic_pkcs11.so'), ...libraries.flatMap((l) => [join(l, 'pkcs11/libkryoptic_pkcs11.so'), join(l, 'libkryoptic_pkcs11.so')])] },
];

export interface Found {
  readonly modules: readonly Module[];
  readonly missing: readonly string[];
}

/** Ours and every peer that is installed. */
export function installedModules(): Found {
  const modules: Module[] = [];
  const missing: string[] = [];
  for (const { name, kind, files } of known) {
    const file = files().find((f) => existsSync(f));
    if (file === undefined) missing.push(name);
    else modules.push({ name, kind, file });
  }
  return { modules, missing };
}

/** The module that a user named: by file, or `strongroom` for ours. */
export function namedModule(text: string, options: { readonly pinFile?: string; readonly token?: string } = {}): Module {
  const ours = known.find((k) => k.name === text);
  const file = ours?.files().find((f) => existsSync(f)) ?? resolve(text);
  if (!existsSync(file)) throw new Unavailable(`${text}: no such file`);
  const base = basename(file).toLowerCase();
  const kind: Kind = base.includes('strongroom') ? 'strongroom' : base.includes('softhsm') ? 'softhsm' : base.includes('softokn') ? 'nss' : base.includes('kryoptic') ? 'kryoptic' : 'other';
  // A token of one's own is given with its PIN, and then nothing is made.
  const own = options.pinFile !== undefined && kind !== 'strongroom' ? options : {};
  const name = kind === 'other' || own.pinFile !== undefined ? base.replace(/^lib|\.so.*$/g, '') : (known.find((k) => k.kind === kind)?.name ?? base);
  return { name, kind, file, ...(own.pinFile === undefined ? {} : { pinFile: own.pinFile }), ...(own.token === undefined ? {} : { token: own.token }) };
}

/** A token of a module, and how a driver opens it. */
export interface Token {
  readonly module: Module;
  readonly command: Command;
}

const pin = '12345678';

/** How a driver gets at the token in `folder`. */
function commandFor(module: Module, folder: string): Command {
  const pinFile = join(folder, 'pin');
  const base = [module.file, '--pin-file', module.pinFile ?? pinFile];
  if (module.pinFile !== undefined) return { program: drivers.module, args: [...base, ...(module.token === undefined ? [] : ['--token', module.token])] };
  switch (module.kind) {
    case 'strongroom':
      return { program: drivers.module, args: [...base, '--token', 'bench'], env: { STRONGROOM_HOME: join(folder, 'home') } };
    case 'softhsm':
      return { program: drivers.module, args: [...base, '--token', 'bench'], env: { SOFTHSM2_CONF: join(folder, 'softhsm2.conf') } };
    case 'nss':
      return { program: drivers.module, args: [...base, '--args', `configdir='sql:${join(folder, 'nss')}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=''`] };
    case 'kryoptic':
      return { program: drivers.module, args: [...base, '--token', 'bench', '--args', `kryoptic_conf=${join(folder, 'kryoptic.toml')}`], env: { KRYOPTIC_CONF: join(folder, 'kryoptic.toml') } };
    case 'other':
      throw new Unavailable('a module that is not known needs a token that is there: --pin-file, and --token if it has several');
  }
}

/** What the module reads before it has a token. Written again after a folder was moved: it names places. */
function furnish(module: Module, folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'pin'), `${pin}\n`, { mode: 0o600 });
  mkdirSync(join(folder, module.kind === 'softhsm' ? 'tokens' : 'nss'), { recursive: true });
  if (module.kind === 'softhsm') writeFileSync(join(folder, 'softhsm2.conf'), `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  if (module.kind === 'kryoptic') writeFileSync(join(folder, 'kryoptic.toml'), `[[slots]]\nslot = 1\ndbtype = "sqlite"\ndbargs = "${join(folder, 'kryoptic.sql')}"\n`);
}

/** Run a driver that only makes something. */
async function make(command: Command, ...args: readonly string[]): Promise<void> {
  const child = spawn(command.program, [...command.args, ...args], { env: { ...process.env, ...command.env }, stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  child.stdout.on('data', (text: Buffer) => { said += text.toString('utf8'); });
  const code = await new Promise<number | null>((done, fail) => { child.on('close', done).on('error', fail); });
  if (code !== 0) throw new Unavailable(`${args.join(' ')}: ${said.trim().replace(/^broken /, '') || `the driver ended with ${code}`}`);
}

const madeByUs = (module: Module): boolean => module.pinFile === undefined;

async function tokenIn(module: Module, folder: string): Promise<Token> {
  furnish(module, folder);
  const command = commandFor(module, folder);
  if (madeByUs(module)) await make(command, '--init');
  return { module, command };
}

/** Objects a part of a token is filled with: SoftHSM's cost of one object grows with all that are there. */
const softhsmPart = 250;

async function fill(module: Module, folder: string, count: number): Promise<void> {
  const { command } = await tokenIn(module, folder);
  if (module.kind !== 'softhsm' || count <= softhsmPart) {
    await make(command, '--fill', '0', String(count));
    return;
  }
  // Copies of the empty token are filled apart, by SoftHSM itself; objects are files under one token key, so they come together again.
  const empty = `${folder}-empty`;
  cpSync(folder, empty, { recursive: true });
  for (let first = 0; first < count; first += softhsmPart) {
    const part = `${folder}-part`;
    cpSync(empty, part, { recursive: true });
    furnish(module, part);
    await make(commandFor(module, part), '--fill', String(first), String(Math.min(softhsmPart, count - first)));
    const [name] = readdirSync(join(part, 'tokens'));
    if (name === undefined) throw new Unavailable('SoftHSM made no token');
    for (const file of readdirSync(join(part, 'tokens', name))) {
      if (file !== 'token.object' && file !== 'token.lock' && file !== 'generation') cpSync(join(part, 'tokens', name, file), join(folder, 'tokens', name, file));
    }
    rmSync(part, { recursive: true, force: true });
  }
  rmSync(empty, { recursive: true, force: true });
}

/** All tokens of one run. */
export class Tokens {
  readonly #scratch = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  readonly #made = new Map<string, Promise<Token>>();
  readonly #progress: (text: string) => void;

  constructor(progress: (text: string) => void = () => undefined) {
    this.#progress = progress;
    // Also when the bench ends at once.
    process.on('exit', this.#remove);
  }

  /** A token without objects but those that work makes. */
  async empty(module: Module): Promise<Token> {
    return await this.#once(`${module.file} 0`, async () => await tokenIn(module, mkdtempSync(join(this.#scratch, 'token-'))));
  }

  /** A token with `count` AES keys, labelled bench-00000000 and on. */
  async filled(module: Module, count: number): Promise<Token> {
    if (!madeByUs(module)) throw new Unavailable('nobody\'s own token is filled');
    return await this.#once(`${module.file} ${count}`, async () => {
      const folder = mkdtempSync(join(this.#scratch, 'token-'));
      const kept = join(cacheFolder(), 'tokens', `${module.kind}-${count}`);
      if (existsSync(kept)) {
        // Work goes on in a copy: what is kept stays as it was made.
        cpSync(kept, folder, { recursive: true });
        furnish(module, folder);
        const token = { module, command: commandFor(module, folder) };
        if (await usable(token, count)) return token;
        rmSync(kept, { recursive: true, force: true });
        rmSync(folder, { recursive: true, force: true });
      }
      this.#progress(`${module.name}: a token with ${count} objects, kept for the next time`);
      // Where syncing costs nothing, when there is such a place.
      const work = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'strongroom-bench-'));
      try {
        await fill(module, join(work, 'token'), count);
        mkdirSync(join(kept, '..'), { recursive: true });
        const fresh = `${kept}.${process.pid}`;
        cpSync(join(work, 'token'), fresh, { recursive: true });
        if (!existsSync(kept)) renameSync(fresh, kept);
        rmSync(fresh, { recursive: true, force: true });
        cpSync(kept, folder, { recursive: true });
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
      furnish(module, folder);
      return { module, command: commandFor(module, folder) };
    });
  }

  remove(): void {
    process.off('exit', this.#remove);
    this.#remove();
  }

  readonly #remove = (): void => { rmSync(this.#scratch, { recursive: true, force: true }); };

  #once(name: string, build: () => Promise<Token>): Promise<Token> {
    const token = this.#made.get(name) ?? build();
    this.#made.set(name, token);
    return token;
  }
}

async function usable(token: Token, count: number): Promise<boolean> {
  const driver = new Driver(token.command);
  try {
    await driver.about;
    await driver.ask(`prepare find - ${count} 1 one`);
    return true;
  } catch {
    return false;
  } finally {
    await driver.close();
  }
}

/** Name and version of a module as it tells them itself, for the report. */
export async function moduleVersion(token: Token): Promise<string> {
  const driver = new Driver(token.command);
  try {
    const { name, version } = await driver.about;
    return `${(name ?? '').replaceAll('_', ' ')} ${version ?? ''}`.trim();
  } finally {
    await driver.close();
  }
}

export const libraryVersion = async (): Promise<string> => await moduleVersion({ module: { name: 'raw', kind: 'other', file: '' }, command: { program: drivers.raw, args: [] } });

