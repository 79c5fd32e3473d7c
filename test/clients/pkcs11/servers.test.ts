/** Servers and logins with keys in the token, over loopback. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { engine, engineConfig, has, modulePath, newToken, pin, type Token } from './token.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => { server.listen(0, '127.0.0.1', done); });
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => { server.close(done); });
  return port;
}

const running: ChildProcess[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((child) => new Promise<void>((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done();
    child.once('exit', () => { done(); });
    child.kill();
  })));
});

function start(token: Token, program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): () => string {
  let said = '';
  const child = spawn(program, args, { cwd: token.home, env: { ...token.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => { said += chunk.toString(); });
  running.push(child);
  return () => said;
}

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; tries < 100 && !what(); tries++) await new Promise((done) => { setTimeout(done, 100); });
}

// sshd must be named by its whole path, and wants its folder.
const sshd = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path));
describe.skipIf(sshd === undefined || !has('ssh') || !has('ssh-agent') || process.getuid?.() !== 0)('OpenSSH, a real login', () => {
  let token: Token;
  beforeAll(() => {
    token = newToken('login');
    token.tool('--keypairgen', '--key-type', 'RSA:2048', '--id', '01', '--label', 'rsa');
    token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', '02', '--label', 'ec');
    chmodSync(token.home, 0o755);
    mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    token.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', token.file('host')]);
    writeFileSync(token.file('askpass'), `#!/bin/sh\necho ${pin}\n`, { mode: 0o700 });
  });
  afterAll(() => { token.remove(); });

  test('with each key, through an agent', async () => {
    const port = await freePort();
    const keys = token.run('ssh-keygen', ['-D', modulePath]).split('\n').filter((line) => /^(ssh|ecdsa)/.test(line));
    expect(keys).toHaveLength(2);
    writeFileSync(token.file('authorized'), `${keys.join('\n')}\n`, { mode: 0o600 });
    keys.forEach((key, i) => { writeFileSync(token.file(`key${i}.pub`), `${key}\n`); });
    writeFileSync(token.file('sshd_config'), `ListenAddress 127.0.0.1\nPort ${port}\nHostKey ${token.file('host')}\nAuthorizedKeysFile ${token.file('authorized')}\n`
      + `PidFile none\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n`);
    const said = start(token, sshd!, ['-D', '-e', '-f', token.file('sshd_config')]);
    await until(() => said().includes('Server listening'));
    const ssh = `ssh -F none -p ${port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=${token.file('known')} -o IdentitiesOnly=yes`;
    const script = keys.map((_, i) => `${ssh} -i key${i}.pub ${userInfo().username}@127.0.0.1 echo in with key ${i}`).join(' && ');
    const out = token.run('ssh-agent', ['-P', '/*', 'sh', '-c', `ssh-add -s ${modulePath} </dev/null && ${script}`],
      { env: { SSH_ASKPASS: token.file('askpass'), SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' } });
    expect(out).toContain('in with key 0');
    expect(out).toContain('in with key 1');
    await until(() => said().match(/Accepted publickey/g)?.length === 2);
    expect(said().match(/Accepted publickey/g)).toHaveLength(2);
  });
});

describe.skipIf(!has('nginx') || !has('curl') || !existsSync(engine))('nginx', () => {
  let token: Token;
  beforeAll(() => {
    token = newToken('web');
    writeFileSync(token.file('openssl.cnf'), engineConfig);
    mkdirSync(token.file('logs'));
    token.tool('--keypairgen', '--key-type', 'RSA:2048', '--id', '01', '--label', 'rsa');
    token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', '02', '--label', 'ec');
  });
  afterAll(() => { token.remove(); });

  test.each(['rsa', 'ec'])('serves TLS 1.3 with the %s key from three workers under load', async (name) => {
    const port = await freePort();
    token.run('openssl', ['req', '-new', '-x509', '-engine', 'pkcs11', '-keyform', 'engine', '-key', `pkcs11:token=web;object=${name};type=private`,
      '-subj', '/CN=web.test', '-addext', 'subjectAltName=DNS:web.test', '-days', '10', '-out', token.file(`${name}.pem`)], { env: { OPENSSL_CONF: token.file('openssl.cnf') } });
    writeFileSync(token.file('nginx.conf'), `worker_processes 3; pid ${token.file('nginx.pid')}; error_log ${token.file('logs/error.log')}; daemon off;\n`
      + `${process.getuid?.() === 0 ? 'user root;' : ''} ssl_engine pkcs11; env STRONGROOM_HOME; env OPENSSL_CONF; events { worker_connections 256; }\n`
      + `http { access_log off; client_body_temp_path ${token.home}; server { listen 127.0.0.1:${port} ssl; ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;\n`
      + `ssl_certificate ${token.file(`${name}.pem`)}; ssl_certificate_key "engine:pkcs11:pkcs11:token=web;object=${name};type=private;pin-value=${pin}";\n`
      + 'location / { return 200 "$ssl_protocol\\n"; } } }\n');
    start(token, 'nginx', ['-p', token.home, '-c', token.file('nginx.conf')], { OPENSSL_CONF: token.file('openssl.cnf') });
    const get = `curl -sS --cacert ${name}.pem --resolve web.test:${port}:127.0.0.1 https://web.test:${port}/`;
    await until(() => token.attempt('sh', ['-c', get]).status === 0);
    // A connection each, eight at a time: every one is a signature by some worker.
    const said = token.run('sh', ['-c', `seq 200 | xargs -P 8 -I{} ${get}`]);
    expect(said.match(/^TLSv1\.3$/gm)).toHaveLength(200);
    expect(readFileSync(token.file('logs/error.log'), 'utf8')).not.toMatch(/\[(alert|crit|emerg)\]/);
  });
});
