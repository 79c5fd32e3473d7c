/**
 * Who else may hold an unseal slot: a key of an AWS-KMS-compatible endpoint, or of a PKCS#11 token. Each keeps 32 random
 * bytes, encrypted under its key, and gives them back when asked: half of a slot's key. The other half is a
 * file that only the core reads, so that what passes through here opens nothing alone.
 *
 * Where the holder is, and as whom it is asked, comes from this start's settings, never from the header: that is
 * not authentic before the root key is open.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { Core, KeepCore, Payload } from '../hsm/core.ts';
import { ModuleLink } from '../kms/keystores/module-link.ts';
import { AdminError } from './accounts.ts';

export interface HolderSettings {
  readonly kms?: { readonly endpoint: URL; readonly region: string; readonly accessKeyId: string; readonly secretFile: string };
  readonly module?: { readonly path: string; readonly token: string; readonly pinFile: string; readonly environment: Readonly<Record<string, string>> };
}

export interface Held {
  readonly note: Buffer;
  readonly answer: Payload;
}

type Note =
  | { readonly from: 'kms'; readonly keyId: string; readonly blob: string }
  | { readonly from: 'pkcs11'; readonly key: string; readonly iv: string; readonly blob: string };

const answerLength = 32;
const patienceMs = 10_000;
const answerLimit = 64 * 1024;
const purpose = 'strongroom-unseal';

export class Holders {
  readonly #core: Core & KeepCore;
  readonly #settings: HolderSettings;

  constructor(core: Core & KeepCore, settings: HolderSettings) {
    this.#core = core;
    this.#settings = settings;
  }

  /** For people; never fails. */
  nameOf(note: Buffer): string {
    try {
      const parsed = parse(note);
      return parsed.from === 'kms' ? `the KMS key ${parsed.keyId}` : `the PKCS#11 key ${parsed.key}`;
    } catch {
      return 'an unknown holder';
    }
  }

  /** Gives the holder something to keep. `wanted`: `{ kms: KEY }`, or `{ pkcs11: true }`. */
  async take(wanted: Readonly<Record<string, unknown>>): Promise<Held> {
    const answer = this.#core.payload(answerLength);
    const session = this.#core.serviceSession();
    try {
      this.#core.random(session, answer.room.subarray(0, answerLength));
      answer.fill(answerLength);
      const note = typeof wanted['kms'] === 'string' ? await this.#takeKms(wanted['kms'], answer) : wanted['pkcs11'] === true ? await this.#takeModule(answer) : undefined;
      if (note === undefined) throw new AdminError(400, 'note is {"kms": key} or {"pkcs11": true}');
      return { note: Buffer.from(JSON.stringify(note)), answer };
    } catch (error) {
      answer.release();
      throw error;
    } finally {
      this.#core.closeSession(session);
    }
  }

  /** What the holder kept. */
  async ask(note: Buffer): Promise<Payload> {
    const parsed = parse(note);
    return parsed.from === 'kms' ? await this.#askKms(parsed) : await this.#askModule(parsed);
  }

  // ---- an AWS-KMS-compatible endpoint

  async #takeKms(keyId: string, answer: Payload): Promise<Note> {
    if (!/^[\w:/-]{1,512}$/.test(keyId)) throw new AdminError(400, 'that is no id, ARN or alias of a KMS key');
    const head = `{"KeyId":${JSON.stringify(keyId)},"EncryptionContext":{"purpose":"${purpose}"},"Plaintext":"`;
    const body = this.#core.payload(head.length + 64);
    try {
      let at = body.room.write(head, 'latin1');
      at += this.#core.base64Into(answer.bytes, body.room, at);
      at += body.room.write('"}', at, 'latin1');
      const cut = this.#core.cutJson(await this.#call('Encrypt', body.fill(at).bytes), ['CiphertextBlob']);
      try {
        const [span] = cut.spans;
        if (span === undefined) throw new Error('the KMS answered without a ciphertext');
        return { from: 'kms', keyId, blob: cut.blobs.bytes.subarray(span.offset, span.offset + span.length).toString('base64') };
      } finally {
        cut.blobs.release();
      }
    } finally {
      body.release();
    }
  }

  async #askKms({ keyId, blob }: Note & { from: 'kms' }): Promise<Payload> {
    const body = Buffer.from(JSON.stringify({ KeyId: keyId, EncryptionContext: { purpose }, CiphertextBlob: blob }));
    const answer = await this.#call('Decrypt', body);
    try {
      const cut = this.#core.cutJson(answer, ['Plaintext']);
      try {
        const [span] = cut.spans;
        if (span === undefined || span.length !== answerLength) throw new Error('the KMS answered without what it was given');
        const kept = this.#core.payload(answerLength);
        cut.blobs.bytes.copy(kept.room, 0, span.offset, span.offset + span.length);
        return kept.fill(answerLength);
      } finally {
        cut.blobs.release();
      }
    } finally {
      answer.fill(0);
    }
  }

  /** Signed by the core, which reads the secret itself into a partition of this process alone. */
  async #call(operation: 'Encrypt' | 'Decrypt', body: Buffer): Promise<Buffer> {
    const { kms } = this.#settings;
    if (kms === undefined) throw new AdminError(409, 'STRONGROOM_UNSEAL_KMS_ENDPOINT, _ACCESS_KEY_ID and _SECRET_ACCESS_KEY_FILE say which KMS is asked');
    const timestamp = new Date().toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
    const target = `TrentService.${operation}`;
    const signed = 'content-type;host;x-amz-date;x-amz-target';
    const canonical = Buffer.from(`POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:${kms.endpoint.host}\nx-amz-date:${timestamp}\nx-amz-target:${target}\n\n${signed}\n`, 'latin1');
    const signature = this.#signed(kms, { date: timestamp.slice(0, 8), region: kms.region, service: 'kms', timestamp, canonical, body });
    return await exchange(kms.endpoint, body, {
      'content-type': 'application/x-amz-json-1.1', 'content-length': body.length, 'host': kms.endpoint.host, 'x-amz-date': timestamp, 'x-amz-target': target,
      'authorization': `AWS4-HMAC-SHA256 Credential=${kms.accessKeyId}/${timestamp.slice(0, 8)}/${kms.region}/kms/aws4_request, SignedHeaders=${signed}, Signature=${signature}`,
    });
  }

  #signed(kms: NonNullable<HolderSettings['kms']>, request: Parameters<KeepCore['keepSign']>[4]): string {
    const core = this.#core;
    const partition = core.ephemeralPartition('unseal');
    const session = core.serviceSession();
    const secret = readLine(core, kms.secretFile);
    try {
      return core.keepSign(session, partition, kms.accessKeyId, core.keepSeal(session, partition, 'signer', kms.accessKeyId, secret.bytes), request);
    } finally {
      secret.release();
      core.closeSession(session);
      core.closePartition(partition);
    }
  }

  // ---- a PKCS#11 token, in a process of its own

  async #takeModule(answer: Payload): Promise<Note> {
    const key = purpose;
    const link = await this.#link();
    try {
      await link.call({ call: 'generate', key });
      const iv = await link.call({ call: 'random', length: 12 });
      const blob = await link.call({ call: 'encrypt', key, iv, aad: Buffer.from(purpose), data: answer.bytes });
      return { from: 'pkcs11', key, iv: Buffer.from(iv).toString('base64'), blob: Buffer.from(blob).toString('base64') };
    } finally {
      await link.close();
    }
  }

  async #askModule({ key, iv, blob }: Note & { from: 'pkcs11' }): Promise<Payload> {
    const link = await this.#link();
    try {
      const bytes = await link.call({ call: 'decrypt', key, iv: Buffer.from(iv, 'base64'), aad: Buffer.from(purpose), data: Buffer.from(blob, 'base64') });
      const kept = this.#core.payload(bytes.length);
      kept.room.set(bytes);
      bytes.fill(0);
      return kept.fill(bytes.length);
    } finally {
      await link.close();
    }
  }

  async #link(): Promise<ModuleLink> {
    const { module } = this.#settings;
    if (module === undefined) throw new AdminError(409, 'STRONGROOM_UNSEAL_MODULE, _TOKEN and _PIN_FILE say which token is asked');
    return await ModuleLink.open({ id: purpose, module: module.path, token: module.token, environment: module.environment }, readLine(this.#core, module.pinFile), () => undefined);
  }
}

