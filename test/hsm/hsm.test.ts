import { createPublicKey, createSecretKey, createHmac, diffieHellman, generateKeyPairSync, hkdfSync, publicEncrypt, constants, sign as nodeSign, verify as nodeVerify, createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { HsmError, openHsm, type KeyRequest } from '../../src/index.ts';

const hsm = await openHsm();
const session = hsm.session();
const known = new Set(hsm.mechanisms().map((m) => m.name));
const mlDsa = known.has('ML_DSA') ? [{ type: 'ml-dsa' } as const] : [];
afterAll(() => { hsm.close(); });

const code = (name: string): unknown => expect.objectContaining({ name: 'HsmError', code: name });
const spki = (der: Buffer): ReturnType<typeof createPublicKey> => createPublicKey({ key: der, format: 'der', type: 'spki' });

describe('an AES key', () => {
  test('encrypts and decrypts, with a fresh iv each time', async () => {
    const key = await session.generateKey({ type: 'aes', bits: 256, label: 'plans' });
    const blob = key.encrypt('the plan', { aad: 'invoice 7' });
    expect(blob).toHaveLength(8 + 28);
    expect(key.decrypt(blob, { aad: 'invoice 7' }).toString()).toBe('the plan');
    expect(key.encrypt('the plan').equals(key.encrypt('the plan'))).toBe(false);
    expect([key.type, key.label, key.uses]).toEqual(['aes', 'plans', ['encrypt', 'decrypt']]);
    expect(key.info()).toMatchObject({ sensitive: true, extractable: false, local: true });
  });

  test('refuses every changed bit, another aad and another key', async () => {
    const [key, other] = [await session.generateKey({ type: 'aes' }), await session.generateKey({ type: 'aes' })];
    const blob = key.encrypt('the plan', { aad: 'a' });
    for (let bit = 0; bit < blob.length * 8; bit++) {
      const changed = Buffer.from(blob);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => key.decrypt(changed, { aad: 'a' })).toThrow(code('HSM_E_CIPHERTEXT'));
    }
    expect(() => key.decrypt(blob, { aad: 'b' })).toThrow(code('HSM_E_CIPHERTEXT'));
    expect(() => key.decrypt(blob)).toThrow(code('HSM_E_CIPHERTEXT'));
    expect(() => other.decrypt(blob, { aad: 'a' })).toThrow(code('HSM_E_CIPHERTEXT'));
    expect(() => key.decrypt(blob.subarray(0, 27), { aad: 'a' })).toThrow(HsmError);
  });

  test('works into rooms, into secret memory, and on many at once', async () => {
    const key = await session.generateKey({ type: 'aes', bits: 128 });
    const room = Buffer.alloc(100);
    const length = key.encryptInto(Buffer.from('into'), room);
    expect(length).toBe(4 + 28);
    const secret = key.decryptSecret(room.subarray(0, length));
    expect(secret.bytes.toString()).toBe('into');
    secret.release();
    const plains = Array.from({ length: 300 }, (_, i) => Buffer.alloc(i, i));
    const blobs = key.encryptMany(plains, { aad: 'all' });
    expect(key.decryptMany(blobs, { aad: 'all' })).toEqual(plains);
    expect(blobs.map((blob, i) => key.decrypt(blob, { aad: 'all' }).equals(plains[i]!)).every(Boolean)).toBe(true);
    blobs[7]![20]! ^= 1;
    expect(() => key.decryptMany(blobs, { aad: 'all' })).toThrow(expect.objectContaining({ code: 'HSM_E_CIPHERTEXT', done: 7 }));
    expect(key.encryptMany([])).toEqual([]);
  });

  test('does only what it was made for', async () => {
    const key = await session.generateKey({ type: 'aes' });
    const macs = await session.generateKey({ type: 'aes', use: ['sign', 'verify'] });
    expect(() => key.mac('m')).toThrow(code('HSM_E_POLICY'));
    expect(() => key.wrap(macs)).toThrow(code('HSM_E_POLICY'));
    expect(() => macs.encrypt('m')).toThrow(code('HSM_E_POLICY'));
    expect(macs.verifyMac('m', macs.mac('m'))).toBe(true);
    expect(macs.verifyMac('n', macs.mac('m'))).toBe(false);
  });

  test('wraps keys that were made extractable, and no others', async () => {
    const kek = await session.generateKey({ type: 'aes', use: ['wrap', 'unwrap'] });
    const stays = await session.generateKey({ type: 'aes' });
    const goes = await session.generateKey({ type: 'aes', extractable: true });
    expect(() => kek.wrap(stays)).toThrow(code('HSM_E_UNEXTRACTABLE'));
    const wrapped = kek.wrap(goes);
    const back = await kek.unwrap(wrapped, { type: 'aes', label: 'back' });
    expect(back.decrypt(goes.encrypt('same key')).toString()).toBe('same key');
    expect(back.info().extractable).toBe(false);
    wrapped[5]! ^= 1;
    await expect(kek.unwrap(wrapped, { type: 'aes' })).rejects.toThrow(HsmError);
  });

  test('agrees with another implementation on what GCM is', async () => {
    const raw = Buffer.alloc(32, 9);
    const key = session.importKey(raw, { type: 'aes' });
    const blob = key.encrypt('outside', { aad: 'x' });
    const { createDecipheriv } = await import('node:crypto');
    const node = createDecipheriv('aes-256-gcm', raw, blob.subarray(0, 12)).setAAD(Buffer.from('x')).setAuthTag(blob.subarray(-16));
    expect(Buffer.concat([node.update(blob.subarray(12, -16)), node.final()]).toString()).toBe('outside');
  });
});

