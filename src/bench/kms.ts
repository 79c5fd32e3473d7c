/** What KMS endpoints are measured by: CPU of the server's process for each request, answers looked at. */
import { createPublicKey, verify } from 'node:crypto';
import { Client, processCpuNs, Refused, sign, type Signed } from './endpoint.ts';
import { Unavailable, WrongAnswer, type Case, type Prepared, type Subject } from './measure.ts';
import type { Server } from './servers.ts';

type Json = Readonly<Record<string, unknown>>;
type Call = (operation: string, input: Json) => Promise<Json>;

interface Work {
  readonly name?: string;
  readonly operation: string;
  readonly key?: Json;
  /** Member that every right answer carries. */
  readonly member: string;
  /** Input for a key of the endpoint; may make what it needs. */
  input(keyId: string, call: Call): Json | Promise<Json>;
  /** What is wrong with an answer. */
  wrong?(answer: Json, keyId: string, call: Call): Promise<string | undefined>;
  readonly quick?: boolean;
  /** The bare server's answer has the member too. */
  readonly bare?: boolean;
}

const text64 = Buffer.alloc(64, 7).toString('base64');
const context = { tenant: 'a' };
const digest = Buffer.alloc(32, 1);
const elliptic = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' };
const mac = { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' };

async function opensTo(answer: Json, call: Call, clear: unknown, more: Json = {}): Promise<string | undefined> {
  const opened = await call('Decrypt', { CiphertextBlob: answer['CiphertextBlob'], ...more });
  return opened['Plaintext'] === clear ? undefined : 'what was encrypted does not decrypt';
}

const signing = { MessageType: 'RAW', SigningAlgorithm: 'ECDSA_SHA_256', Message: digest.toString('base64') };

const works: readonly Work[] = [
  {
    operation: 'Encrypt', member: 'CiphertextBlob', quick: true, bare: true,
    input: (KeyId) => ({ KeyId, Plaintext: text64, EncryptionContext: context }),
    wrong: async (answer, _keyId, call) => await opensTo(answer, call, text64, { EncryptionContext: context }),
  },
  {
    operation: 'Decrypt', member: 'Plaintext',
    input: async (KeyId, call) => ({ CiphertextBlob: (await call('Encrypt', { KeyId, Plaintext: text64 }))['CiphertextBlob'] }),
    wrong: async (answer) => (answer['Plaintext'] === text64 ? undefined : 'it decrypts to something else'),
  },
  {
    operation: 'GenerateDataKey', member: 'Plaintext', quick: true, bare: true,
    input: (KeyId) => ({ KeyId, KeySpec: 'AES_256' }),
    wrong: async (answer, _keyId, call) => await opensTo(answer, call, answer['Plaintext']),
  },
  { operation: 'GenerateDataKeyWithoutPlaintext', member: 'CiphertextBlob', input: (KeyId) => ({ KeyId, KeySpec: 'AES_256' }) },
  { operation: 'GenerateDataKeyPair', name: 'GenerateDataKeyPair P-256', member: 'PublicKey', input: (KeyId) => ({ KeyId, KeyPairSpec: 'ECC_NIST_P256' }) },
  { operation: 'GenerateRandom', member: 'Plaintext', input: () => ({ NumberOfBytes: 32 }) },
  {
    operation: 'ReEncrypt', member: 'CiphertextBlob',
    input: async (KeyId, call) => ({ DestinationKeyId: KeyId, CiphertextBlob: (await call('Encrypt', { KeyId, Plaintext: text64 }))['CiphertextBlob'] }),
    wrong: async (answer, _keyId, call) => await opensTo(answer, call, text64),
  },
  {
    operation: 'Sign', name: 'Sign P-256', member: 'Signature', key: elliptic, quick: true, bare: true,
    input: (KeyId) => ({ KeyId, ...signing }),
    async wrong(answer, KeyId, call) {
      const key = createPublicKey({ key: Buffer.from(String((await call('GetPublicKey', { KeyId }))['PublicKey']), 'base64'), format: 'der', type: 'spki' });
      return verify('sha256', digest, key, Buffer.from(String(answer['Signature']), 'base64')) ? undefined : 'the signature does not verify';
    },
  },
  {
    operation: 'Verify', name: 'Verify P-256', member: 'SignatureValid', key: elliptic,
    input: async (KeyId, call) => ({ KeyId, ...signing, Signature: (await call('Sign', { KeyId, ...signing }))['Signature'] }),
    wrong: async (answer) => (answer['SignatureValid'] === true ? undefined : 'a good signature is refused'),
  },
  {
    operation: 'GenerateMac', member: 'Mac', key: mac,
    input: (KeyId) => ({ KeyId, Message: text64, MacAlgorithm: 'HMAC_SHA_256' }),
    wrong: async (answer, KeyId, call) => ((await call('VerifyMac', { KeyId, Message: text64, MacAlgorithm: 'HMAC_SHA_256', Mac: answer['Mac'] }))['MacValid'] === true ? undefined : 'the MAC does not verify'),
  },
  {
    operation: 'DeriveSharedSecret', name: 'DeriveSharedSecret P-256', member: 'SharedSecret', key: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' },
    input: async (KeyId, call) => ({ KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: (await call('GetPublicKey', { KeyId }))['PublicKey'] }),
  },
  { operation: 'DescribeKey', member: 'KeyMetadata', bare: true, input: (KeyId) => ({ KeyId }) },
  { operation: 'CreateKey', member: 'KeyMetadata', input: () => ({}) },
];

const usualConnections = 16;

export interface KmsMenu {
  readonly servers: readonly Server[];
  readonly quick: boolean;
  /** A server of ours with so many keys, and their ids. */
  readonly withKeys?: (count: number) => Promise<{ readonly server: Server; readonly keys: readonly string[] }>;
  /** Keys of the larger one of the two that are compared. */
  readonly keys: number;
}

export function kmsCases(menu: KmsMenu): readonly Case[] {
  const { servers, quick } = menu;
  const ours = servers.find((s) => s.name === 'strongroom');
  const chosen = works.filter((w) => !quick || w.quick === true);
  const among = (work: Work): readonly Server[] => servers.filter((s) => s.hollow !== true || work.bare === true);
  const encrypt = works[0];
  return [
    ...chosen.map((work): Case => ({
      name: `KMS ${work.name ?? work.operation}, ${usualConnections} connections`,
      subjects: among(work).map((server) => subject(server.name, server, work, usualConnections)),
    })),
    ...(quick || encrypt === undefined ? [] : [1, 64, 256].map((connections): Case => ({
      name: `KMS Encrypt, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
      subjects: among(encrypt).map((server) => subject(server.name, server, encrypt, connections)),
    }))),
    ...(quick ? [] : [{ name: `KMS mixed load, ${usualConnections} connections`, subjects: servers.filter((s) => s.hollow !== true).map((server) => mixed(server)) }]),
    ...(ours === undefined ? [] : [durableCase(ours), ...growthCase(menu)]),
  ];
}

/** One connection has one commit a request; sixteen share them. */
function durableCase(server: Server): Case {
  const work = works.find((w) => w.operation === 'CreateKey') as Work;
  return { name: 'KMS CreateKey, durable, by connections', by: 'wall', subjects: [subject('16 connections', server, work, 16), subject('1 connection, one commit a request', server, work, 1)] };
}

function growthCase({ withKeys, keys }: KmsMenu): Case[] {
  if (withKeys === undefined) return [];
  const one = (count: number): Subject => ({
    name: `${count} keys`,
    async prepare() {
      const { server, keys: ids } = await withKeys(count);
      const work = works[0] as Work;
      // A request a key, spread over all of them, so that what is kept at hand is not all there is.
      const chosen = Array.from({ length: Math.min(count, 20_000) }, (_, i) => ids[Math.floor((i * 7919) % ids.length)] ?? '');
      await warm(server, work, await work.input(chosen[0] ?? '', async () => ({})));
      return flooding(server, work, usualConnections, async () => await Promise.all(chosen.map(async (id) => await work.input(id, async () => ({})))));
    },
  });
  return [{ name: 'KMS Encrypt by number of keys', subjects: [one(100), one(keys)] }];
}

function caller(server: Server, client: Client): Call {
  return async (operation, input) => await client.call(sign(server, operation, input));
}

async function keyFor(work: Work, call: Call): Promise<string> {
  return ((await call('CreateKey', work.key ?? {}))['KeyMetadata'] as { readonly KeyId: string }).KeyId;
}

function subject(name: string, server: Server, work: Work, connections: number): Subject {
  return {
    name,
    async prepare() {
      const client = new Client(server.url, 1);
      try {
        const call = caller(server, client);
        const keyId = await keyFor(work, call);
        const input = await work.input(keyId, call);
        const check = async (): Promise<void> => {
          const answer = await call(work.operation, input);
          const wrong = !(work.member in answer) ? `no ${work.member}` : server.hollow === true ? undefined : await work.wrong?.(answer, keyId, call);
          if (wrong !== undefined) throw new WrongAnswer(`${work.operation}: ${wrong}`);
        };
        await check();
        await warm(server, work, input);
        return flooding(server, work, connections, () => Array.from({ length: 64 }, () => input), check, client);
      } catch (error) {
        client.close();
        // What it refuses at the first try it does not have.
        throw error instanceof Refused ? new Unavailable(error.message) : error;
      }
    },
  };
}

/**
 * Node servers compile what is hot while they run: the clock starts when that is done. It takes some ten
 * thousand requests once (the cost of one falls to a quarter over them), and fewer for each operation after.
 */
const warmServer = 12_000;
const warmOperation = 2000;
const warmed = new WeakSet<Server>();

async function warm(server: Server, work: Work, input: Json): Promise<void> {
  if (server.coarse === true) return;
  const client = new Client(server.url, usualConnections);
  const count = work.operation === 'CreateKey' ? 200 : warmed.has(server) ? warmOperation : warmServer;
  try {
    await client.flood(Array.from({ length: 16 }, () => sign(server, work.operation, input)), count, usualConnections, work.member);
    if (count === warmServer) warmed.add(server);
  } finally {
    client.close();
  }
}

function flooding(server: Server, work: Work, connections: number, inputs: () => readonly Json[] | Promise<readonly Json[]>, check?: () => Promise<void>, checker?: Client): Prepared {
  const client = new Client(server.url, connections);
  const { pid, coarse } = server;
  let requests: readonly Signed[] = [];
  let signedAt = 0;
  let next = 0;
  return {
    // Collections and compilations come in lumps: a round is long enough to have its share.
    least: coarse === true || work.operation === 'CreateKey' ? 10 * connections : Math.max(400, 10 * connections),
    async run(n) {
      const started = process.hrtime.bigint();
      const before = pid === undefined ? undefined : processCpuNs(pid, coarse);
      let signing = 0n;
      // Signatures are good for five minutes; they are made anew long before, and outside the clock.
      if (Date.now() - signedAt > 120_000) {
        const then = process.hrtime.bigint();
        requests = (await inputs()).map((input) => sign(server, work.operation, input));
        signedAt = Date.now();
        signing = process.hrtime.bigint() - then;
      }
      await client.flood(requests, n, connections, work.member, next);
      next = (next + n) % requests.length;
      const wallNs = Number(process.hrtime.bigint() - started - signing);
      return pid === undefined || before === undefined ? { wallNs } : { wallNs, cpuNs: processCpuNs(pid, coarse) - before };
    },
    async check() { await check?.(); },
    close() { client.close(); checker?.close(); },
  };
}

/** What an application does all day: mostly data keys and their opening, some signing, some looking. */
const mix: readonly (readonly [string, number])[] = [['GenerateDataKey', 4], ['Decrypt', 8], ['Encrypt', 2], ['Sign', 1], ['DescribeKey', 1]];

function mixed(server: Server): Subject {
  return {
    name: server.name,
    async prepare() {
      const client = new Client(server.url, usualConnections);
      const call = caller(server, client);
      const inputs: { readonly operation: string; readonly input: Json }[] = [];
      try {
        for (const [operation, share] of mix) {
          const work = works.find((w) => w.operation === operation) as Work;
          const input = await work.input(await keyFor(work, call), call);
          for (let i = 0; i < share; i += 1) inputs.push({ operation, input });
        }
      } catch (error) {
        client.close();
        throw error instanceof Refused ? new Unavailable(error.message) : error;
      }
      const requests = (): Signed[] => inputs.map(({ operation, input }) => sign(server, operation, input));
      const { pid, coarse } = server;
      return {
        least: 4 * inputs.length,
        async run(n) {
          const signed = requests();
          const started = process.hrtime.bigint();
          const before = pid === undefined ? undefined : processCpuNs(pid, coarse);
          // Every answer of the mix names its key.
          await client.flood(signed, n, usualConnections, 'KeyId');
          const wallNs = Number(process.hrtime.bigint() - started);
          return pid === undefined || before === undefined ? { wallNs } : { wallNs, cpuNs: processCpuNs(pid, coarse) - before };
        },
        async check() { for (const one of requests()) await client.call(one); },
        close() { client.close(); },
      };
    },
  };
}

/** Latencies at a rate. */
export interface Latency {
  readonly name: string;
  readonly subject: string;
  readonly rate: number;
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export const percentile = (sorted: Float64Array, share: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? NaN;

/** Encrypt at a rate, in slices A B A B, so that a slow minute is everybody's. */
export async function latencies(servers: readonly Server[], rate: number, seconds: number, options: { readonly progress?: (text: string) => void; readonly stopped?: () => boolean }): Promise<readonly Latency[]> {
  const work = works[0] as Work;
  const slices = 5;
  const running: { readonly server: Server; readonly client: Client; readonly input: Json; readonly taken: number[] }[] = [];
  try {
    for (const server of servers) {
      const client = new Client(server.url, 256);
      const call = caller(server, client);
      const input = await work.input(await keyFor(work, call), call);
      running.push({ server, client, input, taken: [] });
      // Warm before the clock starts.
      await client.flood(Array.from({ length: 16 }, () => sign(server, work.operation, input)), 200, usualConnections, work.member);
    }
    for (let slice = 0; slice < slices && options.stopped?.() !== true; slice += 1) {
      for (const { server, client, input, taken } of running) {
        options.progress?.(`KMS Encrypt at ${rate}/s: ${server.name}, slice ${slice + 1} of ${slices}`);
        const requests = Array.from({ length: 16 }, () => sign(server, work.operation, input));
        taken.push(...(await client.openLoop(requests, rate, seconds / slices)));
      }
    }
  } finally {
    for (const { client } of running) client.close();
  }
  return running.filter((one) => one.taken.length > 0).map(({ server, taken }) => {
    const sorted = Float64Array.from(taken).sort();
    return {
      name: `KMS Encrypt at ${rate} requests a second`, subject: server.name, rate, n: sorted.length,
      p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), p999: percentile(sorted, 0.999), max: sorted.at(-1) ?? NaN,
    };
  });
}
