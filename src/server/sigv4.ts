/**
 * Signature version 4: what a request claims, and the canonical text of the request as it was received.
 * Nothing here knows a secret: whether the signature fits, the core says (on the access key's handle).
 */
import { Refusal, refusals } from './refusals.ts';

/** A request as it came off the wire. */
export interface WireRequest {
  readonly method: string;
  /** The request target, raw. */
  readonly url: string;
  /** Names in lower case; repeated ones as node:http joins them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Name, value, name, value …, as received. */
  readonly rawHeaders: readonly string[];
}

/** What a request says about its signature. */
export interface Claim {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  /** As it was written: names joined by semicolons. */
  readonly signedText: string;
  readonly signature: string;
  /** YYYYMMDDTHHMMSSZ. */
  readonly timestamp: string;
  readonly timeMs: number;
  /** Presigned: how long it holds. */
  readonly lifeMs: number;
  readonly token: string | undefined;
  readonly payloadHash: string | undefined;
  readonly presigned: boolean;
}

type Scope = Pick<Claim, 'accessKeyId' | 'date' | 'region' | 'service' | 'signedHeaders' | 'signedText'>;

const algorithm = 'AWS4-HMAC-SHA256';
const longestLifeMs = 7 * 24 * 3600_000;

/** The part of the header before the signature repeats all day. */
const scopes = new Map<string, Scope>();
const scopesKept = 2048;

/** Reads the signature of a request; throws {@link Refusal}. */
export function readClaim(request: WireRequest): Claim {
  const claim = claimOf(request);
  checkSigned(request, claim);
  return claim;
}

function claimOf(request: WireRequest): Claim {
  const header = textOf(request.headers['authorization']);
  if (header !== undefined) return headerClaim(request, header);
  const query = queryOf(request.url);
  if (query.includes('X-Amz-Algorithm=')) return queryClaim(query);
  throw refusals.missing();
}

/** What steers the service has to be signed: a header that came later, from whoever could add it, is refused. */
function checkSigned(request: WireRequest, { signedHeaders }: Claim): void {
  for (const name in request.headers) {
    if (name.startsWith('x-amz-') && !signedHeaders.includes(name)) throw new Refusal('signature', `'${shown(name)}' must be a 'SignedHeader' in the AWS Authorization.`);
  }
}

function headerClaim(request: WireRequest, header: string): Claim {
  const cut = header.lastIndexOf('Signature=');
  const front = cut < 0 ? header : header.slice(0, cut);
  let scope = cut < 0 ? undefined : scopes.get(front);
  let signature = header.slice(cut + 'Signature='.length);
  if (scope === undefined || !isSignature(signature)) ({ scope, signature } = parseHeader(request, header, front));
  const { timestamp, timeMs } = timeOf(request, header);
  return {
    accessKeyId: scope.accessKeyId, date: scope.date, region: scope.region, service: scope.service,
    signedHeaders: scope.signedHeaders, signedText: scope.signedText, signature, timestamp, timeMs, lifeMs: 0,
    token: textOf(request.headers['x-amz-security-token']),
    payloadHash: textOf(request.headers['x-amz-content-sha256']),
    presigned: false,
  };
}

function parseHeader(request: WireRequest, header: string, front: string): { readonly scope: Scope; readonly signature: string } {
  const space = header.indexOf(' ');
  const scheme = space < 0 ? header : header.slice(0, space);
  if (scheme !== algorithm) throw incomplete(header, `Unsupported 'Authorization' scheme: '${scheme}'. The scheme has to be '${algorithm}'.`);
  const fields = new Map<string, string>();
  for (const part of header.slice(algorithm.length).split(',')) {
    const text = part.trim();
    if (text === '') continue;
    const equals = text.indexOf('=');
    if (equals < 0) throw new Refusal('incomplete', `'${shown(text)}' not a valid key=value pair (missing equal-sign) in Authorization header: '${shown(header)}'.`);
    fields.set(text.slice(0, equals), text.slice(equals + 1));
  }
  const missing = ['Credential', 'Signature', 'SignedHeaders'].filter((name) => (fields.get(name) ?? '') === '').map((name) => `Authorization header requires '${name}' parameter.`);
  if (dateText(request) === undefined) missing.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  if (missing.length > 0) throw incomplete(header, missing.join(' '));
  const scope = scopeOf(fields.get('Credential') ?? '', fields.get('SignedHeaders') ?? '');
  const signature = fields.get('Signature') ?? '';
  if (!isSignature(signature)) throw refusals.mismatch();
  if (header === `${front}Signature=${signature}`) {
    if (scopes.size >= scopesKept) scopes.clear();
    scopes.set(front, scope);
  }
  return { scope, signature };
}

