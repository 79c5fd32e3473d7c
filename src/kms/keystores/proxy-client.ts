/**
 * Calls of the external key store proxy API, version 1: one POST each, signed in the core, answered
 * within AWS's 250 ms or given up. An answer is taken apart strictly: what does not fit is malformed.
 */
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { KeepCore, PartitionHandle, SessionHandle } from '../../hsm/core.ts';
import type { Asking } from '../keystore.ts';
import type { ProxyRecord } from '../records.ts';
import { StoreFailure, type FailureCause } from './failure.ts';
import type { ProxySettings } from './settings.ts';

/** Who signs, for whom, with what. */
export interface ProxySigner {
  readonly core: KeepCore;
  readonly session: SessionHandle;
  readonly partition: PartitionHandle;
  /** Of the sealed secret access key: the store's. */
  readonly id: string;
  readonly sealed: Buffer;
}

export interface ProxyAddress {
  readonly proxy: ProxyRecord;
  readonly region: string;
  readonly settings: ProxySettings;
}

type Json = Readonly<Record<string, unknown>>;

const usualTimeoutMs = 250;
const longestAnswer = 64 * 1024;
const contentType = 'application/json';

/** What the proxy's errors are to us; a name that the API does not know is malformed. */
const errorNames: Readonly<Record<string, FailureCause>> = {
  ValidationException: 'malformed', InvalidStateException: 'keyState', InvalidCiphertextException: 'ciphertext', InvalidKeyUsageException: 'keyUsage',
  AuthenticationFailedException: 'credentials', AccessDeniedException: 'denied', KeyNotFoundException: 'keyNotFound', InvalidUriPathException: 'uriPath',
  ThrottlingException: 'throttled', InternalException: 'internal', UnsupportedOperationException: 'unsupported', DependencyTimeoutException: 'dependencyTimeout',
};

export class ProxyClient {
  readonly #address: ProxyAddress;
  readonly #signer: ProxySigner;
  readonly #agent: Agent;
  readonly #host: string;
  readonly #timeoutMs: number;

