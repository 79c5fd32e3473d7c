import { afterAll, expect, test } from 'vitest';
import { files, playAll, playThrough } from './door.ts';
import { core, nodeDoor } from './node.ts';
import { plays } from './plays.ts';
import { leftOut, notMechanisms } from './skipped.ts';

playThrough(nodeDoor);
afterAll(() => { core.close(); });

test('every file is played, or named with the reason why not', () => {
  const all = ['acvp', 'implicit-rejection', 'wycheproof'].flatMap((source) => files(source).map((name) => `${source}/${name}`));
  expect([...Object.keys(plays), ...Object.keys(notMechanisms)].sort()).toEqual(all.sort());
});

test.each(Object.entries(plays))('%s', (file, play) => {
  const [source, name] = file.split('/') as [string, string];
  const tally = playAll(source, name, play);
  expect(tally.wrong).toEqual([]);
  expect(Object.fromEntries(tally.left)).toEqual(leftOut[file] ?? {});
  expect(tally.played + [...tally.left.values()].reduce((a, b) => a + b, 0)).toBe(tally.cases);
  expect(tally.played).toBeGreaterThan(0);
});
