// The house of docs/architecture.md, held by reading what every file includes and imports.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const files = (folder: string, ...endings: string[]): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((f) => join(folder, f))
    .filter((f) => endings.some((e) => f.endsWith(e)));

// Each room and the rooms below it that it may use.
const native: Readonly<Record<string, readonly string[]>> = {
  base: [],
  crypto: ['base'],
  mech: ['base', 'crypto'],
  module: ['base', 'crypto', 'mech'],
  token: ['base', 'crypto', 'mech', 'module'],
  napi: ['base', 'crypto', 'mech', 'module', 'token'],
  pkcs11: ['base', 'crypto', 'mech', 'module', 'token'],
  // Programs that measure modules from outside, so they know nothing of ours.
  bench: [],
};
const src: Readonly<Record<string, readonly string[]>> = {
  hsm: [],
  store: ['hsm'],
  iam: ['hsm', 'store'],
  audit: ['hsm', 'store'],
  kms: ['hsm', 'store', 'iam', 'audit'],
  server: ['hsm', 'store', 'iam', 'audit', 'kms'],
  console: ['hsm', 'store', 'iam', 'audit', 'kms', 'server'],
  'open.ts': ['hsm', 'store', 'iam', 'audit', 'kms', 'server', 'console'],
  bench: ['hsm', 'store', 'iam', 'audit', 'kms', 'server', 'open.ts'],
  'index.ts': ['hsm', 'open.ts'],
  cli: ['hsm', 'store', 'iam', 'audit', 'kms', 'server', 'console', 'open.ts', 'bench', 'index.ts'],
};

interface Use { readonly from: string; readonly line: string; readonly target: string }

function includes(file: string, text: string): Use[] {
  return [...text.matchAll(/^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)/gm)].map((m) => ({
    from: file,
    line: m[0].trim(),
    target: m[1] === undefined ? `<${m[2]}>` : relative(root, resolve(root, dirname(file), m[1])),
  }));
}

function imports(file: string, text: string): Use[] {
  return [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+|\brequire\s*\(\s*)(['"])([^'"]+)\1/g)].map((m) => ({
    from: file,
    line: m[0].trim(),
    target: m[2]?.startsWith('.') === true ? relative(root, resolve(root, dirname(file), m[2])) : (m[2] ?? ''),
  }));
}

const roomOf = (path: string, top: string): string | undefined => {
  const [first, second] = path.split('/');
  return first === top ? second : undefined;
};

function nativeBreaches(uses: readonly Use[]): string[] {
  return uses.flatMap((use) => {
    const room = roomOf(use.from, 'native') ?? '';
    const breach = (why: string): string[] => [`${use.from}: ${use.line} (${why})`];
    // The limit under the modules is the library by itself, called by a program that is linked with nothing else.
    const raw = use.from === 'native/bench/raw.c';
    if (use.target.startsWith('<openssl/') && room !== 'crypto' && room !== 'mech' && !raw) return breach('the crypto library is for crypto and mech');
    if (/(^<|\/)napi\.h>?$/.test(use.target) && room !== 'napi') return breach('napi.h is for napi');
    if (/(^<|\/)pkcs11\.h>?$/.test(use.target) && room !== 'pkcs11' && room !== 'bench') return breach('pkcs11.h is for pkcs11 and bench');
    const target = roomOf(use.target, 'native');
    if (target === undefined || target === room) return [];
    return native[room]?.includes(target) === true ? [] : breach(`${room} may not look at ${target}`);
  });
}

function srcBreaches(uses: readonly Use[]): string[] {
  return uses.flatMap((use) => {
    const room = roomOf(use.from, 'src') ?? '';
    const breach = (why: string): string[] => [`${use.from}: ${use.line} (${why})`];
    if (/^(node:)?crypto$/.test(use.target) && room !== 'bench') return breach('node:crypto is for bench');
    const target = roomOf(use.target, 'src');
    if (target === undefined || target === room) return [];
    return src[room]?.includes(target) === true ? [] : breach(`${room} may not look at ${target}`);
  });
}

const read = (file: string): string => readFileSync(join(root, file), 'utf8');

describe('walls', () => {
  it('native rooms look only down', () => {
    const uses = files('native', '.c', '.h', '.cc').flatMap((f) => includes(f, read(f)));
    expect(uses.length).toBeGreaterThan(0);
    expect(nativeBreaches(uses)).toEqual([]);
  });

  it('src rooms look only down', () => {
    const uses = files('src', '.ts').flatMap((f) => imports(f, read(f)));
    expect(uses.length).toBeGreaterThan(0);
    expect(srcBreaches(uses)).toEqual([]);
  });

  it('every file stands in a room of the house', () => {
    const nativeRooms = new Set(files('native', '.c', '.h', '.cc').map((f) => roomOf(f, 'native')));
    const srcRooms = new Set(files('src', '.ts').map((f) => roomOf(f, 'src')));
    expect([...nativeRooms].filter((r) => native[r ?? ''] === undefined)).toEqual([]);
    expect([...srcRooms].filter((r) => src[r ?? ''] === undefined)).toEqual([]);
  });

  it('no file is called after nothing', () => {
    const names = [...files('native', '.c', '.h', '.cc'), ...files('src', '.ts')];
    expect(names.filter((f) => /(^|\/|[-_])(utils?|helpers?|common|managers?|misc)([-_.]|$)/i.test(f))).toEqual([]);
  });

  it('no any, no default export, no node:crypto in src', () => {
    const lines = files('src', '.ts').flatMap((f) => read(f).split('\n').map((line, i) => ({ at: `${f}:${i + 1}`, line })));
    expect(lines.filter(({ line }) => /(:|\bas|<|\|)\s*any\b(?!\s*\w)/.test(line.replace(/\/\/.*|\*.*/, ''))).map((l) => l.at)).toEqual([]);
    expect(lines.filter(({ line }) => /^export default\b/.test(line)).map((l) => l.at)).toEqual([]);
  });

  // A detector proves that it can detect.
  it('finds each breach when it is there', () => {
    expect(nativeBreaches(includes('native/module/x.c', '#include <openssl/aes.h>\n'))).toHaveLength(1);
    expect(nativeBreaches(includes('native/base/x.c', '#include "../mech/mech.h"\n'))).toHaveLength(1);
    expect(nativeBreaches(includes('native/pkcs11/x.c', '#include <napi.h>\n'))).toHaveLength(1);
    expect(nativeBreaches(includes('native/token/x.c', '#include <pkcs11.h>\n'))).toHaveLength(1);
    expect(nativeBreaches(includes('native/bench/module.c', '#include <openssl/aes.h>\n#include "../module/hsm.h"\n'))).toHaveLength(2);
    expect(nativeBreaches(includes('native/mech/x.c', '#include <openssl/aes.h>\n#include "../base/bytes.h"\n'))).toEqual([]);
    expect(srcBreaches(imports('src/store/x.ts', "import { a } from '../kms/service.ts';"))).toHaveLength(1);
    expect(srcBreaches(imports('src/kms/x.ts', "import { createHash } from 'node:crypto';"))).toHaveLength(1);
    expect(srcBreaches(imports('src/kms/x.ts', "const c = await import('crypto');"))).toHaveLength(1);
    expect(srcBreaches(imports('src/kms/x.ts', "import { a } from '../store/store.ts';"))).toEqual([]);
  });
});
