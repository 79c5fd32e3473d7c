/** Identifiers, from the core's generator: read in pages, cut as needed. Public values, never keys. */
import type { Core, SessionHandle } from '../hsm/core.ts';

export class Ids {
  readonly #core: Pick<Core, 'random'>;
  readonly #session: SessionHandle;
  readonly #page = Buffer.alloc(4096);
  #used = this.#page.length;

  constructor(core: Pick<Core, 'random'>, session: SessionHandle) {
    this.#core = core;
    this.#session = session;
  }

  /** `length` bytes as hex. */
  hex(length: number): string {
    if (this.#used + length > this.#page.length) {
      this.#core.random(this.#session, this.#page);
      this.#used = 0;
    }
    return this.#page.toString('hex', this.#used, (this.#used += length));
  }

  /** A version 4 UUID. */
  uuid(): string {
    const h = this.hex(16);
    const variant = '89ab'.charAt(parseInt(h.charAt(16), 16) & 3);
    return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-${variant}${h.slice(17, 20)}-${h.slice(20)}`;
  }

  multiRegionKeyId(): string {
    return `mrk-${this.hex(16)}`;
  }

  /** KeyMaterialId, GrantId: 64 hex digits. */
  long(): string {
    return this.hex(32);
  }
}
