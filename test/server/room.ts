/** A whole server on the real core in a home of its own, and a client that signs by hand. */
import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import type { Mode } from '../../src/hsm/core.ts';
import { Keyring } from '../../src/hsm/keyring.ts';
import { loadCore } from '../../src/hsm/native.ts';
import type { NativeCore } from '../../src/hsm/native.ts';
import { StoredIdentities } from '../../src/iam/identities.ts';
import { createService } from '../../src/kms/service.ts';
import { Accounts } from '../../src/server/accounts.ts';
import { createServer } from '../../src/server/server.ts';
import type { RunningServer, ServerOptions } from '../../src/server/server.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';

export const account = '111122223333';
export const region = 'us-east-1';
export const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
export const accessKeyId = 'AKIAIOSFODNN7EXAMPLE';

export interface Room {
  readonly home: string;
  readonly core: NativeCore;
  readonly store: SqliteStore;
  readonly accounts: Accounts;
  readonly server: RunningServer;
  readonly reports: unknown[];
  /** Stops everything; the home stays. */
  stop(): Promise<void>;
}

export function newHome(): string {
  return mkdtempSync(join(tmpdir(), 'room-'));
}

export async function openRoom(home: string, more: Partial<ServerOptions> = {}, mode: Mode = 'production'): Promise<Room> {
  const core = loadCore();
  const store = await openSqlite({ home, core });
  const unseal = { how: 'keyfile', path: join(home, 'root.key') } as const;
  const root = await store.get('root', 'root');
  if (root?.sealed === undefined) {
    const sealed = core.createRoot(mode, unseal);
    await store.tx(async (tx) => { tx.insert('root', { id: 'root', account: '', region: '', body: {}, sealed }); });
  } else {
    core.openRoot(root.sealed, unseal);
  }
  const session = core.serviceSession();
  const accounts = new Accounts(core, store, session);
  if ((await accounts.list()).rows.length === 0) {
    await accounts.create(account);
    const file = join(home, 'secret');
    writeFileSync(file, secret, { mode: 0o600 });
    const made = await accounts.createCredential({ account, accessKeyId, secret: { from: 'file', path: file }, show: false });
    core.closeCredential(session, made.key);
    rmSync(file);
  }
  const recorder = new ChainRecorder(store);
  const reports: unknown[] = [];
  const kms = createService({
    core, store, recorder, session, regions: [region],
    keyring: new Keyring(core, session),
    partition: (id) => accounts.partition(id),
    identities: new StoredIdentities(store),
    log: (line) => { reports.push(line); },
  });
  const server = await createServer({
    core, store, recorder, session, accounts, services: [kms], home, host: '127.0.0.1', port: 0, regions: [region],
    report: (error) => { reports.push(error); }, ...more,
  });
  return {
    home, core, store, accounts, server, reports,
    stop: async () => {
      await server.close();
      await kms.flush();
      await store.close();
      core.closeRoot();
      core.close();
    },
  };
}

export interface Signing {
  readonly method?: string;
  readonly path?: string;
  readonly service?: string;
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secret?: string;
  readonly timeMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Names left out of the signature. */
  readonly unsigned?: readonly string[];
}

const hex = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');
const mac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** The headers of a signed request. */
export function sign(host: string, body: string | Buffer, signing: Signing = {}): Record<string, string> {
  const { method = 'POST', path = '/', service = 'kms', unsigned = [] } = signing;
  const stamp = `${new Date(signing.timeMs ?? Date.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
  const headers: Record<string, string> = { host, 'x-amz-date': stamp, ...signing.headers };
  const names = Object.keys(headers).map((name) => name.toLowerCase()).filter((name) => !unsigned.includes(name)).sort();
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const [target = '/', query = ''] = path.split('?');
  const canonical = [method, target, query, ...names.map((name) => `${name}:${lower[name] ?? ''}`), '', names.join(';'), hex(body)].join('\n');
  const scope = `${stamp.slice(0, 8)}/${signing.region ?? region}/${service}/aws4_request`;
  const key = [signing.region ?? region, service, 'aws4_request'].reduce<Buffer>((k, part) => mac(k, part), mac(`AWS4${signing.secret ?? secret}`, stamp.slice(0, 8)));
  const signature = mac(key, ['AWS4-HMAC-SHA256', stamp, scope, hex(canonical)].join('\n')).toString('hex');
  return { ...headers, authorization: `AWS4-HMAC-SHA256 Credential=${signing.accessKeyId ?? accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}` };
}

/** A path whose query carries the signature. */
export function presign(host: string, path: string, service: string, seconds: number, timeMs = Date.now()): string {
  const stamp = `${new Date(timeMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
  const scope = `${stamp.slice(0, 8)}/${region}/${service}/aws4_request`;
  const [target = '/', query = ''] = path.split('?');
  const parts = [...query.split('&').filter((part) => part !== ''), 'X-Amz-Algorithm=AWS4-HMAC-SHA256', `X-Amz-Credential=${encodeURIComponent(`${accessKeyId}/${scope}`)}`, `X-Amz-Date=${stamp}`, `X-Amz-Expires=${seconds}`, 'X-Amz-SignedHeaders=host'].sort();
  const canonical = ['GET', target, parts.join('&'), `host:${host}`, '', 'host', hex('')].join('\n');
  const key = [region, service, 'aws4_request'].reduce<Buffer>((k, part) => mac(k, part), mac(`AWS4${secret}`, stamp.slice(0, 8)));
  return `${target}?${parts.join('&')}&X-Amz-Signature=${mac(key, ['AWS4-HMAC-SHA256', stamp, scope, hex(canonical)].join('\n')).toString('hex')}`;
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export const agent = new Agent({ keepAlive: true, maxSockets: 64 });

export function send(url: string, method: string, path: string, headers: Readonly<Record<string, string>>, body: string | Buffer = ''): Promise<Answered> {
  return new Promise((done, fail) => {
    const call = httpRequest(new URL(url), { method, path, headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) }, agent, setHost: false }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => { done({ status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(parts).toString('utf8') }); });
    });
    call.on('error', fail);
    call.end(body);
  });
}

export function kmsTarget(operation: string): Record<string, string> {
  return { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `TrentService.${operation}` };
}

/** One KMS call, signed. */
export async function call(room: Room, operation: string, input: unknown, signing: Signing = {}): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const host = new URL(room.server.url).host;
  const body = typeof input === 'string' ? input : JSON.stringify(input);
  const answered = await send(room.server.url, 'POST', '/', sign(host, body, { ...signing, headers: { ...kmsTarget(operation), ...signing.headers } }), body);
  return { status: answered.status, body: JSON.parse(answered.text) as Record<string, unknown> };
}
