/** Grants: which of them let a caller through, and the tokens that name them. */
import { rootArn } from '../iam/arn.ts';
import { isMeant, namesOf, type Principal } from '../iam/principal.ts';
import type { Core } from '../hsm/core.ts';
import type { Reader, Row } from '../store/store.ts';
import { fail } from './errors.ts';
import type { EncryptionContext } from './envelope.ts';
import type { Key } from './key.ts';
import { grantRowId, type GrantConstraint, type GrantRecord } from './records.ts';
import { grantOperations, type GrantOperationName } from './shapes.ts';

export type GrantRow = Row<GrantRecord>;

const grantable = new Set<string>(grantOperations);

/** `kms:Decrypt` -> `Decrypt`, for what a grant can allow. */
export function grantOperationOf(action: string): GrantOperationName | undefined {
  const name = action.slice('kms:'.length);
  return grantable.has(name) ? (name as GrantOperationName) : undefined;
}

export interface GrantQuestion {
  readonly principal: Principal;
  readonly action: string;
  readonly encryptionContext: EncryptionContext | undefined;
  readonly sourceArn: string | undefined;
}

export interface FoundGrant {
  readonly row: GrantRow;
  /** Whom it names: the principal, or its whole account. */
  readonly to: 'principal' | 'account';
}

/** The first grant on the key that allows this. Most keys have none: then nothing is read. */
export async function findGrant(store: Reader, key: Key, question: GrantQuestion): Promise<FoundGrant | undefined> {
  const operation = grantOperationOf(question.action);
  if (operation === undefined || !key.record.hasGrants) return undefined;
  for (const { name, to } of granteesOf(question.principal)) {
    const row = await firstOf(store, key, name, (grant) => grant.operations.includes(operation) && isGrantee(grant, name, question.principal) && satisfies(grant.constraints, operation, question));
    if (row !== undefined) return { row, to };
  }
  return undefined;
}

/** The name is the caller's or its account's: found by it, a grant may still mean one who had that name before. */
function isGrantee(grant: GrantRecord, name: string, principal: Principal): boolean {
  return grant.granteeId === undefined || isMeant(name, grant.granteeId, principal);
}

function granteesOf(principal: Principal): readonly { readonly name: string; readonly to: 'principal' | 'account' }[] {
  if (principal.service !== undefined) return [{ name: principal.service, to: 'principal' }];
  const own = namesOf(principal).map((name) => ({ name, to: 'principal' as const }));
  return principal.kind === 'root' ? own : [...own, { name: rootArn(principal.account), to: 'account' }];
}

async function firstOf(store: Reader, key: Key, grantee: string, fits: (grant: GrantRecord) => boolean): Promise<GrantRow | undefined> {
  for (let after: string | undefined; ;) {
    const page = await store.list<GrantRecord>('grant', { index: 'grant.grantee', equals: [key.id, grantee], limit: 200, ...(after === undefined ? {} : { after }) });
    const found = page.rows.find((row) => fits(row.body));
    if (found !== undefined || page.next === undefined) return found;
    after = page.next;
  }
}

/** Constraints speak of the encryption context, so they do not bind what has none: DescribeKey. None binds RetireGrant. */
function satisfies(constraints: GrantConstraint | undefined, operation: GrantOperationName, question: GrantQuestion): boolean {
  if (constraints === undefined || operation === 'RetireGrant') return true;
  if (constraints.SourceArn !== undefined && constraints.SourceArn !== question.sourceArn) return false;
  if (operation === 'DescribeKey' || operation === 'CreateGrant' || operation === 'GetPublicKey') return true;
  return contextFits(constraints, question.encryptionContext ?? {});
}

/** In a constraint the names of pairs are the same in either case, as AWS has it; values are exact. */
export function contextFits({ EncryptionContextEquals: equals, EncryptionContextSubset: subset }: GrantConstraint, context: EncryptionContext): boolean {
  const given = Object.entries(context).map(([name, value]) => [name.toLowerCase(), value] as const);
  const within = (wanted: EncryptionContext) => Object.entries(wanted).every(([name, value]) => given.some(([own, found]) => own === name.toLowerCase() && found === value));
  if (subset !== undefined && !within(subset)) return false;
  return equals === undefined || (within(equals) && Object.keys(context).length === Object.keys(equals).length);
}

/** A child grant is at least as strict as the one that lets its maker make it. */
export function atLeastAsStrict(child: GrantConstraint | undefined, parent: GrantConstraint | undefined): boolean {
  if (parent === undefined) return true;
  if (parent.SourceArn !== undefined && child?.SourceArn !== parent.SourceArn) return false;
  const { EncryptionContextEquals: equals, EncryptionContextSubset: subset } = parent;
  if (equals !== undefined) return child?.EncryptionContextEquals !== undefined && contextFits({ EncryptionContextEquals: equals }, child.EncryptionContextEquals);
  if (subset === undefined) return true;
  const own = child?.EncryptionContextEquals ?? child?.EncryptionContextSubset;
  return own !== undefined && contextFits({ EncryptionContextSubset: subset }, own);
}

/* ---- tokens ------------------------------------------------------------------ */

/** A token is its grant's name and the core's MAC over it: made up ones are refused, tokens of one grant are equals. */
export class GrantTokens {
  readonly #core: Pick<Core, 'recordMac' | 'recordCheck'>;

  constructor(core: Pick<Core, 'recordMac' | 'recordCheck'>) {
    this.#core = core;
  }

  /** Fresh each time: `nonce` is 16 hex digits. */
  make(grant: Pick<GrantRecord, 'key' | 'grantId'>, nonce: string): string {
    const name = `${nonce}/${grantRowId(grant.key, grant.grantId)}`;
    return Buffer.concat([this.#core.recordMac('grant-token', name, 1, empty), Buffer.from(name)]).toString('base64');
  }

  /** The grant's row id. */
  open(token: string): string {
    const bytes = Buffer.from(token, 'base64');
    const name = bytes.toString('utf8', 32);
    if (bytes.length <= 32 || bytes.toString('base64') !== token || !this.#core.recordCheck('grant-token', name, 1, empty, bytes.subarray(0, 32))) {
      throw fail('InvalidGrantTokenException', 'Grant token is invalid.');
    }
    return name.slice(name.indexOf('/') + 1);
  }
}

const empty = Buffer.alloc(0);
