/** The server put together: what it needs, what it opens, how it stops. */
import type { Recorder } from '../audit/recorder.ts';
import { PageTokens } from '../audit/tokens.ts';
import type { Core, SessionHandle } from '../hsm/core.ts';
import { Keyring } from '../hsm/keyring.ts';
import { IamError } from '../iam/errors.ts';
import { StoredIdentities } from '../iam/identities.ts';
import type { Identities } from '../iam/identities.ts';
import { Markers } from '../kms/marker.ts';
import { AwsError } from '../kms/operation.ts';
import type { Store } from '../store/store.ts';
import { Accounts } from './accounts.ts';
import { AdminDoor } from './admin.ts';
import type { AdminRoute } from './admin.ts';
import { adminRoutes } from './admin-routes.ts';
import { CloudTrail } from './cloudtrail.ts';
import type { Authorise } from './cloudtrail.ts';
import { Credentials } from './credentials.ts';
import { Endpoint } from './endpoint.ts';
import type { JsonService } from './endpoint.ts';
import { Gate } from './gate.ts';
import { healthOf } from './health.ts';
import type { Health } from './health.ts';
import { HttpDoor } from './http.ts';
import type { Mount, TlsFiles } from './http.ts';
import { iamService } from './iam.ts';
import { Metrics } from './metrics.ts';
import type { QueryService } from './query.ts';
import { policyRoutes } from './policy-routes.ts';
import { stsService } from './sts.ts';
import { Tokens } from './tokens.ts';
import { XksDoor } from './xks/door.ts';
import type { XksDoorOptions } from './xks/door.ts';
import { XksProxies } from './xks/proxies.ts';
import { xksRoutes } from './xks-routes.ts';

export interface ServerOptions {
  readonly core: Core;
  readonly store: Store;
  readonly recorder: Recorder;
  /** The service's own session. */
  readonly session: SessionHandle;
  readonly accounts: Accounts;
  /** The KMS, and whoever else speaks AWS JSON. */
  readonly services: readonly JsonService[];
  /** Whose policies speak; default: as the store has them. */
  readonly identities?: Identities;
  /** Beside STS and IAM. */
  readonly queryServices?: readonly QueryService[];
  /** May this caller look events up? Default: as its policies say. */
  readonly authorise?: Authorise;
  readonly home: string;
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsFiles;
  /** Where the keys of external key stores are kept open. */
  readonly keyring?: Keyring;
  /** What the XKS proxy asks of its clients beside their signature. */
  readonly xks?: Pick<XksDoorOptions, 'clients' | 'budgetMs' | 'atOnce'>;
  /** Served Regions; the first is the default. */
  readonly regions: readonly string[];
  readonly adminRoutes?: readonly AdminRoute[];
  readonly mounts?: readonly Mount[];
  readonly skewMs?: Readonly<Record<string, number>>;
  readonly bodyLimit?: number;
  /** The time that signatures are measured by. */
  readonly wallClock?: () => number;
  readonly report?: (error: unknown) => void;
  /** See EndpointOptions. */
  readonly gridMs?: number;
  /** A line for the operator now and then; never data. */
  readonly log?: (line: string) => void;
}

export interface RunningServer {
  /** e.g. `http://127.0.0.1:4766`. */
  readonly url: string;
  readonly metrics: Metrics;
  /** Stops taking requests, lets those under way finish. The store and the core stay open. */
  close(): Promise<void>;
}

export async function createServer(options: ServerOptions): Promise<RunningServer> {
  const { core, store, recorder, session, accounts, report } = options;
  const metrics = new Metrics();
  metrics.gauge('strongroom_arena_bytes_used', 'Secret memory in use.', () => core.describe().arenaUsed);
  metrics.gauge('strongroom_arena_bytes', 'Secret memory reserved.', () => core.describe().arenaSize);
  metrics.gauge('strongroom_core_sessions', 'Sessions open in the core.', () => core.describe().sessions);
  metrics.gauge('strongroom_core_objects_loaded', 'Keys in secret memory now.', () => core.describe().loaded);
  const tokens = new Tokens(core, store, accounts, session);
  const credentials = new Credentials(core, store, accounts, session, tokens);
  const gate = new Gate(options.identities ?? new StoredIdentities(store), () => store.now());
  const iam = iamService({ core, store, accounts, credentials, gate, directory: accounts.directory, markers: new Markers(core) });
  const health = (): Health => healthOf(core, http.stopping);
  const endpoint = new Endpoint({
    core, store, recorder, metrics,
    credentials,
    services: [...options.services, new CloudTrail(store, recorder, options.authorise ?? byPolicy(gate), new PageTokens(core))],
    queryServices: [stsService({ store, gate, tokens }), iam, ...(options.queryServices ?? [])],
    regions: options.regions,
    ...(options.skewMs === undefined ? {} : { skewMs: options.skewMs }),
    ...(options.wallClock === undefined ? {} : { wallClock: options.wallClock }),
    ...(report === undefined ? {} : { report }),
    ...(options.log === undefined ? {} : { log: options.log }),
    ...(options.gridMs === undefined ? {} : { gridMs: options.gridMs }),
  });
  const xks = { core, store, recorder, accounts, session, keyring: options.keyring ?? new Keyring(core, session), region: options.regions[0] ?? '' };
  const xksDoor = new XksDoor({ ...xks, ...options.xks, ...(options.wallClock === undefined ? {} : { wallClock: options.wallClock }), ...(report === undefined ? {} : { report }), ...(options.log === undefined ? {} : { log: options.log }) }, metrics);
  const http: HttpDoor = new HttpDoor({
    endpoint, metrics, health, doors: [xksDoor],
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ...(options.mounts === undefined ? {} : { mounts: options.mounts }),
    ...(options.bodyLimit === undefined ? {} : { bodyLimit: options.bodyLimit }),
  });
  const closeKey = (key: Parameters<Core['closeCredential']>[1]): void => { core.closeCredential(session, key); };
  const admin = new AdminDoor(core, [...adminRoutes({ core, store, accounts, closeKey, health }), ...policyRoutes(store, accounts), ...xksRoutes(new XksProxies(xks)), ...(options.adminRoutes ?? [])], report);
  const url = await http.listen(options.host, options.port);
  try {
    await admin.listen(options.home);
  } catch (error) {
    await http.close();
    throw error;
  }
  return {
    url,
    metrics,
    close: async () => {
      await Promise.all([http.close(), admin.close()]);
      endpoint.close();
      xksDoor.close();
    },
  };
}

/** What identity policies say of CloudTrail's actions. */
function byPolicy(gate: Gate): Authorise {
  return async (request, action) => {
    try {
      await gate.check(request, action, '*');
      return undefined;
    } catch (error) {
      if (error instanceof IamError) return new AwsError('AccessDeniedException', 400, error.message);
      throw error;
    }
  };
}
