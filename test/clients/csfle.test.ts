import { join } from 'node:path';
import { afterAll } from 'vitest';
import { pythonEnvironment } from './built.ts';
import { checksOf, reportChecks } from './checks.ts';
import { keysOf } from './kms.ts';
import { clientServer, credentialsOf } from './running.ts';

const server = await clientServer();
afterAll(async () => { await server.stop(); });

const keys = keysOf(server);
const [first, second, disabled] = await Promise.all([keys.create(), keys.create(), keys.create()]) as [string, string, string];
await keys.disable(disabled);
const { accessKeyId, secretAccessKey } = credentialsOf(server.home);
reportChecks('MongoDB CSFLE (libmongocrypt)', await checksOf(join(pythonEnvironment('csfle', ['pymongocrypt==1.20.0', 'pymongo==4.15.3']), 'python'), [join(import.meta.dirname, 'csfle_checks.py')],
  { ...server.env, FIRST: first, SECOND: second, DISABLED: disabled, ENDPOINT: server.url.replace('http://', ''), ACCESS_KEY: accessKeyId, SECRET_KEY: secretAccessKey }));
