/** What CloudTrail says of a request. Never plaintext, message, ciphertext, key material or a grant token. */
import type { Entry } from '../audit/recorder.ts';
import type { Key } from './key.ts';
import type { Answer, ServiceAnswer, ServiceRequest } from './operation.ts';
import type { Run } from './run.ts';

/** Members that are secret, or bearer of a right. */
const unsaid = new Set(['GrantTokens', 'GrantToken', 'KeyStorePassword', 'XksProxyAuthenticationCredential', 'Recipient', 'TrustAnchorCertificate']);

const camel = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

/** Names in lower camel case; bytes and secrets left out. */
function said(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(said);
  if (typeof value !== 'object' || value === null) return value;
  const told: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined || unsaid.has(name) || isBytes(item)) continue;
    told[camel(name)] = keepNames.has(name) ? item : said(item);
  }
  return told;
}

/** Their members are the caller's own names. */
const keepNames = new Set(['EncryptionContext', 'SourceEncryptionContext', 'DestinationEncryptionContext', 'EncryptionContextEquals', 'EncryptionContextSubset']);

const isBytes = (value: unknown): boolean => Buffer.isBuffer(value) || (typeof value === 'object' && value !== null && 'release' in value);

/**
 * What the recorder is told of one request. Owners of keys that another account used get a copy. Of a refusal that
 * hides whether a key is there, the caller's copy says nothing either: its owner gets an event of its own.
 */
export function entriesOf(request: ServiceRequest, run: Run | undefined, answer: ServiceAnswer): readonly [Entry, ...Entry[]] {
  const told = entryOf(request, run, answer);
  if (answer.ok || !answer.error.hiding || run === undefined) return [told];
  // How long it took to look is not told either.
  const entry = { ...told, timeMs: run.nowMs };
  const { account } = request.caller;
  const of = (owner: string) => run.resources.filter((resource) => resource.accountId === owner);
  const others = new Set(run.resources.map(({ accountId }) => accountId).filter((owner) => owner !== account));
  return [{ ...entry, recipients: [account], resources: of(account) }, ...[...others].map((owner) => ({ ...entry, recipients: [owner], resources: of(owner) }))];
}

function entryOf(request: ServiceRequest, run: Run | undefined, answer: ServiceAnswer): Entry {
  const readOnly = run?.operation.readOnly ?? true;
  const { caller } = request;
  const error = answer.ok ? undefined : { code: answer.error.code, message: answer.error.sentence };
  return {
    source: 'kms.amazonaws.com', name: request.operation.slice(0, 128), readOnly,
    region: request.region, requestId: request.requestId, sourceIp: caller.viaService ?? request.sourceIp, userAgent: request.userAgent,
    actor: caller, recipients: recipientsOf(caller.account, run),
    request: run === undefined ? undefined : said(run.input),
    response: answer.ok && !readOnly ? elements(answer.body) : undefined,
    ...(run?.extra === undefined ? {} : { extra: run.extra }),
    ...(run === undefined ? {} : { resources: run.resources }),
    ...(error === undefined ? {} : { error }),
  };
}

/** A replica's making belongs in its own Region's trail too, as the CreateKey it is there. */
export function replicaEntry(run: Run, replica: Key, metadata: Answer): Entry {
  const { caller, requestId, userAgent } = run.request;
  return {
    source: 'kms.amazonaws.com', name: 'CreateKey', readOnly: false, region: replica.region, requestId,
    sourceIp: caller.viaService ?? run.request.sourceIp, userAgent, actor: caller, recipients: [replica.account],
    request: said(run.input), response: elements({ KeyMetadata: metadata }),
    resources: [{ ARN: replica.arn, accountId: replica.account, type: 'AWS::KMS::Key' }],
  };
}

function recipientsOf(account: string, run: Run | undefined): readonly string[] {
  if (run === undefined || run.resources.every((resource) => resource.accountId === account)) return [account];
  return [...new Set([account, ...run.resources.map((resource) => resource.accountId)])];
}

function elements(body: Answer): unknown {
  const told = said(body) as Record<string, unknown>;
  return Object.keys(told).length === 0 ? undefined : told;
}
