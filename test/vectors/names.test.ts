import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { core } from './node.ts';

afterAll(() => { core.close(); });

const folder = execFileSync(process.execPath, ['scripts/native.mjs', '--print', 'CRYPTOKI_DIR'], { encoding: 'utf8' }).trim();
const header = readFileSync(join(folder, 'pkcs11.h'), 'utf8');
const numbers = new Map([...header.matchAll(/#define CKM_(\w+)\s+(0x[0-9A-Fa-f]+)UL/g)].map(([, name, number]) => [name!, Number(number)]));

test('every mechanism carries its number of PKCS#11 3.2, or one of the vendor range', () => {
  expect(numbers.size).toBeGreaterThan(400);
  for (const { id, name } of core.mechanisms()) {
    if (name.startsWith('VENDOR_')) expect([name, id >= 0x80000000, numbers.has(name)]).toEqual([name, true, false]);
    else expect([name, id]).toEqual([name, numbers.get(name)]);
  }
});

test('no mechanism is listed twice', () => {
  const ids = core.mechanisms().map((m) => m.id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBeGreaterThan(130);
});
