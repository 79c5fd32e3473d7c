/** PKCS#11 tokens as people manage them, on the files that the Cryptoki module serves, while it serves them. */
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { HsmError, type SessionHandle } from '../hsm/core.ts';
import { loadCore, type NativeCore } from '../hsm/native.ts';
import { serialOf, tokenUri, type TokenFiles, type TokenHandle, type TokenRole } from '../hsm/token-files.ts';
import { CommandError, exitCode, printRecord, printRows, say, type Format } from './output.ts';
import { newPin, officerPin, passphrase, Pins, userPin, withPins, type PinKind, type PinOptions } from './pins.ts';

interface TokenLine {
  readonly slot: number;
  readonly label: string;
  readonly serial: string;
  readonly policy: string;
  readonly userPin: string;
  readonly soPin: string;
  readonly state: string;
  readonly uri: string;
}

/** What a command on tokens works with. */
interface Room {
  readonly core: NativeCore;
  readonly tokens: TokenFiles;
  readonly home: string;
  readonly pins: Pins;
}

const naming = 'label, slot number, serial number or pkcs11: URI';

export function addTokenCommands(program: Command): void {
  const token = program.command('token').description('PKCS#11 tokens: those of the Cryptoki module (docs/pkcs11.md)');
  addInit(token);
  addList(token);
  addDelete(token);
  addBackup(token);
  addImport(token);
  addPin(token);
  addPolicy(token);
}

function addInit(token: Command): void {
  withPins(token.command('init'), officerPin, userPin)
    .description('make a token; asks for its PINs')
    .requiredOption('--label <text>', 'at most 32 bytes')
    .option('--slot <n>', 'default: the first free one')
    .option('--policy <name>', 'compat or strict (docs/pkcs11.md)', process.env['STRONGROOM_TOKEN_POLICY'] === 'strict' ? 'strict' : 'compat')
    .option('--no-user-pin', 'the SO sets the user\'s PIN later')
    .option('--force', 'anew over a token that is there: every object of it is lost')
    .option('--yes', 'do not ask')
    .option('--json', 'one JSON object')
    .action(async (options: Format & PinOptions & { label: string; slot?: string; policy: string; userPin: boolean; force?: boolean; yes?: boolean }) => {
      await inRoom(options, async (room) => {
        const strict = strictOf(options.policy);
        if (options.label === '' || Buffer.byteLength(options.label) > 32) throw new CommandError(exitCode.usage, '--label is 1 to 32 bytes of UTF-8');
        const lines = linesOf(room);
        const slot = options.slot === undefined ? firstFree(lines) : slotOf(options.slot);
        const there = lines.find((l) => l.slot === slot);
        const namesake = lines.find((l) => l.label === options.label && l.slot !== slot);
        if (namesake !== undefined) throw new CommandError(exitCode.wrongState, `slot ${namesake.slot} has a token '${options.label}' already`, 'programs find tokens by their label: choose another');
        if (there !== undefined) {
          if (options.force !== true) throw new CommandError(exitCode.wrongState, `slot ${slot} has a token already: '${there.label}'`, 'another --slot, or --force to lose all that is in it');
          await confirm(there.label, options.yes, `every object of token '${there.label}' will be lost`);
        }
        await make(room, slot, options.label, strict, there !== undefined, options.userPin);
        printRecord({ ...lineOf(room, slot) }, options);
      });
    });
}

async function make({ core, tokens, home, pins }: Room, slot: number, label: string, strict: boolean, anew: boolean, withUser: boolean): Promise<void> {
  const so = pins.read(officerPin, !anew);
  const user = withUser ? pins.read(userPin, true) : undefined;
  const token = anew ? tokens.attach(home, slot) : await tokens.make(home, slot, label, so, strict);
  try {
    if (anew) await tokens.reset(token, label, so, strict);
    if (user !== undefined) await inSession(core, tokens, token, async (session) => {
      await tokens.login(token, session, 'officer', so);
      await tokens.setPin(token, session, 'user', undefined, user);
    });
  } finally {
    tokens.drop(token);
  }
}

function addList(token: Command): void {
  token
    .command('list')
    .description('every token of STRONGROOM_HOME')
    .option('--json', 'a JSON array')
    .action(async (options: Format) => {
      await inRoom({}, (room) => {
        printRows(linesOf(room), [
          { title: 'Slot', value: (t) => String(t.slot) },
          { title: 'Label', value: (t) => t.label },
          { title: 'Serial', value: (t) => t.serial },
          { title: 'Policy', value: (t) => t.policy },
          { title: 'User PIN', value: (t) => t.userPin },
          { title: 'SO PIN', value: (t) => t.soPin },
          { title: 'State', value: (t) => t.state },
          { title: 'URI', value: (t) => t.uri },
        ], options);
      });
    });
}

