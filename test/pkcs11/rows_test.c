/* rows_test.c - return codes by table: no pointer, lengths that no memory has,
 * a question for the size, no room, for each function that takes any. A row
 * runs in a session of its own, in which what it names was begun. */
#include "room.h"

enum begun { NOTHING, ENCRYPT, DECRYPT, DIGEST, SIGN, VERIFY, RECOVER_SIGN, RECOVER_VERIFY, SIGNATURE, FIND,
	MESSAGE_ENCRYPT, MESSAGE_DECRYPT, MESSAGE_SIGN, MESSAGE_VERIFY, HASH_SIGN, HASH_VERIFY, HASH_SIGNATURE };

#define HUGE (~0UL)

static CK_OBJECT_HANDLE aes, pub, priv, rsa_pub, rsa_priv, ml_pub, ml_priv, made, made2;
static CK_BYTE buf[4096], iv[12], tag[16];
static CK_ULONG n;
static CK_GCM_MESSAGE_PARAMS gcm = { iv, 12, 0, CKG_NO_GENERATE, tag, 128 };
static CK_HASH_SIGN_ADDITIONAL_CONTEXT hashed = { CKH_HEDGE_PREFERRED, NULL, 0, CKM_SHA256 };
static CK_MECHANISM m_cbc = { CKM_AES_CBC, buf, 16 }, m_gcm = { CKM_AES_GCM, NULL, 0 }, m_sha = { CKM_SHA256, NULL, 0 };
static CK_MECHANISM m_ecdsa = { CKM_ECDSA_SHA256, NULL, 0 }, m_rsa = { CKM_RSA_PKCS, NULL, 0 };
static CK_MECHANISM m_hash = { CKM_HASH_ML_DSA, &hashed, sizeof hashed }, m_kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
static CK_MECHANISM m_aes_gen = { CKM_AES_KEY_GEN, NULL, 0 }, m_ec_gen = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
static CK_ULONG size = 32;
static CK_ATTRIBUTE len_attr[1] = { { CKA_VALUE_LEN, &size, sizeof size } };

static void
begin(CK_SESSION_HANDLE h, enum begun what)
{
	switch (what) {
	case NOTHING:
		break;
	case ENCRYPT:
		assert_ok(f->C_EncryptInit(h, &m_cbc, aes));
		break;
	case DECRYPT:
		assert_ok(f->C_DecryptInit(h, &m_cbc, aes));
		break;
	case DIGEST:
		assert_ok(f->C_DigestInit(h, &m_sha));
		break;
	case SIGN:
		assert_ok(f->C_SignInit(h, &m_ecdsa, priv));
		break;
	case VERIFY:
		assert_ok(f->C_VerifyInit(h, &m_ecdsa, pub));
		break;
	case RECOVER_SIGN:
		assert_ok(f->C_SignRecoverInit(h, &m_rsa, rsa_priv));
		break;
	case RECOVER_VERIFY:
		assert_ok(f->C_VerifyRecoverInit(h, &m_rsa, rsa_pub));
		break;
	case SIGNATURE:
		assert_ok(f->C_VerifySignatureInit(h, &m_ecdsa, pub, buf, 64));
		break;
	case FIND:
		assert_ok(f->C_FindObjectsInit(h, NULL, 0));
		break;
	case MESSAGE_ENCRYPT:
		assert_ok(f->C_MessageEncryptInit(h, &m_gcm, aes));
		break;
	case MESSAGE_DECRYPT:
		assert_ok(f->C_MessageDecryptInit(h, &m_gcm, aes));
		break;
	case MESSAGE_SIGN:
		assert_ok(f->C_MessageSignInit(h, &m_ecdsa, priv));
		break;
	case MESSAGE_VERIFY:
		assert_ok(f->C_MessageVerifyInit(h, &m_ecdsa, pub));
		break;
	case HASH_SIGN:
		assert_ok(f->C_SignInit(h, &m_hash, ml_priv));
		break;
	case HASH_VERIFY:
		assert_ok(f->C_VerifyInit(h, &m_hash, ml_pub));
		break;
	case HASH_SIGNATURE:
		assert_ok(f->C_VerifySignatureInit(h, &m_hash, ml_pub, buf, 64));
		break;
	}
}

#define ROW(what, room, want, call) do { \
		CK_SESSION_HANDLE h = session_begin(CKF_RW_SESSION); \
		CK_RV got; \
		begin(h, what); \
		n = (room); \
		if ((got = f->call) != (want)) \
			fail_msg("%s: %lx, not %s", #call, got, #want); \
		assert_ok(f->C_CloseSession(h)); \
	} while (0)

