// Reports: what they say, what they compare, and that the page asks for nothing.
import { describe, expect, it } from 'vitest';
import { compareReports } from '../../src/bench/compare.ts';
import { asHtml } from '../../src/bench/html.ts';
import type { Result } from '../../src/bench/measure.ts';
import { asCsv, asTable, machine, type Report } from '../../src/bench/report.ts';
import { speedRows } from '../../src/bench/speed.ts';

/** A result whose first subject costs `ns`, and the others so many times that. */
function result(name: string, ns: number, others: Readonly<Record<string, number>>, control = 1, first = 'strongroom'): Result {
  const figure = (subject: string, cost: number): Result['figures'][number] => ({ subject, n: 1000, rounds: 7, cpuMin: cost, cpuMedian: cost, wallMin: cost, wallMedian: cost });
  const ratio = (other: string, median: number): Result['control'] => ({ other, by: 'cpu', median, low: median * 0.9, high: median * 1.1 });
  return {
    name, missing: [], control: ratio('again', control),
    figures: [figure(first, ns), ...Object.entries(others).map(([subject, times]) => figure(subject, ns * times))],
    ratios: Object.entries(others).map(([subject, times]) => ratio(subject, times)),
  };
}

const report = (results: readonly Result[], more: Partial<Report> = {}): Report => ({
  when: '2026-01-01T00:00:00.000Z', machine: machine(), versions: { strongroom: '0.1.0' }, results, latencies: [], missing: [], failures: [], partial: false, stopped: false, ...more,
});

const gcm = 'PKCS#11 AES-256-GCM seal 64 B';

describe('the report', () => {
  it('says that the machine is too noisy where the control is off by more than five per cent', () => {
    expect(asTable(report([result(gcm, 100, { SoftHSM2: 50 }, 1.04)]))).not.toContain('too noisy');
    expect(asTable(report([result(gcm, 100, { SoftHSM2: 50 }, 1.06)]))).toContain('too noisy for 1 of 1');
    expect(asTable(report([result(gcm, 100, { SoftHSM2: 50 }, NaN)]))).toContain('too noisy');
  });

  it('names failures, peers that are missing and that it was stopped', () => {
    const text = asTable(report([], { failures: [{ name: gcm, why: 'SoftHSM2: a forged signature is taken' }], missing: [{ name: 'local-kms', why: 'not installed' }], stopped: true }));
    expect(text).toContain('FAILED');
    expect(text).toContain('local-kms: not available (not installed)');
    expect(text).toContain('Stopped');
  });

  it('has an n beside every figure, in CSV too', () => {
    const rows = asCsv(report([result('a, "b"', 100, { x: 2 })])).split('\n');
    expect(rows).toHaveLength(3);
    expect(rows[0]).toContain('case,subject,n,rounds');
    expect(rows[1]?.startsWith('"a, ""b""",strongroom,1000,7,')).toBe(true);
  });

  it('holds figures against their floors', () => {
    const rows = speedRows(report([result(gcm, 100, { SoftHSM2: 41, 'NSS softokn': 2.9, 'AWS-LC by itself': 0.5 }), result('PKCS#11 find by label among 10000 objects', 16_000, {})]));
    const verdict = (figure: string): string | undefined => rows.find((r) => r.figure === figure)?.verdict;
    expect(verdict('PKCS#11 AES-256-GCM 64 B against SoftHSM2')).toBe('pass');
    expect(verdict('PKCS#11 AES-256-GCM 64 B against NSS')).toBe('short');
    expect(verdict('share of raw AWS-LC, GCM 64 B')).toBe('pass');
    expect(verdict('find by label among 10,000 objects')).toBe('short');
    expect(verdict('KMS Encrypt against local-kms')).toBe('not available');
  });

  it('takes the cheapest peer as the best, and never the library by itself', () => {
    const row = speedRows(report([result('PKCS#11 P-256 sign', 100, { SoftHSM2: 3, Kryoptic: 2, 'AWS-LC by itself': 0.9 })])).find((r) => r.figure.startsWith('ECDSA P-256'));
    expect(row).toMatchObject({ verdict: 'pass' });
    expect(row?.measured).toContain('2.00x Kryoptic');
  });

  it('claims nothing of ours where a foreign module is the reference', () => {
    const row = speedRows(report([result(gcm, 100, { SoftHSM2: 41 }, 1, 'NSS softokn')])).find((r) => r.figure.endsWith('against SoftHSM2'));
    expect(row?.verdict).toBe('not available');
  });
});

describe('compare', () => {
  it('finds what became slower, and what became faster', () => {
    const old = report([result('a', 100, { peer: 4 }), result('b', 100, { peer: 4 }), result('c', 100, { peer: 4 }), result('alone', 100, {})]);
    const now = report([result('a', 130, { peer: 4 / 1.3 }), result('b', 80, { peer: 5 }), result('c', 102, { peer: 3.92 }), result('alone', 130, {})]);
    expect(compareReports(old, now).map((c) => [c.name, c.verdict])).toEqual([['a', 'slower'], ['b', 'faster'], ['c', 'same'], ['alone', 'slower']]);
  });

  it('does not take a slower machine for slower code', () => {
    expect(compareReports(report([result('a', 100, { peer: 4 })]), report([result('a', 200, { peer: 4 })]))[0]?.verdict).toBe('same');
  });

  it('finds nothing in what the control says is noise', () => {
    expect(compareReports(report([result('a', 100, { peer: 4 })]), report([result('a', 110, { peer: 3.6 }, 1.2)]))[0]?.verdict).toBe('same');
  });
});

describe('the page', () => {
  const full = report([result(gcm, 100, { SoftHSM2: 41, '<script>alert(1)</script>': 2 })], {
    latencies: [{ name: 'KMS Encrypt at 300 requests a second', subject: 'strongroom', rate: 300, n: 1000, p50: 1e6, p99: 2e6, p999: 3e6, max: 4e6 }],
  });

  it('refers to nothing outside, and runs nothing', () => {
    const page = asHtml(full);
    const outside = /(?:src|href|srcset|data|action)\s*=|url\s*\(|@import|https?:\/\/|<(?:script|link|img|iframe|object|embed|base)\b/i;
    expect(page).not.toMatch(outside);
    // The detector sees what it looks for.
    expect('<img src="x">').toMatch(outside);
    expect('<a href=//x>').toMatch(outside);
  });

  it('shows a chart of each case, the floors and the latencies', () => {
    const page = asHtml(full);
    expect(page.match(/<svg/g)).toHaveLength(1);
    expect(page).toContain('p99.9');
    expect(page).toContain('Against the floors');
    expect(page).not.toContain('NaN');
  });
});
