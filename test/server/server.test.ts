import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookupEvents } from '../../src/audit/lookup.ts';
import { verifyTrail } from '../../src/audit/verify.ts';
import { account, call, kmsTarget, newHome, openRoom, presign, region, send, sign } from './room.ts';
import type { Room } from './room.ts';

let room: Room;
let keyId: string;
let host: string;
beforeAll(async () => {
  room = await openRoom(newHome());
  host = new URL(room.server.url).host;
  const made = await call(room, 'CreateKey', {});
  expect(made).toMatchObject({ status: 200 });
  keyId = (made.body['KeyMetadata'] as { KeyId: string }).KeyId;
});
afterAll(async () => {
  expect(room.reports).toEqual([]);
  await room.stop();
  rmSync(room.home, { recursive: true });
});

describe('AWS JSON 1.1', () => {
  it('encrypts and decrypts; bytes go through in both directions', async () => {
    const plain = Buffer.from('hello, wörld');
    const { body: sealed } = await call(room, 'Encrypt', { KeyId: keyId, Plaintext: plain.toString('base64'), EncryptionContext: { a: 'b' } });
    const { status, body } = await call(room, 'Decrypt', { CiphertextBlob: sealed['CiphertextBlob'], EncryptionContext: { a: 'b' } });
    expect(status).toBe(200);
    expect(Buffer.from(body['Plaintext'] as string, 'base64')).toEqual(plain);
    expect(body['KeyId']).toBe(`arn:aws:kms:${region}:${account}:key/${keyId}`);
  });

  it('a base64 member may be written with JSON escapes', async () => {
    const text = '{"KeyId":"' + keyId + '","Plaintext":"\\u0061GVsbG8\\u003d"}';
    const { body } = await call(room, 'Encrypt', text);
    const opened = await call(room, 'Decrypt', { CiphertextBlob: body['CiphertextBlob'] });
    expect(Buffer.from(opened.body['Plaintext'] as string, 'base64').toString()).toBe('hello');
  });

  it.each([
    ['not JSON', '{', 'SerializationException'],
    ['a list', '[]', 'SerializationException'],
    ['a member twice', '{"KeyId":"a","KeyId":"b"}', 'SerializationException'],
    ['__proto__', '{"__proto__":{"KeyId":"a"}}', 'SerializationException'],
    ['broken UTF-8', Buffer.from('{"KeyId":"\xff"}', 'latin1'), 'SerializationException'],
    ['broken base64', '{"KeyId":"a","Plaintext":"?"}', 'SerializationException'],
    ['a number for bytes', '{"KeyId":"a","Plaintext":0}', 'SerializationException'],
    ['nesting', `{"KeyId":${'['.repeat(5000)}${']'.repeat(5000)}}`, 'SerializationException'],
  ])('refuses %s', async (_what, body, code) => {
    const answered = await send(room.server.url, 'POST', '/', sign(host, body, { headers: kmsTarget('Encrypt') }), body);
    expect(answered.status).toBe(400);
    expect(answered.headers['content-type']).toBe('application/x-amz-json-1.1');
    expect(answered.headers['x-amzn-requestid']).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(answered.text)).toMatchObject({ __type: code });
  });

  it('an unknown operation, and an unknown service', async () => {
    expect(await call(room, 'MakeCoffee', {})).toEqual({ status: 400, body: { __type: 'UnknownOperationException' } });
    expect((await call(room, '', {}, { headers: { 'x-amz-target': 'Other.Encrypt' } })).body).toEqual({ __type: 'UnknownOperationException' });
  });

  it('text beyond ASCII goes both ways', async () => {
    const Description = 'Schlüssel für die Tür, 鍵 🔑';
    const made = await call(room, 'CreateKey', { Description });
    expect(made.body['KeyMetadata']).toMatchObject({ Description });
  });

  it('no body is an empty one', async () => {
    expect((await call(room, 'ListKeys', '')).status).toBe(200);
  });
});

