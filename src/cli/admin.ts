/** The running server's admin socket, from the outside: JSON over HTTP over a unix socket in HOME. */
import { request } from 'node:http';
import { adminSocketPath } from '../server/admin.ts';
import { CommandError, exitCode } from './output.ts';

export class AdminClient {
  readonly #path: string;

  constructor(home: string) {
    this.#path = adminSocketPath(home);
  }

  /** The answer's bytes: an answer may carry a secret, so whoever prints it passes it on unparsed. */
  async bytes(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<Buffer> {
    return await this.send(method, path, body === undefined ? undefined : JSON.stringify(body));
  }

  /** Text is JSON; bytes go as they are. `anyway`: an answer that refuses is an answer too. */
  async send(method: 'GET' | 'POST' | 'DELETE', path: string, body: string | Buffer | undefined, anyway = false): Promise<Buffer> {
    return await new Promise((done, fail) => {
      const headers = body === undefined ? {} : { 'content-type': typeof body === 'string' ? 'application/json' : 'application/octet-stream', 'content-length': Buffer.byteLength(body) };
      // A connection a call: one that is kept may be closed by the server while this process is busy with something else.
      const call = request({ socketPath: this.#path, method, path, headers, agent: false }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', fail);
        answer.on('end', () => {
          const bytes = Buffer.concat(parts);
          for (const part of parts) part.fill(0);
          const status = answer.statusCode ?? 500;
          if (status < 300 || anyway) done(bytes);
          else fail(refusal(status, bytes.toString('utf8')));
        });
      });
      call.on('error', () => { fail(new CommandError(exitCode.unreachable, `no server answers at ${this.#path}`, 'start one with: npm start')); });
      call.end(body);
    });
  }

  async get<T>(path: string): Promise<T> {
    return JSON.parse((await this.bytes('GET', path)).toString('utf8')) as T;
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return JSON.parse((await this.bytes('POST', path, body)).toString('utf8')) as T;
  }
}

const codes: Readonly<Record<number, number>> = {
  400: exitCode.usage,
  403: exitCode.denied,
  404: exitCode.notFound,
  409: exitCode.wrongState,
  503: exitCode.wrongState,
};

function refusal(status: number, text: string): CommandError {
  return new CommandError(codes[status] ?? exitCode.failure, messageOf(text) ?? `the server answered ${status}`);
}

function messageOf(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed && typeof parsed.message === 'string') return parsed.message;
  } catch {
    // not JSON: the text itself is the message
  }
  return text.trim() === '' ? undefined : text.trim();
}
