/** Encrypt, Decrypt, ReEncrypt: what they share is the blob that names its key. */
import { HsmError, type Payload } from '../../hsm/core.ts';
import { MECH } from '../../hsm/numbers.ts';
import { keyOperation, operation } from '../define.ts';
import { packed, type EncryptionContext } from '../envelope.ts';
import { access, fail, invalidCiphertext, usage as refuse, validation } from '../errors.ts';
import type { Key } from '../key.ts';
import { innerRefused } from '../keystores/failure.ts';
import { peekOuter, type OuterName } from '../keystores/outer.ts';
import { AwsError } from '../operation.ts';
import type { Recipient } from '../recipient.ts';
import { parseKeyName } from '../resolve.ts';
import type { Run, Sealed } from '../run.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';
import { oaep, rsaBytes } from '../specs.ts';

type Algorithm = 'SYMMETRIC_DEFAULT' | keyof typeof oaep | 'SM2PKE';

const symmetric = 'SYMMETRIC_DEFAULT';

/* ---- the two ways ------------------------------------------------------------ */

/** Encrypt under a key that was opened and whose algorithm fits. */
async function seal(run: Run, key: Key, algorithm: Algorithm, pairs: Buffer, plain: Buffer): Promise<Buffer> {
  if (algorithm === symmetric) {
    const sealed = run.sealed(key);
    const at = 'then' in sealed ? await sealed : sealed;
    return run.wrap(key, run.core.envelopeSeal(run.session, run.handle(at), pairs, plain));
  }
  const sealed = await run.sealed(key);
  const out = Buffer.alloc(rsaBytes(key.record.spec));
  const length = run.core.encryptInto(run.session, run.handle(sealed), MECH.RSA_OAEP, oaepOf(algorithm).params, plain, out);
  return out.subarray(0, length);
}

/** The other way; nothing but InvalidCiphertext is said of a blob that does not open. */
async function unseal(run: Run, key: Key, algorithm: Algorithm, pairs: Buffer, blob: Buffer, materialId: string | undefined): Promise<Payload> {
  if (algorithm !== symmetric) {
    return run.lend(key, (handle) => run.core.decryptSlow(run.session, handle, MECH.RSA_OAEP, oaepOf(algorithm).params, blob)).catch((error: unknown) => asCiphertext(error));
  }
  const unwrapped = run.unwrap(key, blob);
  const inner = 'then' in unwrapped ? await unwrapped : unwrapped;
  const sealed = run.sealed(key, materialId);
  const at = 'then' in sealed ? await sealed : sealed;
  const plain = run.core.payload(inner.length);
  try {
    run.core.envelopeOpen(run.session, run.handle(at), pairs, inner, plain);
    return plain;
  } catch (error) {
    plain.release();
    return asCiphertext(error, key);
  }
}

const notOpened = new Set<string>(['HSM_E_CIPHERTEXT', 'HSM_E_CIPHERTEXT_LEN', 'HSM_E_DATA', 'HSM_E_DATA_LEN', 'HSM_E_FORMAT']);

function asCiphertext(error: unknown, key?: Key): never {
  if (error instanceof HsmError && notOpened.has(error.code)) throw key?.record.origin === 'EXTERNAL_KEY_STORE' ? innerRefused() : invalidCiphertext();
  throw error;
}

function oaepOf(algorithm: Algorithm): (typeof oaep)[keyof typeof oaep] {
  if (algorithm === 'RSAES_OAEP_SHA_1' || algorithm === 'RSAES_OAEP_SHA_256') return oaep[algorithm];
  throw new Error(`no ${algorithm} here`);
}

function checkContext(algorithm: Algorithm, context: EncryptionContext | undefined): void {
  if (algorithm !== symmetric && context !== undefined) throw refuse.noContext(algorithm);
}

function checkRoom(key: Key, algorithm: Algorithm, length: number): void {
  if (algorithm === symmetric) return;
  const most = rsaBytes(key.record.spec) - oaepOf(algorithm).overhead;
  if (length > most) throw validation(`Algorithm ${algorithm} and key spec ${key.record.spec} cannot encrypt data larger than ${most} bytes.`);
}

/* ---- Encrypt ------------------------------------------------------------------ */

