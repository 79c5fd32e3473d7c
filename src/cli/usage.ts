import type { Command } from 'commander';
import type { UsageRecord } from '../audit/usage.ts';
import { homeOf } from '../open.ts';
import { AdminClient } from './admin.ts';
import { printRows, type Format } from './output.ts';

export function addUsageCommand(program: Command): void {
  program
    .command('usage')
    .description('requests of an account by hour, key and operation')
    .requiredOption('--account <id>', 'twelve digits')
    .option('--days <n>', 'how many, today the last', '30')
    .option('--json', 'a JSON array')
    .action(async (options: Format & { account: string; days: string }) => {
      const { usage } = await new AdminClient(homeOf(process.env)).get<{ usage: readonly UsageRecord[] }>(`/v1/usage?${new URLSearchParams({ account: options.account, days: options.days }).toString()}`);
      const rows = usage.flatMap(({ day, key, hours }) => Object.entries(hours).sort().flatMap(([hour, cells]) => Object.entries(cells).map(([operation, [requests, errors]]) => ({ hour: `${day}T${hour}`, key, operation, requests, errors }))));
      printRows(rows, [
        { title: 'Hour', value: (r) => r.hour },
        { title: 'Key', value: (r) => (r.key === '' ? 'all' : r.key) },
        { title: 'Operation', value: (r) => r.operation },
        { title: 'Requests', value: (r) => String(r.requests) },
        { title: 'Failed', value: (r) => String(r.errors) },
      ], options);
    });
}
