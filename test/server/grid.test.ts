// Refusals that hide whether something is there leave on a grid of fixed moments: counted on a clock of the test's own.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Beat } from '../../src/server/grid.ts';

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

/** When an answer leaves whose work took so long. */
async function leaves(workMs: number): Promise<number> {
  const came = Date.now();
  const beat = new Beat(50);
  let left: number | undefined;
  void new Promise((done) => setTimeout(done, workMs)).then(() => beat.next()).then(() => { left = Date.now() - came; beat.stop(); });
  await vi.advanceTimersByTimeAsync(1000);
  expect(vi.getTimerCount()).toBe(0);
  return left ?? Number.NaN;
}

describe('an answer that hides something', () => {
  it.each([[0, 50], [1, 50], [3, 50], [17, 50], [49, 50], [51, 100], [99, 100], [120, 150], [430, 450]])('of %d ms of work leaves after %d', async (work, step) => {
    expect(await leaves(work)).toBe(step);
  });

  it('whenever it came', async () => {
    for (const phase of [0, 7, 23, 31, 49]) {
      vi.advanceTimersByTime(phase);
      expect(await leaves(2)).toBe(50);
      expect(await leaves(5)).toBe(50);
    }
  });

  it('and no timer stays behind an answer that need not wait', () => {
    const beat = new Beat(50);
    beat.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
