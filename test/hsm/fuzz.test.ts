import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('./programs/fuzz.ts', import.meta.url));

test('wrong arguments of every type in every place throw TypeError or HsmError, and never abort', { timeout: 300_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', program, '40'], { maxBuffer: 1 << 24 });
  const found = JSON.parse(stdout.trim().split('\n').at(-1)!) as { calls: number; typeErrors: number; hsmErrors: number; bad: string[] };
  expect(found.bad).toEqual([]);
  expect(found.calls).toBeGreaterThan(50_000);
  expect(found.typeErrors).toBeGreaterThan(10_000);
  expect(found.hsmErrors).toBeGreaterThan(1_000);
});
