/** One request under way: what an operation's body may ask of the service. */
import { HsmError } from '../hsm/core.ts';
import type { Core, ImportCore, KeepCore, KeyHandle, PartitionHandle, RecipientCore, SessionHandle } from '../hsm/core.ts';
import type { Kept, Keyring } from '../hsm/keyring.ts';
import type { Recorder } from '../audit/recorder.ts';
import type { Identities } from '../iam/identities.ts';
import type { Principal } from '../iam/principal.ts';
import type { Reader, Row, Store } from '../store/store.ts';
import type { Authoriser, Authority } from './authorise.ts';
import type { Ceilings } from './ceilings.ts';
import type { Facts } from './conditions.ts';
import type { Operation } from './define.ts';
import { dryRun, fail, internal, naming, usage as refuse } from './errors.ts';
import type { Events } from './events.ts';
import type { GrantTokens } from './grants.ts';
import type { Ids } from './ids.ts';
import { stateAt } from './imported.ts';
import { Key } from './key.ts';
import { coreStore, type Asking, type KeyStore } from './keystore.ts';
import type { KeyStores } from './keystores/connections.ts';
import type { KeyStoreSettings } from './keystores/settings.ts';
import type { Markers } from './marker.ts';
import type { Caller, ServiceRequest } from './operation.ts';
import type { Partitions } from './partitions.ts';
import { managedKey, serviceOf } from './predefined.ts';
import type { Quotas } from './quotas.ts';
import { recipientOf, type Attestation, type Recipient, type RecipientInfo } from './recipient.ts';
import {
  aliasRowId, keptOf, keyRowId, keyStoreRowId, materialRowId, type AliasRecord, type KeyRecord, type KeyRow, type KeyStoreRecord, type MaterialRecord,
} from './records.ts';
import { parseKeyName, type KeyName } from './resolve.ts';
import type { KeyUsageName } from './shapes.ts';
import { everyAccount } from './sharing.ts';
import { stateRefusal, type StateRule } from './states.ts';
import type { Tally } from './tally.ts';
import type { LastUsage } from './usage.ts';

/** A key's sealed object, found: what opening it takes. */
export interface Sealed {
  readonly partition: PartitionHandle;
  readonly binding: Kept;
  readonly bytes: Buffer;
}

/** The core, with the calls that only a KMS makes. */
export type KmsCore = Core & ImportCore & KeepCore & RecipientCore;

/** What the KMS stands on. */
export interface Parts {
  readonly core: KmsCore;
  readonly store: Store;
  readonly keyring: Keyring;
  /** An account's partition, opened when first asked for; undefined: no such account. */
  readonly partition: (account: string) => Promise<PartitionHandle | undefined>;
  readonly recorder: Recorder;
  readonly identities: Identities;
  /** Regions served, the default one first. */
  readonly regions: readonly string[];
  /** The service's own session: loads, seals and makes keys; uses none. */
  readonly session: SessionHandle;
  /** Absent: callers may call as often as they like. */
  readonly quotas?: Quotas;
  /** Absent: no attestation root is trusted, every Recipient is refused. */
  readonly attestation?: Attestation;
  /** Default: AWS's. */
  readonly ceilings?: Ceilings;
  /** Absent: custom key stores reach public proxies only, and no cluster is known. */
  readonly keyStoreSettings?: KeyStoreSettings;
  /** Who hears of rotations, deletions and expiries. */
  readonly events?: Events;
  /** One line about a failure of our own; never data. */
  readonly log: (line: string) => void;
}

/** Parts and what the KMS makes of them once. */
export interface Services extends Parts {
  readonly ceilings: Ceilings;
  /** A double for tests (dev mode): takes ids and material as they are given. */
  readonly double: boolean;
  readonly partitions: Partitions;
  readonly ids: Ids;
  readonly authoriser: Authoriser;
  readonly tokens: GrantTokens;
  readonly markers: Markers;
  readonly usage: LastUsage;
  readonly keyStores: KeyStores;
  /** Grants of a key, keys of an account in a Region: for the ceilings. */
  readonly grantTally: Tally;
  readonly keyTally: Tally;
}

