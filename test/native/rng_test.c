#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "crypto/rng.h"

static int
open_arena(void **state)
{
	(void)state;
	return arena_open(0) == HSM_OK ? 0 : -1;
}

static void
nonces_differ(void **state)
{
	static uint8_t seen[1000][12];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(rng_nonce(seen[i], 12), HSM_OK);
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(seen[i], seen[j], 12);
	}
}

static void
a_nonce_has_at_most_64_bytes(void **state)
{
	uint8_t out[65] = { 0 };

	(void)state;
	assert_int_equal(rng_nonce(out, 64), HSM_OK);
	assert_int_equal(rng_nonce(out, 65), HSM_E_ARGS);
}

static void
keys_come_straight(void **state)
{
	uint8_t a[100], b[100];

	(void)state;
	assert_int_equal(rng_prepare(), HSM_OK);
	assert_int_equal(rng_bytes(a, sizeof(a)), HSM_OK);
	assert_int_equal(rng_bytes(b, sizeof(b)), HSM_OK);
	assert_memory_not_equal(a, b, sizeof(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonces_differ),
		cmocka_unit_test(a_nonce_has_at_most_64_bytes),
		cmocka_unit_test(keys_come_straight),
	};

	return cmocka_run_group_tests(tests, open_arena, NULL);
}
