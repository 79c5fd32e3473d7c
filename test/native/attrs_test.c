/* Attributes: what is so when nothing is said, what may be said when, and what
 * can never be taken back. */
#include "module_known.h"

static hsm_status
set(hsm_key key, uint32_t type, bool value)
{
	const uint8_t byte = value;

	return hsm_attr_set(user, key, &(hsm_attr){ type, { &byte, 1 } }, 1);
}

static hsm_status
get_status(hsm_key key, uint32_t type)
{
	uint8_t room[4096];
	hsm_out out = OUT(room);

	return hsm_attr_get(user, key, type, &out);
}

static void
grants_what_is_usual(void **state)
{
	static const struct { uint32_t type; uint64_t value; } secret[] = {
		{ HSM_ATTR_CLASS, HSM_CLASS_SECRET }, { HSM_ATTR_KEY_TYPE, HSM_KEY_AES }, { HSM_ATTR_TOKEN, 0 },
		{ HSM_ATTR_PRIVATE, 1 }, { HSM_ATTR_MODIFIABLE, 1 }, { HSM_ATTR_COPYABLE, 1 }, { HSM_ATTR_DESTROYABLE, 1 },
		{ HSM_ATTR_SENSITIVE, 1 }, { HSM_ATTR_EXTRACTABLE, 0 }, { HSM_ATTR_ALWAYS_SENSITIVE, 1 },
		{ HSM_ATTR_NEVER_EXTRACTABLE, 1 }, { HSM_ATTR_LOCAL, 1 }, { HSM_ATTR_ENCRYPT, 1 }, { HSM_ATTR_DECRYPT, 1 },
		{ HSM_ATTR_SIGN, 1 }, { HSM_ATTR_VERIFY, 1 }, { HSM_ATTR_WRAP, 1 }, { HSM_ATTR_UNWRAP, 1 },
		{ HSM_ATTR_DERIVE, 0 }, { HSM_ATTR_TRUSTED, 0 }, { HSM_ATTR_WRAP_WITH_TRUSTED, 0 }, { HSM_ATTR_VALUE_LEN, 32 },
		{ HSM_ATTR_KEY_GEN_MECHANISM, HSM_AES_KEY_GEN }
	};
	static const struct { uint32_t type; uint64_t value; } public[] = {
		{ HSM_ATTR_CLASS, HSM_CLASS_PUBLIC }, { HSM_ATTR_PRIVATE, 0 }, { HSM_ATTR_VERIFY, 1 }, { HSM_ATTR_ENCRYPT, 1 },
		{ HSM_ATTR_WRAP, 1 }, { HSM_ATTR_VERIFY_RECOVER, 1 }, { HSM_ATTR_LOCAL, 1 }, { HSM_ATTR_DERIVE, 0 }
	};
	hsm_key key = make_key(user, aes256, NULL, 0), pub, priv;

	(void)state;
	for (size_t i = 0; i < COUNT(secret); i++)
		assert_int_equal(number_of(user, key, secret[i].type), secret[i].value);
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, NULL, 0, &pub, &priv));
	for (size_t i = 0; i < COUNT(public); i++)
		assert_int_equal(number_of(user, pub, public[i].type), public[i].value);
	assert_int_equal(number_of(user, priv, HSM_ATTR_PRIVATE), 1);
	assert_int_equal(number_of(user, priv, HSM_ATTR_SIGN), 1);
	/* What a class does not have, it does not answer. */
	assert_status(get_status(pub, HSM_ATTR_SENSITIVE), HSM_E_ATTR_TYPE);
	assert_status(get_status(key, HSM_ATTR_MODULUS), HSM_E_ATTR_TYPE);
	assert_status(get_status(key, 0xCE534351), HSM_E_ATTR_TYPE);
	assert_status(get_status(key, HSM_ATTR_VALUE), HSM_E_ATTR_SENSITIVE);
	assert_status(get_status(priv, HSM_ATTR_VALUE), HSM_E_ATTR_SENSITIVE);
	assert_ok(get_status(priv, HSM_ATTR_EC_POINT));
	assert_ok(get_status(pub, HSM_ATTR_EC_POINT));
	assert_ok(get_status(pub, HSM_ATTR_PUBLIC_KEY_INFO));
	assert_ok(get_status(key, HSM_ATTR_CHECK_VALUE));
	assert_ok(get_status(key, HSM_ATTR_LABEL));
}

