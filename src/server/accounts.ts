/** Tenants and their access keys: made here, loaded here. Each account is a partition of the core. */
import type { Core, KeyHandle, PartitionHandle, Payload, SecretSource, SessionHandle } from '../hsm/core.ts';
import type { AccountRecord, CredentialRecord } from '../iam/records.ts';
import { StoreError } from '../store/store.ts';
import type { Page, Row, Store } from '../store/store.ts';

/** Refused administration: `status` is HTTP's. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  constructor(readonly status: 400 | 403 | 404 | 409 | 503, message: string) {
    super(message);
  }
}

export interface NewCredential {
  readonly account: string;
  /** Absent: the account's root. */
  readonly userName?: string;
  /** Absent: made at random. */
  readonly accessKeyId?: string;
  readonly secret: SecretSource;
  /** Whether the secret is given out, once. */
  readonly show: boolean;
}

export interface MadeCredential {
  readonly account: string;
  readonly accessKeyId: string;
  readonly principal: string;
  /** Open: for `core.writeCredential`; close it when done. */
  readonly key: KeyHandle;
  /** Release it when it has left. */
  readonly secret?: Payload;
}

const userName = /^[\w+=,.@-]{1,64}$/;
const keyAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export class Accounts {
  readonly #core: Core;
  readonly #store: Store;
  readonly #service: SessionHandle;
  readonly #open = new Map<string, Promise<PartitionHandle>>();

  /** service: the service's own session. */
  constructor(core: Core, store: Store, service: SessionHandle) {
    this.#core = core;
    this.#store = store;
    this.#service = service;
  }

  /** The account's partition, opened once; undefined: no such account. */
  async partition(account: string): Promise<PartitionHandle | undefined> {
    const known = this.#open.get(account);
    if (known !== undefined) return await known;
    const row = await this.#store.get<AccountRecord>('account', account);
    if (row?.sealed === undefined) return undefined;
    const { sealed } = row;
    // Somebody may have opened it while we read.
    let opened = this.#open.get(account);
    if (opened === undefined) {
      opened = Promise.resolve().then(() => this.#core.openPartition(account, sealed));
      this.#open.set(account, opened);
      opened.catch(() => this.#open.delete(account));
    }
    return await opened;
  }

  /** `account`: twelve digits; absent: made at random. */
  async create(account?: string, name?: string): Promise<Row<AccountRecord>> {
    const id = account ?? this.#newAccountId();
    if (!/^\d{12}$/.test(id)) throw new AdminError(400, `an account id is twelve digits, not '${id.slice(0, 40)}'`);
    const { sealed, partition } = this.#core.createPartition(id);
    try {
      await this.#store.tx(async (tx) => {
        if ((await tx.get('account', id)) !== undefined) throw new AdminError(409, `account ${id} exists`);
        tx.insert<AccountRecord>('account', { id, account: id, region: '', body: { status: 'Active', ...(name === undefined ? {} : { name }) }, sealed });
      });
    } catch (error) {
      this.#core.closePartition(partition);
      throw error instanceof StoreError && error.code === 'Exists' ? new AdminError(409, `account ${id} exists`) : error;
    }
    this.#open.set(id, Promise.resolve(partition));
    const row = await this.#store.get<AccountRecord>('account', id);
    if (row === undefined) throw new AdminError(409, `account ${id} was taken away`);
    return row;
  }

  /** As {@link partition}, for an account that must be there. */
  async require(account: string): Promise<PartitionHandle> {
    const partition = await this.partition(account);
    if (partition === undefined) throw new AdminError(404, `there is no account ${account.slice(0, 40)}`);
    return partition;
  }

  /** Writes a shared credentials file (0600) for a key just made, and closes the key. */
  writeCredential(made: MadeCredential, path: string, profile: string): void {
    try {
      this.#core.writeCredential(this.#service, made.key, path, profile);
    } finally {
      this.#core.closeCredential(this.#service, made.key);
    }
  }

  list(after?: string): Promise<Page<AccountRecord>> {
    return this.#store.list<AccountRecord>('account', { index: 'account.all', equals: [], limit: 1000, ...(after === undefined ? {} : { after }) });
  }

  async createCredential(wanted: NewCredential): Promise<MadeCredential> {
    const { account } = wanted;
    const partition = await this.require(account);
    if (wanted.userName !== undefined && !userName.test(wanted.userName)) throw new AdminError(400, 'a user name is 1 to 64 of letters, digits and +=,.@_-');
    const accessKeyId = wanted.accessKeyId ?? this.#newId('AKIA');
    const principal = wanted.userName === undefined ? `arn:aws:iam::${account}:root` : `arn:aws:iam::${account}:user/${wanted.userName}`;
    const made = this.#core.createCredential(this.#service, partition, accessKeyId, principal, 0, wanted.secret, wanted.show);
    try {
      await this.#store.tx(async (tx) => {
        const principalId = wanted.userName === undefined ? account : await this.#principalId(principal, account);
        tx.insert<CredentialRecord>('credential', {
          id: accessKeyId, account, region: '', sealed: made.sealed,
          body: { principal, principalId, status: 'Active', expiresMs: 0, ...(wanted.userName === undefined ? {} : { userName: wanted.userName }) },
        });
      });
    } catch (error) {
      made.shown?.release();
      this.#core.closeCredential(this.#service, made.key);
      throw error instanceof StoreError && error.code === 'Exists' ? new AdminError(409, `access key ${accessKeyId} exists`) : error;
    }
    const credential = { account, accessKeyId, principal, key: made.key };
    return made.shown === undefined ? credential : { ...credential, secret: made.shown };
  }

  /** A user has one principal id however many keys it has. */
  async #principalId(principal: string, account: string): Promise<string> {
    const { rows } = await this.#store.list<CredentialRecord>('credential', { index: 'credential.principal', equals: [account, principal], limit: 1 });
    return rows[0]?.body.principalId ?? this.#newId('AIDA');
  }

  #newId(prefix: string): string {
    const bytes = Buffer.allocUnsafe(16);
    this.#core.random(this.#service, bytes);
    return prefix + Array.from(bytes, (byte) => keyAlphabet[byte & 31]).join('');
  }

  #newAccountId(): string {
    const bytes = Buffer.allocUnsafe(8);
    this.#core.random(this.#service, bytes);
    return String(100_000_000_000n + (bytes.readBigUInt64BE() % 900_000_000_000n));
  }
}
