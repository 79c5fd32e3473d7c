#include "vault.h"

#include "base/arena.h"
#include "module/partition.h"
#include "module/seal.h"

static int
open_root(void **state)
{
	uint8_t header[512];
	hsm_out out = ROOM(header);

	if (vault_open(state) != 0)
		return -1;
	return hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("root.key"), &out) == HSM_OK ? 0 : -1;
}

/* A short fingerprint of a partition's key. */
static void
fingerprint(hsm_part part, uint8_t print[16])
{
	struct partition *p;

	assert_int_equal(partition_acquire(part, &p), HSM_OK);
	assert_int_equal(seal_derive(partition_key(p), "test", HSM_NONE, print, 16), HSM_OK);
	partition_release(p);
}

static void
an_account_opens_from_its_sealed_key(void **state)
{
	uint8_t sealed[256], before[16], after[16];
	hsm_out out = ROOM(sealed);
	struct partition *p;
	hsm_part part;

	(void)state;
	assert_int_equal(hsm_partition_create(IN("000000000000"), &out, &part), HSM_OK);
	assert_true(part != 0 && part >> 53 == 0);
	fingerprint(part, before);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
	assert_int_equal(hsm_partition_close(part), HSM_E_PARTITION);
	assert_int_equal(partition_acquire(part, &p), HSM_E_PARTITION);

	assert_int_equal(hsm_partition_open(IN("000000000000"), (hsm_in){ sealed, out.len }, &part), HSM_OK);
	fingerprint(part, after);
	assert_memory_equal(before, after, 16);
	assert_int_equal(partition_acquire(part, &p), HSM_OK);
	assert_int_equal(partition_account(p).len, 12);
	assert_true(partition_alive(p));
	assert_false(partition_strict(p));
	assert_int_equal(hsm_partition_restrict(part), HSM_OK);
	assert_true(partition_strict(p));
	/* a loan outlives the close, but knows */
	assert_int_equal(hsm_partition_close(part), HSM_OK);
	assert_false(partition_alive(p));
	assert_int_equal(partition_key(p)->len, 32);
	partition_release(p);
}

static void
made_up_handles_are_refused(void **state)
{
	const hsm_part tries[] = { 0, 1, 2, 1u << 20, (hsm_part)1 << 52, UINT64_MAX };
	struct partition *p;

	(void)state;
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		assert_int_equal(partition_acquire(tries[i], &p), HSM_E_PARTITION);
		assert_null(p);
	}
}

static void
every_flipped_bit_another_account_and_another_root_are_refused(void **state)
{
	uint8_t sealed[256];
	hsm_out out = ROOM(sealed);
	hsm_part part;

	(void)state;
	assert_int_equal(hsm_partition_create(IN("111111111111"), &out, &part), HSM_OK);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
	for (size_t bit = 0; bit < out.len * 8; bit++) {
		const hsm_status want = bit / 8 < 5 ? HSM_E_FORMAT : bit / 8 < 25 ? HSM_E_ROOT
		                        : bit / 8 < 29 ? HSM_E_FORMAT : HSM_E_INTEGRITY;

		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(hsm_partition_open(IN("111111111111"), (hsm_in){ sealed, out.len }, &part), want);
		assert_int_equal(part, 0);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t cut = 0; cut < out.len; cut++)
		assert_int_equal(hsm_partition_open(IN("111111111111"), (hsm_in){ sealed, cut }, &part), HSM_E_FORMAT);
	assert_int_equal(hsm_partition_open(IN("111111111112"), (hsm_in){ sealed, out.len }, &part), HSM_E_INTEGRITY);
	assert_int_equal(hsm_partition_open(HSM_NONE, (hsm_in){ sealed, out.len }, &part), HSM_E_ARGS);
}

static void
an_ephemeral_partition_asks_for_pins_once_it_has_one(void **state)
{
	struct partition *p;
	hsm_part part;

	(void)state;
	assert_int_equal(hsm_partition_ephemeral(IN("local"), &part), HSM_OK);
	assert_int_equal(partition_acquire(part, &p), HSM_OK);
	assert_int_equal(partition_role(p), HSM_ROLE_USER);
	assert_int_equal(partition_login(p, HSM_ROLE_USER, IN("1234")), HSM_E_PIN_UNSET);
	assert_int_equal(partition_pin_set(p, HSM_ROLE_USER, IN("123")), HSM_E_PIN_LEN);
	assert_int_equal(partition_pin_set(p, HSM_ROLE_OFFICER, IN("87654321")), HSM_OK);
	assert_int_equal(partition_role(p), HSM_ROLE_USER);
	assert_int_equal(partition_pin_set(p, HSM_ROLE_USER, IN("1234")), HSM_OK);
	assert_int_equal(partition_pin_set(p, HSM_ROLE_OFFICER, IN("stolen")), HSM_E_ROLE);
	assert_int_equal(partition_logout(p), HSM_OK);
	assert_int_equal(partition_logout(p), HSM_E_NOT_LOGGED_IN);
	assert_int_equal(partition_role(p), HSM_ROLE_PUBLIC);
	assert_int_equal(partition_pin_set(p, HSM_ROLE_USER, IN("4321")), HSM_E_ROLE);

	assert_int_equal(partition_login(p, HSM_ROLE_USER, IN("4321")), HSM_E_PIN);
	assert_int_equal(partition_login(p, HSM_ROLE_USER, IN("1234")), HSM_OK);
	assert_int_equal(partition_login(p, HSM_ROLE_USER, IN("1234")), HSM_E_LOGGED_IN);
	assert_int_equal(partition_login(p, HSM_ROLE_CONTEXT, IN("1234")), HSM_OK);
	assert_int_equal(partition_login(p, HSM_ROLE_CONTEXT, IN("1235")), HSM_E_PIN);
	assert_int_equal(partition_role(p), HSM_ROLE_USER);
	partition_release(p);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
}

