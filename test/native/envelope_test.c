#include "vault.h"

#include "base/arena.h"
#include "module/context.h"
#include "module/envelope.h"
#include "module/session.h"

#define UUID "1234abcd-12ab-34cd-56ef-1234567890ab"
#define MATERIAL "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static hsm_session service, caller, stranger;
static hsm_part part, other_part;
static hsm_key key;

static hsm_key
make_kdk(hsm_part where, const char *object_id, const char *material_id)
{
	const hsm_binding binding = { { (const uint8_t *)object_id, strlen(object_id) }, { (const uint8_t *)material_id, strlen(material_id) } };
	uint8_t sealed[1024];
	hsm_out out = ROOM(sealed);
	hsm_key made;

	assert_int_equal(hsm_generate(service, where, (hsm_spec){ HSM_KEY_KDK, 256 }, NULL, 0, &made), HSM_OK);
	assert_int_equal(hsm_object_seal(service, made, binding, &out), HSM_OK);
	assert_int_equal(hsm_destroy(service, made), HSM_OK);
	assert_int_equal(hsm_object_open(service, where, binding, (hsm_in){ sealed, out.len }, &made), HSM_OK);
	return made;
}

static hsm_session
make_caller(hsm_part where)
{
	hsm_session session;
	struct partition *p;

	assert_int_equal(partition_acquire(where, &p), HSM_OK);
	assert_int_equal(session_make(p, HSM_ROLE_CALLER, 0, IN("arn:aws:iam::111111111111:root"), &session), HSM_OK);
	partition_release(p);
	return session;
}

static int
open_account(void **state)
{
	static uint8_t header[512], sealed[256];
	hsm_out root = ROOM(header), out = ROOM(sealed);

	if (vault_open(state) != 0 || hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("root.key"), &root) != HSM_OK
	    || hsm_partition_create(IN("111111111111"), &out, &part) != HSM_OK
	    || hsm_partition_create(IN("222222222222"), &out, &other_part) != HSM_OK || hsm_session_service(&service) != HSM_OK)
		return -1;
	caller = make_caller(part);
	stranger = make_caller(other_part);
	key = make_kdk(part, UUID, MATERIAL);
	return 0;
}

/* pairs: name, value, name, value ... NULL */
static hsm_in
pack(uint8_t *room, ...)
{
	struct writer w;
	const char *word;
	va_list words;

	writer_init(&w, room, 65536);
	va_start(words, room);
	while ((word = va_arg(words, const char *)) != NULL)
		writer_block32(&w, (hsm_in){ (const uint8_t *)word, strlen(word) });
	va_end(words);
	return (hsm_in){ room, w.len };
}

static uint8_t pairs_room[65536], blob[8192], clear[8192];

static hsm_status
seal(hsm_in pairs, hsm_in plain, hsm_in *sealed)
{
	hsm_out out = ROOM(blob);
	const hsm_status st = hsm_envelope_seal(caller, key, pairs, plain, &out);

	*sealed = (hsm_in){ blob, out.len };
	return st;
}

static hsm_status
open_it(hsm_in pairs, hsm_in sealed, size_t *len)
{
	hsm_out out = ROOM(clear);
	const hsm_status st = hsm_envelope_open(caller, key, pairs, sealed, &out);

	*len = out.len;
	return st;
}

static void
what_was_sealed_opens(void **state)
{
	static const size_t sizes[] = { 1, 16, 32, 64, 511, 512, 513, 1000, 4096 };
	hsm_in pairs = pack(pairs_room, "tenant", "a", "purpose", "b", NULL), sealed;
	uint8_t plain[4097];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_int_equal(seal(pairs, (hsm_in){ plain, sizes[i] }, &sealed), HSM_OK);
		assert_true(sealed.len <= 6144);
		assert_int_equal(sealed.len, sizes[i] + 129);
		assert_int_equal(open_it(pairs, sealed, &len), HSM_OK);
		assert_int_equal(len, sizes[i]);
		assert_memory_equal(clear, plain, len);
	}
	assert_int_equal(seal(pairs, (hsm_in){ plain, 4097 }, &sealed), HSM_E_DATA_LEN);
	assert_int_equal(sealed.len, 0);
	assert_int_equal(seal(pairs, HSM_NONE, &sealed), HSM_E_DATA_LEN);
	assert_true(hsm_approved());
}

