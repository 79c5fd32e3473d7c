/**
 * Which custom key stores are connected. The store's record says what holds for everybody; here are the
 * live ends of this process. Connecting goes on in the background: what it finds out is written only if
 * nobody connected or disconnected meanwhile.
 */
import type { KeepCore, PartitionHandle, Payload, SessionHandle } from '../../hsm/core.ts';
import type { Core } from '../../hsm/core.ts';
import type { Store } from '../../store/store.ts';
import { fail } from '../errors.ts';
import type { KeyStore } from '../keystore.ts';
import type { Partitions } from '../partitions.ts';
import type { ConnectionErrorCode, KeyStoreRecord, KeyStoreRow } from '../records.ts';
import { StoreFailure } from './failure.ts';
import { ModuleLink } from './module-link.ts';
import { ModuleStore } from './module-store.ts';
import { ProxyClient } from './proxy-client.ts';
import { ProxyStore } from './proxy-store.ts';
import type { Cluster, KeyStoreSettings } from './settings.ts';

export interface KeyStoresOptions {
  readonly core: Core & KeepCore;
  readonly session: SessionHandle;
  readonly store: Store;
  readonly partitions: Partitions;
  readonly settings: KeyStoreSettings;
  readonly requestId: () => string;
  readonly log: (line: string) => void;
}

/** A record with its credential, as it may not be stored yet. */
export interface Configured {
  readonly account: string;
  readonly region: string;
  readonly body: KeyStoreRecord;
  readonly sealed: Buffer;
}

const renewalMs = 2_000;
/** How long a request waits for a store that is being opened after a start. */
const patienceMs = 5_000;
/** Pauses between the tries after a start: what a store stands on may come up later than we do. */
const resumePausesMs: readonly number[] = [2_000, 10_000, 30_000];

interface Live {
  readonly account: string;
  readonly attempt: number;
  readonly opening: Promise<KeyStore>;
  open: KeyStore | undefined;
}

export class KeyStores {
  readonly #options: KeyStoresOptions;
  /** By the record's row id. */
  readonly #live = new Map<string, Live>();
  /** What goes on in the background; waited for at the end. */
  readonly #working = new Set<Promise<void>>();

  constructor(options: KeyStoresOptions) {
    this.#options = options;
  }

  cluster(id: string): Cluster | undefined {
    return this.#options.settings.clusters.get(id);
  }

  /** The live end of a store that is connected; one that is being opened anew is waited for. */
  of(rowId: string): KeyStore | Promise<KeyStore> {
    const live = this.#live.get(rowId);
    if (live === undefined) throw fail('KMSInvalidStateException', 'The custom key store of the KMS key is not connected.');
    return live.open ?? this.#awaited(live.opening);
  }

