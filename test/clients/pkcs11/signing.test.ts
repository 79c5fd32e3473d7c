/** Programs that sign things with keys in the token: DNSSEC, code, mail, Java. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { engine, engineConfig, has, modulePath, newToken, pin, type Token } from './token.ts';

describe.skipIf(!has('ods-hsmutil') || !has('pkcs11-tool'))('OpenDNSSEC', () => {
  test('ods-hsmutil test: all but what nobody should sign with, and Ed448', () => {
    const token = newToken('dns');
    try {
      writeFileSync(token.file('conf.xml'), '<?xml version="1.0" encoding="UTF-8"?>\n<Configuration><RepositoryList><Repository name="strongroom">'
        + `<Module>${modulePath}</Module><TokenLabel>dns</TokenLabel><PIN>${pin}</PIN></Repository></RepositoryList></Configuration>\n`);
      const said = token.attempt('ods-hsmutil', ['-c', token.file('conf.xml'), 'test', 'strongroom']).stdout;
      for (const kind of ['1024-bit RSA', '2048-bit RSA', '4096-bit RSA', 'ECDSA Curve P-256', 'ECDSA Curve P-384', 'ED25519']) expect(said).toContain(`Generating ${kind} key... OK`);
      expect(said.match(/Signing \(RSA\/SHA\d+\) with key\.\.\. OK/g)!.length).toBeGreaterThanOrEqual(13);
      expect(said).toMatch(/ED25519 key\.\.\. OK\n.*\nSigning with key\.\.\. OK/);
      // SoftHSM2 has DSA of 1024 bits and Ed448; the rest fails there too.
      expect(said.match(/Generating .* key\.\.\. Failed/g)!.map((line) => line.replace(/Generating (.*) key.*/, '$1')))
        .toEqual(expect.arrayContaining(['1024-bit DSA', '512-bit GOST', 'ED448']));
      expect(said).toContain('Generating 64-bit random data...');
    } finally {
      token.remove();
    }
  });
});

describe.skipIf(!has('osslsigncode') || !existsSync(engine) || !has('pkcs11-tool'))('osslsigncode', () => {
  /** The smallest program that Windows would take: a DOS header, PE32+ headers, one section that returns. */
  function program(): Buffer {
    const file = Buffer.alloc(1024);
    file.write('MZ', 0);
    file.writeUInt32LE(0x40, 60);
    file.write('PE\0\0', 0x40);
    [[0x44, 0x8664], [0x46, 1], [0x54, 240], [0x56, 0x22], [0x58, 0x20b], [0x84, 6], [0x8c, 6], [0x9c, 3]].forEach(([at, value]) => { file.writeUInt16LE(value!, at!); });
    [[0x5c, 512], [0x68, 0x1000], [0x6c, 0x1000], [0x78, 0x1000], [0x7c, 512], [0x90, 0x2000], [0x94, 512], [0xc4, 16]].forEach(([at, value]) => { file.writeUInt32LE(value!, at!); });
    file.write('.text', 0x148);
    [[0x150, 16], [0x154, 0x1000], [0x158, 512], [0x15c, 512], [0x16c, 0x60000020]].forEach(([at, value]) => { file.writeUInt32LE(value!, at!); });
    file[512] = 0xc3;
    return file;
  }

  test('signs a program and verifies it', () => {
    const token = newToken('code');
    try {
      writeFileSync(token.file('openssl.cnf'), engineConfig);
      writeFileSync(token.file('a.exe'), program());
      token.tool('--keypairgen', '--key-type', 'RSA:2048', '--id', '01', '--label', 'rsa');
      token.run('openssl', ['req', '-new', '-x509', '-engine', 'pkcs11', '-keyform', 'engine', '-key', 'pkcs11:token=code;object=rsa;type=private', '-subj', '/CN=code',
        '-addext', 'extendedKeyUsage=codeSigning', '-days', '10', '-out', token.file('c.pem')], { env: { OPENSSL_CONF: token.file('openssl.cnf') } });
      token.run('osslsigncode', ['sign', '-pkcs11engine', engine, '-pkcs11module', modulePath, '-key', `pkcs11:token=code;object=rsa;type=private;pin-value=${pin}`,
        '-certs', 'c.pem', '-h', 'sha256', '-in', 'a.exe', '-out', 'b.exe']);
      expect(token.run('osslsigncode', ['verify', '-CAfile', 'c.pem', '-in', 'b.exe'])).toMatch(/Signature verification: ok/);
    } finally {
      token.remove();
    }
  });
});