#define BAD(what, call) ROW(what, sizeof buf, CKR_ARGUMENTS_BAD, call)
#define SMALL(what, call) ROW(what, 1, CKR_BUFFER_TOO_SMALL, call)
#define ASKS(what, call, answer) do { ROW(what, 0, CKR_OK, call); assert_int_equal(n, answer); } while (0)

static void
no_pointer(void **state)
{
	(void)state;
	BAD(NOTHING, C_GetSessionInfo(h, NULL));
	BAD(NOTHING, C_GetOperationState(h, buf, NULL));
	BAD(NOTHING, C_SetOperationState(h, NULL, 16, 0, 0));
	BAD(NOTHING, C_Login(h, CKU_USER, NULL, 4));
	BAD(NOTHING, C_LoginUser(h, CKU_USER, NULL, 4, NULL, 0));
	BAD(NOTHING, C_SetPIN(h, NULL, 4, USER_PIN, 4));
	BAD(NOTHING, C_SetPIN(h, USER_PIN, 4, NULL, 4));
	BAD(NOTHING, C_CreateObject(h, NULL, 1, &made));
	BAD(NOTHING, C_CreateObject(h, len_attr, 1, NULL));
	BAD(NOTHING, C_CopyObject(h, aes, NULL, 1, &made));
	BAD(NOTHING, C_CopyObject(h, aes, NULL, 0, NULL));
	BAD(NOTHING, C_GetObjectSize(h, aes, NULL));
	BAD(NOTHING, C_GetAttributeValue(h, aes, NULL, 1));
	BAD(NOTHING, C_SetAttributeValue(h, aes, NULL, 1));
	BAD(NOTHING, C_FindObjectsInit(h, NULL, 1));
	BAD(FIND, C_FindObjects(h, NULL, 1, &n));
	BAD(FIND, C_FindObjects(h, &made, 1, NULL));
	BAD(ENCRYPT, C_Encrypt(h, NULL, 16, buf, &n));
	BAD(ENCRYPT, C_Encrypt(h, buf, 16, buf, NULL));
	BAD(ENCRYPT, C_EncryptUpdate(h, NULL, 16, buf, &n));
	BAD(ENCRYPT, C_EncryptUpdate(h, buf, 16, buf, NULL));
	BAD(ENCRYPT, C_EncryptFinal(h, buf, NULL));
	BAD(DECRYPT, C_Decrypt(h, NULL, 16, buf, &n));
	BAD(DECRYPT, C_Decrypt(h, buf, 16, buf, NULL));
	BAD(DECRYPT, C_DecryptUpdate(h, NULL, 16, buf, &n));
	BAD(DECRYPT, C_DecryptUpdate(h, buf, 16, buf, NULL));
	BAD(DECRYPT, C_DecryptFinal(h, buf, NULL));
	BAD(DIGEST, C_Digest(h, NULL, 16, buf, &n));
	BAD(DIGEST, C_Digest(h, buf, 16, buf, NULL));
	BAD(DIGEST, C_DigestUpdate(h, NULL, 16));
	BAD(DIGEST, C_DigestFinal(h, buf, NULL));
	BAD(SIGN, C_Sign(h, NULL, 16, buf, &n));
	BAD(SIGN, C_Sign(h, buf, 16, buf, NULL));
	BAD(SIGN, C_SignUpdate(h, NULL, 16));
	BAD(SIGN, C_SignFinal(h, buf, NULL));
	BAD(VERIFY, C_Verify(h, NULL, 16, buf, 64));
	BAD(VERIFY, C_Verify(h, buf, 16, NULL, 64));
	BAD(VERIFY, C_VerifyUpdate(h, NULL, 16));
	BAD(VERIFY, C_VerifyFinal(h, NULL, 64));
	BAD(RECOVER_SIGN, C_SignRecover(h, NULL, 16, buf, &n));
	BAD(RECOVER_SIGN, C_SignRecover(h, buf, 16, buf, NULL));
	BAD(RECOVER_VERIFY, C_VerifyRecover(h, NULL, 16, buf, &n));
	BAD(RECOVER_VERIFY, C_VerifyRecover(h, buf, 16, buf, NULL));
	BAD(NOTHING, C_VerifySignatureInit(h, &m_ecdsa, pub, NULL, 64));
	BAD(SIGNATURE, C_VerifySignature(h, NULL, 16));
	BAD(SIGNATURE, C_VerifySignatureUpdate(h, NULL, 16));
	BAD(MESSAGE_ENCRYPT, C_EncryptMessage(h, &gcm, sizeof gcm, NULL, 0, NULL, 16, buf, &n));
	BAD(MESSAGE_ENCRYPT, C_EncryptMessage(h, &gcm, sizeof gcm, NULL, 0, buf, 16, buf, NULL));
	BAD(MESSAGE_ENCRYPT, C_EncryptMessage(h, &gcm, sizeof gcm, NULL, 4, buf, 16, buf, &n));
	BAD(MESSAGE_ENCRYPT, C_EncryptMessageBegin(h, &gcm, sizeof gcm, NULL, 4));
	BAD(MESSAGE_DECRYPT, C_DecryptMessage(h, &gcm, sizeof gcm, NULL, 0, NULL, 16, buf, &n));
	BAD(MESSAGE_DECRYPT, C_DecryptMessage(h, &gcm, sizeof gcm, NULL, 0, buf, 16, buf, NULL));
	BAD(MESSAGE_DECRYPT, C_DecryptMessageBegin(h, &gcm, sizeof gcm, NULL, 4));
	BAD(MESSAGE_SIGN, C_SignMessage(h, NULL, 0, NULL, 16, buf, &n));
	BAD(MESSAGE_SIGN, C_SignMessage(h, NULL, 0, buf, 16, buf, NULL));
	BAD(MESSAGE_VERIFY, C_VerifyMessage(h, NULL, 0, NULL, 16, buf, 64));
	BAD(MESSAGE_VERIFY, C_VerifyMessage(h, NULL, 0, buf, 16, NULL, 64));
	BAD(NOTHING, C_GenerateKey(h, NULL, len_attr, 1, &made));
	BAD(NOTHING, C_GenerateKey(h, &m_aes_gen, NULL, 1, &made));
	BAD(NOTHING, C_GenerateKey(h, &m_aes_gen, len_attr, 1, NULL));
	BAD(NOTHING, C_GenerateKeyPair(h, NULL, NULL, 0, NULL, 0, &made, &made2));
	BAD(NOTHING, C_GenerateKeyPair(h, &m_ec_gen, NULL, 1, NULL, 0, &made, &made2));
	BAD(NOTHING, C_GenerateKeyPair(h, &m_ec_gen, NULL, 0, NULL, 1, &made, &made2));
	BAD(NOTHING, C_GenerateKeyPair(h, &m_ec_gen, NULL, 0, NULL, 0, NULL, &made2));
	BAD(NOTHING, C_GenerateKeyPair(h, &m_ec_gen, NULL, 0, NULL, 0, &made, NULL));
	BAD(NOTHING, C_WrapKey(h, NULL, aes, aes, buf, &n));
	BAD(NOTHING, C_WrapKey(h, &m_kwp, aes, aes, buf, NULL));
	BAD(NOTHING, C_UnwrapKey(h, NULL, aes, buf, 40, NULL, 0, &made));
	BAD(NOTHING, C_UnwrapKey(h, &m_kwp, aes, NULL, 40, NULL, 0, &made));
	BAD(NOTHING, C_UnwrapKey(h, &m_kwp, aes, buf, 40, NULL, 1, &made));
	BAD(NOTHING, C_UnwrapKey(h, &m_kwp, aes, buf, 40, NULL, 0, NULL));
	BAD(NOTHING, C_DeriveKey(h, NULL, aes, NULL, 0, &made));
	BAD(NOTHING, C_DeriveKey(h, &m_ecdsa, aes, NULL, 1, &made));
	BAD(NOTHING, C_EncapsulateKey(h, NULL, pub, NULL, 0, buf, &n, &made));
	BAD(NOTHING, C_EncapsulateKey(h, &m_ecdsa, pub, NULL, 0, buf, NULL, &made));
	BAD(NOTHING, C_DecapsulateKey(h, NULL, priv, NULL, 0, buf, 16, &made));
	BAD(NOTHING, C_DecapsulateKey(h, &m_ecdsa, priv, NULL, 0, buf, 16, NULL));
	BAD(NOTHING, C_WrapKeyAuthenticated(h, NULL, aes, aes, NULL, 0, buf, &n));
	BAD(NOTHING, C_UnwrapKeyAuthenticated(h, NULL, aes, buf, 40, NULL, 0, NULL, 0, &made));
	BAD(NOTHING, C_SeedRandom(h, NULL, 16));
	BAD(NOTHING, C_GenerateRandom(h, NULL, 16));
	BAD(NOTHING, C_GetSessionValidationFlags(h, CKS_LAST_VALIDATION_OK, NULL));
	/* Init without a mechanism, and nothing to end. */
	BAD(NOTHING, C_EncryptInit(h, NULL, aes));
	BAD(NOTHING, C_DecryptInit(h, NULL, aes));
	BAD(NOTHING, C_DigestInit(h, NULL));
	BAD(NOTHING, C_SignInit(h, NULL, priv));
	BAD(NOTHING, C_SignRecoverInit(h, NULL, rsa_priv));
	BAD(NOTHING, C_VerifyInit(h, NULL, pub));
	BAD(NOTHING, C_VerifyRecoverInit(h, NULL, rsa_pub));
	BAD(NOTHING, C_VerifySignatureInit(h, NULL, pub, buf, 64));
	BAD(NOTHING, C_MessageEncryptInit(h, NULL, aes));
	BAD(NOTHING, C_MessageDecryptInit(h, NULL, aes));
	BAD(NOTHING, C_MessageSignInit(h, NULL, priv));
	BAD(NOTHING, C_MessageVerifyInit(h, NULL, pub));
}

