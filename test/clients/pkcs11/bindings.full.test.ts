/** The module under the bindings of other languages: programs that use keys as their users do. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { built, goModule, lacking } from '../built.ts';
import { checksOf, reportChecks } from '../checks.ts';
import { has, modulePath, newToken, pin } from './token.ts';

const why = (tool?: 'go'): string | undefined => (has('pkcs11-tool') ? (tool === undefined ? undefined : lacking(tool)) : 'pkcs11-tool is not installed');

/** PyKCS11 is built with the swig that its code was written for. */
function python(): string {
  const packages = ['python-pkcs11==0.10.1', 'PyKCS11==1.5.18'];
  const folder = built('python-pkcs11', [...packages, process.version], (to) => {
    const run = (command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void => {
      const done = spawnSync(command, args, { cwd: to, env: { ...process.env, ...env }, encoding: 'utf8' });
      if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}\n${done.stdout}${done.stderr}`);
    };
    const bin = join(to, 'env/bin');
    run('python3', ['-m', 'venv', join(to, 'env')]);
    run(join(bin, 'pip'), ['install', '-q', '--disable-pip-version-check', 'swig==4.2.1', 'setuptools==80.9.0', 'wheel==0.45.1', packages[0]!]);
    run(join(bin, 'pip'), ['install', '-q', '--disable-pip-version-check', '--no-build-isolation', packages[1]!], { PATH: `${bin}:${process.env['PATH'] ?? ''}` });
  });
  return join(folder, 'env/bin/python');
}

const token = why() === undefined ? newToken('bound') : undefined;
afterAll(() => { token?.remove(); });
const run = async (program: string, ...args: readonly string[]): ReturnType<typeof checksOf> => checksOf(program, [...args, modulePath, token!.label, pin], token!.env);

reportChecks('Go, crypto11 over miekg/pkcs11', why('go') ?? await run(goModule('pkcs11')));
reportChecks('Python, python-pkcs11 and PyKCS11', why() ?? await run(python(), join(import.meta.dirname, 'bindings_checks.py')));
