// What AWS answers to a request that nobody signed validly: each cause at each service, the whole answer. None of them is in a trail.
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Strangers } from '../../src/server/strangers.ts';
import { accessKeyId, newHome, openRoom, secret, send, sign } from './room.ts';
import type { Room, Signing } from './room.ts';

interface Service {
  readonly scope: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Code and status by cause: the JSON services' names end in Exception, the query services have their own. */
  readonly says: Readonly<Record<Cause, readonly [code: string, status: number]>>;
}

type Cause = 'missing' | 'incomplete' | 'unknownKey' | 'signature' | 'expired';

const json: Service['says'] = {
  missing: ['MissingAuthenticationTokenException', 400], incomplete: ['IncompleteSignatureException', 400], unknownKey: ['UnrecognizedClientException', 400],
  signature: ['InvalidSignatureException', 400], expired: ['ExpiredTokenException', 400],
};
const xml: Service['says'] = {
  missing: ['MissingAuthenticationToken', 403], incomplete: ['IncompleteSignature', 400], unknownKey: ['InvalidClientTokenId', 403],
  signature: ['SignatureDoesNotMatch', 403], expired: ['ExpiredToken', 403],
};
const form = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
const amz = (target: string) => ({ 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target });

const services: Readonly<Record<string, Service>> = {
  KMS: { scope: 'kms', body: '{}', headers: amz('TrentService.ListKeys'), says: json },
  CloudTrail: { scope: 'cloudtrail', body: '{}', headers: amz('com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents'), says: json },
  STS: { scope: 'sts', body: 'Action=GetCallerIdentity&Version=2011-06-15', headers: form, says: xml },
  IAM: { scope: 'iam', body: 'Action=ListUsers&Version=2010-05-08', headers: form, says: xml },
};

const mismatch = 'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';
const invalid = 'The security token included in the request is invalid.';

let room: Room;
let host: string;
let session: { readonly accessKeyId: string; readonly secret: string; readonly token: string };
let ahead = 0;
const lines: string[] = [];

beforeAll(async () => {
  room = await openRoom(newHome(), { log: (line) => { lines.push(line); } });
  host = new URL(room.server.url).host;
  const now = room.store.now.bind(room.store);
  room.store.now = () => now() + ahead;
  const asked = 'Action=GetSessionToken&Version=2011-06-15&DurationSeconds=900';
  const { text } = await send(room.server.url, 'POST', '/', sign(host, asked, { service: 'sts', headers: form }), asked);
  const part = (name: string): string => new RegExp(`<${name}>(.*?)</${name}>`).exec(text)?.[1] ?? '';
  session = { accessKeyId: part('AccessKeyId'), secret: part('SecretAccessKey'), token: part('SessionToken') };
});
afterAll(async () => {
  expect(room.reports).toEqual([]);
  await room.stop();
  rmSync(room.home, { recursive: true });
});

/** Headers of a request that would be taken, but for one thing. */
type Make = (service: Service, send: (signing?: Signing, body?: string) => Record<string, string>) => Readonly<Record<string, string>>;

interface Row {
  readonly what: string;
  readonly cause: Cause;
  readonly sentence: string | ((service: Service) => string) | RegExp;
  readonly make: Make;
}

const withHeader = (headers: Readonly<Record<string, string>>, name: string, change: (value: string) => string): Record<string, string> => ({ ...headers, [name]: change(headers[name] ?? '') });
const without = (headers: Readonly<Record<string, string>>, name: string): Record<string, string> => Object.fromEntries(Object.entries(headers).filter(([given]) => given !== name));
const minutesAgo = (minutes: number): number => Date.now() - minutes * 60_000;