function scopeOf(credential: string, signedText: string): Scope {
  const parts = credential.split('/');
  if (parts.length < 5) throw new Refusal('incomplete', `Credential must have at least 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${shown(credential)}'`);
  const [date = '', region = '', service = '', end = ''] = parts.slice(-4);
  if (end !== 'aws4_request') throw new Refusal('signature', `Credential should be scoped with a valid terminator: 'aws4_request', not '${shown(end)}'.`);
  const signedHeaders = signedText.split(';');
  if (!signedHeaders.includes('host')) throw new Refusal('signature', "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  return { accessKeyId: parts.slice(0, -4).join('/'), date, region, service, signedHeaders, signedText };
}

function queryClaim(query: string): Claim {
  const fields = new Map<string, string>();
  for (const [name, value] of pairsOf(query)) if (name.startsWith('X-Amz-') && !fields.has(name)) fields.set(name, value);
  const field = (name: string): string => fields.get(`X-Amz-${name}`) ?? '';
  const missing = ['Algorithm', 'Credential', 'Signature', 'SignedHeaders', 'Date'].filter((name) => field(name) === '');
  if (missing.length > 0) throw new Refusal('incomplete', missing.map((name) => `AWS query-string parameters must include 'X-Amz-${name}'.`).join(' '));
  if (field('Algorithm') !== algorithm) throw new Refusal('incomplete', `X-Amz-Algorithm only supports "${algorithm}"`);
  const scope = scopeOf(field('Credential'), field('SignedHeaders'));
  if (!isSignature(field('Signature'))) throw refusals.mismatch();
  const timestamp = field('Date');
  const timeMs = parseTimestamp(timestamp);
  if (timeMs === undefined) throw badDate(timestamp);
  const presigned = fields.has('X-Amz-Expires');
  const lifeMs = presigned ? Number(field('Expires')) * 1000 : 0;
  if (!(lifeMs >= 0 && lifeMs <= longestLifeMs)) throw new Refusal('incomplete', 'X-Amz-Expires must be a number of seconds, at most a week (604800)');
  return { ...scope, signature: field('Signature'), timestamp, timeMs, lifeMs, token: fields.get('X-Amz-Security-Token'), payloadHash: undefined, presigned };
}

function incomplete(header: string, sentences: string): Refusal {
  return new Refusal('incomplete', `${sentences} Authorization=${shown(header)}`);
}

/** A caller's text in our sentence: short, and without what it may hold of a signature. */
function shown(text: string): string {
  return text.replace(/Signature=.*$/s, 'Signature=…').slice(0, 256);
}

/* ---- time ------------------------------------------------------------------ */

function dateText(request: WireRequest): string | undefined {
  return textOf(request.headers['x-amz-date']) ?? textOf(request.headers['date']);
}

interface Moment {
  readonly timestamp: string;
  readonly timeMs: number;
}

/** The last date that was read: a busy second brings the same one again and again. */
let lastText = '';
let last: Moment = { timestamp: '', timeMs: 0 };

function timeOf(request: WireRequest, header: string): Moment {
  const text = dateText(request);
  if (text === undefined) throw incomplete(header, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  if (text === lastText) return last;
  const timeMs = parseTimestamp(text) ?? (request.headers['x-amz-date'] === undefined ? parseDate(text) : undefined);
  if (timeMs === undefined) throw badDate(text);
  lastText = text;
  last = { timestamp: stamp(timeMs), timeMs };
  return last;
}

function badDate(text: string): Refusal {
  return new Refusal('incomplete', `Date must be in ISO-8601 'basic format'. Got '${shown(text)}'. See http://en.wikipedia.org/wiki/ISO_8601`);
}

function parseTimestamp(text: string): number | undefined {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (found === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1).map(Number);
  const timeMs = Date.UTC(year, month - 1, day, hour, minute, second);
  return year >= 1000 && stamp(timeMs) === text ? timeMs : undefined;
}

function parseDate(text: string): number | undefined {
  if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(text)) return undefined;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** YYYYMMDDTHHMMSSZ. */
export function stamp(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

/** What a service accepts. */
export interface Place {
  readonly service: string;
  readonly regions: ReadonlySet<string>;
  readonly skewMs: number;
}

/** Whether the claim fits this place and time; throws {@link Refusal}. */
export function checkScope(claim: Claim, place: Place, nowMs: number): void {
  const { skewMs } = place;
  if (claim.service !== place.service) throw new Refusal('signature', `Credential should be scoped to correct service: '${place.service}'. `);
  if (!place.regions.has(claim.region)) throw new Refusal('signature', 'Credential should be scoped to a valid region. ');
  if (claim.date.length !== 8 || !claim.timestamp.startsWith(claim.date)) {
    throw new Refusal('signature', `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${shown(claim.date)}' != '${claim.timestamp.slice(0, 8)}', from '${claim.timestamp}'.`);
  }
  if (claim.timeMs > nowMs + skewMs) {
    throw new Refusal('signature', `Signature not yet current: ${claim.timestamp} is still later than ${stamp(nowMs + skewMs)} (${stamp(nowMs)} + ${minutes(skewMs)} min.)`);
  }
  const lifeMs = claim.presigned ? claim.lifeMs : skewMs;
  if (claim.timeMs < nowMs - lifeMs) {
    throw new Refusal('signature', `Signature expired: ${claim.timestamp} is now earlier than ${stamp(nowMs - lifeMs)} (${stamp(nowMs)} - ${minutes(lifeMs)} min.)`);
  }
}

const minutes = (ms: number): number => Math.round(ms / 60_000);

/* ---- the canonical request --------------------------------------------------- */

/** Up to and including the newline before the payload hash. One character a byte, as received. */
export function canonicalRequest(request: WireRequest, claim: Claim, normalise = true): string {
  const { url } = request;
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  let text = `${request.method}\n${path === '/' ? '/' : canonicalPath(path, normalise)}\n${mark < 0 ? '' : canonicalQuery(url.slice(mark + 1))}\n`;
  const distinct = isDistinct(request);
  for (const name of claim.signedHeaders) {
    const value = distinct ? textOf(request.headers[name]) : valuesOf(request.rawHeaders, name);
    text += `${name}:${value === undefined ? '' : distinct ? folded(value) : value}\n`;
  }
  return `${text}\n${claim.signedText}\n`;
}

/** No name twice: then node's own table says all there is. */
function isDistinct(request: WireRequest): boolean {
  let count = 0;
  for (const _name in request.headers) count += 2;
  return count === request.rawHeaders.length;
}

function valuesOf(rawHeaders: readonly string[], name: string): string | undefined {
  const values: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) if (rawHeaders[i]?.toLowerCase() === name) values.push(folded(rawHeaders[i + 1] ?? ''));
  return values.length === 0 ? undefined : values.join(',');
}

function folded(value: string): string {
  return /^\s|\s\s|\s$|[\t\r\n]/.test(value) ? value.trim().replaceAll(/\s+/g, ' ') : value;
}

function canonicalPath(path: string, normalise: boolean): string {
  return encoded(normalise ? normalised(path) : path, true);
}

function normalised(path: string): string {
  const kept: string[] = [];
  const parts = path.split('/');
  for (const part of parts) {
    if (part === '' || part === '.') continue;
    if (part === '..') kept.pop();
    else kept.push(part);
  }
  const end = parts[parts.length - 1];
  const open = kept.length > 0 && (end === '' || end === '.' || end === '..');
  return `/${kept.join('/')}${open ? '/' : ''}`;
}

function canonicalQuery(query: string): string {
  const pairs: (readonly [string, string])[] = [];
  for (const [name, value] of pairsOf(query)) if (name !== 'X-Amz-Signature') pairs.push([encoded(name, false), encoded(value, false)]);
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

/** Percent escapes undone, to bytes kept one a character; a plus is a plus. */
function pairsOf(query: string): (readonly [name: string, value: string])[] {
  return query.split('&').filter((part) => part !== '').map((part) => {
    const equals = part.indexOf('=');
    return equals < 0 ? [decoded(part), ''] : [decoded(part.slice(0, equals)), decoded(part.slice(equals + 1))];
  });
}

function decoded(text: string): string {
  return text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** `text` holds a byte a character. */
function encoded(text: string, keepSlash: boolean): string {
  return text.replaceAll(/[^A-Za-z0-9._~-]/g, (char) => (keepSlash && char === '/' ? char : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`));
}

function queryOf(url: string): string {
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark + 1);
}

/** A caller chooses the names, so what is found may be anything that an object has by birth. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.join(',') : undefined;
}

function isSignature(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