describe('an HMAC key', () => {
  test('makes and checks MACs with its one hash', async () => {
    const raw = Buffer.alloc(32, 3);
    const key = session.importKey(raw, { type: 'hmac', hash: 'sha384' });
    const expected = createHmac('sha384', createSecretKey(raw)).update('message').digest();
    expect(key.mac('message')).toEqual(expected);
    expect([key.verifyMac('message', expected), key.verifyMac('massage', expected), key.verifyMac('message', expected.subarray(1))]).toEqual([true, false, false]);
    const made = await session.generateKey({ type: 'hmac' });
    expect(made.mac('m')).toHaveLength(32);
    expect(made.macMany([Buffer.from('a'), Buffer.from('b')])).toEqual([made.mac('a'), made.mac('b')]);
  });
});

describe('a key pair', () => {
  const requests: readonly KeyRequest[] = [
    { type: 'ec' }, { type: 'ec', curve: 'P-384' }, { type: 'ec', curve: 'P-521' }, { type: 'ec', curve: 'secp256k1' },
    { type: 'ed25519' }, { type: 'rsa', bits: 2048 }, ...mlDsa,
  ];
  test.each(requests.map((request) => [JSON.stringify(request), request] as const))('%s signs and verifies', async (_, request) => {
    const key = await session.generateKey(request as { type: 'ec' });
    const signature = await key.sign('message');
    expect(key.verify('message', signature)).toBe(true);
    expect(key.verify('massage', signature)).toBe(false);
    signature[signature.length >> 1]! ^= 1;
    expect(key.verify('message', signature)).toBe(false);
    expect(key.verify('message', Buffer.alloc(3))).toBe(false);
    expect(key.verify('message', key.signSync('message'))).toBe(true);
    const signatures = await key.signMany([Buffer.from('a'), Buffer.from('bb')]);
    expect([key.verify('a', signatures[0]!), key.verify('bb', signatures[1]!), key.verify('a', signatures[1]!)]).toEqual([true, true, false]);
    expect(session.importPublicKey(key.publicKey).verify('message', await key.sign('message'))).toBe(true);
  });

  test('is understood by another implementation', async () => {
    const ec = await session.generateKey({ type: 'ec' });
    expect(nodeVerify('sha256', Buffer.from('m'), spki(ec.publicKey), await ec.sign('m'))).toBe(true);
    expect(nodeVerify('sha256', Buffer.from('m'), { key: spki(ec.publicKey), dsaEncoding: 'ieee-p1363' }, await ec.sign('m', { format: 'raw' }))).toBe(true);
    const p384 = await session.generateKey({ type: 'ec', curve: 'P-384' });
    expect(nodeVerify('sha384', Buffer.from('m'), p384.publicKeyPem, await p384.sign('m'))).toBe(true);
    const ed = await session.generateKey({ type: 'ed25519' });
    expect(nodeVerify(null, Buffer.from('m'), spki(ed.publicKey), await ed.sign('m'))).toBe(true);
    const rsa = await session.generateKey({ type: 'rsa', bits: 2048 });
    const pss = { key: spki(rsa.publicKey), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    expect(nodeVerify('sha256', Buffer.from('m'), pss, await rsa.sign('m'))).toBe(true);
    expect(nodeVerify('sha512', Buffer.from('m'), spki(rsa.publicKey), await rsa.sign('m', { padding: 'pkcs1', hash: 'sha512' }))).toBe(true);
    const outside = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const imported = session.importPublicKey(outside.publicKey.export({ type: 'spki', format: 'der' }));
    expect(imported.verify('m', nodeSign('sha256', Buffer.from('m'), outside.privateKey))).toBe(true);
    await expect(imported.sign('m')).rejects.toThrow(HsmError);
  });

  test('RSA opens what was encrypted to it', async () => {
    const key = await session.generateKey({ type: 'rsa', bits: 2048, use: ['encrypt', 'decrypt'] });
    const plain = await key.decrypt(key.encrypt('secret'));
    expect(plain.bytes.toString()).toBe('secret');
    plain.release();
    const outside = publicEncrypt({ key: spki(key.publicKey), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, Buffer.from('from outside'));
    const second = await key.decrypt(outside);
    expect(second.bytes.toString()).toBe('from outside');
    second.release();
    outside[9]! ^= 1;
    await expect(key.decrypt(outside)).rejects.toThrow(code('HSM_E_CIPHERTEXT'));
    await expect(key.sign('m')).rejects.toThrow(code('HSM_E_POLICY'));
  });

  test.each([{ type: 'x25519' }, { type: 'ec', curve: 'P-256', use: ['derive'] }, { type: 'ec', curve: 'P-521', use: ['derive'] }] as const)('$type $curve agrees on a key with another implementation', async (request) => {
    const mine = await session.generateKey(request);
    const theirs = request.type === 'x25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ec', { namedCurve: request.curve });
    const key = mine.agree(theirs.publicKey.export({ type: 'spki', format: 'der' })).derive({ type: 'aes', bits: 256 }, { salt: 'salt', info: 'info' });
    const agreed = diffieHellman({ privateKey: theirs.privateKey, publicKey: spki(mine.publicKey) });
    const same = session.importKey(Buffer.from(hkdfSync('sha256', agreed, 'salt', 'info', 32)), { type: 'aes' });
    expect(same.decrypt(key.encrypt('hello')).toString()).toBe('hello');
  });

  test.skipIf(!known.has('ML_KEM'))('ML-KEM gives both sides the same secret', async () => {
    const key = await session.generateKey({ type: 'ml-kem' });
    const { secret, ciphertext } = session.importPublicKey(key.publicKey).encapsulate();
    expect(ciphertext).toHaveLength(1088);
    const opened = key.decapsulate(ciphertext);
    const [a, b] = [secret.derive({ type: 'aes' }, { info: 'x' }), opened.derive({ type: 'aes' }, { info: 'x' })];
    expect(b.decrypt(a.encrypt('hello')).toString()).toBe('hello');
  });
});

describe('a sealed key', () => {
  test.each([{ type: 'aes' }, { type: 'hmac' }, { type: 'ec' }, { type: 'rsa', bits: 2048 }, ...mlDsa] as const)('$type opens under its name in its partition', async (request) => {
    const key = await session.generateKey({ ...request, label: 'kept' } as KeyRequest);
    const sealed = key.seal('orders/7');
    key.destroy();
    expect(() => key.label).toThrow(code('HSM_E_HANDLE'));
    const again = session.openKey('orders/7', sealed);
    expect([again.type, again.label]).toEqual([request.type, 'kept']);
    const other = hsm.session({ partition: 'other' });
    expect(() => session.openKey('orders/8', sealed)).toThrow(code('HSM_E_INTEGRITY'));
    expect(() => other.openKey('orders/7', sealed)).toThrow(code('HSM_E_INTEGRITY'));
    const changed = Buffer.from(sealed);
    changed[changed.length - 1]! ^= 1;
    expect(() => session.openKey('orders/7', changed)).toThrow(HsmError);
    other.close();
  });

  test('works as before when it is open', async () => {
    const [aes, ec] = [await session.generateKey({ type: 'aes' }), await session.generateKey({ type: 'ec' })];
    const [blob, signature] = [aes.encrypt('before'), await ec.sign('before')];
    const openAes = session.openKey('a', aes.seal('a')) as typeof aes;
    const openEc = session.openKey('e', ec.seal('e')) as typeof ec;
    expect(openAes.decrypt(blob).toString()).toBe('before');
    expect(openEc.verify('before', signature)).toBe(true);
    expect(ec.verify('after', await openEc.sign('after'))).toBe(true);
  });
});

describe('partitions', () => {
  test('do not see each other', async () => {
    const [a, b] = [hsm.session({ partition: 'tenant-a' }), hsm.session({ partition: 'tenant-b' })];
    const key = await a.generateKey({ type: 'aes', label: 'mine' });
    expect(a.find({ label: 'mine' })).toHaveLength(1);
    expect(b.find({ label: 'mine' })).toHaveLength(0);
    expect(b.find()).toHaveLength(0);
    const stolen = Object.assign(Object.create(Object.getPrototypeOf(key)) as object, key, { session: b.handle }) as typeof key;
    expect(() => stolen.encrypt('x')).toThrow(HsmError);
    a.close();
    b.close();
  });

  test('with a PIN open to who knows it', async () => {
    await hsm.createPartition('vault', { pin: '1234-user', officerPin: '1234-officer' });
    await expect(hsm.createPartition('vault', { pin: 'again' })).rejects.toThrow(code('HSM_E_EXISTS'));
    const outsider = hsm.session({ partition: 'vault' });
    expect(outsider.role).toBe('public');
    await expect(outsider.generateKey({ type: 'aes' })).rejects.toThrow(code('HSM_E_NOT_LOGGED_IN'));
    await expect(hsm.session({ partition: 'vault', pin: 'wrong' })).rejects.toThrow(code('HSM_E_PIN'));
    const user = await hsm.session({ partition: 'vault', pin: '1234-user' });
    expect(user.role).toBe('user');
    const key = await user.generateKey({ type: 'aes', label: 'inside' });
    expect(key.decrypt(key.encrypt('x')).toString()).toBe('x');
    user.logout();
    expect(user.role).toBe('public');
    expect(user.find({ label: 'inside' })).toHaveLength(0);
    await user.login(Buffer.from('1234-user'));
    await expect(hsm.session({ partition: 'vault', pin: 'wrong' })).rejects.toThrow(code('HSM_E_PIN'));
    (await hsm.session({ partition: 'vault', pin: '1234-user' })).close();
    user.close();
    outsider.close();
    const later = hsm.session({ partition: 'vault' });
    expect(later.role).toBe('public');
    later.close();
  });
});

describe('partitions in a home', () => {
  const homes: string[] = [];
  const home = (): string => {
    homes.push(mkdtempSync(join(tmpdir(), 'strongroom-home-')));
    return homes.at(-1)!;
  };
  afterAll(() => { for (const folder of homes) rmSync(folder, { recursive: true, force: true }); });

  test('outlive the process: the PIN opens them, a sealed key opens in them', async () => {
    const folder = home();
    const first = await openHsm({ home: folder });
    expect(() => first.session({ partition: 'tenant-a' })).toThrow(code('HSM_E_PARTITION'));
    await expect(first.createPartition('tenant-a')).rejects.toThrow(/pin must be given/);
    await first.createPartition('tenant-a', { pin: '246810' });
    await first.createPartition('tenant-b', { pin: '135790' });
    const a = await first.session({ partition: 'tenant-a', pin: '246810' });
    const key = await a.generateKey({ type: 'aes', label: 'kept' });
    const [sealed, blob] = [key.seal('orders'), key.encrypt('before')];
    first.close();

    const second = await openHsm({ home: folder });
    await expect(second.session({ partition: 'tenant-a', pin: '135790' })).rejects.toThrow(code('HSM_E_PIN'));
    const again = await second.session({ partition: 'tenant-a', pin: '246810' });
    const opened = again.openKey('orders', sealed) as typeof key;
    expect([opened.decrypt(blob).toString(), opened.label]).toEqual(['before', 'kept']);
    const b = await second.session({ partition: 'tenant-b', pin: '135790' });
    expect(() => b.openKey('orders', sealed)).toThrow(HsmError);
    second.close();
  });

  test('are 0600 files in a 0700 folder, without a PIN or key in them', async () => {
    const folder = join(home(), 'new');
    const one = await openHsm({ home: folder });
    await one.createPartition('p', { pin: 'correct horse', officerPin: 'battery staple' });
    one.close();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, 'p.partition')).mode & 0o777).toBe(0o600);
    for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile())) {
      expect(readFileSync(join(folder, file)).includes('horse')).toBe(false);
      expect(readFileSync(join(folder, file)).includes('staple')).toBe(false);
    }
  });

  test('change their PIN by the old one, or by the officer', async () => {
    const folder = home();
    const one = await openHsm({ home: folder });
    await one.createPartition('p', { pin: 'first', officerPin: 'officer' });
    const user = await one.session({ partition: 'p', pin: 'first' });
    await expect(one.setPin(user, 'second', { old: 'wrong' })).rejects.toThrow(code('HSM_E_PIN'));
    await one.setPin(user, 'second', { old: 'first' });
    user.close();
    await expect(one.session({ partition: 'p', pin: 'first' })).rejects.toThrow(code('HSM_E_PIN'));
    const officer = await one.session({ partition: 'p', pin: 'officer', role: 'officer' });
    expect(officer.role).toBe('officer');
    await one.setPin(officer, 'third');
    officer.close();
    (await one.session({ partition: 'p', pin: 'third' })).close();
    one.close();
  });
});

