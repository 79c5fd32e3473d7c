import { afterAll, expect, test } from 'vitest';
import { CryptokiDoor } from './cryptoki.ts';
import { playAll, playThrough } from './door.ts';
import { plays } from './plays.ts';
import { leftOut, leftOutOfCryptoki } from './skipped.ts';

const door = new CryptokiDoor();
playThrough(door);
afterAll(() => { door.close(); });

test.each(Object.entries(plays))('%s, through the Cryptoki module', (file, play) => {
  const [source, name] = file.split('/') as [string, string];
  const tally = playAll(source, name, play);
  expect(tally.wrong).toEqual([]);
  expect(Object.fromEntries(tally.left)).toEqual({ ...leftOut[file], ...leftOutOfCryptoki[file] });
  expect(tally.played + [...tally.left.values()].reduce((a, b) => a + b, 0)).toBe(tally.cases);
});