static void
huge_lengths(void **state)
{
	(void)state;
	BAD(ENCRYPT, C_Encrypt(h, buf, HUGE, buf, &n));
	BAD(ENCRYPT, C_EncryptUpdate(h, buf, HUGE, buf, &n));
	BAD(DECRYPT, C_Decrypt(h, buf, HUGE, buf, &n));
	BAD(DECRYPT, C_DecryptUpdate(h, buf, HUGE, buf, &n));
	BAD(DIGEST, C_Digest(h, buf, HUGE, buf, &n));
	BAD(DIGEST, C_DigestUpdate(h, buf, HUGE));
	BAD(SIGN, C_Sign(h, buf, HUGE, buf, &n));
	BAD(SIGN, C_SignUpdate(h, buf, HUGE));
	BAD(VERIFY, C_Verify(h, buf, HUGE, buf, 64));
	BAD(VERIFY, C_Verify(h, buf, 16, buf, HUGE));
	BAD(VERIFY, C_VerifyUpdate(h, buf, HUGE));
	BAD(VERIFY, C_VerifyFinal(h, buf, HUGE));
	BAD(RECOVER_SIGN, C_SignRecover(h, buf, HUGE, buf, &n));
	BAD(RECOVER_VERIFY, C_VerifyRecover(h, buf, HUGE, buf, &n));
	ROW(NOTHING, 0, CKR_SIGNATURE_LEN_RANGE, C_VerifySignatureInit(h, &m_ecdsa, pub, buf, HUGE));
	BAD(SIGNATURE, C_VerifySignature(h, buf, HUGE));
	BAD(SIGNATURE, C_VerifySignatureUpdate(h, buf, HUGE));
	BAD(MESSAGE_ENCRYPT, C_EncryptMessage(h, &gcm, sizeof gcm, buf, HUGE, buf, 16, buf, &n));
	BAD(MESSAGE_ENCRYPT, C_EncryptMessage(h, &gcm, sizeof gcm, NULL, 0, buf, HUGE, buf, &n));
	BAD(MESSAGE_DECRYPT, C_DecryptMessage(h, &gcm, sizeof gcm, NULL, 0, buf, HUGE, buf, &n));
	BAD(MESSAGE_SIGN, C_SignMessage(h, NULL, 0, buf, HUGE, buf, &n));
	BAD(MESSAGE_VERIFY, C_VerifyMessage(h, NULL, 0, buf, HUGE, buf, 64));
	BAD(NOTHING, C_SeedRandom(h, buf, HUGE));
	BAD(NOTHING, C_GenerateRandom(h, buf, HUGE));
	BAD(NOTHING, C_CreateObject(h, len_attr, HUGE, &made));
	BAD(NOTHING, C_CopyObject(h, aes, len_attr, HUGE, &made));
	BAD(NOTHING, C_FindObjectsInit(h, len_attr, HUGE));
	BAD(NOTHING, C_GenerateKey(h, &m_aes_gen, len_attr, HUGE, &made));
	BAD(NOTHING, C_UnwrapKey(h, &m_kwp, aes, buf, HUGE, NULL, 0, &made));
	ROW(NOTHING, 0, CKR_PIN_INCORRECT, C_SetPIN(h, USER_PIN, HUGE, USER_PIN, 4));
	ROW(NOTHING, 0, CKR_PIN_LEN_RANGE, C_SetPIN(h, USER_PIN, 4, USER_PIN, HUGE));
	ROW(NOTHING, 0, CKR_SAVED_STATE_INVALID, C_SetOperationState(h, buf, HUGE, 0, 0));
	ROW(MESSAGE_ENCRYPT, sizeof buf, CKR_MECHANISM_PARAM_INVALID, C_EncryptMessage(h, &gcm, HUGE, NULL, 0, buf, 16, buf, &n));
}

