/* The module's life, handles, and the plain use of keys. */
#include <time.h>

#include "module_known.h"

#include <sys/wait.h>
#include <unistd.h>

static void
opens_and_closes(void **state)
{
	hsm_info info;

	(void)state;
	assert_ok(hsm_describe(&info));
	assert_string_equal(info.state, "off");
	for (int i = 0; i < 3; i++) {
		assert_ok(hsm_open(NULL));
		assert_ok(hsm_open(NULL));
		hsm_close();
		assert_ok(hsm_describe(&info));
		assert_string_equal(info.state, "ready");
		assert_non_null(strstr(info.library, "AWS-LC"));
		hsm_close();
		assert_ok(hsm_describe(&info));
		assert_string_equal(info.state, "off");
		assert_int_equal(info.objects, 0);
	}
}

static void
seals_and_opens_messages(void **state)
{
	hsm_key key = make_key(user, aes256, NULL, 0);

	(void)state;
	assert_works(user, key);
	assert_true(hsm_approved());
	assert_ok(hsm_destroy(user, key));
}

static void
signs_with_pairs(void **state)
{
	const hsm_params der = { .flags = HSM_PARAM_DER };
	uint8_t sig[256], spki[256];
	hsm_out out = OUT(sig), pub_out = OUT(spki);
	hsm_key pub, key, stranger;

	(void)state;
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, NULL, 0, &pub, &key));
	assert_ok(hsm_sign(user, key, HSM_ECDSA_SHA256, &der, IN("contract"), &out));
	assert_ok(hsm_verify(user, pub, HSM_ECDSA_SHA256, &der, IN("contract"), (hsm_in){ sig, out.len }));
	assert_status(hsm_verify(user, pub, HSM_ECDSA_SHA256, &der, IN("Contract"), (hsm_in){ sig, out.len }), HSM_E_SIGNATURE);
	assert_ok(hsm_public_key(user, key, &pub_out));
	const hsm_attr attrs[] = {
		ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_PUBLIC), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_EC),
		{ HSM_ATTR_VALUE, { spki, pub_out.len } }
	};
	assert_ok(hsm_create(user, 0, attrs, COUNT(attrs), &stranger));
	assert_ok(hsm_verify(user, stranger, HSM_ECDSA_SHA256, &der, IN("contract"), (hsm_in){ sig, out.len }));
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, NULL, 0, NULL, &key));
	assert_int_equal(number_of(user, key, HSM_ATTR_KEY_GEN_MECHANISM), HSM_EC_KEY_PAIR_GEN);
}

static void
macs(void **state)
{
	hsm_key key = make_key(user, hmac256, NULL, 0);
	uint8_t mac[64];
	hsm_out out = OUT(mac);

	(void)state;
	assert_ok(hsm_sign(user, key, HSM_SHA256_HMAC, NULL, IN("message"), &out));
	assert_int_equal(out.len, 32);
	assert_ok(hsm_verify(user, key, HSM_SHA256_HMAC, NULL, IN("message"), (hsm_in){ mac, 32 }));
	mac[0] ^= 1;
	assert_status(hsm_verify(user, key, HSM_SHA256_HMAC, NULL, IN("message"), (hsm_in){ mac, 32 }), HSM_E_SIGNATURE);
}

