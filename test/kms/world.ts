/** A KMS on the real core and the real store, without a socket: accounts, callers, a clock that moves. */
import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import type { CloudTrailEvent } from '../../src/audit/event.ts';
import type { Core, KeyHandle, Payload } from '../../src/hsm/core.ts';
import { Keyring } from '../../src/hsm/keyring.ts';
import { loadCore } from '../../src/hsm/native.ts';
import type { Identities } from '../../src/iam/identities.ts';
import { parsePolicy, type Policy } from '../../src/iam/policy.ts';
import { AttestationVerifier } from '../../src/kms/attestation/verifier.ts';
import { Caretaker } from '../../src/kms/caretaker.ts';
import type { Caller, ServiceRequest } from '../../src/kms/operation.ts';
import type { Parts } from '../../src/kms/run.ts';
import { createService, type KmsService } from '../../src/kms/service.ts';
import { Accounts } from '../../src/server/accounts.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { issue, type Authority } from './attestation-maker.ts';

export const home = '111122223333';
export const away = '444455556666';
export const region = 'us-east-1';
export const otherRegion = 'eu-west-1';

export const day = 86_400_000;

/** What came back: members with bytes as Buffers, or the refusal. */
export type Body = ReturnType<typeof JSON.parse>;

export interface Refused {
  readonly code: string;
  readonly message: string | undefined;
  readonly status: number;
}

export interface As {
  readonly account?: string;
  /** `user/alice`, or an assumed role's `assumed-role/app/one`; default the root. */
  readonly who?: string;
  readonly region?: string;
  readonly caller?: Partial<Caller>;
  readonly sourceIp?: string;
}

/** Users and their policies, and principals that exist: all of the two accounts. */
class People implements Identities {
  readonly policies = new Map<string, readonly Policy[]>();
  of({ arn, roleArn }: { readonly arn: string; readonly roleArn?: string }) {
    return { policies: this.policies.get(roleArn ?? arn) ?? this.policies.get(arn) ?? [] };
  }
  exists(entry: { readonly names: string; readonly account?: string }): boolean {
    return entry.account === undefined || entry.account === home || entry.account === away;
  }
}

export interface World {
  readonly kms: KmsService;
  readonly core: Core;
  readonly store: Store;
  readonly caretaker: Caretaker;
  readonly accounts: Accounts;
  readonly log: string[];
  /** The attestation root that is trusted. */
  readonly root: Authority;
  /** The whole answer, success or refusal. */
  ask(operation: string, input?: Body, as?: As): Promise<{ readonly ok: true; readonly body: Body } | { readonly ok: false; readonly error: Refused }>;
  /** The answer of a success; throws a refusal's name and sentence. */
  call(operation: string, input?: Body, as?: As): Promise<Body>;
  /** The refusal; throws when there is none. */
  refusal(operation: string, input?: Body, as?: As): Promise<Refused>;
  /** Identity policies of a user or role. */
  let(arn: string, ...policies: Body[]): void;
  trail(account?: string, region?: string): Promise<readonly CloudTrailEvent[]>;
  pass(ms: number): void;
  now(): number;
  close(): Promise<void>;
}

