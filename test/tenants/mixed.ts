/**
 * Two tenants at work at the same time, and getting at each other on purpose: names, aliases, blobs, tokens, markers and
 * credentials of the one in the hands of the other. Everything that is a tenant's own carries its mark, so that whatever
 * crosses is seen: in an answer, in a record, in the trail.
 */
import Database from 'better-sqlite3';
import { join } from 'node:path';
import type { Answered } from '../server/room.ts';
import { makes, message, requests, takesAlias, type Kind, type Things } from './requests.ts';
import { furnish, type Tenant, type Two, type Who } from './two.ts';
import { region } from '../server/room.ts';

export interface Outcome {
  readonly own: number;
  readonly crossed: number;
  /** Pairs of "not yours" and "not there" that were compared. */
  readonly twins: number;
  /** What went wrong, in words. */
  readonly effects: readonly string[];
}

interface Side {
  readonly tenant: Tenant;
  readonly mark: string;
  readonly things: Things;
  /** Of its lists, to be gone on with. */
  readonly markers: Readonly<Record<string, string>>;
  readonly eventsToken: string;
}

const connections = 24;

/** Deterministic: a run can be had again by its seed. */
function dice(seed: number): <T>(choices: readonly T[]) => T {
  let state = seed >>> 0;
  return (choices) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return choices[Math.floor((state / 2 ** 32) * choices.length)]!;
  };
}

async function sideOf(two: Two, tenant: Tenant, mark: string): Promise<Side> {
  const things = await furnish(two, tenant.root, () => ({ Description: mark, Tags: [{ TagKey: mark, TagValue: mark }] }));
  for (const kind of Object.keys(makes)) if (kind !== 'external') await two.call(tenant.root, 'CreateAlias', { AliasName: `alias/${kind}`, TargetKeyId: things.keys[kind as Kind] });
  await two.call(tenant.root, 'CreateAlias', { AliasName: `alias/${mark}`, TargetKeyId: things.keys.symmetric });
  await two.call(tenant.root, 'CreateGrant', { KeyId: things.keys.symmetric, GranteePrincipal: tenant.mighty.arn, Operations: ['Decrypt'], Name: mark });
  await two.query(tenant.root, 'iam', { Action: 'CreatePolicy', PolicyName: mark, PolicyDocument: '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}' });
  await two.query(tenant.root, 'iam', { Action: 'CreateRole', RoleName: mark, AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Principal: { AWS: tenant.account }, Action: 'sts:AssumeRole' } }) });
  const marker = async (operation: string, input: object): Promise<string> => String((await two.call(tenant.root, operation, { ...input, Limit: 1 }))['NextMarker']);
  const page = JSON.parse((await two.lookUp(tenant.root, { MaxResults: 1 })).text) as { NextToken: string };
  return {
    tenant, mark, things, eventsToken: page.NextToken,
    markers: { ListKeys: await marker('ListKeys', {}), ListAliases: await marker('ListAliases', {}), ListGrants: await marker('ListGrants', { KeyId: things.keys.symmetric }) },
  };
}

type Ask = () => Promise<Answered>;

interface Crossing {
  readonly what: string;
  readonly ask: Ask;
  /** The same of what is not there, and how its name reads. */
  readonly twin?: { readonly ask: Ask; readonly yours: string; readonly none: string };
}

const nowhere = '99999999-9999-4999-8999-999999999999';

