/**
 * How commands answer: data to stdout, talk to stderr. A table on a terminal, tab-separated when piped,
 * `--json` for programs. Exit codes are one list.
 */
import Table from 'cli-table3';

export const exitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  wrongState: 5,
  integrity: 6,
  unreachable: 7,
  interrupted: 130,
} as const;

export class CommandError extends Error {
  override readonly name = 'CommandError';
  constructor(readonly code: number, message: string, readonly hint?: string) {
    super(message);
  }
}

export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
}

export interface Format {
  readonly json?: boolean;
}

export function printRows<T>(rows: readonly T[], columns: readonly Column<T>[], format: Format): void {
  if (format.json === true) {
    process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
    return;
  }
  if (process.stdout.isTTY !== true) {
    for (const row of rows) process.stdout.write(`${columns.map((c) => c.value(row)).join('\t')}\n`);
    return;
  }
  const table = new Table({ head: columns.map((c) => c.title), style: { head: colour() ? ['bold'] : [], border: [] } });
  for (const row of rows) table.push(columns.map((c) => c.value(row)));
  process.stdout.write(rows.length === 0 ? 'none\n' : `${table.toString()}\n`);
}

/** One thing, a line a member. */
export function printRecord(record: Readonly<Record<string, unknown>>, format: Format): void {
  if (format.json === true) {
    process.stdout.write(`${JSON.stringify(record, undefined, 2)}\n`);
    return;
  }
  const width = Math.max(0, ...Object.keys(record).map((k) => k.length));
  for (const [name, value] of Object.entries(record)) {
    const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
    process.stdout.write(process.stdout.isTTY === true ? `${name.padEnd(width)}  ${text}\n` : `${name}\t${text}\n`);
  }
}

export function colour(): boolean {
  return process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb';
}

export function say(text: string): void {
  process.stderr.write(`strongroom: ${text}\n`);
}