export async function makeWorld(more: Partial<Pick<Parts, 'quotas' | 'ceilings' | 'keyStoreSettings'>> = {}): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-kms-'));
  const core = loadCore();
  let offset = 0;
  const store = await openSqlite({ home: folder, core, clock: () => Date.now() + offset });
  core.createRoot('dev', { how: 'keyfile', path: join(folder, 'root.key') });
  const session = core.serviceSession();
  const accounts = new Accounts(core, store, session);
  const keyring = new Keyring(core, session);
  const people = new People();
  const log: string[] = [];
  const root = issue({ subject: 'development root', authority: true });
  const attestation = new AttestationVerifier(core, [root.certificate]);
  const kms = createService({
    ...more, attestation,
    core, store, keyring, session, identities: people, recorder: new ChainRecorder(store), regions: [region, otherRegion],
    partition: (account) => accounts.partition(account), log: (line) => { log.push(line); },
  });
  const caretaker = new Caretaker(kms);

  const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
  writeFileSync(join(folder, 'secret'), secret);
  const credentials = new Map<string, { readonly id: string; readonly key: KeyHandle }>();
  for (const account of [home, away]) {
    await accounts.create(account);
    const made = await accounts.createCredential({ account, secret: { from: 'file', path: join(folder, 'secret') }, show: false });
    credentials.set(account, { id: made.accessKeyId, key: made.key });
  }
  let requests = 0;

  function callerOf({ account = home, who = 'root', caller = {} }: As): Caller {
    const credential = credentials.get(account);
    if (credential === undefined) throw new Error(`no account ${account}`);
    const service = who.startsWith('assumed-role/') ? 'sts' : 'iam';
    return {
      session: sessionOf(core, credential.key, secret, Date.now()), account, arn: `arn:aws:${service}::${account}:${who}`,
      principalId: who === 'root' ? account : `AIDA${who.toUpperCase().replaceAll(/[^A-Z]/g, '')}`, accessKeyId: credential.id, tags: {},
      ...(who.startsWith('user/') ? { userName: who.slice(5) } : {}), ...caller,
    };
  }

  async function ask(operation: string, input: Body = {}, as: As = {}) {
    const blobs: Buffer[] = [];
    const request: ServiceRequest = {
      operation, caller: callerOf(as), region: as.region ?? region, requestId: `00000000-0000-4000-8000-${String(++requests).padStart(12, '0')}`,
      sourceIp: as.sourceIp ?? '127.0.0.1', userAgent: 'test', secureTransport: true, input: cut(withoutSecretText(input, kms.blobsOf(operation) ?? []), blobs), blobs,
    };
    try {
      const answer = await kms.handle(request);
      if (answer.ok) return { ok: true as const, body: taken(answer.body) as Body };
      const { code, sentence: message, status } = answer.error;
      return { ok: false as const, error: { code, message, status } };
    } finally {
      core.closeSession(request.caller.session);
    }
  }

  return {
    kms, core, store, caretaker, accounts, log, root, ask,
    async call(operation, input, as) {
      const answer = await ask(operation, input, as);
      if (!answer.ok) throw new Error(`${operation}: ${answer.error.code}: ${answer.error.message ?? ''} ${log.slice(-1).join()}`);
      return answer.body;
    },
    async refusal(operation, input, as) {
      const answer = await ask(operation, input, as);
      if (answer.ok) throw new Error(`${operation} was not refused`);
      return answer.error;
    },
    let(arn, ...policies) {
      people.policies.set(arn, policies.map((policy) => parsePolicy(JSON.stringify(policy), 'identity')));
    },
    async trail(account = home, where = region) {
      const { rows } = await store.events({ account, region: where, limit: 1000 });
      return rows.map((row) => JSON.parse(row.body) as CloudTrailEvent);
    },
    pass: (ms) => { offset += ms; },
    now: () => store.now(),
    async close() {
      await caretaker.stop();
      await kms.services.keyStores.close();
      attestation.close();
      await store.close();
      core.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Sign a request as a client does; the core verifies it and gives the capability. */
function sessionOf(core: Core, key: KeyHandle, secret: string, nowMs: number) {
  const timestamp = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const date = timestamp.slice(0, 8);
  const body = Buffer.alloc(0);
  const canonical = Buffer.from(`POST\n/\n\nhost:localhost\nx-amz-date:${timestamp}\n\nhost;x-amz-date\n`);
  const payloadHash = createHash('sha256').update(body).digest('hex');
  const scope = `${date}/${region}/kms/aws4_request`;
  const hashed = createHash('sha256').update(canonical).update(payloadHash).digest('hex');
  let signing: Buffer = Buffer.from(`AWS4${secret}`);
  for (const part of scope.split('/')) signing = createHmac('sha256', signing).update(part).digest();
  const signature = createHmac('sha256', signing).update(`AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${hashed}`).digest('hex');
  return core.verifySigV4(key, { date, region, service: 'kms', timestamp, canonical, payloadHash, body, signature, nowMs });
}

/** Text that is a secret comes as bytes too. */
function withoutSecretText(input: Body, names: readonly string[]): Body {
  let whole = input;
  for (const name of names) if (name.startsWith('=')) whole = atPath(whole, name.slice(1).split('.'));
  return whole;
}

function atPath(value: Body, [first = '', ...rest]: readonly string[]): Body {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Buffer.isBuffer(value) || !Object.hasOwn(value, first)) return value;
  const inner: unknown = value[first];
  return { ...value, [first]: rest.length > 0 ? atPath(inner, rest) : typeof inner === 'string' ? Buffer.from(inner, 'utf8') : inner };
}

/** What the JSON cutter does: bytes become their index. */
function cut(value: unknown, blobs: Buffer[]): unknown {
  if (Buffer.isBuffer(value)) return blobs.push(value) - 1;
  if (Array.isArray(value)) return value.map((item) => cut(item, blobs));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, cut(item, blobs)]));
}

/** What the JSON writer does: undefined members are left out, payloads leave and are wiped. */
function taken(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(taken);
  if (typeof value !== 'object' || value === null) return value;
  if ('release' in value) {
    const bytes = Buffer.from((value as Payload).bytes);
    (value as Payload).release();
    return bytes;
  }
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined).map(([name, item]) => [name, taken(item)]));
}
