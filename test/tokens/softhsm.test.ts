// A token made by SoftHSM2 and pkcs11-tool moves in: every object, and every key does what it did.
import { createPublicKey, verify } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has, makeMine, newRoom, userPin, type Room } from './room.ts';

const softhsm = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so', '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so'].find((path) => existsSync(path));
const theirs = '4321';

describe.skipIf(softhsm === undefined || !has('softhsm2-util') || !has('pkcs11-tool') || !has('openssl'))('import-softhsm', () => {
  let room: Room;
  let env: Readonly<Record<string, string>>;
  const old = (...args: readonly string[]): string => {
    const done = room.run('pkcs11-tool', ['--module', softhsm!, '--token-label', 'old', '--login', '--pin', theirs, ...args], env);
    if (done.status !== 0) throw new Error(`${args.join(' ')}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  const openssl = (...args: readonly string[]): void => { expect(room.run('openssl', args).status, args.join(' ')).toBe(0); };
  const imported = async (lines: readonly string[], ...more: readonly string[]): ReturnType<Room['token']> => await room.token(['import-softhsm', 'old', 'mine', '--softhsm-pin-stdin', '--pin-stdin', ...more], lines, env);
  const pairs = [['rsa:2048', '01'], ['EC:prime256v1', '02'], ['EC:secp384r1', '03'], ['EC:secp521r1', '04'], ['EC:edwards25519', '05']] as const;

  beforeAll(() => {
    room = newRoom();
    mkdirSync(join(room.home, 'soft'));
    env = { SOFTHSM2_CONF: room.file('softhsm2.conf', `directories.tokendir = ${join(room.home, 'soft')}\nobjectstore.backend = file\n`) };
    expect(room.run('softhsm2-util', ['--init-token', '--free', '--label', 'old', '--so-pin', '12345678', '--pin', theirs], env).status).toBe(0);
    for (const [type, id] of pairs) old('--keypairgen', '--key-type', type, '--id', id, '--label', type);
    // Many keys of one curve: numbers with leading zeros are among what SoftHSM2 stores short.
    for (let i = 16; i < 28; i++) old('--keypairgen', '--key-type', 'EC:prime256v1', '--id', i.toString(16), '--label', `curve ${i}`);
    for (const [type, id] of [['AES:16', '06'], ['AES:32', '07'], ['GENERIC:64', '08']] as const) old('--keygen', '--key-type', type, '--id', id, '--label', type);
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'k.pem', '-outform', 'der', '-out', 'c.der', '-subj', '/CN=moved');
    openssl('pkcs8', '-topk8', '-nocrypt', '-in', 'k.pem', '-outform', 'der', '-out', 'k.der');
    old('--write-object', 'c.der', '--type', 'cert', '--id', '09', '--label', 'certificate');
    old('--write-object', 'k.der', '--type', 'privkey', '--id', '09', '--label', 'from outside');
    room.file('secret', Buffer.alloc(32, 7));
    old('--write-object', 'secret', '--type', 'secrkey', '--key-type', 'AES:32', '--id', '0a', '--label', 'known');
    room.file('note', 'a note');
    old('--write-object', 'note', '--type', 'data', '--label', 'open note', '--application-label', 'notes');
    old('--write-object', 'note', '--type', 'data', '--label', 'own note', '--private');
  }, 60_000);
  afterAll(() => { room.remove(); });

  it('refuses a wrong PIN and a strict token', async () => {
    await makeMine(room, '--policy', 'strict');
    expect(await imported(['0000', userPin])).toMatchObject({ status: 4, stderr: expect.stringContaining('SoftHSM2') as string });
    const strict = await imported([theirs, userPin]);
    expect(strict.status).toBe(1);
    expect(strict.stderr).toContain('HSM_E_POLICY');
    expect(room.tool('-O')).not.toContain('Object');
    await room.does(['delete', 'mine', '--yes']);
  });

  it('moves every object', async () => {
    await makeMine(room);
    const done = await imported([theirs, userPin], '--json');
    expect(done.status, done.stderr).toBe(0);
    expect(JSON.parse(done.stdout)).toMatchObject({ moved: 2 * pairs.length + 24 + 3 + 3 + 2, left: 0 });
    const ours = room.tool('-O'), before = old('-O');
    const labels = (text: string): string[] => [...text.matchAll(/label: +(.*)/g)].map(([, label]) => label!.replaceAll("'", '')).sort();
    expect(labels(ours)).toEqual(labels(before));
  });

  it.each(pairs)('%s signs as before, under the public key of before', (type, id) => {
    room.file('message', 'what was signed before and after');
    const rsa = type.startsWith('rsa');
    const mechanism = rsa ? 'SHA256-RSA-PKCS' : type.includes('edwards') ? 'EDDSA' : 'ECDSA';
    const data = mechanism === 'ECDSA' ? room.file('digest', Buffer.alloc(32, 9)) : room.file('message');
    room.tool('--sign', '--mechanism', mechanism, '--id', id, '--input-file', data, '--output-file', room.file('signature'));
    const verified = room.run('pkcs11-tool', ['--module', softhsm!, '--token-label', 'old', '--login', '--pin', theirs, '--verify', '--mechanism', mechanism, '--id', id, '--input-file', data, '--signature-file', room.file('signature')], env);
    expect(verified.stdout + verified.stderr).toContain('Signature is valid');
  });

  it('the key that came with a certificate fits it', async () => {
    room.tool('--sign', '--mechanism', 'SHA256-RSA-PKCS', '--id', '09', '--input-file', room.file('note'), '--output-file', room.file('signature'));
    openssl('x509', '-inform', 'der', '-in', 'c.der', '-pubkey', '-noout', '-out', 'p.pem');
    expect(verify('sha256', readFileSync(room.file('note')), createPublicKey(readFileSync(room.file('p.pem'))), readFileSync(room.file('signature')))).toBe(true);
    room.tool('--read-object', '--type', 'cert', '--id', '09', '--output-file', room.file('c2.der'));
    expect(readFileSync(room.file('c2.der'))).toEqual(readFileSync(room.file('c.der')));
  });

  it('secret keys and data are the same', async () => {
    room.file('block', Buffer.alloc(32, 1));
    for (const side of [old, room.tool]) side('--encrypt', '--mechanism', 'AES-CBC', '--iv', '00'.repeat(16), '--id', '0a', '--input-file', room.file('block'), '--output-file', room.file(side === old ? 'e1' : 'e2'));
    expect(readFileSync(room.file('e2'))).toEqual(readFileSync(room.file('e1')));
    for (const label of ['open note', 'own note']) {
      room.tool('--read-object', '--type', 'data', '--label', label, '--output-file', room.file('n'));
      expect(readFileSync(room.file('n'), 'utf8')).toBe('a note');
    }
  });

  it('moves nothing when an object cannot be read, and says which; or all others', async () => {
    const folder = JSON.parse((await imported([theirs, userPin], '--json')).stdout) as { from: string };
    await room.does(['delete', 'mine', '--yes']);
    await makeMine(room);
    room.file('soft/broken', '');
    const broken = join(folder.from, 'zzzz.object');
    room.run('sh', ['-c', `head -c 300 "$(ls ${folder.from}/*.object | head -1)" > ${broken}`]);
    const refused = await imported([theirs, userPin]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('HSM_E_FORMAT');
    expect(room.tool('-O')).not.toContain('Object');
    expect(JSON.parse((await imported([theirs, userPin], '--json', '--skip-unsupported')).stdout)).toMatchObject({ left: 1, moved: 2 * pairs.length + 24 + 3 + 3 + 2 });
  });
});
