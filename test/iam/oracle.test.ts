// The first 2,000 cases of oracle.full.test.ts, by what the other evaluation said of them then.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { differences, letters, ours, type Verdict } from './oracle.ts';
import { randomCase } from './random-cases.ts';

const verdicts = Object.fromEntries(Object.entries(letters).map(([verdict, letter]) => [letter, verdict])) as Readonly<Record<string, Verdict>>;

it('says what @cloud-copilot/iam-simulate said, but where it is known to differ', () => {
  const recorded = readFileSync(join(import.meta.dirname, 'oracle.txt'), 'utf8').trim().split('\n').at(-1) ?? '';
  expect(recorded).toMatch(/^[AIE]{2000}$/);
  const unexplained = [...recorded].flatMap((letter, seed) => {
    const given = randomCase(seed);
    const [mine, theirs] = [ours(given), verdicts[letter] as Verdict];
    return mine === theirs || differences.some(({ holds }) => holds(given, mine, theirs)) ? [] : [{ seed, mine, theirs }];
  });
  expect(unexplained).toEqual([]);
});
