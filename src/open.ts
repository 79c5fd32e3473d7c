/**
 * Composition: reads the configuration, opens the core and the store, makes what a first start needs,
 * and puts the rooms together. The only place that knows all of them.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Delivery } from './audit/delivery.ts';
import { ChainRecorder } from './audit/recorder.ts';
import { CoreSigner } from './audit/signer.ts';
import { Usage } from './audit/usage.ts';
import { HsmError } from './hsm/core.ts';
import type { Core, Mode, SecretSource, Unseal } from './hsm/core.ts';
import { Keyring } from './hsm/keyring.ts';
import { StoredIdentities } from './iam/identities.ts';
import { loadCore, type NativeCore } from './hsm/native.ts';
import { blobsOf } from './kms/operations/table.ts';
import { AttestationVerifier } from './kms/attestation/verifier.ts';
import { Caretaker } from './kms/caretaker.ts';
import { Clock } from './kms/clock.ts';
import { readKeyStoreSettings, type KeyStoreSettings } from './kms/keystores/settings.ts';
import { AwsQuotas } from './kms/quotas.ts';
import { createService } from './kms/service.ts';
import type { AccountRecord } from './iam/records.ts';
import { accountRoutes } from './server/account-routes.ts';
import { Accounts } from './server/accounts.ts';
import { Approvals } from './server/approvals.ts';
import { devRoutes } from './server/dev-routes.ts';
import { EventLog } from './server/events.ts';
import { Holders, type HolderSettings } from './server/holders.ts';
import { keyRoutes } from './server/key-routes.ts';
import { giveCredential } from './server/seed.ts';
import { Lifecycle } from './server/lifecycle.ts';
import { operatorRoutes } from './server/operator-routes.ts';
import { RootKeeper, type Refused } from './server/root-keeper.ts';
import { serveSealed } from './server/sealed.ts';
import { createServer, type RunningServer } from './server/server.ts';
import type { AdminRoute } from './server/admin.ts';
import { trailRoutes } from './server/trail-routes.ts';
import { SelfTests } from './server/self-tests.ts';
import { usageRoutes } from './server/usage-routes.ts';
import { openSqlite, type SqliteStore } from './store/sqlite.ts';
import type { Store } from './store/store.ts';

/** A setting that cannot be used; the message says which and what would do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export interface Config {
  readonly home: string;
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  /** Names of the client certificates that the XKS proxy takes; empty: any that the authority signed. */
  readonly xksClientNames: readonly string[];
  readonly regions: readonly string[];
  readonly account: string;
  readonly mode?: Mode;
  /** How a root key is made and opened; undefined: by operators alone. */
  readonly unseal: Unseal | undefined;
  /** A file that is not at hand is waited for, sealed, though nothing else opens the root. */
  readonly waits: boolean;
  /** The core's part of a slot that somebody else holds. */
  readonly partFile: string;
  readonly holders: HolderSettings;
  /** Refuse what the service indicator calls not approved. */
  readonly approvedOnly: boolean;
  /** Between two rounds of self-tests; 0: only at start and when asked. */
  readonly selfTestHours: number;
  readonly accessKeyId?: string;
  readonly secret: SecretSource;
  /** Where log files are delivered; absent: nowhere. */
  readonly trailDirectory?: string;
  /** AWS's request quotas. */
  readonly quotas: boolean;
  /** File with the certificates that attestation documents may end in. */
  readonly attestationRoots?: string;
  /** Clusters, and how external key store proxies are reached. */
  readonly keyStores: KeyStoreSettings;
  /** Where key events are posted to. */
  readonly webhook?: string;
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
  const clientCa = env['STRONGROOM_XKS_CLIENT_CA'];
  if (clientCa !== undefined && cert === undefined) throw new ConfigError('STRONGROOM_XKS_CLIENT_CA needs STRONGROOM_TLS_CERT and STRONGROOM_TLS_KEY: without TLS there are no certificates');
  if (clientCa === undefined && env['STRONGROOM_XKS_CLIENT_NAMES'] !== undefined) throw new ConfigError('STRONGROOM_XKS_CLIENT_NAMES needs STRONGROOM_XKS_CLIENT_CA');
  const accessKeyId = env['STRONGROOM_ROOT_ACCESS_KEY_ID'];
  if (accessKeyId !== undefined && !/^\w{16,128}$/.test(accessKeyId)) throw new ConfigError('STRONGROOM_ROOT_ACCESS_KEY_ID: 16 to 128 letters, digits or _');
  const quotas = env['STRONGROOM_QUOTAS'] ?? 'off';
  if (quotas !== 'off' && quotas !== 'aws') throw new ConfigError(`STRONGROOM_QUOTAS: '${quotas}' is neither off nor aws`);
  const attestationRoots = env['STRONGROOM_ATTESTATION_ROOTS'];
  return {
    home,
    quotas: quotas === 'aws',
    ...(attestationRoots === undefined ? {} : { attestationRoots: resolve(attestationRoots) }),
    ...listenOf(env['STRONGROOM_LISTEN'] ?? '127.0.0.1:4766'),
    ...(cert !== undefined && key !== undefined ? { tls: { cert, key, ...(clientCa === undefined ? {} : { clientCa: resolve(clientCa) }) } } : {}),
    xksClientNames: (env['STRONGROOM_XKS_CLIENT_NAMES'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== ''),
    regions: regions.includes(region) ? [region, ...regions.filter((r) => r !== region)] : regions,
    account,
    ...(mode === undefined ? {} : { mode }),
    unseal: unsealOf(env, home),
    waits: env['STRONGROOM_UNSEAL'] !== undefined,
    partFile: resolve(env['STRONGROOM_UNSEAL_PART_FILE'] ?? join(home, 'unseal.part')),
    holders: holdersOf(env),
    approvedOnly: switchOf(env, 'STRONGROOM_APPROVED_ONLY'),
    selfTestHours: hoursOf(env['STRONGROOM_SELF_TEST_HOURS'] ?? '24'),
    ...(accessKeyId === undefined ? {} : { accessKeyId }),
    secret: secretOf(env),
    keyStores: keyStoresOf(env),
    ...(env['STRONGROOM_TRAIL_DIR'] === undefined ? {} : { trailDirectory: resolve(env['STRONGROOM_TRAIL_DIR']) }),
    ...(env['STRONGROOM_EVENTS_WEBHOOK'] === undefined ? {} : { webhook: webhookOf(env['STRONGROOM_EVENTS_WEBHOOK']) }),
  };
}

