/**
 * May this principal do this? One pure function over everything that can have a say.
 *
 * An explicit Deny anywhere wins. In the resource's own account one allow is enough, if it reaches the
 * principal: its key policy names the principal itself, or names the account and an identity policy of
 * that principal allows, or a grant allows. From another account both sides must allow. Boundaries and
 * session policies only narrow; what a key policy gives to a user or to one session by name they do
 * not narrow, what it gives to a role they do. The account's root needs no identity policy.
 */
import { closeness, type Closeness, type Principal } from './principal.ts';
import { principalCloseness, speaksOf, type Policy, type Statement } from './policy.ts';
import type { Context } from './context.ts';

export interface Question {
  readonly principal: Principal;
  /** `kms:Decrypt`. */
  readonly action: string;
  /** The resource's ARN, or `*` for an action that has none. */
  readonly resource: string;
  readonly resourceAccount: string;
  readonly context: Context;
  /** The resource's own policy. Undefined: the action has none, identity policies decide alone. */
  readonly resourcePolicy: Policy | undefined;
  readonly identity: readonly Policy[];
  readonly boundary?: Policy | undefined;
  /** Policies given with the session, all together: one of them must allow. */
  readonly session?: readonly Policy[] | undefined;
  /** A grant allows this action: to this principal, or to its account (which then decides by its identity policies). */
  readonly granted?: boolean | 'account';
}

export type PolicySource = 'resource-based' | 'identity-based' | 'boundary' | 'session';

export type Decision =
  | { readonly allowed: true; readonly statement: Statement | undefined }
  /** `explicit`: a statement denied. Else the source that should have allowed and did not. */
  | { readonly allowed: false; readonly explicit: boolean; readonly source: PolicySource; readonly statement: Statement | undefined };

const unsaid = (source: PolicySource): Decision => ({ allowed: false, explicit: false, source, statement: undefined });

export function evaluate(question: Question): Decision {
  const verdict = denial(question);
  if (verdict !== undefined) return verdict;
  return question.principal.account === question.resourceAccount || question.resourcePolicy === undefined
    ? withinAccount(question)
    : acrossAccounts(question);
}

/* ---- the three steps --------------------------------------------------------- */

function denial(question: Question): Decision | undefined {
  const { resourcePolicy, identity, boundary, session } = question;
  return (
    (resourcePolicy && denies(resourcePolicy, question, 'resource-based')) ??
    firstDenial(identity, question, 'identity-based') ??
    (boundary && denies(boundary, question, 'boundary')) ??
    firstDenial(session ?? [], question, 'session')
  );
}

function withinAccount(question: Question): Decision {
  const { resourcePolicy, principal, granted = false } = question;
  const given = resourcePolicy === undefined ? undefined : closestAllow(resourcePolicy, question);
  const reach = given?.closeness ?? closeness.none;

  if (resourcePolicy !== undefined) {
    if (reach === closeness.exact || (reach === closeness.any && principal.kind !== 'role')) return { allowed: true, statement: given?.statement };
    if (granted === true && principal.kind !== 'role') return { allowed: true, statement: undefined };
    if (reach >= closeness.any || granted === true) return narrowed(question) ?? { allowed: true, statement: given?.statement };
    if (reach === closeness.none && granted === false) return unsaid('resource-based');
  }
  return identitySide(question);
}

function acrossAccounts(question: Question): Decision {
  const { resourcePolicy, granted = false } = question;
  // A service acts for no account: the resource's word is enough.
  const own: Decision = question.principal.kind === 'service' ? { allowed: true, statement: undefined } : identitySide(question);
  if (!own.allowed) return own;
  const given = resourcePolicy === undefined ? undefined : closestAllow(resourcePolicy, question);
  if (given === undefined && granted === false) return unsaid('resource-based');
  return own;
}

/** The principal's own account's word. */
export function identitySide(question: Question): Decision {
  const { principal, identity } = question;
  if (principal.kind === 'root') return { allowed: true, statement: undefined };
  const allow = firstAllow(identity, question);
  if (allow === undefined) return unsaid('identity-based');
  return narrowed(question) ?? { allowed: true, statement: allow };
}

/** What boundary and session leave out. */
function narrowed(question: Question): Decision | undefined {
  const { boundary, session } = question;
  if (boundary !== undefined && firstAllow([boundary], question) === undefined) return unsaid('boundary');
  if (session !== undefined && firstAllow(session, question) === undefined) return unsaid('session');
  return undefined;
}

/* ---- statements -------------------------------------------------------------- */

function speaks(statement: Statement, policy: Policy, question: Question): boolean {
  return speaksOf(statement, policy, question.action.toLowerCase(), question.resource, question.context);
}

function denies(policy: Policy, question: Question, source: PolicySource): Decision | undefined {
  const statement = policy.statements.find((candidate) =>
    candidate.effect === 'Deny' && principalCloseness(candidate, question.principal) !== closeness.none && speaks(candidate, policy, question));
  return statement && { allowed: false, explicit: true, source, statement };
}

function firstDenial(policies: readonly Policy[], question: Question, source: PolicySource): Decision | undefined {
  for (const policy of policies) {
    const denied = denies(policy, question, source);
    if (denied !== undefined) return denied;
  }
  return undefined;
}

function firstAllow(policies: readonly Policy[], question: Question): Statement | undefined {
  for (const policy of policies) {
    const statement = policy.statements.find((candidate) => candidate.effect === 'Allow' && speaks(candidate, policy, question));
    if (statement !== undefined) return statement;
  }
  return undefined;
}

function closestAllow(policy: Policy, question: Question): { readonly closeness: Closeness; readonly statement: Statement } | undefined {
  let best: { readonly closeness: Closeness; readonly statement: Statement } | undefined;
  for (const statement of policy.statements) {
    if (statement.effect !== 'Allow') continue;
    const found = principalCloseness(statement, question.principal);
    if (found > (best?.closeness ?? closeness.none) && speaks(statement, policy, question)) best = { closeness: found, statement };
  }
  return best;
}

/* ---- sentences ---------------------------------------------------------------- */

const kindOfPolicy = { 'resource-based': 'resource-based policy', 'identity-based': 'identity-based policy', boundary: 'permissions boundary', session: 'session policy' } as const;
const article = { 'resource-based': 'a', 'identity-based': 'an', boundary: 'a', session: 'a' } as const;

/** AWS's sentence for a refusal. */
export function denialSentence(principal: Principal, action: string, resource: string, decision: Decision & { readonly allowed: false }): string {
  const who = `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource}`;
  const what = kindOfPolicy[decision.source];
  return decision.explicit ? `${who} with an explicit deny in ${article[decision.source]} ${what}` : `${who} because no ${what} allows the ${action} action`;
}

/** For another account's key: the same words whether it is not there or not shared. */
export function hiddenSentence(principal: Principal, action: string, resource: string): string {
  return `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`;
}
