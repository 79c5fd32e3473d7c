#include "vault.h"

#include "base/arena.h"

/* Known answer: test/vectors/sigv4 (awslabs/aws-c-auth, Apache-2.0), get-vanilla. */
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SIGNATURE "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

static hsm_session service;
static hsm_part part, other;

static const hsm_sigv4 vanilla = {
	.date = { (const uint8_t *)"20150830", 8 }, .region = { (const uint8_t *)"us-east-1", 9 },
	.service = { (const uint8_t *)"service", 7 }, .timestamp = { (const uint8_t *)"20150830T123600Z", 16 },
	.canonical = { (const uint8_t *)"GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n", 79 },
};

static int
open_accounts(void **state)
{
	static uint8_t header[512], sealed[256];
	hsm_out root = ROOM(header), out = ROOM(sealed);

	if (vault_open(state) != 0)
		return -1;
	return hsm_root_create(HSM_MODE_PRODUCTION, HSM_UNSEAL_KEYFILE, at("root.key"), &root) == HSM_OK
	       && hsm_partition_create(IN("123456789012"), &out, &part) == HSM_OK
	       && hsm_partition_create(IN("999999999999"), &out, &other) == HSM_OK && hsm_session_service(&service) == HSM_OK ? 0 : -1;
}

static size_t
keep(hsm_keep use, uint8_t *sealed, size_t cap)
{
	hsm_out out = { sealed, cap, 0 };

	assert_int_equal(hsm_keep_seal(service, part, use, IN("store"), IN(SECRET), &out), HSM_OK);
	return out.len;
}

static hsm_status
sign(hsm_session session, hsm_part where, hsm_in id, hsm_in sealed, const hsm_sigv4 *request, uint8_t hex[64])
{
	hsm_out out = { hex, 64, 0 };
	const hsm_status st = hsm_keep_sign(session, where, id, sealed, request, &out);

	assert_int_equal(out.len, st == HSM_OK ? 64 : 0);
	return st;
}

static void
a_signer_signs_as_the_suite_says(void **state)
{
	uint8_t sealed[256], hex[64];
	const hsm_in kept = { sealed, keep(HSM_KEEP_SIGNER, sealed, sizeof sealed) };

	(void)state;
	assert_int_equal(sign(service, part, IN("store"), kept, &vanilla, hex), HSM_OK);
	assert_memory_equal(hex, SIGNATURE, sizeof hex);
}

static void
what_is_kept_to_sign_does_not_leave_and_a_password_signs_nothing(void **state)
{
	uint8_t signer[256], password[256], plain[256], hex[64];
	const hsm_in s = { signer, keep(HSM_KEEP_SIGNER, signer, sizeof signer) };
	const hsm_in p = { password, keep(HSM_KEEP_PASSWORD, password, sizeof password) };
	hsm_out out = ROOM(plain);
	hsm_key key;

	(void)state;
	assert_int_equal(hsm_keep_open(service, part, IN("store"), p, &out), HSM_OK);
	assert_int_equal(out.len, sizeof SECRET - 1);
	assert_memory_equal(plain, SECRET, out.len);
	memset(plain, 0, sizeof plain);
	out = ROOM(plain);
	assert_int_equal(hsm_keep_open(service, part, IN("store"), s, &out), HSM_E_INTEGRITY);
	assert_int_equal(out.len, 0);
	assert_int_equal(plain[0], 0);
	assert_int_equal(sign(service, part, IN("store"), p, &vanilla, hex), HSM_E_INTEGRITY);
	/* Nor is it an access key, which would open a session. */
	assert_int_equal(hsm_credential_open(service, part, IN("store"), s, &key), HSM_E_INTEGRITY);
}

static void
it_is_bound_to_account_id_and_every_byte(void **state)
{
	uint8_t sealed[256], hex[64];
	const hsm_in kept = { sealed, keep(HSM_KEEP_SIGNER, sealed, sizeof sealed) };

	(void)state;
	assert_int_equal(sign(service, other, IN("store"), kept, &vanilla, hex), HSM_E_INTEGRITY);
	assert_int_equal(sign(service, part, IN("stor"), kept, &vanilla, hex), HSM_E_INTEGRITY);
	for (size_t i = 0; i < kept.len; i++) {
		hsm_status st;

		sealed[i] ^= 1;
		st = sign(service, part, IN("store"), kept, &vanilla, hex);
		assert_true(st == HSM_E_INTEGRITY || st == HSM_E_FORMAT);
		sealed[i] ^= 1;
	}
	for (size_t len = 0; len < kept.len; len++)
		assert_int_not_equal(sign(service, part, IN("store"), (hsm_in){ sealed, len }, &vanilla, hex), HSM_OK);
	assert_int_equal(sign(service, part, IN("store"), kept, &vanilla, hex), HSM_OK);
}

