/* Any sequence of Cryptoki calls with any arguments: an answer that has a name,
 * no byte beyond what was given, and protected keys that stay protected.
 *
 * An input is calls of three bytes: which function, and a number its arguments
 * are drawn from (cryptoki_arguments.h). Like the other harnesses it has two
 * lives: under libFuzzer, and as a test with inputs that are always the same.
 * The module's sources are linked in, so that all of it is instrumented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cryptoki_arguments.h"

#define CALLS_MAX 200u
#define CALL_LEN 3u

static CK_FUNCTION_LIST_3_2 *f;
static char home[64];
static CK_SESSION_HANDLE guard;         /* keeps the user logged in */
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

#define must(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "cryptoki_fuzz: %s (line %d)\n", #condition, __LINE__); \
		abort(); \
	} \
} while (0)

/* ---- the calls ------------------------------------------------------------------------ */

/* Takes what was written for the next calls. Nothing is longer than the room. */
static CK_RV
wrote(CK_RV rv, const struct out *o)
{
	if (rv != CKR_OK || o->ptr == NULL || o->len == NULL)
		return rv;
	must(*o->len <= o->cap);
	last_len = *o->len < sizeof last_out ? *o->len : sizeof last_out;
	memcpy(last_out, o->ptr, last_len);
	return rv;
}

static CK_RV
made(CK_RV rv, const CK_OBJECT_HANDLE *handle)
{
	if (rv == CKR_OK && handle != NULL)
		pool_add(&objects, *handle);
	return rv;
}

static CK_OBJECT_HANDLE *
some_handle_room(void)
{
	return one_in(80) ? NULL : block(sizeof(CK_OBJECT_HANDLE));
}

/* A key of those that stay and what can be done with it; or whatever. */
enum { AES, AES_SENSITIVE, GENERIC, EC, EC_PRIVATE, RSA, RSA_PRIVATE, ML_DSA, ML_DSA_PRIVATE, ML_KEM, ML_KEM_PRIVATE, KEPT };

static CK_MECHANISM *
some_use(CK_OBJECT_HANDLE *key)
{
	static const struct { CK_MECHANISM_TYPE mech; uint8_t key; } fit[] = {
		{ CKM_AES_GCM, AES }, { CKM_AES_CBC_PAD, AES }, { CKM_AES_CBC, AES }, { CKM_AES_CTR, AES }, { CKM_AES_CCM, AES }, { CKM_AES_ECB, AES },
		{ CKM_AES_CMAC, AES }, { CKM_AES_KEY_WRAP_KWP, AES }, { CKM_AES_KEY_WRAP, AES }, { CKM_SHA256_HMAC, GENERIC }, { CKM_SHA512_HMAC, GENERIC },
		{ CKM_ECDSA, EC }, { CKM_ECDSA_SHA256, EC }, { CKM_RSA_PKCS, RSA }, { CKM_RSA_PKCS_OAEP, RSA }, { CKM_SHA256_RSA_PKCS, RSA },
		{ CKM_SHA256_RSA_PKCS_PSS, RSA }, { CKM_RSA_X_509, RSA }, { CKM_ML_DSA, ML_DSA },
	};
	size_t which = below(LENGTH(fit));

	*key = pool_pick(&objects);
	if (one_in(3) || objects.kept != KEPT)
		return some_mechanism();
	*key = objects.at[fit[which].key + below(2)];
	return one_in(3) ? some_mechanism() : mechanism_of(fit[which].mech);
}

#define CALL(name) static CK_RV call_##name(CK_SESSION_HANDLE s)
#define OBJECT pool_pick(&objects)
#define INIT(name) CALL(name) { CK_OBJECT_HANDLE k; CK_MECHANISM *m = some_use(&k); return f->C_##name(s, m, k); }
#define IN_OUT(name) CALL(name) { struct in i = some_bytes(); struct out o = some_room(); return wrote(f->C_##name(s, i.ptr, i.len, o.ptr, o.len), &o); }
#define IN(name) CALL(name) { struct in i = some_bytes(); return f->C_##name(s, i.ptr, i.len); }
#define IN_IN(name) CALL(name) { struct in i = some_bytes(), j = some_bytes(); return f->C_##name(s, i.ptr, i.len, j.ptr, j.len); }
#define OUT(name) CALL(name) { struct out o = some_room(); return wrote(f->C_##name(s, o.ptr, o.len), &o); }
#define PLAIN(name) CALL(name) { return f->C_##name(s); }

