/** KMS endpoints: ours beside a bare node:http server that answers the same bytes and does nothing else. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client, processCpuNs, sign, type Endpoint, type Signed } from './endpoint.ts';
import type { Case, Prepared, Subject } from './measure.ts';

const root = resolve(import.meta.dirname, '../..');

export interface StartedEndpoint extends Endpoint {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Our server in a process and a home of its own. */
export async function startOurs(): Promise<StartedEndpoint> {
  const home = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const child = spawn(process.execPath, ['bin/strongroom.js', 'serve'], { cwd: root, env: { ...process.env, STRONGROOM_HOME: home, STRONGROOM_LISTEN: '127.0.0.1:0' }, stdio: ['ignore', 'pipe', 'ignore'] });
  const url = await readyUrl(child, /ready on (\S+)/);
  const file = readFileSync(join(home, 'credentials'), 'utf8');
  const value = (name: string): string => new RegExp(`${name}\\s*=\\s*(\\S+)`).exec(file)?.[1] ?? '';
  return {
    url, region: 'us-east-1', accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key'), pid: child.pid ?? 0,
    async stop() {
      await ended(child);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** What node:http costs by itself. */
export async function startBare(): Promise<StartedEndpoint> {
  const child = fork(join(import.meta.dirname, 'bare-server.mjs'), { cwd: root, execArgv: [], stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const url = await readyUrl(child, /listening on (\S+)/);
  return { url, region: 'us-east-1', accessKeyId: 'AKIDBARESERVER000000', secretAccessKey: 'none', pid: child.pid ?? 0, async stop() { await ended(child); } };
}

async function readyUrl(child: ChildProcess, pattern: RegExp): Promise<string> {
  return await new Promise((done, fail) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const found = pattern.exec(text)?.[1];
      if (found !== undefined) done(found);
    });
    child.once('exit', (code) => { fail(new Error(`a server ended with ${code} before it was ready`)); });
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  await new Promise<void>((done) => { child.once('exit', () => { done(); }); child.kill('SIGTERM'); });
}

const connections = 16;

interface Work {
  readonly operation: string;
  /** Input for a key of the endpoint. */
  input(keyId: string): unknown;
  readonly key: Readonly<Record<string, string>>;
  /** Member that every right answer carries. */
  readonly member: string;
}

const works: readonly Work[] = [
  { operation: 'Encrypt', key: {}, input: (KeyId) => ({ KeyId, Plaintext: Buffer.alloc(64, 7).toString('base64'), EncryptionContext: { tenant: 'a' } }), member: 'CiphertextBlob' },
  { operation: 'GenerateDataKey', key: {}, input: (KeyId) => ({ KeyId, KeySpec: 'AES_256' }), member: 'Plaintext' },
  { operation: 'Sign', key: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }, input: (KeyId) => ({ KeyId, Message: Buffer.alloc(32, 1).toString('base64'), MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' }), member: 'Signature' },
  { operation: 'DescribeKey', key: {}, input: (KeyId) => ({ KeyId }), member: 'KeyMetadata' },
];

/** One case an operation; CPU is the server process's, answers are checked. */
export function kmsCases(endpoints: readonly { readonly name: string; readonly endpoint: StartedEndpoint }[]): readonly Case[] {
  return works.map((work) => ({
    name: `KMS ${work.operation}, ${connections} connections`,
    subjects: endpoints.map(({ name, endpoint }) => subject(name, endpoint, work)),
  }));
}

function subject(name: string, endpoint: StartedEndpoint, work: Work): Subject {
  return {
    name,
    async prepare(): Promise<Prepared> {
      const client = new Client(endpoint.url, connections);
      const made = (await client.call(sign(endpoint, 'CreateKey', work.key)))['KeyMetadata'] as { KeyId: string };
      let requests: Signed[] = [];
      let signedAt = 0;
      // Signatures are good for five minutes; sign anew long before.
      const fresh = (): readonly Signed[] => {
        if (Date.now() - signedAt > 120_000) {
          requests = Array.from({ length: 64 }, () => sign(endpoint, work.operation, work.input(made.KeyId)));
          signedAt = Date.now();
        }
        return requests;
      };
      return {
        least: 10 * connections,
        async run(n) { await client.flood(fresh(), n, connections); },
        async check() {
          const [first] = fresh();
          if (first === undefined || !(work.member in (await client.call(first)))) throw new Error(`${name}: ${work.operation} gave no ${work.member}`);
        },
        cpuNs: () => processCpuNs(endpoint.pid),
        close() { client.close(); },
      };
    },
  };
}
