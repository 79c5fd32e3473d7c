/** CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant. */
import { isAccountId, parseArn, rootArn } from '../../iam/arn.ts';
import { idOfArn } from '../../iam/meant.ts';
import { isMeant, parseAwsPrincipal } from '../../iam/principal.ts';
import type { Tx } from '../../store/store.ts';
import { ceilingAs, keepBelow } from '../ceilings.ts';
import { keyOperation, operation } from '../define.ts';
import { fail, internal, naming, validation } from '../errors.ts';
import { atLeastAsStrict, type GrantRow } from '../grants.ts';
import { Key } from '../key.ts';
import { accountsIn, readPolicy } from '../keypolicy.ts';
import { listPage } from '../marker.ts';
import { share } from '../material.ts';
import { epoch } from '../metadata.ts';
import { changed, grantRowId, type GrantConstraint, type GrantRecord, type KeyRecord, type PolicyRecord } from '../records.ts';
import { parseKeyName } from '../resolve.ts';
import type { Run } from '../run.ts';
import { optional } from '../shape.ts';
import { sharerOf, sharersByGrants } from '../sharing.ts';
import * as s from '../shapes.ts';

/* ---- CreateGrant -------------------------------------------------------------- */

interface Wish {
  readonly GranteePrincipal?: string | undefined;
  readonly GranteeServicePrincipal?: string | undefined;
  readonly RetiringPrincipal?: string | undefined;
  readonly RetiringServicePrincipal?: string | undefined;
  readonly Operations: readonly s.GrantOperationName[];
  readonly Constraints?: Constraints | undefined;
  readonly Name?: string | undefined;
}

interface Constraints {
  readonly EncryptionContextSubset?: Readonly<Record<string, string>> | undefined;
  readonly EncryptionContextEquals?: Readonly<Record<string, string>> | undefined;
  readonly SourceArn?: string | undefined;
}

function checkParties(wish: Wish): void {
  if ((wish.GranteePrincipal === undefined) === (wish.GranteeServicePrincipal === undefined)) throw validation('Specify either GranteePrincipal or GranteeServicePrincipal, but not both.');
  if (wish.RetiringPrincipal !== undefined && wish.RetiringServicePrincipal !== undefined) throw validation('Specify either RetiringPrincipal or RetiringServicePrincipal, but not both.');
  if (wish.Operations.length === 0) throw validation('Operations must name at least one operation.');
  if (wish.GranteeServicePrincipal === undefined) return;
  if (wish.Constraints?.SourceArn === undefined) throw validation('A SourceArn constraint is required with GranteeServicePrincipal.');
  if (wish.RetiringPrincipal === undefined && wish.RetiringServicePrincipal === undefined) throw validation('A retiring principal is required with GranteeServicePrincipal.');
}

const longestValue = 384;
const mostPairs = 8;

function checkConstraints({ EncryptionContextEquals: equals, EncryptionContextSubset: subset }: Constraints): void {
  for (const pairs of [equals, subset]) {
    if (pairs === undefined) continue;
    if (Object.keys(pairs).length > mostPairs) throw validation(`An encryption context constraint must not have more than ${mostPairs} pairs.`);
    if (Object.entries(pairs).some((pair) => pair.some((text) => text.length > longestValue))) throw validation(`Keys and values of an encryption context constraint must not be longer than ${longestValue} characters.`);
  }
}

/** Answers the unique id of a user or role. */
async function checkPrincipal(run: Run, arn: string | undefined): Promise<string | undefined> {
  if (arn === undefined) return undefined;
  const entry = isAccountId(arn) ? undefined : parseAwsPrincipal(arn);
  if (entry === undefined || entry.names === 'any' || !(await run.services.authoriser.exists(entry))) throw fail('InvalidArnException', `ARN does not refer to a valid principal: ${arn}`);
  return idOfArn(run.store, arn);
}

/** Ids of whom a grant means: who is made later under the same name is somebody else. */
interface Meant {
  readonly granteeId?: string;
  readonly retiringId?: string;
}

async function meantBy(run: Run, wish: Wish): Promise<Meant> {
  const granteeId = await checkPrincipal(run, wish.GranteePrincipal);
  const retiringId = await checkPrincipal(run, wish.RetiringPrincipal);
  return { ...(granteeId === undefined ? {} : { granteeId }), ...(retiringId === undefined ? {} : { retiringId }) };
}