static void
the_order_of_the_context_does_not_count_its_content_does(void **state)
{
	static uint8_t other_room[65536];
	hsm_in pairs = pack(pairs_room, "b", "2", "a", "1", "aa", "", NULL), sealed;
	size_t len;

	(void)state;
	assert_int_equal(seal(pairs, IN("secret"), &sealed), HSM_OK);
	assert_int_equal(open_it(pack(other_room, "aa", "", "a", "1", "b", "2", NULL), sealed, &len), HSM_OK);
	assert_int_equal(open_it(pack(other_room, "a", "1", "b", "2", NULL), sealed, &len), HSM_E_CIPHERTEXT);
	assert_int_equal(len, 0);
	assert_int_equal(open_it(pack(other_room, "a", "2", "b", "1", "aa", "", NULL), sealed, &len), HSM_E_CIPHERTEXT);
	assert_int_equal(open_it(pack(other_room, "A", "1", "b", "2", "aa", "", NULL), sealed, &len), HSM_E_CIPHERTEXT);
	assert_int_equal(open_it(HSM_NONE, sealed, &len), HSM_E_CIPHERTEXT);
	assert_int_equal(open_it(pack(other_room, "a", "1", "b", "2", "aa", "", "c", "3", NULL), sealed, &len), HSM_E_CIPHERTEXT);
}

static void
a_context_must_be_pairs_of_utf8_without_doubles(void **state)
{
	hsm_in sealed;
	struct writer w;

	(void)state;
	assert_int_equal(seal(pack(pairs_room, "a", "1", "a", "1", NULL), IN("x"), &sealed), HSM_E_DATA);
	assert_int_equal(seal(pack(pairs_room, "a", "1", "b", NULL), IN("x"), &sealed), HSM_E_DATA);
	assert_int_equal(seal(pack(pairs_room, "a", "\xff", NULL), IN("x"), &sealed), HSM_E_DATA);
	assert_int_equal(seal(pack(pairs_room, "\xc0\x80", "1", NULL), IN("x"), &sealed), HSM_E_DATA);
	assert_int_equal(seal(IN("\0\0\0\1a\0\0\0\2b"), IN("x"), &sealed), HSM_E_DATA);
	assert_int_equal(sealed.len, 0);
	/* forty names, sorted by the library; and then one of them twice */
	writer_init(&w, pairs_room, sizeof pairs_room);
	for (unsigned i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof name, "n%u", i * 17 % 40);
		writer_block32(&w, (hsm_in){ (uint8_t *)name, strlen(name) });
		writer_block32(&w, IN("v"));
	}
	assert_int_equal(seal((hsm_in){ pairs_room, w.len }, IN("x"), &sealed), HSM_OK);
	writer_block32(&w, IN("n7"));
	writer_block32(&w, IN("v"));
	assert_int_equal(seal((hsm_in){ pairs_room, w.len }, IN("x"), &sealed), HSM_E_DATA);
	for (unsigned i = 0; i < CONTEXT_PAIRS; i++) {
		char name[16];

		snprintf(name, sizeof name, "m%u", i);
		writer_block32(&w, (hsm_in){ (uint8_t *)name, strlen(name) });
		writer_block32(&w, HSM_NONE);
	}
	assert_int_equal(seal((hsm_in){ pairs_room, w.len }, IN("x"), &sealed), HSM_E_DATA_LEN);
	assert_int_equal(seal((hsm_in){ pairs_room, CONTEXT_MAX + 1 }, IN("x"), &sealed), HSM_E_DATA_LEN);
}

static void
a_long_context_is_authenticated_too(void **state)
{
	static uint8_t value[8000];
	hsm_in sealed, pairs;
	struct writer w;
	size_t len;

	(void)state;
	memset(value, 'v', sizeof value);
	writer_init(&w, pairs_room, sizeof pairs_room);
	writer_block32(&w, IN("name"));
	writer_block32(&w, (hsm_in){ value, sizeof value });
	pairs = (hsm_in){ pairs_room, w.len };
	assert_int_equal(seal(pairs, IN("x"), &sealed), HSM_OK);
	assert_int_equal(open_it(pairs, sealed, &len), HSM_OK);
	pairs_room[w.len - 1] = 'w';
	assert_int_equal(open_it(pairs, sealed, &len), HSM_E_CIPHERTEXT);
}

