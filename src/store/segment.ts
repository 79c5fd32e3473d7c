/**
 * Audit links at rest. A commit writes the links it carries as one segment, back to back:
 *
 *     u32 body length | previous hash, 32 | u64 seq | u64 time ms | body
 *
 * (big-endian). From the previous hash on, a link is exactly what its own hash covers, so hashing copies
 * nothing; that hash is the next link's "previous", and the head keeps the newest.
 */
import { readU64, writeU64 } from './records.ts';
import type { AuditRow, NewAuditRow } from './store.ts';

export const hashLength = 32;
const lengthField = 4;
const covered = hashLength + 8 + 8;
const fixed = lengthField + covered;

export const chainStart: Buffer = Buffer.alloc(hashLength);

export interface Segment {
  readonly first: number;
  readonly count: number;
  /** An ArrayBuffer of its own, so that it can be handed to the writer without a copy. */
  readonly bytes: Buffer;
  /** Hash of the last link. */
  readonly hash: Buffer;
}

export function packSegment(rows: readonly NewAuditRow[], first: number, previous: Uint8Array, sha256: (bytes: Uint8Array) => Buffer): Segment {
  let size = 0;
  for (const row of rows) size += fixed + Buffer.byteLength(row.body);
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  let seq = first;
  let hash = previous;
  for (const row of rows) {
    const start = at + lengthField;
    bytes.set(hash, start);
    let end = writeU64(bytes, seq, start + hashLength);
    end = writeU64(bytes, row.timeMs, end);
    const length = bytes.write(row.body, end, 'utf8');
    bytes.writeUInt32BE(length, at);
    at = end + length;
    hash = sha256(bytes.subarray(start, at));
    seq += 1;
  }
  return { first, count: rows.length, bytes, hash: Buffer.from(hash) };
}

/** Reads a segment. It ends where a length does not fit: whoever altered it took the links behind away. */
export function* readSegment(shard: string, bytes: Buffer): Generator<AuditRow> {
  let at = 0;
  while (at + fixed <= bytes.length) {
    const length = bytes.readUInt32BE(at);
    const start = at + lengthField;
    const body = start + covered;
    if (body + length > bytes.length) return;
    yield {
      shard,
      previous: bytes.subarray(start, start + hashLength),
      seq: readU64(bytes, start + hashLength),
      timeMs: readU64(bytes, start + hashLength + 8),
      body: bytes.toString('utf8', body, body + length),
    };
    at = body + length;
  }
}

/** What a link's hash covers, for whoever checks it from outside. */
export function coveredBytes(row: AuditRow): Buffer {
  const body = Buffer.from(row.body, 'utf8');
  const bytes = Buffer.allocUnsafe(covered + body.length);
  bytes.set(row.previous, 0);
  writeU64(bytes, row.timeMs, writeU64(bytes, row.seq, hashLength));
  bytes.set(body, covered);
  return bytes;
}