/** Everything that one side can do with what is the other's. */
function crossings(two: Two, { tenant: me, things: mine, markers }: Side, other: Side, pick: <T>(choices: readonly T[]) => T): readonly (() => Crossing)[] {
  const { things: theirs, tenant: them } = other;
  const who = (): Who => pick([me.root, me.mighty, me.idle, me.session]);
  const kms = (name: string, operation: string, input: (kind: Kind) => object, asker = who()): Crossing => {
    const { kind } = requests[operation] ?? { kind: 'symmetric' as const };
    return { what: `${operation} ${name} by ${asker.arn}`, ask: () => two.raw(asker, operation, input(kind)) };
  };
  const keyed = (): Crossing => {
    const operation = pick(Object.keys(requests));
    const { kind, input } = requests[operation]!;
    const asker = who();
    const things = pick([mine, theirs]);
    const byAlias = takesAlias.includes(operation) && pick([true, false]);
    const yours = byAlias ? theirs.keys[kind].replace(/key\/.*/, `alias/${kind}`) : theirs.keys[kind];
    const none = byAlias ? `${yours}-none` : yours.replace(/[0-9a-f]{8}-.*/, nowhere).replace(/mrk-.*/, `mrk-${'9'.repeat(32)}`);
    return {
      what: `${operation} ${yours} by ${asker.arn}`, ask: () => two.raw(asker, operation, input(things, yours, asker.arn)),
      twin: { ask: () => two.raw(asker, operation, input(things, none, asker.arn)), yours, none },
    };
  };
  const iam = (form: Readonly<Record<string, string>>, service: 'iam' | 'sts' = 'iam'): Crossing => {
    const asker = pick([me.root, me.mighty, me.idle]);
    return { what: `${form['Action'] ?? ''} by ${asker.arn}`, ask: () => two.query(asker, service, form) };
  };
  const foreign = `arn:aws:iam::${them.account}`;
  return [
    ...Array.from({ length: 12 }, () => keyed),
    () => kms('by a bare id', pick(['DescribeKey', 'Encrypt', 'DisableKey', 'ListAliases']), () => ({ KeyId: theirs.keys.symmetric.replace(/.*key\//, ''), Plaintext: message })),
    () => kms('of their blob', 'Decrypt', () => ({ CiphertextBlob: theirs.blob })),
    () => kms('of their blob with my key', 'Decrypt', () => ({ CiphertextBlob: theirs.blob, KeyId: mine.keys.symmetric })),
    () => kms('from their key', 'ReEncrypt', () => ({ CiphertextBlob: theirs.blob, DestinationKeyId: mine.keys.symmetric })),
    () => kms('to their key', 'ReEncrypt', () => ({ CiphertextBlob: mine.blob, DestinationKeyId: theirs.keys.symmetric })),
    () => kms('with their token', 'Encrypt', () => ({ KeyId: theirs.keys.symmetric, Plaintext: message, GrantTokens: [theirs.grantToken] })),
    () => kms('by their token', 'RetireGrant', () => ({ GrantToken: theirs.grantToken })),
    () => kms('with their import token', 'ImportKeyMaterial', () => ({ KeyId: mine.keys.external, ImportToken: theirs.importToken, EncryptedKeyMaterial: message, ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }), me.root),
    () => kms('with their marker', pick(['ListKeys', 'ListAliases']), () => ({ Marker: other.markers['ListKeys'] }), me.root),
    () => kms('of my grants with their marker', 'ListGrants', () => ({ KeyId: mine.keys.symmetric, Marker: other.markers['ListGrants'] }), me.root),
    () => kms('of their grants with my marker', 'ListGrants', () => ({ KeyId: theirs.keys.symmetric, Marker: markers['ListGrants'] }), me.root),
    () => kms('of grants of their principal', 'ListRetirableGrants', () => ({ RetiringPrincipal: them.root.arn })),
    () => kms('plainly', 'Encrypt', () => ({ KeyId: theirs.keys.symmetric, Plaintext: message }), me.root),
    () => ({ what: 'on behalf of them', ask: () => two.raw(me.root, 'Encrypt', { KeyId: theirs.keys.symmetric, Plaintext: message }, { 'x-strongroom-on-behalf-of': them.root.arn }) }),
    () => ({ what: 'events of their page', ask: () => two.lookUp(me.root, { NextToken: other.eventsToken }) }),
    () => ({ what: 'my session, their token', ask: () => two.raw({ ...me.session, token: them.session.token! }, 'ListKeys', {}) }),
    () => ({ what: 'their session, my secret', ask: () => two.raw({ ...them.session, secret: me.session.secret }, 'ListKeys', {}) }),
    () => ({ what: 'my key, their token', ask: () => two.raw({ ...me.root, token: them.session.token! }, 'ListKeys', {}) }),
    () => ({ what: 'their access key, my secret', ask: () => two.raw({ ...them.root, secret: me.root.secret }, 'ListKeys', {}) }),
    () => iam({ Action: 'AssumeRole', RoleArn: `${foreign}:role/${other.mark}`, RoleSessionName: 'me' }, 'sts'),
    () => iam({ Action: 'GetAccessKeyInfo', AccessKeyId: them.root.accessKeyId }, 'sts'),
    () => iam({ Action: 'AttachUserPolicy', UserName: 'idle', PolicyArn: `${foreign}:policy/${other.mark}` }),
    () => iam({ Action: 'PutUserPermissionsBoundary', UserName: 'idle', PermissionsBoundary: `${foreign}:policy/${other.mark}` }),
    () => iam({ Action: 'GetPolicy', PolicyArn: `${foreign}:policy/${other.mark}` }),
    () => iam({ Action: 'DeletePolicy', PolicyArn: `${foreign}:policy/${other.mark}` }),
    () => iam({ Action: 'UpdateAccessKey', AccessKeyId: them.mighty.accessKeyId, Status: 'Inactive', UserName: 'mighty' }),
    () => iam({ Action: 'DeleteAccessKey', AccessKeyId: them.root.accessKeyId }),
    () => iam({ Action: 'SimulatePrincipalPolicy', PolicySourceArn: them.mighty.arn, 'ActionNames.member.1': 'kms:Encrypt' }),
  ];
}

/** What a tenant does all day. */
function daily(two: Two, { tenant: me, mark, things }: Side, pick: <T>(choices: readonly T[]) => T): readonly (() => { readonly what: string; readonly ask: Ask })[] {
  const who = (): Who => pick([me.root, me.mighty, me.session]);
  const use = (operation: string, input?: object) => () => {
    const asker = who();
    const { kind, input: usual } = requests[operation] ?? { kind: 'symmetric' as const, input: () => ({}) };
    return { what: operation, ask: () => two.raw(asker, operation, input ?? usual(things, things.keys[kind], asker.arn)) };
  };
  const KeyId = things.keys.symmetric;
  return [
    ...Object.entries(requests).filter(([, { cryptographic }]) => cryptographic === true).map(([operation]) => use(operation)),
    ...['DescribeKey', 'GetKeyPolicy', 'GetKeyRotationStatus', 'GetKeyLastUsage', 'ListGrants', 'ListKeyPolicies', 'ListKeyRotations', 'ListResourceTags'].map((operation) => use(operation)),
    use('ListKeys', {}), use('ListAliases', {}), use('ListAliases', { KeyId }), use('GenerateRandom', { NumberOfBytes: 32 }), use('ListRetirableGrants', { RetiringPrincipal: me.root.arn }),
    use('Decrypt', { CiphertextBlob: things.blob, GrantTokens: [things.grantToken] }),
    use('TagResource', { KeyId, Tags: [{ TagKey: mark, TagValue: mark }] }), use('UpdateKeyDescription', { KeyId, Description: mark }),
    use('CreateGrant', { KeyId, GranteePrincipal: me.mighty.arn, Operations: ['Encrypt'], Name: mark }), use('UpdateAlias', { AliasName: `alias/${mark}`, TargetKeyId: KeyId }),
    () => ({ what: 'LookupEvents', ask: () => two.lookUp(me.root, { MaxResults: 5 }) }),
    () => ({ what: 'GetCallerIdentity', ask: () => two.query(who(), 'sts', { Action: 'GetCallerIdentity' }) }),
    () => ({ what: 'ListUsers', ask: () => two.query(me.root, 'iam', { Action: 'ListUsers' }) }),
    () => ({ what: 'ListRoles', ask: () => two.query(me.mighty, 'iam', { Action: 'ListRoles' }) }),
  ];
}

/** `count` requests, crossed and daily ones mixed, of both sides at once. */
export async function mix(two: Two, count: number, seed: number): Promise<Outcome> {
  const pick = dice(seed);
  const sides = [await sideOf(two, two.a, 'mark-of-the-first'), await sideOf(two, two.b, 'mark-of-the-second')] as const;
  const effects: string[] = [];
  const tally = { own: 0, crossed: 0, twins: 0 };
  const plans = sides.map((side, i) => ({ side, other: sides[1 - i]!, crossed: crossings(two, side, sides[1 - i]!, pick), daily: daily(two, side, pick) }));

  /** Nothing of the other's is in an answer, but the names that were asked for. */
  const checkText = (what: string, text: string, other: Side, named: readonly string[]): void => {
    const rest = named.reduce((left, name) => left.replaceAll(name, ''), text);
    if (rest.includes(other.mark)) effects.push(`${what}: the answer has the other's mark: ${text}`);
    for (const key of Object.values(other.things.keys)) if (rest.includes(key.replace(/.*key\//, ''))) effects.push(`${what}: the answer names the other's key: ${text}`);
  };

  async function cross({ other, crossed }: (typeof plans)[number]): Promise<void> {
    const { what, ask, twin } = pick(crossed)();
    tally.crossed += 1;
    const { status, headers, text } = await ask();
    if (status < 400 || status >= 500) effects.push(`${what}: answered with ${status} ${text}`);
    checkText(what, text, other, [...Object.values(other.things.keys), ...Object.values(other.things.keys).map((arn) => arn.replace(/.*key\//, '')), `role/${other.mark}`, `policy/${other.mark}`, `policy ${other.mark}`]);
    if (twin === undefined) return;
    tally.twins += 1;
    const none = await twin.ask();
    const bare = (answer: Answered, name: string): string => JSON.stringify([answer.status, answer.headers['content-type'], answer.text.replaceAll(name, 'NAME').replaceAll(String(answer.headers['x-amzn-requestid']), 'ID')]);
    if (bare({ status, headers, text }, twin.yours) !== bare(none, twin.none)) effects.push(`${what}: not yours ${text}, not there ${none.text}`);
  }

  async function work({ other, daily: days }: (typeof plans)[number]): Promise<void> {
    const { what, ask } = pick(days)();
    tally.own += 1;
    const { status, text } = await ask();
    if (status !== 200) effects.push(`${what}: one's own was refused: ${text}`);
    // Who is asked for one's key is told so: that event, and no other, speaks of the other.
    if (what !== 'LookupEvents') {
      checkText(what, text, other, []);
      if (text.includes(other.tenant.account)) effects.push(`${what}: the answer has the other's account: ${text}`);
    }
  }

  await Promise.all(Array.from({ length: connections }, async () => {
    while (tally.own + tally.crossed + tally.twins < count) await pick([cross, cross, work])(pick(plans));
  }));
  for (const plan of plans) effects.push(...(await aftermath(two, plan.side, plan.other)));
  return { ...tally, effects };
}

/** What lies at rest, and what the trail says, when all is over. */
async function aftermath(two: Two, { tenant: me, mark, things }: Side, other: Side): Promise<readonly string[]> {
  const effects: string[] = [];
  for (const [kind, KeyId] of Object.entries(things.keys)) {
    const { KeyMetadata: key } = await two.call(me.root, 'DescribeKey', { KeyId });
    if (key.KeyState !== (kind === 'external' ? 'PendingImport' : 'Enabled') || key.Description !== mark) effects.push(`${KeyId}: ${JSON.stringify(key)}`);
    const { Policy } = await two.call(me.root, 'GetKeyPolicy', { KeyId });
    if (!String(Policy).includes('key-default-1') || String(Policy).includes(other.tenant.account)) effects.push(`${KeyId}: ${String(Policy)}`);
  }
  const db = new Database(join(two.room.home, 'strongroom.db'), { readonly: true });
  const rows = db.prepare<[string], { tab: string; id: string; body: Buffer }>('SELECT tab, id, body FROM record WHERE account = ?').all(me.account);
  db.close();
  if (rows.length < 30) effects.push(`there are only ${rows.length} records of ${me.account}`);
  for (const { tab, id, body } of rows) {
    const text = `${id} ${body.toString('utf8')}`;
    if (tab !== 'counter' && (text.includes(other.mark) || text.includes(other.tenant.account))) effects.push(`${tab} ${text}`);
  }
  for (let after: string | undefined; ;) {
    const page = await two.room.store.events({ account: me.account, region, limit: 1000, ...(after === undefined ? {} : { after }) });
    for (const { body } of page.rows) {
      const event = JSON.parse(body) as { userIdentity: { accountId: string }; errorCode?: string; recipientAccountId: string };
      const foreign = event.userIdentity.accountId !== me.account;
      if (event.recipientAccountId !== me.account || (foreign && event.errorCode !== 'AccessDeniedException')) effects.push(`an event of another's doing: ${body}`);
    }
    after = page.next;
    if (after === undefined) break;
  }
  return effects;
}
