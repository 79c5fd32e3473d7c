/** The Security Token Service: who am I, and becoming somebody else for a while. */
import { checkedPolicy, findPrincipal, weight } from '../iam/directory.ts';
import { IamError, refused } from '../iam/errors.ts';
import { managed } from '../iam/identities.ts';
import { limits } from '../iam/limits.ts';
import { parseArn } from '../iam/arn.ts';
import { parsePolicy } from '../iam/policy.ts';
import { nameIn, tagMap, type CredentialRecord, type RoleRecord, type Tag } from '../iam/records.ts';
import type { Row, Store } from '../store/store.ts';
import { Fields } from './fields.ts';
import type { Facts, Gate } from './gate.ts';
import { camelled, requestTags, time } from './iam/action.ts';
import type { Action, ActionAnswer, ActionCall, QueryService, Xml } from './query.ts';
import type { SessionClaims, Tokens } from './tokens.ts';

export interface StsParts {
  readonly store: Store;
  readonly gate: Gate;
  readonly tokens: Tokens;
}

export function stsService(parts: StsParts): QueryService {
  const action = (readOnly: boolean, run: (parts: StsParts, call: ActionCall) => Promise<ActionAnswer> | ActionAnswer): Action => ({ readOnly, run: (call) => run(parts, call) });
  return {
    scope: 'sts',
    source: 'sts.amazonaws.com',
    version: '2011-06-15',
    namespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
    global: true,
    actions: new Map([
      ['GetCallerIdentity', action(true, getCallerIdentity)],
      ['AssumeRole', action(true, assumeRole)],
      ['GetSessionToken', action(true, getSessionToken)],
      ['GetAccessKeyInfo', action(true, getAccessKeyInfo)],
    ]),
  };
}

/** Needs no permission: AWS answers it to whoever can sign. */
function getCallerIdentity(_: StsParts, { caller }: ActionCall): ActionAnswer {
  return { result: { Arn: caller.arn, UserId: caller.principalId, Account: caller.account } };
}

/* ---- AssumeRole ------------------------------------------------------------------ */

interface AssumeRole {
  readonly RoleArn: string;
  readonly RoleSessionName: string;
  readonly DurationSeconds: number | undefined;
  readonly ExternalId: string | undefined;
  readonly Policy: string | undefined;
  readonly PolicyArns: readonly string[];
  readonly Tags: readonly Tag[];
  readonly TransitiveTagKeys: readonly string[];
  readonly SourceIdentity: string | undefined;
}

function readAssumeRole(fields: Fields): AssumeRole {
  return {
    RoleArn: fields.arn('RoleArn'), RoleSessionName: sessionName(fields, 'RoleSessionName') ?? fields.need('RoleSessionName'),
    DurationSeconds: fields.number('DurationSeconds', 900, 43_200), ExternalId: fields.sized('ExternalId', 2, 1224),
    Policy: fields.sized('Policy', 1, limits.sessionPolicyBytes), PolicyArns: fields.records('PolicyArns').map((one) => one.arn('arn')),
    Tags: fields.tags(), TransitiveTagKeys: fields.list('TransitiveTagKeys'), SourceIdentity: sessionName(fields, 'SourceIdentity'),
  };
}

function sessionName(fields: Fields, name: string): string | undefined {
  const value = fields.sized(name, 2, 64);
  if (value !== undefined && !/^[\w+=,.@-]*$/.test(value)) {
    const member = name.charAt(0).toLowerCase() + name.slice(1);
    throw refused.invalid(`1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*`);
  }
  return value;
}

