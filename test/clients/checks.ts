/** Checks that another program makes: it prints one JSON line each, `{"name": …, "ok": true}` or with `"why"`; each becomes a test. */
import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly why?: string;
}

/** Runs a program to its end and reads its checks. A program that dies has failed one more. */
export async function checksOf(command: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Promise<readonly Check[]> {
  const child = spawn(command, args, { env, ...(cwd === undefined ? {} : { cwd }), stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString('utf8'); });
  child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString('utf8'); });
  const code = await new Promise<number | null>((done, fail) => { child.once('error', fail); child.once('close', done); });
  const checks = out.split('\n').filter((line) => line.startsWith('{"name"')).map((line) => JSON.parse(line) as Check);
  const whole = code === 0 || (code === 1 && checks.some((c) => !c.ok));
  return whole && checks.length > 0 ? checks : [...checks, { name: 'runs to its end', ok: false, why: `exit ${code}\n${said.slice(-4000)}` }];
}

/** `checks` is a sentence where the client cannot run here: then it is skipped by name. */
export function reportChecks(client: string, checks: readonly Check[] | string): void {
  if (typeof checks === 'string') {
    describe(client, () => { it.skip(checks, () => undefined); });
    return;
  }
  describe(client, () => {
    for (const { name, ok, why } of checks) {
      it(name, () => {
        expect(why).toBeUndefined();
        expect(ok).toBe(true);
      });
    }
  });
}