static void
room(void **state)
{
	(void)state;
	ASKS(ENCRYPT, C_Encrypt(h, buf, 32, NULL, &n), 32);
	ASKS(ENCRYPT, C_EncryptUpdate(h, buf, 32, NULL, &n), 32);
	ASKS(ENCRYPT, C_EncryptFinal(h, NULL, &n), 0);
	ASKS(DECRYPT, C_Decrypt(h, buf, 32, NULL, &n), 32);
	ASKS(DECRYPT, C_DecryptUpdate(h, buf, 32, NULL, &n), 32);
	ASKS(DIGEST, C_Digest(h, buf, 16, NULL, &n), 32);
	ASKS(DIGEST, C_DigestFinal(h, NULL, &n), 32);
	ASKS(SIGN, C_Sign(h, buf, 16, NULL, &n), 64);
	ASKS(SIGN, C_SignFinal(h, NULL, &n), 64);
	ASKS(RECOVER_SIGN, C_SignRecover(h, buf, 16, NULL, &n), 256);
	ASKS(MESSAGE_ENCRYPT, C_EncryptMessage(h, &gcm, sizeof gcm, NULL, 0, buf, 16, NULL, &n), 16);
	ASKS(MESSAGE_SIGN, C_SignMessage(h, NULL, 0, buf, 16, NULL, &n), 64);
	ASKS(NOTHING, C_WrapKey(h, &m_kwp, aes, aes, NULL, &n), 40);
	SMALL(ENCRYPT, C_Encrypt(h, buf, 32, buf, &n));
	SMALL(ENCRYPT, C_EncryptUpdate(h, buf, 32, buf, &n));
	SMALL(DECRYPT, C_Decrypt(h, buf, 32, buf, &n));
	SMALL(DECRYPT, C_DecryptUpdate(h, buf, 32, buf, &n));
	SMALL(DIGEST, C_Digest(h, buf, 16, buf, &n));
	SMALL(DIGEST, C_DigestFinal(h, buf, &n));
	SMALL(DIGEST, C_GetOperationState(h, buf, &n));
	SMALL(SIGN, C_Sign(h, buf, 16, buf, &n));
	SMALL(SIGN, C_SignFinal(h, buf, &n));
	SMALL(RECOVER_SIGN, C_SignRecover(h, buf, 16, buf, &n));
	SMALL(MESSAGE_ENCRYPT, C_EncryptMessage(h, &gcm, sizeof gcm, NULL, 0, buf, 16, buf, &n));
	SMALL(MESSAGE_SIGN, C_SignMessage(h, NULL, 0, buf, 16, buf, &n));
	SMALL(NOTHING, C_WrapKey(h, &m_kwp, aes, aes, buf, &n));
}

