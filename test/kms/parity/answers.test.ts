/** What each operation answers when it succeeds: these members, of these types, no more and no fewer. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operationNames as ours } from '../../../src/kms/operations/table.ts';
import { makeDocument, makeEnclave } from '../attestation-maker.ts';
import { day, makeWorld, type Body, type World } from '../world.ts';
import { create, freshAlias, good, granted, imported, keyStoreOperations, message, user, type Request } from './kit.ts';
import { complaints, outputOf } from './model.ts';
import { model, recorded, type Source } from './sources.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

/* ---- shapes of answers ------------------------------------------------------------ */

type Shape = 'text' | 'number' | 'flag' | 'bytes' | 'pairs' | readonly Shape[] | { readonly [member: string]: Shape };

const text = 'text', number = 'number', flag = 'flag', bytes = 'bytes', texts = ['text'] as const;

const metadata = {
  AWSAccountId: text, KeyId: text, Arn: text, CreationDate: number, Enabled: flag, Description: text, KeyUsage: text, KeyState: text, Origin: text, KeyManager: text,
  CustomerMasterKeySpec: text, KeySpec: text, MultiRegion: flag,
} as const;
const symmetric = { ...metadata, EncryptionAlgorithms: texts, CurrentKeyMaterialId: text } as const;
const place = { Arn: text, Region: text } as const;
const grant = { KeyId: text, GrantId: text, Name: text, CreationDate: number, GranteePrincipal: text, RetiringPrincipal: text, IssuingAccount: text, Operations: texts } as const;
const rotation = { KeyId: text, KeyMaterialId: text, KeyMaterialState: text } as const;
const publicKey = { KeyId: text, PublicKey: bytes, CustomerMasterKeySpec: text, KeySpec: text, KeyUsage: text } as const;

/** Lists of scalars by their first element; encryption contexts by nothing but being there. */
function shapeOf(value: unknown, member = ''): Shape {
  if (Buffer.isBuffer(value)) return bytes;
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (member.startsWith('EncryptionContext')) return 'pairs';
  switch (typeof value) {
    case 'string': return text;
    case 'number': return number;
    case 'boolean': return flag;
    default: return Object.fromEntries(Object.entries(value as object).map(([name, item]) => [name, shapeOf(item, name)]));
  }
}

/* ---- the cases --------------------------------------------------------------------- */

interface Case {
  readonly operation: keyof typeof good;
  readonly what: string;
  readonly from: Source;
  readonly answer: Shape;
  /** Default: the operation's good request. */
  readonly ask?: () => Promise<Request>;
}

const nothing = {} as const;
const page = { Truncated: flag } as const;
const more = { ...page, NextMarker: text } as const;

async function keyed(key: Body | Promise<Body>, input: Body = {}): Promise<Request> {
  return { input: { KeyId: (await key).KeyId, ...input } };
}
const rsa = (KeyUsage: string) => create(w, { KeySpec: 'RSA_2048', KeyUsage });
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'der', type: 'spki' });
const recipient = () => ({ Recipient: { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument: makeDocument(makeEnclave({ root: w.root }), { publicKey: pair, timestamp: w.now() }) } });
const forRecipient = (operation: keyof typeof good) => async (): Promise<Request> => ({ input: { ...(await good[operation](w)).input, ...recipient() } });

