/** The encryption context on its way to the core, and the bounds AWS sets it. */
import { HsmError } from '../hsm/core.ts';
import { packContext } from '../hsm/context.ts';
import { validation } from './errors.ts';

export type EncryptionContext = Readonly<Record<string, string>>;

const longest = 8192;

/** Length-prefixed pairs, so that {ab: c} is not {a: bc}; the core sorts and authenticates them. */
export function packed(context: EncryptionContext | undefined): Buffer {
  try {
    const bytes = packContext(context);
    // Each pair has eight bytes of lengths beside its text.
    if (bytes.length > longest && bytes.length - 8 * Object.keys(context ?? {}).length > longest) throw validation(`EncryptionContext must not be longer than ${longest} bytes.`);
    return bytes;
  } catch (error) {
    if (error instanceof HsmError && error.code === 'HSM_E_DATA') throw validation('EncryptionContext must be valid Unicode.');
    throw error;
  }
}
