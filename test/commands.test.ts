// The two commands and what the outside relies on: names, files, modes, signals, refusals.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { newHome, root, startServer } from './clients/running.ts';

const mode = (path: string): number => statSync(path).mode & 0o777;
const serveOnce = (env: Readonly<Record<string, string>>): { status: number | null; text: string } => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'serve'], { cwd: root, encoding: 'utf8', timeout: 20_000, env: { ...process.env, STRONGROOM_LISTEN: '127.0.0.1:0', ...env } });
  return { status, text: stdout + stderr };
};
const get = async (url: string): Promise<{ status: number; body: string }> => await new Promise((done, fail) => {
  request(url, (answer) => {
    let body = '';
    answer.on('data', (c: Buffer) => { body += c.toString('utf8'); });
    answer.on('end', () => { done({ status: answer.statusCode ?? 0, body }); });
  }).on('error', fail).end();
});

describe('a first start', () => {
  it('writes credentials, config and key file for this user alone, and says how the root is opened', async () => {
    const server = await startServer();
    expect(mode(server.home)).toBe(0o700);
    for (const name of ['credentials', 'config', 'root.key', 'strongroom.db']) expect(mode(join(server.home, name))).toBe(0o600);
    expect(readFileSync(join(server.home, 'config'), 'utf8')).toContain(`endpoint_url = ${server.url}`);
    expect(readFileSync(join(server.home, 'credentials'), 'utf8')).toMatch(/^\[default\]\naws_access_key_id\s*=\s*\S{16,}\naws_secret_access_key\s*=\s*\S{40}\n/);
    const health = await get(`${server.url}/health`);
    expect(health.status).toBe(200);
    expect(JSON.parse(health.body)).toMatchObject({ status: 'ok', unseal: 'keyfile' });
    expect(await server.stop()).toBe(0);
  });

  it('takes credentials from the environment, read by the core', async () => {
    const secret = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123';
    const server = await startServer({ env: { STRONGROOM_ROOT_ACCESS_KEY_ID: 'AKIAFROMENVIRONMENT0', STRONGROOM_ROOT_SECRET_ACCESS_KEY: secret, STRONGROOM_ACCOUNT: '111122223333' } });
    const text = readFileSync(join(server.home, 'credentials'), 'utf8');
    expect(text).toContain('AKIAFROMENVIRONMENT0');
    expect(text).toContain(secret);
    await server.stop();
  });
});

