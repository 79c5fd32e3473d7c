/**
 * Condition keys of a request: `kms:` from its input and key, `aws:` from the caller and the call.
 * Looked up only when a policy asks.
 */
import type { Context } from '../iam/context.ts';
import { principalArn, type Principal } from '../iam/principal.ts';
import type { EncryptionContext } from './envelope.ts';
import type { Key } from './key.ts';
import type { ServiceRequest } from './operation.ts';

/** What an operation adds or overrides for one key: ReEncrypt asks twice, with two contexts. */
export interface Facts {
  readonly encryptionContext?: EncryptionContext | undefined;
  /** By lower-case condition key. */
  readonly values?: Readonly<Record<string, string | readonly string[] | undefined>>;
}

type Input = Readonly<Record<string, unknown>>;

/** Input members that are condition keys as they stand, and what they are when not given. */
const fromInput: Readonly<Record<string, readonly [member: string, otherwise?: string]>> = {
  'kms:bypasspolicylockoutsafetycheck': ['BypassPolicyLockoutSafetyCheck', 'false'],
  'kms:datakeypairspec': ['KeyPairSpec'],
  'kms:expirationmodel': ['ExpirationModel'],
  'kms:granteeprincipal': ['GranteePrincipal'],
  'kms:keyagreementalgorithm': ['KeyAgreementAlgorithm'],
  'kms:macalgorithm': ['MacAlgorithm'],
  'kms:policyname': ['PolicyName'],
  'kms:replicaregion': ['ReplicaRegion'],
  'kms:primaryregion': ['PrimaryRegion'],
  'kms:retiringprincipal': ['RetiringPrincipal'],
  'kms:rotationperiodindays': ['RotationPeriodInDays'],
  'kms:schedulekeydeletionpendingwindowindays': ['PendingWindowInDays'],
  'kms:signingalgorithm': ['SigningAlgorithm'],
  'kms:wrappingalgorithm': ['WrappingAlgorithm'],
  'kms:wrappingkeyspec': ['WrappingKeySpec'],
};

const encrypts = new Set(['Encrypt', 'Decrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext']);
const signs = new Set(['Sign', 'Verify']);
const grants = new Set(['CreateGrant', 'ListGrants', 'RevokeGrant']);

export class RequestContext implements Context {
  readonly #request: ServiceRequest;
  readonly #principal: Principal;
  readonly #input: Input;
  readonly #key: Key | undefined;
  readonly #facts: Facts | undefined;
  readonly #nowMs: number;

  constructor(request: ServiceRequest, principal: Principal, input: Input, key: Key | undefined, facts: Facts | undefined, nowMs: number) {
    this.#request = request;
    this.#principal = principal;
    this.#input = input;
    this.#key = key;
    this.#facts = facts;
    this.#nowMs = nowMs;
  }

  values(key: string): readonly string[] | undefined {
    const given = this.#facts?.values?.[key] ?? this.#proven(key);
    if (given !== undefined) return typeof given === 'string' ? [given] : given;
    if (key.startsWith('kms:')) return list(this.#kms(key));
    return key.startsWith('aws:') ? list(this.#aws(key)) : undefined;
  }

  #proven(key: string): string | readonly string[] | undefined {
    const facts = this.#request.caller.facts;
    if (facts === undefined) return undefined;
    for (const name in facts) if (name.toLowerCase() === key) return facts[name];
    return undefined;
  }

  get #context(): EncryptionContext | undefined {
    return this.#facts?.encryptionContext ?? (this.#input['EncryptionContext'] as EncryptionContext | undefined);
  }