const always: readonly s.GrantOperationName[] = ['CreateGrant', 'RetireGrant', 'DescribeKey'];

/** What a grant can allow on a key of this kind. */
export function grantableOn({ record }: Key): readonly s.GrantOperationName[] {
  switch (record.usage) {
    case 'SIGN_VERIFY': return [...always, 'Sign', 'Verify', 'GetPublicKey'];
    case 'GENERATE_VERIFY_MAC': return [...always, 'GenerateMac', 'VerifyMac'];
    case 'KEY_AGREEMENT': return [...always, 'DeriveSharedSecret', 'GetPublicKey'];
    case 'ENCAPSULATE_DECAPSULATE': return [...always, 'Encapsulate', 'Decapsulate', 'GetPublicKey'];
    case 'ENCRYPT_DECRYPT': return record.spec === 'SYMMETRIC_DEFAULT'
      ? [...always, 'Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext']
      : [...always, 'Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo', 'GetPublicKey'];
  }
}

function checkOperations(key: Key, { Operations: wanted, Constraints: constraints }: Wish): void {
  const offered = grantableOn(key);
  const odd = wanted.find((name) => !offered.includes(name));
  if (odd !== undefined) throw validation(`Grant operation ${odd} is not supported by key spec ${key.record.spec} with key usage ${key.record.usage}.`);
  const speaksOfContext = constraints?.EncryptionContextEquals !== undefined || constraints?.EncryptionContextSubset !== undefined;
  if (speaksOfContext && key.record.spec !== 'SYMMETRIC_DEFAULT') throw validation('Encryption context constraints are supported by symmetric encryption keys only.');
}

/** Who may make grants by a grant alone passes on no more than that one. */
function checkInherited(run: Run, grant: GrantRow | undefined, wish: Wish): void {
  if (grant === undefined) return;
  const within = wish.Operations.every((name) => grant.body.operations.includes(name));
  if (!within || !atLeastAsStrict(constraintsOf(wish.Constraints), grant.body.constraints)) {
    throw fail('AccessDeniedException', `User: ${run.principal.arn} is not authorized to perform: kms:CreateGrant on resource: ${run.resources[0]?.ARN} because the grant that allows it does not allow more than itself`);
  }
}

function constraintsOf(given: Constraints | undefined): GrantConstraint | undefined {
  if (given === undefined) return undefined;
  const { EncryptionContextSubset: subset, EncryptionContextEquals: equals, SourceArn: source } = given;
  if (subset === undefined && equals === undefined && source === undefined) return undefined;
  return {
    ...(subset === undefined ? {} : { EncryptionContextSubset: subset }), ...(equals === undefined ? {} : { EncryptionContextEquals: equals }),
    ...(source === undefined ? {} : { SourceArn: source }),
  };
}

/** A named grant's id follows from all it says, so that making it again finds it. */
function grantIdOf(run: Run, key: Key, wish: Wish, meant: Meant): string {
  if (wish.Name === undefined) return run.services.ids.long();
  const sorted = (pairs: Readonly<Record<string, string>> | undefined) => pairs && Object.entries(pairs).sort(([a], [b]) => (a < b ? -1 : 1));
  const { Constraints: c } = wish;
  return run.core.sha256(Buffer.from(JSON.stringify([
    key.id, key.record.createdMs, wish.Name, wish.GranteePrincipal, wish.GranteeServicePrincipal, wish.RetiringPrincipal, wish.RetiringServicePrincipal,
    [...wish.Operations].sort(), sorted(c?.EncryptionContextEquals), sorted(c?.EncryptionContextSubset), c?.SourceArn, meant.granteeId, meant.retiringId,
  ]))).toString('hex');
}

function grantOf(run: Run, key: Key, wish: Wish, meant: Meant): GrantRecord {
  const constraints = constraintsOf(wish.Constraints);
  const retiring = wish.RetiringPrincipal ?? wish.RetiringServicePrincipal;
  return {
    key: key.id, keyId: key.record.keyId, grantId: grantIdOf(run, key, wish, meant), ...meant,
    grantee: (wish.GranteePrincipal ?? wish.GranteeServicePrincipal) as string, granteeIs: wish.GranteePrincipal === undefined ? 'service' : 'principal',
    ...(retiring === undefined ? {} : { retiring, retiringIs: wish.RetiringPrincipal === undefined ? 'service' : 'principal' }),
    ...(wish.Name === undefined ? {} : { name: wish.Name }),
    operations: wish.Operations, ...(constraints === undefined ? {} : { constraints }),
    issuer: rootArn(run.account || key.account), createdMs: run.nowMs,
  };
}

