/** Known keys for a double, and a fresh start: `strongroom seed`, `strongroom reset`. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { homeOf } from '../open.ts';
import { AdminClient } from './admin.ts';
import { CommandError, exitCode, printRecord, type Format } from './output.ts';

export function addSeedCommand(program: Command): void {
  program
    .command('seed')
    .description('accounts, keys and aliases as a file has them (dev mode); local-kms\'s files are read as they are')
    .argument('<file>', 'YAML or JSON: docs/development-mode.md')
    .option('--account <id>', 'of keys that name none; default: the first account')
    .option('--region <name>', 'of keys that name none; default: the first Region')
    .option('--json', 'one JSON object')
    .action(async (file: string, { account, region, json }: Format & { account?: string; region?: string }) => {
      const body = { document: documentIn(file), ...(account === undefined ? {} : { account }), ...(region === undefined ? {} : { region }) };
      printRecord(await new AdminClient(homeOf(process.env)).post<Record<string, unknown>>('/v1/seed', body), json === true ? { json } : {});
    });
}

export function addResetCommand(program: Command): void {
  program
    .command('reset')
    .description('take away every account, key and event, and begin anew with the first account (dev mode)')
    .option('--json', 'one JSON object')
    .action(async ({ json }: Format) => { printRecord(await new AdminClient(homeOf(process.env)).post<Record<string, unknown>>('/v1/reset', {}), json === true ? { json } : {}); });
}

/** Every JSON text is a YAML text. */
function documentIn(file: string): unknown {
  try {
    return parse(readFileSync(file, 'utf8'), { maxAliasCount: 100 });
  } catch (error) {
    throw new CommandError(exitCode.usage, `${file}: ${error instanceof Error ? error.message : 'cannot be read'}`);
  }
}
