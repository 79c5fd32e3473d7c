/**
 * Where a look-up goes on, sealed: places in the trail count everybody's events, and nobody is to learn how many others
 * make. The seal is the core's MAC, used as AES-SIV is: over question and place it is the tag, over tag and block number
 * the stream that hides the place. A token is good for the question it was given for, and for no other.
 */
import type { Core } from '../hsm/core.ts';

const tagLength = 16;
const blockLength = 32;
const empty = Buffer.alloc(0);

export class PageTokens {
  readonly #core: Pick<Core, 'recordMac'>;

  constructor(core: Pick<Core, 'recordMac'>) {
    this.#core = core;
  }

  make(question: string, place: string): string {
    const tag = this.#tag(question, place);
    return Buffer.concat([tag, this.#hidden(tag, Buffer.from(place, 'utf8'))]).toString('base64url');
  }

  /** Undefined: not one of ours, or given for another question. */
  open(question: string, token: string): string | undefined {
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.length <= tagLength || bytes.toString('base64url') !== token) return undefined;
    const tag = bytes.subarray(0, tagLength);
    const place = this.#hidden(tag, bytes.subarray(tagLength)).toString('utf8');
    return this.#tag(question, place).equals(tag) ? place : undefined;
  }

  #tag(question: string, place: string): Buffer {
    return this.#core.recordMac('page-token', JSON.stringify([question, place]), 1, empty).subarray(0, tagLength);
  }

  /** There and back. */
  #hidden(tag: Buffer, text: Buffer): Buffer {
    const out = Buffer.alloc(text.length);
    for (let at = 0; at < text.length; at += blockLength) {
      const pad = this.#core.recordMac('page-pad', `${tag.toString('hex')}/${at / blockLength}`, 1, empty);
      for (let i = 0; i < blockLength && at + i < text.length; i += 1) out[at + i] = (text[at + i] ?? 0) ^ (pad[i] ?? 0);
    }
    return out;
  }
}