async function assumeRole({ store, gate, tokens }: StsParts, call: ActionCall): Promise<ActionAnswer> {
  const input = readAssumeRole(new Fields(call.form));
  call.note(camelled(input));
  const { caller } = call;
  if (caller.arn.endsWith(':root')) throw refused.denied('Roles may not be assumed by root accounts.');
  const inherited = inheritedTags(call);
  const role = await permitted(store, gate, call, input, inherited);
  const seconds = duration(input.DurationSeconds, role.body, caller.roleArn !== undefined);
  const session = await sessionPolicies(store, role.account, input);
  const issuedMs = store.now();
  const account = role.account;
  const arn = `arn:aws:sts::${account}:assumed-role/${role.body.name}/${input.RoleSessionName}`;
  const transitive = [...Object.keys(inherited), ...input.TransitiveTagKeys];
  const claims: SessionClaims = {
    arn, principalId: `${role.id}:${input.RoleSessionName}`, roleArn: role.body.arn, ...session,
    tags: { ...tagMap(input.Tags), ...inherited }, ...(transitive.length === 0 ? {} : { transitive }),
    ...(input.SourceIdentity === undefined ? {} : { sourceIdentity: input.SourceIdentity }),
    issuedMs, expiresMs: issuedMs + seconds * 1000,
  };
  const size = packed(claims, input);
  const { credentials, told } = await issue(tokens, account, claims);
  const assumed = { AssumedRoleId: claims.principalId, Arn: arn };
  const result: Xml = {
    Credentials: credentials, AssumedRoleUser: assumed, PackedPolicySize: size,
    ...(input.SourceIdentity === undefined ? {} : { SourceIdentity: input.SourceIdentity }),
  };
  return {
    result, response: { credentials: told, assumedRoleUser: camelled(assumed) },
    recipients: account === caller.account ? [account] : [caller.account, account],
    resources: [{ accountId: account, type: 'AWS::IAM::Role', ARN: role.body.arn }],
  };
}

/** Transitive tags of the session that asks stay, whatever the next one says. */
function inheritedTags({ caller }: ActionCall): Readonly<Record<string, string>> {
  const keys = new Set(caller.transitiveTags ?? []);
  return Object.fromEntries(Object.entries(caller.tags).filter(([key]) => keys.has(key)));
}

/** The role, when its trust policy and the caller's own policies say so. A role that is not there is refused in the same words. */
async function permitted(store: Store, gate: Gate, call: ActionCall, input: AssumeRole, inherited: Readonly<Record<string, string>>): Promise<Row<RoleRecord>> {
  const { RoleArn, Tags, TransitiveTagKeys, SourceIdentity } = input;
  const denied = () => refused.hidden(`User: ${call.caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${RoleArn}`);
  const parsed = parseArn(RoleArn);
  if (parsed?.service !== 'iam' || !parsed.resource.startsWith('role/')) throw refused.invalid(`${RoleArn} is invalid`);
  const role = await findPrincipal(store, parsed.account, 'role', nameIn(RoleArn));
  if (role?.body.arn !== RoleArn) throw denied();
  if (Tags.some(({ Key }) => Object.keys(inherited).some((key) => key.toLowerCase() === Key.toLowerCase()))) throw refused.invalid('One of the specified tag keys is inherited from the session that asks: it cannot be changed.');
  const trust = trustOf(role);
  const facts: Facts = {
    'sts:ExternalId': input.ExternalId, 'sts:RoleSessionName': input.RoleSessionName, 'sts:SourceIdentity': SourceIdentity,
    ...requestTags(Tags), ...(TransitiveTagKeys.length === 0 ? {} : { 'sts:TransitiveTagKeys': TransitiveTagKeys }),
    ...Object.fromEntries(role.body.tags.map(({ Key, Value }) => [`aws:ResourceTag/${Key}`, Value])),
  };
  const actions = ['sts:AssumeRole', ...(Tags.length === 0 ? [] : ['sts:TagSession']), ...(SourceIdentity === undefined ? [] : ['sts:SetSourceIdentity'])];
  for (const action of actions) if (!(await gate.decide(call, action, RoleArn, facts, trust, role.account)).decision.allowed) throw denied();
  return role;
}

const trusts = new WeakMap<Row<RoleRecord>, ReturnType<typeof parsePolicy>>();

