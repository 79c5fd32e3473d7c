/**
 * Log files for who reads trails as CloudTrail delivers them. What a round will write is written down
 * first (the intent), then the files are written, then the cursor moves: a round that was cut short is
 * done again and writes the same files under the same names. So nothing is lost, and nothing lies twice.
 */
import { existsSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { sha256 } from '@noble/hashes/sha2.js';
import type { AuditRow, Row, Store, Tx } from '../store/store.ts';
import { bucket, digestObject, digestOf, logObject, signedText, sumsObject, timeText } from './logfile.ts';
import type { Delivered, LoggedFile, Place } from './logfile.ts';
import { pemOf } from './signer.ts';
import type { AuditSigner } from './signer.ts';
import { sumsOf } from './sums.ts';

const compress = promisify(gzip);

export interface DeliveryOptions {
  readonly store: Store;
  readonly signer: AuditSigner;
  readonly directory: string;
  /** Between two rounds; default five minutes. */
  readonly everyMs?: number;
  /** What a digest covers; default an hour. */
  readonly digestMs?: number;
  /** Told of what cannot be delivered, a sentence each. */
  readonly log?: (line: string) => void;
}

/** Shard and the number that is delivered next. */
type Places = Readonly<Record<string, number>>;

interface CursorRecord {
  readonly kind: 'trail-delivery';
  readonly places: Places;
  /** A round under way: up to where, and the moment in its files' names. */
  readonly intent?: { readonly to: Places; readonly atMs: number };
}

/** An account's trail in a Region: what the next digest will cover, and the last one. */
export interface DigestRecord extends Place {
  readonly kind: 'trail-digest';
  readonly startMs: number;
  readonly pending: readonly LoggedFile[];
  readonly previous?: Delivered;
  /** The digest up to here is being written. */
  readonly endMs?: number;
}

export const publicKeyFile = 'strongroom-audit-key.pem';
const cursorRow = 'trail-delivery';
const digestRow = ({ account, region }: Place): string => `trail-digest/${account}/${region}`;
const mostEvents = 10_000;
const pageLinks = 2_000;
/** A digest of so many files does not wait for its hour. */
const mostPending = 1_000;

export class Delivery {
  readonly #options: Required<DeliveryOptions>;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(options: DeliveryOptions) {
    this.#options = { everyMs: 5 * 60_000, digestMs: 60 * 60_000, log: () => undefined, ...options };
  }

  start(): void {
    this.#timer ??= setInterval(() => { this.run().catch((error: unknown) => { this.#options.log(`trail delivery: ${error instanceof Error ? error.message : typeof error}`); }); }, this.#options.everyMs).unref();
  }

  /** Delivers what there is. A failure is told and no reason not to stop: the cursor stays behind. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    try {
      await this.run();
    } catch (error) {
      this.#options.log(`trail delivery: ${error instanceof Error ? error.message : typeof error}`);
    }
  }

  /** Everything recorded so far; digests where they are due, or all of them. Rounds run one after another. */
  run(allDigests = false): Promise<void> {
    const round = this.#round.then(() => this.#work(allDigests));
    this.#round = round.catch(() => undefined);
    return round;
  }

  /** Runs `work` while nothing is being delivered. */
  between<R>(work: () => Promise<R>): Promise<R> {
    const done = this.#round.then(work);
    this.#round = done.then(() => undefined, () => undefined);
    return done;
  }

  /**
   * Runs `work`, which empties the store, between two rounds. What was recorded is delivered first, and the
   * digests go on behind those there are: what lies in the directory stays what its digests say.
   */
  renew(work: () => Promise<void>): Promise<void> {
    return this.between(async () => {
      const { store, log } = this.#options;
      await this.#work(false).catch((error: unknown) => { log(`trail delivery: ${error instanceof Error ? error.message : typeof error}`); });
      const kept = await digestRows(store);
      await work();
      // The clock may have gone back.
      const nowMs = store.now();
      await store.tx(async (tx) => {
        for (const { body } of kept) await putDigest(tx, { ...body, startMs: Math.min(body.startMs, nowMs) });
      });
    });
  }

  async #work(allDigests: boolean): Promise<void> {
    await this.#put(publicKeyFile, Buffer.from(pemOf(this.#options.signer.publicKey), 'latin1'));
    for (const row of await digestRows(this.#options.store)) if (row.body.endMs !== undefined) await this.#digest(row.body);
    while (await this.#step()) { /* until all is delivered */ }
    const nowMs = this.#options.store.now();
    for (const { body } of await digestRows(this.#options.store)) {
      const due = nowMs - body.startMs >= this.#options.digestMs || body.pending.length >= mostPending;
      if (body.pending.length > 0 && (allDigests || due)) await this.#close(body, nowMs);
    }
  }

  /* ---- log files --------------------------------------------------------------- */

  /** True while there may be more. */
  async #step(): Promise<boolean> {
    const { store } = this.#options;
    const row = await store.get<CursorRecord>('setting', cursorRow);
    const body: CursorRecord = row?.body ?? { kind: 'trail-delivery', places: {} };
    const intent = body.intent ?? (await this.#intend(body));
    if (intent === undefined) return false;
    const rows = await this.#between(body.places, intent.to);
    const written: { readonly place: Place; readonly file: LoggedFile }[] = [];
    for (const { place, rows: part } of this.#byPlace(rows)) written.push({ place, file: await this.#write(place, part, intent.atMs) });
    await store.tx(async (tx) => {
      await putCursor(tx, { kind: 'trail-delivery', places: { ...body.places, ...intent.to } });
      for (const { place, file } of written) await addPending(tx, place, file, intent.atMs);
    });
    return true;
  }

  async #intend({ places }: CursorRecord): Promise<CursorRecord['intent']> {
    const { store } = this.#options;
    const to: Record<string, number> = {};
    for (const shard of await store.shards()) {
      const top = ((await store.head(shard))?.seq ?? 0) + 1;
      const from = places[shard] ?? 1;
      if (top > from) to[shard] = Math.min(top, from + mostEvents);
    }
    if (Object.keys(to).length === 0) return undefined;
    const intent = { to, atMs: store.now() };
    await store.tx((tx) => putCursor(tx, { kind: 'trail-delivery', places, intent }));
    return intent;
  }

  async #between(from: Places, to: Places): Promise<readonly AuditRow[]> {
    const found: AuditRow[] = [];
    for (const [shard, end] of Object.entries(to)) {
      const first = from[shard] ?? 1;
      let at: number | undefined = first;
      while (at !== undefined && at < end) {
        const page = await this.#options.store.chain(shard, at, pageLinks);
        for (const row of page.rows) if (row.seq >= first && row.seq < end) found.push(row);
        at = page.next;
      }
    }
    return found;
  }

  /** By account and Region, in the chain's order. What is no event any more goes nowhere: `audit verify` names it. */
  #byPlace(rows: readonly AuditRow[]): Iterable<{ readonly place: Place; readonly rows: AuditRow[] }> {
    const found = new Map<string, { readonly place: Place; readonly rows: AuditRow[] }>();
    for (const row of rows) {
      const place = placeOf(row.body);
      if (place === undefined) {
        this.#options.log(`trail delivery: event ${row.seq} of ${row.shard} cannot be read: strongroom audit verify says more`);
        continue;
      }
      const key = digestRow(place);
      const held = found.get(key);
      if (held === undefined) found.set(key, { place, rows: [row] });
      else held.rows.push(row);
    }
    return found.values();
  }

  async #write(place: Place, rows: readonly AuditRow[], atMs: number): Promise<LoggedFile> {
    const text = `{"Records":[${rows.map((row) => row.body).join(',')}]}`;
    const times = rows.map((row) => row.timeMs);
    const object = logObject(place, atMs, tokenOf(rows[0]));
    const { signer } = this.#options;
    const sums = sumsOf(rows.map(({ body }) => body), (body) => signer.hash(body));
    const sumsName = sumsObject(object);
    await this.#put(sumsName, await compress(sums));
    await this.#put(object, await compress(text));
    return {
      s3Bucket: bucket, s3Object: object, hashValue: signer.hash(text), hashAlgorithm: 'SHA-256', eventHashes: { s3Object: sumsName, hashValue: signer.hash(sums) },
      newestEventTime: timeText(times.reduce((a, b) => Math.max(a, b))), oldestEventTime: timeText(times.reduce((a, b) => Math.min(a, b))),
    };
  }

  /* ---- digests -------------------------------------------------------------------- */

  /** Fixes what the digest covers, then writes it. No two end in the same second: their names would be one. */
  async #close(body: DigestRecord, nowMs: number): Promise<void> {
    let endMs = Math.floor(nowMs / 1000) * 1000;
    while (existsSync(join(this.#options.directory, digestObject(body, endMs)))) endMs += 1000;
    const closing = { ...body, endMs };
    await this.#options.store.tx((tx) => putDigest(tx, closing));
    await this.#digest(closing);
  }

  async #digest(body: DigestRecord): Promise<void> {
    const { signer, store } = this.#options;
    const { account, region, startMs, pending: files, previous, endMs = startMs } = body;
    const digest = digestOf({ account, region }, { startMs, endMs, files, previous, fingerprint: signer.fingerprint });
    const text = JSON.stringify(digest);
    const hash = signer.hash(text);
    const signature = (await signer.sign(signedText(digest, hash))).toString('hex');
    const object = digest.digestS3Object;
    await this.#put(object.replace(/\.gz$/, '.sig'), Buffer.from(`${signature}\n`, 'latin1'));
    await this.#put(object, await compress(text));
    await store.tx((tx) => putDigest(tx, { kind: 'trail-digest', account, region, startMs: endMs, pending: [], previous: { object, hash, signature } }));
  }

  /* ---- files ---------------------------------------------------------------------- */

  /** Whole or not at all, and on the disk. */
  async #put(name: string, bytes: Buffer): Promise<void> {
    const path = join(this.#options.directory, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const draft = `${path}.part`;
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

/** Every trail's digest state. */
export async function digestRows(store: Store): Promise<readonly Row<DigestRecord>[]> {
  const found: Row<DigestRecord>[] = [];
  for (let after: string | undefined; ;) {
    const page = await store.list<DigestRecord>('setting', { index: 'setting.kind', equals: ['', '', 'trail-digest'], limit: 1000, ...(after === undefined ? {} : { after }) });
    found.push(...page.rows);
    if (page.next === undefined) return found;
    after = page.next;
  }
}

async function putCursor(tx: Tx, body: CursorRecord): Promise<void> {
  const row = await tx.get<CursorRecord>('setting', cursorRow);
  if (row === undefined) tx.insert('setting', { id: cursorRow, account: '', region: '', body });
  else tx.update(row, { body });
}

async function putDigest(tx: Tx, body: DigestRecord): Promise<void> {
  const row = await tx.get<DigestRecord>('setting', digestRow(body));
  if (row === undefined) tx.insert('setting', { id: digestRow(body), account: '', region: '', body });
  else tx.update(row, { body });
}

async function addPending(tx: Tx, place: Place, file: LoggedFile, atMs: number): Promise<void> {
  const row = await tx.get<DigestRecord>('setting', digestRow(place));
  const body = row?.body ?? { kind: 'trail-digest', ...place, startMs: atMs, pending: [] };
  await putDigest(tx, { ...body, pending: [...body.pending, file] });
}

/** undefined: not an event. Its names become a path, so they are looked at closely. */
function placeOf(body: string): Place | undefined {
  try {
    const { recipientAccountId: account, awsRegion: region } = JSON.parse(body) as Readonly<Record<string, unknown>>;
    if (typeof account === 'string' && /^\d{12}$/.test(account) && typeof region === 'string' && /^[a-z]{2,}(-[a-z]+){1,2}-\d+$/.test(region)) return { account, region };
  } catch {
    // not JSON any more
  }
  return undefined;
}

/** The same for the same events, whenever a round is done again. */
function tokenOf(first: AuditRow | undefined): string {
  return Buffer.from(sha256(Buffer.from(`${first?.shard ?? ''}/${first?.seq ?? 0}`, 'utf8'))).toString('hex').slice(0, 16).toUpperCase();
}