static void
every_flipped_bit_and_every_cut_is_one_answer(void **state)
{
	const hsm_in pairs = pack(pairs_room, "a", "1", NULL);
	hsm_in sealed;
	size_t len;

	(void)state;
	assert_int_equal(seal(pairs, IN("a message of some length"), &sealed), HSM_OK);
	for (size_t bit = 0; bit < sealed.len * 8; bit++) {
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
		memset(clear, 0x5a, 64);
		assert_int_equal(open_it(pairs, sealed, &len), HSM_E_CIPHERTEXT);
		assert_int_equal(len, 0);
		for (unsigned i = 0; i < 64; i++)
			assert_int_equal(clear[i], 0x5a);
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t cut = 0; cut < sealed.len; cut++)
		assert_int_equal(open_it(pairs, (hsm_in){ blob, cut }, &len), HSM_E_CIPHERTEXT);
	assert_int_equal(open_it(pairs, (hsm_in){ blob, sizeof blob }, &len), HSM_E_CIPHERTEXT);
}

static void
names_come_back_as_they_were_given(void **state)
{
	static const struct { const char *object, *material; size_t names; } cases[] = {
		{ UUID, MATERIAL, 16 + 32 },
		{ "mrk-1234abcd12ab34cd56ef1234567890ab", MATERIAL, 16 + 32 },
		{ "1234ABCD-12ab-34cd-56ef-1234567890ab", MATERIAL, 37 + 32 },
		{ "mrk-1234abcd12ab34cd56ef1234567890aB", "m", 37 + 2 },
		{ MATERIAL, UUID, 32 + 16 },
		{ "a", "0123456789012345678901234567890123456789012345678901234567890123", 2 + 32 },
		{ "0123456789012345678901234567890123456789012345678901234567-90123", "0123456789012345678901234567890123456789012345678901234567-90123", 130 },
	};
	hsm_envelope_name name;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const hsm_key one = make_kdk(part, cases[i].object, cases[i].material);
		hsm_out out = ROOM(blob), back = ROOM(clear);

		assert_int_equal(hsm_envelope_seal(caller, one, HSM_NONE, IN("x"), &out), HSM_OK);
		assert_int_equal(out.len, 4 + 12 + 1 + cases[i].names + 48 + 1 + 16);
		assert_int_equal(hsm_envelope_peek((hsm_in){ blob, out.len }, &name), HSM_OK);
		assert_memory_equal(name.account, "111111111111", 12);
		assert_int_equal(name.object_id_len, strlen(cases[i].object));
		assert_memory_equal(name.object_id, cases[i].object, name.object_id_len);
		assert_int_equal(name.material_id_len, strlen(cases[i].material));
		assert_memory_equal(name.material_id, cases[i].material, name.material_id_len);
		assert_int_equal(hsm_envelope_open(caller, one, HSM_NONE, (hsm_in){ blob, out.len }, &back), HSM_OK);
		/* another key does not open it, whatever it says */
		assert_int_equal(hsm_envelope_open(caller, key, HSM_NONE, (hsm_in){ blob, out.len }, &back), HSM_E_CIPHERTEXT);
		assert_int_equal(hsm_destroy(service, one), HSM_OK);
	}
	/* the same name in a longer form is not ours */
	{
		uint8_t made[256];
		struct writer w;

		writer_init(&w, made, sizeof made);
		writer_put(&w, "SRe\1" "111111111111" "\0", 17);
		writer_u8(&w, 36);
		writer_put(&w, UUID, 36);
		writer_u8(&w, 1);
		writer_put(&w, "m", 1);
		memset(made + w.len, 0, 80);
		assert_int_equal(hsm_envelope_peek((hsm_in){ made, w.len + 80 }, &name), HSM_E_FORMAT);
		made[17 + 1] = 'x';
		assert_int_equal(hsm_envelope_peek((hsm_in){ made, w.len + 80 }, &name), HSM_OK);
	}
	assert_int_equal(hsm_envelope_peek(HSM_NONE, &name), HSM_E_FORMAT);
	assert_int_equal(hsm_envelope_peek(IN("\1\2\2\0x this is somebody else's ciphertext blob"), &name), HSM_E_FORMAT);
	assert_int_equal(name.object_id_len, 0);
}

