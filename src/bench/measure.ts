/**
 * How figures are taken. Subjects of a case run in interleaved rounds, A B A B, on one machine, so that
 * a slow minute slows all of them; CPU time and wall time are taken for each round and quoted as minimum
 * and median; ratios are taken round by round, and quoted with their spread. The first subject runs twice
 * in every round: the ratio of the two is the A/A control, and a report whose control is off by more than
 * five per cent says that the machine is too noisy. Answers are looked at after every round, outside the
 * clocks; a wrong one fails the run.
 */

/** One way of doing a case's work. */
export interface Subject {
  readonly name: string;
  prepare(): Prepared | Promise<Prepared>;
}

/** What a round cost in all, where the one who did it has taken the time. `cpuNs` is missing where nobody can know. */
export interface Spent {
  readonly cpuNs?: number;
  readonly wallNs: number;
}

/** A case's work by one subject. `run` does it `n` times; `check` throws WrongAnswer when an answer is not right. */
export interface Prepared {
  run(n: number): void | Spent | Promise<void | Spent>;
  check(): void | Promise<void>;
  /** CPU nanoseconds spent so far by whoever does the work; default: this process. undefined: cannot be known. */
  cpuNs?(): number | undefined;
  close?(): void | Promise<void>;
  /** Fewest operations of one round; default 1. */
  readonly least?: number;
  /** Most operations of one round: for work that leaves something behind. */
  readonly most?: number;
}

/** The subject cannot do this work: its row says so, and the others are measured. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** The subject answered wrongly: no figure of it counts, and the run has failed. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

export interface Case {
  readonly name: string;
  /** The first is the reference; ratios are how many times slower each other one is. */
  readonly subjects: readonly Subject[];
  /** What ratios are judged by; default CPU. Threads and connections show in wall time only. */
  readonly by?: 'cpu' | 'wall';
}

export interface Options {
  readonly rounds: number;
  /** Least time of one round of one subject. */
  readonly roundMs: number;
  /** No further round begins after this long, once three are done. */
  readonly caseMs?: number;
  readonly progress?: (text: string) => void;
  readonly stopped?: () => boolean;
}

/** Nanoseconds an operation; n operations in each of `rounds` rounds. null: cannot be known. */
export interface Figure {
  readonly subject: string;
  readonly n: number;
  readonly rounds: number;
  readonly cpuMin: number | null;
  readonly cpuMedian: number | null;
  readonly wallMin: number;
  readonly wallMedian: number;
}

