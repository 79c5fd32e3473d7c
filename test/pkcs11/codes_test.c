/* codes_test.c - return codes: the wrong state, the wrong session, the wrong
 * order, no room, no pointer, lengths that no memory has. */
#include "calls.h"

#define WITH(name, ...) static CK_RV with_##name(CK_SESSION_HANDLE h) { len = sizeof buf; return f->name(h, ##__VA_ARGS__); }
#pragma GCC diagnostic ignored "-Wpedantic"
SESSION_CALLS(WITH)
#define ROW(name, ...) { #name, with_##name },
static const struct { const char *name; CK_RV (*call)(CK_SESSION_HANDLE h); } session_calls[] = { SESSION_CALLS(ROW) };
#define SESSION_CALLS_N (sizeof session_calls / sizeof session_calls[0])
#define WITHOUT(name, ...) static CK_RV without_##name(void) { return f->name(__VA_ARGS__); }
OTHER_CALLS(WITHOUT)
#define OTHER_ROW(name, ...) { #name, without_##name },
static const struct { const char *name; CK_RV (*call)(void); } other_calls[] = { OTHER_CALLS(OTHER_ROW) };
#define OTHER_CALLS_N (sizeof other_calls / sizeof other_calls[0])

/* The tables name every function of the newest list, once. */
static void
test_whole_list(void **state)
{
	enum { FUNCTIONS = (sizeof(CK_FUNCTION_LIST_3_2) - offsetof(CK_FUNCTION_LIST_3_2, C_Initialize)) / sizeof(void *) };
#define PLACE(name, ...) (offsetof(CK_FUNCTION_LIST_3_2, name) - offsetof(CK_FUNCTION_LIST_3_2, C_Initialize)) / sizeof(void *),
	static const size_t places[] = { SESSION_CALLS(PLACE) OTHER_CALLS(PLACE) PLACE(C_Initialize) PLACE(C_GetFunctionList)
		PLACE(C_GetInterfaceList) PLACE(C_GetInterface) };
	unsigned named[FUNCTIONS] = { 0 };

	(void)state;
	assert_int_equal(FUNCTIONS, 104);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		named[places[i]]++;
	for (size_t i = 0; i < FUNCTIONS; i++)
		assert_int_equal(named[i], 1);
}

static void
test_before_initialize(void **state)
{
	(void)state;
	for (size_t i = 0; i < SESSION_CALLS_N; i++)
		if (session_calls[i].call(1) != CKR_CRYPTOKI_NOT_INITIALIZED)
			fail_msg("%s", session_calls[i].name);
	for (size_t i = 0; i < OTHER_CALLS_N; i++)
		if (other_calls[i].call() != CKR_CRYPTOKI_NOT_INITIALIZED)
			fail_msg("%s", other_calls[i].name);
}

static CK_RV
fake_mutex(void **mutex)
{
	(void)mutex;
	return CKR_OK;
}

static void
test_initialize(void **state)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	int reserved;

	(void)state;
	args.pReserved = &reserved;
	assert_rv(f->C_Initialize(&args), CKR_ARGUMENTS_BAD);
	args.pReserved = NULL;
	args.CreateMutex = fake_mutex;
	assert_rv(f->C_Initialize(&args), CKR_ARGUMENTS_BAD);
	args.CreateMutex = NULL;
	assert_ok(f->C_Initialize(&args));
	assert_rv(f->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
	assert_rv(f->C_Finalize(&reserved), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_Finalize(NULL));
	for (int i = 0; i < 20; i++) {
		assert_ok(f->C_Initialize(NULL));
		assert_ok(f->C_Finalize(NULL));
	}
	assert_ok(f->C_Initialize(NULL));
}

