import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, modulePath, newToken, pin, type Token } from './token.ts';

describe.skipIf(!has('p11tool') || !has('certtool') || !has('pkcs11-tool'))('GnuTLS', () => {
  let token: Token;
  beforeAll(() => {
    token = newToken('gnutls', { GNUTLS_PIN: pin });
    writeFileSync(token.file('template'), 'cn = "gnutls"\nexpiration_days = 30\nsigning_key\n');
  });
  afterAll(() => { token.remove(); });
  const p11tool = (...args: readonly string[]): string => token.run('p11tool', ['--provider', modulePath, '--login', '--batch', ...args]);

  test.each([['rsa', ['--bits', '2048']], ['ecdsa', ['--curve', 'secp256r1']]] as const)('makes a %s key, signs a certificate with it, writes it beside', (kind, more) => {
    p11tool('--generate-privkey', kind, ...more, '--label', kind, 'pkcs11:token=gnutls');
    expect(p11tool('--test-sign', `pkcs11:token=gnutls;object=${kind};type=private`)).toMatch(/ok/);
    token.run('certtool', ['--provider', modulePath, '--generate-self-signed', '--load-privkey', `pkcs11:token=gnutls;object=${kind};type=private`,
      '--load-pubkey', `pkcs11:token=gnutls;object=${kind};type=public`, '--template', token.file('template'), '--outfile', token.file(`${kind}.pem`)]);
    expect(token.run('openssl', ['verify', '-CAfile', token.file(`${kind}.pem`), token.file(`${kind}.pem`)])).toContain('OK');
    p11tool('--write', '--load-certificate', token.file(`${kind}.pem`), '--label', `${kind}-cert`, 'pkcs11:token=gnutls');
    expect(p11tool('--list-all-certs', 'pkcs11:token=gnutls')).toContain(`${kind}-cert`);
  });

  test('changes a label and deletes', () => {
    p11tool('--set-label', 'renamed', 'pkcs11:token=gnutls;object=rsa-cert;type=cert');
    expect(p11tool('--list-all-certs', 'pkcs11:token=gnutls')).toContain('renamed');
    p11tool('--delete', 'pkcs11:token=gnutls;object=renamed;type=cert');
    expect(p11tool('--list-all-certs', 'pkcs11:token=gnutls')).not.toContain('renamed');
  });
});

describe.skipIf(!has('ssh-keygen') || !has('pkcs11-tool'))('OpenSSH', () => {
  let token: Token;
  beforeAll(() => {
    token = newToken('ssh');
    token.tool('--keypairgen', '--key-type', 'RSA:2048', '--id', '01', '--label', 'rsa');
    token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', '02', '--label', 'ec');
  });
  afterAll(() => { token.remove(); });

  test('ssh-keygen -D lists the public keys', () => {
    const keys = token.run('ssh-keygen', ['-D', modulePath]);
    expect(keys).toMatch(/^ssh-rsa /m);
    expect(keys).toMatch(/^ecdsa-sha2-nistp256 /m);
  });

  test('an agent signs with them', () => {
    writeFileSync(token.file('askpass'), `#!/bin/sh\necho ${pin}\n`, { mode: 0o700 });
    writeFileSync(token.file('message'), 'signed through the agent');
    const keys = token.run('ssh-keygen', ['-D', modulePath]).split('\n').filter((line) => /^(ssh|ecdsa)/.test(line));
    const script = keys.map((key, i) => {
      writeFileSync(token.file(`key${i}.pub`), `${key}\n`);
      writeFileSync(token.file(`allowed${i}`), `me ${key}\n`);
      return `ssh-keygen -Y sign -f key${i}.pub -n test message && ssh-keygen -Y verify -f allowed${i} -I me -n test -s message.sig < message && rm message.sig`;
    }).join(' && ');
    const said = token.run('ssh-agent', ['-P', '/*', 'sh', '-c', `ssh-add -s ${modulePath} </dev/null && ${script}`],
      { env: { SSH_ASKPASS: token.file('askpass'), SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' } });
    expect(said.match(/Good "test" signature/g)).toHaveLength(keys.length);
  });
});

describe.skipIf(!has('certutil') || !has('modutil') || !has('pkcs11-tool'))('NSS', () => {
  let token: Token;
  beforeAll(() => {
    token = newToken('nss');
    mkdirSync(token.file('db'));
    writeFileSync(token.file('pin'), `${pin}\n`);
    writeFileSync(token.file('pins'), `nss:${pin}\n`);
    writeFileSync(token.file('noise'), 'x'.repeat(64));
    token.run('certutil', ['-N', '-d', token.file('db'), '--empty-password']);
    token.run('modutil', ['-dbdir', token.file('db'), '-add', 'strongroom', '-libfile', modulePath, '-force']);
  });
  afterAll(() => { token.remove(); });
  const certutil = (...args: readonly string[]): string => token.run('certutil', [...args, '-d', token.file('db'), '-h', 'nss', '-f', token.file('pin')]);

  test('modutil lists the module and its token', () => {
    expect(token.run('modutil', ['-dbdir', token.file('db'), '-list', 'strongroom'])).toMatch(/Token Name: nss/);
  });

  test.each([['rsa', ['-g', '2048']], ['ec', ['-q', 'nistp256']]] as const)('certutil makes a certificate on an %s key', (kind, more) => {
    certutil('-S', '-n', kind, '-s', `CN=${kind}`, '-x', '-t', 'CTu,CTu,CTu', '-k', kind, ...more, '-z', token.file('noise'), '-v', '12');
    expect(certutil('-K')).toContain(`nss:${kind}`);
    expect(certutil('-L')).toContain(`nss:${kind}`);
  });

  test.skipIf(!has('cmsutil'))('cmsutil signs with it and reads the signature', () => {
    writeFileSync(token.file('message'), 'signed by NSS');
    certutil('-M', '-n', 'nss:rsa', '-t', 'CTu,CTu,CTu');
    token.run('cmsutil', ['-S', '-d', token.file('db'), '-N', 'nss:rsa', '-i', token.file('message'), '-o', token.file('message.cms'), '-f', token.file('pins'), '-G']);
    expect(readFileSync(token.file('message.cms')).length).toBeGreaterThan(500);
    expect(token.run('cmsutil', ['-D', '-d', token.file('db'), '-i', token.file('message.cms'), '-f', token.file('pins')])).toContain('signed by NSS');
  });
});

const kitClient = '/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so';
describe.skipIf(!has('p11-kit') || !existsSync(kitClient) || !has('pkcs11-tool'))('p11-kit', () => {
  test('serves the module to another process', () => {
    const token = newToken('kit');
    try {
      const far = `pkcs11-tool --module ${kitClient} --token-label kit --login --pin ${pin}`;
      const said = token.run('sh', ['-c', `eval $(p11-kit server -n ${token.file('socket')} --provider ${modulePath} 'pkcs11:token=kit') && `
        + `${far} --keypairgen --key-type RSA:2048 --id 01 --label far && echo hello > message && `
        + `${far} --sign --mechanism SHA256-RSA-PKCS --id 01 --input-file message --output-file sig && `
        + `${far} --verify --mechanism SHA256-RSA-PKCS --id 01 --input-file message --signature-file sig; ended=$?; kill $P11_KIT_SERVER_PID; exit $ended`]);
      expect(said).toContain('Signature is valid');
    } finally {
      token.remove();
    }
  });
});