INIT(EncryptInit) INIT(DecryptInit) INIT(SignInit) INIT(VerifyInit) INIT(SignRecoverInit) INIT(VerifyRecoverInit)
INIT(MessageSignInit) INIT(MessageVerifyInit)
IN_OUT(Encrypt) IN_OUT(EncryptUpdate) IN_OUT(Decrypt) IN_OUT(DecryptUpdate) IN_OUT(Digest) IN_OUT(Sign) IN_OUT(SignRecover) IN_OUT(VerifyRecover)
IN_OUT(DigestEncryptUpdate) IN_OUT(DecryptDigestUpdate) IN_OUT(SignEncryptUpdate) IN_OUT(DecryptVerifyUpdate)
IN(DigestUpdate) IN(SignUpdate) IN(VerifyUpdate) IN(VerifyFinal) IN(SeedRandom) IN(VerifySignature) IN(VerifySignatureUpdate)
IN_IN(Verify)
OUT(EncryptFinal) OUT(DecryptFinal) OUT(DigestFinal) OUT(SignFinal) OUT(GetOperationState)
PLAIN(FindObjectsFinal) PLAIN(GetFunctionStatus) PLAIN(CancelFunction) PLAIN(MessageEncryptFinal) PLAIN(MessageDecryptFinal)
PLAIN(MessageSignFinal) PLAIN(MessageVerifyFinal) PLAIN(VerifySignatureFinal)

CALL(DigestInit)
{
	static const CK_MECHANISM_TYPE likely[] = { CKM_SHA256, CKM_SHA_1, CKM_SHA512, CKM_SHA3_256, CKM_SHA512_256 };

	return f->C_DigestInit(s, one_in(8) ? some_mechanism() : one_of(likely, 5));
}
CALL(DigestKey) { return f->C_DigestKey(s, OBJECT); }
CALL(SetOperationState) { struct in i = some_bytes(); CK_OBJECT_HANDLE a = one_in(2) ? 0 : OBJECT; return f->C_SetOperationState(s, i.ptr, i.len, a, 0); }
CALL(GetSessionInfo) { return f->C_GetSessionInfo(s, one_in(40) ? NULL : block(sizeof(CK_SESSION_INFO))); }
CALL(GenerateRandom) { CK_ULONG n = some_length(); return f->C_GenerateRandom(s, one_in(40) ? NULL : block(n), n); }
CALL(SessionCancel) { return f->C_SessionCancel(s, 1u << below(24)); }
CALL(GetSessionValidationFlags) { CK_ULONG which = below(3); return f->C_GetSessionValidationFlags(s, which, one_in(20) ? NULL : block(sizeof(CK_FLAGS))); }
CALL(AsyncComplete) { return f->C_AsyncComplete(s, block(20), NULL); }
CALL(AsyncGetID) { return f->C_AsyncGetID(s, block(20), block(8)); }
CALL(AsyncJoin) { return f->C_AsyncJoin(s, block(20), 1, block(16), 16); }

CALL(VerifySignatureInit)
{
	CK_OBJECT_HANDLE key;
	CK_MECHANISM *m = some_use(&key);
	struct in i = some_bytes();

	return f->C_VerifySignatureInit(s, m, key, i.ptr, i.len);
}

/* ---- objects */

CALL(CreateObject)
{
	struct templ t = some_template(true);
	CK_OBJECT_HANDLE *h = some_handle_room();

	return made(f->C_CreateObject(s, t.at, t.n, h), h);
}

CALL(CopyObject)
{
	struct templ t = { block(3 * sizeof *t.at), 0 };
	CK_OBJECT_HANDLE *h = some_handle_room();

	for (CK_ULONG i = below(3); i > 0; i--)
		t.at[t.n++] = some_attribute(false);
	return made(f->C_CopyObject(s, OBJECT, t.at, t.n, h), h);
}

/* The keys that all inputs use stay. */
CALL(DestroyObject)
{
	CK_OBJECT_HANDLE one = OBJECT;

	for (size_t i = 0; i < objects.kept; i++)
		if (objects.at[i] == one)
			return CKR_OK;
	return f->C_DestroyObject(s, one);
}

CALL(GetObjectSize) { return f->C_GetObjectSize(s, OBJECT, one_in(20) ? NULL : block(sizeof(CK_ULONG))); }

CALL(GetAttributeValue)
{
	struct templ t = some_query();

	return f->C_GetAttributeValue(s, OBJECT, one_in(40) ? NULL : t.at, t.n);
}

CALL(SetAttributeValue)
{
	CK_ATTRIBUTE *a = block(2 * sizeof *a);
	CK_OBJECT_HANDLE one = OBJECT;

	a[0] = some_attribute(false);
	a[1] = some_attribute(false);
	for (size_t i = 0; i < objects.kept; i++)
		if (objects.at[i] == one)
			return CKR_OK;
	return f->C_SetAttributeValue(s, one, a, 1 + below(2));
}

CALL(FindObjectsInit)
{
	struct templ t = { block(3 * sizeof *t.at), 0 };

	for (CK_ULONG i = below(3); i > 0; i--)
		t.at[t.n++] = some_attribute(false);
	return f->C_FindObjectsInit(s, one_in(40) ? NULL : t.at, t.n);
}

CALL(FindObjects)
{
	CK_ULONG n = below(40), *found = block(sizeof *found);
	CK_RV rv = f->C_FindObjects(s, one_in(40) ? NULL : block(n * sizeof(CK_OBJECT_HANDLE)), n, one_in(40) ? NULL : found);

	return rv;
}

