#include "vault.h"

#include <sys/stat.h>

#include "base/arena.h"
#include "module/root.h"

static void
make_root(const char *keyfile, uint8_t *header, size_t *len)
{
	hsm_out out = { header, 512, 0 };

	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, keyfile, &out), HSM_OK);
	*len = out.len;
}

static int
seal_again(void **state)
{
	(void)state;
	hsm_root_close();
	return 0;
}

static void
a_root_made_is_open_and_opens_again(void **state)
{
	const char *file = at("root.key");
	uint8_t header[512], mac[32], again[32];
	struct root_info info;
	struct stat s;
	size_t len;

	(void)state;
	make_root(file, header, &len);
	assert_int_equal(stat(file, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	root_describe(&info);
	assert_true(info.unsealed);
	assert_int_equal(info.mode, HSM_MODE_DEV);
	assert_string_equal(info.unseal, "keyfile");
	assert_int_equal(hsm_record_mac(IN("keys"), IN("a"), 1, IN("body"), mac), HSM_OK);

	hsm_root_close();
	root_describe(&info);
	assert_false(info.unsealed);
	assert_string_equal(info.unseal, "");
	assert_int_equal(hsm_record_mac(IN("keys"), IN("a"), 1, IN("body"), again), HSM_E_SEALED);

	assert_int_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_KEYFILE, file), HSM_OK);
	root_describe(&info);
	assert_int_equal(info.mode, HSM_MODE_DEV);
	assert_int_equal(hsm_record_mac(IN("keys"), IN("a"), 1, IN("body"), again), HSM_OK);
	assert_memory_equal(mac, again, sizeof mac);
	/* once more is fine */
	assert_int_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_KEYFILE, file), HSM_OK);
}

static void
an_existing_key_file_is_never_overwritten(void **state)
{
	const char *file = at("there.key");
	uint8_t room[512], back[8];
	hsm_out out = ROOM(room);
	struct root_info info;

	(void)state;
	write_file(file, "precious", 8);
	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, file, &out), HSM_E_EXISTS);
	assert_int_equal(out.len, 0);
	assert_int_equal(read_file(file, back, sizeof back), 8);
	assert_memory_equal(back, "precious", 8);
	root_describe(&info);
	assert_false(info.unsealed);
}

static void
sizes_and_modes(void **state)
{
	uint8_t room[8];
	hsm_out ask = { NULL, 0, 0 }, small = ROOM(room);

	(void)state;
	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("never.key"), &ask), HSM_OK);
	assert_true(ask.len > 0 && ask.len < 512);
	assert_int_not_equal(access(at("never.key"), F_OK), 0);
	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("never.key"), &small), HSM_E_BUFFER);
	assert_int_not_equal(access(at("never.key"), F_OK), 0);
	/* hooks of the laboratory are not in this build */
	assert_int_equal(hsm_root_create(HSM_MODE_LAB, HSM_UNSEAL_KEYFILE, at("never.key"), &ask), HSM_E_MODE);
	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("no/such/folder"), &(hsm_out){ (uint8_t[512]){ 0 }, 512, 0 }), HSM_E_IO);
}

static void
a_wrong_key_file_is_refused_by_name(void **state)
{
	const char *mine = at("mine.key"), *other = at("other.key"), *bad = at("bad.key");
	uint8_t header[512], unused[512], file[256];
	size_t len, unused_len, file_len;

	(void)state;
	make_root(other, unused, &unused_len);
	hsm_root_close();
	make_root(mine, header, &len);
	hsm_root_close();
	assert_int_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_KEYFILE, other), HSM_E_ROOT);
	assert_int_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_KEYFILE, at("none.key")), HSM_E_IO);
	assert_int_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_PASSPHRASE, mine), HSM_E_ROOT);
	write_file(at("junk.key"), "not a key file", 14);
	assert_int_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_KEYFILE, at("junk.key")), HSM_E_FORMAT);

	/* a damaged one */
	file_len = read_file(mine, file, sizeof file);
	for (size_t bit = 0; bit < file_len * 8; bit++) {
		file[bit / 8] ^= (uint8_t)(1u << bit % 8);
		write_file(bad, file, file_len);
		assert_int_not_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_KEYFILE, bad), HSM_OK);
		file[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_KEYFILE, mine), HSM_OK);
	/* another root cannot take the place of the one that is open */
	assert_int_equal(hsm_root_open((hsm_in){ unused, unused_len }, HSM_UNSEAL_KEYFILE, other), HSM_E_EXISTS);
}

