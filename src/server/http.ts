/**
 * The socket: HTTP by node:http, whole requests in, whole answers out. Limits on size and time stand
 * here; what a request means is the endpoint's business.
 */
import { createServer, STATUS_CODES } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Endpoint, Exchange, Reply } from './endpoint.ts';
import type { Health } from './health.ts';
import * as json11 from './json11.ts';
import type { Metrics } from './metrics.ts';
import { randomUuid } from '../store/uuid.ts';
import { Refusal, refusals } from './refusals.ts';

export interface HttpOptions {
  readonly endpoint: Pick<Endpoint, 'answer' | 'refuse'>;
  readonly metrics: Metrics;
  readonly health: () => Health;
  /** Files with PEM. */
  readonly tls?: TlsFiles;
  /** Other doors on the same socket, by the path they begin with. */
  readonly mounts?: readonly Mount[];
  /** Other doors that take whole requests, as the endpoint does. */
  readonly doors?: readonly Door[];
  readonly bodyLimit?: number;
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Clients are asked for a certificate, and need not have one: who needs it says the door they come to. */
  readonly clientCa?: string;
}

/** Takes requests whole, and answers them whole. */
export interface Door {
  readonly bodyLimit: number;
  takes(url: string): boolean;
  /** Never rejects. Wipes `exchange.body`. */
  answer(exchange: Exchange): Promise<Reply>;
  tooLarge(): Reply;
}

/** A door of its own, e.g. the console: it gets requests as node:http gives them. */
export interface Mount {
  readonly prefix: string;
  readonly handle: (request: IncomingMessage, response: ServerResponse, requestId: string) => void;
}

/** The largest request of the KMS, an imported key with its token, stays far below. */
const defaultBodyLimit = 1024 * 1024;
const headerMs = 15_000;
const requestMs = 60_000;
/** Longer than the pools of the SDKs keep an idle connection, so that they close it and not we. */
const idleMs = 75_000;
const stopMs = 10_000;

export class HttpDoor {
  readonly #options: HttpOptions;
  /** The endpoint, which takes what no other door does. */
  readonly #main: Omit<Door, 'takes'>;
  readonly #server: Server;
  readonly #secure: boolean;
  readonly #sockets = new Set<Socket>();
  #stopping = false;