/* ---- keys */

CALL(GenerateKey)
{
	static const CK_MECHANISM_TYPE likely[] = { CKM_AES_KEY_GEN, CKM_GENERIC_SECRET_KEY_GEN, CKM_PKCS5_PBKD2, CKM_CHACHA20_KEY_GEN, CKM_HKDF_KEY_GEN };
	CK_MECHANISM *m = one_of(likely, 5);
	struct templ t = some_template(false);
	CK_OBJECT_HANDLE *h = some_handle_room();

	return made(f->C_GenerateKey(s, m, t.at, t.n, h), h);
}

CALL(GenerateKeyPair)
{
	static const CK_MECHANISM_TYPE likely[] = { CKM_EC_KEY_PAIR_GEN, CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKM_ML_KEM_KEY_PAIR_GEN,
		CKM_ML_DSA_KEY_PAIR_GEN, CKM_RSA_PKCS_KEY_PAIR_GEN };
	static const uint8_t p256[] = { 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 };
	static const CK_ULONG set = 1;
	CK_MECHANISM *m = one_of(likely, 6);
	struct templ pub = { block(8 * sizeof *pub.at), 0 }, priv = { block(8 * sizeof *priv.at), 0 };
	CK_OBJECT_HANDLE *a = some_handle_room(), *b = some_handle_room();
	CK_RV rv;

	if (one_in(2))
		templ_put(&pub, CKA_EC_PARAMS, p256, sizeof p256);
	else
		templ_put(&pub, CKA_PARAMETER_SET, &set, sizeof set);
	for (CK_ULONG i = below(4); i > 0; i--)
		pub.at[pub.n++] = some_attribute(false);
	for (CK_ULONG i = below(4); i > 0; i--)
		priv.at[priv.n++] = some_attribute(false);
	rv = f->C_GenerateKeyPair(s, m, pub.at, pub.n, priv.at, priv.n, a, b);
	return made(made(rv, a), b);
}

CALL(WrapKey)
{
	CK_OBJECT_HANDLE kek;
	CK_MECHANISM *m = some_use(&kek);
	struct out o = some_room();

	return wrote(f->C_WrapKey(s, m, kek, OBJECT, o.ptr, o.len), &o);
}

CALL(UnwrapKey)
{
	CK_OBJECT_HANDLE kek;
	CK_MECHANISM *m = some_use(&kek);
	struct in i = some_bytes();
	struct templ t = some_template(false);
	CK_OBJECT_HANDLE *h = some_handle_room();

	return made(f->C_UnwrapKey(s, m, kek, i.ptr, i.len, t.at, t.n, h), h);
}

CALL(WrapKeyAuthenticated)
{
	CK_OBJECT_HANDLE kek;
	CK_MECHANISM *m = some_use(&kek);
	struct in i = some_bytes();
	struct out o = some_room();

	return wrote(f->C_WrapKeyAuthenticated(s, m, kek, OBJECT, i.ptr, i.len, o.ptr, o.len), &o);
}

CALL(UnwrapKeyAuthenticated)
{
	CK_OBJECT_HANDLE kek;
	CK_MECHANISM *m = some_use(&kek);
	struct in i = some_bytes(), aad = some_bytes();
	struct templ t = some_template(false);
	CK_OBJECT_HANDLE *h = some_handle_room();

	return made(f->C_UnwrapKeyAuthenticated(s, m, kek, i.ptr, i.len, t.at, t.n, aad.ptr, aad.len, h), h);
}

CALL(DeriveKey)
{
	static const CK_MECHANISM_TYPE likely[] = { CKM_ECDH1_DERIVE, CKM_HKDF_DERIVE, CKM_SP800_108_COUNTER_KDF, CKM_AES_ECB_ENCRYPT_DATA,
		CKM_CONCATENATE_BASE_AND_KEY, CKM_EXTRACT_KEY_FROM_KEY, CKM_XOR_BASE_AND_DATA, CKM_SHA256_KEY_DERIVATION };
	CK_MECHANISM *m = one_of(likely, 8);
	struct templ t = some_template(false);
	CK_OBJECT_HANDLE *h = some_handle_room();

	return made(f->C_DeriveKey(s, m, OBJECT, t.at, t.n, h), h);
}

CALL(EncapsulateKey)
{
	static const CK_MECHANISM_TYPE likely[] = { CKM_ML_KEM };
	CK_MECHANISM *m = one_of(likely, 1);
	struct templ t = some_template(false);
	struct out o = some_room();
	CK_OBJECT_HANDLE *h = some_handle_room();
	CK_RV rv = f->C_EncapsulateKey(s, m, one_in(4) ? OBJECT : objects.at[ML_KEM], t.at, t.n, o.ptr, o.len, h);

	return made(wrote(rv, &o), o.ptr == NULL ? NULL : h);
}

