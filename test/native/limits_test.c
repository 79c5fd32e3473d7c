/* What the arena becomes where little or nothing may be locked, and where the
 * kernel has no memfd_secret. Each case in a child that never had an arena. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/nid.h>
#include <openssl/rsa.h>

#include "base/arena.h"
#include "base/mark.h"
#include "crypto/rng.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define KIB ((rlim_t)1024)

/* What a child found, for the parent to judge. */
static struct arena_info *seen;

static int
start(void **state)
{
	(void)state;
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return seen == MAP_FAILED ? -1 : 0;
}

static bool
has_memfd_secret(void)
{
	int fd;

#ifdef MARK_VALGRIND
	if (RUNNING_ON_VALGRIND)
		return false;
#endif
	fd = (int)syscall(SYS_memfd_secret, 0);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The superuser may lock what he likes: become somebody else. */
static bool
limit_to(rlim_t bytes)
{
	struct rlimit now, r = { bytes, bytes };

	if (getrlimit(RLIMIT_MEMLOCK, &now) != 0)
		return false;
	if (bytes == RLIM_INFINITY)
		return geteuid() == 0 || now.rlim_cur == RLIM_INFINITY;
	if (geteuid() != 0 && now.rlim_max < bytes)
		return false;
	if (setrlimit(RLIMIT_MEMLOCK, &r) != 0)
		return false;
	return geteuid() != 0 || setresuid(65534, 65534, 65534) == 0;
}

/* As old kernels and container filters answer. */
static bool
take_away_memfd_secret(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_secret, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(rules) / sizeof(rules[0]), rules };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void
rsa(void *arg)
{
	static const uint8_t digest[32] = { 1 };
	static uint8_t sig[256];
	unsigned len = 0;
	RSA *key = RSA_new();
	BIGNUM *e = BN_new();

	*(bool *)arg = key != NULL && e != NULL && BN_set_word(e, 65537) == 1 &&
		RSA_generate_key_ex(key, 2048, e, NULL) == 1 &&
		RSA_sign(NID_sha256, digest, sizeof(digest), sig, &len, key) == 1 && len == 256;
	BN_free(e);
	RSA_free(key);
}

/* Whatever it became, it works: random, a promise, the biggest common key. */
static int
try_it(size_t size)
{
	bool done = false;
	uint8_t nonce[12];

	if (arena_open(size) != HSM_OK) {
		arena_describe(seen);
		return 77;
	}
	arena_describe(seen);
	if (rng_nonce(nonce, sizeof(nonce)) != HSM_OK || arena_hold(100000) != HSM_OK)
		return 2;
	/* Primes take minutes under valgrind. */
	if (getenv("STRONGROOM_SLOW") == NULL && (arena_run(rsa, &done, 32 << 10) != HSM_OK || !done))
		return 3;
	arena_release();
	return arena_live() <= 1 ? 0 : 4;       /* the nonce pool */
}

#define SKIP 99

static int
child_with(rlim_t limit, bool secret, size_t size)
{
	int how = 0;
	pid_t pid;

	memset(seen, 0, sizeof(*seen));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (!limit_to(limit) || (!secret && has_memfd_secret() && !take_away_memfd_secret()))
			_exit(SKIP);
		exit(try_it(size));
	}
	if (pid < 0 || waitpid(pid, &how, 0) != pid || !WIFEXITED(how))
		return -1;
	return WEXITSTATUS(how);
}

static void
expect(rlim_t limit, bool secret, enum arena_kind kind, const char *reason)
{
	int answer = child_with(limit, secret, 0);

	if (answer == SKIP)
		skip();
	assert_int_equal(answer, 0);
	if (!has_memfd_secret() && kind == ARENA_SECRET)
		kind = ARENA_LOCKED;
	assert_int_equal(seen->kind, kind);
	assert_true(limit == RLIM_INFINITY || seen->lock_limit == limit);
	assert_true(seen->size >= 1 << 20);
	if (kind == ARENA_SECRET)
		assert_string_equal(seen->reason, "");
	else
		assert_non_null(strstr(seen->reason, reason));
}

static void
with_8_mib_it_is_secret_and_leaves_a_quarter(void **state)
{
	(void)state;
	expect(8192 * KIB, true, ARENA_SECRET, "");
	assert_in_range(seen->size, 5 << 20, 6 << 20);
}

static void
with_two_mib_it_is_secret_and_small(void **state)
{
	(void)state;
	expect(2048 * KIB, true, ARENA_SECRET, "");
	assert_in_range(seen->size, 1 << 20, 3 << 19);
}

static void
with_64_kib_it_is_plain_and_says_why(void **state)
{
	(void)state;
	expect(64 * KIB, true, ARENA_PLAIN, "RLIMIT_MEMLOCK is 64 KiB");
}

static void
with_nothing_it_is_plain_and_says_why(void **state)
{
	(void)state;
	expect(0, true, ARENA_PLAIN, "RLIMIT_MEMLOCK is 0 KiB");
}

static void
without_a_limit_for_us_it_is_secret_and_64_mib(void **state)
{
	(void)state;
	expect(RLIM_INFINITY, true, ARENA_SECRET, "");
	assert_in_range(seen->size, 63 << 20, 64 << 20);
}

static void
without_memfd_secret_it_is_locked_and_says_why(void **state)
{
	(void)state;
	expect(8192 * KIB, false, ARENA_LOCKED, "memfd_secret: this kernel has none");
}

static void
without_either_it_is_plain_and_says_both(void **state)
{
	(void)state;
	expect(64 * KIB, false, ARENA_PLAIN, "memfd_secret: ");
	assert_non_null(strstr(seen->reason, "mlock: RLIMIT_MEMLOCK is 64 KiB"));
}

static void
a_size_that_was_asked_for_is_given_or_refused(void **state)
{
	int answer = child_with(8192 * KIB, true, 4 << 20);

	(void)state;
	if (answer == SKIP)
		skip();
	assert_int_equal(answer, 0);
	assert_in_range(seen->size, 7 << 19, 4 << 20);
	assert_int_equal(child_with(8192 * KIB, true, 1000), 77);
	assert_non_null(strstr(seen->reason, "between 1024 KiB and 65536 KiB"));
	assert_int_equal(child_with(8192 * KIB, true, (size_t)1 << 30), 77);
	assert_int_equal(seen->kind, ARENA_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_8_mib_it_is_secret_and_leaves_a_quarter),
		cmocka_unit_test(with_two_mib_it_is_secret_and_small),
		cmocka_unit_test(with_64_kib_it_is_plain_and_says_why),
		cmocka_unit_test(with_nothing_it_is_plain_and_says_why),
		cmocka_unit_test(without_a_limit_for_us_it_is_secret_and_64_mib),
		cmocka_unit_test(without_memfd_secret_it_is_locked_and_says_why),
		cmocka_unit_test(without_either_it_is_plain_and_says_both),
		cmocka_unit_test(a_size_that_was_asked_for_is_given_or_refused),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
