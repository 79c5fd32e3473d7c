/** Every condition key that AWS lists for KMS, and the general ones, asked by an identity policy of a request that carries it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { home, makeWorld, otherRegion, region, type As, type Body, type World } from './world.ts';

const alice = `arn:aws:iam::${home}:user/alice`;
const bob = `arn:aws:iam::${home}:user/bob`;
let w: World;
let blob: Buffer;
let ids: Record<'symmetric' | 'external' | 'mac' | 'signer' | 'agreer' | 'multi' | 'tagged', string>;

beforeAll(async () => {
  w = await makeWorld();
  const create = async (input: Body = {}): Promise<string> => (await w.call('CreateKey', input)).KeyMetadata.KeyId as string;
  ids = {
    symmetric: await create(), external: await create({ Origin: 'EXTERNAL' }), mac: await create({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }),
    signer: await create({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }), agreer: await create({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' }),
    multi: await create({ MultiRegion: true }), tagged: await create({ Tags: [{ TagKey: 'team', TagValue: 'red' }] }),
  };
  blob = (await w.call('Encrypt', { KeyId: ids.symmetric, ...plain })).CiphertextBlob as Buffer;
  await w.call('CreateAlias', { AliasName: 'alias/here', TargetKeyId: ids.symmetric });
});
afterAll(() => w.close());

/** Key, operator, what fits and what does not; the request; who asks, where that matters. */
type Row = readonly [key: string, operator: string, fits: string | readonly string[], not: string | readonly string[], operation: string, input: () => Body, as?: Partial<As>];

