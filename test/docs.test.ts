// Tables in docs are printed from the code's own tables; this says when a page is older than the code.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { complaints } from '../scripts/kms-notes.ts';
import { root } from './clients/running.ts';

const check = (folder: string): { readonly status: number | null; readonly stderr: string } => {
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/docs.ts', '--check', folder], { cwd: root, encoding: 'utf8' });
  return { status, stderr };
};

describe('docs', () => {
  it('name tests that are there', () => {
    const named = [...readFileSync(join(root, 'docs/boundary.md'), 'utf8').matchAll(/`(test\/[^`]+)`/g)].map((m) => m[1] ?? '');
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('name tests of users\' complaints that are there, by file and title', () => {
    const held = complaints.flatMap((one) => one.held);
    expect(held.length).toBeGreaterThan(15);
    for (const one of held) {
      const [path = '', title] = one.split(': ');
      expect(existsSync(join(root, path)), one).toBe(true);
      if (title !== undefined) expect(readFileSync(join(root, path), 'utf8'), one).toContain(`('${title}'`);
    }
  });

  it('are what the tables of the code say', () => {
    expect(check(root)).toEqual({ status: 0, stderr: '' });
  });

  it('would be found stale', () => {
    const copy = mkdtempSync(join(tmpdir(), 'strongroom-docs-'));
    cpSync(join(root, 'docs'), join(copy, 'docs'), { recursive: true });
    const page = join(copy, 'docs/kms.md');
    writeFileSync(page, readFileSync(page, 'utf8').replace('| Encrypt |', '| Encript |'));
    const { status, stderr } = check(copy);
    rmSync(copy, { recursive: true, force: true });
    expect(status).toBe(1);
    expect(stderr).toContain('docs/kms.md');
  });
});
