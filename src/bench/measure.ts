/**
 * How figures are taken. Subjects of a case run in interleaved rounds, A B A B, in one process on one
 * machine, so that a slow minute slows all of them; CPU time and wall time are taken for each round and
 * quoted as minimum and median; ratios are taken round by round, and quoted with their spread. The first
 * subject runs twice in every round: the ratio of the two is the A/A control, and a report whose control
 * is off by more than five per cent says that the machine is too noisy.
 */

/** One way of doing a case's work. `run` does it `n` times; `check` throws when an answer is wrong. */
export interface Subject {
  readonly name: string;
  prepare(): Promise<Prepared> | Prepared;
}

export interface Prepared {
  run(n: number): void | Promise<void>;
  check(): void | Promise<void>;
  /** CPU nanoseconds spent so far by whoever does the work; default: this process. */
  cpuNs?(): number;
  close?(): void | Promise<void>;
  /** Fewest operations of one round; default 1. */
  readonly least?: number;
}

export interface Case {
  readonly name: string;
  /** The first is ours; ratios are how many times slower each other one is. */
  readonly subjects: readonly Subject[];
}

export interface Options {
  readonly rounds: number;
  /** Least CPU time of one round of one subject. */
  readonly roundMs: number;
  readonly progress?: (text: string) => void;
  readonly stopped?: () => boolean;
}

/** Nanoseconds an operation; n operations in each of `rounds` rounds. */
export interface Figure {
  readonly subject: string;
  readonly n: number;
  readonly rounds: number;
  readonly cpuMin: number;
  readonly cpuMedian: number;
  readonly wallMin: number;
  readonly wallMedian: number;
}

/** CPU of `other` over CPU of ours, taken in the same round. */
export interface Ratio {
  readonly other: string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface Result {
  readonly name: string;
  readonly figures: readonly Figure[];
  readonly ratios: readonly Ratio[];
  /** Our second run over our first, in the same round: 1.00 on a quiet machine. */
  readonly control: Ratio;
}

interface Sample { readonly cpu: number; readonly wall: number }

export async function measure(work: Case, options: Options): Promise<Result> {
  const prepared: { name: string; body: Prepared; n: number; samples: Sample[] }[] = [];
  try {
    for (const subject of work.subjects) {
      const body = await subject.prepare();
      await body.check();
      prepared.push({ name: subject.name, body, n: await calibrate(body, options.roundMs), samples: [] });
    }
    const [ours] = prepared;
    if (ours === undefined) throw new Error(`${work.name}: nothing to measure`);
    const again: Sample[] = [];
    for (let round = 0; round < options.rounds && options.stopped?.() !== true; round += 1) {
      for (const one of prepared) one.samples.push(await sample(one.body, one.n));
      again.push(await sample(ours.body, ours.n));
      options.progress?.(`${work.name}: round ${round + 1} of ${options.rounds}`);
    }
    for (const one of prepared) await one.body.check();
    return {
      name: work.name,
      figures: prepared.map((one) => figure(one.name, one.n, one.samples)),
      ratios: prepared.slice(1).map((one) => ratio(one.name, one.samples, ours.samples)),
      control: ratio('again', again, ours.samples),
    };
  } finally {
    for (const one of prepared) await one.body.close?.();
  }
}

async function sample(body: Prepared, n: number): Promise<Sample> {
  const cpuNs = body.cpuNs ?? ownCpuNs;
  const cpu = cpuNs();
  const wall = process.hrtime.bigint();
  await body.run(n);
  return { wall: Number(process.hrtime.bigint() - wall) / n, cpu: (cpuNs() - cpu) / n };
}

async function calibrate(body: Prepared, roundMs: number): Promise<number> {
  for (let n = body.least ?? 1; ; n *= 4) {
    const started = process.hrtime.bigint();
    await body.run(n);
    const ms = Number(process.hrtime.bigint() - started) / 1e6;
    if (ms >= roundMs / 4) return Math.max(1, Math.ceil((n * roundMs) / Math.max(ms, 0.001)));
  }
}

export function ownCpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
};

function figure(subject: string, n: number, samples: readonly Sample[]): Figure {
  const cpu = samples.map((s) => s.cpu);
  const wall = samples.map((s) => s.wall);
  return { subject, n, rounds: samples.length, cpuMin: Math.min(...cpu), cpuMedian: median(cpu), wallMin: Math.min(...wall), wallMedian: median(wall) };
}

function ratio(other: string, theirs: readonly Sample[], ours: readonly Sample[]): Ratio {
  const ratios = theirs.map((s, i) => s.cpu / (ours[i]?.cpu ?? NaN));
  return { other, median: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
}
