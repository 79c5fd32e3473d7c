// No SDK: what a hand-made client or an attacker sends. curl signs by its own --aws-sigv4, or carries what was signed by hand here.
import { createHash, createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacking } from './built.ts';
import { clientServer, credentialsOf, type Served } from './running.ts';
import { Workshop } from './workshop.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, string>> & { KeyMetadata?: Record<string, string> };
}

const why = lacking('curl');
describe.skipIf(why !== undefined)(why === undefined ? 'curl --aws-sigv4' : `curl --aws-sigv4 (${why})`, () => {
  let server: Served;
  let shop: Workshop;
  let own: { accessKeyId: string; secretAccessKey: string };
  let key: string;

  beforeAll(async () => {
    server = await clientServer();
    shop = new Workshop('curl', server.env);
    own = credentialsOf(server.home);
    key = kms('CreateKey', {}).body.KeyMetadata?.['KeyId'] ?? '';
  });
  afterAll(async () => {
    shop?.remove();
    await server?.stop();
  });

  function curl(...args: string[]): Answer {
    const text = shop.run('curl', ['-sS', '-i', '--http1.1', ...args]);
    const [head = '', ...rest] = text.replace(/^HTTP\/1\.1 100[^\n]*\r\n\r\n/, '').split('\r\n\r\n');
    const [line = '', ...fields] = head.split('\r\n');
    const body = rest.join('\r\n\r\n');
    return { status: Number(line.split(' ')[1]), headers: Object.fromEntries(fields.map((f) => [f.slice(0, f.indexOf(':')).toLowerCase(), f.slice(f.indexOf(':') + 2)])), body: (body === '' ? {} : JSON.parse(body)) as Answer['body'] };
  }
  const send = (body: string, target: string, ...more: string[]): Answer => curl('-X', 'POST', server.url, '-H', 'Content-Type: application/x-amz-json-1.1', '-H', `X-Amz-Target: ${target}`, '--data-binary', body, ...more);
  const signed = (region = 'us-east-1', service = 'kms', secret = own.secretAccessKey): string[] => ['--aws-sigv4', `aws:amz:${region}:${service}`, '--user', `${own.accessKeyId}:${secret}`];
  function kms(operation: string, input: object): Answer {
    return send(JSON.stringify(input), `TrentService.${operation}`, ...signed());
  }
  const bytes = (text: string): string => Buffer.from(text).toString('base64');

  it('goes round, base64 in and out', () => {
    const sealed = kms('Encrypt', { KeyId: key, Plaintext: bytes('raw') });
    expect(sealed.status).toBe(200);
    expect(kms('Decrypt', { CiphertextBlob: sealed.body['CiphertextBlob'] }).body['Plaintext']).toBe(bytes('raw'));
  });

  it('answers in JSON 1.1 with a request id', () => {
    const { headers } = kms('ListKeys', {});
    expect(headers['content-type']).toBe('application/x-amz-json-1.1');
    expect(headers['x-amzn-requestid']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-/);
    expect(Number(headers['content-length'])).toBeGreaterThan(2);
  });

  it('has a request id of its own for each', () => {
    expect(kms('ListKeys', {}).headers['x-amzn-requestid']).not.toBe(kms('ListKeys', {}).headers['x-amzn-requestid']);
  });

  it('refuses in JSON with __type and message', () => {
    const { status, body, headers } = kms('DescribeKey', { KeyId: 'alias/none' });
    expect(status).toBe(400);
    expect(body['__type']).toBe('NotFoundException');
    expect(body['message'] ?? body['Message']).toContain('alias/none');
    expect(headers['x-amzn-requestid']).toBeDefined();
  });

  it('has epoch seconds for times', () => {
    expect(typeof kms('DescribeKey', { KeyId: key }).body.KeyMetadata?.['CreationDate']).toBe('number');
  });

  it('says nothing where an operation answers nothing', () => {
    expect(kms('TagResource', { KeyId: key, Tags: [] }).status).toBe(200);
    expect(kms('EnableKey', { KeyId: key }).body).toEqual({});
  });

  it.each([
    ['not JSON', '{'],
    ['a list', '[]'],
    ['a number where a string belongs', '{"KeyId":7,"Plaintext":"eA=="}'],
    ['no base64 where bytes belong', '{"KeyId":"x","Plaintext":"%%%"}'],
  ])('a body that is %s is a SerializationException', (_, body) => {
    const answer = send(body, 'TrentService.Encrypt', ...signed());
    expect(answer.status).toBe(400);
    expect(answer.body['__type']).toContain('SerializationException');
  });

  it('an operation that is none', () => {
    const { status, body } = send('{}', 'TrentService.MakeCoffee', ...signed());
    expect(status).toBe(400);
    expect(body['__type']).toMatch(/UnknownOperationException/);
  });

  it('a target of another service', () => {
    expect(send('{}', 'DynamoDB_20120810.ListTables', ...signed()).status).toBeGreaterThanOrEqual(400);
  });

  it('a body over the limit', () => {
    shop.file('big', JSON.stringify({ KeyId: key, Plaintext: bytes('x'.repeat(3_000_000)) }));
    expect([400, 413]).toContain(send(`@${shop.file('big')}`, 'TrentService.Encrypt', ...signed(), '-H', 'Expect:').status);
  });

  it('GET has no operation', () => {
    expect(shop.run('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', server.url])).toMatch(/^4\d\d$/);
  });

  it('health needs no signature', () => {
    expect(curl(`${server.url}/health`).status).toBe(200);
  });

  it('a wrong secret', () => {
    const { status, body } = send('{}', 'TrentService.ListKeys', ...signed('us-east-1', 'kms', 'x'.repeat(40)));
    expect(status).toBe(400);
    expect(body['__type']).toContain('InvalidSignatureException');
  });

  it('no signature', () => {
    const { status, body } = send('{}', 'TrentService.ListKeys');
    expect(status).toBe(400);
    expect(body['__type']).toMatch(/MissingAuthenticationToken/);
  });

  it('the scope of a Region that is not served', () => {
    expect(send('{}', 'TrentService.ListKeys', ...signed('mars-north-1')).status).toBe(400);
  });

  it('the scope of another service', () => {
    expect(send('{}', 'TrentService.ListKeys', ...signed('us-east-1', 's3')).body['__type']).toMatch(/InvalidSignatureException|IncompleteSignature/);
  });

  // ---- signed by hand

  interface ByHand { readonly body?: string; readonly sent?: string; readonly at?: number; readonly scopeDay?: string; readonly target?: string; readonly sentTarget?: string; readonly names?: readonly string[]; readonly more?: readonly string[] }

  function byHand({ body = '{}', sent = body, at = 0, scopeDay, target = 'TrentService.ListKeys', sentTarget = target, names = ['content-type', 'host', 'x-amz-date', 'x-amz-target'], more = [] }: ByHand): Answer {
    const stamp = new Date(Date.now() + at * 60_000).toISOString().replace(/[-:]|\.\d+/g, '');
    const day = scopeDay ?? stamp.slice(0, 8);
    const scope = `${day}/us-east-1/kms/aws4_request`;
    const values: Readonly<Record<string, string>> = { 'content-type': 'application/x-amz-json-1.1', host: server.url.replace(/^http:\/\//, ''), 'x-amz-date': stamp, 'x-amz-target': target };
    const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
    const hmac = (secret: string | Buffer, text: string): Buffer => createHmac('sha256', secret).update(text).digest();
    const canonical = ['POST', '/', '', ...names.map((n) => `${n}:${values[n] ?? ''}`), '', names.join(';'), sha(body)].join('\n');
    const secret = ['us-east-1', 'kms', 'aws4_request'].reduce((k, part) => hmac(k, part), hmac(`AWS4${own.secretAccessKey}`, day));
    const signature = hmac(secret, ['AWS4-HMAC-SHA256', stamp, scope, sha(canonical)].join('\n')).toString('hex');
    return send(sent, sentTarget, '-H', `X-Amz-Date: ${stamp}`, '-H', `Authorization: AWS4-HMAC-SHA256 Credential=${own.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`, ...more);
  }

  it('what was signed by hand is served', () => { expect(byHand({}).status).toBe(200); });
  it.each([-4, 4])('so it is %i minutes off', (at) => { expect(byHand({ at }).status).toBe(200); });
  it.each([-20, 20])('but not %i minutes off', (at) => { expect(byHand({ at }).body['__type']).toMatch(/InvalidSignatureException/); });
  it('a body that was changed on the way', () => {
    expect(byHand({ sent: '{"Limit":1}' }).body['__type']).toContain('InvalidSignatureException');
  });
  it('an operation that was changed on the way', () => {
    expect(byHand({ sentTarget: 'TrentService.CreateKey' }).body['__type']).toContain('InvalidSignatureException');
  });
  it('an operation that was never signed', () => {
    expect(byHand({ names: ['content-type', 'host', 'x-amz-date'] }).status).toBe(400);
  });
  it('a host that was never signed', () => {
    expect(byHand({ names: ['content-type', 'x-amz-date', 'x-amz-target'] }).status).toBe(400);
  });
  it('a second target beside the signed one', () => {
    expect(byHand({ more: ['-H', 'X-Amz-Target: TrentService.CreateKey'] }).status).toBe(400);
  });
  it('the scope of another day', () => {
    expect(byHand({ scopeDay: '20200101' }).body['__type']).toContain('InvalidSignatureException');
  });
  it('the host as it was sent, whatever it says', () => {
    const other = byHand({ more: ['-H', 'Host: kms.us-east-1.amazonaws.com'] });
    expect(other.body['__type']).toContain('InvalidSignatureException');
  });
});
