/**
 * What each key spec is and can do: section by section the table of specs, usages and algorithms, and
 * how each algorithm is said to the core. One row a spec, one row an algorithm.
 */
import type { MechanismParams } from '../hsm/core.ts';
import type { KeySpecName, KeyUsageName } from './shapes.ts';

/* ---- numbers of the core (native/mech/params.h) ----------------------------- */

const type = { rsa: 0x00, ec: 0x03, generic: 0x10, edwards: 0x40, mlKem: 0x49, mlDsa: 0x4a, kdk: 0x80000001 } as const;
const curve = { p256: 2, p384: 3, p521: 4, secp256k1: 5, ed25519: 6 } as const;
const hash = { sha1: 1, sha256: 3, sha384: 4, sha512: 5 } as const;
const flag = { prehashed: 0x02, der: 0x08, ph: 0x80 } as const;

export const mechanism = {
  rsaOaep: 0x0009,
  rsaPkcs: { sha256: 0x0040, sha384: 0x0041, sha512: 0x0042 },
  rsaPss: { sha256: 0x0043, sha384: 0x0044, sha512: 0x0045 },
  ecdsa: { sha256: 0x1044, sha384: 0x1045, sha512: 0x1046 },
  eddsa: 0x1057,
  mlDsa: 0x001d,
  mlKem: 0x0017,
  ecdh: 0x1050,
  hmac: { sha224: 0x0256, sha256: 0x0251, sha384: 0x0261, sha512: 0x0271 },
} as const;

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

type HashName = 'sha256' | 'sha384' | 'sha512';
const digestLengths = { sha256: 32, sha384: 48, sha512: 64 } as const;

const pkcs = (name: HashName): SigningAlgorithm => ({
  mech: mechanism.rsaPkcs[name], raw: undefined, digest: { flags: flag.prehashed },
  digestLength: digestLengths[name], messageTypes: ['RAW', 'DIGEST'], slow: true,
});
const pss = (name: HashName): SigningAlgorithm => {
  const params = { hash: hash[name], mgf: hash[name], saltLength: 'digest' } as const;
  return {
    mech: mechanism.rsaPss[name], raw: params, digest: { ...params, flags: flag.prehashed },
    digestLength: digestLengths[name], messageTypes: ['RAW', 'DIGEST'], slow: true,
  };
};
const ecdsa = (name: HashName): SigningAlgorithm => ({
  mech: mechanism.ecdsa[name], raw: { flags: flag.der }, digest: { flags: flag.der | flag.prehashed },
  digestLength: digestLengths[name], messageTypes: ['RAW', 'DIGEST'], slow: false,
});

export const signingAlgorithms = {
  RSASSA_PKCS1_V1_5_SHA_256: pkcs('sha256'),
  RSASSA_PKCS1_V1_5_SHA_384: pkcs('sha384'),
  RSASSA_PKCS1_V1_5_SHA_512: pkcs('sha512'),
  RSASSA_PSS_SHA_256: pss('sha256'),
  RSASSA_PSS_SHA_384: pss('sha384'),
  RSASSA_PSS_SHA_512: pss('sha512'),
  ECDSA_SHA_256: ecdsa('sha256'),
  ECDSA_SHA_384: ecdsa('sha384'),
  ECDSA_SHA_512: ecdsa('sha512'),
  ED25519_SHA_512: { mech: mechanism.eddsa, raw: undefined, digest: undefined, digestLength: 64, messageTypes: ['RAW'], slow: false },
  // The 64 bytes given are themselves hashed once more, as FIPS 186-5, 7.8.1 begins and as AWS documents.
  ED25519_PH_SHA_512: { mech: mechanism.eddsa, raw: undefined, digest: { flags: flag.ph }, digestLength: 64, messageTypes: ['DIGEST'], slow: false },
  ML_DSA_SHAKE_256: { mech: mechanism.mlDsa, raw: undefined, digest: { flags: flag.prehashed }, digestLength: 64, messageTypes: ['RAW', 'EXTERNAL_MU'], slow: true },
} as const satisfies Record<string, SigningAlgorithm>;

export type SigningAlgorithmName = keyof typeof signingAlgorithms;

export const oaep = {
  RSAES_OAEP_SHA_1: { params: { hash: hash.sha1, mgf: hash.sha1 }, overhead: 42 },
  RSAES_OAEP_SHA_256: { params: { hash: hash.sha256, mgf: hash.sha256 }, overhead: 66 },
} as const;

export const macMechanisms: Readonly<Record<string, number>> = {
  HMAC_SHA_224: mechanism.hmac.sha224,
  HMAC_SHA_256: mechanism.hmac.sha256,
  HMAC_SHA_384: mechanism.hmac.sha384,
  HMAC_SHA_512: mechanism.hmac.sha512,
};

/* ---- key specs ---------------------------------------------------------------- */

export interface Spec {
  readonly family: 'symmetric' | 'hmac' | 'asymmetric';
  /** Undefined: this Region has none (SM2). */
  readonly core: { readonly type: number; readonly param: number } | undefined;
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
  ...plain, family: 'asymmetric', core: { type: type.rsa, param: bits }, pair: true, usages: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'],
  encryption: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'],
  signing: ['RSASSA_PKCS1_V1_5_SHA_256', 'RSASSA_PKCS1_V1_5_SHA_384', 'RSASSA_PKCS1_V1_5_SHA_512', 'RSASSA_PSS_SHA_256', 'RSASSA_PSS_SHA_384', 'RSASSA_PSS_SHA_512'],
});
const nist = (param: number, algorithm: string): Spec => ({
  ...plain, family: 'asymmetric', core: { type: type.ec, param }, pair: true, usages: ['SIGN_VERIFY', 'KEY_AGREEMENT'], signing: [algorithm], agreement: ['ECDH'],
});
const hmac = (bits: number): Spec => ({
  ...plain, family: 'hmac', core: { type: type.generic, param: bits }, pair: false, usages: ['GENERATE_VERIFY_MAC'], mac: [`HMAC_SHA_${bits}`],
});
const mlDsa = (param: number): Spec => ({
  ...plain, family: 'asymmetric', core: { type: type.mlDsa, param }, pair: true, usages: ['SIGN_VERIFY'], signing: ['ML_DSA_SHAKE_256'],
});
const mlKem = (param: number): Spec => ({
  ...plain, family: 'asymmetric', core: { type: type.mlKem, param }, pair: true, usages: ['ENCAPSULATE_DECAPSULATE'], encapsulation: ['ML_KEM'],
});

export const specs: Readonly<Record<KeySpecName, Spec>> = {
  SYMMETRIC_DEFAULT: { ...plain, family: 'symmetric', core: { type: type.kdk, param: 256 }, pair: false, usages: ['ENCRYPT_DECRYPT'], encryption: ['SYMMETRIC_DEFAULT'] },
  RSA_2048: rsa(2048),
  RSA_3072: rsa(3072),
  RSA_4096: rsa(4096),
  ECC_NIST_P256: nist(curve.p256, 'ECDSA_SHA_256'),
  ECC_NIST_P384: nist(curve.p384, 'ECDSA_SHA_384'),
  ECC_NIST_P521: nist(curve.p521, 'ECDSA_SHA_512'),
  ECC_SECG_P256K1: { ...nist(curve.secp256k1, 'ECDSA_SHA_256'), usages: ['SIGN_VERIFY'], agreement: none },
  ECC_NIST_EDWARDS25519: {
    ...plain, family: 'asymmetric', core: { type: type.edwards, param: curve.ed25519 }, pair: true, usages: ['SIGN_VERIFY'],
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
