/** One run: which cases, whose subjects, in which order; and what is said when it was stopped in the middle. */
import { createRequire } from 'node:module';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCore } from '../hsm/native.ts';
import { Client, sign } from './endpoint.ts';
import { kmsCases, latencies, type Latency } from './kms.ts';
import { measure, Unavailable, type Case, type Missing, type Result } from './measure.ts';
import { cacheFolder, drivers, installedModules, libraryVersion, moduleVersion, namedModule, Tokens, type Module } from './modules.ts';
import { nodeCases } from './node-api.ts';
import { moduleCases } from './pkcs11.ts';
import { machine, type Report } from './report.ts';
import { givenEndpoint, startBare, startLocalKms, startMoto, startOurs, type Server } from './servers.ts';

export interface RunOptions {
  readonly quick: boolean;
  readonly rounds?: number;
  /** Only cases whose name has one of these in it. */
  readonly only: readonly string[];
  /** Modules and endpoints of the caller's; none: ours and every peer that is there. */
  readonly modules: readonly string[];
  readonly endpoints: readonly string[];
  readonly pinFile?: string;
  readonly token?: string;
  readonly threads: number;
  /** Requests a second of the open loop. */
  readonly rate?: number;
  /** Keys of the larger server when cost is set against number of keys. */
  readonly keys?: number;
  readonly progress: (text: string) => void;
  readonly stopped: () => boolean;
}

export async function runBench(options: RunOptions): Promise<Report> {
  const run = new Run(options);
  try {
    return await run.all();
  } finally {
    await run.close();
  }
}

/** What the speed table has of the Node API. */
const quickNodeCases = ['AES-256-GCM 64 B', 'AES-256-GCM 64 B, batch of 256, a message', 'P-256 sign', 'RSA-2048 sign'];

const why = (error: unknown): string => (error instanceof Error ? error.message : String(error));

class Run {
  readonly #options: RunOptions;
  readonly #tokens: Tokens;
  readonly #servers: Server[] = [];
  readonly #results: Result[] = [];
  readonly #missing: Missing[] = [];
  readonly #failures: Missing[] = [];
  readonly #versions: Record<string, string> = {};
  #closers: (() => Promise<void> | void)[] = [];

  constructor(options: RunOptions) {
    this.#options = options;
    this.#tokens = new Tokens(options.progress);
  }

  async all(): Promise<Report> {
    const { modules, endpoints } = this.#options;
    const when = new Date().toISOString();
    const facts = machine();
    const everything = modules.length === 0 && endpoints.length === 0;
    const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
    this.#versions['strongroom'] = version;
    if (everything || modules.length > 0) await this.#cases(await this.#moduleCases());
    if (everything) await this.#nodeCases();
    const loops = everything || endpoints.length > 0 ? await this.#kms() : [];
    return {
      when, machine: facts, versions: this.#versions, results: this.#results, latencies: loops, missing: this.#missing, failures: this.#failures,
      partial: !everything || this.#options.only.length > 0, stopped: this.#options.stopped(),
    };
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
    this.#tokens.remove();
  }

