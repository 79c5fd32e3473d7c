/** The XKS proxy API: what Amazon's test client asserts, signed by curl, and what it does not ask. */
import { execFile } from 'node:child_process';
import { createDecipheriv, createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { lookupEvents } from '../../src/audit/lookup.ts';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import type { Recorder } from '../../src/audit/recorder.ts';
import { Keyring } from '../../src/hsm/keyring.ts';
import { ATTR, CLASS, KEY } from '../../src/hsm/numbers.ts';
import { Lifecycle } from '../../src/server/lifecycle.ts';
import { Metrics } from '../../src/server/metrics.ts';
import { authenticated, decrypt, integrityValue } from '../../src/server/xks/cipher.ts';
import { XksDoor } from '../../src/server/xks/door.ts';
import { errorNames } from '../../src/server/xks/errors.ts';
import { keyAttributes, XksProxies } from '../../src/server/xks/proxies.ts';
import type { ShownCredential } from '../../src/server/xks/proxies.ts';
import { account, accessKeyId, call, newHome, openRoom, region, secret, send, sign } from './room.ts';
import type { Room, Signing } from './room.ts';

interface Credential {
  readonly id: string;
  readonly secret: string;
}

const run = promisify(execFile);
const prefix = 'example/uri/path/prefix';
const other = '999988887777';

let room: Room;
let proxies: XksProxies;
let keyring: Keyring;
let credential: Credential;
const reached = new Set<string>();

beforeAll(async () => {
  // The machine may be busy: only the test of lateness has little time.
  room = await openRoom(newHome(), { xks: { budgetMs: 60_000 } });
  const { core, store, accounts } = room;
  const session = core.serviceSession();
  keyring = new Keyring(core, session);
  proxies = new XksProxies({ core, store, accounts, session, keyring, recorder: new ChainRecorder(store), region });
  credential = told(await proxies.create(account, prefix));
  await proxies.addKey(prefix, 'foo');
  await proxies.addKey(prefix, 'encrypt_only_key', ['ENCRYPT']);
  await proxies.addKey(prefix, 'decrypt_only_key', ['DECRYPT']);
  await proxies.addKey(prefix, 'impotent_key', []);
});
afterAll(async () => {
  expect(room.reports).toEqual([]);
  await room.stop();
  rmSync(room.home, { recursive: true });
});

function told({ accessKeyId: id, secret: payload }: ShownCredential): Credential {
  const shown = { id, secret: payload.bytes.toString('latin1') };
  payload.release();
  return shown;
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, string> & { ekmFleetDetails?: unknown; keyUsage?: unknown };
}

const path = (what: string, at = prefix): string => `${at === '' ? '' : `/${at}`}/kms/xks/v1/${what}`;

/** By curl, which signs by itself. */
async function curl(what: string, body: unknown, { at = prefix, as = credential }: { readonly at?: string; readonly as?: Credential } = {}): Promise<Answer> {
  const { stdout } = await run('curl', [`${room.server.url}${path(what, at)}`, '--silent', '-w', '\n%{http_code}', '-H', 'Content-Type:application/json',
    '--aws-sigv4', 'aws:amz:us-east-1:kms-xks-proxy', '--user', `${as.id}:${as.secret}`, '--data-binary', JSON.stringify(body)]);
  const [text = '', status = ''] = stdout.split('\n');
  return noted({ status: Number(status), body: JSON.parse(text) as Answer['body'] });
}

/** Signed here, so that what a client gets wrong can be got wrong. */
async function ask(what: string, body: unknown, signing: Signing = {}, url = room.server.url): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const headers = sign(new URL(url).host, text, { path: path(what), service: 'kms-xks-proxy', accessKeyId: credential.id, secret: credential.secret, ...signing });
  const answered = await send(url, signing.method ?? 'POST', signing.path ?? path(what), headers, text);
  return noted({ status: answered.status, body: JSON.parse(answered.text) as Answer['body'] });
}

function noted(answer: Answer): Answer {
  if (answer.body['errorName'] !== undefined) reached.add(answer.body['errorName']);
  return answer;
}

