/* token_index_test.c - finding by label, id, row or handle looks at as many
 * rows among 100,000 as among 1,000: the chains stay short while they grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../native/token/index.h"

/* Tags are keyed and so uniform; this stands for them. */
static void
tag_of(uint64_t n, uint8_t tag[HSM_TOKEN_TAG])
{
	for (size_t i = 0; i < HSM_TOKEN_TAG; i++) {
		n = n * UINT64_C(6364136223846793005) + 1442695040888963407u;
		tag[i] = (uint8_t)(n >> 56);
	}
}

static void
fill(struct index *x, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n < to; n++) {
		struct row row = { .id = n + 1, .handle = 0, .used = true };

		tag_of(n, row.label);
		tag_of(~n, row.ident);
		assert_int_equal(token_index_add(x, &row), HSM_OK);
		token_index_set_handle(x, token_index_by_id(x, n + 1), (n + 1) << 16);
	}
}

/* Rows of the longest chain of a kind. */
static unsigned
longest(const struct index *x, enum row_chain chain)
{
	unsigned most = 0;

	for (uint32_t b = 0; b < x->buckets; b++) {
		unsigned rows = 0;

		for (uint32_t at = x->heads[chain][b]; at != NO_ROW; at = x->rows[at].next[chain])
			rows++;
		most = rows > most ? rows : most;
	}
	return most;
}

static void
chains_stay_short(void **state)
{
	static const uint64_t sizes[] = { 1000, 10000, 100000 };
	uint8_t tag[HSM_TOKEN_TAG];
	struct index x;
	uint64_t have = 0;
	uint32_t at;

	(void)state;
	token_index_init(&x);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill(&x, have, sizes[i]);
		have = sizes[i];
		assert_int_equal(x.live, have);
		/* Uniform: that one of the chains is longer than 16 has odds below one in 10^6. */
		for (unsigned chain = 0; chain < CHAIN_COUNT; chain++)
			assert_in_range(longest(&x, chain), 1, 16);
		for (uint64_t n = 0; n < have; n += 97) {
			tag_of(n, tag);
			at = token_index_first(&x, CHAIN_LABEL, tag);
			assert_int_not_equal(at, NO_ROW);
			assert_int_equal(x.rows[at].id, n + 1);
			assert_int_equal(token_index_next(&x, CHAIN_LABEL, tag, at), NO_ROW);
		}
	}
	token_index_free(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(chains_stay_short) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
