import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { addonPath } from '../../src/hsm/addon.ts';

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
const defined = (file: string): string[] => run('nm', '-D', '--defined-only', file).trim().split('\n').map((line) => line.split(' ').at(-1)!).sort();
const wanted = (file: string): string[] => run('nm', '-D', '--undefined-only', file).trim().split('\n').map((line) => line.trim().split(' ').at(-1)!);
const module = resolve(addonPath, '../libstrongroom-pkcs11.so');

test('the addon shows Node its two names and nothing else', () => {
  expect(defined(addonPath)).toEqual(['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
});

test.skipIf(!existsSync(module))('the module shows C_ functions and nothing else', () => {
  expect(defined(module).filter((name) => !name.startsWith('C_'))).toEqual([]);
  expect(defined(module)).toContain('C_GetFunctionList');
});

describe.each([['addon', addonPath], ['module', module]].filter(([, file]) => existsSync(file!)))('the %s', (_, file) => {
  test('takes no cryptography from the process it is loaded into', () => {
    expect(wanted(file!).filter((name) => /^(EVP|OPENSSL|CRYPTO|RAND|RSA|EC|BN|SSL|AES|sqlite3)_/.test(name))).toEqual([]);
  });

  test('is bound at load, read-only after it, and never unloaded', () => {
    const dynamic = run('readelf', '-d', file!);
    const headers = run('readelf', '-lW', file!);
    expect(dynamic).toMatch(/NOW/);
    expect(dynamic).toMatch(/NODELETE/);
    expect(headers).toMatch(/GNU_RELRO/);
    expect(headers).toMatch(/GNU_STACK\s.*\sRW\s/);
  });
});
