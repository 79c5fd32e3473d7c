/** External key stores, administered: proxies, their credentials, the keys they serve. */
import type { Recorder } from '../../audit/recorder.ts';
import type { Attribute, Core, Payload, SessionHandle } from '../../hsm/core.ts';
import type { Keyring } from '../../hsm/keyring.ts';
import { ATTR, KEY, MECH } from '../../hsm/numbers.ts';
import { packMechanism } from '../../hsm/request.ts';
import type { AccountRecord } from '../../iam/records.ts';
import { StoreError } from '../../store/store.ts';
import type { Row, Store, Tx } from '../../store/store.ts';
import { randomUuid } from '../../store/uuid.ts';
import { AdminError } from '../accounts.ts';
import type { Accounts } from '../accounts.ts';
import { credentialsMost, isKeyId, isPrefix, keyArn, keyRowId, principalOf, proxyRowId } from './records.ts';
import type { XksCredentialRecord, XksKeyRecord, XksProxyRecord, XksUse } from './records.ts';

export interface XksParts {
  readonly core: Core;
  readonly store: Store;
  readonly recorder: Recorder;
  readonly accounts: Accounts;
  readonly keyring: Keyring;
  /** The service's own session. */
  readonly session: SessionHandle;
  readonly region: string;
}

export interface ShownCredential {
  readonly proxy: Row<XksProxyRecord>;
  readonly accessKeyId: string;
  /** Release it when it has left. */
  readonly secret: Payload;
}

const aes256 = { type: KEY.AES, param: 256 } as const;

type Act = 'CreateXksProxy' | 'DeleteXksProxy' | 'CreateXksCredential' | 'DeleteXksCredential' | 'CreateXksKey' | 'AddXksKey' | 'RemoveXksKey' | 'EnableXksKey' | 'DisableXksKey' | 'DeleteXksKey';

export class XksProxies {
  readonly #parts: XksParts;

  constructor(parts: XksParts) {
    this.#parts = parts;
  }

  /* ---- proxies ------------------------------------------------------------- */

