import type { KeyHandle, KeyInfo, KeySpec, MechanismParams, Payload, SessionHandle } from './core.ts';
import { HsmError } from './core.ts';
import type { NativeCore } from './native.ts';
import { ATTR, HASH, KEY, MECH, PARAM, USE } from './numbers.ts';
import {
  attributesOf, curveName, hashes, hmacOf, isPair, publicAttributes, readMechanism, shapeOf, specOf, typeOf, usesOf,
  type HashName, type KeyRequest, type KeyType, type KeyUse, type SymmetricRequest,
} from './request.ts';

/** Text stands for its UTF-8 bytes. */
export type Bytes = Uint8Array | string;
export const bytesOf = (bytes: Bytes): Uint8Array => (typeof bytes === 'string' ? Buffer.from(bytes) : bytes);

const IV = 12;
const TAG = 16;
const none: MechanismParams | undefined = undefined;

/** What a key stands on: the core, and the session it acts in. */
export interface Ground {
  readonly core: NativeCore;
  readonly session: SessionHandle;
  /** Where keys rest that outlive the process. */
  readonly keeper?: Keeper;
}

/** Who keeps keys at rest. */
export interface Keeper {
  /** Takes the key out of the store and the core; false: it is not kept here. */
  remove(key: KeyHandle): boolean;
}

/**
 * A key in the core. What is here is a number: the key itself has no way out but sealed, or wrapped
 * where it was made extractable. Every method throws {@link HsmError}: HSM_E_POLICY where the key was
 * not made for this use, HSM_E_SESSION after its session closed, HSM_E_HANDLE after `destroy`.
 */
export class Key {
  readonly type: KeyType;
  /** CKK_ type and size: bits, curve or parameter set. */
  readonly spec: KeySpec;
  readonly handle: KeyHandle;
  protected readonly core: NativeCore;
  protected readonly session: SessionHandle;
  readonly #keeper: Keeper | undefined;

  constructor(ground: Ground, handle: KeyHandle, spec: KeySpec) {
    this.core = ground.core;
    this.session = ground.session;
    this.#keeper = ground.keeper;
    this.handle = handle;
    this.spec = spec;
    this.type = typeOf(spec);
  }

  get label(): string {
    return this.core.getAttribute(this.session, this.handle, ATTR.LABEL).toString();
  }

  /** What it may be used for; what is missing cannot be granted by anybody above the core. */
  get uses(): readonly KeyUse[] {
    return usesOf(this.info());
  }

  info(): KeyInfo {
    return this.core.describeKey(this.session, this.handle);
  }

  /**
   * The key sealed under its partition's key, attributes inside, for a store of your own. It opens
   * only in this partition and only under `name` (at most 64 bytes of UTF-8): {@link Session.openKey}.
   */
  seal(name: string): Buffer {
    return this.core.seal(this.session, this.handle, { objectId: name, materialId: '' });
  }

  /** Gone for good; sealed copies still open. */
  destroy(): void {
    if (this.#keeper?.remove(this.handle) !== true) this.core.destroy(this.session, this.handle);
  }

  toJSON(): { readonly type: KeyType; readonly handle: number } {
    return { type: this.type, handle: this.handle };
  }
}

export interface CipherOptions {
  /** Authenticated with the message, not part of it; the same must be given to decrypt. */
  readonly aad?: Bytes;
}

/** AES. Messages are AES-GCM: a fresh 12-byte iv, the ciphertext, a 16-byte tag; 28 bytes more than the message. */
export class AesKey extends Key {
  /** iv | ciphertext | tag. */
  encrypt(plain: Bytes, options?: CipherOptions): Buffer {
    const bytes = bytesOf(plain);
    const out = Buffer.allocUnsafe(bytes.length + IV + TAG);
    this.core.encryptInto(this.session, this.handle, MECH.AES_GCM, gcm(options), bytes, out);
    return out;
  }

  /** Into `room` (28 bytes more than `plain`); answers the length. The fastest way. */
  encryptInto(plain: Uint8Array, room: Uint8Array, options?: CipherOptions): number {
    return this.core.encryptInto(this.session, this.handle, MECH.AES_GCM, gcm(options), plain, room);
  }