const metadata = (kmsOperation = 'Encrypt'): Record<string, string> => ({
  awsPrincipalArn: 'arn:aws:iam::123456789012:user/Alice', kmsKeyArn: 'arn:aws:kms:us-east-2:123456789012:/key/1234abcd-12ab-34cd-56ef-1234567890ab',
  kmsOperation, kmsRequestId: randomUUID(), kmsViaService: 'ebs',
});
const health = { requestMetadata: { kmsOperation: 'KmsHealthCheck', kmsRequestId: randomUUID() } };
const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
const plaintext = base64('plaintext\n');
const aad = base64('project=nile,department=marketing');
const toEncrypt = (more: object = {}): Record<string, unknown> => ({ requestMetadata: metadata('Encrypt'), plaintext, encryptionAlgorithm: 'AES_GCM', ...more });
const toDecrypt = (made: Answer, more: object = {}): Record<string, unknown> => ({ requestMetadata: metadata('Decrypt'), encryptionAlgorithm: 'AES_GCM', ...cipherOf(made), ...more });
const cipherOf = ({ body: { ciphertext, initializationVector, authenticationTag } }: Answer) => ({ ciphertext, initializationVector, authenticationTag });
const bytes = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');

function refuses(answer: Answer, status: number, errorName: string): void {
  expect(answer).toEqual({ status, body: { errorName, errorMessage: expect.stringMatching(/^[\x20-\x7e]{1,511}$/) } });
}

