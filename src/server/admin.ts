/**
 * The operator's door: JSON over HTTP over a unix socket that only the server's own user can open.
 * Routes are a table; whoever has more to offer adds rows. A secret in an answer goes out as bytes.
 */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { HsmError } from '../hsm/core.ts';
import type { Core, Payload } from '../hsm/core.ts';
import { IamError } from '../iam/errors.ts';
import { StoreError } from '../store/store.ts';
import { AdminError } from './accounts.ts';

export interface AdminCall {
  /** What the path's `:name` parts hold. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The body, an object; `{}` where there is none. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Of a raw route: the body as it came; wiped when the route is done. */
  readonly bytes: Buffer;
}

export interface AdminAnswer {
  /** Default 200. */
  readonly status?: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** A last member whose text is secret: taken over, and released when it has left. Needs no escaping. */
  readonly secret?: { readonly member: string; readonly text: Payload };
}

export interface AdminRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** e.g. `/v1/accounts/:account`. */
  readonly path: string;
  /** The body is secret bytes, not JSON. */
  readonly raw?: boolean;
  run(call: AdminCall): Promise<AdminAnswer> | AdminAnswer;
}

/** sun_path has 108 bytes, the last of them zero. */
const longestSocketPath = 107;
const socketName = 'admin.sock';
const pointerName = 'admin.sock.path';
const bodyLimit = 4 * 1024 * 1024;
const nothing = Buffer.alloc(0);

/** Where the server of this home listens for its operator. */
export function adminSocketPath(home: string): string {
  const path = join(home, socketName);
  if (Buffer.byteLength(path) <= longestSocketPath) return path;
  const pointer = join(home, pointerName);
  return existsSync(pointer) ? readFileSync(pointer, 'utf8').trim() : path;
}

export class AdminDoor {
  readonly #core: Core;
  readonly #routes: readonly { readonly route: AdminRoute; readonly parts: readonly string[] }[];
  readonly #report: (error: unknown) => void;
  readonly #otherwise: string | undefined;
  readonly #server: Server;
  #place: { readonly path: string; readonly pointer?: string } | undefined;

  /** `otherwise`: why other routes do not answer now. */
  constructor(core: Core, routes: readonly AdminRoute[], report: (error: unknown) => void = () => undefined, otherwise?: string) {
    this.#core = core;
    this.#routes = routes.map((route) => ({ route, parts: route.path.split('/') }));
    this.#report = report;
    this.#otherwise = otherwise;
    this.#server = createServer((request, response) => { void this.#serve(request, response); });
  }

