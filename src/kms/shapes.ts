/** The service model's input shapes, by its own names. A test compares them with the model itself. */
import { blob, flag, integer, list, oneOf, optional, secretText, struct, text, textMap, time } from './shape.ts';

/* ---- enumerations ---------------------------------------------------------- */

export const keySpecs = [
  'RSA_2048', 'RSA_3072', 'RSA_4096', 'ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521', 'ECC_SECG_P256K1', 'SYMMETRIC_DEFAULT',
  'HMAC_224', 'HMAC_256', 'HMAC_384', 'HMAC_512', 'SM2', 'ML_DSA_44', 'ML_DSA_65', 'ML_DSA_87', 'ECC_NIST_EDWARDS25519',
  'ML_KEM_512', 'ML_KEM_768', 'ML_KEM_1024',
] as const;
export type KeySpecName = (typeof keySpecs)[number];

export const keyUsages = ['SIGN_VERIFY', 'ENCRYPT_DECRYPT', 'GENERATE_VERIFY_MAC', 'KEY_AGREEMENT', 'ENCAPSULATE_DECAPSULATE'] as const;
export type KeyUsageName = (typeof keyUsages)[number];

export const origins = ['AWS_KMS', 'EXTERNAL', 'AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE'] as const;
export type OriginName = (typeof origins)[number];

export const grantOperations = [
  'Decrypt', 'Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptFrom', 'ReEncryptTo', 'Sign', 'Verify',
  'GetPublicKey', 'CreateGrant', 'RetireGrant', 'DescribeKey', 'GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext',
  'GenerateMac', 'VerifyMac', 'DeriveSharedSecret', 'Encapsulate', 'Decapsulate',
] as const;
export type GrantOperationName = (typeof grantOperations)[number];

