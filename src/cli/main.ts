/** The command line: nouns and verbs. Each command lives in a file of its own noun. */
import { Command, CommanderError } from 'commander';
import { addAccountCommands } from './account.ts';
import { addAcvpCommands } from './acvp.ts';
import { addAuditCommands } from './audit.ts';
import { addBenchCommand } from './bench.ts';
import { addClockCommands } from './clock.ts';
import { addDoctorCommands } from './doctor.ts';
import { addKeyCommands } from './key.ts';
import { addLabCommands } from './lab.ts';
import { addOperatorCommands } from './operator.ts';
import { addPolicyCommands } from './policy.ts';
import { addResetCommand, addSeedCommand } from './seed.ts';
import { addServeCommand } from './serve.ts';
import { addTokenCommands } from './token.ts';
import { addUsageCommand } from './usage.ts';
import { addXksCommands } from './xks.ts';
import { CommandError, exitCode, say } from './output.ts';

const program = new Command('strongroom')
  .description('A software HSM with a PKCS#11 boundary and an AWS-KMS-compatible API')
  .configureHelp({ sortSubcommands: true, showGlobalOptions: true })
  .showSuggestionAfterError(true)
  .exitOverride()
  .addHelpText('after', `
Examples:
  strongroom serve                          start the server (npm start does the set-up first)
  strongroom account create --json          a new account and its root credentials
  strongroom key list                       every key of every account
  strongroom token init --label mine        a PKCS#11 token; asks for its PINs
  strongroom policy test --principal ARN --action kms:Decrypt --resource ARN
  strongroom audit tail -f                  what happens, as it happens
  strongroom audit verify                   is the trail whole?

Environment: STRONGROOM_HOME (default ~/.strongroom) and others: docs/configuration.md
Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 denied, 5 wrong state, 6 integrity, 7 no server, 130 interrupted`);

addServeCommand(program);
addAccountCommands(program);
addKeyCommands(program);
addOperatorCommands(program);
addPolicyCommands(program);
addAuditCommands(program);
addClockCommands(program);
addTokenCommands(program);
addUsageCommand(program);
addXksCommands(program);
addDoctorCommands(program);
addSeedCommand(program);
addResetCommand(program);
addBenchCommand(program);
addLabCommands(program);
addAcvpCommands(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  if (error instanceof CommandError) {
    say(error.hint === undefined ? error.message : `${error.message}\n            ${error.hint}`);
    return error.code;
  }
  say(error instanceof Error ? (process.env['STRONGROOM_DEBUG'] === undefined ? error.message : (error.stack ?? error.message)) : String(error));
  return exitCode.failure;
}
