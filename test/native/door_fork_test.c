/* A fork through the Cryptoki door, as programs do it: the module is loaded,
 * initialised and at work in several threads; the child exits, or finds the
 * module not initialised, or initialises it anew; the parent goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <pkcs11.h>

#define PATIENCE 60

static CK_FUNCTION_LIST *p11;
static char home[] = "/tmp/strongroom-door-XXXXXX";
static CK_SLOT_ID slot;
static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE key;

static CK_UTF8CHAR pin[] = "12345678";

static bool
open_session(CK_SESSION_HANDLE *s)
{
	return p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, s) == CKR_OK;
}

static bool
make_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *private)
{
	static CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	static CK_BBOOL yes = CK_TRUE;
	CK_MECHANISM mech = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE pub[] = { { CKA_EC_PARAMS, p256, sizeof(p256) }, { CKA_VERIFY, &yes, 1 } };
	CK_ATTRIBUTE priv[] = { { CKA_SIGN, &yes, 1 } };
	CK_OBJECT_HANDLE public;

	return p11->C_GenerateKeyPair(s, &mech, pub, 2, priv, 1, &public, private) == CKR_OK;
}

static bool
can_sign(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE k)
{
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	CK_BYTE message[] = "message", sig[64];
	CK_ULONG len = sizeof(sig);

	return p11->C_SignInit(s, &mech, k) == CKR_OK &&
		p11->C_Sign(s, message, sizeof(message), sig, &len) == CKR_OK && len == 64;
}

/* The first: later ones wait to be initialised. */
static bool
find_slot(void)
{
	CK_SLOT_ID slots[8];
	CK_ULONG n = 8;

	if (p11->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK || n == 0)
		return false;
	slot = slots[0];
	return true;
}

/* From a module that is initialised to a key that signs. */
static bool
begin(void)
{
	return find_slot() && open_session(&session) &&
		p11->C_Login(session, CKU_USER, pin, 8) == CKR_OK && make_key(session, &key) && can_sign(session, key);
}

static bool
make_token(void)
{
	CK_UTF8CHAR label[32];
	CK_SESSION_HANDLE so;

	memset(label, ' ', sizeof(label));
	memcpy(label, "fork", 4);
	return find_slot() && p11->C_InitToken(slot, pin, 8, label) == CKR_OK && find_slot() && open_session(&so) &&
		p11->C_Login(so, CKU_SO, pin, 8) == CKR_OK && p11->C_InitPIN(so, pin, 8) == CKR_OK &&
		p11->C_Logout(so) == CKR_OK && p11->C_CloseSession(so) == CKR_OK;
}

static int
start(void **state)
{
	CK_C_GetFunctionList list;
	CK_C_INITIALIZE_ARGS threads = { .flags = CKF_OS_LOCKING_OK };
	void *module;

	(void)state;
	if (mkdtemp(home) == NULL || setenv("STRONGROOM_HOME", home, 1) != 0)
		return -1;
	if ((module = dlopen(MODULE_FILE, RTLD_NOW)) == NULL)
		return -1;
	*(void **)&list = dlsym(module, "C_GetFunctionList");
	if (list == NULL || list(&p11) != CKR_OK || p11->C_Initialize(&threads) != CKR_OK)
		return -1;
	return make_token() && begin() ? 0 : -1;
}

static int
stop(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", home);
	if (p11->C_Finalize(NULL) != CKR_OK)
		return -1;
	return system(command);
}

static int
child_of(int (*work)(void))
{
	int how = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0) {
		alarm(PATIENCE);
		exit(work());
	}
	if (waitpid(pid, &how, 0) != pid)
		return -1;
	return WIFSIGNALED(how) ? 1000 + WTERMSIG(how) : WEXITSTATUS(how);
}

static int just_exit(void) { return 0; }

static int
finds_it_not_initialised(void)
{
	CK_SESSION_INFO info;

	if (p11->C_GetSessionInfo(session, &info) != CKR_CRYPTOKI_NOT_INITIALIZED)
		return 1;
	if (can_sign(session, key))
		return 2;
	return p11->C_Finalize(NULL) == CKR_CRYPTOKI_NOT_INITIALIZED ? 0 : 3;
}

/* Its own sessions and keys; the parent's are unknown to it. */
static int
initialises_anew(void)
{
	CK_SESSION_HANDLE old = session;
	CK_OBJECT_HANDLE old_key = key;

	if (p11->C_Initialize(NULL) != CKR_OK)
		return 1;
	if (can_sign(old, old_key))
		return 2;
	if (!begin())
		return 3;
	return p11->C_Finalize(NULL) == CKR_OK ? 0 : 4;
}

static int
forks_again(void)
{
	if (child_of(just_exit) != 0 || child_of(initialises_anew) != 0)
		return 1;
	if (p11->C_Initialize(NULL) != CKR_OK || !begin())
		return 2;
	if (child_of(just_exit) != 0 || child_of(finds_it_not_initialised) != 0 || child_of(initialises_anew) != 0)
		return 3;
	return can_sign(session, key) ? 0 : 4;
}

static void
a_child_exits_or_starts_anew(void **state)
{
	(void)state;
	assert_int_equal(child_of(just_exit), 0);
	assert_int_equal(child_of(finds_it_not_initialised), 0);
	assert_int_equal(child_of(initialises_anew), 0);
	assert_int_equal(child_of(forks_again), 0);
	assert_true(can_sign(session, key));
}

static atomic_bool enough;

static void *
work(void *arg)
{
	CK_SESSION_HANDLE s;

	(void)arg;
	if (!open_session(&s))
		return "no session";
	while (!atomic_load(&enough)) {
		CK_BYTE bytes[32];

		if (!can_sign(s, key) || p11->C_GenerateRandom(s, bytes, sizeof(bytes)) != CKR_OK)
			return "failed";
	}
	return p11->C_CloseSession(s) == CKR_OK ? NULL : "not closed";
}

static void
a_fork_while_others_work(void **state)
{
	static int (*const cases[])(void) = { just_exit, finds_it_not_initialised, initialises_anew };
	int rounds = getenv("STRONGROOM_SLOW") == NULL ? 30 : 3;
	pthread_t t[4];
	int bad = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, work, NULL), 0);
	for (int i = 0; i < rounds && bad == 0; i++)
		bad = child_of(cases[i % 3]);
	atomic_store(&enough, true);
	for (int i = 0; i < 4; i++) {
		void *why;

		pthread_join(t[i], &why);
		assert_null(why);
	}
	assert_int_equal(bad, 0);
	assert_true(can_sign(session, key));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_exits_or_starts_anew),
		cmocka_unit_test(a_fork_while_others_work),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
