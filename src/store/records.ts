/** How a record lies at rest: the bytes its MAC covers, its index keys, its cursor. Pure. */
import { indexes, StoreError } from './store.ts';
import type { IndexName, Row, Table } from './store.ts';

/** One entry of an index: index name, equality columns, order column. */
export type IndexKey = readonly [name: string, equals: string, order: string];

/** A record as the database gives it. */
export interface StoredRecord {
  readonly tab: string;
  readonly id: string;
  readonly account: string;
  readonly region: string;
  readonly version: number;
  readonly created_ms: number;
  readonly updated_ms: number;
  readonly body: Buffer;
  readonly sealed: Buffer | null;
  readonly mac: Buffer;
}

interface Declared {
  readonly name: string;
  readonly equals: readonly string[];
  readonly order?: string;
}

const byTable = new Map<string, Declared[]>();
for (const [name, index] of Object.entries(indexes) as [IndexName, { table: Table; equals: readonly string[]; order?: string }][]) {
  const declared: Declared = index.order === undefined ? { name, equals: index.equals } : { name, equals: index.equals, order: index.order };
  byTable.set(index.table, [...(byTable.get(index.table) ?? []), declared]);
}

/** Names this set of indexes, so that a database made with another set is indexed anew. */
export const indexSignature: string = JSON.stringify(indexes);

export const longestId = 512;

/**
 * The bytes a record's MAC covers beside table, id and version. Lengths come first, so that no two
 * records share them; the sealed object goes in as its digest.
 */
export function macBody(account: string, region: string, createdMs: number, updatedMs: number, sealedDigest: Uint8Array | undefined, body: Uint8Array): Buffer {
  const head = Buffer.byteLength(account) + Buffer.byteLength(region) + 2 + 2 + 8 + 8 + 1 + (sealedDigest?.length ?? 0);
  const bytes = Buffer.allocUnsafe(head + body.length);
  let at = 0;
  for (const text of [account, region]) {
    const length = bytes.write(text, at + 2, 'utf8');
    bytes.writeUInt16BE(length, at);
    at += 2 + length;
  }
  at = writeU64(bytes, createdMs, at);
  at = writeU64(bytes, updatedMs, at);
  bytes[at++] = sealedDigest === undefined ? 0 : 1;
  if (sealedDigest !== undefined) {
    bytes.set(sealedDigest, at);
    at += sealedDigest.length;
  }
  bytes.set(body, at);
  return bytes;
}

/** Writes a whole number below 2^53 as eight bytes, big-endian; answers the offset behind it. */
export function writeU64(bytes: Buffer, value: number, at: number): number {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  return bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
}

/** Which index entries a record has. */
export function indexKeys(table: string, account: string, region: string, body: unknown): readonly IndexKey[] {
  const declared = byTable.get(table);
  if (declared === undefined) return [];
  const keys: IndexKey[] = [];
  for (const index of declared) {
    const equals = columns(index.equals, account, region, body);
    const order = index.order === undefined ? '' : column(index.order, account, region, body);
    if (equals !== undefined && order !== undefined) keys.push([index.name, equalsText(equals), order]);
  }
  return keys;
}

export function equalsText(values: readonly string[]): string {
  return JSON.stringify(values);
}

function columns(names: readonly string[], account: string, region: string, body: unknown): string[] | undefined {
  const values: string[] = [];
  for (const name of names) {
    const value = column(name, account, region, body);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

/** Numbers sort as text because they all have 16 digits. */
function column(name: string, account: string, region: string, body: unknown): string | undefined {
  if (name === 'account') return account;
  if (name === 'region') return region;
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return undefined;
  const value = (body as Record<string, unknown>)[name];
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return String(value).padStart(16, '0');
  return undefined;
}

export function cursorOf(order: string, id: string): string {
  return Buffer.from(JSON.stringify([order, id]), 'utf8').toString('base64url');
}

/** undefined: not a cursor of ours. */
export function cursorFrom(text: string): { readonly order: string; readonly id: string } | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (!Array.isArray(parsed) || parsed.length !== 2) return undefined;
    const [order, id] = parsed as unknown[];
    return typeof order === 'string' && typeof id === 'string' ? { order, id } : undefined;
  } catch {
    return undefined;
  }
}

/** Freezes plain data all the way down. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) freeze(member);
  return Object.freeze(value);
}

export function rowFrom<T>(record: StoredRecord): Row<T> {
  const row = {
    table: record.tab as Table,
    id: record.id,
    account: record.account,
    region: record.region,
    version: record.version,
    createdMs: record.created_ms,
    updatedMs: record.updated_ms,
    body: freeze(JSON.parse(record.body.toString('utf8')) as T),
  };
  return Object.freeze(record.sealed === null ? row : { ...row, sealed: record.sealed });
}

export function requireId(table: Table, id: string): void {
  const length = Buffer.byteLength(id);
  if (length === 0 || length > longestId) throw new StoreError('Integrity', `an id in ${table} has 1 to ${longestId} bytes, this one ${length}`);
}