function trustOf(role: Row<RoleRecord>): ReturnType<typeof parsePolicy> {
  const known = trusts.get(role) ?? parsePolicy(role.body.trust, 'trust', role.body.trustIds);
  trusts.set(role, known);
  return known;
}

const chainedSeconds = 3600;

function duration(asked: number | undefined, role: RoleRecord, chained: boolean): number {
  if (chained && (asked ?? 0) > chainedSeconds) throw refused.invalid('The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.');
  if ((asked ?? 0) > role.maxSessionSeconds) throw refused.invalid('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.');
  return asked ?? chainedSeconds;
}

async function sessionPolicies(store: Store, account: string, { Policy: text, PolicyArns: arns }: AssumeRole): Promise<Pick<SessionClaims, 'policy' | 'policyArns'>> {
  if (text !== undefined) checkedPolicy(text, 'identity');
  if (arns.length > 10) throw refused.invalid('1 validation error detected: Value at \'policyArns\' failed to satisfy constraint: Member must have length less than or equal to 10');
  for (const arn of arns) if ((await managed(store, account, arn)) === undefined) throw refused.malformed(`The policy ${arn} does not exist or is not attachable.`);
  return { ...(text === undefined ? {} : { policy: text }), ...(arns.length === 0 ? {} : { policyArns: arns }) };
}

/** Percent of what policies and tags may take; AWS packs them in its own way. */
function packed(claims: SessionClaims, input: AssumeRole): number | undefined {
  const size = weight(claims.policy ?? '') + input.PolicyArns.join('').length + JSON.stringify(input.Tags).length - 2;
  const percent = Math.ceil((size * 100) / packedMost);
  if (percent > 100) throw new IamError('PackedPolicyTooLarge', `Packed policy consumes ${percent}% of allotted space, please use smaller policy.`);
  return size === 0 ? undefined : percent;
}

const packedMost = 8192;

/* ---- the others ---------------------------------------------------------------------- */

async function getSessionToken({ store, tokens }: StsParts, call: ActionCall): Promise<ActionAnswer> {
  const { caller } = call;
  const input = { DurationSeconds: new Fields(call.form).number('DurationSeconds', 900, 129_600) };
  call.note(camelled(input));
  if (caller.accessKeyId.startsWith('ASIA')) throw refused.denied('Cannot call GetSessionToken with session credentials');
  if (caller.service !== undefined || caller.viaService !== undefined) throw refused.denied('Cannot call GetSessionToken as a service');
  const root = caller.arn.endsWith(':root');
  // The root's last an hour at most.
  const seconds = root ? Math.min(input.DurationSeconds ?? 3600, 3600) : (input.DurationSeconds ?? 43_200);
  const issuedMs = store.now();
  const { credentials, told } = await issue(tokens, caller.account, { arn: caller.arn, principalId: caller.principalId, tags: {}, issuedMs, expiresMs: issuedMs + seconds * 1000 });
  return { result: { Credentials: credentials }, response: { credentials: told } };
}

/** Only of one's own account: of another's key one learns what one learns of none. */
async function getAccessKeyInfo({ store, gate }: StsParts, call: ActionCall): Promise<ActionAnswer> {
  const id = new Fields(call.form).name('AccessKeyId');
  call.note({ accessKeyId: id });
  await gate.check(call, 'sts:GetAccessKeyInfo', '*');
  const { account, accessKeyId } = call.caller;
  const known = id === accessKeyId || (await store.get<CredentialRecord>('credential', id))?.account === account;
  if (!known) throw refused.invalid(`The access key ${id} is not one of account ${account}.`);
  return { result: { Account: account } };
}

async function issue(tokens: Tokens, account: string, claims: SessionClaims): Promise<{ readonly credentials: Xml; readonly told: unknown }> {
  const { accessKeyId, secret, token } = await tokens.issue(account, claims);
  const expiration = time(claims.expiresMs);
  return {
    credentials: { AccessKeyId: accessKeyId, SecretAccessKey: secret, SessionToken: token, Expiration: expiration },
    told: { accessKeyId, expiration },
  };
}
