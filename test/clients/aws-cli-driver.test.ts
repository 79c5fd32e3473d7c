// The AWS CLI's driver in one process, so that many commands cost little; aws-cli.test.ts runs it as a person does.
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { pythonClients } from './built.ts';
import { checksOf, reportChecks } from './checks.ts';
import { clientServer } from './running.ts';

const server = await clientServer();
afterAll(async () => { await server.stop(); });

reportChecks('AWS CLI v1', await checksOf(join(pythonClients(), 'python'), [join(import.meta.dirname, 'cli_checks.py')], server.env));
