// examples/attacks: each attack succeeds in the laboratory, where its hole is open, and fails outside.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { attackOn } from '../../examples/attacks/ground.ts';
import { exhibits } from '../../examples/attacks/run.ts';

beforeAll(() => {
  const built = spawnSync('npm', ['run', '-s', 'build:lab'], { cwd: resolve(import.meta.dirname, '../..'), encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stdout + built.stderr);
}, 600_000);

describe.each(exhibits(512))('$name', ({ settings, attack }) => {
  test('succeeds in the laboratory', async () => {
    expect(await attackOn(true, settings, attack)).toMatchObject({ succeeded: true });
  });
  test('fails outside', async () => {
    expect(await attackOn(false, settings, attack)).toMatchObject({ succeeded: false });
  });
  test('fails in the laboratory too while nothing is switched on', async () => {
    expect(await attackOn(true, [], attack)).toMatchObject({ succeeded: false });
  });
});
