/**
 * Requests of the XKS proxy API, read: which members must be there, how long they may be. Bytes are cut
 * out of the body by the core, so no plaintext becomes a JavaScript string.
 */
import { HsmError } from '../../hsm/core.ts';
import type { Core, Payload } from '../../hsm/core.ts';
import { XksError } from './errors.ts';

/** The specification asks for 4300 and 8192 bytes at least. */
const longest = { data: 16_384, additional: 16_384, metadata: 20 } as const;
export const bodyLimit = 64 * 1024;

const ivLengths: readonly number[] = [12, 16];
const tagLength = 16;

export type Call = 'GetHealthStatus' | 'GetKeyMetadata' | 'Encrypt' | 'Decrypt';

/** requestMetadata: taken as it comes, only that it is there is asked. */
export type Metadata = Readonly<Record<string, string>>;

const metadataNames = ['awsPrincipalArn', 'awsSourceVpc', 'awsSourceVpce', 'kmsKeyArn', 'kmsOperation', 'kmsRequestId', 'kmsViaService'] as const;
const always = ['kmsRequestId', 'kmsOperation'] as const;
const required: Readonly<Record<Call, readonly string[]>> = {
  GetHealthStatus: always,
  GetKeyMetadata: [...always, 'awsPrincipalArn'],
  Encrypt: [...always, 'awsPrincipalArn', 'kmsKeyArn'],
  Decrypt: [...always, 'awsPrincipalArn', 'kmsKeyArn'],
};

const blobNames = ['plaintext', 'additionalAuthenticatedData', 'ciphertext', 'initializationVector', 'authenticationTag', 'ciphertextMetadata'] as const;
type BlobName = (typeof blobNames)[number];

const none = Buffer.alloc(0);

/** A request's members. Its bytes are wiped by {@link release}. */
export class Message {
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #blobs: readonly Buffer[];
  readonly #room: Payload | undefined;

  constructor(core: Core, body: Buffer) {
    const { json, blobs, spans } = cut(core, body);
    this.#room = blobs;
    try {
      this.#members = JSON.parse(json.toString('utf8')) as Record<string, unknown>;
    } catch (error) {
      blobs.release();
      throw error instanceof SyntaxError ? invalid('the body is not JSON') : error;
    }
    // What was cut out left its index behind: a number more than that is a caller's own.
    if (blobNames.filter((name) => typeof this.#members[name] === 'number').length !== spans.length) {
      blobs.release();
      throw invalid('a member that holds bytes is not a base64 string');
    }
    this.#blobs = spans.map(({ offset, length }) => blobs.bytes.subarray(offset, offset + length));
  }

  release(): void {
    this.#room?.release();
  }

  metadata(call: Call): Metadata {
    const given = this.#members['requestMetadata'];
    if (typeof given !== 'object' || given === null || Array.isArray(given)) throw invalid('requestMetadata is missing');
    const members = given as Record<string, unknown>;
    const missing = [...required[call], ...(call === 'GetKeyMetadata' && members['kmsOperation'] === 'DescribeKey' ? ['kmsKeyArn'] : [])].find((name) => members[name] === undefined || members[name] === null || members[name] === '');
    if (missing !== undefined) throw invalid(`requestMetadata.${missing} is missing`);
    const known: Record<string, string> = {};
    for (const name of metadataNames) {
      const value = members[name];
      if (value === undefined || value === null) continue;
      if (typeof value !== 'string') throw invalid(`requestMetadata.${name} is not a string`);
      known[name] = value.slice(0, 2048);
    }
    return known;
  }

  encrypt(): { readonly plaintext: Buffer; readonly additional: Buffer; readonly integrity: boolean } {
    this.#algorithm();
    const plaintext = this.#bytes('plaintext', longest.data);
    const additional = this.#optional('additionalAuthenticatedData', longest.additional);
    const integrity = this.#members['ciphertextDataIntegrityValueAlgorithm'] ?? undefined;
    if (integrity !== undefined && integrity !== 'SHA_256') throw invalid('ciphertextDataIntegrityValueAlgorithm is not SHA_256');
    return { plaintext, additional, integrity: integrity !== undefined };
  }

  decrypt(): { readonly ciphertext: Buffer; readonly iv: Buffer; readonly tag: Buffer; readonly additional: Buffer; readonly metadata: Buffer } {
    this.#algorithm();
    const ciphertext = this.#bytes('ciphertext', longest.data);
    const iv = this.#bytes('initializationVector', 16);
    if (!ivLengths.includes(iv.length)) throw invalid('initializationVector is not 12 or 16 bytes');
    const tag = this.#bytes('authenticationTag', tagLength);
    if (tag.length !== tagLength) throw invalid(`authenticationTag is not ${tagLength} bytes`);
    const additional = this.#optional('additionalAuthenticatedData', longest.additional);
    const metadata = this.#optional('ciphertextMetadata', Number.MAX_SAFE_INTEGER);
    if (metadata.length > longest.metadata) throw invalid(`ciphertextMetadata is longer than ${longest.metadata} bytes`);
    return { ciphertext, iv, tag, additional, metadata };
  }

  #algorithm(): void {
    if (this.#members['encryptionAlgorithm'] !== 'AES_GCM') throw invalid('encryptionAlgorithm is not AES_GCM');
  }

  #bytes(name: BlobName, most: number): Buffer {
    const bytes = this.#optional(name, most);
    if (bytes.length === 0) throw invalid(`${name} is missing`);
    return bytes;
  }

  #optional(name: BlobName, most: number): Buffer {
    const index = this.#members[name] ?? undefined;
    if (index === undefined) return none;
    const bytes = typeof index === 'number' ? this.#blobs[index] : undefined;
    if (bytes === undefined) throw invalid(`${name} is not a base64 string`);
    if (bytes.length <= most) return bytes;
    if (name === 'initializationVector' || name === 'authenticationTag') throw invalid(`${name} is longer than ${most} bytes`);
    throw tooLong(`${name} is longer than ${most} bytes`);
  }
}

export const invalid = (sentence: string): XksError => new XksError('ValidationException', sentence);
export const tooLong = (sentence: string): XksError => new XksError('UnsupportedOperationException', sentence);

function cut(core: Core, body: Buffer) {
  try {
    return core.cutJson(body, blobNames);
  } catch (error) {
    if (error instanceof HsmError && error.code === 'HSM_E_DATA') throw invalid('a member that holds bytes is not base64');
    if (error instanceof HsmError && error.code === 'HSM_E_FORMAT') throw invalid('the body is not one JSON object');
    throw error;
  }
}