describe('what the test client asserts, by curl', () => {
  it.each([
    ['health', health],
    ['keys/foo/metadata', { requestMetadata: metadata('DescribeKey') }],
    ['keys/foo/encrypt', toEncrypt()],
  ])('%s: a stranger, a wrong secret, another path', async (what, body) => {
    refuses(await curl(what, body, { as: { ...credential, id: `Invalid${credential.id}` } }), 401, 'AuthenticationFailedException');
    refuses(await curl(what, body, { as: { ...credential, secret: `Invalid${credential.secret}` } }), 401, 'AuthenticationFailedException');
    refuses(await curl(what, body, { at: `${prefix}/invalid` }), 404, 'InvalidUriPathException');
  });

  it.each(['health', 'keys/foo/metadata'])('%s: metadata of the request must be there', async (what) => {
    refuses(await curl(what, {}), 400, 'ValidationException');
    refuses(await curl(what, { requestMetadata: {} }), 400, 'ValidationException');
  });

  it('health', async () => {
    const { status, body } = await curl('health', health);
    expect({ status, body }).toEqual({ status: 200, body: {
      xksProxyFleetSize: 1, xksProxyVendor: 'Strongroom', xksProxyModel: expect.stringMatching(/^Strongroom \d/), ekmVendor: 'Strongroom',
      ekmFleetDetails: [{ id: 'core', model: expect.any(String), healthStatus: 'ACTIVE' }],
    } });
  });

  it.each(['DescribeKey', 'CreateKey', 'SomethingNew'])('metadata for %s', async (kmsOperation) => {
    expect(await curl('keys/foo/metadata', { requestMetadata: metadata(kmsOperation) })).toEqual({ status: 200, body: { keySpec: 'AES_256', keyUsage: ['ENCRYPT', 'DECRYPT'], keyStatus: 'ENABLED' } });
  });

  it('a key that is not there, a plaintext that is not there', async () => {
    refuses(await curl('keys/non_existing_key/metadata', { requestMetadata: metadata('DescribeKey') }), 404, 'KeyNotFoundException');
    refuses(await curl('keys/non_existing_key/encrypt', toEncrypt()), 404, 'KeyNotFoundException');
    refuses(await curl('keys/foo/encrypt', { ...toEncrypt(), plaintext: undefined }), 400, 'ValidationException');
  });

  it.each([['without', {}], ['with', { additionalAuthenticatedData: aad }]])('there and back %s additional data', async (_, more) => {
    const made = await curl('keys/foo/encrypt', toEncrypt(more));
    expect(Object.keys(made.body).sort()).toEqual(['authenticationTag', 'ciphertext', 'initializationVector']);
    expect([made.body['initializationVector'], made.body['ciphertext'], made.body['authenticationTag']].map((text) => bytes(text).length)).toEqual([12, 10, 16]);
    expect(await curl('keys/foo/decrypt', toDecrypt(made, more))).toEqual({ status: 200, body: { plaintext } });
  });

  it('additional data that is missing, or other', async () => {
    const made = await curl('keys/foo/encrypt', toEncrypt({ additionalAuthenticatedData: aad }));
    refuses(await curl('keys/foo/decrypt', toDecrypt(made)), 400, 'InvalidCiphertextException');
    refuses(await curl('keys/foo/decrypt', toDecrypt(made, { additionalAuthenticatedData: base64('project=blue') })), 400, 'InvalidCiphertextException');
  });

  it.each([['without', undefined], ['with', aad]])('an integrity value %s additional data', async (_, additionalAuthenticatedData) => {
    const more = additionalAuthenticatedData === undefined ? {} : { additionalAuthenticatedData };
    const made = await curl('keys/foo/encrypt', toEncrypt({ ...more, ciphertextDataIntegrityValueAlgorithm: 'SHA_256' }));
    const { ciphertext, initializationVector, authenticationTag, ciphertextDataIntegrityValue } = made.body;
    const hash = createHash('sha256');
    for (const part of [additionalAuthenticatedData, initializationVector, ciphertext, authenticationTag]) hash.update(bytes(part));
    expect(ciphertextDataIntegrityValue).toBe(hash.digest('base64'));
    expect(await curl('keys/foo/decrypt', toDecrypt(made, more))).toEqual({ status: 200, body: { plaintext } });
  });

  it.each([[4096, 8192], [4300, 8192]])('%d bytes with %d bytes beside them', async (size, beside) => {
    const large = { plaintext: base64(randomBytes(size)), additionalAuthenticatedData: base64(randomBytes(beside)) };
    const made = await ask('keys/foo/encrypt', toEncrypt(large));
    expect(made.status).toBe(200);
    expect(await ask('keys/foo/decrypt', toDecrypt(made, { additionalAuthenticatedData: large.additionalAuthenticatedData }))).toEqual({ status: 200, body: { plaintext: large.plaintext } });
  });

  it('a key for one direction, or none', async () => {
    const made = await curl('keys/encrypt_only_key/encrypt', toEncrypt());
    expect(made.status).toBe(200);
    refuses(await curl('keys/encrypt_only_key/decrypt', toDecrypt(made)), 400, 'InvalidKeyUsageException');
    refuses(await curl('keys/encrypt_only_key/encrypt', toEncrypt({ ciphertextDataIntegrityValueAlgorithm: 'SHA_256' })), 400, 'InvalidKeyUsageException');
    for (const key of ['decrypt_only_key', 'impotent_key']) {
      for (const more of [{}, { additionalAuthenticatedData: aad }, { ciphertextDataIntegrityValueAlgorithm: 'SHA_256' }]) {
        refuses(await curl(`keys/${key}/encrypt`, toEncrypt(more)), 400, 'InvalidKeyUsageException');
      }
    }
    refuses(await ask('keys/impotent_key/decrypt', toDecrypt(made)), 400, 'InvalidKeyUsageException');
    expect((await ask('keys/decrypt_only_key/metadata', { requestMetadata: metadata('CreateKey') })).body.keyUsage).toEqual(['DECRYPT']);
  });
});

