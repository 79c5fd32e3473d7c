/** Where commands take PINs from. They are read by the core; only one given as an argument passes through here. */
import type { Command } from 'commander';
import { HsmError } from '../hsm/core.ts';
import type { PinHandle, PinSource, TokenFiles } from '../hsm/token-files.ts';
import { CommandError, exitCode, say } from './output.ts';

/** One kind of PIN: its option `--NAME`, its variable, what a person is asked. */
export interface PinKind {
  readonly name: 'pin' | 'so-pin' | 'new-pin' | 'softhsm-pin' | 'passphrase';
  readonly variable: string;
  readonly prompt: string;
}

export const userPin: PinKind = { name: 'pin', variable: 'STRONGROOM_PIN', prompt: 'User PIN' };
export const officerPin: PinKind = { name: 'so-pin', variable: 'STRONGROOM_SO_PIN', prompt: 'SO PIN' };
export const newPin: PinKind = { name: 'new-pin', variable: 'STRONGROOM_NEW_PIN', prompt: 'New PIN' };
export const passphrase: PinKind = { name: 'passphrase', variable: 'STRONGROOM_BACKUP_PASSPHRASE', prompt: 'Passphrase of the backup' };

export type PinOptions = Readonly<Record<string, unknown>>;

const camel = (name: string): string => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

export function withPins(command: Command, ...kinds: readonly PinKind[]): Command {
  for (const { name, variable, prompt } of kinds) {
    const what = `${prompt.charAt(0).toLowerCase() === 'u' || prompt.startsWith('SO') ? prompt : prompt.toLowerCase()}`;
    command
      .option(`--${name}-file <path>`, `${what}: the first line of a file`)
      .option(`--${name}-stdin`, `${what}: the next line of standard input`)
      .option(`--${name} <value>`, `${what} as an argument: whoever lists processes reads it; or ${variable} in the environment`);
  }
  return command;
}

/** Reads PINs for one command, and forgets them with it. */
export class Pins {
  readonly #tokens: TokenFiles;
  readonly #options: PinOptions;
  readonly #held: PinHandle[] = [];

  constructor(tokens: TokenFiles, options: PinOptions) {
    this.#tokens = tokens;
    this.#options = options;
  }

  /** `fresh`: one to be set, which a person types twice. */
  read(kind: PinKind, fresh = false): PinHandle {
    const source = this.#source(kind, fresh);
    try {
      const pin = this.#tokens.pin(source);
      this.#held.push(pin);
      return pin;
    } catch (error) {
      throw refused(kind, source, error);
    }
  }

  close(): void {
    for (const pin of this.#held.splice(0)) this.#tokens.drop(pin);
  }

  #source({ name, variable, prompt }: PinKind, fresh: boolean): PinSource {
    const file = this.#options[`${camel(name)}File`];
    const value = this.#options[camel(name)];
    if (typeof file === 'string') return { from: 'file', path: file };
    if (this.#options[`${camel(name)}Stdin`] === true) return { from: 'stdin' };
    if (typeof value === 'string') {
      say(`warning: --${name} is seen by whoever lists processes; --${name}-file and --${name}-stdin are not`);
      return { from: 'bytes', bytes: Buffer.from(value) };
    }
    if ((process.env[variable] ?? '') !== '') return { from: 'environment', name: variable };
    return { from: 'terminal', prompt: `${prompt}: `, twice: fresh };
  }
}

function refused({ name, variable, prompt }: PinKind, source: PinSource, error: unknown): unknown {
  if (!(error instanceof HsmError)) return error;
  switch (error.code) {
    case 'HSM_E_UNSUPPORTED': return new CommandError(exitCode.usage, `${prompt} is needed, and there is no terminal to ask at`, `give --${name}-file, --${name}-stdin or ${variable}`);
    case 'HSM_E_ARGS': return new CommandError(exitCode.interrupted, 'interrupted');
    case 'HSM_E_PIN': return new CommandError(exitCode.usage, `${prompt}: the two are not the same`);
    case 'HSM_E_PIN_LEN': return new CommandError(exitCode.usage, `${prompt}: longer than 255 bytes`);
    case 'HSM_E_IO': return new CommandError(exitCode.usage, `${prompt}: ${source.from === 'file' ? `${source.path} cannot be read, or is empty` : 'nothing came'}`);
    default: return error;
  }
}
