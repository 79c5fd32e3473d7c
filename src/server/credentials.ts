/**
 * From an access key's id to its handle in the core. Handles are kept while their records do not change;
 * a key that was made inactive, or an account that was suspended, stops with the next request.
 */
import { HsmError } from '../hsm/core.ts';
import type { Core, KeyHandle, SessionHandle } from '../hsm/core.ts';
import { tagMap } from '../iam/records.ts';
import type { AccountRecord, CredentialRecord, PrincipalRecord } from '../iam/records.ts';
import type { Caller } from '../kms/operation.ts';
import type { Row, Store } from '../store/store.ts';
import type { Accounts } from './accounts.ts';
import { LastUses, type LastUse } from './lastuse.ts';
import { canonicalRequest } from './sigv4.ts';
import type { Claim, WireRequest } from './sigv4.ts';
import { refusals } from './refusals.ts';

export interface Credential {
  readonly key: KeyHandle;
  /** The caller it makes, but for the session. */
  readonly identity: Omit<Caller, 'session'>;
}

/** Temporary credentials: their access key and token together name a handle. */
export interface TokenSource {
  /** One that is at hand and as it was. */
  known(accessKeyId: string, token: string): Credential | undefined;
  /** undefined: not one of ours; throws a Refusal for one that has expired. */
  open(accessKeyId: string, token: string): Promise<Credential | undefined>;
}

interface Held extends Credential {
  readonly row: Row<CredentialRecord>;
  readonly account: Row<AccountRecord>;
  /** The user: its tags are the caller's. */
  readonly user: Row<PrincipalRecord> | undefined;
}

const held = 10_000;

export class Credentials {
  readonly #core: Core;
  readonly #store: Store;
  readonly #accounts: Accounts;
  readonly #service: SessionHandle;
  readonly #tokens: TokenSource | undefined;
  readonly #held = new Map<string, Held>();
  readonly #uses: LastUses;

  constructor(core: Core, store: Store, accounts: Accounts, service: SessionHandle, tokens?: TokenSource) {
    this.#core = core;
    this.#store = store;
    this.#accounts = accounts;
    this.#service = service;
    this.#tokens = tokens;
    this.#uses = new LastUses(store);
  }

  /** When and for what an access key was used last. */
  lastUse(accessKeyId: string): Promise<LastUse | undefined> {
    return this.#uses.of(accessKeyId);
  }

  /** A credential at hand, without a turn of the event loop; undefined says "ask find". */
  known(claim: Claim): Credential | undefined {
    return claim.token === undefined ? this.#fresh(claim.accessKeyId) : this.#tokens?.known(claim.accessKeyId, claim.token);
  }

  /** Throws a Refusal where there is none. */
  async find(claim: Claim): Promise<Credential> {
    const found = claim.token === undefined ? await this.#load(claim.accessKeyId) : await this.#tokens?.open(claim.accessKeyId, claim.token);
    if (found === undefined || !(await this.#serves(found.identity.account))) throw refusals.unknownKey();
    return found;
  }

  /** Who sent this, if the signature fits; else a Refusal. The caller's session is the taker's to close. */
  verify({ key, identity }: Credential, request: WireRequest, body: Buffer, claim: Claim): Caller {
    const caller = { ...identity, session: this.#verify(key, request, body, claim) };
    if (claim.token === undefined) this.#uses.note(claim.accessKeyId, claim.service, claim.region);
    return caller;
  }

  async #serves(account: string): Promise<boolean> {
    return (await this.#store.get<AccountRecord>('account', account))?.body.status === 'Active';
  }

  #verify(key: KeyHandle, request: WireRequest, body: Buffer, claim: Claim): SessionHandle {
    const { payloadHash } = claim;
    try {
      return this.#core.verifySigV4(key, {
        date: claim.date, region: claim.region, service: claim.service, timestamp: claim.timestamp,
        canonical: Buffer.from(canonicalRequest(request, claim), 'latin1'),
        ...(payloadHash === undefined ? {} : { payloadHash }),
        body, signature: claim.signature, nowMs: this.#store.now(),
      });
    } catch (error) {
      if (!(error instanceof HsmError)) throw error;
      if (error.code === 'HSM_E_SIGNATURE' || error.code === 'HSM_E_DATA') throw refusals.mismatch();
      if (error.code === 'HSM_E_EXPIRED') throw refusals.expired();
      throw error;
    }
  }

  /** The store gives the same object while a record does not change. */
  #fresh(id: string): Credential | undefined {
    const known = this.#held.get(id);
    if (known === undefined) return undefined;
    const { row, account, user } = known;
    const same = this.#store.peek('credential', id) === row && this.#store.peek('account', row.account) === account;
    return same && (user === undefined || this.#store.peek('principal', user.id) === user) ? known : undefined;
  }

  async #load(id: string): Promise<Credential | undefined> {
    if (!isKeyId(id)) return undefined;
    const row = await this.#store.get<CredentialRecord>('credential', id);
    const account = row === undefined ? undefined : await this.#store.get<AccountRecord>('account', row.account);
    if (row?.sealed === undefined || account === undefined || row.body.status !== 'Active' || account.body.status !== 'Active') {
      this.#drop(id);
      return undefined;
    }
    const user = row.body.userName === undefined ? undefined : await this.#store.get<PrincipalRecord>('principal', row.body.principalId);
    const identity = identityOf(row, user);
    const known = this.#held.get(id);
    // The same record, read again: the handle is still good.
    if (known?.row.version === row.version && known.row.createdMs === row.createdMs) return this.#hold(id, { key: known.key, row, account, user, identity });
    const partition = await this.#accounts.partition(row.account);
    if (partition === undefined) return undefined;
    this.#drop(id);
    const key = this.#core.openCredential(this.#service, partition, id, row.sealed);
    return this.#hold(id, { key, row, account, user, identity });
  }

  #hold(id: string, credential: Held): Credential {
    this.#held.delete(id);
    this.#held.set(id, credential);
    if (this.#held.size > held) {
      const [oldest] = this.#held.keys();
      if (oldest !== undefined) this.#drop(oldest);
    }
    return credential;
  }

  #drop(id: string): void {
    const known = this.#held.get(id);
    if (known === undefined) return;
    this.#held.delete(id);
    try {
      this.#core.closeCredential(this.#service, known.key);
    } catch (error) {
      // Its partition was closed with the account, and the handle with it.
      if (!(error instanceof HsmError) || error.code !== 'HSM_E_HANDLE') throw error;
    }
  }
}

function identityOf(row: Row<CredentialRecord>, user: Row<PrincipalRecord> | undefined): Omit<Caller, 'session'> {
  const { principal: arn, principalId, userName, service } = row.body;
  const tags = user?.body.kind === 'user' ? tagMap(user.body.tags) : {};
  return Object.freeze({
    account: row.account, arn, principalId, accessKeyId: row.id, tags,
    ...(userName === undefined ? {} : { userName }), ...(service === undefined ? {} : { service }),
  });
}

/** Nothing else is looked up. */
function isKeyId(id: string): boolean {
  return /^\w{1,128}$/.test(id);
}

