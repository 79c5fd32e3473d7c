/** What the operator can ask of every server: accounts, access keys, health, the trail. */
import { eventsAfter, lastEvents } from '../audit/tail.ts';
import type { TailPage } from '../audit/tail.ts';
import { verifyTrail } from '../audit/verify.ts';
import type { Core } from '../hsm/core.ts';
import type { Store } from '../store/store.ts';
import { AdminError } from './accounts.ts';
import type { Accounts, MadeCredential } from './accounts.ts';
import type { AdminAnswer, AdminCall, AdminRoute } from './admin.ts';
import type { Health } from './health.ts';

export interface AdminContext {
  readonly core: Core;
  readonly store: Store;
  readonly accounts: Accounts;
  /** The service's own session closes the keys that were made. */
  readonly closeKey: (key: MadeCredential['key']) => void;
  readonly health: () => Health;
}

export function adminRoutes(context: AdminContext): readonly AdminRoute[] {
  const { core, store, accounts } = context;
  return [
    { method: 'GET', path: '/v1/health', run: () => health(context) },
    { method: 'GET', path: '/v1/accounts', run: () => listAccounts(accounts) },
    { method: 'POST', path: '/v1/accounts', run: (call) => createAccount(context, call) },
    { method: 'POST', path: '/v1/credentials', run: (call) => createCredential(context, call) },
    { method: 'GET', path: '/v1/audit', run: (call) => tail(store, call) },
    { method: 'POST', path: '/v1/audit/verify', run: () => verify(store, core) },
  ];
}

function health({ health: ask }: AdminContext): AdminAnswer {
  const body = ask();
  return { status: body.status === 'ok' ? 200 : 503, body: body.status === 'ok' ? { ...body } : { ...body, message: `the server is ${body.status}` } };
}

/** Of a sealed server. */
export function healthWhileSealed(ask: () => Health, message: string): AdminRoute {
  return { method: 'GET', path: '/v1/health', run: () => ({ status: 503, body: { ...ask(), message } }) };
}

async function listAccounts(accounts: Accounts): Promise<AdminAnswer> {
  const listed: unknown[] = [];
  let after: string | undefined;
  do {
    const page = await accounts.list(after);
    for (const { id, body, createdMs } of page.rows) listed.push({ accountId: id, status: body.status, createdMs, ...(body.name === undefined ? {} : { name: body.name }), ...(body.strict === true ? { strict: true } : {}) });
    after = page.next;
  } while (after !== undefined);
  return { body: { accounts: listed } };
}

async function createAccount(context: AdminContext, { body }: AdminCall): Promise<AdminAnswer> {
  const row = await context.accounts.create(text(body, 'accountId'), text(body, 'name'));
  return shown(context, await context.accounts.createCredential({ account: row.id, secret: { from: 'made' }, show: true }));
}

async function createCredential(context: AdminContext, { body }: AdminCall): Promise<AdminAnswer> {
  const account = text(body, 'accountId');
  if (account === undefined) throw new AdminError(400, 'accountId is missing');
  const userName = text(body, 'userName');
  return shown(context, await context.accounts.createCredential({ account, secret: { from: 'made' }, show: true, ...(userName === undefined ? {} : { userName }) }));
}

function shown({ closeKey }: AdminContext, made: MadeCredential): AdminAnswer {
  closeKey(made.key);
  const body = { accountId: made.account, accessKeyId: made.accessKeyId };
  return made.secret === undefined ? { body } : { body, secret: { member: 'secretAccessKey', text: made.secret } };
}

async function tail(store: Store, { query }: AdminCall): Promise<AdminAnswer> {
  const account = query.get('account') ?? undefined;
  const after = query.get('after');
  if (after !== null) {
    const page = await eventsAfter(store, after, account);
    if (page === undefined) throw new AdminError(400, 'after is not a place that an answer gave');
    return events(page);
  }
  const last = Number(query.get('last') ?? 20);
  if (!Number.isSafeInteger(last) || last < 0) throw new AdminError(400, 'last is a number of events');
  return events(await lastEvents(store, last, account));
}

function events(page: TailPage): AdminAnswer {
  return { body: { events: page.rows.map((row) => parsed(row.body)), next: page.next } };
}

/** An altered event is shown as what it is now. */
function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return { altered: body };
  }
}

async function verify(store: Store, core: Core): Promise<AdminAnswer> {
  const { events: read, heads, findings } = await verifyTrail(store, core);
  const faults = findings.map(({ shard, seq, kind, eventId, sentence }) => ({ shard, seq: seq ?? 0, kind, what: sentence, ...(eventId === undefined ? {} : { eventId }) }));
  return { body: { events: read, shards: (await store.shards()).length, heads, faults } };
}

function text(body: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' || value.length > 256) throw new AdminError(400, `${name} is a text of at most 256 characters`);
  return value;
}
