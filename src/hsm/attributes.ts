import { endianness } from 'node:os';
import type { Attribute, Payload } from './core.ts';

const little = endianness() === 'LE';

/**
 * Attributes as the addon takes them: u32 type | u32 length | value padded to 8 bytes, big-endian;
 * numbers are 8 bytes native, flags one byte. Packed into a payload, since a value may be a key that
 * is being imported; whoever asked releases it.
 */
export function packAttributes(attributes: readonly Attribute[], take: (length: number) => Payload): Payload {
  let total = 0;
  for (const [, value] of attributes) total += 8 + padded(sizeOf(value));
  const payload = take(total);
  const room = payload.room;
  let at = 0;
  for (const [type, value] of attributes) {
    const length = sizeOf(value);
    at = room.writeUInt32BE(type, at);
    at = room.writeUInt32BE(length, at);
    if (typeof value === 'boolean') room[at] = value ? 1 : 0;
    else if (typeof value !== 'number') room.set(value, at);
    else if (little) room.writeBigUInt64LE(BigInt(value), at);
    else room.writeBigUInt64BE(BigInt(value), at);
    room.fill(0, at + length, at + padded(length));
    at += padded(length);
  }
  return payload.fill(total);
}

const padded = (length: number): number => (length + 7) & ~7;

function sizeOf(value: Attribute[1]): number {
  if (typeof value === 'boolean') return 1;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return 8;
  if (value instanceof Uint8Array) return value.length;
  throw new TypeError('an attribute\'s value must be a boolean, a whole number or a Uint8Array');
}