describe('a session', () => {
  test('ends for good', async () => {
    const one = hsm.session();
    const key = await one.generateKey({ type: 'aes' });
    one.close();
    one.close();
    expect(() => key.encrypt('x')).toThrow(code('HSM_E_SESSION'));
    await expect(one.generateKey({ type: 'aes' })).rejects.toThrow(code('HSM_E_SESSION'));
  });

  test('gives random bytes and digests', () => {
    expect(session.random(0)).toHaveLength(0);
    expect(session.random(100).equals(session.random(100))).toBe(false);
    for (const hash of ['sha224', 'sha256', 'sha384', 'sha512', 'sha3-256', 'sha3-384', 'sha3-512'] as const) {
      expect(session.digest(hash, 'abc')).toEqual(createHash(hash).update('abc').digest());
    }
  });

  test('says what is wrong with a request', async () => {
    await expect(session.generateKey({ type: 'des' } as never)).rejects.toThrow(/type must be one of aes/);
    await expect(session.generateKey({ type: 'aes', bits: 100 as never })).rejects.toThrow(HsmError);
    await expect(session.generateKey({ type: 'aes', use: ['everything'] as never })).rejects.toThrow(/use must be of/);
    await expect(session.generateKey({ type: 'ec', curve: 'P-1' as never })).rejects.toThrow(HsmError);
    expect(() => hsm.session({ partition: '../etc' })).toThrow(TypeError);
  });
});

