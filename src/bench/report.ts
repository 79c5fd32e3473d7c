/** What a run of the bench says: a table for people, JSON and CSV for programs. */
import { cpus, release } from 'node:os';
import Table from 'cli-table3';
import type { Result } from './measure.ts';

export interface Report {
  readonly when: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly kernel: string; readonly node: string; readonly openssl: string };
  readonly versions: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
  /** Cases that could not run, with the reason. */
  readonly missing: readonly { readonly name: string; readonly why: string }[];
}

export function machine(): Report['machine'] {
  const all = cpus();
  return { cpu: all[0]?.model.trim() ?? 'unknown', cores: all.length, kernel: release(), node: process.version, openssl: process.versions.openssl };
}

export const noisy = (report: Report): readonly Result[] => report.results.filter((r) => Math.abs(r.control.median - 1) > 0.05);

export function nanoseconds(value: number): string {
  if (value < 1e3) return `${value.toFixed(0)} ns`;
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e4 ? 2 : 1)} us`;
  return `${(value / 1e6).toFixed(2)} ms`;
}

export function asTable(report: Report): string {
  const { machine: m } = report;
  const table = new Table({ head: ['case', 'subject', 'n x rounds', 'CPU min', 'CPU median', 'wall min', 'times ours', 'control'], style: { head: [], border: [] } });
  for (const result of report.results) {
    result.figures.forEach((f, i) => {
      const r = result.ratios[i - 1];
      table.push([
        i === 0 ? result.name : '', f.subject, `${f.n} x ${f.rounds}`, nanoseconds(f.cpuMin), nanoseconds(f.cpuMedian), nanoseconds(f.wallMin),
        r === undefined ? '' : `${r.median.toFixed(2)} (${r.low.toFixed(2)}-${r.high.toFixed(2)})`,
        i === 0 ? result.control.median.toFixed(2) : '',
      ]);
    });
  }
  const lines = [
    `${report.when}  ${m.cpu}, ${m.cores} cores, Linux ${m.kernel}, Node ${m.node} (OpenSSL ${m.openssl})`,
    Object.entries(report.versions).map(([name, v]) => `${name} ${v}`).join(', '),
    table.toString(),
    ...report.missing.map((x) => `${x.name}: not available (${x.why})`),
  ];
  const bad = noisy(report);
  if (bad.length > 0) lines.push(`This machine is too noisy for: ${bad.map((r) => `${r.name} (control ${r.control.median.toFixed(2)})`).join(', ')}`);
  return lines.join('\n');
}

export function asCsv(report: Report): string {
  const rows = report.results.flatMap((result) => result.figures.map((f, i) => {
    const r = result.ratios[i - 1];
    return [result.name, f.subject, f.n, f.rounds, f.cpuMin, f.cpuMedian, f.wallMin, f.wallMedian, r?.median ?? '', r?.low ?? '', r?.high ?? '', result.control.median];
  }));
  const head = ['case', 'subject', 'n', 'rounds', 'cpu_min_ns', 'cpu_median_ns', 'wall_min_ns', 'wall_median_ns', 'ratio_median', 'ratio_low', 'ratio_high', 'control'];
  return [head, ...rows].map((row) => row.map((v) => (/[",]/.test(String(v)) ? `"${String(v).replaceAll('"', '""')}"` : String(v))).join(',')).join('\n');
}
