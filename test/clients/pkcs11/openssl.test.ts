import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { engine, engineConfig, has, newToken, type Token } from './token.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => { server.listen(0, '127.0.0.1', done); });
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => { server.close(done); });
  return port;
}

describe.skipIf(!has('openssl') || !existsSync(engine) || !has('pkcs11-tool'))('OpenSSL with its PKCS#11 engine', () => {
  let token: Token;
  const withEngine = (): { readonly env: Readonly<Record<string, string>> } => ({ env: { OPENSSL_CONF: token.file('openssl.cnf') } });
  const key = (name: string): readonly string[] => ['-engine', 'pkcs11', '-keyform', 'engine', '-key', `pkcs11:token=tls;object=${name};type=private`];

  beforeAll(() => {
    token = newToken('tls');
    writeFileSync(token.file('openssl.cnf'), engineConfig);
    token.tool('--keypairgen', '--key-type', 'RSA:2048', '--id', '01', '--label', 'rsa');
    token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', '02', '--label', 'ec');
    for (const name of ['rsa', 'ec']) {
      token.run('openssl', ['req', '-new', '-x509', ...key(name), '-subj', `/CN=${name}`, '-days', '10', '-out', token.file(`${name}.pem`)], withEngine());
    }
  });
  afterAll(() => { token.remove(); });

  test.each(['rsa', 'ec'])('a certificate made with the %s key verifies', (name) => {
    expect(token.run('openssl', ['verify', '-CAfile', token.file(`${name}.pem`), token.file(`${name}.pem`)])).toContain('OK');
  });

  test('a key that is not there is an error, not a crash', () => {
    const done = token.attempt('openssl', ['req', '-new', '-x509', ...key('nobody'), '-subj', '/CN=x', '-out', token.file('x.pem')], withEngine());
    expect(done.signal).toBeNull();
    expect(done.status).toBe(1);
  });

  test.each([['tls1_2', 'rsa'], ['tls1_2', 'ec'], ['tls1_3', 'rsa'], ['tls1_3', 'ec']])('serves %s with the %s key', async (version, name) => {
    const port = await freePort();
    const server = spawn('openssl', ['s_server', ...key(name), '-cert', token.file(`${name}.pem`), '-accept', `127.0.0.1:${port}`, '-www', '-quiet'],
      { env: { ...token.env, OPENSSL_CONF: token.file('openssl.cnf') }, stdio: 'ignore' });
    try {
      let said = '';
      for (let tries = 0; tries < 50 && !said.includes('Verif'); tries++) {
        await new Promise((done) => { setTimeout(done, 100); });
        const client = token.attempt('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, `-${version}`, '-CAfile', token.file(`${name}.pem`)], { input: '' });
        said = client.stdout + client.stderr;
      }
      expect(said).toMatch(/Verify return code: 0 \(ok\)|Verification: OK/);
    } finally {
      server.kill();
    }
  });
});