describe('what is not one of its requests', () => {
  it.each<[string, unknown]>([
    ['a body that is not JSON', 'plaintext'],
    ['a list', [toEncrypt()]],
    ['a number where bytes belong', toEncrypt({ plaintext: 0 })],
    ['a number that names other bytes', toEncrypt({ plaintext: 0, additionalAuthenticatedData: aad })],
    ['an object where bytes belong', toEncrypt({ plaintext: { a: 1 } })],
    ['text that is not base64', toEncrypt({ plaintext: '§' })],
    ['no bytes', toEncrypt({ plaintext: '' })],
    ['another algorithm', toEncrypt({ encryptionAlgorithm: 'AES_CBC' })],
    ['no algorithm', toEncrypt({ encryptionAlgorithm: undefined })],
    ['another integrity algorithm', toEncrypt({ ciphertextDataIntegrityValueAlgorithm: 'SHA_1' })],
    ['metadata that is a list', toEncrypt({ requestMetadata: [] })],
    ...['awsPrincipalArn', 'kmsKeyArn', 'kmsOperation', 'kmsRequestId'].map((name): [string, unknown] => [`no ${name}`, toEncrypt({ requestMetadata: { ...metadata(), [name]: undefined } })]),
    ['a principal that is a number', toEncrypt({ requestMetadata: { ...metadata(), awsPrincipalArn: 1 } })],
  ])('%s', async (_, body) => { refuses(await ask('keys/foo/encrypt', body), 400, 'ValidationException'); });

  it('lengths', async () => {
    const made = await ask('keys/foo/encrypt', toEncrypt());
    for (const wrong of [
      { initializationVector: base64('short') }, { initializationVector: base64(Buffer.alloc(13)) }, { initializationVector: base64(Buffer.alloc(17)) },
      { authenticationTag: base64(Buffer.alloc(12)) }, { authenticationTag: undefined }, { ciphertext: undefined }, { ciphertextMetadata: base64(Buffer.alloc(21)) },
    ]) refuses(await ask('keys/foo/decrypt', toDecrypt(made, wrong)), 400, 'ValidationException');
    for (const wrong of [{ initializationVector: base64(Buffer.alloc(16)) }, { ciphertextMetadata: base64('v1') }, { authenticationTag: base64(Buffer.alloc(16)) }]) {
      refuses(await ask('keys/foo/decrypt', toDecrypt(made, wrong)), 400, 'InvalidCiphertextException');
    }
    refuses(await ask('keys/foo/encrypt', toEncrypt({ plaintext: base64(Buffer.alloc(16_385)) })), 501, 'UnsupportedOperationException');
    refuses(await ask('keys/foo/encrypt', toEncrypt({ more: 'x'.repeat(65_536) })), 501, 'UnsupportedOperationException');
    expect((await ask('keys/foo/metadata', { requestMetadata: { ...metadata('CreateKey'), kmsKeyArn: undefined } })).status).toBe(200);
    refuses(await ask('keys/foo/metadata', { requestMetadata: { ...metadata('DescribeKey'), kmsKeyArn: undefined } }), 400, 'ValidationException');
  });

  it('every flipped bit of a small answer', async () => {
    const made = await ask('keys/foo/encrypt', toEncrypt({ plaintext: base64('k'), additionalAuthenticatedData: base64('a') }));
    const parts = { ...cipherOf(made), additionalAuthenticatedData: base64('a') };
    for (const [name, text] of Object.entries(parts)) {
      const whole = bytes(text);
      for (let bit = 0; bit < whole.length * 8; bit++) {
        const flipped = Buffer.from(whole);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        refuses(await ask('keys/foo/decrypt', toDecrypt(made, { ...parts, [name]: base64(flipped) })), 400, 'InvalidCiphertextException');
      }
    }
  });

  it('another method, another path, a query', async () => {
    for (const method of ['GET', 'PUT', 'DELETE']) refuses(await ask('health', '', { method }), 405, 'ValidationException');
    for (const target of ['keys/foo', 'keys/foo/sign', 'keys//encrypt', 'Health', 'health/', '']) refuses(await ask(target, health), 404, 'InvalidUriPathException');
    refuses(await ask('health?a=b', health), 400, 'ValidationException');
    refuses(await ask('keys/../metadata', { requestMetadata: metadata('DescribeKey') }), 401, 'AuthenticationFailedException');
  });
});