function addDelete(token: Command): void {
  token
    .command('delete')
    .description('take a token away, with all that is in it; backups of it still open')
    .argument('<token>', naming)
    .option('--yes', 'do not ask')
    .action(async (name: string, { yes }: { yes?: boolean }) => {
      await inRoom({}, async (room) => {
        const { slot, label } = found(room, name);
        await confirm(label, yes, `token '${label}' in slot ${slot} and all its objects will be lost`);
        room.tokens.delete(room.home, slot);
        say(`token '${label}' is deleted`);
      });
    });
}

function addBackup(token: Command): void {
  withPins(token.command('backup'), officerPin, passphrase)
    .description('a copy of a token at one moment, in a new file; it opens on this device alone, or with --portable anywhere by a passphrase')
    .argument('<token>', naming)
    .requiredOption('--out <path>', 'a file that is not there yet')
    .option('--portable', 'sealed under a passphrase of at least 12 bytes; takes the SO PIN')
    .action(async (name: string, options: PinOptions & { out: string; portable?: boolean }) => {
      await onToken(options, name, async ({ core, tokens, home, pins }, token) => {
        const so = options.portable === true ? pins.read(officerPin) : undefined;
        const secret = options.portable === true ? pins.read(passphrase, true) : undefined;
        await inSession(core, tokens, token, async (session) => {
          if (so !== undefined) await tokens.login(token, session, 'officer', so);
          await backedUp(tokens.backup(token, session, home, secret, resolve(options.out)), options.out);
        });
        say(options.portable === true ? `${options.out} is a backup that opens anywhere by its passphrase` : `${options.out} is a backup that opens with ${join(home, 'device')} alone`);
      });
    });
  withPins(token.command('restore'), passphrase)
    .description('put a backup back; PINs are those of then, tries go on where they are counted here')
    .argument('<file>', 'written by token backup')
    .option('--slot <n>', 'default: the first free one')
    .option('--force', 'over the token that is there')
    .option('--yes', 'do not ask')
    .option('--json', 'one JSON object')
    .action(async (file: string, options: Format & PinOptions & { slot?: string; force?: boolean; yes?: boolean }) => {
      await inRoom(options, async (room) => {
        const lines = linesOf(room);
        const slot = options.slot === undefined ? firstFree(lines) : slotOf(options.slot);
        const there = lines.find((l) => l.slot === slot);
        if (there !== undefined) {
          if (options.force !== true) throw new CommandError(exitCode.wrongState, `slot ${slot} has a token: '${there.label}'`, 'another --slot, or --force to put the backup in its place');
          await confirm(there.label, options.yes, `token '${there.label}' as it is now will be lost`);
        }
        const at = await room.tokens.restore(room.home, slot, isPortable(file) ? room.pins.read(passphrase) : undefined, resolve(file), there !== undefined);
        if (at !== slot) throw new CommandError(exitCode.wrongState, `slot ${at} has this very token`, `--slot ${at} --force puts the backup in its place`);
        printRecord({ ...lineOf(room, slot) }, options);
      });
    });
}

async function backedUp(work: Promise<void>, path: string): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (error instanceof HsmError && error.code === 'HSM_E_EXISTS') throw new CommandError(exitCode.wrongState, `${path} is there already`);
    if (error instanceof HsmError && error.code === 'HSM_E_IO') throw new CommandError(exitCode.failure, `${path} cannot be written`);
    if (error instanceof HsmError && error.code === 'HSM_E_PIN_LEN') throw new CommandError(exitCode.usage, 'a passphrase is 12 to 255 bytes long');
    throw error;
  }
}

