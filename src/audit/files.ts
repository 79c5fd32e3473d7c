/**
 * Do the delivered files still say what was delivered? The newest digest of each trail is known to the
 * store; each digest names the one before and the log files it covers. So an edited file, a missing one
 * and one put in somebody else's place are found by name.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Store } from '../store/store.ts';
import { digestRows } from './delivery.ts';
import type { DigestRecord } from './delivery.ts';
import { digestObject, signedText, sumsObject } from './logfile.ts';
import type { Delivered, Digest, LoggedFile } from './logfile.ts';
import type { AuditSigner } from './signer.ts';
import { differences } from './sums.ts';

const decompress = promisify(gunzip);
/** No file of ours unpacks to more. */
const mostBytes = 1024 * 1024 * 1024;

export interface FileFinding {
  readonly kind: 'edited' | 'removed' | 'moved' | 'unsigned' | 'added' | 'unreadable';
  readonly object: string;
  /** Of a log file: the event. */
  readonly eventId?: string;
  readonly sentence: string;
}

export interface FileVerdict {
  readonly logs: number;
  readonly digests: number;
  readonly findings: readonly FileFinding[];
}

export async function verifyFiles(store: Store, signer: AuditSigner, directory: string): Promise<FileVerdict> {
  const walk = new FileWalk(signer, directory, await filesIn(directory));
  for (const { body } of await digestRows(store)) await walk.trail(body);
  return walk.end();
}

class FileWalk {
  readonly #signer: AuditSigner;
  readonly #directory: string;
  /** Files that nobody has named yet. */
  readonly #unnamed: Set<string>;
  readonly #findings: FileFinding[] = [];
  #logs = 0;
  #digests = 0;

  constructor(signer: AuditSigner, directory: string, files: readonly string[]) {
    this.#signer = signer;
    this.#directory = directory;
    this.#unnamed = new Set(files);
  }

  /** One account's trail in one Region, newest digest first. */
  async trail({ account, region, pending, previous, endMs }: DigestRecord): Promise<void> {
    for (const file of pending) await this.#log(file);
    // One that is being written is not in the state yet.
    if (endMs !== undefined) this.#named(digestObject({ account, region }, endMs));
    let next: Delivered | undefined = previous;
    while (next !== undefined) {
      const digest = await this.#digest(next);
      if (digest === undefined) next = await this.#resume(account, region, next.object);
      else {
        for (const file of digest.logFiles) await this.#log(file);
        next = before(digest);
      }
    }
  }

  end(): FileVerdict {
    // Sums come and go with their log file.
    for (const object of this.#unnamed) this.#unnamed.delete(sumsObject(object));
    for (const object of [...this.#unnamed].sort()) this.#find('added', object, 'no digest names it: it was added, or the digest that named it is gone');
    return { logs: this.#logs, digests: this.#digests, findings: this.#findings };
  }

  async #log({ s3Object, hashValue, eventHashes }: LoggedFile): Promise<void> {
    this.#named(s3Object);
    this.#named(eventHashes.s3Object);
    this.#logs += 1;
    const log = await this.#read(s3Object);
    const sums = await this.#read(eventHashes.s3Object);
    const known = sums !== undefined && this.#signer.hash(sums) === eventHashes.hashValue;
    if (sums !== undefined && !known) this.#find('edited', eventHashes.s3Object, 'the sums of its log file were edited');
    if (log === undefined || this.#signer.hash(log) === hashValue) return;
    const events = known ? differences(log.toString('utf8'), sums.toString('utf8'), (text) => this.#signer.hash(text)) : [];
    for (const { kind, eventId } of events) this.#find(kind, s3Object, `event ${eventId} was ${kind}`, eventId);
    if (events.length === 0) this.#find('edited', s3Object, 'the log file was edited');
  }

  /** The digest, if it is the one that the next one, or the store, says. */
  async #digest({ object, hash, signature }: Delivered): Promise<Digest | undefined> {
    this.#named(object);
    this.#digests += 1;
    const content = await this.#read(object);
    if (content === undefined) return undefined;
    if (this.#signer.hash(content) !== hash) {
      this.#find('edited', object, 'the digest was edited or replaced: it is not the one that the digest behind it names');
      return undefined;
    }
    const digest = JSON.parse(content.toString('utf8')) as Digest;
    const beside = await this.#signature(object);
    if (beside !== signature || !this.#signer.verify(signedText(digest, hash), Buffer.from(signature, 'hex'))) {
      this.#find('unsigned', object, 'the digest\'s signature is missing or does not hold');
    }
    return digest;
  }

  /** Behind a digest that is gone: the next older one that its own signature vouches for. */
  async #resume(account: string, region: string, object: string): Promise<Delivered | undefined> {
    for (const name of this.#older(account, region, object)) {
      const content = await this.#read(name, false);
      const signature = await this.#signature(name);
      if (content === undefined || signature === undefined) continue;
      const digest = parsed(content);
      const hash = this.#signer.hash(content);
      if (digest?.digestS3Object === name && this.#signer.verify(signedText(digest, hash), Buffer.from(signature, 'hex'))) return { object: name, hash, signature };
      this.#named(name);
      this.#find('unsigned', name, 'the digest\'s signature does not hold: it was edited or replaced');
    }
    return undefined;
  }

  /** Names end in their time. */
  #older(account: string, region: string, than: string): string[] {
    const folder = `AWSLogs/${account}/CloudTrail-Digest/${region}/`;
    return [...this.#unnamed].filter((name) => name.startsWith(folder) && name.endsWith('.json.gz') && name < than).sort().reverse();
  }

  async #read(object: string, tell = true): Promise<Buffer | undefined> {
    try {
      return await decompress(await readFile(join(this.#directory, object)), { maxOutputLength: mostBytes });
    } catch (error) {
      if (tell && isMissing(error)) this.#find('removed', object, 'the file was removed');
      else if (tell) this.#find('unreadable', object, 'the file was edited: it does not unpack');
      return undefined;
    }
  }

  async #signature(object: string): Promise<string | undefined> {
    try {
      return (await readFile(join(this.#directory, sigOf(object)), 'latin1')).trim();
    } catch {
      return undefined;
    }
  }

  #named(object: string): void {
    this.#unnamed.delete(object);
    this.#unnamed.delete(sigOf(object));
  }

  #find(kind: FileFinding['kind'], object: string, what: string, eventId?: string): void {
    this.#findings.push({ kind, object, sentence: `${object}: ${what}`, ...(eventId === undefined ? {} : { eventId }) });
  }
}

const sigOf = (object: string): string => object.replace(/\.gz$/, '.sig');

function before({ previousDigestS3Object: object, previousDigestHashValue: hash, previousDigestSignature: signature }: Digest): Delivered | undefined {
  return object === null || hash === null || signature === null ? undefined : { object, hash, signature };
}

function parsed(content: Buffer): Digest | undefined {
  try {
    return JSON.parse(content.toString('utf8')) as Digest;
  } catch {
    return undefined;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Below AWSLogs, by their objects' names; drafts are not files yet. */
async function filesIn(directory: string): Promise<readonly string[]> {
  try {
    const found = await readdir(join(directory, 'AWSLogs'), { recursive: true, withFileTypes: true });
    return found.filter((entry) => !entry.isDirectory() && !entry.name.endsWith('.part')).map((entry) => relative(directory, join(entry.parentPath, entry.name)));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
