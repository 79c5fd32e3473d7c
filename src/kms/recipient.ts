/**
 * Recipient: the caller proves by an attestation document that it is an enclave, and the answer's secret
 * leaves the core only enveloped to the public key in that document. Verifying takes roots that the
 * operator trusts; without any, no document is good.
 */
import { validation } from './errors.ts';

export interface Recipient {
  /** RSA, SubjectPublicKeyInfo: the core envelopes to it. */
  readonly publicKey: Buffer;
  /** `kms:RecipientAttestation:…` condition keys, in lower case. */
  readonly facts: Readonly<Record<string, string>>;
}

export interface Attestation {
  /** Undefined: not signed under a trusted root, or not in its time. */
  verify(document: Buffer, nowMs: number): Recipient | undefined;
}

export interface RecipientInfo {
  readonly KeyEncryptionAlgorithm?: 'RSAES_OAEP_SHA_256' | undefined;
  readonly AttestationDocument?: Buffer | undefined;
}

export function recipientOf(attestation: Attestation | undefined, info: RecipientInfo | undefined, nowMs: number): Recipient | undefined {
  if (info === undefined) return undefined;
  if (info.KeyEncryptionAlgorithm === undefined) throw validation('KeyEncryptionAlgorithm is required in Recipient.');
  if (info.AttestationDocument === undefined) throw validation('AttestationDocument is required in Recipient.');
  const recipient = attestation?.verify(info.AttestationDocument, nowMs);
  if (recipient === undefined) throw validation('The attestation document could not be verified.');
  return recipient;
}