export const createGrant = keyOperation({
  name: 'CreateGrant',
  input: {
    KeyId: s.KeyIdType,
    GranteePrincipal: optional(s.PrincipalIdType),
    RetiringPrincipal: optional(s.PrincipalIdType),
    Operations: s.GrantOperationList,
    Constraints: optional(s.GrantConstraints),
    GrantTokens: optional(s.GrantTokenList),
    Name: optional(s.GrantNameType),
    DryRun: optional(s.NullableBooleanType),
    GranteeServicePrincipal: optional(s.ServicePrincipalType),
    RetiringServicePrincipal: optional(s.ServicePrincipalType),
  },
  readOnly: false,
  crossAccount: true,
  key: (input) => input.KeyId,
  states: 'createGrant',
  check(input) {
    checkParties(input);
    if (input.Constraints !== undefined) checkConstraints(input.Constraints);
  },
  async run(run, input, key) {
    checkOperations(key, input);
    const meant = await meantBy(run, input);
    checkInherited(run, run.authority?.grant, input);
    const { ceilings, grantTally, tokens, ids } = run.services;
    const grant = grantOf(run, key, input, meant);
    // One that is there already is no more. For dry runs: who comes through here is counted again as it is written.
    const full = (await grantTally.of(key.id)) >= ceilings.grantsPerKey && (await run.store.get('grant', grantRowId(key.id, grant.grantId))) === undefined;
    if (full) throw tooMany(key, ceilings.grantsPerKey);
    run.proceed();
    if (await insertGrant(run, key, grant)) grantTally.add(key.id, 1);
    return { GrantToken: tokens.make(grant, ids.hex(8)), GrantId: grant.grantId };
  },
});

const tooMany = (key: Key, most: number) => fail('LimitExceededException', `The key ${key.arn} has ${most} grants already.`);

/** False: a grant of that name and content is there already. */
async function insertGrant(run: Run, key: Key, grant: GrantRecord): Promise<boolean> {
  const id = grantRowId(key.id, grant.grantId);
  const { ceilings, grantTally } = run.services;
  let forget = () => {};
  const fresh = await run.store.tx(async (tx) => {
    const now = await run.reread(tx, key, 'createGrant');
    if ((await tx.get('grant', id)) !== undefined) return false;
    await keepBelow(tx, grantTally, key.id, ceilings.grantsPerKey);
    tx.insert('grant', { id, account: key.account, region: key.region, body: grant });
    forget = await admit(run, tx, now, grant);
    return true;
  }).catch(ceilingAs(tooMany(key, ceilings.grantsPerKey)));
  forget();
  return fresh;
}

/** The key's record and sealed material as this grant needs them; usually they are so already, and nothing is written. */
async function admit(run: Run, tx: Tx, key: Key, grant: GrantRecord): Promise<() => void> {
  const sharer = sharerOf(grant, key.account);
  const known = sharer === undefined || key.record.sharedWith.includes(sharer);
  if (known && key.record.hasGrants) return () => {};
  const sharedWith = known ? key.record.sharedWith : [...key.record.sharedWith, sharer].sort();
  tx.update(key.row, { body: changed(key.record, { hasGrants: true, sharedWith }) });
  return known ? () => {} : share(run.services, tx, key, sharedWith);
}

/* ---- lists ----------------------------------------------------------------------- */

const page = { otherwise: 50, most: 100 } as const;

function show({ body, region, account }: GrantRow) {
  return {
    KeyId: `arn:aws:kms:${region}:${account}:key/${body.keyId}`, GrantId: body.grantId, ...(body.name === undefined ? {} : { Name: body.name }),
    CreationDate: epoch(body.createdMs),
    ...(body.granteeIs === 'service' ? { GranteeServicePrincipal: body.grantee, GranteePrincipal: body.grantee } : { GranteePrincipal: body.grantee }),
    ...(body.retiring === undefined ? {} : body.retiringIs === 'service' ? { RetiringServicePrincipal: body.retiring } : { RetiringPrincipal: body.retiring }),
    IssuingAccount: body.issuer, Operations: body.operations, ...(body.constraints === undefined ? {} : { Constraints: { ...body.constraints } }),
  };
}