static void
refuses_stale_and_made_up_handles(void **state)
{
	hsm_key key = make_key(user, aes256, NULL, 0), again;
	uint8_t room[64];
	hsm_out out = OUT(room);

	(void)state;
	assert_ok(hsm_destroy(user, key));
	assert_status(hsm_destroy(user, key), HSM_E_HANDLE);
	again = make_key(user, aes256, NULL, 0);
	assert_true(again != key);
	assert_status(hsm_encrypt(user, key, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_HANDLE);
	assert_int_equal(out.len, 0);
	const hsm_key made_up[] = { 0, 1, UINT64_MAX, again ^ (UINT64_C(1) << 60), again + (UINT64_C(1) << 24), again + 1 };
	for (size_t i = 0; i < COUNT(made_up); i++)
		assert_status(hsm_encrypt(user, made_up[i], HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_HANDLE);
	assert_status(hsm_encrypt(user + 1, again, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_SESSION);
	assert_status(hsm_encrypt(0, again, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_SESSION);
}

static void
numbers_sessions_at_random(void **state)
{
	hsm_session a, b;

	(void)state;
	assert_ok(hsm_session_open(part, 0, &a));
	assert_ok(hsm_session_close(a));
	assert_ok(hsm_session_open(part, 0, &b));
	/* The same slot, another generation, and not the next one. */
	assert_int_equal(a & ((1u << 18) - 1), b & ((1u << 18) - 1));
	assert_true(a != b && b >> 18 != (a >> 18) + 1);
	assert_status(hsm_session_close(a), HSM_E_SESSION);
	assert_ok(hsm_session_close(b));
}

static void
comes_back_from_the_sealed_form(void **state)
{
	static const hsm_attr attrs[] = { ATTR_TEXT(HSM_ATTR_LABEL, "mine"), ATTR_YES(HSM_ATTR_EXTRACTABLE) };
	const hsm_binding names = { IN("key-1"), IN("material-1") }, others = { IN("key-2"), IN("material-1") };
	hsm_key key = make_key(user, aes256, attrs, COUNT(attrs)), back;
	uint8_t sealed[1024], message[64], label[16];
	hsm_out out = { NULL, 0, 0 }, m = OUT(message), l = OUT(label);
	hsm_key_info info;

	(void)state;
	assert_ok(hsm_object_seal(user, key, names, &out));
	assert_in_range(out.len, 32, sizeof sealed);
	size_t need = out.len;
	out = (hsm_out){ sealed, need - 1, 0 };
	assert_status(hsm_object_seal(user, key, names, &out), HSM_E_BUFFER);
	out = OUT(sealed);
	assert_ok(hsm_object_seal(user, key, names, &out));
	assert_int_equal(out.len, need);
	assert_ok(hsm_encrypt(user, key, HSM_AES_GCM, &gcm_made, IN("kept"), &m));
	assert_ok(hsm_destroy(user, key));

	assert_ok(hsm_object_open(user, 0, names, (hsm_in){ sealed, need }, &back));
	assert_ok(hsm_attr_get(user, back, HSM_ATTR_LABEL, &l));
	assert_memory_equal(label, "mine", 4);
	assert_ok(hsm_key_describe(user, back, &info));
	assert_true(info.extractable && info.local && info.never_extractable == false);
	uint8_t clear[64];
	hsm_out c = OUT(clear);
	assert_ok(hsm_decrypt(user, back, HSM_AES_GCM, &gcm_made, (hsm_in){ message, m.len }, &c));
	assert_memory_equal(clear, "kept", 4);

	/* Under another name, or altered anywhere, it does not open. */
	assert_ok(hsm_object_open(user, 0, others, (hsm_in){ sealed, need }, &back));
	assert_status(hsm_key_describe(user, back, &info), HSM_E_INTEGRITY);
	assert_ok(hsm_object_close(user, back));
	for (size_t i = 0; i < need; i++) {
		sealed[i] ^= 0x10;
		hsm_status st = hsm_object_open(user, 0, names, (hsm_in){ sealed, need }, &back);
		if (st == HSM_OK) {
			st = hsm_key_describe(user, back, &info);
			assert_ok(hsm_object_close(user, back));
		}
		assert_true(st == HSM_E_INTEGRITY || st == HSM_E_FORMAT);
		sealed[i] ^= 0x10;
	}
}

/* More keys than the arena holds: all of them work. */
static void
evicts_and_reloads(void **state)
{
	enum { KEYS = 12000 };
	hsm_key *keys = calloc(KEYS, sizeof *keys);
	hsm_info info;

	(void)state;
	assert_non_null(keys);
	for (size_t i = 0; i < KEYS; i++)
		keys[i] = make_key(user, aes256, NULL, 0);
	assert_ok(hsm_describe(&info));
	assert_true(info.loaded < info.objects);
	for (size_t i = 0; i < KEYS; i += 7)
		assert_works(user, keys[i]);
	for (size_t i = 0; i < KEYS; i++)
		assert_ok(hsm_destroy(user, keys[i]));
	free(keys);
}

static void
gives_random_bytes(void **state)
{
	uint8_t a[100] = { 0 }, b[100] = { 0 };
	hsm_out x = OUT(a), y = OUT(b);

	(void)state;
	assert_ok(hsm_random(user, &x));
	assert_ok(hsm_random(user, &y));
	assert_int_equal(x.len, 100);
	assert_memory_not_equal(a, b, 100);
}

static void
does_batches(void **state)
{
	hsm_key key = make_key(user, aes256, NULL, 0);
	uint32_t lens[] = { 3, 0, 5 }, out_lens[3], back_lens[3];
	uint8_t sealed[256], clear[256];
	hsm_out out = OUT(sealed), back = OUT(clear);
	size_t done;

	(void)state;
	assert_ok(hsm_batch(user, MECH_ENCRYPT, key, HSM_AES_GCM, &gcm_made, IN("abcdefgh"), lens, 3, &out, out_lens, &done));
	assert_int_equal(done, 3);
	assert_int_equal(out.len, 8 + 3 * 28);
	assert_ok(hsm_batch(user, MECH_DECRYPT, key, HSM_AES_GCM, &gcm_made, (hsm_in){ sealed, out.len }, out_lens, 3, &back, back_lens, &done));
	assert_int_equal(back.len, 8);
	assert_memory_equal(clear, "abcdefgh", 8);
	assert_memory_equal(lens, back_lens, sizeof lens);
	sealed[40] ^= 1;
	back = OUT(clear);
	assert_status(hsm_batch(user, MECH_DECRYPT, key, HSM_AES_GCM, &gcm_made, (hsm_in){ sealed, out.len }, out_lens, 3, &back, back_lens, &done), HSM_E_CIPHERTEXT);
	assert_int_equal(done, 1);
}

/* ---- life ------------------------------------------------------------------ */

static void
serves_nothing_in_a_child(void **state)
{
	hsm_key key = make_key(user, aes256, NULL, 0);
	pid_t child;
	int how;

	(void)state;
	if ((child = fork()) == 0) {
		uint8_t room[64];
		hsm_out out = OUT(room);
		hsm_session s;

		if (hsm_encrypt(user, key, HSM_AES_GCM, &gcm_made, IN("x"), &out) != HSM_E_STATE)
			_exit(1);
		if (hsm_session_open(part, 0, &s) != HSM_E_STATE)
			_exit(2);
		if (hsm_open(NULL) != HSM_OK)
			_exit(3);
		if (hsm_encrypt(user, key, HSM_AES_GCM, &gcm_made, IN("x"), &out) != HSM_E_SESSION)
			_exit(4);
		if (hsm_partition_ephemeral(IN("x"), &part) != HSM_OK || hsm_session_open(part, HSM_SESSION_RW, &s) != HSM_OK)
			_exit(5);
		if (hsm_generate(s, 0, aes256, NULL, 0, &key) != HSM_OK)
			_exit(6);
		if (hsm_encrypt(s, key, HSM_AES_GCM, &gcm_made, IN("x"), &out) != HSM_OK)
			_exit(7);
		hsm_close();
		exit(0);
	}
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFEXITED(how));
	assert_int_equal(WEXITSTATUS(how), 0);
	assert_works(user, key);
}

static void
zeroises(void **state)
{
	hsm_key key = make_key(user, aes256, NULL, 0);
	uint8_t room[64];
	hsm_out out = OUT(room);
	hsm_info info;
	hsm_session s;

	(void)state;
	assert_ok(hsm_zeroise("the lid was opened"));
	assert_status(hsm_encrypt(user, key, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_STATE);
	assert_status(hsm_session_open(part, 0, &s), HSM_E_STATE);
	assert_ok(hsm_describe(&info));
	assert_string_equal(info.state, "zeroised");
	assert_string_equal(info.why, "the lid was opened");
	assert_int_equal(info.loaded, 0);
	assert_int_equal(info.objects, 0);
}

#ifdef STRONGROOM_FAULTS
/* Each self-test is seen to fail, and then nothing is served. */
static void
latches_each_failed_self_test(void **state)
{
	const char *name;
	hsm_session s;
	hsm_info info;

	(void)state;
	for (size_t i = 0; (name = hsm_self_test_at(i)) != NULL; i++) {
		setenv("STRONGROOM_BREAK_SELF_TEST", name, 1);
		assert_status(hsm_open(NULL), HSM_E_SELF_TEST);
		assert_ok(hsm_describe(&info));
		assert_string_equal(info.state, "error");
		assert_string_equal(info.why, name);
		assert_status(hsm_session_service(&s), HSM_E_SELF_TEST);
		unsetenv("STRONGROOM_BREAK_SELF_TEST");
		/* On demand, in service. */
		assert_ok(hsm_open(NULL));
		const char *failed;
		assert_ok(hsm_self_test(name, &failed));
		assert_null(failed);
		setenv("STRONGROOM_BREAK_SELF_TEST", name, 1);
		assert_status(hsm_self_test(NULL, &failed), HSM_E_SELF_TEST);
		assert_string_equal(failed, name);
		assert_status(hsm_session_service(&s), HSM_E_SELF_TEST);
		unsetenv("STRONGROOM_BREAK_SELF_TEST");
		hsm_close();
	}
	assert_true(name == NULL);
	assert_ok(hsm_open(NULL));
	assert_status(hsm_self_test("no such", NULL), HSM_E_ARGS);
	hsm_close();
}
#endif

/* Ten thousand keys in memory: after a tamper event none of them is there, and
 * their room is back. How long it takes is printed, not judged: a machine that
 * others use too may stop in the middle. */
static void
zeroises_ten_thousand_keys(void **state)
{
	enum { KEYS = 10000 };
	struct timespec start, end;
	hsm_info before, info;
	hsm_key first = 0, key = 0;
	uint8_t room[64];
	hsm_out out = OUT(room);

	(void)state;
	assert_ok(hsm_describe(&before));
	for (unsigned i = 0; i < KEYS; i++) {
		key = make_key(user, aes256, NULL, 0);
		first = first == 0 ? key : first;
	}
	assert_ok(hsm_describe(&info));
	assert_int_equal(info.loaded - before.loaded, KEYS);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	assert_ok(hsm_zeroise("the lid was opened"));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	print_message("zeroised in %.2f ms of processor time\n", (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6);
	assert_ok(hsm_describe(&info));
	assert_int_equal(info.loaded, 0);
	assert_int_equal(info.objects, 0);
	/* stacks that were made meanwhile stay, wiped; a key takes more than a hundred bytes */
	assert_true(info.arena_used < before.arena_used + KEYS * 100);
	assert_status(hsm_encrypt(user, first, HSM_AES_GCM, &gcm_made, IN("message"), &out), HSM_E_STATE);
	assert_status(hsm_encrypt(user, key, HSM_AES_GCM, &gcm_made, IN("message"), &out), HSM_E_STATE);
}

static int
open_roomy(void **state)
{
	(void)state;
	return open_with(48 << 20);
}

int
main(void)
{
#define IN_SERVICE(test) cmocka_unit_test_setup_teardown(test, open_module, close_module)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_and_closes),
		IN_SERVICE(seals_and_opens_messages),
		IN_SERVICE(signs_with_pairs),
		IN_SERVICE(macs),
		IN_SERVICE(refuses_stale_and_made_up_handles),
		IN_SERVICE(numbers_sessions_at_random),
		IN_SERVICE(comes_back_from_the_sealed_form),
		cmocka_unit_test_setup_teardown(evicts_and_reloads, open_small, close_module),
		IN_SERVICE(gives_random_bytes),
		IN_SERVICE(does_batches),
		IN_SERVICE(serves_nothing_in_a_child),
		IN_SERVICE(zeroises),
		cmocka_unit_test_setup_teardown(zeroises_ten_thousand_keys, open_roomy, close_module),
#ifdef STRONGROOM_FAULTS
		cmocka_unit_test(latches_each_failed_self_test),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
