import type { Command } from 'commander';
import { homeOf } from '../open.ts';
import { AdminClient } from './admin.ts';
import { printRecord, printRows, type Format } from './output.ts';

interface KeyLine {
  readonly keyId: string;
  readonly arn: string;
  readonly account: string;
  readonly region: string;
  readonly spec: string;
  readonly usage: string;
  readonly state: string;
  readonly createdMs: number;
  readonly aliases: readonly string[];
}

export function addKeyCommands(program: Command): void {
  const key = program.command('key').description('keys of every account, as the operator sees them: never their material');
  key
    .command('list')
    .option('--account <id>', 'only this account')
    .option('--region <name>', 'only this Region')
    .option('--json', 'a JSON array')
    .action(async (options: Format & { account?: string; region?: string }) => {
      const client = new AdminClient(homeOf(process.env));
      const rows: KeyLine[] = [];
      let after: string | undefined;
      do {
        const query = new URLSearchParams({ limit: '1000' });
        if (options.account !== undefined) query.set('account', options.account);
        if (options.region !== undefined) query.set('region', options.region);
        if (after !== undefined) query.set('after', after);
        const page: { keys: readonly KeyLine[]; next?: string } = await client.get(`/v1/keys?${query.toString()}`);
        rows.push(...page.keys);
        after = page.next;
      } while (after !== undefined);
      printRows(rows, [
        { title: 'Key', value: (k) => k.keyId },
        { title: 'Aliases', value: (k) => k.aliases.join(' ') },
        { title: 'Account', value: (k) => k.account },
        { title: 'Region', value: (k) => k.region },
        { title: 'Spec', value: (k) => k.spec },
        { title: 'Usage', value: (k) => k.usage },
        { title: 'State', value: (k) => k.state },
        { title: 'Created', value: (k) => new Date(k.createdMs).toISOString() },
      ], options);
    });
  key
    .command('show')
    .argument('<key>', 'key id or ARN')
    .option('--json', 'one JSON object')
    .action(async (id: string, format: Format) => {
      const name = id.slice(id.lastIndexOf('/') + 1);
      printRecord(await new AdminClient(homeOf(process.env)).get(`/v1/keys/${encodeURIComponent(name)}`), format);
    });
}
