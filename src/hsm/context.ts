import { HsmError } from './core.ts';

const none = Buffer.alloc(0);

/**
 * The encryption context as the core takes it: u32 length | UTF-8 bytes for name, value, name, value …
 * (big-endian). Order does not matter, the core sorts. Throws HsmError HSM_E_DATA for text that is not
 * well-formed Unicode: it would not be the same after UTF-8, and two contexts could become one.
 */
export function packContext(context: Readonly<Record<string, string>> | undefined): Buffer {
  if (context === undefined) return none;
  const entries = Object.entries(context);
  if (entries.length === 0) return none;
  let total = 0;
  for (const [name, value] of entries) total += 8 + sized(name) + sized(value);
  const packed = Buffer.allocUnsafe(total);
  let at = 0;
  for (const entry of entries) {
    for (const text of entry) {
      const length = packed.write(text, at + 4);
      packed.writeUInt32BE(length, at);
      at += 4 + length;
    }
  }
  return packed;
}

function sized(text: string): number {
  const length = Buffer.byteLength(text);
  if (length !== text.length && /\p{Surrogate}/u.test(text)) throw new HsmError('HSM_E_DATA', 'the encryption context is not well-formed Unicode');
  return length;
}
