/* params.h - the words a mechanism is described with: names, sizes, parameters.
 *
 * Numbers are PKCS#11 v3.2's own (CKM_, CKK_, CKA_, CKO_, CKG_), so that the
 * Cryptoki door maps nothing but parameters; what PKCS#11 has no number for
 * lies in its vendor range. Values only: no callback, no core pointer, so the
 * same call can cross a process boundary. */
#ifndef STRONGROOM_PARAMS_H
#define STRONGROOM_PARAMS_H

#include "../base/bytes.h"

typedef uint64_t hsm_mech;              /* CKM_ number */

#define HSM_VENDOR              0x80000000u

enum hsm_key_type {                     /* CKK_ numbers */
	HSM_KEY_RSA = 0x00, HSM_KEY_EC = 0x03, HSM_KEY_GENERIC = 0x10, HSM_KEY_DES3 = 0x15,
	HSM_KEY_AES = 0x1F, HSM_KEY_CHACHA20 = 0x33, HSM_KEY_AES_XTS = 0x35,
	HSM_KEY_EDWARDS = 0x40, HSM_KEY_MONTGOMERY = 0x41, HSM_KEY_HKDF = 0x42,
	HSM_KEY_ML_KEM = 0x49, HSM_KEY_ML_DSA = 0x4A
};
/* Ours: a key that only derives (KMS symmetric keys), and an access-key
 * secret, which only verifies SigV4. */
#define HSM_KEY_KDK    0x80000001u
#define HSM_KEY_SIGV4  0x80000002u
#define HSM_KEY_ANY    0xFFFFFFFFu
/* CKK_SHA256_HMAC and its kin are HSM_KEY_GENERIC in the core; the Cryptoki
 * door keeps the number its caller gave in HSM_ATTR_KEY_TYPE. */

enum hsm_class { HSM_CLASS_DATA = 0, HSM_CLASS_CERTIFICATE = 1, HSM_CLASS_PUBLIC = 2,
	HSM_CLASS_PRIVATE = 3, HSM_CLASS_SECRET = 4, HSM_CLASS_DOMAIN_PARAMETERS = 6 };  /* CKO_ */

enum hsm_curve { HSM_P224 = 1, HSM_P256, HSM_P384, HSM_P521, HSM_SECP256K1, HSM_ED25519, HSM_X25519 };

/* A key's type and size: bits for RSA, AES, DES3 and generic secrets; an
 * hsm_curve for EC, Edwards, Montgomery; 44/65/87 for ML-DSA; 512/768/1024
 * for ML-KEM; 256 for KDK. */
typedef struct { uint32_t type, param; } hsm_spec;

typedef enum { HSM_HASH_NONE, HSM_SHA1, HSM_SHA224, HSM_SHA256, HSM_SHA384, HSM_SHA512,
	HSM_SHA512_224, HSM_SHA512_256, HSM_SHA3_224, HSM_SHA3_256, HSM_SHA3_384, HSM_SHA3_512,
	HSM_SHAKE128, HSM_SHAKE256 } hsm_hash;

typedef struct { uint32_t type; hsm_in value; } hsm_attr;  /* CKA_ number; numbers are native uint64, flags one byte */