export interface OpenKey {
  /** Default: the operation's own, `kms:` and its name. */
  readonly action?: string;
  readonly aliases?: boolean;
  readonly states: StateRule;
  readonly usage?: KeyUsageName | undefined;
  readonly facts?: Facts | undefined;
}

export interface Resource {
  readonly ARN: string;
  readonly accountId: string;
  readonly type: string;
}

export class Run {
  readonly request: ServiceRequest;
  readonly operation: Operation;
  readonly services: Services;
  readonly principal: Principal;
  readonly nowMs: number;
  input: Readonly<Record<string, unknown>> = {};
  /** For the trail: whom it touched, which keys it used, what else to say. */
  readonly resources: Resource[] = [];
  readonly used: Key[] = [];
  extra: Record<string, unknown> | undefined;
  /** Who gets the answer's secret, if it is not the caller. */
  verified: Recipient | undefined;
  /** What let the caller use the (first) key. */
  authority: Authority | undefined;

  constructor(services: Services, request: ServiceRequest, operation: Operation, principal: Principal) {
    this.services = services;
    this.request = request;
    this.operation = operation;
    this.principal = principal;
    this.nowMs = services.store.now();
  }

  get core(): KmsCore { return this.services.core; }
  get store(): Store { return this.services.store; }
  get caller(): Caller { return this.request.caller; }
  get region(): string { return this.request.region; }
  /** The account that acts. */
  get account(): string { return this.request.caller.account; }
  /** The capability keys are used under. */
  get session(): SessionHandle { return this.request.caller.session; }

  /** Everything but the act itself is checked: a dry run ends here. */
  proceed(): void {
    if (this.input['DryRun'] === true) throw dryRun();
  }

  /** The verified recipient of the answer's secret; its facts count in policies from now on. */
  recipient(info: RecipientInfo | undefined): Recipient | undefined {
    this.verified = recipientOf(this.services.attestation, info, this.nowMs);
    return this.verified;
  }

  /* ---- keys ------------------------------------------------------------- */

  /** Find, authorise, check usage and state: a key ready for the operation. */
  async open(name: string, need: OpenKey): Promise<Key> {
    const key = await this.authorised(name, need);
    this.require(key, need);
    return key;
  }

  /** Find and authorise; usage and state are still to be checked by {@link require}. */
  async authorised(name: string, need: Omit<OpenKey, 'states'>): Promise<Key> {
    const named = parseKeyName(name, this.account, this.region, need.aliases ?? false);
    const key = await this.find(named);
    if (key === undefined && named.account === this.account) throw named.by === 'alias' ? naming.noAlias(named.arn) : naming.noKey(named.arn);
    if (key !== undefined) this.touch(key);
    const authority = await this.permit(need.action ?? `kms:${this.operation.name}`, named.arn, named.account, key, need.facts);
    // Another account's missing key was refused just now, like one that is not shared.
    if (key === undefined) throw internal();
    await this.requireAdmitted(key, need.action ?? `kms:${this.operation.name}`, named.arn, need.facts);
    this.authority ??= authority;
    return key;
  }

  /** The second gate, which does not trust the first: another account's key is touched only where the sealed key names this account. */
  async requireAdmitted(key: Key, action: string, arn: string, facts?: Facts): Promise<void> {
    if (key.account === this.account || (await this.#admitted(key))) return;
    this.services.log(`${this.operation.name}: a policy admits account ${this.account} to ${key.arn}, the sealed key does not`);
    throw await this.#hidden(action, arn, key.account, facts);
  }

  /** The core's word, whatever the policies were read to say. */
  async #admitted(key: Key): Promise<boolean> {
    const row = key.material && (await this.store.get<MaterialRecord>('material', materialRowId(key.region, key.material.id)));
    // Imported material that is not there yet, or no more: what its seal will name is in the record.
    if (row?.sealed === undefined) return key.record.sharedWith.some((account) => account === this.account || account === everyAccount);
    try {
      this.core.describeKey(this.session, this.handle(sealedFrom(row, await this.services.partitions.of(key.account))));
      return true;
    } catch (error) {
      if (error instanceof HsmError && error.code === 'HSM_E_PARTITION') return false;
      throw error;
    }
  }

  #hidden(action: string, resource: string, account: string, facts?: Facts): Promise<Error> {
    const need = { action, resource, account, key: undefined, crossAccount: this.operation.crossAccount, facts };
    return this.services.authoriser.hidden(this.request, this.principal, this.input, need, this.nowMs);
  }

