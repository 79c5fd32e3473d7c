// OpenTofu's state and plan encryption by its built-in aws_kms key provider. `terraform_data` is built in too: nothing is downloaded.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goModule, lacking } from './built.ts';
import { keysOf, type Keys } from './kms.ts';
import { clientServer, type Served } from './running.ts';
import { Workshop } from './workshop.ts';

const why = lacking('go');
describe.skipIf(why !== undefined)(why === undefined ? 'OpenTofu' : `OpenTofu (${why})`, () => {
  let program: string;
  let server: Served;
  let keys: Keys;
  let shop: Workshop;
  let first: string;
  let second: string;
  beforeAll(async () => {
    program = goModule('tofu', 'github.com/opentofu/opentofu/cmd/tofu');
    server = await clientServer();
    keys = keysOf(server);
    shop = new Workshop('tofu', { ...server.env, AWS_REGION: 'us-east-1', CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1' });
    [first, second] = await Promise.all([keys.create(), keys.create()]) as [string, string];
  }, 3_600_000);
  afterAll(async () => {
    shop?.remove();
    await server?.stop();
  });

  const tofu = (...args: string[]): string => shop.run(program, [...args, '-no-color']);
  const provider = (name: string, key: string): string => `    key_provider "aws_kms" "${name}" {\n      kms_key_id = "${key}"\n      region = "us-east-1"\n      key_spec = "AES_256"\n    }\n`
    + `    method "aes_gcm" "${name}" {\n      keys = key_provider.aws_kms.${name}\n    }\n`;
  const configure = (secret: string, providers: string, state: string, plan = state): string => shop.file('main.tf', `terraform {\n  encryption {\n${providers}    state {\n      ${state}\n    }\n    plan {\n      ${plan}\n    }\n  }\n}\n`
    + `resource "terraform_data" "held" {\n  input = "${secret}"\n}\noutput "held" {\n  value = terraform_data.held.output\n}\n`);

  it('encrypts the state under a data key of ours', () => {
    configure('hunter2', provider('a', first), 'method = method.aes_gcm.a\n      enforced = true');
    tofu('init');
    tofu('apply', '-auto-approve');
    const state = shop.read('terraform.tfstate');
    expect(state).not.toContain('hunter2');
    expect(Object.keys(JSON.parse(state) as object)).toEqual(expect.arrayContaining(['encrypted_data', 'meta']));
  });

  it('reads it again: nothing to change', () => {
    expect(tofu('plan', '-detailed-exitcode')).toContain('No changes');
    expect(tofu('output', 'held')).toContain('hunter2');
  });

  it('encrypts a plan, and applies it', () => {
    configure('hunter3', provider('a', first), 'method = method.aes_gcm.a\n      enforced = true');
    tofu('plan', '-out', 'next.plan');
    expect(shop.bytes('next.plan').includes('encrypted_data')).toBe(true);
    tofu('apply', 'next.plan');
    expect(tofu('output', 'held')).toContain('hunter3');
  });

  it('reads nothing while the key is disabled', async () => {
    await keys.disable(first);
    expect(shop.refused(program, ['output', '-no-color', 'held'])).toMatch(/DisabledException|decrypt/i);
    await keys.enable(first);
    expect(tofu('output', 'held')).toContain('hunter3');
  });

  it('refuses a state that was edited', () => {
    const whole = shop.read('terraform.tfstate');
    const state = JSON.parse(whole) as { encrypted_data: string };
    const bytes = Buffer.from(state.encrypted_data, 'base64');
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    shop.file('terraform.tfstate', JSON.stringify({ ...state, encrypted_data: bytes.toString('base64') }));
    expect(shop.refused(program, ['output', '-no-color', 'held'])).toMatch(/decrypt/i);
    shop.file('terraform.tfstate', whole);
  });

  it('changes the key, the old one as fallback', () => {
    const fallback = 'method = method.aes_gcm.b\n      fallback {\n        method = method.aes_gcm.a\n      }';
    configure('hunter4', provider('a', first) + provider('b', second), fallback);
    tofu('apply', '-auto-approve');
    expect(tofu('output', 'held')).toContain('hunter4');
  });

  it('needs the old key no longer', async () => {
    configure('hunter4', provider('b', second), 'method = method.aes_gcm.b\n      enforced = true');
    await keys.disable(first);
    expect(tofu('plan', '-detailed-exitcode')).toContain('No changes');
    await keys.enable(first);
  });

  it('refuses an encrypted state without the key provider', () => {
    shop.file('main.tf', 'resource "terraform_data" "held" {\n  input = "x"\n}\n');
    expect(shop.refused(program, ['plan', '-no-color'])).toMatch(/encrypt/i);
  });
});
