#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <pthread.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/aes.h>
#include <openssl/rand.h>

#include "base/arena.h"
#include "base/fork.h"
#include "base/mark.h"
#include "base/pages.h"
#include "base/state.h"
#include "crypto/rng.h"

static int
open_arena(void **state)
{
	(void)state;
	return arena_open(0) == HSM_OK ? 0 : -1;
}

static int
by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 12);
}

static void
nonces_differ(void **state)
{
	enum { N = 100000 };
	uint8_t (*seen)[12] = malloc(sizeof(*seen) * N);

	(void)state;
	assert_non_null(seen);
	for (int i = 0; i < N; i++)
		assert_int_equal(rng_nonce(seen[i], 12), HSM_OK);
	qsort(seen, N, sizeof(*seen), by_bytes);
	for (int i = 1; i < N; i++)
		assert_memory_not_equal(seen[i - 1], seen[i], 12);
	free(seen);
}

static void
a_nonce_has_at_most_64_bytes(void **state)
{
	uint8_t out[65] = { 0 };

	(void)state;
	assert_int_equal(rng_nonce(out, 64), HSM_OK);
	assert_int_equal(rng_nonce(out, 65), HSM_E_ARGS);
	assert_int_equal(rng_nonce(out, 0), HSM_OK);
}

/* Bytes that were given out are nowhere in the arena any more. */
static void
given_bytes_are_wiped_from_the_pool(void **state)
{
	uint8_t out[32];
	struct page *p;
	size_t zeros = 0;

	(void)state;
	assert_int_equal(rng_nonce(out, 32), HSM_OK);
	for (uint32_t n = 1; n <= pages_count(); n++) {
		p = page_at(n);
		if (p->kind != PAGE_SLAB)
			continue;
		mark_open(page_start(p), PAGE_LEN);
		for (size_t i = 0; i + 16 <= PAGE_LEN; i++) {
			const volatile uint8_t *at = page_start(p) + i;
			size_t same = 0;

			while (same < 16 && at[same] == out[same])
				same++;
			assert_int_not_equal(same, 16);
			zeros += at[0] == 0;
		}
	}
	assert_true(zeros > 0);
}

static void
keys_come_straight(void **state)
{
	static uint8_t a[200000], b[200000];

	(void)state;
	assert_int_equal(rng_prepare(), HSM_OK);
	assert_int_equal(rng_bytes(a, sizeof(a)), HSM_OK);
	assert_int_equal(rng_bytes(b, sizeof(b)), HSM_OK);
	for (size_t i = 0; i + 16 <= sizeof(a); i += 16)
		assert_memory_not_equal(a + i, b + i, 16);
	assert_int_equal(rng_bytes(a, 0), HSM_OK);
}

/* Counts of ones in a megabit: 1 in 10^9 that a good generator fails. */
static void
half_the_bits_are_ones(void **state)
{
	static uint8_t bytes[131072];
	long ones = 0;

	(void)state;
	assert_int_equal(rng_bytes(bytes, sizeof(bytes)), HSM_OK);
	for (size_t i = 0; i < sizeof(bytes); i++)
		ones += __builtin_popcount(bytes[i]);
	assert_in_range(ones, 524288 - 3200, 524288 + 3200);
}

/* ---- what the library keeps for a thread ---------------------------------------- */

static size_t blocks, lens[8];
static uint8_t *image;

static void
count_block(void *copy, size_t len)
{
	if (blocks < 8)
		lens[blocks] = len;
	blocks++;
	/* The state: its AES-256 key schedule comes first (some code counts 13). */
	if (len > 64)
		assert_in_range(((AES_KEY *)copy)->rounds, 13, 14);
}

static size_t
reserve_blocks(void)
{
	blocks = 0;
	image = image == NULL ? malloc(reserve_len()) : image;
	reserve_image(image, count_block);
	return blocks;
}

/* rng.c tells a state by its size and exchanges its keys for a child. If a new
 * AWS-LC keeps something else, this fails, and fork_test too. */
static void
the_reserve_holds_what_rng_expects(void **state)
{
	(void)state;
	assert_int_equal(rng_prepare(), HSM_OK);
	assert_int_equal(reserve_blocks(), 2);
	assert_int_equal(lens[0] > lens[1] ? lens[0] : lens[1], sizeof(AES_KEY) + 4 + 2 * 8 + 16 + 4 * 8 + 3 * 8 + sizeof(pthread_rwlock_t));
	assert_int_equal(lens[0] > lens[1] ? lens[1] : lens[0], 16);
}

static void *
draw_once(void *arg)
{
	uint8_t out[12];

	(void)arg;
	if (rng_nonce(out, 12) != HSM_OK || rng_bytes(out, 12) != HSM_OK || rng_nonce(out, 12) != HSM_OK)
		return "refused";
	return NULL;
}