  constructor(options: HttpOptions) {
    this.#options = options;
    const { endpoint, bodyLimit = defaultBodyLimit } = options;
    this.#main = { bodyLimit, answer: (exchange) => endpoint.answer(exchange), tooLarge: () => endpoint.refuse(refusals.tooLarge(bodyLimit)) };
    this.#secure = options.tls !== undefined;
    const limits = { headersTimeout: headerMs, requestTimeout: requestMs, keepAliveTimeout: idleMs, maxHeaderSize: 32 * 1024, noDelay: true, connectionsCheckingInterval: 5_000 };
    const listener: RequestListener = (request, response) => { this.#take(request, response); };
    this.#server = options.tls === undefined
      ? createServer(limits, listener)
      : createTlsServer({ ...limits, ...certificates(options.tls), minVersion: 'TLSv1.2' }, listener);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => { this.#sockets.delete(socket); });
    });
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => { refuseSocket(error, socket); });
  }

  /** Port 0: any. Answers where it listens. */
  async listen(host: string, port: number): Promise<string> {
    await new Promise<void>((ready, fail) => {
      this.#server.once('error', fail);
      this.#server.listen({ host, port, backlog: 4096 }, () => {
        this.#server.removeListener('error', fail);
        ready();
      });
    });
    const address = this.#server.address() as AddressInfo;
    const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `${this.#secure ? 'https' : 'http'}://${name}:${address.port}`;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** Takes nothing new, lets what is under way finish, for ten seconds at most. */
  async close(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    const closed = new Promise<void>((done) => { this.#server.close(() => { done(); }); });
    this.#server.closeIdleConnections();
    // node does not count those as idle that have said nothing yet.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
    const deadline = setTimeout(() => { this.#server.closeAllConnections(); }, stopMs);
    await closed;
    clearTimeout(deadline);
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const requestId = randomUuid();
    const { method = '', url = '' } = request;
    if (method === 'POST' && url === '/') return this.#receive(this.#main, request, response, requestId);
    const door = this.#options.doors?.find((other) => other.takes(url));
    if (door !== undefined) return this.#receive(door, request, response, requestId);
    const mount = this.#options.mounts?.find(({ prefix }) => url.startsWith(prefix));
    if (mount !== undefined) return mount.handle(request, response, requestId);
    const path = url.split('?', 1)[0];
    if (method === 'GET' && path === '/health') return this.#health(response, requestId);
    if (method === 'GET' && path === '/metrics') return this.#send(response, { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: this.#options.metrics.text() }, requestId);
    // The query services take GET too: presigned GetCallerIdentity is a common proof of who one is.
    if (path === '/' && (method === 'POST' || (method === 'GET' && url !== '/'))) return this.#receive(this.#main, request, response, requestId);
    request.resume();
    this.#send(response, { ...this.#options.endpoint.refuse(refusals.noOperation()), status: path === '/' ? 405 : 404 }, requestId);
  }

  #health(response: ServerResponse, requestId: string): void {
    const health = this.#options.health();
    this.#send(response, { status: health.status === 'ok' ? 200 : 503, type: 'application/json', body: `${JSON.stringify(health)}\n` }, requestId);
  }

  #receive(door: Omit<Door, 'takes'>, request: IncomingMessage, response: ServerResponse, requestId: string): void {
    const { bodyLimit } = door;
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > bodyLimit) return this.#tooLarge(door, request, response, requestId);
    const parts: Buffer[] = [];
    let size = 0;
    request.on('data', (part: Buffer) => {
      size += part.length;
      if (size <= bodyLimit) parts.push(part);
      else if (size - part.length <= bodyLimit) {
        for (const kept of parts) kept.fill(0);
        this.#tooLarge(door, request, response, requestId);
      }
    });
    request.on('end', () => { if (size <= bodyLimit) void this.#answer(door, request, response, requestId, whole(parts, size)); });
    // A caller that went away in the middle leaves nothing behind.
    request.on('close', () => { if (!request.complete) for (const part of parts) part.fill(0); });
  }

  async #answer(door: Omit<Door, 'takes'>, request: IncomingMessage, response: ServerResponse, requestId: string, body: Buffer): Promise<void> {
    const { method = '', url = '', headers, rawHeaders } = request;
    const client = this.#options.tls?.clientCa === undefined ? undefined : clientOf(request.socket);
    const reply = await door.answer({
      method, url, headers, rawHeaders, body, requestId, sourceIp: addressOf(request.socket), secure: this.#secure, ...(client === undefined ? {} : { client }),
    });
    this.#send(response, reply, requestId);
  }

  /** The rest is not read: the connection ends with the answer. */
  #tooLarge(door: Omit<Door, 'takes'>, request: IncomingMessage, response: ServerResponse, requestId: string): void {
    response.shouldKeepAlive = false;
    response.once('finish', () => { request.socket.destroySoon(); });
    this.#send(response, door.tooLarge(), requestId);
    request.resume();
  }

  #send(response: ServerResponse, reply: Reply, requestId: string): void {
    const { body } = reply;
    if (response.destroyed) {
      if (typeof body !== 'string') body.release();
      return;
    }
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.bytes.length;
    if (this.#stopping) response.shouldKeepAlive = false;
    response.writeHead(reply.status, ['x-amzn-RequestId', requestId, 'Content-Type', reply.type, 'Content-Length', String(length)]);
    if (typeof body === 'string') {
      // Text of one byte a character is cheaper to send as what it is.
      response.end(body, length === body.length ? 'latin1' : 'utf8');
      return;
    }
    // Both come for most answers, one for all; releasing twice is fine.
    response.once('finish', () => { body.release(); });
    response.once('close', () => { body.release(); });
    response.end(body.bytes);
  }
}

function whole(parts: readonly Buffer[], size: number): Buffer {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const body = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    part.fill(0);
    at += part.length;
  }
  return body;
}

function certificates({ cert, key, clientCa }: TlsFiles) {
  const own = { cert: readFileSync(cert), key: readFileSync(key) };
  return clientCa === undefined ? own : { ...own, ca: readFileSync(clientCa), requestCert: true, rejectUnauthorized: false };
}

/** undefined: none was given. */
function clientOf(socket: Socket): Exchange['client'] {
  if (!(socket instanceof TLSSocket)) return undefined;
  const { subject } = socket.getPeerCertificate() as { subject?: { CN?: unknown } };
  if (subject === undefined) return undefined;
  return { name: typeof subject.CN === 'string' ? subject.CN.slice(0, 256) : '', trusted: socket.authorized };
}

function addressOf(socket: Socket): string {
  const address = socket.remoteAddress ?? '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

const statusOf: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** What is not HTTP has no response object: the bytes are written by hand. */
function refuseSocket(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = statusOf[error.code ?? ''] ?? 400;
  const body = json11.renderError(new Refusal('malformed', 'The request is not valid HTTP.').in('json'));
  socket.end([
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, `x-amzn-RequestId: ${randomUuid()}`, `Content-Type: ${json11.contentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close', '', body,
  ].join('\r\n'));
}
