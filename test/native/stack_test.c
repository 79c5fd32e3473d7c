#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/nid.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "crypto/rng.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static int
open_arena(void **state)
{
	(void)state;
	return arena_open(0) == HSM_OK ? 0 : -1;
}

struct visit { void *frame; unsigned count; uintptr_t left; };

static __attribute__((noinline)) void
look(void *arg)
{
	struct visit *v = arg;

	v->frame = __builtin_frame_address(0);
	v->count++;
}

static void
a_function_runs_inside_the_arena(void **state)
{
	struct visit v = { NULL, 0, 0 };

	(void)state;
	assert_int_equal(arena_run(look, &v, 1024), HSM_OK);
	assert_int_equal(v.count, 1);
	assert_true(arena_owns(v.frame));
	look(&v);
	assert_false(arena_owns(v.frame));
}

static void
nest(void *arg)
{
	struct visit *v = arg;
	struct visit inner = { NULL, 0, 0 };

	v->frame = __builtin_frame_address(0);
	assert_int_equal(arena_run(look, &inner, 1024), HSM_OK);
	/* the same stack: a few frames away */
	v->count = (uintptr_t)v->frame - (uintptr_t)inner.frame < 4096;
}

static void
a_nested_call_runs_straight_on(void **state)
{
	struct visit v = { NULL, 0, 0 };

	(void)state;
	assert_int_equal(arena_run(nest, &v, 4096), HSM_OK);
	assert_int_equal(v.count, 1);
}

static __attribute__((noinline)) void
litter(void *arg)
{
	struct visit *v = arg;
	volatile uint8_t bytes[2000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0x5a;
	v->left = (uintptr_t)bytes;
}

static void
what_was_left_on_the_stack_is_wiped(void **state)
{
	struct visit v = { NULL, 0, 0 };
	const uint8_t *left;

	(void)state;
	assert_int_equal(arena_run(litter, &v, 4096), HSM_OK);
	left = (const uint8_t *)v.left;
	assert_true(arena_owns(left));
	for (int i = 0; i < 2000; i++)
		assert_int_equal(left[i], 0);
#ifdef STRONGROOM_FAULTS
	assert_in_range(arena_run_depth(), 2000, 4096);
#endif
}

#if defined(__x86_64__)
static void
load_vectors(void *arg)
{
	/* An SSE load reaches every kind of processor. */
	__asm__ volatile("movdqu (%0), %%xmm0\n movdqu (%0), %%xmm7\n movdqu (%0), %%xmm15" : : "r"(arg) : "xmm0", "xmm7", "xmm15");
}

#define VECTORS_STORE(to) __asm__ volatile("movdqu %%xmm0, (%0)\n movdqu %%xmm7, 16(%0)\n movdqu %%xmm15, 32(%0)" : : "r"(to) : "memory")

/* Straight after the return: nothing here may use a vector register before.
 * Without the arena's stack they are as they were left. */
static void
vector_registers_are_cleared(void **state)
{
	static const uint8_t pattern[16] = "sixteen of bytes";
	static uint8_t seen[3][16], control[3][16];
	hsm_status st;

	(void)state;
	load_vectors((void *)(uintptr_t)pattern);
	VECTORS_STORE(control);
	st = arena_run(load_vectors, (void *)(uintptr_t)pattern, 1024);
	VECTORS_STORE(seen);
	assert_int_equal(st, HSM_OK);
	for (int i = 0; i < 3; i++) {
		assert_memory_equal(control[i], pattern, 16);
		assert_memory_not_equal(seen[i], pattern, 16);
	}
}
#endif

static __attribute__((noinline)) unsigned
dig(unsigned left)
{
	volatile uint8_t room[1024];

	room[0] = (uint8_t)left;
	return left == 0 ? room[0] : dig(left - 1) + room[0];
}

static void
dig_deep(void *arg)
{
	*(unsigned *)arg = dig(*(unsigned *)arg);
}

static void
there_is_room_for_the_deepest_mechanism(void **state)
{
	unsigned n = SANITIZED ? 60 : 130;      /* KiB; ML-DSA-87 takes 116 */

	(void)state;
	assert_int_equal(arena_run(dig_deep, &n, 192 << 10), HSM_OK);
}

/* A stack that runs over meets a page that is nobody's. */
static void
running_over_ends_the_process(void **state)
{
	pid_t pid;
	int how;

	(void)state;
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		unsigned n = 1000;

		setrlimit(RLIMIT_CORE, &none);
		close(STDERR_FILENO);
		if (arena_open(0) == HSM_OK && arena_run(dig_deep, &n, 4096) == HSM_OK)
			_exit(0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &how, 0), pid);
	assert_true(WIFSIGNALED(how) || WEXITSTATUS(how) != 0);
}

static void
sign(void *arg)
{
	static const uint8_t digest[32] = { 1 };
	EC_KEY *key = arg;
	uint8_t sig[80];
	unsigned len = sizeof(sig);

	assert_int_equal(ECDSA_sign(0, digest, sizeof(digest), sig, &len, key), 1);
	assert_int_equal(ECDSA_verify(0, digest, sizeof(digest), sig, len, key), 1);
}

