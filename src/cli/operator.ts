/** The root key's keepers: making it, opening and closing it, and its unseal slots. Shares pass through here as bytes. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import { homeOf } from '../open.ts';
import { AdminClient } from './admin.ts';
import { CommandError, exitCode, printRecord, say, type Format } from './output.ts';

interface Slots {
  readonly keyFile?: string;
  readonly passphraseFile?: string;
  readonly shares?: string;
  readonly threshold?: string;
}

interface ShareSource {
  readonly shareFile?: string;
}

interface Count {
  readonly have?: number;
  readonly need?: number;
}

const client = (): AdminClient => new AdminClient(homeOf(process.env));

export function addOperatorCommands(program: Command): void {
  const operator = program.command('operator').description('the root key: making it, opening and closing it, who holds it');
  slotOptions(operator.command('init').description('make the root key of a new home that was started with STRONGROOM_UNSEAL=operator; shares are shown once'))
    .option('--json', 'one JSON object')
    .action(async (options: Slots & Format) => { await showShares(await client().bytes('POST', '/v1/operator/init', wanted(options)), options); });
  withShare(operator.command('unseal').description('open the root key: with shares, one a line on standard input; or by a file'))
    .option('--key-file <path>', 'by this key file')
    .option('--passphrase-file <path>', 'by the passphrase in this file')
    .option('--configured', 'by what the server was started with: its key file, passphrase file, or whoever holds a slot')
    .option('--json', 'one JSON object')
    .action(async (options: Slots & ShareSource & Format & { configured?: boolean }) => { await unseal(options); });
  operator.command('seal').description('close the root key: the server answers 503 until it is opened')
    .option('--json', 'one JSON object')
    .action(async (format: Format) => {
      await client().post('/v1/operator/seal', {});
      printRecord(await settled('sealed'), format);
    });
  slotOptions(operator.command('rekey').description('new shares, another key file or passphrase in place of the old'))
    .option('--json', 'one JSON object')
    .action(async (options: Slots & Format) => { await showShares(await client().bytes('POST', '/v1/operator/rekey', wanted(options)), options); });
  operator.command('status').description('is it open, by what, who holds it, what waits for approval')
    .option('--json', 'one JSON object')
    .action(async (format: Format) => { printRecord(await client().get('/v1/operator'), format); });
  withShare(operator.command('approve').description('give shares to an act that waits for them').argument('<approval>', 'as the act\'s answer named it'))
    .option('--json', 'one JSON object')
    .action(async (approval: string, options: ShareSource & Format) => {
      await giveAll(`/v1/operator/approvals/${encodeURIComponent(approval)}`, options, (answer) => showShares(answer, options));
    });
  slots(operator);
  backups(operator);
}

function slots(operator: Command): void {
  slotOptions(operator.command('add').description('another way to open the root key'))
    .option('--kms <key>', 'held by a key of the KMS that STRONGROOM_UNSEAL_KMS_ENDPOINT names')
    .option('--pkcs11', 'held by the token that STRONGROOM_UNSEAL_TOKEN names')
    .option('--json', 'one JSON object')
    .action(async (options: Slots & Format & { kms?: string; pkcs11?: boolean }) => {
      const body = options.kms !== undefined ? { note: { kms: options.kms } } : options.pkcs11 === true ? { note: { pkcs11: true } } : wanted(options);
      await showShares(await client().bytes('POST', '/v1/operator/slots', body), options);
    });
  operator.command('remove').description('take a way to open the root key out').argument('<slot>', 'its number in operator status')
    .option('--json', 'one JSON object')
    .action(async (slot: string, format: Format) => { await showShares(await client().bytes('DELETE', `/v1/operator/slots/${encodeURIComponent(slot)}`), format); });
}

function backups(operator: Command): void {
  for (const [verb, path, what] of [
    ['backup', 'where it is written', 'write the root key to a file, sealed under a passphrase'],
    ['restore', 'a backup', 'open a sealed server by a backup; its passphrase takes the place of all present slots'],
  ] as const) {
    operator.command(verb).description(what).argument('<file>', path)
      .requiredOption('--passphrase-file <path>', 'file with the passphrase')
      .option('--json', 'one JSON object')
      .action(async (file: string, options: Format & { passphraseFile: string }) => {
        await showShares(await client().bytes('POST', `/v1/operator/${verb}`, { path: resolve(file), passphraseFile: resolve(options.passphraseFile) }), options);
      });
  }
}

function slotOptions(command: Command): Command {
  return command
    .option('--shares <n>', 'split it among this many people')
    .option('--threshold <m>', 'so many of them open it')
    .option('--key-file <path>', 'a key file, made by the core')
    .option('--passphrase-file <path>', 'file with a passphrase');
}

function withShare(command: Command): Command {
  return command.option('--share-file <path>', 'shares in a file, one a line, instead of standard input');
}

function wanted({ keyFile, passphraseFile, shares, threshold }: Slots): Record<string, unknown> {
  const number = (text: string, name: string): number => {
    if (!/^\d{1,2}$/.test(text)) throw new CommandError(exitCode.usage, `--${name}: '${text}' is not a number up to 32`);
    return Number(text);
  };
  return {
    ...(keyFile === undefined ? {} : { keyFile: resolve(keyFile) }),
    ...(passphraseFile === undefined ? {} : { passphraseFile: resolve(passphraseFile) }),
    ...(shares === undefined ? {} : { shares: number(shares, 'shares') }),
    ...(threshold === undefined ? {} : { threshold: number(threshold, 'threshold') }),
  };
}

async function unseal(options: Slots & ShareSource & Format & { configured?: boolean }): Promise<void> {
  if (options.configured === true || options.keyFile !== undefined || options.passphraseFile !== undefined) await client().post('/v1/operator/unseal', wanted(options));
  else if (!(await giveAll('/v1/operator/share', options, () => undefined))) throw new CommandError(exitCode.wrongState, 'sealed: more shares are needed', 'every holder runs strongroom operator unseal');
  printRecord(await settled('ok'), options);
}

/** Gives one share after the other until there are enough; whether there were. */
async function giveAll(path: string, { shareFile }: ShareSource, done: (answer: Buffer) => Promise<void> | undefined): Promise<boolean> {
  const text = shareFile === undefined ? await typed() : fileBytes(shareFile);
  try {
    for (const share of linesOf(text)) {
      const answer = await client().send('POST', path, share);
      const { have, need } = countOf(answer);
      if (have === undefined || need === undefined || have >= need) {
        await done(answer);
        return true;
      }
      say(`${have} of ${need} shares`);
    }
    return false;
  } finally {
    text.fill(0);
  }
}