static void
test_lists(void **state)
{
	CK_INTERFACE list[8], *it;
	CK_VERSION old = { 2, 40 }, mid = { 3, 0 }, odd = { 1, 0 };
	CK_FUNCTION_LIST *plain;
	CK_C_GetFunctionList get;
	CK_ULONG n = 0;

	(void)state;
	assert_rv(f->C_GetInterfaceList(NULL, NULL), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_GetInterfaceList(NULL, &n));
	assert_int_equal(n, 3);
	n = 1;
	assert_rv(f->C_GetInterfaceList(list, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, 3);
	assert_ok(f->C_GetInterfaceList(list, &n));
	assert_ok(f->C_GetInterface(NULL, NULL, &it, 0));
	assert_int_equal(((CK_VERSION *)it->pFunctionList)->major, 3);
	assert_ok(f->C_GetInterface((CK_UTF8CHAR *)"PKCS 11", &old, &it, 0));
	assert_ok(f->C_GetInterface((CK_UTF8CHAR *)"PKCS 11", &mid, &it, 0));
	assert_rv(f->C_GetInterface((CK_UTF8CHAR *)"PKCS 11", &odd, &it, 0), CKR_FUNCTION_FAILED);
	assert_rv(f->C_GetInterface((CK_UTF8CHAR *)"Vendor", NULL, &it, 0), CKR_FUNCTION_FAILED);
	assert_rv(f->C_GetInterface(NULL, NULL, NULL, 0), CKR_ARGUMENTS_BAD);
	get = f->C_GetFunctionList;
	assert_rv(get(NULL), CKR_ARGUMENTS_BAD);
	assert_ok(get(&plain));
	/* No slot is empty. */
	for (size_t v = 0; v < 3; v++) {
		static const size_t ends[3] = { sizeof(CK_FUNCTION_LIST_3_2), sizeof(CK_FUNCTION_LIST_3_0), sizeof(CK_FUNCTION_LIST) };
		void *const *slots = (void *const *)list[v].pFunctionList;

		for (size_t i = 1; i < ends[v] / sizeof *slots; i++)
			assert_non_null(slots[i]);
	}
}

static void
test_no_session(void **state)
{
	static const CK_SESSION_HANDLE wrong[] = { 0, 1, 0x10000, 0xFFFF, 0x7FFFFFFFFFFFFFFF, ~0UL };

	(void)state;
	for (size_t w = 0; w < sizeof wrong / sizeof wrong[0]; w++)
		for (size_t i = 0; i < SESSION_CALLS_N; i++)
			if (session_calls[i].call(wrong[w]) != CKR_SESSION_HANDLE_INVALID)
				fail_msg("%s with session %lx: %lx", session_calls[i].name, wrong[w], session_calls[i].call(wrong[w]));
}

static void
test_slots(void **state)
{
	CK_SLOT_ID ids[4] = { 77, 77, 77, 77 };
	CK_SLOT_INFO slot;
	CK_TOKEN_INFO token;
	CK_MECHANISM_TYPE mechs[512];
	CK_MECHANISM_INFO mech;
	CK_SESSION_HANDLE h;
	CK_ULONG n;

	(void)state;
	assert_rv(f->C_GetSlotList(CK_TRUE, ids, NULL), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_GetSlotList(CK_TRUE, NULL, &n));
	assert_int_equal(n, 1);
	n = 0;
	assert_rv(f->C_GetSlotList(CK_TRUE, ids, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, 1);
	assert_int_equal(ids[0], 77);
	n = 4;
	assert_ok(f->C_GetSlotList(CK_TRUE, ids, &n));
	assert_int_equal(n, 1);
	assert_int_equal(ids[0], 0);
	assert_rv(f->C_GetSlotInfo(9, &slot), CKR_SLOT_ID_INVALID);
	assert_rv(f->C_GetSlotInfo(0, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_GetTokenInfo(9, &token), CKR_SLOT_ID_INVALID);
	assert_rv(f->C_GetTokenInfo(0, NULL), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_GetTokenInfo(0, &token));
	assert_int_equal(token.flags & CKF_TOKEN_INITIALIZED, 0);
	assert_rv(f->C_GetMechanismList(9, NULL, &n), CKR_SLOT_ID_INVALID);
	assert_rv(f->C_GetMechanismList(0, NULL, NULL), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_GetMechanismList(0, NULL, &n));
	assert_true(n > 100 && n < 512);
	n--;
	assert_rv(f->C_GetMechanismList(0, mechs, &n), CKR_BUFFER_TOO_SMALL);
	assert_ok(f->C_GetMechanismList(0, mechs, &n));
	for (CK_ULONG i = 0; i < n; i++) {
		assert_ok(f->C_GetMechanismInfo(0, mechs[i], &mech));
		assert_true(mechs[i] < CKM_VENDOR_DEFINED && mech.flags != 0);
		for (CK_ULONG j = 0; j < i; j++)
			assert_true(mechs[i] != mechs[j]);
	}
	assert_rv(f->C_GetMechanismInfo(9, CKM_AES_GCM, &mech), CKR_SLOT_ID_INVALID);
	assert_rv(f->C_GetMechanismInfo(0, CKM_DSA, &mech), CKR_MECHANISM_INVALID);
	assert_rv(f->C_GetMechanismInfo(0, 0x80000001, &mech), CKR_MECHANISM_INVALID);
	assert_rv(f->C_GetMechanismInfo(0, CKM_AES_GCM, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_OpenSession(9, CKF_SERIAL_SESSION, NULL, NULL, &h), CKR_SLOT_ID_INVALID);
	assert_rv(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &h), CKR_TOKEN_NOT_RECOGNIZED);
	assert_rv(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_CloseAllSessions(9), CKR_SLOT_ID_INVALID);
	assert_rv(f->C_InitToken(9, SO_PIN, 8, LABEL), CKR_SLOT_ID_INVALID);
	assert_rv(f->C_InitToken(0, NULL, 8, LABEL), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_InitToken(0, SO_PIN, 8, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_InitToken(0, SO_PIN, 3, LABEL), CKR_PIN_LEN_RANGE);
	assert_rv(f->C_InitToken(0, SO_PIN, ~0UL, LABEL), CKR_PIN_LEN_RANGE);
}

static CK_FLAGS
token_flags(void)
{
	CK_TOKEN_INFO info;

	assert_ok(f->C_GetTokenInfo(0, &info));
	return info.flags;
}

static CK_STATE
state_of(CK_SESSION_HANDLE h)
{
	CK_SESSION_INFO info;

	assert_ok(f->C_GetSessionInfo(h, &info));
	return info.state;
}

static void
test_pins(void **state)
{
	CK_SESSION_HANDLE ro, rw;
	CK_UTF8CHAR *wrong = (CK_UTF8CHAR *)"999999";

	(void)state;
	assert_ok(f->C_InitToken(0, SO_PIN, 8, LABEL));
	assert_int_equal(token_flags() & (CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | CKF_LOGIN_REQUIRED),
	    CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED);
	assert_rv(f->C_OpenSession(0, CKF_RW_SESSION, NULL, NULL, &ro), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
	ro = session_begin(0);
	rw = session_begin(CKF_RW_SESSION);
	assert_int_equal(state_of(ro), CKS_RO_PUBLIC_SESSION);
	assert_int_equal(state_of(rw), CKS_RW_PUBLIC_SESSION);
	assert_rv(f->C_InitToken(0, SO_PIN, 8, LABEL), CKR_SESSION_EXISTS);
	assert_rv(f->C_Login(rw, 7, USER_PIN, 4), CKR_USER_TYPE_INVALID);
	assert_rv(f->C_Login(rw, CKU_USER, NULL, 4), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_Login(rw, CKU_USER, USER_PIN, 4), CKR_USER_PIN_NOT_INITIALIZED);
	assert_rv(f->C_Login(rw, CKU_SO, SO_PIN, 8), CKR_SESSION_READ_ONLY_EXISTS);
	assert_rv(f->C_Logout(rw), CKR_USER_NOT_LOGGED_IN);
	assert_rv(f->C_InitPIN(rw, USER_PIN, 4), CKR_USER_NOT_LOGGED_IN);
	assert_ok(f->C_CloseSession(ro));
	assert_rv(f->C_Login(rw, CKU_SO, wrong, 6), CKR_PIN_INCORRECT);
	assert_true((token_flags() & CKF_SO_PIN_COUNT_LOW) != 0);
	assert_ok(f->C_Login(rw, CKU_SO, SO_PIN, 8));
	assert_true((token_flags() & CKF_SO_PIN_COUNT_LOW) == 0);
	assert_int_equal(state_of(rw), CKS_RW_SO_FUNCTIONS);
	assert_rv(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &ro), CKR_SESSION_READ_WRITE_SO_EXISTS);
	assert_rv(f->C_Login(rw, CKU_SO, SO_PIN, 8), CKR_USER_ALREADY_LOGGED_IN);
	assert_rv(f->C_Login(rw, CKU_USER, USER_PIN, 4), CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
	assert_rv(f->C_InitPIN(rw, USER_PIN, 3), CKR_PIN_LEN_RANGE);
	assert_rv(f->C_InitPIN(rw, NULL, 4), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_InitPIN(rw, USER_PIN, 4));
	assert_true((token_flags() & CKF_USER_PIN_INITIALIZED) != 0);
	assert_rv(f->C_SetPIN(rw, wrong, 6, SO_PIN, 8), CKR_PIN_INCORRECT);
	assert_ok(f->C_SetPIN(rw, SO_PIN, 8, wrong, 6));
	assert_ok(f->C_SetPIN(rw, wrong, 6, SO_PIN, 8));
	assert_ok(f->C_Logout(rw));
	assert_rv(f->C_Login(rw, CKU_CONTEXT_SPECIFIC, USER_PIN, 4), CKR_USER_NOT_LOGGED_IN);
	assert_ok(f->C_Login(rw, CKU_USER, USER_PIN, 4));
	assert_rv(f->C_Login(rw, CKU_CONTEXT_SPECIFIC, USER_PIN, 4), CKR_OPERATION_NOT_INITIALIZED);
	assert_int_equal(state_of(rw), CKS_RW_USER_FUNCTIONS);
	ro = session_begin(0);
	assert_int_equal(state_of(ro), CKS_RO_USER_FUNCTIONS);
	assert_rv(f->C_SetPIN(ro, USER_PIN, 4, wrong, 6), CKR_SESSION_READ_ONLY);
	assert_rv(f->C_SetPIN(rw, USER_PIN, 4, wrong, 3), CKR_PIN_LEN_RANGE);
	assert_rv(f->C_SetPIN(rw, USER_PIN, 4, wrong, 300), CKR_PIN_LEN_RANGE);
	assert_ok(f->C_CloseSession(ro));
	assert_ok(f->C_CloseAllSessions(0));
	/* The last session took the login with it. */
	rw = session_begin(CKF_RW_SESSION);
	assert_int_equal(state_of(rw), CKS_RW_PUBLIC_SESSION);
	assert_ok(f->C_CloseSession(rw));
	assert_rv(f->C_CloseSession(rw), CKR_SESSION_HANDLE_INVALID);
}

static void
test_lock_out(void **state)
{
	CK_SESSION_HANDLE h = session_begin(CKF_RW_SESSION);

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_rv(f->C_Login(h, CKU_USER, SO_PIN, 8), CKR_PIN_INCORRECT);
		if (i == 8)
			assert_true((token_flags() & CKF_USER_PIN_FINAL_TRY) != 0);
	}
	assert_true((token_flags() & CKF_USER_PIN_LOCKED) != 0);
	assert_rv(f->C_Login(h, CKU_USER, USER_PIN, 4), CKR_PIN_LOCKED);
	assert_ok(f->C_Login(h, CKU_SO, SO_PIN, 8));
	assert_ok(f->C_InitPIN(h, USER_PIN, 4));
	assert_ok(f->C_Logout(h));
	assert_ok(f->C_Login(h, CKU_USER, USER_PIN, 4));
	assert_ok(f->C_CloseSession(h));
}

/* Each of these needs an operation that nobody began. */
static void
test_nothing_begun(void **state)
{
	CK_SESSION_HANDLE h = session_user();
	static const char *const names[] = { "C_Encrypt", "C_EncryptUpdate", "C_EncryptFinal", "C_Decrypt", "C_DecryptUpdate",
		"C_DecryptFinal", "C_Digest", "C_DigestUpdate", "C_DigestKey", "C_DigestFinal", "C_Sign", "C_SignUpdate", "C_SignFinal",
		"C_SignRecover", "C_Verify", "C_VerifyUpdate", "C_VerifyFinal", "C_VerifyRecover", "C_DigestEncryptUpdate",
		"C_DecryptDigestUpdate", "C_SignEncryptUpdate", "C_DecryptVerifyUpdate", "C_FindObjects", "C_FindObjectsFinal",
		"C_EncryptMessage", "C_EncryptMessageBegin", "C_EncryptMessageNext", "C_MessageEncryptFinal", "C_DecryptMessage",
		"C_DecryptMessageBegin", "C_DecryptMessageNext", "C_MessageDecryptFinal", "C_SignMessage", "C_SignMessageBegin",
		"C_SignMessageNext", "C_MessageSignFinal", "C_VerifyMessage", "C_VerifyMessageBegin", "C_VerifyMessageNext",
		"C_MessageVerifyFinal", "C_VerifySignature", "C_VerifySignatureUpdate", "C_VerifySignatureFinal", "C_GetOperationState" };

	(void)state;
	for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
		for (size_t i = 0; i < SESSION_CALLS_N; i++)
			if (strcmp(session_calls[i].name, names[n]) == 0 && session_calls[i].call(h) != CKR_OPERATION_NOT_INITIALIZED)
				fail_msg("%s: %lx", names[n], session_calls[i].call(h));
	assert_ok(f->C_CloseSession(h));
}

static void
test_handles(void **state)
{
	CK_SESSION_HANDLE h = session_user();
	CK_OBJECT_HANDLE key = key_aes(h, false, "dead");
	static const CK_OBJECT_HANDLE made_up[] = { 0, 1, 2, 0x1000000, 0x1FFFFFFFFFFFFF, ~0UL, 1UL << 60 };
	CK_BYTE iv[12] = { 0 };
	CK_GCM_PARAMS gcm = { iv, sizeof iv, 96, NULL, 0, 128 };
	CK_MECHANISM m = { CKM_AES_GCM, &gcm, sizeof gcm }, kw = { CKM_AES_KEY_WRAP, NULL, 0 };
	CK_ATTRIBUTE label = { CKA_LABEL, buf, 10 };

	(void)state;
	assert_ok(f->C_DestroyObject(h, key));
	for (size_t i = 0; i <= sizeof made_up / sizeof made_up[0]; i++) {
		CK_OBJECT_HANDLE o = i == 0 ? key : made_up[i - 1];
		bool builtin = o == 1UL << 60;

		assert_rv(f->C_DestroyObject(h, o), builtin ? CKR_ACTION_PROHIBITED : CKR_OBJECT_HANDLE_INVALID);
		assert_rv(f->C_CopyObject(h, o, NULL, 0, &object), builtin ? CKR_ACTION_PROHIBITED : CKR_OBJECT_HANDLE_INVALID);
		if (!builtin) {
			assert_rv(f->C_GetAttributeValue(h, o, &label, 1), CKR_OBJECT_HANDLE_INVALID);
			assert_rv(f->C_SetAttributeValue(h, o, &label, 1), CKR_OBJECT_HANDLE_INVALID);
			assert_rv(f->C_GetObjectSize(h, o, &count), CKR_OBJECT_HANDLE_INVALID);
		}
		assert_rv(f->C_EncryptInit(h, &m, o), CKR_KEY_HANDLE_INVALID);
		assert_rv(f->C_DecryptInit(h, &m, o), CKR_KEY_HANDLE_INVALID);
		assert_rv(f->C_SignInit(h, &ecdsa, o), CKR_KEY_HANDLE_INVALID);
		assert_rv(f->C_VerifyInit(h, &ecdsa, o), CKR_KEY_HANDLE_INVALID);
		assert_rv(f->C_MessageEncryptInit(h, &gcm_mech, o), CKR_KEY_HANDLE_INVALID);
		len = sizeof buf;
		assert_rv(f->C_WrapKey(h, &kw, o, o, buf, &len), CKR_WRAPPING_KEY_HANDLE_INVALID);
		assert_rv(f->C_UnwrapKey(h, &kw, o, buf, 24, none, 0, &object), CKR_UNWRAPPING_KEY_HANDLE_INVALID);
	}
	key = key_aes(h, false, "kek");
	len = sizeof buf;
	assert_rv(f->C_EncryptInit(h, NULL, key), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_DigestInit(h, NULL), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_CloseSession(h));
}

/* Ask for the size, be too short, then do it: nothing is lost on the way. */
static void
test_room(void **state)
{
	CK_SESSION_HANDLE h = session_user();
	CK_OBJECT_HANDLE key = key_aes(h, false, "room"), pub, priv;
	CK_BYTE iv[16] = { 1 }, clear[100] = { 7 }, out[256], back[256];
	CK_GCM_PARAMS gcm = { iv, 12, 96, NULL, 0, 128 };
	CK_MECHANISM ms[] = { { CKM_AES_GCM, &gcm, sizeof gcm }, { CKM_AES_CBC_PAD, iv, 16 } };
	static const CK_ULONG lens[] = { 116, 112 };
	CK_ULONG n;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_ok(f->C_EncryptInit(h, &ms[i], key));
		assert_rv(f->C_EncryptInit(h, &ms[i], key), CKR_OPERATION_ACTIVE);
		n = 0;
		assert_ok(f->C_Encrypt(h, clear, sizeof clear, NULL, &n));
		assert_int_equal(n, lens[i]);
		n = lens[i] - 1;
		assert_rv(f->C_Encrypt(h, clear, sizeof clear, out, &n), CKR_BUFFER_TOO_SMALL);
		assert_int_equal(n, lens[i]);
		assert_ok(f->C_Encrypt(h, clear, sizeof clear, out, &n));
		assert_int_equal(n, lens[i]);
		assert_rv(f->C_Encrypt(h, clear, sizeof clear, out, &n), CKR_OPERATION_NOT_INITIALIZED);
		assert_ok(f->C_DecryptInit(h, &ms[i], key));
		n = 0;
		assert_ok(f->C_Decrypt(h, out, lens[i], NULL, &n));
		assert_true(n >= sizeof clear);
		n = sizeof clear - 1;
		assert_rv(f->C_Decrypt(h, out, lens[i], back, &n), CKR_BUFFER_TOO_SMALL);
		n = sizeof back;
		assert_ok(f->C_Decrypt(h, out, lens[i], back, &n));
		assert_int_equal(n, sizeof clear);
		assert_memory_equal(back, clear, sizeof clear);
		out[3] ^= 1;
		out[lens[i] - 1] ^= 1;
		assert_ok(f->C_DecryptInit(h, &ms[i], key));
		n = sizeof back;
		assert_rv(f->C_Decrypt(h, out, lens[i], back, &n), CKR_ENCRYPTED_DATA_INVALID);
		assert_rv(f->C_DecryptFinal(h, back, &n), CKR_OPERATION_NOT_INITIALIZED);
	}
	pair_p256(h, false, "p", &pub, &priv);
	assert_ok(f->C_SignInit(h, &ecdsa, priv));
	assert_ok(f->C_Sign(h, clear, 5, NULL, &n));
	assert_int_equal(n, 64);
	n = 63;
	assert_rv(f->C_Sign(h, clear, 5, out, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, 64);
	assert_ok(f->C_Sign(h, clear, 5, out, &n));
	assert_ok(f->C_VerifyInit(h, &ecdsa, pub));
	assert_ok(f->C_Verify(h, clear, 5, out, 64));
	assert_ok(f->C_VerifyInit(h, &ecdsa, pub));
	assert_rv(f->C_Verify(h, clear, 5, out, 63), CKR_SIGNATURE_LEN_RANGE);
	out[5] ^= 1;
	assert_ok(f->C_VerifyInit(h, &ecdsa, pub));
	assert_rv(f->C_Verify(h, clear, 5, out, 64), CKR_SIGNATURE_INVALID);
	assert_rv(f->C_Verify(h, clear, 5, out, 64), CKR_OPERATION_NOT_INITIALIZED);
	assert_ok(f->C_DigestInit(h, &sha));
	n = 31;
	assert_rv(f->C_Digest(h, clear, 5, out, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, 32);
	assert_ok(f->C_Digest(h, clear, 5, out, &n));
	assert_ok(f->C_CloseSession(h));
}

static void
test_parts(void **state)
{
	CK_SESSION_HANDLE h = session_user();
	CK_OBJECT_HANDLE key = key_aes(h, false, "parts"), pub, priv;
	CK_BYTE iv[16] = { 1 }, clear[100], out[256], back[256];
	CK_MECHANISM m = { CKM_AES_CBC_PAD, iv, 16 };
	CK_ULONG n, all = 0, got = 0;

	(void)state;
	memset(clear, 0x5A, sizeof clear);
	assert_ok(f->C_EncryptInit(h, &m, key));
	for (CK_ULONG at = 0; at < sizeof clear; at += 7) {
		CK_ULONG take = sizeof clear - at < 7 ? sizeof clear - at : 7;

		assert_ok(f->C_EncryptUpdate(h, clear + at, take, NULL, &n));
		n = sizeof out - all;
		assert_ok(f->C_EncryptUpdate(h, clear + at, take, out + all, &n));
		all += n;
	}
	/* At once after parts: not the same operation. */
	n = 0;
	assert_ok(f->C_EncryptFinal(h, NULL, &n));
	assert_int_equal(n, 16);
	n = 15;
	assert_rv(f->C_EncryptFinal(h, out + all, &n), CKR_BUFFER_TOO_SMALL);
	assert_ok(f->C_EncryptFinal(h, out + all, &n));
	all += n;
	assert_int_equal(all, 112);
	assert_ok(f->C_DecryptInit(h, &m, key));
	for (CK_ULONG at = 0; at < all; at += 16) {
		assert_ok(f->C_DecryptUpdate(h, out + at, 16, NULL, &n));
		n = sizeof back - got;
		assert_ok(f->C_DecryptUpdate(h, out + at, 16, back + got, &n));
		got += n;
	}
	n = sizeof back - got;
	assert_ok(f->C_DecryptFinal(h, back + got, &n));
	got += n;
	assert_int_equal(got, sizeof clear);
	assert_memory_equal(back, clear, sizeof clear);
	assert_ok(f->C_EncryptInit(h, &m, key));
	n = sizeof out;
	assert_ok(f->C_EncryptUpdate(h, clear, 32, out, &n));
	n = sizeof out;
	assert_rv(f->C_Encrypt(h, clear, 32, out, &n), CKR_OPERATION_ACTIVE);
	assert_rv(f->C_EncryptFinal(h, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	pair_p256(h, false, "p", &pub, &priv);
	assert_ok(f->C_SignInit(h, &ecdsa, priv));
	assert_ok(f->C_SignUpdate(h, clear, 50));
	assert_ok(f->C_SignUpdate(h, clear + 50, 50));
	n = sizeof out;
	assert_ok(f->C_SignFinal(h, out, &n));
	assert_ok(f->C_VerifyInit(h, &ecdsa, pub));
	assert_ok(f->C_VerifyUpdate(h, clear, 99));
	assert_ok(f->C_VerifyUpdate(h, clear + 99, 1));
	assert_ok(f->C_VerifyFinal(h, out, n));
	assert_ok(f->C_VerifySignatureInit(h, &ecdsa, pub, out, n));
	assert_rv(f->C_VerifyInit(h, &ecdsa, pub), CKR_OPERATION_ACTIVE);
	assert_ok(f->C_VerifySignature(h, clear, 100));
	assert_ok(f->C_VerifySignatureInit(h, &ecdsa, pub, out, n));
	assert_ok(f->C_VerifySignatureUpdate(h, clear, 60));
	assert_ok(f->C_VerifySignatureUpdate(h, clear + 60, 40));
	assert_ok(f->C_VerifySignatureFinal(h));
	assert_ok(f->C_VerifySignatureInit(h, &ecdsa, pub, out, n));
	assert_rv(f->C_VerifySignature(h, clear, 99), CKR_SIGNATURE_INVALID);
	/* Init without a mechanism ends what is active. */
	assert_ok(f->C_SignInit(h, &raw_ecdsa, priv));
	assert_ok(f->C_SignInit(h, NULL, priv));
	assert_rv(f->C_Sign(h, clear, 32, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_ok(f->C_SignInit(h, &raw_ecdsa, priv));
	assert_ok(f->C_SessionCancel(h, CKF_SIGN));
	assert_rv(f->C_SignFinal(h, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_ok(f->C_CloseSession(h));
}

static void
test_keys_and_mechanisms(void **state)
{
	CK_SESSION_HANDLE h = session_user();
	CK_OBJECT_HANDLE key = key_aes(h, false, "k"), pub, priv;
	CK_BYTE iv[16] = { 1 };
	CK_MECHANISM cbc = { CKM_AES_CBC, iv, 16 }, bad_iv = { CKM_AES_CBC, iv, 15 }, no_iv = { CKM_AES_CBC, NULL, 0 };
	CK_MECHANISM unknown = { 0x7FFFFFFF, NULL, 0 }, vendor = { 0x80000001, NULL, 0 }, extra = { CKM_ECDSA_SHA256, iv, 16 };
	CK_ULONG n = sizeof buf;

	(void)state;
	pair_p256(h, false, "p", &pub, &priv);
	assert_rv(f->C_EncryptInit(h, &bad_iv, key), CKR_MECHANISM_PARAM_INVALID);
	assert_rv(f->C_EncryptInit(h, &no_iv, key), CKR_MECHANISM_PARAM_INVALID);
	assert_rv(f->C_EncryptInit(h, &unknown, key), CKR_MECHANISM_INVALID);
	assert_rv(f->C_EncryptInit(h, &vendor, key), CKR_MECHANISM_INVALID);
	assert_rv(f->C_EncryptInit(h, &sha, key), CKR_MECHANISM_INVALID);
	assert_rv(f->C_DigestInit(h, &cbc), CKR_MECHANISM_INVALID);
	assert_rv(f->C_SignInit(h, &extra, priv), CKR_MECHANISM_PARAM_INVALID);
	assert_rv(f->C_EncryptInit(h, &cbc, pub), CKR_KEY_TYPE_INCONSISTENT);
	assert_rv(f->C_SignInit(h, &ecdsa, pub), CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_rv(f->C_VerifyInit(h, &ecdsa, priv), CKR_KEY_FUNCTION_NOT_PERMITTED);
	/* Not a whole number of blocks. */
	assert_ok(f->C_EncryptInit(h, &cbc, key));
	assert_rv(f->C_Encrypt(h, buf, 17, buf + 64, &n), CKR_DATA_LEN_RANGE);
	assert_ok(f->C_DecryptInit(h, &cbc, key));
	n = sizeof buf;
	assert_rv(f->C_Decrypt(h, buf, 17, buf + 64, &n), CKR_ENCRYPTED_DATA_LEN_RANGE);
	/* No pointer, and lengths that no memory has, end the operation. */
	assert_ok(f->C_EncryptInit(h, &cbc, key));
	assert_rv(f->C_Encrypt(h, NULL, 16, buf, &n), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_Encrypt(h, buf, 16, buf, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_ok(f->C_EncryptInit(h, &cbc, key));
	assert_rv(f->C_Encrypt(h, buf, 16, buf, NULL), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_EncryptInit(h, &cbc, key));
	assert_rv(f->C_Encrypt(h, buf, ~0UL, buf, &n), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_VerifyInit(h, &ecdsa, pub));
	assert_rv(f->C_Verify(h, buf, ~0UL, buf, 64), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_VerifyInit(h, &ecdsa, pub));
	assert_rv(f->C_Verify(h, buf, 16, NULL, 64), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_GenerateRandom(h, NULL, 16), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_GenerateRandom(h, buf, ~0UL), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_SeedRandom(h, NULL, 16), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_SeedRandom(h, buf, ~0UL), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_SeedRandom(h, buf, 16));
	assert_ok(f->C_SeedRandom(h, NULL, 0));
	assert_rv(f->C_GetFunctionStatus(h), CKR_FUNCTION_NOT_PARALLEL);
	assert_rv(f->C_CancelFunction(h), CKR_FUNCTION_NOT_PARALLEL);
	assert_rv(f->C_AsyncGetID(h, buf, &n), CKR_SESSION_ASYNC_NOT_SUPPORTED);
	assert_ok(f->C_CloseSession(h));
}

static void
test_templates(void **state)
{
	CK_SESSION_HANDLE h = session_user(), ro = session_begin(0);
	CK_MECHANISM gen = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_ULONG size = 32, odd = 17, klass = CKO_SECRET_KEY, wrong = CKO_DATA;
	CK_ATTRIBUTE missing[] = { { CKA_LABEL, buf, 3 } };
	CK_ATTRIBUTE bad_len[] = { { CKA_VALUE_LEN, &size, 4 } };
	CK_ATTRIBUTE bad_size[] = { { CKA_VALUE_LEN, &odd, sizeof odd } };
	CK_ATTRIBUTE unknown[] = { { CKA_VALUE_LEN, &size, sizeof size }, { 0x12345678, buf, 3 } };
	CK_ATTRIBUTE foreign[] = { { CKA_VALUE_LEN, &size, sizeof size }, { CKA_MODULUS, buf, 3 } };
	CK_ATTRIBUTE huge[] = { { CKA_VALUE_LEN, &size, sizeof size }, { CKA_LABEL, buf, ~0UL } };
	CK_ATTRIBUTE null[] = { { CKA_VALUE_LEN, &size, sizeof size }, { CKA_LABEL, NULL, 5 } };
	CK_ATTRIBUTE class_wrong[] = { { CKA_VALUE_LEN, &size, sizeof size }, { CKA_CLASS, &wrong, sizeof wrong } };
	CK_ATTRIBUTE local[] = { { CKA_VALUE_LEN, &size, sizeof size }, { CKA_LOCAL, &yes, 1 } };
	CK_ATTRIBUTE token[] = { { CKA_VALUE_LEN, &size, sizeof size }, { CKA_TOKEN, &yes, 1 } };
	CK_ATTRIBUTE get[] = { { CKA_VALUE, buf, sizeof buf }, { CKA_MODULUS, buf, sizeof buf }, { CKA_LABEL, buf, sizeof buf },
		{ CKA_CLASS, &klass, 4 }, { CKA_KEY_TYPE, NULL, 0 } };
	CK_ATTRIBUTE to_sensitive = { CKA_SENSITIVE, &no, 1 }, to_extractable = { CKA_EXTRACTABLE, &yes, 1 };
	CK_OBJECT_HANDLE key;

	(void)state;
	assert_rv(f->C_GenerateKey(h, &gen, missing, 1, &key), CKR_TEMPLATE_INCOMPLETE);
	assert_rv(f->C_GenerateKey(h, &gen, bad_len, 1, &key), CKR_ATTRIBUTE_VALUE_INVALID);
	assert_rv(f->C_GenerateKey(h, &gen, bad_size, 1, &key), CKR_KEY_SIZE_RANGE);
	assert_rv(f->C_GenerateKey(h, &gen, unknown, 2, &key), CKR_ATTRIBUTE_TYPE_INVALID);
	assert_rv(f->C_GenerateKey(h, &gen, foreign, 2, &key), CKR_ATTRIBUTE_TYPE_INVALID);
	assert_rv(f->C_GenerateKey(h, &gen, huge, 2, &key), CKR_ATTRIBUTE_VALUE_INVALID);
	assert_rv(f->C_GenerateKey(h, &gen, null, 2, &key), CKR_ATTRIBUTE_VALUE_INVALID);
	assert_rv(f->C_GenerateKey(h, &gen, class_wrong, 2, &key), CKR_TEMPLATE_INCONSISTENT);
	assert_rv(f->C_GenerateKey(h, &gen, local, 2, &key), CKR_ATTRIBUTE_READ_ONLY);
	assert_rv(f->C_GenerateKey(ro, &gen, token, 2, &key), CKR_SESSION_READ_ONLY);
	assert_rv(f->C_GenerateKey(h, &gen, NULL, 2, &key), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_GenerateKey(h, &gen, token, 2, NULL), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_GenerateKey(h, &gen, token, 2, &key));
	assert_rv(f->C_DestroyObject(ro, key), CKR_SESSION_READ_ONLY);
	assert_rv(f->C_SetAttributeValue(ro, key, missing, 1), CKR_SESSION_READ_ONLY);
	assert_rv(f->C_SetAttributeValue(h, key, &to_sensitive, 1), CKR_ATTRIBUTE_READ_ONLY);
	assert_rv(f->C_SetAttributeValue(h, key, &to_extractable, 1), CKR_ATTRIBUTE_READ_ONLY);
	(void)f->C_GetAttributeValue(h, key, get, 5);
	assert_int_equal(get[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(get[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(get[2].ulValueLen, 0);
	assert_int_equal(get[3].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(get[4].ulValueLen, sizeof(CK_ULONG));
	get[0].ulValueLen = sizeof buf;
	assert_rv(f->C_GetAttributeValue(h, key, get, 1), CKR_ATTRIBUTE_SENSITIVE);
	assert_rv(f->C_GetAttributeValue(h, key, get + 1, 1), CKR_ATTRIBUTE_TYPE_INVALID);
	get[3].ulValueLen = 4;
	assert_rv(f->C_GetAttributeValue(h, key, get + 3, 1), CKR_BUFFER_TOO_SMALL);
	assert_rv(f->C_GetAttributeValue(h, key, NULL, 1), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_DestroyObject(h, key));
	assert_rv(f->C_DestroyObject(h, key), CKR_OBJECT_HANDLE_INVALID);
	assert_ok(f->C_FindObjectsInit(h, NULL, 0));
	assert_rv(f->C_FindObjectsInit(h, NULL, 0), CKR_OPERATION_ACTIVE);
	assert_rv(f->C_FindObjects(h, NULL, 1, &count), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_FindObjects(h, &key, 1, NULL), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_FindObjectsFinal(h));
	assert_rv(f->C_FindObjectsInit(h, NULL, 2), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_CloseAllSessions(0));
}

static int
nothing(void **state)
{
	(void)state;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_list),
		cmocka_unit_test_setup_teardown(test_before_initialize, nothing, nothing),
		cmocka_unit_test(test_initialize),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_no_session),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_lock_out),
		cmocka_unit_test(test_nothing_begun),
		cmocka_unit_test(test_handles),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_keys_and_mechanisms),
		cmocka_unit_test(test_templates),
	};

	return cmocka_run_group_tests(tests, home_begin, home_end);
}
