/** The clock of a double for tests: `strongroom clock`. */
import type { Command } from 'commander';
import { homeOf } from '../open.ts';
import { AdminClient } from './admin.ts';
import { CommandError, exitCode, printRecord, type Format } from './output.ts';

interface Shown {
  readonly now: string;
  readonly aheadMs: number;
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

export function addClockCommands(program: Command): void {
  const clock = program.command('clock').description('the service\'s time (dev mode): waiting periods, rotations and expiries go by it');
  clock
    .command('show')
    .description('what time it is there')
    .option('--json', 'one JSON object')
    .action(async (format: Format) => { print(await client().get<Shown>('/v1/clock'), format); });
  clock
    .command('advance')
    .description('go forward, and do what falls due on the way')
    .argument('<duration>', 'such as 7d, 36h, 90m, 1w2d')
    .option('--json', 'one JSON object')
    .action(async (duration: string, format: Format) => { print(await client().post<Shown>('/v1/clock', { advanceMs: millisecondsOf(duration) }), format); });
  clock
    .command('set')
    .description('go forward to a time')
    .argument('<time>', 'ISO 8601, such as 2031-01-01T00:00:00Z')
    .option('--json', 'one JSON object')
    .action(async (time: string, format: Format) => {
      const nowMs = /^\d{4}-\d\d-\d\d/.test(time) ? Date.parse(time) : NaN;
      if (Number.isNaN(nowMs)) throw new CommandError(exitCode.usage, `'${time}' is not a time such as 2031-01-01T00:00:00Z`);
      print(await client().post<Shown>('/v1/clock', { nowMs }), format);
    });
}

const client = (): AdminClient => new AdminClient(homeOf(process.env));

function print({ now, aheadMs }: Shown, format: Format): void {
  printRecord(format.json === true ? { now, aheadMs } : { now, ahead: `${Math.round(aheadMs / 1000)} s` }, format);
}

function millisecondsOf(text: string): number {
  const whole = /^(\d+(ms|[smhdw]))+$/.test(text);
  const parts = whole ? [...text.matchAll(/(\d+)(ms|[smhdw])/g)] : [];
  if (parts.length === 0) throw new CommandError(exitCode.usage, `'${text}' is not a duration such as 7d, 36h or 1w2d`);
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0);
}
