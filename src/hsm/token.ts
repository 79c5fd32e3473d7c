import { resolve } from 'node:path';
import { HsmError, type Attribute, type KeyHandle, type KeyInfo } from './core.ts';
import { keyOf, type Key, type KeyOf } from './key.ts';
import type { NativeCore } from './native.ts';
import { ATTR, CLASS } from './numbers.ts';
import { attributesOf, isPair, publicHalfOf, shapeOf, specOf, typeOf, type KeyRequest, type PairRequest, type SymmetricRequest } from './request.ts';
import { Session } from './session.ts';
import { serialOf, tokenUri, type PinSource, type TokenFiles, type TokenHandle } from './token-files.ts';

/** Text, bytes that you can wipe afterwards, or where the core reads it: then it never is in JavaScript's memory. */
export type Pin = string | Uint8Array | PinSource;

export interface OpenTokenOptions {
  /** Folder of the tokens; default: that of {@link HsmOptions.home}, else as the Cryptoki module has it (docs/pkcs11.md). */
  readonly home?: string;
  /** Read-only sessions make, change and destroy no stored keys. Default false. */
  readonly readOnly?: boolean;
  /** Default user. */
  readonly role?: 'user' | 'officer';
}

export interface StoreOptions {
  /** Keep it in the token. False: it goes with the session. Default true. */
  readonly stored?: boolean;
  /** CKA_ID, by which other programs tie a pair, its halves and its certificate together; default for pairs: random. */
  readonly id?: Uint8Array;
}

export interface HeldToken {
  readonly token: TokenHandle;
  readonly label: string;
  /** 32 hex digits. */
  readonly id: string;
}

/** A session on a PKCS#11 token: keys that are made are kept in its file, and found by every program that uses it. */
export class TokenSession extends Session {
  /** RFC 7512. */
  readonly uri: string;
  readonly serial: string;
  readonly #files: TokenFiles;
  readonly #token: TokenHandle;

