/**
 * A key store on a PKCS#11 module: one AES-256 key in it for each KMS key, which never leaves it. A
 * process that crashed is replaced: what was under way fails, what comes next waits for the new one.
 */
import type { Core, Payload, SessionHandle } from '../../hsm/core.ts';
import { invalidCiphertext } from '../errors.ts';
import type { Key } from '../key.ts';
import type { KeyStore } from '../keystore.ts';
import type { ConnectionErrorCode } from '../records.ts';
import { inCryptography, StoreFailure } from './failure.ts';
import type { ModuleCall } from './module-calls.ts';
import { ModuleLink } from './module-link.ts';
import { headerOf, packOuter, readOuter } from './outer.ts';
import type { Cluster } from './settings.ts';

const tagLength = 16;
const none = Buffer.alloc(0);

/** Pauses before the first, second, third try to start a process anew. */
const pausesMs: readonly number[] = [0, 500, 3_000];
/** A process that lived so long did not crash at once: the tries are counted anew. */
const steadyMs = 30_000;

/** What modules answer of a ciphertext that is not whole. */
const notWhole = new Set(['CKR_ENCRYPTED_DATA_INVALID', 'CKR_ENCRYPTED_DATA_LEN_RANGE', 'CKR_AEAD_DECRYPT_FAILED']);

export interface ModuleStoreOptions {
  readonly core: Pick<Core, 'random' | 'sha256'>;
  readonly session: SessionHandle;
  readonly cluster: Cluster;
  /** The password, as payload that is released once it is handed over. */
  readonly password: () => Payload;
  /** It crashed, and could not be started again. */
  readonly failed: (code: ConnectionErrorCode) => void;
  readonly log: (line: string) => void;
}

export class ModuleStore implements KeyStore {
  readonly #options: ModuleStoreOptions;
  #link: Promise<ModuleLink>;
  #tries = 0;
  #startedMs = 0;
  #closed = false;

  private constructor(options: ModuleStoreOptions) {
    this.#options = options;
    this.#link = this.#start();
  }

  /** Logged in. Throws a StoreFailure. */
  static async connect(options: ModuleStoreOptions): Promise<ModuleStore> {
    const store = new ModuleStore(options);
    await store.#link;
    return store;
  }

  /** Of the process now at work, for those who watch it. */
  async pid(): Promise<number | undefined> {
    return (await this.#link).pid;
  }

  async admit(key: Key): Promise<void> {
    await this.#call({ call: 'generate', key: key.record.keyId });
  }

  async wrap(key: Key, blob: Buffer): Promise<Buffer> {
    const { core, session } = this.#options;
    const header = headerOf(key);
    const iv = Buffer.alloc(12);
    core.random(session, iv);
    try {
      const sealed = Buffer.from(await this.#call({ call: 'encrypt', key: key.record.keyId, iv, aad: header, data: blob }));
      const end = sealed.length - tagLength;
      if (end !== blob.length) throw new StoreFailure('refused', 'length');
      return packOuter(core, header, { iv, tag: sealed.subarray(end), metadata: none, ciphertext: sealed.subarray(0, end) });
    } catch (error) {
      throw inCryptography(error);
    }
  }

  async unwrap(key: Key, blob: Buffer): Promise<Buffer> {
    const parts = readOuter(this.#options.core, blob);
    if (parts === undefined) throw invalidCiphertext();
    const { header, wrapped: { iv, tag, ciphertext } } = parts;
    try {
      return Buffer.from(await this.#call({ call: 'decrypt', key: key.record.keyId, iv, aad: header, data: Buffer.concat([ciphertext, tag]) }));
    } catch (error) {
      if (error instanceof StoreFailure && error.reason === 'refused' && notWhole.has(error.detail)) throw invalidCiphertext();
      throw inCryptography(error);
    }
  }

  async random(length: number): Promise<Buffer> {
    return Buffer.from(await this.#call({ call: 'random', length }));
  }

  async destroy(key: Key): Promise<void> {
    await this.#call({ call: 'destroy', key: key.record.keyId });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const link = await this.#link.catch(() => undefined);
    await link?.close();
  }

  async #call(call: ModuleCall): Promise<Uint8Array> {
    const link = await this.#link;
    return link.call(call);
  }

  async #start(): Promise<ModuleLink> {
    const { cluster, password } = this.#options;
    this.#startedMs = performance.now();
    return ModuleLink.open(cluster, password(), () => { this.#crashed(); });
  }

  #crashed(): void {
    if (this.#closed) return;
    if (performance.now() - this.#startedMs > steadyMs) this.#tries = 0;
    this.#options.log(`the process of ${this.#options.cluster.id}'s module ended; starting another`);
    this.#link = this.#again();
    // Nobody may be waiting for it.
    this.#link.catch(() => undefined);
  }

  async #again(): Promise<ModuleLink> {
    for (;;) {
      const pause = pausesMs[this.#tries++];
      if (pause === undefined || this.#closed) break;
      await new Promise((resolve) => { setTimeout(resolve, pause); });
      if (this.#closed) break;
      try {
        return await this.#start();
      } catch (error) {
        if (pausesMs[this.#tries] === undefined || (error instanceof StoreFailure && !error.mayPass)) this.#giveUp(error);
      }
    }
    if (!this.#closed) this.#giveUp(undefined);
    throw new StoreFailure('stopped');
  }

  #giveUp(error: unknown): void {
    const code = error instanceof StoreFailure ? error.connectionCode : 'INTERNAL_ERROR';
    this.#closed = true;
    this.#options.failed(code);
  }
}
