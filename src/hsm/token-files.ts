/**
 * Tokens at rest: the files that the Cryptoki module serves, opened by the same code, while other
 * processes use them. PINs are read by the core from where they come; here they are numbers.
 */
import type { Attribute, KeyHandle, PartitionHandle, SessionHandle } from './core.ts';
import type { AddonImport, AddonToken, TokenFileAddon } from './addon.ts';

declare const brand: unique symbol;
export type TokenHandle = number & { readonly [brand]: 'token' };
export type PinHandle = number & { readonly [brand]: 'pin' };

/** Where a PIN is read from; of a file and of standard input, one line. */
export type PinSource =
  | { readonly from: 'file'; readonly path: string }
  | { readonly from: 'environment'; readonly name: string }
  | { readonly from: 'stdin' }
  | { readonly from: 'terminal'; readonly prompt: string; readonly twice?: boolean }
  | { readonly from: 'bytes'; readonly bytes: Uint8Array };

export type TokenRole = 'user' | 'officer';

type Packed = <T>(attributes: readonly Attribute[], call: (packed: Uint8Array | undefined) => T) => T;

const numberOf = (role: TokenRole): number => (role === 'user' ? 1 : 2);

/** Throws HsmError: HSM_E_PIN, HSM_E_PIN_LOCKED, HSM_E_INTEGRITY (a damaged file), HSM_E_GONE (it was removed or replaced), … */
export class TokenFiles {
  readonly #addon: TokenFileAddon;
  readonly #packed: Packed;

  constructor(addon: TokenFileAddon, packed: Packed) {
    this.#addon = addon;
    this.#packed = packed;
  }

  /** Reads a PIN into the core. At a terminal it waits for it, on this thread. */
  pin(source: PinSource): PinHandle {
    switch (source.from) {
      case 'file': return this.#addon.tokenFilePinRead(0, source.path) as PinHandle;
      case 'environment': return this.#addon.tokenFilePinRead(1, source.name) as PinHandle;
      case 'stdin': return this.#addon.tokenFilePinRead(2, '') as PinHandle;
      case 'terminal': return this.#addon.tokenFilePinRead(source.twice === true ? 4 : 3, source.prompt) as PinHandle;
      case 'bytes': return this.#addon.tokenFilePinTake(source.bytes) as PinHandle;
    }
  }

  /** Detaches a token, wipes a PIN; work under way finishes first. */
  drop(held: TokenHandle | PinHandle): void {
    this.#addon.tokenFileDrop(held);
  }

  /** Where tokens are when nothing else is said, as the module has it. */
  home(): string {
    return this.#addon.tokenFileHome();
  }

  /** Slot numbers of the tokens in `home`, ascending. */
  scan(home: string): readonly number[] {
    return this.#addon.tokenFileScan(home);
  }