  /** Throws HsmError HSM_E_CIPHERTEXT where a bit, the key or the aad is not as it was. The Buffer is yours to wipe. */
  decrypt(blob: Uint8Array, options?: CipherOptions): Buffer {
    const out = Buffer.allocUnsafeSlow(Math.max(0, blob.length - IV - TAG));
    const length = this.core.decryptInto(this.session, this.handle, MECH.AES_GCM, gcm(options), blob, out);
    return out.subarray(0, length);
  }

  decryptInto(blob: Uint8Array, room: Uint8Array, options?: CipherOptions): number {
    return this.core.decryptInto(this.session, this.handle, MECH.AES_GCM, gcm(options), blob, room);
  }

  /** Into memory of the core, outside V8's heap, wiped by `release()`. */
  decryptSecret(blob: Uint8Array, options?: CipherOptions): Payload {
    const plain = this.core.payload(blob.length);
    try {
      return plain.fill(this.decryptInto(blob, plain.room, options));
    } catch (error) {
      plain.release();
      throw error;
    }
  }

  /** Many messages in one crossing. */
  encryptMany(plains: readonly Uint8Array[], options?: CipherOptions): Buffer[] {
    return many(this.core, this.session, this.handle, USE.ENCRYPT, MECH.AES_GCM, gcm(options), plains, IV + TAG);
  }

  /** Throws at the first that does not open; the error's `done` is its index. */
  decryptMany(blobs: readonly Uint8Array[], options?: CipherOptions): Buffer[] {
    return many(this.core, this.session, this.handle, USE.DECRYPT, MECH.AES_GCM, gcm(options), blobs, 0);
  }

  /** AES-CMAC, 16 bytes; for keys with use sign. */
  mac(message: Bytes): Buffer {
    return this.core.sign(this.session, this.handle, MECH.AES_CMAC, none, bytesOf(message));
  }

  verifyMac(message: Bytes, mac: Uint8Array): boolean {
    return this.core.verify(this.session, this.handle, MECH.AES_CMAC, none, bytesOf(message), mac);
  }

  /** RFC 5649 key wrap with padding. HSM_E_UNEXTRACTABLE where `key` was not made extractable. */
  wrap(key: Key): Buffer {
    return this.core.wrap(this.session, this.handle, MECH.AES_KEY_WRAP_KWP, none, key.handle);
  }

  /** The reverse: a new key as `request` says. HSM_E_CIPHERTEXT where it was altered. */
  async unwrap<R extends KeyRequest>(wrapped: Uint8Array, request: R): Promise<KeyOf<R>> {
    return await unwrapped(this.core, this.session, this.handle, MECH.AES_KEY_WRAP_KWP, none, wrapped, request);
  }
}

/** HMAC with one hash, chosen when the key was made. */
export class HmacKey extends Key {
  #mech: number | undefined;

