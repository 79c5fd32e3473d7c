/** Accounts' partitions by number, so that a request need not wait a turn for one that is open. */
import type { PartitionHandle } from '../hsm/core.ts';

export class Partitions {
  readonly #find: (account: string) => Promise<PartitionHandle | undefined>;
  readonly #open = new Map<string, PartitionHandle>();

  constructor(find: (account: string) => Promise<PartitionHandle | undefined>) {
    this.#find = find;
  }

  of(account: string): PartitionHandle | Promise<PartitionHandle> {
    return this.#open.get(account) ?? this.#ask(account);
  }

  /** The account was closed, suspended or resealed. */
  forget(account: string): void {
    this.#open.delete(account);
  }

  forgetAll(): void {
    this.#open.clear();
  }

  async #ask(account: string): Promise<PartitionHandle> {
    const partition = await this.#find(account);
    if (partition === undefined) throw new Error(`account ${account} has no partition`);
    this.#open.set(account, partition);
    return partition;
  }
}