static void
names_each_object_once(void **state)
{
	hsm_key a = make_key(user, aes256, NULL, 0), b = make_key(user, aes256, NULL, 0), c;
	uint8_t one[64], two[64], three[64];
	hsm_out x = OUT(one), y = OUT(two), z = OUT(three);

	(void)state;
	assert_ok(hsm_copy(user, a, NULL, 0, &c));
	assert_ok(hsm_attr_get(user, a, HSM_ATTR_UNIQUE_ID, &x));
	assert_ok(hsm_attr_get(user, b, HSM_ATTR_UNIQUE_ID, &y));
	assert_ok(hsm_attr_get(user, c, HSM_ATTR_UNIQUE_ID, &z));
	assert_int_equal(x.len, 32);
	assert_memory_not_equal(one, two, 32);
	assert_memory_not_equal(one, three, 32);
	assert_status(hsm_attr_set(user, a, &(hsm_attr)ATTR_TEXT(HSM_ATTR_UNIQUE_ID, "mine"), 1), HSM_E_ATTR_READ_ONLY);
}

/* attribute, what it is made as, which way it may never go. */
static void
never_goes_back(void **state)
{
	static const struct { uint32_t type; uint8_t from, to; } one_way[] = {
		{ HSM_ATTR_SENSITIVE, 1, 0 }, { HSM_ATTR_EXTRACTABLE, 0, 1 }, { HSM_ATTR_WRAP_WITH_TRUSTED, 1, 0 },
		{ HSM_ATTR_COPYABLE, 0, 1 }
	};
	static const uint32_t fixed[] = { HSM_ATTR_LOCAL, HSM_ATTR_ALWAYS_SENSITIVE, HSM_ATTR_NEVER_EXTRACTABLE,
		HSM_ATTR_CLASS, HSM_ATTR_KEY_TYPE, HSM_ATTR_KEY_GEN_MECHANISM, HSM_ATTR_TOKEN, HSM_ATTR_PRIVATE,
		HSM_ATTR_MODIFIABLE, HSM_ATTR_DESTROYABLE, HSM_ATTR_VALUE };

	(void)state;
	for (size_t i = 0; i < COUNT(one_way); i++) {
		const hsm_attr made = { one_way[i].type, { &one_way[i].from, 1 } };
		hsm_key key = make_key(user, aes256, &made, 1), copy;
		const hsm_attr back = { one_way[i].type, { &one_way[i].to, 1 } };

		assert_status(hsm_attr_set(user, key, &back, 1), HSM_E_ATTR_READ_ONLY);
		assert_ok(hsm_attr_set(user, key, &made, 1));
		if (one_way[i].type != HSM_ATTR_COPYABLE)
			assert_status(hsm_copy(user, key, &back, 1, &copy), HSM_E_ATTR_READ_ONLY);
		else
			assert_status(hsm_copy(user, key, NULL, 0, &copy), HSM_E_POLICY);
	}
	hsm_key key = make_key(user, aes256, NULL, 0);
	for (size_t i = 0; i < COUNT(fixed); i++)
		assert_status(set(key, fixed[i], true), HSM_E_ATTR_READ_ONLY);
}