CALL(DecapsulateKey)
{
	static const CK_MECHANISM_TYPE likely[] = { CKM_ML_KEM };
	CK_MECHANISM *m = one_of(likely, 1);
	struct templ t = some_template(false);
	struct in i = some_bytes();
	CK_OBJECT_HANDLE *h = some_handle_room();

	return made(f->C_DecapsulateKey(s, m, one_in(4) ? OBJECT : objects.at[ML_KEM_PRIVATE], t.at, t.n, i.ptr, i.len, h), h);
}

/* ---- messages */

static CK_MECHANISM *
some_aead(void)
{
	static const CK_MECHANISM_TYPE fit[] = { CKM_AES_GCM, CKM_AES_GCM, CKM_AES_CCM, CKM_CHACHA20_POLY1305 };

	return one_in(8) ? some_mechanism() : block_of(&(CK_MECHANISM){ fit[below(4)], NULL, 0 }, sizeof(CK_MECHANISM));
}

CALL(MessageEncryptInit) { CK_MECHANISM *m = some_aead(); return f->C_MessageEncryptInit(s, m, one_in(4) ? OBJECT : objects.at[AES]); }
CALL(MessageDecryptInit) { CK_MECHANISM *m = some_aead(); return f->C_MessageDecryptInit(s, m, one_in(4) ? OBJECT : objects.at[AES]); }

static void *
some_message(CK_ULONG *len)
{
	CK_ULONG n = one_in(3) ? below(20) : 12;

	switch (below(4)) {
	case 0:
		*len = sizeof(CK_CCM_MESSAGE_PARAMS);
		return block_of(&(CK_CCM_MESSAGE_PARAMS){ some_length(), block(n), n, below(90), below(5), block(16), 16 }, *len);
	case 1:
		*len = sizeof(CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS);
		return block_of(&(CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS){ block(n), n, block(16) }, *len);
	default:
		*len = sizeof(CK_GCM_MESSAGE_PARAMS);
		return block_of(&(CK_GCM_MESSAGE_PARAMS){ block(n), n, below(90), below(5), block(16), one_in(4) ? below(129) : 128 }, *len);
	}
}