static void
what_is_active_is_not_begun_again(void **state)
{
	(void)state;
	ROW(ENCRYPT, 0, CKR_OPERATION_ACTIVE, C_EncryptInit(h, &m_cbc, aes));
	ROW(DECRYPT, 0, CKR_OPERATION_ACTIVE, C_DecryptInit(h, &m_cbc, aes));
	ROW(DIGEST, 0, CKR_OPERATION_ACTIVE, C_DigestInit(h, &m_sha));
	ROW(SIGN, 0, CKR_OPERATION_ACTIVE, C_SignInit(h, &m_ecdsa, priv));
	ROW(VERIFY, 0, CKR_OPERATION_ACTIVE, C_VerifyInit(h, &m_ecdsa, pub));
	ROW(VERIFY, 0, CKR_OPERATION_ACTIVE, C_VerifySignatureInit(h, &m_ecdsa, pub, buf, 64));
	ROW(SIGNATURE, 0, CKR_OPERATION_ACTIVE, C_VerifySignatureInit(h, &m_ecdsa, pub, buf, 64));
	ROW(RECOVER_SIGN, 0, CKR_OPERATION_ACTIVE, C_SignRecoverInit(h, &m_rsa, rsa_priv));
	ROW(RECOVER_VERIFY, 0, CKR_OPERATION_ACTIVE, C_VerifyRecoverInit(h, &m_rsa, rsa_pub));
	ROW(MESSAGE_ENCRYPT, 0, CKR_OPERATION_ACTIVE, C_MessageEncryptInit(h, &m_gcm, aes));
	ROW(MESSAGE_DECRYPT, 0, CKR_OPERATION_ACTIVE, C_MessageDecryptInit(h, &m_gcm, aes));
	ROW(MESSAGE_SIGN, 0, CKR_OPERATION_ACTIVE, C_MessageSignInit(h, &m_ecdsa, priv));
	ROW(MESSAGE_VERIFY, 0, CKR_OPERATION_ACTIVE, C_MessageVerifyInit(h, &m_ecdsa, pub));
	ROW(FIND, 0, CKR_OPERATION_ACTIVE, C_FindObjectsInit(h, NULL, 0));
	/* A hash has no parts. */
	ROW(HASH_SIGN, 0, CKR_OPERATION_NOT_INITIALIZED, C_SignUpdate(h, buf, 10));
	ROW(HASH_SIGN, sizeof buf, CKR_OPERATION_NOT_INITIALIZED, C_SignFinal(h, buf, &n));
	ROW(HASH_SIGN, sizeof buf, CKR_OK, C_Sign(h, buf, 32, buf + 64, &n));
	ROW(HASH_VERIFY, 0, CKR_OPERATION_NOT_INITIALIZED, C_VerifyUpdate(h, buf, 10));
	ROW(HASH_SIGNATURE, 0, CKR_OPERATION_NOT_INITIALIZED, C_VerifySignatureUpdate(h, buf, 10));
}

