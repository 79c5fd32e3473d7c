// The method, with subjects whose cost is known because it is made up. No clock is read here.
import { describe, expect, it } from 'vitest';
import { measure, Unavailable, WrongAnswer, type Case, type Subject } from '../../src/bench/measure.ts';

const options = { rounds: 7, roundMs: 1 };

/** Says what it cost: `ns` an operation, times a slowness that all subjects share at one moment. */
function fake(name: string, ns: number, more: { readonly weather?: () => number; readonly check?: () => void; readonly log?: string[]; readonly cpu?: boolean } = {}): Subject {
  return {
    name,
    prepare: () => ({
      least: 1000,
      run(n) {
        more.log?.push(name);
        const wallNs = n * ns * (more.weather?.() ?? 1);
        return { wallNs, ...(more.cpu === false ? {} : { cpuNs: wallNs }) };
      },
      check() { more.check?.(); },
    }),
  };
}

describe('the method', () => {
  it('gives the same subject twice as 1.00, and the ratio of two that differ', async () => {
    const result = await measure({ name: 'x', subjects: [fake('a', 100_000), fake('same', 100_000), fake('slow', 250_000)] }, options);
    expect(result.control.median).toBe(1);
    expect(result.ratios.map((r) => [r.other, r.median])).toEqual([['same', 1], ['slow', 2.5]]);
    expect(result.figures[0]).toMatchObject({ subject: 'a', rounds: 7, cpuMin: 100_000, wallMedian: 100_000 });
  });

  it('runs in turns, the first twice a round', async () => {
    const log: string[] = [];
    await measure({ name: 'x', subjects: [fake('a', 1e5, { log }), fake('b', 1e5, { log })] }, { rounds: 3, roundMs: 1 });
    expect(log.slice(-9)).toEqual(['a', 'b', 'a', 'a', 'b', 'a', 'a', 'b', 'a']);
  });

  it('takes ratios round by round, so that weather which lasts a round changes none', async () => {
    let round = 0;
    const weather = (): number => 1 + round;
    const progress = (text: string): void => { round = Number(/round (\d+)/.exec(text)?.[1] ?? 0); };
    const result = await measure({ name: 'x', subjects: [fake('a', 1e5, { weather }), fake('b', 2e5, { weather })] }, { ...options, progress });
    expect(result.figures[0]?.wallMedian).toBeGreaterThan(3e5);
    expect(result.ratios[0]?.median).toBeCloseTo(2, 1);
    expect(result.control.median).toBeCloseTo(1, 1);
  });

  it('shows a machine that is not quiet in its control', async () => {
    let call = 0;
    const weather = (): number => ((call += 1) % 2 === 0 ? 1.3 : 1);
    const result = await measure({ name: 'x', subjects: [fake('a', 1e5, { weather })] }, options);
    expect(Math.abs(result.control.median - 1)).toBeGreaterThan(0.05);
  });

  it('is not led to short rounds by one moment in which the machine stood still', async () => {
    let calls = 0;
    const stall: Subject = {
      name: 'a',
      prepare: () => ({
        run(n) {
          calls += 1;
          const wallNs = n * 1000 + (calls === 2 ? 5e9 : 0);
          return { wallNs, cpuNs: wallNs };
        },
        check() { /* nothing is made */ },
      }),
    };
    const result = await measure({ name: 'x', subjects: [stall] }, { rounds: 3, roundMs: 10 });
    expect(result.figures[0]?.n).toBeGreaterThanOrEqual(2500);
  });

  it('fails on a wrong answer, whichever round it comes in', async () => {
    for (const bad of [0, 1, 4]) {
      let checks = 0;
      const check = (): void => { if (checks++ === bad) throw new WrongAnswer('the signature does not verify'); };
      await expect(measure({ name: 'x', subjects: [fake('a', 1e5), fake('liar', 1e5, { check })] }, options)).rejects.toThrow(/does not verify/);
    }
  });

  it('goes on without a subject that cannot do the work, and names it', async () => {
    const cannot: Subject = { name: 'cannot', prepare() { throw new Unavailable('no such mechanism'); } };
    const result = await measure({ name: 'x', subjects: [fake('a', 1e5), cannot, fake('b', 1e5)] }, options);
    expect(result.figures.map((f) => f.subject)).toEqual(['a', 'b']);
    expect(result.missing).toEqual([{ name: 'cannot', why: 'no such mechanism' }]);
    await expect(measure({ name: 'x', subjects: [cannot] }, options)).rejects.toBeInstanceOf(Unavailable);
  });

  it('gives what there is when stopped', async () => {
    let rounds = 0;
    const stopped = (): boolean => rounds >= 4;
    const one: Case = { name: 'x', subjects: [fake('a', 1e5)] };
    const result = await measure(one, { rounds: 100, roundMs: 1, stopped, progress() { rounds += 1; } });
    expect(result.figures[0]?.rounds).toBe(3);
    await expect(measure(one, { ...options, stopped: () => true })).rejects.toBeInstanceOf(Unavailable);
  });

  it('judges by wall time where CPU cannot be known, and says so', async () => {
    const result = await measure({ name: 'x', subjects: [fake('a', 1e5), fake('far', 3e5, { cpu: false })] }, options);
    expect(result.figures[1]?.cpuMin).toBeNull();
    expect(result.ratios[0]).toMatchObject({ by: 'wall', median: 3 });
  });

  it('closes every subject, also after a failure', async () => {
    const closed: string[] = [];
    const closing = (name: string, check: () => void): Subject => ({ name, prepare: () => ({ run: (n) => ({ wallNs: n * 1e6, cpuNs: n * 1e6 }), check, close() { closed.push(name); } }) });
    await expect(measure({ name: 'x', subjects: [closing('a', () => undefined), closing('b', () => { throw new WrongAnswer('no'); })] }, options)).rejects.toThrow('b: no');
    expect(closed).toEqual(['a', 'b']);
  });
});
