/** Tenants and their access keys: made here, loaded here. Each account is a partition of the core. */
import type { Core, KeyHandle, PartitionHandle, Payload, SecretSource, SessionHandle } from '../hsm/core.ts';
import { rootArn } from '../iam/arn.ts';
import { Directory, findPrincipal, insertPrincipal, newUser } from '../iam/directory.ts';
import { refused } from '../iam/errors.ts';
import { limits } from '../iam/limits.ts';
import type { AccountRecord, CredentialRecord, UserRecord } from '../iam/records.ts';
import { StoreError } from '../store/store.ts';
import type { Page, Row, Store, Tx } from '../store/store.ts';

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
  /** Acts as this service instead: `s3.amazonaws.com`. */
  readonly service?: string;
  /** IAM's rules: the user must be there, and have room for one more. Else a user that is not there is made. */
  readonly strict?: boolean;
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

/** Who a credential acts as. */
interface Holder {
  readonly principal: string;
  readonly principalId: string;
  readonly user?: Row<UserRecord>;
}

export class Accounts {
  readonly directory: Directory;
  readonly #core: Core;
  readonly #store: Store;
  readonly #service: SessionHandle;
  readonly #open = new Map<string, Promise<PartitionHandle>>();

  /** service: the service's own session. */
  constructor(core: Core, store: Store, service: SessionHandle) {
    this.#core = core;
    this.#store = store;
    this.#service = service;
    this.directory = new Directory(store, (prefix) => this.newId(prefix));
  }

  /** The account's partition, opened once; undefined: no such account. */
  async partition(account: string): Promise<PartitionHandle | undefined> {
    const known = this.#open.get(account);
    if (known !== undefined) return await known;
    const row = await this.#store.get<AccountRecord>('account', account);
    if (row?.sealed === undefined) return undefined;
    const { sealed, body } = row;
    // Somebody may have opened it while we read.
    let opened = this.#open.get(account);
    if (opened === undefined) {
      opened = Promise.resolve().then(() => this.#openAs(account, sealed, body.strict === true));
      this.#open.set(account, opened);
      opened.catch(() => this.#open.delete(account));
    }
    return await opened;
  }

  #openAs(account: string, sealed: Buffer, strict: boolean): PartitionHandle {
    const partition = this.#core.openPartition(account, sealed);
    try {
      if (strict) this.#core.restrictPartition(partition);
      return partition;
    } catch (error) {
      this.#core.closePartition(partition);
      throw error;
    }
  }

  /** Its partition is strict from now on, until it is closed. */
  async restrict(account: string): Promise<void> {
    this.#core.restrictPartition(await this.require(account));
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

  /** The account's key is gone from its row: nothing of it stays open here either. Answers the partition that was. */
  async close(account: string): Promise<PartitionHandle | undefined> {
    const known = this.#open.get(account);
    this.#open.delete(account);
    const partition = await known?.catch(() => undefined);
    if (partition !== undefined) this.#core.closePartition(partition);
    return partition;
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

  /** The store was emptied: partitions are closed, and every key in them with them. */
  async forgetAll(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const partition of open) this.#core.closePartition(await partition);
  }

  list(after?: string): Promise<Page<AccountRecord>> {
    return this.#store.list<AccountRecord>('account', { index: 'account.all', equals: [], limit: 1000, ...(after === undefined ? {} : { after }) });
  }

  async createCredential(wanted: NewCredential): Promise<MadeCredential> {
    const { account } = wanted;
    const partition = await this.require(account);
    if (wanted.userName !== undefined && !userName.test(wanted.userName)) throw new AdminError(400, 'a user name is 1 to 64 of letters, digits and +=,.@_-');
    const accessKeyId = wanted.accessKeyId ?? this.newId('AKIA');
    const { principal } = await this.#holder(wanted);
    const made = this.#core.createCredential(this.#service, partition, accessKeyId, principal, 0, wanted.secret, wanted.show);
    try {
      await this.#store.tx(async (tx) => {
        const { principalId, user } = await this.#holder(wanted, tx);
        if (user !== undefined) {
          const { keys } = user.body;
          if (wanted.strict === true && keys.length >= limits.keysPerUser) throw refused.quota('AccessKeysPerUser', limits.keysPerUser);
          tx.update(user, { body: { ...user.body, keys: [...keys, accessKeyId] } });
        }
        tx.insert<CredentialRecord>('credential', {
          id: accessKeyId, account, region: '', sealed: made.sealed,
          body: {
            principal, principalId, status: 'Active', expiresMs: 0,
            ...(user === undefined ? {} : { userName: user.body.name }), ...(wanted.service === undefined ? {} : { service: wanted.service }),
          },
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

  closeCredential(made: MadeCredential): void {
    this.#core.closeCredential(this.#service, made.key);
  }

  /** A user's access keys; without a name, the root's. */
  async credentialsOf(account: string, user: string | undefined): Promise<readonly Row<CredentialRecord>[]> {
    const arn = user === undefined ? rootArn(account) : (await this.directory.find(account, 'user', user)).body.arn;
    const { rows } = await this.#store.list<CredentialRecord>('credential', { index: 'credential.principal', equals: [account, arn], limit: 1000 });
    return rows;
  }

  /** Throws NoSuchEntity for another's. */
  async changeCredential(account: string, user: string | undefined, id: string, status: CredentialRecord['status']): Promise<void> {
    await this.#store.tx(async (tx) => {
      const row = await this.#credential(tx, account, user, id);
      if (row.body.status !== status) tx.update(row, { body: { ...row.body, status } });
    });
  }

  async deleteCredential(account: string, user: string | undefined, id: string): Promise<void> {
    await this.#store.tx(async (tx) => {
      const row = await this.#credential(tx, account, user, id);
      tx.delete(row);
      if (user === undefined) return;
      const owner = await this.directory.find(account, 'user', user, tx);
      tx.update(owner, { body: { ...owner.body, keys: owner.body.keys.filter((key) => key !== id) } });
    });
  }

  async #credential(tx: Tx, account: string, user: string | undefined, id: string): Promise<Row<CredentialRecord>> {
    const principalId = user === undefined ? account : (await this.directory.find(account, 'user', user, tx)).id;
    const row = await tx.get<CredentialRecord>('credential', id);
    if (row?.account !== account || row.body.principalId !== principalId) throw refused.noKey(id);
    return row;
  }

  /** Made where it may be; a transaction's own reading of it. */
  async #holder({ account, userName: name, service, strict = false }: NewCredential, tx?: Tx): Promise<Holder> {
    if (service !== undefined) return { principal: service, principalId: service };
    if (name === undefined) return { principal: rootArn(account), principalId: account };
    const reader = tx ?? this.#store;
    let user = await findPrincipal(reader, account, 'user', name);
    if (user === undefined && tx === undefined && !strict) user = await this.#makeUser(account, name);
    if (user === undefined) throw refused.noSuch('user', name);
    return { principal: user.body.arn, principalId: user.id, user };
  }

  async #makeUser(account: string, name: string): Promise<Row<UserRecord> | undefined> {
    const id = this.newId('AIDA');
    await this.#store.tx((tx) => insertPrincipal(tx, account, id, newUser(account, name)));
    return await this.#store.get<UserRecord>('principal', id);
  }

  /** Such as AKIA and sixteen characters. */
  newId(prefix: string): string {
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
