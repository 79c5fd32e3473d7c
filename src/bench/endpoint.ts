/**
 * AWS-KMS endpoints as subjects: signed requests over keep-alive connections, CPU read from the server's
 * own process. Requests are signed before the clock starts, so that the client costs little.
 */
import { createHash, createHmac } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { WrongAnswer } from './measure.ts';

export interface Endpoint {
  readonly url: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  /** Process whose CPU counts, with all its threads and children. */
  readonly pid?: number;
  /** Its threads come and go: only the kernel's coarse count (10 ms) knows those that have ended. */
  readonly coarse?: boolean;
}

/** An endpoint answered with something else than 200. */
export class Refused extends Error {
  override readonly name = 'Refused';
  constructor(readonly status: number, text: string) {
    super(`${status}: ${text.slice(0, 300)}`);
  }
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
          if (answer.statusCode !== 200) fail(new Refused(answer.statusCode ?? 0, text));
          else done(text === '' ? {} : (JSON.parse(text) as Record<string, unknown>));
        });
      });
      call.on('error', fail);
      call.end(signed.body);
    });
  }

  /** `total` requests over `connections` at a time, from the `first`-th of `requests` on; each answer must carry the member that is named. */
  async flood(requests: readonly Signed[], total: number, connections: number, member?: string, first = 0): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < total) {
        const signed = requests[(first + next) % requests.length];
        next += 1;
        if (signed === undefined) throw new Error('no requests');
        const answer = await this.call(signed);
        if (member !== undefined && !(member in answer)) throw new WrongAnswer(`an answer without ${member}`);
      }
    };
    await Promise.all(Array.from({ length: connections }, worker));
  }

  /**
   * Requests at a rate, whether or not earlier ones have been answered. Latencies in nanoseconds, from the
   * moment each was due: a server that falls behind does not slow its own clock.
   */
  async openLoop(requests: readonly Signed[], rate: number, seconds: number): Promise<Float64Array> {
    const total = Math.max(1, Math.round(rate * seconds));
    const latencies = new Float64Array(total);
    const started = process.hrtime.bigint();
    const dueAt = (i: number): number => (i * 1e9) / rate;
    const pending: Promise<void>[] = [];
    for (let i = 0; i < total; ) {
      const elapsed = Number(process.hrtime.bigint() - started);
      for (; i < total && dueAt(i) <= elapsed; i += 1) {
        const mine = i;
        const signed = requests[mine % requests.length];
        if (signed === undefined) throw new Error('no requests');
        pending.push(this.call(signed).then(() => { latencies[mine] = Number(process.hrtime.bigint() - started) - dueAt(mine); }));
      }
      await new Promise<void>((done) => { setImmediate(done); });
    }
    await Promise.all(pending);
    return latencies;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** CPU nanoseconds of a process with its threads and its children, from the scheduler's own counts. */
export function processCpuNs(pid: number, coarse = false): number {
  let total = 0;
  for (const one of [pid, ...childrenOf(pid)]) total += coarse ? ticksNs(one) : threadsNs(one);
  return total;
}

function threadsNs(pid: number): number {
  let total = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      total += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // the thread has ended in between
    }
  }
  return total;
}

/** User and system time, of ended threads and children too, in the kernel's hundredths of a second. */
function ticksNs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0) * 1e7;
}

/** The process that listens on a port of this machine, where it may be seen. */
export function listenerOf(url: string): number | undefined {
  const { hostname, port, protocol } = new URL(url);
  if (!['127.0.0.1', 'localhost', '[::1]'].includes(hostname)) return undefined;
  const wanted = Number(port === '' ? (protocol === 'https:' ? 443 : 80) : port).toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/net/${table}`, 'utf8').split('\n').slice(1)
    .map((line) => line.trim().split(/\s+/)).filter((f) => f[1]?.endsWith(`:${wanted}`) === true && f[3] === '0A').map((f) => `socket:[${f[9]}]`)));
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) if (inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`))) return Number(pid);
    } catch {
      // another's process, or one that has ended
    }
  }
  return undefined;
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
