// boto3, the strictest client on error names and field types.
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { pythonClients } from './built.ts';
import { checksOf, reportChecks } from './checks.ts';
import { clientServer } from './running.ts';

const server = await clientServer();
afterAll(async () => { await server.stop(); });

reportChecks('boto3', await checksOf(join(pythonClients(), 'python'), [join(import.meta.dirname, 'boto3_checks.py')], server.env));
