/** Pages: Limit and Marker in, NextMarker and Truncated out. A marker is a cursor under the core's MAC, good for one list. */
import type { Core } from '../hsm/core.ts';
import type { Page, Query, Reader, Row, Table } from '../store/store.ts';
import { invalidMarker, validation } from './errors.ts';

const empty = Buffer.alloc(0);

export class Markers {
  readonly #core: Pick<Core, 'recordMac' | 'recordCheck'>;

  constructor(core: Pick<Core, 'recordMac' | 'recordCheck'>) {
    this.#core = core;
  }

  /** `scope`: which list of whom. */
  make(scope: string, cursor: string): string {
    const mac = this.#core.recordMac('marker', `${scope}\n${cursor}`, 1, empty);
    return Buffer.concat([mac.subarray(0, 16), Buffer.from(cursor)]).toString('base64url');
  }

  open(scope: string, marker: string | undefined): string | undefined {
    if (marker === undefined) return undefined;
    const bytes = Buffer.from(marker, 'base64url');
    const cursor = bytes.toString('utf8', 16);
    const mac = this.#core.recordMac('marker', `${scope}\n${cursor}`, 1, empty).subarray(0, 16);
    if (bytes.length <= 16 || bytes.toString('base64url') !== marker || !mac.equals(bytes.subarray(0, 16))) throw invalidMarker();
    return cursor;
  }
}

export interface PageInput {
  readonly Limit?: number | undefined;
  readonly Marker?: string | undefined;
}

export interface PageSize {
  readonly otherwise: number;
  readonly most: number;
}

/** One page of a table, shown as `member`. */
export async function listPage<T, V>(
  reader: Reader, markers: Markers, scope: string, table: Table, query: Pick<Query, 'index' | 'equals'>, input: PageInput, size: PageSize,
  show: (row: Row<T>) => V,
): Promise<{ readonly items: readonly V[]; readonly more: { readonly Truncated: boolean; readonly NextMarker?: string } }> {
  const limit = pageLimit(input, size);
  const after = markers.open(scope, input.Marker);
  const page: Page<T> = await reader.list<T>(table, { ...query, limit, ...(after === undefined ? {} : { after }) });
  return { items: page.rows.map(show), more: page.next === undefined ? { Truncated: false } : { Truncated: true, NextMarker: markers.make(scope, page.next) } };
}

export function pageLimit({ Limit: limit }: PageInput, { otherwise, most }: PageSize): number {
  if (limit !== undefined && limit > most) {
    throw validation(`1 validation error detected: Value '${limit}' at 'limit' failed to satisfy constraint: Member must have value less than or equal to ${most}`);
  }
  return limit ?? otherwise;
}

/** A page of a list that is at hand whole; the cursor is the position. */
export function slicePage<T>(markers: Markers, scope: string, all: readonly T[], input: PageInput, size: PageSize):
  { readonly items: readonly T[]; readonly more: { readonly Truncated: boolean; readonly NextMarker?: string } } {
  const limit = pageLimit(input, size);
  const start = Number(markers.open(scope, input.Marker) ?? 0);
  const end = start + limit;
  return { items: all.slice(start, end), more: end < all.length ? { Truncated: true, NextMarker: markers.make(scope, String(end)) } : { Truncated: false } };
}