/* Attributes by name (CKA_ numbers). */
enum {
	HSM_ATTR_CLASS = 0x000, HSM_ATTR_TOKEN = 0x001, HSM_ATTR_PRIVATE = 0x002, HSM_ATTR_LABEL = 0x003,
	HSM_ATTR_UNIQUE_ID = 0x004, HSM_ATTR_APPLICATION = 0x010, HSM_ATTR_VALUE = 0x011, HSM_ATTR_OBJECT_ID = 0x012,
	HSM_ATTR_CERTIFICATE_TYPE = 0x080, HSM_ATTR_ISSUER = 0x081, HSM_ATTR_SERIAL_NUMBER = 0x082,
	HSM_ATTR_AC_ISSUER = 0x083, HSM_ATTR_OWNER = 0x084, HSM_ATTR_ATTR_TYPES = 0x085, HSM_ATTR_TRUSTED = 0x086,
	HSM_ATTR_CERTIFICATE_CATEGORY = 0x087, HSM_ATTR_JAVA_DOMAIN = 0x088, HSM_ATTR_URL = 0x089,
	HSM_ATTR_SUBJECT_KEY_HASH = 0x08A, HSM_ATTR_ISSUER_KEY_HASH = 0x08B, HSM_ATTR_NAME_HASH = 0x08C,
	HSM_ATTR_CHECK_VALUE = 0x090, HSM_ATTR_KEY_TYPE = 0x100, HSM_ATTR_SUBJECT = 0x101, HSM_ATTR_ID = 0x102,
	HSM_ATTR_SENSITIVE = 0x103, HSM_ATTR_ENCRYPT = 0x104, HSM_ATTR_DECRYPT = 0x105, HSM_ATTR_WRAP = 0x106,
	HSM_ATTR_UNWRAP = 0x107, HSM_ATTR_SIGN = 0x108, HSM_ATTR_SIGN_RECOVER = 0x109, HSM_ATTR_VERIFY = 0x10A,
	HSM_ATTR_VERIFY_RECOVER = 0x10B, HSM_ATTR_DERIVE = 0x10C, HSM_ATTR_START_DATE = 0x110, HSM_ATTR_END_DATE = 0x111,
	HSM_ATTR_MODULUS = 0x120, HSM_ATTR_MODULUS_BITS = 0x121, HSM_ATTR_PUBLIC_EXPONENT = 0x122,
	HSM_ATTR_PRIVATE_EXPONENT = 0x123, HSM_ATTR_PRIME_1 = 0x124, HSM_ATTR_PRIME_2 = 0x125,
	HSM_ATTR_EXPONENT_1 = 0x126, HSM_ATTR_EXPONENT_2 = 0x127, HSM_ATTR_COEFFICIENT = 0x128,
	HSM_ATTR_PUBLIC_KEY_INFO = 0x129, HSM_ATTR_PRIME = 0x130, HSM_ATTR_SUBPRIME = 0x131, HSM_ATTR_BASE = 0x132,
	HSM_ATTR_PRIME_BITS = 0x133, HSM_ATTR_SUBPRIME_BITS = 0x134, HSM_ATTR_VALUE_BITS = 0x160,
	HSM_ATTR_VALUE_LEN = 0x161, HSM_ATTR_EXTRACTABLE = 0x162, HSM_ATTR_LOCAL = 0x163,
	HSM_ATTR_NEVER_EXTRACTABLE = 0x164, HSM_ATTR_ALWAYS_SENSITIVE = 0x165, HSM_ATTR_KEY_GEN_MECHANISM = 0x166,
	HSM_ATTR_MODIFIABLE = 0x170, HSM_ATTR_COPYABLE = 0x171, HSM_ATTR_DESTROYABLE = 0x172,
	HSM_ATTR_EC_PARAMS = 0x180, HSM_ATTR_EC_POINT = 0x181, HSM_ATTR_ALWAYS_AUTHENTICATE = 0x202,
	HSM_ATTR_WRAP_WITH_TRUSTED = 0x210, HSM_ATTR_PARAMETER_SET = 0x61D, HSM_ATTR_OBJECT_VALIDATION_FLAGS = 0x61E,
	HSM_ATTR_ENCAPSULATE_TEMPLATE = 0x62A, HSM_ATTR_DECAPSULATE_TEMPLATE = 0x62B, HSM_ATTR_ENCAPSULATE = 0x633, HSM_ATTR_DECAPSULATE = 0x634,
	HSM_ATTR_SEED = 0x637, HSM_ATTR_WRAP_TEMPLATE = 0x40000211, HSM_ATTR_UNWRAP_TEMPLATE = 0x40000212,
	HSM_ATTR_DERIVE_TEMPLATE = 0x40000213, HSM_ATTR_ALLOWED_MECHANISMS = 0x40000600
};
/* ALLOWED_MECHANISMS: native uint64 numbers, joined. A template: for each
 * attribute u32 type | u32 length | bytes, big-endian, joined. */

