// One package for every maintained Node: the same file, installed and run by each.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer } from '../clients/running.ts';
import { install, pack, type Packed } from './packed.ts';

let packed: Packed;
let nodes: string;
beforeAll(() => {
  packed = pack('all');
  nodes = realpathSync(mkdtempSync(join(tmpdir(), 'strongroom-nodes-')));
}, 1_800_000);
afterAll(() => {
  packed?.remove();
  if (nodes !== undefined) rmSync(nodes, { recursive: true, force: true });
});

/** The registry's copy of a Node. */
function fetched(version: string): string {
  execFileSync('npm', ['install', '--silent', '--no-save', '--prefix', join(nodes, version), `node-linux-${process.arch}@${version}`], { cwd: nodes, stdio: 'ignore' });
  return join(nodes, version, `node_modules/node-linux-${process.arch}/bin/node`);
}

describe('one package', () => {
  it.each(['20.20.2', '22.22.2', '24.18.1'])('runs on Node %s', async (version) => {
    const on = install(dirname(packed.tarball), packed.tarball, fetched(version));
    expect(on.run('node', ['--version']).stdout.trim()).toBe(`v${version}`);
    const server = await startServer({ program: { command: [join(on.app, 'node_modules/.bin/strongroom')], cwd: on.app, path: on.path } });
    const made = server.cli('account', 'create', '--json');
    expect(made.stderr).toBe('');
    expect(JSON.parse(made.stdout)).toMatchObject({ accountId: expect.stringMatching(/^\d{12}$/) as string });
    expect(server.cli('audit', 'verify').status).toBe(0);
    expect(await server.stop()).toBe(0);
  });

  it('says which Nodes it is for on another', () => {
    const { status, stderr } = install(dirname(packed.tarball), packed.tarball, fetched('25.9.0')).run('npx', ['strongroom', 'serve']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/carries no SQLite for Node 25\.9\.0 \(it has node-v115-\S+, node-v127-\S+, node-v137-/);
  });
});
