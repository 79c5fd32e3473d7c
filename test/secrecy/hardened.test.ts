// The package as it is installed, started as docs/boundary.md says for who wants less to be possible: Node's permission flags, no
// __proto__, and, by a hook, no way to node:crypto. It does its work; what the flags forbid is forbidden.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, sign } from '../../src/bench/endpoint.ts';
import { credentialsOf, root, startServer } from '../clients/running.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-hardened-'));
const packed = join(folder, 'package');
const home = join(folder, 'home');
const permission = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';
const hardened = ['--disable-proto=delete', permission, `--allow-fs-read=${folder}/*`, `--allow-fs-write=${home}*`, '--allow-addons', '--allow-worker'];
const noCrypto = ['--import', join(root, 'test/secrecy/no-crypto.mjs')];

beforeAll(() => {
  execFileSync(process.execPath, ['scripts/pack.mjs', '--to', packed, '--abi', 'own'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  mkdirSync(join(packed, 'node_modules'));
  // The folder it may read ends at its own walls, so no links into a checkout.
  const { dependencies } = JSON.parse(readFileSync(join(packed, 'package.json'), 'utf8')) as { dependencies: object };
  for (const name of [...Object.keys(dependencies), 'file-uri-to-path', 'string-width', 'strip-ansi', 'ansi-regex', 'emoji-regex', 'is-fullwidth-code-point', '@colors/colors']) cpSync(join(root, 'node_modules', name), join(packed, 'node_modules', name), { recursive: true });
  mkdirSync(home, { mode: 0o700 });
}, 240_000);
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

async function works(flags: readonly string[], to: string): Promise<void> {
  const running = await startServer({ home: to, program: { command: [process.execPath, ...flags, 'bin/strongroom.js'], cwd: packed } });
  try {
    const endpoint = { url: running.url, region: 'us-east-1', ...credentialsOf(to) };
    const client = new Client(running.url, 1);
    const call = (operation: string, input: object): Promise<Record<string, unknown>> => client.call(sign(endpoint, operation, input));
    const { KeyId } = (await call('CreateKey', {}))['KeyMetadata'] as { KeyId: string };
    const Plaintext = Buffer.from('there and back').toString('base64');
    const { CiphertextBlob } = await call('Encrypt', { KeyId, Plaintext });
    expect((await call('Decrypt', { CiphertextBlob }))['Plaintext']).toBe(Plaintext);
    const pair = (await call('CreateKey', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }))['KeyMetadata'] as { KeyId: string };
    const input = { KeyId: pair.KeyId, Message: Plaintext, SigningAlgorithm: 'ECDSA_SHA_256' };
    const { Signature } = await call('Sign', input);
    expect((await call('Verify', { ...input, Signature }))['SignatureValid']).toBe(true);
    await call('CreateAlias', { AliasName: 'alias/one', TargetKeyId: KeyId });
    await call('GenerateRandom', { NumberOfBytes: 32 });
    client.close();
    expect(await running.stop()).toBe(0);
  } finally {
    await running.kill();
  }
}

const said = (flags: readonly string[], program: string): string => {
  const { stdout } = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', `try { ${program}; console.log('done'); } catch (error) { console.log(error.code ?? error.message); }`], { encoding: 'utf8', cwd: packed });
  return stdout.trim();
};

describe('a hardened start', () => {
  it('with permission flags and without __proto__ serves', async () => { await works(hardened, home); }, 120_000);

  it('and the flags hold', () => {
    expect(said(hardened, 'process.getBuiltinModule("fs").readFileSync("/etc/hostname")')).toBe('ERR_ACCESS_DENIED');
    expect(said(hardened, 'process.getBuiltinModule("fs").writeFileSync("package/x", "")')).toBe('ERR_ACCESS_DENIED');
    expect(said(hardened, 'process.getBuiltinModule("child_process").spawnSync("true")')).toBe('ERR_ACCESS_DENIED');
    expect(said(hardened, 'if ({}.__proto__ !== undefined) throw new Error("there")')).toBe('done');
    expect(said([], 'if ({}.__proto__ !== undefined) throw new Error("there")')).toBe('there');
  });
});

describe('node:crypto', () => {
  it('is not needed, so not reached', async () => { await works(noCrypto, join(folder, 'home-2')); }, 120_000);

  it('and would be refused whichever way it were asked for', () => {
    expect(said(noCrypto, 'await import("node:crypto")')).toBe('no node:crypto here: import');
    expect(said(noCrypto, '(await import("node:module")).createRequire("file:///x.js")("crypto")')).toBe('no node:crypto here: require');
    expect(said(noCrypto, 'process.getBuiltinModule("node:crypto")')).toBe('no node:crypto here: getBuiltinModule');
    expect(said(noCrypto, 'process.binding("crypto")')).toBe('no node:crypto here: binding');
    expect(said(noCrypto, 'globalThis.crypto.subtle')).toBe('no node:crypto here: subtle');
    expect(said([], 'await import("node:crypto")')).toBe('done');
  });
});
