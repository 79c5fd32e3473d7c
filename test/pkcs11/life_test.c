/* life_test.c - threads, forks, loading twice, ends. */
#include "room.h"

#include <stdatomic.h>

#define THREADS 16

/* Under valgrind everything is a hundred times as long. */
static int
rounds(int many)
{
	return getenv("STRONGROOM_SLOW") != NULL ? 1 + many / 10 : many;
}

/* ---- threads --------------------------------------------------------------------- */

static atomic_int trouble;

static CK_RV
work_once(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE pub, CK_OBJECT_HANDLE priv, CK_OBJECT_HANDLE aes)
{
	CK_BYTE data[64] = { 1 }, sig[128], iv[12] = { 0 }, out[128];
	CK_GCM_PARAMS gcm = { iv, 12, 96, NULL, 0, 128 };
	CK_MECHANISM sign = { CKM_ECDSA_SHA256, NULL, 0 }, seal = { CKM_AES_GCM, &gcm, sizeof gcm };
	CK_ULONG n = sizeof sig, m = sizeof out;
	CK_RV rv;

	if ((rv = f->C_SignInit(h, &sign, priv)) != CKR_OK || (rv = f->C_Sign(h, data, sizeof data, sig, &n)) != CKR_OK)
		return rv;
	if ((rv = f->C_VerifyInit(h, &sign, pub)) != CKR_OK || (rv = f->C_Verify(h, data, sizeof data, sig, n)) != CKR_OK)
		return rv;
	if ((rv = f->C_GenerateRandom(h, iv, 12)) != CKR_OK || (rv = f->C_EncryptInit(h, &seal, aes)) != CKR_OK)
		return rv;
	return f->C_Encrypt(h, data, sizeof data, out, &m);
}

static void *
work_thread(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	CK_SESSION_HANDLE h;
	CK_OBJECT_HANDLE pub, priv, aes, own;
	CK_ATTRIBUTE t = { CKA_LABEL, "shared", 6 };
	CK_OBJECT_HANDLE found[8];
	CK_ULONG n;

	for (int round = 0; round < rounds(10); round++) {
		if (f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h) != CKR_OK) {
			trouble++;
			return NULL;
		}
		pub = priv = aes = 0;
		if (f->C_FindObjectsInit(h, &t, 1) != CKR_OK || f->C_FindObjects(h, found, 8, &n) != CKR_OK
		    || f->C_FindObjectsFinal(h) != CKR_OK || n != 3)
			trouble++;
		for (CK_ULONG i = 0; i < n; i++) {
			CK_OBJECT_CLASS klass = 0;
			CK_ATTRIBUTE get = { CKA_CLASS, &klass, sizeof klass };

			if (f->C_GetAttributeValue(h, found[i], &get, 1) != CKR_OK)
				trouble++;
			*(klass == CKO_PUBLIC_KEY ? &pub : klass == CKO_PRIVATE_KEY ? &priv : &aes) = found[i];
		}
		for (int i = 0; i < 5; i++)
			if (work_once(h, pub, priv, aes) != CKR_OK)
				trouble++;
		own = key_aes(h, rand_r(&seed) % 4 == 0, "own");
		if (f->C_DestroyObject(h, own) != CKR_OK)
			trouble++;
		if (f->C_CloseSession(h) != CKR_OK)
			trouble++;
	}
	return NULL;
}

static void
test_threads(void **state)
{
	CK_SESSION_HANDLE h;
	CK_OBJECT_HANDLE pub, priv;
	pthread_t threads[THREADS];

	(void)state;
	token_begin();
	h = session_user();
	pair_p256(h, true, "shared", &pub, &priv);
	(void)key_aes(h, true, "shared");
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work_thread, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(trouble, 0);
	assert_int_equal(count_label(h, "own", NULL), 0);
	assert_int_equal(count_label(h, "shared", NULL), 3);
	assert_ok(f->C_CloseSession(h));
}

