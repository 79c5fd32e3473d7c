/* What a child may do: exit, _exit, exec, or open anew; and what it never
 * sees. Each case in a child of its own, with an alarm: a lock that was held
 * by a thread which vanished in the fork shows as a hang. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/nid.h>
#include <openssl/rand.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/mark.h"
#include "base/pages.h"
#include "crypto/rng.h"

#define PATIENCE 60             /* seconds; valgrind is slow */

static EC_KEY *key;
static uint8_t *marker;

/* What children report: shared with all of them. */
static struct shared { uint8_t random[64][32]; atomic_uint count; } *shared;

static void
make_key(void *arg)
{
	EC_KEY *made = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);

	if (made != NULL && EC_KEY_generate_key(made) == 1)
		*(EC_KEY **)arg = made;
}

static void
sign(void *arg)
{
	static const uint8_t digest[32] = { 1 };
	uint8_t sig[80];
	unsigned len = sizeof(sig);
	int *good = arg;

	*good = ECDSA_sign(0, digest, sizeof(digest), sig, &len, key) == 1 &&
		ECDSA_verify(0, digest, sizeof(digest), sig, len, key) == 1;
}

static bool
can_sign(void)
{
	int good = 0;

	if (rng_prepare() != HSM_OK || arena_hold(20000) != HSM_OK)
		return false;
	if (arena_run(sign, &good, 16000) != HSM_OK)
		good = 0;
	arena_release();
	return good == 1;
}

static int
start(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || arena_open(0) != HSM_OK || rng_prepare() != HSM_OK)
		return -1;
	if (arena_run(make_key, &key, 16000) != HSM_OK || key == NULL)
		return -1;
	marker = arena_alloc(4096);
	memset(marker, 0xc7, 4096);
	return can_sign() ? 0 : -1;
}

/* Run `work` in a child: it passes by calling exit(0) or returning 0. Both
 * run AWS-LC's destructors. */
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
	if (WIFSIGNALED(how))
		return 1000 + WTERMSIG(how);
	return WEXITSTATUS(how);
}

/* ---- one child ------------------------------------------------------------------- */

static int just_exit(void) { return 0; }
static int under_exit(void) { _exit(0); }