  /** The home's lock is held: a socket that lies there is a dead server's. */
  async listen(home: string): Promise<string> {
    const place = placeIn(home);
    rmSync(place.path, { force: true });
    await new Promise<void>((ready, fail) => {
      this.#server.once('error', fail);
      this.#server.listen(place.path, () => {
        this.#server.removeListener('error', fail);
        ready();
      });
    });
    chmodSync(place.path, 0o600);
    if (place.pointer !== undefined) writeFileSync(place.pointer, `${place.path}\n`, { mode: 0o600 });
    this.#place = place;
    return place.path;
  }

  async close(): Promise<void> {
    const place = this.#place;
    if (place === undefined) return;
    this.#place = undefined;
    const closed = new Promise<void>((done) => { this.#server.close(() => { done(); }); });
    this.#server.closeIdleConnections();
    const deadline = setTimeout(() => { this.#server.closeAllConnections(); }, 2_000);
    await closed;
    clearTimeout(deadline);
    if (place.pointer === undefined) return;
    rmSync(place.pointer, { force: true });
    rmSync(dirname(place.path), { recursive: true, force: true });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.#run(request);
      send(response, answer.status ?? 200, answer.secret === undefined ? JSON.stringify(answer.body) : withSecret(this.#core, answer.body, answer.secret));
    } catch (error) {
      const { status, message } = failureOf(error);
      if (status === 500) this.#report(error);
      send(response, status, JSON.stringify({ message }));
    }
  }

  async #run(request: IncomingMessage): Promise<AdminAnswer> {
    const url = new URL(request.url ?? '/', 'http://admin');
    const parts = url.pathname.split('/');
    let otherMethod = false;
    for (const { route, parts: pattern } of this.#routes) {
      const path = matched(pattern, parts);
      if (path === undefined) continue;
      if (route.method === request.method) return await answered(route, request, { path, query: url.searchParams });
      otherMethod = true;
    }
    request.resume();
    if (this.#otherwise !== undefined) throw new AdminError(503, this.#otherwise);
    throw new AdminError(otherMethod ? 400 : 404, `there is no ${request.method ?? ''} ${url.pathname.slice(0, 200)}`);
  }
}

function placeIn(home: string): { readonly path: string; readonly pointer?: string } {
  const path = join(home, socketName);
  if (Buffer.byteLength(path) <= longestSocketPath) return { path };
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const room = runtime !== undefined && existsSync(runtime) && Buffer.byteLength(runtime) < 70 ? runtime : tmpdir();
  // Made with mode 0700 and a name that nobody could foresee.
  return { path: join(mkdtempSync(join(room, 'strongroom-')), socketName), pointer: join(home, pointerName) };
}

/** What the `:name` parts hold; undefined: another path. */
function matched(pattern: readonly string[], parts: readonly string[]): Readonly<Record<string, string>> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const path: Record<string, string> = {};
  for (const [i, wanted] of pattern.entries()) {
    const part = parts[i] ?? '';
    if (!wanted.startsWith(':')) {
      if (wanted !== part) return undefined;
      continue;
    }
    try {
      path[wanted.slice(1)] = decodeURIComponent(part);
    } catch {
      return undefined;
    }
  }
  return path;
}

async function answered(route: AdminRoute, request: IncomingMessage, call: Pick<AdminCall, 'path' | 'query'>): Promise<AdminAnswer> {
  const bytes = await readBytes(request);
  try {
    return await route.run({ ...call, body: route.raw === true ? {} : parsedBody(bytes), bytes: route.raw === true ? bytes : nothing });
  } finally {
    bytes.fill(0);
  }
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > bodyLimit) throw new AdminError(400, `a body has at most ${bodyLimit} bytes`);
    parts.push(part);
  }
  // Never on V8's heap, where copies are left behind.
  const bytes = Buffer.allocUnsafeSlow(Math.max(4096, size)).subarray(0, size);
  let at = 0;
  for (const part of parts) {
    at += part.copy(bytes, at);
    part.fill(0);
  }
  return bytes;
}

function parsedBody(bytes: Buffer): Readonly<Record<string, unknown>> {
  if (bytes.length === 0) return {};
  try {
    const body: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch {
    // not JSON: below
  }
  throw new AdminError(400, 'the body is not a JSON object');
}

/** `{…,"member":"secret"}` in a room that is wiped. */
function withSecret(core: Core, body: AdminAnswer['body'], secret: NonNullable<AdminAnswer['secret']>): Payload {
  try {
    const text = JSON.stringify(body).slice(0, -1);
    const head = `${text}${text === '{' ? '' : ','}${JSON.stringify(secret.member)}:"`;
    const whole = core.payload(Buffer.byteLength(head) + secret.text.bytes.length + 2);
    let at = whole.room.write(head, 0, 'utf8');
    at += secret.text.bytes.copy(whole.room, at);
    at += whole.room.write('"}', at, 'utf8');
    return whole.fill(at);
  } finally {
    secret.text.release();
  }
}

function failureOf(error: unknown): { readonly status: number; readonly message: string } {
  if (error instanceof AdminError) return { status: error.status, message: error.message };
  if (error instanceof IamError) return { status: error.status, message: error.message };
  if (error instanceof StoreError) return { status: error.code === 'Exists' || error.code === 'Conflict' ? 409 : 503, message: error.message };
  if (error instanceof HsmError && ['HSM_E_STATE', 'HSM_E_SELF_TEST', 'HSM_E_ROOT'].includes(error.code)) return { status: 503, message: error.message };
  return { status: 500, message: error instanceof Error ? error.message : 'it failed' };
}

function send(response: ServerResponse, status: number, body: string | Payload): void {
  if (typeof body === 'string') {
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
    return;
  }
  response.once('finish', () => { body.release(); });
  response.once('close', () => { body.release(); });
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.bytes.length });
  response.end(body.bytes);
}
