/**
 * Key stores: what a KMS key stands on. Wherever that is, the core's own envelope seals first, under key
 * material of the core's own; a custom key store then seals that ciphertext once more. So no plaintext
 * leaves the core for another process or machine, and nobody opens anything without both.
 *
 * Three tenants: the core itself, which adds nothing; a PKCS#11 module in a process of its own
 * (AWS_CLOUDHSM, keystores/module-store.ts); an external key store proxy (EXTERNAL_KEY_STORE,
 * keystores/proxy-store.ts).
 */
import type { Key } from './key.ts';

/** Who asks, and for what: an external key store's proxy is told. */
export interface Asking {
  readonly principalArn: string;
  readonly operation: string;
  readonly requestId: string;
  readonly keyArn: string | undefined;
  readonly viaService: string | undefined;
}

/** A key store that is connected. What fails rejects with a {@link StoreFailure}, or with the AWS exception itself. */
export interface KeyStore {
  /** Makes what a new key stands on, or checks that it is there. */
  admit(key: Key, asking: Asking): Promise<void>;
  /** The blob as it leaves. */
  wrap(key: Key, blob: Buffer, asking: Asking): Buffer | Promise<Buffer>;
  /** The core's blob out of one that came. */
  unwrap(key: Key, blob: Buffer, asking: Asking): Buffer | Promise<Buffer>;
  /** Random bytes of its own; undefined: it has none to give. */
  random(length: number): Promise<Buffer> | undefined;
  /** The key is gone: so should what it stood on, where that was the store's to make. */
  destroy(key: Key): Promise<void>;
  close(): Promise<void>;
}

export const coreStore: KeyStore = Object.freeze({
  admit: () => Promise.resolve(),
  wrap: (_: Key, blob: Buffer) => blob,
  unwrap: (_: Key, blob: Buffer) => blob,
  random: () => undefined,
  destroy: () => Promise.resolve(),
  close: () => Promise.resolve(),
});
