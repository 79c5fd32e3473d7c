#include "vault.h"

#include "base/arena.h"
#include "module/seal.h"

static struct secret kdk;

static int
open_kdk(void **state)
{
	if (vault_open(state) != 0 || secret_alloc(&kdk, SEAL_KEY_LEN) != HSM_OK)
		return -1;
	for (size_t i = 0; i < SEAL_KEY_LEN; i++)
		kdk.ptr[i] = (uint8_t)i;
	return 0;
}

static int
close_kdk(void **state)
{
	secret_wipe(&kdk);
	return vault_close(state);
}

static void
what_was_sealed_opens(void **state)
{
	uint8_t sealed[16 + SEAL_OVERHEAD];
	hsm_out out = ROOM(sealed);
	struct secret clear;

	(void)state;
	assert_int_equal(seal_close(&kdk, "object", IN("ctx"), IN("sixteen bytes!!!"), &out), HSM_OK);
	assert_int_equal(out.len, sizeof sealed);
	assert_int_equal(seal_open(&kdk, "object", IN("ctx"), (hsm_in){ sealed, out.len }, &clear), HSM_OK);
	assert_int_equal(clear.len, 16);
	assert_memory_equal(clear.ptr, "sixteen bytes!!!", 16);
	secret_wipe(&clear);
}

static void
a_size_is_told_and_a_small_room_refused(void **state)
{
	uint8_t sealed[20];
	hsm_out out = { NULL, 0, 0 };

	(void)state;
	assert_int_equal(seal_close(&kdk, "object", HSM_NONE, IN("x"), &out), HSM_OK);
	assert_int_equal(out.len, 1 + SEAL_OVERHEAD);
	out = ROOM(sealed);
	assert_int_equal(seal_close(&kdk, "object", HSM_NONE, IN("x"), &out), HSM_E_BUFFER);
	assert_int_equal(out.len, 1 + SEAL_OVERHEAD);
	assert_int_equal(seal_close(&kdk, "object", HSM_NONE, HSM_NONE, &out), HSM_E_ARGS);
	assert_int_equal(out.len, 0);
}

static void
another_key_label_or_context_is_refused(void **state)
{
	uint8_t sealed[5 + SEAL_OVERHEAD];
	hsm_out out = ROOM(sealed);
	struct secret clear, other;
	const hsm_in blob = { sealed, sizeof sealed };

	(void)state;
	assert_int_equal(seal_close(&kdk, "object", IN("ctx"), IN("clear"), &out), HSM_OK);
	assert_int_equal(seal_open(&kdk, "objecu", IN("ctx"), blob, &clear), HSM_E_INTEGRITY);
	assert_int_equal(seal_open(&kdk, "object", IN("cty"), blob, &clear), HSM_E_INTEGRITY);
	assert_int_equal(seal_open(&kdk, "object", IN("ct"), blob, &clear), HSM_E_INTEGRITY);
	assert_int_equal(secret_copy(&other, secret_in(&kdk)), HSM_OK);
	other.ptr[31] ^= 1;
	assert_int_equal(seal_open(&other, "object", IN("ctx"), blob, &clear), HSM_E_INTEGRITY);
	assert_null(clear.ptr);
	secret_wipe(&other);
}

static void
every_flipped_bit_and_every_cut_is_refused(void **state)
{
	uint8_t sealed[33 + SEAL_OVERHEAD];
	hsm_out out = ROOM(sealed);
	struct secret clear;

	(void)state;
	assert_int_equal(seal_close(&kdk, "object", IN("ctx"), IN("clear text of thirty-three bytes."), &out), HSM_OK);
	for (size_t bit = 0; bit < sizeof sealed * 8; bit++) {
		const hsm_status want = bit < 32 ? HSM_E_FORMAT : HSM_E_INTEGRITY;

		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(seal_open(&kdk, "object", IN("ctx"), (hsm_in){ sealed, sizeof sealed }, &clear), want);
		assert_null(clear.ptr);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < sizeof sealed; len++)
		assert_int_not_equal(seal_open(&kdk, "object", IN("ctx"), (hsm_in){ sealed, len }, &clear), HSM_OK);
}

static void
no_two_blobs_are_alike(void **state)
{
	uint8_t a[8 + SEAL_OVERHEAD], b[8 + SEAL_OVERHEAD];
	hsm_out out_a = ROOM(a), out_b = ROOM(b);

	(void)state;
	assert_int_equal(seal_close(&kdk, "object", HSM_NONE, IN("the same"), &out_a), HSM_OK);
	assert_int_equal(seal_close(&kdk, "object", HSM_NONE, IN("the same"), &out_b), HSM_OK);
	assert_memory_not_equal(a + 4, b + 4, 16);
	assert_memory_not_equal(a + 52, b + 52, 8 + 16);
}

static void
room_that_runs_out_leaves_nothing_behind(void **state)
{
	uint8_t sealed[5 + SEAL_OVERHEAD];
	hsm_out out = ROOM(sealed);
	struct secret clear;
	const size_t before = arena_live();

	(void)state;
	assert_int_equal(seal_close(&kdk, "object", HSM_NONE, IN("clear"), &out), HSM_OK);
	for (unsigned n = 0;; n++) {
		hsm_status st;

		fault_after(n);
		st = seal_open(&kdk, "object", HSM_NONE, (hsm_in){ sealed, sizeof sealed }, &clear);
		fault_off();
		if (!fault_fired()) {
			assert_int_equal(st, HSM_OK);
			assert_true(n > 0);
			break;
		}
		assert_int_equal(st, HSM_E_MEMORY);
		assert_int_equal(arena_live(), before);
	}
	secret_wipe(&clear);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_opens),
		cmocka_unit_test(a_size_is_told_and_a_small_room_refused),
		cmocka_unit_test(another_key_label_or_context_is_refused),
		cmocka_unit_test(every_flipped_bit_and_every_cut_is_refused),
		cmocka_unit_test(no_two_blobs_are_alike),
		cmocka_unit_test(room_that_runs_out_leaves_nothing_behind),
	};

	return cmocka_run_group_tests_name("seal", tests, open_kdk, close_kdk);
}