#define MESSAGE(name) CALL(name) \
{ \
	CK_ULONG len; \
	void *p = some_message(&len); \
	struct in aad = some_bytes(), i = some_bytes(); \
	struct out o = some_room(); \
	return wrote(f->C_##name(s, one_in(30) ? NULL : p, len, aad.ptr, aad.len, i.ptr, i.len, o.ptr, o.len), &o); \
}
#define MESSAGE_BEGIN(name) CALL(name) \
{ \
	CK_ULONG len; \
	void *p = some_message(&len); \
	struct in aad = some_bytes(); \
	return f->C_##name(s, one_in(30) ? NULL : p, len, aad.ptr, aad.len); \
}
#define MESSAGE_NEXT(name) CALL(name) \
{ \
	CK_ULONG len; \
	void *p = some_message(&len); \
	struct in i = some_bytes(); \
	struct out o = some_room(); \
	return wrote(f->C_##name(s, p, len, i.ptr, i.len, o.ptr, o.len, below(3)), &o); \
}
MESSAGE(EncryptMessage) MESSAGE(DecryptMessage)
MESSAGE_BEGIN(EncryptMessageBegin) MESSAGE_BEGIN(DecryptMessageBegin)
MESSAGE_NEXT(EncryptMessageNext) MESSAGE_NEXT(DecryptMessageNext)

CALL(SignMessage)
{
	struct in i = some_bytes();
	struct out o = some_room();

	return wrote(f->C_SignMessage(s, one_in(20) ? block(9) : NULL, 0, i.ptr, i.len, o.ptr, o.len), &o);
}
CALL(SignMessageBegin) { return f->C_SignMessageBegin(s, NULL, below(2)); }
CALL(SignMessageNext)
{
	struct in i = some_bytes();
	struct out o = one_in(2) ? some_room() : (struct out){ NULL, NULL, 0 };

	return wrote(f->C_SignMessageNext(s, NULL, 0, i.ptr, i.len, o.ptr, o.len), &o);
}
CALL(VerifyMessage) { struct in i = some_bytes(), j = some_bytes(); return f->C_VerifyMessage(s, NULL, 0, i.ptr, i.len, j.ptr, j.len); }
CALL(VerifyMessageBegin) { return f->C_VerifyMessageBegin(s, NULL, below(2)); }
CALL(VerifyMessageNext) { struct in i = some_bytes(), j = one_in(2) ? some_bytes() : (struct in){ NULL, 0 }; return f->C_VerifyMessageNext(s, NULL, 0, i.ptr, i.len, j.ptr, j.len); }

/* ---- slots, sessions, PINs */

CALL(GetInfo) { (void)s; return f->C_GetInfo(one_in(9) ? NULL : block(sizeof(CK_INFO))); }
CALL(GetFunctionList) { CK_FUNCTION_LIST *list; (void)s; return f->C_GetFunctionList(one_in(9) ? NULL : &list); }
CALL(GetInterfaceList) { CK_ULONG n = below(5); (void)s; return f->C_GetInterfaceList(one_in(3) ? NULL : block(n * sizeof(CK_INTERFACE)), one_in(9) ? NULL : block_of(&n, sizeof n)); }
CALL(GetInterface) { CK_VERSION v = { (CK_BYTE)below(4), (CK_BYTE)below(41) }; CK_INTERFACE *it; (void)s; return f->C_GetInterface(one_in(2) ? NULL : (CK_UTF8CHAR *)"PKCS 11", &v, &it, below(2)); }
CALL(GetSlotList) { CK_ULONG n = below(4); (void)s; return f->C_GetSlotList((CK_BBOOL)below(2), one_in(2) ? NULL : block(n * sizeof(CK_SLOT_ID)), block_of(&n, sizeof n)); }
CALL(GetSlotInfo) { (void)s; return f->C_GetSlotInfo(below(4), one_in(9) ? NULL : block(sizeof(CK_SLOT_INFO))); }
CALL(GetTokenInfo) { (void)s; return f->C_GetTokenInfo(below(4), one_in(9) ? NULL : block(sizeof(CK_TOKEN_INFO))); }
CALL(GetMechanismList) { CK_ULONG n = below(400); (void)s; return f->C_GetMechanismList(below(3), one_in(3) ? NULL : block(n * sizeof(CK_MECHANISM_TYPE)), block_of(&n, sizeof n)); }
CALL(GetMechanismInfo) { CK_MECHANISM_TYPE m = one_in(4) ? below(0x5000) : mechanisms[below((uint32_t)mechanisms_len)]; (void)s; return f->C_GetMechanismInfo(below(3), m, one_in(9) ? NULL : block(sizeof(CK_MECHANISM_INFO))); }
CALL(WaitForSlotEvent) { (void)s; return f->C_WaitForSlotEvent(CKF_DONT_BLOCK, one_in(9) ? NULL : block(sizeof(CK_SLOT_ID)), NULL); }

CALL(OpenSession)
{
	CK_SESSION_HANDLE *h = block(sizeof *h);
	CK_RV rv;

	(void)s;
	rv = f->C_OpenSession(below(8) == 0, one_in(20) ? 0 : CKF_SERIAL_SESSION | (one_in(4) ? 0 : CKF_RW_SESSION), NULL, NULL, one_in(20) ? NULL : h);
	if (rv == CKR_OK)
		pool_add(&sessions, *h);
	return rv;
}
CALL(CloseSession) { return one_in(3) ? f->C_CloseSession(s) : CKR_OK; }

/* Each check of a PIN takes a tenth of a second: few are right, few are made. */
static bool rare(void) { return one_in(32); }
CALL(CloseAllSessions) { (void)s; return rare() ? f->C_CloseAllSessions(0) : f->C_CloseAllSessions(1 + below(3)); }
CALL(Login) { CK_USER_TYPE who = below(4); return rare() ? f->C_Login(s, who, (CK_UTF8CHAR *)"1234", 4) : f->C_Login(s, 3 + below(3), NULL, 0); }
CALL(LoginUser) { return f->C_LoginUser(s, below(3), NULL, rare() ? 4 : 0, block(5), 5); }
CALL(Logout) { return rare() ? f->C_Logout(s) : CKR_OK; }
CALL(InitPIN) { struct in i = some_bytes(); return f->C_InitPIN(s, i.ptr, i.len); }
CALL(SetPIN) { struct in i = some_bytes(); return f->C_SetPIN(s, i.ptr, 300, i.ptr, one_in(2) ? 300 : 0); }
CALL(InitToken) { (void)s; return f->C_InitToken(below(6), block(8), one_in(2) ? 3 : 300, block(32)); }
CALL(Initialize) { CK_C_INITIALIZE_ARGS a = { .flags = below(4) }; (void)s; return f->C_Initialize(one_in(2) ? NULL : &a); }
CALL(Finalize) { (void)s; return f->C_Finalize(rare() ? NULL : block(1)); }

#define ALL(X) \
	X(Initialize) X(Finalize) X(GetInfo) X(GetFunctionList) X(GetInterfaceList) X(GetInterface) X(GetSlotList) X(GetSlotInfo) X(GetTokenInfo) \
	X(GetMechanismList) X(GetMechanismInfo) X(WaitForSlotEvent) X(InitToken) X(InitPIN) X(SetPIN) X(OpenSession) X(CloseSession) X(CloseAllSessions) \
	X(GetSessionInfo) X(GetOperationState) X(SetOperationState) X(Login) X(LoginUser) X(Logout) X(SessionCancel) X(CreateObject) X(CopyObject) \
	X(DestroyObject) X(GetObjectSize) X(GetAttributeValue) X(SetAttributeValue) X(FindObjectsInit) X(FindObjects) X(FindObjectsFinal) \
	X(EncryptInit) X(Encrypt) X(EncryptUpdate) X(EncryptFinal) X(DecryptInit) X(Decrypt) X(DecryptUpdate) X(DecryptFinal) X(DigestInit) X(Digest) \
	X(DigestUpdate) X(DigestKey) X(DigestFinal) X(SignInit) X(Sign) X(SignUpdate) X(SignFinal) X(SignRecoverInit) X(SignRecover) X(VerifyInit) X(Verify) \
	X(VerifyUpdate) X(VerifyFinal) X(VerifyRecoverInit) X(VerifyRecover) X(DigestEncryptUpdate) X(DecryptDigestUpdate) X(SignEncryptUpdate) \
	X(DecryptVerifyUpdate) X(GenerateKey) X(GenerateKeyPair) X(WrapKey) X(UnwrapKey) X(DeriveKey) X(SeedRandom) X(GenerateRandom) X(GetFunctionStatus) \
	X(CancelFunction) X(MessageEncryptInit) X(EncryptMessage) X(EncryptMessageBegin) X(EncryptMessageNext) X(MessageEncryptFinal) X(MessageDecryptInit) \
	X(DecryptMessage) X(DecryptMessageBegin) X(DecryptMessageNext) X(MessageDecryptFinal) X(MessageSignInit) X(SignMessage) X(SignMessageBegin) \
	X(SignMessageNext) X(MessageSignFinal) X(MessageVerifyInit) X(VerifyMessage) X(VerifyMessageBegin) X(VerifyMessageNext) X(MessageVerifyFinal) \
	X(EncapsulateKey) X(DecapsulateKey) X(VerifySignatureInit) X(VerifySignature) X(VerifySignatureUpdate) X(VerifySignatureFinal) \
	X(GetSessionValidationFlags) X(AsyncComplete) X(AsyncGetID) X(AsyncJoin) X(WrapKeyAuthenticated) X(UnwrapKeyAuthenticated)

#define ROW(name) { #name, call_##name },
static const struct { const char *name; CK_RV (*call)(CK_SESSION_HANDLE s); } calls[] = { ALL(ROW) };
_Static_assert(LENGTH(calls) == sizeof(CK_FUNCTION_LIST_3_2) / sizeof(void *) - 1, "every function of the list");

/* ---- what must hold --------------------------------------------------------------------- */

static bool
flag_of(CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type, CK_BBOOL *value)
{
	CK_ATTRIBUTE get = { type, value, 1 };

	return f->C_GetAttributeValue(guard, key, &get, 1) == CKR_OK;
}

/* No value of a key that is sensitive or does not leave. */
static void
keys_stay(void)
{
	static const CK_ATTRIBUTE_TYPE secrets[] = { CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_SEED };

	for (size_t i = 0; i < objects.len; i++) {
		CK_BBOOL sensitive = 0, extractable = 1;

		if (!flag_of(objects.at[i], CKA_SENSITIVE, &sensitive) || !flag_of(objects.at[i], CKA_EXTRACTABLE, &extractable)
		    || (!sensitive && extractable))
			continue;
		for (size_t j = 0; j < LENGTH(secrets); j++) {
			CK_ATTRIBUTE get = { secrets[j], NULL, 0 };

			must(f->C_GetAttributeValue(guard, objects.at[i], &get, 1) != CKR_OK);
			must(get.ulValueLen == CK_UNAVAILABLE_INFORMATION);
		}
	}
}

static CK_OBJECT_HANDLE
kept_secret(CK_KEY_TYPE type, CK_BBOOL *sensitive)
{
	static CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
	static uint8_t value[32] = { 1, 2, 3 };
	CK_BBOOL *open = sensitive == &yes ? &no : &yes;
	CK_ATTRIBUTE t[] = {
		{ CKA_CLASS, &secret, sizeof secret }, { CKA_KEY_TYPE, &type, sizeof type }, { CKA_VALUE, value, sizeof value },
		{ CKA_SENSITIVE, sensitive, 1 }, { CKA_EXTRACTABLE, open, 1 }, { CKA_ENCRYPT, &yes, 1 }, { CKA_DECRYPT, &yes, 1 }, { CKA_WRAP, &yes, 1 },
		{ CKA_UNWRAP, &yes, 1 }, { CKA_SIGN, &yes, 1 }, { CKA_VERIFY, &yes, 1 }, { CKA_DERIVE, &yes, 1 },
	};
	CK_OBJECT_HANDLE made_key;

	must(f->C_CreateObject(guard, t, LENGTH(t), &made_key) == CKR_OK);
	return made_key;
}

static void
kept_pair(CK_MECHANISM_TYPE type, CK_ATTRIBUTE kind)
{
	CK_ATTRIBUTE pub[] = { kind, { CKA_VERIFY, &yes, 1 } }, priv[] = { { CKA_SENSITIVE, &yes, 1 }, { CKA_EXTRACTABLE, &no, 1 } };
	CK_MECHANISM m = { type, NULL, 0 };
	CK_OBJECT_HANDLE a, b;

	must(f->C_GenerateKeyPair(guard, &m, pub, type == CKM_ML_KEM_KEY_PAIR_GEN ? 1 : 2, priv, 2, &a, &b) == CKR_OK);
	pool_add(&objects, a);
	pool_add(&objects, b);
}

/* One key of each kind, of the session that stays. */
static void
keys_begin(void)
{
	static uint8_t p256[] = { 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 };
	static CK_ULONG bits = 2048, set = 2;

	objects.len = 0;
	pool_add(&objects, kept_secret(CKK_AES, &no));
	pool_add(&objects, kept_secret(CKK_AES, &yes));
	pool_add(&objects, kept_secret(CKK_GENERIC_SECRET, &no));
	kept_pair(CKM_EC_KEY_PAIR_GEN, (CK_ATTRIBUTE){ CKA_EC_PARAMS, p256, sizeof p256 });
	kept_pair(CKM_RSA_PKCS_KEY_PAIR_GEN, (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &bits, sizeof bits });
	kept_pair(CKM_ML_DSA_KEY_PAIR_GEN, (CK_ATTRIBUTE){ CKA_PARAMETER_SET, &set, sizeof set });
	kept_pair(CKM_ML_KEM_KEY_PAIR_GEN, (CK_ATTRIBUTE){ CKA_PARAMETER_SET, &set, sizeof set });
	objects.kept = objects.len;
	must(objects.kept == KEPT);
}

/* A user who is logged in, whatever the last input did. */
static void
door_begin(void)
{
	CK_RV rv = f->C_Initialize(NULL);
	CK_SESSION_INFO info;

	must(rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED);
	if (guard != 0 && f->C_GetSessionInfo(guard, &info) == CKR_OK && info.state == CKS_RW_USER_FUNCTIONS)
		return;
	if (guard == 0 || f->C_GetSessionInfo(guard, &info) != CKR_OK)
		must(f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &guard) == CKR_OK);
	rv = f->C_Login(guard, CKU_USER, (CK_UTF8CHAR *)"1234", 4);
	if (rv == CKR_USER_ANOTHER_ALREADY_LOGGED_IN && f->C_Logout(guard) == CKR_OK)
		rv = f->C_Login(guard, CKU_USER, (CK_UTF8CHAR *)"1234", 4);
	must(rv == CKR_OK);
	keys_begin();
}

static void
input_begin(void)
{
	door_begin();
	last_len = 0;
	sessions.len = 0;
	for (size_t i = 0; i < 3; i++) {
		CK_SESSION_HANDLE s;

		must(f->C_OpenSession(0, CKF_SERIAL_SESSION | (i == 2 ? 0 : CKF_RW_SESSION), NULL, NULL, &s) == CKR_OK);
		pool_add(&sessions, s);
	}
}

static void
input_end(void)
{
	CK_SESSION_INFO info;

	if (f->C_GetSessionInfo(guard, &info) == CKR_OK && info.state == CKS_RW_USER_FUNCTIONS)
		keys_stay();
	for (size_t i = objects.kept; i < objects.len; i++)
		(void)f->C_DestroyObject(guard, objects.at[i]);
	for (size_t i = 0; i < sessions.len; i++)
		if (sessions.at[i] != guard)
			(void)f->C_CloseSession(sessions.at[i]);
	objects.len = objects.kept;
}

/* Now and then a session for one that was closed. */
static void
session_renew(void)
{
	CK_SESSION_INFO info;
	size_t which = below((uint32_t)sessions.len);

	if (sessions.len != 0 && f->C_GetSessionInfo(sessions.at[which], &info) == CKR_SESSION_HANDLE_INVALID)
		(void)f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &sessions.at[which]);
}

