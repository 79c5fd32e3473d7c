import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, privateDecrypt, publicEncrypt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCore, type NativeCore } from '../../src/hsm/native.ts';
import { packContext } from '../../src/hsm/context.ts';
import type { SigV4Request } from '../../src/hsm/core.ts';
import {
  Reader, block16, canonicalContext, closeEnvelope, closeSealed, derive, examples, fingerprint, joinShares, openAccount, openCms, openCredential, openEnvelope, openImportToken, openRoot,
  openSealed, packNames, readKeyFile, readShare, recordMac, slotKeyOfAnswer, slotKeyOfPassphrase, writeAccount, writeCredential, writeKeyFile, writeRoot, type Names,
} from './reader.ts';

const of = (page: Readonly<Record<string, Buffer>>) => (name: string): Buffer => {
  const bytes = page[name];
  if (bytes === undefined) throw new Error(`no example ${name}`);
  return bytes;
};
const hex = (bytes: Buffer): string => bytes.toString('hex');

/** A request as a client signs it, for whoever has the secret. */
function signed(secret: string): SigV4Request {
  const mac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
  const canonical = 'POST\n/\n\nhost:a\n\nhost\n';
  const toSign = `AWS4-HMAC-SHA256\n20260101T000000Z\n20260101/us-east-1/kms/aws4_request\n${sha(canonical + sha(''))}`;
  const key = ['us-east-1', 'kms', 'aws4_request'].reduce((k, step) => mac(k, step), mac(`AWS4${secret}`, '20260101'));
  return {
    date: '20260101', region: 'us-east-1', service: 'kms', timestamp: '20260101T000000Z', canonical: Buffer.from(canonical), body: Buffer.alloc(0),
    signature: mac(key, toSign).toString('hex'), nowMs: 0,
  };
}

