/**
 * The XKS proxy API: an external key store for somebody else's KMS, AWS's own included. Each path prefix
 * is a store of its own, with its credentials and the keys it serves; the signature is verified in the
 * core, and its session works in the account that the proxy belongs to and nowhere else.
 *
 * Order: path, method, room, client certificate, signature, request, key, cipher, trail, answer.
 */
import type { Recorder } from '../../audit/recorder.ts';
import { HsmError } from '../../hsm/core.ts';
import type { Core, KeyHandle, SessionHandle } from '../../hsm/core.ts';
import type { Keyring } from '../../hsm/keyring.ts';
import type { AccountRecord } from '../../iam/records.ts';
import type { Answer } from '../../kms/operation.ts';
import type { Row, Store } from '../../store/store.ts';
import type { Accounts } from '../accounts.ts';
import type { Exchange, Reply } from '../endpoint.ts';
import * as json11 from '../json11.ts';
import type { Metrics } from '../metrics.ts';
import { Refusal } from '../refusals.ts';
import { canonicalRequest, checkScope, readClaim } from '../sigv4.ts';
import { Strangers } from '../strangers.ts';
import { authenticated, checkOpens, decrypt, encrypt, integrityValue } from './cipher.ts';
import { XksCredentials } from './credentials.ts';
import { XksError } from './errors.ts';
import { bodyLimit, Message, tooLong } from './message.ts';
import type { Call, Metadata } from './message.ts';
import { bindingOf, eventSource, keyType } from './proxies.ts';
import { apiPath, keyArn, keyRowId, principalOf, proxyRowId } from './records.ts';
import type { XksKeyRecord, XksProxyRecord, XksUse } from './records.ts';

export interface XksDoorOptions {
  readonly core: Core;
  readonly store: Store;
  readonly recorder: Recorder;
  readonly accounts: Accounts;
  readonly keyring: Keyring;
  /** The service's own session. */
  readonly session: SessionHandle;
  /** In whose trail the events lie. */
  readonly region: string;
  /** Ask for a client certificate: one that the CA signed, with one of these names where any are given. */
  readonly clients?: { readonly names: readonly string[] };
  /** How long an answer may take; the KMS gives up after 250 ms. */
  readonly budgetMs?: number;
  /** Requests at once; more are told to come again. */
  readonly atOnce?: number;
  readonly wallClock?: () => number;
  readonly report?: (error: unknown) => void;
  /** A line for the operator now and then; never data. */
  readonly log?: (line: string) => void;
}

const skewMs = 5 * 60_000;
/** Anywhere: the Region is the calling KMS's. */
const anyRegion: ReadonlySet<string> = Object.assign(new Set<string>(), { has: (region: string) => /^[a-z0-9-]{1,64}$/.test(region) });
const place = { service: 'kms-xks-proxy', regions: anyRegion, skewMs };
const contentType = 'application/json';

interface Target {
  readonly prefix: string;
  readonly call: Call;
  /** Of every call but GetHealthStatus. */
  readonly keyId: string;
}

const calls: Readonly<Record<string, Call>> = { metadata: 'GetKeyMetadata', encrypt: 'Encrypt', decrypt: 'Decrypt' };
const pathForm = new RegExp(`^(?:/([A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*))?${apiPath}/(?:health|keys/([A-Za-z0-9._-]{1,128})/(metadata|encrypt|decrypt))$`);

/** What is known of a request so far, for the trail. */
interface Known {
  readonly target: Target;
  readonly proxy: Row<XksProxyRecord>;
  /** Whose signature it was. */
  accessKeyId: string;
  session: SessionHandle | undefined;
  metadata: Metadata | undefined;
  key: Row<XksKeyRecord> | undefined;
}

export class XksDoor {
  readonly bodyLimit = bodyLimit;
  readonly #options: XksDoorOptions;
  readonly #credentials: XksCredentials;
  readonly #metrics: Metrics;
  readonly #strangers: Strangers;
  #underWay = 0;

