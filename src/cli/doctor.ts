import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { loadCore } from '../hsm/native.ts';
import { homeOf } from '../open.ts';
import { AdminClient } from './admin.ts';
import { CommandError, exitCode, printRecord, printRows, type Format } from './output.ts';

interface Finding {
  readonly check: string;
  readonly verdict: 'ok' | 'note' | 'problem';
  readonly detail: string;
}

export function addDoctorCommands(program: Command): void {
  program
    .command('selftest')
    .description('run the core\'s known-answer tests in a process of its own')
    .argument('[name]', 'only this one')
    .option('--json', 'a JSON array')
    .action((name: string | undefined, format: Format) => {
      const core = loadCore();
      const names = name === undefined ? core.selfTests() : [name];
      if (names.some((n) => !core.selfTests().includes(n))) throw new CommandError(exitCode.notFound, `no self-test '${name ?? ''}'`, `there are: ${core.selfTests().join(', ')}`);
      const rows = names.map((n) => ({ name: n, passed: core.selfTest(n).failed === undefined }));
      const { arenaKind, arenaReason } = core.describe();
      printRows([...rows.map((r) => ({ test: r.name, result: r.passed ? 'passed' : 'FAILED' })), { test: 'secret memory', result: arenaReason === '' ? arenaKind : `${arenaKind}: ${arenaReason}` }], [
        { title: 'Self-test', value: (r) => r.test },
        { title: 'Result', value: (r) => r.result },
      ], format);
      if (rows.some((r) => !r.passed)) throw new CommandError(exitCode.integrity, 'a self-test failed: the core serves nothing until it is loaded anew');
    });

  program
    .command('status')
    .description('the running server: exit 0 healthy, 5 not serving, 7 not running')
    .option('--json', 'one JSON object')
    .action(async (format: Format) => {
      printRecord(await new AdminClient(homeOf(process.env)).get('/v1/health'), format);
    });

  program
    .command('doctor')
    .description('look for what would trip a user: home, secret memory, modules, server')
    .option('--json', 'a JSON array')
    .action(async (format: Format) => {
      const findings = await examine(homeOf(process.env));
      printRows(findings, [
        { title: 'Check', value: (f) => f.check },
        { title: 'Verdict', value: (f) => f.verdict },
        { title: 'Detail', value: (f) => f.detail },
      ], format);
      if (findings.some((f) => f.verdict === 'problem')) throw new CommandError(exitCode.failure, 'there are problems');
    });

  const pkcs11 = program.command('pkcs11').description('the Cryptoki module');
  pkcs11.command('path').description('print the module\'s path').action(() => { process.stdout.write(`${modulePath()}\n`); });
}

function modulePath(): string {
  return resolve(import.meta.dirname, '../../build/Release/libstrongroom-pkcs11.so');
}

async function examine(home: string): Promise<readonly Finding[]> {
  return [homeFinding(home), ...keyFindings(home), ...coreFindings(), moduleFinding(), await serverFinding(home)];
}

function homeFinding(home: string): Finding {
  if (!existsSync(home)) return { check: 'home', verdict: 'note', detail: `${home} is not there yet; the first start makes it` };
  try {
    accessSync(home, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return { check: 'home', verdict: 'problem', detail: `${home} is not writable for this user` };
  }
  const open = statSync(home).mode & 0o077;
  if (open !== 0) return { check: 'home', verdict: 'problem', detail: `${home} is open to others; chmod 700 it` };
  return { check: 'home', verdict: 'ok', detail: home };
}

function keyFindings(home: string): Finding[] {
  const file = process.env['STRONGROOM_KEY_FILE'] ?? join(home, 'root.key');
  if (!existsSync(file)) return [];
  const inside = file.startsWith(`${home}/`);
  return [{ check: 'root key file', verdict: inside ? 'note' : 'ok', detail: inside ? `${file} lies beside the data: no protection against a stolen home; see STRONGROOM_KEY_FILE and STRONGROOM_PASSPHRASE_FILE` : file }];
}

function coreFindings(): Finding[] {
  try {
    const info = loadCore().describe();
    return [
      { check: 'core', verdict: info.why === '' ? 'ok' : 'problem', detail: `${info.version}, ${info.library}, ${info.state}${info.why === '' ? '' : `: ${info.why}`}` },
      { check: 'secret memory', verdict: info.arenaReason === '' ? 'ok' : 'note', detail: `${info.arenaKind}, ${Math.round(info.arenaSize / 1024)} KiB${info.arenaReason === '' ? '' : `: ${info.arenaReason}`}${info.weakened ? '; weakened: strict tokens do not run' : ''}` },
    ];
  } catch (error) {
    return [{ check: 'core', verdict: 'problem', detail: error instanceof Error ? error.message : String(error) }];
  }
}

function moduleFinding(): Finding {
  const path = modulePath();
  return existsSync(path) ? { check: 'PKCS#11 module', verdict: 'ok', detail: path } : { check: 'PKCS#11 module', verdict: 'problem', detail: 'not built; run: npm run build' };
}

async function serverFinding(home: string): Promise<Finding> {
  try {
    const health = await new AdminClient(home).get<{ status: string }>('/v1/health');
    return { check: 'server', verdict: health.status === 'ok' ? 'ok' : 'problem', detail: health.status };
  } catch (error) {
    if (error instanceof CommandError && error.code === exitCode.unreachable) return { check: 'server', verdict: 'note', detail: 'not running' };
    return { check: 'server', verdict: 'problem', detail: error instanceof Error ? error.message : String(error) };
  }
}
