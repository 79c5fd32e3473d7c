// The real AWS CLI with nothing but the files the server wrote; openssl judges public-key results.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pythonClients } from './built.ts';
import { startServer, type Running } from './running.ts';

let server: Running;
let work: string;
let aws: string;

beforeAll(async () => {
  aws = join(pythonClients(), 'aws');
  work = mkdtempSync(join(tmpdir(), 'strongroom-cli-'));
  server = await startServer();
});
afterAll(async () => {
  await server?.stop();
  rmSync(work, { recursive: true, force: true });
});

type Json = Record<string, unknown> & { KeyMetadata?: Record<string, unknown> };

const run = (args: string[], env: NodeJS.ProcessEnv = server.env): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(aws, args, { env, encoding: 'utf8', cwd: work });
const kms = (...args: string[]): Json => {
  const { status, stdout, stderr } = run(['kms', ...args]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return stdout.trim() === '' ? {} : (JSON.parse(stdout) as Json);
};
const refused = (...args: string[]): string => {
  const { status, stderr } = run(['kms', ...args]);
  expect(status).not.toBe(0);
  return stderr;
};
const createKey = (...args: string[]): string => String(kms('create-key', ...args).KeyMetadata?.['KeyId']);
const file = (name: string, bytes: Buffer | string): string => {
  const path = join(work, name);
  writeFileSync(path, bytes);
  return `fileb://${path}`;
};
const blob = (value: unknown): Buffer => Buffer.from(String(value), 'base64');

describe('AWS CLI v1', () => {
  it('encrypts and decrypts with an encryption context', () => {
    const key = createKey('--description', 'first');
    const sealed = kms('encrypt', '--key-id', key, '--plaintext', file('plain', 'attack at dawn'), '--encryption-context', 'purpose=test,zone=a');
    const opened = kms('decrypt', '--ciphertext-blob', file('sealed', blob(sealed['CiphertextBlob'])), '--encryption-context', 'zone=a,purpose=test');
    expect(blob(opened['Plaintext']).toString()).toBe('attack at dawn');
    expect(String(opened['KeyId'])).toMatch(new RegExp(`^arn:aws:kms:us-east-1:000000000000:key/${key}$`));
    expect(refused('decrypt', '--ciphertext-blob', file('sealed', blob(sealed['CiphertextBlob'])), '--encryption-context', 'zone=b')).toContain('InvalidCiphertextException');
  });

  it('refuses every single-byte change of a blob', () => {
    const key = createKey();
    const sealed = blob(kms('encrypt', '--key-id', key, '--plaintext', file('p', 'x'))['CiphertextBlob']);
    for (const at of [0, 5, 20, 60, sealed.length - 1]) {
      const broken = Buffer.from(sealed);
      broken[at] = (broken[at] ?? 0) ^ 1;
      expect(refused('decrypt', '--ciphertext-blob', file('b', broken), '--key-id', key)).toMatch(/InvalidCiphertextException|IncorrectKeyException|AccessDeniedException/);
    }
  });

  it('makes data keys that decrypt', () => {
    const key = createKey();
    const made = kms('generate-data-key', '--key-id', key, '--key-spec', 'AES_256');
    expect(blob(made['Plaintext'])).toHaveLength(32);
    const opened = kms('decrypt', '--ciphertext-blob', file('dk', blob(made['CiphertextBlob'])));
    expect(blob(opened['Plaintext'])).toEqual(blob(made['Plaintext']));
    expect(kms('generate-data-key-without-plaintext', '--key-id', key, '--number-of-bytes', '64')['Plaintext']).toBeUndefined();
  });

  it.each([
    ['RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_256', ['-sha256']],
    ['RSA_3072', 'RSASSA_PSS_SHA_384', ['-sha384', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest']],
    ['ECC_NIST_P256', 'ECDSA_SHA_256', ['-sha256']],
    ['ECC_NIST_P384', 'ECDSA_SHA_384', ['-sha384']],
    ['ECC_NIST_P521', 'ECDSA_SHA_512', ['-sha512']],
    ['ECC_SECG_P256K1', 'ECDSA_SHA_256', ['-sha256']],
  ] as const)('signs with %s and %s, and openssl agrees', (spec, algorithm, options) => {
    const key = createKey('--key-spec', spec, '--key-usage', 'SIGN_VERIFY');
    const message = file('message', 'a message to sign');
    const signed = kms('sign', '--key-id', key, '--message', message, '--signing-algorithm', algorithm);
    const pub = kms('get-public-key', '--key-id', key);
    file('pub.der', blob(pub['PublicKey']));
    file('sig', blob(signed['Signature']));
    execFileSync('openssl', ['pkey', '-pubin', '-inform', 'DER', '-in', 'pub.der', '-out', 'pub.pem'], { cwd: work });
    const judged = execFileSync('openssl', ['dgst', ...options, '-verify', 'pub.pem', '-signature', 'sig', 'message'], { cwd: work, encoding: 'utf8' });
    expect(judged).toContain('Verified OK');
    expect(kms('verify', '--key-id', key, '--message', message, '--signing-algorithm', algorithm, '--signature', file('sig', blob(signed['Signature'])))['SignatureValid']).toBe(true);
    expect(refused('verify', '--key-id', key, '--message', file('other', 'another message'), '--signing-algorithm', algorithm, '--signature', `fileb://${join(work, 'sig')}`)).toContain('KMSInvalidSignatureException');
  });

  it('decrypts what openssl encrypted with RSA-OAEP', () => {
    const key = createKey('--key-spec', 'RSA_2048', '--key-usage', 'ENCRYPT_DECRYPT');
    file('rsa.der', blob(kms('get-public-key', '--key-id', key)['PublicKey']));
    file('secret', 'from outside');
    execFileSync('openssl', ['pkeyutl', '-encrypt', '-pubin', '-keyform', 'DER', '-inkey', 'rsa.der', '-in', 'secret', '-out', 'oaep',
      '-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', 'rsa_oaep_md:sha256', '-pkeyopt', 'rsa_mgf1_md:sha256'], { cwd: work });
    const opened = kms('decrypt', '--key-id', key, '--ciphertext-blob', `fileb://${join(work, 'oaep')}`, '--encryption-algorithm', 'RSAES_OAEP_SHA_256');
    expect(blob(opened['Plaintext']).toString()).toBe('from outside');
  });

  it('makes MACs and refuses wrong ones', () => {
    const key = createKey('--key-spec', 'HMAC_256', '--key-usage', 'GENERATE_VERIFY_MAC');
    const mac = kms('generate-mac', '--key-id', key, '--message', file('m', 'm'), '--mac-algorithm', 'HMAC_SHA_256');
    expect(blob(mac['Mac'])).toHaveLength(32);
    expect(kms('verify-mac', '--key-id', key, '--message', file('m', 'm'), '--mac-algorithm', 'HMAC_SHA_256', '--mac', file('mac', blob(mac['Mac'])))['MacValid']).toBe(true);
    expect(refused('verify-mac', '--key-id', key, '--message', file('n', 'n'), '--mac-algorithm', 'HMAC_SHA_256', '--mac', file('mac', blob(mac['Mac'])))).toContain('KMSInvalidMacException');
  });

  it('keeps aliases, tags, descriptions, policies and states', () => {
    const key = createKey('--tags', 'TagKey=team,TagValue=core');
    kms('create-alias', '--alias-name', 'alias/cli', '--target-key-id', key);
    expect(kms('describe-key', '--key-id', 'alias/cli').KeyMetadata?.['KeyId']).toBe(key);
    kms('update-key-description', '--key-id', key, '--description', 'new');
    expect(kms('describe-key', '--key-id', key).KeyMetadata?.['Description']).toBe('new');
    expect(kms('list-resource-tags', '--key-id', key)['Tags']).toEqual([{ TagKey: 'team', TagValue: 'core' }]);
    expect(kms('get-key-policy', '--key-id', key)['PolicyName']).toBe('default');
    kms('disable-key', '--key-id', key);
    expect(refused('encrypt', '--key-id', key, '--plaintext', file('p', 'p'))).toContain('DisabledException');
    kms('enable-key', '--key-id', key);
    expect(kms('schedule-key-deletion', '--key-id', key, '--pending-window-in-days', '7')['KeyState']).toBe('PendingDeletion');
    expect(refused('enable-key', '--key-id', key)).toContain('KMSInvalidStateException');
    kms('cancel-key-deletion', '--key-id', key);
    expect(kms('describe-key', '--key-id', key).KeyMetadata?.['KeyState']).toBe('Disabled');
    expect(JSON.stringify(kms('list-keys'))).toContain(key);
    expect(JSON.stringify(kms('list-aliases'))).toContain('alias/cli');
  });

  it('answers wrong secrets and strangers as AWS does', () => {
    const credentials = readFileSync(join(server.home, 'credentials'), 'utf8');
    const id = /aws_access_key_id\s*=\s*(\S+)/.exec(credentials)?.[1] ?? '';
    const with_ = (accessKey: string, secret: string): string =>
      run(['kms', 'list-keys'], { ...server.env, AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secret }).stderr;
    expect(with_(id, 'wrong'.repeat(8))).toMatch(/InvalidSignatureException|SignatureDoesNotMatch/);
    expect(with_('AKIANOBODYKNOWSTHIS0', 'wrong'.repeat(8))).toContain('UnrecognizedClientException');
  });

  it('knows who is calling', () => {
    const { stdout } = run(['sts', 'get-caller-identity']);
    expect(JSON.parse(stdout)).toMatchObject({ Account: '000000000000', Arn: 'arn:aws:iam::000000000000:root' });
  });

  it('leaves a trail that verifies, without plaintext', () => {
    const tail = server.cli('audit', 'tail', '--json', '-n', '200');
    expect(tail.status).toBe(0);
    for (const name of ['CreateKey', 'Encrypt', 'Decrypt', 'Sign', 'ListKeys']) expect(tail.stdout).toContain(`"${name}"`);
    expect(tail.stdout).not.toContain(Buffer.from('attack at dawn').toString('base64'));
    const verified = server.cli('audit', 'verify');
    expect(verified.stderr + verified.stdout).toMatch(/\d+ events/);
    expect(verified.status).toBe(0);
  });
});
