/**
 * What falls due without a request: keys whose waiting period is over, rotations, imported material
 * that expires. It works off the index of due keys by the store's clock; each step is one transaction
 * that looks again before it acts, so running twice, or on two nodes, does a thing once.
 */
import type { Resource } from '../audit/recorder.ts';
import type { Row, Table } from '../store/store.ts';
import { keyEvent, type EventName } from './events.ts';
import { hasExpired, removeMaterials, settlePending } from './imported.ts';
import { Key } from './key.ts';
import { externalKeyRowId, keptOf, keyStoreRowId, materialRowId, type GrantRecord, type KeyRecord, type Material, type MaterialRecord } from './records.ts';
import { changeAll, relatedKeys } from './related.ts';
import { prepareMaterial, rotateIn } from './rotate.ts';
import type { Services } from './run.ts';
import { lastUseRowId } from './usage.ts';

const day = 86_400_000;

export interface CaretakerOptions {
  /** Between two rounds; default one second. */
  readonly everyMs?: number;
}

export class Caretaker {
  readonly #services: Services;
  readonly #flush: () => Promise<void>;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<number> | undefined;

  constructor(service: { readonly services: Services; flush(): Promise<void> }, { everyMs = 1000 }: CaretakerOptions = {}) {
    this.#services = service.services;
    this.#flush = () => service.flush();
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.run(), this.#everyMs).unref();
  }

  /** Waits for the round under way and writes what is gathered. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#round;
    await this.#flush();
  }

  /** Time has jumped: a round that began before may have missed what is due now, so one more follows it. */
  async wake(): Promise<void> {
    await this.#round;
    await this.run();
  }

  /** One round: everything that is due now. Answers how many keys were looked after; never rejects. */
  run(): Promise<number> {
    this.#round ??= this.#work().finally(() => { this.#round = undefined; });
    return this.#round;
  }