static void *
sign_often(void *arg)
{
	for (int i = 0; i < 20; i++) {
		if (rng_prepare() != HSM_OK || arena_hold(16384) != HSM_OK)
			return "refused";
		if (arena_run(sign, arg, 16384) != HSM_OK)
			return "no stack";
		arena_release();
	}
	return NULL;
}

static void
make_key(void *arg)
{
	EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);

	assert_non_null(key);
	assert_int_equal(EC_KEY_generate_key(key), 1);
	*(EC_KEY **)arg = key;
}

/* More threads than there are stacks: they wait for each other. */
static void
many_threads_share_the_stacks(void **state)
{
	pthread_t threads[32];
	EC_KEY *key = NULL;
	size_t before;

	(void)state;
	assert_int_equal(rng_prepare(), HSM_OK);
	before = arena_live();
	assert_int_equal(arena_run(make_key, &key, 16384), HSM_OK);
	for (int i = 0; i < 32; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_often, key), 0);
	for (int i = 0; i < 32; i++) {
		void *why;

		assert_int_equal(pthread_join(threads[i], &why), 0);
		assert_null(why);
	}
	EC_KEY_free(key);
	assert_int_equal(arena_live(), before);
}

#ifdef STRONGROOM_FAULTS
static const uint8_t to_sign[32] = { 1 };

struct signing { EC_KEY *key; ECDSA_SIG *sig; uint8_t *frame; };

static __attribute__((noinline)) void
sign_once(void *arg)
{
	struct signing *s = arg;

	s->frame = __builtin_frame_address(0);
	s->sig = ECDSA_do_sign(to_sign, sizeof(to_sign), s->key);
}

/* The nonce, by who knows the key: (z + r d) / s, as its limbs lie in memory;
 * or its opposite, where the library gave the signature's other s. */
static void
nonce_of(const struct signing *s, uint8_t nonce[2][32])
{
	const BIGNUM *order = EC_GROUP_get0_order(EC_KEY_get0_group(s->key));
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *k = BN_new(), *z = BN_bin2bn(to_sign, sizeof(to_sign), NULL), *inverse = BN_new();

	assert_int_equal(BN_mod_mul(k, ECDSA_SIG_get0_r(s->sig), EC_KEY_get0_private_key(s->key), order, ctx), 1);
	assert_int_equal(BN_mod_add(k, k, z, order, ctx), 1);
	assert_non_null(BN_mod_inverse(inverse, ECDSA_SIG_get0_s(s->sig), order, ctx));
	assert_int_equal(BN_mod_mul(k, k, inverse, order, ctx), 1);
	assert_int_equal(BN_bn2le_padded(nonce[0], 32, k), 1);
	assert_int_equal(BN_sub(k, order, k), 1);
	assert_int_equal(BN_bn2le_padded(nonce[1], 32, k), 1);
	BN_free(k);
	BN_free(z);
	BN_free(inverse);
	BN_CTX_free(ctx);
}

/* Does the nonce of a signature made on the arena's stack lie there afterwards? */
static bool
nonce_is_left(EC_KEY *key)
{
	const size_t span = 8 << 10;
	struct signing s = { .key = key };
	uint8_t nonce[2][32];
	bool found;

	assert_int_equal(arena_run(sign_once, &s, 16384), HSM_OK);
	assert_non_null(s.sig);
	nonce_of(&s, nonce);
	found = memmem(s.frame - span, span, nonce[0], 16) != NULL || memmem(s.frame - span, span, nonce[1], 16) != NULL;
	ECDSA_SIG_free(s.sig);
	return found;
}

/* With the wipe taken out, a nonce is found: it is the wipe that removes it. Not
 * so under AddressSanitizer: the larger frames of our allocator, which the
 * library calls at the end, lie over what the signature left. */
static void
a_nonce_stays_on_no_stack(void **state)
{
	EC_KEY *key = NULL;

	(void)state;
	assert_int_equal(rng_prepare(), HSM_OK);
	assert_int_equal(arena_run(make_key, &key, 16384), HSM_OK);
	assert_false(nonce_is_left(key));
#ifndef __SANITIZE_ADDRESS__
	arena_run_leave(true);
	assert_true(nonce_is_left(key));
	arena_run_leave(false);
	assert_false(nonce_is_left(key));
#endif
	EC_KEY_free(key);
}

static void
no_stack_is_an_answer(void **state)
{
	struct visit v = { NULL, 0, 0 };

	(void)state;
	fault_after(0);
	assert_int_equal(arena_run(look, &v, 64), HSM_E_MEMORY);
	assert_true(fault_fired());
	fault_off();
	assert_int_equal(v.count, 0);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_runs_inside_the_arena),
		cmocka_unit_test(a_nested_call_runs_straight_on),
		cmocka_unit_test(what_was_left_on_the_stack_is_wiped),
#if defined(__x86_64__)
		cmocka_unit_test(vector_registers_are_cleared),
#endif
		cmocka_unit_test(there_is_room_for_the_deepest_mechanism),
		cmocka_unit_test(running_over_ends_the_process),
		cmocka_unit_test(many_threads_share_the_stacks),
#ifdef STRONGROOM_FAULTS
		cmocka_unit_test(a_nonce_stays_on_no_stack),
		cmocka_unit_test(no_stack_is_an_answer),
#endif
	};

	return cmocka_run_group_tests(tests, open_arena, NULL);
}
