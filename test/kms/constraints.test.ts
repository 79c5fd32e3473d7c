/** Every constraint of every member of the model, broken one at a time and all together: AWS's exact sentences. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operationNames } from '../../src/kms/operations/table.ts';
import { breakingsOf, detected, together } from './parity/breakings.ts';
import { makeWorld, type Body, type World } from './world.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

/** Where a set's values would follow, in an order of AWS's own, they are left out of the comparison. */
const setsLeftOut = (sentence: string): string => sentence.replaceAll(/(Member must satisfy enum value set: \[)[A-Za-z0-9_, ]*\]*/g, '$1');

async function refusedWith(operation: string, input: Body, sentences: readonly string[]): Promise<void> {
  const { code, message, status } = await w.refusal(operation, input);
  expect([code, status]).toEqual(['ValidationException', 400]);
  expect(setsLeftOut(message ?? '')).toBe(setsLeftOut(detected(sentences)));
}

let count = 0;
describe.each(operationNames)('%s', (operation) => {
  const table = breakingsOf(operation).map((one) => [`${one.member} ${one.what}`, one] as const);
  if (table.length > 0) {
    test.each(table)('%s', async (_, { input, sentences }) => {
      await refusedWith(operation, input, sentences);
      count++;
    });
  }
  const all = together(operation);
  if (all !== undefined) test('all at once', () => refusedWith(operation, all.input, all.sentences));
});

test('there were many', () => { expect(count).toBeGreaterThan(350); });