describe('the signature', () => {
  it.each<[string, Signing]>([
    ['for another service', { service: 'kms' }],
    ['five minutes old', { timeMs: Date.now() - 6 * 60_000 }],
    ['from the future', { timeMs: Date.now() + 6 * 60_000 }],
    ['that leaves the date out', { unsigned: ['x-amz-date'] }],
    ['over no payload', { headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }],
    ['over another payload', { headers: { 'x-amz-content-sha256': 'a'.repeat(64) } }],
    ['with a session token', { headers: { 'x-amz-security-token': 'token' } }],
    ['of an account\'s own access key', { accessKeyId, secret }],
  ])('%s', async (_, signing) => { refuses(await ask('health', health, signing), 401, 'AuthenticationFailedException'); });

  it('in any Region, with the payload\'s hash or without', async () => {
    expect((await ask('health', health, { region: 'eu-central-1' })).status).toBe(200);
    const hash = createHash('sha256').update(JSON.stringify(health)).digest('hex');
    expect((await ask('health', health, { headers: { 'x-amz-content-sha256': hash } })).status).toBe(200);
  });

  it('none at all', async () => {
    const answered = await send(room.server.url, 'POST', path('health'), { host: new URL(room.server.url).host }, JSON.stringify(health));
    refuses({ status: answered.status, body: JSON.parse(answered.text) as Answer['body'] }, 401, 'AuthenticationFailedException');
  });

  it('opens no other door', async () => {
    const signing = { accessKeyId: credential.id, secret: credential.secret };
    expect(await call(room, 'ListKeys', {}, signing)).toMatchObject({ status: 400, body: { __type: 'UnrecognizedClientException' } });
    expect(await call(room, 'ListKeys', {}, { ...signing, service: 'kms-xks-proxy' })).toMatchObject({ status: 400 });
  });
});

