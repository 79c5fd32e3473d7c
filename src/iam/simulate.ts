/** What the evaluation would say, and which statement of which policy decides. */
import type { Context } from './context.ts';
import { evaluate, type Decision, type PolicySource } from './evaluate.ts';
import type { SourcedPolicy } from './identities.ts';
import type { Policy, Statement } from './policy.ts';
import { statementSpan, type Span } from './positions.ts';
import type { Principal } from './principal.ts';

export interface Scenario {
  readonly principal: Principal;
  readonly action: string;
  readonly resource: string;
  readonly resourceAccount: string;
  readonly context: Context;
  readonly identity: readonly SourcedPolicy[];
  readonly boundary?: SourcedPolicy | undefined;
  readonly resourcePolicy?: SourcedPolicy | undefined;
  readonly granted?: boolean | 'account';
}

export interface Outcome {
  readonly decision: 'allowed' | 'explicitDeny' | 'implicitDeny';
  /** The statement that decided: none where nothing allowed. */
  readonly matched: { readonly policy: SourcedPolicy; readonly index: number; readonly statement: Statement; readonly span: Span | undefined } | undefined;
  /** Where nothing allowed: what should have. */
  readonly missed: PolicySource | undefined;
  readonly boundaryAllows: boolean | undefined;
  /** Condition keys that the policies ask and the context does not have. */
  readonly missing: readonly string[];
}

export function simulate(scenario: Scenario): Outcome {
  const { identity, boundary, resourcePolicy, context } = scenario;
  const question = { ...scenario, identity: identity.map(({ policy }) => policy), boundary: boundary?.policy, resourcePolicy: resourcePolicy?.policy };
  const decision = evaluate(question);
  const all = [...(resourcePolicy === undefined ? [] : [resourcePolicy]), ...identity, ...(boundary === undefined ? [] : [boundary])];
  const asked = new Set(all.flatMap(({ policy }) => [...policy.asks]));
  return {
    decision: decision.allowed ? 'allowed' : decision.explicit ? 'explicitDeny' : 'implicitDeny',
    matched: matchedIn(all, decision),
    missed: decision.allowed || decision.explicit ? undefined : decision.source,
    boundaryAllows: boundary && allows(boundary.policy, scenario),
    missing: [...asked].filter((key) => context.values(key) === undefined).sort(),
  };
}

function matchedIn(all: readonly SourcedPolicy[], { statement }: Decision): Outcome['matched'] {
  if (statement === undefined) return undefined;
  for (const policy of all) {
    const index = policy.policy.statements.indexOf(statement);
    if (index >= 0) return { policy, index, statement, span: statementSpan(policy.text, index) };
  }
  return undefined;
}

/** Would this policy alone allow it? */
function allows(policy: Policy, { principal, action, resource, resourceAccount, context }: Scenario): boolean {
  return evaluate({ principal, action, resource, resourceAccount, context, resourcePolicy: undefined, identity: [policy] }).allowed;
}