  /** Ask for one action on one resource; without a key, identity policies alone decide. */
  async permit(action: string, resource = '*', account = this.account, key?: Key, facts?: Facts): Promise<Authority> {
    const told = this.verified === undefined ? facts : { ...facts, values: { ...facts?.values, ...this.verified.facts } };
    const need = { action, resource, account, key, crossAccount: this.operation.crossAccount, facts: told };
    // Most operations stay within the account: no policy is asked about the others'.
    if (account !== this.account && !this.operation.crossAccount) throw await this.#hidden(action, resource, account, told);
    return this.services.authoriser.check(this.request, this.principal, this.input, need, this.nowMs);
  }

  require(key: Key, { usage, states }: Pick<OpenKey, 'usage' | 'states'>): void {
    if (usage !== undefined && key.record.usage !== usage) throw refuse.wrongUsage(key.arn, key.record.usage, this.operation.name);
    const refusal = stateRefusal(states, stateAt(key.record, key.state, this.nowMs), key.arn);
    if (refusal !== undefined) throw refusal;
  }

  /** A key by account and id, in this request's Region; no authority is asked. */
  async lookUp(account: string, keyId: string, region = this.region): Promise<Key | undefined> {
    const id = keyRowId(account, region, keyId);
    const row = this.store.peek<KeyRecord>('key', id) ?? (await this.store.get<KeyRecord>('key', id));
    return row && (row.body.keyStoreId === undefined ? new Key(row) : this.#inStore(row, row.body.keyStoreId, this.store));
  }

  async #inStore(row: KeyRow, storeId: string, reader: Reader): Promise<Key> {
    const store = await reader.get<KeyStoreRecord>('keystore', keyStoreRowId(row.account, row.region, storeId));
    return new Key(row, store?.body.state !== 'CONNECTED');
  }

  /** A key of the caller's own account, whatever its state; no authority is asked. */
  async own(name: string): Promise<Key> {
    const named = parseKeyName(name, this.account, this.region, false);
    const key = named.account === this.account ? await this.find(named) : undefined;
    if (key === undefined) throw naming.noKey(named.arn);
    return key;
  }

  async find(named: KeyName): Promise<Key | undefined> {
    if (named.by === 'id') return this.lookUp(named.account, named.keyId);
    const id = aliasRowId(named.account, this.region, named.alias);
    const alias = this.store.peek<AliasRecord>('alias', id) ?? (await this.store.get<AliasRecord>('alias', id));
    if (alias !== undefined) return this.lookUp(named.account, alias.body.keyId);
    const service = this.operation.name === 'DescribeKey' && named.account === this.account ? serviceOf(named.alias) : undefined;
    return service === undefined ? undefined : managedKey(this, named.alias, service);
  }

  /** The key's sealed object: of its current material, or of the one named. No turn of the event loop where all is at hand. */
  sealed(key: Key, materialId = key.material?.id): Sealed | Promise<Sealed> {
    if (materialId === undefined) throw new Error(`${key.arn} has no material`);
    const row = this.store.peek<MaterialRecord>('material', materialRowId(key.region, materialId));
    const partition = this.services.partitions.of(key.account);
    return row === undefined || typeof partition !== 'number' ? this.#sealedSlowly(key, materialId, partition) : sealedFrom(row, partition);
  }