describe('a pool', () => {
  test('lends at most its size, in order', async () => {
    const pool = hsm.pool({ partition: 'pooled', size: 2 });
    let [now, most] = [0, 0];
    const order: number[] = [];
    await Promise.all(Array.from({ length: 10 }, (_, i) => pool.use(async (lent) => {
      most = Math.max(most, ++now);
      await lent.generateKey({ type: 'aes' });
      await new Promise((done) => setImmediate(done));
      order.push(i);
      now--;
    })));
    expect([most, pool.size]).toEqual([2, 2]);
    expect(order).toEqual([...order].sort((a, b) => a - b));
    pool.close();
    await expect(pool.use(() => 1)).rejects.toThrow(code('HSM_E_STATE'));
  });

  test('gives up waiting, replaces what was closed, refuses who waits when it closes', async () => {
    const pool = hsm.pool({ size: 1, timeoutMs: 20 });
    let free = (): void => undefined;
    const held = pool.use(() => new Promise<void>((done) => { free = done; }));
    await expect(pool.use(() => 1)).rejects.toThrow(code('HSM_E_LIMIT'));
    free();
    await held;
    await pool.use((lent) => { lent.close(); });
    expect(await pool.use((lent) => lent.random(4).length)).toBe(4);
    const last = pool.use(() => new Promise<void>((done) => { free = done; }));
    const waiting = pool.use(() => 1);
    pool.close();
    await expect(waiting).rejects.toThrow(code('HSM_E_STATE'));
    free();
    await last;
    expect(pool.size).toBe(0);
  });
});

