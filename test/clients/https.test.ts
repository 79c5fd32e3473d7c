// The same server behind its own certificate: the config file names https, a client needs only the CA.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pythonClients } from './built.ts';
import { startServer, type Running } from './running.ts';

let work: string;
let server: Running;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'strongroom-tls-'));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', '-days', '2',
    '-subj', '/CN=strongroom', '-addext', 'subjectAltName=IP:127.0.0.1'], { cwd: work, stdio: 'ignore' });
  server = await startServer({ env: { STRONGROOM_TLS_CERT: join(work, 'cert.pem'), STRONGROOM_TLS_KEY: join(work, 'key.pem') } });
});
afterAll(async () => {
  await server?.stop();
  rmSync(work, { recursive: true, force: true });
});

describe('AWS CLI over TLS', () => {
  const aws = (env: NodeJS.ProcessEnv, ...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(join(pythonClients(), 'aws'), args, { env: { ...server.env, ...env }, encoding: 'utf8' });

  it('serves whoever trusts the certificate', () => {
    expect(server.url).toMatch(/^https:/);
    const { status, stdout, stderr } = aws({ AWS_CA_BUNDLE: join(work, 'cert.pem') }, 'kms', 'generate-random', '--number-of-bytes', '16', '--query', 'Plaintext', '--output', 'text');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(Buffer.from(stdout, 'base64')).toHaveLength(16);
  });

  it('and nobody else', () => {
    const { status, stderr } = aws({}, 'kms', 'list-keys');
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/certificate/i);
  });
});