static void
who_may(void **state)
{
	hsm_out out = ROOM(blob), back = ROOM(clear);
	hsm_key aes, unsealed;

	(void)state;
	assert_int_equal(hsm_envelope_seal(stranger, key, HSM_NONE, IN("x"), &out), HSM_E_PARTITION);
	assert_int_equal(hsm_envelope_seal(service, key, HSM_NONE, IN("x"), &out), HSM_E_ROLE);
	assert_int_equal(hsm_envelope_seal(0, key, HSM_NONE, IN("x"), &out), HSM_E_SESSION);
	assert_int_equal(hsm_envelope_seal(caller, 0, HSM_NONE, IN("x"), &out), HSM_E_HANDLE);
	assert_int_equal(hsm_generate(service, part, (hsm_spec){ HSM_KEY_AES, 256 }, NULL, 0, &aes), HSM_OK);
	assert_int_equal(hsm_envelope_seal(caller, aes, HSM_NONE, IN("x"), &out), HSM_E_KEY_TYPE);
	assert_int_equal(hsm_generate(service, part, (hsm_spec){ HSM_KEY_KDK, 256 }, NULL, 0, &unsealed), HSM_OK);
	assert_int_equal(hsm_envelope_seal(caller, unsealed, HSM_NONE, IN("x"), &out), HSM_E_POLICY);
	/* a KDK does nothing else */
	assert_int_not_equal(hsm_encrypt(caller, key, HSM_AES_GCM, NULL, IN("x"), &out), HSM_OK);
	assert_int_not_equal(hsm_sign(caller, key, HSM_SHA256_HMAC, NULL, IN("x"), &out), HSM_OK);
	assert_int_equal(hsm_envelope_open(caller, key, HSM_NONE, HSM_NONE, &back), HSM_E_CIPHERTEXT);
}

static void
moving_needs_no_plaintext_outside(void **state)
{
	static uint8_t to_room[256];
	const hsm_key to = make_kdk(part, "mrk-1234abcd12ab34cd56ef1234567890ab", MATERIAL);
	const hsm_in from_pairs = pack(pairs_room, "from", "1", NULL), to_pairs = pack(to_room, "to", "2", NULL);
	uint8_t moved[8192];
	hsm_out out = ROOM(moved), back = ROOM(clear);
	hsm_in sealed;

	(void)state;
	assert_int_equal(seal(from_pairs, IN("to be moved"), &sealed), HSM_OK);
	assert_int_equal(hsm_envelope_move(caller, key, from_pairs, sealed, to, to_pairs, &out), HSM_OK);
	assert_int_equal(hsm_envelope_open(caller, to, to_pairs, (hsm_in){ moved, out.len }, &back), HSM_OK);
	assert_int_equal(back.len, 11);
	assert_memory_equal(clear, "to be moved", 11);
	out = ROOM(moved);
	assert_int_equal(hsm_envelope_move(caller, key, to_pairs, sealed, to, to_pairs, &out), HSM_E_CIPHERTEXT);
	assert_int_equal(out.len, 0);
	assert_int_equal(hsm_envelope_move(caller, to, from_pairs, sealed, key, to_pairs, &out), HSM_E_CIPHERTEXT);
	assert_int_equal(hsm_envelope_move(caller, key, from_pairs, HSM_NONE, key, to_pairs, &out), HSM_E_CIPHERTEXT);
	out = (hsm_out){ NULL, 0, 0 };
	assert_int_equal(hsm_envelope_move(caller, key, from_pairs, sealed, to, to_pairs, &out), HSM_OK);
	assert_int_equal(out.len, sealed.len);
	assert_int_equal(hsm_destroy(service, to), HSM_OK);
}

