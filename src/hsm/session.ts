import type { Attribute, PartitionHandle, SessionHandle } from './core.ts';
import { bytesOf, keyOf, PublicKey, type Bytes, type Ground, type Keeper, type Key, type KeyOf } from './key.ts';
import type { NativeCore, Role } from './native.ts';
import { ATTR, CLASS, MECH } from './numbers.ts';
import { attributesOf, isPair, keyTypeOf, shapeOf, specOf, type HashName, type KeyRequest, type SymmetricRequest } from './request.ts';

const digests: Readonly<Record<HashName, number>> = {
  sha224: MECH.SHA224, sha256: MECH.SHA256, sha384: MECH.SHA384, sha512: MECH.SHA512, 'sha3-256': MECH.SHA3_256, 'sha3-384': 0x2c0, 'sha3-512': 0x2d0,
};

/**
 * Somebody acting in one partition, in one role. Roles are the partition's, as in PKCS#11: a login in
 * one session is a login in all of them.
 *
 * Every method throws HsmError: HSM_E_NOT_LOGGED_IN or HSM_E_ROLE where the role may not, HSM_E_SESSION
 * after `close`.
 */
export class Session {
  /** Name of the partition. */
  readonly partition: string;
  readonly handle: SessionHandle;
  protected readonly core: NativeCore;
  protected readonly ground: Ground;
  readonly #room: PartitionHandle;
  readonly #closing: (session: Session) => void;
  #open = true;

  /** Made by {@link Hsm.session}. */
  constructor(core: NativeCore, partition: string, room: PartitionHandle, handle: SessionHandle, closing: (session: Session) => void, keeper?: Keeper) {
    this.core = core;
    this.partition = partition;
    this.#room = room;
    this.handle = handle;
    this.ground = { core, session: handle, ...(keeper === undefined ? {} : { keeper }) };
    this.#closing = closing;
  }

  /** public, user or officer. */
  get role(): Role {
    return this.core.role(this.handle);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * On a worker thread: a PIN takes about a tenth of a second to check. HSM_E_PIN, HSM_E_PIN_LOCKED,
   * HSM_E_LOGGED_IN. A PIN given as bytes can be wiped by you afterwards; a string cannot.
   */
  async login(pin: Bytes, role: 'user' | 'officer' = 'user'): Promise<void> {
    await this.core.loginSlow(this.handle, role, bytesOf(pin));
  }

  /** Is this the PIN of the user, who is logged in already? Tries are counted. Throws HSM_E_PIN. */
  async checkPin(pin: Bytes): Promise<void> {
    await this.core.checkPin(this.handle, bytesOf(pin));
  }

  logout(): void {
    this.core.logout(this.handle);
  }

  /** A new key; pairs are made on a worker thread and tested for consistency before they are given out. */
  async generateKey<R extends KeyRequest>(request: R): Promise<KeyOf<R>> {
    const spec = specOf(request);
    const handle = isPair(request.type)
      ? await this.core.generatePair(this.handle, 0, spec, attributesOf(request))
      : this.core.generate(this.handle, 0, spec, attributesOf(request));
    return keyOf(this.ground, handle, spec) as KeyOf<R>;
  }

  /**
   * A symmetric key from its bytes, which are then in JavaScript memory and yours to wipe. Refused
   * (HSM_E_POLICY) by a strict partition.
   */
  importKey<R extends SymmetricRequest>(value: Uint8Array, request: R): KeyOf<R> {
    const sized = { ...request, bits: value.length * 8 } as R;
    const attributes: Attribute[] = [...shapeOf(sized).slice(0, 2), [ATTR.VALUE, value], ...attributesOf(sized)];
    return keyOf(this.ground, this.core.create(this.handle, 0, attributes), specOf(sized)) as KeyOf<R>;
  }

  /** Somebody else's public key, as SPKI (DER), to verify with, encrypt to, or encapsulate to. */
  importPublicKey(spki: Uint8Array): PublicKey {
    const handle = this.core.create(this.handle, 0, [[ATTR.CLASS, CLASS.PUBLIC], [ATTR.KEY_TYPE, keyTypeOf(spki)], [ATTR.VALUE, spki]]);
    return new PublicKey(this.ground, handle, this.core.describeKey(this.handle, handle).spec);
  }

  /** A key from {@link Key.seal}, under the name it was sealed with. HSM_E_INTEGRITY for another name, partition, or a changed bit. */
  openKey(name: string, sealed: Uint8Array): Key {
    const handle = this.core.open(this.handle, this.#room, { objectId: name, materialId: '' }, sealed);
    return keyOf(this.ground, handle, this.core.describeKey(this.handle, handle).spec);
  }

  /** Keys of the partition that this role may see. */
  find(filter: { readonly label?: string } = {}): Key[] {
    const attributes: Attribute[] = filter.label === undefined ? [] : [[ATTR.LABEL, Buffer.from(filter.label)]];
    const keys: Key[] = [];
    for (const handle of this.core.find(this.handle, attributes)) {
      const info = this.core.describeKey(this.handle, handle);
      if (info.class === CLASS.SECRET || info.class === CLASS.PRIVATE) keys.push(keyOf(this.ground, handle, info.spec));
    }
    return keys;
  }

  /** From the core's generator. */
  random(length: number): Buffer {
    const out = Buffer.allocUnsafeSlow(length);
    if (length > 0) this.core.random(this.handle, out);
    return out;
  }

  digest(hash: HashName, message: Bytes): Buffer {
    const mech = digests[hash];
    if (mech === undefined) throw new TypeError(`hash must be one of ${Object.keys(digests).join(', ')}`);
    return this.core.digest(this.handle, mech, bytesOf(message));
  }

  /** Its keys can no longer be used through it. Twice is fine. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#closing(this);
    this.core.closeSession(this.handle);
  }
}

