import { constants, createCipheriv, createPublicKey, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { day, home, makeWorld, otherRegion, region, type As, type Body, type World } from './world.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

const forever = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' };
const create = async (input: Body = {}): Promise<Body> => (await w.call('CreateKey', { Origin: 'EXTERNAL', ...input })).KeyMetadata;
const describeKey = async (KeyId: string, as: As = {}): Promise<Body> => (await w.call('DescribeKey', { KeyId }, as)).KeyMetadata;

/** As a client wraps: OAEP alone, or an AES key by OAEP and the material under it (RFC 5649). */
function wrap(spki: Buffer, algorithm: string, material: Buffer): Buffer {
  const oaepHash = algorithm.endsWith('SHA_1') ? 'sha1' : 'sha256';
  const seal = (bytes: Buffer) => publicEncrypt({ key: createPublicKey({ key: spki, format: 'der', type: 'spki' }), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, bytes);
  if (algorithm.startsWith('RSAES_OAEP')) return seal(material);
  const aes = randomBytes(32);
  const cipher = createCipheriv('id-aes256-wrap-pad', aes, Buffer.from('a65959a6', 'hex'));
  return Buffer.concat([seal(aes), cipher.update(material), cipher.final()]);
}

async function bring(KeyId: string, material: Buffer, more: Body = forever, { algorithm = 'RSAES_OAEP_SHA_256', spec = 'RSA_2048', as = {} as As } = {}) {
  const { ImportToken, PublicKey } = await w.call('GetParametersForImport', { KeyId, WrappingAlgorithm: algorithm, WrappingKeySpec: spec }, as);
  return w.ask('ImportKeyMaterial', { KeyId, ImportToken, EncryptedKeyMaterial: wrap(PublicKey, algorithm, material), ...more }, as);
}
const brought = async (...args: Parameters<typeof bring>): Promise<Body> => {
  const answer = await bring(...args);
  if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message ?? ''} ${w.log.at(-1) ?? ''}`);
  return answer.body;
};

describe('every way in', () => {
  const wrappings = ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'RSA_AES_KEY_WRAP_SHA_1', 'RSA_AES_KEY_WRAP_SHA_256'];
  const pkcs8 = (made: { readonly privateKey: { export(options: { format: 'der'; type: 'pkcs8' }): Buffer } }) => made.privateKey.export({ format: 'der', type: 'pkcs8' });
  const ec = (namedCurve: string) => () => pkcs8(generateKeyPairSync('ec', { namedCurve }));
  const specs: readonly [string, string, () => Buffer][] = [
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', () => randomBytes(32)],
    ['HMAC_224', 'GENERATE_VERIFY_MAC', () => randomBytes(28)], ['HMAC_256', 'GENERATE_VERIFY_MAC', () => randomBytes(32)],
    ['HMAC_384', 'GENERATE_VERIFY_MAC', () => randomBytes(48)], ['HMAC_512', 'GENERATE_VERIFY_MAC', () => randomBytes(64)],
    ['RSA_2048', 'SIGN_VERIFY', () => pkcs8(generateKeyPairSync('rsa', { modulusLength: 2048 }))], ['RSA_3072', 'ENCRYPT_DECRYPT', () => pkcs8(generateKeyPairSync('rsa', { modulusLength: 3072 }))],
    ['ECC_NIST_P256', 'SIGN_VERIFY', ec('prime256v1')], ['ECC_NIST_P384', 'KEY_AGREEMENT', ec('secp384r1')], ['ECC_NIST_P521', 'SIGN_VERIFY', ec('secp521r1')],
    ['ECC_SECG_P256K1', 'SIGN_VERIFY', ec('secp256k1')], ['ECC_NIST_EDWARDS25519', 'SIGN_VERIFY', () => pkcs8(generateKeyPairSync('ed25519'))],
  ];

  test.each(specs)('%s for %s', async (KeySpec, KeyUsage, make) => {
    const material = make();
    // Hash and length of the wrapping matter to the wrapping alone: one spec tries all of them.
    const every = KeySpec === 'SYMMETRIC_DEFAULT';
    for (const algorithm of every ? wrappings : wrappings.filter((name) => name.endsWith('_256'))) {
      for (const spec of every && algorithm === 'RSA_AES_KEY_WRAP_SHA_256' ? ['RSA_2048', 'RSA_3072', 'RSA_4096'] : ['RSA_2048']) {
        const { KeyId, Arn } = await create({ KeySpec, KeyUsage });
        const direct = algorithm.startsWith('RSAES');
        if (direct && (KeySpec.startsWith('RSA_') || KeySpec === 'ECC_NIST_P521')) {
          expect((await w.refusal('GetParametersForImport', { KeyId, WrappingAlgorithm: algorithm, WrappingKeySpec: spec })).code).toBe('UnsupportedOperationException');
          continue;
        }
        expect(await brought(KeyId, material, forever, { algorithm, spec })).toEqual({ KeyId: Arn, KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) });
        expect(await describeKey(KeyId)).toMatchObject({ KeyState: 'Enabled', Enabled: true, ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' });
      }
    }
  }, 30_000);

  test('ML_KEM_768, as a data key pair gives it', async () => {
    const { KeyId: own } = (await w.call('CreateKey')).KeyMetadata;
    const { PrivateKeyPlaintext, PublicKey } = await w.call('GenerateDataKeyPair', { KeyId: own, KeyPairSpec: 'ML_KEM_768' });
    const { KeyId } = await create({ KeySpec: 'ML_KEM_768', KeyUsage: 'ENCAPSULATE_DECAPSULATE' });
    await brought(KeyId, PrivateKeyPlaintext, forever, { algorithm: 'RSA_AES_KEY_WRAP_SHA_256' });
    expect((await w.call('GetPublicKey', { KeyId })).PublicKey).toEqual(PublicKey);
  });

  /** PKCS#8 with nothing but the seed (RFC 9881, RFC 9935). */
  const seedKey = (oid: string, seed: Buffer): Buffer => {
    const tlv = (tag: number, body: Buffer) => Buffer.concat([Buffer.from([tag, body.length]), body]);
    const algorithm = tlv(0x30, tlv(0x06, Buffer.from(oid, 'hex')));
    return tlv(0x30, Buffer.concat([Buffer.from('020100', 'hex'), algorithm, tlv(0x04, tlv(0x80, seed))]));
  };
  const latticeKeys: readonly [string, string, string, number][] = [
    ['ML_DSA_44', 'SIGN_VERIFY', '608648016503040311', 32], ['ML_DSA_65', 'SIGN_VERIFY', '608648016503040312', 32], ['ML_DSA_87', 'SIGN_VERIFY', '608648016503040313', 32],
    ['ML_KEM_512', 'ENCAPSULATE_DECAPSULATE', '608648016503040401', 64], ['ML_KEM_768', 'ENCAPSULATE_DECAPSULATE', '608648016503040402', 64], ['ML_KEM_1024', 'ENCAPSULATE_DECAPSULATE', '608648016503040403', 64],
  ];
  test.each(latticeKeys)('%s, as a seed, by each wrapping: the same key', async (KeySpec, KeyUsage, oid, length) => {
    const material = seedKey(oid, randomBytes(length));
    const made: string[] = [];
    for (const algorithm of wrappings) {
      const { KeyId } = await create({ KeySpec, KeyUsage });
      await brought(KeyId, material, forever, { algorithm });
      made.push(KeyId);
    }
    const keys = await Promise.all(made.map(async (KeyId) => (await w.call('GetPublicKey', { KeyId })).PublicKey.toString('hex')));
    expect(new Set(keys).size).toBe(1);
    const [one, other] = made;
    if (KeyUsage === 'SIGN_VERIFY') {
      const input = { Message: Buffer.from('x'), SigningAlgorithm: 'ML_DSA_SHAKE_256' };
      const { Signature } = await w.call('Sign', { KeyId: one, ...input });
      expect((await w.call('Verify', { KeyId: other, ...input, Signature })).SignatureValid).toBe(true);
    } else {
      const EncapsulationAlgorithm = 'ML_KEM';
      const { SharedSecret, SharedSecretCiphertextBlob } = await w.call('Encapsulate', { KeyId: one, EncapsulationAlgorithm });
      expect((await w.call('Decapsulate', { KeyId: other, EncapsulationAlgorithm, SharedSecretCiphertextBlob })).SharedSecret).toEqual(SharedSecret);
    }
    // Another parameter set's key is not this one's.
    const wrong = seedKey(KeySpec === 'ML_DSA_44' ? '608648016503040312' : '608648016503040311', randomBytes(32));
    const { KeyId } = await create({ KeySpec, KeyUsage });
    expect(await bring(KeyId, wrong)).toMatchObject({ ok: false, error: { code: 'IncorrectKeyMaterialException' } });
  }, 60_000);

  test('what came in is what signs', async () => {
    const made = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const { KeyId } = await create({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    await brought(KeyId, pkcs8(made), forever, { algorithm: 'RSA_AES_KEY_WRAP_SHA_256' });
    expect((await w.call('GetPublicKey', { KeyId })).PublicKey).toEqual(made.publicKey.export({ format: 'der', type: 'spki' }));
  });

  test('material of another kind or length is refused', async () => {
    const table: readonly [Body, Buffer][] = [
      [{}, randomBytes(31)], [{}, randomBytes(33)], [{ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }, randomBytes(33)],
      [{ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }, ec('secp256k1')()], [{ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }, randomBytes(32)],
    ];
    for (const [input, material] of table) {
      const { KeyId } = await create(input);
      const answer = await bring(KeyId, material, forever, { algorithm: 'RSA_AES_KEY_WRAP_SHA_256' });
      expect(answer).toMatchObject({ ok: false, error: { code: 'IncorrectKeyMaterialException' } });
      expect((await describeKey(KeyId)).KeyState).toBe('PendingImport');
    }
  });
});

describe('parameters', () => {
  test('go together, for a day, for one key', async () => {
    const { KeyId, Arn } = await create();
    const other = await create();
    const parameters = await w.call('GetParametersForImport', { KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' });
    expect(parameters).toEqual({ KeyId: Arn, ImportToken: expect.any(Buffer), PublicKey: expect.any(Buffer), ParametersValidTo: expect.any(Number) });
    expect(Math.round((parameters.ParametersValidTo * 1000 - w.now()) / 3_600_000)).toBe(24);
    const EncryptedKeyMaterial = wrap(parameters.PublicKey, 'RSAES_OAEP_SHA_256', randomBytes(32));
    const input = { KeyId, ImportToken: parameters.ImportToken, EncryptedKeyMaterial, ...forever };
    expect((await w.refusal('ImportKeyMaterial', { ...input, KeyId: other.KeyId })).code).toBe('InvalidImportTokenException');
    expect((await w.refusal('ImportKeyMaterial', { ...input, ImportToken: Buffer.from('made up') })).code).toBe('InvalidImportTokenException');
    const bent = Buffer.from(parameters.ImportToken);
    bent[bent.length >> 1] = (bent[bent.length >> 1] ?? 0) ^ 1;
    expect((await w.refusal('ImportKeyMaterial', { ...input, ImportToken: bent })).code).toBe('InvalidImportTokenException');
    expect(await w.refusal('ImportKeyMaterial', { ...input, EncryptedKeyMaterial: Buffer.alloc(256, 1) })).toEqual({ code: 'InvalidCiphertextException', message: undefined, status: 400 });
    w.pass(1.01 * day);
    expect((await w.refusal('ImportKeyMaterial', input)).code).toBe('ExpiredImportTokenException');
  });

  test('refusals', async () => {
    const own = (await w.call('CreateKey')).KeyMetadata;
    const { KeyId } = await create();
    const wish = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' };
    expect((await w.refusal('GetParametersForImport', { KeyId: own.KeyId, ...wish })).message).toBe(`${own.Arn} origin is AWS_KMS which is not valid for this operation.`);
    for (const more of [{ WrappingAlgorithm: 'RSAES_PKCS1_V1_5' }, { WrappingAlgorithm: 'SM2PKE' }, { WrappingKeySpec: 'SM2' }]) {
      expect((await w.refusal('GetParametersForImport', { KeyId, ...wish, ...more })).code).toBe('UnsupportedOperationException');
    }
    const import_ = (more: Body) => w.refusal('ImportKeyMaterial', { KeyId, ImportToken: Buffer.from('x'), EncryptedKeyMaterial: Buffer.from('x'), ...more });
    expect((await import_({})).message).toBe('A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES');
    expect((await import_({ ValidTo: w.now() / 1000 - 1 })).code).toBe('ValidationException');
    expect((await import_({ ValidTo: w.now() / 1000 + 366 * 86_400 })).code).toBe('ValidationException');
    expect((await import_({ ...forever, ImportType: 'NEW_KEY_MATERIAL', KeyMaterialId: '0'.repeat(64) })).code).toBe('ValidationException');
    for (const operation of ['ImportKeyMaterial', 'DeleteImportedKeyMaterial']) {
      expect((await w.refusal(operation, { KeyId: own.KeyId, ImportToken: Buffer.from('x'), EncryptedKeyMaterial: Buffer.from('x'), ...forever })).message)
        .toBe(`${own.Arn} origin is AWS_KMS which is not valid for this operation.`);
    }
  });
});

describe('imported material', () => {
  test('goes, and comes back only the same', async () => {
    const material = randomBytes(32);
    const { KeyId, Arn } = await create();
    const { KeyMaterialId } = await brought(KeyId, material, { ...forever, KeyMaterialDescription: 'from the safe' });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
    expect(await w.call('DeleteImportedKeyMaterial', { KeyId })).toEqual({ KeyId: Arn, KeyMaterialId });
    expect(await describeKey(KeyId)).toMatchObject({ KeyState: 'PendingImport', Enabled: false });
    expect(await describeKey(KeyId)).not.toHaveProperty('ExpirationModel');
    expect((await describeKey(KeyId)).CurrentKeyMaterialId).toBe(KeyMaterialId);
    expect((await w.refusal('Decrypt', { CiphertextBlob })).message).toBe(`${Arn} is pending import.`);
    expect(await w.store.get('material', `${region}/${KeyMaterialId}`)).toBeUndefined();
    expect(await w.call('DeleteImportedKeyMaterial', { KeyId })).toEqual({ KeyId: Arn, KeyMaterialId });
    expect(await bring(KeyId, randomBytes(32))).toMatchObject({ ok: false, error: { code: 'IncorrectKeyMaterialException' } });
    expect((await brought(KeyId, material)).KeyMaterialId).toBe(KeyMaterialId);
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext.toString()).toBe('x');
    expect((await w.call('ListKeyRotations', { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' })).Rotations).toEqual([
      { KeyId, KeyMaterialId, KeyMaterialState: 'CURRENT', ImportState: 'IMPORTED', KeyMaterialDescription: 'from the safe', ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' },
    ]);
  });

  test('of an asymmetric key too', async () => {
    const { KeyId } = await create({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
    const material = randomBytes(32);
    await brought(KeyId, material);
    const { Mac } = await w.call('GenerateMac', { KeyId, Message: Buffer.from('x'), MacAlgorithm: 'HMAC_SHA_256' });
    await w.call('DeleteImportedKeyMaterial', { KeyId });
    expect(await bring(KeyId, randomBytes(32))).toMatchObject({ ok: false, error: { code: 'IncorrectKeyMaterialException' } });
    await brought(KeyId, material);
    expect((await w.call('VerifyMac', { KeyId, Message: Buffer.from('x'), MacAlgorithm: 'HMAC_SHA_256', Mac })).MacValid).toBe(true);
  });

  test('expires', async () => {
    const { KeyId, Arn } = await create();
    const material = randomBytes(32);
    const ValidTo = Math.floor(w.now() / 1000) + 10 * 86_400;
    const { KeyMaterialId } = await brought(KeyId, material, { ValidTo });
    expect(await describeKey(KeyId)).toMatchObject({ ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo });
    w.pass(9 * day);
    await w.caretaker.run();
    expect((await describeKey(KeyId)).KeyState).toBe('Enabled');
    w.pass(2 * day);
    await w.caretaker.run();
    expect((await describeKey(KeyId)).KeyState).toBe('PendingImport');
    expect(await w.store.get('material', `${region}/${KeyMaterialId}`)).toBeUndefined();
    expect((await w.trail()).find(({ eventName }) => eventName === 'DeleteExpiredKeyMaterial')).toMatchObject({ resources: [{ ARN: Arn }] });
    await brought(KeyId, material);
    expect((await describeKey(KeyId))).toMatchObject({ KeyState: 'Enabled', ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' });
  });

  test('is not used after its time, whether the caretaker came by or not', async () => {
    const { KeyId, Arn } = await create();
    const material = randomBytes(32);
    await brought(KeyId, material, { ValidTo: w.now() / 1000 + 60 });
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
    w.pass(61_000);
    for (const [operation, input] of [['Encrypt', { KeyId, Plaintext: Buffer.from('x') }], ['Decrypt', { CiphertextBlob }], ['EnableKey', { KeyId }]] as const) {
      expect((await w.refusal(operation, input)).message).toBe(`${Arn} is pending import.`);
    }
    await brought(KeyId, material);
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext.toString()).toBe('x');
  });

  test('goes in its time also while the key waits for its deletion', async () => {
    const { KeyId } = await create();
    const { KeyMaterialId } = await brought(KeyId, randomBytes(32), { ValidTo: w.now() / 1000 + 86_400 });
    await w.call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    w.pass(2 * day);
    await w.caretaker.run();
    expect(await w.store.get('material', `${region}/${KeyMaterialId}`)).toBeUndefined();
    expect((await describeKey(KeyId)).KeyState).toBe('PendingDeletion');
    await w.call('CancelKeyDeletion', { KeyId });
    expect((await describeKey(KeyId)).KeyState).toBe('PendingImport');
    await w.call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    w.pass(8 * day);
    await w.caretaker.run();
    expect((await w.refusal('DescribeKey', { KeyId })).code).toBe('NotFoundException');
  });

  test('rotates on demand: new, pending, current', async () => {
    const { KeyId, Arn } = await create();
    const [one, two, three] = [randomBytes(32), randomBytes(32), randomBytes(32)];
    const first = (await brought(KeyId, one)).KeyMaterialId;
    expect((await w.refusal('RotateKeyOnDemand', { KeyId })).message).toBe(`No available key material pending rotation for the key: ${Arn}.`);
    const before = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
    const fresh = { ...forever, ImportType: 'NEW_KEY_MATERIAL' };
    const second = (await brought(KeyId, two, fresh)).KeyMaterialId;
    expect((await describeKey(KeyId)).CurrentKeyMaterialId).toBe(first);
    const third = await bring(KeyId, three, fresh);
    expect(third).toMatchObject({ ok: false, error: { code: 'KMSInvalidStateException', message: expect.stringMatching(new RegExp(`^New key material \\(id: [0-9a-f]{64}\\) cannot be imported into KMS key ${KeyId}, because another key material \\(id: ${second}\\) is pending rotation\\.$`)) } });
    expect(await bring(KeyId, one, fresh)).toMatchObject({ ok: false, error: { code: 'IncorrectKeyMaterialException' } });
    await w.call('RotateKeyOnDemand', { KeyId });
    expect((await describeKey(KeyId)).CurrentKeyMaterialId).toBe(second);
    expect((await w.call('Decrypt', { CiphertextBlob: before.CiphertextBlob })).KeyMaterialId).toBe(first);
    expect((await w.call('ListKeyRotations', { KeyId })).Rotations).toMatchObject([{ KeyMaterialId: second, KeyMaterialState: 'CURRENT', RotationType: 'ON_DEMAND', ImportState: 'IMPORTED' }]);
    // Every material it ever used must be there.
    await w.call('DeleteImportedKeyMaterial', { KeyId, KeyMaterialId: first });
    expect((await describeKey(KeyId)).KeyState).toBe('PendingImport');
    expect(await bring(KeyId, one, { ...forever, KeyMaterialId: second })).toMatchObject({ ok: false, error: { code: 'IncorrectKeyMaterialException' } });
    await brought(KeyId, one, { ...forever, KeyMaterialId: first });
    expect((await describeKey(KeyId)).KeyState).toBe('Enabled');
    expect((await w.refusal('DeleteImportedKeyMaterial', { KeyId, KeyMaterialId: '0'.repeat(64) })).code).toBe('NotFoundException');
  });

  test('in several Regions: each imports its own, then all rotate', async () => {
    const there = { region: otherRegion };
    const { KeyId } = await create({ MultiRegion: true });
    const [one, two] = [randomBytes(32), randomBytes(32)];
    const { KeyMaterialId } = await brought(KeyId, one);
    await w.call('ReplicateKey', { KeyId, ReplicaRegion: otherRegion });
    expect((await describeKey(KeyId, there)).KeyState).toBe('PendingImport');
    expect(await bring(KeyId, two, forever, { as: there })).toMatchObject({ ok: false, error: { code: 'IncorrectKeyMaterialException' } });
    expect((await brought(KeyId, one, forever, { as: there })).KeyMaterialId).toBe(KeyMaterialId);
    expect((await describeKey(KeyId, there)).KeyState).toBe('Enabled');
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
    expect((await w.call('Decrypt', { CiphertextBlob }, there)).Plaintext.toString()).toBe('x');

    const fresh = { ...forever, ImportType: 'NEW_KEY_MATERIAL' };
    expect(await bring(KeyId, two, fresh, { as: there })).toMatchObject({ ok: false, error: { code: 'UnsupportedOperationException' } });
    const next = (await brought(KeyId, two, fresh)).KeyMaterialId;
    const state = async (as: As = {}) => (await w.call('ListKeyRotations', { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' }, as)).Rotations.map((one: Body) => [one.KeyMaterialState, one.ImportState]);
    expect(await state()).toEqual([['CURRENT', 'IMPORTED'], ['PENDING_MULTI_REGION_IMPORT_AND_ROTATION', 'IMPORTED']]);
    expect(await state(there)).toEqual([['CURRENT', 'IMPORTED'], ['PENDING_MULTI_REGION_IMPORT_AND_ROTATION', 'PENDING_IMPORT']]);
    expect((await w.refusal('RotateKeyOnDemand', { KeyId })).code).toBe('KMSInvalidStateException');
    await brought(KeyId, two, forever, { as: there });
    expect(await state()).toEqual([['CURRENT', 'IMPORTED'], ['PENDING_ROTATION', 'IMPORTED']]);
    await w.call('RotateKeyOnDemand', { KeyId });
    for (const as of [{}, there]) {
      expect((await describeKey(KeyId, as)).CurrentKeyMaterialId).toBe(next);
      expect((await w.call('Decrypt', { CiphertextBlob }, as)).KeyMaterialId).toBe(KeyMaterialId);
      expect((await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('y') }, as)).KeyId).toBe(`arn:aws:kms:${as === there ? otherRegion : region}:${home}:key/${KeyId}`);
    }
  });

  describe('waiting for its rotation in several Regions', () => {
    const there = { region: otherRegion };
    const fresh = { ...forever, ImportType: 'NEW_KEY_MATERIAL' };
    const states = async (KeyId: string, as: As = {}) => (await w.call('ListKeyRotations', { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' }, as)).Rotations
      .map((one: Body) => `${one.KeyMaterialState} ${one.ImportState}`);
    const two = randomBytes(32);

    /** A pair of Regions, both with the first material; the second waits, everywhere if `both`. */
    async function pair(both: boolean): Promise<{ readonly KeyId: string; readonly pending: string }> {
      const { KeyId } = await create({ MultiRegion: true });
      const one = randomBytes(32);
      await brought(KeyId, one);
      await w.call('ReplicateKey', { KeyId, ReplicaRegion: otherRegion });
      await brought(KeyId, one, forever, { as: there });
      const pending = (await brought(KeyId, two, fresh)).KeyMaterialId;
      if (both) await brought(KeyId, two, forever, { as: there });
      return { KeyId, pending };
    }

    test('what the primary deletes goes from the replicas', async () => {
      const { KeyId, pending } = await pair(true);
      await w.call('DeleteImportedKeyMaterial', { KeyId, KeyMaterialId: pending });
      for (const as of [{}, there]) {
        expect(await states(KeyId, as)).toEqual(['CURRENT IMPORTED']);
        expect((await describeKey(KeyId, as)).KeyState).toBe('Enabled');
      }
      expect(await w.store.get('material', `${otherRegion}/${pending}`)).toBeUndefined();
      // Something else may come in its place.
      await brought(KeyId, randomBytes(32), fresh);
    });

    test('what a replica deletes is missing there alone', async () => {
      const { KeyId, pending } = await pair(true);
      await w.call('DeleteImportedKeyMaterial', { KeyId, KeyMaterialId: pending }, there);
      expect(await states(KeyId)).toEqual(['CURRENT IMPORTED', 'PENDING_ROTATION IMPORTED']);
      expect(await states(KeyId, there)).toEqual(['CURRENT IMPORTED', 'PENDING_ROTATION PENDING_IMPORT']);
      await w.call('RotateKeyOnDemand', { KeyId });
      expect((await describeKey(KeyId)).KeyState).toBe('Enabled');
      expect(await describeKey(KeyId, there)).toMatchObject({ KeyState: 'PendingImport', CurrentKeyMaterialId: pending });
      expect((await w.refusal('Encrypt', { KeyId, Plaintext: Buffer.from('x') }, there)).code).toBe('KMSInvalidStateException');
      await brought(KeyId, two, forever, { as: there });
      expect((await describeKey(KeyId, there)).KeyState).toBe('Enabled');
    });

    test('a new replica must have it too, one that goes must not', async () => {
      const { KeyId } = await create({ MultiRegion: true });
      await brought(KeyId, randomBytes(32));
      await brought(KeyId, two, fresh);
      expect((await states(KeyId))[1]).toBe('PENDING_ROTATION IMPORTED');
      await w.call('ReplicateKey', { KeyId, ReplicaRegion: otherRegion });
      expect((await states(KeyId))[1]).toBe('PENDING_MULTI_REGION_IMPORT_AND_ROTATION IMPORTED');
      await w.call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 }, there);
      w.pass(8 * day);
      await w.caretaker.run();
      expect((await states(KeyId))[1]).toBe('PENDING_ROTATION IMPORTED');
    });

    test('it expires like a deletion', async () => {
      const { KeyId } = await create({ MultiRegion: true });
      const one = randomBytes(32);
      await brought(KeyId, one);
      await w.call('ReplicateKey', { KeyId, ReplicaRegion: otherRegion });
      await brought(KeyId, one, forever, { as: there });
      await brought(KeyId, two, { ImportType: 'NEW_KEY_MATERIAL', ValidTo: w.now() / 1000 + 86_400 });
      await brought(KeyId, two, forever, { as: there });
      w.pass(2 * day);
      await w.caretaker.run();
      for (const as of [{}, there]) expect(await states(KeyId, as)).toEqual(['CURRENT IMPORTED']);
    });
  });
});
