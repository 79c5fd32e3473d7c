/**
 * Attestation documents of Nitro enclaves and NitroTPM: COSE_Sign1 by the leaf of a certificate chain
 * that ends in a root the operator trusts. Signatures are checked in the core, in a partition of its own.
 */
import type { Core, KeyHandle, PartitionHandle, SessionHandle } from '../../hsm/core.ts';
import { HsmError } from '../../hsm/core.ts';
import { ATTR, CLASS, KEY, MECH, PARAM } from '../../hsm/numbers.ts';
import type { Attestation, Recipient } from '../recipient.ts';
import { CborError, decodeCbor, encodeCbor, Tagged, type Cbor } from './cbor.ts';
import { CertificateError, certificatesIn, readCertificate, type Certificate } from './certificate.ts';

/** A document is good for this long. */
const freshMs = 5 * 60_000;
const longestChain = 8;
const es384 = -35;
const coseSign1 = 18;

export class AttestationVerifier implements Attestation {
  readonly #core: Core;
  readonly #partition: PartitionHandle;
  readonly #session: SessionHandle;
  readonly #roots: readonly Buffer[];

  /** `roots`: PEM or DER files' contents. */
  constructor(core: Core, roots: readonly Buffer[]) {
    this.#core = core;
    this.#roots = roots.flatMap(certificatesIn);
    this.#roots.forEach(readCertificate);
    this.#partition = core.ephemeralPartition('attestation');
    this.#session = core.openSession(this.#partition, { readWrite: true });
  }

  close(): void {
    this.#core.closeSession(this.#session);
    this.#core.closePartition(this.#partition);
  }

  verify(document: Buffer, nowMs: number): Recipient | undefined {
    try {
      return this.#read(document, nowMs);
    } catch (error) {
      if (error instanceof CborError || error instanceof CertificateError) return undefined;
      if (error instanceof HsmError && malformed.has(error.code)) return undefined;
      throw error;
    }
  }

  #read(document: Buffer, nowMs: number): Recipient | undefined {
    const outer = decodeCbor(document);
    const sign1 = outer instanceof Tagged && outer.tag === coseSign1 ? outer.value : outer;
    if (!Array.isArray(sign1) || sign1.length !== 4) return undefined;
    const [guarded, , payload, signature] = sign1 as readonly Cbor[];
    if (!Buffer.isBuffer(guarded) || !Buffer.isBuffer(payload) || !Buffer.isBuffer(signature) || signature.length !== 96) return undefined;
    const algorithm = decodeCbor(guarded);
    if (!(algorithm instanceof Map) || algorithm.get(1) !== es384) return undefined;

    const said = decodeCbor(payload);
    if (!(said instanceof Map)) return undefined;
    const leaf = this.#chain(said, nowMs);
    if (leaf === undefined || !this.#signs(leaf.publicKey, encodeCbor(['Signature1', guarded, Buffer.alloc(0), payload]), signature, 0)) return undefined;
    const recipient = recipientIn(said, nowMs);
    return recipient !== undefined && this.#envelopes(recipient.publicKey) ? recipient : undefined;
  }

