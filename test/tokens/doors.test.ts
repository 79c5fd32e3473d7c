// One token, two doors: the Node API and the Cryptoki module, in one process and in two, at the same time.
import { spawn } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HsmError, openHsm, type Hsm, type PairKey, type TokenSession } from '../../src/index.ts';
import { has, makeMine, modulePath, newRoom, officerPin, root, userPin, type Room } from './room.ts';

const pkcs11js = createRequire(import.meta.url)('pkcs11js') as typeof import('pkcs11js');

let room: Room;
let hsm: Hsm;
beforeAll(async () => {
  room = newRoom();
  await makeMine(room);
  hsm = await openHsm({ home: room.home });
});
afterAll(() => {
  hsm.close();
  room.remove();
});

const code = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'HSM_OK';
  } catch (error) {
    return error instanceof HsmError ? error.code : String(error);
  }
};

describe('openToken', () => {
  it('finds a token by label, serial number and URI, and says why not', async () => {
    const token = await hsm.openToken('mine', userPin);
    expect(token.role).toBe('user');
    for (const name of [token.serial, token.uri]) (await hsm.openToken(name, Buffer.from(userPin))).close();
    (await hsm.openToken('mine', { from: 'file', path: room.file('pin', `${userPin}\n`) })).close();
    // The role is the token's; the PIN is asked for all the same.
    expect(await code(hsm.openToken('mine', 'wrong'))).toBe('HSM_E_PIN');
    expect(await code(hsm.openToken('yours', userPin))).toBe('HSM_E_PARTITION');
    expect(await code(hsm.openToken('mine', officerPin, { role: 'officer' }))).toBe('HSM_E_LOGGED_IN');
    token.close();
    // With its last session the login ended.
    const officer = await hsm.openToken('mine', officerPin, { role: 'officer' });
    expect(officer.role).toBe('officer');
    officer.close();
  });

  it('keeps keys that are there again, and takes both halves of a pair away', async () => {
    const first = await hsm.openToken('mine', userPin);
    const pair = await first.generateKey({ type: 'ec', label: 'kept' }, { id: Buffer.from('k1') });
    const aes = await first.generateKey({ type: 'aes', label: 'kept too' });
    const blob = aes.encrypt('the plan');
    await first.generateKey({ type: 'aes', label: 'not kept' }, { stored: false });
    const signature = await pair.sign('word');
    first.close();
    const second = await hsm.openToken('mine', userPin);
    expect(second.find().map((key) => key.label).sort()).toEqual(['kept', 'kept too']);
    const [again] = second.find({ id: Buffer.from('k1') }) as [PairKey];
    expect(again.verify('word', signature)).toBe(true);
    expect((second.find({ label: 'kept too' })[0] as typeof aes).decrypt(blob).toString()).toBe('the plan');
    again.destroy();
    second.close();
    if (has('pkcs11-tool')) expect(room.tool('-O')).not.toContain('kept\n');
    const third = await hsm.openToken('mine', userPin);
    for (const key of third.find()) key.destroy();
    expect(third.find()).toEqual([]);
    third.close();
  });
});

describe('two doors in one process', () => {
  let p11: InstanceType<typeof pkcs11js.PKCS11>;
  let session: Buffer;
  let token: TokenSession;
  beforeAll(async () => {
    process.env['STRONGROOM_HOME'] = room.home;
    p11 = new pkcs11js.PKCS11();
    p11.load(modulePath);
    p11.C_Initialize();
    session = p11.C_OpenSession(p11.C_GetSlotList(true)[0] as Buffer, pkcs11js.CKF_RW_SESSION | pkcs11js.CKF_SERIAL_SESSION);
    p11.C_Login(session, pkcs11js.CKU_USER, userPin);
    token = await hsm.openToken('mine', userPin);
  });
  afterAll(() => {
    token.close();
    p11.C_Finalize();
    p11.close();
    delete process.env['STRONGROOM_HOME'];
  });
  const found = (template: Parameters<typeof p11.C_FindObjectsInit>[1]): readonly Buffer[] => {
    p11.C_FindObjectsInit(session, template);
    const handles = p11.C_FindObjects(session, 1000);
    p11.C_FindObjectsFinal(session);
    return handles;
  };

  it('a pair made by one signs through the other', async () => {
    const pair = await token.generateKey({ type: 'ec', label: 'shared' });
    const [handle] = found([{ type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_PRIVATE_KEY }, { type: pkcs11js.CKA_LABEL, value: 'shared' }]);
    p11.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA_SHA256 }, handle as Buffer);
    const raw = p11.C_Sign(session, Buffer.from('word'), Buffer.alloc(64));
    expect(pair.verify('word', raw, { format: 'raw' })).toBe(true);
    expect(verify('sha256', Buffer.from('word'), createPublicKey({ key: pair.publicKey, format: 'der', type: 'spki' }), await pair.sign('word'))).toBe(true);
    expect(found([{ type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_PUBLIC_KEY }, { type: pkcs11js.CKA_LABEL, value: 'shared' }])).toHaveLength(1);
    p11.C_DestroyObject(session, handle as Buffer);
    expect(token.find({ label: 'shared' })).toEqual([]);
    expect(() => pair.signSync('word')).toThrow(expect.objectContaining({ code: 'HSM_E_HANDLE' }) as Error);
  });

  it('takes the locks of neither away: three writers, none loses a write', async () => {
    const each = 40;
    const other = spawn(process.execPath, ['--import', 'tsx', `${root}/test/tokens/programs/writer.ts`, String(each)], { cwd: root, env: { ...process.env, STRONGROOM_HOME: room.home }, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise<number | null>((done) => other.once('exit', done));
    // It has begun before we do.
    await new Promise((done) => other.stdout.once('data', done));
    for (let i = 0; i < each; i++) {
      await token.generateKey({ type: 'aes', label: `node ${i}` });
      p11.C_CreateObject(session, [
        { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_DATA }, { type: pkcs11js.CKA_TOKEN, value: true }, { type: pkcs11js.CKA_LABEL, value: `module ${i}` },
      ]);
      await new Promise(setImmediate);
    }
    expect(await ended).toBe(0);
    const labels = (handles: readonly Buffer[]): string[] => handles.map((handle) => (p11.C_GetAttributeValue(session, handle, [{ type: pkcs11js.CKA_LABEL }])[0]?.value as Buffer).toString());
    const all = new Set(labels(found([])));
    for (const who of ['node', 'module', 'other']) for (let i = 0; i < each; i++) expect(all.has(`${who} ${i}`), `${who} ${i}`).toBe(true);
    expect(token.find().length).toBeGreaterThanOrEqual(2 * each);
    expect((await room.does(['list'])).split('\t')[6]).toBe('ok');
  });
});
