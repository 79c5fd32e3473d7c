/**
 * Every exception that the model names for an operation, reached once: by a request that AWS refuses so,
 * or, where only a failure of the service itself leads there, by that failure. Counted: an exception that
 * is neither reached nor listed with its reason fails the test, and so does a reason without need.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HsmError } from '../../../src/hsm/core.ts';
import { operationNames as ours, type OperationName } from '../../../src/kms/operations/table.ts';
import type { GrantRecord, KeyRecord } from '../../../src/kms/records.ts';
import { StoreError, type Tx } from '../../../src/store/store.ts';
import { away, day, home, makeWorld, otherRegion, region, type Body, type Refused, type World } from '../world.ts';
import { create, everything, external, freshAlias, good, imported, importing, keyStoreOperations, policy, put, unknownKey, type Request } from './kit.ts';
import { errorsOf, operationNames, statusOf } from './model.ts';
import { guide, known, model, recorded, type Source } from './sources.ts';

let w: World;
beforeAll(async () => { w = await makeWorld(); });
afterAll(() => w.close());

const whole = process.env['STRONGROOM_TEST_FULL'] !== undefined;

type Name = keyof typeof good;
const isOurs = (name: string): name is Name => name in good;

/* ---- how each is reached ------------------------------------------------------------- */

interface Way {
  readonly from: Source;
  /** Makes the request that is refused, or makes the service fail and asks. */
  readonly refused: (operation: Name) => Promise<Refused>;
  /** AWS's sentence, where it is known; null: it sends none. */
  readonly sentence?: RegExp | null;
  /** Takes tens of thousands of rows: `npm run test:full` waits for it. */
  readonly long?: boolean;
}

const refusedBy = (bend: (request: Request, operation: Name) => Request | Promise<Request>) => async (operation: Name): Promise<Refused> => {
  const { input, as } = await bend(await good[operation](w), operation);
  return w.refusal(operation, input, as);
};
const bent = (from: Source, sentence: RegExp | null | undefined, bend: (request: Request, operation: Name) => Body | Promise<Body>): Way => ({
  from, refused: refusedBy(async (request, operation) => ({ ...request, input: await bend(request, operation) })), ...(sentence === undefined ? {} : { sentence }),
});
const long = (way: Way): Way => ({ ...way, long: true });
/** A request of its own. */
const asked = (from: Source, sentence: RegExp | null | undefined, input: () => Promise<Body>, as?: Request['as']): Way => ({
  from, refused: async (operation) => w.refusal(operation, await input(), as), ...(sentence === undefined ? {} : { sentence }),
});

/** The member that names the key whose refusals are looked at. */
const naming: Readonly<Partial<Record<Name, string>>> = { CreateAlias: 'TargetKeyId', UpdateAlias: 'TargetKeyId', ReEncrypt: 'DestinationKeyId' };
const nameOf = (operation: Name): string => naming[operation] ?? 'KeyId';

async function inState(operation: Name, state: Parameters<typeof put>[2]): Promise<Refused> {
  const { key, input } = await good[operation](w);
  await put(w, key.KeyId, state);
  return w.refusal(operation, input);
}

/** While `break_` is in force, nothing else is asked. */
async function whileBroken(operation: Name, break_: () => void, mend: () => void): Promise<Refused> {
  const { input, as } = await good[operation](w);
  break_();
  try {
    return await w.refusal(operation, input, as);
  } finally {
    mend();
  }
}

/** The store answers every question so; the trail is still written. */
function storeFails(error: Error): readonly [() => void, () => void] {
  const names = ['peek', 'get', 'list', 'tx'] as const;
  const store = w.store as unknown as Record<string, unknown>;
  return [
    () => { for (const name of names) store[name] = name === 'peek' ? () => undefined : () => Promise.reject(error); },
    () => { for (const name of names) delete store[name]; },
  ];
}

/** The core has no room to open the key, as when its secret memory is full. */
function keyringFails(): readonly [() => void, () => void] {
  const keyring = w.kms.services.keyring as unknown as Record<string, unknown>;
  const full = () => { throw new HsmError('HSM_E_MEMORY', 'secret memory is exhausted'); };
  return [() => { keyring['open'] = full; keyring['use'] = () => Promise.resolve().then(full); }, () => { delete keyring['open']; delete keyring['use']; }];
}

