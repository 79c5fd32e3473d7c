/**
 * The typed door into the native core: what native/module/hsm.h says, in TypeScript.
 *
 * Handles are numbers (generation above slot, at most 53 bits) and branded, so that a key is never
 * passed for a session. Results are written into Buffers that the caller brings; lengths come back.
 * Secret payload only ever lies in a {@link Payload}. Every failure is an {@link HsmError}.
 */
import type { RootSlots } from './root.ts';

declare const brand: unique symbol;
type Brand<T extends string> = number & { readonly [brand]: T };

export type SessionHandle = Brand<'session'>;
export type KeyHandle = Brand<'key'>;
export type PartitionHandle = Brand<'partition'>;

/** Code of a failed core call: the names of native/base/status.h. */
export type HsmErrorCode = `HSM_E_${string}`;

export class HsmError extends Error {
  override readonly name = 'HsmError';
  constructor(readonly code: HsmErrorCode, message: string) {
    super(message);
  }
}

/**
 * Bytes that may be secret, in memory the core allocated (a view of an external ArrayBuffer of at
 * least 4 KiB), outside V8's heap. Whoever takes one releases it; release wipes. `bytes` is the
 * filled part.
 */
export interface Payload {
  readonly bytes: Buffer;
  /** The whole room; a core call writes here, then {@link Payload.fill} says how much. */
  readonly room: Buffer;
  fill(length: number): this;
  /** Wipes and returns the room to the pool. Twice is fine. */
  release(): void;
}

export interface KeySpec {
  /** PKCS#11 CKK_ number or one of ours (native/mech/params.h). */
  readonly type: number;
  readonly param: number;
}

export interface MechanismParams {
  readonly hash?: number;
  readonly mgf?: number;
  readonly saltLength?: number | 'digest';
  readonly tagBits?: number;
  readonly counterBits?: number;
  readonly iterations?: number;
  readonly wrapBits?: number;
  readonly iv?: Uint8Array;
  readonly aad?: Uint8Array;
  readonly label?: Uint8Array;
  readonly salt?: Uint8Array;
  readonly peer?: Uint8Array;
  readonly data?: Uint8Array;
  readonly spec?: KeySpec;
  /** HSM_PARAM_* bits. */
  readonly flags?: number;
}

/** A CKA_ attribute: flags as boolean, numbers as number, the rest as bytes. */
export type Attribute = readonly [type: number, value: boolean | number | Uint8Array];

export interface Binding {
  readonly objectId: string;
  readonly materialId: string;
}

export interface SigV4Request {
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly timestamp: string;
  /** Canonical request up to and including the newline before the payload hash. */
  readonly canonical: Buffer;
  readonly payloadHash?: string;
  readonly body: Buffer;
  readonly signature: string;
  readonly nowMs: number;
  readonly allowUnsignedPayload?: boolean;
}

export interface CoreInfo {
  readonly version: string;
  readonly state: string;
  readonly why: string;
  readonly arenaKind: string;
  readonly arenaReason: string;
  /** Secret memory is not memfd_secret: strict tokens do not run. */
  readonly weakened: boolean;
  readonly arenaSize: number;
  readonly arenaUsed: number;
  readonly arenaHigh: number;
  readonly lockLimit: number;
  readonly sessions: number;
  readonly objects: number;
  readonly loaded: number;
  readonly library: string;
  readonly mode: Mode;
  readonly unsealed: boolean;
  readonly approvedOnly: boolean;
  readonly unseal: string;
}

export type Mode = 'production' | 'dev' | 'lab';
export type Unseal = { readonly how: 'keyfile' | 'passphrase'; readonly path: string };
/** made: 40 characters; long: 48, as external key stores ask for. */
export type SecretSource = { readonly from: 'made'; readonly long?: boolean } | { readonly from: 'env'; readonly name: string } | { readonly from: 'file'; readonly path: string };

export interface MechanismInfo {
  readonly id: number;
  readonly name: string;
  readonly keyType: number;
  readonly minBits: number;
  readonly maxBits: number;
  readonly flags: number;
}

export interface KeyInfo {
  readonly class: number;
  readonly spec: KeySpec;
  readonly use: number;
  readonly sensitive: boolean;
  readonly extractable: boolean;
  readonly local: boolean;
  readonly loaded: boolean;
}

/** Result of {@link Core.cutJson}: the body without its blobs, and the blobs. */
export interface CutJson {
  /** The body's JSON with each cut member's value replaced by its index into `spans`. */
  readonly json: Buffer;
  /** All blobs, decoded, one after another; released by the caller. */
  readonly blobs: Payload;
  readonly spans: readonly { readonly offset: number; readonly length: number }[];
}

/** How material from outside is wrapped: RSAES-OAEP of it, or of an AES key that wraps it (RFC 5649). */
export type ImportWrap = 'oaepSha1' | 'oaepSha256' | 'aesKeyWrapSha1' | 'aesKeyWrapSha256';

