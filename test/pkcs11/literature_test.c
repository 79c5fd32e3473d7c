/* literature_test.c - attacks on tokens that were published, against the module
 * as programs load it: Clulow 2003; Delaune, Kremer and Steel 2008; Bortolozzo
 * and others 2010 (Tookan); Bardou and others 2012; Manger 2001; Biehl, Meyer
 * and Mueller 2000; ROCA 2017; Joux 2006. Tokens are compat unless a test says
 * strict. */
#include "room.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define MECHANISM(type) { (type), NULL, 0 }

static CK_BYTE room[1024];

static CK_OBJECT_HANDLE
aes_with(CK_SESSION_HANDLE h, CK_ULONG len, const CK_ATTRIBUTE *more, CK_ULONG n, CK_RV wanted)
{
	CK_MECHANISM m = MECHANISM(CKM_AES_KEY_GEN);
	CK_OBJECT_HANDLE key = 0;
	CK_ATTRIBUTE t[12] = { { CKA_VALUE_LEN, &len, sizeof len } };

	memcpy(t + 1, more, n * sizeof *more);
	assert_rv(f->C_GenerateKey(h, &m, t, n + 1, &key), wanted);
	return key;
}

static int
compat(void **state)
{
	unsetenv("STRONGROOM_TOKEN_POLICY");
	if (home_begin(state) != 0)
		return -1;
	assert_ok(f->C_Initialize(NULL));
	token_begin();
	return 0;
}

/* Strict tokens run in memfd_secret alone; elsewhere (under valgrind) there is
 * nothing to attack. */
static bool strict_runs;

static int
strict(void **state)
{
	CK_TOKEN_INFO info;

	setenv("STRONGROOM_TOKEN_POLICY", "strict", 1);
	if (home_begin(state) != 0)
		return -1;
	assert_ok(f->C_Initialize(NULL));
	assert_ok(f->C_GetTokenInfo(0, &info));
	strict_runs = (info.flags & WEAKENED) == 0;
	if (strict_runs)
		token_begin();
	return 0;
}

#define NEEDS_STRICT do { (void)state; if (!strict_runs) skip(); } while (0)

/* ---- one-way attributes ------------------------------------------------------ */

