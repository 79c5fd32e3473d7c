/** Who acts, as policies see them, and whom a policy's Principal element names. */
import { isAccountId, parseArn, rootArn } from './arn.ts';

export interface Principal {
  readonly kind: 'root' | 'user' | 'role' | 'service';
  readonly account: string;
  /** The caller's own ARN; for a role the session's (`arn:aws:sts::…:assumed-role/ROLE/SESSION`). */
  readonly arn: string;
  /** For a role session: the role's ARN, which policies and grants name. */
  readonly roleArn?: string;
  /** For a service: `s3.amazonaws.com`. */
  readonly service?: string;
}

/** What `aws:PrincipalArn` carries. */
export const principalArn = (principal: Principal): string => principal.roleArn ?? principal.arn;

/** Every ARN by which a grant or policy can name this principal, besides its account. */
export function namesOf(principal: Principal): readonly string[] {
  return principal.roleArn === undefined ? [principal.arn] : [principal.arn, principal.roleArn];
}

/** Read a caller's ARN. `roleArn` is given where the role has a path, which a session's ARN drops. */
export function principalOf(arn: string, roleArn?: string, service?: string): Principal {
  const parsed = parseArn(arn);
  const account = parsed?.account ?? '';
  if (service !== undefined) return { kind: 'service', account, arn, service };
  if (parsed?.service === 'sts' && parsed.resource.startsWith('assumed-role/')) {
    const role = parsed.resource.split('/')[1] ?? '';
    return { kind: 'role', account, arn, roleArn: roleArn ?? `arn:${parsed.partition}:iam::${account}:role/${role}` };
  }
  return { kind: arn === rootArn(account) || parsed?.resource === 'root' ? 'root' : 'user', account, arn };
}

/** One entry of a Principal element. */
export type PrincipalEntry =
  | { readonly names: 'any' }
  | { readonly names: 'account'; readonly account: string }
  | { readonly names: 'arn'; readonly arn: string; readonly account: string }
  | { readonly names: 'service'; readonly service: string }
  | { readonly names: 'other'; readonly id: string };

/** How closely an entry names a principal; a closer one needs less beside it to allow. */
export const closeness = { none: 0, account: 1, any: 2, role: 3, exact: 4 } as const;
export type Closeness = (typeof closeness)[keyof typeof closeness];

export function closenessOf(entry: PrincipalEntry, principal: Principal): Closeness {
  switch (entry.names) {
    case 'any': return closeness.any;
    case 'account':
      if (entry.account !== principal.account || principal.kind === 'service') return closeness.none;
      return principal.kind === 'root' ? closeness.exact : closeness.account;
    case 'arn':
      if (entry.arn === principal.arn) return closeness.exact;
      return entry.arn === principal.roleArn ? closeness.role : closeness.none;
    case 'service': return entry.service === principal.service ? closeness.exact : closeness.none;
    case 'other': return closeness.none;
  }
}

/** An entry of `{"AWS": …}`; undefined for what AWS calls an invalid principal. */
export function parseAwsPrincipal(text: string): PrincipalEntry | undefined {
  if (text === '*') return { names: 'any' };
  if (isAccountId(text)) return { names: 'account', account: text };
  // What AWS itself puts in place of a deleted user or role: it names nobody.
  if (/^(AIDA|AROA)[A-Z0-9]{12,}$/.test(text)) return { names: 'other', id: text };
  const arn = parseArn(text);
  if (arn === undefined || !isAccountId(arn.account) || arn.region !== '' || /[*?]/.test(text)) return undefined;
  if (arn.service === 'iam') {
    if (arn.resource === 'root') return { names: 'account', account: arn.account };
    return /^(user|role)\/[\w+=,.@/-]+$/.test(arn.resource) ? { names: 'arn', arn: text, account: arn.account } : undefined;
  }
  if (arn.service === 'sts' && /^(assumed-role|federated-user)\/[\w+=,.@/-]+$/.test(arn.resource)) return { names: 'arn', arn: text, account: arn.account };
  return undefined;
}
