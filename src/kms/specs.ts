/**
 * What each key spec is and can do: section by section the table of specs, usages and algorithms, and
 * how each algorithm is said to the core. One row a spec, one row an algorithm.
 */
import type { KeySpec, MechanismParams } from '../hsm/core.ts';
import { ATTR, CURVE, HASH, KEY, MECH, PARAM } from '../hsm/numbers.ts';
import type { KeySpecName, KeyUsageName } from './shapes.ts';

/* ---- algorithms ------------------------------------------------------------- */

export interface SigningAlgorithm {
  readonly mech: number;
  readonly raw: MechanismParams | undefined;
  readonly digest: MechanismParams | undefined;
  /** Bytes a DIGEST must have. */
  readonly digestLength: number;
  readonly messageTypes: readonly ('RAW' | 'DIGEST' | 'EXTERNAL_MU')[];
  /** Signs on a worker thread. */
  readonly slow: boolean;
}

interface Hash { readonly number: number; readonly length: number }
const sha256: Hash = { number: HASH.SHA256, length: 32 };
const sha384: Hash = { number: HASH.SHA384, length: 48 };
const sha512: Hash = { number: HASH.SHA512, length: 64 };

const pkcs = (mech: number, { length }: Hash): SigningAlgorithm => ({
  mech, raw: undefined, digest: { flags: PARAM.PREHASHED }, digestLength: length, messageTypes: ['RAW', 'DIGEST'], slow: true,
});
const pss = (mech: number, { number, length }: Hash): SigningAlgorithm => {
  const params = { hash: number, mgf: number, saltLength: 'digest' } as const;
  return { mech, raw: params, digest: { ...params, flags: PARAM.PREHASHED }, digestLength: length, messageTypes: ['RAW', 'DIGEST'], slow: true };
};
const ecdsa = (mech: number, { length }: Hash): SigningAlgorithm => ({
  mech, raw: { flags: PARAM.DER }, digest: { flags: PARAM.DER | PARAM.PREHASHED }, digestLength: length, messageTypes: ['RAW', 'DIGEST'], slow: false,
});

export const signingAlgorithms = {
  RSASSA_PKCS1_V1_5_SHA_256: pkcs(MECH.SHA256_RSA_PKCS, sha256),
  RSASSA_PKCS1_V1_5_SHA_384: pkcs(MECH.SHA384_RSA_PKCS, sha384),
  RSASSA_PKCS1_V1_5_SHA_512: pkcs(MECH.SHA512_RSA_PKCS, sha512),
  RSASSA_PSS_SHA_256: pss(MECH.SHA256_RSA_PSS, sha256),
  RSASSA_PSS_SHA_384: pss(MECH.SHA384_RSA_PSS, sha384),
  RSASSA_PSS_SHA_512: pss(MECH.SHA512_RSA_PSS, sha512),
  ECDSA_SHA_256: ecdsa(MECH.ECDSA_SHA256, sha256),
  ECDSA_SHA_384: ecdsa(MECH.ECDSA_SHA384, sha384),
  ECDSA_SHA_512: ecdsa(MECH.ECDSA_SHA512, sha512),
  ED25519_SHA_512: { mech: MECH.EDDSA, raw: undefined, digest: undefined, digestLength: 64, messageTypes: ['RAW'], slow: false },
  // The 64 bytes given are themselves hashed once more, as FIPS 186-5, 7.8.1 begins and as AWS documents.
  ED25519_PH_SHA_512: { mech: MECH.EDDSA, raw: undefined, digest: { flags: PARAM.PH }, digestLength: 64, messageTypes: ['DIGEST'], slow: false },
  ML_DSA_SHAKE_256: { mech: MECH.ML_DSA, raw: undefined, digest: { flags: PARAM.PREHASHED }, digestLength: 64, messageTypes: ['RAW', 'EXTERNAL_MU'], slow: true },
} as const satisfies Record<string, SigningAlgorithm>;

export type SigningAlgorithmName = keyof typeof signingAlgorithms;

export const oaep = {
  RSAES_OAEP_SHA_1: { params: { hash: HASH.SHA1, mgf: HASH.SHA1 }, overhead: 42 },
  RSAES_OAEP_SHA_256: { params: { hash: HASH.SHA256, mgf: HASH.SHA256 }, overhead: 66 },
} as const;

export const macMechanisms = {
  HMAC_SHA_224: MECH.SHA224_HMAC,
  HMAC_SHA_256: MECH.SHA256_HMAC,
  HMAC_SHA_384: MECH.SHA384_HMAC,
  HMAC_SHA_512: MECH.SHA512_HMAC,
} as const;

/* ---- key specs ---------------------------------------------------------------- */

export interface Spec {
  readonly family: 'symmetric' | 'hmac' | 'asymmetric';
  /** Undefined: this Region has none (SM2). */
  readonly core: KeySpec | undefined;
  /** First: the usage of SYMMETRIC_DEFAULT when none is given. */
  readonly usages: readonly KeyUsageName[];
  /** Made on a worker thread, as a pair. */
  readonly pair: boolean;
  readonly encryption: readonly string[];
  readonly signing: readonly string[];
  readonly mac: readonly string[];
  readonly agreement: readonly string[];
  readonly encapsulation: readonly string[];
}

