import { afterAll } from 'vitest';
import { lacking, rustProgram } from './built.ts';
import { checksOf, reportChecks } from './checks.ts';
import { clientServer } from './running.ts';

const why = lacking('cargo');
const server = why === undefined ? await clientServer() : undefined;
afterAll(async () => { await server?.stop(); });

reportChecks('AWS SDK for Rust', server === undefined ? (why ?? '') : await checksOf(rustProgram(), [], server.env));
