/** Amazon resource names: `arn:partition:service:region:account:resource`. */
import { matchesWildcard } from './wildcard.ts';

export interface Arn {
  readonly partition: string;
  readonly service: string;
  readonly region: string;
  readonly account: string;
  readonly resource: string;
}

/** Undefined for what is not an ARN. The resource may itself contain colons. */
export function parseArn(text: string): Arn | undefined {
  if (!text.startsWith('arn:')) return undefined;
  const parts = text.split(':');
  const [, partition, service, region, account] = parts;
  if (parts.length < 6 || partition === undefined || service === undefined || region === undefined || account === undefined) return undefined;
  const resource = parts.slice(5).join(':');
  if (!/^aws(-[a-z]+)*$/.test(partition) || service === '' || resource === '') return undefined;
  return { partition, service, region, account, resource };
}

export const isAccountId = (text: string): boolean => /^[0-9]{12}$/.test(text);

export const rootArn = (account: string): string => `arn:aws:iam::${account}:root`;
export const keyArn = (region: string, account: string, keyId: string): string => `arn:aws:kms:${region}:${account}:key/${keyId}`;
export const aliasArn = (region: string, account: string, name: string): string => `arn:aws:kms:${region}:${account}:${name}`;

/** ArnLike: each of the six parts is matched by itself, so that no wildcard crosses a colon before the resource. */
export function matchesArn(pattern: string, text: string): boolean {
  if (pattern === '*') return true;
  const wanted = splitSix(pattern);
  const given = splitSix(text);
  if (wanted === undefined || given === undefined) return false;
  return wanted.every((part, i) => matchesWildcard(part, given[i] as string));
}

function splitSix(text: string): readonly string[] | undefined {
  const parts = text.split(':');
  if (parts.length < 6) return undefined;
  return [...parts.slice(0, 5), parts.slice(5).join(':')];
}
