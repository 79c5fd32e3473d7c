/**
 * Every exception a client can see: its code, its status and, where AWS's wording is known, the exact
 * sentence. Thrown as one class, {@link AwsError}.
 */
import { AwsError } from './operation.ts';

/** Codes and their HTTP statuses. The second half is not in the service model: the common layer raises it. */
const statuses = {
  AlreadyExistsException: 400,
  CloudHsmClusterInUseException: 400,
  CloudHsmClusterInvalidConfigurationException: 400,
  CloudHsmClusterNotActiveException: 400,
  CloudHsmClusterNotFoundException: 400,
  CloudHsmClusterNotRelatedException: 400,
  ConflictException: 400,
  CustomKeyStoreHasCMKsException: 400,
  CustomKeyStoreInvalidStateException: 400,
  CustomKeyStoreNameInUseException: 400,
  CustomKeyStoreNotFoundException: 400,
  DependencyTimeoutException: 503,
  DisabledException: 400,
  DryRunOperationException: 400,
  ExpiredImportTokenException: 400,
  IncorrectKeyException: 400,
  IncorrectKeyMaterialException: 400,
  IncorrectTrustAnchorException: 400,
  InvalidAliasNameException: 400,
  InvalidArnException: 400,
  InvalidCiphertextException: 400,
  InvalidGrantIdException: 400,
  InvalidGrantTokenException: 400,
  InvalidImportTokenException: 400,
  InvalidKeyUsageException: 400,
  InvalidMarkerException: 400,
  KMSInternalException: 500,
  KMSInvalidMacException: 400,
  KMSInvalidSignatureException: 400,
  KMSInvalidStateException: 400,
  KeyUnavailableException: 500,
  LimitExceededException: 400,
  MalformedPolicyDocumentException: 400,
  NotFoundException: 400,
  TagException: 400,
  UnsupportedOperationException: 400,
  XksKeyAlreadyInUseException: 400,
  XksKeyInvalidConfigurationException: 400,
  XksKeyNotFoundException: 400,
  XksProxyIncorrectAuthenticationCredentialException: 400,
  XksProxyInvalidConfigurationException: 400,
  XksProxyInvalidResponseException: 400,
  XksProxyUriEndpointInUseException: 400,
  XksProxyUriInUseException: 400,
  XksProxyUriUnreachableException: 400,
  XksProxyVpcEndpointServiceInUseException: 400,
  XksProxyVpcEndpointServiceInvalidConfigurationException: 400,
  XksProxyVpcEndpointServiceNotFoundException: 400,

  AccessDeniedException: 400,
  NotAuthorizedException: 400,
  SerializationException: 400,
  ThrottlingException: 400,
  UnknownOperationException: 400,
  ValidationException: 400,
} as const;

export type ExceptionCode = keyof typeof statuses;

export const exceptionCodes = Object.keys(statuses) as readonly ExceptionCode[];

/** An exception; without a sentence AWS sends no `message` at all. */
export function fail(code: ExceptionCode, sentence?: string): AwsError {
  return new AwsError(code, statuses[code], sentence);
}

/** A refusal that is the same whether another account's resource is there or not. */
export const hide = ({ code, status, sentence }: AwsError): AwsError => new AwsError(code, status, sentence, true);

export const validation = (sentence: string): AwsError => fail('ValidationException', sentence);

/* ---- sentences, by what they are about ---------------------------------- */

export const naming = {
  noKey: (arn: string) => fail('NotFoundException', `Key '${arn}' does not exist`),
  badKeyId: (id: string) => fail('NotFoundException', `Invalid keyId '${id}'`),
  otherRegion: (region: string) => fail('NotFoundException', `Invalid arn ${region}`),
  badArn: (arn: string) => fail('InvalidArnException', `Invalid arn ${arn}`),
  noAlias: (arn: string) => fail('NotFoundException', `Alias ${arn} is not found.`),
};

export const states = {
  disabled: (arn: string) => fail('DisabledException', `${arn} is disabled.`),
  pendingDeletion: (arn: string) => fail('KMSInvalidStateException', `${arn} is pending deletion.`),
  pendingReplicaDeletion: (arn: string) => fail('KMSInvalidStateException', `${arn} is pending replica deletion.`),
  notPendingDeletion: (arn: string) => fail('KMSInvalidStateException', `${arn} is not pending deletion.`),
  pendingImport: (arn: string) => fail('KMSInvalidStateException', `${arn} is pending import.`),
  creating: (arn: string) => fail('KMSInvalidStateException', `${arn} is creating.`),
  updating: (arn: string) => fail('KMSInvalidStateException', `${arn} is updating.`),
  unavailable: (arn: string) => fail('KMSInvalidStateException', `${arn} is unavailable.`),
  badOrigin: (arn: string, origin: string) =>
    fail('UnsupportedOperationException', `${arn} origin is ${origin} which is not valid for this operation.`),
};

export const usage = {
  wrongUsage: (arn: string, keyUsage: string, operation: string) =>
    fail('InvalidKeyUsageException', `${arn} key usage is ${keyUsage} which is not valid for ${operation}.`),
  wrongAlgorithm: (algorithm: string, keySpec: string) =>
    fail('InvalidKeyUsageException', `Algorithm ${algorithm} is incompatible with key spec ${keySpec}.`),
  wrongKey: () =>
    fail('IncorrectKeyException', 'The key ID in the request does not identify a CMK that can perform this operation.'),
  asymmetricDataKey: () =>
    fail('InvalidKeyUsageException', 'You cannot generate a data key with an asymmetric CMK'),
  noContext: (algorithm: string) =>
    validation(`EncryptionContext is not supported with algorithm ${algorithm}.`),
};

export const access = {
  /** The core said it, not a policy: the key's account is strict. */
  plaintextKept: () =>
    fail('AccessDeniedException', 'The account that owns the KMS key is strict: it releases plaintext to attested recipients only. Specify a Recipient, where the operation has one.'),
  hiddenCiphertext: () =>
    hide(fail('AccessDeniedException', 'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.')),
};

export const dryRun = () =>
  fail('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');

export const invalidCiphertext = () => fail('InvalidCiphertextException');
export const invalidMarker = () => fail('InvalidMarkerException', 'Could not deserialize marker');
export const unavailable = () => fail('KeyUnavailableException', 'The request was rejected because the specified KMS key was not available. You can retry the request.');
export const timedOut = () => fail('DependencyTimeoutException', 'The system timed out while trying to fulfill the request. You can retry the request.');
export const internal = () => fail('KMSInternalException', 'The request failed because of an internal error. You can retry it.');
