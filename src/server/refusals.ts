/**
 * What is refused before any operation runs. AWS says the same thing in two vocabularies: services that
 * speak JSON, and the query services (STS, IAM).
 */
import { AwsError } from '../kms/operation.ts';

export type Protocol = 'json' | 'query';

export type Reason = 'missing' | 'incomplete' | 'unknownKey' | 'signature' | 'expired' | 'action' | 'malformed' | 'tooLarge' | 'sealed' | 'internal';

const codes: Readonly<Record<Reason, Readonly<Record<Protocol, readonly [code: string, status: number]>>>> = {
  missing: { json: ['MissingAuthenticationTokenException', 400], query: ['MissingAuthenticationToken', 403] },
  incomplete: { json: ['IncompleteSignatureException', 400], query: ['IncompleteSignature', 400] },
  unknownKey: { json: ['UnrecognizedClientException', 400], query: ['InvalidClientTokenId', 403] },
  signature: { json: ['InvalidSignatureException', 400], query: ['SignatureDoesNotMatch', 403] },
  expired: { json: ['ExpiredTokenException', 400], query: ['ExpiredToken', 403] },
  action: { json: ['UnknownOperationException', 400], query: ['InvalidAction', 400] },
  malformed: { json: ['SerializationException', 400], query: ['MalformedInput', 400] },
  tooLarge: { json: ['RequestEntityTooLargeException', 413], query: ['RequestEntityTooLarge', 413] },
  sealed: { json: ['ServiceUnavailableException', 503], query: ['ServiceUnavailable', 503] },
  internal: { json: ['KMSInternalException', 500], query: ['InternalFailure', 500] },
};

/** A refusal that does not know yet in which vocabulary it will be said. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  constructor(readonly reason: Reason, readonly sentence: string | undefined) {
    super(sentence ?? reason);
  }

  in(protocol: Protocol): AwsError {
    const [code, status] = codes[this.reason][protocol];
    return new AwsError(code, status, this.sentence);
  }
}

export const refusals = {
  missing: () => new Refusal('missing', 'Missing Authentication Token'),
  unknownKey: () => new Refusal('unknownKey', 'The security token included in the request is invalid.'),
  expired: () => new Refusal('expired', 'The security token included in the request is expired'),
  mismatch: () => new Refusal('signature', 'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.'),
  noOperation: () => new Refusal('action', undefined),
  noAction: (action: string, version: string) => new Refusal('action', `Could not find operation ${action} for version ${version}`),
  malformed: (sentence: string) => new Refusal('malformed', sentence),
  tooLarge: (limit: number) => new Refusal('tooLarge', `The request's body is larger than ${limit} bytes.`),
  sealed: (sentence = 'The store is sealed, or the module is not operational: see /health.') => new Refusal('sealed', sentence),
  internal: () => new Refusal('internal', 'The request failed because of an internal error. You can retry it.'),
};
