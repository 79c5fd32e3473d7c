/* Many threads, everything at once: keys made, used, shown, changed, sealed,
 * opened, evicted and destroyed under each other's hands; sessions closed in
 * the middle; the module opened and closed by racing threads. Run it under
 * ThreadSanitizer (STRONGROOM_SANITIZE=thread). */
#include "module_known.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 16u
#define SHARED 24u
#define ROUNDS 400u

static _Atomic hsm_key shared[SHARED];
static _Atomic unsigned wrong;

/* In threads a failed assertion cannot be reported by cmocka: it is counted. */
#define MUST(what) do { if (!(what)) { atomic_fetch_add(&wrong, 1); fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); } } while (0)

static uint32_t
roll(uint32_t *dice)
{
	*dice = *dice * 1664525u + 1013904223u;
	return *dice >> 8;
}

/* A key that others may destroy at any moment: it works, or it is gone. */
static bool
gone(hsm_status st)
{
	return st == HSM_E_HANDLE;
}

static void
use_shared(hsm_session session, hsm_key key)
{
	uint8_t sealed[128], clear[128];
	hsm_out out = OUT(sealed), back = OUT(clear);
	hsm_status st = hsm_encrypt(session, key, HSM_AES_GCM, &gcm_made, IN("attack at dawn"), &out);

	if (gone(st))
		return;
	MUST(st == HSM_OK);
	st = hsm_decrypt(session, key, HSM_AES_GCM, &gcm_made, (hsm_in){ sealed, out.len }, &back);
	MUST(gone(st) || (st == HSM_OK && back.len == 14 && memcmp(clear, "attack at dawn", 14) == 0));
}

static void
use_in_parts(hsm_session session, hsm_key key)
{
	uint8_t sealed[128];
	hsm_out out = OUT(sealed);
	hsm_status st = hsm_begin(session, MECH_ENCRYPT, key, HSM_AES_GCM, &gcm_made);

	if (gone(st))
		return;
	MUST(st == HSM_OK);
	MUST(hsm_once(session, MECH_ENCRYPT, IN("attack at dawn"), HSM_NONE, &out) == HSM_OK);
}

static void
change_shared(hsm_session session, hsm_key key, uint32_t n)
{
	char label[16];
	const int len = snprintf(label, sizeof label, "%u", n % 1000);
	const hsm_attr attr = { HSM_ATTR_LABEL, { (const uint8_t *)label, (size_t)len } };
	uint8_t room[64];
	hsm_out out = OUT(room);
	hsm_status st = hsm_attr_set(session, key, &attr, 1);

	MUST(gone(st) || st == HSM_OK);
	st = hsm_attr_get(session, key, HSM_ATTR_LABEL, &out);
	MUST(gone(st) || (st == HSM_OK && out.len <= 3));
}

static void
seal_and_open(hsm_session session, hsm_key key)
{
	const hsm_binding names = { IN("k"), IN("m") };
	uint8_t sealed[1024];
	hsm_out out = OUT(sealed);
	hsm_status st = hsm_object_seal(session, key, names, &out);
	hsm_key back;

	if (gone(st))
		return;
	MUST(st == HSM_OK);
	MUST(hsm_object_open(session, 0, names, (hsm_in){ sealed, out.len }, &back) == HSM_OK);
	use_shared(session, back);
	MUST(hsm_object_close(session, back) == HSM_OK);
}

static void
replace_shared(hsm_session session, uint32_t at)
{
	hsm_key fresh, old;

	MUST(hsm_generate(session, 0, aes256, NULL, 0, &fresh) == HSM_OK);
	old = atomic_exchange(&shared[at], fresh);
	if (old != 0) {
		hsm_status st = hsm_destroy(session, old);

		MUST(gone(st) || st == HSM_OK);
	}
}

static void
look_around(hsm_session session)
{
	hsm_key found[8];
	size_t count = COUNT(found);
	uint64_t cursor = 0;
	hsm_key_info info;
	hsm_info all;

	MUST(hsm_find(session, NULL, 0, &cursor, found, &count) == HSM_OK);
	for (size_t i = 0; i < count; i++) {
		hsm_status st = hsm_key_describe(session, found[i], &info);

		MUST(gone(st) || st == HSM_OK);
	}
	MUST(hsm_describe(&all) == HSM_OK);
}

static void *
work(void *arg)
{
	uint32_t dice = (uint32_t)(uintptr_t)arg * 2654435761u;
	hsm_session session, other;

	MUST(hsm_session_open(part, HSM_SESSION_RW, &session) == HSM_OK);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t at = roll(&dice) % SHARED;
		hsm_key key = atomic_load(&shared[at]);

		switch (roll(&dice) % 10) {
		case 0:
			replace_shared(session, at);
			break;
		case 1:
			change_shared(session, key, roll(&dice));
			break;
		case 2:
			seal_and_open(session, key);
			break;
		case 3:
			look_around(session);
			break;
		case 4:
			MUST(hsm_session_open(part, 0, &other) == HSM_OK);
			use_in_parts(other, key);
			MUST(hsm_session_close(other) == HSM_OK);
			break;
		case 5:
		case 6:
			use_in_parts(session, key);
			break;
		default:
			use_shared(session, key);
		}
	}
	MUST(hsm_session_close(session) == HSM_OK);
	return NULL;
}

