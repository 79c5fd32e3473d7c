// cosign with its key in KMS: signatures and attestations without a transparency log (none can be reached), judged by openssl too.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goProgram, lacking } from './built.ts';
import { keysOf, type Keys } from './kms.ts';
import { clientServer, type Served } from './running.ts';
import { Workshop } from './workshop.ts';

const why = lacking('go');
describe.skipIf(why !== undefined)(why === undefined ? 'cosign' : `cosign (${why})`, () => {
  let cosign: string;
  let server: Served;
  let keys: Keys;
  let shop: Workshop;
  beforeAll(async () => {
    cosign = goProgram('github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3');
    server = await clientServer();
    keys = keysOf(server);
    shop = new Workshop('cosign', { ...server.env, AWS_REGION: 'us-east-1', SIGSTORE_NO_CACHE: 'true' });
    shop.file('release.bin', 'a release\n');
    shop.file('other.bin', 'another release\n');
    // No transparency log, no timestamp authority: what is signed, and where it is told.
    shop.file('signing.json', '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}');
  }, 3_600_000);
  afterAll(async () => {
    shop?.remove();
    await server?.stop();
  });

  const offline = ['--use-signing-config=false', '--new-bundle-format=false', '--tlog-upload=false', '-y'];
  const ref = (key: string): string => `awskms:///${key}`;
  const verify = (key: string, sig: string, blob: string): readonly string[] => ['verify-blob', '--key', key, '--signature', sig, '--insecure-ignore-tlog=true', '--new-bundle-format=false', blob];

  it('generates a key pair in KMS, under an alias of its choice', () => {
    shop.run(cosign, ['generate-key-pair', '--kms', ref('alias/cosign')]);
    expect(shop.read('cosign.pub')).toContain('BEGIN PUBLIC KEY');
    expect(shop.openssl('pkey', '-pubin', '-in', 'cosign.pub', '-noout', '-text')).toContain('prime256v1');
  });

  it('signs a file by alias, and verifies it', () => {
    shop.run(cosign, ['sign-blob', '--key', ref('alias/cosign'), ...offline, '--output-signature', 'release.sig', 'release.bin']);
    expect(shop.try(cosign, verify('cosign.pub', 'release.sig', 'release.bin')).stderr).toContain('Verified OK');
  });

  it('openssl agrees', () => {
    shop.file('release.raw', Buffer.from(shop.read('release.sig'), 'base64'));
    expect(shop.openssl('dgst', '-sha256', '-verify', 'cosign.pub', '-signature', 'release.raw', 'release.bin')).toContain('Verified OK');
  });

  it('verifies with the key in KMS', () => {
    expect(shop.try(cosign, verify(ref('alias/cosign'), 'release.sig', 'release.bin')).stderr).toContain('Verified OK');
  });

  it('refuses another file', () => {
    shop.refused(cosign, verify('cosign.pub', 'release.sig', 'other.bin'));
  });

  it('prints the public key', () => {
    expect(shop.run(cosign, ['public-key', '--key', ref('alias/cosign')])).toBe(shop.read('cosign.pub'));
  });

  it('makes a bundle, and verifies it', () => {
    shop.run(cosign, ['sign-blob', '--key', ref('alias/cosign'), '--signing-config', 'signing.json', '-y', '--bundle', 'release.bundle', 'release.bin']);
    expect((JSON.parse(shop.read('release.bundle')) as Record<string, unknown>)['messageSignature']).toBeDefined();
    expect(shop.try(cosign, ['verify-blob', '--key', 'cosign.pub', '--bundle', 'release.bundle', '--insecure-ignore-tlog=true', 'release.bin']).stderr).toContain('Verified OK');
  });

  it('attests a file, and verifies the predicate', () => {
    shop.file('predicate.json', JSON.stringify({ builder: 'us', at: 1 }));
    const attested = ['--key', ref('alias/cosign'), '--predicate', 'predicate.json', '--type', 'custom', ...offline, '--output-attestation', 'release.att', '--output-signature', 'release.dsse', 'release.bin'];
    shop.run(cosign, ['attest-blob', ...attested]);
    expect(shop.try(cosign, ['verify-blob-attestation', '--key', 'cosign.pub', '--signature', 'release.dsse', '--type', 'custom', '--insecure-ignore-tlog=true', '--new-bundle-format=false', 'release.bin']).stderr).toContain('Verified OK');
  });

  it('openssl agrees on the attestation', () => {
    const envelope = JSON.parse(shop.read('release.dsse')) as { payload: string; payloadType: string; signatures: { sig: string }[] };
    const payload = Buffer.from(envelope.payload, 'base64');
    shop.file('dsse', Buffer.concat([Buffer.from(`DSSEv1 ${envelope.payloadType.length} ${envelope.payloadType} ${payload.length} `), payload]));
    shop.file('dsse.raw', Buffer.from(envelope.signatures[0]?.sig ?? '', 'base64'));
    expect(shop.openssl('dgst', '-sha256', '-verify', 'cosign.pub', '-signature', 'dsse.raw', 'dsse')).toContain('Verified OK');
    expect(payload.toString()).toContain(createHash('sha256').update('a release\n').digest('hex'));
  });

  it.each([
    ['ECC_NIST_P384', '-sha384', []],
    ['ECC_NIST_P521', '-sha512', []],
    ['RSA_2048', '-sha256', []],
    ['RSA_4096', '-sha256', []],
  ] as const)('signs with a %s key, takes its first algorithm, openssl agrees', async (KeySpec, digest, more) => {
    const arn = await keys.create({ KeySpec, KeyUsage: 'SIGN_VERIFY' });
    shop.run(cosign, ['sign-blob', '--key', ref(arn), ...offline, '--output-signature', `${KeySpec}.sig`, 'release.bin']);
    shop.file(`${KeySpec}.pub`, shop.run(cosign, ['public-key', '--key', ref(arn)]));
    shop.file(`${KeySpec}.raw`, Buffer.from(shop.read(`${KeySpec}.sig`), 'base64'));
    expect(shop.openssl('dgst', digest, ...more, '-verify', `${KeySpec}.pub`, '-signature', `${KeySpec}.raw`, 'release.bin')).toContain('Verified OK');
  });

  it('cannot sign with a disabled key', async () => {
    const arn = await keys.create({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    await keys.disable(arn);
    expect(shop.refused(cosign, ['sign-blob', '--key', ref(arn), ...offline, '--output-signature', 'no.sig', 'release.bin'])).toMatch(/DisabledException/);
  });
});
