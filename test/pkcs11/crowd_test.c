/* crowd_test.c - 64 threads that do everything at once, on objects of their own
 * and of each other. In the full run also under ThreadSanitizer. */
#include "room.h"

#include <stdatomic.h>

#define THREADS 64
#define SHARED 16

static atomic_uint trouble, done;
static atomic_ulong shared[SHARED];

static unsigned
draw(unsigned *word, unsigned n)
{
	*word = *word * 1664525u + 1013904223u;
	return (*word >> 8) % n;
}

/* Another thread may have destroyed it, or hold it; nothing else is an answer. */
static void
expect(CK_RV rv)
{
	switch (rv) {
	case CKR_OK:
	case CKR_OBJECT_HANDLE_INVALID:
	case CKR_KEY_HANDLE_INVALID:
	case CKR_WRAPPING_KEY_HANDLE_INVALID:
		atomic_fetch_add(&done, 1);
		return;
	default:
		fprintf(stderr, "answered 0x%lx\n", rv);
		atomic_fetch_add(&trouble, 1);
		return;
	}
}

static CK_OBJECT_HANDLE
make(CK_SESSION_HANDLE h, bool token)
{
	CK_ULONG len = 32;
	CK_ATTRIBUTE t[] = { { CKA_VALUE_LEN, &len, sizeof len }, { CKA_TOKEN, token ? &yes : &no, 1 }, { CKA_LABEL, "crowd", 5 }, { CKA_EXTRACTABLE, &yes, 1 } };
	CK_MECHANISM m = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_OBJECT_HANDLE key = 0;

	expect(f->C_GenerateKey(h, &m, t, sizeof t / sizeof t[0], &key));
	return key;
}

static void
seal(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key)
{
	CK_BYTE iv[12] = { 1 }, clear[32] = { 2 }, out[64], back[64];
	CK_GCM_PARAMS gcm = { iv, sizeof iv, 96, NULL, 0, 128 };
	CK_MECHANISM m = { CKM_AES_GCM, &gcm, sizeof gcm };
	CK_ULONG n = sizeof out, got = sizeof back;
	CK_RV rv = f->C_EncryptInit(h, &m, key);

	if (rv == CKR_OK)
		rv = f->C_Encrypt(h, clear, sizeof clear, out, &n);
	if (rv == CKR_OK && (rv = f->C_DecryptInit(h, &m, key)) == CKR_OK)
		rv = f->C_Decrypt(h, out, n, back, &got);
	expect(rv);
	if (rv == CKR_OK && (got != sizeof clear || memcmp(back, clear, got) != 0))
		atomic_fetch_add(&trouble, 1);
}

static void
sign(CK_SESSION_HANDLE h)
{
	static CK_BYTE p256[] = { 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 };
	CK_ATTRIBUTE pub[] = { { CKA_EC_PARAMS, p256, sizeof p256 } }, priv[] = { { CKA_TOKEN, &no, 1 } };
	CK_MECHANISM make_pair = { CKM_EC_KEY_PAIR_GEN, NULL, 0 }, m = { CKM_ECDSA_SHA256, NULL, 0 };
	CK_BYTE text[40] = { 3 }, signature[64];
	CK_ULONG n = sizeof signature;
	CK_OBJECT_HANDLE a, b;
	CK_RV rv = f->C_GenerateKeyPair(h, &make_pair, pub, 1, priv, 1, &a, &b);

	if (rv == CKR_OK && (rv = f->C_SignInit(h, &m, b)) == CKR_OK)
		rv = f->C_Sign(h, text, sizeof text, signature, &n);
	if (rv == CKR_OK && (rv = f->C_VerifyInit(h, &m, a)) == CKR_OK)
		rv = f->C_Verify(h, text, sizeof text, signature, n);
	expect(rv);
	expect(f->C_DestroyObject(h, a));
	expect(f->C_DestroyObject(h, b));
}