export const KeySpec = oneOf(keySpecs);
export const CustomerMasterKeySpec = oneOf([
  'RSA_2048', 'RSA_3072', 'RSA_4096', 'ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521', 'ECC_SECG_P256K1', 'SYMMETRIC_DEFAULT',
  'HMAC_224', 'HMAC_256', 'HMAC_384', 'HMAC_512', 'SM2',
]);
export const DataKeyPairSpec = oneOf([
  'RSA_2048', 'RSA_3072', 'RSA_4096', 'ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521', 'ECC_SECG_P256K1', 'SM2',
  'ECC_NIST_EDWARDS25519', 'ML_KEM_512', 'ML_KEM_768', 'ML_KEM_1024',
]);
export const DataKeySpec = oneOf(['AES_256', 'AES_128']);
export const KeyUsageType = oneOf(keyUsages);
export const OriginType = oneOf(origins);
export const EncryptionAlgorithmSpec = oneOf(
  ['SYMMETRIC_DEFAULT', 'RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE'],
  ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE', 'SYMMETRIC_DEFAULT'],
);
export const SigningAlgorithmSpec = oneOf(
  ['RSASSA_PSS_SHA_256', 'RSASSA_PSS_SHA_384', 'RSASSA_PSS_SHA_512', 'RSASSA_PKCS1_V1_5_SHA_256', 'RSASSA_PKCS1_V1_5_SHA_384',
    'RSASSA_PKCS1_V1_5_SHA_512', 'ECDSA_SHA_256', 'ECDSA_SHA_384', 'ECDSA_SHA_512', 'SM2DSA', 'ML_DSA_SHAKE_256', 'ED25519_SHA_512',
    'ED25519_PH_SHA_512'],
  ['RSASSA_PSS_SHA_256', 'RSASSA_PSS_SHA_384', 'RSASSA_PSS_SHA_512', 'RSASSA_PKCS1_V1_5_SHA_256', 'RSASSA_PKCS1_V1_5_SHA_384',
    'RSASSA_PKCS1_V1_5_SHA_512', 'ECDSA_SHA_256', 'ECDSA_SHA_384', 'ECDSA_SHA_512', 'ED25519_SHA_512', 'ED25519_PH_SHA_512', 'SM2DSA',
    'ML_DSA_SHAKE_256'],
);
export const MacAlgorithmSpec = oneOf(
  ['HMAC_SHA_224', 'HMAC_SHA_256', 'HMAC_SHA_384', 'HMAC_SHA_512'],
  ['HMAC_SHA_384', 'HMAC_SHA_256', 'HMAC_SHA_224', 'HMAC_SHA_512'],
);
export const KeyAgreementAlgorithmSpec = oneOf(['ECDH']);
export const EncapsulationAlgorithmSpec = oneOf(['ML_KEM']);
export const MessageType = oneOf(['RAW', 'DIGEST', 'EXTERNAL_MU']);
export const AlgorithmSpec = oneOf(['RSAES_PKCS1_V1_5', 'RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'RSA_AES_KEY_WRAP_SHA_1', 'RSA_AES_KEY_WRAP_SHA_256', 'SM2PKE']);
export const WrappingKeySpec = oneOf(['RSA_2048', 'RSA_3072', 'RSA_4096', 'SM2']);
export const ExpirationModelType = oneOf(['KEY_MATERIAL_EXPIRES', 'KEY_MATERIAL_DOES_NOT_EXPIRE']);
export const ImportType = oneOf(['NEW_KEY_MATERIAL', 'EXISTING_KEY_MATERIAL']);
export const IncludeKeyMaterial = oneOf(['ALL_KEY_MATERIAL', 'ROTATIONS_ONLY']);
export const GrantOperation = oneOf(grantOperations);
export const DryRunModifierType = oneOf(['IGNORE_CIPHERTEXT']);
export const KeyEncryptionMechanism = oneOf(['RSAES_OAEP_SHA_256']);
export const ResourceOwnerType = oneOf(['SELF', 'OTHER_ACCOUNTS_VIA_RAM']);
export const keyStoreTypes = ['AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE'] as const;
export type KeyStoreTypeName = (typeof keyStoreTypes)[number];
export const connectivities = ['PUBLIC_ENDPOINT', 'VPC_ENDPOINT_SERVICE'] as const;
export type ConnectivityName = (typeof connectivities)[number];

export const CustomKeyStoreType = oneOf(keyStoreTypes);
export const XksProxyConnectivityType = oneOf(connectivities);

/* ---- text ------------------------------------------------------------------- */

export const AccountIdType = text({ min: 12, max: 12, pattern: '[0-9]{12}' });
export const AliasNameType = text({ min: 1, max: 256, pattern: '^[a-zA-Z0-9:/_-]+$' });
export const BackingKeyIdType = text({ min: 64, max: 64, pattern: '^[a-f0-9]+$' });
export const CloudHsmClusterIdType = text({ min: 19, max: 24, pattern: 'cluster-[2-7a-zA-Z]{11,16}' });
export const CustomKeyStoreIdType = text({ min: 1, max: 64 });
export const CustomKeyStoreNameType = text({ min: 1, max: 256 });
export const DescriptionType = text({ min: 0, max: 8192 });
export const GrantConstraintSourceArnType = text({ min: 20, max: 512, pattern: '^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$' });
export const GrantIdType = text({ min: 1, max: 128 });
export const GrantNameType = text({ min: 1, max: 256, pattern: '^[a-zA-Z0-9:/_-]+$' });
export const GrantTokenType = text({ min: 1, max: 8192 });
export const KeyIdType = text({ min: 1, max: 2048 });
export const KeyMaterialDescriptionType = text({ min: 0, max: 256, pattern: '^[a-zA-Z0-9:/_\\s.-]+$' });
export const KeyStorePasswordType = secretText({ min: 7, max: 32 });
export const MarkerType = text({ min: 1, max: 1024, pattern: '[\\u0020-\\u00FF]*' });
export const PolicyNameType = text({ min: 1, max: 128, pattern: '[\\w]+' });
export const PolicyType = text({ min: 1, max: 131072, pattern: '[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+' });
export const PrincipalIdType = text({ min: 1, max: 256, pattern: '^[\\w+=,.@:/-]+$' });
export const RegionType = text({ min: 1, max: 32, pattern: '^([a-z]+-){2,3}\\d+$' });
export const ServicePrincipalType = text({ min: 1, max: 128, pattern: '^([A-Za-z0-9\\-]+)\\.([A-Za-z0-9\\-]+)(\\.[A-Za-z0-9\\-]+)+$' });
export const TagKeyType = text({ min: 1, max: 128 });
export const TagValueType = text({ min: 0, max: 256 });
export const TrustAnchorCertificateType = text({ min: 1, max: 5000 });
export const XksKeyIdType = text({ min: 1, max: 128, pattern: '^[a-zA-Z0-9-_.]+$' });
export const XksProxyAuthenticationAccessKeyIdType = text({ min: 20, max: 30, pattern: '^[A-Z2-7]+$', sensitive: true });
export const XksProxyAuthenticationRawSecretAccessKeyType = secretText({ min: 43, max: 64, pattern: '^[a-zA-Z0-9\\/+=]+$', allowed: /[a-zA-Z0-9/+=]/ });
export const XksProxyUriEndpointType = text({ min: 10, max: 128, pattern: '^https://[a-zA-Z0-9.-]+$' });
export const XksProxyUriPathType = text({ min: 10, max: 128, pattern: '^(/[a-zA-Z0-9\\/_-]+/kms/xks/v\\d{1,2})$|^(/kms/xks/v\\d{1,2})$' });
export const XksProxyVpcEndpointServiceNameType = text({ min: 20, max: 64, pattern: '^(com|eu)\\.amazonaws\\.vpce\\.([a-z]+-){2,3}\\d+\\.vpce-svc-[0-9a-z]+$' });

/* ---- numbers, bytes, structures ---------------------------------------------- */

export const BooleanType = flag;
export const NullableBooleanType = flag;
export const DateType = time;
export const LimitType = integer({ min: 1, max: 1000 });
export const NumberOfBytesType = integer({ min: 1, max: 1024 });
export const PendingWindowInDaysType = integer({ min: 1, max: 365 });
export const RotationPeriodInDaysType = integer({ min: 90, max: 2560 });

export const AttestationDocumentType = blob({ min: 1, max: 262144 });
export const CiphertextType = blob({ min: 1, max: 6144 });
export const PlaintextType = blob({ min: 1, max: 4096, sensitive: true });
export const PublicKeyType = blob({ min: 1, max: 8192 });

export const EncryptionContextType = textMap;
export const GrantTokenList = list(GrantTokenType, { min: 0, max: 10 });
export const GrantOperationList = list(GrantOperation);
export const DryRunModifierList = list(DryRunModifierType);
export const TagKeyList = list(TagKeyType);
export const ResourceOwnersList = list(ResourceOwnerType, { min: 1, max: 2 });

export const Tag = struct({ TagKey: TagKeyType, TagValue: TagValueType });
export const TagList = list(Tag);
export const GrantConstraints = struct({
  EncryptionContextSubset: optional(EncryptionContextType),
  EncryptionContextEquals: optional(EncryptionContextType),
  SourceArn: optional(GrantConstraintSourceArnType),
});
export const RecipientInfo = struct({
  KeyEncryptionAlgorithm: optional(KeyEncryptionMechanism),
  AttestationDocument: optional(AttestationDocumentType),
});
export const XksProxyAuthenticationCredentialType = struct({
  AccessKeyId: XksProxyAuthenticationAccessKeyIdType,
  RawSecretAccessKey: XksProxyAuthenticationRawSecretAccessKeyType,
});
