/** SimulatePrincipalPolicy and SimulateCustomPolicy: the same evaluation, on what would be. */
import { parseArn } from '../../iam/arn.ts';
import { builtInPolicies } from '../../iam/builtin.ts';
import { contextOf, joinContexts, type Context } from '../../iam/context.ts';
import { checkedPolicy, findPrincipal } from '../../iam/directory.ts';
import { refused } from '../../iam/errors.ts';
import { sourcedIdentity, type SourcedIdentity, type SourcedPolicy } from '../../iam/identities.ts';
import { principalOf, type Principal } from '../../iam/principal.ts';
import { nameIn, type PrincipalKind, type PrincipalRecord, type Tag } from '../../iam/records.ts';
import { simulate, type Outcome } from '../../iam/simulate.ts';
import type { Row } from '../../store/store.ts';
import { Fields } from '../fields.ts';
import type { Xml } from '../query.ts';
import { paging, slice, tagFacts, type IamAction, type IamCall, type Paging } from './action.ts';

interface Simulation extends Paging {
  readonly ActionNames: readonly string[];
  readonly ResourceArns: readonly string[];
  readonly ResourcePolicy: string | undefined;
  readonly ResourceOwner: string | undefined;
  readonly CallerArn: string | undefined;
  readonly PolicyInputList: readonly string[];
  readonly PermissionsBoundaryPolicyInputList: readonly string[];
  readonly ContextEntries: readonly { readonly ContextKeyName: string; readonly ContextKeyValues: readonly string[] }[];
}

function readSimulation(fields: Fields): Simulation {
  const actions = fields.list('ActionNames');
  if (actions.length === 0) throw refused.invalid("1 validation error detected: Value null at 'actionNames' failed to satisfy constraint: Member must not be null");
  for (const action of actions) if (!/^[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+$/.test(action)) throw refused.invalid(`Invalid Action: ${action.slice(0, 128)}`);
  const resources = fields.list('ResourceArns');
  return {
    ActionNames: actions, ResourceArns: resources.length === 0 ? ['*'] : resources,
    ResourcePolicy: fields.sized('ResourcePolicy', 1, 131_072), ResourceOwner: fields.sized('ResourceOwner', 1, 2048), CallerArn: fields.optionalArn('CallerArn'),
    PolicyInputList: fields.list('PolicyInputList'), PermissionsBoundaryPolicyInputList: fields.list('PermissionsBoundaryPolicyInputList'),
    ContextEntries: fields.records('ContextEntries').map((one) => ({ ContextKeyName: one.need('ContextKeyName'), ContextKeyValues: one.list('ContextKeyValues') })),
    ...paging(fields),
  };
}

const simulatePrincipalPolicy: IamAction<Simulation & { readonly PolicySourceArn: string }> = {
  readOnly: true,
  read: (fields) => ({ PolicySourceArn: fields.arn('PolicySourceArn'), ...readSimulation(fields) }),
  target: ({ PolicySourceArn }) => ({ arn: PolicySourceArn }),
  async run(input, at) {
    const row = await sourceOf(at, input.PolicySourceArn);
    const found = await sourcedIdentity(at.store, row);
    const caller = input.CallerArn ?? (row.body.kind === 'group' ? `arn:aws:iam::${at.account}:user/${row.body.name}` : row.body.arn);
    const tags: readonly Tag[] = row.body.kind === 'group' ? [] : row.body.tags;
    const own = contextOf({
      'aws:userid': row.id, ...(row.body.kind === 'user' ? { 'aws:username': row.body.name } : {}), ...tagFacts('aws:PrincipalTag', tags),
    });
    const boundary = given(input.PermissionsBoundaryPolicyInputList, 'PermissionsBoundaryPolicyInputList')[0] ?? found.boundary;
    return evaluations(at, input, { policies: [...found.policies, ...given(input.PolicyInputList, 'PolicyInputList')], ...(boundary === undefined ? {} : { boundary }) }, caller, own);
  },
};

const simulateCustomPolicy: IamAction<Simulation> = {
  readOnly: true,
  read: readSimulation,
  target: () => ({ arn: '*' }),
  async run(input, at) {
    const boundary = given(input.PermissionsBoundaryPolicyInputList, 'PermissionsBoundaryPolicyInputList')[0];
    const identity = { policies: given(input.PolicyInputList, 'PolicyInputList'), ...(boundary === undefined ? {} : { boundary }) };
    return evaluations(at, input, identity, input.CallerArn ?? `arn:aws:iam::${at.account}:user/simulated`, contextOf({}));
  },
};

function given(texts: readonly string[], list: string): readonly SourcedPolicy[] {
  return texts.map((text, i) => ({ id: `${list}.${i + 1}`, kind: 'none', text, policy: checkedPolicy(text, 'identity') }));
}

async function sourceOf({ store, account }: IamCall, arn: string): Promise<Row<PrincipalRecord>> {
  const parsed = parseArn(arn);
  const kind = (['user', 'group', 'role'] as const).find((one) => parsed?.resource.startsWith(`${one}/`));
  const row = kind === undefined || parsed?.account !== account ? undefined : await findPrincipal<PrincipalKind>(store, account, kind, nameIn(arn));
  if (row?.body.arn !== arn) throw refused.noSuch(kind ?? 'entity', nameIn(arn));
  return row;
}

function evaluations(at: IamCall, input: Simulation, identity: SourcedIdentity, callerArn: string, own: Context): Xml {
  const principal = principalOf(callerArn);
  const resourcePolicy: SourcedPolicy | undefined = input.ResourcePolicy === undefined ? undefined
    : { id: 'ResourcePolicy', kind: 'none', text: input.ResourcePolicy, policy: checkedPolicy(input.ResourcePolicy, 'resource') };
  const context = joinContexts(
    contextOf(Object.fromEntries(input.ContextEntries.map(({ ContextKeyName, ContextKeyValues }) => [ContextKeyName, ContextKeyValues]))), own, always(at, principal));
  const owner = input.ResourceOwner === undefined ? undefined : (parseArn(input.ResourceOwner)?.account ?? input.ResourceOwner);
  const results = input.ActionNames.flatMap((action, a) => input.ResourceArns.map((resource, r): { readonly key: string; readonly result: Xml } => {
    const resourceAccount = owner ?? (parseArn(resource)?.account || principal.account);
    const outcome = simulate({ principal, action, resource, resourceAccount, context, identity: identity.policies, boundary: identity.boundary, resourcePolicy });
    return { key: [a, r].map((n) => String(n).padStart(6, '0')).join(), result: resultXml(action, resource, outcome, resourcePolicy) };
  }));
  const { items, more } = slice(at, 'simulation', results, ({ key }) => key, input, ({ result }) => result);
  return { EvaluationResults: items, ...more };
}

/** What every request has. */
function always({ store }: IamCall, principal: Principal): Context {
  const now = store.now();
  return contextOf({
    'aws:CurrentTime': new Date(now).toISOString(), 'aws:EpochTime': String(Math.floor(now / 1000)),
    'aws:PrincipalArn': principal.roleArn ?? principal.arn, 'aws:PrincipalAccount': principal.account,
    'aws:PrincipalType': { root: 'Account', user: 'User', role: 'AssumedRole', service: 'AWSService' }[principal.kind],
  });
}

function resultXml(action: string, resource: string, { decision, matched, missing, boundaryAllows }: Outcome, resourcePolicy: SourcedPolicy | undefined): Xml {
  return {
    EvalActionName: action, EvalResourceName: resource, EvalDecision: decision,
    MatchedStatements: matched === undefined ? [] : [{
      SourcePolicyId: matched.policy.id, SourcePolicyType: typeOf(matched.policy, resourcePolicy),
      ...(matched.span === undefined ? {} : { StartPosition: { ...matched.span.start }, EndPosition: { ...matched.span.end } }),
    }],
    MissingContextValues: missing,
    ...(boundaryAllows === undefined ? {} : { PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: boundaryAllows } }),
  };
}

