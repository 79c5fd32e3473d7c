/**
 * The pipeline around every operation: shape, key, authority, state, run, record. Knows nothing of
 * HTTP, and throws nothing: what is not an AWS exception becomes KMSInternalException, its cause
 * logged without data.
 */
import type { Recorded } from '../audit/recorder.ts';
import { HsmError } from '../hsm/core.ts';
import { StoreError } from '../store/store.ts';
import { awsCeilings } from './ceilings.ts';
import { Authoriser, principalOfCaller } from './authorise.ts';
import { access, fail, internal, timedOut, unavailable } from './errors.ts';
import { GrantTokens } from './grants.ts';
import { Ids } from './ids.ts';
import { KeyStores } from './keystores/connections.ts';
import { noSettings } from './keystores/settings.ts';
import { Markers } from './marker.ts';
import { AwsError, type ServiceAnswer, type ServiceRequest } from './operation.ts';
import { blobsOf, operationOf } from './operations/table.ts';
import { Partitions } from './partitions.ts';
import { Run, type Parts, type Services } from './run.ts';
import { readInput } from './shape.ts';
import { entriesOf } from './trail.ts';
import { Tally } from './tally.ts';
import { LastUsage } from './usage.ts';

export interface KmsService {
  /** How a door finds it: X-Amz-Target's namespace, the scope of signatures, the trail's name for it. */
  readonly targets: readonly string[];
  readonly scope: string;
  readonly source: string;
  /** Paths of the members that are bytes; undefined: no such operation. */
  blobsOf(operation: string): readonly string[] | undefined;
  handle(request: ServiceRequest): Promise<ServiceAnswer>;
  /** Writes what is gathered in memory (last uses); at stop, and by the caretaker now and then. */
  flush(): Promise<void>;
  readonly services: Services;
}

export function createService(parts: Parts): KmsService {
  const usage = new LastUsage(parts.store);
  const { core, session, store, log } = parts;
  const partitions = new Partitions(parts.partition);
  const ids = new Ids(core, session);
  const services: Services = Object.freeze({
    ceilings: awsCeilings, ...parts, usage,
    double: parts.core.describe().mode === 'dev',
    partitions, ids,
    keyStores: new KeyStores({ core, session, store, partitions, log, settings: parts.keyStoreSettings ?? noSettings, requestId: () => ids.uuid() }),
    authoriser: new Authoriser(parts.store, parts.identities),
    tokens: new GrantTokens(parts.core),
    markers: new Markers(parts.core),
    grantTally: new Tally(parts.store, (key) => ({ table: 'grant', index: 'grant.key', equals: [key] })),
    keyTally: new Tally(parts.store, (place) => ({ table: 'key', index: 'key.place', equals: place.split('/') })),
  });

  async function handle(request: ServiceRequest): Promise<ServiceAnswer> {
    let run: Run | undefined;
    let answer: ServiceAnswer;
    try {
      const operation = operationOf(request.operation);
      if (operation === undefined) throw fail('UnknownOperationException');
      run = new Run(services, request, operation, principalOfCaller(request.caller));
      answer = { ok: true, body: await perform(run) };
    } catch (error) {
      answer = { ok: false, error: asAwsError(error, request.operation) };
    }
    try {
      const entries = entriesOf(request, run, answer);
      const [{ eventIds, durable }, ...others] = entries.map((entry) => services.recorder.record(entry)) as [Recorded, ...Recorded[]];
      await durable;
      for (const other of others) await other.durable;
      if (answer.ok && run?.operation.cryptographic === true) usage.note(run, (account) => eventIds[entries[0].recipients.indexOf(account)] ?? '');
      return answer;
    } catch (error) {
      release(answer);
      return { ok: false, error: asAwsError(error, request.operation) };
    }
  }

  function asAwsError(error: unknown, operation: string): AwsError {
    if (error instanceof AwsError) return error;
    if (error instanceof HsmError && error.code === 'HSM_E_POLICY') return access.plaintextKept();
    const cause = error instanceof HsmError ? error.code : error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ''}` : typeof error;
    services.log(`${operation.slice(0, 64)} failed: ${cause}`);
    return passing(error) ?? internal();
  }

  return { targets: ['TrentService'], scope: 'kms', source: 'kms.amazonaws.com', blobsOf, handle, services, flush: () => usage.flush() };
}

/** What runs between a request and its answer. */
async function perform(run: Run): Promise<(ServiceAnswer & { ok: true })['body']> {
  const { operation, request, services } = run;
  const input = readInput(operation.input, request.input, request.blobs) as Readonly<Record<string, unknown>>;
  run.input = input;
  services.quotas?.charge(run);
  const tokens = input['GrantTokens'];
  if (Array.isArray(tokens)) for (const token of tokens) services.tokens.open(token as string);
  const { keyed } = operation;
  if (keyed === undefined) return operation.run(run, input, undefined);
  keyed.check?.(input, run);
  const key = await run.open(keyed.key(input), keyed);
  const body = await operation.run(run, input, key);
  if (operation.cryptographic && run.used.length === 0) run.use(key);
  return body;
}

/** What passes: the core has no room to load the key, the store is busy or lost its races. */
function passing(error: unknown): AwsError | undefined {
  if (error instanceof HsmError && (error.code === 'HSM_E_MEMORY' || error.code === 'HSM_E_LIMIT')) return unavailable();
  return error instanceof StoreError && (error.code === 'Busy' || error.code === 'Conflict') ? timedOut() : undefined;
}

/** Secrets of an answer that will not leave. */
function release(answer: ServiceAnswer): void {
  if (!answer.ok) return;
  for (const value of Object.values(answer.body)) {
    if (typeof value === 'object' && 'release' in value && typeof value.release === 'function') (value.release as () => void)();
  }
}
