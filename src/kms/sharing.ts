/** The accounts a key's grants admit to it, besides its owner. */
import { parseArn } from '../iam/arn.ts';
import type { Reader } from '../store/store.ts';
import type { Key } from './key.ts';
import type { GrantRecord } from './records.ts';

/** Stands for every account in the core's list: services act for any. */
export const everyAccount = '************';

export function sharerOf(grant: Pick<GrantRecord, 'grantee' | 'granteeIs'>, owner: string): string | undefined {
  if (grant.granteeIs === 'service') return everyAccount;
  const account = parseArn(grant.grantee)?.account;
  return account === owner ? undefined : account;
}

/** `without`: a grant that is about to go. */
export async function sharersByGrants(reader: Reader, key: Key, without?: string): Promise<readonly string[]> {
  if (!key.record.hasGrants) return [];
  const accounts = new Set<string>();
  for (let after: string | undefined; ;) {
    const page = await reader.list<GrantRecord>('grant', { index: 'grant.key', equals: [key.id], limit: 1000, ...(after === undefined ? {} : { after }) });
    for (const { body } of page.rows) {
      const account = body.grantId === without ? undefined : sharerOf(body, key.account);
      if (account !== undefined) accounts.add(account);
    }
    if (page.next === undefined) return [...accounts];
    after = page.next;
  }
}
