// The Cryptoki module in a program of its own: known keys brought in, used by eight threads, and searched for from another process, at
// work, idle, in the core of the idle program, after destroying, logging out and finalising. Where the search itself is on trial, the
// same program runs without memfd_secret, so that its arena can be read: each form that is looked for is there.
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { coreOf, Host, leavesCores, type Attribute } from './host.ts';
import { aesNeedles, ecKey, ecNeedles, ed25519Key, ed25519Needles, hmacNeedles, mlDsaKey, mlDsaNeedles, nonceNeedles, pinNeedles, rsaKey, rsaNeedles } from './keys.ts';
import { scan, scanFile, scanFileForSchedules, scanForSchedules, type Hit, type Needle } from './scan.ts';

const CKA = { CLASS: 0, TOKEN: 1, PRIVATE: 2, VALUE: 0x11, KEY_TYPE: 0x100, ENCRYPT: 0x104, DECRYPT: 0x105, SIGN: 0x108, MODULUS: 0x120, EC_PARAMS: 0x180, PARAMETER_SET: 0x61d, SEED: 0x637 } as const;
const CKM = { RSA_PKCS: 1, RSA_PKCS_PSS: 0xd, SHA256_RSA_PKCS: 0x40, SHA256_HMAC: 0x251, AES_CBC: 0x1082, AES_GCM: 0x1087, AES_CMAC: 0x108a, ECDSA: 0x1041, EDDSA: 0x1057, ML_DSA: 0x1d } as const;

const whole = process.env['STRONGROOM_TEST_FULL'] !== undefined;
const homes: string[] = [];
const newHome = (): string => homes[homes.push(mkdtempSync(join(tmpdir(), 'strongroom-secrecy-'))) - 1]!;
afterAll(() => { for (const home of homes) rmSync(home, { recursive: true, force: true }); });

const pins = { so: 'MarkerOfTheOfficerQ7vXz3nWt9Lk', user: 'MarkerOfTheUserB2mRc8yHs4Gd1Fp' };
const marker = Buffer.from('a marker that lies in ordinary memory');
const inRegister: Needle = { label: 'register', bytes: marker.subarray(0, 16).map((byte) => byte ^ 0xff) };
const message = Buffer.from('a message that everybody may see, of more than thirty-two bytes');
const digest = createHash('sha256').update(message).digest();

function makeKeys() {
  return { aes256: randomBytes(32), aes128: randomBytes(16), hmac: randomBytes(32), ec: ecKey(), rsa: rsaKey(), ed25519: ed25519Key(), mlDsa: mlDsaKey() };
}
type Keys = ReturnType<typeof makeKeys>;

const needlesOf = ({ aes256, aes128, hmac, ec, rsa, ed25519, mlDsa }: Keys): readonly Needle[] => [
  ...aesNeedles('aes256', aes256), ...aesNeedles('aes128', aes128), ...hmacNeedles('hmac', hmac), ...ecNeedles('ec', ec), ...rsaNeedles('rsa', rsa),
  ...ed25519Needles('ed25519', ed25519, [message]), ...mlDsaNeedles('mldsa', mlDsa), ...pinNeedles('so-pin', pins.so), ...pinNeedles('user-pin', pins.user),
  { label: 'control', bytes: marker },
];

