/**
 * Temporary credentials without a row: the session token itself carries the secret as the core sealed
 * it (bound to account, key id, principal and expiry) and what the session may, under the core's MAC
 * (bound to the key id). So every node that holds the root key can verify every token.
 *
 * Token, in base64: version u8 | account, 12 digits | MAC, 32 bytes | sealed secret, u16 length before
 * it | session, JSON. The MAC covers all but itself.
 */
import type { Core, KeyHandle, Payload, SessionHandle } from '../hsm/core.ts';
import { HsmError } from '../hsm/core.ts';
import { managed, rowOf } from '../iam/identities.ts';
import { parsePolicy, type Policy } from '../iam/policy.ts';
import { tagMap, type AccountRecord, type PrincipalRecord } from '../iam/records.ts';
import type { Caller } from '../kms/operation.ts';
import type { Row, Store } from '../store/store.ts';
import type { Accounts } from './accounts.ts';
import type { Credential, TokenSource } from './credentials.ts';

/** What a session is; its token carries this. */
export interface SessionClaims {
  readonly arn: string;
  /** AIDA…, AROA…:SESSION, or the account's number for its root. */
  readonly principalId: string;
  readonly roleArn?: string;
  /** Inline session policy. */
  readonly policy?: string;
  /** Managed policies that narrow the session. */
  readonly policyArns?: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  /** Of those, the keys that the next role in a chain inherits. */
  readonly transitive?: readonly string[];
  readonly sourceIdentity?: string;
  readonly issuedMs: number;
  readonly expiresMs: number;
}

export interface IssuedToken {
  readonly accessKeyId: string;
  /** Release it when it has left. */
  readonly secret: Payload;
  readonly token: string;
}

interface Held extends Credential {
  readonly token: string;
  readonly rows: readonly Row<unknown>[];
}

const version = 1;
const accountAt = 1;
const macAt = accountAt + 12;
const macLength = 32;
const sealedAt = macAt + macLength;
const held = 10_000;

export class Tokens implements TokenSource {
  readonly #core: Core;
  readonly #store: Store;
  readonly #accounts: Accounts;
  readonly #service: SessionHandle;
  readonly #held = new Map<string, Held>();

  constructor(core: Core, store: Store, accounts: Accounts, service: SessionHandle) {
    this.#core = core;
    this.#store = store;
    this.#accounts = accounts;
    this.#service = service;
  }

  async issue(account: string, claims: SessionClaims): Promise<IssuedToken> {
    const partition = await this.#accounts.require(account);
    const accessKeyId = this.#accounts.newId('ASIA');
    const made = this.#core.createCredential(this.#service, partition, accessKeyId, claims.arn, claims.expiresMs, { from: 'made' }, true);
    this.#core.closeCredential(this.#service, made.key);
    if (made.shown === undefined) throw new Error('the core made an access key and did not show it');
    const head = Buffer.alloc(sealedAt + 2);
    head[0] = version;
    head.write(account, accountAt, 'latin1');
    head.writeUInt16BE(made.sealed.length, sealedAt);
    const bytes = Buffer.concat([head, made.sealed, Buffer.from(JSON.stringify(claims))]);
    this.#core.recordMac('session-token', accessKeyId, version, covered(bytes)).copy(bytes, macAt);
    return { accessKeyId, secret: made.shown, token: bytes.toString('base64') };
  }