  constructor(options: XksDoorOptions, metrics: Metrics) {
    this.#options = options;
    this.#metrics = metrics;
    this.#credentials = new XksCredentials(options);
    this.#strangers = new Strangers(options.log ?? (() => undefined));
  }

  /** No more requests come. */
  close(): void {
    this.#strangers.flush();
  }

  takes(url: string): boolean {
    return /^[^?]*\/kms\/xks\/v1(?:[/?]|$)/.test(url);
  }

  /** Never rejects. Wipes `exchange.body`. */
  async answer(exchange: Exchange): Promise<Reply> {
    const { budgetMs = 250 } = this.#options;
    const start = performance.now();
    const target = targetOf(exchange.url);
    this.#underWay += 1;
    const work = this.#work(exchange, target, () => performance.now() - start > budgetMs);
    const { reply, code } = await inTime(work, budgetMs);
    this.#metrics.count(place.service, target?.call ?? '', code, (performance.now() - start) / 1000);
    return reply;
  }

  tooLarge(): Reply {
    return refusal(tooLong(`the request's body is larger than ${bodyLimit} bytes`)).reply;
  }

  async #work(exchange: Exchange, target: Target | undefined, isLate: () => boolean): Promise<Outcome> {
    let known: Known | undefined;
    try {
      if (target === undefined) throw new XksError('InvalidUriPathException', 'there is no such path here');
      if (exchange.method !== 'POST') throw new XksError('ValidationException', 'only POST is taken here', 405);
      if (this.#underWay > (this.#options.atOnce ?? 512)) throw new XksError('ThrottlingException', 'too many requests at once');
      known = { target, proxy: await this.#proxy(target.prefix), accessKeyId: '', session: undefined, metadata: undefined, key: undefined };
      await this.#authenticate(exchange, known);
      const answer = await this.#run(exchange, known, isLate);
      const body = json11.renderJson(this.#options.core, answer);
      try {
        await this.#record(exchange, known, undefined);
      } catch (error) {
        if (typeof body !== 'string') body.release();
        throw error;
      }
      return { code: 'ok', reply: { status: 200, type: contentType, body } };
    } catch (thrown) {
      const error = this.#errorOf(thrown);
      if (known?.session === undefined) {
        this.#strangers.note(error.code, exchange.sourceIp);
        return refusal(error);
      }
      return refusal(await this.#record(exchange, known, error).then(() => error, (failure: unknown) => this.#errorOf(failure)));
    } finally {
      this.#underWay -= 1;
      exchange.body.fill(0);
      this.#dismiss(known?.session);
    }
  }

  async #proxy(prefix: string): Promise<Row<XksProxyRecord>> {
    const { store } = this.#options;
    const id = proxyRowId(prefix);
    const row = store.peek<XksProxyRecord>('xks-proxy', id) ?? (await store.get<XksProxyRecord>('xks-proxy', id));
    if (row === undefined) throw new XksError('InvalidUriPathException', 'there is no such path here');
    return row;
  }

  /* ---- who -------------------------------------------------------------------- */

  async #authenticate(exchange: Exchange, known: Known): Promise<void> {
    const { clients, store, core, wallClock = Date.now } = this.#options;
    if (clients !== undefined && !isClient(exchange, clients.names)) throw failed('a client certificate of the configured authority is needed');
    const { target, proxy } = known;
    const claim = readClaim(exchange);
    known.accessKeyId = claim.accessKeyId;
    if (claim.presigned || claim.token !== undefined) throw failed('the signature stands in the Authorization header, without a session token');
    if (!claim.signedHeaders.includes('x-amz-date')) throw failed('host and x-amz-date must be signed');
    if (exchange.url.includes('?')) throw new XksError('ValidationException', 'the query must be empty');
    checkScope(claim, place, wallClock());
    const account = store.peek<AccountRecord>('account', proxy.account) ?? (await store.get<AccountRecord>('account', proxy.account));
    const credential = await this.#credentials.of(target.prefix, claim.accessKeyId);
    if (credential === undefined) throw failed('there is no such access key');
    const { payloadHash } = claim;
    known.session = core.verifySigV4(credential, {
      date: claim.date, region: claim.region, service: claim.service, timestamp: claim.timestamp,
      canonical: Buffer.from(canonicalRequest(exchange, claim), 'latin1'),
      ...(payloadHash === undefined ? {} : { payloadHash }),
      body: exchange.body, signature: claim.signature, nowMs: store.now(),
    });
    if (account?.body.status !== 'Active') throw new XksError('AccessDeniedException', 'the account that this proxy belongs to does not serve now');
  }

  /* ---- what -------------------------------------------------------------------- */

  async #run(exchange: Exchange, known: Known, isLate: () => boolean): Promise<Answer> {
    const { core } = this.#options;
    const { call } = known.target;
    const message = new Message(core, exchange.body);
    try {
      known.metadata = message.metadata(call);
      if (call === 'GetHealthStatus') return this.#health();
      const wanted = call === 'Encrypt' ? message.encrypt() : call === 'Decrypt' ? message.decrypt() : undefined;
      const key = await this.#key(known);
      if (wanted === undefined) return { keySpec: 'AES_256', keyUsage: [...key.body.uses], keyStatus: key.body.enabled ? 'ENABLED' : 'DISABLED' };
      if (!key.body.enabled) throw new XksError('InvalidStateException', 'the key is disabled');
      if ('plaintext' in wanted) {
        this.#need(key, wanted.integrity ? ['ENCRYPT', 'DECRYPT'] : ['ENCRYPT']);
        return await this.#with(key, isLate, (session, handle) => seal(core, session, handle, wanted), known);
      }
      this.#need(key, ['DECRYPT']);
      return await this.#with(key, isLate, (session, handle) => ({ plaintext: decrypt(core, session, handle, wanted, authenticated(wanted.additional, wanted.metadata)) }), known);
    } finally {
      message.release();
    }
  }

