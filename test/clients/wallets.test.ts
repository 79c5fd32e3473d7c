import { afterAll } from 'vitest';
import { nodeScript } from './built.ts';
import { checksOf, reportChecks } from './checks.ts';
import { clientServer } from './running.ts';

const server = await clientServer();
afterAll(async () => { await server.stop(); });

reportChecks('Wallets: ethers, Solana', await checksOf(process.execPath, [nodeScript('wallets.mjs')], server.env));
