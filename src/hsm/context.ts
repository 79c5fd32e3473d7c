import { HsmError } from './core.ts';

const none = Buffer.alloc(0);

/**
 * The encryption context as the core takes it: u32 length | UTF-8 bytes for name, value, name, value …
 * (big-endian). Order does not matter, the core sorts. Throws HsmError HSM_E_DATA for text that is not
 * well-formed Unicode: it would not be the same after UTF-8, and two contexts could become one.
 */
export function packContext(context: Readonly<Record<string, string>> | undefined): Buffer {
  if (context === undefined) return none;
  const names = Object.keys(context);
  if (names.length === 0) return none;
  let total = 0;
  for (const name of names) total += 8 + sizeOf(name) + sizeOf(context[name]!);
  const packed = Buffer.allocUnsafe(total);
  let at = 0;
  for (const name of names) at = write(packed, context[name]!, write(packed, name, at));
  return packed;
}

/** Bytes in UTF-8. */
function sizeOf(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return wideSize(text);
  return text.length;
}

function wideSize(text: string): number {
  if (/\p{Surrogate}/u.test(text)) throw new HsmError('HSM_E_DATA', 'the encryption context is not well-formed Unicode');
  return Buffer.byteLength(text);
}

/** Short ASCII, the usual, is written here: a call into Buffer costs more than the text. */
function write(packed: Buffer, text: string, at: number): number {
  const from = at + 4;
  let i = 0;
  for (let c; i < text.length && (c = text.charCodeAt(i)) < 0x80; i++) packed[from + i] = c;
  const length = i === text.length ? i : packed.write(text, from);
  packed.writeUInt32BE(length, at);
  return from + length;
}
