/** The operator's questions about rights: what would this principal be answered, and because of what; service principals. */
import { isAccountId, parseArn } from '../iam/arn.ts';
import { contextOf, joinContexts } from '../iam/context.ts';
import { findPrincipal } from '../iam/directory.ts';
import { sourcedIdentity, type SourcedIdentity, type SourcedPolicy } from '../iam/identities.ts';
import { parsePolicy } from '../iam/policy.ts';
import { principalOf, type Principal } from '../iam/principal.ts';
import { nameIn, tagMap, type PrincipalRecord } from '../iam/records.ts';
import { simulate } from '../iam/simulate.ts';
import { findGrant } from '../kms/grants.ts';
import { Key } from '../kms/key.ts';
import { keyRowId, type KeyRecord, type PolicyRecord } from '../kms/records.ts';
import type { Row, Store } from '../store/store.ts';
import { AdminError } from './accounts.ts';
import type { Accounts } from './accounts.ts';
import type { AdminAnswer, AdminCall, AdminRoute } from './admin.ts';

export function policyRoutes(store: Store, accounts: Accounts): readonly AdminRoute[] {
  return [
    { method: 'POST', path: '/v1/policy/test', run: (call) => test(store, call) },
    { method: 'POST', path: '/v1/service-principals', run: (call) => createService(accounts, call) },
  ];
}

/* ---- service principals ------------------------------------------------------------ */

async function createService(accounts: Accounts, { body }: AdminCall): Promise<AdminAnswer> {
  const account = text(body, 'accountId');
  const name = text(body, 'name');
  if (!isAccountId(account)) throw new AdminError(400, 'accountId is twelve digits');
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) throw new AdminError(400, 'name is letters, digits and dashes, such as s3');
  const service = `${name}.amazonaws.com`;
  const made = await accounts.createCredential({ account, service, secret: { from: 'made' }, show: true });
  accounts.closeCredential(made);
  const answer = { accountId: account, servicePrincipal: service, accessKeyId: made.accessKeyId };
  return made.secret === undefined ? { body: answer } : { body: answer, secret: { member: 'secretAccessKey', text: made.secret } };
}

/* ---- a test ------------------------------------------------------------------------- */

interface Side {
  readonly principal: Principal;
  readonly identity: SourcedIdentity;
  readonly facts: Readonly<Record<string, string>>;
}

async function test(store: Store, { body }: AdminCall): Promise<AdminAnswer> {
  const { principal, identity, facts } = await sideOf(store, text(body, 'principal'));
  const action = text(body, 'action');
  const resource = text(body, 'resource');
  const given = contextIn(body);
  const key = await keyOf(store, resource);
  const now = store.now();
  const context = joinContexts(contextOf(given), contextOf({
    ...facts, 'aws:CurrentTime': new Date(now).toISOString(), 'aws:EpochTime': String(Math.floor(now / 1000)), 'kms:CallerAccount': principal.account,
    ...(key === undefined ? {} : { 'kms:KeySpec': key.record.spec, 'kms:KeyUsage': key.record.usage, 'kms:KeyOrigin': key.record.origin }),
  }));
  const resourcePolicy = key && (await policyOf(store, key));
  const scenario = {
    principal, action, resource: key?.arn ?? resource, context, identity: identity.policies, boundary: identity.boundary, resourcePolicy,
    resourceAccount: key?.account ?? (parseArn(resource)?.account || principal.account),
  };
  const first = simulate(scenario);
  const grant = first.decision !== 'implicitDeny' || key === undefined ? undefined
    : await findGrant(store, key, { principal, action, sourceArn: context.values('aws:sourcearn')?.[0], encryptionContext: encryptionContextIn(given) });
  const outcome = grant === undefined ? first : simulate({ ...scenario, granted: grant.to === 'account' ? 'account' : true });
  const { decision, matched, missed, missing, boundaryAllows } = outcome;
  return {
    body: {
      decision,
      ...(matched === undefined ? {} : {
        policy: matched.policy.id, policyKind: matched.policy === resourcePolicy ? 'resource' : matched.policy.kind,
        statement: { index: matched.index, sid: matched.statement.sid, effect: matched.statement.effect },
        ...(matched.span === undefined ? {} : { start: matched.span.start, end: matched.span.end }),
      }),
      ...(missed === undefined ? {} : { because: `no ${missed} policy allows it` }),
      ...(grant !== undefined && decision === 'allowed' ? { grant: grant.row.body.grantId } : {}),
      ...(boundaryAllows === undefined ? {} : { allowedByBoundary: boundaryAllows }),
      ...(missing.length === 0 ? {} : { missingContext: missing }),
    },
  };
}