const usageOf = (key: Body): Body => (key.KeyUsage === 'SIGN_VERIFY' ? { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' } : { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });

/** The same for every operation that has them. */
const general: Readonly<Record<string, Way>> = {
  NotFoundException: bent(recorded('2025-09-08'), /^Key '.*' does not exist$/, ({ input }, operation) => ({ ...input, [nameOf(operation)]: unknownKey })),
  InvalidArnException: bent(model, /^Invalid arn /, ({ input }, operation) => ({ ...input, [nameOf(operation)]: 'arn:aws:s3:::bucket' })),
  DisabledException: { from: guide, refused: (operation) => inState(operation, 'Disabled'), sentence: / is disabled\.$/ },
  KMSInvalidStateException: { from: guide, refused: (operation) => inState(operation, 'PendingDeletion'), sentence: / is pending deletion\.$/ },
  InvalidGrantTokenException: bent(model, undefined, ({ input }) => ({ ...input, GrantTokens: ['made up'] })),
  DryRunOperationException: bent(recorded('2025-04-06'), /^The request would have succeeded, but the DryRun option is set\.$/, ({ input }) => ({ ...input, DryRun: true })),
  InvalidKeyUsageException: bent(recorded('2023-04-13'), / key usage is [A-Z_]+ which is not valid for \w+\.$/, async ({ input, key }, operation) => ({ ...input, [nameOf(operation)]: (await create(w, usageOf(key))).KeyId })),
  InvalidMarkerException: bent(model, undefined, ({ input }) => ({ ...input, Marker: 'made up' })),
  InvalidGrantIdException: bent(model, undefined, ({ input }) => ({ ...input, GrantId: 'made up' })),
  TagException: bent(recorded('2025-01-21'), /^Tags beginning with aws: are reserved$/, ({ input }) => ({ ...input, Tags: [{ TagKey: 'aws:a', TagValue: '' }] })),
  MalformedPolicyDocumentException: bent(model, undefined, ({ input }) => ({ ...input, Policy: '{' })),
  DependencyTimeoutException: { from: model, refused: (operation) => whileBroken(operation, ...storeFails(new StoreError('Busy', 'in use'))), sentence: /^The system timed out/ },
  KMSInternalException: { from: model, refused: (operation) => whileBroken(operation, ...storeFails(new Error('the disk is on fire'))) },
  KeyUnavailableException: { from: model, refused: (operation) => whileBroken(operation, ...keyringFails()), sentence: /You can retry the request\.$/ },
};

async function aliasOf(key: Body): Promise<string> {
  const AliasName = freshAlias();
  await w.call('CreateAlias', { AliasName, TargetKeyId: key.KeyId });
  return AliasName;
}

/** As many rows as a ceiling allows, put into the store by thousands. */
async function fill(count: number, insert: (tx: Tx, i: number) => void): Promise<void> {
  for (let i = 0; i < count; i += 1000) {
    await w.store.tx(async (tx) => { for (let j = i; j < Math.min(i + 1000, count); j++) insert(tx, j); });
  }
}

/** A Region of the other account, full of keys. */
let full: Promise<void> | undefined;
const crowded = { account: away, region: otherRegion };
function fillRegion(): Promise<void> {
  full ??= (async () => {
    const { KeyId } = (await w.call('CreateKey', {}, { account: away })).KeyMetadata;
    const row = await w.store.get<KeyRecord>('key', `${away}/${region}/${KeyId}`);
    if (row === undefined) throw new Error('no key to copy');
    const { dueMs: _, ...body } = row.body;
    await fill(100_000, (tx, i) => {
      const keyId = `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
      tx.insert('key', { id: `${away}/${otherRegion}/${keyId}`, ...crowded, body: { ...body, keyId } });
    });
  })();
  return full;
}

/** Of one operation; goes before what is general. */
const own: Readonly<Partial<Record<Name, Readonly<Record<string, Way>>>>> = {
  CancelKeyDeletion: { KMSInvalidStateException: asked(guide, / is not pending deletion\.$/, async () => ({ KeyId: (await create(w)).KeyId })) },
  CreateAlias: {
    AlreadyExistsException: asked(recorded('2023-04-13'), /^An alias with the name arn:.* already exists$/, async () => {
      const key = await create(w);
      return { AliasName: await aliasOf(key), TargetKeyId: key.KeyId };
    }),
    InvalidAliasNameException: bent(known, undefined, ({ input }) => ({ ...input, AliasName: 'alias/' })),
    LimitExceededException: asked(guide, undefined, async () => {
      const key = await create(w);
      for (let i = 0; i < 50; i++) await aliasOf(key);
      return { AliasName: freshAlias(), TargetKeyId: key.KeyId };
    }),
  },
  CreateGrant: {
    LimitExceededException: long(bent(guide, undefined, async ({ input, key }) => {
      const { GrantId } = await w.call('CreateGrant', input);
      const place = `${home}/${region}/${key.KeyId}`;
      const row = await w.store.get<GrantRecord>('grant', `${place}/${GrantId}`);
      if (row === undefined) throw new Error('no grant to copy');
      await fill(49_999, (tx, i) => {
        const grantId = String(i).padStart(64, '0');
        tx.insert('grant', { id: `${place}/${grantId}`, account: home, region, body: { ...row.body, grantId } });
      });
      w.kms.services.grantTally.clear();
      return input;
    })),
  },
  CreateKey: {
    LimitExceededException: long(asked(guide, undefined, async () => {
      await fillRegion();
      return {};
    }, crowded)),
    UnsupportedOperationException: asked(known, /^KeySpec SM2 is not supported in this Region$/, async () => ({ KeySpec: 'SM2', KeyUsage: 'SIGN_VERIFY' })),
    CustomKeyStoreNotFoundException: asked(model, undefined, async () => ({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: 'cks-1234567890abcdef0' })),
  },
  Decapsulate: { InvalidCiphertextException: bent(model, null, ({ input }) => ({ ...input, SharedSecretCiphertextBlob: Buffer.alloc(7) })) },
  Decrypt: {
    InvalidCiphertextException: bent(recorded('2025-09-22'), null, ({ input }) => ({ ...input, EncryptionContext: { other: 'context' } })),
    IncorrectKeyException: bent(recorded('2023-04-13'), /^The key ID in the request does not identify a CMK that can perform this operation\.$/, async ({ input }) => ({ ...input, KeyId: (await create(w)).KeyId })),
    InvalidKeyUsageException: bent(model, / key usage is SIGN_VERIFY which is not valid for Decrypt\.$/, async ({ input }) =>
      ({ ...input, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256', KeyId: (await create(w, { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })).KeyId })),
  },
  DeleteAlias: { NotFoundException: asked(model, /^Alias arn:.* is not found\.$/, async () => ({ AliasName: freshAlias() })) },
  DeleteImportedKeyMaterial: { UnsupportedOperationException: asked(recorded('2025-11-10'), / origin is AWS_KMS which is not valid for this operation\.$/, async () => ({ KeyId: (await create(w)).KeyId })) },
  DisableKeyRotation: { UnsupportedOperationException: asked(model, / origin is EXTERNAL which is not valid for this operation\.$/, async () => ({ KeyId: (await imported(w)).KeyId })) },
  EnableKeyRotation: { UnsupportedOperationException: asked(model, / origin is EXTERNAL which is not valid for this operation\.$/, async () => ({ KeyId: (await imported(w)).KeyId })) },
  GenerateDataKeyPair: { UnsupportedOperationException: bent(model, undefined, ({ input }) => ({ ...input, KeyPairSpec: 'SM2' })) },
  GenerateDataKeyPairWithoutPlaintext: { UnsupportedOperationException: bent(model, undefined, ({ input }) => ({ ...input, KeyPairSpec: 'SM2' })) },
  GenerateRandom: {
    CustomKeyStoreNotFoundException: bent(model, undefined, ({ input }) => ({ ...input, CustomKeyStoreId: 'cks-1234567890abcdef0' })),
    KMSInternalException: { from: model, refused: (operation) => {
      const core = w.core as unknown as Record<string, unknown>;
      return whileBroken(operation, () => { core['random'] = () => { throw new HsmError('HSM_E_RANDOM', 'the random source failed'); }; }, () => { delete core['random']; });
    } },
  },
  GetKeyRotationStatus: { UnsupportedOperationException: asked(guide, null, async () => ({ KeyId: (await create(w, { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' })).KeyId })) },
  GetParametersForImport: { UnsupportedOperationException: bent(recorded('2025-11-10'), / origin is AWS_KMS which is not valid for this operation\.$/, async ({ input }) => ({ ...input, KeyId: (await create(w)).KeyId })) },
  GetPublicKey: { UnsupportedOperationException: asked(model, null, async () => ({ KeyId: (await create(w)).KeyId })) },
  ImportKeyMaterial: {
    UnsupportedOperationException: bent(recorded('2025-11-10'), / origin is AWS_KMS which is not valid for this operation\.$/, async ({ input }) => ({ ...input, KeyId: (await create(w)).KeyId })),
    InvalidCiphertextException: bent(model, null, ({ input }) => ({ ...input, EncryptedKeyMaterial: Buffer.alloc(256, 1) })),
    InvalidImportTokenException: bent(model, undefined, async ({ input }) => ({ ...input, KeyId: (await external(w)).KeyId })),
    IncorrectKeyMaterialException: asked(model, undefined, async () => importing(w, (await imported(w)).KeyId, randomBytes(32))),
    ExpiredImportTokenException: bent(model, undefined, ({ input }) => {
      w.pass(day + 1000);
      return input;
    }),
  },
  ListAliases: {
    NotFoundException: asked(model, /^Key '.*' does not exist$/, async () => ({ KeyId: unknownKey })),
  },
  ListKeyRotations: { UnsupportedOperationException: asked(model, null, async () => ({ KeyId: (await create(w, { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })).KeyId })) },
  ListRetirableGrants: { InvalidArnException: asked(model, undefined, async () => ({ RetiringPrincipal: 'nobody' })) },
  PutKeyPolicy: { LimitExceededException: bent(model, undefined, ({ input }) => ({ ...input, Policy: policy({ ...everything, Sid: 'x'.repeat(33_000) }) })) },
  ReEncrypt: {
    InvalidCiphertextException: bent(model, null, ({ input }) => ({ ...input, SourceEncryptionContext: { other: 'context' } })),
    IncorrectKeyException: bent(recorded('2025-06-09'), /^The key ID in the request does not identify a CMK that can perform this operation\.$/, async ({ input }) => ({ ...input, SourceKeyId: (await create(w)).KeyId })),
  },
  ReplicateKey: {
    LimitExceededException: long(asked(guide, undefined, async () => {
      await fillRegion();
      return { KeyId: (await w.call('CreateKey', { MultiRegion: true }, { account: away })).KeyMetadata.KeyId, ReplicaRegion: otherRegion };
    }, { account: away })),
    AlreadyExistsException: bent(model, undefined, async ({ input }) => {
      await w.call('ReplicateKey', input);
      return input;
    }),
    UnsupportedOperationException: bent(recorded('2025-09-08'), / is not a multi-region primary key\.$/, async ({ input }) => ({ ...input, KeyId: (await create(w)).KeyId })),
  },
  RetireGrant: {
    InvalidGrantTokenException: asked(model, undefined, async () => ({ GrantToken: 'made up' })),
    NotFoundException: bent(model, undefined, ({ input }) => ({ ...input, GrantId: '0'.repeat(64) })),
  },
  RotateKeyOnDemand: {
    UnsupportedOperationException: asked(recorded('2025-03-08'), null, async () => ({ KeyId: (await create(w, { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })).KeyId })),
    LimitExceededException: bent(recorded('2025-04-03'), /^The on-demand rotations limit has been reached for the given keyId\. No more on-demand rotations can be performed for this key: arn:/, async ({ input }) => {
      for (let i = 0; i < 25; i++) await w.call('RotateKeyOnDemand', input);
      return input;
    }),
    ConflictException: bent(model, undefined, async ({ input }) => {
      await w.call('EnableKeyRotation', { ...input, RotationPeriodInDays: 90 });
      w.pass(90 * day - 10 * 60_000);
      return input;
    }),
  },
  UntagResource: { TagException: bent(model, /^Tags beginning with aws: are reserved$/, ({ input }) => ({ ...input, TagKeys: ['aws:a'] })) },
  UpdateAlias: {
    LimitExceededException: asked(model, undefined, async () => {
      const key = await create(w);
      for (let i = 0; i < 50; i++) await aliasOf(key);
      return { AliasName: await aliasOf(await create(w)), TargetKeyId: key.KeyId };
    }),
    NotFoundException: bent(model, /^Alias arn:.* is not found\.$/, ({ input }) => ({ ...input, AliasName: freshAlias() })),
  },
  UpdatePrimaryRegion: { UnsupportedOperationException: bent(model, undefined, ({ input }) => ({ ...input, PrimaryRegion: region })) },
  Verify: { KMSInvalidSignatureException: bent(recorded('2023-04-13'), null, ({ input }) => ({ ...input, Message: Buffer.from('another') })) },
  VerifyMac: { KMSInvalidMacException: bent(recorded('2023-04-13'), null, ({ input }) => ({ ...input, Message: Buffer.from('another') })) },
};

/* ---- what is not reached, and why -------------------------------------------------------- */

const anyState = 'the key-state table lets this operation through in every state';
const keyStores = 'custom key stores are counted in keystores.test.ts';

const unreached: Readonly<Partial<Record<Name, Readonly<Record<string, string>>>>> = {
  CreateKey: {
    InvalidArnException: 'it takes no ARN',
    CustomKeyStoreInvalidStateException: keyStores, CloudHsmClusterInvalidConfigurationException: keyStores, XksKeyInvalidConfigurationException: keyStores,
    XksKeyAlreadyInUseException: keyStores, XksKeyNotFoundException: keyStores,
  },
  DeleteAlias: { KMSInvalidStateException: anyState },
  DeleteImportedKeyMaterial: { KMSInvalidStateException: anyState },
  EnableKey: { LimitExceededException: 'AWS publishes no quota of enabled keys' },
  GenerateRandom: {
    DependencyTimeoutException: 'it depends on the core alone', UnsupportedOperationException: keyStores, CustomKeyStoreInvalidStateException: keyStores,
  },
  GetKeyPolicy: { KMSInvalidStateException: anyState },
  GetKeyRotationStatus: { KMSInvalidStateException: anyState },
  GetPublicKey: { InvalidKeyUsageException: 'every usage of an asymmetric key has a public key' },
  ListGrants: { KMSInvalidStateException: anyState },
  ListKeyPolicies: { KMSInvalidStateException: anyState },
  ListKeyRotations: { KMSInvalidStateException: anyState },
  ListRetirableGrants: { NotFoundException: 'it names no key' },
  PutKeyPolicy: { KMSInvalidStateException: anyState, UnsupportedOperationException: 'the policy of an AWS managed key refuses it first (AccessDeniedException)' },
  RetireGrant: { KMSInvalidStateException: anyState },
  RevokeGrant: { KMSInvalidStateException: anyState },
  TagResource: { LimitExceededException: 'AWS says TagException: Too many tags (recorded 2025-01-21)' },
};

/* ---- the count ----------------------------------------------------------------------------- */

const pairs = Object.keys(good).flatMap((operation) => errorsOf(operation).map((exception) => [operation as Name, exception] as const));
const wayOf = (operation: Name, exception: string): Way | undefined => own[operation]?.[exception] ?? (unreached[operation]?.[exception] === undefined ? general[exception] : undefined);
const wayAt = new Map(pairs.map(([operation, exception]) => [`${operation} ${exception}`, wayOf(operation, exception)] as const));

describe.each(Object.keys(good) as Name[])('%s', (operation) => {
  const reached = errorsOf(operation).flatMap((exception) => {
    const way = wayAt.get(`${operation} ${exception}`);
    return way === undefined ? [] : [{ exception, way, said: `${way.from.source}, ${way.from.date}` }];
  });
  for (const { exception, way, said } of reached) {
    test.skipIf(way.long === true && !whole)(`${exception} (${said})`, async () => {
      const { code, message, status } = await way.refused(operation);
      expect([code, status], message).toEqual([exception, statusOf(exception)]);
      if (way.sentence === null) expect(message).toBeUndefined();
      else if (way.sentence !== undefined) expect(message).toMatch(way.sentence);
    });
  }
});

describe('the count', () => {
  test('every modelled exception of every operation is reached, or its reason is written down', () => {
    const missing = pairs.filter(([operation, exception]) => wayAt.get(`${operation} ${exception}`) === undefined && unreached[operation]?.[exception] === undefined);
    expect(missing.map((pair) => pair.join(' '))).toEqual([]);
    const both = pairs.filter(([operation, exception]) => own[operation]?.[exception] !== undefined && unreached[operation]?.[exception] !== undefined);
    expect(both).toEqual([]);
  });
  test('no way and no reason is left over', () => {
    for (const [operation, ways] of [...Object.entries(own), ...Object.entries(unreached)]) {
      expect(Object.keys(ways).filter((exception) => !errorsOf(operation).includes(exception)), operation).toEqual([]);
    }
  });
  test('operations: all of the model, those of custom key stores by their own tests', () => {
    expect(operationNames.filter((name) => !isOurs(name))).toEqual([...keyStoreOperations].sort());
    const others: readonly string[] = keyStoreOperations;
    expect(ours.filter((name: OperationName) => !isOurs(name) && !others.includes(name))).toEqual([]);
  });
  test('figures', () => {
    const reached = [...wayAt.values()].filter((way) => way !== undefined).length;
    const reasons = Object.values(unreached).reduce((sum, list) => sum + Object.keys(list).length, 0);
    expect(reached + reasons).toBe(pairs.length);
    expect(pairs.length).toBe(361);
    expect(reasons).toBeLessThanOrEqual(24);
  });
});

test('a modelled fault is not answered to what a client sends', async () => {
  // The injected failures are gone: the same requests succeed.
  for (const operation of ['Encrypt', 'ListKeys', 'GenerateRandom'] as const) {
    const { input } = await good[operation](w);
    expect((await w.ask(operation, input)).ok).toBe(true);
  }
});
