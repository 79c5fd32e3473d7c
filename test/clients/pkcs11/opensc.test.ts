import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, modulePath, newToken, type Token } from './token.ts';

describe.skipIf(!has('pkcs11-tool'))('OpenSC pkcs11-tool', () => {
  let token: Token;
  beforeAll(() => { token = newToken('opensc'); });
  afterAll(() => { token.remove(); });

  test('sees the module, its slots and its mechanisms', () => {
    const info = token.run('pkcs11-tool', ['--module', modulePath, '-I']);
    expect(info).toContain('Cryptoki version 3.2');
    expect(info).toContain('Strongroom');
    const slots = token.run('pkcs11-tool', ['--module', modulePath, '-L']);
    expect(slots).toContain('token label        : opensc');
    expect(slots).toMatch(/token state: +uninitialized/);
    const mechanisms = token.run('pkcs11-tool', ['--module', modulePath, '-M']);
    for (const one of ['AES-GCM', 'RSA-PKCS-PSS', 'RSA-PKCS-OAEP', 'ECDSA-SHA256', 'EDDSA', 'ECDH1-DERIVE', 'SHA3-256']) expect(mechanisms).toContain(one);
  });

  const pairs: readonly (readonly [string, string, string])[] = [
    ['RSA:2048', '01', 'rsa'], ['EC:prime256v1', '02', 'p256'], ['EC:secp384r1', '03', 'p384'], ['EC:secp521r1', '04', 'p521'],
    ['EC:secp256k1', '05', 'k256'], ['EC:edwards25519', '06', 'ed'],
  ];
  test.each(pairs)('makes a %s pair', (type, id, label) => {
    const said = token.tool('--keypairgen', '--key-type', type, '--id', id, '--label', label, '--usage-sign', '--usage-decrypt', '--usage-derive');
    expect(said).toContain('Key pair generated');
    expect(said).toMatch(/Access: +sensitive, always sensitive, never extractable, local/);
  });

  test('passes its own tests', () => {
    const said = token.tool('--test');
    expect(said).toContain('No errors');
    expect(said).not.toMatch(/ERR:|FAILED/);
  });

  test('passes its tests of EC keys, of a key pair and certificate as Mozilla makes them, of forks', () => {
    expect(token.tool('--session-rw', '--test-ec', '--key-type', 'EC:secp256r1', '--id', '55', '--label', 'made by the test')).toContain('==> OK');
    token.run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'moz.pem', '-subj', '/CN=moz', '-outform', 'DER', '-out', 'moz.der']);
    expect(token.tool('--session-rw', '--moz-cert', 'moz.der', '--id', '56', '--key-type', 'RSA:2048')).not.toContain('ERR');
    expect(token.run('pkcs11-tool', ['--module', modulePath, '--test-fork'])).not.toMatch(/CKR_(?!CRYPTOKI_ALREADY)/);
  });

  // It waits for half a minute whatever happens.
  test.skipIf(process.env['STRONGROOM_TEST_FULL'] === undefined)('passes its test of threads', () => {
    const threads = ['GISL', 'GISL', 'GISL'].flatMap((steps) => ['--test-threads', steps]);
    expect(token.run('pkcs11-tool', ['--module', modulePath, ...threads]).match(/Test thread \d returning rv = 0/g)).toHaveLength(3);
  });

  test.each(['RSA:3072', 'RSA:4096', 'EC:secp224r1', 'EC:curve25519'])('makes a %s pair', (type) => {
    expect(token.tool('--keypairgen', '--key-type', type, '--id', '60', '--label', 'further')).toContain('Key pair generated');
  });

  test.each(['AES:16', 'AES:24', 'AES:32', 'GENERIC:20', 'GENERIC:64'])('makes a secret key %s', (type) => {
    expect(token.tool('--keygen', '--key-type', type, '--id', '61', '--label', 'secret')).toContain('Key generated');
  });

  const signatures: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['SHA256-RSA-PKCS', '01', 'rsa', []],
    ['SHA512-RSA-PKCS', '01', 'rsa', []],
    ['SHA256-RSA-PKCS-PSS', '01', 'rsa', []],
    ['SHA3-256-RSA-PKCS', '01', 'rsa', []],
    ['ECDSA-SHA256', '02', 'p256', []],
    ['ECDSA-SHA384', '03', 'p384', []],
    ['ECDSA-SHA512', '04', 'p521', []],
    ['ECDSA-SHA256', '05', 'k256', []],
    ['EDDSA', '06', 'ed', []],
  ];
  test.each(signatures)('signs and verifies with %s (key %s)', (mechanism, id, _label, more) => {
    writeFileSync(token.file('message'), 'a message to be signed');
    token.tool('--sign', '--mechanism', mechanism, '--id', id, '--input-file', token.file('message'), '--output-file', token.file('sig'), ...more);
    const good = token.tool('--verify', '--mechanism', mechanism, '--id', id, '--input-file', token.file('message'), '--signature-file', token.file('sig'), ...more);
    expect(good).toContain('Signature is valid');
    writeFileSync(token.file('message2'), 'another message');
    const bad = token.attempt('pkcs11-tool', ['--module', modulePath, '--token-label', 'opensc', '--login', '--pin', '1234', '--verify', '--mechanism', mechanism, '--id', id,
      '--input-file', token.file('message2'), '--signature-file', token.file('sig'), ...more]);
    expect(bad.stdout + bad.stderr).toContain('Invalid signature');
  });

  test('what it signed, OpenSSL verifies', () => {
    writeFileSync(token.file('message'), 'for somebody else');
    for (const [mechanism, id] of [['SHA256-RSA-PKCS', '01'], ['ECDSA-SHA256', '02']] as const) {
      token.tool('--sign', '--mechanism', mechanism, '--id', id, '--signature-format', 'openssl', '--input-file', token.file('message'), '--output-file', token.file('sig'));
      token.tool('--read-object', '--type', 'pubkey', '--id', id, '--output-file', token.file('pub.der'));
      const said = token.run('openssl', ['dgst', '-sha256', '-verify', token.file('pub.der'), '-keyform', 'DER', '-signature', token.file('sig'), token.file('message')]);
      expect(said).toContain('Verified OK');
    }
  });

  test('decrypts with OAEP over SHA-256 what OpenSSL encrypted', () => {
    writeFileSync(token.file('secret'), 'the plaintext');
    token.tool('--read-object', '--type', 'pubkey', '--id', '01', '--output-file', token.file('pub.der'));
    token.run('openssl', ['pkeyutl', '-encrypt', '-pubin', '-keyform', 'DER', '-inkey', token.file('pub.der'), '-in', token.file('secret'), '-out', token.file('sealed'),
      '-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', 'rsa_oaep_md:sha256', '-pkeyopt', 'rsa_mgf1_md:sha256']);
    token.tool('--decrypt', '--mechanism', 'RSA-PKCS-OAEP', '--hash-algorithm', 'SHA256', '--mgf', 'MGF1-SHA256', '--id', '01',
      '--input-file', token.file('sealed'), '--output-file', token.file('clear'));
    expect(readFileSync(token.file('clear'), 'utf8')).toBe('the plaintext');
  });

  test('encrypts and decrypts with AES', () => {
    token.tool('--keygen', '--key-type', 'AES:32', '--id', '10', '--label', 'aes', '--sensitive', '--usage-decrypt');
    writeFileSync(token.file('clear'), 'x'.repeat(1000));
    const iv = '000102030405060708090a0b0c0d0e0f';
    token.tool('--encrypt', '--mechanism', 'AES-CBC-PAD', '--iv', iv, '--id', '10', '--input-file', token.file('clear'), '--output-file', token.file('sealed'));
    token.tool('--decrypt', '--mechanism', 'AES-CBC-PAD', '--iv', iv, '--id', '10', '--input-file', token.file('sealed'), '--output-file', token.file('back'));
    expect(readFileSync(token.file('back'), 'utf8')).toBe('x'.repeat(1000));
  });

  test('digests', () => {
    writeFileSync(token.file('message'), 'abc');
    for (const [mechanism, name] of [['SHA256', 'sha256'], ['SHA3-256', 'sha3-256'], ['SHA-1', 'sha1']] as const) {
      token.tool('--hash', '--mechanism', mechanism, '--input-file', token.file('message'), '--output-file', token.file('digest'));
      expect(readFileSync(token.file('digest')).toString('hex')).toBe(createHash(name).update('abc').digest('hex'));
    }
  });

  test('agrees on a secret with ECDH', () => {
    token.run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', token.file('peer.pem')]);
    token.run('openssl', ['ec', '-in', token.file('peer.pem'), '-pubout', '-outform', 'DER', '-out', token.file('peer.der')]);
    token.tool('--derive', '--mechanism', 'ECDH1-DERIVE', '--id', '02', '--input-file', token.file('peer.der'), '--output-file', token.file('ours'));
    token.tool('--read-object', '--type', 'pubkey', '--id', '02', '--output-file', token.file('pub.der'));
    token.run('openssl', ['ec', '-pubin', '-inform', 'DER', '-in', token.file('pub.der'), '-out', token.file('pub.pem')]);
    token.run('openssl', ['pkeyutl', '-derive', '-inkey', token.file('peer.pem'), '-peerkey', token.file('pub.pem'), '-out', token.file('theirs')]);
    expect(readFileSync(token.file('ours')).equals(readFileSync(token.file('theirs')))).toBe(true);
  });

  test('keeps certificates and data, changes and deletes', () => {
    token.run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', token.file('k.pem'), '-subj', '/CN=kept', '-outform', 'DER', '-out', token.file('c.der')]);
    token.tool('--write-object', token.file('c.der'), '--type', 'cert', '--id', '20', '--label', 'kept');
    expect(token.tool('-O', '--type', 'cert')).toMatch(/subject: +DN: CN=kept/);
    token.tool('--read-object', '--type', 'cert', '--id', '20', '--output-file', token.file('c2.der'));
    expect(readFileSync(token.file('c2.der')).equals(readFileSync(token.file('c.der')))).toBe(true);
    writeFileSync(token.file('blob'), 'some data');
    token.tool('--write-object', token.file('blob'), '--type', 'data', '--label', 'blob', '--application-label', 'test');
    expect(token.tool('-O', '--type', 'data')).toContain('blob');
    token.tool('--delete-object', '--type', 'cert', '--id', '20');
    expect(token.tool('-O', '--type', 'cert')).not.toContain('kept');
  });

  test('imports a private key that then stays', () => {
    token.run('openssl', ['genrsa', '-out', token.file('in.pem'), '2048']);
    token.run('openssl', ['rsa', '-in', token.file('in.pem'), '-outform', 'DER', '-out', token.file('in.der')]);
    token.tool('--write-object', token.file('in.der'), '--type', 'privkey', '--id', '30', '--label', 'brought', '--usage-sign');
    expect(token.tool('-O', '--type', 'privkey')).toContain('brought');
    writeFileSync(token.file('message'), 'signed by what was brought');
    token.tool('--sign', '--mechanism', 'SHA256-RSA-PKCS', '--id', '30', '--input-file', token.file('message'), '--output-file', token.file('sig'));
    token.run('openssl', ['rsa', '-in', token.file('in.pem'), '-pubout', '-out', token.file('in.pub')]);
    expect(token.run('openssl', ['dgst', '-sha256', '-verify', token.file('in.pub'), '-signature', token.file('sig'), token.file('message')])).toContain('Verified OK');
  });

  test('changes the PIN, and the old one is wrong', () => {
    token.run('pkcs11-tool', ['--module', modulePath, '--token-label', 'opensc', '--login', '--pin', '1234', '--change-pin', '--new-pin', '4321']);
    const old = token.attempt('pkcs11-tool', ['--module', modulePath, '--token-label', 'opensc', '--login', '--pin', '1234', '-O']);
    expect(old.stdout + old.stderr).toContain('CKR_PIN_INCORRECT');
    token.run('pkcs11-tool', ['--module', modulePath, '--token-label', 'opensc', '--login', '--pin', '4321', '--change-pin', '--new-pin', '1234']);
  });

  test.skipIf(!has('softhsm2-util'))('softhsm2-util shows it', () => {
    expect(token.run('softhsm2-util', ['--module', modulePath, '--show-slots'])).toMatch(/Label: +opensc/);
  });
});
