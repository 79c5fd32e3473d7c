/** The native drivers (native/bench) from this side: a process each, one order a line, one line back. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Unavailable, WrongAnswer, type Prepared, type Spent } from './measure.ts';

/** What a driver does: native/bench/drive.h. */
export interface Work {
  readonly work: string;
  readonly kind?: string;
  readonly size?: number;
  readonly threads?: number;
  /** Whether each thread has a key of its own; default: all use one. */
  readonly ownKeys?: boolean;
  /** Most operations of one round. */
  readonly most?: number;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Bytes a driver told of its last answer, by name. */
export type Answer = Readonly<Record<string, Buffer>>;

/** Says what is wrong with an answer, by other means than the module's own; undefined: nothing. */
export type Judge = (work: Work, answer: Answer) => string | undefined;

export class Driver {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: string[] = [];
  #waiting: ((line: string | undefined) => void) | undefined;
  #ended = false;
  #complaint = '';
  /** Name and version, as the module tells them. */
  readonly about: Promise<Readonly<Record<string, string>>>;

  constructor(command: Command) {
    this.#child = spawn(command.program, command.args, { env: { ...process.env, ...command.env }, stdio: 'pipe' });
    this.#child.stderr.on('data', (text: Buffer) => { this.#complaint = `${this.#complaint}${text.toString('utf8')}`.slice(-500); });
    this.#child.on('error', (error) => { this.#complaint = error.message; this.#end(); });
    // Writing to a process that has ended is told by the missing answer.
    this.#child.stdin.on('error', () => undefined);
    createInterface({ input: this.#child.stdout }).on('line', (line) => { this.#take(line); }).on('close', () => { this.#end(); });
    this.about = this.#next().then((line) => {
      if (!line.startsWith('ready')) throw new Unavailable(line.replace(/^broken /, ''));
      return Object.fromEntries(line.split(' ').slice(1).map((word) => word.split('=') as [string, string]));
    });
    this.about.catch(() => undefined);
  }

  async ask(order: string): Promise<readonly string[]> {
    this.#child.stdin.write(`${order}\n`);
    const line = await this.#next();
    const [word, ...rest] = line.trim().split(' ');
    if (word === 'unavailable') throw new Unavailable(rest.join(' '));
    if (word === 'wrong') throw new WrongAnswer(rest.join(' '));
    if (word !== 'ok') throw new Error(`${order.trim()}: ${rest.join(' ')}`);
    return rest;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    await new Promise<void>((done) => {
      this.#child.once('exit', () => { done(); });
      this.#child.stdin.end();
    });
  }

  #take(line: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#lines.push(line);
    else waiting(line);
  }

  #end(): void {
    this.#ended = true;
    this.#waiting?.(undefined);
    this.#waiting = undefined;
  }

  async #next(): Promise<string> {
    const line = this.#lines.shift() ?? (this.#ended ? undefined : await new Promise<string | undefined>((done) => { this.#waiting = done; }));
    if (line === undefined) throw new Error(`the driver ended: ${this.#complaint.trim() || 'no word of why'}`);
    return line;
  }
}

/** A driver with one work prepared. */
export async function prepareDriver(command: Command, work: Work, judge: Judge): Promise<Prepared> {
  const driver = new Driver(command);
  try {
    await driver.about;
    await driver.ask(`prepare ${work.work} ${work.kind ?? '-'} ${work.size ?? 0} ${work.threads ?? 1} ${work.ownKeys === true ? 'own' : 'one'}`);
  } catch (error) {
    await driver.close();
    throw error;
  }
  const threads = work.threads ?? 1;
  return {
    // Threads that are started for a round are paid for in it: each does enough to hide that.
    least: threads === 1 ? 1 : 200 * threads,
    ...(work.most === undefined ? {} : { most: work.most }),
    async run(n): Promise<Spent> {
      // Each thread does its whole share.
      const count = Math.ceil(n / threads) * threads;
      const [cpu, wall] = (await driver.ask(`run ${count}`)).map(Number);
      return { cpuNs: ((cpu ?? NaN) / count) * n, wallNs: ((wall ?? NaN) / count) * n };
    },
    async check() {
      const words = await driver.ask('check');
      const wrong = judge(work, Object.fromEntries(words.map((word) => {
        const at = word.indexOf('=');
        return [word.slice(0, at), Buffer.from(word.slice(at + 1), 'hex')];
      })));
      if (wrong !== undefined) throw new WrongAnswer(wrong);
    },
    async close() {
      await driver.close();
    },
  };
}