function parse(note: Buffer): Note {
  const value = JSON.parse(note.toString('utf8')) as Partial<Record<'from' | 'keyId' | 'key' | 'iv' | 'blob', unknown>>;
  const { from, keyId, key, iv, blob } = value;
  if (from === 'kms' && typeof keyId === 'string' && typeof blob === 'string') return { from, keyId, blob };
  if (from === 'pkcs11' && typeof key === 'string' && typeof iv === 'string' && typeof blob === 'string') return { from, key, iv, blob };
  throw new Error('the slot\'s note is of a kind this version does not know');
}

/** The file's bytes without the line end, in a room that is wiped. */
function readLine(core: Core, path: string): Payload {
  const payload = core.payload(4096);
  try {
    const fd = openSync(path, 'r');
    try {
      let length = readSync(fd, payload.room, 0, 4096, null);
      while (length > 0 && (payload.room[length - 1] === 10 || payload.room[length - 1] === 13)) length -= 1;
      return payload.fill(length);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    payload.release();
    throw error;
  }
}

function exchange(endpoint: URL, body: Buffer, headers: Record<string, string | number>): Promise<Buffer> {
  return new Promise((done, fail) => {
    const call = (endpoint.protocol === 'https:' ? secureRequest : plainRequest)(new URL('/', endpoint), { method: 'POST', headers, timeout: patienceMs, agent: false }, (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > answerLimit) call.destroy(new Error('the KMS answered too much'));
        else parts.push(part);
      });
      response.on('error', fail);
      response.on('end', () => {
        const whole = Buffer.concat(parts);
        for (const part of parts) part.fill(0);
        if (response.statusCode === 200) done(whole);
        else fail(new Error(`the KMS answered ${response.statusCode ?? 0}: ${whole.toString('utf8', 0, 300)}`));
      });
    });
    call.on('timeout', () => { call.destroy(new Error(`no answer from ${endpoint.host} in ${patienceMs / 1000} seconds`)); });
    call.on('error', fail);
    call.end(body);
  });
}