  constructor(address: ProxyAddress, signer: ProxySigner) {
    const { settings } = address;
    this.#address = address;
    this.#signer = signer;
    this.#host = new URL(address.proxy.endpoint).hostname;
    this.#timeoutMs = settings.timeoutMs ?? usualTimeoutMs;
    this.#agent = new Agent({
      keepAlive: true, keepAliveMsecs: 30_000, maxSockets: 256, maxFreeSockets: 32, minVersion: 'TLSv1.2', servername: this.#host,
      ...(settings.authorities === undefined ? {} : { ca: [...settings.authorities] }),
      ...(settings.client === undefined ? {} : { cert: settings.client.certificate, key: settings.client.key }),
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Throws a StoreFailure when the proxy, or every key manager behind it, is out of service. */
  async health({ operation, requestId }: Pick<Asking, 'operation' | 'requestId'>): Promise<void> {
    const answer = await this.#call('/health', { requestMetadata: { kmsRequestId: requestId, kmsOperation: operation } });
    const { xksProxyFleetSize: size, xksProxyVendor: vendor, ekmFleetDetails: fleet } = answer;
    if (typeof size !== 'number' || !(size > 0) || typeof vendor !== 'string' || !Array.isArray(fleet) || fleet.length === 0) throw new StoreFailure('malformed', 'health');
    const states = fleet.map((one: unknown) => (typeof one === 'object' && one !== null ? (one as Json)['healthStatus'] : undefined));
    if (states.some((state) => state !== 'ACTIVE' && state !== 'DEGRADED' && state !== 'UNAVAILABLE')) throw new StoreFailure('malformed', 'health');
    if (states.every((state) => state === 'UNAVAILABLE')) throw new StoreFailure('unavailable');
  }

  /** A call about one external key. */
  key(xksKeyId: string, call: 'metadata' | 'encrypt' | 'decrypt', input: Json, asking: Asking): Promise<Json> {
    return this.#call(`/keys/${xksKeyId}/${call}`, {
      requestMetadata: {
        awsPrincipalArn: asking.principalArn, kmsOperation: asking.operation, kmsRequestId: asking.requestId,
        ...(asking.keyArn === undefined ? {} : { kmsKeyArn: asking.keyArn }),
        ...(asking.viaService === undefined ? {} : { kmsViaService: asking.viaService }),
      },
      ...input,
    });
  }

  async #call(path: string, input: Json): Promise<Json> {
    const { settings, proxy } = this.#address;
    if (settings.hosts?.has(this.#host) === false) throw new StoreFailure('forbiddenHost');
    const body = Buffer.from(JSON.stringify(input), 'utf8');
    const until = performance.now() + this.#timeoutMs;
    const whole = `${proxy.path}${path}`;
    try {
      return answerOf(await this.#post(whole, body, until));
    } catch (error) {
      // A kept connection that the proxy closed meanwhile: nothing was asked yet.
      if (!(error instanceof Stale)) throw error;
      return answerOf(await this.#post(whole, body, until).catch((again: unknown) => { throw again instanceof Stale ? new StoreFailure('unreachable', again.message) : again; }));
    }
  }

  #post(path: string, body: Buffer, until: number): Promise<Answer> {
    const { connectTo } = this.#address.settings;
    const to = connectTo?.get(this.#host);
    const options: RequestOptions = {
      agent: this.#agent, method: 'POST', path, host: to?.host ?? this.#host, port: to?.port ?? 443, servername: this.#host, headers: this.#headers(path, body),
    };
    return new Promise((resolve, reject) => {
      const call = httpsRequest(options, (response) => { gather(response, (answer) => { clearTimeout(timer); resolve(answer); }, refuse); });
      function refuse(error: Error): void {
        clearTimeout(timer);
        reject(call.reusedSocket && !(error instanceof StoreFailure) && isReset(error) ? new Stale(codeOf(error)) : asFailure(error));
        call.destroy();
      }
      const timer = setTimeout(() => { refuse(new StoreFailure('timeout')); }, Math.max(0, until - performance.now()));
      call.on('error', refuse);
      call.end(body);
    });
  }

  #headers(path: string, body: Buffer): Record<string, string | number> {
    const { proxy, region } = this.#address;
    const { core, session, partition, id, sealed } = this.#signer;
    // The proxy looks at its own clock: the store's may have been moved.
    const timestamp = new Date().toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
    const date = timestamp.slice(0, 8);
    const signed = 'content-type;host;x-amz-date';
    const canonical = Buffer.from(`POST\n${path}\n\ncontent-type:${contentType}\nhost:${this.#host}\nx-amz-date:${timestamp}\n\n${signed}\n`, 'latin1');
    const signature = core.keepSign(session, partition, id, sealed, { date, region, service: 'kms-xks-proxy', timestamp, canonical, body });
    return {
      'content-type': contentType, 'content-length': body.length, 'host': this.#host, 'x-amz-date': timestamp,
      'authorization': `AWS4-HMAC-SHA256 Credential=${proxy.accessKeyId}/${date}/${region}/kms-xks-proxy/aws4_request, SignedHeaders=${signed}, Signature=${signature}`,
    };
  }
}

/** The connection was gone before the request was sent: worth one more try. */
class Stale extends Error {}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function gather(response: IncomingMessage, done: (answer: Answer) => void, refuse: (error: Error) => void): void {
  const parts: Buffer[] = [];
  let length = 0;
  response.on('data', (part: Buffer) => {
    length += part.length;
    if (length > longestAnswer) refuse(new StoreFailure('malformed', 'too long'));
    else parts.push(part);
  });
  response.on('error', refuse);
  response.on('end', () => { done({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }); });
}

function answerOf({ status, text }: Answer): Json {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new StoreFailure('malformed', `status ${status}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new StoreFailure('malformed', `status ${status}`);
  if (status === 200) return parsed as Json;
  const { errorName } = parsed as Json;
  const known = typeof errorName === 'string' && Object.hasOwn(errorNames, errorName) ? errorNames[errorName] : undefined;
  throw new StoreFailure(known ?? 'malformed', `status ${status}`);
}

/* ---- errors of the network ------------------------------------------------------ */

const codeOf = (error: Error): string => String((error as NodeJS.ErrnoException).code ?? error.name);

const isReset = (error: Error): boolean => ['ECONNRESET', 'EPIPE', 'ERR_STREAM_WRITE_AFTER_END'].includes(codeOf(error));

/** Whatever the handshake ends in is the certificate's, the protocol's or the alert's fault. */
function asFailure(error: Error): StoreFailure {
  if (error instanceof StoreFailure) return error;
  const code = codeOf(error);
  const isTls = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|EPROTO|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH_)/.test(code);
  return new StoreFailure(isTls ? 'tls' : 'unreachable', code);
}
