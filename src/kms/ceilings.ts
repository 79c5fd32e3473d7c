/**
 * How many there may be: AWS's quotas on resources. The store counts as it commits, so that however many
 * come at once, no more than these get in.
 */
import type { AwsError } from './operation.ts';
import { StoreError, type Tx } from '../store/store.ts';
import type { Tally } from './tally.ts';

export interface Ceilings {
  readonly aliasesPerKey: number;
  readonly grantsPerKey: number;
  /** Of an account in a Region. */
  readonly keys: number;
}

export const awsCeilings: Ceilings = { aliasesPerKey: 50, grantsPerKey: 50_000, keys: 100_000 };

/** Counting tens of thousands takes milliseconds: it is done where the tally says that the ceiling is as near as this. */
const near = 10_000;

/** In a transaction that adds a row to the tally's index. */
export async function keepBelow(tx: Tx, tally: Tally, name: string, most: number): Promise<void> {
  if ((await tally.of(name)) < most - near) return;
  const { index, equals } = tally.query(name);
  tx.below(index, equals, most);
}

/** The store's refusal in AWS's words. */
export function ceilingAs(refusal: AwsError): (error: unknown) => never {
  return (error) => {
    throw error instanceof StoreError && error.code === 'Ceiling' ? refusal : error;
  };
}