describe('a signature', () => {
  const code = async (signing: Parameters<typeof call>[3]): Promise<unknown> => (await call(room, 'ListKeys', {}, signing)).body;
  it('by another secret', async () => {
    expect(await code({ secret: 'x'.repeat(40) })).toEqual({
      __type: 'InvalidSignatureException',
      message: 'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    });
  });
  it('by an unknown key id', async () => {
    expect(await code({ accessKeyId: 'AKIANOBODY' })).toEqual({ __type: 'UnrecognizedClientException', message: 'The security token included in the request is invalid.' });
  });
  it('with a token that nobody gave', async () => {
    expect(await code({ headers: { 'x-amz-security-token': 'x' } })).toMatchObject({ __type: 'UnrecognizedClientException' });
  });
  it('for another Region or service', async () => {
    expect(await code({ region: 'eu-west-1' })).toMatchObject({ __type: 'InvalidSignatureException', message: 'Credential should be scoped to a valid region. ' });
    expect(await code({ service: 'sts' })).toMatchObject({ __type: 'InvalidSignatureException', message: "Credential should be scoped to correct service: 'kms'. " });
  });
  it('of four minutes ago passes, of six does not', async () => {
    expect((await call(room, 'ListKeys', {}, { timeMs: Date.now() - 240_000 })).status).toBe(200);
    expect(await code({ timeMs: Date.now() - 360_000 })).toMatchObject({ __type: 'InvalidSignatureException', message: expect.stringMatching(/^Signature expired: /) as string });
    expect(await code({ timeMs: Date.now() + 360_000 })).toMatchObject({ __type: 'InvalidSignatureException', message: expect.stringMatching(/^Signature not yet current: /) as string });
  });
  it('of another body, or with a claimed hash of another', async () => {
    const headers = sign(host, '{"Limit":1}', { headers: kmsTarget('ListKeys') });
    expect(JSON.parse((await send(room.server.url, 'POST', '/', headers, '{"Limit":2}')).text)).toMatchObject({ __type: 'InvalidSignatureException' });
    expect(await code({ headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } })).toMatchObject({ __type: 'InvalidSignatureException' });
  });
  it('does not cover a header that came later: another target is refused', async () => {
    const headers = sign(host, '{}', { headers: kmsTarget('ListKeys') });
    const answered = await send(room.server.url, 'POST', '/', { ...headers, 'x-amz-target': 'TrentService.ListAliases' }, '{}');
    expect(JSON.parse(answered.text)).toMatchObject({ __type: 'InvalidSignatureException' });
  });
  it('that is missing', async () => {
    const answered = await send(room.server.url, 'POST', '/', { host, ...kmsTarget('ListKeys') }, '{}');
    expect([answered.status, JSON.parse(answered.text)]).toEqual([400, { __type: 'MissingAuthenticationTokenException', message: 'Missing Authentication Token' }]);
  });
  it('with odd spacing in a signed header holds as it was folded', async () => {
    const headers = sign(host, '{}', { headers: { ...kmsTarget('ListKeys'), 'x-amz-meta': 'a b c' } });
    const answered = await send(room.server.url, 'POST', '/', { ...headers, 'x-amz-meta': '  a   b \t c ' }, '{}');
    expect(answered.status).toBe(200);
  });
  it('of a key that was made inactive stops at once', async () => {
    const made = await room.accounts.createCredential({ account, accessKeyId: 'AKIATEMPORARY', secret: { from: 'made' }, show: true, userName: 'ann' });
    const mine = { accessKeyId: 'AKIATEMPORARY', secret: made.secret!.bytes.toString() };
    made.secret!.release();
    expect((await call(room, 'GenerateRandom', { NumberOfBytes: 4 }, mine)).body).not.toMatchObject({ __type: 'UnrecognizedClientException' });
    await room.store.tx(async (tx) => {
      const row = (await tx.get<{ status: string }>('credential', 'AKIATEMPORARY'))!;
      tx.update(row, { body: { ...row.body, status: 'Inactive' } });
    });
    expect((await call(room, 'GenerateRandom', { NumberOfBytes: 4 }, mine)).body).toMatchObject({ __type: 'UnrecognizedClientException' });
  });
});

describe('the query services', () => {
  const form = 'Action=GetCallerIdentity&Version=2011-06-15';
  const typed = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
  it('GetCallerIdentity by POST, by GET, and presigned', async () => {
    const posted = await send(room.server.url, 'POST', '/', sign(host, form, { service: 'sts', headers: typed }), form);
    expect(posted.status).toBe(200);
    expect(posted.headers['content-type']).toBe('text/xml');
    expect(posted.text).toContain(`<Arn>arn:aws:iam::${account}:root</Arn><UserId>${account}</UserId><Account>${account}</Account>`);
    const got = await send(room.server.url, 'GET', `/?${form}`, sign(host, '', { method: 'GET', path: `/?${form}`, service: 'sts' }));
    expect(got.status).toBe(200);
    const url = presign(host, `/?${form}`, 'sts', 60);
    expect((await send(room.server.url, 'GET', url, { host })).status).toBe(200);
    expect((await send(room.server.url, 'GET', url.replace('Version=2011-06-15', 'Version=2011-06-16'), { host })).text).toContain('<Code>SignatureDoesNotMatch</Code>');
    const old = await send(room.server.url, 'GET', presign(host, `/?${form}`, 'sts', 60, Date.now() - 120_000), { host });
    expect(old.text).toMatch(/<Code>SignatureDoesNotMatch<\/Code><Message>Signature expired: /);
  });
  it('speak their own errors', async () => {
    const wrong = await send(room.server.url, 'POST', '/', sign(host, form, { service: 'sts', headers: typed, accessKeyId: 'AKIANOBODY' }), form);
    expect(wrong.status).toBe(403);
    expect(wrong.text).toContain('<Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message>');
    const bad = await send(room.server.url, 'POST', '/', sign(host, form, { service: 'sts', headers: typed, secret: 'x' }), form);
    expect([bad.status, /<Code>(.*?)<\/Code>/.exec(bad.text)?.[1]]).toEqual([403, 'SignatureDoesNotMatch']);
    const other = form.replace('GetCallerIdentity', 'Nothing%3C');
    const unknown = await send(room.server.url, 'POST', '/', sign(host, other, { service: 'sts', headers: typed }), other);
    expect(unknown.text).toContain('<Code>InvalidAction</Code><Message>Could not find operation Nothing&lt; for version 2011-06-15</Message>');
  });
});

describe('the socket', () => {
  it('answers GET /health without a secret, and GET /metrics', async () => {
    const health = await send(room.server.url, 'GET', '/health', { host });
    expect(JSON.parse(health.text)).toMatchObject({ status: 'ok', mode: 'production', unseal: 'keyfile', module: { state: 'ready' }, secretMemory: { kind: 'memfd_secret' } });
    expect((await send(room.server.url, 'GET', '/metrics', { host })).text).toMatch(/strongroom_requests_total\{service="kms",operation="Encrypt",code="ok"\} \d+/);
  });
  it('refuses other paths and methods', async () => {
    expect((await send(room.server.url, 'GET', '/', { host })).status).toBe(405);
    expect((await send(room.server.url, 'POST', '/other', { host }, '{}')).status).toBe(404);
    expect((await send(room.server.url, 'DELETE', '/', { host })).status).toBe(405);
  });
  it('refuses a body beyond the limit', async () => {
    const answered = await send(room.server.url, 'POST', '/', { host, ...kmsTarget('Encrypt') }, 'x'.repeat(1024 * 1024 + 1));
    expect(answered.status).toBe(413);
    expect(answered.headers['x-amzn-requestid']).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('the trail', () => {
  it('has every request that somebody made, allowed, denied or failed; no plaintext; and holds', async () => {
    await call(room, 'Encrypt', { KeyId: keyId, Plaintext: Buffer.from('in the clear').toString('base64') });
    await call(room, 'Encrypt', { KeyId: 'alias/none', Plaintext: 'YQ==' });
    await call(room, 'Encrypt', '{');
    await call(room, 'ListKeys', {}, { secret: 'no' });
    const { Events } = await lookupEvents(room.store, account, region, {});
    const events = Events.slice(0, 3).map((event) => JSON.parse(event.CloudTrailEvent) as { eventName: string; errorCode?: string; userIdentity: { type: string } });
    expect(new Set(events.map((event) => `${event.eventName} ${event.errorCode ?? 'ok'} ${event.userIdentity.type}`))).toEqual(new Set([
      'Encrypt SerializationException Root', 'Encrypt NotFoundException Root', 'Encrypt ok Root',
    ]));
    expect(Events.map((event) => event.CloudTrailEvent).join()).not.toMatch(new RegExp(`in the clear|${Buffer.from('in the clear').toString('base64')}`));
    expect((await verifyTrail(room.store, room.core)).findings).toEqual([]);
  });
  it('is looked up through CloudTrail\'s own operation', async () => {
    const input = { LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'CreateKey' }] };
    const { status, body } = await call(room, 'LookupEvents', input, { service: 'cloudtrail', headers: { 'x-amz-target': 'com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents' } });
    expect(status).toBe(200);
    const created = { EventName: 'CreateKey', ReadOnly: 'false', Username: 'root' };
    expect(body['Events']).toMatchObject([created, created]);
  });
});

describe('after a restart', () => {
  it('keys, credentials and the chain are there', async () => {
    const { body } = await call(room, 'Encrypt', { KeyId: keyId, Plaintext: 'YWJj' });
    const { home } = room;
    await room.stop();
    room = await openRoom(home);
    host = new URL(room.server.url).host;
    const opened = await call(room, 'Decrypt', { CiphertextBlob: body['CiphertextBlob'] });
    expect(opened.body['Plaintext']).toBe('YWJj');
    expect((await verifyTrail(room.store, room.core)).findings).toEqual([]);
  });
});