  async create(account: string, prefix: string): Promise<ShownCredential> {
    if (!isPrefix(prefix)) throw new AdminError(400, 'a prefix is letters, digits, - and _ in parts between slashes, at most 116 characters');
    await this.#active(account);
    return await this.#withCredential(account, prefix, 'CreateXksProxy', async (tx, accessKeyId) => {
      if ((await tx.get('xks-proxy', proxyRowId(prefix))) !== undefined) throw new AdminError(409, `there is a proxy at /${prefix} already`);
      tx.insert<XksProxyRecord>('xks-proxy', { id: proxyRowId(prefix), account, region: '', body: { prefix, credentials: [accessKeyId] } });
    });
  }

  async list(): Promise<readonly Row<XksProxyRecord>[]> {
    return (await this.#parts.store.list<XksProxyRecord>('xks-proxy', { index: 'xks-proxy.all', equals: [], limit: 1000 })).rows;
  }

  /** Its credentials go with it; the keys stay with the account. */
  async delete(prefix: string): Promise<void> {
    const { store } = this.#parts;
    const { account } = await this.#proxy(store, prefix);
    const served = (await this.keys(account)).filter((key) => key.body.proxies.includes(prefix));
    await store.tx(async (tx) => {
      const proxy = await this.#proxy(tx, prefix);
      for (const id of proxy.body.credentials) {
        const credential = await tx.get('xks-credential', id);
        if (credential !== undefined) tx.delete(credential);
      }
      for (const { id } of served) {
        const key = await tx.get<XksKeyRecord>('xks-key', id);
        if (key?.body.proxies.includes(prefix) === true) tx.update(key, { body: { ...key.body, proxies: key.body.proxies.filter((other) => other !== prefix) } });
      }
      tx.delete(proxy);
    });
    await this.#record(account, 'DeleteXksProxy', { prefix });
  }

  /* ---- credentials ----------------------------------------------------------- */

  /** One more beside the one in use. */
  async addCredential(prefix: string): Promise<ShownCredential> {
    const { account } = await this.#proxy(this.#parts.store, prefix);
    return await this.#withCredential(account, prefix, 'CreateXksCredential', async (tx, accessKeyId) => {
      const proxy = await this.#proxy(tx, prefix);
      if (proxy.body.credentials.length >= credentialsMost) throw new AdminError(409, `the proxy has ${credentialsMost} credentials: revoke one of ${proxy.body.credentials.join(', ')} first`);
      tx.update(proxy, { body: { ...proxy.body, credentials: [...proxy.body.credentials, accessKeyId] } });
    });
  }

  async revokeCredential(prefix: string, accessKeyId: string): Promise<void> {
    const account = await this.#parts.store.tx(async (tx) => {
      const proxy = await this.#proxy(tx, prefix);
      if (!proxy.body.credentials.includes(accessKeyId)) throw new AdminError(404, `the proxy has no credential ${accessKeyId.slice(0, 40)}`);
      const credential = await tx.get('xks-credential', accessKeyId);
      if (credential !== undefined) tx.delete(credential);
      tx.update(proxy, { body: { ...proxy.body, credentials: proxy.body.credentials.filter((id) => id !== accessKeyId) } });
      return proxy.account;
    });
    await this.#record(account, 'DeleteXksCredential', { prefix, accessKeyId });
  }

  /* ---- keys -------------------------------------------------------------------- */

  /** The account's key of this name, made where there is none, is served from now on. */
  async addKey(prefix: string, keyId: string, uses?: readonly XksUse[]): Promise<Row<XksKeyRecord>> {
    const { store } = this.#parts;
    if (!isKeyId(keyId)) throw new AdminError(400, 'a key id is 1 to 128 letters, digits and ._-');
    const { account } = await this.#proxy(store, prefix);
    if ((await this.#active(account)).strict === true) throw new AdminError(409, `account ${account} is strict: it releases no plaintext, so its keys cannot decrypt for another KMS`);
    const id = keyRowId(account, keyId);
    const made = (await store.get('xks-key', id)) === undefined ? await this.#seal(account, uses ?? ['ENCRYPT', 'DECRYPT']) : undefined;
    const isNew = await store.tx(async (tx) => {
      // Read in here too, so that a proxy that goes meanwhile leaves no key that points at it.
      await this.#proxy(tx, prefix);
      const key = await tx.get<XksKeyRecord>('xks-key', id);
      if (key === undefined) {
        if (made === undefined) throw new AdminError(409, `key ${keyId} was taken away`);
        const { objectId, sealed } = made;
        tx.insert<XksKeyRecord>('xks-key', { id, account, region: '', body: { keyId, objectId, uses: uses ?? ['ENCRYPT', 'DECRYPT'], enabled: true, proxies: [prefix] }, sealed });
        return true;
      }
      if (uses !== undefined && [...uses].sort().join() !== [...key.body.uses].sort().join()) throw new AdminError(409, `key ${keyId} is there already, for ${key.body.uses.join(' and ') || 'nothing'}`);
      if (!key.body.proxies.includes(prefix)) tx.update(key, { body: { ...key.body, proxies: [...key.body.proxies, prefix] } });
      return false;
    });
    await this.#record(account, isNew ? 'CreateXksKey' : 'AddXksKey', { prefix, keyId });
    return await this.#key(store, account, keyId);
  }

  /** It stays in the account, and other proxies may serve it. */
  async removeKey(prefix: string, keyId: string): Promise<void> {
    const { account } = await this.#proxy(this.#parts.store, prefix);
    await this.#parts.store.tx(async (tx) => {
      const key = await this.#key(tx, account, keyId);
      if (!key.body.proxies.includes(prefix)) throw new AdminError(404, `the proxy serves no key ${keyId.slice(0, 128)}`);
      tx.update(key, { body: { ...key.body, proxies: key.body.proxies.filter((other) => other !== prefix) } });
    });
    await this.#record(account, 'RemoveXksKey', { prefix, keyId });
  }

  async keys(account: string): Promise<readonly Row<XksKeyRecord>[]> {
    const keys: Row<XksKeyRecord>[] = [];
    for (let after: string | undefined; ;) {
      const page = await this.#parts.store.list<XksKeyRecord>('xks-key', { index: 'xks-key.account', equals: [account], limit: 1000, ...(after === undefined ? {} : { after }) });
      keys.push(...page.rows);
      if (page.next === undefined) return keys;
      after = page.next;
    }
  }

  async setEnabled(account: string, keyId: string, enabled: boolean): Promise<Row<XksKeyRecord>> {
    await this.#parts.store.tx(async (tx) => {
      const key = await this.#key(tx, account, keyId);
      if (key.body.enabled !== enabled) tx.update(key, { body: { ...key.body, enabled } });
    });
    await this.#record(account, enabled ? 'EnableXksKey' : 'DisableXksKey', { keyId });
    return await this.#key(this.#parts.store, account, keyId);
  }

  /** For ever: what it encrypted is lost. */
  async destroyKey(account: string, keyId: string): Promise<void> {
    const { accounts, keyring, store } = this.#parts;
    const objectId = await store.tx(async (tx) => {
      const key = await this.#key(tx, account, keyId);
      if (key.body.proxies.length > 0) throw new AdminError(409, `key ${keyId} is served by ${key.body.proxies.map((prefix) => `/${prefix}`).join(', ')}: remove it there first`);
      tx.delete(key);
      return key.body.objectId;
    });
    keyring.forget(await accounts.require(account), bindingOf(objectId));
    await this.#record(account, 'DeleteXksKey', { keyId });
  }

  /* ---- parts of these ------------------------------------------------------------ */

  async #proxy(reader: Store | Tx, prefix: string): Promise<Row<XksProxyRecord>> {
    const row = isPrefix(prefix) ? await reader.get<XksProxyRecord>('xks-proxy', proxyRowId(prefix)) : undefined;
    if (row === undefined) throw new AdminError(404, `there is no proxy at /${prefix.slice(0, 128)}`);
    return row;
  }

  async #key(reader: Store | Tx, account: string, keyId: string): Promise<Row<XksKeyRecord>> {
    const row = isKeyId(keyId) ? await reader.get<XksKeyRecord>('xks-key', keyRowId(account, keyId)) : undefined;
    if (row === undefined) throw new AdminError(404, `account ${account.slice(0, 12)} has no external key ${keyId.slice(0, 128)}`);
    return row;
  }

  async #active(account: string): Promise<AccountRecord> {
    const row = await this.#parts.store.get<AccountRecord>('account', account);
    if (row === undefined) throw new AdminError(404, `there is no account ${account.slice(0, 40)}`);
    if (row.body.status !== 'Active') throw new AdminError(409, `account ${account} is ${row.body.status}`);
    return row.body;
  }

  /** Makes an access key; `write` gives it its place in the same transaction. */
  async #withCredential(account: string, prefix: string, act: Act, write: (tx: Tx, accessKeyId: string) => Promise<void>): Promise<ShownCredential> {
    const { core, store, accounts, session } = this.#parts;
    const partition = await accounts.require(account);
    const accessKeyId = accounts.newId('XKSA');
    const made = core.createCredential(session, partition, accessKeyId, principalOf(account, prefix), 0, { from: 'made', long: true }, true);
    core.closeCredential(session, made.key);
    if (made.shown === undefined) throw new Error('the core showed no secret');
    try {
      await store.tx(async (tx) => {
        await write(tx, accessKeyId);
        tx.insert<XksCredentialRecord>('xks-credential', { id: accessKeyId, account, region: '', body: { prefix }, sealed: made.sealed });
      });
      await this.#record(account, act, { prefix, accessKeyId });
      return { proxy: await this.#proxy(store, prefix), accessKeyId, secret: made.shown };
    } catch (error) {
      made.shown.release();
      throw error instanceof StoreError && error.code === 'Exists' ? new AdminError(409, `there is a proxy at /${prefix} already`) : error;
    }
  }

  /** A fresh key, good for AES-GCM in these directions and for nothing else. */
  async #seal(account: string, uses: readonly XksUse[]): Promise<{ readonly objectId: string; readonly sealed: Buffer }> {
    const { core, session, accounts } = this.#parts;
    const partition = await accounts.require(account);
    const handle = core.generate(session, partition, aes256, keyAttributes(uses));
    const objectId = randomUuid();
    try {
      return { objectId, sealed: core.seal(session, handle, bindingOf(objectId)) };
    } finally {
      core.destroy(session, handle);
    }
  }

  async #record(account: string, name: Act, what: { readonly prefix?: string; readonly keyId?: string; readonly accessKeyId?: string }): Promise<void> {
    const { prefix, keyId, accessKeyId } = what;
    await this.#parts.recorder.record({
      source: eventSource, name, readOnly: false, region: this.#parts.region, requestId: randomUuid(), sourceIp: 'AWS Internal', userAgent: 'AWS Internal',
      actor: undefined, recipients: [account],
      request: { ...(prefix === undefined ? {} : { proxy: `/${prefix}` }), ...(keyId === undefined ? {} : { keyId }), ...(accessKeyId === undefined ? {} : { accessKeyId }) },
      ...(keyId === undefined ? {} : { resources: [{ accountId: account, type: keyType, ARN: keyArn(account, keyId) }] }),
    }).durable;
  }
}

/** In the trail. */
export const eventSource = 'xks-proxy.strongroom';
export const keyType = 'Strongroom::XksProxy::Key';

export const bindingOf = (objectId: string) => ({ objectId, materialId: 'xks' }) as const;

export function keyAttributes(uses: readonly XksUse[]): readonly Attribute[] {
  return [
    [ATTR.SENSITIVE, true], [ATTR.EXTRACTABLE, false], [ATTR.ENCRYPT, uses.includes('ENCRYPT')], [ATTR.DECRYPT, uses.includes('DECRYPT')],
    [ATTR.SIGN, false], [ATTR.VERIFY, false], [ATTR.WRAP, false], [ATTR.UNWRAP, false], [ATTR.DERIVE, false],
    [ATTR.ALLOWED_MECHANISMS, packMechanism(MECH.AES_GCM)],
  ];
}
