/** What this evaluation and another one say of a random case, and why they may differ. */
import { contextOf } from '../../src/iam/context.ts';
import { evaluate } from '../../src/iam/evaluate.ts';
import { parsePolicy, type Policy } from '../../src/iam/policy.ts';
import { principalOf } from '../../src/iam/principal.ts';
import { home, type Case } from './random-cases.ts';

export type Verdict = 'Allowed' | 'ImplicitlyDenied' | 'ExplicitlyDenied';
export const letters: Readonly<Record<Verdict, string>> = { Allowed: 'A', ImplicitlyDenied: 'I', ExplicitlyDenied: 'E' };

export function ours({ principal, action, resource, resourceAccount, context, identity, boundary, session, resourcePolicy }: Case): Verdict {
  const read = (document: unknown, kind: 'identity' | 'resource'): Policy => parsePolicy(JSON.stringify(document), kind);
  const decision = evaluate({
    principal: principalOf(principal), action, resource, resourceAccount, context: contextOf(context), identity: identity.map((document) => read(document, 'identity')),
    boundary: boundary === undefined ? undefined : read(boundary, 'identity'), session: session === undefined ? undefined : [read(session, 'identity')], resourcePolicy: read(resourcePolicy, 'resource'),
  });
  return decision.allowed ? 'Allowed' : decision.explicit ? 'ExplicitlyDenied' : 'ImplicitlyDenied';
}

interface Statement {
  readonly Principal?: unknown;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}
const statementsOf = (...documents: readonly unknown[]): readonly Statement[] => documents.flatMap((document) => (document === undefined ? [] : (document as { readonly Statement: readonly Statement[] }).Statement));
const names = ({ Principal }: Statement, who: string): boolean => JSON.stringify(Principal) === JSON.stringify(who) || JSON.stringify(Principal) === JSON.stringify({ AWS: who });

/** Where AWS's documentation says what is done here and the oracle does something else; each by what the case must have, and which way they differ. */
export const differences: readonly { readonly why: string; readonly holds: (given: Case, ours: Verdict, theirs: Verdict) => boolean }[] = [
  {
    why: 'a variable without a value equals nothing, so StringNotEquals and StringNotLike match it (IAM User Guide, "Policy variables with no value"); the oracle lets no condition with one match',
    holds: (given) => statementsOf(...given.identity, given.boundary, given.session, given.resourcePolicy).some(({ Condition = {} }) => Object.entries(Condition).some(([operator, block]) =>
      /^String(Not)/.test(operator) && Object.values(block).flat().some((value) => /\$\{aws:[\w/]+\}/.test(value) && given.context[/\$\{(aws:[\w/]+)\}/.exec(value)?.[1] ?? ''] === undefined))),
  },
  {
    why: '${*}, ${?} and ${$} stand for *, ? and $ wherever a variable may stand (IAM User Guide, "Using policy variables"); the oracle leaves them as they are where texts are compared whole',
    holds: (given) => statementsOf(...given.identity, given.boundary, given.session, given.resourcePolicy).some(({ Condition = {} }) => Object.entries(Condition).some(([operator, block]) =>
      /^String(Not)?Equals/.test(operator) && Object.values(block).flat().some((value) => /\$\{[*?$]\}/.test(value)))),
  },
  {
    why: 'what a resource policy gives to a session by its ARN a session policy does not narrow (IAM User Guide, "Session policies"); the oracle asks the session policy too',
    holds: (given, mine, theirs) => mine === 'Allowed' && theirs === 'ImplicitlyDenied' && given.session !== undefined && statementsOf(given.resourcePolicy).some((one) => names(one, given.principal)),
  },
  {
    why: 'what a resource policy gives to everybody a role\'s boundary narrows, as it narrows what is given to the role (the stricter reading of "Permissions boundaries for IAM entities", which speaks of users and sessions named); the oracle lets a session have it',
    holds: (given, mine, theirs) => mine === 'ImplicitlyDenied' && theirs === 'Allowed' && given.boundary !== undefined && given.principal.startsWith(`arn:aws:sts::${home}`) && statementsOf(given.resourcePolicy).some((one) => names(one, '*')),
  },
];
