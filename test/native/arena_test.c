#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/rsa.h>

#include "base/arena.h"
#include "base/secret.h"

static int
open_arena(void **state)
{
	(void)state;
	return arena_open(0) == HSM_OK ? 0 : -1;
}

static void
blocks_are_zeroed_aligned_and_remember_their_length(void **state)
{
	void *block[64];

	(void)state;
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < 64; i++) {
			size_t len = i * i * 3;
			uint8_t *p = block[i] = arena_alloc(len);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 16, 0);
			assert_int_equal(arena_size(p), len);
			assert_true(arena_owns(p));
			for (size_t j = 0; j < len; j++)
				assert_int_equal(p[j], 0);
			memset(p, 0xa5, len);
		}
		for (size_t i = 0; i < 64; i++)
			arena_free(block[i * 37 % 64]);
	}
	arena_free(NULL);
	assert_int_equal(arena_live(), 0);
	assert_false(arena_owns(&state));
}

static void
libcrypto_allocates_here(void **state)
{
	size_t before = arena_live();
	uint8_t *p = OPENSSL_malloc(100);

	(void)state;
	assert_true(arena_owns(p));
	memset(p, 1, 100);
	p = OPENSSL_realloc(p, 300);
	assert_true(arena_owns(p));
	assert_int_equal(p[99], 1);
	assert_int_equal(p[100], 0);
	OPENSSL_free(p);
	assert_int_equal(arena_live(), before);
}

static void
secrets_own_their_bytes(void **state)
{
	struct secret a = SECRET_NONE, b = SECRET_NONE;

	(void)state;
	assert_int_equal(secret_copy(&a, (hsm_in){ (const uint8_t *)"key", 3 }), HSM_OK);
	assert_true(arena_owns(a.ptr));
	secret_move(&b, &a);
	assert_null(a.ptr);
	assert_memory_equal(secret_in(&b).ptr, "key", 3);
	secret_wipe(&b);
	secret_wipe(&b);
	secret_wipe(&a);
	assert_int_equal(arena_live(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_zeroed_aligned_and_remember_their_length),
		cmocka_unit_test(libcrypto_allocates_here),
		cmocka_unit_test(secrets_own_their_bytes),
	};

	return cmocka_run_group_tests(tests, open_arena, NULL);
}
