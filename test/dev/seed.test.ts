// Seed files: ours and local-kms's, LocalStack's tags, and known credentials; judged by Node's own crypto.
import { createHmac, generateKeyPairSync, randomBytes, randomUUID, verify } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CreateKeyCommand, DecryptCommand, DescribeKeyCommand, EncryptCommand, GenerateMacCommand, GetKeyRotationStatusCommand, KMSClient, ListAliasesCommand, ListKeyRotationsCommand, ListKeysCommand,
  ListResourceTagsCommand, SignCommand,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newHome, startServer, type Running } from '../clients/running.ts';
import { clientOf, credentialsOf, startDouble } from './double.ts';

const homes: string[] = [];
let server: Running;
let kms: KMSClient;

beforeAll(async () => {
  homes.push(newHome());
  server = await startDouble({ home: homes[0] ?? '' });
  kms = clientOf(server);
});
afterAll(async () => {
  kms?.destroy();
  await server?.stop();
  for (const home of homes) rmSync(home, { recursive: true, force: true });
});

const seedInto = (at: Running, text: string, ...args: string[]) => {
  const path = join(at.home, 'seed.yaml');
  writeFileSync(path, text);
  return at.cli('seed', path, '--json', ...args);
};
const indented = (text: string, by: number): string => text.trim().split('\n').map((line) => ' '.repeat(by) + line).join('\n');

const ids = { aes: randomUUID(), hmac: randomUUID(), rsa: randomUUID(), ec: randomUUID(), external: randomUUID(), pending: randomUUID() };
const backing = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
const macKey = randomBytes(48);
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
const ec = generateKeyPairSync('ec', { namedCurve: 'secp256k1', publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'sec1', format: 'pem' } });

const localKms = `
Keys:
  Symmetric:
    Aes:
      - Metadata:
          KeyId: ${ids.aes}
          Description: "known"
        NextKeyRotation: "2099-09-12T15:19:21+00:00"
        BackingKeys:
          - ${backing[0] ?? ''}
          - ${backing[1] ?? ''}
      - Metadata: { KeyId: ${ids.external}, Origin: EXTERNAL }
        BackingKeys: [ "${randomBytes(32).toString('hex')}" ]
      - Metadata: { KeyId: ${ids.pending}, Origin: EXTERNAL }
    Hmac:
      - Metadata: { KeyId: ${ids.hmac}, KeySpec: HMAC_384, KeyUsage: GENERATE_VERIFY_MAC }
        BackingKeys: [ "${macKey.toString('hex')}" ]
  Asymmetric:
    Rsa:
      - Metadata:
          KeyId: ${ids.rsa}
          KeyUsage: SIGN_VERIFY
        PrivateKeyPem: |
${indented(rsa.privateKey, 10)}
    Ecc:
      - Metadata:
          KeyId: ${ids.ec}
          KeyUsage: SIGN_VERIFY
        PrivateKeyPem: |
${indented(ec.privateKey, 10)}
Aliases:
  - AliasName: alias/testing
    TargetKeyId: ${ids.aes}
`;