/** An answer with shares in it is not one of these, and not parsed. */
function countOf(answer: Buffer): Count {
  return answer.includes('"shares":"') || !answer.includes('"need":') ? {} : (JSON.parse(answer.toString('utf8')) as Count);
}

/** Until the server serves the other way. */
async function settled(status: 'ok' | 'sealed'): Promise<Record<string, unknown>> {
  for (let tries = 0; tries < 150; tries += 1) {
    try {
      const body = JSON.parse((await client().send('GET', '/v1/health', undefined, true)).toString('utf8')) as Record<string, unknown>;
      if (body['status'] === status) return { status };
    } catch (error) {
      if (!(error instanceof CommandError) || error.code !== exitCode.unreachable) throw error;
    }
    await wait(100);
  }
  throw new CommandError(exitCode.failure, `the server is not ${status} after 15 seconds: its log tells why`);
}

/** A share a line; blanks in an answer's text part them too. Views, not copies. */
function* linesOf(text: Buffer): Generator<Buffer> {
  let from = 0;
  for (let at = 0; at <= text.length; at += 1) {
    const byte = text[at];
    if (byte !== undefined && byte !== 10 && byte !== 13 && byte !== 32) continue;
    if (at > from) yield text.subarray(from, at);
    from = at + 1;
  }
}

function fileBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    throw new CommandError(exitCode.usage, `${path} cannot be read`);
  }
}

/** Standard input to its end; at a terminal one line, which is not shown. */
async function typed(): Promise<Buffer> {
  const { stdin } = process;
  const room = Buffer.allocUnsafeSlow(64 * 1024);
  let length = 0;
  if (stdin.isTTY) {
    process.stderr.write('Share: ');
    stdin.setRawMode(true);
  }
  try {
    for await (const part of stdin as AsyncIterable<Buffer>) {
      if (stdin.isTTY && part.includes(3)) throw new CommandError(exitCode.interrupted, 'interrupted');
      if (length + part.length > room.length) throw new CommandError(exitCode.usage, 'that is more than shares can be');
      length += part.copy(room, length);
      part.fill(0);
      if (stdin.isTTY && (room.subarray(0, length).includes(13) || room.subarray(0, length).includes(10))) break;
    }
  } finally {
    if (stdin.isTTY) {
      stdin.setRawMode(false);
      process.stderr.write('\n');
    }
    stdin.destroy();
  }
  return room.subarray(0, length);
}

const mark = Buffer.from('"shares":"');

/** Shares are written out as the bytes they came as, a line each; the rest as usual. */
async function showShares(answer: Buffer, format: Format): Promise<void> {
  const at = answer.indexOf(mark);
  if (at < 0) {
    const body = JSON.parse(answer.toString('utf8')) as Record<string, unknown>;
    if (typeof body['message'] === 'string' && format.json !== true) say(body['message']);
    printRecord(body, format);
    return;
  }
  if (format.json === true) {
    await write(answer);
    process.stdout.write('\n');
    return;
  }
  const rest = JSON.parse(`${answer.toString('utf8', 0, at).replace(/,$/, '')}}`) as Record<string, unknown>;
  const shares = answer.subarray(at + mark.length, answer.length - 2);
  for (let i = 0; i < shares.length; i += 1) if (shares[i] === 32) shares[i] = 10;
  await write(shares);
  process.stdout.write('\n');
  say(typeof rest['message'] === 'string' ? rest['message'] : 'every line is one person\'s share; they are not shown again');
  answer.fill(0);
}

async function write(bytes: Buffer): Promise<void> {
  await new Promise<void>((done, fail) => { process.stdout.write(bytes, (error) => { if (error) fail(error); else done(); }); });
}