const rows: readonly Row[] = [
  { what: 'no signature', cause: 'missing', sentence: 'Missing Authentication Token', make: (_, signed) => without(signed(), 'authorization') },
  { what: 'another scheme', cause: 'incomplete', sentence: /^Unsupported 'Authorization' scheme: 'Basic'\. The scheme has to be 'AWS4-HMAC-SHA256'\. Authorization=Basic abc$/, make: (_, signed) => withHeader(signed(), 'authorization', () => 'Basic abc') },
  { what: 'no Signature', cause: 'incomplete', sentence: /^Authorization header requires 'Signature' parameter\. Authorization=AWS4-HMAC-SHA256 Credential=/, make: (_, signed) => withHeader(signed(), 'authorization', (value) => value.replace(/, Signature=.*/, '')) },
  { what: 'no SignedHeaders', cause: 'incomplete', sentence: /^Authorization header requires 'SignedHeaders' parameter\. Authorization=/, make: (_, signed) => withHeader(signed(), 'authorization', (value) => value.replace(/ SignedHeaders=[^,]*,/, '')) },
  { what: 'no date', cause: 'incomplete', sentence: /^Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header\. Authorization=/, make: (_, signed) => without(signed(), 'x-amz-date') },
  { what: 'a date in another form', cause: 'incomplete', sentence: "Date must be in ISO-8601 'basic format'. Got '2026-11-22'. See http://en.wikipedia.org/wiki/ISO_8601", make: (_, signed) => withHeader(signed(), 'x-amz-date', () => '2026-11-22') },
  { what: 'a credential without scope', cause: 'incomplete', sentence: "Credential must have at least 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIAIOSFODNN7EXAMPLE'", make: (_, signed) => withHeader(signed(), 'authorization', (value) => value.replace(/Credential=[^,]*/, `Credential=${accessKeyId}`)) },
  { what: 'an unknown access key', cause: 'unknownKey', sentence: invalid, make: (_, signed) => signed({ accessKeyId: 'AKIANOBODYATALL00000' }) },
  { what: 'a token that nobody gave', cause: 'unknownKey', sentence: invalid, make: (_, signed) => signed({ headers: { 'x-amz-security-token': 'AQoDYXdzEJr' } }) },
  { what: "somebody's token with another's access key", cause: 'unknownKey', sentence: invalid, make: (_, signed) => signed({ headers: { 'x-amz-security-token': session.token } }) },
  { what: 'temporary credentials without their token', cause: 'unknownKey', sentence: invalid, make: (_, signed) => signed({ accessKeyId: session.accessKeyId, secret: session.secret }) },
  { what: 'another secret', cause: 'signature', sentence: mismatch, make: (_, signed) => signed({ secret: 'x'.repeat(40) }) },
  { what: 'another secret for a session', cause: 'signature', sentence: mismatch, make: (_, signed) => signed({ accessKeyId: session.accessKeyId, secret, headers: { 'x-amz-security-token': session.token } }) },
  { what: 'another body', cause: 'signature', sentence: mismatch, make: (_, signed) => signed({}, 'x=1') },
  { what: 'a claimed hash of another body', cause: 'signature', sentence: mismatch, make: (_, signed) => signed({ headers: { 'x-amz-content-sha256': '0'.repeat(64) } }) },
  { what: 'an unsigned payload', cause: 'signature', sentence: mismatch, make: (_, signed) => signed({ headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }) },
  { what: 'a signed header that was changed', cause: 'signature', sentence: mismatch, make: (_, signed) => withHeader(signed({ headers: { 'x-amz-meta': 'a' } }), 'x-amz-meta', () => 'b') },
  { what: 'a header x-amz-… that was not signed', cause: 'signature', sentence: "'x-amz-meta' must be a 'SignedHeader' in the AWS Authorization.", make: (_, signed) => ({ ...signed(), 'x-amz-meta': 'a' }) },
  { what: 'a host that was not signed', cause: 'signature', sentence: "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.", make: (_, signed) => signed({ unsigned: ['host'] }) },
  { what: 'another Region', cause: 'signature', sentence: 'Credential should be scoped to a valid region. ', make: (_, signed) => signed({ region: 'eu-west-9' }) },
  { what: 'another service', cause: 'signature', sentence: ({ scope }) => `Credential should be scoped to correct service: '${scope}'. `, make: (_, signed) => signed({ service: 's3' }) },
  { what: 'another day in the scope', cause: 'signature', sentence: /^Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150830' != '\d{8}', from '\d{8}T\d{6}Z'\.$/, make: (_, signed) => withHeader(signed(), 'authorization', (value) => value.replace(/\/\d{8}\//, '/20150830/')) },
  { what: 'another terminator', cause: 'signature', sentence: "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.", make: (_, signed) => withHeader(signed(), 'authorization', (value) => value.replace('aws4_request', 'aws5_request')) },
  { what: 'a time six minutes ago', cause: 'signature', sentence: /^Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)$/, make: (_, signed) => signed({ timeMs: minutesAgo(6) }) },
  { what: 'a time six minutes ahead', cause: 'signature', sentence: /^Signature not yet current: \d{8}T\d{6}Z is still later than \d{8}T\d{6}Z \(\d{8}T\d{6}Z \+ 5 min\.\)$/, make: (_, signed) => signed({ timeMs: minutesAgo(-6) }) },
];

