import type { Command } from 'commander';
import { homeOf } from '../open.ts';
import { AdminClient } from './admin.ts';
import { CommandError, exitCode, printRows, type Format } from './output.ts';

interface Account {
  readonly accountId: string;
  readonly status: string;
  readonly createdMs: number;
}

export function addAccountCommands(program: Command): void {
  const account = program.command('account').description('tenants: each has its own key and its own wall');
  account
    .command('create')
    .description('make an account and its root credentials; the secret is shown once')
    .argument('[id]', 'twelve digits; made at random when not given')
    .option('--json', 'one JSON object')
    .action(async (id: string | undefined, format: Format) => {
      if (id !== undefined && !/^\d{12}$/.test(id)) throw new CommandError(exitCode.usage, `an account id is twelve digits, not '${id}'`);
      await printSecret(await new AdminClient(homeOf(process.env)).bytes('POST', '/v1/accounts', id === undefined ? {} : { accountId: id }), format);
    });
  account
    .command('list')
    .description('every account')
    .option('--json', 'a JSON array')
    .action(async (format: Format) => {
      const { accounts } = await new AdminClient(homeOf(process.env)).get<{ accounts: readonly Account[] }>('/v1/accounts');
      printRows(accounts, [
        { title: 'Account', value: (a) => a.accountId },
        { title: 'Status', value: (a) => a.status },
        { title: 'Created', value: (a) => new Date(a.createdMs).toISOString() },
      ], format);
    });

  program
    .command('credentials')
    .description('access keys')
    .command('create')
    .description('make an access key; the secret is shown once')
    .requiredOption('--account <id>', 'twelve digits')
    .option('--user <name>', 'acts as this user; else as the account\'s root')
    .option('--json', 'one JSON object')
    .action(async (options: Format & { account: string; user?: string }) => {
      const { account: accountId, user: userName } = options;
      await printSecret(await new AdminClient(homeOf(process.env)).bytes('POST', '/v1/credentials', { accountId, ...(userName === undefined ? {} : { userName }) }), options);
    });
}

/** The answer carries a secret: its bytes go to stdout as they are and are wiped; they never become a string. */
async function printSecret(answer: Buffer, format: Format): Promise<void> {
  if (format.json !== true) asLines(answer);
  await new Promise<void>((done, fail) => { process.stdout.write(answer, (error) => { if (error) fail(error); else done(); }); });
  process.stdout.write('\n');
  answer.fill(0);
}

/** `{"a":"b","c":"d"}` becomes `a: b` lines, in place: punctuation to blanks and line ends. */
function asLines(bytes: Buffer): void {
  for (let i = 0; i < bytes.length; i += 1) {
    const c = bytes[i];
    if (c === 0x7b || c === 0x7d || c === 0x22) bytes[i] = 0x20;
    else if (c === 0x2c) bytes[i] = 0x0a;
  }
}