  mac(message: Bytes): Buffer {
    return this.core.sign(this.session, this.handle, this.#mechanism(), none, bytesOf(message));
  }

  verifyMac(message: Bytes, mac: Uint8Array): boolean {
    return this.core.verify(this.session, this.handle, this.#mechanism(), none, bytesOf(message), mac);
  }

  macMany(messages: readonly Uint8Array[]): Buffer[] {
    return many(this.core, this.session, this.handle, USE.SIGN, this.#mechanism(), none, messages, 64);
  }

  #mechanism(): number {
    return (this.#mech ??= readMechanism(this.core.getAttribute(this.session, this.handle, ATTR.ALLOWED_MECHANISMS)) ?? hmacOf('sha256'));
  }
}

/** A secret that other keys follow from. */
export class SecretKey extends Key {
  /** HKDF (RFC 5869), extract and expand; the same inputs give the same key. */
  derive<R extends SymmetricRequest>(request: R, options: { readonly salt?: Bytes; readonly info?: Bytes; readonly hash?: HashName } = {}): KeyOf<R> {
    const params: MechanismParams = {
      hash: hashes[options.hash ?? 'sha256'], flags: PARAM.EXTRACT | PARAM.EXPAND, spec: specOf(request),
      salt: bytesOf(options.salt ?? ''), label: bytesOf(options.info ?? ''),
    };
    return derived(this.core, this.session, this.handle, MECH.HKDF_DERIVE, params, request);
  }
}

export interface SignOptions {
  /** Hash of the message; default: the curve's own, or sha256. Not for ed25519 and ml-dsa. */
  readonly hash?: HashName;
  /** RSA; default pss. */
  readonly padding?: 'pss' | 'pkcs1';
  /** ECDSA; default der. raw: r and s, each as long as the curve's order. */
  readonly format?: 'der' | 'raw';
  /** ML-DSA and Ed25519: a context, at most 255 bytes. */
  readonly context?: Bytes;
}

/** A key pair: the private half signs, opens or agrees in the core; the public half may be seen. */
export class PairKey extends Key {
  #public: KeyHandle | undefined;
  #spki: Buffer | undefined;

  /** SubjectPublicKeyInfo, DER. */
  get publicKey(): Buffer {
    return (this.#spki ??= this.core.publicKey(this.session, this.handle));
  }

  get publicKeyPem(): string {
    const lines = this.publicKey.toString('base64').match(/.{1,64}/g) ?? [];
    return `-----BEGIN PUBLIC KEY-----\n${lines.join('\n')}\n-----END PUBLIC KEY-----\n`;
  }

  /** On a worker thread for RSA and ML-DSA, at once for the curves. */
  async sign(message: Bytes, options?: SignOptions): Promise<Buffer> {
    const [mech, params] = signing(this.spec, options);
    return this.spec.type === KEY.RSA || this.spec.type === KEY.ML_DSA
      ? await this.core.signSlow(this.session, this.handle, mech, params, bytesOf(message))
      : this.core.sign(this.session, this.handle, mech, params, bytesOf(message));
  }

  /** On this thread, whatever it takes. */
  signSync(message: Bytes, options?: SignOptions): Buffer {
    const [mech, params] = signing(this.spec, options);
    return this.core.sign(this.session, this.handle, mech, params, bytesOf(message));
  }

  /** Many signatures in one crossing, on a worker thread. */
  async signMany(messages: readonly Uint8Array[], options?: SignOptions): Promise<Buffer[]> {
    const [mech, params] = signing(this.spec, options);
    return await manySlow(this.core, this.session, this.handle, USE.SIGN, mech, params, messages);
  }

  verify(message: Bytes, signature: Uint8Array, options?: SignOptions): boolean {
    const [mech, params] = signing(this.spec, options);
    return this.core.verify(this.session, this.publicHandle(), mech, params, bytesOf(message), signature);
  }

  /** RSA-OAEP with SHA-256. */
  encrypt(plain: Bytes, options: { readonly label?: Bytes } = {}): Buffer {
    const bytes = bytesOf(plain);
    const out = Buffer.allocUnsafe(this.spec.param / 8);
    return out.subarray(0, this.core.encryptInto(this.session, this.publicHandle(), MECH.RSA_OAEP, oaep(options.label), bytes, out));
  }

  /** Into memory of the core; release it when done. */
  async decrypt(blob: Uint8Array, options: { readonly label?: Bytes } = {}): Promise<Payload> {
    return await this.core.decryptSlow(this.session, this.handle, MECH.RSA_OAEP, oaep(options.label), blob);
  }

  /** RSA: wrap a symmetric key with OAEP. */
  wrap(key: Key): Buffer {
    return this.core.wrap(this.session, this.publicHandle(), MECH.RSA_OAEP, oaep(undefined), key.handle);
  }

  async unwrap<R extends KeyRequest>(wrapped: Uint8Array, request: R): Promise<KeyOf<R>> {
    return await unwrapped(this.core, this.session, this.handle, MECH.RSA_OAEP, oaep(undefined), wrapped, request);
  }

  /** ECDH or X25519 with the other side's SPKI: the agreed secret, as a key to derive from. */
  agree(peer: Uint8Array): SecretKey {
    const bits = agreedBits(this.spec);
    const request: SymmetricRequest = { type: 'secret', bits };
    const params: MechanismParams = { peer, spec: specOf(request) };
    return derived(this.core, this.session, this.handle, MECH.ECDH1_DERIVE, params, request);
  }

  /** ML-KEM to this key: a shared secret, and the ciphertext that the private half opens. */
  encapsulate(): { readonly secret: SecretKey; readonly ciphertext: Buffer } {
    const request = shared;
    const made = this.core.encapsulate(this.session, this.publicHandle(), MECH.ML_KEM, [...shapeOf(request), ...attributesOf(request)]);
    return { secret: new SecretKey({ core: this.core, session: this.session }, made.key, specOf(request)), ciphertext: made.ciphertext };
  }

  decapsulate(ciphertext: Uint8Array): SecretKey {
    const request = shared;
    const handle = this.core.decapsulate(this.session, this.handle, MECH.ML_KEM, ciphertext, [...shapeOf(request), ...attributesOf(request)]);
    return new SecretKey({ core: this.core, session: this.session }, handle, specOf(request));
  }

  override destroy(): void {
    super.destroy();
    if (this.#public !== undefined) this.core.destroy(this.session, this.#public);
    this.#public = undefined;
  }

  /** The public half as an object of the core, made when first needed. */
  protected publicHandle(): KeyHandle {
    return (this.#public ??= this.core.create(this.session, 0 as never, publicAttributes(this.spec, this.publicKey, this.uses)));
  }
}

/** Somebody else's public key. */
export class PublicKey extends PairKey {
  protected override publicHandle(): KeyHandle {
    return this.handle;
  }
}

export type KeyOf<R extends KeyRequest> = R['type'] extends 'aes' ? AesKey : R['type'] extends 'hmac' ? HmacKey : R['type'] extends 'secret' ? SecretKey : PairKey;

/** The class of a key by its type. */
export function keyOf(ground: Ground, handle: KeyHandle, spec: KeySpec): Key {
  switch (spec.type) {
    case KEY.AES: return new AesKey(ground, handle, spec);
    case KEY.GENERIC: return new HmacKey(ground, handle, spec);
    case KEY.HKDF: return new SecretKey(ground, handle, spec);
    default: return new PairKey(ground, handle, spec);
  }
}

const shared: SymmetricRequest = { type: 'secret', bits: 256 };

function gcm(options: CipherOptions | undefined): MechanismParams | undefined {
  return options?.aad === undefined ? undefined : { aad: bytesOf(options.aad) };
}

function oaep(label: Bytes | undefined): MechanismParams {
  return label === undefined ? { hash: HASH.SHA256, mgf: HASH.SHA256 } : { hash: HASH.SHA256, mgf: HASH.SHA256, label: bytesOf(label) };
}

const rsaPss: Partial<Record<HashName, number>> = { sha224: MECH.SHA224_RSA_PSS, sha256: MECH.SHA256_RSA_PSS, sha384: MECH.SHA384_RSA_PSS, sha512: MECH.SHA512_RSA_PSS };
const rsaPkcs: Partial<Record<HashName, number>> = { sha224: MECH.SHA224_RSA_PKCS, sha256: MECH.SHA256_RSA_PKCS, sha384: MECH.SHA384_RSA_PKCS, sha512: MECH.SHA512_RSA_PKCS };
const ecdsa: Partial<Record<HashName, number>> = { sha224: MECH.ECDSA_SHA224, sha256: MECH.ECDSA_SHA256, sha384: MECH.ECDSA_SHA384, sha512: MECH.ECDSA_SHA512 };
const der: MechanismParams = { flags: PARAM.DER };
const raw: MechanismParams = { flags: 0 };

function signing(spec: KeySpec, options: SignOptions | undefined): [mech: number, params: MechanismParams | undefined] {
  switch (spec.type) {
    case KEY.RSA: return rsaSigning(options);
    case KEY.EC: return [mechanism(ecdsa, options?.hash ?? curveHash(spec)), options?.format === 'raw' ? raw : der];
    case KEY.EDWARDS: return [MECH.EDDSA, contextual(options)];
    case KEY.ML_DSA: return [MECH.ML_DSA, contextual(options)];
    default: throw new HsmError('HSM_E_KEY_TYPE', 'a key of this type does not sign');
  }
}

function rsaSigning(options: SignOptions | undefined): [mech: number, params: MechanismParams | undefined] {
  const hash = options?.hash ?? 'sha256';
  if (options?.padding === 'pkcs1') return [mechanism(rsaPkcs, hash), none];
  return [mechanism(rsaPss, hash), { hash: hashes[hash], mgf: hashes[hash], saltLength: 'digest' }];
}

function mechanism(table: Partial<Record<HashName, number>>, hash: HashName): number {
  const mech = table[hash];
  if (mech === undefined) throw new TypeError(`hash must be one of ${Object.keys(table).join(', ')}`);
  return mech;
}

const contextual = (options: SignOptions | undefined): MechanismParams | undefined =>
  options?.context === undefined ? none : { label: bytesOf(options.context) };

function curveHash(spec: KeySpec): HashName {
  const curve = curveName(spec.param);
  return curve === 'P-384' ? 'sha384' : curve === 'P-521' ? 'sha512' : 'sha256';
}

function agreedBits(spec: KeySpec): number {
  if (spec.type === KEY.MONTGOMERY) return 256;
  const curve = curveName(spec.param);
  return curve === 'P-224' ? 224 : curve === 'P-384' ? 384 : curve === 'P-521' ? 528 : 256;
}

function derived<R extends SymmetricRequest>(core: NativeCore, session: SessionHandle, base: KeyHandle, mech: number, params: MechanismParams, request: R): KeyOf<R> {
  const handle = core.derive(session, base, mech, params, [...shapeOf(request), ...attributesOf(request)]);
  return keyOf({ core, session }, handle, specOf(request)) as KeyOf<R>;
}

async function unwrapped<R extends KeyRequest>(
  core: NativeCore, session: SessionHandle, kek: KeyHandle, mech: number, params: MechanismParams | undefined, wrapped: Uint8Array, request: R,
): Promise<KeyOf<R>> {
  const pair = isPair(request.type);
  const shape = pair ? pairShape(request) : shapeOf(request as SymmetricRequest).slice(0, 2);
  const handle = await core.unwrapSlow(session, kek, mech, { ...params, spec: specOf(request) }, wrapped, [...shape, ...attributesOf(request)]);
  const { spec } = core.describeKey(session, handle);
  return keyOf({ core, session }, handle, spec) as KeyOf<R>;
}

const pairShape = (request: KeyRequest): [number, number][] => [[ATTR.CLASS, 3], [ATTR.KEY_TYPE, specOf(request).type]];

interface Packed { readonly input: Buffer; readonly lengths: Uint32Array; readonly room: Buffer; readonly outLengths: Uint32Array }

/** Messages laid end to end, with room for `more` bytes on each. */
function pack(messages: readonly Uint8Array[], more: number): Packed {
  const lengths = new Uint32Array(messages.length);
  let total = 0;
  for (let i = 0; i < messages.length; i++) total += lengths[i] = messages[i]!.length;
  const input = Buffer.allocUnsafeSlow(total);
  let at = 0;
  for (const message of messages) {
    input.set(message, at);
    at += message.length;
  }
  return { input, lengths, room: Buffer.allocUnsafeSlow(total + messages.length * more), outLengths: new Uint32Array(messages.length) };
}

function cut({ room, outLengths }: Packed): Buffer[] {
  const all = new Array<Buffer>(outLengths.length);
  let at = 0;
  for (let i = 0; i < all.length; i++) all[i] = room.subarray(at, (at += outLengths[i]!));
  return all;
}

function many(
  core: NativeCore, session: SessionHandle, key: KeyHandle, use: number, mech: number, params: MechanismParams | undefined, messages: readonly Uint8Array[], more: number,
): Buffer[] {
  if (messages.length === 0) return [];
  const packed = pack(messages, more);
  try {
    core.batch(session, use, key, mech, params, packed.input, packed.lengths, packed.room, packed.outLengths);
  } finally {
    // A copy of ours: it may be plaintext.
    core.wipe(packed.input);
  }
  return cut(packed);
}

/** Largest signature of any mechanism: ML-DSA-87. */
const SIGNATURE_MAX = 4627;

async function manySlow(
  core: NativeCore, session: SessionHandle, key: KeyHandle, use: number, mech: number, params: MechanismParams | undefined, messages: readonly Uint8Array[],
): Promise<Buffer[]> {
  if (messages.length === 0) return [];
  const packed = pack(messages, SIGNATURE_MAX);
  await core.batchSlow(session, use, key, mech, params, packed.input, packed.lengths, packed.room, packed.outLengths);
  return cut(packed);
}
