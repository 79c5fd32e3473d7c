/** Two reports, old and new, of the same machine: what became slower, what became faster, and what is noise. */
import Table from 'cli-table3';
import { nanoseconds, type Report } from './report.ts';

export interface Change {
  readonly name: string;
  readonly subject: string;
  readonly old: number;
  readonly now: number;
  /** New cost over old cost, each as a multiple of the case's other subjects where there are any. */
  readonly factor: number;
  readonly verdict: 'slower' | 'faster' | 'same';
}

/** Whatever is within this of 1 is the same; where a control was further off, that is. */
const least = 0.05;

/**
 * The first subject of each case, against what the machine did for the others in the same run: a machine
 * that is slower today makes all of them slower. Cases with one subject alone are compared as they are.
 */
export function compareReports(old: Report, now: Report): readonly Change[] {
  const changes: Change[] = [];
  for (const result of now.results) {
    const before = old.results.find((r) => r.name === result.name);
    const [mine] = result.figures;
    const was = before?.figures.find((f) => f.subject === mine?.subject);
    if (before === undefined || mine === undefined || was === undefined) continue;
    const by = mine.cpuMedian !== null && was.cpuMedian !== null && result.control.by === 'cpu' ? 'cpu' : 'wall';
    const cost = (f: { readonly cpuMedian: number | null; readonly wallMedian: number }): number => (by === 'cpu' ? (f.cpuMedian ?? NaN) : f.wallMedian);
    const others = result.ratios.flatMap((r) => {
      const then = before.ratios.find((b) => b.other === r.other);
      return then === undefined ? [] : [then.median / r.median];
    }).sort((a, b) => a - b);
    const factor = others.length > 0 ? (others[Math.floor(others.length / 2)] ?? NaN) : cost(mine) / cost(was);
    const noise = Math.max(least, Math.abs(result.control.median - 1), Math.abs(before.control.median - 1));
    changes.push({ name: result.name, subject: mine.subject, old: cost(was), now: cost(mine), factor, verdict: factor > 1 + noise ? 'slower' : factor < 1 / (1 + noise) ? 'faster' : 'same' });
  }
  return changes;
}

export function compareTable(changes: readonly Change[]): string {
  const table = new Table({ head: ['case', 'subject', 'old', 'new', 'cost', ''], style: { head: [], border: [] } });
  for (const c of changes) table.push([c.name, c.subject, nanoseconds(c.old), nanoseconds(c.now), `${c.factor.toFixed(2)}x`, c.verdict === 'same' ? '' : c.verdict]);
  const slower = changes.filter((c) => c.verdict === 'slower').length;
  return `${table.toString()}\n${changes.length} cases in both: ${slower} slower, ${changes.filter((c) => c.verdict === 'faster').length} faster`;
}
