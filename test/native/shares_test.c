/* The root key in several unseal slots: people's shares, files, somebody
 * else's answer. */
#include "vault.h"

#include "base/arena.h"
#include "module/gate.h"
#include "module/root.h"
#include "module/share.h"

#define LINE (HSM_SHARE_TEXT + 1)

static uint8_t header[4096];
static size_t header_len;
static uint8_t texts[HSM_SHARES_MAX * LINE];

static int
seal_again(void **state)
{
	(void)state;
	hsm_root_close();
	return 0;
}

static hsm_in
head(void)
{
	return (hsm_in){ header, header_len };
}

static hsm_in
share(unsigned i)
{
	return (hsm_in){ texts + i * LINE, HSM_SHARE_TEXT };
}

static bool
unsealed(void)
{
	struct root_info info;

	root_describe(&info);
	return info.unsealed;
}

static void
make(unsigned threshold, unsigned count)
{
	const hsm_slot slot = { .how = HSM_UNSEAL_SHARES, .threshold = threshold, .count = count };
	hsm_out out = ROOM(header), shares = ROOM(texts);

	assert_int_equal(hsm_root_make(HSM_MODE_DEV, &slot, &shares, &out), HSM_OK);
	assert_int_equal(shares.len, count * LINE);
	header_len = out.len;
}

static hsm_status
put(const char *purpose, unsigned i, uint32_t *have, uint32_t *need)
{
	return hsm_share_put(head(), (hsm_in){ (const uint8_t *)purpose, strlen(purpose) }, share(i), have, need);
}

/* All subsets of all splittings up to 6 parts, and of 3 of 5 at length through
 * the module's own door. */
static void
enough_of_them_give_it_back_and_fewer_do_not(void **state)
{
	static const unsigned shapes[][2] = { { 1, 1 }, { 1, 3 }, { 2, 2 }, { 2, 3 }, { 3, 5 }, { 5, 5 } };

	(void)state;
	for (unsigned s = 0; s < sizeof shapes / sizeof *shapes; s++) {
		const unsigned threshold = shapes[s][0], count = shapes[s][1];

		make(threshold, count);
		for (unsigned subset = 1; subset < 1u << count; subset++) {
			unsigned given = 0;
			uint32_t have, need;

			hsm_root_close();
			for (unsigned i = 0; i < count && given < threshold; i++) {
				if ((subset >> i & 1) == 0)
					continue;
				assert_false(unsealed());
				assert_int_equal(put("unseal", i, &have, &need), HSM_OK);
				assert_int_equal(have, ++given);
				assert_int_equal(need, threshold);
			}
			assert_int_equal(unsealed(), (unsigned)__builtin_popcount(subset) >= threshold);
		}
		hsm_root_close();
	}
}

/* The arithmetic by itself, larger: every 4 of 9, in another order. */
struct many { unsigned wrong; };

static hsm_status
split_and_join(void *arg)
{
	struct many *m = arg;
	uint8_t secret[SHAMIR_LEN], parts[SHAMIR_PARTS_MAX][SHAMIR_LEN], some[4][SHAMIR_LEN], back[SHAMIR_LEN], xs[4];
	hsm_status st;

	for (unsigned i = 0; i < sizeof secret; i++)
		secret[i] = (uint8_t)(i * 37 + 1);
	if ((st = shamir_split(secret, 4, 9, parts)) != HSM_OK)
		return st;
	for (unsigned subset = 0; subset < 1u << 9; subset++) {
		unsigned n = 0;

		if (__builtin_popcount(subset) != 4)
			continue;
		for (unsigned i = 9; i-- > 0;) {
			if ((subset >> i & 1) == 0)
				continue;
			xs[n] = (uint8_t)(i + 1);
			memcpy(some[n++], parts[i], SHAMIR_LEN);
		}
		shamir_join(xs, (const uint8_t (*)[SHAMIR_LEN])some, 4, back);
		m->wrong += memcmp(back, secret, sizeof secret) != 0;
		/* one too few is another value */
		shamir_join(xs, (const uint8_t (*)[SHAMIR_LEN])some, 3, back);
		m->wrong += memcmp(back, secret, sizeof secret) == 0;
	}
	return HSM_OK;
}