static void
look(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key)
{
	CK_OBJECT_HANDLE found[8];
	CK_ATTRIBUTE t = { CKA_LABEL, "crowd", 5 };
	CK_BYTE label[8];
	CK_ATTRIBUTE get = { CKA_LABEL, label, sizeof label };
	CK_ULONG n;
	CK_RV rv = f->C_FindObjectsInit(h, &t, 1);

	if (rv == CKR_OK)
		rv = f->C_FindObjects(h, found, 8, &n);
	expect(rv);
	expect(f->C_FindObjectsFinal(h));
	expect(f->C_GetAttributeValue(h, key, &get, 1));
	expect(f->C_SetAttributeValue(h, key, &t, 1));
}

static void
wrap(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key)
{
	CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
	CK_KEY_TYPE aes = CKK_AES;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &secret, sizeof secret }, { CKA_KEY_TYPE, &aes, sizeof aes } };
	CK_MECHANISM m = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
	CK_BYTE wrapped[64];
	CK_ULONG n = sizeof wrapped;
	CK_OBJECT_HANDLE back;
	CK_RV rv = f->C_WrapKey(h, &m, kek, key, wrapped, &n);

	if (rv == CKR_OK && (rv = f->C_UnwrapKey(h, &m, kek, wrapped, n, t, 2, &back)) == CKR_UNWRAPPING_KEY_HANDLE_INVALID)
		rv = CKR_OK;
	expect(rv);
}

static void
rest(CK_SESSION_HANDLE h)
{
	CK_MECHANISM sha = { CKM_SHA256, NULL, 0 };
	CK_BYTE bytes[32];
	CK_ULONG n = sizeof bytes;
	CK_TOKEN_INFO token;
	CK_SESSION_INFO session;
	CK_SLOT_ID slots[8];
	CK_ULONG count = 8;

	expect(f->C_GenerateRandom(h, bytes, sizeof bytes));
	expect(f->C_DigestInit(h, &sha));
	expect(f->C_DigestUpdate(h, bytes, 7));
	expect(f->C_DigestFinal(h, bytes, &n));
	expect(f->C_GetTokenInfo(0, &token));
	expect(f->C_GetSessionInfo(h, &session));
	expect(f->C_GetSlotList(CK_TRUE, slots, &count));
}

static void *
one_of_many(void *arg)
{
	unsigned word = (unsigned)(uintptr_t)arg, rounds = getenv("STRONGROOM_TEST_FULL") != NULL ? 60 : 12;
	CK_SESSION_HANDLE h = 0;

	for (unsigned i = 0; i < rounds; i++) {
		unsigned at = draw(&word, SHARED);
		CK_OBJECT_HANDLE key = atomic_load(&shared[at]);

		if (h == 0)
			expect(f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h));
		switch (draw(&word, 8)) {
		case 0:
			sign(h);
			break;
		case 1:
			look(h, key);
			break;
		case 2:
			wrap(h, key, atomic_load(&shared[draw(&word, SHARED)]));
			break;
		case 3:
			/* Its successor is there before it goes. A session's object would end with it. */
			key = atomic_exchange(&shared[at], make(h, true));
			expect(f->C_DestroyObject(h, key));
			break;
		case 4:
			expect(f->C_CloseSession(h));
			h = 0;
			break;
		case 5:
			rest(h);
			break;
		default:
			seal(h, key);
			break;
		}
	}
	if (h != 0)
		expect(f->C_CloseSession(h));
	return NULL;
}

static void
test_crowd(void **state)
{
	pthread_t threads[THREADS];
	CK_SESSION_HANDLE h;

	(void)state;
	assert_ok(f->C_Initialize(NULL));
	token_begin();
	h = session_user();
	for (size_t i = 0; i < SHARED; i++)
		atomic_store(&shared[i], make(h, true));
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, one_of_many, (void *)(uintptr_t)(i + 1)), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&trouble), 0);
	assert_true(atomic_load(&done) > THREADS);
	assert_int_equal(count_label(h, "crowd", NULL), SHARED);
	assert_ok(f->C_Finalize(NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_crowd) };

	return cmocka_run_group_tests(tests, home_begin, home_end);
}