function typeOf({ id, kind, text }: SourcedPolicy, resourcePolicy: SourcedPolicy | undefined): string {
  if (text === resourcePolicy?.text) return 'resource';
  if (kind === 'managed') return builtInPolicies.has(`arn:aws:iam::aws:policy/${id}`) ? 'aws-managed' : 'user-managed';
  return kind === 'none' ? 'IAM Policy' : kind;
}

/* ---- what policies ask -------------------------------------------------------------------- */

/** As they are written there; variables are keys too. */
function keysIn(texts: readonly string[]): Xml {
  const found = new Map<string, string>();
  const note = (name: string): void => { if (!found.has(name.toLowerCase())) found.set(name.toLowerCase(), name); };
  for (const text of texts) {
    const { Statement: given } = JSON.parse(text) as { readonly Statement: unknown };
    for (const statement of (Array.isArray(given) ? given : [given]) as readonly { readonly Condition?: Readonly<Record<string, object>> }[]) {
      for (const block of Object.values(statement.Condition ?? {})) for (const key of Object.keys(block)) note(key);
    }
    for (const [, name = ''] of text.matchAll(/\$\{([\w-]+:[^},]+)/g)) note(name.trim());
  }
  return [...found.values()].sort();
}

const checkedTexts = (texts: readonly string[]): readonly string[] => texts.map((text) => { checkedPolicy(text, 'identity'); return text; });

const getContextKeysForCustomPolicy: IamAction<{ readonly PolicyInputList: readonly string[] }> = {
  readOnly: true,
  read: (fields) => ({ PolicyInputList: fields.list('PolicyInputList') }),
  target: () => ({ arn: '*' }),
  run: async ({ PolicyInputList }) => ({ ContextKeyNames: keysIn(checkedTexts(PolicyInputList)) }),
};

const getContextKeysForPrincipalPolicy: IamAction<{ readonly PolicySourceArn: string; readonly PolicyInputList: readonly string[] }> = {
  readOnly: true,
  read: (fields) => ({ PolicySourceArn: fields.arn('PolicySourceArn'), PolicyInputList: fields.list('PolicyInputList') }),
  target: ({ PolicySourceArn }) => ({ arn: PolicySourceArn }),
  async run({ PolicySourceArn, PolicyInputList }, at) {
    const { policies, boundary } = await sourcedIdentity(at.store, await sourceOf(at, PolicySourceArn));
    return { ContextKeyNames: keysIn([...policies.map(({ text }) => text), ...(boundary === undefined ? [] : [boundary.text]), ...checkedTexts(PolicyInputList)]) };
  },
};

export const simulationActions: Readonly<Record<string, IamAction<object>>> = {
  SimulatePrincipalPolicy: simulatePrincipalPolicy, SimulateCustomPolicy: simulateCustomPolicy,
  GetContextKeysForPrincipalPolicy: getContextKeysForPrincipalPolicy, GetContextKeysForCustomPolicy: getContextKeysForCustomPolicy,
};