static void
a_pin_locks_after_its_tries_and_the_officer_unlocks(void **state)
{
	struct partition *p;
	hsm_part part;

	(void)state;
	assert_int_equal(hsm_partition_ephemeral(IN("local"), &part), HSM_OK);
	assert_int_equal(partition_acquire(part, &p), HSM_OK);
	assert_int_equal(partition_pin_set(p, HSM_ROLE_OFFICER, IN("officer")), HSM_OK);
	assert_int_equal(partition_pin_set(p, HSM_ROLE_USER, IN("user")), HSM_OK);
	assert_int_equal(partition_logout(p), HSM_OK);
	for (unsigned i = 0; i < HSM_PIN_TRIES; i++)
		assert_int_equal(partition_login(p, HSM_ROLE_USER, IN("guess")), HSM_E_PIN);
	assert_int_equal(partition_login(p, HSM_ROLE_USER, IN("user")), HSM_E_PIN_LOCKED);
	assert_int_equal(partition_login(p, HSM_ROLE_OFFICER, IN("officer")), HSM_OK);
	assert_int_equal(partition_pin_set(p, HSM_ROLE_USER, IN("again")), HSM_OK);
	assert_int_equal(partition_logout(p), HSM_OK);
	assert_int_equal(partition_login(p, HSM_ROLE_USER, IN("again")), HSM_OK);
	partition_release(p);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
}

static void
accounts_have_no_pins(void **state)
{
	uint8_t sealed[256];
	hsm_out out = ROOM(sealed);
	struct partition *p;
	hsm_part part;

	(void)state;
	assert_int_equal(hsm_partition_create(IN("222222222222"), &out, &part), HSM_OK);
	assert_int_equal(partition_acquire(part, &p), HSM_OK);
	assert_int_equal(partition_role(p), HSM_ROLE_PUBLIC);
	assert_int_equal(partition_login(p, HSM_ROLE_USER, IN("1234")), HSM_E_UNSUPPORTED);
	assert_int_equal(partition_pin_set(p, HSM_ROLE_USER, IN("1234")), HSM_E_UNSUPPORTED);
	partition_release(p);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
}

static void
sealing_the_root_closes_accounts_but_not_what_is_local(void **state)
{
	uint8_t header[512], sealed[256];
	hsm_out root = ROOM(header), out = ROOM(sealed);
	hsm_part account, local;
	struct partition *p;
	size_t before;

	(void)state;
	hsm_root_close();
	before = arena_live();
	assert_int_equal(hsm_partition_create(IN("333333333333"), &out, &account), HSM_E_SEALED);
	assert_int_equal(arena_live(), before);
	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("second.key"), &root), HSM_OK);
	assert_int_equal(hsm_partition_create(IN("333333333333"), &out, &account), HSM_OK);
	assert_int_equal(hsm_partition_ephemeral(IN("local"), &local), HSM_OK);
	hsm_root_close();
	assert_int_equal(partition_acquire(account, &p), HSM_E_PARTITION);
	assert_int_equal(partition_acquire(local, &p), HSM_OK);
	partition_release(p);
	assert_int_equal(hsm_partition_open(IN("333333333333"), (hsm_in){ sealed, out.len }, &account), HSM_E_SEALED);
	partition_close_all();
	assert_int_equal(partition_acquire(local, &p), HSM_E_PARTITION);
	assert_int_equal(arena_live(), before);
}

static void
room_that_runs_out_leaves_nothing_behind(void **state)
{
	uint8_t header[512], sealed[256];
	hsm_out root = ROOM(header), out = ROOM(sealed);
	size_t before;
	hsm_part part;

	(void)state;
	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("third.key"), &root), HSM_OK);
	before = arena_live();
	for (unsigned n = 0;; n++) {
		hsm_status st;

		out = ROOM(sealed);
		fault_after(n);
		st = hsm_partition_create(IN("444444444444"), &out, &part);
		fault_off();
		if (!fault_fired()) {
			assert_int_equal(st, HSM_OK);
			assert_true(n > 0);
			break;
		}
		assert_int_equal(st, HSM_E_MEMORY);
		assert_int_equal(part, 0);
		assert_int_equal(out.len, 0);
		assert_int_equal(arena_live(), before);
	}
	assert_int_equal(hsm_partition_close(part), HSM_OK);
	for (unsigned n = 0;; n++) {
		hsm_status st;

		fault_after(n);
		st = hsm_partition_open(IN("444444444444"), (hsm_in){ sealed, out.len }, &part);
		fault_off();
		if (!fault_fired()) {
			assert_int_equal(st, HSM_OK);
			break;
		}
		assert_int_equal(st, HSM_E_MEMORY);
		assert_int_equal(part, 0);
		assert_int_equal(arena_live(), before);
	}
	assert_int_equal(hsm_partition_close(part), HSM_OK);
	assert_int_equal(arena_live(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_account_opens_from_its_sealed_key),
		cmocka_unit_test(made_up_handles_are_refused),
		cmocka_unit_test(every_flipped_bit_another_account_and_another_root_are_refused),
		cmocka_unit_test(an_ephemeral_partition_asks_for_pins_once_it_has_one),
		cmocka_unit_test(a_pin_locks_after_its_tries_and_the_officer_unlocks),
		cmocka_unit_test(accounts_have_no_pins),
		cmocka_unit_test(sealing_the_root_closes_accounts_but_not_what_is_local),
		cmocka_unit_test(room_that_runs_out_leaves_nothing_behind),
	};

	return cmocka_run_group_tests_name("partition", tests, open_root, vault_close);
}
