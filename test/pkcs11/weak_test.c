/* The module where little or nothing may be locked, and where the kernel has no
 * memfd_secret: it works, says so, and strict tokens do not run. Each case in a
 * child, which initialises anew. */
#include "room.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define KIB ((rlim_t)1024)

/* The superuser may lock what he likes: become somebody else, whose home it is. */
static bool
limit_to(rlim_t bytes)
{
	struct rlimit r = { bytes, bytes }, now;

	if (getrlimit(RLIMIT_MEMLOCK, &now) != 0 || (geteuid() != 0 && now.rlim_max < bytes))
		return false;
	return setrlimit(RLIMIT_MEMLOCK, &r) == 0 && (geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
}

static bool
has_memfd_secret(void)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* As old kernels answer. */
static bool
hide_memfd_secret(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_secret, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof code[0], code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int
give_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return chown(path, 65534, 65534);
}

/* A day's work: a pair made and kept, a signature, 64 keys in use. */
static void
work(CK_SESSION_HANDLE h)
{
	CK_OBJECT_HANDLE pub, priv;
	CK_BYTE digest[32] = { 1 }, sig[64];
	CK_ULONG len = sizeof sig;
	CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };

	pair_p256(h, true, "weak", &pub, &priv);
	assert_ok(f->C_SignInit(h, &ecdsa, priv));
	assert_ok(f->C_Sign(h, digest, sizeof digest, sig, &len));
	assert_ok(f->C_VerifyInit(h, &ecdsa, pub));
	assert_ok(f->C_Verify(h, digest, sizeof digest, sig, len));
	for (int i = 0; i < 64; i++)
		(void)key_aes(h, false, "session");
	assert_ok(f->C_DestroyObject(h, priv));
	assert_ok(f->C_DestroyObject(h, pub));
}

/* In a child: answers WEAKENED or 0 in *weakened. */
static void
serve(bool expect_weakened)
{
	CK_SESSION_HANDLE h;
	CK_TOKEN_INFO info;
	CK_RV rv;

	assert_ok(f->C_Initialize(NULL));
	assert_ok(f->C_GetTokenInfo(0, &info));
	assert_true(((info.flags & WEAKENED) != 0) == expect_weakened);
	h = session_user();
	work(h);
	assert_ok(f->C_CloseSession(h));
	/* The strict one is there, and says what it is; it does not run. */
	assert_ok(f->C_GetTokenInfo(1, &info));
	assert_memory_equal(info.label, "strict ", 7);
	rv = f->C_OpenSession(1, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h);
	assert_rv(rv, expect_weakened ? CKR_FUNCTION_REJECTED : CKR_OK);
	if (expect_weakened) {
		assert_int_equal(setenv("STRONGROOM_TOKEN_POLICY", "strict", 1), 0);
		assert_rv(f->C_InitToken(2, SO_PIN, 8, LABEL), CKR_FUNCTION_REJECTED);
		assert_rv(f->C_InitToken(1, SO_PIN, 8, LABEL), CKR_FUNCTION_REJECTED);
		/* What is refused cost nothing. */
		assert_ok(f->C_GetTokenInfo(1, &info));
		assert_int_equal(info.flags & CKF_SO_PIN_COUNT_LOW, 0);
	}
	assert_ok(f->C_Finalize(NULL));
}

static void
judge(pid_t child)
{
	int status;

	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* cmocka's failures longjmp: in a child they must end it. */
static void
child(bool ready, bool expect_weakened)
{
	if (!ready)
		_exit(77);
	serve(expect_weakened);
	_exit(0);
}

static int
tokens_begin(void **state)
{
	CK_SESSION_HANDLE h;

	if (home_begin(state) != 0)
		return -1;
	if (!has_memfd_secret())
		return 0;
	assert_ok(f->C_Initialize(NULL));
	token_begin();
	assert_int_equal(setenv("STRONGROOM_TOKEN_POLICY", "strict", 1), 0);
	assert_ok(f->C_InitToken(1, SO_PIN, 8, (CK_UTF8CHAR *)"strict                          "));
	assert_int_equal(unsetenv("STRONGROOM_TOKEN_POLICY"), 0);
	assert_ok(f->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &h));
	assert_ok(f->C_Finalize(NULL));
	return geteuid() == 0 ? nftw(home, give_one, 16, FTW_PHYS) : 0;
}

static void
at_limit(rlim_t bytes, bool weakened)
{
	pid_t pid;

	if (!has_memfd_secret())
		skip();
	if ((pid = fork()) == 0)
		child(limit_to(bytes), weakened);
	judge(pid);
}

static void
nothing_may_be_locked(void **state)
{
	(void)state;
	at_limit(0, true);
}

static void
sixty_four_kib_may_be_locked(void **state)
{
	(void)state;
	at_limit(64 * KIB, true);
}

/* Smaller, and as strong. */
static void
eight_mib_may_be_locked(void **state)
{
	(void)state;
	at_limit(8192 * KIB, false);
}

static void
the_kernel_has_no_memfd_secret(void **state)
{
	pid_t pid;

	(void)state;
	if (!has_memfd_secret())
		skip();
	if ((pid = fork()) == 0)
		child(hide_memfd_secret(), true);
	judge(pid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_may_be_locked),
		cmocka_unit_test(sixty_four_kib_may_be_locked),
		cmocka_unit_test(eight_mib_may_be_locked),
		cmocka_unit_test(the_kernel_has_no_memfd_secret),
	};

	return cmocka_run_group_tests(tests, tokens_begin, home_end);
}
