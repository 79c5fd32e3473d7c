/** A key store behind an external key store proxy: AES-256 keys of somebody else's key manager. */
import type { Core } from '../../hsm/core.ts';
import { fail, invalidCiphertext } from '../errors.ts';
import type { Key } from '../key.ts';
import type { Asking, KeyStore } from '../keystore.ts';
import { inCryptography, StoreFailure } from './failure.ts';
import { headerOf, longestMetadata, packOuter, readOuter, type Wrapped } from './outer.ts';
import type { ProxyClient } from './proxy-client.ts';

type Json = Readonly<Record<string, unknown>>;

export class ProxyStore implements KeyStore {
  readonly #core: Pick<Core, 'sha256'>;
  readonly #client: ProxyClient;

  constructor(core: Pick<Core, 'sha256'>, client: ProxyClient) {
    this.#core = core;
    this.#client = client;
  }

  async admit(key: Key, asking: Asking): Promise<void> {
    const { keySpec, keyUsage, keyStatus } = await this.#client.key(externalOf(key), 'metadata', {}, asking);
    if (typeof keySpec !== 'string' || typeof keyStatus !== 'string' || !Array.isArray(keyUsage)) throw new StoreFailure('malformed', 'metadata');
    const wrong = (sentence: string) => fail('XksKeyInvalidConfigurationException', sentence);
    if (keySpec !== 'AES_256') throw wrong(`The key spec of the external key must be AES_256. The key spec of specified external key is ${said(keySpec)}.`);
    if (keyStatus !== 'ENABLED') throw wrong(`The status of the external key must be ENABLED. The status of specified external key is ${said(keyStatus)}.`);
    const usages: readonly unknown[] = keyUsage;
    if (!usages.includes('ENCRYPT') || !usages.includes('DECRYPT')) {
      throw wrong(`The key usage of the external key must include ENCRYPT and DECRYPT. The key use of specified external key is ${usages.map((usage) => said(String(usage))).join(', ')}.`);
    }
  }

  async wrap(key: Key, blob: Buffer, asking: Asking): Promise<Buffer> {
    const header = headerOf(key);
    const answer = await this.#asked(key, 'encrypt', {
      plaintext: blob.toString('base64'), encryptionAlgorithm: 'AES_GCM', additionalAuthenticatedData: header.toString('base64'), ciphertextDataIntegrityValueAlgorithm: 'SHA_256',
    }, asking);
    try {
      return packOuter(this.#core, header, this.#wrapped(answer, header, blob.length));
    } catch (error) {
      throw inCryptography(error);
    }
  }

  async unwrap(key: Key, blob: Buffer, asking: Asking): Promise<Buffer> {
    const parts = readOuter(this.#core, blob);
    if (parts === undefined) throw invalidCiphertext();
    const { header, wrapped: { iv, tag, metadata, ciphertext } } = parts;
    const answer = await this.#asked(key, 'decrypt', {
      ciphertext: ciphertext.toString('base64'), encryptionAlgorithm: 'AES_GCM', additionalAuthenticatedData: header.toString('base64'),
      initializationVector: iv.toString('base64'), authenticationTag: tag.toString('base64'),
      ...(metadata.length === 0 ? {} : { ciphertextMetadata: metadata.toString('base64') }),
    }, asking);
    try {
      return bytesOf(answer, 'plaintext', (length) => length === ciphertext.length);
    } catch (error) {
      throw inCryptography(error);
    }
  }

  random(): undefined {
    return undefined;
  }

  /** External keys are their owner's to delete. */
  destroy(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  async #asked(key: Key, call: 'encrypt' | 'decrypt', input: Json, asking: Asking): Promise<Json> {
    try {
      return await this.#client.key(externalOf(key), call, input, asking);
    } catch (error) {
      throw inCryptography(error);
    }
  }

  /** The proxy's integrity value proves that what arrived is what it computed, and tried to decrypt. */
  #wrapped(answer: Json, aad: Buffer, length: number): Wrapped {
    const iv = bytesOf(answer, 'initializationVector', (n) => n === 12 || n === 16);
    const tag = bytesOf(answer, 'authenticationTag', (n) => n === 16);
    const ciphertext = bytesOf(answer, 'ciphertext', (n) => n === length);
    const metadata = answer['ciphertextMetadata'] === undefined || answer['ciphertextMetadata'] === null
      ? Buffer.alloc(0) : bytesOf(answer, 'ciphertextMetadata', (n) => n <= longestMetadata);
    const value = bytesOf(answer, 'ciphertextDataIntegrityValue', (n) => n === 32);
    if (!this.#core.sha256(Buffer.concat([aad, metadata, iv, ciphertext, tag])).equals(value)) throw new StoreFailure('malformed', 'integrity value');
    return { iv, tag, metadata, ciphertext };
  }
}

function externalOf(key: Key): string {
  const { xksKeyId } = key.record;
  if (xksKeyId === undefined) throw new Error(`${key.arn} has no external key`);
  return xksKeyId;
}

/** A member of base64 whose length fits, written as base64 is. */
function bytesOf(answer: Json, member: string, fits: (length: number) => boolean): Buffer {
  const text = answer[member];
  const bytes = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined;
  if (bytes === undefined || bytes.toString('base64') !== text || !fits(bytes.length)) throw new StoreFailure('malformed', member);
  return bytes;
}

/** A word of the proxy's in a sentence of ours: an enumeration's, or it is not shown. */
const said = (word: string): string => (/^[A-Z0-9_]{1,40}$/.test(word) ? word : 'unknown');
