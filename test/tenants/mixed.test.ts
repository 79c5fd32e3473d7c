// Two tenants at work at once, and at each other's keys: a sample. The full run sends ten thousand (mixed.full.test.ts).
import { afterEach, expect, it, vi } from 'vitest';
import { Authoriser } from '../../src/kms/authorise.ts';
import { fail } from '../../src/kms/errors.ts';
import { Run } from '../../src/kms/run.ts';
import { mix } from './mixed.ts';
import { openTwo } from './two.ts';

afterEach(() => { vi.restoreAllMocks(); });

it('a thousand requests, most of them crossed: no effect on the other, and "not yours" is "not there"', async () => {
  const two = await openTwo();
  const { own, crossed, twins, effects } = await mix(two, 1000, 20261122);
  expect(effects).toEqual([]);
  expect([own > 200, crossed > 300, twins > 50]).toEqual([true, true, true]);
  expect(two.room.reports).toEqual([]);
  await two.close();
});

it('the check sees a wall that is open', async () => {
  const two = await openTwo();
  vi.spyOn(Authoriser.prototype, 'check').mockResolvedValue({ grant: undefined });
  vi.spyOn(Run.prototype, 'requireAdmitted').mockResolvedValue();
  const { effects } = await mix(two, 400, 1);
  expect(effects.filter((effect) => effect.includes('answered with 200')).length).toBeGreaterThan(5);
  await two.close();
});

it('and a refusal that tells one from the other', async () => {
  const two = await openTwo();
  vi.spyOn(Authoriser.prototype, 'hidden').mockImplementation(async (_request, _principal, _input, need) => fail('AccessDeniedException', need.key === undefined ? 'no' : 'No'));
  const { effects } = await mix(two, 400, 1);
  expect(effects.length).toBeGreaterThan(5);
  expect(effects.filter((effect) => !/: not yours .*, not there /.test(effect))).toEqual([]);
  await two.close();
});
