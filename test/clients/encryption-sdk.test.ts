// AWS Encryption SDK in Python and JavaScript: each language opens the other's messages.
import { mkdtempSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { encryptionSdkPython, nodeScript } from './built.ts';
import { checksOf, reportChecks } from './checks.ts';
import { clientServer } from './running.ts';

const server = await clientServer();
const folder = mkdtempSync(join(tmpdir(), 'strongroom-esdk-'));
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await server.stop();
});

const programs = {
  python: [join(encryptionSdkPython(), 'python'), join(import.meta.dirname, 'esdk_checks.py')],
  js: [process.execPath, nodeScript('encryption-sdk.mjs')],
} as const;
const run = (language: keyof typeof programs, ...words: string[]): string => {
  const [command, script] = programs[language];
  const { status, stdout, stderr } = spawnSync(command, [script, ...words], { env: server.env, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
};

for (const [command, script] of Object.values(programs)) reportChecks('AWS Encryption SDK', await checksOf(command, [script, 'checks'], server.env));

describe('AWS Encryption SDK', () => {
  it('JavaScript opens what Python sealed', () => {
    run('python', 'seal', folder);
    expect(run('js', 'open', folder, 'python')).toBe('sealed by Python');
  });

  it('Python opens what JavaScript sealed', () => {
    run('js', 'seal', folder);
    expect(run('python', 'open', folder, 'js')).toBe('sealed by JavaScript');
  });
});