  #wanted(name: string): boolean {
    const { only } = this.#options;
    return only.length === 0 || only.some((text) => name.includes(text));
  }

  async #cases(cases: readonly Case[]): Promise<void> {
    const { quick, rounds, progress, stopped } = this.#options;
    for (const one of cases) {
      if (stopped()) return;
      if (!this.#wanted(one.name)) continue;
      try {
        this.#results.push(await measure(one, {
          rounds: rounds ?? (quick ? 7 : 15), roundMs: quick ? 40 : 200, ...(quick ? { caseMs: 2500 } : {}), progress, stopped,
        }));
      } catch (error) {
        (error instanceof Unavailable ? this.#missing : this.#failures).push({ name: one.name, why: why(error) });
      }
    }
  }

  /** A peer that is not there is a line of the report. */
  async #there<T>(name: string, get: () => Promise<T> | T): Promise<T | undefined> {
    try {
      return await get();
    } catch (error) {
      this.#missing.push({ name, why: why(error) });
      return undefined;
    }
  }

  async #moduleCases(): Promise<readonly Case[]> {
    const { quick, threads } = this.#options;
    const modules = await this.#modules();
    if (!moduleCases({ modules, tokens: this.#tokens, quick, threads }).some((one) => this.#wanted(one.name))) return [];
    const usable: Module[] = [];
    for (const module of modules) {
      // Each is asked for its version: one that does not load is not measured.
      const said = await this.#there(module.name, async () => await moduleVersion(await this.#tokens.empty(module)));
      if (said === undefined) continue;
      usable.push(module);
      if (module.kind !== 'strongroom') this.#versions[module.name] = said;
    }
    if (existsSync(drivers.raw)) this.#versions['AWS-LC'] = await libraryVersion();
    return moduleCases({ modules: usable, tokens: this.#tokens, quick, threads });
  }

  /** One module of the caller's stands beside ours; of several, the first is the reference. */
  async #modules(): Promise<readonly Module[]> {
    const { modules, pinFile, token } = this.#options;
    if (modules.length === 0) {
      const { modules: found, missing } = installedModules();
      for (const name of missing) this.#missing.push({ name, why: 'not installed: scripts/bench-peers tells how' });
      return found;
    }
    const names = modules.length === 1 && modules[0] !== 'strongroom' ? ['strongroom', ...modules] : modules;
    const found = await Promise.all(names.map(async (name) => await this.#there(name, () => namedModule(name, { ...(pinFile === undefined ? {} : { pinFile }), ...(token === undefined ? {} : { token }) }))));
    // Two builds of one module need names of their own.
    return found.filter((m) => m !== undefined).map((m, i, all) => (all.some((other, j) => j !== i && other.name === m.name) ? { ...m, name: m.file } : m));
  }

  async #nodeCases(): Promise<void> {
    const core = loadCore();
    try {
      this.#versions['AWS-LC'] ??= core.describe().library;
      const { quick } = this.#options;
      await this.#cases(nodeCases(core).filter((one) => !quick || quickNodeCases.includes(one.name)));
    } finally {
      core.close();
    }
  }

  async #start(name: string, start: () => Promise<Server> | Server): Promise<void> {
    const server = await this.#there(name, start);
    if (server === undefined) return;
    this.#closers.push(async () => { await server.stop(); });
    this.#servers.push(server);
    if (server.version !== undefined) this.#versions[name] = server.version;
  }

  async #kms(): Promise<readonly Latency[]> {
    const { quick, endpoints, rate, only, progress, stopped, keys } = this.#options;
    if (stopped()) return [];
    const loopName = `KMS Encrypt at ${rate ?? 300} requests a second`;
    // No server is started for nothing.
    if (only.length > 0 && !only.some((text) => text.includes('KMS') || loopName.includes(text)) && !this.#anyKms(only)) return [];
    if (endpoints.length < 2) await this.#start('strongroom', startOurs);
    await this.#start('bare node:http', startBare);
    if (endpoints.length === 0) {
      await this.#start('moto', startMoto);
      await this.#start('local-kms', startLocalKms);
    }
    for (const url of endpoints) {
      if (url === 'strongroom') await this.#start(url, startOurs);
      else await this.#start(url, () => givenEndpoint(url));
    }
    // The first is the reference, and the bare server is nobody's.
    this.#servers.sort((a, b) => Number(a.hollow === true) - Number(b.hollow === true));
    await this.#cases(kmsCases({
      servers: this.#servers, quick, keys: keys ?? (quick ? 5000 : 100_000),
      withKeys: async (count) => await this.#withKeys(count),
    }));
    if (stopped() || (quick && rate === undefined) || !this.#wanted(loopName)) return [];
    try {
      return await latencies(this.#servers.filter((s) => s.hollow !== true), rate ?? 300, quick ? 5 : 20, { progress, stopped });
    } catch (error) {
      this.#failures.push({ name: loopName, why: why(error) });
      return [];
    }
  }

  #anyKms(only: readonly string[]): boolean {
    const stand = (name: string): Server => ({ name, url: 'http://127.0.0.1/', region: '', accessKeyId: '', secretAccessKey: '', async stop() { /* never started */ } });
    const cases = kmsCases({ servers: [stand('strongroom')], quick: this.#options.quick, keys: 0, withKeys: async () => await Promise.reject(new Error('not asked')) });
    return cases.some((one) => only.some((text) => one.name.includes(text)));
  }

  readonly #filled = new Map<number, { server: Server; keys: readonly string[] }>();

  /** Our server with so many keys, made through its API. Very many are kept for the next run. */
  async #withKeys(count: number): Promise<{ readonly server: Server; readonly keys: readonly string[] }> {
    const there = this.#filled.get(count);
    if (there !== undefined) return there;
    const kept = count >= 100_000 ? join(cacheFolder(), `keys-${count}`) : undefined;
    const list = kept === undefined ? undefined : join(kept, 'keys.json');
    if (kept !== undefined && list !== undefined && !existsSync(list)) rmSync(kept, { recursive: true, force: true });
    const server = await startOurs(kept);
    this.#closers.push(async () => { await server.stop(); });
    const keys = list !== undefined && existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as string[]) : await this.#makeKeys(server, count);
    if (list !== undefined) writeFileSync(list, JSON.stringify(keys));
    this.#filled.set(count, { server, keys });
    return { server, keys };
  }

  async #makeKeys(server: Server, count: number): Promise<readonly string[]> {
    const { progress, stopped } = this.#options;
    const client = new Client(server.url, 64);
    const keys: string[] = [];
    let asked = 0;
    const worker = async (): Promise<void> => {
      while (asked < count) {
        if (stopped()) throw new Unavailable('stopped while keys were made');
        asked += 1;
        keys.push(((await client.call(sign(server, 'CreateKey', {})))['KeyMetadata'] as { readonly KeyId: string }).KeyId);
        if (keys.length % 1000 === 0) progress(`a server with ${count} keys: ${keys.length}`);
      }
    };
    try {
      await Promise.all(Array.from({ length: 64 }, worker));
    } finally {
      client.close();
    }
    return keys;
  }
}