/* p(x) = 0x42 + 0x13 x + 0x9e x^2, worked out with tables of logarithms. */
static hsm_status
known_points(void *arg)
{
	struct many *m = arg;
	static const uint8_t xs[3] = { 1, 5, 0x20 };
	uint8_t parts[3][SHAMIR_LEN] = { { 0xcf }, { 0xa0 }, { 0x0c } }, back[SHAMIR_LEN];

	shamir_join(xs, (const uint8_t (*)[SHAMIR_LEN])parts, 3, back);
	m->wrong += back[0] != 0x42 || back[1] != 0;
	return HSM_OK;
}


static void
the_arithmetic(void **state)
{
	struct many m = { 0 };

	(void)state;
	assert_int_equal(gate_call(split_and_join, &m, 0, 16384), HSM_OK);
	assert_int_equal(gate_call(known_points, &m, 0, 16384), HSM_OK);
	assert_int_equal(m.wrong, 0);
	assert_int_equal(hsm_root_make(HSM_MODE_DEV, &(hsm_slot){ .how = HSM_UNSEAL_SHARES, .threshold = 0, .count = 3 }, &ROOM(texts), &ROOM(header)), HSM_E_ARGS);
	assert_int_equal(hsm_root_make(HSM_MODE_DEV, &(hsm_slot){ .how = HSM_UNSEAL_SHARES, .threshold = 4, .count = 3 }, &ROOM(texts), &ROOM(header)), HSM_E_ARGS);
	assert_int_equal(hsm_root_make(HSM_MODE_DEV, &(hsm_slot){ .how = HSM_UNSEAL_SHARES, .threshold = 2, .count = 33 }, &ROOM(texts), &ROOM(header)), HSM_E_ARGS);
	assert_int_equal(hsm_root_make(HSM_MODE_DEV, &(hsm_slot){ .how = HSM_UNSEAL_SHARES, .threshold = 2, .count = 3 }, NULL, &ROOM(header)), HSM_E_ARGS);
}

