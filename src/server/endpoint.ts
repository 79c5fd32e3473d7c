/**
 * One request from its bytes to its answer's bytes, without a socket: which service is meant, who asks,
 * what they say; then the service. What fails before a service has it is written into the trail here.
 */
import type { Recorder } from '../audit/recorder.ts';
import { HsmError } from '../hsm/core.ts';
import type { Core } from '../hsm/core.ts';
import { IamError } from '../iam/errors.ts';
import { AwsError } from '../kms/operation.ts';
import type { Caller, ServiceAnswer, ServiceRequest } from '../kms/operation.ts';
import { StoreError } from '../store/store.ts';
import type { Store } from '../store/store.ts';
import { onBehalf, speaksForOthers } from './behalf.ts';
import type { Credentials } from './credentials.ts';
import { Beat, gridMs } from './grid.ts';
import * as json11 from './json11.ts';
import type { Body } from './json11.ts';
import type { Metrics } from './metrics.ts';
import * as query from './query.ts';
import type { ActionAnswer, Form, QueryService } from './query.ts';
import { Refusal, refusals } from './refusals.ts';
import type { Protocol } from './refusals.ts';
import { checkScope, readClaim } from './sigv4.ts';
import type { Claim, Place, WireRequest } from './sigv4.ts';
import { Strangers } from './strangers.ts';

/** A service that speaks AWS JSON 1.1. It writes the trail of the requests it is given. */
export interface JsonService {
  /** What X-Amz-Target has before its last dot. */
  readonly targets: readonly string[];
  /** In the credential's scope, e.g. `kms`. */
  readonly scope: string;
  /** e.g. `kms.amazonaws.com`. */
  readonly source: string;
  /** Paths of the members that are base64; undefined: no such operation. */
  blobsOf(operation: string): readonly string[] | undefined;
  handle(request: ServiceRequest): Promise<ServiceAnswer>;
}

export interface EndpointOptions {
  readonly core: Core;
  readonly store: Store;
  readonly recorder: Recorder;
  readonly credentials: Credentials;
  readonly metrics: Metrics;
  readonly services: readonly JsonService[];
  readonly queryServices: readonly QueryService[];
  /** Served Regions; the first is the default. */
  readonly regions: readonly string[];
  /** How far a signature's time may be off, by service; default five minutes. */
  readonly skewMs?: Readonly<Record<string, number>>;
  /** The time that signatures are measured by: the world's, whatever the service's own clock says. */
  readonly wallClock?: () => number;
  /** Between the moments at which refusals leave that hide whether something is there; default {@link gridMs}. */
  readonly gridMs?: number;
  /** Told of what should not happen. */
  readonly report?: (error: unknown) => void;
  /** A line for the operator now and then; never data. */
  readonly log?: (line: string) => void;
}

/** A whole request. */
export interface Exchange extends WireRequest {
  readonly body: Buffer;
  readonly requestId: string;
  readonly sourceIp: string;
  readonly secure: boolean;
  /** The client certificate, where one was asked for and given. */
  readonly client?: { readonly name: string; readonly trusted: boolean };
}

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: Body;
}

interface Outcome {
  readonly reply: Reply;
  /** `ok`, or the error's: for the counters. */
  readonly code: string;
  /** It leaves at a fixed time. */
  readonly hiding: boolean;
}

const succeeded = (reply: Reply): Outcome => ({ reply, code: 'ok', hiding: false });

/** Where AWS keeps what has no Region. */
const globalRegion = 'us-east-1';
const defaultSkewMs = 5 * 60_000;

/** What is known of a request so far, for the trail and the counters. */
interface Known {
  protocol: Protocol;
  source: string;
  scope: string;
  operation: string;
  namespace: string;
  claim: Claim | undefined;
  caller: Caller | undefined;
  /** Of a query service's action. */
  readOnly: boolean;
  global: boolean;
  request: unknown;
  /** When a query service took it up. */
  cameMs: number;
}