  async #key(known: Known): Promise<Row<XksKeyRecord>> {
    const { store } = this.#options;
    const id = keyRowId(known.proxy.account, known.target.keyId);
    const row = store.peek<XksKeyRecord>('xks-key', id) ?? (await store.get<XksKeyRecord>('xks-key', id));
    if (row?.body.proxies.includes(known.target.prefix) !== true) throw new XksError('KeyNotFoundException', 'this proxy serves no such key');
    known.key = row;
    return row;
  }

  #need(key: Row<XksKeyRecord>, uses: readonly XksUse[]): void {
    const missing = uses.find((use) => !key.body.uses.includes(use));
    if (missing !== undefined) throw new XksError('InvalidKeyUsageException', `the key is not for ${missing}`);
  }

  /** The key is opened and used in one turn: nothing closes it in between. */
  async #with(key: Row<XksKeyRecord>, isLate: () => boolean, work: (session: SessionHandle, handle: KeyHandle) => Answer, { session }: Known): Promise<Answer> {
    const { accounts, keyring } = this.#options;
    const partition = await accounts.partition(key.account);
    if (partition === undefined || key.sealed === undefined || session === undefined) throw new Error(`external key ${key.id} cannot be opened`);
    // Whoever asked has gone: the work would be for nobody.
    if (isLate()) throw late();
    return work(session, keyring.open(partition, bindingOf(key.body.objectId), key.sealed));
  }

  /** The core answers for itself; that it works its self-tests and the signature just verified have shown. */
  #health(): Answer {
    const { state, version, unsealed } = this.#options.core.describe();
    const healthStatus = state === 'ready' && unsealed ? 'ACTIVE' : 'UNAVAILABLE';
    return {
      xksProxyFleetSize: 1, xksProxyVendor: 'Strongroom', xksProxyModel: `Strongroom ${version}`,
      ekmVendor: 'Strongroom', ekmFleetDetails: [{ id: 'core', model: `Strongroom core ${version}`, healthStatus }],
    };
  }

  /* ---- what is left of it ---------------------------------------------------------- */

  #errorOf(thrown: unknown): XksError {
    if (thrown instanceof XksError) return thrown;
    if (thrown instanceof Refusal) return failed(thrown.reason === 'missing' ? 'the request is not signed' : 'the signature is not one that this proxy can take');
    if (thrown instanceof HsmError) {
      if (thrown.code === 'HSM_E_SIGNATURE' || thrown.code === 'HSM_E_DATA') return failed('the signature does not fit');
      if (thrown.code === 'HSM_E_POLICY') return new XksError('AccessDeniedException', 'the account releases no plaintext');
    }
    this.#options.report?.(thrown);
    return new XksError('InternalException', 'it failed');
  }

  async #record(exchange: Exchange, known: Known, error: XksError | undefined): Promise<void> {
    const { target, proxy, accessKeyId, metadata = {}, key } = known;
    const { account } = proxy;
    const agent = exchange.headers['user-agent'];
    await this.#options.recorder.record({
      source: eventSource, name: target.call, readOnly: target.call !== 'Encrypt', region: this.#options.region, requestId: exchange.requestId,
      sourceIp: exchange.sourceIp, userAgent: typeof agent === 'string' ? agent.slice(0, 512) : '',
      actor: { account, arn: principalOf(account, target.prefix), principalId: accessKeyId, accessKeyId },
      recipients: [account],
      request: { proxy: `/${target.prefix}`, ...(target.keyId === '' ? {} : { keyId: target.keyId }), ...metadata },
      ...(exchange.client === undefined ? {} : { extra: { clientCertificate: exchange.client.name } }),
      ...(key === undefined ? {} : { resources: [{ accountId: account, type: keyType, ARN: keyArn(account, key.body.keyId) }] }),
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
    }).durable;
  }

  #dismiss(session: SessionHandle | undefined): void {
    if (session === undefined) return;
    try {
      this.#options.core.closeSession(session);
    } catch (error) {
      // Zeroised while we worked: the session went with everything else.
      this.#options.report?.(error);
    }
  }
}