static int
exec_true(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

static void
a_child_exits_and_execs(void **state)
{
	(void)state;
	assert_int_equal(child_of(just_exit), 0);
	assert_int_equal(child_of(under_exit), 0);
	assert_int_equal(child_of(exec_true), 0);
	assert_true(can_sign());
}

static int
finds_itself_a_child(void)
{
	uint8_t bytes[16];

	if (!arena_forked())
		return 1;
	if (arena_alloc(16) != NULL)
		return 2;
	if (arena_hold(16) != HSM_E_MEMORY || arena_run(make_key, &key, 100) != HSM_E_MEMORY)
		return 3;
	if (rng_bytes(bytes, 16) != HSM_E_MEMORY || rng_nonce(bytes, 12) != HSM_E_MEMORY)
		return 4;
	arena_free(marker);
	EC_KEY_free(NULL);
	return 0;
}

static void
a_child_knows_and_is_refused(void **state)
{
	unsigned life = arena_generation();

	(void)state;
	assert_int_equal(child_of(finds_itself_a_child), 0);
	assert_false(arena_forked());
	assert_int_equal(arena_generation(), life);
	assert_int_equal(marker[0], 0xc7);
}

/* The kernel reads for us: EFAULT instead of a signal. */
static bool
readable(const void *ptr)
{
	int fd[2];
	bool yes;

	mark_open(ptr, 16);             /* ASan and valgrind need not look */
	yes = pipe(fd) == 0 && write(fd[1], ptr, 16) == 16;
	close(fd[0]);
	close(fd[1]);
	return yes;
}

static int
sees_no_key(void)
{
	return readable(marker) ? 1 : 0;
}

static int
sees_no_key_after_opening(void)
{
	if (arena_open(0) != HSM_OK)
		return 1;
	return readable(marker) ? 2 : 0;
}

static void
a_child_sees_no_key(void **state)
{
	(void)state;
	assert_true(readable(marker));
	assert_int_equal(child_of(sees_no_key), 0);
	assert_int_equal(child_of(sees_no_key_after_opening), 0);
}

/* ---- the generator's states -------------------------------------------------------- */

static uint8_t *reserve_was;

static size_t
distinct(const uint8_t *bytes)
{
	size_t n = 0;

	for (int i = 0; i < 16; i++) {
		int j = 0;

		while (j < i && bytes[j] != bytes[i])
			j++;
		n += j == i;
	}
	return n;
}

/* Pieces that look like key bytes and are what they were in the parent. */
static size_t
same_pieces(void)
{
	size_t n = 0;

	mark_open(reserve_base(), reserve_len());
	for (size_t i = 0; i + 16 <= reserve_len(); i += 16)
		n += distinct(reserve_was + i) >= 12 && memcmp(reserve_was + i, reserve_base() + i, 16) == 0;
	return n;
}

static int
holds_no_state_of_the_parent(void)
{
	return same_pieces() == 0 ? 0 : 1;
}

static void
a_child_holds_no_generator_state_of_its_parent(void **state)
{
	(void)state;
	reserve_was = malloc(reserve_len());
	assert_non_null(reserve_was);
	mark_open(reserve_base(), reserve_len());
	memcpy(reserve_was, reserve_base(), reserve_len());
	assert_true(same_pieces() >= 15);       /* 15 round keys: the search does find */
	assert_int_equal(child_of(holds_no_state_of_the_parent), 0);
	free(reserve_was);
}

static void
report(const uint8_t bytes[32])
{
	memcpy(shared->random[atomic_fetch_add(&shared->count, 1)], bytes, 32);
}

/* Straight from AWS-LC, without us: it was forked with its list. */
static int
draws_from_the_library(void)
{
	uint8_t bytes[32];

	if (RAND_bytes(bytes, 32) != 1)
		return 1;
	report(bytes);
	return 0;
}

static int
opens_and_draws(void)
{
	uint8_t bytes[32] = { 0 };

	if (arena_open(0) != HSM_OK || arena_forked())
		return 1;
	if (rng_nonce(bytes, 32) != HSM_OK)
		return 2;
	report(bytes);
	if (rng_bytes(bytes, 32) != HSM_OK)
		return 3;
	report(bytes);
	return 0;
}

static int
grandchild_draws(void)
{
	if (child_of(draws_from_the_library) != 0 || child_of(opens_and_draws) != 0)
		return 1;
	if (opens_and_draws() != 0)
		return 2;
	if (child_of(draws_from_the_library) != 0 || child_of(opens_and_draws) != 0)
		return 3;
	return draws_from_the_library();
}

static void
nobody_draws_what_another_drew(void **state)
{
	uint8_t bytes[32];
	unsigned n;

	(void)state;
	atomic_store(&shared->count, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(child_of(draws_from_the_library), 0);
		assert_int_equal(child_of(opens_and_draws), 0);
		assert_int_equal(rng_nonce(bytes, 32), HSM_OK);
		report(bytes);
		assert_int_equal(rng_bytes(bytes, 32), HSM_OK);
		report(bytes);
	}
	assert_int_equal(child_of(grandchild_draws), 0);
	n = atomic_load(&shared->count);
	assert_int_equal(n, 3 * 5 + 9);
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			assert_memory_not_equal(shared->random[i], shared->random[j], 32);
}

/* ---- a new life -------------------------------------------------------------------- */

static int
opens_and_signs(void)
{
	struct arena_info info;

	if (arena_open(0) != HSM_OK)
		return 1;
	arena_describe(&info);
	if (info.kind == ARENA_NONE || arena_live() != 0)
		return 2;
	key = NULL;
	if (rng_prepare() != HSM_OK || arena_run(make_key, &key, 16000) != HSM_OK || key == NULL)
		return 3;
	return can_sign() ? 0 : 4;
}

static int
opens_and_closes(void)
{
	if (opens_and_signs() != 0)
		return 1;
	arena_close();
	return opens_and_signs();
}

static int
double_fork(void)
{
	if (child_of(just_exit) != 0 || child_of(opens_and_signs) != 0)
		return 1;
	if (opens_and_signs() != 0)
		return 2;
	if (child_of(just_exit) != 0 || child_of(finds_itself_a_child) != 0 || child_of(opens_and_signs) != 0)
		return 3;
	return can_sign() ? 0 : 4;
}

static void
a_child_opens_anew(void **state)
{
	(void)state;
	assert_int_equal(child_of(opens_and_signs), 0);
	assert_int_equal(child_of(opens_and_closes), 0);
	assert_int_equal(child_of(double_fork), 0);
	assert_true(can_sign());
	assert_int_equal(marker[4095], 0xc7);
}

/* Also one made by the bare system call, that no handler saw. */
static void
a_child_of_a_bare_clone_knows_too(void **state)
{
	int how = 0;
	long pid;

	(void)state;
	fflush(NULL);
	pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	assert_true(pid >= 0);
	if (pid == 0) {
		int answer = finds_itself_a_child();

		if (answer == 0 && readable(marker))
			answer = 20;
		if (answer == 0)
			answer = opens_and_signs();
		_exit(answer);
	}
	assert_int_equal(waitpid((pid_t)pid, &how, 0), pid);
	assert_true(WIFEXITED(how));
	assert_int_equal(WEXITSTATUS(how), 0);
	assert_true(can_sign());
}

/* ---- while others work --------------------------------------------------------------- */

static atomic_bool stop;
static atomic_uint signatures;

static void *
work(void *arg)
{
	uint8_t bytes[32];

	(void)arg;
	while (!atomic_load(&stop)) {
		if (!can_sign() || rng_bytes(bytes, 32) != HSM_OK || rng_nonce(bytes, 12) != HSM_OK)
			return "failed";
		arena_free(arena_alloc(200));
		atomic_fetch_add(&signatures, 1);
	}
	return NULL;
}

/* Comes and goes: the list of states changes all the time. */
static void *
short_life(void *arg)
{
	uint8_t bytes[16];

	(void)arg;
	return rng_bytes(bytes, 16) == HSM_OK ? NULL : "failed";
}

static void *
lives(void *arg)
{
	while (!atomic_load(&stop)) {
		pthread_t t;
		void *why = NULL;

		if (pthread_create(&t, NULL, short_life, arg) != 0 || pthread_join(t, &why) != 0 || why != NULL)
			return "failed";
	}
	return NULL;
}

static int
uses_libcrypto_and_exits(void)
{
	uint8_t bytes[32];

	return RAND_bytes(bytes, 32) == 1 ? opens_and_signs() : 1;
}

static int
forks_while_others_work(void)
{
	static int (*const cases[])(void) = { just_exit, draws_from_the_library, opens_and_signs, uses_libcrypto_and_exits };
	pthread_t t[6];
	int bad = 0, rounds = getenv("STRONGROOM_SLOW") == NULL ? 100 : 12;

	atomic_store(&stop, false);
	atomic_store(&shared->count, 0);
	for (int i = 0; i < 6; i++)
		if (pthread_create(&t[i], NULL, i < 4 ? work : lives, NULL) != 0)
			return 1;
	for (int i = 0; i < rounds && bad == 0; i++) {
		bad = child_of(cases[i % 4]);
		if (!can_sign())
			bad = 2;
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 6; i++) {
		void *why;

		pthread_join(t[i], &why);
		if (why != NULL)
			bad = 3;
	}
	return bad;
}

static void
a_fork_while_others_work(void **state)
{
	(void)state;
	assert_int_equal(forks_while_others_work(), 0);
	assert_true(atomic_load(&signatures) > 0);
}

/* From a thread that is not the first, and the first goes on. */
static void *
forking_thread(void *arg)
{
	(void)arg;
	if (!can_sign() || child_of(just_exit) != 0 || child_of(opens_and_signs) != 0)
		return "failed";
	return can_sign() ? NULL : "failed";
}

static void
a_fork_from_another_thread(void **state)
{
	pthread_t t;
	void *why;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, forking_thread, NULL), 0);
	assert_true(can_sign());
	pthread_join(t, &why);
	assert_null(why);
}

/* The whole of it in a process that then ends in the ordinary way. */
static int
a_parents_life(void)
{
	if (opens_and_signs() != 0)
		return 1;
	if (child_of(just_exit) != 0 || child_of(opens_and_signs) != 0)
		return 2;
	return can_sign() ? 0 : 3;
}

static void
the_parent_goes_on_and_exits_well(void **state)
{
	(void)state;
	assert_int_equal(child_of(a_parents_life), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_exits_and_execs),
		cmocka_unit_test(a_child_knows_and_is_refused),
		cmocka_unit_test(a_child_sees_no_key),
		cmocka_unit_test(a_child_holds_no_generator_state_of_its_parent),
		cmocka_unit_test(nobody_draws_what_another_drew),
		cmocka_unit_test(a_child_opens_anew),
		cmocka_unit_test(a_child_of_a_bare_clone_knows_too),
		cmocka_unit_test(a_fork_from_another_thread),
		cmocka_unit_test(a_fork_while_others_work),
		cmocka_unit_test(the_parent_goes_on_and_exits_well),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
