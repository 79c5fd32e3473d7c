import type { Payload } from './core.ts';
import type { Addon } from './addon.ts';

/** Smallest room: below it V8 may keep a Buffer's bytes on its own heap and copy them about. */
const smallest = 4096;
/** Rooms above this size are freed at release. */
const largest = 1 << 20;
/** Bytes kept ready in each size class. */
const kept = 1 << 20;

/**
 * Rooms for secret bytes, made by the core and kept ready by size class (powers of two from 4 KiB).
 *
 * A room goes back when its payload is released, wiped. A payload that is forgotten instead never
 * goes back: somebody may still hold a view of it. Its memory is wiped by the core when the last view
 * has been collected.
 */
export class PayloadPool {
  readonly #addon: Addon;
  readonly #ready: Buffer[][] = [];

  constructor(addon: Addon) {
    this.#addon = addon;
  }

  /** Room for at least `length` bytes; filled with none. Throws HsmError HSM_E_MEMORY. */
  take(length: number): Payload {
    if (!Number.isSafeInteger(length) || length < 0) throw new TypeError('length must be a whole number of bytes');
    const size = Math.max(smallest, 2 ** Math.ceil(Math.log2(Math.max(1, length))));
    const room = (size <= largest ? this.#ready[classOf(size)]?.pop() : undefined) ?? Buffer.from(this.#addon.payloadAlloc(size <= largest ? size : length));
    return new PooledPayload(this, room);
  }

  /** Wiped first. */
  give(room: Buffer): void {
    if (room.length > largest) {
      this.#addon.payloadFree(room.buffer as ArrayBuffer);
      return;
    }
    this.#addon.payloadWipe(room);
    const ready = (this.#ready[classOf(room.length)] ??= []);
    if ((ready.length + 1) * room.length <= kept) ready.push(room);
    else this.#addon.payloadFree(room.buffer as ArrayBuffer);
  }

  /** Wipes a view of a payload, or any bytes. */
  wipe(bytes: Uint8Array): void {
    this.#addon.payloadWipe(bytes);
  }

  /** Frees the rooms that are ready. */
  drain(): void {
    for (const ready of this.#ready.splice(0)) for (const room of ready ?? []) this.#addon.payloadFree(room.buffer as ArrayBuffer);
  }
}

const classOf = (size: number): number => 31 - Math.clz32(size);

class PooledPayload implements Payload {
  readonly #pool: PayloadPool;
  #room: Buffer | undefined;
  #bytes: Buffer | undefined;

  constructor(pool: PayloadPool, room: Buffer) {
    this.#pool = pool;
    this.#room = room;
  }

  get room(): Buffer {
    if (this.#room === undefined) throw new Error('the payload was released');
    return this.#room;
  }

  get bytes(): Buffer {
    return (this.#bytes ??= this.room.subarray(0, 0));
  }

  fill(length: number): this {
    const room = this.room;
    if (!(length >= 0 && length <= room.length)) throw new RangeError(`a payload of ${room.length} bytes cannot hold ${length}`);
    this.#bytes = room.subarray(0, length);
    return this;
  }

  release(): void {
    const room = this.#room;
    if (room === undefined) return;
    this.#room = undefined;
    this.#bytes = undefined;
    this.#pool.give(room);
  }
}