static void
only_the_service_keeps_and_signs(void **state)
{
	uint8_t sealed[256], hex[64], room[256];
	const hsm_in kept = { sealed, keep(HSM_KEEP_SIGNER, sealed, sizeof sealed) };
	hsm_out out = ROOM(room);
	hsm_session session;
	hsm_part local;

	(void)state;
	assert_int_equal(hsm_partition_ephemeral(IN("local"), &local), HSM_OK);
	assert_int_equal(hsm_session_open(local, HSM_SESSION_RW, &session), HSM_OK);
	assert_int_equal(hsm_keep_seal(session, part, HSM_KEEP_SIGNER, IN("store"), IN(SECRET), &out), HSM_E_ROLE);
	assert_int_equal(sign(session, part, IN("store"), kept, &vanilla, hex), HSM_E_ROLE);
	assert_int_equal(hsm_keep_open(session, part, IN("store"), kept, &out), HSM_E_ROLE);
	assert_int_equal(sign(0, part, IN("store"), kept, &vanilla, hex), HSM_E_SESSION);
	assert_int_equal(sign(service, 0, IN("store"), kept, &vanilla, hex), HSM_E_PARTITION);
	assert_int_equal(hsm_session_close(session), HSM_OK);
	assert_int_equal(hsm_partition_close(local), HSM_OK);
}

static void
odd_arguments_are_refused(void **state)
{
	uint8_t sealed[256], hex[64], room[512];
	const hsm_in kept = { sealed, keep(HSM_KEEP_SIGNER, sealed, sizeof sealed) };
	hsm_out out = ROOM(room);
	hsm_sigv4 request = vanilla;

	(void)state;
	assert_int_equal(hsm_keep_seal(service, part, HSM_KEEP_SIGNER, IN(""), IN(SECRET), &out), HSM_E_ARGS);
	assert_int_equal(hsm_keep_seal(service, part, HSM_KEEP_SIGNER, IN("a\0b"), IN(SECRET), &out), HSM_E_ARGS);
	assert_int_equal(hsm_keep_seal(service, part, HSM_KEEP_SIGNER, IN("store"), HSM_NONE, &out), HSM_E_DATA_LEN);
	assert_int_equal(hsm_keep_seal(service, part, HSM_KEEP_SIGNER, IN("store"), (hsm_in){ room, 129 }, &out), HSM_E_DATA_LEN);
	out = (hsm_out){ NULL, 0, 0 };
	assert_int_equal(hsm_keep_seal(service, part, HSM_KEEP_SIGNER, IN("store"), IN(SECRET), &out), HSM_OK);
	assert_int_equal(out.len, kept.len);
	out = (hsm_out){ room, 10, 0 };
	assert_int_equal(hsm_keep_seal(service, part, HSM_KEEP_SIGNER, IN("store"), IN(SECRET), &out), HSM_E_BUFFER);
	assert_int_equal(out.len, kept.len);
	request.region = IN("us\neast");
	assert_int_equal(sign(service, part, IN("store"), kept, &request, hex), HSM_E_ARGS);
	request = vanilla;
	request.payload_hash = IN("00");
	assert_int_equal(sign(service, part, IN("store"), kept, &request, hex), HSM_E_DATA);
}

static void
nothing_stays_in_the_arena(void **state)
{
	uint8_t sealed[256], hex[64];
	const hsm_in kept = { sealed, keep(HSM_KEEP_SIGNER, sealed, sizeof sealed) };
	hsm_info before, after;

	(void)state;
	assert_int_equal(sign(service, part, IN("store"), kept, &vanilla, hex), HSM_OK);
	assert_int_equal(hsm_describe(&before), HSM_OK);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(sign(service, part, IN("store"), kept, &vanilla, hex), HSM_OK);
	assert_int_equal(hsm_describe(&after), HSM_OK);
	assert_int_equal(after.arena_used, before.arena_used);
}

/* Let each allocation fail once. */
static void
room_that_runs_out_leaves_nothing_behind(void **state)
{
	uint8_t sealed[256], hex[64], plain[256];
	const size_t before = arena_live();
	hsm_in kept = { sealed, 0 };
	hsm_status st = HSM_E_MEMORY;

	(void)state;
	for (unsigned n = 0; st != HSM_OK; n++) {
		hsm_out out = ROOM(sealed);

		fault_after(n);
		st = hsm_keep_seal(service, part, HSM_KEEP_PASSWORD, IN("store"), IN(SECRET), &out);
		fault_off();
		assert_int_equal(st, fault_fired() ? HSM_E_MEMORY : HSM_OK);
		assert_int_equal(arena_live(), before);
		kept.len = out.len;
	}
	st = HSM_E_MEMORY;
	for (unsigned n = 0; st != HSM_OK; n++) {
		hsm_out out = ROOM(plain);

		fault_after(n);
		st = hsm_keep_open(service, part, IN("store"), kept, &out);
		fault_off();
		assert_int_equal(st, fault_fired() ? HSM_E_MEMORY : HSM_OK);
		assert_int_equal(arena_live(), before);
	}
	kept.len = keep(HSM_KEEP_SIGNER, sealed, sizeof sealed);
	st = HSM_E_MEMORY;
	for (unsigned n = 0; st != HSM_OK; n++) {
		fault_after(n);
		st = sign(service, part, IN("store"), kept, &vanilla, hex);
		fault_off();
		assert_int_equal(st, fault_fired() ? HSM_E_MEMORY : HSM_OK);
		assert_int_equal(arena_live(), before);
	}
	assert_memory_equal(hex, SIGNATURE, sizeof hex);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signer_signs_as_the_suite_says),
		cmocka_unit_test(what_is_kept_to_sign_does_not_leave_and_a_password_signs_nothing),
		cmocka_unit_test(it_is_bound_to_account_id_and_every_byte),
		cmocka_unit_test(only_the_service_keeps_and_signs),
		cmocka_unit_test(odd_arguments_are_refused),
		cmocka_unit_test(nothing_stays_in_the_arena),
		cmocka_unit_test(room_that_runs_out_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, open_accounts, vault_close);
}
