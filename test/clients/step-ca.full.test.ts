// step-ca: an online CA whose root and intermediate keys are in KMS; openssl judges what it issues.
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goModule, goProgram, lacking } from './built.ts';
import { keysOf, type Keys } from './kms.ts';
import { clientServer, type Served } from './running.ts';
import { Workshop } from './workshop.ts';

const why = lacking('go');
describe.skipIf(why !== undefined)(why === undefined ? 'step-ca' : `step-ca (${why})`, () => {
  let server: Served;
  let keys: Keys;
  let shop: Workshop;
  let ca: ChildProcess;
  let url: string;
  let intermediate: string;
  let provisioner: KeyObject;
  let said = '';

  beforeAll(async () => {
    const program = goProgram('github.com/smallstep/certificates/cmd/step-ca@v0.30.2', 'noyubikey,nopkcs11');
    server = await clientServer();
    keys = keysOf(server);
    shop = new Workshop('step', { ...server.env, AWS_REGION: 'us-east-1' });
    intermediate = shop.run(goModule('libraries'), ['authority']);
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    provisioner = pair.privateKey;
    const port = await freePort();
    url = `https://127.0.0.1:${port}`;
    shop.file('ca.json', JSON.stringify({
      root: shop.file('root.crt'), crt: shop.file('intermediate.crt'), key: `awskms:key-id=${intermediate}`, kms: { type: 'awskms', uri: 'awskms:region=us-east-1' },
      address: `127.0.0.1:${port}`, dnsNames: ['127.0.0.1'], db: { type: 'badgerv2', dataSource: shop.file('db') }, crl: { enabled: true, generateOnRevoke: true },
      authority: { provisioners: [{ type: 'JWK', name: 'tests', key: { ...pair.publicKey.export({ format: 'jwk' }), kid: 'tests', use: 'sig', alg: 'ES256' } }] },
    }));
    ca = spawn(program, ['ca.json'], { cwd: shop.path, env: { ...server.env, HOME: shop.path, STEPPATH: shop.path, AWS_REGION: 'us-east-1' }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [ca.stdout, ca.stderr]) stream?.on('data', (chunk: Buffer) => { said += chunk.toString('utf8'); });
    for (let i = 0; !said.includes('Serving HTTPS on'); i += 1) {
      if (ca.exitCode !== null || i > 300) throw new Error(said);
      await new Promise((done) => { setTimeout(done, 100); });
    }
  }, 3_600_000);
  afterAll(async () => {
    if (ca?.exitCode === null) {
      ca.kill('SIGTERM');
      await once(ca, 'exit');
    }
    shop?.remove();
    await server?.stop();
  });

  async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; bytes: Buffer }> {
    return await new Promise((done, fail) => {
      const asked = request(`${url}${path}`, { method, ca: shop.bytes('root.crt'), headers: { 'content-type': 'application/json' } }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => { done({ status: answer.statusCode ?? 0, bytes: Buffer.concat(parts) }); });
      });
      asked.on('error', fail).end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** A one-time token of the provisioner. */
  function token(audience: string, subject: string): string {
    const now = Math.floor(Date.now() / 1000);
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'ES256', kid: 'tests', typ: 'JWT' })}.${part({ iss: 'tests', aud: `${url}${audience}`, sub: subject, sans: [subject], iat: now, nbf: now - 5, exp: now + 120, jti: randomUUID() })}`;
    return `${text}.${sign('sha256', Buffer.from(text), { key: provisioner, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  }

  async function issue(name: string): Promise<{ status: number; answer: Record<string, string> }> {
    if (!shop.has('leaf.key')) shop.openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'leaf.key');
    shop.openssl('req', '-new', '-key', 'leaf.key', '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-out', 'leaf.csr');
    const { status, bytes } = await ask('POST', '/1.0/sign', { csr: shop.read('leaf.csr'), ott: token('/1.0/sign', name) });
    const answer = JSON.parse(bytes.toString('utf8')) as Record<string, string>;
    if (status === 201) shop.file(`${name}.crt`, answer['crt'] ?? '');
    return { status, answer };
  }
  const verify = (file: string): string => shop.openssl('verify', '-CAfile', 'root.crt', '-untrusted', 'intermediate.crt', file);
  const serial = (file: string): string => shop.openssl('x509', '-in', file, '-noout', '-serial').trim().replace('serial=', '');

  it('root and intermediate, signed in KMS, are a chain', () => {
    expect(shop.openssl('verify', '-CAfile', 'root.crt', 'intermediate.crt')).toContain('OK');
  });

  it('starts on the intermediate key in KMS', async () => {
    expect((await ask('GET', '/health')).bytes.toString()).toContain('ok');
  });

  it('serves its own certificate under that root', async () => {
    expect((await ask('GET', '/roots')).status).toBe(201);
  });

  it('issues a leaf', async () => {
    expect((await issue('one.test')).status).toBe(201);
    expect(verify('one.test.crt')).toContain('OK');
  });

  it('issues 50 more, each with a number of its own', async () => {
    const numbers = new Set<string>();
    for (let i = 0; i < 50; i += 1) {
      expect((await issue(`leaf${i}.test`)).status).toBe(201);
      expect(verify(`leaf${i}.test.crt`)).toContain('OK');
      numbers.add(serial(`leaf${i}.test.crt`));
    }
    expect(numbers.size).toBe(50);
  });

  it('refuses a token that was used', async () => {
    const ott = token('/1.0/sign', 'twice.test');
    shop.openssl('req', '-new', '-key', 'leaf.key', '-subj', '/CN=twice.test', '-addext', 'subjectAltName=DNS:twice.test', '-out', 'twice.csr');
    expect((await ask('POST', '/1.0/sign', { csr: shop.read('twice.csr'), ott })).status).toBe(201);
    expect((await ask('POST', '/1.0/sign', { csr: shop.read('twice.csr'), ott })).status).toBe(401);
  });

  it('revokes', async () => {
    const number = BigInt(`0x${serial('one.test.crt')}`).toString();
    expect((await ask('POST', '/1.0/revoke', { serial: number, ott: token('/1.0/revoke', number), reasonCode: 1, reason: 'test', passive: true })).status).toBe(200);
  });

  it('lists what was revoked, signed in KMS', async () => {
    const { status, bytes } = await ask('GET', '/1.0/crl');
    expect(status).toBe(200);
    shop.file('list.crl', bytes);
    shop.openssl('crl', '-inform', 'DER', '-in', 'list.crl', '-out', 'list.pem');
    expect(shop.try('openssl', ['crl', '-CAfile', 'intermediate.crt', '-noout', '-in', 'list.pem']).stderr).toContain('verify OK');
    expect(shop.openssl('crl', '-in', 'list.pem', '-noout', '-text')).toContain(serial('one.test.crt'));
  });

  it('issues nothing while its key is disabled', async () => {
    await keys.disable(intermediate);
    expect((await issue('disabled.test')).status).toBe(500);
    await keys.enable(intermediate);
  });

  it('issues again when the key is back', async () => {
    expect((await issue('again.test')).status).toBe(201);
    expect(verify('again.test.crt')).toContain('OK');
  });
});

async function freePort(): Promise<number> {
  const held = createServer().listen(0, '127.0.0.1');
  await once(held, 'listening');
  const { port } = held.address() as AddressInfo;
  held.close();
  await once(held, 'close');
  return port;
}