static void
a_threads_end_gives_its_memory_back(void **state)
{
	size_t before, live;

	(void)state;
	assert_int_equal(rng_prepare(), HSM_OK);
	before = reserve_blocks();
	live = arena_live();
	for (int i = 0; i < 50; i++) {
		pthread_t t;
		void *why;

		assert_int_equal(pthread_create(&t, NULL, draw_once, NULL), 0);
		pthread_join(t, &why);
		assert_null(why);
	}
	assert_int_equal(reserve_blocks(), before);
	assert_int_equal(arena_live(), live);
}

/* ---- health --------------------------------------------------------------------- */

#ifdef STRONGROOM_FAULTS
static void
a_stuck_generator_ends_service(void **state)
{
	uint8_t key[32], nonce[12];
	hsm_status st;

	(void)state;
	assert_int_equal(state_event(EVENT_OPEN, NULL), HSM_OK);
	assert_int_equal(state_event(EVENT_TESTS_PASSED, NULL), HSM_OK);
	rng_stick(true);
	st = rng_bytes(key, sizeof(key));
	assert_int_equal(st, HSM_E_RANDOM);
	for (int i = 0; i < 32; i++)
		assert_int_equal(key[i], 0);
	assert_int_equal(state_operational(), HSM_E_SELF_TEST);
	assert_string_equal(state_why(), "random generator: output repeats");
	/* the pool: once it is used up */
	st = HSM_OK;
	for (int i = 0; i < 200 && st == HSM_OK; i++)
		st = rng_nonce(nonce, 12);
	assert_int_equal(st, HSM_E_RANDOM);
	rng_stick(false);
	assert_int_equal(rng_bytes(key, sizeof(key)), HSM_OK);
	assert_int_equal(state_operational(), HSM_E_SELF_TEST); /* latched */
	assert_int_equal(state_event(EVENT_CLOSE, NULL), HSM_OK);
}

static void
without_room_for_a_pool_it_is_slower_and_right(void **state)
{
	pthread_t t;
	void *why;

	(void)state;
	fault_after(1);         /* 0: the stack of the first draw; 1: the pool */
	assert_int_equal(pthread_create(&t, NULL, draw_once, NULL), 0);
	pthread_join(t, &why);
	assert_true(fault_fired());
	fault_off();
	assert_null(why);
}

/* The next draw of every thread takes it, once; the pool is drawn anew. */
static void
what_is_added_reaches_every_thread(void **state)
{
	static const uint8_t word[3] = "add";
	uint8_t out[64];
	unsigned before;
	pthread_t t;
	void *why;

	(void)state;
	assert_int_equal(rng_nonce(out, 12), HSM_OK);
	before = rng_additions();
	assert_int_equal(rng_add((hsm_in){ word, sizeof(word) }), HSM_OK);
	assert_int_equal(rng_additions(), before);
	assert_int_equal(rng_nonce(out, 12), HSM_OK);
	assert_int_equal(rng_additions(), before + 1);
	assert_int_equal(rng_nonce(out, 12), HSM_OK);
	assert_int_equal(rng_bytes(out, 64), HSM_OK);
	assert_int_equal(rng_additions(), before + 1);
	assert_int_equal(pthread_create(&t, NULL, draw_once, NULL), 0);
	pthread_join(t, &why);
	assert_null(why);
	assert_int_equal(rng_additions(), before + 2);
	/* Nothing is nothing. */
	assert_int_equal(rng_add((hsm_in){ NULL, 0 }), HSM_OK);
	assert_int_equal(rng_bytes(out, 64), HSM_OK);
	assert_int_equal(rng_additions(), before + 2);
}

static void
without_a_stack_it_is_refused(void **state)
{
	pthread_t t;
	void *why;

	(void)state;
	fault_after(0);
	assert_int_equal(pthread_create(&t, NULL, draw_once, NULL), 0);
	pthread_join(t, &why);
	fault_off();
	assert_non_null(why);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reserve_holds_what_rng_expects),
		cmocka_unit_test(nonces_differ),
		cmocka_unit_test(a_nonce_has_at_most_64_bytes),
		cmocka_unit_test(given_bytes_are_wiped_from_the_pool),
		cmocka_unit_test(keys_come_straight),
		cmocka_unit_test(half_the_bits_are_ones),
		cmocka_unit_test(a_threads_end_gives_its_memory_back),
#ifdef STRONGROOM_FAULTS
		cmocka_unit_test(a_stuck_generator_ends_service),
		cmocka_unit_test(without_room_for_a_pool_it_is_slower_and_right),
		cmocka_unit_test(without_a_stack_it_is_refused),
		cmocka_unit_test(what_is_added_reaches_every_thread),
#endif
	};

	return cmocka_run_group_tests(tests, open_arena, NULL);
}