const nothing: SourcedIdentity = { policies: [] };

async function sideOf(store: Store, name: string): Promise<Side> {
  if (/^[a-z0-9-]+\.amazonaws\.com$/.test(name)) return { principal: principalOf(name, undefined, name), identity: nothing, facts: { 'aws:PrincipalIsAWSService': 'true', 'aws:PrincipalServiceName': name } };
  const parsed = parseArn(name);
  if (parsed === undefined) throw new AdminError(400, `${name.slice(0, 200)} is neither an ARN nor a service's name`);
  const { account, resource } = parsed;
  if (resource === 'root') return { principal: principalOf(name), identity: nothing, facts: { 'aws:PrincipalArn': name, 'aws:PrincipalAccount': account } };
  const [kind = '', first = ''] = resource.split('/');
  const row: Row<PrincipalRecord> | undefined = kind === 'user' ? await findPrincipal(store, account, 'user', nameIn(name))
    : kind === 'role' || kind === 'assumed-role' ? await findPrincipal(store, account, 'role', kind === 'role' ? nameIn(name) : first) : undefined;
  if (row === undefined || row.body.kind === 'group') throw new AdminError(404, `there is no principal ${name.slice(0, 200)}`);
  // A role acts by its sessions.
  const arn = row.body.kind === 'role' && kind === 'role' ? `arn:aws:sts::${account}:assumed-role/${row.body.name}/policy-test` : name;
  const tags = Object.fromEntries(Object.entries(tagMap(row.body.tags)).map(([key, value]) => [`aws:PrincipalTag/${key}`, value]));
  return {
    principal: principalOf(arn, row.body.kind === 'role' ? row.body.arn : undefined, undefined, row.body.kind === 'role' ? `${row.id}:${nameIn(arn)}` : row.id), identity: await sourcedIdentity(store, row),
    facts: { 'aws:PrincipalArn': row.body.arn, 'aws:PrincipalAccount': account, 'aws:userid': row.id, ...(row.body.kind === 'user' ? { 'aws:username': row.body.name } : {}), ...tags },
  };
}

async function keyOf(store: Store, resource: string): Promise<Key | undefined> {
  const parsed = parseArn(resource);
  if (parsed?.service !== 'kms' || !parsed.resource.startsWith('key/')) return undefined;
  const row = await store.get<KeyRecord>('key', keyRowId(parsed.account, parsed.region, parsed.resource.slice('key/'.length)));
  if (row === undefined) throw new AdminError(404, `there is no key ${resource.slice(0, 200)}`);
  return new Key(row);
}

async function policyOf(store: Store, key: Key): Promise<SourcedPolicy | undefined> {
  const row = await store.get<PolicyRecord>('policy', key.id);
  return row && { id: `key policy of ${key.arn}`, kind: 'none', text: row.body.text, policy: parsePolicy(row.body.text, 'resource', row.body.ids) };
}

function contextIn(body: AdminCall['body']): Readonly<Record<string, string | readonly string[]>> {
  const given = body['context'] ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) throw new AdminError(400, 'context is an object of names and values');
  for (const value of Object.values(given as object)) {
    if (typeof value !== 'string' && !(Array.isArray(value) && value.every((one) => typeof one === 'string'))) throw new AdminError(400, 'a value of context is a text or a list of texts');
  }
  return given as Record<string, string | readonly string[]>;
}

function encryptionContextIn(given: Readonly<Record<string, string | readonly string[]>>): Readonly<Record<string, string>> {
  const prefix = 'kms:encryptioncontext:';
  return Object.fromEntries(Object.entries(given).filter(([name, value]) => name.toLowerCase().startsWith(prefix) && typeof value === 'string').map(([name, value]) => [name.slice(prefix.length), value as string]));
}

function text(body: AdminCall['body'], name: string): string {
  const value = body[name];
  if (typeof value !== 'string' || value === '' || value.length > 2048) throw new AdminError(400, `${name} is a text of at most 2048 characters`);
  return value;
}