const cases: readonly Case[] = [
  { operation: 'CancelKeyDeletion', what: 'the ARN', from: model, answer: { KeyId: text } },
  { operation: 'CreateAlias', what: 'nothing', from: model, answer: nothing },
  { operation: 'CreateGrant', what: 'token and id', from: model, answer: { GrantToken: text, GrantId: text } },
  { operation: 'CreateKey', what: 'symmetric', from: recorded('2025-11-10'), answer: { KeyMetadata: symmetric } },
  { operation: 'CreateKey', what: 'HMAC', from: recorded('2025-11-10'), answer: { KeyMetadata: { ...metadata, MacAlgorithms: texts } }, ask: async () => ({ input: { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' } }) },
  { operation: 'CreateKey', what: 'RSA to encrypt', from: recorded('2025-07-22'), answer: { KeyMetadata: { ...metadata, EncryptionAlgorithms: texts } }, ask: async () => ({ input: { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' } }) },
  { operation: 'CreateKey', what: 'to sign', from: recorded('2025-11-10'), answer: { KeyMetadata: { ...metadata, SigningAlgorithms: texts } }, ask: async () => ({ input: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' } }) },
  { operation: 'CreateKey', what: 'to agree', from: model, answer: { KeyMetadata: { ...metadata, KeyAgreementAlgorithms: texts } }, ask: async () => ({ input: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' } }) },
  { operation: 'CreateKey', what: 'to encapsulate', from: model, answer: { KeyMetadata: { ...metadata, EncapsulationAlgorithms: texts } }, ask: async () => ({ input: { KeySpec: 'ML_KEM_512', KeyUsage: 'ENCAPSULATE_DECAPSULATE' } }) },
  { operation: 'CreateKey', what: 'to be imported', from: recorded('2025-11-10'), answer: { KeyMetadata: { ...metadata, EncryptionAlgorithms: texts } }, ask: async () => ({ input: { Origin: 'EXTERNAL' } }) },
  { operation: 'CreateKey', what: 'multi-Region', from: recorded('2025-11-10'), answer: { KeyMetadata: { ...symmetric, MultiRegionConfiguration: { MultiRegionKeyType: text, PrimaryKey: place, ReplicaKeys: [] } } }, ask: async () => ({ input: { MultiRegion: true } }) },
  { operation: 'Decapsulate', what: 'the secret', from: model, answer: { KeyId: text, SharedSecret: bytes, EncapsulationAlgorithm: text } },
  { operation: 'Decrypt', what: 'symmetric', from: model, answer: { KeyId: text, Plaintext: bytes, EncryptionAlgorithm: text, KeyMaterialId: text } },
  { operation: 'Decrypt', what: 'RSA', from: model, answer: { KeyId: text, Plaintext: bytes, EncryptionAlgorithm: text }, ask: async () => {
    const { KeyId } = await rsa('ENCRYPT_DECRYPT');
    const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
    return { input: { KeyId, EncryptionAlgorithm, CiphertextBlob: (await w.call('Encrypt', { KeyId, Plaintext: message, EncryptionAlgorithm })).CiphertextBlob } };
  } },
  { operation: 'Decrypt', what: 'for a recipient', from: model, answer: { KeyId: text, CiphertextForRecipient: bytes, EncryptionAlgorithm: text }, ask: forRecipient('Decrypt') },
  { operation: 'DeleteAlias', what: 'nothing', from: model, answer: nothing },
  { operation: 'DeleteImportedKeyMaterial', what: 'key and material', from: model, answer: { KeyId: text, KeyMaterialId: text } },
  { operation: 'DeriveSharedSecret', what: 'the secret', from: recorded('2024-12-25'), answer: { KeyId: text, SharedSecret: bytes, KeyAgreementAlgorithm: text, KeyOrigin: text } },
  { operation: 'DeriveSharedSecret', what: 'for a recipient', from: model, answer: { KeyId: text, CiphertextForRecipient: bytes, KeyAgreementAlgorithm: text, KeyOrigin: text }, ask: forRecipient('DeriveSharedSecret') },
  { operation: 'DescribeKey', what: 'symmetric', from: recorded('2025-11-10'), answer: { KeyMetadata: symmetric } },
  { operation: 'DescribeKey', what: 'pending deletion', from: model, answer: { KeyMetadata: { ...symmetric, DeletionDate: number } }, ask: async () => {
    const { KeyId } = await create(w);
    await w.call('ScheduleKeyDeletion', { KeyId });
    return { input: { KeyId } };
  } },
  { operation: 'DescribeKey', what: 'a primary that waits for its replicas', from: model, answer: { KeyMetadata: { ...symmetric, PendingDeletionWindowInDays: number, MultiRegionConfiguration: { MultiRegionKeyType: text, PrimaryKey: place, ReplicaKeys: [place] } } }, ask: async () => {
    const { input: { KeyId, ReplicaRegion } } = await good.ReplicateKey(w);
    await w.call('ReplicateKey', { KeyId, ReplicaRegion });
    await w.call('ScheduleKeyDeletion', { KeyId });
    return { input: { KeyId } };
  } },
  { operation: 'DescribeKey', what: 'imported', from: recorded('2025-11-10'), answer: { KeyMetadata: { ...symmetric, ExpirationModel: text } }, ask: () => keyed(imported(w)) },
  { operation: 'DescribeKey', what: 'imported, to expire', from: model, answer: { KeyMetadata: { ...symmetric, ExpirationModel: text, ValidTo: number } }, ask: async () => {
    const { input, key } = await good.ImportKeyMaterial(w);
    await w.call('ImportKeyMaterial', { ...input, ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: (w.now() + day) / 1000 });
    return keyed(key);
  } },
  { operation: 'DescribeKey', what: 'its imported material deleted', from: recorded('2025-11-10'), answer: { KeyMetadata: symmetric }, ask: async () => {
    const key = await imported(w);
    await w.call('DeleteImportedKeyMaterial', { KeyId: key.KeyId });
    return keyed(key);
  } },
  { operation: 'DisableKey', what: 'nothing', from: model, answer: nothing },
  { operation: 'DisableKeyRotation', what: 'nothing', from: model, answer: nothing },
  { operation: 'EnableKey', what: 'nothing', from: model, answer: nothing },
  { operation: 'EnableKeyRotation', what: 'nothing', from: model, answer: nothing },
  { operation: 'Encapsulate', what: 'secret and ciphertext', from: model, answer: { KeyId: text, SharedSecret: bytes, SharedSecretCiphertextBlob: bytes, EncapsulationAlgorithm: text } },
  { operation: 'Encrypt', what: 'no material id', from: recorded('2025-11-09'), answer: { CiphertextBlob: bytes, KeyId: text, EncryptionAlgorithm: text } },
  { operation: 'GenerateDataKey', what: 'in the clear and sealed', from: model, answer: { CiphertextBlob: bytes, Plaintext: bytes, KeyId: text, KeyMaterialId: text } },
  { operation: 'GenerateDataKey', what: 'for a recipient', from: model, answer: { CiphertextBlob: bytes, CiphertextForRecipient: bytes, KeyId: text }, ask: forRecipient('GenerateDataKey') },
  { operation: 'GenerateDataKeyPair', what: 'in the clear and sealed', from: model, answer: { PrivateKeyCiphertextBlob: bytes, PrivateKeyPlaintext: bytes, PublicKey: bytes, KeyId: text, KeyPairSpec: text, KeyMaterialId: text } },
  { operation: 'GenerateDataKeyPair', what: 'for a recipient', from: model, answer: { PrivateKeyCiphertextBlob: bytes, CiphertextForRecipient: bytes, PublicKey: bytes, KeyId: text, KeyPairSpec: text }, ask: forRecipient('GenerateDataKeyPair') },
  { operation: 'GenerateDataKeyPairWithoutPlaintext', what: 'sealed', from: model, answer: { PrivateKeyCiphertextBlob: bytes, PublicKey: bytes, KeyId: text, KeyPairSpec: text, KeyMaterialId: text } },
  { operation: 'GenerateDataKeyWithoutPlaintext', what: 'sealed', from: model, answer: { CiphertextBlob: bytes, KeyId: text, KeyMaterialId: text } },
  { operation: 'GenerateMac', what: 'the MAC', from: model, answer: { Mac: bytes, MacAlgorithm: text, KeyId: text } },
  { operation: 'GenerateRandom', what: 'bytes', from: recorded('2023-04-13'), answer: { Plaintext: bytes } },
  { operation: 'GenerateRandom', what: 'for a recipient', from: model, answer: { CiphertextForRecipient: bytes }, ask: forRecipient('GenerateRandom') },
  { operation: 'GetKeyLastUsage', what: 'never used', from: model, answer: { KeyId: text, KeyLastUsage: {}, TrackingStartDate: number, KeyCreationDate: number } },
  { operation: 'GetKeyLastUsage', what: 'used', from: model, answer: { KeyId: text, KeyLastUsage: { Operation: text, Timestamp: number, CloudTrailEventId: text, KmsRequestId: text }, TrackingStartDate: number, KeyCreationDate: number }, ask: async () => {
    const { input } = await good.Encrypt(w);
    await w.call('Encrypt', input);
    return { input: { KeyId: input.KeyId } };
  } },
  { operation: 'GetKeyPolicy', what: 'the document', from: model, answer: { Policy: text, PolicyName: text } },
  { operation: 'GetKeyRotationStatus', what: 'off', from: model, answer: { KeyId: text, KeyRotationEnabled: flag } },
  { operation: 'GetKeyRotationStatus', what: 'on', from: recorded('2025-03-02'), answer: { KeyId: text, KeyRotationEnabled: flag, RotationPeriodInDays: number, NextRotationDate: number }, ask: async () => {
    const { KeyId } = await create(w);
    await w.call('EnableKeyRotation', { KeyId, RotationPeriodInDays: 90 });
    return { input: { KeyId } };
  } },
  { operation: 'GetParametersForImport', what: 'key, token and their end', from: recorded('2025-11-09'), answer: { KeyId: text, ImportToken: bytes, PublicKey: bytes, ParametersValidTo: number } },
  { operation: 'GetPublicKey', what: 'to sign', from: model, answer: { ...publicKey, SigningAlgorithms: texts } },
  { operation: 'GetPublicKey', what: 'to encrypt', from: model, answer: { ...publicKey, EncryptionAlgorithms: texts }, ask: () => keyed(rsa('ENCRYPT_DECRYPT')) },
  { operation: 'GetPublicKey', what: 'to agree', from: model, answer: { ...publicKey, KeyAgreementAlgorithms: texts }, ask: () => keyed(create(w, { KeySpec: 'ECC_NIST_P384', KeyUsage: 'KEY_AGREEMENT' })) },
  { operation: 'GetPublicKey', what: 'to encapsulate', from: model, answer: { ...publicKey, EncapsulationAlgorithms: texts }, ask: () => keyed(create(w, { KeySpec: 'ML_KEM_768', KeyUsage: 'ENCAPSULATE_DECAPSULATE' })) },
  { operation: 'ImportKeyMaterial', what: 'key and material', from: recorded('2025-11-09'), answer: { KeyId: text, KeyMaterialId: text } },
  { operation: 'ListAliases', what: 'predefined ones have no target', from: model, answer: { Aliases: [{ AliasName: text, AliasArn: text }], ...page } },
  { operation: 'ListAliases', what: 'of a key', from: model, answer: { Aliases: [{ AliasName: text, AliasArn: text, TargetKeyId: text, CreationDate: number, LastUpdatedDate: number }], ...page }, ask: async () => {
    const { input } = await good.CreateAlias(w);
    await w.call('CreateAlias', input);
    return { input: { KeyId: input.TargetKeyId } };
  } },
  { operation: 'ListAliases', what: 'more', from: model, answer: { Aliases: [{ AliasName: text, AliasArn: text }], ...more }, ask: async () => ({ input: { Limit: 1 } }) },
  { operation: 'ListGrants', what: 'with name and constraints', from: model, answer: { Grants: [{ ...grant, Constraints: { EncryptionContextSubset: 'pairs' } }], ...page } },
  { operation: 'ListGrants', what: 'without', from: model, answer: { Grants: [{ KeyId: text, GrantId: text, CreationDate: number, GranteePrincipal: text, IssuingAccount: text, Operations: texts }], ...page }, ask: async () => {
    const { input } = await good.CreateGrant(w);
    await w.call('CreateGrant', input);
    return { input: { KeyId: input.KeyId } };
  } },
  { operation: 'ListGrants', what: 'to a service', from: model, answer: { Grants: [{ KeyId: text, GrantId: text, CreationDate: number, GranteePrincipal: text, GranteeServicePrincipal: text, RetiringServicePrincipal: text, IssuingAccount: text, Operations: texts, Constraints: { SourceArn: text } }], ...page }, ask: async () => {
    const { KeyId } = await create(w);
    const service = 's3.amazonaws.com';
    await w.call('CreateGrant', { KeyId, GranteeServicePrincipal: service, RetiringServicePrincipal: service, Operations: ['Encrypt'], Constraints: { SourceArn: 'arn:aws:s3:us-east-1:111122223333:bucket/b' } });
    return { input: { KeyId } };
  } },
  { operation: 'ListKeyPolicies', what: 'one name', from: model, answer: { PolicyNames: texts, ...page } },
  { operation: 'ListKeyRotations', what: 'a rotation', from: model, answer: { Rotations: [{ ...rotation, RotationDate: number, RotationType: text }], ...page } },
  { operation: 'ListKeyRotations', what: 'the first material', from: model, answer: { Rotations: [rotation], ...page }, ask: async () => keyed(create(w), { IncludeKeyMaterial: 'ALL_KEY_MATERIAL' }) },
  { operation: 'ListKeyRotations', what: 'imported', from: model, answer: { Rotations: [{ ...rotation, ImportState: text, KeyMaterialDescription: text, ExpirationModel: text }], ...page }, ask: async () => {
    const { input, key } = await good.ImportKeyMaterial(w);
    await w.call('ImportKeyMaterial', { ...input, KeyMaterialDescription: 'from the safe' });
    return keyed(key, { IncludeKeyMaterial: 'ALL_KEY_MATERIAL' });
  } },
  { operation: 'ListKeys', what: 'id and ARN', from: model, answer: { Keys: [{ KeyId: text, KeyArn: text }], ...page }, ask: async () => ({ input: { Limit: 1000 } }) },
  { operation: 'ListKeys', what: 'more', from: model, answer: { Keys: [{ KeyId: text, KeyArn: text }], ...more }, ask: async () => ({ input: { Limit: 1 } }) },
  { operation: 'ListResourceTags', what: 'tags', from: recorded('2025-01-17'), answer: { Tags: [{ TagKey: text, TagValue: text }], ...page } },
  { operation: 'ListRetirableGrants', what: 'grants', from: model, answer: { Grants: [grant], ...page }, ask: async () => {
    await granted(w, await create(w), { RetiringPrincipal: user('retirer'), Name: 'named' });
    return { input: { RetiringPrincipal: user('retirer') } };
  } },
  { operation: 'PutKeyPolicy', what: 'nothing', from: model, answer: nothing },
  { operation: 'ReEncrypt', what: 'symmetric', from: recorded('2025-06-09'), answer: { CiphertextBlob: bytes, SourceKeyId: text, KeyId: text, SourceEncryptionAlgorithm: text, DestinationEncryptionAlgorithm: text, SourceKeyMaterialId: text, DestinationKeyMaterialId: text } },
  { operation: 'ReEncrypt', what: 'to RSA', from: recorded('2025-06-09'), answer: { CiphertextBlob: bytes, SourceKeyId: text, KeyId: text, SourceEncryptionAlgorithm: text, DestinationEncryptionAlgorithm: text, SourceKeyMaterialId: text }, ask: async () => ({
    input: { ...(await good.ReEncrypt(w)).input, DestinationKeyId: (await rsa('ENCRYPT_DECRYPT')).KeyId, DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_1' },
  }) },
  { operation: 'ReplicateKey', what: 'without tags', from: recorded('2025-11-10'), answer: { ReplicaKeyMetadata: { ...symmetric, MultiRegionConfiguration: { MultiRegionKeyType: text, PrimaryKey: place, ReplicaKeys: [place] } }, ReplicaPolicy: text } },
  { operation: 'ReplicateKey', what: 'with tags', from: model, answer: { ReplicaKeyMetadata: { ...symmetric, MultiRegionConfiguration: { MultiRegionKeyType: text, PrimaryKey: place, ReplicaKeys: [place] } }, ReplicaPolicy: text, ReplicaTags: [{ TagKey: text, TagValue: text }] }, ask: async () => ({
    input: { ...(await good.ReplicateKey(w)).input, Tags: [{ TagKey: 'a', TagValue: '' }] },
  }) },
  { operation: 'RetireGrant', what: 'nothing', from: model, answer: nothing },
  { operation: 'RevokeGrant', what: 'nothing', from: model, answer: nothing },
  { operation: 'RotateKeyOnDemand', what: 'the ARN', from: recorded('2025-11-06'), answer: { KeyId: text } },
  { operation: 'ScheduleKeyDeletion', what: 'when', from: model, answer: { KeyId: text, DeletionDate: number, KeyState: text, PendingWindowInDays: number } },
  { operation: 'ScheduleKeyDeletion', what: 'a primary with replicas: no date', from: model, answer: { KeyId: text, KeyState: text, PendingWindowInDays: number }, ask: async () => {
    const { input: { KeyId, ReplicaRegion } } = await good.ReplicateKey(w);
    await w.call('ReplicateKey', { KeyId, ReplicaRegion });
    return { input: { KeyId } };
  } },
  { operation: 'Sign', what: 'the signature', from: recorded('2023-04-13'), answer: { KeyId: text, Signature: bytes, SigningAlgorithm: text } },
  { operation: 'TagResource', what: 'nothing', from: model, answer: nothing },
  { operation: 'UntagResource', what: 'nothing', from: model, answer: nothing },
  { operation: 'UpdateAlias', what: 'nothing', from: model, answer: nothing },
  { operation: 'UpdateKeyDescription', what: 'nothing', from: model, answer: nothing },
  { operation: 'UpdatePrimaryRegion', what: 'nothing', from: model, answer: nothing },
  { operation: 'Verify', what: 'valid', from: recorded('2023-04-13'), answer: { KeyId: text, SignatureValid: flag, SigningAlgorithm: text } },
  { operation: 'VerifyMac', what: 'valid', from: recorded('2023-11-07'), answer: { KeyId: text, MacValid: flag, MacAlgorithm: text } },
];

describe.each(cases.map((one) => ({ ...one, said: `${one.from.source}, ${one.from.date}` })))('$operation, $what ($said)', ({ operation, answer, ask }) => {
  test('has exactly these members', async () => {
    const { input, as } = await (ask?.() ?? good[operation](w));
    const body = await w.call(operation, input, as);
    expect(shapeOf(body)).toEqual(answer);
    const output = outputOf(operation);
    // Empty: the model has no shape for it.
    expect(output === undefined ? Object.keys(body) : complaints(output, body, operation)).toEqual([]);
  });
});

test('every operation is shown', () => {
  const shown = new Set<string>([...cases.map(({ operation }) => operation), ...keyStoreOperations]);
  expect(ours.filter((name) => !shown.has(name))).toEqual([]);
});

/** Which members are ARNs and which are bare ids: model and recordings agree, clients rely on it. */
describe('names of keys in answers', () => {
  const arns: readonly (keyof typeof good)[] = [
    'CancelKeyDeletion', 'Decapsulate', 'Decrypt', 'DeleteImportedKeyMaterial', 'DeriveSharedSecret', 'Encapsulate', 'Encrypt', 'GenerateDataKey', 'GenerateDataKeyPair',
    'GenerateDataKeyPairWithoutPlaintext', 'GenerateDataKeyWithoutPlaintext', 'GenerateMac', 'GetKeyRotationStatus', 'GetParametersForImport', 'GetPublicKey', 'ImportKeyMaterial',
    'ReEncrypt', 'RotateKeyOnDemand', 'ScheduleKeyDeletion', 'Sign', 'Verify', 'VerifyMac',
  ];
  test.each(arns)('%s names the ARN', async (operation) => {
    const { key, input } = await good[operation](w);
    const body = await w.call(operation, input);
    expect(body.KeyId).toBe(key.Arn);
    if (operation === 'ReEncrypt') expect(body.SourceKeyId).toBe(key.Arn);
  });
  test('lists and metadata name the id, grants the ARN', async () => {
    const key = await create(w);
    expect(key.Arn.endsWith(`:key/${key.KeyId}`)).toBe(true);
    await w.call('CreateAlias', { AliasName: freshAlias(), TargetKeyId: key.Arn });
    expect((await w.call('ListAliases', { KeyId: key.KeyId })).Aliases[0].TargetKeyId).toBe(key.KeyId);
    await granted(w, key);
    expect((await w.call('ListGrants', { KeyId: key.KeyId })).Grants[0].KeyId).toBe(key.Arn);
    await w.call('RotateKeyOnDemand', { KeyId: key.KeyId });
    expect((await w.call('ListKeyRotations', { KeyId: key.KeyId })).Rotations[0].KeyId).toBe(key.KeyId);
    expect((await w.call('GetKeyLastUsage', { KeyId: key.Arn })).KeyId).toBe(key.KeyId);
  });
});

test('the detector detects: a member more, one fewer, one of another type', () => {
  expect(complaints('EncryptResponse', { KeyId: 'k', Odd: 1 })).toEqual(['EncryptResponse.Odd is not in the model']);
  expect(complaints('KeyMetadata', {})).toEqual(['KeyMetadata.KeyId is missing']);
  expect(complaints('KeyMetadata', { KeyId: 'k', CreationDate: 1.7e12, KeyState: 'Fine' })).toEqual(['KeyMetadata.CreationDate: 1700000000000 is no time in seconds', 'KeyMetadata.KeyState: Fine is none of the set']);
  expect(shapeOf({ KeyId: 'k', Plaintext: Buffer.alloc(1) })).not.toEqual({ KeyId: text });
});
