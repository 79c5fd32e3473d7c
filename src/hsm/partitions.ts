import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { HsmError, type PartitionHandle, type SessionHandle } from './core.ts';
import type { NativeCore } from './native.ts';

export interface PartitionOptions {
  /** 4 to 255 bytes; asked for by `session({ partition, pin })`. Partitions in a home must have one. */
  readonly pin?: string | Uint8Array;
  /** The officer sets a forgotten PIN anew. Left out: nobody can. */
  readonly officerPin?: string | Uint8Array;
  /** Strict: no keys in the clear come in, wrapping only by authenticated mechanisms. Default false. */
  readonly strict?: boolean;
}

const bytes = (pin: string | Uint8Array): Uint8Array => (typeof pin === 'string' ? Buffer.from(pin) : pin);

/**
 * Partitions by name. Without a home they live as long as the core; in a home each is a token, whose
 * header is a file `NAME.partition` and whose PIN tries are counted in the folder `device`.
 */
export class Partitions {
  readonly #core: NativeCore;
  readonly #home: string | undefined;
  readonly #open = new Map<string, PartitionHandle>();
  readonly #withPin = new Set<string>();

  constructor(core: NativeCore, home: string | undefined) {
    this.#core = core;
    this.#home = home;
    if (home !== undefined) mkdirSync(home, { recursive: true, mode: 0o700 });
  }

  /** The partition; without a home it is made when it is new. HSM_E_PARTITION: the home has none of this name. */
  get(name: string): PartitionHandle {
    const open = this.#open.get(name);
    if (open !== undefined) return open;
    const partition = this.#home === undefined ? this.#core.ephemeralPartition(checked(name)) : this.#load(this.#home, checked(name));
    this.#open.set(name, partition);
    return partition;
  }

  has(name: string): boolean {
    return this.#open.has(name) || (this.#home !== undefined && existsSync(fileOf(this.#home, checked(name))));
  }

  /** HSM_E_EXISTS. */
  async create(name: string, options: PartitionOptions): Promise<void> {
    if (this.has(checked(name))) throw new HsmError('HSM_E_EXISTS', `a partition ${name} exists already`);
    if (this.#home !== undefined) return await this.#createToken(this.#home, name, options);
    const partition = this.get(name);
    const session = this.#core.openSession(partition);
    try {
      // The user of a partition without PINs sets the officer's first: from then on it is asked for.
      if (options.officerPin !== undefined) await this.#core.setPinSlow(session, 'officer', bytes(options.officerPin));
      if (options.pin !== undefined) await this.#core.setPinSlow(session, 'user', bytes(options.pin));
      if (options.pin !== undefined || options.officerPin !== undefined) {
        this.#withPin.add(name);
        this.#core.logout(session);
      }
    } finally {
      this.#core.closeSession(session);
    }
    if (options.strict === true) this.#core.restrictPartition(partition);
  }

  asksForPin(name: string): boolean {
    return this.#home !== undefined || this.#withPin.has(name);
  }

  /** Another process may have changed a PIN. */
  refresh(name: string): void {
    const partition = this.#open.get(name);
    if (this.#home !== undefined && partition !== undefined) this.#core.refreshToken(partition, readFileSync(fileOf(this.#home, name)));
  }

  /** Sets a PIN anew. By its owner, `old` is checked; by the officer's session, for the user, it is empty. */
  async setPin(name: string, session: SessionHandle, role: 'user' | 'officer', old: string | Uint8Array, pin: string | Uint8Array): Promise<void> {
    if (this.#home === undefined) {
      await this.#core.setPinSlow(session, role, bytes(pin));
      this.#withPin.add(name);
      return;
    }
    writeWhole(fileOf(this.#home, name), await this.#core.setTokenPin(session, role, bytes(old), bytes(pin)));
  }

  close(): void {
    for (const partition of this.#open.values()) this.#core.closePartition(partition);
    this.#open.clear();
  }

  #load(home: string, name: string): PartitionHandle {
    const file = fileOf(home, name);
    if (!existsSync(file)) throw new HsmError('HSM_E_PARTITION', `there is no partition ${name}: make it with createPartition`);
    return this.#core.openToken(deviceOf(home), readFileSync(file));
  }

  async #createToken(home: string, name: string, options: PartitionOptions): Promise<void> {
    if (options.pin === undefined) throw new TypeError('pin must be given: a partition in a home opens by PIN');
    const officerPin = options.officerPin === undefined ? this.#unknownPin() : Buffer.from(bytes(options.officerPin));
    const { partition } = await this.#core.createToken(deviceOf(home), officerPin, options.strict ?? false);
    try {
      const session = this.#core.openSession(partition);
      await this.#core.loginSlow(session, 'officer', officerPin);
      const header = await this.#core.setTokenPin(session, 'user', Buffer.alloc(0), bytes(options.pin));
      this.#core.logout(session);
      this.#core.closeSession(session);
      // Only a partition that has its PIN gets its file: half a one is never there.
      writeWhole(fileOf(home, name), header);
    } catch (error) {
      this.#core.closePartition(partition);
      throw error;
    } finally {
      officerPin.fill(0);
    }
    this.#open.set(name, partition);
  }

  /** Nobody learns it, so nobody is the officer. */
  #unknownPin(): Buffer {
    const scratch = this.#core.openSession(this.#core.ephemeralPartition('officer'));
    const pin = Buffer.alloc(4096);
    this.#core.random(scratch, pin.subarray(0, 64));
    this.#core.closeSession(scratch);
    return pin.subarray(0, 64);
  }
}

const fileOf = (home: string, name: string): string => join(home, `${name}.partition`);
const deviceOf = (home: string): string => join(home, 'device');

function checked(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) throw new TypeError('partition must be 1 to 64 letters, digits, dots, dashes or underscores');
  return name;
}

/** The old file or the new one, whatever happens in between. */
function writeWhole(file: string, content: Buffer): void {
  const beside = `${file}.${process.pid}`;
  const fd = openSync(beside, 'wx', 0o600);
  try {
    writeSync(fd, content);
    fsyncSync(fd);
  } catch (error) {
    closeSync(fd);
    rmSync(beside, { force: true });
    throw error;
  }
  closeSync(fd);
  renameSync(beside, file);
  const folder = openSync(join(file, '..'), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
