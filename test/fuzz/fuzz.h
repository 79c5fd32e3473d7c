/* fuzz.h - one harness, two lives: under libFuzzer (-DSTRONGROOM_FUZZ=ON with
 * clang), and as a test that runs the same input function on mutations of its
 * seeds, always the same ones. A harness defines fuzz_open, fuzz_seed and
 * fuzz_one. */
#ifndef STRONGROOM_FUZZ_H
#define STRONGROOM_FUZZ_H

#include "../native/vault.h"

#define FUZZ_MAX 4096u

static void fuzz_open(void);                    /* once, before all else */
static hsm_in fuzz_seed(size_t i);              /* ptr NULL past the end */
static void fuzz_one(hsm_in input);             /* asserts what must hold */

#ifdef STRONGROOM_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool opened;

	if (!opened) {
		if (vault_open(NULL) != 0)
			abort();
		fuzz_open();
		for (size_t i = 0; fuzz_seed(i).ptr != NULL; i++)
			fuzz_one(fuzz_seed(i));
		opened = true;
	}
	fuzz_one((hsm_in){ data, len });
	return 0;
}
#else
#ifndef FUZZ_RUNS
#define FUZZ_RUNS 20000u
#endif
#define FUZZ_RUNS_SLOW 500u                     /* under valgrind */

static uint64_t fuzz_word = 0x9E3779B97F4A7C15u;

static size_t
fuzz_below(size_t n)
{
	fuzz_word ^= fuzz_word << 13;
	fuzz_word ^= fuzz_word >> 7;
	fuzz_word ^= fuzz_word << 17;
	return n == 0 ? 0 : (size_t)(fuzz_word % n);
}

/* One change: a bit, a byte, a cut, bytes doubled, bytes of another seed. */
static size_t
fuzz_change(uint8_t *bytes, size_t len, hsm_in other)
{
	static const char likely[] = "\"\\{}[]:,u0019+-=/. \n\x00\xff\x80\x7f";
	const size_t where = fuzz_below(len), n = fuzz_below(len - where) % 64;

	if (len == 0)
		return len;
	switch (fuzz_below(6)) {
	case 0:
		bytes[where] ^= (uint8_t)(1u << fuzz_below(8));
		return len;
	case 1:
		bytes[where] = (uint8_t)likely[fuzz_below(sizeof likely)];
		return len;
	case 2:
		bytes[where] = (uint8_t)fuzz_below(256);
		return len;
	case 3:
		return where;
	case 4:
		if (len + n > FUZZ_MAX)
			return len;
		memmove(bytes + where + n, bytes + where, len - where);
		return len + n;
	default:
		if (other.len == 0)
			return len;
		for (size_t i = 0; i < n; i++)
			bytes[where + i] = other.ptr[(where + i) % other.len];
		return len;
	}
}

static void
a_short_run_that_is_always_the_same(void **state)
{
	/* exactly as long as the input, so that a sanitizer sees one byte too far */
	const unsigned runs = getenv("STRONGROOM_SLOW") != NULL ? FUZZ_RUNS_SLOW : FUZZ_RUNS;
	size_t seeds = 0;

	(void)state;
	for (; fuzz_seed(seeds).ptr != NULL; seeds++)
		fuzz_one(fuzz_seed(seeds));
	assert_true(seeds > 0);
	for (unsigned run = 0; run < runs; run++) {
		static uint8_t room[FUZZ_MAX];
		const hsm_in seed = fuzz_seed(fuzz_below(seeds)), other = fuzz_seed(fuzz_below(seeds));
		size_t len = seed.len < FUZZ_MAX ? seed.len : FUZZ_MAX;
		uint8_t *exact;

		memcpy(room, seed.ptr, len);
		for (size_t i = 1 + fuzz_below(4); i > 0; i--)
			len = fuzz_change(room, len, other);
		exact = malloc(len + (len == 0));
		assert_non_null(exact);
		memcpy(exact, room, len);
		fuzz_one((hsm_in){ exact, len });
		free(exact);
	}
}

static int
fuzz_setup(void **state)
{
	if (vault_open(state) != 0)
		return -1;
	fuzz_open();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_short_run_that_is_always_the_same) };

	return cmocka_run_group_tests_name("fuzz", tests, fuzz_setup, vault_close);
}
#endif

#endif
