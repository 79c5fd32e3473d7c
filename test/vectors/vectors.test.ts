import { afterAll, expect, test } from 'vitest';
import { aes } from './aes.ts';
import { curves } from './curves.ts';
import { core, files, playAll } from './door.ts';
import { hash } from './hash.ts';
import { lattice } from './lattice.ts';
import { rsa } from './rsa.ts';
import { leftOut, notMechanisms } from './skipped.ts';

const plays = { ...aes, ...hash, ...curves, ...rsa, ...lattice };
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