function unsealOf(env: Environment, home: string): Unseal | undefined {
  const how = env['STRONGROOM_UNSEAL'] ?? 'file';
  if (how !== 'file' && how !== 'operator') throw new ConfigError(`STRONGROOM_UNSEAL: '${how}' is neither file nor operator`);
  const passphrase = env['STRONGROOM_PASSPHRASE_FILE'];
  if (how === 'operator') return undefined;
  return passphrase === undefined ? { how: 'keyfile', path: resolve(env['STRONGROOM_KEY_FILE'] ?? join(home, 'root.key')) } : { how: 'passphrase', path: resolve(passphrase) };
}

function holdersOf(env: Environment): HolderSettings {
  const kms = together(env, 'STRONGROOM_UNSEAL_KMS_ENDPOINT', 'STRONGROOM_UNSEAL_ACCESS_KEY_ID', 'STRONGROOM_UNSEAL_SECRET_ACCESS_KEY_FILE');
  const module = together(env, 'STRONGROOM_UNSEAL_MODULE', 'STRONGROOM_UNSEAL_TOKEN', 'STRONGROOM_UNSEAL_PIN_FILE');
  if (kms !== undefined && !(URL.canParse(kms[0]) && /^https?:/.test(kms[0]))) throw new ConfigError(`STRONGROOM_UNSEAL_KMS_ENDPOINT: '${kms[0]}' is not an http or https address`);
  return {
    ...(kms === undefined ? {} : { kms: { endpoint: new URL(kms[0]), accessKeyId: kms[1], secretFile: resolve(kms[2]), region: env['STRONGROOM_UNSEAL_KMS_REGION'] ?? 'us-east-1' } }),
    ...(module === undefined ? {} : { module: { path: resolve(module[0]), token: module[1], pinFile: resolve(module[2]), environment: pairsOf(env['STRONGROOM_UNSEAL_MODULE_ENV'] ?? '') } }),
  };
}