/** By its ticket (docs/formats/token.md): does it open by a passphrase? */
function isPortable(file: string): boolean {
  const head = Buffer.alloc(13);
  try {
    const fd = openSync(file, 'r');
    try {
      readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
  } catch {
    throw new CommandError(exitCode.notFound, `${file} cannot be read`);
  }
  if (head.toString('latin1', 0, 4) !== 'SRtb') throw new CommandError(exitCode.integrity, `${file} is no backup of a token`);
  return head[12] === 1;
}

/** Where SoftHSM2 keeps tokens when nothing says otherwise. */
const softhsmFolder = '/var/lib/softhsm/tokens';
const softhsmPin: PinKind = { name: 'softhsm-pin', variable: 'SOFTHSM2_PIN', prompt: 'User PIN of the SoftHSM2 token' };
const classes: Readonly<Record<number, string>> = { 0: 'data', 1: 'certificate', 2: 'public key', 3: 'private key', 4: 'secret key', 6: 'domain parameters' };

function addImport(token: Command): void {
  withPins(token.command('import-softhsm'), softhsmPin, userPin)
    .description('move every object of a SoftHSM2 token into a token of ours; keys are opened in the core alone')
    .argument('<from>', 'label of the SoftHSM2 token, or its folder')
    .argument('<token>', naming)
    .option('--tokendir <path>', `SoftHSM2's directories.tokendir; default: as SOFTHSM2_CONF says, else ${softhsmFolder}`)
    .option('--skip-unsupported', 'leave what cannot be moved; otherwise nothing is moved then')
    .option('--json', 'one JSON object')
    .action(async (from: string, name: string, options: Format & PinOptions & { tokendir?: string; skipUnsupported?: boolean }) => {
      await onToken(options, name, async ({ core, tokens, pins }, token) => {
        const folder = softhsmTokenIn(tokens, from, options.tokendir ?? softhsmConfigured());
        const theirs = pins.read(softhsmPin);
        const ours = pins.read(userPin);
        await inSession(core, tokens, token, async (session) => {
          await tokens.login(token, session, 'user', ours);
          const { moved, left: behind, refused, skipped } = await imported(tokens.importSofthsm(token, session, folder, theirs, options.skipUnsupported === true));
          for (const s of skipped) say(`${refused ? 'cannot be moved' : 'left behind'}: ${classes[s.class] ?? 'object'} '${s.label}'${s.class >= 2 && s.class <= 4 ? `, key type 0x${s.type.toString(16)}` : ''}: ${s.why}`);
          if (refused) throw new CommandError(exitCode.failure, `${behind} objects cannot be moved; nothing was`, '--skip-unsupported moves the others');
          printRecord({ from: folder, moved, left: behind }, options);
        });
      });
    });
}

/** The PIN that is wrong here is the other token's: ours was checked before. */
async function imported<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof HsmError && error.code === 'HSM_E_PIN') throw new CommandError(exitCode.denied, 'the PIN of the SoftHSM2 token is wrong');
    if (error instanceof HsmError && error.code === 'HSM_E_PIN_UNSET') throw new CommandError(exitCode.wrongState, 'the SoftHSM2 token has no user PIN');
    throw error;
  }
}

function softhsmConfigured(): string {
  const conf = process.env['SOFTHSM2_CONF'] ?? '/etc/softhsm/softhsm2.conf';
  try {
    return /^\s*directories\.tokendir\s*=\s*(.+?)\s*$/m.exec(readFileSync(conf, 'utf8'))?.[1] ?? softhsmFolder;
  } catch {
    return softhsmFolder;
  }
}

function softhsmTokenIn(tokens: TokenFiles, from: string, tokendir: string): string {
  if (existsSync(join(from, 'token.object'))) return resolve(from);
  let folders: string[];
  try {
    folders = readdirSync(tokendir, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => join(tokendir, entry.name));
  } catch {
    throw new CommandError(exitCode.notFound, `${tokendir} cannot be read`, 'give --tokendir, or the folder of the token');
  }
  const fits = folders.filter((folder) => softhsmLabelOf(tokens, folder) === from);
  if (fits.length > 1) throw new CommandError(exitCode.usage, `${fits.length} SoftHSM2 tokens are called '${from}'`, `give the folder of one: ${fits.join(', ')}`);
  const [folder] = fits;
  if (folder === undefined) throw new CommandError(exitCode.notFound, `no SoftHSM2 token '${from}' in ${tokendir}`, `there are: ${folders.map((f) => softhsmLabelOf(tokens, f)).filter((l) => l !== undefined).join(', ')}`);
  return folder;
}

function softhsmLabelOf(tokens: TokenFiles, folder: string): string | undefined {
  try {
    return tokens.softhsmLabel(folder);
  } catch (error) {
    if (error instanceof HsmError) return undefined;
    throw error;
  }
}