static void
data_keys(void **state)
{
	static const size_t lens[] = { 1, 16, 32, 64, 1024 };
	uint8_t plain[1024], again[1024];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		hsm_out p = ROOM(plain), b = ROOM(blob);

		assert_int_equal(hsm_data_key(caller, key, HSM_NONE, lens[i], &p, &b), HSM_OK);
		assert_int_equal(p.len, lens[i]);
		assert_int_equal(open_it(HSM_NONE, (hsm_in){ blob, b.len }, &len), HSM_OK);
		assert_int_equal(len, lens[i]);
		assert_memory_equal(clear, plain, len);
		p = ROOM(again);
		b = ROOM(blob);
		assert_int_equal(hsm_data_key(caller, key, HSM_NONE, lens[i], &p, &b), HSM_OK);
		if (lens[i] >= 16)
			assert_memory_not_equal(plain, again, lens[i]);
	}
	{
		hsm_out b = ROOM(blob), tiny = { plain, 8, 0 };

		assert_int_equal(hsm_data_key(caller, key, HSM_NONE, 32, NULL, &b), HSM_OK);
		assert_int_equal(open_it(HSM_NONE, (hsm_in){ blob, b.len }, &len), HSM_OK);
		assert_int_equal(len, 32);
		b = ROOM(blob);
		assert_int_equal(hsm_data_key(caller, key, HSM_NONE, 32, &tiny, &b), HSM_E_BUFFER);
		assert_int_equal(tiny.len, 32);
		assert_int_equal(hsm_data_key(caller, key, HSM_NONE, 0, NULL, &b), HSM_E_DATA_LEN);
		assert_int_equal(hsm_data_key(caller, key, HSM_NONE, 1025, NULL, &b), HSM_E_DATA_LEN);
		b = (hsm_out){ NULL, 0, 0 };
		assert_int_equal(hsm_data_key(caller, key, HSM_NONE, 32, NULL, &b), HSM_OK);
		assert_int_equal(b.len, 32 + 129);
	}
}

static void
data_key_pairs(void **state)
{
	static const hsm_spec specs[] = { { HSM_KEY_EC, HSM_P256 }, { HSM_KEY_EC, HSM_SECP256K1 }, { HSM_KEY_RSA, 2048 } };
	uint8_t plain[4096], spki[2048];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		hsm_out p = ROOM(plain), s = ROOM(spki), b = ROOM(blob);

		if (kind_find(specs[i].type) == NULL)
			continue;
		assert_int_equal(hsm_data_key_pair(caller, key, HSM_NONE, specs[i], &s, &p, &b), HSM_OK);
		assert_int_equal(hsm_approved(), specs[i].param != HSM_SECP256K1);
		assert_true(s.len > 40 && p.len > s.len && b.len <= 6144);
		assert_int_equal(spki[0], 0x30);
		assert_int_equal(open_it(HSM_NONE, (hsm_in){ blob, b.len }, &len), HSM_OK);
		assert_int_equal(len, p.len);
		assert_memory_equal(clear, plain, len);
		s = ROOM(spki);
		b = ROOM(blob);
		assert_int_equal(hsm_data_key_pair(caller, key, HSM_NONE, specs[i], &s, NULL, &b), HSM_OK);
		assert_int_equal(open_it(HSM_NONE, (hsm_in){ blob, b.len }, &len), HSM_OK);
	}
	{
		hsm_out s = ROOM(spki), b = ROOM(blob), none = { NULL, 0, 0 };

		assert_int_equal(hsm_data_key_pair(caller, key, HSM_NONE, (hsm_spec){ HSM_KEY_AES, 256 }, &s, NULL, &b), HSM_E_KEY_TYPE);
		assert_int_equal(hsm_data_key_pair(caller, key, HSM_NONE, (hsm_spec){ HSM_KEY_KDK, 256 }, &s, NULL, &b), HSM_E_KEY_TYPE);
		assert_int_equal(hsm_data_key_pair(caller, key, HSM_NONE, (hsm_spec){ HSM_KEY_EC, 99 }, &s, NULL, &b), HSM_E_CURVE);
		assert_int_equal(s.len, 0);
		assert_int_equal(hsm_data_key_pair(caller, key, HSM_NONE, (hsm_spec){ HSM_KEY_EC, HSM_P256 }, &none, NULL, &b), HSM_OK);
		assert_true(none.len > 90);
	}
}