describe.skipIf(!has('gnupg-pkcs11-scd') || !has('gpgsm') || !has('gpg-connect-agent') || !existsSync(engine) || !has('pkcs11-tool'))('GnuPG', () => {
  test('gpgsm signs with a key it finds in the token', () => {
    const token = newToken('gpg');
    const env = { GNUPGHOME: token.file('gnupg') };
    try {
      writeFileSync(token.file('openssl.cnf'), engineConfig);
      token.tool('--keypairgen', '--key-type', 'RSA:2048', '--id', '01', '--label', 'rsa');
      token.run('openssl', ['req', '-new', '-x509', '-engine', 'pkcs11', '-keyform', 'engine', '-key', 'pkcs11:token=gpg;object=rsa;type=private', '-subj', '/CN=gpg',
        '-addext', 'keyUsage=digitalSignature,nonRepudiation,keyCertSign', '-days', '10', '-outform', 'DER', '-out', token.file('c.der')], { env: { OPENSSL_CONF: token.file('openssl.cnf') } });
      token.tool('--write-object', token.file('c.der'), '--type', 'cert', '--id', '01', '--label', 'rsa');
      mkdirSync(env.GNUPGHOME, { mode: 0o700 });
      writeFileSync(token.file('pinentry'), `#!/bin/sh\necho OK ready\nwhile read -r word rest; do case $word in GETPIN) echo "D ${pin}"; echo OK;; BYE) echo OK; exit;; *) echo OK;; esac; done\n`, { mode: 0o700 });
      writeFileSync(token.file('gnupg/gpg-agent.conf'), `scdaemon-program /usr/bin/gnupg-pkcs11-scd\npinentry-program ${token.file('pinentry')}\n`);
      writeFileSync(token.file('gnupg/gnupg-pkcs11-scd.conf'), `providers strongroom\nprovider-strongroom-library ${modulePath}\n`);
      writeFileSync(token.file('gnupg/gpgsm.conf'), 'disable-crl-checks\n');
      const found = token.run('gpg-connect-agent', ['SCD LEARN', '/bye'], { env });
      expect(found).toMatch(/KEYPAIRINFO [0-9A-F]{40} Strongroom/);
      token.run('gpgsm', ['--batch', '--import', token.file('c.der')], { env });
      const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(token.run('gpgsm', ['--with-colons', '--list-keys'], { env }))![1]!;
      writeFileSync(token.file('gnupg/trustlist.txt'), `${fingerprint} S relax\n`);
      token.attempt('gpg-connect-agent', ['RELOADAGENT', '/bye'], { env });
      token.run('gpgsm', ['--learn-card'], { env });
      writeFileSync(token.file('message'), 'signed through gpgsm');
      token.run('gpgsm', ['--batch', '--yes', '--include-certs', '1', '--detach-sign', '--local-user', fingerprint, '--output', token.file('message.p7'), token.file('message')], { env });
      expect(token.run('openssl', ['cms', '-verify', '-inform', 'DER', '-in', token.file('message.p7'), '-content', token.file('message'), '-noverify', '-binary'])).toContain('successful');
    } finally {
      token.attempt('gpgconf', ['--kill', 'all'], { env });
      token.remove();
    }
  });
});

describe.skipIf(!has('java') || !has('keytool') || !has('pkcs11-tool'))('Java, through SunPKCS11', () => {
  let token: Token;
  beforeAll(() => {
    token = newToken('java');
    writeFileSync(token.file('sun.cfg'), `name = Strongroom\nlibrary = ${modulePath}\nslotListIndex = 0\nattributes = compatibility\n`);
  });
  afterAll(() => { token.remove(); });
  const store = ['-providerClass', 'sun.security.pkcs11.SunPKCS11', '-providerArg', 'sun.cfg', '-keystore', 'NONE', '-storetype', 'PKCS11', '-storepass', pin];

  test('a program: RSA, PSS, EC, ECDH, AES, HMAC, digests, P-521 six hundred times, key store', () => {
    const said = token.run('java', [join(import.meta.dirname, 'Jca.java'), 'sun.cfg', pin]);
    expect(said.match(/^ok /gm)).toHaveLength(48);
  });

  test.skipIf(!has('jarsigner') || !has('jar'))('keytool makes keys and certificates, jarsigner signs with them', () => {
    writeFileSync(token.file('a.txt'), 'in the archive');
    for (const [alias, ...kind] of [['rsa', '-keyalg', 'RSA', '-keysize', '2048'], ['ec', '-keyalg', 'EC', '-groupname', 'secp256r1']] as const) {
      token.run('keytool', ['-genkeypair', ...store, '-alias', alias, ...kind, '-dname', `CN=${alias}`, '-validity', '30']);
      token.run('jar', ['cf', `${alias}.jar`, 'a.txt']);
      expect(token.run('jarsigner', [...store, `${alias}.jar`, alias])).toContain('jar signed');
      expect(token.run('jarsigner', ['-verify', `${alias}.jar`])).toContain('jar verified');
    }
    expect(token.run('keytool', ['-list', ...store]).match(/PrivateKeyEntry/g)).toHaveLength(2);
  });
});