function addPin(token: Command): void {
  const pin = token.command('pin').description('a token\'s PINs');
  withPins(pin.command('change'), userPin, officerPin, newPin)
    .description('by its owner, who knows the old one')
    .argument('<token>', naming)
    .option('--so', 'the SO\'s instead of the user\'s')
    .action(async (name: string, options: PinOptions & { so?: boolean }) => {
      const [role, kind]: [TokenRole, typeof userPin] = options.so === true ? ['officer', officerPin] : ['user', userPin];
      await onToken(options, name, async ({ core, tokens, pins }, token) => {
        const old = pins.read(kind);
        const fresh = pins.read(newPin, true);
        await inSession(core, tokens, token, async (session) => { await tokens.setPin(token, session, role, old, fresh); });
        say(`the ${kind.prompt} is changed`);
      });
    });
  withPins(pin.command('unlock'), officerPin, newPin)
    .description('by the SO: the user gets a new PIN, and all tries')
    .argument('<token>', naming)
    .action(async (name: string, options: PinOptions) => {
      await onToken(options, name, async ({ core, tokens, pins }, token) => {
        const so = pins.read(officerPin);
        const fresh = pins.read(newPin, true);
        await inSession(core, tokens, token, async (session) => {
          await tokens.login(token, session, 'officer', so);
          await tokens.setPin(token, session, 'user', undefined, fresh);
        });
        say('the user has a new PIN');
      });
    });
  withPins(pin.command('check'), userPin, officerPin)
    .description('is it right? Counted as any try is; ends with 0, or 4')
    .argument('<token>', naming)
    .option('--so', 'the SO\'s instead of the user\'s')
    .action(async (name: string, options: PinOptions & { so?: boolean }) => {
      await onToken(options, name, async ({ core, tokens, pins }, token) => {
        const given = pins.read(options.so === true ? officerPin : userPin);
        await inSession(core, tokens, token, async (session) => { await tokens.login(token, session, options.so === true ? 'officer' : 'user', given); });
        say('the PIN is right');
      });
    });
}

function addPolicy(token: Command): void {
  withPins(token.command('policy'), officerPin, userPin)
    .description('what a token lets its keys do; with strict or compat: change it, which takes both PINs')
    .argument('<token>', naming)
    .argument('[policy]', 'strict or compat')
    .option('--json', 'one JSON object')
    .action(async (name: string, wanted: string | undefined, options: Format & PinOptions) => {
      await onToken(options, name, async ({ tokens, pins }, token) => {
        if (wanted !== undefined) {
          const strict = strictOf(wanted);
          const so = pins.read(officerPin);
          await tokens.setPolicy(token, so, tokens.about(token).userPin ? pins.read(userPin) : undefined, strict);
        }
        const { label, strict } = tokens.about(token);
        printRecord({ token: label, policy: strict ? 'strict' : 'compat' }, options);
      });
    });
}

// ---- what commands share

async function inRoom(options: PinOptions, run: (room: Room) => Promise<void> | void): Promise<void> {
  const core = loadCore();
  const pins = new Pins(core.tokenFiles, options);
  try {
    await run({ core, tokens: core.tokenFiles, home: core.tokenFiles.home(), pins });
  } catch (error) {
    throw told(error);
  } finally {
    pins.close();
    core.close();
  }
}

async function onToken(options: PinOptions, name: string, run: (room: Room, token: TokenHandle) => Promise<void>): Promise<void> {
  await inRoom(options, async (room) => {
    const token = room.tokens.attach(room.home, found(room, name).slot);
    try {
      await run(room, token);
    } finally {
      room.tokens.drop(token);
    }
  });
}

async function inSession(core: NativeCore, tokens: TokenFiles, token: TokenHandle, run: (session: SessionHandle) => Promise<void>): Promise<void> {
  const session = core.openSession(tokens.partition(token));
  try {
    await run(session);
  } finally {
    if (core.role(session) !== 'public') tokens.logout(token, session);
    core.closeSession(session);
  }
}

function linesOf(room: Room): readonly TokenLine[] {
  return room.tokens.scan(room.home).map((slot) => lineOf(room, slot));
}

