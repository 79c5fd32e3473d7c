/** Custom key stores: made, described, changed, connected, disconnected, deleted. */
import type { Payload } from '../../hsm/core.ts';
import type { Row, Tx } from '../../store/store.ts';
import { operation } from '../define.ts';
import { fail, validation } from '../errors.ts';
import type { Configured } from '../keystores/connections.ts';
import { inCreateKey, inStoreChange } from '../keystores/failure.ts';
import type { Cluster } from '../keystores/settings.ts';
import { listPage } from '../marker.ts';
import { epoch } from '../metadata.ts';
import type { Answer } from '../operation.ts';
import {
  directoryRowId, keyStoreRowId, type DirectoryEntry, type KeyRecord, type KeyStoreDirectory, type KeyStoreRecord, type KeyStoreRow, type ProxyRecord,
} from '../records.ts';
import type { Run } from '../run.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';

const mostStores = 10;

/* ---- what all of them say ---------------------------------------------------------- */

export const noStore = (storeId: string) => fail('CustomKeyStoreNotFoundException', `Custom key store ${storeId} does not exist.`);

export const wrongState = ({ storeId, state }: KeyStoreRecord) =>
  fail('CustomKeyStoreInvalidStateException', `The connection state of custom key store ${storeId} is ${state}, which is not valid for this operation.`);

/** A store of the caller's account in this Region; others' are not there. */
export async function storeNamed(run: Run, storeId: string, reader: Pick<Tx, 'get'> = run.store): Promise<KeyStoreRow> {
  const row = await reader.get<KeyStoreRecord>('keystore', keyStoreRowId(run.account, run.region, storeId));
  if (row === undefined) throw noStore(storeId);
  return row;
}

/* ---- what must be unique in an account and Region ------------------------------------- */

interface Directory {
  readonly row: Row<KeyStoreDirectory> | undefined;
  readonly stores: readonly DirectoryEntry[];
}

async function directory(run: Run, reader: Pick<Tx, 'get'>): Promise<Directory> {
  const row = await reader.get<KeyStoreDirectory>('setting', directoryRowId(run.account, run.region));
  return { row, stores: row?.body.stores ?? [] };
}

function writeDirectory(run: Run, tx: Tx, { row }: Directory, stores: readonly DirectoryEntry[]): void {
  const body: KeyStoreDirectory = { kind: 'keystores', stores };
  if (row === undefined) tx.insert('setting', { id: directoryRowId(run.account, run.region), account: run.account, region: run.region, body });
  else tx.update(row, { body });
}

function entryOf({ storeId, name, cluster, proxy }: KeyStoreRecord): DirectoryEntry {
  return {
    storeId, name, ...(cluster === undefined ? {} : { clusterId: cluster.id }),
    ...(proxy === undefined ? {} : { proxy: {
      connectivity: proxy.connectivity, endpoint: proxy.endpoint, path: proxy.path,
      ...(proxy.vpcServiceName === undefined ? {} : { vpcServiceName: proxy.vpcServiceName }),
    } }),
  };
}

/** AWS's rules between stores; `mine` is not among `others`. */
function checkUnique(mine: DirectoryEntry, others: readonly DirectoryEntry[]): void {
  if (others.some(({ name }) => name === mine.name)) throw fail('CustomKeyStoreNameInUseException', `Custom key store name ${mine.name} is already in use.`);
  if (mine.clusterId !== undefined && others.some(({ clusterId }) => clusterId === mine.clusterId)) {
    throw fail('CloudHsmClusterInUseException', `CloudHSM cluster ${mine.clusterId} is already associated with a custom key store.`);
  }
  const { proxy } = mine;
  if (proxy === undefined) return;
  for (const { proxy: other } of others) {
    if (other === undefined) continue;
    if (other.endpoint === proxy.endpoint && other.path === proxy.path) {
      throw fail('XksProxyUriInUseException', `${proxy.endpoint}${proxy.path} is already associated with another external key store in this Region.`);
    }
    const isPrivate = proxy.connectivity === 'VPC_ENDPOINT_SERVICE' || other.connectivity === 'VPC_ENDPOINT_SERVICE';
    if (isPrivate && other.endpoint === proxy.endpoint) {
      throw fail('XksProxyUriEndpointInUseException', `${proxy.endpoint} is already associated with another external key store in this Region.`);
    }
    if (proxy.vpcServiceName !== undefined && other.vpcServiceName === proxy.vpcServiceName) {
      throw fail('XksProxyVpcEndpointServiceInUseException', `${proxy.vpcServiceName} is already associated with another external key store in this Region.`);
    }
  }
}

