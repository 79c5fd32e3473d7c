import type { Command } from 'commander';
import { homeOf } from '../open.ts';
import { AdminClient } from './admin.ts';
import { CommandError, exitCode, printRecord, printRows, type Format } from './output.ts';

interface Account {
  readonly accountId: string;
  readonly status: string;
  readonly createdMs: number;
  readonly strict?: boolean;
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
        { title: 'Status', value: (a) => (a.strict === true ? `${a.status}, strict` : a.status) },
        { title: 'Created', value: (a) => new Date(a.createdMs).toISOString() },
      ], format);
    });
  for (const [verb, what] of [
    ['suspend', 'its credentials stop with the next request'],
    ['resume', 'its credentials serve again'],
    ['cancel-deletion', 'stop waiting; the account stays suspended'],
  ] as const) {
    account
      .command(verb)
      .description(what)
      .argument('<id>', 'twelve digits')
      .option('--json', 'one JSON object')
      .action(async (id: string, format: Format) => { show(await new AdminClient(homeOf(process.env)).post(`/v1/accounts/${encodeURIComponent(id)}/${verb}`, {}), format); });
  }
  account
    .command('strict')
    .description('on: the core releases no plaintext of this account but to attested recipients, from now on; off: from the next start')
    .argument('<id>', 'twelve digits')
    .argument('<on|off>')
    .option('--json', 'one JSON object')
    .action(async (id: string, wanted: string, format: Format) => {
      if (wanted !== 'on' && wanted !== 'off') throw new CommandError(exitCode.usage, `say on or off, not '${wanted}'`);
      show(await new AdminClient(homeOf(process.env)).post(`/v1/accounts/${encodeURIComponent(id)}/strict`, { strict: wanted === 'on' }), format);
    });
  account
    .command('delete')
    .description('stop its credentials now and, after a waiting period, shred its key and remove every record of it')
    .argument('<id>', 'twelve digits')
    .option('--days <n>', 'waiting period, 7 to 30', '30')
    .option('--yes', 'it is meant')
    .option('--json', 'one JSON object')
    .action(async (id: string, options: Format & { days: string; yes?: boolean }) => {
      if (options.yes !== true) throw new CommandError(exitCode.usage, `everything that account ${id} ever encrypted will be unreadable for ever`, 'say --yes if that is meant');
      const answer = await new AdminClient(homeOf(process.env)).bytes('DELETE', `/v1/accounts/${encodeURIComponent(id)}?days=${encodeURIComponent(options.days)}`);
      show(JSON.parse(answer.toString('utf8')) as Changed, options);
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

interface Changed {
  readonly accountId: string;
  readonly status: string;
  readonly strict: boolean;
  readonly dueMs?: number;
}

function show({ dueMs, ...changed }: Changed, format: Format): void {
  if (format.json === true || dueMs === undefined) printRecord({ ...changed, ...(dueMs === undefined ? {} : { dueMs }) }, format);
  else printRecord({ ...changed, due: new Date(dueMs).toISOString() }, format);
}

/** The answer carries a secret: its bytes go to stdout as bytes and are wiped; they never become a string. */
export async function printSecret(answer: Buffer, format: Format): Promise<void> {
  const shown = format.json === true ? answer : asLines(answer);
  await new Promise<void>((done, fail) => { process.stdout.write(shown, (error) => { if (error) fail(error); else done(); }); });
  process.stdout.write('\n');
  answer.fill(0);
  shown.fill(0);
}

const [quote, open, close, colon, comma, blank, newline] = Buffer.from('"{}:, \n', 'latin1');

/** A flat object of plain texts, `{"a":"b","c":"d"}`, as lines `a: b`. */
function asLines(json: Buffer): Buffer {
  const lines = Buffer.alloc(2 * json.length);
  let at = 0;
  for (const byte of json) {
    if (byte === quote || byte === open || byte === close) continue;
    lines[at++] = (byte === comma ? newline : byte) ?? 0;
    if (byte === colon) lines[at++] = blank ?? 0;
  }
  return lines.subarray(0, at);
}