static void
run(void *(*body)(void *), unsigned n)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, body, (void *)(uintptr_t)(i + 1)), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&wrong), 0);
}

/* In an arena that does not hold them all. */
static void
shares_keys_among_threads(void **state)
{
	hsm_key filler[600];

	(void)state;
	for (size_t i = 0; i < COUNT(filler); i++)
		filler[i] = make_key(user, aes256, NULL, 0);
	for (size_t i = 0; i < SHARED; i++)
		shared[i] = make_key(user, aes256, NULL, 0);
	run(work, THREADS);
	for (size_t i = 0; i < COUNT(filler); i++)
		assert_works(user, filler[i]);
}

/* One session in many hands: each call is whole, or refused. */
static void *
crowd(void *arg)
{
	uint32_t dice = (uint32_t)(uintptr_t)arg * 2654435761u;
	uint8_t room[128];
	hsm_status st;

	for (unsigned i = 0; i < ROUNDS; i++) {
		hsm_out out = OUT(room);

		switch (roll(&dice) % 4) {
		case 0:
			st = hsm_begin(user, MECH_SIGN, shared[0], HSM_SHA256_HMAC, NULL);
			MUST(st == HSM_OK || st == HSM_E_OP_ACTIVE);
			break;
		case 1:
			st = hsm_update(user, MECH_SIGN, IN("part"), NULL);
			MUST(st == HSM_OK || st == HSM_E_OP_INACTIVE);
			break;
		case 2:
			st = hsm_final(user, MECH_SIGN, HSM_NONE, &out);
			MUST(st == HSM_OK || st == HSM_E_OP_INACTIVE);
			break;
		default:
			st = hsm_cancel(user, MECH_SIGN);
			MUST(st == HSM_OK || st == HSM_E_OP_INACTIVE);
		}
	}
	return NULL;
}

static void
shares_a_session_among_threads(void **state)
{
	(void)state;
	shared[0] = make_key(user, hmac256, NULL, 0);
	run(crowd, THREADS);
}

/* Work goes on while others close what it stands on. */
static _Atomic bool closing;

static void *
work_until_closed(void *arg)
{
	uint8_t room[128];
	hsm_session session;
	hsm_status st = HSM_OK;
	hsm_key key = 0;

	(void)arg;
	if (hsm_session_open(part, HSM_SESSION_RW, &session) != HSM_OK)
		return NULL;
	while (!atomic_load(&closing) || st == HSM_OK) {
		hsm_out out = OUT(room);

		if (key == 0 && (st = hsm_generate(session, 0, aes256, NULL, 0, &key)) != HSM_OK)
			break;
		if ((st = hsm_encrypt(session, key, HSM_AES_GCM, &gcm_made, IN("x"), &out)) != HSM_OK)
			break;
	}
	/* Refused for what happened, not for anything else. */
	MUST(st == HSM_E_SESSION || st == HSM_E_STATE || st == HSM_E_HANDLE || st == HSM_E_PARTITION);
	return NULL;
}

static void
closes_under_work(bool whole)
{
	pthread_t threads[8];

	atomic_store(&closing, false);
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work_until_closed, NULL), 0);
	for (int i = 0; i < 200; i++)
		assert_works(user, make_key(user, aes256, NULL, 0));
	if (whole)
		hsm_close();
	else
		assert_ok(hsm_partition_close(part));
	atomic_store(&closing, true);
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&wrong), 0);
}

static void
closes_a_partition_under_work(void **state)
{
	hsm_info info;

	(void)state;
	closes_under_work(false);
	assert_ok(hsm_describe(&info));
	assert_int_equal(info.sessions, 0);
	assert_int_equal(info.objects, 0);
	assert_int_equal(info.loaded, 0);
}

static void
closes_the_module_under_work(void **state)
{
	hsm_info info;

	(void)state;
	closes_under_work(true);
	assert_ok(hsm_describe(&info));
	assert_string_equal(info.state, "off");
	assert_int_equal(info.loaded, 0);
	assert_ok(hsm_open(NULL));      /* for the teardown */
}

static void *
open_and_close(void *arg)
{
	hsm_session session;
	hsm_part mine;

	(void)arg;
	for (int i = 0; i < 4; i++) {
		MUST(hsm_open(NULL) == HSM_OK);
		MUST(hsm_partition_ephemeral(IN("000000000009"), &mine) == HSM_OK);
		MUST(hsm_session_open(mine, HSM_SESSION_RW, &session) == HSM_OK);
		MUST(hsm_session_close(session) == HSM_OK);
		hsm_close();
	}
	return NULL;
}

static void
opens_and_closes_in_races(void **state)
{
	hsm_info info;

	(void)state;
	run(open_and_close, THREADS);
	assert_ok(hsm_describe(&info));
	assert_string_equal(info.state, "off");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shares_keys_among_threads, open_small, close_module),
		cmocka_unit_test_setup_teardown(shares_a_session_among_threads, open_module, close_module),
		cmocka_unit_test_setup_teardown(closes_a_partition_under_work, open_module, close_module),
		cmocka_unit_test_setup_teardown(closes_the_module_under_work, open_module, close_module),
		cmocka_unit_test(opens_and_closes_in_races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
