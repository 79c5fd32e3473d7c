/** The key-state table, cell by cell, on real keys. Texts as AWS's developer guide numbers them. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changed, keyStates, type KeyRecord, type KeyState } from '../../src/kms/records.ts';
import type { Row } from '../../src/store/store.ts';
import { operationNames } from '../../src/kms/operations/table.ts';
import { forever, importing, keyStoreOperations } from './parity/kit.ts';
import { home, makeWorld, otherRegion, region, type Body, type World } from './world.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

const bytes = Buffer.from('message');
const digest = Buffer.alloc(32, 1);
const states = ['Enabled', 'Disabled', 'PendingImport', 'PendingDeletion', 'Unavailable', 'Creating', 'Updating', 'PendingReplicaDeletion'] as const;

/** ok, or the number of the text. */
const texts: Readonly<Record<string, (arn: string, origin: string) => readonly [string, string | undefined]>> = {
  1: (arn) => ['DisabledException', `${arn} is disabled.`],
  3: (arn) => ['KMSInvalidStateException', `${arn} is pending deletion.`],
  '3r': (arn) => ['KMSInvalidStateException', `${arn} is pending replica deletion.`],
  4: (arn) => ['KMSInvalidStateException', `${arn} is not pending deletion.`],
  5: (arn) => ['KMSInvalidStateException', `${arn} is pending import.`],
  7: () => ['UnsupportedOperationException', undefined],
  6: (arn, origin) => ['UnsupportedOperationException', `${arn} origin is ${origin} which is not valid for this operation.`],
  11: (arn) => ['KMSInvalidStateException', `${arn} is unavailable.`],
  c: (arn) => ['KMSInvalidStateException', `${arn} is creating.`],
  u: (arn) => ['KMSInvalidStateException', `${arn} is updating.`],
};

const cryptography = 'ok 1 5 3 11 c ok 3r';
const everywhere = 'ok ok ok ok ok ok ok ok';
const wrapping = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' };
const edit = 'ok ok ok 3 ok ok ok 3r';

interface Line {
  readonly operation: string;
  /** In the order of `states`. */
  readonly cells: string;
  readonly spec?: string;
  readonly usage?: string;
  readonly origin?: string;
  /** Unless nothing but KeyId. */
  readonly input?: (key: Body) => Body | Promise<Body>;
}

