/**
 * Services act alone, or on behalf of a principal of the account whose credentials they hold. Signed
 * headers say for whom and for what resource; from anybody but a service they are refused. So what
 * conditions call kms:ViaService, aws:SourceArn and kms:GrantIsForAWSResource comes from services alone.
 */
import { parseArn, rootArn } from '../iam/arn.ts';
import { findPrincipal } from '../iam/directory.ts';
import { nameIn, tagMap, type PrincipalRecord } from '../iam/records.ts';
import { AwsError } from '../kms/operation.ts';
import type { Caller } from '../kms/operation.ts';
import type { Row, Store } from '../store/store.ts';
import { refusals } from './refusals.ts';
import type { Claim, WireRequest } from './sigv4.ts';

type Identity = Omit<Caller, 'session'>;

export const headers = {
  /** ARN of the user, role, role session or root for whom the service acts. */
  principal: 'x-strongroom-on-behalf-of',
  /** ARN of the resource for which it acts. */
  sourceArn: 'x-strongroom-source-arn',
  sourceAccount: 'x-strongroom-source-account',
} as const;

const names: readonly string[] = Object.values(headers);

export const speaksForOthers = (request: WireRequest): boolean => names.some((name) => request.headers[name] !== undefined);

/** Who acts: the signer itself, or whom a service speaks for. */
export async function onBehalf(store: Store, signer: Identity, request: WireRequest, claim: Claim): Promise<Identity> {
  if (!names.every((name) => request.headers[name] === undefined || claim.signedHeaders.includes(name))) throw refusals.mismatch();
  const { service } = signer;
  if (service === undefined) throw denied(`${signer.arn} is not a service: only services act on behalf of others`);
  const facts = sourceFacts(request);
  const arn = headerOf(request, headers.principal);
  if (arn === undefined) return { ...signer, facts };
  const { service: _own, ...base } = signer;
  return {
    ...base, ...(await behind(store, signer.account, arn)),
    viaService: service.replace(/\.amazonaws\.com$/, `.${claim.region}.amazonaws.com`),
    facts: { ...facts, 'kms:GrantIsForAWSResource': 'true' },
  };
}

function sourceFacts(request: WireRequest): Readonly<Record<string, string>> {
  const sourceArn = headerOf(request, headers.sourceArn);
  const sourceAccount = headerOf(request, headers.sourceAccount) ?? (sourceArn && parseArn(sourceArn)?.account);
  return { ...(sourceArn === undefined ? {} : { 'aws:SourceArn': sourceArn }), ...(sourceAccount ? { 'aws:SourceAccount': sourceAccount } : {}) };
}

/** The principal as if it had called: a service speaks for its own account's people only. */
async function behind(store: Store, account: string, arn: string): Promise<Pick<Identity, 'arn' | 'principalId' | 'tags' | 'userName' | 'roleArn'>> {
  if (arn === rootArn(account)) return { arn, principalId: account, tags: {} };
  const parsed = parseArn(arn);
  const [kind = '', first = '', session = ''] = parsed?.resource.split('/') ?? [];
  if (parsed?.account === account && parsed.service === 'iam' && kind === 'user') {
    const row = await findPrincipal(store, account, 'user', nameIn(arn));
    if (row?.body.arn === arn) return { arn, principalId: row.id, tags: ofRow(row), userName: row.body.name };
  }
  if (parsed?.account === account && parsed.service === 'sts' && kind === 'assumed-role' && session !== '') {
    const row = await findPrincipal(store, account, 'role', first);
    if (row !== undefined) return { arn, principalId: `${row.id}:${session}`, tags: ofRow(row), roleArn: row.body.arn };
  }
  throw denied(`there is no principal ${arn.slice(0, 256)} in account ${account}`);
}

const ofRow = ({ body }: Row<PrincipalRecord>): Readonly<Record<string, string>> => (body.kind === 'group' ? {} : tagMap(body.tags));

function headerOf(request: WireRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

const denied = (sentence: string) => new AwsError('AccessDeniedException', 400, sentence);