/* Attributes that follow from how a key came to be. */
static void
attributes_that_nobody_says(void **state)
{
	static CK_ULONG klass = CKO_SECRET_KEY, type = CKK_AES, flags;
	CK_ATTRIBUTE flag = { CKA_OBJECT_VALIDATION_FLAGS, &flags, sizeof flags };
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &klass, sizeof klass }, { CKA_KEY_TYPE, &type, sizeof type }, { CKA_VALUE, buf, 16 }, flag };

	(void)state;
	ROW(NOTHING, 0, CKR_OK, C_GetAttributeValue(h, aes, &flag, 1));
	assert_int_equal(flags, 1);
	ROW(NOTHING, 0, CKR_ATTRIBUTE_READ_ONLY, C_SetAttributeValue(h, aes, &flag, 1));
	ROW(NOTHING, 0, CKR_ATTRIBUTE_TYPE_INVALID, C_CreateObject(h, t, 4, &made));
	t[3].type = CKA_UNIQUE_ID;
	ROW(NOTHING, 0, CKR_ATTRIBUTE_READ_ONLY, C_CreateObject(h, t, 4, &made));
	ROW(NOTHING, 0, CKR_ATTRIBUTE_READ_ONLY, C_SetAttributeValue(h, aes, &t[3], 1));
	ROW(NOTHING, 0, CKR_OK, C_CreateObject(h, t, 3, &made));
}

static CK_SESSION_HANDLE keeper;        /* keeps the keys and the login */

static int
keys(void **state)
{
	static CK_ULONG bits = 2048, set = CKP_ML_DSA_44;
	CK_ATTRIBUTE rsa[] = { { CKA_MODULUS_BITS, &bits, sizeof bits } }, ml[] = { { CKA_PARAMETER_SET, &set, sizeof set } };
	CK_MECHANISM rsa_gen = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 }, ml_gen = { CKM_ML_DSA_KEY_PAIR_GEN, NULL, 0 };

	if (home_begin(state) != 0)
		return -1;
	assert_ok(f->C_Initialize(NULL));
	token_begin();
	keeper = session_user();
	aes = key_aes(keeper, false, "aes");
	pair_p256(keeper, false, "ec", &pub, &priv);
	assert_ok(f->C_GenerateKeyPair(keeper, &rsa_gen, rsa, 1, NULL, 0, &rsa_pub, &rsa_priv));
	assert_ok(f->C_GenerateKeyPair(keeper, &ml_gen, ml, 1, NULL, 0, &ml_pub, &ml_priv));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_pointer),
		cmocka_unit_test(huge_lengths),
		cmocka_unit_test(room),
		cmocka_unit_test(what_is_active_is_not_begun_again),
		cmocka_unit_test(attributes_that_nobody_says),
	};

	return cmocka_run_group_tests(tests, keys, home_end);
}