const lines: readonly Line[] = [
  { operation: 'Encrypt', cells: cryptography, input: () => ({ Plaintext: bytes }) },
  { operation: 'Decrypt', cells: cryptography, input: async (key) => ({ CiphertextBlob: (await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: bytes })).CiphertextBlob }) },
  { operation: 'ReEncrypt', cells: cryptography, input: async (key) => ({ CiphertextBlob: (await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: bytes })).CiphertextBlob, DestinationKeyId: key.KeyId }) },
  { operation: 'GenerateDataKey', cells: cryptography, input: () => ({ KeySpec: 'AES_256' }) },
  { operation: 'GenerateDataKeyWithoutPlaintext', cells: cryptography, input: () => ({ KeySpec: 'AES_256' }) },
  { operation: 'GenerateDataKeyPair', cells: cryptography, input: () => ({ KeyPairSpec: 'ECC_NIST_P256' }) },
  { operation: 'GenerateDataKeyPairWithoutPlaintext', cells: cryptography, input: () => ({ KeyPairSpec: 'ECC_NIST_P256' }) },
  { operation: 'Sign', cells: cryptography, spec: 'ECC_NIST_P256', usage: 'SIGN_VERIFY', input: () => ({ Message: digest, MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' }) },
  { operation: 'Verify', cells: cryptography, spec: 'ECC_NIST_P256', usage: 'SIGN_VERIFY', input: async (key) => ({ Message: bytes, SigningAlgorithm: 'ECDSA_SHA_256', Signature: (await w.call('Sign', { KeyId: key.KeyId, Message: bytes, SigningAlgorithm: 'ECDSA_SHA_256' })).Signature }) },
  { operation: 'GetPublicKey', cells: cryptography, spec: 'ECC_NIST_P256', usage: 'SIGN_VERIFY' },
  { operation: 'GenerateMac', cells: cryptography, spec: 'HMAC_256', usage: 'GENERATE_VERIFY_MAC', input: () => ({ Message: bytes, MacAlgorithm: 'HMAC_SHA_256' }) },
  { operation: 'VerifyMac', cells: cryptography, spec: 'HMAC_256', usage: 'GENERATE_VERIFY_MAC', input: async (key) => ({ Message: bytes, MacAlgorithm: 'HMAC_SHA_256', Mac: (await w.call('GenerateMac', { KeyId: key.KeyId, Message: bytes, MacAlgorithm: 'HMAC_SHA_256' })).Mac }) },
  { operation: 'DeriveSharedSecret', cells: cryptography, spec: 'ECC_NIST_P256', usage: 'KEY_AGREEMENT', input: async (key) => ({ KeyAgreementAlgorithm: 'ECDH', PublicKey: (await w.call('GetPublicKey', { KeyId: key.KeyId })).PublicKey }) },
  { operation: 'Encapsulate', cells: cryptography, spec: 'ML_KEM_768', usage: 'ENCAPSULATE_DECAPSULATE', input: () => ({ EncapsulationAlgorithm: 'ML_KEM' }) },
  { operation: 'Decapsulate', cells: cryptography, spec: 'ML_KEM_768', usage: 'ENCAPSULATE_DECAPSULATE', input: () => ({ EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob: Buffer.alloc(1088) }) },
  { operation: 'CreateGrant', cells: 'ok 1 5 3 ok ok ok 3r', input: () => ({ GranteePrincipal: `arn:aws:iam::${home}:user/alice`, Operations: ['Encrypt'] }) },
  { operation: 'CancelKeyDeletion', cells: '4 4 4 ok 4 4 4 ok' },
  { operation: 'ScheduleKeyDeletion', cells: 'ok ok ok 3 ok c u 3r' },
  { operation: 'EnableKey', cells: 'ok ok 5 3 ok ok u 3r' },
  { operation: 'DisableKey', cells: 'ok ok 5 3 ok ok u 3r' },
  { operation: 'EnableKeyRotation', cells: 'ok 1 6 3 ok ok ok 3r' },
  { operation: 'DisableKeyRotation', cells: 'ok 1 6 3 ok ok ok 3r' },
  { operation: 'GetKeyRotationStatus', cells: 'ok ok 6 ok ok ok ok ok' },
  { operation: 'RotateKeyOnDemand', cells: 'ok 1 5 3 ok c u 3r' },
  // Of a key that cannot rotate: 1 or 7, 3 or 7.
  { operation: 'EnableKeyRotation', cells: '7 1 7 3 7 7 7 3r', spec: 'HMAC_256', usage: 'GENERATE_VERIFY_MAC' },
  { operation: 'DisableKeyRotation', cells: '7 1 7 3 7 7 7 3r', spec: 'HMAC_256', usage: 'GENERATE_VERIFY_MAC' },
  { operation: 'GetKeyRotationStatus', cells: '7 7 7 7 7 7 7 7', spec: 'HMAC_256', usage: 'GENERATE_VERIFY_MAC' },
  { operation: 'RotateKeyOnDemand', cells: '7 1 5 3 7 c u 3r', spec: 'HMAC_256', usage: 'GENERATE_VERIFY_MAC' },
  { operation: 'GetParametersForImport', cells: 'ok ok ok 3 ok ok ok 3r', origin: 'EXTERNAL', input: () => wrapping },
  { operation: 'ImportKeyMaterial', cells: 'ok ok ok 3 ok ok ok 3r', origin: 'EXTERNAL', input: (key) => importing(w, key.KeyId, randomBytes(32)) },
  { operation: 'DeleteImportedKeyMaterial', cells: everywhere, origin: 'EXTERNAL' },
  // A key pending import is of origin EXTERNAL; of all others the origin is refused, or the state.
  { operation: 'GetParametersForImport', cells: '6 6 ok 3 6 6 6 3r', input: () => wrapping },
  { operation: 'ImportKeyMaterial', cells: '6 6 - 3 6 6 6 3r', input: () => ({ ...forever, ImportToken: Buffer.alloc(1), EncryptedKeyMaterial: Buffer.alloc(1) }) },
  { operation: 'DeleteImportedKeyMaterial', cells: '6 6 ok 6 6 6 6 6' },
  { operation: 'TagResource', cells: edit, input: () => ({ Tags: [{ TagKey: 'a', TagValue: 'b' }] }) },
  { operation: 'UntagResource', cells: edit, input: () => ({ TagKeys: ['a'] }) },
  { operation: 'UpdateKeyDescription', cells: edit, input: () => ({ Description: 'new' }) },
  { operation: 'CreateAlias', cells: edit, input: (key) => ({ AliasName: `alias/${key.KeyId}-${Math.random()}`.replaceAll('.', ''), TargetKeyId: key.KeyId }) },
  { operation: 'UpdateAlias', cells: edit, input: async (key) => {
    const other = (await w.call('CreateKey')).KeyMetadata;
    const AliasName = `alias/moves-${key.KeyId}`;
    await w.call('CreateAlias', { AliasName, TargetKeyId: other.KeyId });
    return { AliasName, TargetKeyId: key.KeyId };
  } },
  { operation: 'DeleteAlias', cells: everywhere, input: async (key) => {
    const AliasName = `alias/goes-${key.KeyId}`;
    await w.call('CreateAlias', { AliasName, TargetKeyId: key.KeyId });
    return { AliasName };
  } },
  { operation: 'ReplicateKey', cells: 'ok 1 ok 3 11 c u 3r', input: () => ({ ReplicaRegion: otherRegion }) },
  { operation: 'UpdatePrimaryRegion', cells: 'ok 1 ok 3 11 c u 3r', input: async (key) => {
    await w.call('ReplicateKey', { KeyId: key.KeyId, ReplicaRegion: otherRegion });
    return { PrimaryRegion: otherRegion };
  } },
  { operation: 'DescribeKey', cells: everywhere },
  { operation: 'GetKeyPolicy', cells: everywhere },
  { operation: 'PutKeyPolicy', cells: everywhere, input: async (key) => ({ Policy: (await w.call('GetKeyPolicy', { KeyId: key.KeyId })).Policy }) },
  { operation: 'ListKeyPolicies', cells: everywhere },
  { operation: 'ListAliases', cells: everywhere },
  { operation: 'ListGrants', cells: everywhere },
  { operation: 'ListResourceTags', cells: everywhere },
  { operation: 'ListKeyRotations', cells: everywhere },
  { operation: 'GetKeyLastUsage', cells: everywhere },
  { operation: 'RevokeGrant', cells: everywhere, input: async (key) => ({ GrantId: (await w.call('CreateGrant', { KeyId: key.KeyId, GranteePrincipal: `arn:aws:iam::${home}:user/bob`, Operations: ['Decrypt'] })).GrantId }) },
  { operation: 'RetireGrant', cells: everywhere, input: async (key) => ({ KeyId: key.Arn, GrantId: (await w.call('CreateGrant', { KeyId: key.KeyId, GranteePrincipal: `arn:aws:iam::${home}:user/bob`, Operations: ['Decrypt'] })).GrantId }) },
];
/** They have no key, so no state. */
const keyless = ['CreateKey', 'GenerateRandom', 'ListKeys', 'ListRetirableGrants', ...keyStoreOperations];
const notKeyed = new Set(['CreateAlias', 'UpdateAlias', 'DeleteAlias', 'ReEncrypt']);

/** The states that no request leads to in one step are written into the record. */
async function put(keyId: string, state: KeyState): Promise<void> {
  await w.store.tx(async (tx) => {
    const row = await tx.get<KeyRecord>('key', `${home}/${region}/${keyId}`) as Row<KeyRecord>;
    const deletion = state === 'PendingDeletion' ? { scheduledMs: w.now(), windowDays: 7, dueMs: w.now() + 7 * 86_400_000 } : state === 'PendingReplicaDeletion' ? { scheduledMs: w.now(), windowDays: 7 } : undefined;
    tx.update(row, { body: { ...changed(row.body, { deletion }), state, ...(state === 'PendingImport' ? { origin: 'EXTERNAL' } : {}) } });
  });
}

describe.each(lines)('$operation $spec $origin', ({ operation, cells, spec = 'SYMMETRIC_DEFAULT', usage = 'ENCRYPT_DECRYPT', origin = 'AWS_KMS', input }) => {
  const expected = cells.split(' ');
  const table = states.map((state, i) => [state, expected[i] as string] as const).filter(([, cell]) => cell !== '-');
  test.each(table)('%s: %s', async (state, cell) => {
    const key = (await w.call('CreateKey', { KeySpec: spec, KeyUsage: usage, Origin: origin, MultiRegion: operation === 'ReplicateKey' || operation === 'UpdatePrimaryRegion' })).KeyMetadata;
    const given = { ...(notKeyed.has(operation) ? {} : { KeyId: key.KeyId }), ...(await input?.(key)) };
    await put(key.KeyId, state);
    const answer = await w.ask(operation, given);
    const text = texts[cell];
    if (text === undefined) {
      expect(answer, w.log.slice(-1).join()).toMatchObject({ ok: true });
      return;
    }
    const [code, message] = text(key.Arn, state === 'PendingImport' ? 'EXTERNAL' : origin);
    expect(answer).toEqual({ ok: false, error: { code, message, status: 400 } });
  });
});

test('every operation has its line', () => {
  const known = new Set<string>([...keyless, ...lines.map(({ operation }) => operation)]);
  expect(operationNames.filter((name) => !known.has(name))).toEqual([]);
  for (const { operation, cells } of lines) expect(cells.split(' ').length, operation).toBe(keyStates.length);
  expect([...states].sort()).toEqual([...keyStates].sort());
});

test('an alias leaves a key that is pending deletion', async () => {
  const [from, to] = [(await w.call('CreateKey')).KeyMetadata, (await w.call('CreateKey')).KeyMetadata];
  await w.call('CreateAlias', { AliasName: 'alias/leaves', TargetKeyId: from.KeyId });
  await put(from.KeyId, 'PendingDeletion');
  await w.call('UpdateAlias', { AliasName: 'alias/leaves', TargetKeyId: to.KeyId });
});