/** `NAME=value,NAME=value`. */
function pairsOf(text: string): Readonly<Record<string, string>> {
  const pairs = text.split(',').map((pair) => pair.trim()).filter((pair) => pair !== '');
  return Object.fromEntries(pairs.map((pair) => {
    const at = pair.indexOf('=');
    if (at < 1) throw new ConfigError(`STRONGROOM_UNSEAL_MODULE_ENV: '${pair}' is not NAME=value`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  }));
}

/** All of them, or none. */
function together(env: Environment, ...names: readonly [string, string, string]): readonly [string, string, string] | undefined {
  const [a, b, c] = names.map((name) => env[name]);
  if (a !== undefined && b !== undefined && c !== undefined) return [a, b, c];
  if (a === undefined && b === undefined && c === undefined) return undefined;
  throw new ConfigError(`${names.join(', ')} go together`);
}

function switchOf(env: Environment, name: string): boolean {
  const value = env[name] ?? 'off';
  if (value !== 'on' && value !== 'off') throw new ConfigError(`${name}: '${value}' is neither on nor off`);
  return value === 'on';
}

function hoursOf(text: string): number {
  const hours = Number(text);
  if (!/^\d{1,4}(\.\d{1,4})?$/.test(text) || hours > 720) throw new ConfigError(`STRONGROOM_SELF_TEST_HOURS: '${text}' is not a number of hours up to 720`);
  return hours;
}

function listenOf(text: string): { readonly host: string; readonly port: number } {
  const found = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port > 65535) throw new ConfigError(`STRONGROOM_LISTEN: '${text}' is not host:port`);
  return { host: found[1] ?? found[2] ?? '', port };
}

function keyStoresOf(env: Environment): KeyStoreSettings {
  try {
    return readKeyStoreSettings(env);
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error));
  }
}

function webhookOf(text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text)) throw new ConfigError(`STRONGROOM_EVENTS_WEBHOOK: '${text}' is not an http or https address`);
  return text;
}

/** Only whether the secret's variable is there is asked here: its value is read by the core. */
function secretOf(env: Environment): SecretSource {
  const file = env['STRONGROOM_ROOT_SECRET_ACCESS_KEY_FILE'];
  if (file !== undefined) return { from: 'file', path: resolve(file) };
  return 'STRONGROOM_ROOT_SECRET_ACCESS_KEY' in env ? { from: 'env', name: 'STRONGROOM_ROOT_SECRET_ACCESS_KEY' } : { from: 'made' };
}

export interface Strongroom {
  /** e.g. `http://127.0.0.1:4766`. */
  readonly url: string;
  readonly firstRun: boolean;
  /** What the operator should know, a sentence each. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

/** What lasts while the root key is opened and closed. */
interface House {
  readonly core: NativeCore;
  readonly store: SqliteStore;
  readonly clock: Clock;
  readonly keeper: RootKeeper;
  readonly operator: readonly AdminRoute[];
  readonly approvals: Approvals;
}

type Served = Omit<Strongroom, 'notes'>;

const log = (line: string): void => { process.stderr.write(`strongroom: ${line}\n`); };
const report = (error: unknown): void => { log(error instanceof Error ? `${error.name}: ${error.message}` : 'something failed'); };

/**
 * Opens a home, making it first where there is none, and serves. Where nothing at hand opens the root key it serves sealed: one
 * answer to everybody, until an operator opens it.
 */
export async function openStrongroom(config: Config): Promise<Strongroom> {
  const undo: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.reverse()) await step();
  };
  try {
    const core = loadCore({ approvedOnly: config.approvedOnly });
    undo.push(() => { core.close(); });
    const clock = new Clock();
    const store = await openSqlite({ home: config.home, core, clock: clock.now });
    undo.push(() => store.close());
    const selfTests = new SelfTests(core, config.selfTestHours, log);
    selfTests.start();
    undo.push(() => selfTests.stop());
    const holders = new Holders(core, config.holders);
    const keeper = new RootKeeper({ core, store, home: config.home, unseal: config.unseal, mode: config.mode, partFile: config.partFile, holders });
    const approvals = new Approvals(keeper);
    const house: House = { core, store, clock, keeper, approvals, operator: operatorRoutes({ core, keeper, approvals, holders, selfTests }) };
    const made = await openRoot(house, config);
    const doors = new Doors(house, config);
    undo.push(() => doors.close());
    const first = await doors.enter();
    return { url: first.url, firstRun: first.firstRun, notes: notesOf(core, config, made), close };
  } catch (error) {
    await close().catch(() => undefined);
    throw spoken(error, config);
  }
}