  async #awaited(opening: Promise<KeyStore>): Promise<KeyStore> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => { timer = setTimeout(() => { resolve(undefined); }, patienceMs); });
    const open = await Promise.race([opening.catch(() => undefined), late]);
    clearTimeout(timer);
    if (open === undefined) throw fail('KMSInvalidStateException', 'The custom key store of the KMS key is not connected.');
    return open;
  }

  /** Is what the record says worth connecting to? Throws a StoreFailure. */
  async probe(configured: Configured, operation: string, requestId: string): Promise<void> {
    const { cluster, proxy } = configured.body;
    if (cluster !== undefined) {
      const link = await ModuleLink.open(this.#clusterOf(cluster.id), undefined, () => undefined);
      await link.close();
    }
    if (proxy !== undefined) {
      const client = await this.#client(configured);
      try {
        await client.health({ operation, requestId });
      } finally {
        client.close();
      }
    }
  }

  /** In the background; the record is CONNECTING already, or CONNECTED from before this process. */
  connect(row: KeyStoreRow): void {
    void this.#drop(row.id);
    const { sealed } = row;
    if (sealed === undefined) throw new Error(`key store ${row.id} has no credential`);
    const opening = this.#open(row.id, { account: row.account, region: row.region, body: row.body, sealed });
    const live: Live = { account: row.account, attempt: row.body.attempt, opening, open: undefined };
    this.#live.set(row.id, live);
    this.#background(opening.then(
      async (store) => {
        if (this.#live.get(row.id) !== live || !(await this.#settle(row, 'CONNECTED'))) await this.#end(row.id, live, store);
        else live.open = store;
      },
      async (error: unknown) => {
        // Disconnected, or stopping: the record says already what holds.
        if (this.#live.get(row.id) !== live) return;
        this.#live.delete(row.id);
        this.#options.log(`key store ${row.id}: ${error instanceof Error ? error.message : typeof error}`);
        await this.#settle(row, 'FAILED', error instanceof StoreFailure ? error.connectionCode : 'INTERNAL_ERROR');
      },
    ));
  }

  disconnect(rowId: string): Promise<void> {
    return this.#drop(rowId);
  }

  /** A connected store's proxy has another path or another credential. */
  async renew(row: KeyStoreRow): Promise<void> {
    const live = this.#live.get(row.id);
    if (live === undefined || row.sealed === undefined) return;
    const opening = this.#open(row.id, { account: row.account, region: row.region, body: row.body, sealed: row.sealed });
    const open = await opening;
    if (this.#live.get(row.id) !== live) return open.close();
    this.#live.set(row.id, { account: row.account, attempt: row.body.attempt, opening, open });
    // What is under way through the old one has its time.
    setTimeout(() => void live.open?.close(), renewalMs).unref();
  }

  /** After a start: what was connected is connected again. */
  async resume(): Promise<void> {
    const { store } = this.#options;
    for (const state of ['CONNECTED', 'CONNECTING']) {
      for (let after: string | undefined; ;) {
        const page = await store.list<KeyStoreRecord>('keystore', { index: 'keystore.state', equals: [state], limit: 100, ...(after === undefined ? {} : { after }) });
        for (const row of page.rows) this.connect(row);
        if (page.next === undefined) break;
        after = page.next;
      }
    }
  }

  /** The account is closed: nothing of it stays. */
  forget(account: string): void {
    for (const [id, live] of this.#live) if (live.account === account) this.#background(this.#drop(id));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#live.keys()].map((id) => this.#drop(id)));
    while (this.#working.size > 0) await Promise.all(this.#working);
  }

  /* ---- opening ----------------------------------------------------------------- */

  async #open(rowId: string, configured: Configured): Promise<KeyStore> {
    const { core, session, log, requestId } = this.#options;
    const { cluster, storeId } = configured.body;
    if (cluster === undefined) {
      const client = await this.#client(configured);
      try {
        // A store that was connected stays so whatever its proxy does; it is asked when it is connected anew.
        if (configured.body.state === 'CONNECTING') await client.health({ operation: 'ConnectCustomKeyStore', requestId: requestId() });
      } catch (error) {
        client.close();
        throw error;
      }
      return new ProxyStore(core, client);
    }
    const partition = await this.#partition(configured.account);
    const connect = (): Promise<KeyStore> => ModuleStore.connect({
      core, session, log,
      cluster: this.#clusterOf(cluster.id),
      password: (): Payload => core.keepOpen(session, partition, storeId, configured.sealed),
      failed: (code) => { this.#failed(rowId, configured, code); },
    });
    return configured.body.state === 'CONNECTED' ? this.#patiently(rowId, connect) : connect();
  }

  async #patiently(rowId: string, connect: () => Promise<KeyStore>): Promise<KeyStore> {
    for (const pause of resumePausesMs) {
      try {
        return await connect();
      } catch (error) {
        if (!(error instanceof StoreFailure) || !error.mayPass) throw error;
        this.#options.log(`key store ${rowId}: ${error.message}; trying again`);
      }
      // In steps, so that whoever disconnects or stops does not wait for it.
      for (let waited = 0; waited < pause && this.#live.has(rowId); waited += 200) await new Promise((resolve) => { setTimeout(resolve, 200); });
      if (!this.#live.has(rowId)) throw new StoreFailure('stopped');
    }
    return connect();
  }

  async #client({ account, region, body: { proxy, storeId }, sealed }: Configured): Promise<ProxyClient> {
    const { core, session, settings } = this.#options;
    if (proxy === undefined) throw new Error(`key store ${storeId} has no proxy`);
    return new ProxyClient({ proxy, region, settings: settings.proxies }, { core, session, partition: await this.#partition(account), id: storeId, sealed });
  }

  #clusterOf(id: string): Cluster {
    const cluster = this.cluster(id);
    if (cluster === undefined) throw new StoreFailure('notConfigured', id);
    return cluster;
  }

  async #partition(account: string): Promise<PartitionHandle> {
    return this.#options.partitions.of(account);
  }

  /* ---- ending ------------------------------------------------------------------- */

  async #drop(rowId: string): Promise<void> {
    const live = this.#live.get(rowId);
    if (live === undefined) return;
    this.#live.delete(rowId);
    const store = live.open ?? (await live.opening.catch(() => undefined));
    await store?.close();
  }

  async #end(rowId: string, live: Live, store: KeyStore): Promise<void> {
    if (this.#live.get(rowId) === live) this.#live.delete(rowId);
    await store.close();
  }

  /** Its process crashed and would not start again. */
  #failed(rowId: string, { account, region, body }: Configured, code: ConnectionErrorCode): void {
    const live = this.#live.get(rowId);
    if (live?.attempt !== body.attempt) return;
    this.#live.delete(rowId);
    this.#background(this.#settle({ id: rowId, account, region, body }, 'FAILED', code).then(() => undefined));
  }

  /** False: it was connected, disconnected or deleted meanwhile, and this counts no more. */
  async #settle({ id, body: { attempt } }: Pick<KeyStoreRow, 'id' | 'account' | 'region' | 'body'>, state: 'CONNECTED' | 'FAILED', errorCode?: ConnectionErrorCode): Promise<boolean> {
    return this.#options.store.tx(async (tx) => {
      const row = await tx.get<KeyStoreRecord>('keystore', id);
      if (row?.body.attempt !== attempt || (row.body.state !== 'CONNECTING' && row.body.state !== 'CONNECTED')) return false;
      const { errorCode: _, ...rest } = row.body;
      if (row.body.state !== state) tx.update(row, { body: { ...rest, state, ...(errorCode === undefined ? {} : { errorCode }) } });
      return true;
    });
  }

  #background(work: Promise<void>): void {
    const known = work.catch((error: unknown) => { this.#options.log(`key stores: ${error instanceof Error ? `${error.name}: ${error.message}` : typeof error}`); })
      .finally(() => { this.#working.delete(known); });
    this.#working.add(known);
  }
}