static void *
race_thread(void *arg)
{
	int *tally = arg;

	for (int i = 0; i < rounds(30); i++) {
		CK_RV rv = f->C_Initialize(NULL);
		CK_SLOT_ID slots[4];
		CK_ULONG n = 4;
		CK_TOKEN_INFO info;

		if (rv == CKR_OK)
			tally[0]++;
		else if (rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
			trouble++;
		rv = f->C_GetSlotList(CK_TRUE, slots, &n);
		if (rv != CKR_OK && rv != CKR_CRYPTOKI_NOT_INITIALIZED)
			trouble++;
		rv = f->C_GetTokenInfo(0, &info);
		if (rv != CKR_OK && rv != CKR_CRYPTOKI_NOT_INITIALIZED)
			trouble++;
		rv = f->C_Finalize(NULL);
		if (rv == CKR_OK)
			tally[1]++;
		else if (rv != CKR_CRYPTOKI_NOT_INITIALIZED)
			trouble++;
	}
	return NULL;
}

static void
test_race_initialize(void **state)
{
	int tallies[8][2] = { { 0 } }, on = 0, off = 0;
	pthread_t threads[8];

	(void)state;
	assert_ok(f->C_Finalize(NULL));
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race_thread, tallies[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		on += tallies[i][0];
		off += tallies[i][1];
	}
	assert_int_equal(trouble, 0);
	assert_int_equal(on, off);
	assert_ok(f->C_Initialize(NULL));
}

static CK_SESSION_HANDLE closing;

static void *
close_thread(void *arg)
{
	(void)arg;
	for (int i = 0; i < rounds(50); i++)
		(void)f->C_CloseAllSessions(0);
	return NULL;
}

/* Sessions closed while others work with them: every answer is one of the few
 * that fit, and nothing breaks. */
static void
test_close_under_work(void **state)
{
	CK_MECHANISM sha = { CKM_SHA256, NULL, 0 };
	CK_BYTE data[64] = { 0 }, out[32];
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, close_thread, NULL), 0);
	for (int i = 0; i < rounds(300); i++) {
		CK_ULONG n = sizeof out;
		CK_RV rv;

		if (f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &closing) != CKR_OK)
			fail();
		rv = f->C_DigestInit(closing, &sha);
		if (rv == CKR_OK)
			rv = f->C_Digest(closing, data, sizeof data, out, &n);
		if (rv != CKR_OK && rv != CKR_SESSION_HANDLE_INVALID)
			fail_msg("%lx", rv);
		rv = f->C_CloseSession(closing);
		if (rv != CKR_OK && rv != CKR_SESSION_HANDLE_INVALID)
			fail_msg("%lx", rv);
	}
	pthread_join(thread, NULL);
}

/* ---- forks ------------------------------------------------------------------------ */

static int
child_status(pid_t child)
{
	int status = 0;

	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		return 1000 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

static void
sign_here(CK_SESSION_HANDLE h)
{
	CK_OBJECT_HANDLE found = 0;
	CK_MECHANISM sign = { CKM_ECDSA_SHA256, NULL, 0 };
	CK_BYTE sig[64];
	CK_ULONG n = sizeof sig;
	CK_OBJECT_CLASS klass = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE t = { CKA_CLASS, &klass, sizeof klass };

	assert_ok(f->C_FindObjectsInit(h, &t, 1));
	assert_ok(f->C_FindObjects(h, &found, 1, &n));
	assert_ok(f->C_FindObjectsFinal(h));
	assert_true(found != 0);
	n = sizeof sig;
	assert_ok(f->C_SignInit(h, &sign, found));
	assert_ok(f->C_Sign(h, (CK_BYTE *)"x", 1, sig, &n));
}

/* What the child answers by its exit code. 0: as it should. */
static int
child_work(bool initialize)
{
	CK_SESSION_HANDLE h;
	CK_INFO info;

	if (f->C_GetInfo(&info) != CKR_CRYPTOKI_NOT_INITIALIZED)
		return 1;
	if (f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &h) != CKR_CRYPTOKI_NOT_INITIALIZED)
		return 2;
	if (f->C_Finalize(NULL) != CKR_CRYPTOKI_NOT_INITIALIZED)
		return 3;
	if (!initialize)
		return 0;
	if (f->C_Initialize(NULL) != CKR_OK)
		return 4;
	if (f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &h) != CKR_OK)
		return 5;
	if (f->C_Login(h, CKU_USER, USER_PIN, 4) != CKR_OK)
		return 6;
	sign_here(h);
	return f->C_Finalize(NULL) == CKR_OK ? 0 : 7;
}

static void
test_fork(void **state)
{
	CK_SESSION_HANDLE h = session_user();

	(void)state;
	for (int round = 0; round < 4; round++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			if (round == 3)
				exit(0);                /* with handlers and destructors */
			_exit(child_work(round != 0));
		}
		sign_here(h);
		assert_int_equal(child_status(child), 0);
		sign_here(h);
	}
	assert_ok(f->C_CloseSession(h));
}

