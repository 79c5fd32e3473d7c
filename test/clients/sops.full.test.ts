// sops, the front-end of a KMS that most git repositories see: files whose values are encrypted, their data key under ours.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goProgram, lacking } from './built.ts';
import { keysOf, type Keys } from './kms.ts';
import { clientServer, type Served } from './running.ts';
import { Workshop } from './workshop.ts';

const why = lacking('go');
describe.skipIf(why !== undefined)(why === undefined ? 'sops' : `sops (${why})`, () => {
  let sops: string;
  let server: Served;
  let keys: Keys;
  let shop: Workshop;
  let first: string;
  let second: string;
  beforeAll(async () => {
    sops = goProgram('github.com/getsops/sops/v3/cmd/sops@v3.13.3');
    server = await clientServer();
    keys = keysOf(server);
    shop = new Workshop('sops', server.env);
    [first, second] = await Promise.all([keys.create(), keys.create()]) as [string, string];
  }, 3_600_000);
  afterAll(async () => {
    shop?.remove();
    await server?.stop();
  });

  const documents = {
    'secret.yaml': 'db:\n    user: app\n    password: correct horse\nlist:\n    - one\n    - 2\n',
    'secret.json': '{\n\t"password": "correct horse",\n\t"port": 5432\n}\n',
    'secret.env': 'PASSWORD=correct horse\nPORT=5432\n',
    'secret.ini': '[db]\npassword = correct horse\n',
    'secret.bin': 'bytes \u0001\u0002 correct horse\n',
  };
  const seal = (name: string, ...more: string[]): string => shop.run(sops, ['encrypt', '--kms', first, ...more, name]);

  it.each(Object.entries(documents))('%s goes round', (name, text) => {
    shop.file(name, text);
    const sealed = seal(name);
    expect(sealed).not.toContain('correct horse');
    expect(sealed).toContain(first);
    const out = name.replace('secret', 'sealed');
    shop.file(out, sealed);
    expect(shop.run(sops, ['decrypt', out]).trim()).toBe(text.trim());
  });

  it('edits a value in place', () => {
    shop.file('set.yaml', seal('secret.yaml'));
    shop.run(sops, ['set', 'set.yaml', '["db"]["password"]', '"battery staple"']);
    expect(shop.run(sops, ['decrypt', '--extract', '["db"]["password"]', 'set.yaml'])).toBe('battery staple');
  });

  it('rotates the data key', () => {
    shop.file('rotate.yaml', seal('secret.yaml'));
    const before = /enc: (\S+)/.exec(shop.read('rotate.yaml'))?.[1];
    shop.run(sops, ['rotate', '-i', 'rotate.yaml']);
    expect(/enc: (\S+)/.exec(shop.read('rotate.yaml'))?.[1]).not.toBe(before);
    expect(shop.run(sops, ['decrypt', 'rotate.yaml'])).toContain('correct horse');
  });

  it('adds a second master key, and either opens', async () => {
    shop.file('two.yaml', seal('secret.yaml'));
    shop.run(sops, ['rotate', '-i', '--add-kms', second, 'two.yaml']);
    expect(shop.read('two.yaml')).toContain(second);
    await keys.disable(first);
    try {
      expect(shop.run(sops, ['decrypt', 'two.yaml'])).toContain('correct horse');
    } finally {
      await keys.enable(first);
    }
  });

  it('removes a master key, and it opens nothing any more', async () => {
    shop.run(sops, ['rotate', '-i', '--rm-kms', first, 'two.yaml']);
    expect(shop.read('two.yaml')).not.toContain(first);
    await keys.disable(second);
    expect(shop.refused(sops, ['decrypt', 'two.yaml'])).toMatch(/DisabledException/);
    await keys.enable(second);
    expect(shop.run(sops, ['decrypt', 'two.yaml'])).toContain('correct horse');
  });

  it('binds an encryption context', () => {
    shop.file('context.yaml', shop.run(sops, ['encrypt', '--kms', first, '--encryption-context', 'team:core,env:prod', 'secret.yaml']));
    expect(shop.read('context.yaml')).toContain('team: core');
    expect(shop.run(sops, ['decrypt', 'context.yaml'])).toContain('correct horse');
  });

  it('refuses a context that was edited', () => {
    shop.file('edited.yaml', shop.read('context.yaml').replace('team: core', 'team: other'));
    expect(shop.refused(sops, ['decrypt', 'edited.yaml'])).toMatch(/InvalidCiphertextException/);
  });

  it('refuses a data key that was edited', () => {
    const sealed = seal('secret.json');
    const enc = /"enc": "([^"]+)"/.exec(sealed)?.[1] ?? '';
    const bytes = Buffer.from(enc, 'base64');
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 4;
    shop.file('tampered.json', sealed.replace(enc, bytes.toString('base64')));
    expect(shop.refused(sops, ['decrypt', 'tampered.json'])).toMatch(/InvalidCiphertextException/);
  });

  it('refuses a value that was edited', () => {
    shop.file('value.json', seal('secret.json').replace(/(ENC\[AES256_GCM,data:)(.)/, (_, head: string, c: string) => `${head}${c === 'A' ? 'B' : 'A'}`));
    expect(shop.refused(sops, ['decrypt', 'value.json'])).toMatch(/MAC|authentication|decrypt/i);
  });

  it('splits the data key by Shamir: two of two groups are needed', async () => {
    shop.file('groups.yaml', `creation_rules:\n  - path_regex: shamir\n    shamir_threshold: 2\n    key_groups:\n      - kms:\n          - arn: ${first}\n      - kms:\n          - arn: ${second}\n`);
    shop.file('shamir.yaml', documents['secret.yaml']);
    shop.run(sops, ['--config', 'groups.yaml', 'encrypt', '-i', 'shamir.yaml']);
    expect(shop.run(sops, ['decrypt', 'shamir.yaml'])).toContain('correct horse');
    await keys.disable(second);
    expect(shop.refused(sops, ['decrypt', 'shamir.yaml'])).toMatch(/DisabledException|Failed to get the data key/);
    await keys.enable(second);
    expect(shop.run(sops, ['decrypt', 'shamir.yaml'])).toContain('correct horse');
  });

  it('takes an alias', async () => {
    await keys.alias('alias/sops', first);
    const arn = first.replace(/key\/.*/, 'alias/sops');
    shop.file('alias.json', shop.run(sops, ['encrypt', '--kms', arn, 'secret.json']));
    expect(shop.run(sops, ['decrypt', 'alias.json'])).toContain('correct horse');
  });

  it('gives a program its secrets', () => {
    shop.file('exec.env', seal('secret.env'));
    expect(shop.run(sops, ['exec-env', 'exec.env', 'echo got $PASSWORD'])).toBe('got correct horse\n');
  });

  it('says NotFoundException where the key is not there', () => {
    expect(shop.refused(sops, ['encrypt', '--kms', first.replace(/key\/.*/, 'key/00000000-0000-4000-8000-000000000000'), 'secret.json'])).toMatch(/NotFoundException/);
  });

  it('gets nothing with another secret', () => {
    shop.file('stranger.json', seal('secret.json'));
    expect(shop.refused(sops, ['decrypt', 'stranger.json'], { env: { AWS_ACCESS_KEY_ID: 'AKIANOBODYKNOWSTHIS0', AWS_SECRET_ACCESS_KEY: 'x'.repeat(40) } })).toMatch(/UnrecognizedClientException/);
  });
});
