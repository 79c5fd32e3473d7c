/**
 * Requests whose signature did not hold: nobody asked them, so they are in nobody's trail, as in AWS's. They are
 * counted by /metrics, and summed up for the operator in one line a minute at most, however many they are.
 */

const everyMs = 60_000;
const mostAddresses = 1_000;

export class Strangers {
  readonly #say: (line: string) => void;
  readonly #codes = new Map<string, number>();
  readonly #addresses = new Map<string, number>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** `code`: one of the table of refusals. */
  note(code: string, address: string): void {
    this.#count += 1;
    add(this.#codes, code);
    if (this.#addresses.has(address) || this.#addresses.size < mostAddresses) add(this.#addresses, address);
    this.#timer ??= setTimeout(() => { this.flush(); }, everyMs).unref();
  }

  /** Says what there is to say. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#count === 0) return;
    const codes = [...this.#codes].map(([code, count]) => `${count} ${code}`).join(', ');
    const [address = '', times = 0] = [...this.#addresses].reduce((most, one) => (one[1] > most[1] ? one : most));
    this.#say(`${this.#count} requests that nobody signed validly were refused (${codes}); ${times} of them came from ${address}`);
    this.#count = 0;
    this.#codes.clear();
    this.#addresses.clear();
  }
}

const add = (counts: Map<string, number>, name: string): void => { counts.set(name, (counts.get(name) ?? 0) + 1); };
