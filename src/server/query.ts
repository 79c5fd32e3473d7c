/**
 * AWS's Query protocol: a form in, XML out. A service is a table of actions; STS has its own beside this
 * file, IAM's come the same way.
 */
import type { Caller } from '../kms/operation.ts';
import type { AwsError } from '../kms/operation.ts';
import { refusals } from './refusals.ts';

export const contentType = 'text/xml';

/** What an element holds: text, a list (of `member` elements), or elements. */
export type Xml = string | number | boolean | undefined | readonly Xml[] | { readonly [element: string]: Xml };

export type Form = ReadonlyMap<string, string>;

export interface ActionCall {
  readonly caller: Caller;
  readonly form: Form;
  readonly region: string;
  readonly requestId: string;
  readonly sourceIp: string;
  readonly userAgent: string;
}

/** What an action did: its result element, and what the trail is to know. */
export interface ActionAnswer {
  readonly result?: Xml;
  /** Safe for the trail: no secret. */
  readonly request?: unknown;
  readonly response?: unknown;
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

export function renderResult(service: QueryService, action: string, result: Xml, requestId: string): string {
  const inner = result === undefined ? '' : element(`${action}Result`, result);
  return `<${action}Response xmlns="${service.namespace}">\n  ${inner}${inner === '' ? '' : '\n  '}${element('ResponseMetadata', { RequestId: requestId })}\n</${action}Response>\n`;
}

export function renderError(namespace: string, error: AwsError, requestId: string): string {
  const inner: Xml = { Type: error.status < 500 ? 'Sender' : 'Receiver', Code: error.code, Message: error.sentence };
  return `<ErrorResponse xmlns="${namespace}">\n  ${element('Error', inner)}\n  ${element('RequestId', requestId)}\n</ErrorResponse>\n`;
}

function element(name: string, value: Xml): string {
  return value === undefined ? '' : `<${name}>${content(value)}</${name}>`;
}

function content(value: Exclude<Xml, undefined>): string {
  if (typeof value !== 'object') return escaped(String(value));
  if (Array.isArray(value)) return (value as readonly Xml[]).map((one) => element('member', one)).join('');
  return Object.entries(value as { readonly [element: string]: Xml }).map(([name, one]) => element(name, one)).join('');
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;', '\r': '&#xD;' };

/** Characters that XML 1.0 cannot carry at all become U+FFFD. */
function escaped(text: string): string {
  return text.replaceAll(/[&<>"'\r]/g, (char) => entities[char] ?? char).replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '\uFFFD');
}