/** Cost of `other` over cost of the reference, taken in the same round. */
export interface Ratio {
  readonly other: string;
  readonly by: 'cpu' | 'wall';
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface Missing {
  readonly name: string;
  readonly why: string;
}

export interface Result {
  readonly name: string;
  readonly figures: readonly Figure[];
  readonly ratios: readonly Ratio[];
  /** The reference's second run over its first, in the same round: 1.00 on a quiet machine. */
  readonly control: Ratio;
  /** Subjects that cannot do this. */
  readonly missing: readonly Missing[];
}

interface Sample { readonly cpu: number | undefined; readonly wall: number }

interface Running {
  readonly name: string;
  readonly body: Prepared;
  readonly n: number;
  readonly samples: Sample[];
}

export async function measure(work: Case, options: Options): Promise<Result> {
  const running: Running[] = [];
  const missing: Missing[] = [];
  const open: Prepared[] = [];
  try {
    for (const subject of work.subjects) {
      options.progress?.(`${work.name}: ${subject.name}`);
      try {
        const body = await subject.prepare();
        open.push(body);
        await body.check();
        running.push({ name: subject.name, body, n: await calibrate(body, options.roundMs), samples: [] });
      } catch (error) {
        if (!(error instanceof Unavailable)) throw named(error, subject.name);
        missing.push({ name: subject.name, why: error.message });
      }
      if (options.stopped?.() === true) break;
    }
    const [reference] = running;
    if (reference === undefined) throw new Unavailable(missing.map((m) => `${m.name}: ${m.why}`).join('; ') || 'nothing to measure');
    const again: Sample[] = [];
    const started = Date.now();
    for (let round = 0; round < options.rounds; round += 1) {
      if (options.stopped?.() === true) break;
      if (round >= 3 && options.caseMs !== undefined && Date.now() - started > options.caseMs) break;
      options.progress?.(`${work.name}: round ${round + 1} of ${options.rounds}`);
      for (const one of running) one.samples.push(await sampled(one));
      again.push(await sampled(reference));
    }
    if (again.length === 0) throw new Unavailable('stopped before its first round');
    const by = work.by ?? (running.every((one) => one.samples.every((s) => s.cpu !== undefined)) ? 'cpu' : 'wall');
    return {
      name: work.name,
      figures: running.map((one) => figure(one.name, one.n, one.samples)),
      ratios: running.slice(1).map((one) => ratio(one.name, by, one.samples, reference.samples)),
      control: ratio('again', by, again, reference.samples),
      missing,
    };
  } finally {
    for (const body of open) await body.close?.();
  }
}

function named(error: unknown, subject: string): unknown {
  return error instanceof WrongAnswer ? new WrongAnswer(`${subject}: ${error.message}`) : error;
}

/** One round of one subject, its answers looked at afterwards. */
async function sampled(one: Running): Promise<Sample> {
  try {
    const sample = await timed(one.body, one.n);
    await one.body.check();
    return sample;
  } catch (error) {
    throw named(error, one.name);
  }
}

async function timed(body: Prepared, n: number): Promise<Sample> {
  const cpuNs = body.cpuNs?.bind(body) ?? ownCpuNs;
  const cpu = cpuNs();
  const wall = process.hrtime.bigint();
  const spent = await body.run(n);
  const wallNs = Number(process.hrtime.bigint() - wall);
  const after = cpuNs();
  if (spent !== undefined) return { wall: spent.wallNs / n, cpu: spent.cpuNs === undefined ? undefined : spent.cpuNs / n };
  return { wall: wallNs / n, cpu: cpu === undefined || after === undefined ? undefined : (after - cpu) / n };
}

/**
 * How many operations make a round. The best of three tries counts: one that the machine held up for a
 * moment would make rounds so short that they measure their own beginning.
 */
async function calibrate(body: Prepared, roundMs: number): Promise<number> {
  const most = body.most ?? Infinity;
  const least = Math.min(body.least ?? 1, most);
  for (let n = least; ; n = Math.min(n * 4, most)) {
    let ms = Infinity;
    for (let tries = 0; tries < 3; tries += 1) {
      ms = Math.min(ms, ((await timed(body, n)).wall * n) / 1e6);
      // Short enough to go on with more, or twice so long that a third time tells nothing.
      if (ms < roundMs / 4 || (tries > 0 && ms > roundMs * 4)) break;
    }
    const enough = Math.ceil((n * roundMs) / Math.max(ms, 0.001));
    if (n === most || ms >= roundMs || (ms >= roundMs / 4 && n > least)) return Math.min(most, Math.max(least, enough));
  }
}

export function ownCpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

function figure(subject: string, n: number, samples: readonly Sample[]): Figure {
  const cpu = samples.map((s) => s.cpu).filter((c) => c !== undefined);
  const wall = samples.map((s) => s.wall);
  const known = cpu.length === samples.length;
  return { subject, n, rounds: samples.length, cpuMin: known ? Math.min(...cpu) : null, cpuMedian: known ? median(cpu) : null, wallMin: Math.min(...wall), wallMedian: median(wall) };
}

function ratio(other: string, by: 'cpu' | 'wall', theirs: readonly Sample[], ours: readonly Sample[]): Ratio {
  const ratios = theirs.map((s, i) => (s[by] ?? NaN) / (ours[i]?.[by] ?? NaN));
  return { other, by, median: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
}
