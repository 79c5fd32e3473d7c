/**
 * Verified records in memory, bounded by their size at rest. Two generations: what is asked for moves to
 * the young one; when that is full the old one is dropped whole. A hit costs one look-up, and nothing
 * is sorted.
 */
import type { Row, Table } from './store.ts';

interface Entry {
  readonly row: Row<unknown>;
  readonly size: number;
}

type Generation = Map<string, Entry>;

/** What an entry costs beside its text: objects, map slots. A measured guess. */
const overhead = 600;

export class RecordCache {
  readonly #half: number;
  #young = new Map<Table, Generation>();
  #old = new Map<Table, Generation>();
  #size = 0;

  constructor(bytes: number) {
    this.#half = bytes / 2;
  }

  get(table: Table, id: string): Row<unknown> | undefined {
    const entry = this.#young.get(table)?.get(id);
    if (entry !== undefined) return entry.row;
    const aged = this.#old.get(table)?.get(id);
    if (aged === undefined) return undefined;
    this.#keep(aged);
    return aged.row;
  }

  set(row: Row<unknown>, length: number): void {
    this.#keep({ row, size: length * 3 + overhead });
  }

  delete(table: Table, id: string): void {
    this.#young.get(table)?.delete(id);
    this.#old.get(table)?.delete(id);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#size = 0;
  }

  #keep(entry: Entry): void {
    if (this.#size > this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#size = 0;
    }
    let generation = this.#young.get(entry.row.table);
    if (generation === undefined) {
      generation = new Map();
      this.#young.set(entry.row.table, generation);
    }
    generation.set(entry.row.id, entry);
    this.#size += entry.size;
  }
}
