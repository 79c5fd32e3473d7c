/**
 * AWS JSON 1.1: a request's body taken apart, an answer put together. What may be secret is never a
 * JavaScript string: the core cuts base64 members out of the body's bytes, and writes those of an answer
 * into the one buffer that leaves.
 */
import { HsmError } from '../hsm/core.ts';
import type { Core, CutJson, Payload } from '../hsm/core.ts';
import type { Answer, AnswerValue, AwsError } from '../kms/operation.ts';
import { refusals } from './refusals.ts';

export const contentType = 'application/x-amz-json-1.1';

/** A request's members, and what holds their bytes. */
export class Parsed {
  readonly #room: Payload | undefined;

  /** Blob members of `input` are indexes into `blobs`. */
  constructor(readonly input: unknown, readonly blobs: readonly Buffer[], room: Payload | undefined) {
    this.#room = room;
  }

  /** Wipes the blobs. */
  release(): void {
    this.#room?.release();
  }
}

const noBlobs: readonly Buffer[] = [];

/** Throws a Refusal for what is not one JSON object. `names`: paths of the members that are base64. */
export function readJson(core: Core, body: Buffer, names: readonly string[]): Parsed {
  if (body.length === 0) return new Parsed({}, noBlobs, undefined);
  const { json, blobs: room, spans } = cut(core, body, names);
  try {
    const blobs: Buffer[] = [];
    for (const { offset, length } of spans) blobs.push(room.bytes.subarray(offset, offset + length));
    return new Parsed(JSON.parse(json.toString('utf8')), blobs, room);
  } catch (error) {
    room.release();
    throw error instanceof SyntaxError ? refusals.malformed('The body is not valid JSON.') : error;
  }
}

function cut(core: Core, body: Buffer, names: readonly string[]): CutJson {
  try {
    return core.cutJson(body, names);
  } catch (error) {
    if (error instanceof HsmError && (error.code === 'HSM_E_FORMAT' || error.code === 'HSM_E_DATA')) throw refusals.malformed(error.message);
    throw error;
  }
}

/** What leaves: text, or bytes that may hold secrets and are released when they have left. */
export type Body = string | Payload;

export function isPayload(value: unknown): value is Payload {
  return typeof value === 'object' && value !== null && 'release' in value && 'bytes' in value;
}

/** Takes over the answer's payloads: they are released here, in every case. */
export function renderJson(core: Core, answer: Answer): Body {
  const writing = new Writing();
  writing.value(answer);
  if (writing.secrets.length === 0) return writing.text;
  try {
    return assemble(core, writing);
  } finally {
    for (const secret of writing.secrets) secret.release();
  }
}

export function renderError(error: AwsError): string {
  const type = JSON.stringify(error.code);
  return error.sentence === undefined ? `{"__type":${type}}` : `{"__type":${type},"message":${JSON.stringify(error.sentence)}}`;
}

/** Text pieces with a secret between each two. */
function assemble(core: Core, { pieces, text, secrets }: Writing): Payload {
  let size = Buffer.byteLength(text);
  for (const piece of pieces) size += Buffer.byteLength(piece);
  for (const secret of secrets) size += Math.ceil(secret.bytes.length / 3) * 4;
  const whole = core.payload(size);
  let at = 0;
  for (const [i, secret] of secrets.entries()) {
    at += whole.room.write(pieces[i] ?? '', at, 'utf8');
    at += core.base64Into(secret.bytes, whole.room, at);
  }
  at += whole.room.write(text, at, 'utf8');
  return whole.fill(at);
}

class Writing {
  readonly pieces: string[] = [];
  readonly secrets: Payload[] = [];
  text = '';

  value(value: AnswerValue): void {
    if (typeof value === 'string') this.text += JSON.stringify(value);
    else if (typeof value === 'number') this.text += Number.isFinite(value) ? String(value) : 'null';
    else if (typeof value === 'boolean') this.text += value ? 'true' : 'false';
    else if (value === undefined) this.text += 'null';
    else if (Buffer.isBuffer(value)) this.text += `"${value.toString('base64')}"`;
    else if (Array.isArray(value)) this.#list(value as readonly AnswerValue[]);
    else if (isPayload(value)) this.#secret(value);
    else this.#members(value as Answer);
  }

  #secret(secret: Payload): void {
    this.pieces.push(`${this.text}"`);
    this.secrets.push(secret);
    this.text = '"';
  }

  #list(list: readonly AnswerValue[]): void {
    this.text += '[';
    let first = true;
    for (const value of list) {
      if (!first) this.text += ',';
      first = false;
      this.value(value);
    }
    this.text += ']';
  }

  /** Members without a value are left out, as AWS leaves them out. */
  #members(members: Answer): void {
    this.text += '{';
    let first = true;
    for (const name of Object.keys(members)) {
      const value = members[name];
      if (value === undefined) continue;
      this.text += first ? `${quoted(name)}:` : `,${quoted(name)}:`;
      first = false;
      this.value(value);
    }
    this.text += '}';
  }
}

/** Member names are ours or a caller's tags: a plain one needs no escape. */
function quoted(name: string): string {
  return /^\w+$/.test(name) ? `"${name}"` : JSON.stringify(name);
}
