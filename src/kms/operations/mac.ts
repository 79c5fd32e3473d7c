/** GenerateMac, VerifyMac. */
import { HsmError } from '../../hsm/core.ts';
import { keyOperation } from '../define.ts';
import { fail } from '../errors.ts';
import type { Key } from '../key.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';
import { macMechanisms } from '../specs.ts';

const shared = {
  key: (input: { readonly KeyId: string }) => input.KeyId,
  readOnly: true, crossAccount: true, cryptographic: true, aliases: true, usage: 'GENERATE_VERIFY_MAC', states: 'cryptography',
} as const;

function mechanismOf(key: Key, algorithm: keyof typeof macMechanisms): number {
  key.requireAlgorithm(algorithm, key.spec.mac);
  return macMechanisms[algorithm];
}

export const generateMac = keyOperation({
  name: 'GenerateMac',
  input: {
    Message: s.PlaintextType,
    KeyId: s.KeyIdType,
    MacAlgorithm: s.MacAlgorithmSpec,
    GrantTokens: optional(s.GrantTokenList),
    DryRun: optional(s.NullableBooleanType),
  },
  ...shared,
  async run(run, input, key) {
    const mech = mechanismOf(key, input.MacAlgorithm);
    run.proceed();
    const mac = run.core.sign(run.session, run.handle(await run.sealed(key)), mech, undefined, input.Message);
    return { Mac: mac, MacAlgorithm: input.MacAlgorithm, KeyId: key.arn };
  },
});

export const verifyMac = keyOperation({
  name: 'VerifyMac',
  input: {
    Message: s.PlaintextType,
    KeyId: s.KeyIdType,
    MacAlgorithm: s.MacAlgorithmSpec,
    Mac: s.CiphertextType,
    GrantTokens: optional(s.GrantTokenList),
    DryRun: optional(s.NullableBooleanType),
  },
  ...shared,
  async run(run, input, key) {
    const mech = mechanismOf(key, input.MacAlgorithm);
    const handle = run.handle(await run.sealed(key));
    let valid = false;
    try {
      valid = run.core.verify(run.session, handle, mech, undefined, input.Message, input.Mac);
    } catch (error) {
      if (!(error instanceof HsmError && (error.code === 'HSM_E_SIGNATURE' || error.code === 'HSM_E_SIGNATURE_LEN'))) throw error;
    }
    if (!valid) throw fail('KMSInvalidMacException');
    run.proceed();
    return { KeyId: key.arn, MacValid: true, MacAlgorithm: input.MacAlgorithm };
  },
});