/* What is sensitive or may not leave stays so: by setting, by copying. */
static void
a_sensitive_key_stays_sensitive(void **state)
{
	CK_SESSION_HANDLE h = session_user();
	const CK_ATTRIBUTE make[] = { { CKA_SENSITIVE, &yes, 1 }, { CKA_EXTRACTABLE, &no, 1 }, { CKA_ENCRYPT, &yes, 1 } };
	CK_ATTRIBUTE open = { CKA_SENSITIVE, &no, 1 }, leave = { CKA_EXTRACTABLE, &yes, 1 }, value = { CKA_VALUE, room, sizeof room };
	CK_OBJECT_HANDLE key = aes_with(h, 32, make, 3, CKR_OK), copy;

	(void)state;
	assert_rv(f->C_GetAttributeValue(h, key, &value, 1), CKR_ATTRIBUTE_SENSITIVE);
	assert_int_equal(value.ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_rv(f->C_SetAttributeValue(h, key, &open, 1), CKR_ATTRIBUTE_READ_ONLY);
	assert_rv(f->C_SetAttributeValue(h, key, &leave, 1), CKR_ATTRIBUTE_READ_ONLY);
	assert_int_not_equal(f->C_CopyObject(h, key, &open, 1, &copy), CKR_OK);
	assert_int_not_equal(f->C_CopyObject(h, key, &leave, 1, &copy), CKR_OK);
	assert_ok(f->C_CloseSession(h));
}

static void
no_key_leaves_under_a_weaker_one_or_one_that_nobody_trusts(void **state)
{
	CK_SESSION_HANDLE h = session_user();
	const CK_ATTRIBUTE kek[] = { { CKA_WRAP, &yes, 1 } }, target[] = { { CKA_EXTRACTABLE, &yes, 1 } };
	const CK_ATTRIBUTE guarded[] = { { CKA_EXTRACTABLE, &yes, 1 }, { CKA_WRAP_WITH_TRUSTED, &yes, 1 } };
	CK_ATTRIBUTE trusted = { CKA_TRUSTED, &yes, 1 };
	CK_MECHANISM kwp = MECHANISM(CKM_AES_KEY_WRAP_KWP);
	CK_OBJECT_HANDLE small = aes_with(h, 16, kek, 1, CKR_OK), large = aes_with(h, 32, kek, 1, CKR_OK);
	CK_OBJECT_HANDLE key = aes_with(h, 32, target, 1, CKR_OK), shy = aes_with(h, 32, guarded, 2, CKR_OK);
	CK_ULONG len = sizeof room;

	(void)state;
	assert_int_not_equal(f->C_WrapKey(h, &kwp, small, key, room, &len), CKR_OK);
	len = sizeof room;
	assert_ok(f->C_WrapKey(h, &kwp, large, key, room, &len));
	len = sizeof room;
	assert_int_not_equal(f->C_WrapKey(h, &kwp, large, shy, room, &len), CKR_OK);
	/* Whom the user cannot make trusted. */
	assert_int_not_equal(f->C_SetAttributeValue(h, large, &trusted, 1), CKR_OK);
	assert_ok(f->C_CloseSession(h));
}

/* ---- roles ----------------------------------------------------------------------- */

/* Clulow; Delaune and others: neither both roles at once nor one after the other. */
static void
a_key_has_one_role_for_ever_where_it_is_strict(void **state)
{
	CK_SESSION_HANDLE h;
	const CK_ATTRIBUTE both[] = { { CKA_WRAP, &yes, 1 }, { CKA_DECRYPT, &yes, 1 }, { CKA_ENCRYPT, &no, 1 } };
	const CK_ATTRIBUTE other[] = { { CKA_UNWRAP, &yes, 1 }, { CKA_ENCRYPT, &yes, 1 }, { CKA_DECRYPT, &no, 1 } };
	const CK_ATTRIBUTE wraps[] = { { CKA_WRAP, &yes, 1 }, { CKA_ENCRYPT, &no, 1 }, { CKA_DECRYPT, &no, 1 } };
	CK_ATTRIBUTE decrypt = { CKA_DECRYPT, &yes, 1 }, no_wrap = { CKA_WRAP, &no, 1 };
	CK_OBJECT_HANDLE kek;

	NEEDS_STRICT;
	h = session_user();
	(void)aes_with(h, 32, both, 3, CKR_TEMPLATE_INCONSISTENT);
	(void)aes_with(h, 32, other, 3, CKR_TEMPLATE_INCONSISTENT);
	kek = aes_with(h, 32, wraps, 3, CKR_OK);
	assert_int_not_equal(f->C_SetAttributeValue(h, kek, &decrypt, 1), CKR_OK);
	assert_int_not_equal(f->C_SetAttributeValue(h, kek, &no_wrap, 1), CKR_OK);
	assert_ok(f->C_CloseSession(h));
}

/* Key conjuring and the oracles of Bardou and others: what is not authenticated
 * does not come in, so that nothing is learnt from whether it would have. */
static void
nothing_comes_in_unauthenticated_where_it_is_strict(void **state)
{
	static CK_BYTE iv[16], blob[256];
	static const CK_MECHANISM_TYPE loose[] = { CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_AES_ECB };
	const CK_ATTRIBUTE unwraps[] = { { CKA_UNWRAP, &yes, 1 }, { CKA_ENCRYPT, &no, 1 }, { CKA_DECRYPT, &no, 1 } };
	CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
	CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &secret, sizeof secret }, { CKA_KEY_TYPE, &generic, sizeof generic } };
	CK_SESSION_HANDLE h;
	CK_OBJECT_HANDLE kek, made;

	NEEDS_STRICT;
	h = session_user();
	kek = aes_with(h, 32, unwraps, 3, CKR_OK);
	for (size_t m = 0; m < COUNT(loose); m++) {
		CK_MECHANISM mech = { loose[m], loose[m] == CKM_AES_ECB ? NULL : iv, loose[m] == CKM_AES_ECB ? 0 : 16 };
		CK_RV first = CKR_OK;

		for (unsigned i = 0; i < 64; i++) {
			CK_RV rv;

			memset(blob, (int)i, 32);
			rv = f->C_UnwrapKey(h, &mech, kek, blob, 32, t, 2, &made);
			assert_int_not_equal(rv, CKR_OK);
			assert_true(i == 0 || rv == first);
			first = rv;
		}
	}
	assert_ok(f->C_CloseSession(h));
}

