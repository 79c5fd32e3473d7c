/** Where key events go: a file of JSON lines in the home, and a webhook if one is set. Best effort, as EventBridge's are. */
import { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Events, KeyEvent } from '../kms/events.ts';

export interface EventOptions {
  readonly home: string;
  /** Gets each event by POST, one at a time and in order. */
  readonly webhook?: string;
  /** One line about a failure; never data. */
  readonly log: (line: string) => void;
  /** Before the first repetition; doubled with each. Default one second. */
  readonly retryMs?: number;
}

/** About three minutes of trying. */
const tries = 8;
const patienceMs = 10_000;
/** A webhook that is away for long loses the oldest events; the file has them. */
const mostWaiting = 10_000;

export class EventLog implements Events {
  readonly #file: WriteStream;
  readonly #options: EventOptions;
  readonly #waiting: string[] = [];
  readonly #closed = new AbortController();
  #sending: Promise<void> | undefined;

  constructor(options: EventOptions) {
    this.#options = options;
    this.#file = createWriteStream(join(options.home, 'events.jsonl'), { flags: 'a', mode: 0o600 });
    this.#file.on('error', (error) => { options.log(`events.jsonl: ${error.message}`); });
  }

  tell(event: KeyEvent): void {
    const text = JSON.stringify(event);
    this.#file.write(`${text}\n`);
    if (this.#options.webhook === undefined || this.#closed.signal.aborted) return;
    if (this.#waiting.length >= mostWaiting) this.#waiting.shift();
    this.#waiting.push(text);
    this.#sending ??= this.#send(this.#options.webhook).finally(() => { this.#sending = undefined; });
  }

  /** What the webhook has not taken by now it will not get. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#sending;
    await new Promise<void>((done) => { this.#file.end(done); });
  }

  async #send(webhook: string): Promise<void> {
    for (let text = this.#waiting.shift(); text !== undefined; text = this.#waiting.shift()) {
      const failure = await this.#deliver(webhook, text);
      if (this.#closed.signal.aborted) return;
      if (failure !== undefined) this.#options.log(`events: the webhook did not take an event in ${tries} tries: ${failure}`);
    }
  }

  /** Why it was not taken; undefined: it was. */
  async #deliver(webhook: string, body: string): Promise<string | undefined> {
    let failure = '';
    for (let at = 0; at < tries; at++) {
      if (at > 0) await this.#pause((this.#options.retryMs ?? 1000) * 2 ** (at - 1));
      if (this.#closed.signal.aborted) return undefined;
      try {
        const answer = await fetch(webhook, {
          method: 'POST', body, headers: { 'content-type': 'application/json' }, redirect: 'error',
          signal: AbortSignal.any([this.#closed.signal, AbortSignal.timeout(patienceMs)]),
        });
        await answer.body?.cancel();
        if (answer.ok) return undefined;
        failure = `status ${answer.status}`;
      } catch (error) {
        failure = error instanceof Error ? error.message : typeof error;
      }
    }
    return failure;
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((done) => {
      const timer = setTimeout(done, ms);
      this.#closed.signal.addEventListener('abort', () => { clearTimeout(timer); done(); }, { once: true });
    });
  }
}