export const encrypt = keyOperation({
  name: 'Encrypt',
  input: {
    KeyId: s.KeyIdType,
    Plaintext: s.PlaintextType,
    EncryptionContext: optional(s.EncryptionContextType),
    GrantTokens: optional(s.GrantTokenList),
    EncryptionAlgorithm: optional(s.EncryptionAlgorithmSpec),
    DryRun: optional(s.NullableBooleanType),
  },
  readOnly: true,
  crossAccount: true,
  cryptographic: true,
  key: (input) => input.KeyId,
  aliases: true,
  usage: 'ENCRYPT_DECRYPT',
  states: 'cryptography',
  async run(run, input, key) {
    const algorithm = input.EncryptionAlgorithm ?? symmetric;
    key.requireAlgorithm(algorithm, key.spec.encryption);
    checkContext(algorithm, input.EncryptionContext);
    checkRoom(key, algorithm, input.Plaintext.length);
    const pairs = packed(input.EncryptionContext);
    run.proceed();
    const blob = await seal(run, key, algorithm, pairs, input.Plaintext);
    run.use(key, algorithm === symmetric ? key.material?.id : undefined);
    return { CiphertextBlob: blob, KeyId: key.arn, EncryptionAlgorithm: algorithm };
  },
});

/* ---- which key opens a blob ------------------------------------------------------ */

interface Source {
  readonly blob: Buffer | undefined;
  readonly keyId: string | undefined;
  readonly algorithm: Algorithm;
  readonly context: EncryptionContext | undefined;
  /** `kms:Decrypt` or `kms:ReEncryptFrom`. */
  readonly action: string;
  readonly values?: Readonly<Record<string, string>>;
}

interface Found {
  readonly key: Key;
  /** The material a symmetric blob names. */
  readonly materialId: string | undefined;
}

type Owner = Omit<OuterName, 'type'> & Partial<Pick<OuterName, 'type'>>;

/** Whom a blob names: one of the core's, or one that a custom key store sealed once more. */
function ownerOf(run: Run, blob: Buffer): Owner | undefined {
  return run.core.envelopePeek(blob) ?? peekOuter(run.core, blob);
}

/** A key of a custom key store opens what its store sealed, any other key what the core did. */
const sealedBy = (key: Key): string | undefined => (key.record.keyStoreId === undefined ? undefined : key.record.origin);

/**
 * The key for a ciphertext: the one named, which must be the one the blob names; or the blob's own. A
 * blob is not authenticated yet: it only says which key to ask, whose authority is asked like any.
 */
async function sourceKey(run: Run, source: Source): Promise<Found> {
  const facts = { encryptionContext: source.context, ...(source.values === undefined ? {} : { values: source.values }) };
  const need = { action: source.action, aliases: true, facts };
  if (source.blob === undefined) {
    if (source.keyId === undefined) throw validation('KeyId is required when DryRunModifiers includes IGNORE_CIPHERTEXT.');
    const key = await run.open(source.keyId, { ...need, usage: 'ENCRYPT_DECRYPT', states: 'cryptography' });
    key.requireAlgorithm(source.algorithm, key.spec.encryption);
    return { key, materialId: undefined };
  }
  if (source.algorithm !== symmetric) return asymmetricSource(run, source, need);

  const owner = ownerOf(run, source.blob);
  // A blob of another account's key says whose it is, so the key's bare id is enough beside it.
  const bare = owner !== undefined && owner.account !== run.account && source.keyId === owner.objectId;
  const named = source.keyId === undefined || bare ? undefined : await run.authorised(source.keyId, need);
  if (owner === undefined) throw invalidCiphertext();
  if (named !== undefined && (named.account !== owner.account || named.record.keyId !== owner.objectId)) throw refuse.wrongKey();
  const key = named ?? (await blobsOwnKey(run, owner, need));
  run.require(key, { usage: 'ENCRYPT_DECRYPT', states: 'cryptography' });
  if (sealedBy(key) !== owner.type || !key.record.materials.some(({ id }) => id === owner.materialId)) throw invalidCiphertext();
  return { key, materialId: owner.materialId };
}

const hidden = new Set(['AccessDeniedException', 'NotFoundException', 'InvalidArnException']);

async function blobsOwnKey(run: Run, owner: { readonly account: string; readonly objectId: string }, need: { readonly action: string; readonly facts: object }): Promise<Key> {
  try {
    return await run.authorised(`arn:aws:kms:${run.region}:${owner.account}:key/${owner.objectId}`, need);
  } catch (error) {
    if (error instanceof AwsError && hidden.has(error.code)) throw access.hiddenCiphertext();
    throw error;
  }
}

