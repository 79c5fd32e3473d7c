/** Requests that succeed, one an operation, and the keys they speak of: what every other case bends. */
import { constants, createPublicKey, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import type { OperationName } from '../../../src/kms/operations/table.ts';
import { changed, type KeyRecord, type KeyState } from '../../../src/kms/records.ts';
import type { Row } from '../../../src/store/store.ts';
import { home, otherRegion, region, type As, type Body, type World } from '../world.ts';

export interface Request {
  readonly input: Body;
  /** The metadata of the key that is named, where one is. */
  readonly key?: Body;
  readonly as?: As;
}

export const message = Buffer.from('message');
export const user = (name: string): string => `arn:aws:iam::${home}:user/${name}`;
export const policy = (...statements: Body[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements });
export const everything = { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${home}:root` }, Action: 'kms:*', Resource: '*' };
export const unknownKey = '12345678-1234-1234-1234-123456789012';
export const forever = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' };
const peer = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({ format: 'der', type: 'spki' });

export const create = async (w: World, input: Body = {}): Promise<Body> => (await w.call('CreateKey', input)).KeyMetadata;
export const external = (w: World): Promise<Body> => create(w, { Origin: 'EXTERNAL' });

/** A fresh alias: a name that nobody has. */
export const freshAlias = (): string => `alias/${randomBytes(8).toString('hex')}`;

export function wrapped(publicKey: Buffer, material: Buffer): Buffer {
  return publicEncrypt({ key: createPublicKey({ key: publicKey, format: 'der', type: 'spki' }), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, material);
}

export async function importing(w: World, KeyId: string, material: Buffer): Promise<Body> {
  const { ImportToken, PublicKey } = await w.call('GetParametersForImport', { KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' });
  return { KeyId, ImportToken, EncryptedKeyMaterial: wrapped(PublicKey, material), ...forever };
}

/** A key of EXTERNAL origin with its material. */
export async function imported(w: World, input: Body = {}): Promise<Body> {
  const key = await create(w, { Origin: 'EXTERNAL', ...input });
  await w.call('ImportKeyMaterial', await importing(w, key.KeyId, randomBytes(32)));
  return key;
}

export async function granted(w: World, key: Body, more: Body = {}): Promise<Body> {
  return w.call('CreateGrant', { KeyId: key.KeyId, GranteePrincipal: user('alice'), RetiringPrincipal: user('bob'), Operations: ['Encrypt'], ...more });
}

/** States that no request leads to in one step are written into the record. */
export async function put(w: World, keyId: string, state: KeyState): Promise<void> {
  await w.store.tx(async (tx) => {
    const row = await tx.get<KeyRecord>('key', `${home}/${region}/${keyId}`) as Row<KeyRecord>;
    const dueMs = w.now() + 7 * 86_400_000;
    const deletion = state === 'PendingDeletion' ? { scheduledMs: w.now(), windowDays: 7, dueMs } : state === 'PendingReplicaDeletion' ? { scheduledMs: w.now(), windowDays: 7 } : undefined;
    tx.update(row, { body: { ...changed(row.body, { deletion }), state } });
  });
}

/** A key, and what names it. */
const keyed = async (w: World, key: Body | undefined, more: Body = {}): Promise<Request> => {
  const own = key ?? (await create(w));
  return { key: own, input: { KeyId: own.KeyId, ...more } };
};
const signing = (w: World) => create(w, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
const mac = (w: World) => create(w, { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
const kem = (w: World) => create(w, { KeySpec: 'ML_KEM_512', KeyUsage: 'ENCAPSULATE_DECAPSULATE' });
const several = (w: World) => create(w, { MultiRegion: true });

/** keystores.test.ts shows them: keys in other people's hands take a proxy or a module. */
export const keyStoreOperations = [
  'ConnectCustomKeyStore', 'CreateCustomKeyStore', 'DeleteCustomKeyStore', 'DescribeCustomKeyStores', 'DisconnectCustomKeyStore', 'UpdateCustomKeyStore',
] as const;

/** One that succeeds, of each operation. */
export const good: Readonly<Record<Exclude<OperationName, (typeof keyStoreOperations)[number]>, (w: World) => Promise<Request>>> = {
  async CancelKeyDeletion(w) {
    const key = await create(w);
    await w.call('ScheduleKeyDeletion', { KeyId: key.KeyId });
    return keyed(w, key);
  },
  async CreateAlias(w) {
    const key = await create(w);
    return { key, input: { AliasName: freshAlias(), TargetKeyId: key.KeyId } };
  },
  CreateGrant: (w) => keyed(w, undefined, { GranteePrincipal: user('alice'), Operations: ['Encrypt'] }),
  CreateKey: () => Promise.resolve({ input: {} }),
  async Decapsulate(w) {
    const key = await kem(w);
    const { SharedSecretCiphertextBlob } = await w.call('Encapsulate', { KeyId: key.KeyId, EncapsulationAlgorithm: 'ML_KEM' });
    return keyed(w, key, { EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob });
  },
  async Decrypt(w) {
    const key = await create(w);
    return keyed(w, key, { CiphertextBlob: (await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: message })).CiphertextBlob });
  },
  async DeleteAlias(w) {
    const { key, input: { AliasName, TargetKeyId } } = await good.CreateAlias(w);
    await w.call('CreateAlias', { AliasName, TargetKeyId });
    return { key, input: { AliasName } };
  },
  DeleteImportedKeyMaterial: async (w) => keyed(w, await imported(w)),
  DeriveSharedSecret: async (w) => keyed(w, await create(w, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' }), { KeyAgreementAlgorithm: 'ECDH', PublicKey: peer }),
  DescribeKey: (w) => keyed(w, undefined),
  DisableKey: (w) => keyed(w, undefined),
  DisableKeyRotation: (w) => keyed(w, undefined),
  EnableKey: (w) => keyed(w, undefined),
  EnableKeyRotation: (w) => keyed(w, undefined),
  Encapsulate: async (w) => keyed(w, await kem(w), { EncapsulationAlgorithm: 'ML_KEM' }),
  Encrypt: (w) => keyed(w, undefined, { Plaintext: message }),
  GenerateDataKey: (w) => keyed(w, undefined, { KeySpec: 'AES_256' }),
  GenerateDataKeyPair: (w) => keyed(w, undefined, { KeyPairSpec: 'ECC_NIST_P256' }),
  GenerateDataKeyPairWithoutPlaintext: (w) => keyed(w, undefined, { KeyPairSpec: 'ECC_NIST_P256' }),
  GenerateDataKeyWithoutPlaintext: (w) => keyed(w, undefined, { NumberOfBytes: 64 }),
  GenerateMac: async (w) => keyed(w, await mac(w), { Message: message, MacAlgorithm: 'HMAC_SHA_256' }),
  GenerateRandom: () => Promise.resolve({ input: { NumberOfBytes: 32 } }),
  GetKeyLastUsage: (w) => keyed(w, undefined),
  GetKeyPolicy: (w) => keyed(w, undefined),
  GetKeyRotationStatus: (w) => keyed(w, undefined),
  GetParametersForImport: async (w) => keyed(w, await external(w), { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' }),
  GetPublicKey: async (w) => keyed(w, await signing(w)),
  async ImportKeyMaterial(w) {
    const key = await external(w);
    return { key, input: await importing(w, key.KeyId, randomBytes(32)) };
  },
  ListAliases: () => Promise.resolve({ input: {} }),
  async ListGrants(w) {
    const key = await create(w);
    await granted(w, key, { Name: 'named', Constraints: { EncryptionContextSubset: { a: 'b' } } });
    return keyed(w, key);
  },
  ListKeyPolicies: (w) => keyed(w, undefined),
  async ListKeyRotations(w) {
    const key = await create(w);
    await w.call('RotateKeyOnDemand', { KeyId: key.KeyId });
    return keyed(w, key);
  },
  ListKeys: async (w) => { await create(w); return { input: {} }; },
  ListResourceTags: async (w) => keyed(w, await create(w, { Tags: [{ TagKey: 'a', TagValue: 'b' }] })),
  async ListRetirableGrants(w) {
    await granted(w, await create(w), { Name: 'named' });
    return { input: { RetiringPrincipal: user('bob') } };
  },
  PutKeyPolicy: (w) => keyed(w, undefined, { Policy: policy(everything) }),
  async ReEncrypt(w) {
    const { key, input } = await good.Decrypt(w);
    return { key, input: { CiphertextBlob: input.CiphertextBlob, SourceKeyId: input.KeyId, DestinationKeyId: input.KeyId } };
  },
  ReplicateKey: async (w) => keyed(w, await several(w), { ReplicaRegion: otherRegion }),
  async RetireGrant(w) {
    const key = await create(w);
    return { key, input: { KeyId: key.Arn, GrantId: (await granted(w, key)).GrantId } };
  },
  async RevokeGrant(w) {
    const key = await create(w);
    return keyed(w, key, { GrantId: (await granted(w, key)).GrantId });
  },
  RotateKeyOnDemand: (w) => keyed(w, undefined),
  ScheduleKeyDeletion: (w) => keyed(w, undefined),
  Sign: async (w) => keyed(w, await signing(w), { Message: message, SigningAlgorithm: 'ECDSA_SHA_256' }),
  TagResource: (w) => keyed(w, undefined, { Tags: [{ TagKey: 'a', TagValue: 'b' }] }),
  UntagResource: (w) => keyed(w, undefined, { TagKeys: ['a'] }),
  async UpdateAlias(w) {
    const { input: { AliasName } } = await good.DeleteAlias(w);
    const key = await create(w);
    return { key, input: { AliasName, TargetKeyId: key.KeyId } };
  },
  UpdateKeyDescription: (w) => keyed(w, undefined, { Description: 'new' }),
  async UpdatePrimaryRegion(w) {
    const key = await several(w);
    await w.call('ReplicateKey', { KeyId: key.KeyId, ReplicaRegion: otherRegion });
    return keyed(w, key, { PrimaryRegion: otherRegion });
  },
  async Verify(w) {
    const { key, input } = await good.Sign(w);
    return { key, input: { ...input, Signature: (await w.call('Sign', input)).Signature } };
  },
  async VerifyMac(w) {
    const { key, input } = await good.GenerateMac(w);
    return { key, input: { ...input, Mac: (await w.call('GenerateMac', input)).Mac } };
  },
};