static void
remembers_the_past(void **state)
{
	static const hsm_attr loose[] = { ATTR_NO(HSM_ATTR_SENSITIVE), ATTR_YES(HSM_ATTR_EXTRACTABLE) };
	hsm_key key = make_key(user, aes256, loose, 2), copy;
	uint8_t value[64];
	hsm_out out = OUT(value);

	(void)state;
	assert_ok(hsm_attr_get(user, key, HSM_ATTR_VALUE, &out));
	assert_int_equal(out.len, 32);
	assert_ok(set(key, HSM_ATTR_SENSITIVE, true));
	assert_ok(set(key, HSM_ATTR_EXTRACTABLE, false));
	assert_int_equal(number_of(user, key, HSM_ATTR_ALWAYS_SENSITIVE), 0);
	assert_int_equal(number_of(user, key, HSM_ATTR_NEVER_EXTRACTABLE), 0);
	assert_status(get_status(key, HSM_ATTR_VALUE), HSM_E_ATTR_SENSITIVE);
	assert_ok(hsm_copy(user, key, NULL, 0, &copy));
	assert_int_equal(number_of(user, copy, HSM_ATTR_ALWAYS_SENSITIVE), 0);
	assert_int_equal(number_of(user, copy, HSM_ATTR_LOCAL), 1);
	/* What was brought in the clear was never always sensitive. */
	static const uint8_t bytes[32] = { 7 };
	const hsm_attr given[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES), ATTR_BYTES(HSM_ATTR_VALUE, bytes) };
	assert_ok(hsm_create(user, 0, given, 3, &key));
	assert_false(hsm_approved());
	assert_int_equal(number_of(user, key, HSM_ATTR_ALWAYS_SENSITIVE), 0);
	assert_int_equal(number_of(user, key, HSM_ATTR_NEVER_EXTRACTABLE), 0);
	assert_int_equal(number_of(user, key, HSM_ATTR_LOCAL), 0);
	assert_int_equal(number_of(user, key, HSM_ATTR_KEY_GEN_MECHANISM), UINT64_MAX);
	assert_works(user, key);
	/* Its check value is checked: AES-256 under 07 00... of a block of zeros. */
	uint8_t check[8];
	hsm_out c = OUT(check);
	assert_ok(hsm_attr_get(user, key, HSM_ATTR_CHECK_VALUE, &c));
	assert_int_equal(c.len, 3);
	const hsm_attr checked[] = { given[0], given[1], given[2], { HSM_ATTR_CHECK_VALUE, { check, 3 } } };
	assert_ok(hsm_create(user, 0, checked, 4, &key));
	check[0] ^= 1;
	assert_status(hsm_create(user, 0, checked, 4, &key), HSM_E_ATTR_VALUE);
}

static void
refuses_contradictions(void **state)
{
	static const uint8_t two = 2, bytes[3] = { 1, 2, 3 };
	const struct { hsm_attr attrs[2]; size_t n; hsm_status st; } cases[] = {
		{ { ATTR_YES(HSM_ATTR_LOCAL) }, 1, HSM_E_ATTR_READ_ONLY },
		{ { ATTR_YES(HSM_ATTR_ALWAYS_SENSITIVE) }, 1, HSM_E_ATTR_READ_ONLY },
		{ { ATTR_YES(HSM_ATTR_TRUSTED) }, 1, HSM_E_ATTR_READ_ONLY },
		{ { ATTR_YES(HSM_ATTR_SIGN_RECOVER) }, 1, HSM_E_ATTR_TYPE },
		{ { ATTR_TEXT(HSM_ATTR_MODULUS, "x") }, 1, HSM_E_ATTR_TYPE },
		{ { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_PUBLIC) }, 1, HSM_E_TEMPLATE },
		{ { ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_DES3) }, 1, HSM_E_TEMPLATE },
		{ { ATTR_BYTES(HSM_ATTR_VALUE, bytes) }, 1, HSM_E_TEMPLATE },
		{ { ATTR_YES(HSM_ATTR_SENSITIVE), ATTR_NO(HSM_ATTR_SENSITIVE) }, 2, HSM_E_TEMPLATE },
		{ { ATTR_YES(HSM_ATTR_SENSITIVE), ATTR_YES(HSM_ATTR_SENSITIVE) }, 2, HSM_OK },
		{ { { HSM_ATTR_SENSITIVE, { &two, 1 } } }, 1, HSM_E_ATTR_VALUE },
		{ { { HSM_ATTR_SENSITIVE, { bytes, 3 } } }, 1, HSM_E_ATTR_VALUE },
		{ { { HSM_ATTR_SENSITIVE, { NULL, 1 } } }, 1, HSM_E_ATTR_VALUE },
		{ { ATTR_TEXT(HSM_ATTR_START_DATE, "2026") }, 1, HSM_E_ATTR_VALUE },
		{ { ATTR_TEXT(HSM_ATTR_START_DATE, "2026x101") }, 1, HSM_E_ATTR_VALUE },
		{ { ATTR_TEXT(HSM_ATTR_START_DATE, "20260102"), ATTR_TEXT(HSM_ATTR_END_DATE, "20260101") }, 2, HSM_E_ATTR_VALUE },
		{ { ATTR_TEXT(HSM_ATTR_START_DATE, "20260101"), ATTR_TEXT(HSM_ATTR_END_DATE, "20260102") }, 2, HSM_OK },
		{ { ATTR_BYTES(HSM_ATTR_ALLOWED_MECHANISMS, bytes) }, 1, HSM_E_ATTR_VALUE },
		{ { ATTR_BYTES(HSM_ATTR_WRAP_TEMPLATE, bytes) }, 1, HSM_E_ATTR_VALUE },
		{ { ATTR_TEXT(HSM_ATTR_SHARED_WITH, "12345") }, 1, HSM_E_ATTR_VALUE },
		{ { { 0x80000099u, { bytes, 3 } } }, 1, HSM_E_ATTR_TYPE },
	};
	hsm_info before, after;
	hsm_key key;

	(void)state;
	assert_ok(hsm_describe(&before));
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_status(hsm_generate(user, 0, aes256, cases[i].attrs, cases[i].n, &key), cases[i].st);
		assert_true((key != 0) == (cases[i].st == HSM_OK));
		if (key != 0)
			assert_ok(hsm_destroy(user, key));
	}
	assert_ok(hsm_describe(&after));
	assert_int_equal(before.objects, after.objects);
	assert_int_equal(before.loaded, after.loaded);
}

