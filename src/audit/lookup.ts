/** LookupEvents, as CloudTrail answers it. */
import { usernameOf } from '../store/trail.ts';
import type { AuditRow, EventQuery, Store } from '../store/store.ts';
import type { CloudTrailEvent } from './event.ts';

/** What CloudTrail refuses; whoever faces the client turns it into an exception. */
export class LookupError extends Error {
  override readonly name = 'LookupError';
  constructor(readonly code: `Invalid${string}Exception` | 'ValidationException' | 'SerializationException', message: string) {
    super(message);
  }
}

type Attribute = NonNullable<EventQuery['attribute']>;

const keys: readonly Attribute['key'][] = ['EventId', 'EventName', 'ReadOnly', 'Username', 'ResourceType', 'ResourceName', 'EventSource', 'AccessKeyId'];
const mostResults = 50;

export interface LookedUp {
  readonly EventId: string;
  readonly EventName: string;
  readonly ReadOnly: string;
  readonly AccessKeyId: string | undefined;
  /** Seconds since the epoch. */
  readonly EventTime: number;
  readonly EventSource: string;
  readonly Username: string | undefined;
  readonly Resources: readonly { readonly ResourceType: string; readonly ResourceName: string }[];
  readonly CloudTrailEvent: string;
}

export interface LookupAnswer {
  readonly Events: readonly LookedUp[];
  readonly NextToken: string | undefined;
}

type Input = Readonly<Record<string, unknown>>;

/** How a page's end is written into a token, and read again where the question is the same. */
export interface PageSeal {
  make(question: string, place: string): string;
  open(question: string, token: string): string | undefined;
}

/** `seal`: what a tenant is given says nothing of the trail's other events (tokens.ts); without, tokens can be read. */
export async function lookupEvents(store: Store, account: string, region: string, input: Input, seal: PageSeal = legible): Promise<LookupAnswer> {
  const query = queryOf(account, region, input, seal);
  const { rows, next } = await store.events(query);
  return { Events: rows.map(lookedUp), NextToken: next === undefined ? undefined : seal.make(questionOf(query), next) };
}

function queryOf(account: string, region: string, input: Input, seal: PageSeal): EventQuery {
  const limit = input['MaxResults'] ?? mostResults;
  if (typeof limit !== 'number' || !Number.isSafeInteger(limit)) throw new LookupError('SerializationException', 'MaxResults must be an integer');
  if (limit < 1 || limit > mostResults) throw new LookupError('InvalidMaxResultsException', `A MaxResults value of ${limit} is invalid. Specify a value between 1 and ${mostResults}.`);
  const category = input['EventCategory'];
  if (category !== undefined && category !== 'insight') throw new LookupError('InvalidEventCategoryException', `${JSON.stringify(category)} is not a valid event category.`);
  const attribute = attributeOf(input['LookupAttributes']);
  const fromMs = timeOf('StartTime', input['StartTime']);
  const toMs = timeOf('EndTime', input['EndTime']);
  if (fromMs !== undefined && toMs !== undefined && fromMs > toMs) throw new LookupError('InvalidTimeRangeException', 'The start time must be before the end time.');
  const base: EventQuery = {
    account: category === 'insight' ? '' : account, region, limit,
    ...(attribute === undefined ? {} : { attribute }),
    ...(fromMs === undefined ? {} : { fromMs }),
    // The last second counts whole.
    ...(toMs === undefined ? {} : { toMs: toMs + 999 }),
  };
  const token = input['NextToken'];
  if (token === undefined) return base;
  if (typeof token !== 'string') throw new LookupError('SerializationException', 'NextToken must be a string');
  return { ...base, after: afterOf(base, token, seal) };
}

function attributeOf(given: unknown): Attribute | undefined {
  if (given === undefined || given === null) return undefined;
  if (!Array.isArray(given)) throw new LookupError('SerializationException', 'LookupAttributes must be a list');
  if (given.length === 0) return undefined;
  if (given.length > 1) throw new LookupError('InvalidLookupAttributesException', 'You can only specify one lookup attribute.');
  const one: unknown = given[0];
  if (typeof one !== 'object' || one === null) throw new LookupError('SerializationException', 'a lookup attribute is an object');
  const { AttributeKey: key, AttributeValue: value } = one as Record<string, unknown>;
  const known = keys.find((name) => name === key);
  if (known === undefined) {
    throw new LookupError('ValidationException', `1 validation error detected: Value '${String(key)}' at 'lookupAttributes.1.member.attributeKey' failed to satisfy constraint: Member must satisfy enum value set: [${keys.join(', ')}]`);
  }
  if (typeof value !== 'string' || value.length === 0 || value.length > 2000) throw new LookupError('InvalidLookupAttributesException', 'A lookup attribute has a value of 1 to 2000 characters.');
  return { key: known, value };
}

function timeOf(name: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new LookupError('SerializationException', `${name} must be a number`);
  return Math.max(0, Math.floor(value) * 1000);
}

/** A token goes on with the query it came from, and with no other. */
function afterOf(query: EventQuery, token: string, seal: PageSeal): string {
  const place = seal.open(questionOf(query), token);
  if (place === undefined) throw new LookupError('InvalidNextTokenException', 'The token is not valid, or was given for another query.');
  return place;
}

const legible: PageSeal = {
  make: (question, place) => Buffer.from(JSON.stringify([question, place]), 'utf8').toString('base64url'),
  open(question, token) {
    try {
      const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
      return Array.isArray(parsed) && parsed[0] === question && typeof parsed[1] === 'string' ? parsed[1] : undefined;
    } catch {
      return undefined;
    }
  },
};

function questionOf(query: EventQuery): string {
  return JSON.stringify([query.account, query.region, query.attribute?.key, query.attribute?.value, query.fromMs, query.toMs]);
}

function lookedUp(row: AuditRow): LookedUp {
  const event = JSON.parse(row.body) as CloudTrailEvent;
  return {
    EventId: event.eventID,
    EventName: event.eventName,
    ReadOnly: String(event.readOnly),
    AccessKeyId: event.userIdentity.accessKeyId,
    EventTime: Math.floor(row.timeMs / 1000),
    EventSource: event.eventSource,
    Username: usernameOf(event.userIdentity),
    Resources: (event.resources ?? []).map((resource) => ({ ResourceType: resource.type, ResourceName: resource.ARN })),
    CloudTrailEvent: row.body,
  };
}
