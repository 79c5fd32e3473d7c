import { HsmError, type MechanismInfo } from './core.ts';
import { loadCore, type NativeCore } from './native.ts';
import { Partitions, type PartitionOptions } from './partitions.ts';
import { SessionPool, type PoolOptions } from './pool.ts';
import { Session } from './session.ts';
import { attachToken, TokenSession, type OpenTokenOptions, type Pin } from './token.ts';

export interface HsmOptions {
  /** Folder where partitions outlive the process. Left out: everything is gone at `close`. */
  readonly home?: string;
  /** Refuse what is not approved in the sense of FIPS 140-3. Default false. */
  readonly approvedOnly?: boolean;
  /** Bytes of secret memory; default: as RLIMIT_MEMLOCK allows, at most 64 MiB. */
  readonly secretMemory?: number;
  /** Most sessions open at once; default 1,024. */
  readonly maxSessions?: number;
}

export interface SessionOptions {
  /** Name of a tenant's partition; default `default`. Keys of one partition do not exist in another. */
  readonly partition?: string;
  /** Read-only sessions make, change and destroy no stored keys. Default false. */
  readonly readOnly?: boolean;
}

export interface LoginOptions extends SessionOptions {
  /** Text, or bytes that you can wipe afterwards. */
  readonly pin: string | Uint8Array;
  /** Default user. */
  readonly role?: 'user' | 'officer';
}

export interface HsmInfo {
  readonly version: string;
  /** The crypto library inside. */
  readonly library: string;
  /** off, testing, ready, error, zeroised. */
  readonly state: string;
  /** Why it is in error or zeroised, else empty. */
  readonly why: string;
  readonly approvedOnly: boolean;
  readonly sessions: number;
  readonly keys: number;
  /** Secret memory: what kind it is, why not a better one, and bytes. */
  readonly memory: { readonly kind: string; readonly reason: string; readonly size: number; readonly used: number; readonly high: number; readonly limit: number };
}

export interface SelfTestReport {
  readonly passed: boolean;
  readonly tests: readonly string[];
  /** The first that failed: the module serves nothing any more. */
  readonly failed?: string;
}

/**
 * Opens the HSM: the core is powered on, tests itself, and is ready. Several in one process share one
 * core. Throws HsmError HSM_E_SELF_TEST, HSM_E_MEMORY.
 *
 * ```ts
 * const hsm = await openHsm();
 * const session = hsm.session();
 * const key = await session.generateKey({ type: 'aes', bits: 256, label: 'invoices' });
 * const blob = key.encrypt('the plan');
 * key.decrypt(blob).toString();          // 'the plan'
 * hsm.close();
 * ```
 */
export async function openHsm(options: HsmOptions = {}): Promise<Hsm> {
  const core = loadCore({ arenaSize: options.secretMemory ?? 0, approvedOnly: options.approvedOnly ?? false });
  try {
    return new Hsm(core, options);
  } catch (error) {
    core.close();
    throw error;
  }
}

export class Hsm {
  readonly #core: NativeCore;
  readonly #partitions: Partitions;
  readonly #home: string | undefined;
  readonly #sessions = new Set<Session>();
  readonly #pools = new Set<SessionPool>();
  readonly #maxSessions: number;
  #open = true;

