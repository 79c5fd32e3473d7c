// AWS Encryption SDK for JavaScript. `checks`; `seal DIR`: messages for other languages; `open DIR NAME`: theirs.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildClient, CommitmentPolicy, getLocalCryptographicMaterialsCache, getClient, KMS, KmsKeyringNode, NodeCachingMaterialsManager } from '@aws-crypto/client-node';
import { CreateKeyCommand, DisableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { check, done } from './checks.mjs';

const kms = new KMSClient({});
const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const create = async () => (await kms.send(new CreateKeyCommand({}))).KeyMetadata.Arn;
const context = { purpose: 'test', zone: 'ä/b' };
const clientProvider = getClient(KMS, {});
const discovery = () => new KmsKeyringNode({ clientProvider, discovery: true });
const [mode, folder, name] = process.argv.slice(2);

if (mode === 'seal') {
  const keyring = new KmsKeyringNode({ clientProvider, generatorKeyId: await create() });
  writeFileSync(join(folder, 'js.message'), (await encrypt(keyring, Buffer.from('sealed by JavaScript'), { encryptionContext: context })).result);
} else if (mode === 'open') {
  const { plaintext, messageHeader } = await decrypt(discovery(), readFileSync(join(folder, `${name}.message`)));
  assert.equal(messageHeader.encryptionContext.purpose, 'test');
  process.stdout.write(plaintext);
} else {
  const first = await create();
  const second = await create();
  const both = new KmsKeyringNode({ clientProvider, generatorKeyId: first, keyIds: [second] });

  await check('JavaScript: a mebibyte under two keys, with a context', async () => {
    const long = Buffer.alloc(1 << 20, 'strongroom');
    const { result } = await encrypt(both, long, { encryptionContext: context, frameLength: 4096 });
    const opened = await decrypt(both, result);
    assert.ok(opened.plaintext.equals(long));
    assert.equal(opened.messageHeader.encryptionContext.zone, context.zone);
    assert.equal(opened.messageHeader.encryptedDataKeys.length, 2);
  });
  await check('JavaScript: either key opens', async () => {
    const { result } = await encrypt(both, Buffer.from('x'));
    for (const key of [first, second]) assert.equal((await decrypt(new KmsKeyringNode({ clientProvider, keyIds: [key] }), result)).plaintext.toString(), 'x');
  });
  await check('JavaScript: a keyring that discovers', async () => {
    const { result } = await encrypt(both, Buffer.from('x'));
    assert.equal((await decrypt(discovery(), result)).plaintext.toString(), 'x');
  });
  await check('JavaScript: a filter by account', async () => {
    const { result } = await encrypt(both, Buffer.from('x'));
    const account = first.split(':')[4];
    const filtered = (accountIDs) => new KmsKeyringNode({ clientProvider, discovery: true, discoveryFilter: { accountIDs, partition: 'aws' } });
    assert.equal((await decrypt(filtered([account]), result)).plaintext.toString(), 'x');
    await assert.rejects(decrypt(filtered(['999999999999']), result));
  });
  await check('JavaScript: another key does not open', async () => {
    const { result } = await encrypt(both, Buffer.from('x'));
    const third = await create();
    await assert.rejects(decrypt(new KmsKeyringNode({ clientProvider, keyIds: [third] }), result));
  });
  await check('JavaScript: a flipped byte is refused', async () => {
    const { result } = await encrypt(both, Buffer.from('x'.repeat(100)));
    for (const at of [60, result.length >> 1, result.length - 5]) {
      const broken = Buffer.from(result);
      broken[at] ^= 1;
      await assert.rejects(decrypt(both, broken));
    }
  });
  await check('JavaScript: a cache of materials', async () => {
    const cached = new NodeCachingMaterialsManager({ backingMaterials: both, cache: getLocalCryptographicMaterialsCache(10), maxAge: 60_000, maxMessagesEncrypted: 10 });
    for (let i = 0; i < 5; i += 1) assert.equal((await decrypt(cached, (await encrypt(cached, Buffer.from(`m${i}`))).result)).plaintext.toString(), `m${i}`);
  });
  await check('JavaScript: a disabled key opens nothing', async () => {
    const key = await create();
    const keyring = new KmsKeyringNode({ clientProvider, generatorKeyId: key });
    const { result } = await encrypt(keyring, Buffer.from('x'));
    await kms.send(new DisableKeyCommand({ KeyId: key }));
    await assert.rejects(decrypt(keyring, result));
  });
  done();
}