  async make(home: string, slot: number, label: string, soPin: PinHandle, strict: boolean): Promise<TokenHandle> {
    return (await this.#addon.tokenFileMakeSlow(home, slot, label, soPin, strict)) as TokenHandle;
  }

  attach(home: string, slot: number): TokenHandle {
    return this.#addon.tokenFileAttach(home, slot) as TokenHandle;
  }

  delete(home: string, slot: number): void {
    this.#addon.tokenFileDelete(home, slot);
  }

  partition(token: TokenHandle): PartitionHandle {
    return this.#addon.tokenFilePartition(token) as PartitionHandle;
  }

  about(token: TokenHandle): AddonToken {
    return this.#addon.tokenFileAbout(token);
  }

  /** Anew: every object goes. */
  async reset(token: TokenHandle, label: string, soPin: PinHandle, strict: boolean): Promise<void> {
    await this.#addon.tokenFileResetSlow(token, label, soPin, strict);
  }

  /** The policy is bound into both wrapped keys, so both PINs are needed; `userPin` where one is set. */
  async setPolicy(token: TokenHandle, soPin: PinHandle, userPin: PinHandle | undefined, strict: boolean): Promise<void> {
    await this.#addon.tokenFilePolicySlow(token, soPin, userPin, strict);
  }

  async login(token: TokenHandle, session: SessionHandle, role: TokenRole, pin: PinHandle): Promise<void> {
    await this.#addon.tokenFileLoginSlow(token, session, numberOf(role), pin);
  }

  /** Is this the PIN of the user, who is logged in already? */
  async checkPin(token: TokenHandle, session: SessionHandle, pin: PinHandle): Promise<void> {
    await this.#addon.tokenFilePinCheckSlow(token, session, pin);
  }

  logout(token: TokenHandle, session: SessionHandle): void {
    this.#addon.tokenFileLogout(token, session);
  }

  /** By its owner with the `old` one; by a session of the officer, for the user, without. */
  async setPin(token: TokenHandle, session: SessionHandle, role: TokenRole, old: PinHandle | undefined, pin: PinHandle): Promise<void> {
    await this.#addon.tokenFilePinSlow(token, session, numberOf(role), old, pin);
  }

  /** Makes live objects durable, both or none. */
  put(token: TokenHandle, session: SessionHandle, key: KeyHandle, publicKey?: KeyHandle): void {
    this.#addon.tokenFilePut(token, session, key, publicKey ?? 0);
  }

  holds(token: TokenHandle, session: SessionHandle, key: KeyHandle): boolean {
    return this.#addon.tokenFileHolds(token, session, key);
  }

  change(token: TokenHandle, session: SessionHandle, key: KeyHandle, attributes: readonly Attribute[]): void {
    this.#packed(attributes, (packed) => { this.#addon.tokenFileChange(token, session, key, packed); });
  }

  remove(token: TokenHandle, session: SessionHandle, key: KeyHandle): void {
    this.#addon.tokenFileRemove(token, session, key);
  }

  find(token: TokenHandle, session: SessionHandle, attributes: readonly Attribute[]): readonly KeyHandle[] {
    return this.#packed(attributes, (packed) => this.#addon.tokenFileFind(token, session, packed)).map((key) => key as KeyHandle);
  }

  /** A new file at `path`. Without a passphrase it opens on this device; with one anywhere, and the session must be the officer's. HSM_E_EXISTS. */
  async backup(token: TokenHandle, session: SessionHandle, home: string, passphrase: PinHandle | undefined, path: string): Promise<void> {
    await this.#addon.tokenFileBackupSlow(token, session, home, passphrase, path);
  }

  /**
   * Puts a backup into a slot; answers another slot when the same token is in that already, and nothing was done.
   * HSM_E_EXISTS: the slot is taken; HSM_E_PIN: wrong passphrase, or it was altered; HSM_E_INTEGRITY: altered, or another device's.
   */
  async restore(home: string, slot: number, passphrase: PinHandle | undefined, path: string, replace: boolean): Promise<number> {
    return await this.#addon.tokenFileRestoreSlow(home, slot, passphrase, path, replace);
  }

  /** Label of the SoftHSM2 token whose folder this is. HSM_E_IO, HSM_E_FORMAT; HSM_E_UNSUPPORTED: kept in a database. */
  softhsmLabel(folder: string): string {
    return this.#addon.tokenFileSofthsmLabel(folder);
  }

  /** Its objects, opened with its user's PIN in the core, into `token`; all or none, unless `partial`. */
  async importSofthsm(token: TokenHandle, session: SessionHandle, folder: string, pin: PinHandle, partial: boolean): Promise<AddonImport> {
    return await this.#addon.tokenFileImportSofthsmSlow(token, session, folder, pin, partial);
  }
}

/** RFC 7512; what PKCS#11 programs take as the name of a token. `id`: 32 hex digits, of which the serial number is the first half. */
export function tokenUri(label: string, id: string): string {
  return `pkcs11:model=Strongroom;manufacturer=Strongroom;serial=${serialOf(id)};token=${encoded(label)}`;
}

export const serialOf = (id: string): string => id.slice(0, 16);

/** What RFC 7512 lets stand in a path attribute stands; all else is percent-encoded. */
function encoded(text: string): string {
  return [...Buffer.from(text)].map((byte) => {
    const c = String.fromCharCode(byte);
    return /[A-Za-z0-9\-._~:[\]@!$'()*+,=&]/.test(c) ? c : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