describe('a home', () => {
  it('is the same after a stop, and after a kill', async () => {
    const home = newHome();
    const first = await startServer({ home });
    const made = first.cli('account', 'create', '210987654321', '--json');
    expect(made.status).toBe(0);
    const account = JSON.parse(made.stdout) as Record<string, string>;
    expect(Object.keys(account).sort()).toEqual(['accessKeyId', 'accountId', 'secretAccessKey']);
    await first.kill();
    const second = await startServer({ home });
    expect(second.cli('account', 'list', '--json').stdout).toContain('210987654321');
    expect(second.cli('account', 'create', '210987654321').status).not.toBe(0);
    await second.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('serves one server at a time', async () => {
    const server = await startServer();
    const other = serveOnce({ STRONGROOM_HOME: server.home });
    expect(other.status).toBe(1);
    expect(other.text).toMatch(/another|already|in use/i);
    await server.stop();
  });

  it('refuses another store\'s key file by name, and a missing one', async () => {
    const a = newHome();
    const b = newHome();
    for (const home of [a, b]) await (await startServer({ home })).stop();
    copyFileSync(join(a, 'root.key'), join(b, 'root.key'));
    const wrong = serveOnce({ STRONGROOM_HOME: b });
    expect(wrong.status).toBe(1);
    expect(wrong.text).toMatch(/root key does not belong/);
    rmSync(join(b, 'root.key'));
    const missing = serveOnce({ STRONGROOM_HOME: b });
    expect(missing.status).toBe(1);
    expect(missing.text).toMatch(/root\.key/);
    expect(existsSync(join(b, 'root.key'))).toBe(false);
    for (const home of [a, b]) rmSync(home, { recursive: true, force: true });
  });

  it('starts after a first start that was killed between key file and store', async () => {
    const home = newHome();
    await (await startServer({ home })).stop();
    const orphan = readFileSync(join(home, 'root.key'));
    for (const name of readdirSync(home)) if (name !== 'root.key') rmSync(join(home, name), { recursive: true });
    const server = await startServer({ home });
    const aside = readdirSync(home).find((name) => name.startsWith('root.key.unused-')) ?? '';
    expect(readFileSync(join(home, aside))).toEqual(orphan);
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('opens by passphrase, and not by a wrong one', async () => {
    const home = newHome();
    const file = `${home}.passphrase`;
    writeFileSync(file, 'correct horse battery staple\n', { mode: 0o600 });
    const server = await startServer({ home, env: { STRONGROOM_PASSPHRASE_FILE: file } });
    expect(JSON.parse((await get(`${server.url}/health`)).body)).toMatchObject({ unseal: 'passphrase' });
    await server.stop();
    writeFileSync(file, 'wrong\n');
    const wrong = serveOnce({ STRONGROOM_HOME: home, STRONGROOM_PASSPHRASE_FILE: file });
    expect(wrong.status).toBe(1);
    expect(wrong.text).toMatch(/passphrase/);
    rmSync(home, { recursive: true, force: true });
    rmSync(file);
  });

  it('keeps its mode for ever', async () => {
    const home = newHome();
    await (await startServer({ home })).stop();
    const refused = serveOnce({ STRONGROOM_HOME: home, STRONGROOM_MODE: 'dev' });
    expect(refused.status).toBe(1);
    expect(refused.text).toMatch(/mode/);
    rmSync(home, { recursive: true, force: true });
  });
});

describe('npm start', () => {
  it('stops when npm is told to stop', async () => {
    const home = newHome();
    const npm = spawn('npm', ['start', '--silent'], { cwd: root, env: { ...process.env, STRONGROOM_HOME: home, STRONGROOM_LISTEN: '127.0.0.1:0' }, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
    const url = await new Promise<string>((done, fail) => {
      let text = '';
      npm.stdout.on('data', (c: Buffer) => {
        text += c.toString('utf8');
        const found = /^strongroom: ready on (http:\/\/127\.0\.0\.1:\d+)$/m.exec(text)?.[1];
        if (found !== undefined) done(found);
      });
      npm.once('exit', (code) => { fail(new Error(`npm ended with ${code}`)); });
    });
    expect((await get(`${url}/health`)).status).toBe(200);
    const ended = new Promise((done) => npm.once('exit', done));
    npm.kill('SIGTERM');
    await ended;
    for (let i = 0; i < 100 && (await get(`${url}/health`).catch(() => undefined)) !== undefined; i += 1) await new Promise((done) => setTimeout(done, 50));
    await expect(get(`${url}/health`)).rejects.toThrow();
    rmSync(home, { recursive: true, force: true });
  });
});

describe('settings', () => {
  it.each([
    [{ STRONGROOM_LISTEN: 'nonsense' }, /STRONGROOM_LISTEN/],
    [{ STRONGROOM_ACCOUNT: '12' }, /STRONGROOM_ACCOUNT/],
    [{ STRONGROOM_MODE: 'test' }, /STRONGROOM_MODE/],
    [{ STRONGROOM_REGIONS: 'nowhere' }, /STRONGROOM_REGIONS/],
    [{ STRONGROOM_TLS_CERT: '/tmp/x' }, /STRONGROOM_TLS_KEY/],
  ])('%o is refused with the setting\'s name', (env, said) => {
    const home = newHome();
    const { status, text } = serveOnce({ STRONGROOM_HOME: home, ...env });
    rmSync(home, { recursive: true, force: true });
    expect(status).toBe(1);
    expect(text).toMatch(said);
  });
});

describe('the command line', () => {
  const cli = (...args: string[]): { status: number | null; text: string } => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/strongroom.js', ...args], { cwd: root, encoding: 'utf8', env: { ...process.env, STRONGROOM_HOME: '/nonexistent/strongroom' } });
    return { status, text: stdout + stderr };
  };

  it('explains itself', () => {
    expect(cli('--help')).toMatchObject({ status: 0 });
    for (const noun of ['account', 'key', 'audit', 'credentials']) expect(cli(noun, '--help').status).toBe(0);
  });

  it('has an exit code for each kind of failure', () => {
    expect(cli('acount').status).toBe(2);
    expect(cli('acount').text).toMatch(/account/);
    expect(cli('account', 'create', '12').status).toBe(2);
    expect(cli('key', 'list').status).toBe(7);
    expect(cli('selftest', 'NO-SUCH-TEST').status).toBe(3);
  });

  it('runs the self-tests', () => {
    const { status, text } = cli('selftest');
    expect(status).toBe(0);
    expect(text).toMatch(/AES.*passed/);
  });
});
