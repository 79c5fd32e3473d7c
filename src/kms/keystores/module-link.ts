/** The server's end of a process with a PKCS#11 module in it: calls, their time limit, its end. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Payload } from '../../hsm/core.ts';
import { StoreFailure, type FailureCause } from './failure.ts';
import { ownErrors, type ModuleCall, type Reply } from './module-calls.ts';
import type { Cluster } from './settings.ts';

const program = fileURLToPath(new URL('module-process.mjs', import.meta.url));
const openMs = 20_000;
const callMs = 5_000;

/** What a process needs to start at all; nothing of ours. */
const passedOn = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ'];

/** What these mean; any other code is a refusal. */
const codes: Readonly<Record<string, FailureCause>> = {
  [ownErrors.noLoader]: 'noLoader', [ownErrors.noModule]: 'module', [ownErrors.noToken]: 'noToken', [ownErrors.noKey]: 'keyGone',
  CKR_KEY_HANDLE_INVALID: 'keyGone', CKR_OBJECT_HANDLE_INVALID: 'keyGone',
  CKR_PIN_INCORRECT: 'password', CKR_PIN_INVALID: 'password', CKR_PIN_LEN_RANGE: 'password', CKR_PIN_EXPIRED: 'password', CKR_PIN_LOCKED: 'lockedOut',
  CKR_USER_PIN_NOT_INITIALIZED: 'noUser', CKR_USER_ALREADY_LOGGED_IN: 'loggedIn', CKR_USER_ANOTHER_ALREADY_LOGGED_IN: 'loggedIn',
  CKR_DEVICE_ERROR: 'stopped', CKR_DEVICE_REMOVED: 'stopped', CKR_TOKEN_NOT_PRESENT: 'stopped', CKR_SESSION_CLOSED: 'stopped', CKR_SESSION_HANDLE_INVALID: 'stopped',
};

interface Pending {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class ModuleLink {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #ended: () => void;
  readonly #gone: Promise<void>;
  #last = 0;
  #closing = false;

  /** `ended`: the process is gone, and nobody asked for it. */
  private constructor(cluster: Cluster, ended: () => void) {
    this.#ended = ended;
    const inherited = Object.fromEntries(passedOn.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
    this.#child = fork(program, [], { execArgv: [], serialization: 'advanced', stdio: ['pipe', 'ignore', 'ignore', 'ipc'], env: { ...inherited, ...cluster.environment } });
    this.#child.on('message', (reply: Reply) => { this.#answered(reply); });
    // Of a process that ends while it is written to: its end is what counts.
    this.#child.stdin?.on('error', () => undefined);
    this.#child.on('error', () => undefined);
    this.#gone = new Promise((resolve) => {
      this.#child.once('exit', () => { this.#lost(); resolve(); });
      this.#child.once('error', () => { if (this.#child.pid === undefined) { this.#lost(); resolve(); } });
    });
  }

  /** Logs in with `password`, which is released; without one only looks for the token. */
  static async open(cluster: Cluster, password: Payload | undefined, ended: () => void): Promise<ModuleLink> {
    let up = false;
    const link = new ModuleLink(cluster, () => { if (up) ended(); });
    try {
      await link.#handOver(password);
      const { module, token, user } = cluster;
      await link.call({ call: 'open', module, token, login: password !== undefined, ...(user === undefined ? {} : { user }) }, openMs);
      up = true;
      return link;
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** A pipe, closed behind the password; written before it is wiped. */
  #handOver(password: Payload | undefined): Promise<void> {
    const { stdin } = this.#child;
    if (stdin === null) return Promise.resolve(password?.release());
    return new Promise((resolve) => {
      const done = () => { password?.release(); resolve(); };
      if (password === undefined) stdin.end(done);
      else stdin.end(password.bytes, done);
      stdin.once('error', done);
    });
  }

  call(call: ModuleCall, limitMs = callMs): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) {
        reject(new StoreFailure('stopped'));
        return;
      }
      const id = ++this.#last;
      const timer = setTimeout(() => { this.#hangs(id); }, limitMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#child.send({ ...call, id }, (error) => { if (error !== null) this.#settle(id)?.reject(new StoreFailure('stopped')); });
    });
  }

  /** Ends the process: asked first, then made to. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 1_000);
    await this.#gone;
    clearTimeout(timer);
  }

  #answered(reply: Reply): void {
    const pending = this.#settle(reply.id);
    if (pending === undefined) return;
    if ('error' in reply) pending.reject(new StoreFailure(codes[reply.error] ?? 'refused', reply.error));
    else pending.resolve(reply.bytes ?? new Uint8Array(0));
  }

  /** A module that does not come back keeps everybody behind it waiting: a fresh process is better. */
  #hangs(id: number): void {
    this.#settle(id)?.reject(new StoreFailure('slow'));
    this.#child.kill('SIGKILL');
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }

  #lost(): void {
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(new StoreFailure('stopped'));
    if (!this.#closing) this.#ended();
  }
}
