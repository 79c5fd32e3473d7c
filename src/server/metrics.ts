/** Counters of this process, in Prometheus' text format. Names of operations and errors only: nothing of a caller. */

/** Upper bounds in seconds. */
const bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5] as const;

class Series {
  readonly buckets = new Array<number>(bounds.length + 1).fill(0);
  readonly codes = new Map<string, number>();
  sum = 0;
  count = 0;
}

export type Gauge = readonly [name: string, help: string, value: () => number];

export class Metrics {
  readonly #series = new Map<string, Map<string, Series>>();
  readonly #gauges: Gauge[] = [];

  /** Requests whose answers are being made. */
  underWay = 0;

  constructor() {
    this.gauge('strongroom_requests_under_way', 'Requests whose answers are being made.', () => this.underWay);
  }

  /** `operation` comes from a table, never from a caller. code: `ok` or the error's. */
  count(service: string, operation: string, code: string, seconds: number): void {
    const series = this.#of(service, operation);
    series.codes.set(code, (series.codes.get(code) ?? 0) + 1);
    series.sum += seconds;
    series.count += 1;
    let at = 0;
    while (at < bounds.length && seconds > (bounds[at] ?? 0)) at++;
    series.buckets[at] = (series.buckets[at] ?? 0) + 1;
  }

  gauge(...gauge: Gauge): void {
    this.#gauges.push(gauge);
  }

  text(): string {
    const requests: string[] = ['# HELP strongroom_requests_total Requests answered.', '# TYPE strongroom_requests_total counter'];
    const times: string[] = ['# HELP strongroom_request_seconds From the last byte of the request to the answer.', '# TYPE strongroom_request_seconds histogram'];
    for (const [service, operations] of this.#series) {
      for (const [operation, series] of operations) {
        const labels = `service="${service}",operation="${operation}"`;
        for (const [code, n] of series.codes) requests.push(`strongroom_requests_total{${labels},code="${code}"} ${n}`);
        let below = 0;
        for (const [i, n] of series.buckets.entries()) {
          below += n;
          times.push(`strongroom_request_seconds_bucket{${labels},le="${bounds[i] ?? '+Inf'}"} ${below}`);
        }
        times.push(`strongroom_request_seconds_sum{${labels}} ${series.sum}`, `strongroom_request_seconds_count{${labels}} ${series.count}`);
      }
    }
    const gauges = this.#gauges.flatMap(([name, help, value]) => [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} ${value()}`]);
    return [...requests, ...times, ...gauges, ''].join('\n');
  }

  #of(service: string, operation: string): Series {
    let operations = this.#series.get(service);
    if (operations === undefined) this.#series.set(service, operations = new Map<string, Series>());
    let series = operations.get(operation);
    if (series === undefined) operations.set(operation, series = new Series());
    return series;
  }
}
