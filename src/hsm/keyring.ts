import type { Binding, KeyHandle, PartitionHandle, SessionHandle } from './core.ts';

/** Which handle is meant: of one object that is sealed differently in several places, each has its own. */
export interface Kept extends Binding {
  readonly place?: string;
}

/** What a keyring asks of the core. */
export interface KeyringCore {
  open(session: SessionHandle, partition: PartitionHandle, binding: Binding, sealed: Buffer): KeyHandle;
  closeObject(session: SessionHandle, key: KeyHandle): void;
}

export interface KeyringOptions {
  /** Most handles kept open; default 10,000. Keys on loan may go beyond it for as long as they are. */
  readonly limit?: number;
}

interface Entry {
  readonly name: string;
  readonly partition: PartitionHandle;
  readonly handle: KeyHandle;
  /** Uses under way; an entry is closed when the last ends. */
  loans: number;
  forgotten: boolean;
}

/** A key being loaded. Each of its waiters has a loan from the moment it is open. */
interface Opening {
  waiters: number;
  /** Forgotten meanwhile: for those who wait already, for nobody later. */
  stale: boolean;
  entry: Promise<Entry>;
}

/**
 * Sealed bytes to live handles. Keeps the handles used last, closes the others in the core; their
 * sealed form stays with its owner. Several callers that want the same key at once open it once.
 */
export class Keyring {
  readonly #core: KeyringCore;
  readonly #session: SessionHandle;
  readonly #limit: number;
  /** In order of use, oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #openings = new Map<string, Opening>();

  /** `session`: the service's own, which may load and close keys. */
  constructor(core: KeyringCore, session: SessionHandle, options: KeyringOptions = {}) {
    const limit = options.limit ?? 10_000;
    if (!Number.isSafeInteger(limit) || limit < 1) throw new TypeError('limit must be at least 1');
    this.#core = core;
    this.#session = session;
    this.#limit = limit;
  }

  /** Open handles. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * The handle of a key that is open; undefined says "use `use`". Good until the next turn of the
   * event loop: whoever awaits takes a loan with {@link use} instead.
   */
  peek(partition: PartitionHandle, binding: Kept): KeyHandle | undefined {
    return this.#touch(nameOf(partition, binding))?.handle;
  }

  /** As {@link peek}, opening it from `sealed` where it is not. Throws what the core says. */
  open(partition: PartitionHandle, binding: Kept, sealed: Buffer): KeyHandle {
    const name = nameOf(partition, binding);
    return (this.#touch(name) ?? this.#admit(name, partition, binding, sealed)).handle;
  }

  /**
   * Runs `work` with the key's handle, which stays open until it is done. `load` brings the sealed
   * bytes where the key is not open; it is asked once, however many wait for it.
   */
  async use<R>(partition: PartitionHandle, binding: Kept, load: () => Promise<Buffer> | Buffer, work: (key: KeyHandle) => R | Promise<R>): Promise<R> {
    const entry = await this.#borrow(nameOf(partition, binding), partition, binding, load);
    try {
      return await work(entry.handle);
    } finally {
      if (--entry.loans === 0 && entry.forgotten) this.#close(entry);
    }
  }

  /** The key was destroyed, or its sealed form replaced. Uses under way finish. */
  forget(partition: PartitionHandle, binding: Kept): void {
    const name = nameOf(partition, binding);
    const opening = this.#openings.get(name);
    if (opening !== undefined) this.#disown(name, opening);
    this.#drop(this.#entries.get(name));
  }

  forgetPartition(partition: PartitionHandle): void {
    for (const [name, opening] of this.#openings) if (name.startsWith(`${partition}\0`)) this.#disown(name, opening);
    for (const entry of [...this.#entries.values()]) if (entry.partition === partition) this.#drop(entry);
  }

  close(): void {
    for (const [name, opening] of this.#openings) this.#disown(name, opening);
    for (const entry of [...this.#entries.values()]) this.#drop(entry);
  }

  #touch(name: string): Entry | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry;
  }

  /** Whoever gets an entry here owns one of its loans. */
  #borrow(name: string, partition: PartitionHandle, binding: Binding, load: () => Promise<Buffer> | Buffer): Entry | Promise<Entry> {
    const entry = this.#touch(name);
    if (entry !== undefined) {
      entry.loans++;
      return entry;
    }
    let opening = this.#openings.get(name);
    if (opening === undefined) {
      opening = { waiters: 0, stale: false, entry: undefined as never };
      this.#openings.set(name, opening);
      opening.entry = this.#load(name, partition, binding, load, opening);
    }
    opening.waiters++;
    return opening.entry;
  }

  async #load(name: string, partition: PartitionHandle, binding: Binding, load: () => Promise<Buffer> | Buffer, opening: Opening): Promise<Entry> {
    try {
      const sealed = await load();
      if (opening.stale) return this.#make(name, partition, binding, sealed, opening.waiters, true);
      const entry = this.#touch(name) ?? this.#admit(name, partition, binding, sealed);
      entry.loans += opening.waiters;
      return entry;
    } finally {
      if (this.#openings.get(name) === opening) this.#openings.delete(name);
    }
  }

  #make(name: string, partition: PartitionHandle, binding: Binding, sealed: Buffer, loans: number, forgotten: boolean): Entry {
    return { name, partition, handle: this.#core.open(this.#session, partition, binding, sealed), loans, forgotten };
  }

  #admit(name: string, partition: PartitionHandle, binding: Binding, sealed: Buffer): Entry {
    if (this.#entries.size >= this.#limit) this.#evict();
    const entry = this.#make(name, partition, binding, sealed, 0, false);
    this.#entries.set(name, entry);
    return entry;
  }

  #disown(name: string, opening: Opening): void {
    opening.stale = true;
    this.#openings.delete(name);
  }

  #evict(): void {
    for (const entry of this.#entries.values()) {
      if (this.#entries.size < this.#limit) return;
      if (entry.loans === 0) this.#drop(entry);
    }
  }

  #drop(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.#entries.delete(entry.name);
    entry.forgotten = true;
    if (entry.loans === 0) this.#close(entry);
  }

  #close(entry: Entry): void {
    try {
      this.#core.closeObject(this.#session, entry.handle);
    } catch {
      // Its partition was closed already, and the handle with it.
    }
  }
}

const nameOf = (partition: PartitionHandle, { place = '', objectId, materialId }: Kept): string => `${partition}\0${place}\0${objectId}\0${materialId}`;
