/** The program of host.c: told what to do, answering bytes. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { modulePath, root } from '../clients/pkcs11/token.ts';
import { compiled } from './scan.ts';

export type Attribute = readonly [type: number, value: Uint8Array | number | boolean];

export class Host {
  readonly #process: ChildProcess;
  #waiting: ((answer: Buffer) => void) | undefined;
  #read = Buffer.alloc(0);
  #said = '';
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;

  /** `home`: the module's, and where a core goes. `readable`: without memfd_secret. */
  constructor(home: string, { readable = false, uid = undefined as number | undefined, module = modulePath } = {}) {
    const headers = execFileSync(process.execPath, ['scripts/native.mjs', '--print', 'CRYPTOKI_DIR'], { cwd: root, encoding: 'utf8' }).trim();
    const program = compiled('secrecy-host', 'host.c', '-isystem', headers, '-lpthread', '-ldl');
    // A shell raises the limit that would leave no core, and sets the usual one on locked memory. Eight threads at work leave the search its share.
    this.#process = spawn('sh', ['-c', 'ulimit -c unlimited; ulimit -l 8192; exec nice -n 5 "$0" "$@"', program, module, ...(readable ? ['--readable'] : [])],
      { cwd: home, env: { STRONGROOM_HOME: home }, stdio: ['pipe', 'pipe', 'pipe'], ...(uid === undefined ? {} : { uid, gid: uid }) });
    this.#process.stderr?.on('data', (text: Buffer) => { this.#said += text.toString('utf8'); });
    this.#process.stdout?.on('data', (bytes: Buffer) => {
      this.#read = Buffer.concat([this.#read, bytes]);
      if (this.#read.length < 4 || this.#read.length < 4 + this.#read.readUInt32LE(0)) return;
      const answer = this.#read.subarray(4, 4 + this.#read.readUInt32LE(0));
      this.#read = Buffer.alloc(0);
      this.#waiting?.(answer);
    });
    this.ended = new Promise((done) => this.#process.once('exit', (code, signal) => { done({ code, signal }); }));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  #ask(what: string, bytes: Uint8Array = Buffer.alloc(0)): Promise<Buffer> {
    const head = Buffer.alloc(5);
    head.write(what, 'latin1');
    head.writeUInt32LE(bytes.length, 1);
    const answer = new Promise<Buffer>((done, fail) => {
      this.#waiting = done;
      void this.ended.then(() => { fail(new Error(`the host ended at '${what}': ${this.#said}`)); });
    });
    this.#process.stdin?.write(Buffer.concat([head, bytes]));
    return answer;
  }

  async token(soPin: string, pin: string): Promise<void> {
    await this.#ask('t', Buffer.concat([soPin, pin].map((text) => Buffer.from(String.fromCharCode(text.length) + text, 'latin1'))));
  }

  async create(attributes: readonly Attribute[]): Promise<bigint> {
    const packed = attributes.map(([type, value]) => {
      const bytes = Buffer.alloc(typeof value === 'boolean' ? 1 : 8);
      if (typeof value === 'boolean') bytes[0] = Number(value);
      if (typeof value === 'number') bytes.writeBigUInt64LE(BigInt(value));
      const of = value instanceof Uint8Array ? value : bytes;
      const head = Buffer.alloc(8);
      head.writeUInt32LE(type);
      head.writeUInt32LE(of.length, 4);
      return Buffer.concat([head, of]);
    });
    return (await this.#ask('k', Buffer.concat(packed))).readBigUInt64LE();
  }

  /** For the threads to do; done once at once, and answered. */
  async job(key: bigint, mechanism: number, message: Uint8Array, decrypts = false): Promise<Buffer> {
    const head = Buffer.alloc(17);
    head.writeBigUInt64LE(key);
    head.writeBigUInt64LE(BigInt(mechanism), 8);
    head[16] = Number(decrypts);
    return Buffer.from(await this.#ask('j', Buffer.concat([head, message])));
  }

  async work(): Promise<void> { await this.#ask('w'); }
  async idle(): Promise<void> { await this.#ask('i'); }

  /** Of the first job, the last 64. */
  async results(): Promise<readonly Buffer[]> {
    const all = await this.#ask('n');
    const results: Buffer[] = [];
    for (let at = 0; at < all.length;) {
      const length = all.readUInt32LE(at);
      results.push(Buffer.from(all.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    return results;
  }

  async destroyAll(): Promise<number> { return (await this.#ask('d')).readUInt32LE(); }
  async logout(): Promise<void> { await this.#ask('l'); }
  async finalise(): Promise<void> { await this.#ask('f'); }
  async keep(bytes: Uint8Array): Promise<void> { await this.#ask('m', bytes); }
  async hide(): Promise<void> { await this.#ask('h'); }

  /** Ends it as an error would; answers by which signal. */
  async abort(): Promise<NodeJS.Signals | null> {
    this.#ask('a').catch(() => undefined);
    return (await this.ended).signal;
  }

  kill(): void { this.#process.kill('SIGKILL'); }
}

/** The core that a program left in its home, if it did. */
export function coreOf(home: string): string | undefined {
  const name = readdirSync(home).find((file) => /^core(\.\d+)?$/.test(file));
  return name === undefined ? undefined : join(home, name);
}

/** Cores come as files into a program's folder; a system may send them elsewhere. */
export const leavesCores = /^core(\.%p)?$/.test(readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim());
