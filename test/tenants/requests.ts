/** One request for every operation of the KMS, with what it needs, so that tests can ask all of them about another account's key. */

export type Kind = 'symmetric' | 'sign' | 'mac' | 'agree' | 'kem' | 'external' | 'multi';

/** How each kind of key is made. */
export const makes: Readonly<Record<Kind, Readonly<Record<string, unknown>>>> = {
  symmetric: {},
  sign: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' },
  mac: { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' },
  agree: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' },
  kem: { KeySpec: 'ML_KEM_768', KeyUsage: 'ENCAPSULATE_DECAPSULATE' },
  external: { Origin: 'EXTERNAL' },
  multi: { MultiRegion: true },
};

/** What was made with an account's keys. Bytes are base64. */
export interface Things {
  readonly keys: Readonly<Record<Kind, string>>;
  readonly blob: string;
  readonly signature: string;
  readonly mac: string;
  readonly encapsulated: string;
  /** Anybody's public key on the same curve. */
  readonly peer: string;
  readonly importToken: string;
  readonly grantId: string;
  readonly grantToken: string;
}

export interface Request {
  /** The key it is asked of. */
  readonly kind: Kind;
  /** May callers of another account, where both sides' policies allow it? */
  readonly crossAccount: boolean;
  readonly cryptographic?: true;
  /** `key`: as it is to be named. `self`: who asks. */
  input(things: Things, key: string, self: string): Readonly<Record<string, unknown>>;
}

export const message = Buffer.from('a message').toString('base64');

const on = (kind: Kind, more: (things: Things, key: string, self: string) => object = () => ({})): Request =>
  ({ kind, crossAccount: false, input: (things, KeyId, self) => ({ KeyId, ...more(things, KeyId, self) }) });
const across = (request: Request): Request => ({ ...request, crossAccount: true });
const crypto = (request: Request): Request => ({ ...request, crossAccount: true, cryptographic: true });
const target = (more: object): Request => ({ kind: 'symmetric', crossAccount: false, input: (_, TargetKeyId) => ({ TargetKeyId, ...more }) });

/** Every operation that takes a key. */
export const requests: Readonly<Record<string, Request>> = {
  CancelKeyDeletion: on('symmetric'),
  CreateAlias: target({ AliasName: 'alias/mine' }),
  CreateGrant: across(on('symmetric', (_, __, self) => ({ GranteePrincipal: self, Operations: ['Encrypt'] }))),
  Decapsulate: crypto(on('kem', ({ encapsulated }) => ({ EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob: encapsulated }))),
  Decrypt: crypto(on('symmetric', ({ blob }) => ({ CiphertextBlob: blob }))),
  DeleteImportedKeyMaterial: on('external'),
  DeriveSharedSecret: crypto(on('agree', ({ peer }) => ({ KeyAgreementAlgorithm: 'ECDH', PublicKey: peer }))),
  DescribeKey: across(on('symmetric')),
  DisableKey: on('symmetric'),
  DisableKeyRotation: on('symmetric'),
  EnableKey: on('symmetric'),
  EnableKeyRotation: on('symmetric'),
  Encapsulate: crypto(on('kem', () => ({ EncapsulationAlgorithm: 'ML_KEM' }))),
  Encrypt: crypto(on('symmetric', () => ({ Plaintext: message }))),
  GenerateDataKey: crypto(on('symmetric', () => ({ KeySpec: 'AES_256' }))),
  GenerateDataKeyPair: crypto(on('symmetric', () => ({ KeyPairSpec: 'ECC_NIST_P256' }))),
  GenerateDataKeyPairWithoutPlaintext: crypto(on('symmetric', () => ({ KeyPairSpec: 'ECC_NIST_P256' }))),
  GenerateDataKeyWithoutPlaintext: crypto(on('symmetric', () => ({ NumberOfBytes: 16 }))),
  GenerateMac: crypto(on('mac', () => ({ MacAlgorithm: 'HMAC_SHA_256', Message: message }))),
  GetKeyLastUsage: on('symmetric'),
  GetKeyPolicy: on('symmetric'),
  GetKeyRotationStatus: across(on('symmetric')),
  GetParametersForImport: on('external', () => ({ WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' })),
  GetPublicKey: crypto(on('sign')),
  ImportKeyMaterial: on('external', ({ importToken }) => ({ ImportToken: importToken, EncryptedKeyMaterial: message, ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' })),
  ListGrants: across(on('symmetric')),
  ListKeyPolicies: on('symmetric'),
  ListKeyRotations: on('symmetric'),
  ListResourceTags: on('symmetric'),
  PutKeyPolicy: on('symmetric', (_, __, self) => ({ Policy: JSON.stringify({ Statement: { Effect: 'Allow', Principal: { AWS: self }, Action: 'kms:*', Resource: '*' } }) })),
  ReEncrypt: crypto({ kind: 'symmetric', crossAccount: true, input: ({ blob }, key) => ({ CiphertextBlob: blob, SourceKeyId: key, DestinationKeyId: key }) }),
  ReplicateKey: on('multi', () => ({ ReplicaRegion: 'eu-west-1' })),
  RetireGrant: across(on('symmetric', ({ grantId }) => ({ GrantId: grantId }))),
  RevokeGrant: across(on('symmetric', ({ grantId }) => ({ GrantId: grantId }))),
  RotateKeyOnDemand: on('symmetric'),
  ScheduleKeyDeletion: on('symmetric', () => ({ PendingWindowInDays: 7 })),
  Sign: crypto(on('sign', () => ({ SigningAlgorithm: 'ECDSA_SHA_256', Message: message }))),
  TagResource: on('symmetric', () => ({ Tags: [{ TagKey: 'mine', TagValue: 'yes' }] })),
  UntagResource: on('symmetric', () => ({ TagKeys: ['mine'] })),
  UpdateAlias: target({ AliasName: 'alias/own' }),
  UpdateKeyDescription: on('symmetric', () => ({ Description: 'mine' })),
  UpdatePrimaryRegion: on('multi', () => ({ PrimaryRegion: 'eu-west-1' })),
  Verify: crypto(on('sign', ({ signature }) => ({ SigningAlgorithm: 'ECDSA_SHA_256', Message: message, Signature: signature }))),
  VerifyMac: crypto(on('mac', ({ mac }) => ({ MacAlgorithm: 'HMAC_SHA_256', Message: message, Mac: mac }))),
};

/** Those that take none: they act in the caller's own account, or name what only that has. */
export const keyless: readonly string[] = [
  'CreateKey', 'DeleteAlias', 'GenerateRandom', 'ListAliases', 'ListKeys', 'ListRetirableGrants',
  'ConnectCustomKeyStore', 'CreateCustomKeyStore', 'DeleteCustomKeyStore', 'DescribeCustomKeyStores', 'DisconnectCustomKeyStore', 'UpdateCustomKeyStore',
];

/** An alias ARN may stand for the key. */
export const takesAlias: readonly string[] = Object.entries(requests).filter(([name, { cryptographic }]) => cryptographic === true || name === 'DescribeKey').map(([name]) => name);