static atomic_bool fork_stop;

static void *
fork_worker(void *arg)
{
	CK_SESSION_HANDLE h;

	(void)arg;
	while (!fork_stop) {
		if (f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h) != CKR_OK) {
			trouble++;
			return NULL;
		}
		sign_here(h);
		if (f->C_DestroyObject(h, key_aes(h, true, "forked")) != CKR_OK || f->C_CloseSession(h) != CKR_OK)
			trouble++;
	}
	return NULL;
}

/* Forked in the middle of everything: whatever lock a thread held is nobody's
 * in the child. */
static void
test_fork_under_work(void **state)
{
	CK_SESSION_HANDLE h = session_user();
	pthread_t threads[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fork_worker, NULL), 0);
	for (int round = 0; round < rounds(8); round++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			alarm(60);
			_exit(child_work(true));
		}
		assert_int_equal(child_status(child), 0);
	}
	fork_stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(trouble, 0);
	assert_ok(f->C_CloseSession(h));
}

/* ---- loading ------------------------------------------------------------------------ */

static void *
exit_thread(void *arg)
{
	CK_BYTE out[32];

	(void)arg;
	(void)f->C_GenerateRandom(1, out, sizeof out);
	return NULL;
}

static void
test_load_again(void **state)
{
	CK_RV (*get)(CK_FUNCTION_LIST **);
	CK_FUNCTION_LIST *list;
	pthread_t thread;

	(void)state;
	for (int i = 0; i < 5; i++) {
		void *image = dlopen(MODULE_FILE, RTLD_NOW | RTLD_LOCAL);

		assert_non_null(image);
		*(void **)&get = dlsym(image, "C_GetFunctionList");
		assert_ok(get(&list));
		assert_rv(list->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
		assert_int_equal(dlclose(image), 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, exit_thread, NULL), 0);
	pthread_join(thread, NULL);
}

/* ---- waiting -------------------------------------------------------------------------- */

static void *
wait_thread(void *arg)
{
	CK_SLOT_ID *slot = arg;

	return (void *)(uintptr_t)f->C_WaitForSlotEvent(0, slot, NULL);
}

static void
test_slot_events(void **state)
{
	CK_SLOT_ID slot = 99, seen = 99;
	CK_ULONG n = 0;
	pthread_t thread;
	void *rv;

	(void)state;
	assert_rv(f->C_WaitForSlotEvent(CKF_DONT_BLOCK, NULL, NULL), CKR_ARGUMENTS_BAD);
	while (f->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL) == CKR_OK)
		;
	assert_rv(f->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL), CKR_NO_EVENT);
	assert_int_equal(pthread_create(&thread, NULL, wait_thread, &seen), 0);
	/* A token that another process made. */
	if (fork() == 0)
		_exit(f->C_Initialize(NULL) == CKR_OK && f->C_InitToken(1, SO_PIN, 8, LABEL) == CKR_OK ? 0 : 1);
	pthread_join(thread, &rv);
	assert_int_equal((uintptr_t)rv, CKR_OK);
	assert_int_equal(seen, 1);
	while (wait(NULL) > 0)
		;
	assert_ok(f->C_GetSlotList(CK_TRUE, NULL, &n));
	assert_int_equal(n, 3);
	/* Finalizing ends a wait. */
	assert_int_equal(pthread_create(&thread, NULL, wait_thread, &seen), 0);
	usleep(50000);
	assert_ok(f->C_Finalize(NULL));
	pthread_join(thread, &rv);
	assert_int_equal((uintptr_t)rv, CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_ok(f->C_Initialize(NULL));
	/* Also where the next life begins before the wait looked again. */
	assert_int_equal(pthread_create(&thread, NULL, wait_thread, &seen), 0);
	usleep(50000);
	assert_ok(f->C_Finalize(NULL));
	assert_ok(f->C_Initialize(NULL));
	pthread_join(thread, &rv);
	assert_int_equal((uintptr_t)rv, CKR_CRYPTOKI_NOT_INITIALIZED);
}

static int
begin(void **state)
{
	return home_begin(state) == 0 && f->C_Initialize(NULL) == CKR_OK ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_close_under_work),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_fork_under_work),
		cmocka_unit_test(test_race_initialize),
		cmocka_unit_test(test_load_again),
		cmocka_unit_test(test_slot_events),
	};

	return cmocka_run_group_tests(tests, begin, home_end);
}
