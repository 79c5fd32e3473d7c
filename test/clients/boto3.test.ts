// boto3, the strictest client on error names and field types.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pythonClients } from './built.ts';
import { startServer, type Running } from './running.ts';

const script = join(import.meta.dirname, 'boto3_checks.py');
const names = [...readFileSync(script, 'utf8').matchAll(/^@check\ndef (\w+)/gm)].map((m) => m[1] ?? '');

let server: Running;
let results: Map<string, { ok: boolean; why?: string }>;

beforeAll(async () => {
  const python = join(pythonClients(), 'python');
  server = await startServer();
  const { stdout, stderr } = spawnSync(python, [script], { env: server.env, encoding: 'utf8' });
  results = new Map(stdout.split('\n').filter((l) => l.startsWith('{')).map((l) => {
    const row = JSON.parse(l) as { name: string; ok: boolean; why?: string };
    return [row.name, row];
  }));
  if (results.size === 0) throw new Error(stderr);
});
afterAll(async () => { await server?.stop(); });

describe('boto3', () => {
  it.each(names)('%s', (name) => {
    const result = results.get(name);
    expect(result?.why).toBeUndefined();
    expect(result?.ok).toBe(true);
  });
});