async function asymmetricSource(run: Run, source: Source, need: { readonly action: string; readonly aliases: boolean; readonly facts: object }): Promise<Found> {
  if (source.keyId === undefined) throw validation(`KeyId is required for algorithm ${source.algorithm}.`);
  checkContext(source.algorithm, source.context);
  const key = await run.open(source.keyId, { ...need, usage: 'ENCRYPT_DECRYPT', states: 'cryptography' });
  key.requireAlgorithm(source.algorithm, key.spec.encryption);
  return { key, materialId: undefined };
}

/** Without the modifier a blob must be there; with it, the request must be a dry run. */
function blobOf(run: Run, blob: Buffer | undefined, modifiers: readonly string[] | undefined): Buffer | undefined {
  if (modifiers?.includes('IGNORE_CIPHERTEXT')) {
    if (run.input['DryRun'] !== true) throw validation('DryRunModifiers can only be specified when DryRun is true.');
    return undefined;
  }
  if (blob === undefined) throw missing('ciphertextBlob');
  return blob;
}

const missing = (member: string): AwsError => validation(`1 validation error detected: Value null at '${member}' failed to satisfy constraint: Member must not be null`);

/* ---- Decrypt ---------------------------------------------------------------------- */

export const decrypt = operation({
  name: 'Decrypt',
  input: {
    CiphertextBlob: optional(s.CiphertextType),
    EncryptionContext: optional(s.EncryptionContextType),
    GrantTokens: optional(s.GrantTokenList),
    KeyId: optional(s.KeyIdType),
    EncryptionAlgorithm: optional(s.EncryptionAlgorithmSpec),
    Recipient: optional(s.RecipientInfo),
    DryRun: optional(s.NullableBooleanType),
    DryRunModifiers: optional(s.DryRunModifierList),
  },
  readOnly: true,
  crossAccount: true,
  cryptographic: true,
  async run(run, input) {
    const algorithm = input.EncryptionAlgorithm ?? symmetric;
    const blob = blobOf(run, input.CiphertextBlob, input.DryRunModifiers);
    const recipient = run.recipient(input.Recipient);
    const { key, materialId } = await sourceKey(run, { blob, keyId: input.KeyId, algorithm, context: input.EncryptionContext, action: 'kms:Decrypt' });
    if (blob === undefined) run.proceed();
    const pairs = packed(input.EncryptionContext);
    if (recipient !== undefined) {
      const cms = await unsealFor(run, recipient, key, algorithm, pairs, blob as Buffer, materialId);
      run.proceed();
      run.use(key, materialId);
      return { KeyId: key.arn, CiphertextForRecipient: cms, EncryptionAlgorithm: algorithm };
    }
    const plain = await unseal(run, key, algorithm, pairs, blob as Buffer, materialId);
    try {
      run.proceed();
    } catch (error) {
      plain.release();
      throw error;
    }
    run.use(key, materialId);
    return { KeyId: key.arn, Plaintext: plain, EncryptionAlgorithm: algorithm, ...(materialId === undefined ? {} : { KeyMaterialId: materialId }) };
  },
});

/** Plaintext that only the attested recipient can read. */
async function unsealFor(run: Run, recipient: Recipient, key: Key, algorithm: Algorithm, pairs: Buffer, blob: Buffer, materialId: string | undefined): Promise<Buffer> {
  if (algorithm !== symmetric) {
    return run.lend(key, (handle) => run.core.recipientDecrypt(run.session, handle, MECH.RSA_OAEP, oaepOf(algorithm).params, blob, recipient.publicKey))
      .catch((error: unknown) => asCiphertext(error));
  }
  const inner = await run.unwrap(key, blob);
  const sealed = await run.sealed(key, materialId);
  try {
    return run.core.recipientOpen(run.session, run.handle(sealed), pairs, inner, recipient.publicKey);
  } catch (error) {
    return asCiphertext(error, key);
  }
}

/* ---- ReEncrypt -------------------------------------------------------------------- */

