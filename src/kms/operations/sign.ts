/** Sign, Verify, GetPublicKey. A digest is never hashed again, raw messages are hashed in the core. */
import { HsmError } from '../../hsm/core.ts';
import { keyOperation } from '../define.ts';
import { fail, validation } from '../errors.ts';
import type { Key } from '../key.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';
import { algorithmsOf, signingAlgorithms, type SigningAlgorithm, type SigningAlgorithmName } from '../specs.ts';

type MessageType = 'RAW' | 'DIGEST' | 'EXTERNAL_MU';

interface Input {
  readonly Message: Buffer;
  readonly MessageType?: MessageType | undefined;
  readonly SigningAlgorithm: SigningAlgorithmName | 'SM2DSA';
}

interface Way extends SigningAlgorithm {
  readonly params: SigningAlgorithm['raw'];
}

/** The algorithm, and the core's parameters for a message of this type. */
function wayOf(key: Key, { Message: message, MessageType: type = 'RAW', SigningAlgorithm: name }: Input): Way {
  key.requireAlgorithm(name, key.spec.signing);
  const algorithm: SigningAlgorithm = signingAlgorithms[name as SigningAlgorithmName];
  if (!algorithm.messageTypes.includes(type)) throw incompatible(key, type, name);
  if (type !== 'RAW' && message.length !== algorithm.digestLength) throw validation(`Digest is invalid length for algorithm ${name}.`);
  return { ...algorithm, params: type === 'RAW' ? algorithm.raw : algorithm.digest };
}

function incompatible(key: Key, type: MessageType, name: string): Error {
  const { spec } = key.record;
  return validation(spec === 'ECC_NIST_EDWARDS25519' ? `Message type ${type} is incompatible with algorithm ${name}.` : `Message type ${type} is incompatible with key spec ${spec}.`);
}

const shared = {
  key: (input: { readonly KeyId: string }) => input.KeyId,
  readOnly: true, crossAccount: true, cryptographic: true, aliases: true, usage: 'SIGN_VERIFY', states: 'cryptography',
} as const;

export const sign = keyOperation({
  name: 'Sign',
  input: {
    KeyId: s.KeyIdType,
    Message: s.PlaintextType,
    MessageType: optional(s.MessageType),
    GrantTokens: optional(s.GrantTokenList),
    SigningAlgorithm: s.SigningAlgorithmSpec,
    DryRun: optional(s.NullableBooleanType),
  },
  ...shared,
  async run(run, input, key) {
    const { mech, params, slow } = wayOf(key, input);
    run.proceed();
    const signature = slow
      ? await run.lend(key, (handle) => run.core.signSlow(run.session, handle, mech, params, input.Message))
      : run.core.sign(run.session, run.handle(await run.sealed(key)), mech, params, input.Message);
    return { KeyId: key.arn, Signature: signature, SigningAlgorithm: input.SigningAlgorithm };
  },
});

/** Malformed signatures are wrong ones. */
const notASignature = new Set<string>(['HSM_E_SIGNATURE', 'HSM_E_SIGNATURE_LEN', 'HSM_E_DATA', 'HSM_E_FORMAT']);

export const verify = keyOperation({
  name: 'Verify',
  input: {
    KeyId: s.KeyIdType,
    Message: s.PlaintextType,
    MessageType: optional(s.MessageType),
    Signature: s.CiphertextType,
    SigningAlgorithm: s.SigningAlgorithmSpec,
    GrantTokens: optional(s.GrantTokenList),
    DryRun: optional(s.NullableBooleanType),
  },
  ...shared,
  async run(run, input, key) {
    const { mech, params } = wayOf(key, input);
    const handle = run.handle(await run.sealed(key));
    let valid = false;
    try {
      valid = run.core.verify(run.session, handle, mech, params, input.Message, input.Signature);
    } catch (error) {
      if (!(error instanceof HsmError && notASignature.has(error.code))) throw error;
    }
    if (!valid) throw fail('KMSInvalidSignatureException');
    run.proceed();
    return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm: input.SigningAlgorithm };
  },
});

export const getPublicKey = keyOperation({
  name: 'GetPublicKey',
  input: { KeyId: s.KeyIdType, GrantTokens: optional(s.GrantTokenList) },
  readOnly: true,
  crossAccount: true,
  key: (input) => input.KeyId,
  aliases: true,
  states: 'cryptography',
  async run(run, _, key) {
    const { spec, usage } = key.record;
    if (key.spec.family !== 'asymmetric') throw fail('UnsupportedOperationException');
    const publicKey = run.core.publicKey(run.session, run.handle(await run.sealed(key)));
    const { member, algorithms } = algorithmsOf(spec, usage);
    return { KeyId: key.arn, PublicKey: publicKey, CustomerMasterKeySpec: spec, KeySpec: spec, KeyUsage: usage, [member]: algorithms };
  },
});
