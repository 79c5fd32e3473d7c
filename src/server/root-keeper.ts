/**
 * The root key's record and how it is opened: by what this start was told (a key file, a passphrase,
 * whoever holds a slot), or by people who bring their shares.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HsmError } from '../hsm/core.ts';
import type { Core, Mode, Payload, Unseal } from '../hsm/core.ts';
import type { MadeSlot, RootSlot, SlotSource } from '../hsm/root.ts';
import type { Store } from '../store/store.ts';
import { AdminError } from './accounts.ts';
import type { Holders } from './holders.ts';

export interface RootKeeperOptions {
  readonly core: Core;
  readonly store: Store;
  readonly home: string;
  /** undefined: nothing but people's shares and an operator's word. */
  readonly unseal: Unseal | undefined;
  /** Of a root that is made. */
  readonly mode: Mode | undefined;
  /** The core's part of a slot that somebody else holds. */
  readonly partFile: string;
  readonly holders: Holders;
}

/** What went wrong, for each source that was tried. */
export interface Refused {
  readonly source: string;
  readonly error: unknown;
}

export class RootKeeper {
  readonly #options: RootKeeperOptions;
  /** Who waits for a change: the server, which swaps what it serves. */
  #changed: (open: boolean) => void = () => undefined;

  constructor(options: RootKeeperOptions) {
    this.#options = options;
  }

  onChange(changed: (open: boolean) => void): void {
    this.#changed = changed;
  }

  get unsealed(): boolean {
    return this.#options.core.describe().unsealed;
  }

  /** undefined: there is no root key yet. */
  async header(): Promise<Buffer | undefined> {
    const row = await this.#options.store.get('root', 'root');
    if (row === undefined) return undefined;
    if (row.sealed === undefined) throw new AdminError(503, 'the store\'s root record has no header');
    return row.sealed;
  }

  async slots(): Promise<readonly RootSlot[]> {
    const header = await this.header();
    return header === undefined ? [] : this.#options.core.rootSlots.list(header);
  }

  /** As this start was told, every way that the root has; answers what was refused where none opened it. */
  async tryOpen(): Promise<readonly Refused[]> {
    const { core, unseal, holders, partFile } = this.#options;
    const header = await this.header();
    if (header === undefined || this.unsealed) return [];
    const slots = core.rootSlots.list(header);
    const refused: Refused[] = [];
    if (unseal !== undefined) {
      try {
        await core.rootSlots.open(header, unseal);
        return [];
      } catch (error) {
        refused.push({ source: unseal.path, error });
      }
    }
    for (const slot of slots) {
      if (slot.how !== 'held') continue;
      try {
        const answer = await holders.ask(slot.note);
        try {
          await core.rootSlots.open(header, { how: 'held', path: partFile, note: slot.note, answer: answer.bytes });
        } finally {
          answer.release();
        }
        return [];
      } catch (error) {
        refused.push({ source: holders.nameOf(slot.note), error });
      }
    }
    return refused;
  }

  /** Makes the root key, with one slot, and stores its header. */
  async make(source: SlotSource): Promise<MadeSlot> {
    const { core, store, mode = 'production' } = this.#options;
    if ((await this.header()) !== undefined) throw new AdminError(409, 'there is a root key already');
    const made = await this.#makeRoot(mode, source);
    await store.tx(async (tx) => { tx.insert('root', { id: 'root', account: '', region: '', body: {}, sealed: made.header }); });
    this.#changed(true);
    return made;
  }

