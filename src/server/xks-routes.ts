/** External key stores, for the operator. A path's `:prefix` is URL-encoded; `/` stands for none. */
import { AdminError } from './accounts.ts';
import type { AdminAnswer, AdminCall, AdminRoute } from './admin.ts';
import type { Row } from '../store/store.ts';
import type { ShownCredential, XksProxies } from './xks/proxies.ts';
import { uriPath } from './xks/records.ts';
import type { XksKeyRecord, XksProxyRecord, XksUse } from './xks/records.ts';

export function xksRoutes(proxies: XksProxies): readonly AdminRoute[] {
  const key = (call: AdminCall): readonly [account: string, keyId: string] => [call.path['account'] ?? '', call.path['key'] ?? ''];
  return [
    { method: 'GET', path: '/v1/xks/proxies', run: async () => ({ body: { proxies: (await proxies.list()).map(proxyLine) } }) },
    { method: 'POST', path: '/v1/xks/proxies', run: async ({ body }) => shown(await proxies.create(text(body, 'accountId'), trimmed(text(body, 'prefix')))) },
    { method: 'DELETE', path: '/v1/xks/proxies/:prefix', run: async (call) => done(proxies.delete(prefixOf(call))) },
    { method: 'POST', path: '/v1/xks/proxies/:prefix/credentials', run: async (call) => shown(await proxies.addCredential(prefixOf(call))) },
    { method: 'DELETE', path: '/v1/xks/proxies/:prefix/credentials/:id', run: async (call) => done(proxies.revokeCredential(prefixOf(call), call.path['id'] ?? '')) },
    { method: 'POST', path: '/v1/xks/proxies/:prefix/keys', run: async (call) => ({ body: keyLine(await proxies.addKey(prefixOf(call), text(call.body, 'keyId'), usesOf(call.body['usage']))) }) },
    { method: 'DELETE', path: '/v1/xks/proxies/:prefix/keys/:key', run: async (call) => done(proxies.removeKey(prefixOf(call), call.path['key'] ?? '')) },
    { method: 'GET', path: '/v1/xks/keys/:account', run: async (call) => ({ body: { keys: (await proxies.keys(call.path['account'] ?? '')).map(keyLine) } }) },
    { method: 'POST', path: '/v1/xks/keys/:account/:key/enable', run: async (call) => ({ body: keyLine(await proxies.setEnabled(...key(call), true)) }) },
    { method: 'POST', path: '/v1/xks/keys/:account/:key/disable', run: async (call) => ({ body: keyLine(await proxies.setEnabled(...key(call), false)) }) },
    { method: 'DELETE', path: '/v1/xks/keys/:account/:key', run: async (call) => done(proxies.destroyKey(...key(call))) },
  ];
}

function shown({ proxy, accessKeyId, secret }: ShownCredential): AdminAnswer {
  return { body: { uriPath: uriPath(proxy.body.prefix), accountId: proxy.account, accessKeyId }, secret: { member: 'secretAccessKey', text: secret } };
}

async function done(work: Promise<void>): Promise<AdminAnswer> {
  await work;
  return { body: {} };
}

function proxyLine({ account, createdMs, body }: Row<XksProxyRecord>) {
  return { prefix: `/${body.prefix}`, uriPath: uriPath(body.prefix), accountId: account, credentials: body.credentials, createdMs };
}

function keyLine({ account, createdMs, body }: Row<XksKeyRecord>) {
  return { keyId: body.keyId, accountId: account, usage: body.uses, status: body.enabled ? 'ENABLED' : 'DISABLED', proxies: body.proxies.map((prefix) => `/${prefix}`), createdMs };
}

const prefixOf = ({ path }: AdminCall): string => trimmed(path['prefix'] ?? '');

/** People write it with slashes at its ends, or without. */
const trimmed = (prefix: string): string => prefix.replace(/^\/|\/$/g, '');

function text(body: AdminCall['body'], name: string): string {
  const value = body[name];
  if (typeof value !== 'string' || value.length > 256) throw new AdminError(400, `${name} is missing, or no text of at most 256 characters`);
  return value;
}

function usesOf(value: unknown): readonly XksUse[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.some((use) => use !== 'ENCRYPT' && use !== 'DECRYPT') || new Set(value).size !== value.length) throw new AdminError(400, 'usage is a list of ENCRYPT and DECRYPT, each at most once');
  return value as XksUse[];
}
