/** Nothing that a client can send makes a 5xx, a hang or an unhandled error. */
import fc from 'fast-check';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyTrail } from '../../src/audit/verify.ts';
import { blobsOf, operations } from '../../src/kms/operations/table.ts';
import { call, kmsTarget, newHome, openRoom, send, sign } from './room.ts';
import type { Room } from './room.ts';

let room: Room;
let host: string;
beforeAll(async () => {
  room = await openRoom(newHome());
  host = new URL(room.server.url).host;
});
afterAll(async () => {
  expect(room.reports).toEqual([]);
  expect((await verifyTrail(room.store, room.core)).findings).toEqual([]);
  await room.stop();
  rmSync(room.home, { recursive: true });
});

const names = Object.keys(operations).filter((name) => blobsOf(name) !== undefined);
const members = ['KeyId', 'Plaintext', 'CiphertextBlob', 'EncryptionContext', 'GrantTokens', 'Message', 'MessageType', 'SigningAlgorithm', 'Signature', 'Mac', 'MacAlgorithm', 'NumberOfBytes', 'KeySpec', 'Tags', 'Limit', 'Marker', 'Policy', 'AliasName', 'DryRun', 'Recipient', '__proto__', 'constructor', 'toString'];
const value = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom('alias/x', 'AQ==', '', null, 0, -1, 1e308, true, 'arn:aws:kms:us-east-1:111122223333:key/x', '\u0000', '\ud800', '🔑'.repeat(300)),
    fc.string({ unit: 'binary' }), fc.double(), fc.integer(), fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64')),
    fc.array(tie('any'), { maxLength: 4 }), fc.dictionary(fc.oneof(fc.constantFrom(...members), fc.string()), tie('any'), { maxKeys: 4 }),
  ),
})).any;

it('signed requests of any JSON to every operation', async () => {
  await fc.assert(fc.asyncProperty(fc.constantFrom(...names), fc.dictionary(fc.constantFrom(...members), value, { maxKeys: 6 }), async (name, input) => {
    const { status, body } = await call(room, name, JSON.stringify(input));
    expect(status, `${name} ${JSON.stringify(body)}`).toBeLessThan(500);
  }), { numRuns: 1500 });
}, 120_000);

it('signed requests of any bytes', async () => {
  const mangled = fc.tuple(fc.constantFrom('{"KeyId":"x","Plaintext":"AQ=="}', '{"CiphertextBlob":"AQ==","EncryptionContext":{"a":"b"}}', '{}'), fc.uint8Array({ maxLength: 6 }), fc.nat()).map(([text, bytes, at]) => {
    const whole = Buffer.from(text);
    const cut = at % (whole.length + 1);
    return Buffer.concat([whole.subarray(0, cut), bytes, whole.subarray(cut)]);
  });
  await fc.assert(fc.asyncProperty(fc.constantFrom('Encrypt', 'Decrypt', 'ListKeys'), fc.oneof(mangled, fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))), async (name, body) => {
    const answered = await send(room.server.url, 'POST', '/', sign(host, body, { headers: kmsTarget(name) }), body);
    expect(answered.status, answered.text).toBeLessThan(500);
    expect(() => JSON.parse(answered.text) as unknown).not.toThrow();
  }), { numRuns: 1000 });
}, 120_000);

it('any headers in place of a signature, and any form', async () => {
  const printable = fc.string({ unit: fc.constantFrom(...'abcXYZ019 =/,;:-_"\'%&+\t'.split('')), maxLength: 60 });
  const authorization = fc.oneof(printable, fc.tuple(printable, printable, printable).map(([a, b, c]) => `AWS4-HMAC-SHA256 Credential=${a}/20260101/us-east-1/kms/aws4_request, SignedHeaders=host;${b}, Signature=${c}`));
  const headers = fc.record({ authorization, 'x-amz-date': fc.oneof(printable, fc.constant('20260101T000000Z')), 'x-amz-target': fc.oneof(printable, fc.constant('TrentService.Encrypt')), 'content-type': fc.oneof(printable, fc.constant('application/x-www-form-urlencoded')), 'x-amz-security-token': printable, 'x-amz-content-sha256': printable, 'user-agent': printable }, { requiredKeys: [] });
  await fc.assert(fc.asyncProperty(headers, fc.oneof(printable, printable.map((text) => `Action=${text}&Version=${text}`)), fc.constantFrom('POST', 'GET'), printable, async (given, body, method, query) => {
    const path = method === 'GET' || query.length % 3 === 0 ? `/?${encodeURI(query)}&X-Amz-Algorithm=AWS4-HMAC-SHA256` : '/';
    const trimmed = Object.fromEntries(Object.entries(given).map(([name, text]) => [name, text.trim()]));
    const answered = await send(room.server.url, method, path, { host, ...trimmed }, method === 'GET' ? '' : body);
    expect(answered.status, answered.text).toBeLessThan(500);
    expect(answered.headers['x-amzn-requestid']).toBeDefined();
  }), { numRuns: 1000 });
}, 120_000);

/** Everything the server says to these bytes until it closes the connection. */
function speak(bytes: Buffer): Promise<string> {
  return new Promise((done) => {
    const { hostname, port } = new URL(room.server.url);
    const socket = connect(Number(port), hostname, () => { socket.end(bytes); });
    const heard: Buffer[] = [];
    socket.on('data', (part) => heard.push(part));
    socket.on('error', () => undefined);
    socket.on('close', () => { done(Buffer.concat(heard).toString('latin1')); });
  });
}

it('what is not HTTP', async () => {
  const line = fc.constantFrom('POST / HTTP/1.1', 'POST / HTTP/1.0', 'GET /health HTTP/1.1', 'PRI * HTTP/2.0', 'POST http://x/ HTTP/1.1', 'OPTIONS * HTTP/1.1', 'CONNECT x:1 HTTP/1.1', 'TRACE / HTTP/1.1', 'POST /%', '');
  const header = fc.constantFrom('Host: x', 'Content-Length: 5', 'Content-Length: -1', 'Content-Length: 99999999999999999999', 'Transfer-Encoding: chunked', 'Transfer-Encoding: gzip, chunked', 'X-Amz-Target: TrentService.Encrypt', 'X-Amz-Target: Other', 'Expect: 100-continue', 'Expect: x', 'Upgrade: h2c', 'Connection: Upgrade', `X: ${'y'.repeat(40_000)}`, ' folded', 'No colon', 'Host: a', ':');
  const request = fc.tuple(line, fc.array(header, { maxLength: 6 }), fc.oneof(fc.constantFrom('', 'hello', '5\r\nhello\r\n0\r\n\r\n', 'zz\r\n'), fc.string({ unit: 'binary' })), fc.constantFrom('\r\n', '\n')).map(([first, headers, body, end]) => Buffer.from([first, ...headers, '', body].join(end), 'latin1'));
  await fc.assert(fc.asyncProperty(fc.oneof(request, fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))), async (bytes) => {
    const heard = await speak(bytes);
    for (const [, status] of heard.matchAll(/HTTP\/1\.1 (\d{3}) /g)) expect(Number(status), `${bytes.toString('latin1')} -> ${heard}`).toBeLessThan(500);
  }), { numRuns: 400 });
  expect((await send(room.server.url, 'GET', '/health', { host })).status).toBe(200);
}, 120_000);
