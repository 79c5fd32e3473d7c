/* A key seals so many messages with GCM, and no more: in one process and over
 * several, by every way in. The limit of 2^32 is lowered for the test. */
#include "vault.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "mech/mech.h"

static const hsm_spec aes256 = { HSM_KEY_AES, 256 };
static const hsm_params made = { .flags = HSM_PARAM_IV_MADE };
static const uint8_t yes = 1;
static const hsm_binding names = { { (const uint8_t *)"object", 6 }, { (const uint8_t *)"", 0 } };

static void
limit_set(const char *limit)
{
	assert_int_equal(setenv("STRONGROOM_GCM_LIMIT", limit, 1), 0);
}

static hsm_status
seal_once(hsm_session s, hsm_key key)
{
	uint8_t room[64];

	return hsm_encrypt(s, key, HSM_AES_GCM, &made, IN("message"), &ROOM(room));
}

/* How many messages it still seals. */
static unsigned
seals_left(hsm_session s, hsm_key key)
{
	hsm_status st;
	unsigned n = 0;

	while ((st = seal_once(s, key)) == HSM_OK)
		n++;
	assert_int_equal(st, HSM_E_COUNTER);
	return n;
}

static hsm_session
local_session(hsm_part *part)
{
	hsm_session s;

	assert_int_equal(hsm_partition_ephemeral(IN("local"), part), HSM_OK);
	assert_int_equal(hsm_session_open(*part, HSM_SESSION_RW, &s), HSM_OK);
	return s;
}

static void
the_limit_is_hard_whichever_way_in(void **state)
{
	static const uint8_t iv[12] = { 7 };
	const hsm_params given = { .iv = { iv, 12 } };
	const uint32_t lens[3] = { 2, 2, 2 };
	uint8_t room[256], mac[32];
	uint32_t out_lens[3];
	hsm_out ask = { NULL, 0, 0 }, out = ROOM(room);
	hsm_part part;
	hsm_session s;
	hsm_key key, other;
	size_t done;

	(void)state;
	limit_set("100");
	s = local_session(&part);
	assert_int_equal(hsm_generate(s, 0, aes256, NULL, 0, &key), HSM_OK);
	assert_int_equal(hsm_generate(s, 0, aes256, NULL, 0, &other), HSM_OK);
	/* asking for a size spends nothing */
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(hsm_encrypt(s, key, HSM_AES_GCM, &made, IN("message"), &ask), HSM_OK);
	assert_int_equal(seal_once(s, key), HSM_OK);
	assert_int_equal(hsm_encrypt(s, key, HSM_AES_GCM, &given, IN("message"), &out), HSM_OK);
	assert_int_equal(hsm_batch(s, MECH_ENCRYPT, key, HSM_AES_GCM, &made, IN("aabbcc"), lens, 3, &out, out_lens, &done), HSM_OK);
	assert_int_equal(hsm_sign(s, key, HSM_AES_GMAC, &given, IN("message"), &ROOM(mac)), HSM_OK);
	assert_int_equal(hsm_begin(s, MECH_ENCRYPT, key, HSM_AES_GCM, &made), HSM_OK);
	assert_int_equal(hsm_cancel(s, MECH_ENCRYPT), HSM_OK);
	/* 1 + 1 + 3 + 1 + 1 are gone; other modes are not counted */
	assert_int_equal(hsm_encrypt(s, key, HSM_AES_CBC_PAD, &(hsm_params){ .iv = { room, 16 } }, IN("message"), &ROOM(mac)), HSM_OK);
	assert_int_equal(seals_left(s, key), 93);
	assert_int_equal(hsm_begin(s, MECH_ENCRYPT, key, HSM_AES_GCM, &made), HSM_E_COUNTER);
	assert_int_equal(hsm_sign(s, key, HSM_AES_GMAC, &given, IN("message"), &ROOM(mac)), HSM_E_COUNTER);
	assert_int_equal(hsm_batch(s, MECH_ENCRYPT, key, HSM_AES_GCM, &made, IN("aabbcc"), lens, 3, &out, out_lens, &done), HSM_E_COUNTER);
	/* it opens for ever, and another key is another key */
	assert_int_equal(hsm_encrypt(s, other, HSM_AES_GCM, &made, IN("message"), &out), HSM_OK);
	assert_int_equal(hsm_decrypt(s, other, HSM_AES_GCM, &made, (hsm_in){ room, out.len }, &ROOM(mac)), HSM_OK);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
}

struct crowd { hsm_session s; hsm_key key; _Atomic unsigned sealed; };

static void *
crowd_work(void *arg)
{
	struct crowd *c = arg;

	while (seal_once(c->s, c->key) == HSM_OK)
		atomic_fetch_add(&c->sealed, 1);
	return NULL;
}

static void
threads_share_it_to_the_last(void **state)
{
	struct crowd c = { .sealed = 0 };
	pthread_t threads[8];
	hsm_part part;

	(void)state;
	limit_set("20000");
	c.s = local_session(&part);
	assert_int_equal(hsm_generate(c.s, 0, aes256, NULL, 0, &c.key), HSM_OK);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_work, &c), 0);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(c.sealed + seals_left(c.s, c.key), 20000);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
}

/* ---- tokens ------------------------------------------------------------------------ */

struct at_rest { uint8_t header[HSM_TOKEN_HEADER_MAX], object[2048]; size_t header_len, object_len; };