/* ---- RSA ---------------------------------------------------------------------------- */

static void
rsa_pair(CK_SESSION_HANDLE h, CK_ULONG bits, CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *priv)
{
	CK_MECHANISM m = MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN);
	CK_ATTRIBUTE pt[] = { { CKA_MODULUS_BITS, &bits, sizeof bits }, { CKA_ENCRYPT, &yes, 1 } }, st[] = { { CKA_DECRYPT, &yes, 1 } };

	/* Under valgrind a shorter one does: what is looked at is the same. */
	bits = getenv("STRONGROOM_SLOW") != NULL ? 1024 : bits;
	assert_ok(f->C_GenerateKeyPair(h, &m, pt, 2, st, 1, pub, priv));
}

/* Bleichenbacher: every ciphertext opens to something. Manger: every OAEP
 * ciphertext that was touched gets one answer. */
static void
rsa_decryption_tells_nothing_of_the_padding(void **state)
{
	CK_SESSION_HANDLE h = session_user();
	CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
	CK_MECHANISM v15 = MECHANISM(CKM_RSA_PKCS), with_oaep = { CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep };
	CK_OBJECT_HANDLE pub, priv;
	CK_BYTE sealed[256], clear[256];
	CK_ULONG len = sizeof sealed, out;

	(void)state;
	rsa_pair(h, 2048, &pub, &priv);
	assert_ok(f->C_EncryptInit(h, &v15, pub));
	assert_ok(f->C_Encrypt(h, (CK_BYTE_PTR) "message", 7, sealed, &len));
	for (unsigned i = 1; i < 64; i++) {
		sealed[len - i] ^= 0x5a;
		out = sizeof clear;
		assert_ok(f->C_DecryptInit(h, &v15, priv));
		assert_ok(f->C_Decrypt(h, sealed, len, clear, &out));
		assert_true(out != 7 || memcmp(clear, "message", 7) != 0);
	}
	len = sizeof sealed;
	assert_ok(f->C_EncryptInit(h, &with_oaep, pub));
	assert_ok(f->C_Encrypt(h, (CK_BYTE_PTR) "message", 7, sealed, &len));
	for (unsigned i = 1; i < 64; i++) {
		sealed[len - i] ^= 0x5a;
		out = sizeof clear;
		assert_ok(f->C_DecryptInit(h, &with_oaep, priv));
		assert_rv(f->C_Decrypt(h, sealed, len, clear, &out), CKR_ENCRYPTED_DATA_INVALID);
	}
	assert_ok(f->C_CloseSession(h));
}

/* ROCA: moduli of that library are powers of 65537 modulo each small prime. */
static void
a_modulus_has_no_fingerprint(void **state)
{
	static const unsigned primes[] = { 11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157 };
	CK_SESSION_HANDLE h = session_user();
	CK_ATTRIBUTE modulus = { CKA_MODULUS, room, sizeof room };
	CK_OBJECT_HANDLE pub, priv;
	bool marked = true;

	(void)state;
	rsa_pair(h, 2048, &pub, &priv);
	assert_ok(f->C_GetAttributeValue(h, pub, &modulus, 1));
	for (size_t i = 0; i < COUNT(primes); i++) {
		unsigned rest = 0, power = 1;
		bool found = false;

		for (CK_ULONG k = 0; k < modulus.ulValueLen; k++)
			rest = (rest << 8 | room[k]) % primes[i];
		do {
			found = found || power == rest;
			power = power * 65537u % primes[i];
		} while (power != 1);
		marked = marked && found;
	}
	assert_false(marked);
	assert_ok(f->C_CloseSession(h));
}

/* ---- curves -------------------------------------------------------------------------- */

