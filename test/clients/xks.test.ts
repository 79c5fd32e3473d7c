// An external key store as an operator sets it up, behind TLS that asks for the KMS's client certificate.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type Running } from './running.ts';

const client = 'cks.kms.us-east-1.amazonaws.com';
let work: string;
let server: Running;
let made: { readonly uriPath: string; readonly accessKeyId: string; readonly secretAccessKey: string };

const openssl = (...args: string[]): void => { execFileSync('openssl', args, { cwd: work, stdio: 'ignore' }); };
const authority = (name: string): void => { openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2', '-subj', `/CN=${name}`); };
/** A client's certificate, `file`.pem. */
const issue = (by: string, file: string, name: string, days = '2'): void => {
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${file}.key`, '-out', `${file}.csr`, '-subj', `/CN=${name}`);
  openssl('x509', '-req', '-in', `${file}.csr`, '-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', days, '-out', `${file}.pem`);
};

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'strongroom-xks-'));
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'server.key', '-out', 'server.pem', '-days', '2', '-subj', '/CN=strongroom', '-addext', 'subjectAltName=IP:127.0.0.1');
  for (const name of ['authority', 'stranger']) authority(name);
  issue('authority', 'kms', client);
  issue('authority', 'another', 'someone.else');
  issue('stranger', 'forged', client);
  issue('authority', 'expired', client, '-1');
  server = await startServer({ env: {
    STRONGROOM_TLS_CERT: join(work, 'server.pem'), STRONGROOM_TLS_KEY: join(work, 'server.key'),
    STRONGROOM_XKS_CLIENT_CA: join(work, 'authority.pem'), STRONGROOM_XKS_CLIENT_NAMES: `${client}, cks.kms.eu-west-1.amazonaws.com`,
  } });
  made = JSON.parse(server.cli('xks', 'create', 'payments/eu', '--account', '000000000000', '--json').stdout) as typeof made;
});
afterAll(async () => {
  await server?.stop();
  rmSync(work, { recursive: true, force: true });
});

function post(what: string, body: unknown, certificate?: string): string {
  const { stdout, stderr } = spawnSync('curl', [`${server.url}${made.uriPath}/${what}`, '--silent', '--show-error', '--cacert', join(work, 'server.pem'), '-H', 'Content-Type:application/json',
    ...(certificate === undefined ? [] : ['--cert', join(work, `${certificate}.pem`), '--key', join(work, `${certificate}.key`)]),
    '--aws-sigv4', 'aws:amz:us-east-1:kms-xks-proxy', '--user', `${made.accessKeyId}:${made.secretAccessKey}`, '--data-binary', JSON.stringify(body)], { encoding: 'utf8' });
  return stdout + stderr;
}

const requestMetadata = { kmsOperation: 'Encrypt', kmsRequestId: 'r-1', awsPrincipalArn: 'arn:aws:iam::123456789012:user/Alice', kmsKeyArn: 'arn:aws:kms:us-east-1:123456789012:key/k' };

describe('an external key store', () => {
  it('is set up by three commands', () => {
    expect(made).toMatchObject({ uriPath: '/payments/eu/kms/xks/v1', accessKeyId: expect.stringMatching(/^[A-Z2-7]{20,30}$/), secretAccessKey: expect.stringMatching(/^[A-Za-z0-9+/=]{43,64}$/) });
    expect(JSON.parse(server.cli('xks', 'key', 'add', 'payments/eu', 'orders', '--json').stdout)).toEqual({ keyId: 'orders', accountId: '000000000000', usage: ['ENCRYPT', 'DECRYPT'], status: 'ENABLED', proxies: ['/payments/eu'] });
    expect(server.cli('xks', 'list').stdout).toBe(`/payments/eu\t/payments/eu/kms/xks/v1\t000000000000\t${made.accessKeyId}\n`);
    const sealed = JSON.parse(post('keys/orders/encrypt', { requestMetadata, plaintext: 'cGxhaW50ZXh0', encryptionAlgorithm: 'AES_GCM' }, 'kms')) as Record<string, string>;
    expect(post('keys/orders/decrypt', { requestMetadata, ...sealed, encryptionAlgorithm: 'AES_GCM' }, 'kms')).toBe('{"plaintext":"cGxhaW50ZXh0"}');
  });

  it('asks for the certificate of the KMS, and tells the trail its name', () => {
    const health = { requestMetadata: { kmsOperation: 'KmsHealthCheck', kmsRequestId: 'r-2' } };
    expect(post('health', health, 'kms')).toContain('"healthStatus":"ACTIVE"');
    for (const certificate of [undefined, 'another', 'forged', 'expired']) expect([certificate, post('health', health, certificate)]).toEqual([certificate, expect.stringContaining('"errorName":"AuthenticationFailedException"')]);
    const events = server.cli('audit', 'tail', '--json').stdout;
    expect(events).toContain(`"clientCertificate":"${client}"`);
    expect(events).not.toContain('someone.else');
    // Others come without one, as before.
    expect(spawnSync('curl', [`${server.url}/health`, '--silent', '--cacert', join(work, 'server.pem')], { encoding: 'utf8' }).stdout).toContain('"status":"ok"');
  });

  it('rotates its credential, and says no to what was not meant', () => {
    const next = JSON.parse(server.cli('xks', 'rotate', 'payments/eu', '--json').stdout) as typeof made;
    expect(server.cli('xks', 'revoke', 'payments/eu', made.accessKeyId).status).toBe(0);
    const health = { requestMetadata: { kmsOperation: 'KmsHealthCheck', kmsRequestId: 'r-3' } };
    expect(post('health', health, 'kms')).toContain('AuthenticationFailedException');
    made = next;
    expect(post('health', health, 'kms')).toContain('ACTIVE');
    expect(server.cli('xks', 'key', 'destroy', 'orders', '--account', '000000000000').status).toBe(2);
    expect(server.cli('xks', 'key', 'destroy', 'orders', '--account', '000000000000', '--yes').status).toBe(5);
    expect(server.cli('xks', 'key', 'remove', 'payments/eu', 'orders').status).toBe(0);
    expect(server.cli('xks', 'key', 'destroy', 'orders', '--account', '000000000000', '--yes').status).toBe(0);
    expect(server.cli('xks', 'delete', 'payments/eu').status).toBe(2);
    expect(server.cli('xks', 'delete', 'payments/eu', '--yes').status).toBe(0);
    expect(server.cli('xks', 'list').stdout).toBe('');
    // What is strict cannot serve.
    expect(JSON.parse(server.cli('account', 'strict', '000000000000', 'on', '--json').stdout)).toEqual({ accountId: '000000000000', status: 'Active', strict: true });
    expect(server.cli('account', 'list').stdout).toContain('\tActive, strict\t');
    expect(server.cli('xks', 'create', 'strict', '--account', '000000000000').status).toBe(0);
    expect(server.cli('xks', 'key', 'add', 'strict', 'k').status).toBe(5);
  });
});