describe('the HSM', () => {
  test('says what it is', () => {
    const info = hsm.info();
    expect(info).toMatchObject({ state: 'ready', why: '', approvedOnly: false });
    expect(info.library).toMatch(/^AWS-LC/);
    expect(['memfd_secret', 'locked', 'plain']).toContain(info.memory.kind);
    expect(info.sessions).toBeGreaterThan(0);
    expect(hsm.mechanisms().map((m) => m.name)).toContain('AES_GCM');
  });

  test('tests itself on demand', async () => {
    const report = await hsm.selfTest();
    expect(report.passed).toBe(true);
    for (const name of report.tests) expect(await hsm.selfTest(name)).toEqual({ passed: true, tests: [name] });
    await expect(hsm.selfTest('no such test')).rejects.toThrow(HsmError);
  });

  test('limits sessions, and closes with everything in it', async () => {
    const second = await openHsm({ maxSessions: 2 });
    const open = [second.session(), second.session({ partition: 'p' })];
    expect(() => second.session()).toThrow(code('HSM_E_LIMIT'));
    open[0]!.close();
    const third = second.session();
    second.close();
    second.close();
    expect([third.isOpen, open[1]!.isOpen]).toEqual([false, false]);
    expect(() => second.session()).toThrow(code('HSM_E_STATE'));
    expect(session.random(4)).toHaveLength(4);
  });
});
