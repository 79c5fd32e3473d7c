// Both ways of building an addon reach the one CMake build, each in a copy of its own.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
const copies: string[] = [];

/** What git tracks or would, without what was built. */
function copy(): string {
  const to = mkdtempSync(join(tmpdir(), 'strongroom-build-'));
  copies.push(to);
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'CMakeLists.txt', 'binding.gyp', 'package.json', 'native', 'scripts', 'src/hsm'], { cwd: root, encoding: 'utf8' });
  for (const file of files.trim().split('\n').filter((name) => existsSync(join(root, name)))) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(root, file), join(to, file));
  }
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
  return to;
}

afterAll(() => { for (const folder of copies) rmSync(folder, { recursive: true, force: true }); });

/** The headers beside this node, where they are its own: nothing is downloaded. */
function nodedir(): string[] {
  const prefix = resolve(dirname(process.execPath), '..');
  const header = join(prefix, 'include/node/node_version.h');
  if (!existsSync(header)) return [];
  const text = readFileSync(header, 'utf8');
  const version = ['MAJOR', 'MINOR', 'PATCH'].map((part) => text.match(new RegExp(`NODE_${part}_VERSION (\\d+)`))?.[1]).join('.');
  return version === process.versions.node ? [`--nodedir=${prefix}`] : [];
}

const probe = `
  const addon = require(process.argv[1]);
  class E extends Error { constructor(code, message) { super(message); this.code = code; } }
  addon.open(E, 0, false);
  const session = addon.sessionOpen(addon.partitionEphemeral('probe'), 1);
  const room = Buffer.alloc(32);
  addon.random(session, room);
  const { state } = addon.describe();
  addon.close();
  console.log(JSON.stringify({ exports: Object.keys(addon).length > 100, state, random: !room.equals(Buffer.alloc(32)) }));
`;

test.each([
  ['cmake-js', ['node_modules/cmake-js/bin/cmake-js', 'build', '--target', 'addon', '--log-level', 'error']],
  ['node-gyp', ['node_modules/node-gyp/bin/node-gyp.js', 'rebuild', '--release', '--loglevel=error', ...nodedir()]],
])('%s makes an addon that loads and works', { timeout: 600_000 }, async (_, args) => {
  const folder = copy();
  await run(process.execPath, args, { cwd: folder, maxBuffer: 1 << 26 });
  const { stdout } = await run(process.execPath, ['-e', probe, join(folder, 'build/Release/strongroom.node')]);
  expect(JSON.parse(stdout)).toEqual({ exports: true, state: 'ready', random: true });
});
