/**
 * Writes decisions.tsv: situations in words, and the answer that AWS's published evaluation logic gives.
 * It knows no policy document and none of the product's code: it walks the flow charts of the IAM User
 * Guide (Policy evaluation logic) and the KMS Developer Guide over what each policy says in the situation.
 *
 *   node --import tsx test/iam/write-decisions.ts
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const dimensions = {
  principal: ['root', 'user', 'role session', 'foreign root', 'foreign user', 'foreign role session', 'service'],
  'key policy': ['delegates', 'names the principal', 'names the session', "names the principal's account", 'names everybody', 'names everybody for tenant a', 'delegates, denies everybody', 'delegates, denies tenant b', 'names somebody else'],
  identity: ['none', 'allows', 'allows another action', 'allows tenant a', 'allows another key', 'denies', 'allows, denies tenant b'],
  boundary: ['absent', 'allows', 'lacks', 'denies'],
  session: ['absent', 'allows', 'lacks', 'denies'],
  grant: ['none', 'to the principal', 'to the principal for tenant a'],
  tenant: ['a', 'b'],
} as const;

type Row = { readonly [name in keyof typeof dimensions]: (typeof dimensions)[name][number] };
type Says = 'allow' | 'deny' | 'nothing';

const isForeign = (row: Row): boolean => row.principal.startsWith('foreign');
const isRole = (row: Row): boolean => row.principal.endsWith('role session');
const isRoot = (row: Row): boolean => row.principal.endsWith('root');
const isService = (row: Row): boolean => row.principal === 'service';

/** Situations that cannot be. */
function possible(row: Row): boolean {
  if ((isRoot(row) || isService(row)) && (row.identity !== 'none' || row.boundary !== 'absent')) return false;
  if (!isRole(row) && (row.session !== 'absent' || row['key policy'] === 'names the session')) return false;
  if (isService(row) && row['key policy'] === "names the principal's account") return false;
  // The key's own account named is the same as delegation.
  return isForeign(row) || row['key policy'] !== "names the principal's account";
}

/* ---- what each policy says --------------------------------------------------------- */

function identitySays(row: Row): Says {
  switch (row.identity) {
    case 'allows': return 'allow';
    case 'allows tenant a': return row.tenant === 'a' ? 'allow' : 'nothing';
    case 'denies': return 'deny';
    case 'allows, denies tenant b': return row.tenant === 'b' ? 'deny' : 'allow';
    default: return 'nothing';
  }
}

const narrowing = { absent: 'allow', allows: 'allow', lacks: 'nothing', denies: 'deny' } as const;

function keyDenies(row: Row): boolean {
  return row['key policy'] === 'delegates, denies everybody' || (row['key policy'] === 'delegates, denies tenant b' && row.tenant === 'b');
}

/** Whom the key policy's allow reaches, from the closest to the widest. */
function keyAllows(row: Row): 'itself' | 'session' | 'role' | 'everybody' | 'account' | 'nobody' {
  switch (row['key policy']) {
    case 'names the principal': return isRole(row) ? 'role' : 'itself';
    case 'names the session': return 'session';
    case "names the principal's account": return isRoot(row) ? 'itself' : 'account';
    case 'names everybody': return 'everybody';
    case 'names everybody for tenant a': return row.tenant === 'a' ? 'everybody' : 'nobody';
    case 'names somebody else': return 'nobody';
    default: return isForeign(row) || isService(row) ? 'nobody' : isRoot(row) ? 'itself' : 'account';
  }
}

const granted = (row: Row): boolean => row.grant === 'to the principal' || (row.grant === 'to the principal for tenant a' && row.tenant === 'a');

/* ---- the flow charts ------------------------------------------------------------------ */

type Answer = readonly [decision: 'allow' | 'explicit deny' | 'implicit deny', section: string];

function decide(row: Row): Answer {
  if (keyDenies(row) || identitySays(row) === 'deny' || narrowing[row.boundary] === 'deny' || narrowing[row.session] === 'deny') {
    return ['explicit deny', 'IAM: Deny evaluation'];
  }
  if (isService(row)) return keyAllows(row) !== 'nobody' || granted(row) ? ['allow', 'KMS: Allowing AWS services'] : ['implicit deny', 'KMS: Allowing AWS services'];
  return isForeign(row) ? acrossAccounts(row) : withinAccount(row);
}

/** The first of boundary and session that does not allow. */
function narrowed(row: Row): Answer | undefined {
  if (narrowing[row.boundary] === 'nothing') return ['implicit deny', 'IAM: Permissions boundaries'];
  if (narrowing[row.session] === 'nothing') return ['implicit deny', 'IAM: Session policies'];
  return undefined;
}

function withinAccount(row: Row): Answer {
  const reach = keyAllows(row);
  // "IAM users: permissions granted to an IAM user ARN are not limited by an implicit deny in an identity-based policy or boundary"; sessions likewise.
  if (reach === 'itself' || reach === 'session') return ['allow', 'IAM: Resource-based policies, principal named'];
  if (reach === 'everybody' && !isRole(row)) return ['allow', 'IAM: Resource-based policies, everybody named'];
  if (granted(row) && !isRole(row)) return ['allow', 'KMS: Grants'];
  // "Permissions granted to a role ARN are limited by an implicit deny in a permissions boundary or session policy."
  if (reach === 'role' || reach === 'everybody') return narrowed(row) ?? ['allow', 'IAM: Resource-based policies, role named'];
  if (granted(row)) return narrowed(row) ?? ['allow', 'KMS: Grants'];
  if (reach === 'nobody') return ['implicit deny', 'KMS: Key policies, no delegation'];
  if (identitySays(row) !== 'allow') return ['implicit deny', 'IAM: Identity-based policies'];
  return narrowed(row) ?? ['allow', 'KMS: Default key policy, IAM policies'];
}

/** "Access is allowed only if both evaluations return Allow." */
function acrossAccounts(row: Row): Answer {
  const section = 'IAM: Cross-account policy evaluation';
  if (!isRoot(row)) {
    if (identitySays(row) !== 'allow') return ['implicit deny', `${section}, trusted account`];
    const less = narrowed(row);
    if (less !== undefined) return less;
  }
  return keyAllows(row) !== 'nobody' || granted(row) ? ['allow', section] : ['implicit deny', `${section}, trusting account`];
}

/* ---- the table -------------------------------------------------------------------------- */

const names = Object.keys(dimensions) as (keyof typeof dimensions)[];

function* product(at = 0, row: Partial<Record<keyof typeof dimensions, string>> = {}): Generator<Row> {
  const name = names[at];
  if (name === undefined) return yield row as Row;
  for (const value of dimensions[name]) yield* product(at + 1, { ...row, [name]: value });
}

/** How many of the other columns say something else than usual: a row meets two of them at once. */
const unusual = (row: Row): number => names.slice(1).filter((name) => row[name] !== dimensions[name][0]).length;

const rows = [...product()].filter((row) => possible(row) && unusual(row) <= 2);
const lines = rows.map((row) => [...names.map((name) => row[name]), ...decide(row)].join('\t'));
writeFileSync(join(import.meta.dirname, 'decisions.tsv'), `${[...names, 'decision', 'section'].join('\t')}\n${lines.join('\n')}\n`);
process.stdout.write(`${lines.length} decisions\n`);
