/** Data keys and data key pairs: made in the core, sealed under the key; in the clear only where asked. */
import type { KeySpec } from '../../hsm/core.ts';
import { keyOperation } from '../define.ts';
import { packed } from '../envelope.ts';
import { fail, usage as refuse, validation } from '../errors.ts';
import type { Key } from '../key.ts';
import type { Answer } from '../operation.ts';
import type { Run } from '../run.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';
import { specs } from '../specs.ts';

const shared = {
  key: (input: { readonly KeyId: string }) => input.KeyId,
  readOnly: true, crossAccount: true, cryptographic: true, aliases: true, usage: 'ENCRYPT_DECRYPT', states: 'cryptography',
} as const;

function requireSymmetric(key: Key): void {
  if (key.record.spec !== 'SYMMETRIC_DEFAULT') throw refuse.asymmetricDataKey();
}

/* ---- keys --------------------------------------------------------------------- */

interface Length {
  readonly KeySpec?: 'AES_256' | 'AES_128' | undefined;
  readonly NumberOfBytes?: number | undefined;
}

function checkLength({ KeySpec: spec, NumberOfBytes: bytes }: Length): void {
  if ((spec === undefined) === (bytes === undefined)) throw validation('Please specify either number of bytes or key spec.');
}

const lengthOf = ({ KeySpec: spec, NumberOfBytes: bytes = 0 }: Length): number => (spec === 'AES_256' ? 32 : spec === 'AES_128' ? 16 : bytes);

/** In the clear, enveloped to the recipient, or not at all. */
async function dataKey(run: Run, key: Key, pairs: Buffer, length: number, reveal: boolean): Promise<Answer> {
  const sealed = run.sealed(key);
  const at = 'then' in sealed ? await sealed : sealed;
  const materialId = key.material?.id;
  run.use(key, materialId);
  if (!reveal) {
    const blob = run.wrap(key, run.core.dataKey(run.session, run.handle(at), pairs, length, undefined));
    return { CiphertextBlob: 'then' in blob ? await blob : blob, KeyMaterialId: materialId };
  }
  const { verified } = run;
  if (verified !== undefined) {
    const { cms, blob } = run.core.recipientDataKey(run.session, run.handle(at), pairs, length, verified.publicKey);
    return { CiphertextBlob: await run.wrap(key, blob), CiphertextForRecipient: cms };
  }
  const plain = run.core.payload(length);
  try {
    const blob = run.wrap(key, run.core.dataKey(run.session, run.handle(at), pairs, length, plain));
    return { CiphertextBlob: 'then' in blob ? await blob : blob, Plaintext: plain, KeyMaterialId: materialId };
  } catch (error) {
    plain.release();
    throw error;
  }
}

export const generateDataKey = keyOperation({
  name: 'GenerateDataKey',
  input: {
    KeyId: s.KeyIdType,
    EncryptionContext: optional(s.EncryptionContextType),
    NumberOfBytes: optional(s.NumberOfBytesType),
    KeySpec: optional(s.DataKeySpec),
    GrantTokens: optional(s.GrantTokenList),
    DryRun: optional(s.NullableBooleanType),
    Recipient: optional(s.RecipientInfo),
  },
  ...shared,
  check(input, run) {
    checkLength(input);
    run.recipient(input.Recipient);
  },
  async run(run, input, key) {
    requireSymmetric(key);
    const pairs = packed(input.EncryptionContext);
    run.proceed();
    return { KeyId: key.arn, ...(await dataKey(run, key, pairs, lengthOf(input), true)) };
  },
});

export const generateDataKeyWithoutPlaintext = keyOperation({
  name: 'GenerateDataKeyWithoutPlaintext',
  // In the model's order, which is the order broken constraints are told in.
  input: {
    KeyId: s.KeyIdType,
    EncryptionContext: optional(s.EncryptionContextType),
    KeySpec: optional(s.DataKeySpec),
    NumberOfBytes: optional(s.NumberOfBytesType),
    GrantTokens: optional(s.GrantTokenList),
    DryRun: optional(s.NullableBooleanType),
  },
  ...shared,
  check: checkLength,
  async run(run, input, key) {
    requireSymmetric(key);
    const pairs = packed(input.EncryptionContext);
    run.proceed();
    return { KeyId: key.arn, ...(await dataKey(run, key, pairs, lengthOf(input), false)) };
  },
});

/* ---- pairs ----------------------------------------------------------------------- */

const pairInput = {
  EncryptionContext: optional(s.EncryptionContextType),
  KeyId: s.KeyIdType,
  KeyPairSpec: s.DataKeyPairSpec,
  GrantTokens: optional(s.GrantTokenList),
  DryRun: optional(s.NullableBooleanType),
} as const;

type PairSpec = keyof typeof specs;

/** The pair's spec in the core; its private key is PKCS#8, sealed by the same call that makes it. */
function pairSpecOf(key: Key, name: PairSpec): KeySpec {
  if (key.record.keyStoreId !== undefined) throw fail('UnsupportedOperationException', `${key.arn} origin is ${key.record.origin} which is not valid for this operation.`);
  requireSymmetric(key);
  const spec = specs[name].core;
  if (spec === undefined) throw fail('UnsupportedOperationException', `KeyPairSpec ${name} is not supported in this Region`);
  return spec;
}

/** PKCS#8 of the largest pair, RSA_4096, has less than 2.5 KB. */
const pairRoom = 4096;

async function dataKeyPair(run: Run, key: Key, pairs: Buffer, spec: KeySpec, reveal: boolean): Promise<Answer> {
  const materialId = key.material?.id;
  run.use(key, materialId);
  const { verified } = run;
  if (reveal && verified !== undefined) {
    const { publicKey, cms, blob } = await run.lend(key, (handle) => run.core.recipientDataKeyPair(run.session, handle, pairs, spec, verified.publicKey));
    return { PrivateKeyCiphertextBlob: blob, PublicKey: publicKey, CiphertextForRecipient: cms };
  }
  const plain = reveal ? run.core.payload(pairRoom) : undefined;
  try {
    const { publicKey, blob } = await run.lend(key, (handle) => run.core.dataKeyPair(run.session, handle, pairs, spec, plain));
    return { PrivateKeyCiphertextBlob: blob, PublicKey: publicKey, ...(plain === undefined ? {} : { PrivateKeyPlaintext: plain }), KeyMaterialId: materialId };
  } catch (error) {
    plain?.release();
    throw error;
  }
}

export const generateDataKeyPair = keyOperation({
  name: 'GenerateDataKeyPair',
  input: { ...pairInput, Recipient: optional(s.RecipientInfo) },
  ...shared,
  check: (input, run) => void run.recipient(input.Recipient),
  async run(run, input, key) {
    const spec = pairSpecOf(key, input.KeyPairSpec);
    const pairs = packed(input.EncryptionContext);
    run.proceed();
    return { KeyId: key.arn, KeyPairSpec: input.KeyPairSpec, ...(await dataKeyPair(run, key, pairs, spec, true)) };
  },
});

export const generateDataKeyPairWithoutPlaintext = keyOperation({
  name: 'GenerateDataKeyPairWithoutPlaintext',
  input: pairInput,
  ...shared,
  async run(run, input, key) {
    const spec = pairSpecOf(key, input.KeyPairSpec);
    const pairs = packed(input.EncryptionContext);
    run.proceed();
    return { KeyId: key.arn, KeyPairSpec: input.KeyPairSpec, ...(await dataKeyPair(run, key, pairs, spec, false)) };
  },
});
