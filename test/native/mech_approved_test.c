/* mech_approved_test.c - the service indicator, case by case: what FIPS 140-3's
 * guidance calls approved of what the rows serve. */
#include "mech_known.h"

#define APPROVED true
#define NOT false


struct wanted {
	const char *why;
	hsm_mech mech;
	hsm_spec spec;
	uint32_t use;
	hsm_params params;
	bool approved;
};

static const uint8_t iv[12], salt16[16], salt8[8];

#define RSA_1024 { HSM_KEY_RSA, 1024 }
#define RSA_2048 { HSM_KEY_RSA, 2048 }
#define P256 { HSM_KEY_EC, HSM_P256 }
#define K256 { HSM_KEY_EC, HSM_SECP256K1 }
#define AES { HSM_KEY_AES, 256 }
#define GENERIC { HSM_KEY_GENERIC, 256 }
#define ED { HSM_KEY_EDWARDS, HSM_ED25519 }

static const struct wanted table[] = {
	{ "GCM with an iv made here", HSM_AES_GCM, AES, MECH_ENCRYPT, { .flags = HSM_PARAM_IV_MADE }, APPROVED },
	{ "GCM with an iv from outside", HSM_AES_GCM, AES, MECH_ENCRYPT, { .iv = { iv, 12 } }, NOT },
	{ "GCM with part of the iv from outside", HSM_AES_GCM, AES, MECH_ENCRYPT, { .flags = HSM_PARAM_IV_MADE, .iv = { iv, 4 } }, NOT },
	{ "opening GCM with any iv", HSM_AES_GCM, AES, MECH_DECRYPT, { .iv = { iv, 12 } }, APPROVED },
	{ "wrapping by GCM, iv from outside", HSM_AES_GCM, AES, MECH_WRAP, { .iv = { iv, 12 } }, NOT },
	{ "GCM with a tag of 64 bits", HSM_AES_GCM, AES, MECH_DECRYPT, { .iv = { iv, 12 }, .tag_bits = 64 }, NOT },
	{ "GMAC with an iv from outside", HSM_AES_GMAC, AES, MECH_SIGN, { .iv = { iv, 12 } }, NOT },
	{ "checking GMAC", HSM_AES_GMAC, AES, MECH_VERIFY, { .iv = { iv, 12 } }, APPROVED },
	{ "CCM with a nonce from outside", HSM_AES_CCM, AES, MECH_ENCRYPT, { .iv = { iv, 12 } }, NOT },
	{ "CBC", HSM_AES_CBC, AES, MECH_ENCRYPT, { .iv = { salt16, 16 } }, APPROVED },
	{ "KW", HSM_AES_KEY_WRAP, AES, MECH_WRAP, { .tag_bits = 0 }, APPROVED },
	{ "CMAC", HSM_AES_CMAC, AES, MECH_SIGN, { .tag_bits = 0 }, APPROVED },
	{ "ChaCha20-Poly1305", HSM_CHACHA20_POLY1305, { HSM_KEY_CHACHA20, 256 }, MECH_ENCRYPT, { .iv = { iv, 12 } }, NOT },
	{ "deriving by encrypting data", 0x1104, AES, MECH_DERIVE, { .data = { salt16, 16 } }, NOT },

	{ "HMAC", HSM_SHA256_HMAC, GENERIC, MECH_SIGN, { .tag_bits = 0 }, APPROVED },
	{ "HMAC-SHA-1", HSM_SHA1_HMAC, GENERIC, MECH_SIGN, { .tag_bits = 0 }, APPROVED },
	{ "HMAC under 104 bits", HSM_SHA256_HMAC, { HSM_KEY_GENERIC, 104 }, MECH_SIGN, { .tag_bits = 0 }, NOT },
	{ "checking an HMAC under 104 bits", HSM_SHA256_HMAC, { HSM_KEY_GENERIC, 104 }, MECH_VERIFY, { .tag_bits = 0 }, APPROVED },
	{ "HMAC cut to 24 bits", HSM_SHA256_HMAC_GENERAL, GENERIC, MECH_SIGN, { .tag_bits = 24 }, NOT },
	{ "KBKDF", HSM_SP800_108_COUNTER, GENERIC, MECH_DERIVE, { .tag_bits = 0 }, APPROVED },
	{ "KBKDF from 104 bits", HSM_SP800_108_COUNTER, { HSM_KEY_GENERIC, 104 }, MECH_DERIVE, { .tag_bits = 0 }, NOT },
	{ "HKDF", HSM_HKDF_DERIVE, GENERIC, MECH_DERIVE, { .hash = HSM_SHA256 }, APPROVED },
	{ "PBKDF2", HSM_PBKDF2, GENERIC, MECH_DERIVE, { .salt = { salt16, 16 }, .iterations = 1000 }, APPROVED },
	{ "PBKDF2 with a salt of 64 bits", HSM_PBKDF2, GENERIC, MECH_DERIVE, { .salt = { salt8, 8 }, .iterations = 1000 }, NOT },
	{ "PBKDF2 of 999 rounds", HSM_PBKDF2, GENERIC, MECH_DERIVE, { .salt = { salt16, 16 }, .iterations = 999 }, NOT },
	{ "joining keys", 0x362, GENERIC, MECH_DERIVE, { .data = { salt16, 16 } }, NOT },

	{ "RSA-2048 PKCS#1 SHA-256", HSM_SHA256_RSA_PKCS, RSA_2048, MECH_SIGN, { .tag_bits = 0 }, APPROVED },
	{ "RSA-1024 PKCS#1 SHA-256", HSM_SHA256_RSA_PKCS, RSA_1024, MECH_SIGN, { .tag_bits = 0 }, NOT },
	{ "checking RSA-1024", HSM_SHA256_RSA_PKCS, RSA_1024, MECH_VERIFY, { .tag_bits = 0 }, APPROVED },
	{ "RSA SHA-1", HSM_SHA1_RSA_PKCS, RSA_2048, MECH_SIGN, { .tag_bits = 0 }, NOT },
	{ "checking RSA SHA-1", HSM_SHA1_RSA_PKCS, RSA_2048, MECH_VERIFY, { .tag_bits = 0 }, APPROVED },
	{ "RSA over unknown input", HSM_RSA_PKCS, RSA_2048, MECH_SIGN, { .tag_bits = 0 }, NOT },
	{ "PKCS#1 v1.5 decryption", HSM_RSA_PKCS, RSA_2048, MECH_DECRYPT, { .tag_bits = 0 }, NOT },
	{ "bare RSA", HSM_RSA_X_509, RSA_2048, MECH_DECRYPT, { .tag_bits = 0 }, NOT },
	{ "PSS, salt as long as the hash", HSM_SHA256_RSA_PSS, RSA_2048, MECH_SIGN, { .salt_len = HSM_SALT_DIGEST }, APPROVED },
	{ "PSS, salt longer than the hash", HSM_SHA256_RSA_PSS, RSA_2048, MECH_SIGN, { .salt_len = 33 }, NOT },
	{ "OAEP", HSM_RSA_OAEP, RSA_2048, MECH_DECRYPT, { .hash = HSM_SHA256 }, APPROVED },
	{ "OAEP with RSA-1024", HSM_RSA_OAEP, RSA_1024, MECH_DECRYPT, { .hash = HSM_SHA256 }, NOT },

	{ "ECDSA P-256", HSM_ECDSA_SHA256, P256, MECH_SIGN, { .tag_bits = 0 }, APPROVED },
	{ "ECDSA SHA3-256", 0x1048, P256, MECH_SIGN, { .tag_bits = 0 }, APPROVED },
	{ "ECDSA SHA-1", HSM_ECDSA_SHA1, P256, MECH_SIGN, { .tag_bits = 0 }, NOT },
	{ "checking ECDSA SHA-1", HSM_ECDSA_SHA1, P256, MECH_VERIFY, { .tag_bits = 0 }, APPROVED },
	{ "ECDSA secp256k1", HSM_ECDSA_SHA256, K256, MECH_SIGN, { .tag_bits = 0 }, NOT },
	{ "ECDH P-256", HSM_ECDH1_DERIVE, P256, MECH_DERIVE, { .tag_bits = 0 }, APPROVED },
	{ "ECDH secp256k1", HSM_ECDH1_DERIVE, K256, MECH_DERIVE, { .tag_bits = 0 }, NOT },
	{ "X25519", HSM_ECDH1_DERIVE, { HSM_KEY_MONTGOMERY, HSM_X25519 }, MECH_DERIVE, { .tag_bits = 0 }, NOT },
	{ "Ed25519", HSM_EDDSA, ED, MECH_SIGN, { .tag_bits = 0 }, APPROVED },
	{ "Ed25519ph", HSM_EDDSA, ED, MECH_SIGN, { .flags = HSM_PARAM_PH, .label = { salt8, 8 } }, APPROVED },
	{ "Ed25519ctx", HSM_EDDSA, ED, MECH_SIGN, { .label = { salt8, 8 } }, NOT },
	{ "ML-DSA-65", HSM_ML_DSA, { HSM_KEY_ML_DSA, 65 }, MECH_SIGN, { .tag_bits = 0 }, APPROVED },
	{ "HashML-DSA-65 over SHA-512", 0x26, { HSM_KEY_ML_DSA, 65 }, MECH_SIGN, { .tag_bits = 0 }, APPROVED },
	{ "HashML-DSA-65 over SHA-256", 0x24, { HSM_KEY_ML_DSA, 65 }, MECH_SIGN, { .tag_bits = 0 }, NOT },
	{ "ML-KEM-768", HSM_ML_KEM, { HSM_KEY_ML_KEM, 768 }, MECH_DECAP, { .tag_bits = 0 }, APPROVED },
	{ "DES3", 0x133, { HSM_KEY_DES3, 192 }, MECH_DECRYPT, { .iv = { salt8, 8 } }, NOT },
};

