// docs/admin-api.md and the tables of routes say the same.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import type { AdminRoute } from '../../src/server/admin.ts';

const root = resolve(import.meta.dirname, '../..');
const folder = join(root, 'src/server');
const files = readdirSync(folder).filter((name) => name.endsWith('-routes.ts')).sort();

/** Every route, whatever the mode: a table is made without looking at what its routes will work on. */
async function routes(): Promise<readonly string[]> {
  const anything: unknown = new Proxy({}, { get: () => undefined });
  const found: string[] = [];
  for (const file of files) {
    const exported = (await import(pathToFileURL(join(folder, file)).href)) as Readonly<Record<string, unknown>>;
    for (const [name, table] of Object.entries(exported)) {
      if (!name.endsWith('Routes') || typeof table !== 'function') continue;
      for (const { method, path } of (table as (...context: unknown[]) => readonly AdminRoute[])(anything, anything, anything)) found.push(`${method} ${path.replaceAll(/:\w+/g, 'ID')}`);
    }
  }
  return found.sort();
}

/** `GET /v1/keys?limit=` and `GET /v1/audit?last=N` are one route each, whatever is asked. */
const told = (page: string): readonly string[] =>
  [...page.matchAll(/^\| `(GET|POST|PUT|DELETE) (\/v1\/[^`?]*)/gm)].map(([, method = '', path = '']) => `${method} ${path.replaceAll(/\b(KEY)?ID\b/g, 'ID')}`).sort();

it('every route of the operator\'s API is in its page, and nothing else', async () => {
  const page = readFileSync(join(root, 'docs/admin-api.md'), 'utf8');
  const known = await routes();
  expect(known.length).toBeGreaterThan(20);
  expect(told(page)).toEqual(known);
  expect(told(page.replace('| `GET /v1/clock`', '| `GET /v1/clocks`'))).not.toEqual(known);
});

it('routes lie in the files that are looked at', () => {
  const all = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts') && name.startsWith('server/') && !name.endsWith('-routes.ts'));
  expect(all.filter((name) => /path: [`']\/v1\//.test(readFileSync(join(root, 'src', name), 'utf8')))).toEqual([]);
});