/* ---- CreateCustomKeyStore ---------------------------------------------------------------- */

const proxyMembers = {
  XksProxyUriEndpoint: optional(s.XksProxyUriEndpointType),
  XksProxyUriPath: optional(s.XksProxyUriPathType),
  XksProxyVpcEndpointServiceName: optional(s.XksProxyVpcEndpointServiceNameType),
  XksProxyVpcEndpointServiceOwner: optional(s.AccountIdType),
  XksProxyAuthenticationCredential: optional(s.XksProxyAuthenticationCredentialType),
  XksProxyConnectivity: optional(s.XksProxyConnectivityType),
} as const;

const createInput = {
  CustomKeyStoreName: s.CustomKeyStoreNameType,
  CloudHsmClusterId: optional(s.CloudHsmClusterIdType),
  TrustAnchorCertificate: optional(s.TrustAnchorCertificateType),
  KeyStorePassword: optional(s.KeyStorePasswordType),
  CustomKeyStoreType: optional(s.CustomKeyStoreType),
  ...proxyMembers,
} as const;

type Members = Readonly<Record<string, unknown>>;

const clusterOnly = ['CloudHsmClusterId', 'TrustAnchorCertificate', 'KeyStorePassword'] as const;
const proxyAlways = ['XksProxyConnectivity', 'XksProxyUriEndpoint', 'XksProxyUriPath', 'XksProxyAuthenticationCredential'] as const;
const proxyOnly = [...proxyAlways, 'XksProxyVpcEndpointServiceName', 'XksProxyVpcEndpointServiceOwner'] as const;

function requireMembers(input: Members, type: s.KeyStoreTypeName, required: readonly string[], foreign: readonly string[]): void {
  const missing = required.find((member) => input[member] === undefined);
  if (missing !== undefined) throw validation(`${missing} is required when CustomKeyStoreType is ${type}.`);
  refuseForeign(input, type, foreign);
}

function refuseForeign(input: Members, type: s.KeyStoreTypeName, foreign: readonly string[]): void {
  const extra = foreign.find((member) => input[member] !== undefined);
  if (extra !== undefined) throw validation(`${extra} is not valid when CustomKeyStoreType is ${type}.`);
}

function checkConnectivity({ connectivity, vpcServiceName, vpcServiceOwner }: Pick<ProxyRecord, 'connectivity' | 'vpcServiceName' | 'vpcServiceOwner'>): void {
  if (connectivity === 'VPC_ENDPOINT_SERVICE' && vpcServiceName === undefined) throw validation('XksProxyVpcEndpointServiceName is required when XksProxyConnectivity is VPC_ENDPOINT_SERVICE.');
  if (connectivity === 'PUBLIC_ENDPOINT' && (vpcServiceName !== undefined || vpcServiceOwner !== undefined)) {
    throw validation('XksProxyVpcEndpointServiceName and XksProxyVpcEndpointServiceOwner are not valid when XksProxyConnectivity is PUBLIC_ENDPOINT.');
  }
}

function clusterKnown(run: Run, id: string): Cluster {
  const cluster = run.services.keyStores.cluster(id);
  if (cluster === undefined) throw fail('CloudHsmClusterNotFoundException', `CloudHSM cluster ${id} is not known to this server.`);
  return cluster;
}

const pem = (text: string): string => text.replaceAll(/\s+/g, '');

/** The password or the secret access key, sealed for the store. */
async function sealCredential(run: Run, storeId: string, use: 'signer' | 'password', secret: Buffer): Promise<Buffer> {
  const { core, session, partitions } = run.services;
  return core.keepSeal(session, await partitions.of(run.account), use, storeId, secret);
}

