import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Command } from 'commander';
import { kmsCases, startBare, startOurs } from '../bench/kms.ts';
import { measure, type Case, type Result } from '../bench/measure.ts';
import { nodeCases } from '../bench/node-api.ts';
import { asCsv, asTable, machine, type Report } from '../bench/report.ts';
import { loadCore } from '../hsm/native.ts';
import { say } from './output.ts';

interface BenchOptions {
  readonly quick?: boolean;
  readonly rounds?: string;
  readonly only?: string;
  readonly json?: string;
  readonly csv?: string;
}

export function addBenchCommand(program: Command): void {
  program
    .command('bench')
    .description('figures as ratios against peers in the same run (docs/benchmarks.md)')
    .option('--quick', 'fewer and shorter rounds')
    .option('--rounds <n>', 'rounds of each case')
    .option('--only <text>', 'cases whose name contains this')
    .option('--json <file>', 'also write JSON')
    .option('--csv <file>', 'also write CSV')
    .action(run);
}

async function run(options: BenchOptions): Promise<void> {
  let stopped = false;
  process.once('SIGINT', () => { stopped = true; });
  const core = loadCore();
  const servers = [{ name: 'strongroom', endpoint: await startOurs() }, { name: 'bare node:http', endpoint: await startBare() }];
  const results: Result[] = [];
  const missing: { name: string; why: string }[] = [];
  try {
    const cases: readonly Case[] = [...nodeCases(core), ...kmsCases(servers)].filter((c) => options.only === undefined || c.name.includes(options.only));
    for (const one of cases) {
      if (stopped) break;
      try {
        results.push(await measure(one, {
          rounds: Number(options.rounds ?? (options.quick === true ? 5 : 15)),
          roundMs: options.quick === true ? 60 : 250,
          stopped: () => stopped,
          ...(process.stderr.isTTY ? { progress: (text: string) => { process.stderr.write(`\r\x1b[K${text}`); } } : {}),
        }));
      } catch (error) {
        missing.push({ name: one.name, why: error instanceof Error ? error.message : String(error) });
      }
    }
  } finally {
    for (const { endpoint } of servers) await endpoint.stop();
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  const report: Report = { when: new Date().toISOString(), machine: machine(), versions: { strongroom: version, library: core.describe().library }, results, missing };
  process.stdout.write(`${asTable(report)}\n`);
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(report, undefined, 2));
  if (options.csv !== undefined) writeFileSync(options.csv, `${asCsv(report)}\n`);
  if (missing.length > 0) say('some cases did not run');
  core.close();
}
