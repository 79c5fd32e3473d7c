/** The root key's unseal slots, and the shares that people keep (native/module/hsm.h). */
import type { Addon } from './addon.ts';
import type { Mode, Payload } from './core.ts';

/** Where a slot's key comes from. */
export type SlotSource =
  | { readonly how: 'keyfile' | 'passphrase'; readonly path: string }
  | { readonly how: 'shares'; readonly threshold: number; readonly count: number }
  | HeldSource;

/** Somebody else answers; with a file the core makes at `path`. Neither is of use alone. */
export interface HeldSource {
  readonly how: 'held';
  readonly path: string;
  /** Public, in the header: whom to ask, and what. */
  readonly note: Uint8Array;
  /** 16 to 64 secret bytes, the same each time. */
  readonly answer: Uint8Array;
}

export type RootSlot =
  | { readonly how: 'keyfile' | 'passphrase' | 'unknown' }
  | { readonly how: 'shares'; readonly threshold: number; readonly count: number }
  | { readonly how: 'held'; readonly note: Buffer };

export interface MadeSlot {
  readonly header: Buffer;
  /** Of `shares`: a line each, this once; released by the caller. */
  readonly shares?: Payload;
}

/** The core's calls about unseal slots. */
export interface RootSlots {
  make(mode: Mode, source: SlotSource): Promise<MadeSlot>;
  open(header: Uint8Array, source: Exclude<SlotSource, { how: 'shares' }>): Promise<void>;
  list(header: Uint8Array): readonly RootSlot[];
  /** The open root's header with a slot more, to be stored in the old one's place. */
  add(header: Uint8Array, source: SlotSource): Promise<MadeSlot>;
  remove(header: Uint8Array, index: number): Buffer;
  /** Purpose `unseal` opens the root; any other is approved, when `have` is `need`. */
  putShare(header: Uint8Array, purpose: string, share: Uint8Array): { readonly have: number; readonly need: number };
  dropShares(): void;
}

const kinds = ['keyfile', 'passphrase', 'shares', 'held', 'unknown'] as const;
const modes: readonly Mode[] = ['production', 'dev', 'lab'];
const nothing = new Uint8Array(0);
const shareLine = 100;
const slotsMax = 16;
const headerMax = 65536;

export class AddonRootSlots implements RootSlots {
  readonly #addon: Addon;
  readonly #take: (length: number) => Payload;

  constructor(addon: Addon, take: (length: number) => Payload) {
    this.#addon = addon;
    this.#take = take;
  }

  make(mode: Mode, source: SlotSource): Promise<MadeSlot> {
    const number = modes.indexOf(mode);
    if (number < 0) throw new TypeError('mode must be production, dev or lab');
    return this.#made(source, (shares, room) => this.#addon.rootMakeSlow(number, ...argumentsOf(source), shares, room));
  }

  async open(header: Uint8Array, source: Exclude<SlotSource, { how: 'shares' }>): Promise<void> {
    await this.#addon.rootOpenSlotSlow(header, ...argumentsOf(source));
  }

  list(header: Uint8Array): readonly RootSlot[] {
    const room = Buffer.allocUnsafeSlow(4096);
    const slots: RootSlot[] = [];
    // The name takes 26 bytes, then comes the number of slots.
    for (let i = 0; i < Math.min(header[26] ?? 0, slotsMax); i++) {
      const [how = 4, threshold = 0, count = 0, length = 0] = this.#addon.rootSlotAt(header, i, room);
      const kind = kinds[how] ?? 'unknown';
      slots.push(kind === 'shares' ? { how: kind, threshold, count } : kind === 'held' ? { how: kind, note: Buffer.from(room.subarray(0, length)) } : { how: kind });
    }
    return slots;
  }

  add(header: Uint8Array, source: SlotSource): Promise<MadeSlot> {
    return this.#made(source, (shares, room) => this.#addon.rootSlotAddSlow(header, ...argumentsOf(source), shares, room));
  }

  remove(header: Uint8Array, index: number): Buffer {
    const room = Buffer.allocUnsafeSlow(headerMax);
    return Buffer.from(room.subarray(0, this.#addon.rootSlotRemove(header, index, room)));
  }

  putShare(header: Uint8Array, purpose: string, share: Uint8Array): { readonly have: number; readonly need: number } {
    const [have = 0, need = 0] = this.#addon.sharePut(header, purpose, share);
    return { have, need };
  }

  dropShares(): void {
    this.#addon.shareDrop();
  }

  async #made(source: SlotSource, call: (shares: Uint8Array | undefined, room: Uint8Array) => Promise<readonly number[]>): Promise<MadeSlot> {
    const room = Buffer.allocUnsafeSlow(headerMax);
    const shares = source.how === 'shares' ? this.#take(source.count * shareLine) : undefined;
    try {
      const [written = 0, length = 0] = await call(shares?.room, room);
      return { header: Buffer.from(room.subarray(0, length)), ...(shares === undefined ? {} : { shares: shares.fill(written) }) };
    } catch (error) {
      shares?.release();
      throw error;
    }
  }
}

/** As the addon takes a slot: how, path, threshold and count in one, note, answer. */
type SlotArguments = [how: number, path: string, shape: number, note: Uint8Array, answer: Uint8Array];

function argumentsOf(source: SlotSource): SlotArguments {
  const how = kinds.indexOf(source.how);
  switch (source.how) {
    case 'shares': return [how, '', source.threshold * 256 + source.count, nothing, nothing];
    case 'held': return [how, source.path, 0, source.note, source.answer];
    default: return [how, source.path, 0, nothing, nothing];
  }
}
