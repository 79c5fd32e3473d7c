/** The report as one page that asks for nothing: its style and its charts are in it, and no script. */
import { machineLines, nanoseconds, noisy, spread, type Report } from './report.ts';
import { speedRows } from './speed.ts';
import type { Result } from './measure.ts';

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const style = `
body{font:15px/1.45 system-ui,sans-serif;max-width:1080px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.2em .6em;border-bottom:1px solid #ddd;vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums}.pass{color:#176b2c}.short,.failed{color:#b00020}.na{color:#777}
figure{margin:1em 0}figcaption{font-weight:600}svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}
.bar{fill:#9ab4d0}.bar.first{fill:#2b5c92}.whisker{stroke:#444;stroke-width:1}.note{color:#777;font-size:.9em}
@media (prefers-color-scheme:dark){body{background:#15181c;color:#ddd}td,th{border-color:#333}.bar{fill:#4c6683}.bar.first{fill:#7fb2ea}.whisker{stroke:#bbb}.pass{color:#6fcf87}.short,.failed{color:#ff8a94}}
`;

export function asHtml(report: Report): string {
  const bad = noisy(report);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>strongroom bench, ${escape(report.when)}</title><style>${style}</style></head><body>
<h1>strongroom bench</h1>
${machineLines(report).map((line) => `<p>${escape(line)}</p>`).join('\n')}
${report.stopped ? '<p class="failed">Stopped before its end: this is what there was.</p>' : ''}
${report.failures.map((f) => `<p class="failed">Failed: ${escape(f.name)}: ${escape(f.why)}</p>`).join('\n')}
${bad.length === 0 ? '' : `<p class="short">This machine was too noisy for ${escape(bad.map((r) => `${r.name} (control ${r.control.median.toFixed(2)})`).join(', '))}.</p>`}
${speedSection(report)}
<h2>Cases</h2>
<p class="note">Bars are the median cost of one operation, on a scale of powers of ten; whiskers run from the fastest round to the median. Ratios are taken round by round against the first subject. The control is the first subject against itself.</p>
${report.results.map(chart).join('\n')}
${latencySection(report)}
${report.missing.length === 0 ? '' : `<h2>Not available</h2><ul>${report.missing.map((m) => `<li>${escape(m.name)}: ${escape(m.why)}</li>`).join('')}</ul>`}
</body></html>
`;
}

function speedSection(report: Report): string {
  const rows = speedRows(report);
  if (rows.every((row) => row.verdict === 'not available')) return '';
  return `<h2>Against the floors</h2><table><tr><th>figure</th><th>measured</th><th>floor</th><th>verdict</th><th class="n">control</th></tr>
${rows.map((r) => `<tr class="${r.verdict === 'not available' ? 'na' : ''}"><td>${escape(r.figure)}</td><td>${escape(r.measured)}</td><td>${escape(r.floor)}</td><td class="${r.verdict}">${r.verdict}</td><td class="n">${r.control?.toFixed(2) ?? ''}</td></tr>`).join('\n')}</table>`;
}

function latencySection(report: Report): string {
  if (report.latencies.length === 0) return '';
  return `<h2>Open loop</h2><table><tr><th>load</th><th>subject</th><th class="n">n</th><th class="n">p50</th><th class="n">p99</th><th class="n">p99.9</th><th class="n">max</th></tr>
${report.latencies.map((l) => `<tr><td>${escape(l.name)}</td><td>${escape(l.subject)}</td><td class="n">${l.n}</td>${[l.p50, l.p99, l.p999, l.max].map((v) => `<td class="n">${nanoseconds(v)}</td>`).join('')}</tr>`).join('\n')}</table>`;
}

const left = 230;
const width = 1000;
const room = 390;

function chart(result: Result): string {
  const wall = result.control.by === 'wall';
  const rows = result.figures.map((f, i) => {
    const min = (wall ? f.wallMin : f.cpuMin) ?? f.wallMin;
    const median = (wall ? f.wallMedian : f.cpuMedian) ?? f.wallMedian;
    return { f, min: Math.max(min, 0.1), median: Math.max(median, 0.1), ratio: result.ratios[i - 1] };
  });
  const low = Math.floor(Math.log10(Math.min(...rows.map((r) => r.min)))) - 0.3;
  const high = Math.log10(Math.max(...rows.map((r) => r.median)));
  const x = (value: number): number => left + ((Math.log10(value) - low) / Math.max(high - low, 0.1)) * room;
  const bars = rows.map((r, i) => {
    const y = i * 26 + 4;
    const words = `${nanoseconds(r.median)}${r.ratio === undefined ? '' : `, ${spread(r.ratio)}x`}; n ${r.f.n} x ${r.f.rounds}`;
    return `<text x="${left - 8}" y="${y + 14}" text-anchor="end">${escape(r.f.subject)}</text><rect class="bar${i === 0 ? ' first' : ''}" x="${left}" y="${y}" width="${(x(r.median) - left).toFixed(1)}" height="18"/>`
      + `<line class="whisker" x1="${x(r.min).toFixed(1)}" x2="${x(r.median).toFixed(1)}" y1="${y + 9}" y2="${y + 9}"/><text x="${(x(r.median) + 8).toFixed(1)}" y="${y + 14}">${escape(words)}</text>`;
  }).join('');
  const notes = [`${wall ? 'wall' : 'CPU'} time, control ${result.control.median.toFixed(2)}`, ...result.missing.map((m) => `${m.name}: not available (${m.why})`)];
  return `<figure><figcaption>${escape(result.name)}</figcaption><svg viewBox="0 0 ${width} ${rows.length * 26 + 4}" role="img" aria-label="${escape(result.name)}">${bars}</svg><div class="note">${escape(notes.join('; '))}</div></figure>`;
}