/* Every parameter any mechanism takes, flat. Zero means "not given". */
typedef struct {
	hsm_hash hash, mgf;             /* PSS, OAEP, KDFs, HASH_ML_DSA, ECDH KDF */
	uint32_t salt_len;              /* PSS, bytes; HSM_SALT_DIGEST: the digest's length */
	uint32_t tag_bits;              /* GCM, CCM, MAC_GENERAL: bits; 0: the usual */
	uint32_t counter_bits;          /* CTR (default 128), KBKDF (default 32) */
	uint32_t iterations;            /* PBKDF2 */
	uint32_t flags;                 /* HSM_PARAM_* */
	uint32_t wrap_bits;             /* RSA_AES_KEY_WRAP: the ephemeral AES key's bits */
	uint64_t data_len;              /* CCM: message length when streaming */
	hsm_in iv;                      /* empty with HSM_PARAM_IV_MADE: made inside */
	hsm_in aad;
	hsm_in label;                   /* OAEP source, EdDSA/ML-DSA context, KBKDF label, HKDF info, KDF shared info */
	hsm_in salt;                    /* HKDF, PBKDF2 */
	hsm_in peer;                    /* ECDH: SPKI, DER-wrapped or raw point; KEM: unused */
	hsm_in data;                    /* *-ENCRYPT-DATA input, KBKDF context */
	uint64_t other;                 /* a second key (hsm_key) of a derivation: BASE_AND_KEY's, or HKDF's salt */
	hsm_spec spec;                  /* what a derivation or unwrap makes, where the mechanism must know */
	hsm_out *iv_out;                /* where an iv made inside is written; NULL: prefixed to the output */
	hsm_out *tag_out;               /* message AEAD: the tag apart; NULL: appended */
} hsm_params;

#define HSM_SALT_DIGEST   0xFFFFFFFFu
#define HSM_PARAM_IV_MADE      0x01u    /* the core makes the iv (CKG_GENERATE*) */
#define HSM_PARAM_PREHASHED    0x02u    /* input is the digest already (Ed25519ph, ML-DSA mu, RSA/ECDSA DIGEST) */
#define HSM_PARAM_DETERMINISTIC 0x04u   /* ML-DSA deterministic, RFC 6979 */
#define HSM_PARAM_DER          0x08u    /* ECDSA signatures are DER, else r || s */
#define HSM_PARAM_EXTRACT      0x10u    /* HKDF stages */
#define HSM_PARAM_EXPAND       0x20u
#define HSM_PARAM_COFACTOR     0x40u
#define HSM_PARAM_PH           0x80u    /* EdDSA prehash variant */
#define HSM_PARAM_RAW          0x100u   /* KBKDF: label | counter | data and nothing else, as the caller joined them;
                                         * fed back: label | chain | aad | counter | data, where counter_bits is not 0 */
#define HSM_PARAM_COUNTER_FIRST 0x200u  /* ECDH KDF as in SP 800-56C (CKD_*_KDF_SP800), else ANSI X9.63 */
#define HSM_PARAM_CHAIN_LAST   0x800u   /* KBKDF with feedback or two pipelines: the counter stands before what is fed back */
#define HSM_PARAM_CMAC         0x400u   /* KBKDF: AES-CMAC under the base key is the PRF, not HMAC */

