// `strongroom token …`: what a person does with tokens, on the files that other processes use meanwhile.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { has, makeMine, modulePath, newRoom, officerPin, root, userPin, type Room } from './room.ts';

let room: Room;
beforeEach(() => { room = newRoom(); });
afterEach(() => { room.remove(); });

interface Line { readonly slot: number; readonly label: string; readonly serial: string; readonly policy: string; readonly userPin: string; readonly soPin: string; readonly state: string; readonly uri: string }
const list = async (): Promise<Line[]> => JSON.parse(await room.does(['list', '--json'])) as Line[];

describe('strongroom token', () => {
  it('makes tokens that the module serves, and names them by their URI', async () => {
    await makeMine(room);
    await room.does(['init', '--label', 'my & yours/ü', '--so-pin-stdin', '--no-user-pin', '--policy', 'strict'], [officerPin]);
    const [mine, other] = (await list());
    expect(mine).toMatchObject({ slot: 0, label: 'mine', policy: 'compat', userPin: 'ok', soPin: 'ok', state: 'ok' });
    expect(mine?.uri).toBe(`pkcs11:model=Strongroom;manufacturer=Strongroom;serial=${mine?.serial ?? ''};token=mine`);
    expect(other).toMatchObject({ slot: 1, label: 'my & yours/ü', policy: 'strict', userPin: 'not set' });
    expect(other?.uri).toContain(';token=my%20&%20yours%2F%C3%BC');
    if (!has('pkcs11-tool')) return;
    const shown = room.run('pkcs11-tool', ['--module', modulePath, '-L']).stdout;
    expect(shown).toContain(`serial num         : ${mine?.serial ?? ''}`);
    expect(shown).toContain('token label        : my & yours/ü');
    if (has('p11tool')) expect(room.run('p11tool', ['--provider', modulePath, '--list-token-urls']).stdout).toContain(`serial=${mine?.serial ?? ''};token=mine`);
    room.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', '01');
    expect(room.tool('-O')).toContain('Private Key Object');
  });

  it('refuses what is there already, and a second life without its name', async () => {
    await makeMine(room);
    expect(await room.token(['init', '--label', 'mine', '--so-pin-stdin', '--pin-stdin'], [officerPin, userPin])).toMatchObject({ status: 5 });
    expect(await room.token(['init', '--label', 'new', '--slot', '0', '--so-pin-stdin', '--pin-stdin'], [officerPin, userPin])).toMatchObject({ status: 5 });
    expect(await room.token(['init', '--label', 'new', '--slot', '0', '--force', '--so-pin-stdin', '--pin-stdin'], [officerPin, userPin])).toMatchObject({ status: 2 });
    expect(await room.token(['init', '--label', 'new', '--slot', '0', '--force', '--yes', '--so-pin-stdin', '--pin-stdin'], ['wrong SO PIN', userPin])).toMatchObject({ status: 4 });
    const { serial } = (await list())[0]!;
    await room.does(['init', '--label', 'new', '--slot', '0', '--force', '--yes', '--so-pin-stdin', '--pin-stdin'], [officerPin, '9999']);
    expect((await list())).toMatchObject([{ label: 'new', serial, userPin: 'ok' }]);
    expect(await room.token(['pin', 'check', 'new', '--pin-stdin'], ['9999'])).toMatchObject({ status: 0 });
  });

  it('changes PINs, counts tries, and lets the SO open what is locked', async () => {
    await makeMine(room);
    await room.does(['pin', 'change', 'mine', '--pin-stdin', '--new-pin-stdin'], [userPin, '5678']);
    expect(await room.token(['pin', 'check', 'mine', '--pin-stdin'], [userPin])).toMatchObject({ status: 4 });
    expect((await list())[0]?.userPin).toBe('9 tries left');
    for (let i = 0; i < 9; i++) await room.token(['pin', 'check', '0', '--pin-stdin'], ['none of it']);
    expect((await list())[0]?.userPin).toBe('locked');
    const locked = await room.token(['pin', 'check', 'mine', '--pin-stdin'], ['5678']);
    expect(locked.status).toBe(4);
    expect(locked.stderr).toContain('locked');
    await room.does(['pin', 'unlock', 'mine', '--so-pin-stdin', '--new-pin-stdin'], [officerPin, userPin]);
    expect((await list())[0]?.userPin).toBe('ok');
    expect(await room.token(['pin', 'check', 'mine', '--pin-stdin'], [userPin])).toMatchObject({ status: 0 });
    await room.does(['pin', 'change', 'mine', '--so', '--so-pin-stdin', '--new-pin-stdin'], [officerPin, '11112222']);
    expect(await room.token(['pin', 'check', 'mine', '--so', '--so-pin-stdin'], ['11112222'])).toMatchObject({ status: 0 });
    expect(await room.token(['pin', 'change', 'mine', '--pin-stdin', '--new-pin-stdin'], [userPin, '123'])).toMatchObject({ status: 2 });
  });

  it('takes PINs from files and the environment, and warns of one in the arguments', async () => {
    const so = room.file('so', `${officerPin}\r\nmore\n`), user = room.file('user', userPin);
    await room.does(['init', '--label', 'mine', '--so-pin-file', so, '--pin-file', user]);
    expect(await room.token(['pin', 'check', 'mine'], [], { STRONGROOM_PIN: userPin })).toMatchObject({ status: 0 });
    const shown = await room.token(['pin', 'check', 'mine', '--pin', userPin]);
    expect(shown.status).toBe(0);
    expect(shown.stderr).toContain('warning: --pin');
    expect(await room.token(['pin', 'check', 'mine', '--pin-file', join(room.home, 'none')])).toMatchObject({ status: 2 });
    expect(await room.token(['pin', 'check', 'mine', '--pin-stdin'], [])).toMatchObject({ status: 2 });
    expect(await room.token(['pin', 'check', 'mine', '--pin-stdin'], ['x'.repeat(300)])).toMatchObject({ status: 2 });
    expect((await list())[0]?.userPin).toBe('ok');
  });

  it('changes the policy with both PINs, and nothing with one', async () => {
    await makeMine(room);
    expect(await room.token(['policy', 'mine', 'strict', '--so-pin-stdin', '--pin-stdin'], [officerPin, 'wrong'])).toMatchObject({ status: 4 });
    expect((await list())[0]?.policy).toBe('compat');
    await room.does(['policy', 'mine', 'strict', '--so-pin-stdin', '--pin-stdin'], [officerPin, userPin]);
    expect((await list())[0]).toMatchObject({ policy: 'strict', userPin: 'ok', soPin: 'ok' });
    for (const [args, pin] of [[['pin', 'check', 'mine', '--pin-stdin'], userPin], [['pin', 'check', 'mine', '--so', '--so-pin-stdin'], officerPin]] as const) expect(await room.token(args, [pin])).toMatchObject({ status: 0 });
    expect(await room.token(['policy', 'mine', 'lax'])).toMatchObject({ status: 2 });
    expect(await room.does(['policy', 'mine'])).toContain('strict');
  });

  it('deletes, and says what is not there', async () => {
    await makeMine(room);
    expect(await room.token(['delete', 'mine'])).toMatchObject({ status: 2 });
    expect(await room.token(['delete', 'other', '--yes'])).toMatchObject({ status: 3 });
    await room.does(['delete', (await list())[0]!.uri, '--yes']);
    expect(readdirSync(join(room.home, 'tokens'))).toEqual([]);
    expect((await list())).toEqual([]);
  });

  it('shows a damaged token as one, and serves the others', async () => {
    await makeMine(room);
    room.file('tokens/1.token', 'no database');
    expect((await list())).toMatchObject([{ slot: 0, state: 'ok' }, { slot: 1, state: expect.stringMatching(/^damaged/) as string }]);
  });

  it.skipIf(!has('python3'))('asks at a terminal, shows nothing there, and leaves it as it was', async () => {
    const program = `
import os, pty, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
typed = [b"${officerPin}\\n", b"${officerPin}\\n", b"xx\\x7f\\x7f12\\x151235\\x7f4\\n", b"${userPin}\\n"]
out, asked = b"", 0
while True:
    try:
        part = os.read(fd, 4096)
    except OSError:
        break
    if not part:
        break
    out += part
    while asked < len(typed) and out.count(b": ") > asked:
        assert not termios.tcgetattr(fd)[3] & termios.ECHO
        os.write(fd, typed[asked])
        asked += 1
quiet = out.find(b"${officerPin}") < 0 and out.find(b"${userPin}\\r") < 0
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), asked, quiet)
`;
    const done = spawnSync('python3', ['-c', program, process.execPath, '--import', 'tsx', 'src/cli/main.ts', 'token', 'init', '--label', 'mine'], { cwd: root, env: { ...process.env, STRONGROOM_HOME: room.home, TERM: 'dumb' }, encoding: 'utf8', timeout: 30_000 });
    expect(done.stdout.trim(), done.stderr).toBe('0 4 True');
    expect(await room.token(['pin', 'check', 'mine', '--pin-stdin'], [userPin])).toMatchObject({ status: 0 });
  });
});

describe.skipIf(!has('pkcs11-tool'))('a token that goes while it is used', () => {
  it('takes nothing that would be lost with it', async () => {
    await makeMine(room);
    expect(existsSync(join(room.home, 'tokens/0.token'))).toBe(true);
    // A program with an open session, which waits until the token was deleted and made anew.
    const program = spawnSync(process.execPath, ['--import', 'tsx', join(root, 'test/tokens/programs/gone.ts'), modulePath], { cwd: root, env: { ...process.env, STRONGROOM_HOME: room.home }, encoding: 'utf8', timeout: 60_000 });
    expect(program.stdout.trim(), program.stderr).toBe('CKR_DEVICE_REMOVED then anew');
  });
});