function seal(core: Core, session: SessionHandle, key: KeyHandle, { plaintext, additional, integrity }: { readonly plaintext: Buffer; readonly additional: Buffer; readonly integrity: boolean }): Answer {
  const metadata = Buffer.alloc(0);
  const aad = authenticated(additional, metadata);
  const { iv, ciphertext, tag } = encrypt(core, session, key, plaintext, aad);
  const answer = { authenticationTag: tag, ciphertext, initializationVector: iv };
  if (!integrity) return answer;
  // In this order: a value over bytes that were spoilt afterwards, or before, does not leave.
  const ciphertextDataIntegrityValue = integrityValue(core, additional, metadata, { iv, ciphertext, tag });
  checkOpens(core, session, key, { iv, ciphertext, tag }, aad, plaintext);
  return { ...answer, ciphertextDataIntegrityValue };
}

function targetOf(url: string): Target | undefined {
  const [path = ''] = url.split('?', 1);
  const found = pathForm.exec(path);
  if (found === null) return undefined;
  const [, prefix = '', keyId = '', verb] = found;
  return { prefix, keyId, call: verb === undefined ? 'GetHealthStatus' : (calls[verb] ?? 'GetHealthStatus') };
}

function isClient({ client }: Exchange, names: readonly string[]): boolean {
  return client?.trusted === true && (names.length === 0 || names.includes(client.name));
}

const failed = (sentence: string): XksError => new XksError('AuthenticationFailedException', sentence);
const late = (): XksError => new XksError('DependencyTimeoutException', 'it took too long');

interface Outcome {
  readonly reply: Reply;
  /** `ok` or the error's name. */
  readonly code: string;
}

function refusal(error: XksError): Outcome {
  return { code: error.code, reply: { status: error.status, type: contentType, body: error.body } };
}

/** What comes too late is let go of when it comes. */
async function inTime(work: Promise<Outcome>, budgetMs: number): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<undefined>((done) => { timer = setTimeout(() => { done(undefined); }, budgetMs); });
  const outcome = await Promise.race([work, end]);
  clearTimeout(timer);
  if (outcome !== undefined) return outcome;
  void work.then(({ reply: { body } }) => { if (typeof body !== 'string') body.release(); });
  return refusal(late());
}