describe('administration', () => {
  it('two credentials at once, so that one can be taken into use before the other goes', async () => {
    const at = 'rotating';
    const signing = (as: Credential): Signing => ({ path: path('health', at), accessKeyId: as.id, secret: as.secret });
    const first = told(await proxies.create(account, at));
    expect(first.id).toMatch(/^[A-Z2-7]{20,30}$/);
    expect(first.secret).toMatch(/^[A-Za-z0-9+/=]{43,64}$/);
    const second = told(await proxies.addCredential(at));
    for (const as of [first, second]) expect((await ask('health', health, signing(as))).status).toBe(200);
    await expect(proxies.addCredential(at)).rejects.toMatchObject({ status: 409 });
    await proxies.revokeCredential(at, first.id);
    refuses(await ask('health', health, signing(first)), 401, 'AuthenticationFailedException');
    expect((await ask('health', health, signing(second))).status).toBe(200);
    refuses(await ask('health', health, { ...signing(second), path: path('health') }), 401, 'AuthenticationFailedException');
    await expect(proxies.revokeCredential(at, first.id)).rejects.toMatchObject({ status: 404 });
    await proxies.delete(at);
    refuses(await ask('health', health, signing(second)), 404, 'InvalidUriPathException');
  });

  it('of four that rotate at once, one does', async () => {
    const at = 'crowded';
    told(await proxies.create(account, at));
    const made = await Promise.allSettled([1, 2, 3, 4].map(() => proxies.addCredential(at)));
    for (const result of made) if (result.status === 'fulfilled') told(result.value);
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await proxies.list()).find(({ body }) => body.prefix === at)?.body.credentials).toHaveLength(2);
    await proxies.delete(at);
  });

  it('a key is served where it was added, by several proxies, and gone when it is destroyed', async () => {
    const at = '';
    const as = told(await proxies.create(account, at));
    const signing = (what: string): Signing => ({ path: path(what, at), accessKeyId: as.id, secret: as.secret });
    const here = (what: string, body: unknown): Promise<Answer> => ask(what, body, signing(what));
    await proxies.addKey(prefix, 'shared');
    const made = await ask('keys/shared/encrypt', toEncrypt());
    refuses(await here('keys/shared/decrypt', toDecrypt(made)), 404, 'KeyNotFoundException');
    await expect(proxies.addKey(at, 'shared', ['ENCRYPT'])).rejects.toMatchObject({ status: 409 });
    await proxies.addKey(at, 'shared');
    expect(await here('keys/shared/decrypt', toDecrypt(made))).toEqual({ status: 200, body: { plaintext } });
    refuses(await here('keys/foo/metadata', { requestMetadata: metadata('DescribeKey') }), 404, 'KeyNotFoundException');
    await proxies.setEnabled(account, 'shared', false);
    refuses(await here('keys/shared/decrypt', toDecrypt(made)), 400, 'InvalidStateException');
    expect((await here('keys/shared/metadata', { requestMetadata: metadata('DescribeKey') })).body['keyStatus']).toBe('DISABLED');
    await proxies.setEnabled(account, 'shared', true);
    await expect(proxies.destroyKey(account, 'shared')).rejects.toMatchObject({ status: 409 });
    await proxies.delete(at);
    await proxies.removeKey(prefix, 'shared');
    refuses(await ask('keys/shared/decrypt', toDecrypt(made)), 404, 'KeyNotFoundException');
    await proxies.destroyKey(account, 'shared');
    await proxies.addKey(prefix, 'shared');
    refuses(await ask('keys/shared/decrypt', toDecrypt(made)), 400, 'InvalidCiphertextException');
  });

  it('names that are none, accounts that are not there', async () => {
    for (const wrong of ['a//b', 'a b', '/a/', 'ü', 'a'.repeat(117)]) await expect(proxies.create(account, wrong)).rejects.toMatchObject({ status: 400 });
    for (const wrong of ['', '..', 'a/b', 'a'.repeat(129)]) await expect(proxies.addKey(prefix, wrong)).rejects.toMatchObject({ status: 400 });
    await expect(proxies.create('123412341234', 'x')).rejects.toMatchObject({ status: 404 });
    await expect(proxies.create(account, prefix)).rejects.toMatchObject({ status: 409 });
    await expect(proxies.addKey('nowhere', 'k')).rejects.toMatchObject({ status: 404 });
  });

  it('by the operator\'s socket: the secret is shown once', async () => {
    const admin = (method: string, target: string, body?: unknown): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> => new Promise((done, fail) => {
      const sent = httpRequest({ socketPath: `${room.home}/admin.sock`, method, path: target }, (answer) => {
        let text = '';
        answer.on('data', (part: Buffer) => { text += part.toString('utf8'); });
        answer.on('end', () => { done({ status: answer.statusCode ?? 0, body: JSON.parse(text) as Record<string, unknown> }); });
      });
      sent.on('error', fail);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
    const made = await admin('POST', '/v1/xks/proxies', { prefix: '/by/hand/', accountId: account });
    expect(made.body).toEqual({ uriPath: '/by/hand/kms/xks/v1', accountId: account, accessKeyId: expect.any(String), secretAccessKey: expect.any(String) });
    expect(await admin('POST', '/v1/xks/proxies/by%2Fhand/keys', { keyId: 'k', usage: ['ENCRYPT'] })).toMatchObject({ status: 200, body: { keyId: 'k', usage: ['ENCRYPT'], status: 'ENABLED', proxies: ['/by/hand'] } });
    const listed = await admin('GET', '/v1/xks/proxies');
    expect(JSON.stringify(listed.body)).not.toContain(made.body['secretAccessKey']);
    expect(listed.body['proxies']).toContainEqual(expect.objectContaining({ prefix: '/by/hand', credentials: [made.body['accessKeyId']] }));
    expect(await admin('POST', `/v1/xks/keys/${account}/k/disable`, {})).toMatchObject({ body: { status: 'DISABLED' } });
    expect((await admin('DELETE', '/v1/xks/proxies/by%2Fhand/keys/k')).status).toBe(200);
    expect((await admin('DELETE', `/v1/xks/keys/${account}/k`)).status).toBe(200);
    expect((await admin('DELETE', `/v1/xks/proxies/by%2Fhand/credentials/${String(made.body['accessKeyId'])}`)).status).toBe(200);
    expect((await admin('DELETE', '/v1/xks/proxies/by%2Fhand')).status).toBe(200);
    expect((await admin('DELETE', '/v1/xks/proxies/by%2Fhand')).status).toBe(404);
    expect((await admin('POST', '/v1/xks/proxies/by%2Fhand/keys', { keyId: 'k', usage: ['ENCRYPT', 'ENCRYPT'] })).status).toBe(400);
  });

  it('an account that is suspended or strict decrypts for nobody; one that is deleted leaves nothing', async () => {
    await room.accounts.create(other);
    const at = 'theirs';
    const as = told(await proxies.create(other, at));
    await proxies.addKey(at, 'k');
    const signing = (what: string): Signing => ({ path: path(what, at), accessKeyId: as.id, secret: as.secret });
    const made = await ask('keys/k/encrypt', toEncrypt(), signing('keys/k/encrypt'));
    expect(made.status).toBe(200);
    // The other account's key of that name, had it one, is another key.
    refuses(await ask('keys/k/decrypt', toDecrypt(made)), 404, 'KeyNotFoundException');
    let ahead = 0;
    const now = room.store.now.bind(room.store);
    room.store.now = () => now() + ahead;
    const lifecycle = new Lifecycle({ store: room.store, accounts: room.accounts, recorder: new ChainRecorder(room.store), region, forget: () => undefined, log: (line) => { room.reports.push(line); } });
    await lifecycle.suspend(other);
    refuses(await ask('keys/k/decrypt', toDecrypt(made), signing('keys/k/decrypt')), 403, 'AccessDeniedException');
    await lifecycle.resume(other);
    expect((await ask('keys/k/decrypt', toDecrypt(made), signing('keys/k/decrypt'))).status).toBe(200);
    await lifecycle.setStrict(other, true);
    refuses(await ask('keys/k/decrypt', toDecrypt(made), signing('keys/k/decrypt')), 403, 'AccessDeniedException');
    await expect(proxies.addKey(at, 'another')).rejects.toMatchObject({ status: 409 });
    await lifecycle.scheduleDeletion(other, 7);
    ahead = 8 * 86_400_000;
    expect(await lifecycle.run()).toBe(1);
    ahead = 0;
    refuses(await ask('keys/k/decrypt', toDecrypt(made), signing('keys/k/decrypt')), 404, 'InvalidUriPathException');
    expect(await proxies.keys(other)).toEqual([]);
  });
});