export const listGrants = keyOperation({
  name: 'ListGrants',
  input: {
    Limit: optional(s.LimitType),
    Marker: optional(s.MarkerType),
    KeyId: s.KeyIdType,
    GrantId: optional(s.GrantIdType),
    GranteePrincipal: optional(s.PrincipalIdType),
    GranteeServicePrincipal: optional(s.ServicePrincipalType),
  },
  readOnly: true,
  crossAccount: true,
  key: (input) => input.KeyId,
  states: 'any',
  check(input, run) {
    if (input.GranteePrincipal !== undefined && input.GranteeServicePrincipal !== undefined) throw validation('Specify either GranteePrincipal or GranteeServicePrincipal, but not both.');
    if (input.GrantId !== undefined) checkGrantId(input.GrantId);
    if (input.GranteeServicePrincipal !== undefined && run.principal.kind !== 'service') {
      throw fail('AccessDeniedException', `User: ${run.principal.arn} is not authorized to list grants by GranteeServicePrincipal`);
    }
  },
  async run(run, input, key) {
    const grantee = input.GranteePrincipal ?? input.GranteeServicePrincipal;
    if (input.GrantId !== undefined) {
      const row = await run.store.get<GrantRecord>('grant', grantRowId(key.id, input.GrantId));
      return { Grants: row === undefined || (grantee !== undefined && row.body.grantee !== grantee) ? [] : [show(row)], Truncated: false };
    }
    const { items, more } = await listPage<GrantRecord, ReturnType<typeof show>>(
      run.store, run.services.markers, `ListGrants ${key.id} ${grantee ?? ''}`, 'grant',
      grantee === undefined ? { index: 'grant.key', equals: [key.id] } : { index: 'grant.grantee', equals: [key.id, grantee] }, input, page, show,
    );
    return { Grants: items, ...more };
  },
});

export const listRetirableGrants = operation({
  name: 'ListRetirableGrants',
  input: {
    Limit: optional(s.LimitType),
    Marker: optional(s.MarkerType),
    RetiringPrincipal: optional(s.PrincipalIdType),
    RetiringServicePrincipal: optional(s.ServicePrincipalType),
  },
  readOnly: true,
  async run(run, input) {
    const { RetiringPrincipal: principal, RetiringServicePrincipal: service } = input;
    if ((principal === undefined) === (service === undefined)) throw validation('Specify either RetiringPrincipal or RetiringServicePrincipal, but not both.');
    if (service !== undefined && run.principal.service !== service) throw fail('AccessDeniedException', `User: ${run.principal.arn} is not authorized to list grants by RetiringServicePrincipal`);
    const retiring = (principal ?? service) as string;
    if (principal !== undefined && parseAwsPrincipal(principal) === undefined) throw fail('InvalidArnException', `ARN does not refer to a valid principal: ${principal}`);
    await run.permit('kms:ListRetirableGrants', retiring);
    if (principal !== undefined && parseArn(principal)?.account !== run.account) throw fail('AccessDeniedException', `User: ${run.principal.arn} is not authorized to perform: kms:ListRetirableGrants on resource: ${principal}`);
    const { items, more } = await listPage<GrantRecord, ReturnType<typeof show>>(
      run.store, run.services.markers, `ListRetirableGrants ${run.region} ${retiring}`, 'grant',
      { index: 'grant.retiring', equals: [run.region, retiring] }, input, page, show,
    );
    return { Grants: items, ...more };
  },
});

/* ---- the end of a grant -------------------------------------------------------------- */

function checkGrantId(id: string): void {
  if (!/^[0-9a-f]{64}$/.test(id)) throw fail('InvalidGrantIdException', `Grant ID ${id} is invalid.`);
}

const noGrant = (id: string) => fail('NotFoundException', `Grant ID ${id} not found`);

/** Delete a grant; a partition that it alone had opened to another account is closed to it again. */
async function endGrant(run: Run, key: Key, grantId: string): Promise<void> {
  let forget = () => {};
  await run.store.tx(async (tx) => {
    const row = await tx.get<GrantRecord>('grant', grantRowId(key.id, grantId));
    if (row === undefined) throw noGrant(grantId);
    tx.delete(row);
    forget = await dismiss(run, tx, key, row.body);
  });
  forget();
  run.services.grantTally.add(key.id, -1);
}