/** KMS key material from outside: unwrapped in the core, known again by its fingerprint (32 bytes). */
export interface ImportCore {
  /** A wrapping key: its private half lies in the token alone. */
  importBegin(service: SessionHandle, partition: PartitionHandle, objectId: string, wrap: ImportWrap, bits: number, expiresMs: number):
    Promise<{ readonly publicKey: Buffer; readonly token: Buffer }>;
  /**
   * The fingerprint is the same each time the same key comes in for the same object. HSM_E_FORMAT,
   * HSM_E_INTEGRITY: no token of this key; HSM_E_EXPIRED; HSM_E_CIPHERTEXT, HSM_E_CIPHERTEXT_LEN: does not
   * unwrap; HSM_E_KEY_SIZE, HSM_E_KEY_VALUE, HSM_E_CURVE: no key of `spec`.
   */
  importFinish(service: SessionHandle, partition: PartitionHandle, objectId: string, token: Uint8Array, wrapped: Uint8Array, nowMs: number, spec: KeySpec, attributes: readonly Attribute[]):
    Promise<{ readonly fingerprint: Buffer; readonly key: KeyHandle }>;
}

/** KMS answers for an attested recipient (RSA, SubjectPublicKeyInfo): CMS EnvelopedData where plaintext would leave. */
export interface RecipientCore {
  recipientOpen(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, blob: Uint8Array, recipient: Uint8Array): Buffer;
  recipientDecrypt(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, input: Uint8Array, recipient: Uint8Array): Promise<Buffer>;
  recipientDataKey(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, length: number, recipient: Uint8Array): { readonly cms: Buffer; readonly blob: Buffer };
  recipientDataKeyPair(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, spec: KeySpec, recipient: Uint8Array): Promise<{ readonly publicKey: Buffer; readonly cms: Buffer; readonly blob: Buffer }>;
  recipientRandom(session: SessionHandle, length: number, recipient: Uint8Array): Buffer;
  recipientAgree(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams, recipient: Uint8Array): Buffer;
}

/** What a kept secret does: signs requests to a service that is not ours, or logs in at a module that is not ours. */
export type KeepUse = 'signer' | 'password';

/** A request to be signed: {@link SigV4Request} without what a signature proves. */
export type SigV4Unsigned = Pick<SigV4Request, 'date' | 'region' | 'service' | 'timestamp' | 'canonical' | 'body'>;

/** Secrets of others that the service works with: sealed, bound to an account, an id and one use. */
export interface KeepCore {
  /** `secret`: payload, 1 to 128 bytes. */
  keepSeal(service: SessionHandle, partition: PartitionHandle, use: KeepUse, id: string, secret: Uint8Array): Buffer;
  /** A password, to be handed on and released. */
  keepOpen(service: SessionHandle, partition: PartitionHandle, id: string, sealed: Uint8Array): Payload;
  /** 64 hex digits. */
  keepSign(service: SessionHandle, partition: PartitionHandle, id: string, sealed: Uint8Array, request: SigV4Unsigned): string;
}

/**
 * One method a core call. Methods whose mechanism is marked slow return promises (`…Slow`): they run
 * on a worker thread. Everything else is synchronous. All throw {@link HsmError}, and TypeError
 * (naming the argument) for arguments of the wrong type.
 */
export interface Core {
  describe(): CoreInfo;
  selfTest(name?: string): { readonly failed?: string };
  selfTests(): readonly string[];
  mechanisms(): readonly MechanismInfo[];
  zeroise(why: string): void;
  close(): void;

  createRoot(mode: Mode, unseal: Unseal): Buffer;
  openRoot(header: Buffer, unseal: Unseal): void;
  closeRoot(): void;
  /** Its unseal slots, and the shares people keep. */
  readonly rootSlots: RootSlots;

  createPartition(account: string): { readonly sealed: Buffer; readonly partition: PartitionHandle };
  openPartition(account: string, sealed: Buffer): PartitionHandle;
  closePartition(partition: PartitionHandle): void;
  ephemeralPartition(label: string): PartitionHandle;
  /** Strict until closed: no keys in the clear come in, no plaintext payload leaves. */
  restrictPartition(partition: PartitionHandle): void;

  serviceSession(): SessionHandle;
  openSession(partition: PartitionHandle, options?: { readonly readWrite?: boolean }): SessionHandle;
  closeSession(session: SessionHandle): void;
  login(session: SessionHandle, role: 'user' | 'officer', pin: Uint8Array): void;
  logout(session: SessionHandle): void;
  setPin(session: SessionHandle, role: 'user' | 'officer', pin: Uint8Array): void;