static void
changes_what_may_change(void **state)
{
	static const hsm_attr fixed[] = { ATTR_NO(HSM_ATTR_MODIFIABLE), ATTR_NO(HSM_ATTR_DESTROYABLE) };
	hsm_key key = make_key(user, aes256, NULL, 0), stone = make_key(user, aes256, fixed, 2), copy;
	const hsm_attr names[] = { ATTR_TEXT(HSM_ATTR_LABEL, "new name"), ATTR_TEXT(HSM_ATTR_ID, "\1\2"), ATTR_NO(HSM_ATTR_ENCRYPT) };
	uint8_t room[64];
	hsm_out out = OUT(room);

	(void)state;
	assert_ok(hsm_attr_set(user, key, names, 3));
	assert_ok(hsm_attr_get(user, key, HSM_ATTR_LABEL, &out));
	assert_memory_equal(room, "new name", 8);
	assert_status(hsm_encrypt(user, key, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_POLICY);
	assert_ok(set(key, HSM_ATTR_ENCRYPT, true));
	assert_works(user, key);
	/* One wrong attribute, and none is set. */
	const hsm_attr mixed[] = { ATTR_TEXT(HSM_ATTR_LABEL, "other"), ATTR_YES(HSM_ATTR_EXTRACTABLE) };
	assert_status(hsm_attr_set(user, key, mixed, 2), HSM_E_ATTR_READ_ONLY);
	out = OUT(room);
	assert_ok(hsm_attr_get(user, key, HSM_ATTR_LABEL, &out));
	assert_int_equal(out.len, 8);

	assert_status(hsm_attr_set(user, stone, names, 3), HSM_E_POLICY);
	assert_status(hsm_destroy(user, stone), HSM_E_POLICY);
	static const hsm_attr soft[] = { ATTR_YES(HSM_ATTR_DESTROYABLE), ATTR_YES(HSM_ATTR_MODIFIABLE) };
	assert_ok(hsm_copy(user, stone, soft, 2, &copy));
	assert_ok(hsm_destroy(user, copy));
}

static void
keeps_objects_without_keys(void **state)
{
	const hsm_attr data[] = {
		ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_DATA), ATTR_TEXT(HSM_ATTR_LABEL, "note"),
		ATTR_TEXT(HSM_ATTR_APPLICATION, "app"), ATTR_TEXT(HSM_ATTR_VALUE, "remember the milk")
	};
	const hsm_attr cert[] = {
		ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_CERTIFICATE), ATTR_NUMBER(HSM_ATTR_CERTIFICATE_TYPE, 0),
		ATTR_TEXT(HSM_ATTR_SUBJECT, "subject"), ATTR_TEXT(HSM_ATTR_VALUE, "der")
	};
	const hsm_attr domain[] = {
		ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_DOMAIN_PARAMETERS), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, 1),
		ATTR_TEXT(HSM_ATTR_PRIME, "p"), ATTR_TEXT(HSM_ATTR_BASE, "g")
	};
	uint8_t room[64], sealed[512];
	hsm_out out = OUT(room), s = OUT(sealed);
	hsm_key key, back;

	(void)state;
	assert_ok(hsm_create(user, 0, data, COUNT(data), &key));
	assert_ok(hsm_attr_get(user, key, HSM_ATTR_VALUE, &out));
	assert_int_equal(out.len, 17);
	assert_memory_equal(room, "remember the milk", 17);
	assert_int_equal(number_of(user, key, HSM_ATTR_PRIVATE), 1);
	assert_ok(hsm_object_seal(user, key, (hsm_binding){ IN("d"), IN("") }, &s));
	assert_ok(hsm_object_open(user, 0, (hsm_binding){ IN("d"), IN("") }, (hsm_in){ sealed, s.len }, &back));
	out = OUT(room);
	assert_ok(hsm_attr_get(user, back, HSM_ATTR_VALUE, &out));
	assert_memory_equal(room, "remember the milk", 17);
	assert_status(hsm_encrypt(user, key, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_POLICY);

	assert_ok(hsm_create(user, 0, cert, COUNT(cert), &key));
	out = OUT(room);
	assert_ok(hsm_attr_get(user, key, HSM_ATTR_VALUE, &out));
	assert_memory_equal(room, "der", 3);
	assert_int_equal(number_of(user, key, HSM_ATTR_PRIVATE), 0);
	assert_status(hsm_create(user, 0, cert, 1, &key), HSM_E_TEMPLATE_INCOMPLETE);
	assert_ok(hsm_create(user, 0, domain, COUNT(domain), &key));
	out = OUT(room);
	assert_ok(hsm_attr_get(user, key, HSM_ATTR_PRIME, &out));
	assert_memory_equal(room, "p", 1);
	assert_status(hsm_create(user, 0, data + 1, 2, &key), HSM_E_TEMPLATE_INCOMPLETE);
	const hsm_attr nothing[] = { ATTR_NUMBER(HSM_ATTR_CLASS, 99) };
	assert_status(hsm_create(user, 0, nothing, 1, &key), HSM_E_ATTR_VALUE);
}

