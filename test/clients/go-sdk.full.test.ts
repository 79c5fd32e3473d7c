import { afterAll } from 'vitest';
import { goModule, lacking } from './built.ts';
import { checksOf, reportChecks } from './checks.ts';
import { clientServer } from './running.ts';

const why = lacking('go');
const server = why === undefined ? await clientServer() : undefined;
afterAll(async () => { await server?.stop(); });

reportChecks('Go SDK v2', server === undefined ? (why ?? '') : await checksOf(goModule('libraries'), ['sdk'], server.env));
