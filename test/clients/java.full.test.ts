// AWS SDK for Java v2, BouncyCastle and the Encryption SDK for Java, which opens what the other languages sealed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { encryptionSdkPython, javaClasses, lacking, nodeScript } from './built.ts';
import { checksOf, reportChecks } from './checks.ts';
import { clientServer } from './running.ts';

const why = lacking('java');
if (why !== undefined) {
  reportChecks('AWS SDK for Java v2', why);
} else {
  const server = await clientServer();
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-java-'));
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await server.stop();
  });
  const java = ['java', '-cp', javaClasses(), 'Checks'] as const;
  reportChecks('AWS SDK for Java v2', await checksOf(java[0], [...java.slice(1), 'checks'], server.env));

  describe('AWS Encryption SDK', () => {
    const programs: Readonly<Record<string, readonly string[]>> = {
      java,
      python: [join(encryptionSdkPython(), 'python'), join(import.meta.dirname, 'esdk_checks.py')],
      js: [process.execPath, nodeScript('encryption-sdk.mjs')],
    };
    const run = (language: string, ...words: string[]): string => {
      const [command = '', ...first] = programs[language] ?? [];
      const { status, stdout, stderr } = spawnSync(command, [...first, ...words], { env: server.env, encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
      return stdout;
    };
    it.each([['java', 'python', 'Java'], ['java', 'js', 'Java'], ['python', 'java', 'Python'], ['js', 'java', 'JavaScript']])('what %s seals, %s opens', (from, to, name) => {
      run(from, 'seal', folder);
      expect(run(to, 'open', folder, from)).toBe(`sealed by ${name}`);
    });
  });
}