describe('a seed file of local-kms', () => {
  it('is taken as it is, and a second time changes nothing', () => {
    const { status, stdout, stderr } = seedInto(server, localKms);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ accounts: 0, keys: 6, aliases: 1, present: 0 });
    expect(JSON.parse(seedInto(server, localKms).stdout)).toEqual({ accounts: 0, keys: 0, aliases: 0, present: 7 });
  });

  it('gives known keys', async () => {
    const signed = async (KeyId: string, SigningAlgorithm: 'RSASSA_PKCS1_V1_5_SHA_256' | 'ECDSA_SHA_256') =>
      Buffer.from((await kms.send(new SignCommand({ KeyId, SigningAlgorithm, Message: Buffer.from('hello') }))).Signature ?? []);
    expect(verify('sha256', Buffer.from('hello'), rsa.publicKey, await signed(ids.rsa, 'RSASSA_PKCS1_V1_5_SHA_256'))).toBe(true);
    expect(verify('sha256', Buffer.from('hello'), ec.publicKey, await signed(ids.ec, 'ECDSA_SHA_256'))).toBe(true);
    const { Mac } = await kms.send(new GenerateMacCommand({ KeyId: ids.hmac, MacAlgorithm: 'HMAC_SHA_384', Message: Buffer.from('hello') }));
    expect(Buffer.from(Mac ?? []).equals(createHmac('sha384', macKey).update('hello').digest())).toBe(true);
    const state = async (KeyId: string) => (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata;
    expect(await state('alias/testing')).toMatchObject({ KeyId: ids.aes, Description: 'known', KeyState: 'Enabled' });
    expect(await state(ids.external)).toMatchObject({ Origin: 'EXTERNAL', KeyState: 'Enabled', ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' });
    expect(await state(ids.pending)).toMatchObject({ Origin: 'EXTERNAL', KeyState: 'PendingImport' });
    expect((await state(ids.ec))?.KeySpec).toBe('ECC_SECG_P256K1');
    expect((await kms.send(new GetKeyRotationStatusCommand({ KeyId: ids.aes }))).NextRotationDate?.toISOString()).toBe('2099-09-12T15:19:21.000Z');
    expect((await kms.send(new ListKeyRotationsCommand({ KeyId: ids.aes }))).Rotations).toHaveLength(1);
    await kms.send(new EncryptCommand({ KeyId: ids.external, Plaintext: Buffer.from('x') }));
  });

  it('opens in one home what was encrypted in another', async () => {
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId: 'alias/testing', Plaintext: Buffer.from('fixture'), EncryptionContext: { a: 'b' } }));
    const other = await startDouble();
    const there = clientOf(other);
    try {
      expect(seedInto(other, localKms).status).toBe(0);
      expect(Buffer.from((await there.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { a: 'b' } }))).Plaintext ?? []).toString()).toBe('fixture');
    } finally {
      there.destroy();
      await other.stop();
    }
  });

  it.each([
    ['Keys: 7', /Keys is not a mapping/],
    [`Keys:\n  - KeyId: ${randomUUID()}\n    Material: { BackingKeys: ["00ff"] }`, /Keys\[0\]: the material/],
    [`Keys:\n  - KeyId: nobody`, /is not a UUID/],
    [`Keys:\n  - KeyId: ${randomUUID()}\n    Metadata: { KeySpec: ECC_NIST_P256 }\n    Material: { PrivateKeyPem: "x" }`, /no private key in the PEM/],
    [`Aliases: [ { AliasName: alias/x, TargetKeyId: ${randomUUID()} } ]`, /there is no key/],
    ['a: [', /seed\.yaml/],
  ])('is refused by name where it is wrong: %j', (text, sentence) => {
    const { status, stderr } = seedInto(server, text);
    expect(stderr).toMatch(sentence);
    expect(status).toBe(2);
  });
});

it('our own form: accounts, credentials, users, policies, tags', async () => {
  const KeyId = randomUUID();
  const { status, stderr } = seedInto(server, `
Accounts:
  - AccountId: 111122223333
    Credentials: [ { AccessKeyId: other, SecretAccessKey: "other-secret" } ]
    Users:
      - UserName: reader
        Policies:
          read: { Version: "2012-10-17", Statement: [ { Effect: Allow, Action: "kms:List*", Resource: "*" } ] }
        Credentials: [ { AccessKeyId: reader1, SecretAccessKey: "reader-secret" } ]
Keys:
  - KeyId: ${KeyId}
    Account: 111122223333
    Metadata: { KeySpec: SYMMETRIC_DEFAULT, Description: theirs, Enabled: false }
    Material: { BackingKeys: [ "${backing[0] ?? ''}" ] }
    Tags: { team: blue }
Aliases:
  - { AliasName: alias/theirs, TargetKeyId: ${KeyId} }
`);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const owner = clientOf(server, { accessKeyId: 'other', secretAccessKey: 'other-secret' });
  const reader = clientOf(server, { accessKeyId: 'reader1', secretAccessKey: 'reader-secret' });
  const wrong = clientOf(server, { accessKeyId: 'reader1', secretAccessKey: 'reader-secrex' });
  try {
    expect((await owner.send(new DescribeKeyCommand({ KeyId: 'alias/theirs' }))).KeyMetadata).toMatchObject({ KeyId, AWSAccountId: '111122223333', KeyState: 'Disabled' });
    expect((await owner.send(new ListResourceTagsCommand({ KeyId }))).Tags).toEqual([{ TagKey: 'team', TagValue: 'blue' }]);
    expect((await reader.send(new ListKeysCommand({}))).Keys?.map((key) => key.KeyId)).toEqual([KeyId]);
    await expect(reader.send(new CreateKeyCommand({}))).rejects.toMatchObject({ name: 'AccessDeniedException' });
    await expect(wrong.send(new ListKeysCommand({}))).rejects.toThrow(/signature/);
  } finally {
    for (const client of [owner, reader, wrong]) client.destroy();
  }
});