test('the trail says for whom, and nothing of what', async () => {
  const kmsRequestId = randomUUID();
  const text = base64(randomBytes(40));
  const made = await ask('keys/foo/encrypt', toEncrypt({ plaintext: text, requestMetadata: { ...metadata(), kmsRequestId } }));
  const { Events } = await lookupEvents(room.store, account, region, { LookupAttributes: [{ AttributeKey: 'EventSource', AttributeValue: 'xks-proxy.strongroom' }] });
  const trail = Events.map(({ CloudTrailEvent }) => CloudTrailEvent ?? '');
  const event = JSON.parse(trail.find((line) => line.includes(kmsRequestId)) ?? '{}') as Record<string, unknown>;
  expect(event).toMatchObject({
    eventName: 'Encrypt', readOnly: false, userIdentity: { accountId: account, accessKeyId: credential.id },
    requestParameters: { proxy: `/${prefix}`, keyId: 'foo', kmsRequestId, kmsOperation: 'Encrypt', awsPrincipalArn: 'arn:aws:iam::123456789012:user/Alice', kmsViaService: 'ebs' },
    responseElements: null, resources: [{ accountId: account, type: 'Strongroom::XksProxy::Key' }],
  });
  for (const line of trail) for (const part of [text, ...Object.values(made.body) as string[]]) expect(line).not.toContain(part);
  expect(trail.some((line) => line.includes('"errorCode":"InvalidCiphertextException"'))).toBe(true);
  expect(trail.some((line) => line.includes('"eventName":"CreateXksCredential"'))).toBe(true);
});