  /** Made by {@link openHsm}. */
  constructor(core: NativeCore, options: HsmOptions) {
    this.#core = core;
    this.#partitions = new Partitions(core, options.home);
    this.#home = options.home;
    this.#maxSessions = options.maxSessions ?? 1024;
    if (!Number.isSafeInteger(this.#maxSessions) || this.#maxSessions < 1) throw new TypeError('maxSessions must be at least 1');
  }

  /**
   * A session in a partition of this HSM. With a PIN it is logged in, which takes about a tenth of a second on a
   * worker thread, hence a promise. Without a home a partition that is new is made on the way.
   *
   * HSM_E_PARTITION: no such partition in the home; HSM_E_PIN; HSM_E_PIN_LOCKED; HSM_E_LIMIT: too many sessions.
   */
  session(options?: SessionOptions): Session;
  session(options: LoginOptions): Promise<Session>;
  session(options: SessionOptions | LoginOptions = {}): Session | Promise<Session> {
    return 'pin' in options && options.pin !== undefined ? this.#login(options) : this.#session(options);
  }

  /**
   * A session on a PKCS#11 token, logged in: the token that other programs use through the Cryptoki module, at the same
   * time. `token` is its label, serial number or `pkcs11:` URI. Keys made here are found there, and the reverse.
   *
   * HSM_E_PARTITION: no such token, or several; HSM_E_PIN, HSM_E_PIN_LOCKED, HSM_E_PIN_UNSET; HSM_E_INTEGRITY: its file is
   * damaged; HSM_E_WEAKENED: it is strict, and secret memory is not memfd_secret.
   */
  async openToken(token: string, pin: Pin, options: OpenTokenOptions = {}): Promise<TokenSession> {
    this.#require();
    if (this.#sessions.size >= this.#maxSessions) throw new HsmError('HSM_E_LIMIT', `${this.#maxSessions} sessions are open`);
    const held = attachToken(this.#core.tokenFiles, token, options.home ?? this.#home);
    let session: TokenSession;
    try {
      session = new TokenSession(this.#core, held, options.readOnly !== true, (ended) => { this.#sessions.delete(ended); });
    } catch (error) {
      this.#core.tokenFiles.drop(held.token);
      throw error;
    }
    this.#sessions.add(session);
    try {
      await session.login(pin, options.role);
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** A partition with a PIN of its own. HSM_E_EXISTS; HSM_E_PIN_LEN. */
  async createPartition(name: string, options: PartitionOptions = {}): Promise<void> {
    this.#require();
    await this.#partitions.create(name, options);
  }

  /**
   * Sets a PIN anew in the partition of `session`. A user gives the old one; the officer's session
   * gives none and sets the user's.
   */
  async setPin(session: Session, pin: string | Uint8Array, options: { readonly role?: 'user' | 'officer'; readonly old?: string | Uint8Array } = {}): Promise<void> {
    await this.#partitions.setPin(session.partition, session.handle, options.role ?? 'user', options.old ?? '', pin);
  }

  /** Sessions of a partition, lent one at a time. */
  pool(options: (SessionOptions | LoginOptions) & PoolOptions = {}): SessionPool {
    this.#require();
    const { size, timeoutMs, ...session } = options;
    const pool = new SessionPool(() => this.#pooled(session), { ...(size === undefined ? {} : { size }), ...(timeoutMs === undefined ? {} : { timeoutMs }) });
    this.#pools.add(pool);
    return pool;
  }

  info(): HsmInfo {
    const i = this.#core.describe();
    return {
      version: i.version, library: i.library, state: i.state, why: i.why, approvedOnly: i.approvedOnly, sessions: i.sessions, keys: i.objects,
      memory: { kind: i.arenaKind, reason: i.arenaReason, size: i.arenaSize, used: i.arenaUsed, high: i.arenaHigh, limit: i.lockLimit },
    };
  }

  /** Names, key sizes and approval of what the core can do. */
  mechanisms(): readonly MechanismInfo[] {
    return this.#core.mechanisms();
  }

  /** Runs one self-test by name, or all, on a worker thread. One that fails puts the module into its error state. */
  async selfTest(name?: string): Promise<SelfTestReport> {
    const tests = name === undefined ? this.#core.selfTests() : [name];
    const { failed } = await this.#core.selfTestSlow(name);
    return failed === undefined ? { passed: true, tests } : { passed: false, tests, failed };
  }

  /** Closes every session; the last HSM of the process wipes the secret memory. Twice is fine. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const pool of this.#pools) pool.close();
    for (const session of [...this.#sessions]) session.close();
    this.#partitions.close();
    this.#core.close();
  }

  #require(): void {
    if (!this.#open) throw new HsmError('HSM_E_STATE', 'the HSM is closed');
  }

  #session(options: SessionOptions): Session {
    this.#require();
    if (this.#sessions.size >= this.#maxSessions) throw new HsmError('HSM_E_LIMIT', `${this.#maxSessions} sessions are open`);
    const name = options.partition ?? 'default';
    const partition = this.#partitions.get(name);
    const handle = this.#core.openSession(partition, { readWrite: options.readOnly !== true });
    const session = new Session(this.#core, name, partition, handle, (ended) => { this.#ending(ended); });
    this.#sessions.add(session);
    return session;
  }

  /** With its last session the login of a partition ends, as in PKCS#11. */
  #ending(session: Session): void {
    this.#sessions.delete(session);
    if (!this.#partitions.asksForPin(session.partition)) return;
    for (const other of this.#sessions) if (other.partition === session.partition) return;
    if (session.role !== 'public') session.logout();
  }

  async #login(options: LoginOptions): Promise<Session> {
    const session = this.#session(options);
    this.#partitions.refresh(session.partition);
    const role = options.role ?? 'user';
    try {
      // Roles are the partition's: where another session has logged in, the PIN is still checked.
      await (session.role === 'user' && role === 'user' ? session.checkPin(options.pin) : session.login(options.pin, role));
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async #pooled(options: SessionOptions | LoginOptions): Promise<Session> {
    return await this.session(options as LoginOptions);
  }
}