  #kms(key: string): string | readonly string[] | undefined {
    if (key.startsWith('kms:encryptioncontext:')) {
      const name = key.slice('kms:encryptioncontext:'.length);
      return Object.entries(this.#context ?? {}).filter(([given]) => given.toLowerCase() === name).map(([, value]) => value);
    }
    const member = fromInput[key];
    if (member !== undefined) return scalar(this.#input[member[0]]) ?? member[1];

    const input = this.#input;
    switch (key) {
      case 'kms:calleraccount': return this.#request.caller.account || undefined;
      case 'kms:viaservice': return this.#request.caller.viaService;
      case 'kms:encryptioncontextkeys': return Object.keys(this.#context ?? {});
      case 'kms:encryptionalgorithm':
        return scalar(input['EncryptionAlgorithm']) ?? (encrypts.has(this.#request.operation) ? 'SYMMETRIC_DEFAULT' : undefined);
      case 'kms:messagetype': return scalar(input['MessageType']) ?? (signs.has(this.#request.operation) ? 'RAW' : undefined);
      case 'kms:requestalias': return aliasIn(scalar(input['KeyId'])) ?? aliasIn(scalar(input['DestinationKeyId']));
      case 'kms:validto': return typeof input['ValidTo'] === 'number' ? iso(input['ValidTo']) : undefined;
      case 'kms:grantoperations': return input['Operations'] as readonly string[] | undefined;
      case 'kms:grantconstrainttype': return constraintTypes(input['Constraints']);
      case 'kms:grantisforawsresource': return grants.has(this.#request.operation) ? String(this.#request.caller.viaService !== undefined || this.#request.caller.service !== undefined) : undefined;
      default: return this.#keyFact(key);
    }
  }

  /** Facts of the key; CreateKey asks them of the key it is about to make. */
  #keyFact(key: string): string | undefined {
    const record = this.#key?.record;
    const input = this.#input;
    const making = record === undefined && this.#request.operation === 'CreateKey';
    switch (key) {
      case 'kms:keyspec':
      case 'kms:customermasterkeyspec':
        return record?.spec ?? (making ? scalar(input['KeySpec']) ?? scalar(input['CustomerMasterKeySpec']) ?? 'SYMMETRIC_DEFAULT' : undefined);
      case 'kms:keyusage':
      case 'kms:customermasterkeyusage':
        return record?.usage ?? (making ? scalar(input['KeyUsage']) ?? 'ENCRYPT_DECRYPT' : undefined);
      case 'kms:keyorigin': return record?.origin ?? (making ? scalar(input['Origin']) ?? 'AWS_KMS' : undefined);
      case 'kms:multiregion':
        return record === undefined ? (making ? scalar(input['MultiRegion']) ?? 'false' : undefined) : String(record.multiRegion !== undefined);
      case 'kms:multiregionkeytype':
        return record === undefined ? (making && input['MultiRegion'] === true ? 'PRIMARY' : undefined)
          : record.multiRegion && (this.#key?.isPrimary ? 'PRIMARY' : 'REPLICA');
      default: return undefined;
    }
  }

  #aws(key: string): string | readonly string[] | undefined {
    const { caller, sourceIp, userAgent, secureTransport, region } = this.#request;
    if (key.startsWith('aws:principaltag/')) return tagged(caller.tags, key.slice('aws:principaltag/'.length));
    if (key.startsWith('aws:resourcetag/')) return this.#tag(this.#key?.record.tags, key.slice('aws:resourcetag/'.length));
    if (key.startsWith('aws:requesttag/')) return this.#tag(this.#input['Tags'], key.slice('aws:requesttag/'.length));
    switch (key) {
      case 'aws:principalarn': return caller.service === undefined ? principalArn(this.#principal) : undefined;
      case 'aws:principalaccount': return caller.account || undefined;
      case 'aws:principaltype': return { root: 'Account', user: 'User', role: 'AssumedRole', service: 'AWSService' }[this.#principal.kind];
      case 'aws:principalisawsservice': return String(caller.service !== undefined);
      case 'aws:principalservicename': return caller.service;
      case 'aws:viaawsservice': return String(caller.viaService !== undefined);
      case 'aws:userid': return caller.principalId;
      case 'aws:username': return caller.userName;
      case 'aws:sourceip': return caller.viaService === undefined ? sourceIp : undefined;
      case 'aws:useragent': return userAgent;
      case 'aws:securetransport': return String(secureTransport);
      case 'aws:requestedregion': return region;
      case 'aws:resourceaccount': return this.#key?.account ?? caller.account;
      case 'aws:currenttime': return iso(this.#nowMs);
      case 'aws:epochtime': return String(Math.floor(this.#nowMs / 1000));
      case 'aws:tagkeys': return this.#tagKeys();
      default: return undefined;
    }
  }

  #tag(tags: unknown, name: string): string | undefined {
    if (!Array.isArray(tags)) return undefined;
    return (tags as readonly { readonly TagKey: string; readonly TagValue: string }[]).find((tag) => tag.TagKey.toLowerCase() === name)?.TagValue;
  }

  #tagKeys(): readonly string[] | undefined {
    const { Tags: tags, TagKeys: keys } = this.#input;
    if (Array.isArray(keys)) return keys as readonly string[];
    return Array.isArray(tags) ? (tags as readonly { readonly TagKey: string }[]).map((tag) => tag.TagKey) : undefined;
  }
}

const list = (value: string | readonly string[] | undefined): readonly string[] | undefined => (typeof value === 'string' ? [value] : value?.length === 0 ? undefined : value);

const scalar = (value: unknown): string | undefined => (value === undefined || typeof value === 'object' ? undefined : String(value));

const iso = (ms: number): string => new Date(ms).toISOString();

function tagged(tags: Readonly<Record<string, string>>, name: string): string | undefined {
  for (const key in tags) if (key.toLowerCase() === name) return tags[key];
  return undefined;
}

/** `alias/NAME` out of an alias name or ARN. */
function aliasIn(name: string | undefined): string | undefined {
  const at = name === undefined ? -1 : name.startsWith('alias/') ? 0 : name.startsWith('arn:') ? name.indexOf(':alias/') + 1 : -1;
  return name === undefined || at < 0 || (at === 0 && !name.startsWith('alias/')) ? undefined : name.slice(at);
}

function constraintTypes(constraints: unknown): readonly string[] | undefined {
  if (typeof constraints !== 'object' || constraints === null) return undefined;
  return ['EncryptionContextEquals', 'EncryptionContextSubset', 'SourceArn'].filter((name) => name in constraints);
}

