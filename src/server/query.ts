/**
 * AWS's Query protocol: a form in, XML out. A service is a table of actions; STS has its own beside this
 * file, IAM's come the same way.
 */
import type { Caller } from '../kms/operation.ts';
import type { AwsError } from '../kms/operation.ts';
import type { Core, Payload } from '../hsm/core.ts';
import { refusals } from './refusals.ts';

export const contentType = 'text/xml';

/**
 * What an element holds: text, a list (of `member` elements), or elements. A payload is a secret's text
 * that needs no escaping: its bytes go into the answer's and are wiped with them.
 */
export type Xml = string | number | boolean | undefined | Payload | Entries | readonly Xml[] | { readonly [element: string]: Xml };

/** A map: `entry` elements of `key` and `value`. */
export class Entries {
  constructor(readonly entries: Readonly<Record<string, string | number>>) {}
}

export type Form = ReadonlyMap<string, string>;

export interface ActionCall {
  readonly caller: Caller;
  readonly form: Form;
  readonly region: string;
  readonly requestId: string;
  readonly sourceIp: string;
  readonly userAgent: string;
  readonly secureTransport: boolean;
  /** For the trail, whatever comes of it: what was asked, safe to be read by others. */
  note(request: unknown): void;
}

/** What an action did: its result element, and what the trail is to know. */
export interface ActionAnswer {
  readonly result?: Xml;
  /** Safe for the trail: no secret. */
  readonly response?: unknown;
  /** Accounts in whose trail it belongs, the caller's first; default: the caller's. */
  readonly recipients?: readonly string[];
  readonly resources?: readonly { readonly accountId: string; readonly type: string; readonly ARN: string }[];
}

export interface Action {
  readonly readOnly: boolean;
  run(call: ActionCall): Promise<ActionAnswer> | ActionAnswer;
}

export interface QueryService {
  /** In the credential's scope, e.g. `sts`. */
  readonly scope: string;
  /** e.g. `sts.amazonaws.com`. */
  readonly source: string;
  /** API version, e.g. `2011-06-15`. */
  readonly version: string;
  readonly namespace: string;
  /** One for all Regions: requests signed for us-east-1 are taken wherever it is served. */
  readonly global: boolean;
  readonly actions: ReadonlyMap<string, Action>;
}

const longestForm = 4096;

/** Throws a Refusal for what is not a form. A name given twice keeps its first value. */
export function readForm(text: string): Form {
  const form = new Map<string, string>();
  const parts = text.split('&', longestForm + 1);
  if (parts.length > longestForm) throw refusals.malformed('The request has too many parameters.');
  for (const part of parts) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = unescaped(equals < 0 ? part : part.slice(0, equals));
    if (!form.has(name)) form.set(name, equals < 0 ? '' : unescaped(part.slice(equals + 1)));
  }
  return form;
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw refusals.malformed('The request has a parameter that is not valid UTF-8.');
  }
}

/** Bytes where the result holds a secret; it is released, and so are they when they have left. */
export function renderResult(core: Core, service: QueryService, action: string, result: Xml, requestId: string): string | Payload {
  const secrets: Payload[] = [];
  const inner = result === undefined ? '' : element(`${action}Result`, result, secrets);
  const text = `<${action}Response xmlns="${service.namespace}">\n  ${inner}${inner === '' ? '' : '\n  '}${element('ResponseMetadata', { RequestId: requestId }, secrets)}\n</${action}Response>\n`;
  return secrets.length === 0 ? text : withSecrets(core, text, secrets);
}

/** Stands in the text where a secret goes; no text of ours holds one, XML cannot carry it. */
const place = '\u0000';

function withSecrets(core: Core, text: string, secrets: readonly Payload[]): Payload {
  try {
    const parts = text.split(place);
    const whole = core.payload(Buffer.byteLength(text) + secrets.reduce((sum, secret) => sum + secret.bytes.length, 0));
    let at = 0;
    for (const [i, part] of parts.entries()) {
      at += whole.room.write(part, at, 'utf8');
      at += secrets[i]?.bytes.copy(whole.room, at) ?? 0;
    }
    return whole.fill(at);
  } finally {
    for (const secret of secrets) secret.release();
  }
}

export function renderError(namespace: string, error: AwsError, requestId: string): string {
  const inner: Xml = { Type: error.status < 500 ? 'Sender' : 'Receiver', Code: error.code, Message: error.sentence };
  return `<ErrorResponse xmlns="${namespace}">\n  ${element('Error', inner, [])}\n  ${element('RequestId', requestId, [])}\n</ErrorResponse>\n`;
}

function element(name: string, value: Xml, secrets: Payload[]): string {
  return value === undefined ? '' : `<${name}>${content(value, secrets)}</${name}>`;
}

function content(value: Exclude<Xml, undefined>, secrets: Payload[]): string {
  if (typeof value !== 'object') return escaped(String(value));
  if (Array.isArray(value)) return (value as readonly Xml[]).map((one) => element('member', one, secrets)).join('');
  if (value instanceof Entries) return Object.entries(value.entries).map(([key, one]) => element('entry', { key, value: one }, secrets)).join('');
  if (isPayload(value)) {
    secrets.push(value);
    return place;
  }
  return Object.entries(value as { readonly [element: string]: Xml }).map(([name, one]) => element(name, one, secrets)).join('');
}

const isPayload = (value: object): value is Payload => 'release' in value && typeof value.release === 'function';

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;', '\r': '&#xD;' };

/** Characters that XML 1.0 cannot carry at all become U+FFFD. */
function escaped(text: string): string {
  return text.replaceAll(/[&<>"'\r]/g, (char) => entities[char] ?? char).replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '\uFFFD');
}
