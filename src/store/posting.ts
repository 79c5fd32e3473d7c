/** Postings: where in a chain the events of one scope are, as chunks of (seq, time), oldest first, 6 bytes each. */
export interface Entry {
  readonly seq: number;
  readonly timeMs: number;
}

const entryLength = 12;
/** Entries of a chunk; a page of a look-up reads one or two. */
export const fullChunk = 256;

export function packEntries(entries: readonly Entry[]): Buffer {
  const bytes = Buffer.allocUnsafe(entries.length * entryLength);
  let at = 0;
  for (const { seq, timeMs } of entries) {
    at = bytes.writeUIntBE(seq, at, 6);
    at = bytes.writeUIntBE(timeMs, at, 6);
  }
  return bytes;
}

export function readEntries(bytes: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at + entryLength <= bytes.length; at += entryLength) entries.push({ seq: bytes.readUIntBE(at, 6), timeMs: bytes.readUIntBE(at + 6, 6) });
  return entries;
}