static struct key
key_for(hsm_spec spec)
{
	static const hsm_params none;
	struct secret material = SECRET_NONE, spki = SECRET_NONE;
	struct key key;

	if (spec.type == HSM_KEY_DES3)
		return key_of(spec.type, PART_SECRET, hex("0123456789abcdef23456789abcdef01456789abcdef0123"));
	assert_status(kind_find(spec.type)->generate(spec, &none, &material, &spki), HSM_OK);
	key = key_of(spec.type, spki.ptr == NULL ? PART_SECRET : PART_PRIVATE, secret_in(&material));
	secret_wipe(&material);
	secret_wipe(&spki);
	return key;
}

static void
indicator(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const struct wanted *w = &table[i];
		const struct mech *row = mech_find(w->mech);
		struct key key = key_for(w->spec);
		bool said = row->approved != NULL ? row->approved(&key, w->use, &w->params) : (row->flags & MECH_APPROVED) != 0;

		if (said != w->approved)
			print_message("%s\n", w->why);
		assert_int_equal(said, w->approved);
		key_unload(&key);
	}
}

/* A row that never is approved does not carry the flag; one that may be does. */
static void
flags(void **state)
{
	const struct mech *row;

	(void)state;
	for (size_t i = 0; (row = mech_at(i)) != NULL; i++) {
		if (row->approved != NULL)
			assert_true((row->flags & MECH_APPROVED) != 0);
	}
	assert_true((mech_find(0x220)->flags & MECH_APPROVED) == 0);           /* SHA-1 as such */
	assert_true((mech_find(HSM_SHA256_)->flags & MECH_APPROVED) != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(indicator), cmocka_unit_test(flags) };

	return cmocka_run_group_tests(tests, mech_setup, NULL);
}
