// Two tenants at work at once, and at each other's keys: ten thousand requests, mixed anew each time. The seed is said, to have a run again.
import { expect, it } from 'vitest';
import { mix } from './mixed.ts';
import { openTwo } from './two.ts';

it('ten thousand requests: no effect on the other, and "not yours" is "not there"', async () => {
  const two = await openTwo();
  const seed = Number(process.env['STRONGROOM_TEST_SEED'] ?? Date.now() % 2 ** 31);
  const { own, crossed, twins, effects } = await mix(two, 10_000, seed);
  console.log(`seed ${seed}: ${own} requests of one's own, ${crossed} crossed ones, ${twins} compared with what is not there, ${effects.length} effects`);
  expect(effects).toEqual([]);
  expect(own + crossed + twins).toBeGreaterThanOrEqual(10_000);
  expect(two.room.reports).toEqual([]);
  await two.close();
}, 600_000);