describe('the worked examples, by a reader written from the pages', () => {
  const sealed = of(examples('sealed'));
  const root = of(examples('root'));
  const envelope = of(examples('envelope'));
  const record = of(examples('record'));

  test('sealed.md', () => {
    const label = sealed('label').toString();
    expect(hex(derive(sealed('key'), `seal:${label}`, Buffer.concat([sealed('nonce'), sealed('context')]), 64))).toBe(hex(sealed('keys')));
    expect(hex(closeSealed(sealed('key'), label, sealed('context'), sealed('clear'), sealed('nonce')))).toBe(hex(sealed('sealed')));
    expect(hex(openSealed(sealed('key'), label, sealed('context'), sealed('sealed')))).toBe(hex(sealed('clear')));
  });

  test('root.md', () => {
    const file = readKeyFile(root('keyfile'));
    const opened = openRoot(root('header'), () => file.slotKey);
    expect(hex(opened.key)).toBe(hex(root('root_key')));
    expect(hex(file.rootId)).toBe(hex(root('root_id')));
    expect(hex(writeKeyFile(file.rootId, file.slotKey))).toBe(hex(root('keyfile')));
    expect(hex(writeRoot(opened, 1, Buffer.alloc(0), file.slotKey, root('header').subarray(36, 52)))).toBe(hex(root('header')));
    const byPassphrase = openRoot(root('passphrase_header'), (_, params) => slotKeyOfPassphrase(root('passphrase').toString(), params));
    expect(hex(byPassphrase.key)).toBe(hex(root('root_key')));
    const shares = ['share_1', 'share_2', 'share_3'].map((name) => readShare(root(name).toString()));
    for (const some of [[0, 1], [2, 0], [1, 2]]) {
      const byShares = openRoot(root('shares_header'), (kind, params) => {
        expect([kind, hex(params)]).toEqual([3, `${hex(shares[0]!.set)}0203`]);
        return joinShares(some.map((i) => shares[i]!));
      });
      expect(hex(byShares.key)).toBe(hex(root('root_key')));
    }
    const byAnswer = openRoot(root('held_header'), (kind, params) => {
      expect([kind, params.toString()]).toEqual([4, root('note').toString()]);
      return slotKeyOfAnswer(file.slotKey, root('answer'));
    });
    expect(hex(byAnswer.key)).toBe(hex(root('root_key')));
    const account = openAccount(opened, root('account').toString(), root('account_sealed'));
    expect(hex(account.key)).toBe(hex(root('account_key')));
    expect(hex(writeAccount(opened, account, root('account_sealed').subarray(29, 45)))).toBe(hex(root('account_sealed')));
    const id = root('id').toString();
    const credential = openCredential(account, id, root('credential'));
    expect(credential).toEqual({ expires: 0n, principal: 'arn:aws:iam::111122223333:root', secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' });
    expect(hex(writeCredential(account, id, 0n, credential.principal, credential.secret, root('credential').subarray(4, 20)))).toBe(hex(root('credential')));
  });

  test('envelope.md', () => {
    const names = { account: '111122223333', objectId: '1234abcd-12ab-34cd-56ef-1234567890ab', materialId: '00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef' };
    const context = { tenant: 'a', purpose: 'é' };
    expect(hex(canonicalContext(context))).toBe(hex(envelope('context')));
    expect(hex(Buffer.from(packContext(context)))).toBe(hex(envelope('pairs')));
    expect(hex(derive(envelope('key'), 'envelope', Buffer.concat([packNames(names), envelope('nonce')]), 64))).toBe(hex(envelope('keys')));
    expect(hex(closeEnvelope(envelope('key'), names, context, envelope('plain'), envelope('nonce')))).toBe(hex(envelope('blob')));
    expect(hex(openEnvelope(envelope('key'), names, context, envelope('blob')))).toBe(hex(envelope('plain')));
    expect(() => openEnvelope(envelope('key'), names, { tenant: 'b' }, envelope('blob'))).toThrow();
  });

  test('import.md', () => {
    const example = of(examples('import'));
    const account = openAccount(openRoot(root('header'), () => readKeyFile(root('keyfile')).slotKey), root('account').toString(), root('account_sealed'));
    const spec = { type: 0x80000001, param: 256 };
    expect(hex(fingerprint(account, example('object_id').toString(), spec, example('material')))).toBe(hex(example('fingerprint')));
  });

  test('record.md', () => {
    const opened = openRoot(root('header'), () => readKeyFile(root('keyfile')).slotKey);
    const version = record('version').readBigUInt64BE();
    expect(hex(recordMac(opened, record('table').toString(), record('key').toString(), version, record('body')))).toBe(hex(record('mac')));
  });
});

describe('what the core writes, opened from the key file down', () => {
  const folder = mkdtempSync(join(tmpdir(), 'formats-'));
  const keyFile = join(folder, 'root.key');
  let core: NativeCore;
  let header: Buffer;
  beforeAll(() => {
    core = loadCore({ arenaSize: 4 << 20 });
    header = core.createRoot('dev', { how: 'keyfile', path: keyFile });
  });
  afterAll(() => {
    core.close();
    rmSync(folder, { recursive: true });
  });
  const openedRoot = () => openRoot(header, () => readKeyFile(readFileSync(keyFile)).slotKey);

  test('a record MAC', () => {
    const body = Buffer.from('{"a":1}');
    expect(hex(core.recordMac('keys', 'k', 3, body))).toBe(hex(recordMac(openedRoot(), 'keys', 'k', 3n, body)));
  });

  test('an access key', () => {
    const { sealed, partition } = core.createPartition('444455556666');
    const account = openAccount(openedRoot(), '444455556666', sealed);
    const made = core.createCredential(core.serviceSession(), partition, 'AKIAEXAMPLE', 'arn:aws:iam::444455556666:root', 5, { from: 'made' }, true);
    const opened = openCredential(account, 'AKIAEXAMPLE', made.sealed);
    expect(opened.secret).toBe(made.shown?.bytes.toString('latin1'));
    expect(opened.secret).toMatch(/^[A-Za-z0-9+/]{40}$/);
    expect([opened.expires, opened.principal]).toEqual([5n, 'arn:aws:iam::444455556666:root']);
    made.shown?.release();
    core.closePartition(partition);
  });

  test('an import token, and what it brings in', async () => {
    const { sealed, partition } = core.createPartition('121212121212');
    const account = openAccount(openedRoot(), '121212121212', sealed);
    const service = core.serviceSession();
    const objectId = '1234abcd-12ab-34cd-56ef-1234567890ab';
    const { publicKey, token } = await core.importBegin(service, partition, objectId, 'oaepSha256', 2048, 77);
    const opened = openImportToken(account, objectId, token);
    expect([opened.expires, opened.way, opened.bits]).toEqual([77n, 1, 2048]);
    const secret = createPrivateKey({ key: opened.privateKey, format: 'der', type: 'pkcs8' });
    expect(hex(createPublicKey(secret).export({ format: 'der', type: 'spki' }))).toBe(hex(publicKey));

    const material = Buffer.alloc(32, 9);
    const wrapped = publicEncrypt({ key: createPublicKey(secret), oaepHash: 'sha256' }, material);
    const spec = { type: 0x80000001, param: 256 };
    const brought = await core.importFinish(service, partition, objectId, token, wrapped, 76, spec, []);
    expect(hex(brought.fingerprint)).toBe(hex(fingerprint(account, objectId, spec, material)));
    await expect(core.importFinish(service, partition, objectId, token, wrapped, 77, spec, [])).rejects.toMatchObject({ code: 'HSM_E_EXPIRED' });
    core.closePartition(partition);
  });

  test('CMS for a recipient', () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const cms = core.recipientRandom(core.serviceSession(), 48, publicKey.export({ format: 'der', type: 'spki' }));
    expect(openCms(cms, (wrapped) => privateDecrypt({ key: privateKey, oaepHash: 'sha256' }, wrapped))).toHaveLength(48);
  });

  test('a KMS key, and the other way round: an envelope the reader wrote', () => {
    const names: Names = { account: '777788889999', objectId: 'mrk-1234abcd12ab34cd56ef1234567890ab', materialId: 'ab'.repeat(32) };
    const { sealed, partition } = core.createPartition(names.account);
    const account = openAccount(openedRoot(), names.account, sealed);
    const service = core.serviceSession();
    const key = core.generate(service, partition, { type: 0x80000001, param: 256 }, []);
    const object = core.seal(service, key, { objectId: names.objectId, materialId: names.materialId });
    const open = object.readUInt8();
    const where = Buffer.concat([Buffer.of(open), block16(Buffer.from(names.account)), block16(Buffer.from(names.objectId)), block16(Buffer.from(names.materialId))]);
    const clear = openSealed(account.key, 'object', where, object.subarray(1));
    const material = new Reader(clear.subarray(-36)).block32();         // its last field, object.md
    expect(material.length).toBe(32);

    const credential = core.createCredential(service, partition, 'AKIA', 'p', 0, { from: 'made' }, false);
    const caller = core.verifySigV4(credential.key, signed(openCredential(account, 'AKIA', credential.sealed).secret));
    const context = { a: 'b', ä: '' };
    const pairs = packContext(context);
    const theirs = core.envelopeSeal(caller, key, pairs, Buffer.from('from the core'));
    expect(openEnvelope(material, names, context, theirs).toString()).toBe('from the core');
    const blob = closeEnvelope(material, names, context, Buffer.from('from the reader'), Buffer.alloc(16, 7));
    expect(core.envelopePeek(blob)).toEqual(names);
    const plain = core.payload(4096);
    core.envelopeOpen(caller, key, pairs, blob, plain);
    expect(plain.bytes.toString()).toBe('from the reader');
    plain.release();
    core.closePartition(partition);
  });
});