export const reEncrypt = operation({
  name: 'ReEncrypt',
  input: {
    CiphertextBlob: optional(s.CiphertextType),
    SourceEncryptionContext: optional(s.EncryptionContextType),
    SourceKeyId: optional(s.KeyIdType),
    DestinationKeyId: s.KeyIdType,
    DestinationEncryptionContext: optional(s.EncryptionContextType),
    SourceEncryptionAlgorithm: optional(s.EncryptionAlgorithmSpec),
    DestinationEncryptionAlgorithm: optional(s.EncryptionAlgorithmSpec),
    GrantTokens: optional(s.GrantTokenList),
    DryRun: optional(s.NullableBooleanType),
    DryRunModifiers: optional(s.DryRunModifierList),
  },
  readOnly: true,
  crossAccount: true,
  cryptographic: true,
  async run(run, input) {
    const sourceAlgorithm = input.SourceEncryptionAlgorithm ?? symmetric;
    const algorithm = input.DestinationEncryptionAlgorithm ?? symmetric;
    const blob = blobOf(run, input.CiphertextBlob, input.DryRunModifiers);
    const same = await namesSameKey(run, blob, input.SourceKeyId, input.DestinationKeyId);
    const values = { 'kms:reencryptonsamekey': String(same), 'kms:encryptionalgorithm': sourceAlgorithm };
    const from = await sourceKey(run, {
      blob, keyId: input.SourceKeyId, algorithm: sourceAlgorithm, context: input.SourceEncryptionContext, action: 'kms:ReEncryptFrom', values,
    });
    const to = await run.open(input.DestinationKeyId, {
      action: 'kms:ReEncryptTo', aliases: true, usage: 'ENCRYPT_DECRYPT', states: 'cryptography',
      facts: { encryptionContext: input.DestinationEncryptionContext, values: { ...values, 'kms:encryptionalgorithm': algorithm } },
    });
    to.requireAlgorithm(algorithm, to.spec.encryption);
    checkContext(algorithm, input.DestinationEncryptionContext);
    const toPairs = packed(input.DestinationEncryptionContext);
    if (blob === undefined) run.proceed();
    const moved = await move(run, blob as Buffer, from, sourceAlgorithm, packed(input.SourceEncryptionContext), to, algorithm, toPairs);
    run.use(from.key);
    run.use(to);
    return {
      CiphertextBlob: moved, SourceKeyId: from.key.arn, KeyId: to.arn,
      SourceEncryptionAlgorithm: sourceAlgorithm, DestinationEncryptionAlgorithm: algorithm,
      ...(from.materialId === undefined ? {} : { SourceKeyMaterialId: from.materialId }),
      ...(algorithm === symmetric && to.material !== undefined ? { DestinationKeyMaterialId: to.material.id } : {}),
    };
  },
});

/** For `kms:ReEncryptOnSameKey`, which both permissions may ask: found before either, without authority. */
async function namesSameKey(run: Run, blob: Buffer | undefined, sourceId: string | undefined, destinationId: string): Promise<boolean> {
  const nameOf = async (id: string) => {
    const key = await run.find(parseKeyName(id, run.account, run.region, true));
    return key?.id;
  };
  const to = await nameOf(destinationId);
  if (to === undefined) return false;
  if (sourceId !== undefined) return (await nameOf(sourceId)) === to;
  const owner = blob && ownerOf(run, blob);
  return owner !== undefined && to === `${owner.account}/${run.region}/${owner.objectId}`;
}

function moved(run: Run, source: Sealed, fromPairs: Buffer, inner: Buffer, from: Key, target: Sealed, toPairs: Buffer): Buffer {
  try {
    return run.core.envelopeMove(run.session, run.handle(source), fromPairs, inner, run.handle(target), toPairs);
  } catch (error) {
    return asCiphertext(error, from);
  }
}

/** Between symmetric keys one core call, without plaintext; through an RSA key by way of a payload. */
async function move(
  run: Run, blob: Buffer, from: Found, fromAlgorithm: Algorithm, fromPairs: Buffer, to: Key, toAlgorithm: Algorithm, toPairs: Buffer,
): Promise<Buffer> {
  if (fromAlgorithm === symmetric && toAlgorithm === symmetric && run.input['DryRun'] !== true) {
    const inner = await run.unwrap(from.key, blob);
    const source = await run.sealed(from.key, from.materialId);
    const target = await run.sealed(to);
    return run.wrap(to, moved(run, source, fromPairs, inner, from.key, target, toPairs));
  }
  const plain = await unseal(run, from.key, fromAlgorithm, fromPairs, blob, from.materialId);
  try {
    checkRoom(to, toAlgorithm, plain.bytes.length);
    run.proceed();
    return await seal(run, to, toAlgorithm, toPairs, plain.bytes);
  } finally {
    plain.release();
  }
}

