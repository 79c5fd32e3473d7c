/**
 * Composition: reads the configuration, opens the core and the store, makes what a first start needs,
 * and puts the rooms together. The only place that knows all of them.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Core, Mode, PartitionHandle, SecretSource, SessionHandle, Unseal } from './hsm/core.ts';
import { loadCore } from './hsm/native.ts';
import { openSqlite } from './store/sqlite.ts';
import type { Store } from './store/store.ts';

/** A setting that cannot be used; the message says which and what would do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export interface Config {
  readonly home: string;
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly regions: readonly string[];
  readonly account: string;
  readonly mode?: Mode;
  readonly unseal: Unseal;
  readonly accessKeyId?: string;
  readonly secret: SecretSource;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function homeOf(env: Environment): string {
  return resolve(env['STRONGROOM_HOME'] ?? join(homedir(), '.strongroom'));
}

export function readConfig(env: Environment): Config {
  const home = homeOf(env);
  const region = env['STRONGROOM_REGION'] ?? 'us-east-1';
  const regions = (env['STRONGROOM_REGIONS'] ?? region).split(',').map((r) => r.trim()).filter((r) => r !== '');
  for (const r of regions) if (!/^([a-z]+-){2,3}\d+$/.test(r)) throw new ConfigError(`STRONGROOM_REGIONS: '${r}' is not a Region's name such as us-east-1`);
  const account = env['STRONGROOM_ACCOUNT'] ?? '000000000000';
  if (!/^\d{12}$/.test(account)) throw new ConfigError(`STRONGROOM_ACCOUNT: '${account}' is not twelve digits`);
  const mode = env['STRONGROOM_MODE'];
  if (mode !== undefined && mode !== 'production' && mode !== 'dev' && mode !== 'lab') throw new ConfigError(`STRONGROOM_MODE: '${mode}' is none of production, dev, lab`);
  const cert = env['STRONGROOM_TLS_CERT'];
  const key = env['STRONGROOM_TLS_KEY'];
  if ((cert === undefined) !== (key === undefined)) throw new ConfigError('STRONGROOM_TLS_CERT and STRONGROOM_TLS_KEY go together');
  const passphrase = env['STRONGROOM_PASSPHRASE_FILE'];
  const accessKeyId = env['STRONGROOM_ROOT_ACCESS_KEY_ID'];
  if (accessKeyId !== undefined && !/^\w{16,128}$/.test(accessKeyId)) throw new ConfigError('STRONGROOM_ROOT_ACCESS_KEY_ID: 16 to 128 letters, digits or _');
  return {
    home,
    ...listenOf(env['STRONGROOM_LISTEN'] ?? '127.0.0.1:4766'),
    ...(cert !== undefined && key !== undefined ? { tls: { cert, key } } : {}),
    regions: regions.includes(region) ? [region, ...regions.filter((r) => r !== region)] : regions,
    account,
    ...(mode === undefined ? {} : { mode }),
    unseal: passphrase === undefined ? { how: 'keyfile', path: resolve(env['STRONGROOM_KEY_FILE'] ?? join(home, 'root.key')) } : { how: 'passphrase', path: resolve(passphrase) },
    ...(accessKeyId === undefined ? {} : { accessKeyId }),
    secret: secretOf(env),
  };
}

function listenOf(text: string): { readonly host: string; readonly port: number } {
  const found = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port > 65535) throw new ConfigError(`STRONGROOM_LISTEN: '${text}' is not host:port`);
  return { host: found[1] ?? found[2] ?? '', port };
}

/** Only whether the secret's variable is there is asked here: its value is read by the core. */
function secretOf(env: Environment): SecretSource {
  const file = env['STRONGROOM_ROOT_SECRET_ACCESS_KEY_FILE'];
  if (file !== undefined) return { from: 'file', path: resolve(file) };
  return 'STRONGROOM_ROOT_SECRET_ACCESS_KEY' in env ? { from: 'env', name: 'STRONGROOM_ROOT_SECRET_ACCESS_KEY' } : { from: 'made' };
}