static void
fuzz_calls(const uint8_t *bytes, size_t len)
{
	size_t n = len / CALL_LEN < CALLS_MAX ? len / CALL_LEN : CALLS_MAX;
	CK_SESSION_HANDLE s = 0;

	input_begin();
	for (size_t i = 0; i < n; i++) {
		const uint8_t *at = bytes + i * CALL_LEN;
		CK_RV rv;

		chance_begin((uint32_t)at[1] << 8 | at[2]);
		session_renew();
		if (i == 0 || one_in(8))
			s = pool_pick(&sessions);
		rv = calls[at[0] % LENGTH(calls)].call(s);
		/* Of PKCS#11, and none that tells nothing. */
		if (rv > CKR_PARAMETER_SET_NOT_SUPPORTED || rv == CKR_GENERAL_ERROR) {
			fprintf(stderr, "cryptoki_fuzz: C_%s answered 0x%lx\n", calls[at[0] % LENGTH(calls)].name, rv);
			abort();
		}
		if (getenv("STRONGROOM_FUZZ_TRACE") != NULL)
			fprintf(stderr, "C_%s: 0x%lx\n", calls[at[0] % LENGTH(calls)].name, rv);
		blocks_free();
	}
	input_end();
}

/* ---- a token to play with ------------------------------------------------------------------ */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
home_end(void)
{
	(void)f->C_Finalize(NULL);
	(void)nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
home_begin(void)
{
	CK_VERSION newest = { 3, 2 };
	CK_INTERFACE *found;
	CK_SESSION_HANDLE s;

	must(C_GetInterface((CK_UTF8CHAR *)"PKCS 11", &newest, &found, 0) == CKR_OK);
	f = found->pFunctionList;
	strcpy(home, "/tmp/strongroom-fuzz.XXXXXX");
	must(mkdtemp(home) != NULL && setenv("STRONGROOM_HOME", home, 1) == 0);
	must(f->C_Initialize(NULL) == CKR_OK);
	must(f->C_InitToken(0, (CK_UTF8CHAR *)"87654321", 8, (CK_UTF8CHAR *)"fuzz                            ") == CKR_OK);
	must(f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s) == CKR_OK);
	must(f->C_Login(s, CKU_SO, (CK_UTF8CHAR *)"87654321", 8) == CKR_OK && f->C_InitPIN(s, (CK_UTF8CHAR *)"1234", 4) == CKR_OK);
	must(f->C_CloseSession(s) == CKR_OK);
	mechanisms_len = LENGTH(mechanisms);
	must(f->C_GetMechanismList(0, mechanisms, &mechanisms_len) == CKR_OK);
	must(atexit(home_end) == 0);
}

