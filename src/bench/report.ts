/** What a run of the bench says: a table for people, JSON and CSV for programs. The page is html.ts. */
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import Table from 'cli-table3';
import type { Latency } from './kms.ts';
import type { Missing, Result } from './measure.ts';
import { speedRows, type SpeedRow } from './speed.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** Cores this process may use, and how busy they were with others when the run began. */
  readonly available: number;
  readonly load: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly openssl: string;
}

export interface Report {
  readonly when: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
  readonly latencies: readonly Latency[];
  /** Cases and peers that cannot be had here, with the reason. */
  readonly missing: readonly Missing[];
  /** Wrong answers and what broke: the run has failed. */
  readonly failures: readonly Missing[];
  /** The caller chose among the cases: figures that were not asked for are not missed. */
  readonly partial: boolean;
  /** It was stopped before its end. */
  readonly stopped: boolean;
}

export function machine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? 'unknown', cores: all.length, available: availableParallelism(), load: loadavg()[0] ?? 0,
    memoryGiB: Math.round(totalmem() / 2 ** 30), kernel: release(), node: process.version, openssl: process.versions.openssl,
  };
}

/** Results whose control says that the machine is too noisy for them. */
export const noisy = (report: Pick<Report, 'results'>): readonly Result[] => report.results.filter((r) => !(Math.abs(r.control.median - 1) <= 0.05));

export function nanoseconds(value: number | null): string {
  if (value === null) return 'unknown';
  if (value < 1e3) return `${value.toFixed(0)} ns`;
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e4 ? 2 : 1)} us`;
  return `${(value / 1e6).toFixed(2)} ms`;
}

export const spread = (r: { readonly median: number; readonly low: number; readonly high: number }): string => `${r.median.toFixed(2)} (${r.low.toFixed(2)}-${r.high.toFixed(2)})`;

const plain = { head: [], border: [] };

export function machineLines(report: Report): readonly string[] {
  const { machine: m } = report;
  return [
    `${report.when}  ${m.cpu}, ${m.available} of ${m.cores} cores, load ${m.load.toFixed(1)}, ${m.memoryGiB} GiB, Linux ${m.kernel}, Node ${m.node} (OpenSSL ${m.openssl})`,
    Object.entries(report.versions).map(([name, v]) => `${name}: ${v}`).join('; '),
  ];
}

export function asTable(report: Report): string {
  const table = new Table({ head: ['case', 'subject', 'n x rounds', 'CPU min', 'CPU median', 'wall min', 'times the first', 'control'], style: plain });
  for (const result of report.results) {
    result.figures.forEach((f, i) => {
      const r = result.ratios[i - 1];
      table.push([
        i === 0 ? result.name : '', f.subject, `${f.n} x ${f.rounds}`, nanoseconds(f.cpuMin), nanoseconds(f.cpuMedian), nanoseconds(f.wallMin),
        r === undefined ? '' : `${spread(r)}${r.by === 'wall' ? ' wall' : ''}`,
        i === 0 ? result.control.median.toFixed(2) : '',
      ]);
    });
    for (const m of result.missing) table.push(['', m.name, { colSpan: 6, content: `not available: ${m.why}` }]);
  }
  const lines = [...machineLines(report)];
  if (report.results.length > 0) lines.push(table.toString());
  if (report.latencies.length > 0) lines.push(latencyTable(report.latencies));
  lines.push(...report.missing.map((x) => `${x.name}: not available (${x.why})`));
  const rows = speedRows(report);
  if (rows.some((row) => row.verdict !== 'not available')) lines.push(speedTable(rows));
  const bad = noisy(report);
  if (bad.length > 0) lines.push(`This machine is too noisy for ${bad.length} of ${report.results.length}: ${bad.map((r) => `${r.name} (control ${r.control.median.toFixed(2)})`).join(', ')}`);
  if (report.stopped) lines.push('Stopped before its end: this is what there is.');
  lines.push(...report.failures.map((x) => `FAILED ${x.name}: ${x.why}`));
  return lines.join('\n');
}

function latencyTable(latencies: readonly Latency[]): string {
  const table = new Table({ head: ['open loop', 'subject', 'n', 'p50', 'p99', 'p99.9', 'max'], style: plain });
  for (const l of latencies) table.push([l.name, l.subject, String(l.n), ...[l.p50, l.p99, l.p999, l.max].map(nanoseconds)]);
  return table.toString();
}

function speedTable(rows: readonly SpeedRow[]): string {
  const table = new Table({ head: ['figure', 'measured', 'floor', 'verdict', 'control'], style: plain });
  for (const row of rows) table.push([row.figure, row.measured, row.floor, row.verdict, row.control === undefined ? '' : row.control.toFixed(2)]);
  return table.toString();
}

export function asCsv(report: Report): string {
  const rows = report.results.flatMap((result) => result.figures.map((f, i) => {
    const r = result.ratios[i - 1];
    return [result.name, f.subject, f.n, f.rounds, f.cpuMin ?? '', f.cpuMedian ?? '', f.wallMin, f.wallMedian, r?.by ?? '', r?.median ?? '', r?.low ?? '', r?.high ?? '', result.control.median];
  }));
  const head = ['case', 'subject', 'n', 'rounds', 'cpu_min_ns', 'cpu_median_ns', 'wall_min_ns', 'wall_median_ns', 'ratio_by', 'ratio_median', 'ratio_low', 'ratio_high', 'control'];
  return [head, ...rows].map((row) => row.map((v) => (/[",\n]/.test(String(v)) ? `"${String(v).replaceAll('"', '""')}"` : String(v))).join(',')).join('\n');
}
