/**
 * Who may: gathers what has a say (key policy, the caller's own policies, grants) and asks the one
 * function that decides. Nothing of another account's key shows in a refusal: a key that is not there
 * and one that is not shared get the same words, chosen without looking at the key.
 */
import { denialSentence, evaluate, hiddenSentence, type Decision, type Question } from '../iam/evaluate.ts';
import type { Identities, Identity } from '../iam/identities.ts';
import { parsePolicy, type Policy } from '../iam/policy.ts';
import { principalOf, type Principal } from '../iam/principal.ts';
import type { Row, Store } from '../store/store.ts';
import { RequestContext, type Facts } from './conditions.ts';
import { fail, hide } from './errors.ts';
import { findGrant, type GrantRow } from './grants.ts';
import type { Key } from './key.ts';
import type { AwsError, Caller, ServiceRequest } from './operation.ts';
import type { AliasRecord, PolicyRecord } from './records.ts';

/** What is asked of one resource. */
export interface Need {
  /** `kms:Decrypt`. */
  readonly action: string;
  /** As the caller named it, in ARN form. */
  readonly resource: string;
  readonly account: string;
  /** Undefined: there is none, or it was not found. */
  readonly key: Key | undefined;
  /** Callers of other accounts may be let in. */
  readonly crossAccount: boolean;
  readonly facts?: Facts | undefined;
}

/** What let the caller through; `grant` when nothing but a grant did. */
export interface Authority {
  readonly grant: GrantRow | undefined;
}

const byPolicy: Authority = Object.freeze({ grant: undefined });
const nobody: Identity = Object.freeze({ policies: Object.freeze([]) });
const everything = parsePolicy('{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}', 'resource');

export const principalOfCaller = (caller: Caller): Principal => principalOf(caller.arn, caller.roleArn, caller.service, caller.principalId);

export class Authoriser {
  readonly #store: Store;
  readonly #identities: Identities;
  readonly #policies = new PolicyCache();

  constructor(store: Store, identities: Identities) {
    this.#store = store;
    this.#identities = identities;
  }

  /** Throws AccessDeniedException. */
  async check(request: ServiceRequest, principal: Principal, input: Readonly<Record<string, unknown>>, need: Need, nowMs: number): Promise<Authority> {
    const { key } = need;
    if (need.account !== principal.account && (key === undefined || !need.crossAccount)) throw await this.hidden(request, principal, input, need, nowMs);

    const identity = await this.#identityOf(request, principal);
    const resourcePolicy = key && (await this.#policyOf(key));
    const facts = await this.#withAliases(need.facts, key, [resourcePolicy, identity.boundary, ...identity.policies, ...(identity.session ?? [])]);
    const context = new RequestContext(request, principal, input, key, facts, nowMs);
    const question: Question = {
      principal, action: need.action, resource: need.resource, resourceAccount: need.account, context, resourcePolicy,
      identity: identity.policies, boundary: identity.boundary, session: identity.session,
    };
    const decision = evaluate(key === undefined ? question : { ...question, resource: key.arn });
    if (decision.allowed) return byPolicy;
    if (!decision.explicit && key !== undefined) {
      const grant = await findGrant(this.#store, key, {
        principal, action: need.action, sourceArn: context.values('aws:sourcearn')?.[0],
        encryptionContext: need.facts?.encryptionContext ?? (input['EncryptionContext'] as Readonly<Record<string, string>> | undefined),
      });
      if (grant !== undefined && evaluate({ ...question, resource: key.arn, granted: grant.to === 'account' ? 'account' : true }).allowed) return { grant: grant.row };
    }
    if (need.account !== principal.account) throw await this.hidden(request, principal, input, need, nowMs);
    throw denied(principal, need, key?.arn ?? need.resource, decision);
  }

  /** Could this principal call PutKeyPolicy under this policy? The lock-out check. */
  async allowsUnder(policy: Policy, request: ServiceRequest, principal: Principal, key: Key, nowMs: number): Promise<boolean> {
    const identity = await this.#identityOf(request, principal);
    return evaluate({
      principal, action: 'kms:PutKeyPolicy', resource: key.arn, resourceAccount: key.account, resourcePolicy: policy,
      context: new RequestContext(request, principal, {}, key, undefined, nowMs),
      identity: identity.policies, boundary: identity.boundary, session: identity.session,
    }).allowed;
  }

  exists: Identities['exists'] = (entry) => this.#identities.exists(entry);

  /** The refusal of another account's resource: depends on the caller's own side and on nothing else. */
  async hidden(request: ServiceRequest, principal: Principal, input: Readonly<Record<string, unknown>>, need: Need, nowMs: number): Promise<Error> {
    const identity = await this.#identityOf(request, principal);
    const decision = evaluate({
      principal, action: need.action, resource: need.resource, resourceAccount: need.account, resourcePolicy: everything,
      context: new RequestContext(request, principal, input, undefined, asTold(need), nowMs),
      identity: identity.policies, boundary: identity.boundary, session: identity.session,
    });
    return hide(decision.allowed ? fail('AccessDeniedException', hiddenSentence(principal, need.action, need.resource)) : denied(principal, need, need.resource, decision));
  }

  async #identityOf(request: ServiceRequest, principal: Principal): Promise<Identity> {
    return principal.kind === 'root' || principal.kind === 'service' ? nobody : this.#identities.of(principal, request.caller);
  }

  async #policyOf(key: Key): Promise<Policy> {
    const row = this.#store.peek<PolicyRecord>('policy', key.id) ?? (await this.#store.get<PolicyRecord>('policy', key.id));
    if (row === undefined) throw new Error(`key ${key.arn} has no policy`);
    return this.#policies.of(row);
  }

  /** `kms:ResourceAliases` costs a look-up: made only for a policy that asks. */
  async #withAliases(facts: Facts | undefined, key: Key | undefined, policies: readonly (Policy | undefined)[]): Promise<Facts | undefined> {
    if (key === undefined || !policies.some((policy) => policy?.asks.has('kms:resourcealiases'))) return facts;
    const page = await this.#store.list<AliasRecord>('alias', { index: 'alias.key', equals: [key.id], limit: 100 });
    return { ...facts, values: { ...facts?.values, 'kms:resourcealiases': page.rows.map((row) => row.body.name) } };
  }
}

/** What the caller itself said: nothing that was found out by looking at the other account's names. */
function asTold({ account, facts }: Need): Facts {
  return { ...facts, values: { ...facts?.values, 'kms:reencryptonsamekey': undefined, 'aws:resourceaccount': account } };
}

function denied(principal: Principal, need: Need, resource: string, decision: Decision & { readonly allowed: false }): AwsError {
  return fail('AccessDeniedException', denialSentence(principal, need.action, resource, decision));
}

/** Compiled policies by row and version. */
class PolicyCache {
  readonly #known = new Map<string, { readonly version: number; readonly updatedMs: number; readonly policy: Policy }>();

  of(row: Row<PolicyRecord>): Policy {
    const known = this.#known.get(row.id);
    if (known !== undefined && known.version === row.version && known.updatedMs === row.updatedMs) return known.policy;
    const policy = parsePolicy(row.body.text, 'resource', row.body.ids);
    if (this.#known.size >= 10_000) this.#known.clear();
    this.#known.set(row.id, { version: row.version, updatedMs: row.updatedMs, policy });
    return policy;
  }
}