describe('LocalStack\'s tags', () => {
  it('fix a key\'s id and material; the material is not kept as a tag', async () => {
    const id = randomUUID();
    const material = randomBytes(32);
    const Tags = [{ TagKey: '_custom_id_', TagValue: id }, { TagKey: '_custom_key_material_', TagValue: material.toString('base64') }, { TagKey: 'a', TagValue: 'b' }];
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC', Tags }));
    expect(KeyMetadata?.KeyId).toBe(id);
    const { Mac } = await kms.send(new GenerateMacCommand({ KeyId: id, MacAlgorithm: 'HMAC_SHA_256', Message: Buffer.from('m') }));
    expect(Buffer.from(Mac ?? []).equals(createHmac('sha256', material).update('m').digest())).toBe(true);
    const kept = (await kms.send(new ListResourceTagsCommand({ KeyId: id }))).Tags;
    expect(kept).toEqual([{ TagKey: '_custom_id_', TagValue: id }, { TagKey: 'a', TagValue: 'b' }]);
    const trail = server.cli('audit', 'tail').stdout;
    expect(trail).not.toContain(material.toString('base64'));
    await expect(kms.send(new CreateKeyCommand({ Tags: [{ TagKey: '_custom_id_', TagValue: id }] }))).rejects.toMatchObject({ name: 'AlreadyExistsException' });
    await expect(kms.send(new CreateKeyCommand({ Tags: [{ TagKey: '_custom_id_', TagValue: 'x' }] }))).rejects.toMatchObject({ name: 'ValidationException' });
    await expect(kms.send(new CreateKeyCommand({ Tags: [{ TagKey: '_custom_key_material_', TagValue: 'AAAA' }] }))).rejects.toMatchObject({ name: 'ValidationException' });
  });
});

it('test/test is the first account\'s, and is verified', async () => {
  expect(credentialsOf(server)).toEqual({ accessKeyId: 'test', secretAccessKey: 'test' });
  expect((await kms.send(new ListAliasesCommand({}))).Aliases?.length).toBeGreaterThan(0);
  const wrong = clientOf(server, { accessKeyId: 'test', secretAccessKey: 'tess' });
  await expect(wrong.send(new ListKeysCommand({}))).rejects.toThrow(/signature/);
  wrong.destroy();
});

it('a production home takes none of it', async () => {
  const vault = await startServer();
  const there = clientOf(vault);
  try {
    expect(credentialsOf(vault).accessKeyId).not.toBe('test');
    const { status, stderr } = seedInto(vault, localKms);
    expect(status).toBe(5);
    expect(stderr).toMatch(/production mode since its root key was made/);
    const id = randomUUID();
    const { KeyMetadata } = await there.send(new CreateKeyCommand({ Tags: [{ TagKey: '_custom_id_', TagValue: id }] }));
    expect(KeyMetadata?.KeyId).not.toBe(id);
    expect(readFileSync(join(vault.home, 'credentials'), 'utf8')).not.toMatch(/= *test$/m);
  } finally {
    there.destroy();
    await vault.stop();
  }
});