  async #work(): Promise<number> {
    const { store, log } = this.#services;
    let done = 0;
    try {
      await this.#flush();
      for (let after: string | undefined; ;) {
        const page = await store.list<KeyRecord>('key', { index: 'key.due', equals: [], limit: 100, ...(after === undefined ? {} : { after }) });
        for (const row of page.rows) {
          if ((row.body.dueMs ?? Infinity) > store.now()) return done;
          await this.#attend(new Key(row));
          done++;
        }
        if (page.next === undefined) return done;
        after = page.next;
      }
    } catch (error) {
      log(`caretaker: ${error instanceof Error ? `${error.name}: ${error.message}` : typeof error}`);
      return done;
    }
  }

  /** One key's failure does not keep the others waiting. */
  async #attend(key: Key): Promise<void> {
    const { store, log } = this.#services;
    const nowMs = store.now();
    try {
      const { deletion, rotation } = key.record;
      if (isDue(key.record, nowMs)) return await this.#delete(key, nowMs);
      await this.#expire(key, nowMs);
      if (deletion === undefined && rotation?.enabled === true && rotation.nextMs <= nowMs) await this.#rotate(key, nowMs);
    } catch (error) {
      log(`caretaker: ${key.arn}: ${error instanceof Error ? `${error.name}: ${error.message}` : typeof error}`);
    }
  }

  /* ---- deletion -------------------------------------------------------------- */

  /** What hangs on the key goes first, the key and its material last and together. */
  async #delete(key: Key, nowMs: number): Promise<void> {
    const { store, keyring, partitions, usage, keyTally } = this.#services;
    if (!isDue(key.record, nowMs)) return;
    while (await this.#deleteSome(key, nowMs, 'grant', 'grant.key')) { /* until none is left */ }
    while (await this.#deleteSome(key, nowMs, 'alias', 'alias.key')) { /* until none is left */ }
    const gone = await store.tx(async (tx) => {
      const row = await tx.get<KeyRecord>('key', key.id);
      if (row === undefined || !isDue(row.body, nowMs)) return undefined;
      const last = new Key(row);
      for (const { id } of last.record.materials) await remove(tx, 'material', materialRowId(key.region, id));
      await remove(tx, 'policy', key.id);
      await remove(tx, 'counter', lastUseRowId(key.id));
      const { keyStoreId, xksKeyId } = last.record;
      if (keyStoreId !== undefined && xksKeyId !== undefined) await remove(tx, 'name', externalKeyRowId(key.account, key.region, keyStoreId, xksKeyId));
      tx.delete(row);
      await leaveSet(tx, last, nowMs);
      return last;
    });
    if (gone === undefined) return;
    usage.forget(key.id);
    keyTally.add(`${key.account}/${key.region}`, -1);
    const partition = await partitions.of(key.account);
    for (const { id } of gone.record.materials) keyring.forget(partition, keptOf(key.region, key.record.keyId, id));
    await this.#leaveStore(gone);
    await this.#event('DeleteKey', key, { keyId: key.record.keyId });
    this.#tell('KMS CMK Deletion', key);
  }

  /** As AWS does: a try, which a store that is not connected does not get. */
  async #leaveStore(key: Key): Promise<void> {
    const { keyStores, log } = this.#services;
    const { keyStoreId } = key.record;
    if (keyStoreId === undefined) return;
    try {
      const store = await keyStores.of(keyStoreRowId(key.account, key.region, keyStoreId));
      await store.destroy(key);
    } catch (error) {
      log(`${key.arn} is deleted; what it stood on in custom key store ${keyStoreId} is left there: ${error instanceof Error ? error.message : typeof error}`);
    }
  }

  /** True while there may be more. */
  async #deleteSome(key: Key, nowMs: number, table: 'grant' | 'alias', index: 'grant.key' | 'alias.key'): Promise<boolean> {
    const { store } = this.#services;
    const page = await store.list<GrantRecord>(table, { index, equals: [key.id], limit: 200 });
    if (page.rows.length === 0) return false;
    return store.tx(async (tx) => {
      const row = await tx.get<KeyRecord>('key', key.id);
      if (row === undefined || !isDue(row.body, nowMs)) return false;
      for (const one of page.rows) await remove(tx, table, one.id);
      return true;
    });
  }

  /* ---- rotation ----------------------------------------------------------------- */

  async #rotate(key: Key, nowMs: number): Promise<void> {
    const { store } = this.#services;
    const related = await store.tx((tx) => relatedKeys(tx, key));
    const made = await prepareMaterial(this.#services, related);
    const rotated = await store.tx(async (tx) => {
      const row = await tx.get<KeyRecord>('key', key.id);
      const rotation = row?.body.rotation;
      if (row === undefined || rotation?.enabled !== true || rotation.nextMs > nowMs || row.body.state !== 'Enabled') return false;
      await rotateIn(tx, new Key(row), made, 'AUTOMATIC', nowMs);
      return true;
    });
    if (!rotated) return;
    await this.#event('RotateKey', key, { keyId: key.record.keyId, rotationType: 'AUTOMATIC', keyMaterialId: made.id });
    this.#tell('KMS CMK Rotation', key);
  }

  /* ---- expiry of imported material -------------------------------------------------- */

  async #expire(key: Key, nowMs: number): Promise<void> {
    const { store, keyring, partitions } = this.#services;
    const { over, gone } = await store.tx(async (tx) => {
      const row = await tx.get<KeyRecord>('key', key.id);
      const expired = row?.body.materials.filter((material) => hasExpired(material, nowMs)) ?? [];
      return { over: expired, gone: row === undefined || expired.length === 0 ? [] : await removeMaterials(tx, new Key(row), expired) };
    });
    if (over.length === 0) return;
    const partition = await partitions.of(key.account);
    for (const { region, id } of gone) keyring.forget(partition, keptOf(region, key.record.keyId, id));
    for (const { id } of over) {
      await this.#event('DeleteExpiredKeyMaterial', key, { keyId: key.record.keyId, keyMaterialId: id });
      this.#tell('KMS Imported Key Material Expiration', key);
    }
  }

  /* ---- the trail, and who listens ------------------------------------------------------ */

  #tell(name: EventName, key: Key): void {
    const { events, ids, store } = this.#services;
    events?.tell(keyEvent(ids, name, key, store.now()));
  }

  async #event(name: string, key: Key, extra: Readonly<Record<string, unknown>>): Promise<void> {
    const resource: Resource = { ARN: key.arn, accountId: key.account, type: 'AWS::KMS::Key' };
    const { recorder, ids } = this.#services;
    await recorder.record({
      source: 'kms.amazonaws.com', name, readOnly: false, region: key.region, requestId: ids.uuid(), sourceIp: 'AWS Internal', userAgent: 'AWS Internal',
      actor: undefined, recipients: [key.account], resources: [resource], extra,
    }).durable;
  }
}

const isDue = ({ deletion }: KeyRecord, nowMs: number): boolean => deletion?.dueMs !== undefined && deletion.dueMs <= nowMs;

type Deleter = { get<T>(table: Table, id: string): Promise<Row<T> | undefined>; delete(row: Row<unknown>): void };

async function remove(tx: Deleter, table: Table, id: string): Promise<void> {
  const row = await tx.get<MaterialRecord>(table, id);
  if (row !== undefined) tx.delete(row);
}

/** A replica that is gone is told to the others; the last one lets its primary's waiting period begin. */
async function leaveSet(tx: Parameters<Parameters<Services['store']['tx']>[0]>[0], key: Key, nowMs: number): Promise<void> {
  const set = key.record.multiRegion;
  if (set === undefined) return;
  const others = (await relatedKeys(tx, key)).filter(({ region }) => region !== key.region);
  const multiRegion = { ...set, replicas: set.replicas.filter((region) => region !== key.region) };
  changeAll(tx, others, ({ record, region }) => {
    const deletion = record.deletion;
    const begins = region === set.primary && record.state === 'PendingReplicaDeletion' && multiRegion.replicas.length === 0 && deletion !== undefined;
    return { multiRegion, materials: settlePending(others, record.materials), ...(begins ? { state: 'PendingDeletion' as const, deletion: { ...deletion, dueMs: nowMs + deletion.windowDays * day } } : {}) };
  });
}