static void
a_slip_of_the_pen_is_found(void **state)
{
	static const char wrong[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint8_t copy[HSM_SHARE_TEXT + 2];
	uint32_t have, need;

	(void)state;
	make(2, 3);
	hsm_root_close();
	for (unsigned i = 0; i < HSM_SHARE_TEXT; i++) {
		memcpy(copy, texts, HSM_SHARE_TEXT);
		copy[i] = (uint8_t)wrong[((strchr(wrong, copy[i]) == NULL ? wrong : strchr(wrong, copy[i])) - wrong + 1) % 32];
		assert_int_equal(hsm_share_put(head(), IN("unseal"), (hsm_in){ copy, HSM_SHARE_TEXT }, &have, &need), HSM_E_FORMAT);
	}
	for (unsigned len = 0; len < HSM_SHARE_TEXT; len++)
		assert_int_equal(hsm_share_put(head(), IN("unseal"), (hsm_in){ texts, len }, &have, &need), HSM_E_FORMAT);
	/* in capitals, with a line end */
	for (unsigned i = 0; i < HSM_SHARE_TEXT; i++)
		copy[i] = (uint8_t)(texts[i] >= 'a' && texts[i] <= 'z' ? texts[i] - 32 : texts[i]);
	memcpy(copy + HSM_SHARE_TEXT, "\r\n", 2);
	assert_int_equal(hsm_share_put(head(), IN("unseal"), (hsm_in){ copy, sizeof copy }, &have, &need), HSM_OK);
	assert_int_equal(have, 1);
	/* the same once more is told apart from a new one */
	assert_int_equal(put("unseal", 0, &have, &need), HSM_E_EXISTS);
	assert_int_equal(put("unseal", 1, &have, &need), HSM_OK);
	assert_true(unsealed());
}

static void
shares_of_another_set_are_refused_by_name(void **state)
{
	uint8_t first[sizeof texts], first_header[512];
	size_t first_len;
	uint32_t have, need;

	(void)state;
	make(2, 3);
	memcpy(first, texts, sizeof first);
	memcpy(first_header, header, first_len = header_len);
	hsm_root_close();
	make(2, 3);
	hsm_root_close();
	assert_int_equal(hsm_share_put(head(), IN("unseal"), (hsm_in){ first, HSM_SHARE_TEXT }, &have, &need), HSM_E_ROOT);
	assert_int_equal(hsm_share_put((hsm_in){ first_header, first_len }, IN("unseal"), (hsm_in){ first, HSM_SHARE_TEXT }, &have, &need), HSM_OK);
}

static void
a_forged_share_opens_nothing_and_all_begins_anew(void **state)
{
	struct share forged;
	uint8_t text[HSM_SHARE_TEXT];
	uint32_t have, need;

	(void)state;
	make(2, 3);
	hsm_root_close();
	assert_int_equal(share_read(share(0), &forged), HSM_OK);
	forged.value[7] ^= 1;
	assert_int_equal(share_write(&forged, text), HSM_OK);
	assert_int_equal(hsm_share_put(head(), IN("unseal"), (hsm_in){ text, sizeof text }, &have, &need), HSM_OK);
	assert_int_equal(put("unseal", 1, &have, &need), HSM_E_PIN);
	assert_false(unsealed());
	assert_int_equal(put("unseal", 1, &have, &need), HSM_OK);
	assert_int_equal(have, 1);
	hsm_share_drop();
	assert_int_equal(put("unseal", 1, &have, &need), HSM_OK);
	assert_int_equal(put("unseal", 2, &have, &need), HSM_OK);
	assert_true(unsealed());
}

static void
a_quorum_is_for_one_purpose(void **state)
{
	uint32_t have, need;

	(void)state;
	make(2, 3);
	assert_int_equal(put("delete 111122223333", 0, &have, &need), HSM_OK);
	/* what came for one thing does not count for another */
	assert_int_equal(put("delete 444455556666", 1, &have, &need), HSM_OK);
	assert_int_equal(have, 1);
	assert_int_equal(put("delete 444455556666", 1, &have, &need), HSM_E_EXISTS);
	assert_int_equal(put("delete 444455556666", 2, &have, &need), HSM_OK);
	assert_int_equal(have, need);
	/* and once is once */
	assert_int_equal(put("delete 444455556666", 2, &have, &need), HSM_OK);
	assert_int_equal(have, 1);
	hsm_root_close();
	assert_int_equal(put("delete 444455556666", 1, &have, &need), HSM_OK);
	assert_int_equal(have, 1);
	assert_int_equal(put("delete 444455556666", 2, &have, &need), HSM_E_SEALED);
	assert_false(unsealed());
}

/* ---- several slots ------------------------------------------------------------ */

static void
add(const hsm_slot *slot, hsm_status want)
{
	uint8_t room[4096];
	hsm_out fresh = ROOM(room), shares = ROOM(texts);

	assert_int_equal(hsm_root_slot_add(head(), slot, &shares, &fresh), want);
	if (want != HSM_OK) {
		assert_int_equal(fresh.len, 0);
		return;
	}
	memcpy(header, room, header_len = fresh.len);
}

static void
without(uint32_t i, hsm_status want)
{
	uint8_t room[4096];
	hsm_out fresh = ROOM(room);

	assert_int_equal(hsm_root_slot_remove(head(), i, &fresh), want);
	if (want == HSM_OK)
		memcpy(header, room, header_len = fresh.len);
}

static hsm_unseal
slot_kind(uint32_t i)
{
	uint8_t note[HSM_NOTE_MAX];
	hsm_out out = ROOM(note);
	hsm_slot_info info;

	assert_int_equal(hsm_root_slot_at(head(), i, &info, &out), HSM_OK);
	return info.how;
}

static void
any_slot_opens_the_same_root(void **state)
{
	const hsm_slot file = { .how = HSM_UNSEAL_KEYFILE, .path = at("any.key") }, phrase = { .how = HSM_UNSEAL_PASSPHRASE, .path = at("phrase") },
		people = { .how = HSM_UNSEAL_SHARES, .threshold = 2, .count = 3 },
		other = { .how = HSM_UNSEAL_HELD, .path = at("any.part"), .note = IN("kms http://127.0.0.1 alias/unseal"), .answer = IN("0123456789abcdef0123456789abcdef") };
	hsm_out out = ROOM(header);
	uint8_t mac[32], again[32], note[64];
	hsm_out room = ROOM(note);
	hsm_slot wrong = other;
	hsm_slot_info info;
	uint32_t have, need;

	(void)state;
	write_file(at("phrase"), "correct horse\n", 14);
	assert_int_equal(hsm_root_make(HSM_MODE_DEV, &file, NULL, &out), HSM_OK);
	header_len = out.len;
	assert_int_equal(hsm_record_mac(IN("keys"), IN("a"), 1, IN("body"), mac), HSM_OK);
	add(&phrase, HSM_OK);
	add(&people, HSM_OK);
	add(&other, HSM_OK);
	/* the part's file is there: refused, and the header stays as it was */
	add(&other, HSM_E_EXISTS);
	assert_int_equal(slot_kind(0), HSM_UNSEAL_KEYFILE);
	assert_int_equal(slot_kind(1), HSM_UNSEAL_PASSPHRASE);
	assert_int_equal(hsm_root_slot_at(head(), 2, &info, &room), HSM_OK);
	assert_int_equal(info.how, HSM_UNSEAL_SHARES);
	assert_int_equal(info.threshold, 2);
	assert_int_equal(info.count, 3);
	assert_int_equal(hsm_root_slot_at(head(), 3, &info, &room), HSM_OK);
	assert_int_equal(info.how, HSM_UNSEAL_HELD);
	assert_int_equal(room.len, other.note.len);
	assert_memory_equal(note, other.note.ptr, room.len);
	assert_int_equal(hsm_root_slot_at(head(), 4, &info, &room), HSM_E_ARGS);

	for (unsigned way = 0; way < 4; way++) {
		hsm_root_close();
		switch (way) {
		case 0:
			assert_int_equal(hsm_root_open_slot(head(), &file), HSM_OK);
			break;
		case 1:
			assert_int_equal(hsm_root_open_slot(head(), &phrase), HSM_OK);
			break;
		case 2:
			assert_int_equal(put("unseal", 2, &have, &need), HSM_OK);
			assert_int_equal(put("unseal", 0, &have, &need), HSM_OK);
			break;
		default:
			wrong.answer = IN("0123456789abcdef0123456789abcdeF");
			assert_int_equal(hsm_root_open_slot(head(), &wrong), HSM_E_PIN);
			assert_int_equal(hsm_root_open_slot(head(), &other), HSM_OK);
			break;
		}
		assert_int_equal(hsm_record_mac(IN("keys"), IN("a"), 1, IN("body"), again), HSM_OK);
		assert_memory_equal(mac, again, sizeof mac);
	}
	/* shares are put, not opened with */
	assert_int_equal(hsm_root_open_slot(head(), &people), HSM_E_ARGS);
}

static void
a_slot_that_was_removed_opens_no_more(void **state)
{
	const hsm_slot file = { .how = HSM_UNSEAL_KEYFILE, .path = at("old.key") }, fresh = { .how = HSM_UNSEAL_KEYFILE, .path = at("new.key") };
	hsm_out out = ROOM(header);

	(void)state;
	assert_int_equal(hsm_root_make(HSM_MODE_DEV, &file, NULL, &out), HSM_OK);
	header_len = out.len;
	without(0, HSM_E_LIMIT);
	add(&fresh, HSM_OK);
	hsm_root_close();
	/* of two of a kind, either */
	assert_int_equal(hsm_root_open_slot(head(), &file), HSM_OK);
	hsm_root_close();
	assert_int_equal(hsm_root_open_slot(head(), &fresh), HSM_OK);
	without(2, HSM_E_ARGS);
	without(0, HSM_OK);
	hsm_root_close();
	assert_int_not_equal(hsm_root_open_slot(head(), &file), HSM_OK);
	assert_int_equal(hsm_root_open_slot(head(), &fresh), HSM_OK);
}

static void
shares_are_made_anew(void **state)
{
	const hsm_slot people = { .how = HSM_UNSEAL_SHARES, .threshold = 2, .count = 2 };
	uint8_t old[sizeof texts];
	uint32_t have, need;

	(void)state;
	make(2, 3);
	memcpy(old, texts, sizeof old);
	add(&people, HSM_OK);
	without(0, HSM_OK);
	hsm_root_close();
	assert_int_equal(hsm_share_put(head(), IN("unseal"), (hsm_in){ old, HSM_SHARE_TEXT }, &have, &need), HSM_E_ROOT);
	assert_int_equal(put("unseal", 0, &have, &need), HSM_OK);
	assert_int_equal(put("unseal", 1, &have, &need), HSM_OK);
	assert_true(unsealed());
}

static void
slots_are_changed_by_the_open_root_alone(void **state)
{
	const hsm_slot people = { .how = HSM_UNSEAL_SHARES, .threshold = 1, .count = 1 };
	uint8_t mine[sizeof header];
	size_t mine_len;

	(void)state;
	make(1, 1);
	memcpy(mine, header, mine_len = header_len);
	hsm_root_close();
	add(&people, HSM_E_SEALED);
	without(0, HSM_E_SEALED);
	make(1, 1);
	memcpy(header, mine, header_len = mine_len);
	add(&people, HSM_E_ROOT);
	for (unsigned i = 1; i < HSM_SLOTS_MAX; i++) {
		if (i == 1)
			hsm_root_close(), make(1, 1);
		add(&people, HSM_OK);
	}
	add(&people, HSM_E_LIMIT);
	/* an edited header gets no new MAC */
	header[HSM_SLOTS_MAX] ^= 1;
	add(&people, HSM_E_ROOT);
	header[HSM_SLOTS_MAX] ^= 1;
	header[header_len - 40] ^= 1;
	without(0, HSM_E_INTEGRITY);
}

static void
every_flipped_bit_of_a_header_with_all_kinds_is_refused(void **state)
{
	const hsm_slot file = { .how = HSM_UNSEAL_KEYFILE, .path = at("bits.key") },
		other = { .how = HSM_UNSEAL_HELD, .path = at("bits.part"), .note = IN("a note that is longer than sixty-four bytes, so that its digest binds it, not itself"), .answer = IN("0123456789abcdef") };

	(void)state;
	make(1, 2);
	add(&other, HSM_OK);
	add(&file, HSM_OK);
	for (size_t bit = 0; bit < header_len * 8; bit++) {
		hsm_root_close();
		header[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(hsm_root_open_slot(head(), &file), HSM_OK);
		assert_int_not_equal(hsm_root_open_slot(head(), &other), HSM_OK);
		header[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(hsm_root_open_slot(head(), &other), HSM_OK);
}

static void
room_that_runs_out_leaves_nothing_behind(void **state)
{
	const hsm_slot people = { .how = HSM_UNSEAL_SHARES, .threshold = 2, .count = 3 };
	const size_t before = arena_live();
	uint32_t have, need;
	hsm_status st;

	(void)state;
	for (unsigned n = 0;; n++) {
		hsm_out out = ROOM(header), shares = ROOM(texts);

		fault_after(n);
		st = hsm_root_make(HSM_MODE_DEV, &people, &shares, &out);
		fault_off();
		header_len = out.len;
		if (!fault_fired())
			break;
		assert_int_equal(st, HSM_E_MEMORY);
		assert_int_equal(shares.len, 0);
		assert_int_equal(arena_live(), before);
	}
	assert_int_equal(st, HSM_OK);
	for (unsigned n = 0;; n++) {
		hsm_root_close();
		assert_int_equal(arena_live(), before);
		fault_after(n);
		if ((st = put("unseal", 0, &have, &need)) == HSM_OK)
			st = put("unseal", 2, &have, &need);
		fault_off();
		if (!fault_fired())
			break;
		assert_int_equal(st, HSM_E_MEMORY);
		assert_false(unsealed());
	}
	assert_int_equal(st, HSM_OK);
	assert_true(unsealed());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(enough_of_them_give_it_back_and_fewer_do_not, seal_again),
		cmocka_unit_test_teardown(the_arithmetic, seal_again),
		cmocka_unit_test_teardown(a_slip_of_the_pen_is_found, seal_again),
		cmocka_unit_test_teardown(shares_of_another_set_are_refused_by_name, seal_again),
		cmocka_unit_test_teardown(a_forged_share_opens_nothing_and_all_begins_anew, seal_again),
		cmocka_unit_test_teardown(a_quorum_is_for_one_purpose, seal_again),
		cmocka_unit_test_teardown(any_slot_opens_the_same_root, seal_again),
		cmocka_unit_test_teardown(a_slot_that_was_removed_opens_no_more, seal_again),
		cmocka_unit_test_teardown(shares_are_made_anew, seal_again),
		cmocka_unit_test_teardown(slots_are_changed_by_the_open_root_alone, seal_again),
		cmocka_unit_test_teardown(every_flipped_bit_of_a_header_with_all_kinds_is_refused, seal_again),
		cmocka_unit_test_teardown(room_that_runs_out_leaves_nothing_behind, seal_again),
	};

	return cmocka_run_group_tests_name("shares", tests, vault_open, vault_close);
}