static void
answers_sizes_first(void **state)
{
	static const hsm_attr named[] = { ATTR_TEXT(HSM_ATTR_LABEL, "four") };
	hsm_key key = make_key(user, aes256, named, 1);
	uint8_t room[3];
	hsm_out ask = { NULL, 0, 0 }, small = OUT(room);

	(void)state;
	assert_ok(hsm_attr_get(user, key, HSM_ATTR_LABEL, &ask));
	assert_int_equal(ask.len, 4);
	assert_status(hsm_attr_get(user, key, HSM_ATTR_LABEL, &small), HSM_E_BUFFER);
	assert_int_equal(small.len, 4);
}

static void
finds_by_what_is_said(void **state)
{
	hsm_key keys[300], found[16];
	char label[32];
	size_t count, total = 0;
	uint64_t cursor = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		int len = snprintf(label, sizeof label, "key %zu", i % 100);
		const hsm_attr attrs[] = { { HSM_ATTR_LABEL, { (const uint8_t *)label, (size_t)len } }, ATTR_TEXT(HSM_ATTR_ID, "all") };
		keys[i] = make_key(user, i % 2 ? hmac256 : aes256, attrs, 2);
	}
	const hsm_attr by_label[] = { ATTR_TEXT(HSM_ATTR_LABEL, "key 42") };
	count = COUNT(found);
	assert_ok(hsm_find(user, by_label, 1, &cursor, found, &count));
	assert_int_equal(count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(found[i] == keys[42 + 100 * i]);
	/* In pages; with a second attribute. */
	const hsm_attr by_id[] = { ATTR_TEXT(HSM_ATTR_ID, "all"), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES) };
	cursor = 0;
	do {
		count = COUNT(found);
		assert_ok(hsm_find(user, by_id, 2, &cursor, found, &count));
		total += count;
	} while (count != 0);
	assert_int_equal(total, 150);
	/* Renamed, it is found under the new name only; gone, under none. */
	assert_ok(hsm_attr_set(user, keys[42], &(hsm_attr)ATTR_TEXT(HSM_ATTR_LABEL, "renamed"), 1));
	assert_ok(hsm_destroy(user, keys[142]));
	cursor = 0, count = COUNT(found);
	assert_ok(hsm_find(user, by_label, 1, &cursor, found, &count));
	assert_int_equal(count, 1);
	assert_true(found[0] == keys[242]);
	cursor = 0, count = COUNT(found);
	assert_ok(hsm_find(user, &(hsm_attr)ATTR_TEXT(HSM_ATTR_LABEL, "renamed"), 1, &cursor, found, &count));
	assert_int_equal(count, 1);
	assert_true(found[0] == keys[42]);
	/* One that was opened and never read is read then. */
	const hsm_binding names = { IN("k"), IN("m") };
	static uint8_t sealed[1024];
	hsm_out out = OUT(sealed);
	hsm_key back;
	assert_ok(hsm_object_seal(user, keys[42], names, &out));
	assert_ok(hsm_destroy(user, keys[42]));
	assert_ok(hsm_object_open(user, 0, names, (hsm_in){ sealed, out.len }, &back));
	cursor = 0, count = COUNT(found);
	assert_ok(hsm_find(user, &(hsm_attr)ATTR_TEXT(HSM_ATTR_LABEL, "renamed"), 1, &cursor, found, &count));
	assert_int_equal(count, 1);
	assert_true(found[0] == back);
}