export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #byTarget = new Map<string, JsonService>();
  readonly #regions: ReadonlySet<string>;
  readonly #wallClock: () => number;
  readonly #places = new Map<string, Place>();
  readonly #strangers: Strangers;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#strangers = new Strangers(options.log ?? (() => undefined));
    this.#regions = new Set(options.regions);
    this.#wallClock = options.wallClock ?? Date.now;
    for (const service of options.services) for (const target of service.targets) this.#byTarget.set(target, service);
  }

  /** Never rejects. Wipes `exchange.body`. */
  async answer(exchange: Exchange): Promise<Reply> {
    const start = performance.now();
    const { metrics } = this.#options;
    const beat = new Beat(this.#options.gridMs ?? gridMs);
    const known: Known = { protocol: 'json', source: 'kms.amazonaws.com', scope: 'kms', operation: '', namespace: '', claim: undefined, caller: undefined, readOnly: true, global: false, request: undefined, cameMs: 0 };
    metrics.underWay += 1;
    const { reply, code, hiding } = await this.#outcome(exchange, known);
    // Before it is counted: what the counters say of its time is what the caller saw.
    if (hiding) await beat.next();
    beat.stop();
    metrics.underWay -= 1;
    metrics.count(known.scope, known.operation, code, (performance.now() - start) / 1000);
    return reply;
  }

  async #outcome(exchange: Exchange, known: Known): Promise<Outcome> {
    try {
      const target = exchange.headers['x-amz-target'];
      if (typeof target !== 'string') return succeeded(await this.#query(exchange, known));
      const { service, names } = this.#named(target, known);
      const caller = this.#authenticate(exchange, known) ?? (await this.#identify(exchange, known));
      if (service === undefined || names === undefined) throw refusals.noOperation();
      const answer = await this.#ask(service, names, caller, exchange, known);
      if (answer.ok) return succeeded({ status: 200, type: json11.contentType, body: json11.renderJson(this.#options.core, answer.body) });
      return this.#error(exchange, known, answer.error);
    } catch (error) {
      return this.#error(exchange, known, await this.#refused(exchange, known, error));
    } finally {
      exchange.body.fill(0);
      this.#dismiss(known.caller);
    }
  }

  #dismiss(caller: Caller | undefined): void {
    if (caller === undefined) return;
    try {
      this.#options.core.closeSession(caller.session);
    } catch (error) {
      // Zeroised while we worked: the session went with everything else.
      this.#options.report?.(error);
    }
  }

  /** An error before there is a request to answer: too large, not HTTP. */
  refuse(refusal: Refusal): Reply {
    const error = refusal.in('json');
    return { status: error.status, type: json11.contentType, body: json11.renderError(error) };
  }

  /** Only a name from a table is counted or written down. */
  #named(target: string, known: Known): { readonly service: JsonService | undefined; readonly names: readonly string[] | undefined } {
    const dot = target.lastIndexOf('.');
    const service = this.#byTarget.get(target.slice(0, dot));
    if (service === undefined) return { service, names: undefined };
    known.source = service.source;
    known.scope = service.scope;
    const operation = target.slice(dot + 1);
    const names = service.blobsOf(operation);
    if (names !== undefined) known.operation = operation;
    return { service, names };
  }

  async #ask(service: JsonService, names: readonly string[], caller: Caller, exchange: Exchange, known: Known): Promise<ServiceAnswer> {
    const parsed = json11.readJson(this.#options.core, exchange.body, names);
    try {
      return await service.handle({
        operation: known.operation, caller, region: known.claim?.region ?? '', requestId: exchange.requestId, sourceIp: exchange.sourceIp, userAgent: userAgentOf(exchange),
        secureTransport: exchange.secure, input: parsed.input, blobs: parsed.blobs,
      });
    } finally {
      parsed.release();
    }
  }

  async #query(exchange: Exchange, known: Known): Promise<Reply> {
    const form = formOf(exchange);
    const action = form?.get('Action');
    if (form === undefined || action === undefined) {
      if (this.#authenticate(exchange, known) === undefined) await this.#identify(exchange, known);
      throw refusals.noOperation();
    }
    known.protocol = 'query';
    known.cameMs = this.#options.store.now();
    const service = this.#queryService(exchange, form);
    ({ source: known.source, scope: known.scope, namespace: known.namespace, global: known.global } = service);
    const run = service.actions.get(action);
    if (run !== undefined) {
      known.operation = action;
      known.readOnly = run.readOnly;
    }
    const caller = this.#authenticate(exchange, known) ?? (await this.#identify(exchange, known));
    if (run === undefined) throw refusals.noAction(action.slice(0, 128), service.version);
    const did = await run.run({
      caller, form, region: known.claim?.region ?? '', requestId: exchange.requestId, sourceIp: exchange.sourceIp, userAgent: userAgentOf(exchange), secureTransport: exchange.secure,
      note: (request) => { known.request = request; },
    });
    const body = query.renderResult(this.#options.core, service, action, did.result, exchange.requestId);
    try {
      await this.#record(exchange, known, caller, did, undefined);
    } catch (error) {
      if (typeof body !== 'string') body.release();
      throw error;
    }
    return { status: 200, type: query.contentType, body };
  }

  /** By its API version; else by the scope that signed. */
  #queryService(exchange: Exchange, form: Form): QueryService {
    const services = this.#options.queryServices;
    const version = form.get('Version');
    const named = services.find((service) => service.version === version);
    const signed = exchange.headers['authorization'];
    const found = named ?? services.find((service) => typeof signed === 'string' && signed.includes(`/${service.scope}/aws4_request`)) ?? services[0];
    if (found === undefined) throw refusals.noOperation();
    return found;
  }

  /** Who asks, where the access key is at hand; undefined says "identify". */
  #authenticate(exchange: Exchange, known: Known): Caller | undefined {
    const claim = readClaim(exchange);
    known.claim = claim;
    checkScope(claim, this.#place(known), this.#wallClock());
    if (speaksForOthers(exchange)) return undefined;
    const credential = this.#options.credentials.known(claim);
    if (credential !== undefined) known.caller = this.#options.credentials.verify(credential, exchange, exchange.body, claim);
    return known.caller;
  }

  async #identify(exchange: Exchange, known: Known): Promise<Caller> {
    const { credentials } = this.#options;
    if (known.claim === undefined) throw refusals.missing();
    const credential = await credentials.find(known.claim);
    const signer = credentials.verify(credential, exchange, exchange.body, known.claim);
    known.caller = signer;
    if (speaksForOthers(exchange)) known.caller = { ...(await onBehalf(this.#options.store, signer, exchange, known.claim)), session: signer.session };
    return known.caller;
  }

  #place({ scope: service, global }: Known): Place {
    let place = this.#places.get(service);
    if (place === undefined) {
      place = { service, regions: global ? new Set([...this.#regions, globalRegion]) : this.#regions, skewMs: this.#options.skewMs?.[service] ?? defaultSkewMs };
      this.#places.set(service, place);
    }
    return place;
  }

  /** No more requests come. */
  close(): void {
    this.#strangers.flush();
  }

  /** Turns a failure into the error that leaves, and writes it down, where somebody is known to have asked. */
  async #refused(exchange: Exchange, known: Known, thrown: unknown): Promise<AwsError> {
    const error = this.#errorOf(known, thrown);
    if (known.caller === undefined) {
      this.#strangers.note(error.code, exchange.sourceIp);
      return error;
    }
    try {
      await this.#record(exchange, known, known.caller, {}, error);
      return error;
    } catch (failure) {
      this.#options.report?.(failure);
      return (isSealed(failure) ? refusals.sealed() : refusals.internal()).in(known.protocol);
    }
  }

  #errorOf(known: Known, thrown: unknown): AwsError {
    if (thrown instanceof AwsError) return thrown;
    if (thrown instanceof Refusal) return thrown.in(known.protocol);
    if (thrown instanceof IamError) return new AwsError(thrown.code, thrown.status, thrown.message, thrown.hiding);
    if (isSealed(thrown)) return refusals.sealed().in(known.protocol);
    this.#options.report?.(thrown);
    return refusals.internal().in(known.protocol);
  }

  async #record(exchange: Exchange, known: Known, caller: Caller, did: ActionAnswer, error: AwsError | undefined): Promise<void> {
    const { recorder, regions } = this.#options;
    const { claim } = known;
    await recorder.record({
      source: known.source, name: known.operation === '' ? 'UnknownOperation' : known.operation, readOnly: known.readOnly,
      region: claim !== undefined && this.#regions.has(claim.region) ? claim.region : (regions[0] ?? ''),
      requestId: exchange.requestId, sourceIp: exchange.sourceIp, userAgent: userAgentOf(exchange),
      actor: caller, recipients: did.recipients ?? [caller.account],
      ...(did.resources === undefined ? {} : { resources: did.resources }),
      request: known.request, response: did.response,
      ...(error === undefined ? {} : { error: { code: error.code, message: error.sentence?.slice(0, 512) } }),
      ...(error?.hiding === true ? { timeMs: known.cameMs } : {}),
    }).durable;
  }

  #error(exchange: Exchange, known: Known, error: AwsError): Outcome {
    const reply = known.protocol === 'json'
      ? { status: error.status, type: json11.contentType, body: json11.renderError(error) }
      : { status: error.status, type: query.contentType, body: query.renderError(known.namespace, error, exchange.requestId) };
    return { reply, code: error.code, hiding: error.hiding };
  }
}

/** undefined: neither a form nor a query. */
function formOf(exchange: Exchange): Form | undefined {
  const type = exchange.headers['content-type'];
  if (exchange.method === 'POST' && typeof type === 'string' && type.includes('x-www-form-urlencoded')) return query.readForm(exchange.body.toString('latin1'));
  const mark = exchange.url.indexOf('?');
  return mark < 0 ? undefined : query.readForm(exchange.url.slice(mark + 1));
}

function userAgentOf(exchange: Exchange): string {
  const agent = exchange.headers['user-agent'];
  return typeof agent === 'string' ? agent.slice(0, 512) : '';
}

/** The module is not operational, or holds no root key. */
function isSealed(error: unknown): boolean {
  return error instanceof HsmError ? ['HSM_E_STATE', 'HSM_E_SELF_TEST', 'HSM_E_ROOT'].includes(error.code) : error instanceof StoreError && error.code === 'Closed';
}
