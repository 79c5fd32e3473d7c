// Measured from outside: does the time of a refusal tell another account's key from none? By rank, pair by pair in turns, so that what else the
// machine does falls on both alike. The same statistic, on the same server with a leak built in, must see the leak where answers leave at once.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Authoriser } from '../../src/kms/authorise.ts';
import { message } from './requests.ts';
import { openTwo, type Two } from './two.ts';

const pairs = 150;

afterEach(() => { vi.restoreAllMocks(); });

async function millisecondsOf(two: Two, KeyId: string): Promise<number> {
  const start = performance.now();
  const { status } = await two.raw(two.b.root, 'Encrypt', { KeyId, Plaintext: message });
  expect(status).toBe(400);
  return performance.now() - start;
}

/** How many standard deviations the rank sum of the first lies off what chance gives (Wilcoxon, Mann and Whitney). */
function deviation(first: readonly number[], second: readonly number[]): number {
  const all = [...first.map((value) => ({ value, mine: true })), ...second.map((value) => ({ value, mine: false }))].sort((a, b) => a.value - b.value);
  const sum = all.reduce((total, { mine }, i) => total + (mine ? i + 1 : 0), 0);
  const [n, m] = [first.length, second.length];
  return (sum - (n * (n + m + 1)) / 2) / Math.sqrt((n * m * (n + m + 1)) / 12);
}

async function measured(two: Two): Promise<number> {
  const yours = (await two.call(two.a.root, 'CreateKey', {}))['KeyMetadata'].Arn as string;
  const none = yours.replace(/key\/.*/, 'key/99999999-9999-4999-8999-999999999999');
  for (let i = 0; i < 10; i += 1) await millisecondsOf(two, i % 2 === 0 ? yours : none);
  const times = { yours: [] as number[], none: [] as number[] };
  for (let i = 0; i < pairs; i += 1) {
    for (const what of i % 2 === 0 ? (['yours', 'none'] as const) : (['none', 'yours'] as const)) times[what].push(await millisecondsOf(two, what === 'yours' ? yours : none));
  }
  await two.close();
  const z = deviation(times.yours, times.none);
  const median = (list: readonly number[]): string => ([...list].sort((a, b) => a - b)[list.length >> 1] ?? 0).toFixed(3);
  console.log(`not yours ${median(times.yours)} ms, not there ${median(times.none)} ms: ${z.toFixed(1)} standard deviations`);
  return Math.abs(z);
}

/** Looking at a key that is there takes some milliseconds more. */
function leak(): void {
  const check = Authoriser.prototype.check;
  vi.spyOn(Authoriser.prototype, 'check').mockImplementation(async function (this: Authoriser, ...asked) {
    if (asked[3].key !== undefined) await new Promise((done) => setTimeout(done, 15));
    return check.apply(this, asked);
  });
}

/** By chance once in 10^8 runs. */
const chance = 5.7;

describe('the time of a refusal', () => {
  it('does not tell', async () => {
    expect(await measured(await openTwo())).toBeLessThan(chance);
  });

  it('nor does it where looking takes milliseconds longer', async () => {
    leak();
    expect(await measured(await openTwo())).toBeLessThan(chance);
  });

  it('would tell if the answer left at once', async () => {
    leak();
    expect(await measured(await openTwo('production', { gridMs: 1 }))).toBeGreaterThan(chance);
  });

  it('by a statistic that knows equals from unequals', () => {
    const even = Array.from({ length: 100 }, (_, i) => 2 * i);
    expect(Math.abs(deviation(even, even.map((value) => value + 1)))).toBeLessThan(0.2);
    expect(deviation(even, even.map((value) => value + 500))).toBeLessThan(-12);
  });
});