const none: readonly string[] = [];
const plain = { encryption: none, signing: none, mac: none, agreement: none, encapsulation: none };
const rsa = (bits: number): Spec => ({
  ...plain, family: 'asymmetric', core: { type: KEY.RSA, param: bits }, pair: true, usages: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'],
  encryption: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'],
  signing: ['RSASSA_PKCS1_V1_5_SHA_256', 'RSASSA_PKCS1_V1_5_SHA_384', 'RSASSA_PKCS1_V1_5_SHA_512', 'RSASSA_PSS_SHA_256', 'RSASSA_PSS_SHA_384', 'RSASSA_PSS_SHA_512'],
});
const nist = (param: number, algorithm: string): Spec => ({
  ...plain, family: 'asymmetric', core: { type: KEY.EC, param }, pair: true, usages: ['SIGN_VERIFY', 'KEY_AGREEMENT'], signing: [algorithm], agreement: ['ECDH'],
});
const hmac = (bits: number): Spec => ({
  ...plain, family: 'hmac', core: { type: KEY.GENERIC, param: bits }, pair: false, usages: ['GENERATE_VERIFY_MAC'], mac: [`HMAC_SHA_${bits}`],
});
const mlDsa = (param: number): Spec => ({
  ...plain, family: 'asymmetric', core: { type: KEY.ML_DSA, param }, pair: true, usages: ['SIGN_VERIFY'], signing: ['ML_DSA_SHAKE_256'],
});
const mlKem = (param: number): Spec => ({
  ...plain, family: 'asymmetric', core: { type: KEY.ML_KEM, param }, pair: true, usages: ['ENCAPSULATE_DECAPSULATE'], encapsulation: ['ML_KEM'],
});

export const specs: Readonly<Record<KeySpecName, Spec>> = {
  SYMMETRIC_DEFAULT: { ...plain, family: 'symmetric', core: { type: KEY.KDK, param: 256 }, pair: false, usages: ['ENCRYPT_DECRYPT'], encryption: ['SYMMETRIC_DEFAULT'] },
  RSA_2048: rsa(2048),
  RSA_3072: rsa(3072),
  RSA_4096: rsa(4096),
  ECC_NIST_P256: nist(CURVE.P256, 'ECDSA_SHA_256'),
  ECC_NIST_P384: nist(CURVE.P384, 'ECDSA_SHA_384'),
  ECC_NIST_P521: nist(CURVE.P521, 'ECDSA_SHA_512'),
  ECC_SECG_P256K1: { ...nist(CURVE.SECP256K1, 'ECDSA_SHA_256'), usages: ['SIGN_VERIFY'], agreement: none },
  ECC_NIST_EDWARDS25519: {
    ...plain, family: 'asymmetric', core: { type: KEY.EDWARDS, param: CURVE.ED25519 }, pair: true, usages: ['SIGN_VERIFY'],
    signing: ['ED25519_SHA_512', 'ED25519_PH_SHA_512'],
  },
  HMAC_224: hmac(224),
  HMAC_256: hmac(256),
  HMAC_384: hmac(384),
  HMAC_512: hmac(512),
  ML_DSA_44: mlDsa(44),
  ML_DSA_65: mlDsa(65),
  ML_DSA_87: mlDsa(87),
  ML_KEM_512: mlKem(512),
  ML_KEM_768: mlKem(768),
  ML_KEM_1024: mlKem(1024),
  SM2: {
    ...plain, family: 'asymmetric', core: undefined, pair: true, usages: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY', 'KEY_AGREEMENT'],
    encryption: ['SM2PKE'], signing: ['SM2DSA'], agreement: ['ECDH'],
  },
};

/** The algorithms a key of this spec and usage lists, under the member that lists them. */
export function algorithmsOf(spec: KeySpecName, usage: KeyUsageName): { readonly member: string; readonly algorithms: readonly string[] } {
  const row = specs[spec];
  switch (usage) {
    case 'ENCRYPT_DECRYPT': return { member: 'EncryptionAlgorithms', algorithms: row.encryption };
    case 'SIGN_VERIFY': return { member: 'SigningAlgorithms', algorithms: row.signing };
    case 'GENERATE_VERIFY_MAC': return { member: 'MacAlgorithms', algorithms: row.mac };
    case 'KEY_AGREEMENT': return { member: 'KeyAgreementAlgorithms', algorithms: row.agreement };
    case 'ENCAPSULATE_DECAPSULATE': return { member: 'EncapsulationAlgorithms', algorithms: row.encapsulation };
  }
}

/** Modulus bytes of an RSA spec. */
export const rsaBytes = (spec: KeySpecName): number => (specs[spec].core?.param ?? 0) / 8;
/** Length of an ML-KEM ciphertext. */
export const kemCiphertextLength: Readonly<Record<string, number>> = { ML_KEM_512: 768, ML_KEM_768: 1088, ML_KEM_1024: 1568 };

/**
 * Uses of a KMS key in the core. A pair is one object, the private key: its caller's public uses follow
 * from the private ones.
 */
export function attributesOf(usage: KeyUsageName, { pair }: Spec): readonly (readonly [type: number, value: boolean])[] {
  switch (usage) {
    case 'ENCRYPT_DECRYPT': return pair ? [[ATTR.DECRYPT, true]] : [[ATTR.ENCRYPT, true], [ATTR.DECRYPT, true]];
    case 'SIGN_VERIFY': return [[ATTR.SIGN, true]];
    case 'GENERATE_VERIFY_MAC': return [[ATTR.SIGN, true], [ATTR.VERIFY, true]];
    case 'KEY_AGREEMENT': return [[ATTR.DERIVE, true], [ATTR.REVEAL, true]];
    case 'ENCAPSULATE_DECAPSULATE': return [[ATTR.DECAPSULATE, true], [ATTR.REVEAL, true]];
  }
}
