/** What the operator says of custom key stores: which clusters there are, and how proxies are reached. */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { dirname, resolve } from 'node:path';

/** A PKCS#11 module that stands for a CloudHSM cluster. */
export interface Cluster {
  readonly id: string;
  /** The shared object. */
  readonly module: string;
  /** CKA label of its token. */
  readonly token: string;
  /** What C_Login gets before the password: CloudHSM's own module wants `kmsuser:`. */
  readonly user?: string;
  /** PEM; absent: any certificate is taken. */
  readonly trustAnchor?: string;
  /** For the process the module is loaded in; it inherits nothing else. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface ProxySettings {
  /** Certificates that proxies' may end in; the well-known ones and the operator's. */
  readonly authorities?: readonly string[];
  /** What we show a proxy that asks for a client certificate; PEM. */
  readonly client?: { readonly certificate: string; readonly key: string };
  /** By host: where to connect instead, as with curl's --connect-to. */
  readonly connectTo?: ReadonlyMap<string, { readonly host: string; readonly port: number }>;
  /** The only hosts that may be connected to; absent: any. */
  readonly hosts?: ReadonlySet<string>;
  /** AWS's limit is 250 ms. */
  readonly timeoutMs?: number;
}

export interface KeyStoreSettings {
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly proxies: ProxySettings;
}

export const noSettings: KeyStoreSettings = { clusters: new Map(), proxies: {} };

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws an Error of one sentence that names the variable. */
export function readKeyStoreSettings(env: Environment): KeyStoreSettings {
  return { clusters: clustersOf(env['STRONGROOM_CLOUDHSM_CLUSTERS']), proxies: proxiesOf(env) };
}

/* ---- clusters -------------------------------------------------------------------- */

function clustersOf(path: string | undefined): ReadonlyMap<string, Cluster> {
  if (path === undefined) return new Map();
  const bad = (why: string) => new Error(`STRONGROOM_CLOUDHSM_CLUSTERS: ${path}: ${why}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw bad(error instanceof SyntaxError ? 'not JSON' : 'cannot be read');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw bad('not an object of clusters by id');
  return new Map(Object.entries(parsed).map(([id, entry]) => [id, clusterOf(id, entry, dirname(resolve(path)), bad)]));
}

function clusterOf(id: string, entry: unknown, folder: string, bad: (why: string) => Error): Cluster {
  if (!/^cluster-[2-7a-zA-Z]{11,16}$/.test(id)) throw bad(`'${id}' is not a cluster's id: cluster- and 11 to 16 of 2-7, a-z, A-Z`);
  if (typeof entry !== 'object' || entry === null) throw bad(`${id} is not an object`);
  const { module, token, user, trustAnchor, environment = {}, ...rest } = entry as Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw bad(`${id} has '${unknown}', which is none of module, token, user, trustAnchor, environment`);
  if (typeof module !== 'string' || typeof token !== 'string') throw bad(`${id} needs module (a path) and token (a label)`);
  if (user !== undefined && typeof user !== 'string') throw bad(`${id}: user is not text`);
  if (trustAnchor !== undefined && typeof trustAnchor !== 'string') throw bad(`${id}: trustAnchor is not a path`);
  if (typeof environment !== 'object' || environment === null || Object.values(environment).some((value) => typeof value !== 'string')) throw bad(`${id}: environment is not an object of text`);
  return Object.freeze({
    id, module: resolve(folder, module), token, environment: environment as Record<string, string>,
    ...(user === undefined ? {} : { user }),
    ...(trustAnchor === undefined ? {} : { trustAnchor: readPem(resolve(folder, trustAnchor), bad) }),
  });
}

function readPem(path: string, bad: (why: string) => Error): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw bad(`${path} cannot be read`);
  }
}

/* ---- proxies ---------------------------------------------------------------------- */

function proxiesOf(env: Environment): ProxySettings {
  const authorities = pemIn(env, 'STRONGROOM_KEY_STORE_CA');
  const certificate = pemIn(env, 'STRONGROOM_KEY_STORE_CLIENT_CERT');
  const key = pemIn(env, 'STRONGROOM_KEY_STORE_CLIENT_KEY');
  if ((certificate === undefined) !== (key === undefined)) throw new Error('STRONGROOM_KEY_STORE_CLIENT_CERT and STRONGROOM_KEY_STORE_CLIENT_KEY go together');
  const hosts = listIn(env['STRONGROOM_KEY_STORE_HOSTS']);
  return {
    ...(authorities === undefined ? {} : { authorities: [...rootCertificates, authorities] }),
    ...(certificate === undefined || key === undefined ? {} : { client: { certificate, key } }),
    connectTo: new Map(listIn(env['STRONGROOM_KEY_STORE_CONNECT_TO']).map(detourOf)),
    ...(hosts.length === 0 ? {} : { hosts: new Set(hosts.map((host) => host.toLowerCase())) }),
  };
}

function pemIn(env: Environment, name: string): string | undefined {
  const path = env[name];
  return path === undefined ? undefined : readPem(resolve(path), (why) => new Error(`${name}: ${why}`));
}

const listIn = (text = ''): readonly string[] => text.split(',').map((part) => part.trim()).filter((part) => part !== '');

function detourOf(text: string): readonly [string, { readonly host: string; readonly port: number }] {
  const found = /^([A-Za-z0-9.-]+)=(?:\[([0-9a-fA-F:]+)\]|([^:=]+)):(\d{1,5})$/.exec(text);
  if (found === null) throw new Error(`STRONGROOM_KEY_STORE_CONNECT_TO: '${text}' is not name=host:port`);
  return [(found[1] ?? '').toLowerCase(), { host: found[2] ?? found[3] ?? '', port: Number(found[4]) }];
}
