/**
 * AES-256-GCM as the XKS proxy API has it. The IV is made in the core, 96 random bits; what is
 * authenticated is framed, so that metadata and data cannot be taken for one another.
 */
import { HsmError } from '../../hsm/core.ts';
import type { Core, KeyHandle, Payload, SessionHandle } from '../../hsm/core.ts';
import { MECH } from '../../hsm/numbers.ts';
import { XksError } from './errors.ts';

const ivLength = 12;
const tagLength = 16;

export interface Sealed {
  readonly ciphertext: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
}

/** Length of the data in two bytes, the data, length of the metadata in one byte, the metadata. */
export function authenticated(additional: Uint8Array, metadata: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(2 + additional.length + 1 + metadata.length);
  framed.writeUInt16BE(additional.length, 0);
  framed.set(additional, 2);
  framed[2 + additional.length] = metadata.length;
  framed.set(metadata, 3 + additional.length);
  return framed;
}

/** The ciphertext data integrity value: what the caller can check an answer by that crossed other hands. */
export function integrityValue(core: Pick<Core, 'sha256'>, additional: Uint8Array, metadata: Uint8Array, { iv, ciphertext, tag }: Sealed): Buffer {
  return core.sha256(Buffer.concat([additional, metadata, iv, ciphertext, tag]));
}

export function encrypt(core: Core, session: SessionHandle, key: KeyHandle, plaintext: Buffer, aad: Buffer): Sealed {
  const out = Buffer.alloc(ivLength + plaintext.length + tagLength);
  const length = core.encryptInto(session, key, MECH.AES_GCM, { aad }, plaintext, out);
  return { iv: out.subarray(0, ivLength), ciphertext: out.subarray(ivLength, length - tagLength), tag: out.subarray(length - tagLength, length) };
}

/** Throws InvalidCiphertextException for what does not open, whatever the reason. */
export function decrypt(core: Core, session: SessionHandle, key: KeyHandle, { ciphertext, iv, tag }: Sealed, aad: Buffer): Payload {
  const plain = core.payload(ciphertext.length);
  try {
    return plain.fill(core.decryptInto(session, key, MECH.AES_GCM, { iv, aad }, Buffer.concat([ciphertext, tag]), plain.room));
  } catch (error) {
    plain.release();
    if (error instanceof HsmError && error.code === 'HSM_E_CIPHERTEXT') throw new XksError('InvalidCiphertextException', 'the ciphertext, its tag or what was authenticated with it is not what this key made');
    throw error;
  }
}

/** What was made opens, and says the same: only then is its integrity value worth anything. */
export function checkOpens(core: Core, session: SessionHandle, key: KeyHandle, sealed: Sealed, aad: Buffer, plaintext: Buffer): void {
  const again = decrypt(core, session, key, sealed, aad);
  try {
    if (!again.bytes.equals(plaintext)) throw new Error('a trial decryption gave another plaintext');
  } finally {
    again.release();
  }
}
