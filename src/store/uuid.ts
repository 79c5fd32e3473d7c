/**
 * Names for requests and events. Nothing secret hangs on them: random bytes come from a pool, and the
 * text is put together from a table, because two of them are made for every request.
 */
const poolSize = 8192;
const pool = new Uint8Array(poolSize);
let at = poolSize;
const hex: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function next(): number {
  if (at === poolSize) {
    globalThis.crypto.getRandomValues(pool);
    at = 0;
  }
  return pool[at++] ?? 0;
}

function pair(): string {
  return (hex[next()] ?? '') + (hex[next()] ?? '');
}

/** The last eight bytes of every version: variant bits, then random ones. */
function node(): string {
  return `${hex[(next() & 0x3f) | 0x80] ?? ''}${hex[next()] ?? ''}-${pair()}${pair()}${pair()}`;
}

/** Version 4: random. */
export function randomUuid(): string {
  return `${pair()}${pair()}-${pair()}-4${(hex[next()] ?? '').charAt(0)}${hex[next()] ?? ''}-${node()}`;
}

/** Version 7: begins with its time, so that what it names is found by it. */
export function timeUuid(timeMs: number): string {
  const time = timeMs.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${(hex[next()] ?? '').charAt(0)}${hex[next()] ?? ''}-${node()}`;
}

/** The time in a version 7 name; undefined: another one. */
export function timeOfUuid(uuid: string): number | undefined {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid) ? Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16) : undefined;
}
