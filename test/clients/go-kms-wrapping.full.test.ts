import { afterAll } from 'vitest';
import { goModule, lacking } from './built.ts';
import { checksOf, reportChecks } from './checks.ts';
import { clientServer, credentialsOf } from './running.ts';

const why = lacking('go');
const server = why === undefined ? await clientServer() : undefined;
afterAll(async () => { await server?.stop(); });

// It takes endpoint and credentials from its own configuration, as Vault's seal stanza does.
const own = (home: string, url: string): Record<string, string> => {
  const { accessKeyId, secretAccessKey } = credentialsOf(home);
  return { ENDPOINT: url, ACCESS_KEY: accessKeyId, SECRET_KEY: secretAccessKey };
};
reportChecks('go-kms-wrapping', server === undefined ? (why ?? '') : await checksOf(goModule('libraries'), ['wrapping'], { ...server.env, ...own(server.home, server.url) }));