async function answerTo(service: Service, headers: Readonly<Record<string, string>>) {
  const { status, text, headers: given } = await send(room.server.url, 'POST', '/', headers, service.body);
  const id = given['x-amzn-requestid'] as string;
  if (service.says === json) {
    const { __type: code, message, ...more } = JSON.parse(text) as { __type: string; message?: string };
    expect(more).toEqual({});
    return { status, code, message };
  }
  const found = /^<ErrorResponse xmlns="[^"]+">\s*<Error><Type>Sender<\/Type><Code>(.*?)<\/Code><Message>(.*?)<\/Message><\/Error>\s*<RequestId>(.*?)<\/RequestId>\s*<\/ErrorResponse>\s*$/.exec(text);
  expect(found?.[3]).toBe(id);
  return { status, code: found?.[1], message: found?.[2]?.replaceAll('&apos;', "'").replaceAll('&quot;', '"') };
}

const signed = (service: Service) => (signing: Signing = {}, body = service.body): Record<string, string> =>
  sign(host, body, { service: service.scope, ...signing, headers: { ...service.headers, ...signing.headers } });

const recorded = async (): Promise<number> => {
  const [shard = ''] = await room.store.shards();
  return (await room.store.head(shard))?.seq ?? 0;
};

describe.each(Object.entries(services))('%s', (_name, service) => {
  it('takes what is signed as it should be', async () => {
    expect((await send(room.server.url, 'POST', '/', signed(service)(), service.body)).status).toBe(200);
    const own = { accessKeyId: session.accessKeyId, secret: session.secret, headers: { 'x-amz-security-token': session.token } };
    const answer = await send(room.server.url, 'POST', '/', signed(service)(own), service.body);
    // As AWS's, IAM takes no session that was got without a second factor.
    if (service.scope === 'iam') expect(answer.text).toContain('<Code>InvalidClientTokenId</Code>');
    else expect(answer.status).toBe(200);
  });

  it.each(rows)('refuses $what', async ({ cause, sentence, make }) => {
    const before = await recorded();
    const answer = await answerTo(service, make(service, signed(service)));
    const [code, status] = service.says[cause];
    const message = typeof sentence === 'function' ? sentence(service) : typeof sentence === 'string' ? sentence : expect.stringMatching(sentence) as string;
    expect(answer).toEqual({ status, code, message });
    expect(await recorded()).toBe(before);
  });

  it('refuses a token that has expired', async () => {
    const before = await recorded();
    const own = { accessKeyId: session.accessKeyId, secret: session.secret, headers: { 'x-amz-security-token': session.token } };
    ahead = 901_000;
    try {
      const [code, status] = service.says.expired;
      expect(await answerTo(service, signed(service)(own))).toEqual({ status, code, message: 'The security token included in the request is expired' });
      // Who does not have the secret does not learn that either.
      expect(await answerTo(service, signed(service)({ ...own, secret }))).toMatchObject({ code: service.says.signature[0] });
    } finally {
      ahead = 0;
    }
    expect(await recorded()).toBe(before);
  });
});

describe('a target that was not signed', () => {
  it('is refused by name', async () => {
    const headers = signed(services['KMS']!)({ unsigned: ['x-amz-target'] });
    expect(await answerTo(services['KMS']!, headers)).toEqual({ status: 400, code: 'InvalidSignatureException', message: "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization." });
  });
});

describe('requests that nobody signed', () => {
  it('are counted, and told of in one line a minute', async () => {
    const metrics = await send(room.server.url, 'GET', '/metrics', { host });
    expect(metrics.text).toMatch(/strongroom_requests_total\{service="kms",operation="ListKeys",code="InvalidSignatureException"\} \d+/);
    expect(lines).toEqual([]);
  });

  it('fill no memory, whoever sends them', () => {
    const said: string[] = [];
    const strangers = new Strangers((line) => { said.push(line); });
    for (let i = 0; i < 5000; i += 1) strangers.note(i % 5 === 0 ? 'UnrecognizedClientException' : 'InvalidSignatureException', i < 100 ? '192.0.2.1' : `198.51.${i >> 8}.${i & 255}`);
    strangers.flush();
    strangers.flush();
    expect(said).toEqual(['5000 requests that nobody signed validly were refused (1000 UnrecognizedClientException, 4000 InvalidSignatureException); 100 of them came from 192.0.2.1']);
  });
});

