// `npm run test:attacks`: the textbook's attacks in the laboratory and outside, at full size, then the
// literature's and the laboratory's tests. Arguments go to vitest.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const run = (command, args) => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};
run('npm', ['run', '-s', 'build:lab']);
run(process.execPath, ['--import', 'tsx', 'examples/attacks/run.ts']);
run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', 'test/attacks', 'test/lab', ...process.argv.slice(2)]);
