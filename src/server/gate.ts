/** May this caller do this to a resource that is not a key? For the services beside the KMS. */
import { denialSentence, evaluate, type Decision } from '../iam/evaluate.ts';
import { refused } from '../iam/errors.ts';
import type { Identities, Identity } from '../iam/identities.ts';
import type { Policy } from '../iam/policy.ts';
import { principalOf, type Principal } from '../iam/principal.ts';
import { RequestContext } from '../kms/conditions.ts';
import type { Caller, ServiceRequest } from '../kms/operation.ts';

export interface Asked extends Omit<ServiceRequest, 'input' | 'blobs' | 'operation'> {
  readonly caller: Caller;
}

/** By condition key, in any case. */
export type Facts = Readonly<Record<string, string | readonly string[] | undefined>>;

const nobody: Identity = Object.freeze({ policies: Object.freeze([]) });
const noFacts: Facts = Object.freeze({});

export class Gate {
  readonly #identities: Identities;
  readonly #now: () => number;

  constructor(identities: Identities, now: () => number) {
    this.#identities = identities;
    this.#now = now;
  }

  /** Throws AccessDenied. */
  async check(asked: Asked, action: string, resource: string, facts: Facts = noFacts): Promise<void> {
    const { principal, decision } = await this.decide(asked, action, resource, facts);
    if (!decision.allowed) throw refused.denied(denialSentence(principal, action, resource, decision));
  }

  /** resourcePolicy: a role's trust policy; it lies in `account`. */
  async decide(asked: Asked, action: string, resource: string, facts: Facts = noFacts, resourcePolicy?: Policy, account = asked.caller.account): Promise<{ readonly principal: Principal; readonly decision: Decision }> {
    const { caller } = asked;
    const principal = principalOf(caller.arn, caller.roleArn, caller.service, caller.principalId);
    const identity = principal.kind === 'service' ? nobody : await this.#identities.of(principal, caller);
    const values = Object.fromEntries(Object.entries(facts).map(([name, value]) => [name.toLowerCase(), value]));
    const request = { ...asked, operation: action.slice(action.indexOf(':') + 1), input: {}, blobs: [] };
    const context = new RequestContext(request, principal, {}, undefined, { values: { 'aws:resourceaccount': account, ...values } }, this.#now());
    return {
      principal,
      decision: evaluate({
        principal, action, resource, resourceAccount: account, context, resourcePolicy,
        identity: identity.policies, boundary: identity.boundary, session: identity.session,
      }),
    };
  }
}
