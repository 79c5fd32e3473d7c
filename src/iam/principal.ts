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
  /** AIDA…, AROA…:SESSION. */
  readonly id?: string;
}

/** What `aws:PrincipalArn` carries. */
export const principalArn = (principal: Principal): string => principal.roleArn ?? principal.arn;

/** Every ARN by which a grant or policy can name this principal, besides its account. */
export function namesOf(principal: Principal): readonly string[] {
  return principal.roleArn === undefined ? [principal.arn] : [principal.arn, principal.roleArn];
}

/** Read a caller's ARN. `roleArn` is given where the role has a path, which a session's ARN drops. */
export function principalOf(arn: string, roleArn?: string, service?: string, id?: string): Principal {
  const principal = readPrincipal(arn, roleArn, service);
  return id === undefined ? principal : { ...principal, id };
}

function readPrincipal(arn: string, roleArn?: string, service?: string): Principal {
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
  /** id: of whom it meant when it was stored; who has the ARN now may be somebody else. */
  | { readonly names: 'arn'; readonly arn: string; readonly account: string; readonly id?: string }
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
      if (entry.id !== undefined && principal.id !== undefined) return closenessOfId(entry.id, principal.id, principal.kind);
      if (entry.arn === principal.arn) return closeness.exact;
      return entry.arn === principal.roleArn ? closeness.role : closeness.none;
    case 'service': return entry.service === principal.service ? closeness.exact : closeness.none;
    case 'other': return closeness.none;
  }
}

/** A role is named closely by its id, its one session exactly by the session's. */
function closenessOfId(named: string, id: string, kind: Principal['kind']): Closeness {
  if (kind === 'role' && id.startsWith(`${named}:`)) return closeness.role;
  return named === id ? closeness.exact : closeness.none;
}

/** Does a name, with the id of whom it meant, mean this principal? For grants, which name one. */
export function isMeant(name: string, id: string | undefined, principal: Principal): boolean {
  if (id === undefined || principal.id === undefined) return namesOf(principal).includes(name);
  return closenessOfId(id, principal.id, principal.kind) !== closeness.none;
}

/** An entry of `{"AWS": …}`; undefined for what AWS calls an invalid principal. */
export function parseAwsPrincipal(text: string): PrincipalEntry | undefined {
  if (text === '*') return { names: 'any' };
  if (isAccountId(text)) return { names: 'account', account: text };
  // What stands in place of a deleted user, role or role's session: it names nobody.
  if (/^(AIDA[A-Z0-9]{12,}|AROA[A-Z0-9]{12,}(:[\w+=,.@-]{2,64})?)$/.test(text)) return { names: 'other', id: text };
  const arn = parseArn(text);
  if (arn === undefined || !isAccountId(arn.account) || arn.region !== '' || /[*?]/.test(text)) return undefined;
  if (arn.service === 'iam') {
    if (arn.resource === 'root') return { names: 'account', account: arn.account };
    return /^(user|role)\/[\w+=,.@/-]+$/.test(arn.resource) ? { names: 'arn', arn: text, account: arn.account } : undefined;
  }
  if (arn.service === 'sts' && /^(assumed-role|federated-user)\/[\w+=,.@/-]+$/.test(arn.resource)) return { names: 'arn', arn: text, account: arn.account };
  return undefined;
}