/* Mechanisms (CKM_ numbers). */
enum {
	HSM_RSA_KEY_PAIR_GEN = 0x0000, HSM_RSA_PKCS = 0x0001, HSM_RSA_X_509 = 0x0003,
	HSM_SHA1_RSA_PKCS = 0x0006, HSM_RSA_OAEP = 0x0009, HSM_RSA_PSS = 0x000D, HSM_SHA1_RSA_PSS = 0x000E,
	HSM_ML_KEM_KEY_PAIR_GEN = 0x000F, HSM_ML_KEM = 0x0017,
	HSM_ML_DSA_KEY_PAIR_GEN = 0x001C, HSM_ML_DSA = 0x001D, HSM_HASH_ML_DSA = 0x001F,
	HSM_SHA256_RSA_PKCS = 0x0040, HSM_SHA384_RSA_PKCS = 0x0041, HSM_SHA512_RSA_PKCS = 0x0042,
	HSM_SHA256_RSA_PSS = 0x0043, HSM_SHA384_RSA_PSS = 0x0044, HSM_SHA512_RSA_PSS = 0x0045,
	HSM_SHA224_RSA_PKCS = 0x0046, HSM_SHA224_RSA_PSS = 0x0047,
	HSM_SHA1_ = 0x0220, HSM_SHA1_HMAC = 0x0221,
	HSM_SHA256_ = 0x0250, HSM_SHA256_HMAC = 0x0251, HSM_SHA256_HMAC_GENERAL = 0x0252,
	HSM_SHA224_ = 0x0255, HSM_SHA224_HMAC = 0x0256,
	HSM_SHA384_ = 0x0260, HSM_SHA384_HMAC = 0x0261,
	HSM_SHA512_ = 0x0270, HSM_SHA512_HMAC = 0x0271,
	HSM_SHA3_256_ = 0x02B0, HSM_SHA3_256_HMAC = 0x02B1,
	HSM_GENERIC_SECRET_KEY_GEN = 0x0350, HSM_SP800_108_COUNTER = 0x03AC, HSM_SP800_108_FEEDBACK = 0x03AD, HSM_SP800_108_DOUBLE_PIPELINE = 0x03AE, HSM_PBKDF2 = 0x03B0,
	HSM_EC_KEY_PAIR_GEN = 0x1040, HSM_ECDSA = 0x1041, HSM_ECDSA_SHA1 = 0x1042, HSM_ECDSA_SHA224 = 0x1043,
	HSM_ECDSA_SHA256 = 0x1044, HSM_ECDSA_SHA384 = 0x1045, HSM_ECDSA_SHA512 = 0x1046,
	HSM_ECDH1_DERIVE = 0x1050, HSM_ECDH1_COFACTOR_DERIVE = 0x1051, HSM_RSA_AES_KEY_WRAP = 0x1054,
	HSM_EDWARDS_KEY_PAIR_GEN = 0x1055, HSM_MONTGOMERY_KEY_PAIR_GEN = 0x1056, HSM_EDDSA = 0x1057,
	HSM_AES_XTS = 0x1071, HSM_AES_KEY_GEN = 0x1080, HSM_AES_ECB = 0x1081, HSM_AES_CBC = 0x1082,
	HSM_AES_CBC_PAD = 0x1085, HSM_AES_CTR = 0x1086, HSM_AES_GCM = 0x1087, HSM_AES_CCM = 0x1088,
	HSM_AES_CMAC = 0x108A, HSM_AES_CMAC_GENERAL = 0x108B, HSM_AES_GMAC = 0x108E,
	HSM_AES_KEY_WRAP = 0x2109, HSM_AES_KEY_WRAP_KWP = 0x210B,
	HSM_CHACHA20_POLY1305 = 0x4021, HSM_HKDF_DERIVE = 0x402A, HSM_HKDF_DATA = 0x402B
};
#define HSM_KDK_KEY_GEN 0x80000001u     /* ours: a KMS symmetric key */
#define HSM_SHAKE128_   0x80000010u     /* ours: digests as long as the room for them */
#define HSM_SHAKE256_   0x80000011u
/* Families declare further CKM_ numbers beside their rows; this list names
 * those that more than one room uses. */

#endif