static void
never_finds_by_secrets(void **state)
{
	static const uint8_t bytes[32] = { 9 };
	const hsm_attr given[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES),
		ATTR_BYTES(HSM_ATTR_VALUE, bytes), ATTR_NO(HSM_ATTR_SENSITIVE), ATTR_YES(HSM_ATTR_EXTRACTABLE) };
	hsm_key key, pub, priv, found[4];
	uint64_t cursor = 0;
	size_t count = COUNT(found);
	uint8_t point[256];
	hsm_out out = OUT(point);

	(void)state;
	assert_ok(hsm_create(user, 0, given, COUNT(given), &key));
	assert_ok(hsm_find(user, &given[2], 1, &cursor, found, &count));
	assert_int_equal(count, 0);
	/* By public components it does. */
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, NULL, 0, &pub, &priv));
	assert_ok(hsm_attr_get(user, pub, HSM_ATTR_EC_POINT, &out));
	const hsm_attr by_point[] = { { HSM_ATTR_EC_POINT, { point, out.len } }, ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_PUBLIC) };
	cursor = 0, count = COUNT(found);
	assert_ok(hsm_find(user, by_point, 2, &cursor, found, &count));
	assert_int_equal(count, 1);
	assert_true(found[0] == pub);
}

static void
is_strict_where_it_is_said(void **state)
{
	static const uint8_t bytes[32] = { 9 };
	const hsm_attr given[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES), ATTR_BYTES(HSM_ATTR_VALUE, bytes) };
	static const hsm_attr both[] = { ATTR_YES(HSM_ATTR_WRAP), ATTR_YES(HSM_ATTR_ENCRYPT) };
	static const hsm_attr wraps[] = { ATTR_YES(HSM_ATTR_WRAP), ATTR_YES(HSM_ATTR_UNWRAP), ATTR_NO(HSM_ATTR_ENCRYPT), ATTR_NO(HSM_ATTR_DECRYPT) };
	static const hsm_attr loose[] = { ATTR_NO(HSM_ATTR_SENSITIVE) };
	hsm_key key;

	(void)state;
	assert_ok(hsm_partition_restrict(part));
	assert_status(hsm_create(user, 0, given, 3, &key), HSM_E_POLICY);
	assert_status(hsm_generate(user, 0, aes256, both, 2, &key), HSM_E_TEMPLATE);
	assert_status(hsm_generate(user, 0, aes256, loose, 1, &key), HSM_E_TEMPLATE);
	assert_ok(hsm_generate(user, 0, aes256, wraps, 4, &key));
	key = make_key(user, aes256, NULL, 0);
	assert_int_equal(number_of(user, key, HSM_ATTR_WRAP), 0);
	assert_int_equal(number_of(user, key, HSM_ATTR_SIGN), 0);
	assert_works(user, key);
	/* Roles are settled when the key is made. */
	assert_status(set(key, HSM_ATTR_WRAP, true), HSM_E_ATTR_READ_ONLY);
	assert_status(set(key, HSM_ATTR_ENCRYPT, false), HSM_E_ATTR_READ_ONLY);
}

int
main(void)
{
#define IN_SERVICE(test) cmocka_unit_test_setup_teardown(test, open_module, close_module)
	const struct CMUnitTest tests[] = {
		IN_SERVICE(grants_what_is_usual),
		IN_SERVICE(names_each_object_once),
		IN_SERVICE(never_goes_back),
		IN_SERVICE(remembers_the_past),
		IN_SERVICE(refuses_contradictions),
		IN_SERVICE(changes_what_may_change),
		IN_SERVICE(keeps_objects_without_keys),
		IN_SERVICE(answers_sizes_first),
		IN_SERVICE(finds_by_what_is_said),
		IN_SERVICE(never_finds_by_secrets),
		IN_SERVICE(is_strict_where_it_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