export const createCustomKeyStore = operation({
  name: 'CreateCustomKeyStore',
  input: createInput,
  readOnly: false,
  async run(run, input) {
    const type = input.CustomKeyStoreType ?? 'AWS_CLOUDHSM';
    if (type === 'AWS_CLOUDHSM') requireMembers(input, type, clusterOnly, proxyOnly);
    else requireMembers(input, type, proxyAlways, clusterOnly);
    const storeId = `cks-${run.services.ids.hex(9).slice(0, 17)}`;
    const bare = { storeId, name: input.CustomKeyStoreName, type, createdMs: run.nowMs, state: 'DISCONNECTED', attempt: 0 } as const;
    const proxy = type === 'AWS_CLOUDHSM' ? undefined : proxyOf(run, input);
    await run.permit('kms:CreateCustomKeyStore');

    const cluster = { id: input.CloudHsmClusterId ?? '', trustAnchor: input.TrustAnchorCertificate ?? '' };
    if (proxy === undefined) checkTrustAnchor(clusterKnown(run, cluster.id), cluster.trustAnchor);
    const body: KeyStoreRecord = { ...bare, ...(proxy === undefined ? { cluster } : { proxy }) };
    const room = await directory(run, run.store);
    checkRoom(room, body);
    const secret = input.KeyStorePassword ?? input.XksProxyAuthenticationCredential?.RawSecretAccessKey ?? Buffer.alloc(0);
    const sealed = await sealCredential(run, storeId, proxy === undefined ? 'password' : 'signer', secret);
    await probe(run, { account: run.account, region: run.region, body, sealed });
    await run.store.tx(async (tx) => {
      const now = await directory(run, tx);
      checkRoom(now, body);
      writeDirectory(run, tx, now, [...now.stores, entryOf(body)]);
      tx.insert('keystore', { id: keyStoreRowId(run.account, run.region, storeId), account: run.account, region: run.region, body, sealed });
    });
    return { CustomKeyStoreId: storeId };
  },
});

function checkRoom({ stores }: Directory, body: KeyStoreRecord): void {
  checkUnique(entryOf(body), stores);
  if (stores.length >= mostStores) throw fail('LimitExceededException', `The account has ${mostStores} custom key stores in this Region already.`);
}

function checkTrustAnchor(cluster: Cluster, given: string): void {
  if (cluster.trustAnchor !== undefined && pem(cluster.trustAnchor) !== pem(given)) {
    throw fail('IncorrectTrustAnchorException', `The trust anchor certificate is not that of CloudHSM cluster ${cluster.id}.`);
  }
}

/** All of them are there. */
function proxyOf(run: Run, input: Members): ProxyRecord {
  const credential = input['XksProxyAuthenticationCredential'] as { readonly AccessKeyId: string };
  const name = input['XksProxyVpcEndpointServiceName'] as string | undefined;
  const owner = input['XksProxyVpcEndpointServiceOwner'] as string | undefined;
  const proxy: ProxyRecord = {
    connectivity: input['XksProxyConnectivity'] as s.ConnectivityName, endpoint: input['XksProxyUriEndpoint'] as string, path: input['XksProxyUriPath'] as string,
    accessKeyId: credential.AccessKeyId, ...(name === undefined ? {} : { vpcServiceName: name }), ...(owner === undefined ? {} : { vpcServiceOwner: owner }),
  };
  checkConnectivity(proxy);
  return name === undefined || owner !== undefined ? proxy : { ...proxy, vpcServiceOwner: run.account };
}

/** Private proxies are asked when they are connected, as AWS does. */
async function probe(run: Run, configured: Configured): Promise<void> {
  const { proxy, state } = configured.body;
  if (proxy?.connectivity === 'VPC_ENDPOINT_SERVICE' && state !== 'CONNECTED') return;
  try {
    await run.services.keyStores.probe(configured, run.operation.name, run.request.requestId);
  } catch (error) {
    throw inStoreChange(error);
  }
}

/* ---- DescribeCustomKeyStores ----------------------------------------------------------------- */