  /** `shown`: the secret's characters, once; release it when they have left. */
  createCredential(service: SessionHandle, partition: PartitionHandle, id: string, principal: string, expiresMs: number, source: SecretSource, show: boolean):
    { readonly key: KeyHandle; readonly sealed: Buffer; readonly shown?: Payload };
  writeCredential(service: SessionHandle, key: KeyHandle, path: string, profile: string): void;
  openCredential(service: SessionHandle, partition: PartitionHandle, id: string, sealed: Buffer): KeyHandle;
  closeCredential(service: SessionHandle, key: KeyHandle): void;
  verifySigV4(credential: KeyHandle, request: SigV4Request): SessionHandle;

  generate(session: SessionHandle, partition: PartitionHandle | 0, spec: KeySpec, attributes: readonly Attribute[]): KeyHandle;
  generatePair(session: SessionHandle, partition: PartitionHandle | 0, spec: KeySpec, attributes: readonly Attribute[]): Promise<KeyHandle>;
  create(session: SessionHandle, partition: PartitionHandle | 0, attributes: readonly Attribute[]): KeyHandle;
  copy(session: SessionHandle, key: KeyHandle, attributes: readonly Attribute[]): KeyHandle;
  destroy(session: SessionHandle, key: KeyHandle): void;
  getAttribute(session: SessionHandle, key: KeyHandle, type: number): Buffer;
  setAttributes(session: SessionHandle, key: KeyHandle, attributes: readonly Attribute[]): void;
  describeKey(session: SessionHandle, key: KeyHandle): KeyInfo;
  find(session: SessionHandle, attributes: readonly Attribute[]): readonly KeyHandle[];
  publicKey(session: SessionHandle, key: KeyHandle): Buffer;
  seal(session: SessionHandle, key: KeyHandle, binding: Binding): Buffer;
  open(session: SessionHandle, partition: PartitionHandle, binding: Binding, sealed: Buffer): KeyHandle;
  /** Forget an opened object; its sealed form stays good. */
  closeObject(session: SessionHandle, key: KeyHandle): void;

  /** Writes into `out`, answers the length. */
  encryptInto(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, plain: Uint8Array, out: Uint8Array): number;
  decryptInto(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, input: Uint8Array, out: Uint8Array): number;
  decryptSlow(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, input: Uint8Array): Promise<Payload>;
  sign(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, message: Uint8Array): Buffer;
  signSlow(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, message: Uint8Array): Promise<Buffer>;
  verify(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, message: Uint8Array, signature: Uint8Array): boolean;
  digest(session: SessionHandle, mech: number, message: Uint8Array): Buffer;
  derive(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams, attributes: readonly Attribute[]): KeyHandle;
  wrap(session: SessionHandle, kek: KeyHandle, mech: number, params: MechanismParams | undefined, key: KeyHandle): Buffer;
  unwrap(session: SessionHandle, kek: KeyHandle, mech: number, params: MechanismParams | undefined, wrapped: Uint8Array, attributes: readonly Attribute[]): KeyHandle;
  random(session: SessionHandle, out: Uint8Array): void;
  agree(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams, out: Payload): void;
  kemSeal(session: SessionHandle, key: KeyHandle, secret: Payload): Buffer;
  kemOpen(session: SessionHandle, key: KeyHandle, ciphertext: Uint8Array, secret: Payload): void;
  batch(session: SessionHandle, use: number, key: KeyHandle, mech: number, params: MechanismParams | undefined, input: Uint8Array, lengths: Uint32Array, out: Uint8Array, outLengths: Uint32Array): number;

  /** pairs: packed encryption context, see {@link packContext}. */
  envelopeSeal(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, plain: Uint8Array): Buffer;
  envelopeOpen(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, blob: Uint8Array, plain: Payload): void;
  envelopeMove(session: SessionHandle, from: KeyHandle, fromPairs: Uint8Array, blob: Uint8Array, to: KeyHandle, toPairs: Uint8Array): Buffer;
  envelopePeek(blob: Uint8Array): { readonly account: string; readonly objectId: string; readonly materialId: string } | undefined;
  dataKey(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, length: number, plain: Payload | undefined): Buffer;
  dataKeyPair(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, spec: KeySpec, plain: Payload | undefined): Promise<{ readonly publicKey: Buffer; readonly blob: Buffer }>;

  recordMac(table: string, key: string, version: number, body: Uint8Array): Buffer;
  recordCheck(table: string, key: string, version: number, body: Uint8Array, mac: Uint8Array): boolean;

  payload(length: number): Payload;
  /** A name with `=` before it is cut as the text it is, not as base64. */
  cutJson(body: Buffer, names: readonly string[]): CutJson;
  /** Writes base64 text of `bytes` into `out` at `offset`; answers the length written. */
  base64Into(bytes: Uint8Array, out: Uint8Array, offset: number): number;
  sha256(bytes: Uint8Array): Buffer;
  /** Service indicator of this thread's last operation. */
  approved(): boolean;
}