const plain = { Plaintext: Buffer.from('x') };
const message = { Message: Buffer.alloc(32), MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256', DryRun: true };
const grant = (): Body => ({ KeyId: ids.symmetric, GranteePrincipal: bob, RetiringPrincipal: alice, Operations: ['Encrypt', 'Decrypt'], Constraints: { EncryptionContextSubset: { a: 'b' } }, DryRun: true });
const material = (): Body => ({ KeyId: ids.external, ImportToken: Buffer.alloc(64), EncryptedKeyMaterial: Buffer.alloc(256), ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: Math.floor(w.now() / 1000) + 1000 });
const parameters = (): Body => ({ KeyId: ids.external, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' });
const describeIt = (): Body => ({ KeyId: ids.symmetric });
const ahead = (ms: number): string => new Date(Date.now() + ms).toISOString();

const table: readonly Row[] = [
  ['kms:BypassPolicyLockoutSafetyCheck', 'Bool', 'true', 'false', 'CreateKey', () => ({ BypassPolicyLockoutSafetyCheck: true })],
  ['kms:CallerAccount', 'StringEquals', home, '444455556666', 'DescribeKey', describeIt],
  ['kms:CustomerMasterKeySpec', 'StringEquals', 'ECC_NIST_P256', 'RSA_2048', 'CreateKey', () => ({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })],
  ['kms:CustomerMasterKeyUsage', 'StringEquals', 'SIGN_VERIFY', 'ENCRYPT_DECRYPT', 'CreateKey', () => ({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })],
  ['kms:DataKeyPairSpec', 'StringEquals', 'ECC_NIST_P256', 'RSA_2048', 'GenerateDataKeyPairWithoutPlaintext', () => ({ KeyId: ids.symmetric, KeyPairSpec: 'ECC_NIST_P256', DryRun: true })],
  ['kms:EncryptionAlgorithm', 'StringEquals', 'SYMMETRIC_DEFAULT', 'RSAES_OAEP_SHA_256', 'Encrypt', () => ({ KeyId: ids.symmetric, ...plain })],
  ['kms:EncryptionContext:tenant', 'StringEquals', 'a', 'b', 'Encrypt', () => ({ KeyId: ids.symmetric, ...plain, EncryptionContext: { tenant: 'a', more: 'b' } })],
  ['kms:EncryptionContextKeys', 'ForAnyValue:StringEquals', 'tenant', 'other', 'Encrypt', () => ({ KeyId: ids.symmetric, ...plain, EncryptionContext: { tenant: 'a', more: 'b' } })],
  ['kms:ExpirationModel', 'StringEquals', 'KEY_MATERIAL_EXPIRES', 'KEY_MATERIAL_DOES_NOT_EXPIRE', 'ImportKeyMaterial', material],
  ['kms:GrantConstraintType', 'StringEquals', 'EncryptionContextSubset', 'EncryptionContextEquals', 'CreateGrant', grant],
  ['kms:GrantIsForAWSResource', 'Bool', 'false', 'true', 'CreateGrant', grant],
  ['kms:GrantOperations', 'ForAllValues:StringEquals', ['Encrypt', 'Decrypt', 'DescribeKey'], 'Encrypt', 'CreateGrant', grant],
  ['kms:GranteePrincipal', 'StringEquals', bob, alice, 'CreateGrant', grant],
  ['kms:KeyAgreementAlgorithm', 'StringEquals', 'ECDH', 'X', 'DeriveSharedSecret', () => ({ KeyId: ids.agreer, KeyAgreementAlgorithm: 'ECDH', PublicKey: Buffer.alloc(91), DryRun: true })],
  ['kms:KeyOrigin', 'StringEquals', 'EXTERNAL', 'AWS_KMS', 'CreateKey', () => ({ Origin: 'EXTERNAL' })],
  ['kms:KeySpec', 'StringEquals', 'SYMMETRIC_DEFAULT', 'RSA_2048', 'DescribeKey', describeIt],
  ['kms:KeyUsage', 'StringEquals', 'ENCRYPT_DECRYPT', 'SIGN_VERIFY', 'DescribeKey', describeIt],
  ['kms:MacAlgorithm', 'StringEquals', 'HMAC_SHA_256', 'HMAC_SHA_512', 'GenerateMac', () => ({ KeyId: ids.mac, Message: Buffer.from('x'), MacAlgorithm: 'HMAC_SHA_256' })],
  ['kms:MessageType', 'StringEquals', 'DIGEST', 'RAW', 'Sign', () => ({ KeyId: ids.signer, ...message })],
  ['kms:MultiRegion', 'Bool', 'true', 'false', 'CreateKey', () => ({ MultiRegion: true })],
  ['kms:MultiRegionKeyType', 'StringEquals', 'PRIMARY', 'REPLICA', 'DescribeKey', () => ({ KeyId: ids.multi })],
  ['kms:PolicyName', 'StringEquals', 'default', 'other', 'GetKeyPolicy', () => ({ KeyId: ids.symmetric, PolicyName: 'default' })],
  ['kms:PrimaryRegion', 'StringEquals', otherRegion, region, 'UpdatePrimaryRegion', () => ({ KeyId: ids.multi, PrimaryRegion: otherRegion })],
  ['kms:ReEncryptOnSameKey', 'Bool', 'true', 'false', 'ReEncrypt', () => ({ CiphertextBlob: blob, DestinationKeyId: ids.symmetric })],
  ['kms:ReplicaRegion', 'StringEquals', otherRegion, region, 'ReplicateKey', () => ({ KeyId: ids.symmetric, ReplicaRegion: otherRegion })],
  ['kms:RequestAlias', 'StringEquals', 'alias/here', 'alias/there', 'Encrypt', () => ({ KeyId: 'alias/here', ...plain })],
  ['kms:ResourceAliases', 'ForAnyValue:StringEquals', 'alias/here', 'alias/there', 'DescribeKey', describeIt],
  ['kms:RetiringPrincipal', 'StringEquals', alice, bob, 'CreateGrant', grant],
  ['kms:RotationPeriodInDays', 'NumericLessThanEquals', '100', '99', 'EnableKeyRotation', () => ({ KeyId: ids.symmetric, RotationPeriodInDays: 100 })],
  ['kms:ScheduleKeyDeletionPendingWindowInDays', 'NumericGreaterThan', '6', '7', 'ScheduleKeyDeletion', () => ({ KeyId: ids.external, PendingWindowInDays: 7 })],
  ['kms:SigningAlgorithm', 'StringEquals', 'ECDSA_SHA_256', 'ECDSA_SHA_384', 'Sign', () => ({ KeyId: ids.signer, ...message })],
  ['kms:ValidTo', 'DateLessThan', ahead(86_400_000), ahead(-86_400_000), 'ImportKeyMaterial', material],
  ['kms:ViaService', 'StringEquals', `s3.${region}.amazonaws.com`, `ec2.${region}.amazonaws.com`, 'DescribeKey', describeIt, { caller: { viaService: `s3.${region}.amazonaws.com` } }],
  ['kms:WrappingAlgorithm', 'StringEquals', 'RSAES_OAEP_SHA_256', 'RSAES_OAEP_SHA_1', 'GetParametersForImport', parameters],
  ['kms:WrappingKeySpec', 'StringEquals', 'RSA_2048', 'RSA_4096', 'GetParametersForImport', parameters],
  ['aws:PrincipalArn', 'ArnLike', `arn:aws:iam::${home}:user/al*`, bob, 'DescribeKey', describeIt],
  ['aws:SourceIp', 'IpAddress', '10.0.0.0/8', '11.0.0.0/8', 'DescribeKey', describeIt, { sourceIp: '10.1.2.3' }],
  ['aws:SourceArn', 'ArnEquals', 'arn:aws:s3:::bucket', 'arn:aws:s3:::other', 'DescribeKey', describeIt, { caller: { facts: { 'aws:SourceArn': 'arn:aws:s3:::bucket' } } }],
  ['aws:SourceAccount', 'StringEquals', home, '444455556666', 'DescribeKey', describeIt, { caller: { facts: { 'aws:SourceAccount': home } } }],
  ['aws:PrincipalTag/team', 'StringEquals', 'red', 'blue', 'DescribeKey', describeIt, { caller: { tags: { team: 'red' } } }],
  ['aws:RequestTag/team', 'StringEquals', 'red', 'blue', 'TagResource', () => ({ KeyId: ids.symmetric, Tags: [{ TagKey: 'team', TagValue: 'red' }] })],
  ['aws:ResourceTag/team', 'StringEquals', 'red', 'blue', 'DescribeKey', () => ({ KeyId: ids.tagged })],
  ['aws:TagKeys', 'ForAllValues:StringEquals', ['team', 'other'], 'other', 'TagResource', () => ({ KeyId: ids.symmetric, Tags: [{ TagKey: 'team', TagValue: 'red' }] })],
  ['aws:CurrentTime', 'DateGreaterThan', ahead(-86_400_000), ahead(86_400_000), 'DescribeKey', describeIt],
  ['aws:SecureTransport', 'Bool', 'true', 'false', 'DescribeKey', describeIt],
  ['aws:MultiFactorAuthPresent', 'Bool', 'false', 'true', 'DescribeKey', describeIt, { caller: { facts: { 'aws:MultiFactorAuthPresent': 'false' } } }],
];

const allowed = async (operation: string, input: Body, as: Partial<As>, condition: Body): Promise<boolean> => {
  w.let(alice, { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'kms:*', Resource: '*', Condition: condition }] });
  const answer = await w.ask(operation, input, { who: 'user/alice', ...as });
  return answer.ok || answer.error.code !== 'AccessDeniedException';
};

describe('a policy that allows only where it fits', () => {
  it.each(table.map((row) => [row[0], row] as const))('%s', async (key, [, operator, fits, not, operation, input, as = {}]) => {
    expect(await allowed(operation, input(), as, { [operator]: { [key]: not } }), 'what does not fit').toBe(false);
    expect(await allowed(operation, input(), as, { Null: { [key]: 'true' } }), 'the request carries it').toBe(false);
    expect(await allowed(operation, input(), as, { [operator]: { [key.toUpperCase()]: fits } }), 'what fits').toBe(true);
  });

  it('aws:PrincipalOrgID is there never: no account is in an organization', async () => {
    expect(await allowed('DescribeKey', describeIt(), {}, { StringEquals: { 'aws:PrincipalOrgID': 'o-1' } })).toBe(false);
    expect(await allowed('DescribeKey', describeIt(), {}, { Null: { 'aws:PrincipalOrgID': 'true' } })).toBe(true);
  });
});