function described({ body }: KeyStoreRow): Answer {
  const { cluster, proxy } = body;
  return {
    CustomKeyStoreId: body.storeId,
    CustomKeyStoreName: body.name,
    ...(cluster === undefined ? {} : { CloudHsmClusterId: cluster.id, TrustAnchorCertificate: cluster.trustAnchor }),
    ConnectionState: body.state,
    ...(body.errorCode === undefined ? {} : { ConnectionErrorCode: body.errorCode }),
    CreationDate: epoch(body.createdMs),
    CustomKeyStoreType: body.type,
    ...(proxy === undefined ? {} : { XksProxyConfiguration: {
      Connectivity: proxy.connectivity, AccessKeyId: proxy.accessKeyId, UriEndpoint: proxy.endpoint, UriPath: proxy.path,
      ...(proxy.vpcServiceName === undefined ? {} : { VpcEndpointServiceName: proxy.vpcServiceName, VpcEndpointServiceOwner: proxy.vpcServiceOwner }),
    } }),
  };
}

export const describeCustomKeyStores = operation({
  name: 'DescribeCustomKeyStores',
  input: {
    CustomKeyStoreId: optional(s.CustomKeyStoreIdType), CustomKeyStoreName: optional(s.CustomKeyStoreNameType), Limit: optional(s.LimitType), Marker: optional(s.MarkerType),
  },
  readOnly: true,
  async run(run, input) {
    const { CustomKeyStoreId: id, CustomKeyStoreName: name } = input;
    if (id !== undefined && name !== undefined) throw validation('You can specify either CustomKeyStoreId or CustomKeyStoreName, but not both.');
    await run.permit('kms:DescribeCustomKeyStores');
    if (id !== undefined || name !== undefined) {
      const storeId = id ?? (await directory(run, run.store)).stores.find((one) => one.name === name)?.storeId;
      if (storeId === undefined) throw fail('CustomKeyStoreNotFoundException', `Custom key store ${name ?? ''} does not exist.`);
      return { CustomKeyStores: [described(await storeNamed(run, storeId))], Truncated: false };
    }
    const place = [run.account, run.region] as const;
    const { items, more } = await listPage<KeyStoreRecord, Answer>(
      run.store, run.services.markers, `DescribeCustomKeyStores ${place.join(' ')}`, 'keystore', { index: 'keystore.place', equals: place }, input, { otherwise: 1000, most: 1000 }, described,
    );
    return { CustomKeyStores: items, ...more };
  },
});

/* ---- UpdateCustomKeyStore -------------------------------------------------------------------- */

const updateInput = {
  CustomKeyStoreId: s.CustomKeyStoreIdType,
  NewCustomKeyStoreName: optional(s.CustomKeyStoreNameType),
  KeyStorePassword: optional(s.KeyStorePasswordType),
  CloudHsmClusterId: optional(s.CloudHsmClusterIdType),
  ...proxyMembers,
} as const;

/** What may change while the store is connected. */
const whileConnected = new Set(['CustomKeyStoreId', 'NewCustomKeyStoreName', 'XksProxyUriPath', 'XksProxyAuthenticationCredential']);

function requireUpdatable(body: KeyStoreRecord, input: Members): void {
  const members = Object.keys(input).filter((member) => input[member] !== undefined);
  if (body.state === 'DISCONNECTED' || (body.state === 'CONNECTED' && members.every((member) => whileConnected.has(member)))) return;
  throw wrongState(body);
}

/** A cluster in place of another: it must be of the same origin, as its certificate or its token tells. */
function movedTo(run: Run, body: KeyStoreRecord, id: string): KeyStoreRecord {
  const { cluster } = body;
  if (cluster === undefined || cluster.id === id) return body;
  const next = clusterKnown(run, id);
  const before = run.services.keyStores.cluster(cluster.id);
  const isRelated = next.trustAnchor === undefined ? before?.module === next.module && before.token === next.token : pem(next.trustAnchor) === pem(cluster.trustAnchor);
  if (!isRelated) throw fail('CloudHsmClusterNotRelatedException', `CloudHSM cluster ${id} has another cluster certificate than ${cluster.id}.`);
  return { ...body, cluster: { ...cluster, id } };
}

