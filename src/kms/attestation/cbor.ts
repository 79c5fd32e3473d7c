/** CBOR (RFC 8949), as much as a COSE_Sign1 document needs: definite lengths, no floats, depth and size bounded by the input. */

export type Cbor = number | bigint | string | boolean | null | Buffer | readonly Cbor[] | ReadonlyMap<Cbor, Cbor> | Tagged;

export class Tagged {
  constructor(readonly tag: number, readonly value: Cbor) {}
}

export class CborError extends Error {
  override readonly name = 'CborError';
}

const deepest = 16;

/** One value and nothing behind it. */
export function decodeCbor(bytes: Buffer): Cbor {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new CborError('bytes behind the value');
  }

  value(depth: number): Cbor {
    if (depth > deepest) throw new CborError('too deep');
    const first = this.#take(1)[0] ?? 0;
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) return this.#simple(info);
    const n = this.#argument(info);
    switch (major) {
      case 0: return small(n);
      case 1: return small(-1n - n);
      case 2: return Buffer.from(this.#take(this.#length(n)));
      case 3: return text(this.#take(this.#length(n)));
      case 4: return this.#list(this.#length(n), depth);
      case 5: return this.#map(this.#length(n), depth);
      default: return new Tagged(Number(n), this.value(depth + 1));
    }
  }

  #simple(info: number): Cbor {
    if (info === 20 || info === 21) return info === 21;
    if (info === 22 || info === 23) return null;
    throw new CborError('a simple value that has no place here');
  }

  #argument(info: number): bigint {
    if (info < 24) return BigInt(info);
    if (info > 27) throw new CborError('indefinite length');
    return this.#take(1 << (info - 24)).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }

  /** Counts cannot pass what is left: nothing is made room for that is not there. */
  #length(n: bigint): number {
    if (n > BigInt(this.#bytes.length - this.#at)) throw new CborError('longer than the input');
    return Number(n);
  }

  #list(count: number, depth: number): readonly Cbor[] {
    return Array.from({ length: count }, () => this.value(depth + 1));
  }

  #map(count: number, depth: number): ReadonlyMap<Cbor, Cbor> {
    const map = new Map<Cbor, Cbor>();
    for (let i = 0; i < count; i++) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string' && typeof key !== 'number') throw new CborError('a key that is neither text nor a number');
      if (map.has(key)) throw new CborError('a key twice');
      map.set(key, this.value(depth + 1));
    }
    return map;
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new CborError('shorter than it says');
    return this.#bytes.subarray(this.#at, (this.#at += length));
  }
}

const small = (n: bigint): Cbor => (n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n);

function text(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CborError('text that is not UTF-8');
  }
}

/** What is encoded here: a signature's input. */
export function encodeCbor(items: readonly (string | Buffer)[]): Buffer {
  const parts = items.flatMap((item) => {
    const bytes = typeof item === 'string' ? Buffer.from(item) : item;
    return [head(typeof item === 'string' ? 3 : 2, bytes.length), bytes];
  });
  return Buffer.concat([head(4, items.length), ...parts]);
}

function head(major: number, n: number): Buffer {
  if (n < 24) return Buffer.from([(major << 5) | n]);
  if (n < 0x100) return Buffer.from([(major << 5) | 24, n]);
  const bytes = Buffer.alloc(n < 0x10000 ? 3 : 5);
  bytes[0] = (major << 5) | (n < 0x10000 ? 25 : 26);
  bytes.writeUIntBE(n, 1, bytes.length - 1);
  return bytes;
}
