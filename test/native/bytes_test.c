#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/status.h"

static void
a_reader_reads_big_endian_and_ends(void **state)
{
	static const uint8_t bytes[] = { 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 2, 'a', 'b', 0, 0, 0, 1, 'c' };
	struct reader r;
	hsm_in view;

	(void)state;
	reader_init(&r, (hsm_in){ bytes, sizeof(bytes) });
	assert_int_equal(reader_u8(&r), 1);
	assert_int_equal(reader_u16(&r), 2);
	assert_int_equal(reader_u32(&r), 3);
	assert_int_equal(reader_u64(&r), 4);
	view = reader_block16(&r);
	assert_true(bytes_equal(view, (hsm_in){ (const uint8_t *)"ab", 2 }));
	assert_false(reader_done(&r));
	view = reader_block32(&r);
	assert_true(bytes_equal(view, (hsm_in){ (const uint8_t *)"c", 1 }));
	assert_true(reader_done(&r));
	assert_int_equal(reader_left(&r), 0);
}

static void
a_short_read_sticks_and_gives_zeros(void **state)
{
	static const uint8_t bytes[] = { 0, 9, 1, 2 };
	struct reader r;
	uint8_t copy[4] = { 7, 7, 7, 7 };

	(void)state;
	reader_init(&r, (hsm_in){ bytes, sizeof(bytes) });
	assert_null(reader_block16(&r).ptr);
	assert_true(r.failed);
	assert_int_equal(reader_u8(&r), 0);
	reader_copy(&r, copy, sizeof(copy));
	assert_memory_equal(copy, ((uint8_t[4]){ 0 }), 4);
	assert_int_equal(reader_left(&r), 0);
	assert_false(reader_done(&r));
}

static void
a_length_that_would_wrap_is_refused(void **state)
{
	static const uint8_t bytes[] = { 0xff, 0xff, 0xff, 0xff, 1 };
	struct reader r;

	(void)state;
	reader_init(&r, (hsm_in){ bytes, sizeof(bytes) });
	assert_null(reader_block32(&r).ptr);
	reader_init(&r, (hsm_in){ bytes, sizeof(bytes) });
	assert_null(reader_take(&r, SIZE_MAX).ptr);
}

static void
an_empty_range_is_done_at_once(void **state)
{
	struct reader r;

	(void)state;
	reader_init(&r, HSM_NONE);
	assert_true(reader_done(&r));
	assert_non_null(reader_take(&r, 0).ptr);
	assert_int_equal(reader_u8(&r), 0);
	assert_false(reader_done(&r));
}

static void
a_writer_measures_and_writes_the_same(void **state)
{
	static const uint8_t want[] = { 5, 0, 6, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 'x', 0, 0, 0, 1, 'y' };
	uint8_t room[32];
	struct writer w;

	(void)state;
	for (int pass = 0; pass < 2; pass++) {
		writer_init(&w, pass == 0 ? NULL : room, sizeof(room));
		writer_u8(&w, 5);
		writer_u16(&w, 6);
		writer_u32(&w, 7);
		writer_u64(&w, 8);
		writer_block16(&w, (hsm_in){ (const uint8_t *)"x", 1 });
		writer_block32(&w, (hsm_in){ (const uint8_t *)"y", 1 });
		assert_false(w.failed);
		assert_int_equal(w.len, sizeof(want));
	}
	assert_memory_equal(room, want, sizeof(want));
}

static void
a_writer_never_passes_its_room(void **state)
{
	uint8_t room[4] = { 9, 9, 9, 9 };
	struct writer w;

	(void)state;
	writer_init(&w, room, 3);
	writer_u16(&w, 1);
	writer_u16(&w, 2);
	writer_u8(&w, 3);
	assert_int_equal(w.len, 5);
	assert_int_equal(room[3], 9);
	writer_block16(&w, (hsm_in){ room, 65536 });
	assert_true(w.failed);
}

static void
room_is_asked_for_or_too_small(void **state)
{
	uint8_t room[8];
	hsm_out out = { NULL, 0, 0 };

	(void)state;
	assert_int_equal(out_need(&out, 8), HSM_OK);
	assert_int_equal(out.len, 8);
	out = (hsm_out){ room, 7, 0 };
	assert_int_equal(out_need(&out, 8), HSM_E_BUFFER);
	assert_int_equal(out.len, 8);
	out.cap = 8;
	assert_int_equal(out_need(&out, 8), HSM_OK);
}

static void
constant_time_equality_is_equality(void **state)
{
	uint8_t a[64], b[64];

	(void)state;
	memset(a, 0x5a, sizeof(a));
	memcpy(b, a, sizeof(a));
	assert_true(bytes_equal_secret(a, b, sizeof(a)));
	assert_true(bytes_equal_secret(a, b, 0));
	for (size_t i = 0; i < 8 * sizeof(a); i++) {
		b[i / 8] ^= (uint8_t)(1u << (i % 8));
		assert_false(bytes_equal_secret(a, b, sizeof(a)));
		b[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
}

static void
wiping_wipes_just_the_range(void **state)
{
	uint8_t a[16];

	(void)state;
	memset(a, 1, sizeof(a));
	bytes_wipe(a + 1, 14);
	assert_int_equal(a[0], 1);
	assert_int_equal(a[15], 1);
	for (int i = 1; i < 15; i++)
		assert_int_equal(a[i], 0);
	bytes_wipe(NULL, 3);
}

static void
every_status_has_a_name_and_a_sentence(void **state)
{
	(void)state;
	assert_string_equal(hsm_status_name(HSM_OK), "HSM_OK");
	assert_string_equal(hsm_status_name(HSM_E_CRYPTO), "HSM_E_CRYPTO");
	for (int i = 0; i < HSM_STATUS_COUNT; i++)
		assert_true(strlen(hsm_status_text((hsm_status)i)) > 1);
	assert_non_null(hsm_status_name(HSM_STATUS_COUNT));
	assert_non_null(hsm_status_text((hsm_status)-1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_reads_big_endian_and_ends),
		cmocka_unit_test(a_short_read_sticks_and_gives_zeros),
		cmocka_unit_test(a_length_that_would_wrap_is_refused),
		cmocka_unit_test(an_empty_range_is_done_at_once),
		cmocka_unit_test(a_writer_measures_and_writes_the_same),
		cmocka_unit_test(a_writer_never_passes_its_room),
		cmocka_unit_test(room_is_asked_for_or_too_small),
		cmocka_unit_test(constant_time_equality_is_equality),
		cmocka_unit_test(wiping_wipes_just_the_range),
		cmocka_unit_test(every_status_has_a_name_and_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