static hsm_session
token_session(const struct at_rest *t, hsm_part *part)
{
	hsm_session s;

	assert_int_equal(hsm_token_open(at("device"), (hsm_in){ t->header, t->header_len }, part), HSM_OK);
	assert_int_equal(hsm_session_open(*part, HSM_SESSION_RW, &s), HSM_OK);
	assert_int_equal(hsm_login(s, HSM_ROLE_USER, IN("user")), HSM_OK);
	return s;
}

static void
token_make(struct at_rest *t)
{
	const hsm_attr token[] = { { HSM_ATTR_TOKEN, { &yes, 1 } } };
	hsm_out out = ROOM(t->header);
	hsm_session s;
	hsm_part part;
	hsm_key key;

	assert_int_equal(hsm_token_create(at("device"), IN("officer"), false, &out, &part), HSM_OK);
	assert_int_equal(hsm_session_open(part, HSM_SESSION_RW, &s), HSM_OK);
	assert_int_equal(hsm_login(s, HSM_ROLE_OFFICER, IN("officer")), HSM_OK);
	out = ROOM(t->header);
	assert_int_equal(hsm_token_pin(s, HSM_ROLE_USER, HSM_NONE, IN("user"), &out), HSM_OK);
	t->header_len = out.len;
	assert_int_equal(hsm_partition_close(part), HSM_OK);
	s = token_session(t, &part);
	assert_int_equal(hsm_generate(s, 0, aes256, token, 1, &key), HSM_OK);
	out = ROOM(t->object);
	assert_int_equal(hsm_object_seal(s, key, names, &out), HSM_OK);
	t->object_len = out.len;
	assert_int_equal(hsm_partition_close(part), HSM_OK);
}

/* Seals `want` messages with the token's key, as a program that starts, works
 * and ends does; or all that it may (want 0). */
static unsigned
program_seals(const struct at_rest *t, unsigned want)
{
	unsigned n = 0;
	hsm_session s;
	hsm_part part;
	hsm_key key;

	s = token_session(t, &part);
	assert_int_equal(hsm_object_open(s, 0, names, (hsm_in){ t->object, t->object_len }, &key), HSM_OK);
	if (want == 0)
		n = seals_left(s, key);
	for (; n < want; n++)
		assert_int_equal(seal_once(s, key), HSM_OK);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
	return n;
}

static void
uses_path(char path[512])
{
	struct dirent *entry;
	DIR *d = opendir(at("device"));

	assert_non_null(d);
	path[0] = '\0';
	while ((entry = readdir(d)) != NULL) {
		if (strstr(entry->d_name, ".uses") != NULL) {
			assert_int_equal(path[0], '\0');
			snprintf(path, 512, "%s/%s", at("device"), entry->d_name);
		}
	}
	closedir(d);
	assert_int_not_equal(path[0], '\0');
}

static void
a_tokens_count_outlives_the_process(void **state)
{
	struct at_rest t;
	unsigned sealed = 0;

	(void)state;
	limit_set("1000");
	token_make(&t);
	/* a process that is gone had its first block of 64, used or not */
	for (unsigned i = 0; i < 10; i++)
		sealed += program_seals(&t, 3);
	assert_int_equal(sealed, 30);
	assert_int_equal(program_seals(&t, 0), 1000 - 10 * 64);
	assert_int_equal(program_seals(&t, 0), 0);
}

static void
two_programs_at_once_share_it(void **state)
{
	struct at_rest t;
	hsm_session s;
	hsm_part part;
	hsm_key first, second;
	unsigned sealed = 0;

	(void)state;
	limit_set("500");
	token_make(&t);
	s = token_session(&t, &part);
	assert_int_equal(hsm_object_open(s, 0, names, (hsm_in){ t.object, t.object_len }, &first), HSM_OK);
	/* a second object with the same key, as a copy is */
	assert_int_equal(hsm_object_open(s, 0, names, (hsm_in){ t.object, t.object_len }, &second), HSM_OK);
	for (unsigned turn = 0; turn < 1000; turn++) {
		const hsm_status st = seal_once(s, (turn & 1) == 0 ? first : second);

		assert_true(st == HSM_OK || st == HSM_E_COUNTER);
		sealed += st == HSM_OK;
	}
	assert_int_equal(sealed, 500);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
}

static void
an_altered_count_is_refused(void **state)
{
	uint8_t bytes[1024];
	struct at_rest t;
	char path[512];
	hsm_session s;
	hsm_part part;
	hsm_key key;
	size_t len;

	(void)state;
	limit_set("1000");
	token_make(&t);
	(void)program_seals(&t, 1);
	uses_path(path);
	len = read_file(path, bytes, sizeof bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= 0xFF;
	write_file(path, bytes, len);
	s = token_session(&t, &part);
	assert_int_equal(hsm_object_open(s, 0, names, (hsm_in){ t.object, t.object_len }, &key), HSM_OK);
	assert_int_equal(seal_once(s, key), HSM_E_INTEGRITY);
	/* a torn write leaves the record before */
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= 0xFF;
	memset(bytes, 0, 20);
	write_file(path, bytes, len);
	assert_int_equal(seal_once(s, key), HSM_OK);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
}

static int
device_away(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s/device", folder);
	unsetenv("STRONGROOM_GCM_LIMIT");
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_limit_is_hard_whichever_way_in, device_away),
		cmocka_unit_test_teardown(threads_share_it_to_the_last, device_away),
		cmocka_unit_test_teardown(a_tokens_count_outlives_the_process, device_away),
		cmocka_unit_test_teardown(two_programs_at_once_share_it, device_away),
		cmocka_unit_test_teardown(an_altered_count_is_refused, device_away),
	};

	return cmocka_run_group_tests_name("invocations", tests, vault_open, vault_close);
}