async function dismiss(run: Run, tx: Tx, key: Key, grant: GrantRecord): Promise<() => void> {
  const sharer = sharerOf(grant, key.account);
  if (sharer === undefined) return () => {};
  const row = await tx.get<KeyRecord>('key', key.id);
  const policy = await tx.get<PolicyRecord>('policy', key.id);
  if (row === undefined || policy === undefined) return () => {};
  const now = new Key(row);
  const others = await sharersByGrants(tx, now, grant.grantId);
  if (others.includes(sharer) || accountsIn(readPolicy(policy.body.text), key.account).includes(sharer)) return () => {};
  const sharedWith = now.record.sharedWith.filter((account) => account !== sharer);
  tx.update(now.row, { body: changed(now.record, { sharedWith }) });
  return share(run.services, tx, now, sharedWith);
}

export const revokeGrant = keyOperation({
  name: 'RevokeGrant',
  input: { KeyId: s.KeyIdType, GrantId: s.GrantIdType, DryRun: optional(s.NullableBooleanType) },
  readOnly: false,
  crossAccount: true,
  key: (input) => input.KeyId,
  states: 'any',
  async run(run, { GrantId: id }, key) {
    checkGrantId(id);
    if ((await run.store.get('grant', grantRowId(key.id, id))) === undefined) throw noGrant(id);
    run.proceed();
    await endGrant(run, key, id);
    return {};
  },
});

export const retireGrant = operation({
  name: 'RetireGrant',
  input: { GrantToken: optional(s.GrantTokenType), KeyId: optional(s.KeyIdType), GrantId: optional(s.GrantIdType), DryRun: optional(s.NullableBooleanType) },
  readOnly: false,
  crossAccount: true,
  async run(run, input) {
    const { keyRow, grantId, arn, account } = namedGrant(run, input);
    const row = await run.store.get<KeyRecord>('key', keyRow);
    const key = row && new Key(row);
    const grant = key && (await run.store.get<GrantRecord>('grant', grantRowId(key.id, grantId)));
    if (grant === undefined || !mayRetire(run, grant.body, account)) {
      if (key === undefined && account === run.account) throw naming.noKey(arn);
      await run.permit('kms:RetireGrant', arn, account, key);
      if (key !== undefined) await run.requireAdmitted(key, 'kms:RetireGrant', arn);
    }
    if (key === undefined) throw internal();
    run.touch(key);
    if (grant === undefined) throw noGrant(grantId);
    run.proceed();
    await endGrant(run, key, grantId);
    return {};
  },
});

interface Named {
  readonly keyRow: string;
  readonly grantId: string;
  readonly arn: string;
  readonly account: string;
}

/** By token, or by key and id. */
function namedGrant(run: Run, input: { readonly GrantToken?: string | undefined; readonly KeyId?: string | undefined; readonly GrantId?: string | undefined }): Named {
  if (input.GrantToken !== undefined) {
    if (input.KeyId !== undefined || input.GrantId !== undefined) throw validation('Specify either GrantToken, or KeyId and GrantId.');
    const [account = '', region = '', keyId = '', grantId = ''] = run.services.tokens.open(input.GrantToken).split('/');
    if (region !== run.region) throw fail('InvalidGrantTokenException', 'Grant token is invalid.');
    return { keyRow: `${account}/${region}/${keyId}`, grantId, arn: `arn:aws:kms:${region}:${account}:key/${keyId}`, account };
  }
  if (input.KeyId === undefined || input.GrantId === undefined) throw validation('Specify either GrantToken, or KeyId and GrantId.');
  checkGrantId(input.GrantId);
  const named = parseKeyName(input.KeyId, run.account, run.region, false);
  if (named.by !== 'id') throw naming.badKeyId(input.KeyId);
  return { keyRow: `${named.account}/${run.region}/${named.keyId}`, grantId: input.GrantId, arn: named.arn, account: named.account };
}

/** The retiring principal; the grantee, if the grant says RetireGrant; the root of the key's account, or of the one that made it. */
function mayRetire(run: Run, grant: GrantRecord, account: string): boolean {
  const { principal } = run;
  const isCaller = (name: string, id: string | undefined) => (principal.service === undefined ? isMeant(name, id, principal) : principal.service === name);
  if (grant.retiring !== undefined && isCaller(grant.retiring, grant.retiringId)) return true;
  if (isCaller(grant.grantee, grant.granteeId) && grant.operations.includes('RetireGrant')) return true;
  return principal.kind === 'root' && (principal.account === account || rootArn(principal.account) === grant.issuer);
}