/* A point that is on no curve of ours, or on a small one, is no peer and no key. */
static void
a_point_off_the_curve_is_refused(void **state)
{
	static CK_BYTE p256[] = { 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 };
	CK_SESSION_HANDLE h = session_user();
	CK_OBJECT_CLASS secret = CKO_SECRET_KEY, public_key = CKO_PUBLIC_KEY;
	CK_KEY_TYPE generic = CKK_GENERIC_SECRET, ec = CKK_EC;
	CK_ULONG value_len = 32;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &secret, sizeof secret }, { CKA_KEY_TYPE, &generic, sizeof generic }, { CKA_VALUE_LEN, &value_len, sizeof value_len } };
	CK_BYTE point[67] = { 0x04, 0x41, 0x04 };
	CK_ATTRIBUTE own = { CKA_EC_POINT, point, sizeof point };
	CK_ATTRIBUTE pt[] = { { CKA_CLASS, &public_key, sizeof public_key }, { CKA_KEY_TYPE, &ec, sizeof ec }, { CKA_EC_PARAMS, p256, sizeof p256 },
		{ CKA_EC_POINT, point, sizeof point }, { CKA_VERIFY, &yes, 1 } };
	CK_ATTRIBUTE pub_t[] = { { CKA_EC_PARAMS, p256, sizeof p256 } }, priv_t[] = { { CKA_DERIVE, &yes, 1 } };
	CK_MECHANISM gen = MECHANISM(CKM_EC_KEY_PAIR_GEN);
	CK_ECDH1_DERIVE_PARAMS ecdh = { CKD_NULL, 0, NULL, 65, point + 2 };
	CK_MECHANISM derive = { CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh };
	CK_OBJECT_HANDLE pub, priv, made;

	(void)state;
	assert_ok(f->C_GenerateKeyPair(h, &gen, pub_t, 1, priv_t, 1, &pub, &priv));
	assert_ok(f->C_GetAttributeValue(h, pub, &own, 1));
	assert_ok(f->C_DeriveKey(h, &derive, priv, t, 3, &made));       /* the control: its own point */
	for (unsigned i = 0; i < 64; i++) {
		point[3 + i] ^= 1;
		assert_int_not_equal(f->C_DeriveKey(h, &derive, priv, t, 3, &made), CKR_OK);
		assert_int_not_equal(f->C_CreateObject(h, pt, 5, &made), CKR_OK);
		point[3 + i] ^= 1;
	}
	memset(point + 3, 0, 64);
	assert_int_not_equal(f->C_DeriveKey(h, &derive, priv, t, 3, &made), CKR_OK);
	ecdh.ulPublicDataLen = 1;                                       /* the point at infinity */
	point[2] = 0;
	assert_int_not_equal(f->C_DeriveKey(h, &derive, priv, t, 3, &made), CKR_OK);
	assert_ok(f->C_CloseSession(h));
}

/* ---- ivs ------------------------------------------------------------------------------ */

/* Joux: ivs that the module makes do not come twice. */
static void
no_iv_comes_twice(void **state)
{
	static CK_BYTE ivs[1000][12];
	CK_SESSION_HANDLE h = session_user();
	const CK_ATTRIBUTE make[] = { { CKA_ENCRYPT, &yes, 1 } };
	CK_OBJECT_HANDLE key = aes_with(h, 32, make, 1, CKR_OK);
	CK_BYTE tag[16], out[16];
	CK_MECHANISM gcm = MECHANISM(CKM_AES_GCM);

	(void)state;
	assert_ok(f->C_MessageEncryptInit(h, &gcm, key));
	for (unsigned i = 0; i < COUNT(ivs); i++) {
		CK_GCM_MESSAGE_PARAMS p = { ivs[i], 12, 0, CKG_GENERATE_RANDOM, tag, 128 };
		CK_ULONG len = sizeof out;

		assert_ok(f->C_EncryptMessage(h, &p, sizeof p, NULL, 0, (CK_BYTE_PTR) "sixteen bytes...", 16, out, &len));
		for (unsigned k = 0; k < i; k++)
			assert_memory_not_equal(ivs[i], ivs[k], 12);
	}
	assert_ok(f->C_MessageEncryptFinal(h));
	assert_ok(f->C_CloseSession(h));
}

#define COMPAT(test) cmocka_unit_test_setup_teardown(test, compat, home_end)
#define STRICT(test) cmocka_unit_test_setup_teardown(test, strict, home_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		COMPAT(a_sensitive_key_stays_sensitive),
		COMPAT(no_key_leaves_under_a_weaker_one_or_one_that_nobody_trusts),
		STRICT(a_key_has_one_role_for_ever_where_it_is_strict),
		STRICT(nothing_comes_in_unauthenticated_where_it_is_strict),
		COMPAT(rsa_decryption_tells_nothing_of_the_padding), COMPAT(a_modulus_has_no_fingerprint),
		COMPAT(a_point_off_the_curve_is_refused), COMPAT(no_iv_comes_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
