/** Secrets agreed with another party: ECDH, and ML-KEM both ways. By contract the secret leaves. */
import { HsmError, type KeyHandle } from '../../hsm/core.ts';
import { MECH, PARAM } from '../../hsm/numbers.ts';
import { keyOperation } from '../define.ts';
import { fail, invalidCiphertext } from '../errors.ts';
import type { Answer } from '../operation.ts';
import type { Run } from '../run.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';
import { kemCiphertextLength } from '../specs.ts';

const shared = {
  key: (input: { readonly KeyId: string }) => input.KeyId,
  readOnly: true, crossAccount: true, cryptographic: true, aliases: true, states: 'cryptography',
} as const;

/** What the core says of a peer's public key that is none, or not on the key's curve. */
const badPeer = new Set<string>(['HSM_E_PARAM', 'HSM_E_DATA', 'HSM_E_DATA_LEN', 'HSM_E_KEY_VALUE', 'HSM_E_KEY_TYPE', 'HSM_E_KEY_SIZE', 'HSM_E_CURVE', 'HSM_E_FORMAT']);

/** The longest agreed secret is P-521's x-coordinate. */
const longestSecret = 66;

export const deriveSharedSecret = keyOperation({
  name: 'DeriveSharedSecret',
  input: {
    KeyId: s.KeyIdType,
    KeyAgreementAlgorithm: s.KeyAgreementAlgorithmSpec,
    PublicKey: s.PublicKeyType,
    GrantTokens: optional(s.GrantTokenList),
    DryRun: optional(s.NullableBooleanType),
    Recipient: optional(s.RecipientInfo),
  },
  ...shared,
  usage: 'KEY_AGREEMENT',
  check: (input, run) => void run.recipient(input.Recipient),
  async run(run, input, key) {
    key.requireAlgorithm(input.KeyAgreementAlgorithm, key.spec.agreement);
    const handle = run.handle(await run.sealed(key));
    return { KeyId: key.arn, ...agree(run, handle, input.PublicKey), KeyAgreementAlgorithm: input.KeyAgreementAlgorithm, KeyOrigin: key.record.origin };
  },
});

/** The secret itself, or enveloped to the recipient. */
function agree(run: Run, handle: KeyHandle, peer: Buffer): Answer {
  const params = { peer, flags: PARAM.COFACTOR };
  const { verified } = run;
  const secret = run.core.payload(longestSecret);
  try {
    if (verified !== undefined) {
      const cms = run.core.recipientAgree(run.session, handle, MECH.ECDH1_DERIVE, params, verified.publicKey);
      run.proceed();
      secret.release();
      return { CiphertextForRecipient: cms };
    }
    run.core.agree(run.session, handle, MECH.ECDH1_DERIVE, params, secret);
    run.proceed();
    return { SharedSecret: secret };
  } catch (error) {
    secret.release();
    // AWS says no more than that.
    if (error instanceof HsmError && badPeer.has(error.code)) throw fail('ValidationException');
    throw error;
  }
}

const kemSecret = 32;

export const encapsulate = keyOperation({
  name: 'Encapsulate',
  input: {
    KeyId: s.KeyIdType,
    EncapsulationAlgorithm: s.EncapsulationAlgorithmSpec,
    GrantTokens: optional(s.GrantTokenList),
    DryRun: optional(s.NullableBooleanType),
  },
  ...shared,
  usage: 'ENCAPSULATE_DECAPSULATE',
  async run(run, input, key) {
    key.requireAlgorithm(input.EncapsulationAlgorithm, key.spec.encapsulation);
    run.proceed();
    const handle = run.handle(await run.sealed(key));
    const secret = run.core.payload(kemSecret);
    try {
      const ciphertext = run.core.kemSeal(run.session, handle, secret);
      return { KeyId: key.arn, SharedSecret: secret, SharedSecretCiphertextBlob: ciphertext, EncapsulationAlgorithm: input.EncapsulationAlgorithm };
    } catch (error) {
      secret.release();
      throw error;
    }
  },
});

export const decapsulate = keyOperation({
  name: 'Decapsulate',
  input: {
    KeyId: s.KeyIdType,
    SharedSecretCiphertextBlob: s.CiphertextType,
    EncapsulationAlgorithm: s.EncapsulationAlgorithmSpec,
    GrantTokens: optional(s.GrantTokenList),
    DryRun: optional(s.NullableBooleanType),
  },
  ...shared,
  usage: 'ENCAPSULATE_DECAPSULATE',
  async run(run, input, key) {
    key.requireAlgorithm(input.EncapsulationAlgorithm, key.spec.encapsulation);
    if (input.SharedSecretCiphertextBlob.length !== kemCiphertextLength[key.record.spec]) throw invalidCiphertext();
    run.proceed();
    const handle = run.handle(await run.sealed(key));
    const secret = run.core.payload(kemSecret);
    try {
      // A ciphertext of the right length always gives a secret: ML-KEM rejects by pseudo-random bytes.
      run.core.kemOpen(run.session, handle, input.SharedSecretCiphertextBlob, secret);
      return { KeyId: key.arn, SharedSecret: secret, EncapsulationAlgorithm: input.EncapsulationAlgorithm };
    } catch (error) {
      secret.release();
      throw error;
    }
  },
});