  /** Enveloping takes RSA of 2048 to 4096 bits. */
  #envelopes(publicKey: Buffer): boolean {
    const key = this.#core.create(this.#session, 0, [[ATTR.CLASS, CLASS.PUBLIC], [ATTR.KEY_TYPE, KEY.RSA], [ATTR.VALUE, publicKey], [ATTR.WRAP, true]]);
    try {
      const { param: bits } = this.#core.describeKey(this.#session, key).spec;
      return bits >= 2048 && bits <= 4096;
    } finally {
      this.#core.destroy(this.#session, key);
    }
  }

  /** The leaf, when each certificate is signed by the one above and the first is a root of ours. */
  #chain(said: ReadonlyMap<Cbor, Cbor>, nowMs: number): Certificate | undefined {
    const [own, bundle] = [said.get('certificate'), said.get('cabundle')];
    if (!Buffer.isBuffer(own) || !Array.isArray(bundle) || bundle.length === 0 || bundle.length > longestChain || !bundle.every(Buffer.isBuffer)) return undefined;
    const [top] = bundle;
    if (!this.#roots.some((root) => root.equals(top as Buffer))) return undefined;
    const chain = [...(bundle as Buffer[]), own].map(readCertificate);
    const inTime = chain.every((certificate) => certificate.notBeforeMs <= nowMs && nowMs <= certificate.notAfterMs);
    const linked = chain.every((certificate, i) => i === 0 || this.#issued(chain[i - 1] as Certificate, certificate, chain.length - 1 - i));
    const leaf = chain.at(-1);
    return inTime && linked && leaf !== undefined && !leaf.authority && (leaf.keyUsage === undefined || (leaf.keyUsage & 0x80) !== 0) ? leaf : undefined;
  }

  /** `below`: certificates that follow the one that was issued. */
  #issued(issuer: Certificate, certificate: Certificate, below: number): boolean {
    if (!issuer.authority || (issuer.keyUsage !== undefined && (issuer.keyUsage & 0x04) === 0)) return false;
    if (issuer.pathLength !== undefined && below > issuer.pathLength) return false;
    return issuer.subject.equals(certificate.issuer) && this.#signs(issuer.publicKey, certificate.signed, certificate.signature, PARAM.DER);
  }

  #signs(publicKey: Buffer, message: Buffer, signature: Buffer, flags: number): boolean {
    const key: KeyHandle = this.#core.create(this.#session, 0, [[ATTR.CLASS, CLASS.PUBLIC], [ATTR.KEY_TYPE, KEY.EC], [ATTR.VALUE, publicKey], [ATTR.VERIFY, true]]);
    try {
      return this.#core.verify(this.#session, key, MECH.ECDSA_SHA384, { flags }, message, signature);
    } finally {
      this.#core.destroy(this.#session, key);
    }
  }
}

const malformed = new Set<string>(['HSM_E_KEY_VALUE', 'HSM_E_KEY_TYPE', 'HSM_E_KEY_SIZE', 'HSM_E_CURVE', 'HSM_E_SIGNATURE', 'HSM_E_SIGNATURE_LEN', 'HSM_E_FORMAT', 'HSM_E_DATA', 'HSM_E_ATTR_VALUE']);

/** What the document says, once it is known who says it. */
function recipientIn(said: ReadonlyMap<Cbor, Cbor>, nowMs: number): Recipient | undefined {
  const [timestamp, publicKey] = [said.get('timestamp'), said.get('public_key')];
  if (said.get('digest') !== 'SHA384' || typeof timestamp !== 'number' || Math.abs(nowMs - timestamp) > freshMs || !Buffer.isBuffer(publicKey)) return undefined;
  const enclave = registersIn(said.get('pcrs'));
  const tpm = registersIn(said.get('nitrotpm_pcrs'));
  if (enclave === undefined && tpm === undefined) return undefined;
  const facts: Record<string, string> = {};
  for (const [n, value] of enclave ?? []) facts[`kms:recipientattestation:pcr${n}`] = value;
  for (const [n, value] of tpm ?? []) facts[`kms:recipientattestation:nitrotpmpcr${n}`] = value;
  const image = facts['kms:recipientattestation:pcr0'];
  return { publicKey, facts: image === undefined ? facts : { ...facts, 'kms:recipientattestation:imagesha384': image } };
}

/** Platform configuration registers by number, as hex. */
function registersIn(value: Cbor | undefined): readonly (readonly [number, string])[] | undefined {
  if (!(value instanceof Map)) return undefined;
  const registers = [...value];
  if (registers.length === 0 || !registers.every(([n, bytes]) => typeof n === 'number' && n >= 0 && n < 32 && Buffer.isBuffer(bytes) && [32, 48, 64].includes(bytes.length))) return undefined;
  return registers.map(([n, bytes]) => [n as number, (bytes as Buffer).toString('hex')]);
}