#ifdef STRONGROOM_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (f == NULL)
		home_begin();
	fuzz_calls(data, len);
	return 0;
}
#else
/* Calls that follow from one another more often than chance would have it. */
static size_t
input_make(uint8_t *bytes, uint32_t seed)
{
	static const char *const chains[][4] = {
		{ "EncryptInit", "Encrypt", "DecryptInit", "Decrypt" }, { "EncryptInit", "EncryptUpdate", "EncryptFinal", "DecryptInit" },
		{ "SignInit", "Sign", "VerifyInit", "Verify" }, { "SignInit", "SignUpdate", "SignFinal", "VerifyInit" },
		{ "DigestInit", "DigestUpdate", "DigestKey", "DigestFinal" }, { "MessageEncryptInit", "EncryptMessage", "EncryptMessageBegin", "EncryptMessageNext" },
		{ "MessageDecryptInit", "DecryptMessage", "DecryptMessageBegin", "DecryptMessageNext" }, { "WrapKey", "UnwrapKey", "DeriveKey", "CopyObject" },
		{ "CreateObject", "SetAttributeValue", "GetAttributeValue", "FindObjectsInit" }, { "GenerateKey", "EncryptInit", "Encrypt", "WrapKey" },
		{ "FindObjectsInit", "FindObjects", "FindObjects", "FindObjectsFinal" }, { "DigestInit", "EncryptInit", "DigestEncryptUpdate", "EncryptFinal" },
		{ "VerifySignatureInit", "VerifySignature", "VerifySignatureInit", "VerifySignatureUpdate" }, { "EncapsulateKey", "DecapsulateKey", "SignInit", "Sign" },
	};
	const char *const *chain = chains[0];
	size_t n, step = 0;

	chance_begin(seed);
	n = 20 + below(100);
	for (size_t i = 0; i < n; i++, step++) {
		size_t which = below(LENGTH(calls));
		bool follows = !one_in(3);

		if (step % 4 == 0)
			chain = chains[below(LENGTH(chains))];
		for (size_t j = 0; follows && j < LENGTH(calls); j++)
			if (strcmp(calls[j].name, chain[step % 4]) == 0)
				which = j;
		bytes[i * CALL_LEN] = (uint8_t)which;
		bytes[i * CALL_LEN + 1] = (uint8_t)below(256);
		bytes[i * CALL_LEN + 2] = (uint8_t)below(256);
	}
	return n * CALL_LEN;
}

/* The same inputs each time, or from STRONGROOM_FUZZ_SEED on for STRONGROOM_FUZZ_SECONDS. */
static void
sequences_of_calls(void **state)
{
	const char *seconds = getenv("STRONGROOM_FUZZ_SECONDS"), *from = getenv("STRONGROOM_FUZZ_SEED");
	uint32_t seed = from != NULL ? (uint32_t)strtoul(from, NULL, 10) : 0, runs = getenv("STRONGROOM_SLOW") != NULL ? 5 : 2000;
	time_t end = time(NULL) + (seconds != NULL ? atol(seconds) : 0);

	(void)state;
	home_begin();
	for (uint32_t i = 0; seconds != NULL ? time(NULL) < end : i < runs; i++) {
		static uint8_t room[CALLS_MAX * CALL_LEN];
		size_t len = input_make(room, seed + i);

		if (from != NULL)
			fprintf(stderr, "seed %u\n", seed + i);
		fuzz_calls(room, len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sequences_of_calls) };

	return cmocka_run_group_tests_name("fuzz", tests, NULL, NULL);
}
#endif