static void
every_flipped_bit_and_every_cut_of_the_header_is_refused(void **state)
{
	const char *file = at("flip.key");
	uint8_t header[512];
	struct root_info info;
	size_t len;

	(void)state;
	make_root(file, header, &len);
	hsm_root_close();
	for (size_t bit = 0; bit < len * 8; bit++) {
		header[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_KEYFILE, file), HSM_OK);
		header[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(hsm_root_open((hsm_in){ header, cut }, HSM_UNSEAL_KEYFILE, file), HSM_OK);
	root_describe(&info);
	assert_false(info.unsealed);
	assert_int_equal(hsm_root_open((hsm_in){ header, len }, HSM_UNSEAL_KEYFILE, file), HSM_OK);
}

static void
a_passphrase_opens_and_its_newline_does_not_count(void **state)
{
	const char *file = at("phrase");
	uint8_t header[512];
	hsm_out out = ROOM(header);
	hsm_in h;

	(void)state;
	write_file(file, "correct horse\n", 14);
	assert_int_equal(hsm_root_create(HSM_MODE_PRODUCTION, HSM_UNSEAL_PASSPHRASE, file, &out), HSM_OK);
	hsm_root_close();
	h = (hsm_in){ header, out.len };
	write_file(file, "correct horse", 13);
	assert_int_equal(hsm_root_open(h, HSM_UNSEAL_PASSPHRASE, file), HSM_OK);
	hsm_root_close();
	write_file(file, "correct horse\r\n", 15);
	assert_int_equal(hsm_root_open(h, HSM_UNSEAL_PASSPHRASE, file), HSM_OK);
	hsm_root_close();
	write_file(file, "correct horsf\n", 14);
	assert_int_equal(hsm_root_open(h, HSM_UNSEAL_PASSPHRASE, file), HSM_E_PIN);
	write_file(file, "\n", 1);
	assert_int_equal(hsm_root_open(h, HSM_UNSEAL_PASSPHRASE, file), HSM_E_PIN_LEN);
	/* a header cannot ask for work without end */
	memset(header + 30, 0xff, 4);
	write_file(file, "correct horse", 13);
	assert_int_equal(hsm_root_open(h, HSM_UNSEAL_PASSPHRASE, file), HSM_E_FORMAT);
}

static void
records_bind_table_key_version_and_body(void **state)
{
	uint8_t header[512], mac[32], other[32];
	size_t len;

	(void)state;
	make_root(at("record.key"), header, &len);
	assert_int_equal(hsm_record_mac(IN("keys"), IN("a"), 1, IN("body"), mac), HSM_OK);
	assert_int_equal(hsm_record_check(IN("keys"), IN("a"), 1, IN("body"), (hsm_in){ mac, 32 }), HSM_OK);
	assert_int_equal(hsm_record_check(IN("keyt"), IN("a"), 1, IN("body"), (hsm_in){ mac, 32 }), HSM_E_INTEGRITY);
	assert_int_equal(hsm_record_check(IN("keys"), IN("b"), 1, IN("body"), (hsm_in){ mac, 32 }), HSM_E_INTEGRITY);
	assert_int_equal(hsm_record_check(IN("keys"), IN("a"), 2, IN("body"), (hsm_in){ mac, 32 }), HSM_E_INTEGRITY);
	assert_int_equal(hsm_record_check(IN("keys"), IN("a"), 1, IN("bodz"), (hsm_in){ mac, 32 }), HSM_E_INTEGRITY);
	assert_int_equal(hsm_record_check(IN("keys"), IN("a"), 1, IN("body"), (hsm_in){ mac, 31 }), HSM_E_INTEGRITY);
	/* a border that moved */
	assert_int_equal(hsm_record_mac(IN("key"), IN("sa"), 1, IN("body"), other), HSM_OK);
	assert_memory_not_equal(mac, other, 32);
	for (size_t bit = 0; bit < 256; bit++) {
		mac[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(hsm_record_check(IN("keys"), IN("a"), 1, IN("body"), (hsm_in){ mac, 32 }), HSM_E_INTEGRITY);
		mac[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void
room_that_runs_out_leaves_nothing_behind(void **state)
{
	const char *file = at("fault.key");
	uint8_t header[512];
	hsm_out out = ROOM(header);
	const size_t before = arena_live();
	struct root_info info;

	(void)state;
	for (unsigned n = 0;; n++) {
		hsm_status st;

		fault_after(n);
		st = hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, file, &out);
		fault_off();
		if (!fault_fired()) {
			assert_int_equal(st, HSM_OK);
			assert_true(n > 0);
			break;
		}
		assert_int_equal(st, HSM_E_MEMORY);
		assert_int_equal(arena_live(), before);
		assert_int_not_equal(access(file, F_OK), 0);
	}
	hsm_root_close();
	assert_int_equal(arena_live(), before);
	for (unsigned n = 0;; n++) {
		hsm_status st;

		fault_after(n);
		st = hsm_root_open((hsm_in){ header, out.len }, HSM_UNSEAL_KEYFILE, file);
		fault_off();
		if (!fault_fired()) {
			assert_int_equal(st, HSM_OK);
			return;
		}
		assert_int_equal(st, HSM_E_MEMORY);
		root_describe(&info);
		assert_false(info.unsealed);
		assert_int_equal(arena_live(), before);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_root_made_is_open_and_opens_again, seal_again),
		cmocka_unit_test_teardown(an_existing_key_file_is_never_overwritten, seal_again),
		cmocka_unit_test_teardown(sizes_and_modes, seal_again),
		cmocka_unit_test_teardown(a_wrong_key_file_is_refused_by_name, seal_again),
		cmocka_unit_test_teardown(every_flipped_bit_and_every_cut_of_the_header_is_refused, seal_again),
		cmocka_unit_test_teardown(a_passphrase_opens_and_its_newline_does_not_count, seal_again),
		cmocka_unit_test_teardown(records_bind_table_key_version_and_body, seal_again),
		cmocka_unit_test_teardown(room_that_runs_out_leaves_nothing_behind, seal_again),
	};

	return cmocka_run_group_tests_name("root", tests, vault_open, vault_close);
}
