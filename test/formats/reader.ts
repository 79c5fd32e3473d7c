/**
 * A second reader (and writer) of the formats in docs/formats: written from those pages, on node:crypto, and
 * sharing nothing with the core. What it opens, the pages describe.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { readFileSync } from 'node:fs';

const u8 = (value: number): Buffer => Buffer.of(value);
const u16 = (value: number): Buffer => { const b = Buffer.alloc(2); b.writeUInt16BE(value); return b; };
const u32 = (value: number): Buffer => { const b = Buffer.alloc(4); b.writeUInt32BE(value); return b; };
const u64 = (value: bigint): Buffer => { const b = Buffer.alloc(8); b.writeBigUInt64BE(value); return b; };
export const block16 = (bytes: Buffer): Buffer => Buffer.concat([u16(bytes.length), bytes]);
export const block32 = (bytes: Buffer): Buffer => Buffer.concat([u32(bytes.length), bytes]);

export class Reader {
  #at = 0;
  constructor(readonly bytes: Buffer) {}
  take(length: number): Buffer {
    if (this.#at + length > this.bytes.length) throw new Error('too short');
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }
  u8(): number { return this.take(1).readUInt8(); }
  u16(): number { return this.take(2).readUInt16BE(); }
  u32(): number { return this.take(4).readUInt32BE(); }
  u64(): bigint { return this.take(8).readBigUInt64BE(); }
  block16(): Buffer { return this.take(this.u16()); }
  block32(): Buffer { return this.take(this.u32()); }
  get at(): number { return this.#at; }
  get left(): number { return this.bytes.length - this.#at; }
}

const same = (a: Buffer, b: Buffer, what: string): void => {
  if (!a.equals(b)) throw new Error(`${what} does not fit`);
};

// ---- sealed.md ----

/** SP 800-108, counter mode, HMAC-SHA-256. */
export function derive(key: Buffer, label: string, context: Buffer, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 1; i * 32 < length + 32; i++)
    blocks.push(createHmac('sha256', key).update(u32(i)).update(label).update(u8(0)).update(context).update(u32(length * 8)).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

function gcmClose(key: Buffer, aad: Buffer, clear: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12)).setAAD(aad);
  return Buffer.concat([cipher.update(clear), cipher.final(), cipher.getAuthTag()]);
}

function gcmOpen(key: Buffer, aad: Buffer, body: Buffer): Buffer {
  const cipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12)).setAAD(aad).setAuthTag(body.subarray(-16));
  return Buffer.concat([cipher.update(body.subarray(0, -16)), cipher.final()]);
}

export function closeSealed(key: Buffer, label: string, context: Buffer, clear: Buffer, nonce: Buffer): Buffer {
  const keys = derive(key, `seal:${label}`, Buffer.concat([nonce, context]), 64);
  const header = Buffer.concat([Buffer.from('SRs\x01'), nonce, keys.subarray(32)]);
  return Buffer.concat([header, gcmClose(keys.subarray(0, 32), header, clear)]);
}

export function openSealed(key: Buffer, label: string, context: Buffer, blob: Buffer): Buffer {
  same(blob.subarray(0, 4), Buffer.from('SRs\x01'), 'magic');
  const keys = derive(key, `seal:${label}`, Buffer.concat([blob.subarray(4, 20), context]), 64);
  same(blob.subarray(20, 52), keys.subarray(32), 'commitment');
  return gcmOpen(keys.subarray(0, 32), blob.subarray(0, 52), blob.subarray(52));
}

// ---- root.md ----

export interface Root { readonly id: Buffer; readonly generation: number; readonly mode: number; readonly key: Buffer }

const TITLE = Buffer.from('strongroom keyfile 1\n');
export const writeKeyFile = (rootId: Buffer, slotKey: Buffer): Buffer => Buffer.concat([TITLE, rootId, slotKey]);

export function readKeyFile(file: Buffer): { readonly rootId: Buffer; readonly slotKey: Buffer } {
  const r = new Reader(file);
  same(r.take(TITLE.length), TITLE, 'title');
  return { rootId: r.take(16), slotKey: r.take(32) };
}

export const slotKeyOfPassphrase = (passphrase: string, params: Buffer): Buffer =>
  pbkdf2Sync(passphrase, params.subarray(4), params.readUInt32BE(), 32, 'sha512');

/** What a slot's blob is bound to beside the name. */
const boundParams = (params: Buffer): Buffer => (params.length > 64 ? createHash('sha256').update(params).digest() : params);

export const slotKeyOfAnswer = (part: Buffer, answer: Buffer): Buffer => derive(part, 'held slot', answer, 32);

/** GF(256) by logarithms to the base 3. */
const powers: number[] = [];
for (let x = 1; powers.length < 255;) {
  powers.push(x);
  x ^= (x << 1) ^ (x & 0x80 ? 0x11b : 0);
}
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : powers[(powers.indexOf(a) + powers.indexOf(b)) % 255] ?? 0);
const over = (a: number, b: number): number => (a === 0 ? 0 : powers[(powers.indexOf(a) + 255 - powers.indexOf(b)) % 255] ?? 0);

