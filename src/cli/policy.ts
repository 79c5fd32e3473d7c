import type { Command } from 'commander';
import { homeOf } from '../open.ts';
import { printSecret } from './account.ts';
import { AdminClient } from './admin.ts';
import { CommandError, exitCode, printRecord, type Format } from './output.ts';

interface TestOptions extends Format {
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  readonly context: readonly string[];
}

interface TestAnswer {
  readonly decision: 'allowed' | 'explicitDeny' | 'implicitDeny';
}

export function addPolicyCommands(program: Command): void {
  program
    .command('policy')
    .description('who may do what, and because of which statement')
    .command('test')
    .description('what would this principal be answered? Ends with 0 when allowed, 4 when denied')
    .requiredOption('--principal <arn>', 'a user, role, session or root; or a service such as s3.amazonaws.com')
    .requiredOption('--action <name>', 'e.g. kms:Decrypt')
    .option('--resource <arn>', 'a key\'s ARN: its policy and grants count', '*')
    .option('--context <name=value>', 'a condition key, e.g. kms:EncryptionContext:tenant=a; may be repeated', (one: string, all: readonly string[]) => [...all, one], [])
    .option('--json', 'one JSON object')
    .action(async (options: TestOptions) => {
      const { principal, action, resource } = options;
      const answer = await new AdminClient(homeOf(process.env)).post<TestAnswer & Record<string, unknown>>('/v1/policy/test', { principal, action, resource, context: contextOf(options.context) });
      printRecord(answer, options);
      if (answer.decision !== 'allowed') process.exitCode = exitCode.denied;
    });

  program
    .command('service-principal')
    .description('services that act alone or on behalf of an account\'s people')
    .command('create')
    .description('make an access key that acts as NAME.amazonaws.com; the secret is shown once')
    .argument('<name>', 'e.g. s3')
    .requiredOption('--account <id>', 'the account whose people it may act for')
    .option('--json', 'one JSON object')
    .action(async (name: string, options: Format & { readonly account: string }) => {
      await printSecret(await new AdminClient(homeOf(process.env)).bytes('POST', '/v1/service-principals', { name, accountId: options.account }), options);
    });
}

/** A name given more than once has several values. */
function contextOf(pairs: readonly string[]): Readonly<Record<string, string | readonly string[]>> {
  const context: Record<string, string[]> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new CommandError(exitCode.usage, `--context is name=value, not '${pair}'`);
    (context[pair.slice(0, equals)] ??= []).push(pair.slice(equals + 1));
  }
  return Object.fromEntries(Object.entries(context).map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]));
}
