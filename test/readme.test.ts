// README is followed to the letter: its transcript is pasted into a shell, its program is run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pythonClients } from './clients/built.ts';
import { root, startServer, type Running } from './clients/running.ts';

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map((m) => ({ language: m[1] ?? '', text: m[2] ?? '' }));

let user: string;
let server: Running;

beforeAll(async () => {
  user = mkdtempSync(join(tmpdir(), 'strongroom-user-'));
  server = await startServer({ home: join(user, '.strongroom') });
});
afterAll(async () => {
  await server?.stop();
  rmSync(user, { recursive: true, force: true });
});

describe('README', () => {
  it('its AWS CLI transcript works as pasted', () => {
    const transcript = blocks.find((b) => b.language === 'console' && b.text.includes('aws kms'))?.text ?? '';
    const commands = transcript.split('\n').filter((l) => l.startsWith('$ ')).map((l) => l.slice(2).replace('http://127.0.0.1:4766', server.url));
    const expected = transcript.split('\n').filter((l) => l !== '' && !l.startsWith('$ '));
    const work = mkdtempSync(join(tmpdir(), 'strongroom-paste-'));
    symlinkSync(join(root, 'package.json'), join(work, 'package.json'));
    const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', commands.join('\n').replaceAll('npx strongroom', `node ${join(root, 'bin/strongroom.js')}`)], {
      cwd: work,
      encoding: 'utf8',
      env: { ...server.env, HOME: user, PATH: `${pythonClients()}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, AWS_SHARED_CREDENTIALS_FILE: undefined, AWS_CONFIG_FILE: undefined },
    });
    rmSync(work, { recursive: true, force: true });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    for (const line of expected) expect(stdout).toContain(line);
    expect(stdout).toContain('Encrypt');
  });

  it('its Node.js program runs', () => {
    const program = blocks.find((b) => b.language === 'ts')?.text ?? '';
    expect(program).toContain("from 'strongroom'");
    const file = join(root, 'build', 'readme-example.ts');
    writeFileSync(file, program.replace("from 'strongroom'", `from '${join(root, 'src/index.ts')}'`));
    const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', file], { cwd: root, encoding: 'utf8', env: { ...server.env, STRONGROOM_HOME: join(user, 'program') } });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  it('every link leads somewhere', () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map((m) => m[1] ?? '').filter((l) => !/^https?:/.test(l));
    expect(links.length).toBeGreaterThan(5);
    const missing = links.filter((l) => spawnSync('test', ['-e', join(root, l)]).status !== 0);
    expect(missing).toEqual([]);
  });
});
