import { describe, expect, it } from 'vitest';
import { Refusal } from '../../src/server/refusals.ts';
import { canonicalRequest, checkScope, readClaim } from '../../src/server/sigv4.ts';
import type { WireRequest } from '../../src/server/sigv4.ts';
import { cases, parsed } from './vectors.ts';

const now = Date.UTC(2015, 7, 30, 12, 36, 0);
const place = { service: 'service', regions: new Set(['us-east-1']), skewMs: 300_000 };

describe('the canonical request is the signing suite\'s, byte for byte', () => {
  it.each(cases)('%s', (_name, one) => {
    for (const form of ['header', 'query'] as const) {
      const request = parsed(one[`${form}-signed-request`]);
      const claim = readClaim(request);
      const expected = one[`${form}-canonical-request`];
      const text = canonicalRequest(request, claim, one.context.normalize);
      expect(text).toBe(expected.slice(0, expected.lastIndexOf('\n') + 1));
      expect(claim).toMatchObject({ accessKeyId: one.context.credentials.access_key_id, region: 'us-east-1', service: 'service', signature: one[`${form}-signature`], timeMs: now });
      expect(() => { checkScope(claim, place, now); }).not.toThrow();
    }
  });
});

const base: WireRequest = parsed(cases.find(([name]) => name === 'post-vanilla')![1]['header-signed-request']);
const header = base.headers['authorization'] as string;
function withHeaders(more: Readonly<Record<string, string | undefined>>): WireRequest {
  const headers = { ...base.headers, ...more };
  for (const name in headers) if (headers[name] === undefined) delete headers[name];
  return { ...base, headers, rawHeaders: Object.entries(headers).flat() as string[] };
}
function refusal(request: WireRequest, nowMs = now): Refusal {
  try {
    checkScope(readClaim(request), place, nowMs);
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('what AWS says to', () => {
  it.each([
    ['no signature', { authorization: undefined }, 'missing', 'Missing Authentication Token'],
    ['no date', { 'x-amz-date': undefined }, 'incomplete', /either a 'X-Amz-Date' or a 'Date' header/],
    ['a scheme of another kind', { authorization: 'Bearer abc' }, 'incomplete', /scheme/],
    ['an empty header', { authorization: 'AWS4-HMAC-SHA256' }, 'incomplete', /^Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter./],
    ['no equal-sign', { authorization: 'AWS4-HMAC-SHA256 Credential' }, 'incomplete', /missing equal-sign/],
    ['a short credential', { authorization: header.replace('/aws4_request', '') }, 'incomplete', /at least 5 slash-delimited elements/],
    ['another terminator', { authorization: header.replace('aws4_request', 'aws5_request') }, 'signature', /valid terminator: 'aws4_request', not 'aws5_request'/],
    ['another service', { authorization: header.replace('/service/', '/other/') }, 'signature', /correct service: 'service'/],
    ['another Region', { authorization: header.replace('us-east-1', 'eu-west-9') }, 'signature', /valid region/],
    ['another day in the scope', { authorization: header.replace('/20150830/', '/20150829/') }, 'signature', /does not match YYYYMMDD.*'20150829' != '20150830', from '20150830T123600Z'/],
    ['an unsigned host', { authorization: header.replace('host;', '') }, 'signature', /'Host' or ':authority' must be a 'SignedHeader'/],
    ['a signature of another length', { authorization: header.slice(0, -1) }, 'signature', /does not match the signature you provided/],
    ['a date in another form', { 'x-amz-date': '2015-08-30T12:36:00Z' }, 'incomplete', /ISO-8601 'basic format'/],
    ['a date that is none', { 'x-amz-date': '20150832T123600Z' }, 'incomplete', /ISO-8601/],
  ] as const)('%s', (_what, more, reason, sentence) => {
    const found = refusal(withHeaders(more));
    expect(found.reason).toBe(reason);
    expect(found.sentence).toMatch(sentence);
  });

  it('an old and an early signature', () => {
    expect(refusal(base, now + 301_000).sentence).toBe('Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)');
    expect(refusal(base, now - 301_000).sentence).toBe('Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)');
    expect(() => { checkScope(readClaim(base), place, now + 299_000); }).not.toThrow();
  });

  it('a presigned URL after its time', () => {
    const request = parsed(cases[0]![1]['query-signed-request']);
    expect(() => { checkScope(readClaim(request), place, now + 3600_000); }).not.toThrow();
    expect(refusal(request, now + 3601_000).sentence).toMatch(/^Signature expired: /);
  });

  it('never shows a signature it was given', () => {
    for (const more of [{ 'x-amz-date': undefined }, { authorization: header.replace('AWS4-HMAC-SHA256', 'AWS4-X') }]) {
      expect(refusal(withHeaders(more)).sentence).not.toContain(header.slice(-64));
    }
  });
});

describe('reading', () => {
  it('takes the Date header where there is no X-Amz-Date', () => {
    const claim = readClaim(withHeaders({ 'x-amz-date': undefined, date: 'Sun, 30 Aug 2015 12:36:00 GMT' }));
    expect(claim).toMatchObject({ timestamp: '20150830T123600Z', timeMs: now });
  });
  it('takes the parts in any order and spacing', () => {
    const [credential = '', signed = '', signature = ''] = header.slice('AWS4-HMAC-SHA256 '.length).split(', ');
    expect(readClaim(withHeaders({ authorization: `AWS4-HMAC-SHA256   ${signature},${signed} ,  ${credential}` }))).toMatchObject({ accessKeyId: 'AKIDEXAMPLE', signature: signature.slice('Signature='.length) });
  });
  it('survives header names that every object has', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const claim = readClaim(withHeaders({ authorization: header.replace('SignedHeaders=host;', `SignedHeaders=host;${name};`) }));
      expect(canonicalRequest(base, claim)).toContain(`\n${name}:\n`);
    }
  });
});
