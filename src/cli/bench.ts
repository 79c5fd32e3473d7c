import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { compareReports, compareTable } from '../bench/compare.ts';
import { asHtml } from '../bench/html.ts';
import { asCsv, asTable, type Report } from '../bench/report.ts';
import { runBench } from '../bench/run.ts';
import { CommandError, exitCode, say } from './output.ts';

interface BenchOptions {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly only: readonly string[];
  readonly module: readonly string[];
  readonly endpoint: readonly string[];
  readonly pinFile?: string;
  readonly token?: string;
  readonly threads: number;
  readonly rate?: number;
  readonly keys?: number;
  readonly json?: string;
  readonly csv?: string;
  readonly html?: string;
  readonly compare?: string;
}

const more = (value: string, before: readonly string[]): readonly string[] => [...before, value];

function count(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new CommandError(exitCode.usage, `${text} is not a number of at least 1`);
  return n;
}

export function addBenchCommand(program: Command): void {
  program
    .command('bench')
    .description('figures as ratios against peers in the same run (docs/benchmarks.md)')
    .argument('[new]', 'the newer report, with --compare')
    .option('--quick', 'the figures of the speed table, in fewer and shorter rounds')
    .option('--module <file>', 'a Cryptoki module; alone it stands beside ours, of several the first is the reference (`strongroom`: ours)', more, [])
    .option('--pin-file <file>', 'the PIN of a token that is there, for modules of the caller\'s; else tokens are made in scratch folders')
    .option('--token <label>', 'that token')
    .option('--endpoint <url>', 'an AWS-KMS endpoint, likewise; credentials from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY', more, [])
    .option('--only <text>', 'cases whose name contains this; can be repeated', more, [])
    .option('--rounds <n>', 'rounds of each case', count)
    .option('--threads <n>', 'most threads of the cases that use several', count, Math.min(64, Math.max(2, availableParallelism())))
    .option('--rate <n>', 'requests a second of the open loop', count)
    .option('--keys <n>', 'keys of the larger server when cost is set against number of keys', count)
    .option('--json <file>', 'also write JSON')
    .option('--csv <file>', 'also write CSV')
    .option('--html <file>', 'also write one page with charts')
    .option('--compare <old>', 'compare two JSON reports: --compare old.json new.json, or the run that follows with old.json')
    .action(run);
}

function reportOf(file: string): Report {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as Partial<Report>;
    if (!Array.isArray(report.results)) throw new Error('not a report');
    return report as Report;
  } catch (error) {
    throw new CommandError(exitCode.usage, `${file}: ${error instanceof Error ? error.message : String(error)}`, 'a report is what --json wrote');
  }
}

function compared(old: Report, now: Report): void {
  const changes = compareReports(old, now);
  process.stdout.write(`${compareTable(changes)}\n`);
  if (changes.some((c) => c.verdict === 'slower')) process.exitCode = exitCode.failure;
}

async function run(newer: string | undefined, options: BenchOptions): Promise<void> {
  const old = options.compare === undefined ? undefined : reportOf(options.compare);
  if (newer !== undefined) {
    if (old === undefined) throw new CommandError(exitCode.usage, 'two reports are compared with --compare old.json new.json');
    compared(old, reportOf(newer));
    return;
  }
  let stopped = false;
  // The first asks for what there is; a second ends at once.
  process.on('SIGINT', () => {
    if (stopped) process.exit(exitCode.interrupted);
    stopped = true;
    say('stopping after this round');
  });
  const terminal = process.stderr.isTTY;
  const report = await runBench({
    quick: options.quick === true, only: options.only, modules: options.module, endpoints: options.endpoint, threads: options.threads,
    ...(options.rounds === undefined ? {} : { rounds: options.rounds }), ...(options.pinFile === undefined ? {} : { pinFile: options.pinFile }), ...(options.token === undefined ? {} : { token: options.token }),
    ...(options.rate === undefined ? {} : { rate: options.rate }), ...(options.keys === undefined ? {} : { keys: options.keys }),
    progress(text) { if (terminal) process.stderr.write(`\r\x1b[K${text}`); },
    stopped: () => stopped,
  });
  if (terminal) process.stderr.write('\r\x1b[K');
  process.stdout.write(`${asTable(report)}\n`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  if (options.csv !== undefined) writeFileSync(options.csv, `${asCsv(report)}\n`);
  if (options.html !== undefined) writeFileSync(options.html, asHtml(report));
  if (old !== undefined) compared(old, report);
  if (report.failures.length > 0) throw new CommandError(exitCode.failure, `${report.failures.length} of the cases failed: no figure of theirs counts`);
  if (report.stopped) process.exitCode = exitCode.interrupted;
}
