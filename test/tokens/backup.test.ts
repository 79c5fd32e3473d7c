// Backups: at one moment, while others write; back on this device, or on another by a passphrase; no bit of one can be changed.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openHsm } from '../../src/index.ts';
import { makeMine, newRoom, officerPin, root, userPin, type Room } from './room.ts';

const passphrase = 'correct horse battery staple';
let room: Room;
let elsewhere: Room;
beforeEach(async () => {
  room = newRoom();
  elsewhere = newRoom();
  await makeMine(room);
});
afterEach(() => {
  room.remove();
  elsewhere.remove();
});

async function labels(where: Room, pin = userPin): Promise<string[]> {
  const hsm = await openHsm({ home: where.home });
  try {
    return (await hsm.openToken('mine', pin)).find().map((key) => key.label).sort();
  } finally {
    hsm.close();
  }
}

async function make(where: Room, ...names: readonly string[]): Promise<void> {
  const hsm = await openHsm({ home: where.home });
  try {
    const token = await hsm.openToken('mine', userPin);
    for (const label of names) await token.generateKey({ type: 'aes', label });
  } finally {
    hsm.close();
  }
}

describe('token backup', () => {
  it('comes back on this device, over what is there or where it was', async () => {
    await make(room, 'a');
    const file = join(room.home, 'b1');
    await room.does(['backup', 'mine', '--out', file]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await room.token(['backup', 'mine', '--out', file])).toMatchObject({ status: 5 });
    await make(room, 'b');
    await room.does(['pin', 'change', 'mine', '--pin-stdin', '--new-pin-stdin'], [userPin, '9999']);
    // The same token twice would be one with two files.
    expect(await room.token(['restore', file])).toMatchObject({ status: 5, stderr: expect.stringContaining('slot 0') as string });
    expect(await room.token(['restore', file, '--slot', '0'])).toMatchObject({ status: 5 });
    expect(await labels(room, '9999')).toEqual(['a', 'b']);
    await room.does(['restore', file, '--slot', '0', '--force', '--yes']);
    expect(await labels(room)).toEqual(['a']);
    await room.does(['delete', 'mine', '--yes']);
    await room.does(['restore', file]);
    expect(await labels(room)).toEqual(['a']);
    expect(readdirSync(join(room.home, 'tokens'))).toEqual(['0.token']);
  });

  it('wins no try back', async () => {
    const file = join(room.home, 'b1');
    await room.does(['backup', 'mine', '--out', file]);
    for (let i = 0; i < 3; i++) await room.token(['pin', 'check', 'mine', '--pin-stdin'], ['wrong']);
    await room.does(['delete', 'mine', '--yes']);
    await room.does(['restore', file]);
    expect(await room.does(['list'])).toContain('7 tries left');
  });

  it('is bytes on another device, unless it was made portable, which takes the SO', async () => {
    await make(room, 'a');
    const here = join(room.home, 'here'), portable = join(room.home, 'portable');
    await room.does(['backup', 'mine', '--out', here]);
    expect(await elsewhere.token(['restore', here])).toMatchObject({ status: 6 });
    expect(await room.token(['backup', 'mine', '--portable', '--out', portable, '--so-pin-stdin', '--passphrase-stdin'], ['wrong', passphrase])).toMatchObject({ status: 4 });
    expect(await room.token(['backup', 'mine', '--portable', '--out', portable, '--so-pin-stdin', '--passphrase-stdin'], [officerPin, 'short'])).toMatchObject({ status: 2 });
    expect(existsSync(portable)).toBe(false);
    await room.token(['pin', 'check', 'mine', '--pin-stdin'], ['wrong']);
    await room.does(['backup', 'mine', '--portable', '--out', portable, '--so-pin-stdin', '--passphrase-stdin'], [officerPin, passphrase]);
    expect(await elsewhere.token(['restore', portable, '--passphrase-stdin'], ['wrong passphrase'])).toMatchObject({ status: 4 });
    // The other device has a secret and a token of its own.
    await makeMine(elsewhere);
    await elsewhere.does(['init', '--label', 'second', '--so-pin-stdin', '--no-user-pin'], [officerPin]);
    await elsewhere.does(['delete', 'mine', '--yes']);
    await elsewhere.does(['restore', portable, '--passphrase-stdin'], [passphrase]);
    expect(await elsewhere.does(['list'])).toContain('9 tries left');
    expect(await labels(elsewhere)).toEqual(['a']);
    expect(statSync(join(elsewhere.home, 'device')).mode & 0o777).toBe(0o700);
    // From there on it is a token like others: it changes, is backed up, and comes back.
    await make(elsewhere, 'c');
    const again = join(elsewhere.home, 'again');
    await elsewhere.does(['backup', 'mine', '--out', again]);
    await elsewhere.does(['delete', 'mine', '--yes']);
    await elsewhere.does(['restore', again]);
    expect(await labels(elsewhere)).toEqual(['a', 'c']);
  });

  it('is whole while another process writes', async () => {
    const count = 300;
    const writer = spawn(process.execPath, ['--import', 'tsx', join(root, 'test/tokens/programs/writer.ts'), String(count)], { cwd: root, env: { ...process.env, STRONGROOM_HOME: room.home }, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise<number | null>((done) => writer.once('exit', done));
    await new Promise((done) => writer.stdout.once('data', done));
    const files = [1, 2, 3].map((n) => join(room.home, `b${n}`));
    for (const file of files) await room.does(['backup', 'mine', '--out', file]);
    expect(await ended).toBe(0);
    // Each is the token of one moment: the first so many keys, and no hole.
    let least = 0;
    for (const file of files) {
      await room.does(['restore', file, '--slot', '0', '--force', '--yes']);
      const kept = (await labels(room)).map((label) => Number(label.split(' ')[1])).sort((x, y) => x - y);
      expect(kept).toEqual(kept.map((_, i) => i));
      expect(kept.length).toBeGreaterThanOrEqual(least);
      least = kept.length;
    }
  });

  it('refuses every flipped bit and every cut', async () => {
    await make(room, 'a');
    const file = join(room.home, 'b'), bad = join(room.home, 'bad');
    await room.does(['backup', 'mine', '--out', file]);
    await room.does(['delete', 'mine', '--yes']);
    const whole = readFileSync(file);
    const at = [0, 4, 5, 6, 7, 12, 13, 29, 33, 50, 100, 140, 149, 150, 200, 4096, whole.length - 1];
    for (const i of at) {
      const changed = Buffer.from(whole);
      changed[i] = (changed[i] ?? 0) ^ 1;
      writeFileSync(bad, changed);
      expect((await room.token(['restore', bad], [], { STRONGROOM_BACKUP_PASSPHRASE: 'a passphrase of some length' })).status, `byte ${i}`).not.toBe(0);
    }
    for (const length of [0, 5, 100, 4096, whole.length - 1]) {
      writeFileSync(bad, whole.subarray(0, length));
      expect((await room.token(['restore', bad], [], { STRONGROOM_BACKUP_PASSPHRASE: 'a passphrase of some length' })).status, `${length} bytes`).not.toBe(0);
    }
    expect(readdirSync(join(room.home, 'tokens'))).toEqual([]);
    await room.does(['restore', file]);
    expect(await labels(room)).toEqual(['a']);
  });
});