  /** Made by {@link Hsm.openToken}. Takes the token over. */
  constructor(core: NativeCore, held: HeldToken, readWrite: boolean, closing: (session: Session) => void) {
    const files = core.tokenFiles;
    const partition = files.partition(held.token);
    super(core, held.label, partition, core.openSession(partition, { readWrite }), closing, { remove: (key) => this.#remove(key) });
    this.#files = files;
    this.#token = held.token;
    this.uri = tokenUri(held.label, held.id);
    this.serial = serialOf(held.id);
  }

  /** As {@link Session.login}. Where another session of this process has logged in, the PIN is still checked. */
  override async login(pin: Pin, role: 'user' | 'officer' = 'user'): Promise<void> {
    const held = this.#files.pin(typeof pin === 'string' ? { from: 'bytes', bytes: Buffer.from(pin) } : pin instanceof Uint8Array ? { from: 'bytes', bytes: pin } : pin);
    try {
      await (role === 'user' && this.role === 'user' ? this.#files.checkPin(this.#token, this.handle, held) : this.#files.login(this.#token, this.handle, role, held));
    } finally {
      this.#files.drop(held);
    }
  }

  override logout(): void {
    this.#files.logout(this.#token, this.handle);
  }

  override async generateKey<R extends KeyRequest>(request: R, options: StoreOptions = {}): Promise<KeyOf<R>> {
    if (options.stored === false) return await super.generateKey(request);
    const spec = specOf(request);
    const handle = isPair(request.type) ? await this.#generatePair(request as PairRequest, options) : this.#generate(request, options);
    return keyOf(this.ground, handle, spec) as KeyOf<R>;
  }

  override importKey<R extends SymmetricRequest>(value: Uint8Array, request: R, options: StoreOptions = {}): KeyOf<R> {
    if (options.stored === false) return super.importKey(value, request);
    const sized = { ...request, bits: value.length * 8 } as R;
    const attributes: Attribute[] = [...shapeOf(sized).slice(0, 2), [ATTR.VALUE, value], ...attributesOf(sized), ...atRest(options.id)];
    return keyOf(this.ground, this.#keep(this.core.create(this.handle, 0, attributes)), specOf(sized)) as KeyOf<R>;
  }

  /** Keys of the token that this role may see, and those of this session, of the types that have a class here. */
  override find(filter: { readonly label?: string; readonly id?: Uint8Array } = {}): Key[] {
    const attributes: Attribute[] = [];
    if (filter.label !== undefined) attributes.push([ATTR.LABEL, Buffer.from(filter.label)]);
    if (filter.id !== undefined) attributes.push([ATTR.ID, filter.id]);
    const handles = new Set([...this.#files.find(this.#token, this.handle, attributes), ...this.core.find(this.handle, attributes)]);
    return [...handles].flatMap((handle) => {
      const info = this.core.describeKey(this.handle, handle);
      return hasClass(info) ? [keyOf(this.ground, handle, info.spec)] : [];
    });
  }

  override close(): void {
    if (!this.isOpen) return;
    super.close();
    this.#files.drop(this.#token);
  }

  #generate(request: KeyRequest, options: StoreOptions): KeyHandle {
    return this.#keep(this.core.generate(this.handle, 0, specOf(request), [...attributesOf(request), ...atRest(options.id)]));
  }

  /** Both halves are kept, under one id, so that programs find the public one without a login. */
  async #generatePair(request: PairRequest, options: StoreOptions): Promise<KeyHandle> {
    const id = options.id ?? this.random(16);
    const { key, publicKey } = await this.core.generateHalves(this.handle, specOf(request),
      [...publicHalfOf(request), [ATTR.TOKEN, true], [ATTR.PRIVATE, false], [ATTR.ID, id]], [...attributesOf(request), ...atRest(id)]);
    return this.#keep(key, publicKey);
  }

  #keep(key: KeyHandle, publicKey?: KeyHandle): KeyHandle {
    try {
      this.#files.put(this.#token, this.handle, key, publicKey);
      return key;
    } catch (error) {
      for (const one of publicKey === undefined ? [key] : [key, publicKey]) this.core.closeObject(this.handle, one);
      throw error;
    }
  }

  /** With a private key its stored public half goes. */
  #remove(key: KeyHandle): boolean {
    if (!this.#files.holds(this.#token, this.handle, key)) return false;
    const { class: klass } = this.core.describeKey(this.handle, key);
    const id = klass === CLASS.PRIVATE ? this.core.getAttribute(this.handle, key, ATTR.ID) : Buffer.alloc(0);
    this.#files.remove(this.#token, this.handle, key);
    if (id.length !== 0) for (const half of this.#files.find(this.#token, this.handle, [[ATTR.CLASS, CLASS.PUBLIC], [ATTR.ID, id]])) this.#files.remove(this.#token, this.handle, half);
    return true;
  }
}

/** The one token of this name, attached. HSM_E_PARTITION: none, or several. */
export function attachToken(files: TokenFiles, name: string, home: string | undefined): HeldToken {
  const folder = resolve(home ?? files.home());
  const uri = name.startsWith('pkcs11:') ? partsOf(name) : undefined;
  const fits: HeldToken[] = [];
  for (const slot of files.scan(folder)) {
    const held = attached(files, folder, slot);
    if (held === undefined) continue;
    const serial = serialOf(held.id);
    const wanted = uri === undefined ? held.label === name || serial === name : (uri.get('token') ?? held.label) === held.label && (uri.get('serial') ?? serial) === serial;
    if (wanted) fits.push(held);
    else files.drop(held.token);
  }
  const [one] = fits;
  if (one !== undefined && fits.length === 1) return one;
  for (const held of fits) files.drop(held.token);
  throw new HsmError('HSM_E_PARTITION', one === undefined ? `there is no token '${name}' in ${folder}` : `${fits.length} tokens are called '${name}': give the serial number`);
}

/** A damaged token is nobody's. */
function attached(files: TokenFiles, home: string, slot: number): HeldToken | undefined {
  let token: TokenHandle | undefined;
  try {
    token = files.attach(home, slot);
    const { label, id } = files.about(token);
    return { token, label, id };
  } catch (error) {
    if (token !== undefined) files.drop(token);
    if (error instanceof HsmError && ['HSM_E_INTEGRITY', 'HSM_E_FORMAT', 'HSM_E_IO', 'HSM_E_GONE'].includes(error.code)) return undefined;
    throw error;
  }
}

function partsOf(uri: string): ReadonlyMap<string, string> {
  return new Map((uri.slice('pkcs11:'.length).split('?')[0] ?? '').split(';').filter((part) => part !== '').map((part) => {
    const equals = part.indexOf('=');
    return [part.slice(0, equals), decodeURIComponent(part.slice(equals + 1))];
  }));
}

const atRest = (id: Uint8Array | undefined): Attribute[] => [[ATTR.TOKEN, true], [ATTR.PRIVATE, true], ...(id === undefined ? [] : [[ATTR.ID, id] as Attribute])];

/** A key of ours; other programs keep types that have no class here, certificates and data. */
function hasClass({ class: klass, spec }: KeyInfo): boolean {
  if (klass !== CLASS.SECRET && klass !== CLASS.PRIVATE) return false;
  try {
    typeOf(spec);
    return true;
  } catch {
    return false;
  }
}
