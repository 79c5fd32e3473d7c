/**
 * AWS-KMS endpoints as subjects: signed requests over keep-alive connections, CPU read from the server's
 * own process. Requests are signed before the clock starts, so that the client costs little.
 */
import { createHash, createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';

export interface Endpoint {
  readonly url: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  /** Process whose CPU counts, with all its threads and children. */
  readonly pid?: number;
}

export interface Signed {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** A SigV4-signed KMS request, good for five minutes. */
export function sign(endpoint: Endpoint, operation: string, input: unknown): Signed {
  const body = Buffer.from(JSON.stringify(input));
  const stamp = `${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}`;
  const date = stamp.slice(0, 8);
  const { host } = new URL(endpoint.url);
  const target = `TrentService.${operation}`;
  const type = 'application/x-amz-json-1.1';
  const names = 'content-type;host;x-amz-date;x-amz-target';
  const canonical = ['POST', '/', '', `content-type:${type}`, `host:${host}`, `x-amz-date:${stamp}`, `x-amz-target:${target}`, '', names, createHash('sha256').update(body).digest('hex')].join('\n');
  const scope = `${date}/${endpoint.region}/kms/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const key = ['kms', 'aws4_request'].reduce((k, part) => hmac(k, part), hmac(hmac(`AWS4${endpoint.secretAccessKey}`, date), endpoint.region));
  const signature = createHmac('sha256', key).update(toSign).digest('hex');
  return {
    body,
    headers: {
      'content-type': type, host, 'x-amz-date': stamp, 'x-amz-target': target, 'content-length': String(body.length),
      authorization: `AWS4-HMAC-SHA256 Credential=${endpoint.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    },
  };
}

export class Client {
  readonly #agent: Agent;
  readonly #url: URL;
  readonly #request: typeof request;

  /** `ca`: whom to trust, for https. */
  constructor(url: string, connections: number, tls: { readonly ca?: Buffer } = {}) {
    this.#url = new URL(url);
    const options = { keepAlive: true, maxSockets: connections };
    const secure = this.#url.protocol === 'https:';
    this.#agent = secure ? new TlsAgent({ ...options, ...tls }) : new Agent(options);
    this.#request = secure ? tlsRequest : request;
  }

  /** One request; the answer's JSON. Throws unless 200. */
  async call(signed: Signed): Promise<Record<string, unknown>> {
    return await new Promise((done, fail) => {
      const call = this.#request({ agent: this.#agent, host: this.#url.hostname, port: this.#url.port, method: 'POST', path: '/', headers: signed.headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', fail);
        answer.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          if (answer.statusCode !== 200) fail(new Error(`${answer.statusCode}: ${text.slice(0, 300)}`));
          else done(text === '' ? {} : (JSON.parse(text) as Record<string, unknown>));
        });
      });
      call.on('error', fail);
      call.end(signed.body);
    });
  }

  /** `total` requests over `connections` at a time; answers each wall time in nanoseconds. */
  async flood(requests: readonly Signed[], total: number, connections: number): Promise<Float64Array> {
    const walls = new Float64Array(total);
    let next = 0;
    const worker = async (): Promise<void> => {
      for (;;) {
        const i = next;
        if (i >= total) return;
        next += 1;
        const signed = requests[i % requests.length];
        if (signed === undefined) throw new Error('no requests');
        const started = process.hrtime.bigint();
        await this.call(signed);
        walls[i] = Number(process.hrtime.bigint() - started);
      }
    };
    await Promise.all(Array.from({ length: connections }, worker));
    return walls;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** CPU nanoseconds of a process with its threads and its children, from the scheduler's own counts. */
export function processCpuNs(pid: number): number {
  let total = 0;
  for (const one of [pid, ...childrenOf(pid)]) {
    for (const task of readdirSync(`/proc/${one}/task`)) {
      try {
        total += Number(readFileSync(`/proc/${one}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
      } catch {
        // the thread has ended in between
      }
    }
  }
  return total;
}

function childrenOf(pid: number): number[] {
  const own = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter((x) => x !== '').map(Number);
    } catch {
      return [];
    }
  });
  return own.flatMap((child) => [child, ...childrenOf(child)]);
}