/** What is served, open or sealed, one after the other at one address. */
class Doors {
  readonly #house: House;
  readonly #config: Config;
  #served: Served | undefined;
  #port: number;
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(house: House, config: Config) {
    this.#house = house;
    this.#config = config;
    this.#port = config.port;
    // After the answer to who asked for it was sent.
    house.keeper.onChange((open) => { setImmediate(() => { this.#turn = this.#turn.then(() => this.#change(open)); }); });
  }

  async enter(): Promise<Served> {
    const { keeper } = this.#house;
    const config = { ...this.#config, port: this.#port };
    this.#served = keeper.unsealed ? await serve(this.#house, config) : await serveClosed(this.#house, config);
    this.#port = Number(new URL(this.#served.url).port) || this.#port;
    return this.#served;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#turn;
    await this.#served?.close();
  }

  async #change(open: boolean): Promise<void> {
    if (this.#closed) return;
    const { core, approvals } = this.#house;
    try {
      await this.#served?.close();
      if (!open) {
        approvals.forget();
        core.closeRoot();
      }
      const { firstRun } = await this.enter();
      if (firstRun) log(`credentials are written to ${join(this.#config.home, 'credentials')}`);
      log(open ? 'the root key is open' : 'sealed');
    } catch (error) {
      report(spoken(error, this.#config));
      core.closeRoot();
      await this.enter().catch(report);
    }
  }
}

async function serveClosed({ core, keeper, operator }: House, config: Config): Promise<Served> {
  const made = (await keeper.header()) !== undefined;
  const sentence = made
    ? 'Strongroom is sealed: its root key is closed. On its machine an operator opens it with: strongroom operator unseal'
    : 'Strongroom has no root key yet. On its machine an operator makes it with: strongroom operator init';
  const server = await serveSealed({
    core, sentence, adminRoutes: operator, home: config.home, host: config.host, port: config.port, report,
    ...(config.tls === undefined ? {} : { tls: config.tls }),
  });
  log(sentence);
  return { url: server.url, firstRun: false, close: () => server.close() };
}

async function serve({ core, store, clock, operator, approvals }: House, config: Config): Promise<Served> {
  const undo: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.reverse()) await step();
  };
  try {
    const { mode } = core.describe();
    if (config.mode !== undefined && config.mode !== mode) throw new ConfigError(`STRONGROOM_MODE: the mode of this home is ${mode} since its root key was made; it cannot become ${config.mode}`);
    if (core.describe().mode === 'dev') await clock.load(store);
    const session = core.serviceSession();
    undo.push(() => { if (core.describe().state === 'ready') core.closeSession(session); });
    const accounts = new Accounts(core, store, session);
    const recorder = new ChainRecorder(store);
    const keyring = new Keyring(core, session);
    const identities = new StoredIdentities(store);
    const attestation = config.attestationRoots === undefined ? undefined : openAttestation(core, config.attestationRoots);
    undo.push(() => attestation?.close());
    const events = new EventLog({ home: config.home, log, ...(config.webhook === undefined ? {} : { webhook: config.webhook }) });
    undo.push(() => events.close());
    const kms = createService({
      core, store, keyring, recorder, session, events, log,
      ...(config.quotas ? { quotas: new AwsQuotas() } : {}),
      ...(attestation === undefined ? {} : { attestation }),
      regions: config.regions, keyStoreSettings: config.keyStores,
      partition: (account) => accounts.partition(account),
      identities,
    });
    await kms.services.keyStores.resume();
    undo.push(() => kms.services.keyStores.close());
    const signer = lazily(() => CoreSigner.open(core, store, session));
    const delivery = await deliveryTo(config.trailDirectory, store, signer, log);
    if (delivery !== undefined) {
      delivery.start();
      undo.push(() => delivery.stop());
    }
    const caretaker = new Caretaker(kms);
    caretaker.start();
    undo.push(() => caretaker.stop());
    const lifecycle = new Lifecycle({
      store, accounts, recorder, log,
      region: config.regions[0] ?? 'us-east-1',
      forget: (account, partition) => {
        kms.services.keyStores.forget(account);
        kms.services.partitions.forget(account);
        if (partition !== undefined) keyring.forgetPartition(partition);
      },
    });
    const usage = new Usage(store, log);
    usage.start();
    undo.push(() => usage.stop());
    lifecycle.start();
    undo.push(() => lifecycle.stop());
    const wake = async (): Promise<void> => {
      await caretaker.wake();
      await lifecycle.wake();
    };
    const reset = async (): Promise<void> => {
      await caretaker.stop();
      const empty = async (): Promise<void> => {
        await store.wipe();
        clock.reset();
      };
      try {
        await kms.services.keyStores.close();
        await (delivery === undefined ? empty() : delivery.renew(empty));
        await accounts.forgetAll();
        keyring.close();
        kms.services.partitions.forgetAll();
        kms.services.keyTally.clear();
        kms.services.grantTally.clear();
        await firstAccount(core, store, accounts, config, server.url);
      } finally {
        caretaker.start();
      }
    };
    const server: RunningServer = await createServer({
      core, store, recorder, session, accounts, identities, keyring,
      ...(config.tls?.clientCa === undefined ? {} : { xks: { clients: { names: config.xksClientNames } } }),
      services: [{ targets: ['TrentService'], scope: 'kms', source: 'kms.amazonaws.com', blobsOf, handle: kms.handle }],
      adminRoutes: [...keyRoutes(store, config.regions), ...operator, ...accountRoutes(lifecycle, approvals), ...usageRoutes(store, usage), ...trailRoutes({ store, signer, delivery }), ...devRoutes({ core, store, clock, accounts, wake, kms: kms.services, home: config.home, account: config.account, reset })],
      home: config.home, host: config.host, port: config.port,
      ...(config.tls === undefined ? {} : { tls: config.tls }),
      regions: config.regions, log, report,
    });
    undo.push(() => server.close());
    const firstRun = await firstAccount(core, store, accounts, config, server.url);
    return { url: server.url, firstRun, close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

function openAttestation(core: Core, path: string): AttestationVerifier {
  try {
    return new AttestationVerifier(core, [readFileSync(path)]);
  } catch (error) {
    throw new ConfigError(`STRONGROOM_ATTESTATION_ROOTS: ${path} has no P-384 certificate in PEM or DER (${error instanceof Error ? error.message : 'it cannot be read'})`);
  }
}

/** The work is done when it is first asked for, and once. */
function lazily<R>(work: () => Promise<R>): () => Promise<R> {
  let made: Promise<R> | undefined;
  return () => (made ??= work());
}

async function deliveryTo(directory: string | undefined, store: Store, signer: () => Promise<CoreSigner>, log: (line: string) => void): Promise<Delivery | undefined> {
  if (directory === undefined) return undefined;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ConfigError(`STRONGROOM_TRAIL_DIR: ${directory} cannot be made: ${error instanceof Error ? error.message : typeof error}`);
  }
  return new Delivery({ store, signer: await signer(), directory, log });
}

/** The root key: made with a new store, else opened, where something at hand does. Answers whether it was made. */
async function openRoot({ keeper }: House, config: Config): Promise<boolean> {
  const { unseal } = config;
  if ((await keeper.header()) === undefined) {
    if (unseal === undefined) return false;
    await keeper.make(unseal);
    return true;
  }
  const refused = await keeper.tryOpen();
  const slots = await keeper.slots();
  const mayLack = config.waits || slots.some((slot) => slot.how !== unseal?.how);
  for (const one of refused) {
    const tellsNothing = one.source === unseal?.path && !slots.some((slot) => slot.how === unseal.how);
    if (!tellsNothing) refuse(one, config, mayLack);
  }
  return false;
}

/** A file that is not at hand is brought later, where the root has other slots or STRONGROOM_UNSEAL says so; else, or when it is wrong, that is a mistake to be told at once. */
function refuse({ source, error }: Refused, config: Config, mayLack: boolean): void {
  if (source !== config.unseal?.path) return log(`${source} does not open the root key: ${error instanceof Error ? error.message : 'it failed'}`);
  if (!mayLack || !(error instanceof HsmError) || error.code !== 'HSM_E_IO') throw error;
  log(`${source} cannot be read`);
}

/** The first account, its root credentials and the files an AWS client reads. Done again until it was done whole. */
async function firstAccount(core: Core, store: Store, accounts: Accounts, config: Config, url: string): Promise<boolean> {
  writeFileSync(join(config.home, 'config'), `[default]\nregion = ${config.regions[0] ?? 'us-east-1'}\nendpoint_url = ${url}\n`, { mode: 0o600 });
  if ((await store.get('setting', 'first-run')) !== undefined) return false;
  const { account } = config;
  // It was deleted: nothing is made in its place.
  if ((await store.get<AccountRecord>('account', account))?.body.status === 'Deleted') return false;
  if ((await store.get('account', account)) === undefined) await accounts.create(account);
  if (core.describe().mode === 'dev' && config.accessKeyId === undefined && config.secret.from === 'made') {
    await giveCredential({ accounts, store, home: config.home }, account, 'test', 'test', undefined, join(config.home, 'credentials'));
    return await firstRunDone(store, account);
  }
  const made = await accounts.createCredential({ account, secret: config.secret, show: false, ...(config.accessKeyId === undefined ? {} : { accessKeyId: config.accessKeyId }) });
  accounts.writeCredential(made, join(config.home, 'credentials'), 'default');
  return await firstRunDone(store, account);
}

async function firstRunDone(store: Store, account: string): Promise<true> {
  await store.tx(async (tx) => { tx.insert('setting', { id: 'first-run', account, region: '', body: { kind: 'first-run', done: true } }); });
  return true;
}

function notesOf(core: Core, config: Config, made: boolean): readonly string[] {
  const info = core.describe();
  return [
    ...(made && config.unseal !== undefined ? [config.unseal.how === 'keyfile'
      ? `the root key is opened by the key file ${config.unseal.path}: whoever has that file and the data has the keys (docs/boundary.md)`
      : `the root key is opened by the passphrase in ${config.unseal.path}`] : []),
    ...(info.arenaReason === '' ? [] : [`secret memory is ${info.arenaKind}: ${info.arenaReason}`]),
    ...(info.mode === 'production' ? [] : [`mode ${info.mode}: not for keys that matter`]),
    ...(config.secret.from === 'env' ? [`${config.secret.name} can be read in this process's environment for as long as it runs`] : []),
  ];
}

/** What went wrong at start, in a sentence with the file's name. */
function spoken(error: unknown, config: Config): unknown {
  if (!(error instanceof HsmError)) return error;
  const path = config.unseal?.path ?? 'the root key';
  const sentences: Readonly<Record<string, string>> = {
    HSM_E_ROOT: `the root key does not belong to this store: ${path} was made for another one`,
    HSM_E_PIN: `the passphrase in ${path} does not open the root key`,
    HSM_E_IO: `${path} cannot be read`,
    HSM_E_EXISTS: `${path} is there already, but the store has no root key yet: move it away, or set STRONGROOM_KEY_FILE`,
    HSM_E_SELF_TEST: 'a self-test of the core failed: run strongroom selftest',
  };
  const sentence = sentences[error.code];
  return sentence === undefined ? error : new ConfigError(sentence);
}
