// `npm install ./strongroom-*.tgz && npx strongroom serve`, in an empty directory, without a compiler.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateKeyCommand, DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, startServer } from '../clients/running.ts';
import { pack, type Packed } from './packed.ts';

let packed: Packed;
beforeAll(() => { packed = pack('own'); });
afterAll(() => { packed?.remove(); });

describe('the installed package', () => {
  it('has no tool to build with, runs no script at install, and carries no source', () => {
    const manifest = JSON.parse(readFileSync(join(packed.installed, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;
    expect(manifest['scripts']).toBeUndefined();
    expect(manifest['devDependencies']).toBeUndefined();
    for (const tool of ['better-sqlite3', 'tsx', 'cmake-js', 'node-gyp', 'node-addon-api', 'typescript']) {
      expect(manifest['dependencies']?.[tool]).toBeUndefined();
      expect(existsSync(join(packed.app, 'node_modules', tool))).toBe(false);
    }
    for (const folder of ['src', 'native', 'test', 'scripts']) expect(existsSync(join(packed.installed, folder))).toBe(false);
    for (const compiler of ['cc', 'gcc', 'c++', 'cmake', 'make', 'cargo', 'python3']) expect(spawnSync('sh', ['-c', `command -v ${compiler}`], { env: { PATH: packed.path } }).status).not.toBe(0);
  });

  it('serves the AWS SDK, and stops when told', async () => {
    const server = await startServer({ program: { command: [join(packed.app, 'node_modules/.bin/strongroom')], cwd: packed.app, path: packed.path } });
    const credentials = readFileSync(join(server.home, 'credentials'), 'utf8');
    const value = (name: string): string => new RegExp(`${name}\\s*=\\s*(\\S+)`).exec(credentials)?.[1] ?? '';
    const kms = new KMSClient({ endpoint: server.url, region: 'us-east-1', credentials: { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') } });
    try {
      const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId;
      const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('packed') }));
      expect(Buffer.from((await kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext ?? []).toString()).toBe('packed');
      expect(server.cli('status').status).toBe(0);
      expect(server.cli('audit', 'verify').stdout).toMatch(/\d+ events/);
    } finally {
      kms.destroy();
      expect(await server.stop()).toBe(0);
    }
  });

  it('tests itself, module and secret memory, by npx', () => {
    const { status, stdout } = packed.run('npx', ['strongroom', 'selftest', '--json']);
    expect(status).toBe(0);
    expect((JSON.parse(stdout) as { result: string }[]).filter((r) => r.result === 'passed').length).toBeGreaterThan(10);
    expect(packed.run('npx', ['strongroom', 'pkcs11', 'path']).stdout.trim()).toBe(join(packed.installed, 'build/Release/libstrongroom-pkcs11.so'));
  });

  it('is a library, with types', () => {
    const program = "import { openHsm, type Hsm } from 'strongroom';\n\nconst hsm: Hsm = await openHsm();\nconst session = hsm.session({ partition: 'a' });\n"
      + "const key = await session.generateKey({ type: 'aes', bits: 256 });\nconsole.log(key.decrypt(key.encrypt(Buffer.from('typed'))).toString());\nhsm.close();\n";
    writeFileSync(join(packed.app, 'program.ts'), program);
    writeFileSync(join(packed.app, 'package.json'), '{"type":"module"}');
    const { status, stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node',
      '--typeRoots', join(root, 'node_modules/@types'), 'program.ts'], { cwd: packed.app, encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
    expect(packed.run('node', ['program.js']).stdout).toBe('typed\n');
  });

  it('is loaded by a PKCS#11 program', () => {
    expect(execFileSync('pkcs11-tool', ['--module', join(packed.installed, 'build/Release/libstrongroom-pkcs11.so'), '-L'], { env: { ...process.env, STRONGROOM_HOME: join(packed.app, 'home') }, encoding: 'utf8' })).toContain('Slot 0');
  });

  // Last: the addon is broken afterwards.
  it('has the integrity value of the build in its modules, and refuses a changed one', () => {
    const addon = join(packed.installed, 'build/Release/strongroom.node');
    const bytes = readFileSync(addon);
    expect(bytes.equals(readFileSync(join(root, 'build/Release/strongroom.node')))).toBe(true);
    const word = bytes.indexOf('ML-KEM');
    expect(word).toBeGreaterThan(0);
    copyFileSync(addon, `${addon}.whole`);
    bytes[word] = (bytes[word] ?? 0) ^ 0x20;
    writeFileSync(addon, bytes);
    expect(statSync(addon).size).toBe(bytes.length);
    expect(packed.run('npx', ['strongroom', 'doctor']).stdout).toMatch(/core\s+problem/);
  });
});