static void
a_strict_partition_gives_no_plaintext(void **state)
{
	uint8_t sealed[256], plain[64], spki[512];
	hsm_out out = ROOM(sealed), p = ROOM(plain), b = ROOM(blob), s = ROOM(spki);
	hsm_session session;
	hsm_part strict;
	hsm_key mine;

	(void)state;
	assert_int_equal(hsm_partition_create(IN("333333333333"), &out, &strict), HSM_OK);
	mine = make_kdk(strict, UUID, MATERIAL);
	session = make_caller(strict);
	assert_int_equal(hsm_data_key(session, mine, HSM_NONE, 32, &p, &b), HSM_OK);
	assert_int_equal(hsm_partition_restrict(strict), HSM_OK);
	p = ROOM(plain);
	assert_int_equal(hsm_envelope_open(session, mine, HSM_NONE, (hsm_in){ blob, b.len }, &p), HSM_E_POLICY);
	assert_int_equal(hsm_data_key(session, mine, HSM_NONE, 32, &p, &b), HSM_E_POLICY);
	assert_int_equal(hsm_data_key_pair(session, mine, HSM_NONE, (hsm_spec){ HSM_KEY_EC, HSM_P256 }, &s, &p, &b), HSM_E_POLICY);
	b = ROOM(blob);
	assert_int_equal(hsm_data_key(session, mine, HSM_NONE, 32, NULL, &b), HSM_OK);
	assert_int_equal(hsm_partition_close(strict), HSM_OK);
	assert_int_equal(hsm_data_key(session, mine, HSM_NONE, 32, NULL, &b), HSM_E_SESSION);
}

/* Whatever allocation or promise fails, nothing half-made stays behind. A
 * call may still go well: the gate makes room, the library does without. */
static hsm_status
one_open(hsm_in pairs, hsm_out *room)
{
	const hsm_in sealed = { blob + 4096, 600 + 129 };

	*room = ROOM(clear);
	return hsm_envelope_open(caller, key, pairs, sealed, room);
}

static hsm_status
one_data_key(hsm_in pairs, hsm_out *room)
{
	*room = (hsm_out){ blob, 4096, 0 };
	return hsm_data_key(caller, key, pairs, 32, NULL, room);
}

static hsm_status
one_pair(hsm_in pairs, hsm_out *room)
{
	static uint8_t spki[512];
	hsm_out s = ROOM(spki);
	hsm_status st;

	*room = (hsm_out){ blob, 4096, 0 };
	st = hsm_data_key_pair(caller, key, pairs, (hsm_spec){ HSM_KEY_EC, HSM_P256 }, &s, NULL, room);
	assert_int_equal(s.len == 0, st != HSM_OK);
	return st;
}

static hsm_status
one_move(hsm_in pairs, hsm_out *room)
{
	const hsm_in sealed = { blob + 4096, 600 + 129 };

	*room = (hsm_out){ blob, 4096, 0 };
	return hsm_envelope_move(caller, key, pairs, sealed, key, pairs, room);
}

static void
room_that_runs_out(void **state)
{
	hsm_status (*const calls[])(hsm_in, hsm_out *) = { one_open, one_data_key, one_pair, one_move };
	const hsm_in pairs = pack(pairs_room, "a", "1", NULL);
	hsm_out p = ROOM(clear), b = { blob + 4096, 4096, 0 }, room;
	size_t before;

	(void)state;
	assert_int_equal(hsm_data_key(caller, key, pairs, 600, &p, &b), HSM_OK);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		unsigned failed = 0;

		assert_int_equal(calls[i](pairs, &room), HSM_OK);
		before = arena_live();
		for (unsigned n = 0;; n++) {
			hsm_status st;

			fault_after(n);
			st = calls[i](pairs, &room);
			fault_off();
			if (!fault_fired()) {
				assert_int_equal(st, HSM_OK);
				break;
			}
			failed += st != HSM_OK;
			assert_true(st == HSM_OK || st == HSM_E_MEMORY);
			assert_int_equal(room.len == 0, st != HSM_OK);
			assert_true(arena_live() <= before);    /* the key may have been evicted */
		}
		assert_true(failed > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_opens),
		cmocka_unit_test(the_order_of_the_context_does_not_count_its_content_does),
		cmocka_unit_test(a_context_must_be_pairs_of_utf8_without_doubles),
		cmocka_unit_test(a_long_context_is_authenticated_too),
		cmocka_unit_test(every_flipped_bit_and_every_cut_is_one_answer),
		cmocka_unit_test(names_come_back_as_they_were_given),
		cmocka_unit_test(who_may),
		cmocka_unit_test(moving_needs_no_plaintext_outside),
		cmocka_unit_test(data_keys),
		cmocka_unit_test(data_key_pairs),
		cmocka_unit_test(a_strict_partition_gives_no_plaintext),
		cmocka_unit_test(room_that_runs_out),
	};

	return cmocka_run_group_tests_name("envelope", tests, open_account, vault_close);
}
