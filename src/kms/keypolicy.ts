/** Key policies: the default one, what is checked before one is kept, and whom it lets into the key's partition. */
import { rootArn } from '../iam/arn.ts';
import { idsOf } from '../iam/meant.ts';
import { parsePolicy, PolicyError, principalsOf, type Policy } from '../iam/policy.ts';
import { fail } from './errors.ts';
import type { Key } from './key.ts';
import type { PolicyRecord } from './records.ts';
import type { Run } from './run.ts';
import { everyAccount } from './sharing.ts';

const longest = 32768;

export function defaultPolicy(account: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [{ Sid: 'Enable IAM User Permissions', Effect: 'Allow', Principal: { AWS: rootArn(account) }, Action: 'kms:*', Resource: '*' }],
  }, null, 2);
}

/** Grammar, size, principals that exist, and (unless bypassed) that the caller could change it again. */
export async function checkedPolicy(run: Run, text: string, key: Key, bypass: boolean): Promise<Policy> {
  if (Buffer.byteLength(text) > longest) throw fail('LimitExceededException', `The key policy must not be longer than ${longest} bytes.`);
  const policy = parsed(text);
  for (const entry of principalsOf(policy)) {
    if (!(await run.services.authoriser.exists(entry))) throw malformed('Policy contains a statement with one or more invalid principals.');
  }
  if (!bypass && !(await run.services.authoriser.allowsUnder(policy, run.request, run.principal, key, run.nowMs))) {
    throw malformed('The new key policy will not allow you to update the key policy in the future.');
  }
  return policy;
}

function parsed(text: string): Policy {
  try {
    return parsePolicy(text, 'resource');
  } catch (error) {
    if (error instanceof PolicyError) throw malformed(error.message);
    throw error;
  }
}

/** As it is stored: the text, and whom it means. */
export async function policyRecord(run: Run, text: string, policy: Policy): Promise<PolicyRecord> {
  const ids = await idsOf(run.store, policy);
  return ids === undefined ? { text } : { text, ids };
}

/** A policy that was checked when it was stored. */
export const readPolicy = (text: string): Policy => parsePolicy(text, 'resource');

const malformed = (sentence: string) => fail('MalformedPolicyDocumentException', sentence);

/** The accounts besides the owner's whose callers the policy may let use the key. */
export function accountsIn(policy: Policy, owner: string): readonly string[] {
  const accounts = new Set<string>();
  for (const statement of policy.statements) {
    if (statement.effect !== 'Allow' || statement.principals === undefined) continue;
    if (statement.principals.not) accounts.add(everyAccount);
    for (const entry of statement.principals.entries) {
      if (entry.names === 'any' || entry.names === 'service') accounts.add(everyAccount);
      else if (entry.names !== 'other' && entry.account !== owner) accounts.add(entry.account);
    }
  }
  return [...accounts].sort();
}