export interface Share { readonly set: Buffer; readonly threshold: number; readonly place: number; readonly value: Buffer }

export function readShare(text: string): Share {
  const bits = [...text.slice(5).replaceAll('-', '')].map((c) => 'abcdefghijklmnopqrstuvwxyz234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const raw = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const r = new Reader(raw);
  if (!text.startsWith('srs1-') || r.u8() !== 1) throw new Error('no share');
  const share = { set: r.take(8), threshold: r.u8(), place: r.u8(), value: r.take(32) };
  same(r.take(4), createHash('sha256').update('strongroom share').update(raw.subarray(0, 43)).digest().subarray(0, 4), 'check');
  return share;
}

export function joinShares(shares: readonly Share[]): Buffer {
  return Buffer.from(Array.from({ length: 32 }, (_, i) => shares.reduce((sum, { place, value }) => {
    const weight = shares.filter((other) => other.place !== place).reduce((w, other) => times(w, over(other.place, other.place ^ place)), 1);
    return sum ^ times(weight, value[i] ?? 0);
  }, 0)));
}

const headerMac = (root: Root, covered: Buffer): Buffer =>
  createHmac('sha256', derive(root.key, 'root header', root.id, 32)).update(covered).digest();

export function writeRoot(root: Root, kind: number, params: Buffer, slotKey: Buffer, nonce: Buffer): Buffer {
  const name = Buffer.concat([Buffer.from('SRrt\x01'), u8(root.mode), root.id, u32(root.generation)]);
  const sealed = closeSealed(slotKey, 'root slot', Buffer.concat([name, u8(kind), block16(boundParams(params))]), root.key, nonce);
  const covered = Buffer.concat([name, u8(1), u8(kind), block16(params), block16(sealed)]);
  return Buffer.concat([covered, headerMac(root, covered)]);
}

/** slotKey: from the slot's kind and params. */
export function openRoot(header: Buffer, slotKey: (kind: number, params: Buffer) => Buffer): Root {
  const r = new Reader(header);
  same(r.take(5), Buffer.from('SRrt\x01'), 'magic');
  const mode = r.u8();
  const id = r.take(16);
  const generation = r.u32();
  if (r.u8() !== 1) throw new Error('this reader knows one slot');
  const kind = r.u8();
  const params = r.block16();
  const sealed = r.block16();
  const context = Buffer.concat([header.subarray(0, 26), u8(kind), block16(boundParams(params))]);
  const root = { id, generation, mode, key: openSealed(slotKey(kind, params), 'root slot', context, sealed) };
  same(headerMac(root, header.subarray(0, r.at)), r.take(32), 'header MAC');
  return root;
}

export interface Account { readonly account: string; readonly keyId: Buffer; readonly generation: number; readonly key: Buffer }

const accountName = (root: Root): Buffer => Buffer.concat([Buffer.from('SRac\x01'), root.id, u32(root.generation)]);

export function writeAccount(root: Root, a: Account, nonce: Buffer): Buffer {
  const name = accountName(root);
  const clear = Buffer.concat([a.keyId, u32(a.generation), a.key]);
  return Buffer.concat([name, closeSealed(root.key, 'account', Buffer.concat([name, block16(Buffer.from(a.account))]), clear, nonce)]);
}

export function openAccount(root: Root, account: string, sealed: Buffer): Account {
  const name = accountName(root);
  same(sealed.subarray(0, 25), name, 'root');
  const clear = new Reader(openSealed(root.key, 'account', Buffer.concat([name, block16(Buffer.from(account))]), sealed.subarray(25)));
  return { account, keyId: clear.take(16), generation: clear.u32(), key: clear.take(32) };
}

const credentialContext = (account: string, id: string): Buffer =>
  Buffer.concat([u8(1), block16(Buffer.from(account)), block16(Buffer.from(id))]);

export function writeCredential(a: Account, id: string, expires: bigint, principal: string, secret: string, nonce: Buffer): Buffer {
  const clear = Buffer.concat([u64(expires), block16(Buffer.from(principal)), block16(Buffer.from(secret))]);
  return closeSealed(a.key, 'credential', credentialContext(a.account, id), clear, nonce);
}

export function openCredential(a: Account, id: string, sealed: Buffer): { readonly expires: bigint; readonly principal: string; readonly secret: string } {
  const clear = new Reader(openSealed(a.key, 'credential', credentialContext(a.account, id), sealed));
  return { expires: clear.u64(), principal: clear.block16().toString(), secret: clear.block16().toString() };
}

// ---- envelope.md ----

const hex = /^(?:[0-9a-f]{2})+$/;

function packName(id: string): { readonly form: number; readonly bytes: Buffer } {
  if (/^mrk-[0-9a-f]{32}$/.test(id)) return { form: 2, bytes: Buffer.from(id.slice(4), 'hex') };
  if (/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(id)) return { form: 1, bytes: Buffer.from(id.replaceAll('-', ''), 'hex') };
  if (id.length === 64 && hex.test(id)) return { form: 3, bytes: Buffer.from(id, 'hex') };
  return { form: 0, bytes: Buffer.concat([u8(id.length), Buffer.from(id)]) };
}

export interface Names { readonly account: string; readonly objectId: string; readonly materialId: string }

export function packNames(names: Names): Buffer {
  const object = packName(names.objectId);
  const material = packName(names.materialId);
  return Buffer.concat([Buffer.from('SRe\x01'), Buffer.from(names.account), u8(object.form | material.form << 4), object.bytes, material.bytes]);
}

export function canonicalContext(context: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(context).map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const);
  pairs.sort(([a], [b]) => Buffer.compare(a, b));
  return Buffer.concat([u32(pairs.length), ...pairs.flatMap(([name, value]) => [block32(name), block32(value)])]);
}