function proxyUpdated(run: Run, before: ProxyRecord, input: Members): ProxyRecord {
  const connectivity = (input['XksProxyConnectivity'] as s.ConnectivityName | undefined) ?? before.connectivity;
  const isNew = connectivity !== before.connectivity;
  if (isNew && input['XksProxyUriEndpoint'] === undefined) throw validation('XksProxyUriEndpoint is required when XksProxyConnectivity changes.');
  const credential = input['XksProxyAuthenticationCredential'] as { readonly AccessKeyId: string } | undefined;
  const name = (input['XksProxyVpcEndpointServiceName'] as string | undefined) ?? (isNew ? undefined : before.vpcServiceName);
  const given = input['XksProxyVpcEndpointServiceOwner'] as string | undefined;
  const owner = given ?? (isNew ? undefined : before.vpcServiceOwner);
  const proxy = {
    connectivity, endpoint: (input['XksProxyUriEndpoint'] as string | undefined) ?? before.endpoint, path: (input['XksProxyUriPath'] as string | undefined) ?? before.path,
    accessKeyId: credential?.AccessKeyId ?? before.accessKeyId, ...(name === undefined ? {} : { vpcServiceName: name }), ...(owner === undefined ? {} : { vpcServiceOwner: owner }),
  };
  checkConnectivity(proxy);
  return name === undefined || owner !== undefined ? proxy : { ...proxy, vpcServiceOwner: run.account };
}

function updated(run: Run, body: KeyStoreRecord, input: Members): KeyStoreRecord {
  requireUpdatable(body, input);
  refuseForeign(input, body.type, body.proxy === undefined ? proxyOnly : clusterOnly);
  const named = { ...body, name: (input['NewCustomKeyStoreName'] as string | undefined) ?? body.name };
  if (body.proxy !== undefined) return { ...named, proxy: proxyUpdated(run, body.proxy, input) };
  const id = input['CloudHsmClusterId'] as string | undefined;
  return id === undefined ? named : movedTo(run, named, id);
}

export const updateCustomKeyStore = operation({
  name: 'UpdateCustomKeyStore',
  input: updateInput,
  readOnly: false,
  async run(run, input) {
    await run.permit('kms:UpdateCustomKeyStore');
    const row = await storeNamed(run, input.CustomKeyStoreId);
    const body = updated(run, row.body, input);
    checkUnique(entryOf(body), othersOf(await directory(run, run.store), body.storeId));
    const secret = input.KeyStorePassword ?? input.XksProxyAuthenticationCredential?.RawSecretAccessKey;
    const sealed = secret === undefined ? row.sealed : await sealCredential(run, body.storeId, body.proxy === undefined ? 'password' : 'signer', secret);
    const isElsewhere = Object.keys(input).some((member) => member !== 'CustomKeyStoreId' && member !== 'NewCustomKeyStoreName' && member !== 'KeyStorePassword');
    if (isElsewhere && sealed !== undefined) await probe(run, { account: run.account, region: run.region, body, sealed });
    await run.store.tx(async (tx) => {
      const now = await storeNamed(run, body.storeId, tx);
      // Somebody else changed it while the proxy was asked: what was checked holds no more.
      if (now.version !== row.version) throw wrongState(now.body);
      const all = await directory(run, tx);
      const others = othersOf(all, body.storeId);
      checkUnique(entryOf(body), others);
      writeDirectory(run, tx, all, [...others, entryOf(body)]);
      tx.update(now, { body, ...(secret === undefined || sealed === undefined ? {} : { sealed }) });
    });
    if (isElsewhere && body.state === 'CONNECTED') await run.services.keyStores.renew(await storeNamed(run, body.storeId));
    return {};
  },
});

const othersOf = ({ stores }: Directory, storeId: string): readonly DirectoryEntry[] => stores.filter((one) => one.storeId !== storeId);

/* ---- connecting, disconnecting --------------------------------------------------------------- */

const storeInput = { CustomKeyStoreId: s.CustomKeyStoreIdType } as const;

