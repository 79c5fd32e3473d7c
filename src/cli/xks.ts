import type { Command } from 'commander';
import { homeOf } from '../open.ts';
import { printSecret } from './account.ts';
import { AdminClient } from './admin.ts';
import { CommandError, exitCode, printRecord, printRows, say, type Format } from './output.ts';

interface Proxy {
  readonly prefix: string;
  readonly uriPath: string;
  readonly accountId: string;
  readonly credentials: readonly string[];
}

interface Key {
  readonly keyId: string;
  readonly accountId: string;
  readonly usage: readonly string[];
  readonly status: string;
  readonly proxies: readonly string[];
}

const client = (): AdminClient => new AdminClient(homeOf(process.env));
const proxyPath = (prefix: string, rest = ''): string => `/v1/xks/proxies/${encodeURIComponent(prefix === '' ? '/' : prefix)}${rest}`;
const prefixArgument = ['<prefix>', 'of the proxy\'s path, e.g. payments/eu; / for none'] as const;

const uses: Readonly<Record<string, readonly string[]>> = { both: ['ENCRYPT', 'DECRYPT'], encrypt: ['ENCRYPT'], decrypt: ['DECRYPT'], none: [] };

export function addXksCommands(program: Command): void {
  const xks = program.command('xks').description('external key stores: this server as the key store of another KMS, AWS KMS included (docs/xks-proxy.md)');
  xks
    .command('create')
    .description('a key store at PREFIX/kms/xks/v1 with keys of one account; its secret is shown once')
    .argument(...prefixArgument)
    .requiredOption('--account <id>', 'whose keys it serves, twelve digits')
    .option('--json', 'one JSON object')
    .action(async (prefix: string, options: Format & { account: string }) => {
      await printSecret(await client().bytes('POST', '/v1/xks/proxies', { prefix, accountId: options.account }), options);
    });
  xks
    .command('list')
    .description('every proxy')
    .option('--json', 'a JSON array')
    .action(async (format: Format) => {
      const { proxies } = await client().get<{ proxies: readonly Proxy[] }>('/v1/xks/proxies');
      printRows(proxies, [
        { title: 'Prefix', value: (p) => p.prefix },
        { title: 'Path', value: (p) => p.uriPath },
        { title: 'Account', value: (p) => p.accountId },
        { title: 'Access keys', value: (p) => p.credentials.join(' ') },
      ], format);
    });
  xks
    .command('rotate')
    .description('one more credential, beside the one in use; revoke the old one when the other KMS has the new one')
    .argument(...prefixArgument)
    .option('--json', 'one JSON object')
    .action(async (prefix: string, format: Format) => { await printSecret(await client().bytes('POST', proxyPath(prefix, '/credentials'), {}), format); });
  xks
    .command('revoke')
    .description('a credential stops with the next request')
    .argument(...prefixArgument)
    .argument('<access-key-id>')
    .action(async (prefix: string, id: string) => {
      await client().bytes('DELETE', proxyPath(prefix, `/credentials/${encodeURIComponent(id)}`));
      say(`${id} is good for nothing now`);
    });
  xks
    .command('delete')
    .description('take a proxy away with its credentials; the keys stay with the account')
    .argument(...prefixArgument)
    .option('--yes', 'it is meant')
    .action(async (prefix: string, options: { yes?: boolean }) => {
      if (options.yes !== true) throw new CommandError(exitCode.usage, 'the other KMS reaches no key through this proxy any more', 'say --yes if that is meant');
      await client().bytes('DELETE', proxyPath(prefix));
      say('the proxy is gone');
    });
  addKeyCommands(xks.command('key').description('the AES-256 keys that proxies serve'));
}

function addKeyCommands(key: Command): void {
  key
    .command('add')
    .description('serve the account\'s key of this name, making it where there is none')
    .argument(...prefixArgument)
    .argument('<key-id>', '1 to 128 letters, digits and ._-: what the other KMS calls its external key id')
    .option('--usage <what>', 'both, encrypt, decrypt or none: fixed when the key is made')
    .option('--json', 'one JSON object')
    .action(async (prefix: string, keyId: string, options: Format & { usage?: string }) => {
      const usage = options.usage === undefined ? undefined : uses[options.usage];
      if (options.usage !== undefined && usage === undefined) throw new CommandError(exitCode.usage, `--usage is both, encrypt, decrypt or none, not '${options.usage}'`);
      show(await client().post<Key>(proxyPath(prefix, '/keys'), { keyId, ...(usage === undefined ? {} : { usage }) }), options);
    });
  key
    .command('remove')
    .description('serve it through this proxy no more; the key stays')
    .argument(...prefixArgument)
    .argument('<key-id>')
    .action(async (prefix: string, keyId: string) => {
      await client().bytes('DELETE', proxyPath(prefix, `/keys/${encodeURIComponent(keyId)}`));
      say(`${keyId} is not served there any more`);
    });
  key
    .command('list')
    .description('an account\'s external keys, and who serves them')
    .requiredOption('--account <id>', 'twelve digits')
    .option('--json', 'a JSON array')
    .action(async (options: Format & { account: string }) => {
      const { keys } = await client().get<{ keys: readonly Key[] }>(`/v1/xks/keys/${encodeURIComponent(options.account)}`);
      printRows(keys, [
        { title: 'Key', value: (k) => k.keyId },
        { title: 'Usage', value: (k) => k.usage.join(' ') },
        { title: 'Status', value: (k) => k.status },
        { title: 'Served at', value: (k) => k.proxies.join(' ') },
      ], options);
    });
  for (const [verb, what] of [['enable', 'it serves again'], ['disable', 'it encrypts and decrypts nothing until it is enabled']] as const) {
    key
      .command(verb)
      .description(what)
      .argument('<key-id>')
      .requiredOption('--account <id>', 'twelve digits')
      .option('--json', 'one JSON object')
      .action(async (keyId: string, options: Format & { account: string }) => { show(await client().post<Key>(`${keyPath(options.account, keyId)}/${verb}`, {}), options); });
  }
  key
    .command('destroy')
    .description('for ever; it must not be served any more')
    .argument('<key-id>')
    .requiredOption('--account <id>', 'twelve digits')
    .option('--yes', 'it is meant')
    .action(async (keyId: string, options: { account: string; yes?: boolean }) => {
      if (options.yes !== true) throw new CommandError(exitCode.usage, `everything that ${keyId} ever encrypted will be unreadable for ever`, 'say --yes if that is meant');
      await client().bytes('DELETE', keyPath(options.account, keyId));
      say(`${keyId} is destroyed`);
    });
}

const keyPath = (account: string, keyId: string): string => `/v1/xks/keys/${encodeURIComponent(account)}/${encodeURIComponent(keyId)}`;

function show({ keyId, accountId, usage, status, proxies }: Key, format: Format): void {
  if (format.json === true) printRecord({ keyId, accountId, usage, status, proxies }, format);
  else printRecord({ keyId, accountId, usage: usage.join(' '), status, proxies: proxies.join(' ') }, format);
}