const envelopeKeys = (key: Buffer, namesAndNonce: Buffer): Buffer => derive(key, 'envelope', namesAndNonce, 64);

export function closeEnvelope(key: Buffer, names: Names, context: Readonly<Record<string, string>>, plain: Buffer, nonce: Buffer): Buffer {
  const start = Buffer.concat([packNames(names), nonce]);
  const keys = envelopeKeys(key, start);
  const header = Buffer.concat([start, keys.subarray(32)]);
  return Buffer.concat([header, gcmClose(keys.subarray(0, 32), Buffer.concat([header, canonicalContext(context)]), plain)]);
}

export function openEnvelope(key: Buffer, names: Names, context: Readonly<Record<string, string>>, blob: Buffer): Buffer {
  const packed = packNames(names);
  same(blob.subarray(0, packed.length), packed, 'names');
  const start = blob.subarray(0, packed.length + 16);
  const keys = envelopeKeys(key, start);
  const header = blob.subarray(0, start.length + 32);
  same(header.subarray(start.length), keys.subarray(32), 'commitment');
  return gcmOpen(keys.subarray(0, 32), Buffer.concat([header, canonicalContext(context)]), blob.subarray(header.length));
}

// ---- record.md ----

export function recordMac(root: Root, table: string, key: string, version: bigint, body: Buffer): Buffer {
  const bytes = Buffer.concat([block32(Buffer.from(table)), block32(Buffer.from(key)), u64(version), block32(body)]);
  return createHmac('sha256', derive(root.key, 'record', root.id, 32)).update(bytes).digest();
}

// ---- import.md ----

const importContext = (account: string, objectId: string): Buffer =>
  Buffer.concat([u8(1), block16(Buffer.from(account)), block16(Buffer.from(objectId))]);

export function openImportToken(a: Account, objectId: string, token: Buffer): { readonly expires: bigint; readonly way: number; readonly bits: number; readonly privateKey: Buffer } {
  const clear = new Reader(openSealed(a.key, 'import', importContext(a.account, objectId), token));
  return { expires: clear.u64(), way: clear.u8(), bits: clear.u32(), privateKey: clear.block32() };
}

export function fingerprint(a: Account, objectId: string, spec: { readonly type: number; readonly param: number }, identity: Buffer): Buffer {
  const bytes = Buffer.concat([block16(Buffer.from(objectId)), u32(spec.type), u32(spec.param), block32(identity)]);
  return createHmac('sha256', derive(a.key, 'fingerprint', Buffer.alloc(0), 32)).update(bytes).digest();
}

// ---- CMS EnvelopedData (RFC 5652), as a recipient opens it ----

/** Content of the elements of a DER sequence, in order. */
function elements(der: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  for (const r = new Reader(der); r.left > 0;) {
    r.u8();
    const first = r.u8();
    found.push(r.take(first < 0x80 ? first : first === 0x81 ? r.u8() : r.u16()));
  }
  return found;
}

const at = (list: readonly Buffer[], i: number): Buffer => {
  const one = list[i];
  if (one === undefined) throw new Error('too few elements');
  return one;
};

export function openCms(cms: Buffer, unwrap: (wrapped: Buffer) => Buffer): Buffer {
  const whole = elements(at(elements(cms), 0));
  const data = elements(at(elements(at(whole, 1)), 0));
  const recipient = elements(at(elements(at(data, 1)), 0));
  const info = elements(at(data, 2));
  const decipher = createDecipheriv('aes-256-cbc', unwrap(at(recipient, 3)), at(elements(at(info, 1)), 1));
  return Buffer.concat([decipher.update(at(info, 2)), decipher.final()]);
}

// ---- the worked examples ----

/** `name = hex` lines of every ```example block of a page; lines that begin with a blank go on. */
export function examples(page: string): Readonly<Record<string, Buffer>> {
  const text = readFileSync(new URL(`../../docs/formats/${page}.md`, import.meta.url), 'utf8');
  const found: Record<string, string> = {};
  for (const [, block] of text.matchAll(/```example\n(.*?)```/gs)) {
    let name = '';
    for (const line of (block ?? '').split('\n')) {
      const start = /^(\w+) += *(.*)$/.exec(line);
      if (start !== null) name = start[1] ?? '';
      if (name !== '') found[name] = (found[name] ?? '') + (start?.[2] ?? line).replaceAll(/\s/g, '');
    }
  }
  return Object.fromEntries(Object.entries(found).map(([name, digits]) => [name, Buffer.from(digits, 'hex')]));
}