  async #sealedSlowly(key: Key, materialId: string, partition: PartitionHandle | Promise<PartitionHandle>): Promise<Sealed> {
    const row = await this.store.get<MaterialRecord>('material', materialRowId(key.region, materialId));
    if (row === undefined) throw new Error(`material ${materialId} of ${key.arn} is not there`);
    return sealedFrom(row, await partition);
  }

  /** A live handle, good until the next turn of the event loop. */
  handle({ partition, binding, bytes }: Sealed): KeyHandle {
    return this.services.keyring.open(partition, binding, bytes);
  }

  /** Runs `work`, which goes to a worker thread, with a handle that stays. */
  async lend<R>(key: Key, work: (handle: KeyHandle) => Promise<R>): Promise<R> {
    const { partition, binding, bytes } = await this.sealed(key);
    return this.services.keyring.use(partition, binding, () => bytes, work);
  }

  /* ---- key stores ------------------------------------------------------------ */

  /** What the core sealed, as it leaves: sealed once more where the key lives in a custom key store. */
  wrap(key: Key, blob: Buffer): Buffer | Promise<Buffer> {
    const store = this.#storeOf(key);
    return 'then' in store ? store.then((live) => live.wrap(key, blob, this.asking(key))) : store.wrap(key, blob, this.asking(key));
  }

  /** The way back; throws InvalidCiphertextException for what is not whole. */
  unwrap(key: Key, blob: Buffer): Buffer | Promise<Buffer> {
    const store = this.#storeOf(key);
    return 'then' in store ? store.then((live) => live.unwrap(key, blob, this.asking(key))) : store.unwrap(key, blob, this.asking(key));
  }

  #storeOf(key: Key): KeyStore | Promise<KeyStore> {
    const { keyStoreId } = key.record;
    if (keyStoreId === undefined) return coreStore;
    const id = keyStoreRowId(key.account, key.region, keyStoreId);
    this.services.quotas?.chargeStore(id, this.nowMs);
    return this.services.keyStores.of(id);
  }

  /** What a key store is told of who asks. */
  asking(key: Pick<Key, 'arn'> | undefined): Asking {
    const { caller, requestId } = this.request;
    return { principalArn: caller.arn, operation: this.operation.name, requestId, keyArn: key?.arn, viaService: caller.viaService };
  }

  /* ---- changing keys -------------------------------------------------------- */

  /** The key as a transaction sees it, its state checked again. */
  async reread(reader: Reader, key: Key, states: StateRule): Promise<Key> {
    const row = await reader.get<KeyRecord>('key', key.id);
    if (row === undefined) throw naming.noKey(key.arn);
    const now = row.body.keyStoreId === undefined ? new Key(row) : await this.#inStore(row, row.body.keyStoreId, reader);
    this.require(now, { states });
    return now;
  }

  /** Change one key's record in a transaction of its own; answers the key as it was. */
  async change(key: Key, states: StateRule, next: (key: Key) => KeyRecord | undefined): Promise<Key> {
    return this.store.tx(async (tx) => {
      const now = await this.reread(tx, key, states);
      const body = next(now);
      if (body !== undefined) tx.update(now.row, { body });
      return now;
    });
  }

  /* ---- the trail ------------------------------------------------------------- */

  touch(key: Key): void {
    if (!this.resources.some((resource) => resource.ARN === key.arn)) this.resources.push({ ARN: key.arn, accountId: key.account, type: 'AWS::KMS::Key' });
  }

  touchAlias(arn: string): void {
    this.resources.push({ ARN: arn, accountId: this.account, type: 'AWS::KMS::Alias' });
  }

  /** Record the material of a use in the trail, and the use itself. */
  use(key: Key, materialId?: string): void {
    this.used.push(key);
    if (materialId !== undefined) this.extra = { ...this.extra, keyMaterialId: materialId };
  }

  refuse(code: Parameters<typeof fail>[0], sentence?: string): never {
    throw fail(code, sentence);
  }
}

function sealedFrom(row: Row<MaterialRecord>, partition: PartitionHandle): Sealed {
  if (row.sealed === undefined) throw new Error(`material ${row.id} has no sealed object`);
  return { partition, binding: keptOf(row.region, row.body.keyId, row.body.materialId), bytes: row.sealed };
}
