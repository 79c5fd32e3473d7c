// `npm run test:clients`: every real client of the API against one server. Ends with a line for each client, `NAME: N checks
// passed`, and the sum. Arguments choose files (`sops` for test/clients/sops.full.test.ts).
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const run = (command, args, env) => new Promise((done) => {
  spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: 'inherit' }).on('error', () => done(1)).on('close', (code) => done(code ?? 1));
});

const home = mkdtempSync(join(tmpdir(), 'strongroom-clients-'));
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(AWS_|STRONGROOM_|NODE_OPTIONS)/.test(name)));
const server = spawn(process.execPath, ['bin/strongroom.js', 'serve'], {
  cwd: root, stdio: ['ignore', 'pipe', 'inherit'],
  env: { ...clean, STRONGROOM_HOME: home, STRONGROOM_LISTEN: '127.0.0.1:0', STRONGROOM_REGIONS: 'us-east-1,eu-west-1' },
});
const ended = new Promise((done) => server.once('exit', done));
let code = 1;
try {
  const url = await new Promise((done, fail) => {
    let text = '';
    server.stdout.on('data', (chunk) => {
      text += chunk;
      const ready = /strongroom: ready on (\S+)/.exec(text);
      if (ready !== null) done(ready[1]);
    });
    ended.then((exit) => { fail(new Error(`the server ended with ${exit}`)); });
  });
  const report = join(root, 'build', 'clients.json');
  mkdirSync(join(root, 'build'), { recursive: true });
  rmSync(report, { force: true });
  const files = process.argv.slice(2).map((name) => `test/clients/${name}.`);
  code = await run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`,
    '--exclude', 'test/clients/pkcs11/**', ...(files.length > 0 ? files : ['test/clients/'])], { STRONGROOM_TEST_FULL: '1', STRONGROOM_CLIENTS_SERVER: JSON.stringify({ home, url }) });
  if (existsSync(report)) tell(JSON.parse(readFileSync(report, 'utf8')));
  else code = 1;
} finally {
  server.kill('SIGTERM');
  if ((await ended) !== 0) {
    console.log('the server did not end well');
    code = 1;
  }
  rmSync(home, { recursive: true, force: true });
}
process.exit(code);

/** A client is what the outermost `describe` of a file names. */
function tell({ testResults }) {
  const clients = new Map();
  for (const file of testResults) {
    for (const { ancestorTitles: [client], title, status } of file.assertionResults) {
      const found = clients.get(client) ?? { passed: 0, failed: 0, skipped: [] };
      if (status === 'passed') found.passed += 1;
      else if (status === 'failed') found.failed += 1;
      else found.skipped.push(title);
      clients.set(client, found);
    }
    if (file.assertionResults.length === 0) clients.set(file.name.slice(root.length + 1), { passed: 0, failed: 1, skipped: [] });
  }
  console.log('');
  for (const [client, { passed, failed, skipped }] of [...clients].sort(([a], [b]) => a.localeCompare(b))) {
    const parts = [...(passed > 0 || skipped.length === 0 ? [`${passed} checks passed`] : []), ...(failed > 0 ? [`${failed} FAILED`] : []), ...(skipped.length > 0 ? [`${skipped.length} skipped: ${[...new Set(skipped)].join('; ')}`] : [])];
    console.log(`${client}: ${parts.join(', ')}`);
  }
  const sum = (of) => [...clients.values()].reduce((n, each) => n + of(each), 0);
  console.log(`\n${sum((c) => c.passed)} passed, ${sum((c) => c.failed)} failed, ${sum((c) => c.skipped.length)} skipped`);
}