/** One step of a store's connection, and who is to see to it. */
async function step(run: Run, storeId: string, next: (body: KeyStoreRecord) => KeyStoreRecord | undefined): Promise<KeyStoreRow | undefined> {
  const changed = await run.store.tx(async (tx) => {
    const row = await storeNamed(run, storeId, tx);
    const body = next(row.body);
    if (body !== undefined) tx.update(row, { body });
    return body !== undefined;
  });
  return changed ? storeNamed(run, storeId) : undefined;
}

export const connectCustomKeyStore = operation({
  name: 'ConnectCustomKeyStore',
  input: storeInput,
  readOnly: false,
  async run(run, { CustomKeyStoreId: storeId }) {
    await run.permit('kms:ConnectCustomKeyStore');
    const { cluster } = (await storeNamed(run, storeId)).body;
    if (cluster !== undefined && run.services.keyStores.cluster(cluster.id) === undefined) {
      throw fail('CloudHsmClusterNotActiveException', `CloudHSM cluster ${cluster.id} is not known to this server.`);
    }
    const row = await step(run, storeId, (body) => {
      if (body.state === 'FAILED') throw wrongState(body);
      return body.state === 'DISCONNECTED' ? { ...body, state: 'CONNECTING', attempt: body.attempt + 1 } : undefined;
    });
    if (row !== undefined) run.services.keyStores.connect(row);
    return {};
  },
});

export const disconnectCustomKeyStore = operation({
  name: 'DisconnectCustomKeyStore',
  input: storeInput,
  readOnly: false,
  async run(run, { CustomKeyStoreId: storeId }) {
    await run.permit('kms:DisconnectCustomKeyStore');
    const row = await step(run, storeId, ({ errorCode: _, ...body }) => {
      if (body.state === 'DISCONNECTED') throw wrongState(body);
      return { ...body, state: 'DISCONNECTED', attempt: body.attempt + 1 };
    });
    if (row !== undefined) void run.services.keyStores.disconnect(row.id);
    return {};
  },
});

/* ---- DeleteCustomKeyStore -------------------------------------------------------------------- */

export const deleteCustomKeyStore = operation({
  name: 'DeleteCustomKeyStore',
  input: storeInput,
  readOnly: false,
  async run(run, { CustomKeyStoreId: storeId }) {
    await run.permit('kms:DeleteCustomKeyStore');
    await run.store.tx(async (tx) => {
      const row = await storeNamed(run, storeId, tx);
      if (row.body.state !== 'DISCONNECTED') throw wrongState(row.body);
      // Keys come in only while it is CONNECTED, in a transaction that reads that: none comes after this look.
      const { rows } = await tx.list<KeyRecord>('key', { index: 'key.store', equals: [run.account, run.region, storeId], limit: 1 });
      if (rows.length > 0) throw fail('CustomKeyStoreHasCMKsException', `Custom key store ${storeId} has KMS keys.`);
      const all = await directory(run, tx);
      writeDirectory(run, tx, all, othersOf(all, storeId));
      tx.delete(row);
    });
    return {};
  },
});

/* ---- used elsewhere ---------------------------------------------------------------------------- */

/** Random bytes of a cluster's own, mixed with the core's: what crossed a process tells nothing alone. */
export async function clusterRandom(run: Run, storeId: string, room: Payload, length: number): Promise<void> {
  const { body, id } = await storeNamed(run, storeId);
  if (body.type !== 'AWS_CLOUDHSM') throw fail('UnsupportedOperationException', `Custom key store ${storeId} is an external key store, which gives no random bytes.`);
  if (body.state !== 'CONNECTED') throw wrongState(body);
  run.services.quotas?.chargeStore(id, run.nowMs);
  try {
    const live = await run.services.keyStores.of(id);
    const theirs = await live.random(length);
    if (theirs?.length !== length) throw new Error('random bytes of another length');
    run.core.random(run.session, room.room.subarray(0, length));
    for (const [i, byte] of theirs.entries()) room.room[i] = (room.room[i] ?? 0) ^ byte;
    theirs.fill(0);
    room.fill(length);
  } catch (error) {
    throw inCreateKey(error);
  }
}