  known(accessKeyId: string, token: string): Credential | undefined {
    const found = this.#held.get(accessKeyId);
    if (found?.token !== token) return undefined;
    return found.rows.every((row) => this.#store.peek(row.table, row.id) === row) ? found : undefined;
  }

  async open(accessKeyId: string, token: string): Promise<Credential | undefined> {
    const read = this.#read(accessKeyId, token);
    if (read === undefined) return undefined;
    const { account, sealed, claims } = read;
    const rows: Row<unknown>[] = [];
    const owner = await this.#store.get<AccountRecord>('account', account);
    if (owner?.body.status !== 'Active') return undefined;
    rows.push(owner);
    const principal = claims.principalId === account ? undefined : await this.#store.get<PrincipalRecord>('principal', rowOf(claims.principalId));
    // A session ends with the user or role that it is of.
    if (claims.principalId !== account && principal?.account !== account) return undefined;
    if (principal !== undefined) rows.push(principal);
    const sessionPolicies = await this.#policies(account, claims, rows);
    const key = await this.#key(accessKeyId, token, account, sealed);
    if (key === undefined) return undefined;
    return this.#hold(accessKeyId, { key, token, rows, identity: callerOf(account, accessKeyId, claims, principal, sessionPolicies) });
  }

  #read(accessKeyId: string, token: string): { readonly account: string; readonly sealed: Buffer; readonly claims: SessionClaims } | undefined {
    if (!/^ASIA[A-Z0-9]{16}$/.test(accessKeyId)) return undefined;
    const bytes = Buffer.from(token, 'base64');
    if (bytes.length < sealedAt + 2 || bytes[0] !== version || bytes.toString('base64') !== token) return undefined;
    if (!this.#core.recordCheck('session-token', accessKeyId, version, covered(bytes), bytes.subarray(macAt, sealedAt))) return undefined;
    const end = sealedAt + 2 + bytes.readUInt16BE(sealedAt);
    return {
      account: bytes.toString('latin1', accountAt, macAt),
      sealed: bytes.subarray(sealedAt + 2, end),
      claims: JSON.parse(bytes.toString('utf8', end)) as SessionClaims,
    };
  }

  async #policies(account: string, { policy, policyArns = [] }: SessionClaims, rows: Row<unknown>[]): Promise<readonly Policy[] | undefined> {
    const policies = policy === undefined ? [] : [parsePolicy(policy, 'identity')];
    for (const arn of policyArns) {
      const found = await managed(this.#store, account, arn, rows);
      if (found !== undefined) policies.push(found.policy);
    }
    return policy === undefined && policyArns.length === 0 ? undefined : policies;
  }

  /** The handle at hand, or one from the sealed secret. */
  async #key(accessKeyId: string, token: string, account: string, sealed: Buffer): Promise<KeyHandle | undefined> {
    const known = this.#held.get(accessKeyId);
    if (known?.token === token) return known.key;
    const partition = await this.#accounts.partition(account);
    if (partition === undefined) return undefined;
    try {
      return this.#core.openCredential(this.#service, partition, accessKeyId, sealed);
    } catch (error) {
      if (error instanceof HsmError && error.code === 'HSM_E_INTEGRITY') return undefined;
      throw error;
    }
  }

  #hold(accessKeyId: string, credential: Held): Credential {
    const known = this.#held.get(accessKeyId);
    if (known !== undefined && known.key !== credential.key) this.#core.closeCredential(this.#service, known.key);
    this.#held.delete(accessKeyId);
    this.#held.set(accessKeyId, credential);
    const [oldest] = this.#held;
    if (this.#held.size > held && oldest !== undefined) {
      this.#held.delete(oldest[0]);
      this.#core.closeCredential(this.#service, oldest[1].key);
    }
    return credential;
  }
}

const covered = (bytes: Buffer): Buffer => Buffer.concat([bytes.subarray(0, macAt), bytes.subarray(sealedAt)]);

function callerOf(
  account: string, accessKeyId: string, claims: SessionClaims, principal: Row<PrincipalRecord> | undefined, sessionPolicies: readonly Policy[] | undefined,
): Omit<Caller, 'session'> {
  const body = principal?.body;
  const own = body === undefined || body.kind === 'group' ? {} : tagMap(body.tags);
  return Object.freeze({
    account, accessKeyId, arn: claims.arn, principalId: claims.principalId, tags: { ...own, ...claims.tags },
    ...(body?.kind === 'user' ? { userName: body.name } : {}),
    ...(claims.roleArn === undefined ? {} : { roleArn: claims.roleArn }),
    ...(sessionPolicies === undefined ? {} : { sessionPolicies }),
    ...(claims.transitive === undefined ? {} : { transitiveTags: claims.transitive }),
    facts: {
      'aws:TokenIssueTime': `${new Date(claims.issuedMs).toISOString().slice(0, 19)}Z`, 'aws:MultiFactorAuthPresent': 'false',
      ...(claims.sourceIdentity === undefined ? {} : { 'aws:SourceIdentity': claims.sourceIdentity }),
    },
  });
}