  /** The operator's unseal: by what this start was told, or by another file. */
  async open(source?: Exclude<SlotSource, { how: 'shares' | 'held' }>): Promise<void> {
    const header = await this.header();
    if (header === undefined) throw new AdminError(409, 'there is no root key yet: strongroom operator init makes it');
    if (this.unsealed) throw new AdminError(409, 'the root key is open');
    if (source !== undefined) {
      await spoken(() => this.#options.core.rootSlots.open(header, source));
    } else {
      const refused = await this.tryOpen();
      if (!this.unsealed) throw new AdminError(409, refused.length === 0 ? 'nothing opens the root key but the operators\' shares' : refused.map(({ source: from, error }) => `${from}: ${sentenceOf(error)}`).join('; '));
    }
    this.#changed(true);
  }

  seal(): void {
    if (!this.unsealed) throw new AdminError(409, 'the root key is not open');
    this.#changed(false);
  }

  /** `unseal` opens the root when enough came; any other purpose is approved. */
  async putShare(purpose: string, share: Buffer, instead?: Buffer): Promise<{ readonly have: number; readonly need: number }> {
    const header = instead ?? (await this.header());
    if (header === undefined) throw new AdminError(409, 'there is no root key yet: strongroom operator init makes it');
    if (purpose === 'unseal' && this.unsealed) throw new AdminError(409, 'the root key is open');
    const came = await spoken(() => Promise.resolve(this.#options.core.rootSlots.putShare(header, purpose, share)));
    if (purpose === 'unseal' && this.unsealed) this.#changed(true);
    return came;
  }

  dropShares(): void {
    this.#options.core.rootSlots.dropShares();
  }

  /** Adds a slot. */
  add(source: SlotSource): Promise<MadeSlot> {
    return this.replace(source, () => false);
  }

  /**
   * New shares beside the old: who lost the answer with the new ones has lost nothing yet. `alone` is the header without the
   * old ones, for {@link drop} when enough of the new ones came to show that they are at hand.
   */
  async reshare(source: SlotSource & { how: 'shares' }): Promise<MadeSlot & { readonly alone: Buffer }> {
    const { core } = this.#options;
    const old = (await this.slots()).flatMap((slot, index) => (slot.how === 'shares' ? [index] : []));
    const made = await this.add(source);
    return { ...made, alone: old.reverse().reduce((header, index) => core.rootSlots.remove(header, index), made.header) };
  }

  async drop(before: Buffer, alone: Buffer): Promise<void> {
    await this.#store(before, alone);
  }

  /** Adds a slot and takes others out, in one step. */
  async replace(source: SlotSource, without: (slot: RootSlot) => boolean): Promise<MadeSlot> {
    const { core } = this.#options;
    const header = await this.#opened();
    const made = await spoken(() => core.rootSlots.add(header, source));
    try {
      let next = made.header;
      core.rootSlots.list(header).map((slot, index) => ({ slot, index })).filter(({ slot }) => without(slot)).reverse()
        .forEach(({ index }) => { next = core.rootSlots.remove(next, index); });
      await this.#store(header, next);
      return { ...made, header: next };
    } catch (error) {
      made.shares?.release();
      throw error;
    }
  }

  async remove(index: number): Promise<void> {
    const { core } = this.#options;
    const header = await this.#opened();
    if (core.rootSlots.list(header).length === 1) throw new AdminError(409, 'it is the last slot: add another first');
    const next = await spoken(() => Promise.resolve(core.rootSlots.remove(header, index)));
    await this.#store(header, next);
  }

  /** The header with one slot alone, a passphrase's, in a file: with the store's data it opens everything. */
  async backup(path: string, passphraseFile: string): Promise<void> {
    const { core } = this.#options;
    const header = await this.#opened();
    let made = (await spoken(() => core.rootSlots.add(header, { how: 'passphrase', path: passphraseFile }))).header;
    for (let left = core.rootSlots.list(header).length; left > 0; left -= 1) made = core.rootSlots.remove(made, 0);
    try {
      writeFileSync(path, made, { mode: 0o600, flag: 'wx', flush: true });
    } catch (error) {
      throw new AdminError(409, `${path} cannot be written: ${error instanceof Error ? error.message : typeof error}`);
    }
  }

  /** The backup's slot in the present ones' place: every share and file of before is of no use with this store. */
  async restore(backup: Buffer, passphraseFile: string): Promise<void> {
    const { core, store } = this.#options;
    if (this.unsealed) throw new AdminError(409, 'the root key is open: a restore is for a sealed server');
    await spoken(() => core.rootSlots.open(backup, { how: 'passphrase', path: passphraseFile }));
    await store.tx(async (tx) => {
      const row = await tx.get('root', 'root');
      if (row === undefined) tx.insert('root', { id: 'root', account: '', region: '', body: {}, sealed: backup });
      else tx.update(row, { sealed: backup });
    });
    this.#changed(true);
  }

  async held(blobs: { readonly note: Buffer; readonly answer: Payload }): Promise<void> {
    try {
      await this.add({ how: 'held', path: this.#options.partFile, note: blobs.note, answer: blobs.answer.bytes });
    } finally {
      blobs.answer.release();
    }
  }

  async #opened(): Promise<Buffer> {
    const header = await this.header();
    if (header === undefined || !this.unsealed) throw new AdminError(409, 'the root key is not open');
    return header;
  }

  async #store(before: Buffer, next: Buffer): Promise<void> {
    await this.#options.store.tx(async (tx) => {
      const row = await tx.get('root', 'root');
      if (row?.sealed === undefined || !row.sealed.equals(before)) throw new AdminError(409, 'the root\'s slots were changed meanwhile');
      tx.update(row, { sealed: next });
    });
  }

  /**
   * A start that was killed between the key file and the store leaves a key file that opens nothing. At its default place
   * beside an empty store it is set aside, never overwritten; anywhere else its owner decides.
   */
  async #makeRoot(mode: Mode, source: SlotSource): Promise<MadeSlot> {
    const { core, home } = this.#options;
    try {
      return await core.rootSlots.make(mode, source);
    } catch (error) {
      if (!(error instanceof HsmError) || error.code !== 'HSM_E_EXISTS' || source.how !== 'keyfile' || source.path !== join(home, 'root.key')) throw error;
      renameSync(source.path, `${source.path}.unused-${Date.now()}`);
      return await core.rootSlots.make(mode, source);
    }
  }
}

const sentences: Readonly<Record<string, string>> = {
  HSM_E_FORMAT: 'that is no share, or it was mistyped',
  HSM_E_ROOT: 'that belongs to another root key, or to shares that were replaced',
  HSM_E_EXISTS: 'that was given already',
  HSM_E_PIN: 'that does not open the root key; shares that were given are forgotten',
  HSM_E_IO: 'the file cannot be read or written',
  HSM_E_LIMIT: 'the root key has as many slots as it may have, or only one',
  HSM_E_INTEGRITY: 'the root key\'s header was altered, or the file is another one\'s',
  HSM_E_PIN_LEN: 'the passphrase is empty',
};

function sentenceOf(error: unknown): string {
  if (error instanceof HsmError) return sentences[error.code] ?? error.message;
  return error instanceof Error ? error.message : 'it failed';
}

/** What the core refuses is the operator's to put right. */
async function spoken<R>(work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    const sentence = error instanceof HsmError ? sentences[error.code] : undefined;
    throw sentence === undefined ? error : new AdminError(409, sentence);
  }
}
