/**
 * What happened, written down: one event a request, in CloudTrail's shape, appended to this writer's
 * chain before the answer leaves. The text is put together by hand because this runs once a request:
 * whatever repeats (who, when, with what) is rendered once and kept.
 */
import type { Store, UsageNote } from '../store/store.ts';
import { timeUuid } from '../store/uuid.ts';
import type { UserIdentity } from './event.ts';

/** Who acted, as the signature showed. A Caller of src/kms is one. */
export interface Actor {
  readonly account: string;
  readonly arn: string;
  readonly principalId: string;
  readonly accessKeyId: string;
  readonly userName?: string;
  readonly viaService?: string;
}

export interface Resource {
  readonly accountId: string;
  readonly type: string;
  readonly ARN: string;
}

export interface Entry {
  /** e.g. `kms.amazonaws.com`. */
  readonly source: string;
  /** The operation, e.g. `Encrypt`; of a service event, e.g. `RotateKey`. */
  readonly name: string;
  readonly readOnly: boolean;
  readonly region: string;
  readonly requestId: string;
  readonly sourceIp: string;
  readonly userAgent: string;
  /** undefined: the service itself (its own events). */
  readonly actor: Actor | undefined;
  /** Accounts in whose trail the event belongs; the first is the caller's. */
  readonly recipients: readonly string[];
  /** Made safe by the operation's own rules: no plaintext, ciphertext, message or key material. */
  readonly request?: unknown;
  readonly response?: unknown;
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly resources?: readonly Resource[];
  readonly error?: { readonly code: string; readonly message: string | undefined };
  /** When it came about; default: now. */
  readonly timeMs?: number;
}

export interface Recorded {
  /** As in the first recipient's trail. */
  readonly eventId: string;
  /** One a recipient, in their order: each trail has its own. */
  readonly eventIds: readonly string[];
  /** Resolves when the event is on disk: an answer waits for it. */
  readonly durable: Promise<void>;
}

export interface Recorder {
  record(entry: Entry): Recorded;
}

/** How many callers and programs are remembered as text. */
const remembered = 4096;

export class ChainRecorder implements Recorder {
  readonly #store: Store;
  readonly #actors = new Map<string, string>();
  readonly #texts = new Map<string, string>();
  readonly #named = new Map<string, string>();
  #second = -1;
  #time = '';

  constructor(store: Store) {
    this.#store = store;
  }

  record(entry: Entry): Recorded {
    const timeMs = entry.timeMs ?? this.#store.now();
    const several = entry.recipients.length > 1;
    const shared = several ? timeUuid(timeMs) : undefined;
    const head = this.#head(entry, timeMs);
    const resources = this.#resources(entry.resources);
    const eventIds = entry.recipients.map(() => timeUuid(timeMs));
    const counted = usageOf(entry);
    const rows = entry.recipients.map((recipient, i) => ({
      timeMs, ...(counted === undefined ? {} : { usage: { ...counted, account: recipient } }),
      body: `${head},"eventID":"${eventIds[i] ?? ''}"${tail(resources, entry, recipient, shared)}`,
    }));
    return { eventId: eventIds[0] ?? '', eventIds, durable: this.#store.append(rows) };
  }

  /** All that is the same in every recipient's copy. */
  #head(entry: Entry, timeMs: number): string {
    const { error } = entry;
    let text = `{"eventVersion":"1.11","userIdentity":${this.#identity(entry)},"eventTime":"${this.#when(timeMs)}"`
      + `,"eventSource":"${entry.source}","eventName":${this.#text(entry.name)},"awsRegion":"${entry.region}"`
      + `,"sourceIPAddress":${this.#text(entry.sourceIp)},"userAgent":${this.#text(entry.userAgent)}`;
    if (error !== undefined) {
      text += `,"errorCode":${this.#text(error.code)}`;
      if (error.message !== undefined) text += `,"errorMessage":${JSON.stringify(error.message)}`;
    }
    text += `,"requestParameters":${json(entry.request)},"responseElements":${json(entry.response)}`;
    if (entry.extra !== undefined) text += `,"additionalEventData":${json(entry.extra)}`;
    return `${text},"requestID":"${entry.requestId}"`;
  }

  #when(timeMs: number): string {
    const second = Math.floor(timeMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#time = `${new Date(second * 1000).toISOString().slice(0, 19)}Z`;
    }
    return this.#time;
  }

  #identity(entry: Entry): string {
    const { actor } = entry;
    if (actor === undefined) return `{"accountId":"${entry.recipients[0] ?? ''}","invokedBy":"AWS Internal"}`;
    return recall(this.#actors, `${actor.arn} ${actor.accessKeyId} ${actor.viaService ?? ''}`, () => JSON.stringify(identityOf(actor)));
  }

  #resources(resources: readonly Resource[] | undefined): string {
    const [only] = resources ?? [];
    if (only === undefined) return '';
    if (resources?.length !== 1) return `,"resources":${JSON.stringify(resources)}`;
    return recall(this.#named, only.ARN, () => `,"resources":${JSON.stringify(resources)}`);
  }

  #text(value: string): string {
    return recall(this.#texts, value, () => JSON.stringify(value));
  }
}

function tail(resources: string, entry: Entry, recipient: string, shared: string | undefined): string {
  const sharedId = shared === undefined ? '' : `,"sharedEventID":"${shared}"`;
  const type = entry.actor === undefined ? 'AwsServiceEvent' : 'AwsApiCall';
  return `,"readOnly":${entry.readOnly}${resources},"eventType":"${type}","managementEvent":true,"recipientAccountId":"${recipient}"${sharedId},"eventCategory":"Management"}`;
}

/** As what the request counts, whoever asks: a service's own event does not. */
function usageOf({ actor, source, name, region, resources = [], error }: Entry): Omit<UsageNote, 'account'> | undefined {
  if (actor === undefined) return undefined;
  const keys = resources.filter(({ type }) => type === 'AWS::KMS::Key').map(({ ARN }) => ARN);
  return { region, operation: `${source.slice(0, source.indexOf('.'))}:${name}`, keys: keys.length > 1 ? [...new Set(keys)] : keys, failed: error !== undefined };
}

function json(value: unknown): string {
  return value === undefined ? 'null' : (JSON.stringify(value) ?? 'null');
}

/** Long texts are not kept: a caller chooses them. */
function recall(known: Map<string, string>, key: string, make: () => string): string {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  if (key.length > 1024) return made;
  if (known.size >= remembered) known.clear();
  known.set(key, made);
  return made;
}

export function identityOf(actor: Actor): UserIdentity {
  const common = { principalId: actor.principalId, arn: actor.arn, accountId: actor.account, accessKeyId: actor.accessKeyId };
  const via = actor.viaService === undefined ? {} : { invokedBy: actor.viaService };
  if (actor.arn.endsWith(':root')) return { type: 'Root', ...common, ...via };
  if (actor.arn.includes(':assumed-role/')) return { type: 'AssumedRole', ...common, ...via };
  if (!actor.arn.startsWith('arn:')) return { type: 'AWSService', invokedBy: actor.arn };
  return actor.userName === undefined ? { type: 'IAMUser', ...common, ...via } : { type: 'IAMUser', ...common, userName: actor.userName, ...via };
}