/** A damaged token is there, and said to be. */
function lineOf({ core, tokens, home }: Room, slot: number): TokenLine {
  let token: TokenHandle | undefined;
  try {
    token = tokens.attach(home, slot);
    const { label, id, strict, userPin: set, userTries, soTries } = tokens.about(token);
    return {
      slot, label, serial: serialOf(id), policy: strict ? 'strict' : 'compat', userPin: set ? left(userTries) : 'not set', soPin: left(soTries),
      state: core.describe().weakened ? (strict ? 'refused: secret memory is weakened' : 'weakened') : 'ok', uri: tokenUri(label, id),
    };
  } catch (error) {
    if (!(error instanceof HsmError)) throw error;
    return { slot, label: '', serial: '', policy: '', userPin: '', soPin: '', state: `damaged: ${error.message}`, uri: '' };
  } finally {
    if (token !== undefined) tokens.drop(token);
  }
}

const left = (tries: number): string => (tries === 0 ? 'locked' : tries === 10 ? 'ok' : `${tries} tries left`);

function found(room: Room, name: string): TokenLine {
  const lines = linesOf(room);
  const label = name.startsWith('pkcs11:') ? undefined : name;
  const wanted = label === undefined ? uriParts(name) : undefined;
  const fits = wanted === undefined
    ? lines.filter((l) => l.label === label || l.serial === label)
    : lines.filter((l) => (wanted['token'] === undefined || wanted['token'] === l.label) && (wanted['serial'] === undefined || wanted['serial'] === l.serial));
  const one = fits.length === 1 ? fits[0] : fits.length === 0 ? lines.find((l) => String(l.slot) === name) : undefined;
  if (one !== undefined) return one;
  if (fits.length > 1) throw new CommandError(exitCode.usage, `'${name}' names ${fits.length} tokens`, 'give the slot or serial number');
  throw new CommandError(exitCode.notFound, `no token '${name}'`, 'see: strongroom token list');
}

function uriParts(uri: string): Readonly<Record<string, string>> {
  try {
    return Object.fromEntries(uri.slice('pkcs11:'.length).split('?')[0]!.split(';').filter((part) => part !== '').map((part) => {
      const equals = part.indexOf('=');
      return [part.slice(0, equals), decodeURIComponent(part.slice(equals + 1))];
    }));
  } catch {
    throw new CommandError(exitCode.usage, `'${uri}' is no pkcs11: URI`);
  }
}

function firstFree(lines: readonly TokenLine[]): number {
  let slot = 0;
  while (lines.some((l) => l.slot === slot)) slot++;
  return slot;
}

function slotOf(text: string): number {
  const slot = Number(text);
  if (!/^\d{1,6}$/.test(text)) throw new CommandError(exitCode.usage, '--slot is a number from 0 to 999999');
  return slot;
}

function strictOf(policy: string): boolean {
  if (policy !== 'strict' && policy !== 'compat') throw new CommandError(exitCode.usage, `the policy is strict or compat, not '${policy}'`);
  return policy === 'strict';
}

/** What cannot be undone is asked for by its name. */
async function confirm(label: string, yes: boolean | undefined, danger: string): Promise<void> {
  if (yes === true) return;
  if (process.stdin.isTTY !== true) throw new CommandError(exitCode.usage, `${danger}: give --yes`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const typed = await lines.question(`${danger}. Type its label to go on: `);
    if (typed !== label) throw new CommandError(exitCode.usage, 'not confirmed: nothing was done');
  } finally {
    lines.close();
  }
}

function told(error: unknown): unknown {
  if (!(error instanceof HsmError)) return error;
  switch (error.code) {
    case 'HSM_E_PIN': return new CommandError(exitCode.denied, 'the PIN or passphrase is wrong', 'tries of PINs are counted: see strongroom token list');
    case 'HSM_E_PIN_LOCKED': return new CommandError(exitCode.denied, 'the PIN is locked', 'the SO opens the user\'s: strongroom token pin unlock');
    case 'HSM_E_PIN_UNSET': return new CommandError(exitCode.wrongState, 'the user has no PIN yet', 'the SO sets it: strongroom token pin unlock');
    case 'HSM_E_PIN_LEN': return new CommandError(exitCode.usage, 'a PIN is 4 to 255 bytes long');
    case 'HSM_E_EXISTS': return new CommandError(exitCode.wrongState, 'somebody made it meanwhile');
    case 'HSM_E_WEAKENED': return new CommandError(exitCode.wrongState, error.message, 'strict tokens run only where memfd_secret serves: see strongroom doctor');
    case 'HSM_E_GONE': return new CommandError(exitCode.notFound, error.message);
    case 'HSM_E_INTEGRITY':
    case 'HSM_E_FORMAT': return new CommandError(exitCode.integrity, error.message);
    default: return error;
  }
}
