import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

test('examples/hsm.ts prints what it promises', () => {
  const out = execFileSync(process.execPath, ['--import', 'tsx', 'examples/hsm.ts'], { cwd: root, encoding: 'utf8' });
  expect(out.trim().split('\n')).toEqual([
    'decrypted: 42 EUR', 'another invoice: HSM_E_CIPHERTEXT', 'opened again: 42 EUR', 'signature fits: true', '-----BEGIN PUBLIC KEY-----',
    'agreed: hello Bob', 'rows: 1000',
  ]);
});