test('what another AES-GCM made opens, and is named by the same integrity value', () => {
  const { cases } = JSON.parse(readFileSync(new URL('../vectors/xks/encrypt.json', import.meta.url), 'utf8')) as { cases: readonly Record<string, string | null>[] };
  const { core } = room;
  const partition = core.ephemeralPartition('vectors');
  const session = core.openSession(partition);
  for (const one of cases) {
    const part = (name: string): Buffer => bytes(one[name] ?? '');
    const attributes = keyAttributes(['DECRYPT']).filter(([type]) => type !== ATTR.SENSITIVE && type !== ATTR.EXTRACTABLE);
    const key = core.create(session, 0, [[ATTR.CLASS, CLASS.SECRET], [ATTR.KEY_TYPE, KEY.AES], [ATTR.VALUE, Buffer.from(one['key'] ?? '', 'hex')], ...attributes]);
    const aadBytes = authenticated(part('additionalAuthenticatedData'), part('ciphertextMetadata'));
    expect([one['name'], aadBytes.toString('hex')]).toEqual([one['name'], one['gcmAad']]);
    const sealed = { iv: part('initializationVector'), ciphertext: part('ciphertext'), tag: part('authenticationTag') };
    const plain = decrypt(core, session, key, sealed, aadBytes);
    expect(plain.bytes.toString('base64')).toBe(one['plaintext']);
    plain.release();
    expect(integrityValue(core, part('additionalAuthenticatedData'), part('ciphertextMetadata'), sealed).toString('base64')).toBe(one['ciphertextDataIntegrityValue']);
    // And so says this one.
    const again = createDecipheriv('aes-256-gcm', Buffer.from(one['key'] ?? '', 'hex'), sealed.iv).setAAD(aadBytes).setAuthTag(sealed.tag);
    expect(Buffer.concat([again.update(sealed.ciphertext), again.final()]).toString('base64')).toBe(one['plaintext']);
  }
  core.closePartition(partition);
});

test('too slow says so in time, too many say so at once, and what fails inside says no more than that', async () => {
  const reports: unknown[] = [];
  const { core, store, accounts } = room;
  const kept = new ChainRecorder(store);
  let record: Recorder['record'] = (entry) => kept.record(entry);
  const doorOf = (budgetMs: number): XksDoor => new XksDoor({
    core, store, accounts, keyring, session: core.serviceSession(), region, budgetMs, atOnce: 2,
    recorder: { record: (entry) => record(entry) }, report: (error) => { reports.push(error); },
  }, new Metrics());
  const hasty = doorOf(50);
  const patient = doorOf(60_000);
  const one = async (door: XksDoor): Promise<Answer> => {
    const text = JSON.stringify(toEncrypt());
    const url = path('keys/foo/encrypt');
    const headers = sign('here', text, { path: url, service: 'kms-xks-proxy', accessKeyId: credential.id, secret: credential.secret });
    const { status, body } = await door.answer({ method: 'POST', url, headers, rawHeaders: Object.entries(headers).flat(), body: Buffer.from(text), requestId: randomUUID(), sourceIp: '127.0.0.1', secure: false });
    return noted({ status, body: JSON.parse(typeof body === 'string' ? body : body.bytes.toString()) as Answer['body'] });
  };
  expect((await one(patient)).status).toBe(200);
  let open = (): void => undefined;
  const gate = new Promise<void>((done) => { open = done; });
  record = (entry) => ({ eventId: '', eventIds: [], durable: gate.then(() => kept.record(entry).durable) });
  refuses(await one(hasty), 503, 'DependencyTimeoutException');
  const under = [one(patient), one(patient)];
  refuses(await one(patient), 429, 'ThrottlingException');
  open();
  expect((await Promise.all(under)).map(({ status }) => status)).toEqual([200, 200]);
  record = () => ({ eventId: '', eventIds: [], durable: Promise.reject(new Error('the disk is gone')) });
  refuses(await one(patient), 500, 'InternalException');
  // Once for the answer, once for the attempt to write the failure down.
  expect(reports.map(String)).toEqual(['Error: the disk is gone', 'Error: the disk is gone']);
});

test('every error of the specification was seen', () => {
  expect([...reached].sort()).toEqual([...errorNames].sort());
});