/** Brings the keys in as C_CreateObject takes them, and gives each its work. The first job's results are ECDSA signatures. */
async function furnish(host: Host, { aes256, aes128, hmac, ec, rsa, ed25519, mlDsa }: Keys): Promise<readonly Buffer[]> {
  await host.token(pins.so, pins.user);
  await host.keep(marker);
  const create = (klass: number, type: number, ...more: readonly Attribute[]): Promise<bigint> =>
    host.create([[CKA.CLASS, klass], [CKA.KEY_TYPE, type], [CKA.TOKEN, true], [CKA.PRIVATE, true], ...more]);
  const ecObject = await create(3, 3, [CKA.EC_PARAMS, Buffer.from('06082a8648ce3d030107', 'hex')], [CKA.VALUE, ec.scalar], [CKA.SIGN, true]);
  const first = await host.job(ecObject, CKM.ECDSA, digest);
  const edObject = await create(3, 0x40, [CKA.EC_PARAMS, Buffer.from('06032b6570', 'hex')], [CKA.VALUE, ed25519.seed], [CKA.SIGN, true]);
  await host.job(edObject, CKM.EDDSA, message);
  const mlObject = await create(3, 0x4a, [CKA.PARAMETER_SET, 2], [CKA.SEED, mlDsa.seed], [CKA.SIGN, true]);
  await host.job(mlObject, CKM.ML_DSA, message);
  const parts = (['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const).map((name, i): Attribute => [[CKA.MODULUS, 0x122, 0x123, 0x124, 0x125, 0x126, 0x127, 0x128][i]!, rsa.parts[name]]);
  const rsaObject = await create(3, 0, ...parts, [CKA.SIGN, true], [CKA.DECRYPT, true]);
  await host.job(rsaObject, CKM.SHA256_RSA_PKCS, message);
  const aesObject = await create(4, 0x1f, [CKA.VALUE, aes256], [CKA.ENCRYPT, true], [CKA.DECRYPT, true], [CKA.SIGN, true]);
  const sealed = await host.job(aesObject, CKM.AES_GCM, message);
  await host.job(aesObject, CKM.AES_GCM, sealed, true);
  await host.job(aesObject, CKM.AES_CMAC, message);
  const aes128Object = await create(4, 0x1f, [CKA.VALUE, aes128], [CKA.ENCRYPT, true], [CKA.DECRYPT, true]);
  await host.job(aes128Object, CKM.AES_GCM, message);
  const blocks = await host.job(aes128Object, CKM.AES_CBC, message.subarray(0, 32));
  await host.job(aes128Object, CKM.AES_CBC, blocks, true);
  const hmacObject = await create(4, 0x10, [CKA.VALUE, hmac], [CKA.SIGN, true]);
  await host.job(hmacObject, CKM.SHA256_HMAC, message);
  return [first];
}

/** What the module holds while it works, so what a search would find were it not hidden. */
const forms = [
  'aes-128', 'aes-256', 'aes128', 'aes128-round-keys', 'aes128-ghash', 'aes256', 'aes256-round-keys', 'aes256-ghash', 'hmac', 'hmac-midstate', 'ec-scalar', 'ed25519-seed', 'ed25519-scalar', 'ed25519-nonce',
  'mldsa-seed', 'mldsa-K', 'mldsa-short', 'rsa-d', 'rsa-p', 'rsa-q', 'rsa-dp', 'rsa-dq', 'rsa-qi', 'rsa-qi-montgomery', 'rsa-square-of-R',
];

const nobody = process.getuid?.() === 0 ? 65534 : undefined;
const seconds = (n: number): Promise<void> => new Promise((done) => { setTimeout(done, n * 1000); });
const isControl = ({ label }: Hit): boolean => label === 'control';
/** Nothing but the control, and that. */
function clean(hits: readonly Hit[]): void {
  expect(hits.filter((hit) => !isControl(hit))).toEqual([]);
  expect(hits.filter(isControl).length).toBeGreaterThan(0);
}
const filesOf = (home: string): readonly Buffer[] =>
  readdirSync(home, { recursive: true, encoding: 'utf8' }).map((name) => join(home, name)).filter((name) => statSync(name).isFile()).map((name) => readFileSync(name));

describe('the module in a program of its own', () => {
  it('keeps keys, PINs, nonces and its generator out of all memory that can be read, of the core, of its files', async () => {
    const keys = makeKeys();
    const needles = needlesOf(keys);
    const home = newHome();
    const host = new Host(home);
    try {
      const first = await furnish(host, keys);
      await host.work();
      for (let i = 0; i < 3; i += 1) clean(scanForSchedules(host.pid, needles));
      await seconds(0.5);
      await host.idle();
      const signatures = await host.results();
      expect(signatures.length).toBeGreaterThan(8);
      const all = [...needles, ...nonceNeedles('ec', keys.ec, digest, [...first, ...signatures])];
      clean(scanForSchedules(host.pid, all));
      expect(scan(host.pid, [inRegister])).toEqual([]);
      for (const bytes of filesOf(home)) for (const needle of all) expect([needle.label, bytes.includes(Buffer.from(needle.bytes))]).toEqual([needle.label, false]);
      expect(filesOf(home).some((bytes) => bytes.includes('SQLite format 3'))).toBe(true);

      const core = await host.abort().then(() => coreOf(home));
      expect(core === undefined).toBe(!leavesCores);
      if (core === undefined) return;
      clean(scanFileForSchedules(core, all));
      if (process.arch === 'x64') expect(scanFile(core, [inRegister]).length).toBeGreaterThan(0);
    } finally {
      host.kill();
    }
  });

  it('leaves nothing after destroying, logging out, finalising', async () => {
    const keys = makeKeys();
    const needles = needlesOf(keys);
    const host = new Host(newHome());
    try {
      await furnish(host, keys);
      await host.work();
      await seconds(0.3);
      await host.idle();
      const all = [...needles, ...nonceNeedles('ec', keys.ec, digest, await host.results())];
      expect(await host.destroyAll()).toBeGreaterThan(6);
      clean(scanForSchedules(host.pid, all));
      await host.logout();
      clean(scanForSchedules(host.pid, all));
      await host.finalise();
      clean(scanForSchedules(host.pid, all));
      // Each needle is found when it is there.
      const oneOfEach = new Map(all.map((needle) => [needle.label.replace(/-\d+$/, ''), needle]));
      expect(oneOfEach.size).toBeGreaterThan(25);
      for (const { label, bytes } of [...oneOfEach.values()].filter((_, i) => whole || i % 6 === 0)) {
        await host.keep(bytes);
        expect([label, scan(host.pid, all).some((hit) => hit.label === label)]).toEqual([label, true]);
      }
    } finally {
      host.kill();
    }
  });

  it('and without memfd_secret each form is found, in locked memory alone', async () => {
    const keys = makeKeys();
    const needles = needlesOf(keys);
    // Root would have far more secret memory, all of it to be read again and again.
    const home = newHome();
    chmodSync(home, 0o777);
    const host = new Host(home, { readable: true, uid: nobody });
    try {
      await furnish(host, keys);
      await host.work();
      // What lasts as long as a call is there now and then: every form is, sooner or later.
      const wanted = new Set(forms);
      for (let i = 0; i < (whole ? 200 : 5) && wanted.size > 0; i += 1) {
        const hits = scanForSchedules(host.pid, needles);
        expect(hits.filter((hit) => !isControl(hit) && hit.mapping !== 'locked')).toEqual([]);
        for (const { label } of hits) wanted.delete(label);
      }
      expect(whole ? [...wanted] : wanted.size < forms.length / 2).toEqual(whole ? [] : true);
    } finally {
      host.kill();
    }
  });

  it('hidden, leaves no core and is read by no program of the same user', async () => {
    const home = newHome();
    chmodSync(home, 0o777);
    const host = new Host(home, { uid: nobody });
    const asSameUser = (): readonly Hit[] => scan(host.pid, [{ label: 'control', bytes: marker }], nobody);
    try {
      await host.keep(marker);
      expect(asSameUser().length).toBeGreaterThan(0);
      await host.hide();
      expect(asSameUser).toThrow(/the scan failed/);
      await host.abort();
      expect(coreOf(home)).toBeUndefined();
    } finally {
      host.kill();
    }
  });
});
