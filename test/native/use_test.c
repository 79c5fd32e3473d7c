/* Using keys in steps, and keys that make keys. */
#include "module_known.h"

#define IV(bytes) ((hsm_in){ (bytes), 12 })

/* ---- many parts --------------------------------------------------------------- */

static void
streams_like_one_call(void **state)
{
	static const uint8_t iv[12] = { 1, 2, 3 };
	const hsm_params given = { .iv = IV(iv), .aad = IN("header") };
	hsm_key key = make_key(user, aes256, NULL, 0);
	uint8_t whole[1200], parts[1200], clear[1200], message[1000];
	hsm_out w = OUT(whole), out, back = OUT(clear);
	size_t len = 0;

	(void)state;
	memset(message, 'm', sizeof message);
	assert_ok(hsm_encrypt(user, key, HSM_AES_GCM, &given, (hsm_in){ message, sizeof message }, &w));
	assert_ok(hsm_begin(user, MECH_ENCRYPT, key, HSM_AES_GCM, &given));
	for (size_t at = 0; at < sizeof message; at += 100) {
		out = (hsm_out){ parts + len, sizeof parts - len, 0 };
		assert_ok(hsm_update(user, MECH_ENCRYPT, (hsm_in){ message + at, 100 }, &out));
		len += out.len;
	}
	out = (hsm_out){ parts + len, sizeof parts - len, 0 };
	assert_ok(hsm_final(user, MECH_ENCRYPT, HSM_NONE, &out));
	len += out.len;
	assert_int_equal(len, w.len);
	assert_memory_equal(parts, whole, len);
	assert_status(hsm_final(user, MECH_ENCRYPT, HSM_NONE, &out), HSM_E_OP_INACTIVE);
	/* Opened in one of the begun. */
	assert_ok(hsm_begin(user, MECH_DECRYPT, key, HSM_AES_GCM, &given));
	assert_ok(hsm_once(user, MECH_DECRYPT, (hsm_in){ parts, len }, HSM_NONE, &back));
	assert_int_equal(back.len, sizeof message);
	assert_memory_equal(clear, message, sizeof message);
}

static void
keeps_what_asks_for_a_size(void **state)
{
	hsm_key key = make_key(user, aes256, NULL, 0);
	uint8_t room[64], small[4];
	hsm_out ask = { NULL, 0, 0 }, little = OUT(small), out = OUT(room);

	(void)state;
	assert_ok(hsm_begin(user, MECH_ENCRYPT, key, HSM_AES_GCM, &gcm_made));
	assert_status(hsm_begin(user, MECH_ENCRYPT, key, HSM_AES_GCM, &gcm_made), HSM_E_OP_ACTIVE);
	assert_ok(hsm_once(user, MECH_ENCRYPT, IN("message"), HSM_NONE, &ask));
	assert_int_equal(ask.len, 7 + 28);
	assert_status(hsm_once(user, MECH_ENCRYPT, IN("message"), HSM_NONE, &little), HSM_E_BUFFER);
	assert_int_equal(little.len, 7 + 28);
	assert_ok(hsm_once(user, MECH_ENCRYPT, IN("message"), HSM_NONE, &out));
	assert_status(hsm_once(user, MECH_ENCRYPT, IN("message"), HSM_NONE, &out), HSM_E_OP_INACTIVE);
	/* A failure ends it. */
	assert_ok(hsm_begin(user, MECH_DECRYPT, key, HSM_AES_GCM, &gcm_made));
	room[20] ^= 1;
	uint8_t clear[64];
	hsm_out back = OUT(clear);
	assert_status(hsm_once(user, MECH_DECRYPT, (hsm_in){ room, 35 }, HSM_NONE, &back), HSM_E_CIPHERTEXT);
	assert_int_equal(back.len, 0);
	assert_status(hsm_once(user, MECH_DECRYPT, (hsm_in){ room, 35 }, HSM_NONE, &back), HSM_E_OP_INACTIVE);
	/* Parts were given already: one call cannot end it. */
	assert_ok(hsm_begin(user, MECH_SIGN, make_key(user, hmac256, NULL, 0), HSM_SHA256_HMAC, NULL));
	assert_ok(hsm_update(user, MECH_SIGN, IN("part"), NULL));
	out = OUT(room);
	assert_status(hsm_once(user, MECH_SIGN, IN("x"), HSM_NONE, &out), HSM_E_OP_ACTIVE);
	ask = (hsm_out){ NULL, 0, 0 };
	assert_ok(hsm_final(user, MECH_SIGN, HSM_NONE, &ask));
	assert_int_equal(ask.len, 32);
	assert_ok(hsm_final(user, MECH_SIGN, HSM_NONE, &out));
	assert_int_equal(out.len, 32);
}

static void
tells_a_made_iv_at_the_beginning(void **state)
{
	hsm_key key = make_key(user, aes256, NULL, 0);
	uint8_t iv[12] = { 0 }, room[64], clear[64];
	static const uint8_t zeros[12];
	hsm_out iv_out = OUT(iv), out = OUT(room), back = OUT(clear);
	const hsm_params made = { .flags = HSM_PARAM_IV_MADE, .iv_out = &iv_out, .aad = IN("a") };
	const hsm_params given = { .iv = IV(iv), .aad = IN("a") };

	(void)state;
	assert_ok(hsm_begin(user, MECH_ENCRYPT, key, HSM_AES_GCM, &made));
	assert_true(hsm_approved());
	assert_int_equal(iv_out.len, 12);
	assert_memory_not_equal(iv, zeros, 12);
	assert_ok(hsm_once(user, MECH_ENCRYPT, IN("message"), HSM_NONE, &out));
	assert_true(hsm_approved());
	assert_int_equal(out.len, 7 + 16);
	assert_ok(hsm_decrypt(user, key, HSM_AES_GCM, &given, (hsm_in){ room, out.len }, &back));
	assert_memory_equal(clear, "message", 7);
	/* The same iv from outside is not approved. */
	out = OUT(room);
	assert_ok(hsm_encrypt(user, key, HSM_AES_GCM, &given, IN("message"), &out));
	assert_false(hsm_approved());
}

static void
verifies_and_digests_in_parts(void **state)
{
	const hsm_params der = { .flags = HSM_PARAM_DER };
	hsm_key pub, priv, mac = make_key(user, hmac256, NULL, 0);
	uint8_t sig[128], one[64], two[64];
	hsm_out s = OUT(sig), a = OUT(one), b = OUT(two);

	(void)state;
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, NULL, 0, &pub, &priv));
	assert_ok(hsm_begin(user, MECH_SIGN, priv, HSM_ECDSA_SHA256, &der));
	assert_ok(hsm_update(user, MECH_SIGN, IN("con"), NULL));
	assert_ok(hsm_update(user, MECH_SIGN, IN("tract"), NULL));
	assert_ok(hsm_final(user, MECH_SIGN, HSM_NONE, &s));
	assert_ok(hsm_begin(user, MECH_VERIFY, pub, HSM_ECDSA_SHA256, &der));
	assert_ok(hsm_update(user, MECH_VERIFY, IN("contrac"), NULL));
	assert_ok(hsm_update(user, MECH_VERIFY, IN("t"), NULL));
	assert_ok(hsm_final(user, MECH_VERIFY, (hsm_in){ sig, s.len }, NULL));
	assert_ok(hsm_begin(user, MECH_VERIFY, pub, HSM_ECDSA_SHA256, &der));
	assert_status(hsm_once(user, MECH_VERIFY, IN("contracT"), (hsm_in){ sig, s.len }, NULL), HSM_E_SIGNATURE);
	/* All five uses at once in one session. */
	assert_ok(hsm_begin(user, MECH_DIGEST, 0, HSM_SHA256_, NULL));
	assert_ok(hsm_begin(user, MECH_SIGN, mac, HSM_SHA256_HMAC, NULL));
	assert_ok(hsm_begin(user, MECH_VERIFY, mac, HSM_SHA256_HMAC, NULL));
	assert_ok(hsm_update(user, MECH_DIGEST, IN("ab"), NULL));
	assert_ok(hsm_update(user, MECH_DIGEST, IN("c"), NULL));
	assert_ok(hsm_final(user, MECH_DIGEST, HSM_NONE, &a));
	assert_ok(hsm_digest(user, HSM_SHA256_, NULL, IN("abc"), &b));
	assert_int_equal(a.len, 32);
	assert_memory_equal(one, two, 32);
	static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
	assert_memory_equal(one, abc, sizeof abc);
	assert_ok(hsm_cancel(user, MECH_SIGN));
	assert_status(hsm_cancel(user, MECH_SIGN), HSM_E_OP_INACTIVE);
	assert_ok(hsm_cancel(user, MECH_VERIFY));
}

/* The key is on loan: destroyed, it serves what was begun, and nobody else. */
static void
finishes_what_was_begun(void **state)
{
	hsm_key key = make_key(user, hmac256, NULL, 0);
	uint8_t room[64];
	hsm_out out = OUT(room);
	hsm_info before, after;

	(void)state;
	assert_ok(hsm_begin(user, MECH_SIGN, key, HSM_SHA256_HMAC, NULL));
	assert_ok(hsm_describe(&before));
	assert_ok(hsm_destroy(user, key));
	assert_status(hsm_sign(user, key, HSM_SHA256_HMAC, NULL, IN("x"), &out), HSM_E_HANDLE);
	assert_ok(hsm_once(user, MECH_SIGN, IN("x"), HSM_NONE, &out));
	assert_ok(hsm_describe(&after));
	assert_int_equal(after.loaded + 1, before.loaded);
	/* A session that closes in the middle gives the loan back. */
	key = make_key(user, hmac256, NULL, 0);
	assert_ok(hsm_begin(user, MECH_SIGN, key, HSM_SHA256_HMAC, NULL));
	assert_ok(hsm_update(user, MECH_SIGN, IN("x"), NULL));
	assert_ok(hsm_destroy(user, key));
	assert_ok(hsm_session_close(user));
	assert_ok(hsm_describe(&after));
	assert_int_equal(after.loaded + 1, before.loaded);
}

static void
digests_only_keys_that_may_leave(void **state)
{
	static const hsm_attr loose[] = { ATTR_YES(HSM_ATTR_EXTRACTABLE), ATTR_NO(HSM_ATTR_SENSITIVE) };
	hsm_key closed = make_key(user, aes256, NULL, 0), open = make_key(user, aes256, loose, 2);
	uint8_t one[64], two[64], value[32];
	hsm_out a = OUT(one), b = OUT(two), v = OUT(value);

	(void)state;
	assert_ok(hsm_begin(user, MECH_DIGEST, 0, HSM_SHA256_, NULL));
	assert_ok(hsm_update_key(user, open));
	assert_ok(hsm_final(user, MECH_DIGEST, HSM_NONE, &a));
	assert_ok(hsm_attr_get(user, open, HSM_ATTR_VALUE, &v));
	assert_ok(hsm_digest(user, HSM_SHA256_, NULL, (hsm_in){ value, 32 }, &b));
	assert_memory_equal(one, two, 32);
	assert_ok(hsm_begin(user, MECH_DIGEST, 0, HSM_SHA256_, NULL));
	assert_status(hsm_update_key(user, closed), HSM_E_POLICY);
}

static void
asks_its_user_each_time(void **state)
{
	static const hsm_attr asks[] = { ATTR_YES(HSM_ATTR_ALWAYS_AUTHENTICATE) };
	const hsm_params der = { .flags = HSM_PARAM_DER };
	uint8_t sig[128];
	hsm_out s = OUT(sig);
	hsm_key key;

	(void)state;
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, asks, 1, NULL, &key));
	assert_ok(hsm_pin_set(user, HSM_ROLE_USER, IN("1234")));
	hsm_role role;
	assert_ok(hsm_session_role(user, &role));
	if (role != HSM_ROLE_USER)
		assert_ok(hsm_login(user, HSM_ROLE_USER, IN("1234")));
	assert_status(hsm_sign(user, key, HSM_ECDSA_SHA256, &der, IN("x"), &s), HSM_E_NOT_LOGGED_IN);
	assert_status(hsm_login(user, HSM_ROLE_CONTEXT, IN("1234")), HSM_E_OP_INACTIVE);
	for (int i = 0; i < 2; i++) {
		assert_ok(hsm_begin(user, MECH_SIGN, key, HSM_ECDSA_SHA256, &der));
		s = OUT(sig);
		assert_status(hsm_once(user, MECH_SIGN, IN("x"), HSM_NONE, &s), HSM_E_NOT_LOGGED_IN);
		assert_status(hsm_login(user, HSM_ROLE_CONTEXT, IN("9999")), HSM_E_PIN);
		assert_status(hsm_once(user, MECH_SIGN, IN("x"), HSM_NONE, &s), HSM_E_NOT_LOGGED_IN);
		assert_ok(hsm_login(user, HSM_ROLE_CONTEXT, IN("1234")));
		s = OUT(sig);
		assert_ok(hsm_once(user, MECH_SIGN, IN("x"), HSM_NONE, &s));
	}
}

/* ---- keys from keys -------------------------------------------------------------- */

static void
wraps_and_unwraps(void **state)
{
	static const hsm_attr may_leave[] = { ATTR_YES(HSM_ATTR_EXTRACTABLE) };
	const hsm_attr aes[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES), ATTR_YES(HSM_ATTR_EXTRACTABLE) };
	const hsm_attr ec[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_PRIVATE), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_EC) };
	hsm_key kek = make_key(user, aes256, NULL, 0), key = make_key(user, aes256, may_leave, 1), stays = make_key(user, aes256, NULL, 0);
	hsm_key back, pub, priv;
	uint8_t wrapped[600], message[64], clear[64], sig[128];
	hsm_out w = OUT(wrapped), m = OUT(message), c = OUT(clear), s = OUT(sig);

	(void)state;
	assert_status(hsm_wrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, stays, &w), HSM_E_UNEXTRACTABLE);
	w = OUT(wrapped);
	assert_ok(hsm_wrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, key, &w));
	assert_int_equal(w.len, 40);
	assert_ok(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, (hsm_in){ wrapped, w.len }, aes, COUNT(aes), &back));
	assert_ok(hsm_encrypt(user, key, HSM_AES_GCM, &gcm_made, IN("same key"), &m));
	assert_ok(hsm_decrypt(user, back, HSM_AES_GCM, &gcm_made, (hsm_in){ message, m.len }, &c));
	assert_memory_equal(clear, "same key", 8);
	assert_int_equal(number_of(user, back, HSM_ATTR_ALWAYS_SENSITIVE), 0);
	assert_int_equal(number_of(user, back, HSM_ATTR_NEVER_EXTRACTABLE), 0);
	assert_int_equal(number_of(user, back, HSM_ATTR_LOCAL), 0);
	wrapped[3] ^= 1;
	assert_status(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, (hsm_in){ wrapped, w.len }, aes, COUNT(aes), &back), HSM_E_CIPHERTEXT);
	assert_true(back == 0);

	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, may_leave, 1, &pub, &priv));
	w = OUT(wrapped);
	assert_ok(hsm_wrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, priv, &w));
	assert_ok(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, (hsm_in){ wrapped, w.len }, ec, COUNT(ec), &back));
	const hsm_params der = { .flags = HSM_PARAM_DER };
	assert_ok(hsm_sign(user, back, HSM_ECDSA_SHA256, &der, IN("x"), &s));
	assert_ok(hsm_verify(user, pub, HSM_ECDSA_SHA256, &der, IN("x"), (hsm_in){ sig, s.len }));
	/* Sealing mechanisms wrap too. */
	w = OUT(wrapped);
	assert_ok(hsm_wrap(user, kek, HSM_AES_GCM, &gcm_made, key, &w));
	assert_ok(hsm_unwrap(user, kek, HSM_AES_GCM, &gcm_made, (hsm_in){ wrapped, w.len }, aes, COUNT(aes), &back));
	assert_works(user, back);
	assert_status(hsm_unwrap(user, kek, HSM_AES_GCM, &gcm_made, (hsm_in){ wrapped, w.len }, NULL, 0, &back), HSM_E_TEMPLATE_INCOMPLETE);
}

/* Strict: the record comes back with the key, and nobody can loosen it. */
static void
carries_the_record_where_strict(void **state)
{
	static const hsm_attr wraps[] = { ATTR_YES(HSM_ATTR_WRAP), ATTR_YES(HSM_ATTR_UNWRAP), ATTR_NO(HSM_ATTR_ENCRYPT), ATTR_NO(HSM_ATTR_DECRYPT) };
	static const hsm_attr leaves[] = { ATTR_YES(HSM_ATTR_EXTRACTABLE), ATTR_TEXT(HSM_ATTR_LABEL, "traveller"), ATTR_NO(HSM_ATTR_DECRYPT) };
	const hsm_attr aes[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES) };
	const hsm_attr other[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_GENERIC) };
	static const hsm_attr open[] = { ATTR_NO(HSM_ATTR_SENSITIVE) }, uses[] = { ATTR_YES(HSM_ATTR_DECRYPT) };
	uint8_t wrapped[600];
	hsm_out w = OUT(wrapped);
	hsm_key kek, key, back;

	(void)state;
	assert_ok(hsm_partition_restrict(part));
	kek = make_key(user, aes256, wraps, 4);
	key = make_key(user, aes256, leaves, 3);
	assert_ok(hsm_wrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, key, &w));
	const hsm_in in = { wrapped, w.len };
	assert_ok(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, in, aes, 2, &back));
	assert_int_equal(number_of(user, back, HSM_ATTR_DECRYPT), 0);
	assert_int_equal(number_of(user, back, HSM_ATTR_EXTRACTABLE), 1);
	assert_int_equal(number_of(user, back, HSM_ATTR_LOCAL), 0);
	uint8_t label[16];
	hsm_out l = OUT(label);
	assert_ok(hsm_attr_get(user, back, HSM_ATTR_LABEL, &l));
	assert_memory_equal(label, "traveller", 9);
	assert_ok(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, in, NULL, 0, &back));
	assert_status(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, in, other, 2, &back), HSM_E_TEMPLATE);
	assert_status(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, in, open, 1, &back), HSM_E_ATTR_READ_ONLY);
	assert_status(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, in, uses, 1, &back), HSM_E_ATTR_READ_ONLY);
}

static void
holds_templates_of_the_working_key(void **state)
{
	static const uint8_t demands[] = { 0, 0, 1, 3, 0, 0, 0, 1, 1 };        /* SENSITIVE, one byte, TRUE */
	static const hsm_attr kek_attrs[] = { ATTR_BYTES(HSM_ATTR_UNWRAP_TEMPLATE, demands), ATTR_BYTES(HSM_ATTR_WRAP_TEMPLATE, demands) };
	static const hsm_attr loose[] = { ATTR_YES(HSM_ATTR_EXTRACTABLE), ATTR_NO(HSM_ATTR_SENSITIVE) }, tight[] = { ATTR_YES(HSM_ATTR_EXTRACTABLE) };
	hsm_key kek = make_key(user, aes256, kek_attrs, 2), open = make_key(user, aes256, loose, 2), closed = make_key(user, aes256, tight, 1), back;
	const hsm_attr aes[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES) };
	const hsm_attr bare[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES), ATTR_NO(HSM_ATTR_SENSITIVE) };
	uint8_t wrapped[64];
	hsm_out w = OUT(wrapped);

	(void)state;
	assert_status(hsm_wrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, open, &w), HSM_E_WRAPPING);
	w = OUT(wrapped);
	assert_ok(hsm_wrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, closed, &w));
	assert_status(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, (hsm_in){ wrapped, w.len }, bare, 3, &back), HSM_E_TEMPLATE);
	assert_ok(hsm_unwrap(user, kek, HSM_AES_KEY_WRAP_KWP, NULL, (hsm_in){ wrapped, w.len }, aes, 2, &back));
	assert_int_equal(number_of(user, back, HSM_ATTR_SENSITIVE), 1);
}

static void
derives(void **state)
{
	static const hsm_attr may_derive[] = { ATTR_YES(HSM_ATTR_DERIVE) };
	static const hsm_attr reveals[] = { ATTR_YES(HSM_ATTR_DERIVE), ATTR_YES(HSM_ATTR_REVEAL) };
	const hsm_attr aes[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES), ATTR_NUMBER(HSM_ATTR_VALUE_LEN, 32) };
	const hsm_attr open[] = { ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES), ATTR_NUMBER(HSM_ATTR_VALUE_LEN, 32), ATTR_NO(HSM_ATTR_SENSITIVE), ATTR_YES(HSM_ATTR_EXTRACTABLE) };
	hsm_key a, b, a_pub, b_pub, left, right;
	uint8_t a_spki[128], b_spki[128], message[64], clear[64], one[64], two[64];
	hsm_out ao = OUT(a_spki), bo = OUT(b_spki), m = OUT(message), c = OUT(clear), x = OUT(one), y = OUT(two);

	(void)state;
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, reveals, 2, &a_pub, &a));
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, reveals, 2, &b_pub, &b));
	assert_ok(hsm_public_key(user, a_pub, &ao));
	assert_ok(hsm_public_key(user, b, &bo));
	const hsm_params from_a = { .peer = { b_spki, bo.len } }, from_b = { .peer = { a_spki, ao.len } };
	assert_ok(hsm_derive(user, a, HSM_ECDH1_DERIVE, &from_a, aes, 3, &left));
	assert_ok(hsm_derive(user, b, HSM_ECDH1_DERIVE, &from_b, aes, 3, &right));
	assert_ok(hsm_encrypt(user, left, HSM_AES_GCM, &gcm_made, IN("agreed"), &m));
	assert_ok(hsm_decrypt(user, right, HSM_AES_GCM, &gcm_made, (hsm_in){ message, m.len }, &c));
	assert_memory_equal(clear, "agreed", 6);
	assert_ok(hsm_derive(user, b, HSM_ECDH1_DERIVE, &from_b, open, 4, &right));
	assert_ok(hsm_agree(user, a, HSM_ECDH1_DERIVE, &from_a, &x));
	assert_ok(hsm_attr_get(user, right, HSM_ATTR_VALUE, &y));
	assert_int_equal(x.len, 32);
	assert_memory_equal(one, two, 32);
	/* Payload only from keys that were made for it. */
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, may_derive, 1, NULL, &a));
	x = OUT(one);
	assert_status(hsm_agree(user, a, HSM_ECDH1_DERIVE, &from_a, &x), HSM_E_POLICY);
	assert_int_equal(x.len, 0);
	/* From a symmetric key nothing looser follows. */
	hsm_key base = make_key(user, hmac256, may_derive, 1);
	const hsm_params kdf = { .hash = HSM_SHA256, .label = IN("label"), .data = IN("context"), .flags = HSM_PARAM_EXPAND | HSM_PARAM_EXTRACT };
	assert_ok(hsm_derive(user, base, HSM_HKDF_DERIVE, &kdf, aes, 3, &left));
	assert_works(user, left);
	assert_int_equal(number_of(user, left, HSM_ATTR_ALWAYS_SENSITIVE), 1);
	assert_int_equal(number_of(user, left, HSM_ATTR_NEVER_EXTRACTABLE), 1);
	assert_status(hsm_derive(user, base, HSM_HKDF_DERIVE, &kdf, open, 4, &left), HSM_E_TEMPLATE);
	assert_true(left == 0);
}

static void
encapsulates(void **state)
{
	static const hsm_attr reveals[] = { ATTR_YES(HSM_ATTR_REVEAL) };
	const hsm_attr aes[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES) };
	const hsm_spec kem = { HSM_KEY_ML_KEM, 768 };
	uint8_t ct[2000], message[64], clear[64], one[64], two[64];
	hsm_out c = OUT(ct), m = OUT(message), p = OUT(clear), x = OUT(one), y = OUT(two);
	hsm_key pub, priv, left, right;

	(void)state;
	if (mech_find(HSM_ML_KEM) == NULL)
		skip();
	assert_ok(hsm_generate_pair(user, 0, kem, NULL, reveals, 1, reveals, 1, &pub, &priv));
	assert_ok(hsm_encapsulate(user, pub, HSM_ML_KEM, NULL, &c, aes, 2, &left));
	assert_ok(hsm_decapsulate(user, priv, HSM_ML_KEM, NULL, (hsm_in){ ct, c.len }, aes, 2, &right));
	assert_ok(hsm_encrypt(user, left, HSM_AES_GCM, &gcm_made, IN("agreed"), &m));
	assert_ok(hsm_decrypt(user, right, HSM_AES_GCM, &gcm_made, (hsm_in){ message, m.len }, &p));
	assert_status(hsm_decapsulate(user, pub, HSM_ML_KEM, NULL, (hsm_in){ ct, c.len }, aes, 2, &right), HSM_E_POLICY);
	c = OUT(ct);
	assert_ok(hsm_kem_seal(user, pub, HSM_ML_KEM, &c, &x));
	assert_ok(hsm_kem_open(user, priv, HSM_ML_KEM, (hsm_in){ ct, c.len }, &y));
	assert_int_equal(x.len, 32);
	assert_memory_equal(one, two, 32);
	assert_ok(hsm_generate_pair(user, 0, kem, NULL, NULL, 0, NULL, 0, &pub, &priv));
	y = OUT(two);
	assert_status(hsm_kem_open(user, priv, HSM_ML_KEM, (hsm_in){ ct, c.len }, &y), HSM_E_POLICY);
}

/* Every kind of pair there is: made, sealed, opened, used. */
static void
serves_every_kind(void **state)
{
	static const struct { hsm_spec spec; hsm_mech mech; hsm_params params; } pairs[] = {
		{ { HSM_KEY_RSA, 2048 }, HSM_SHA256_RSA_PKCS, { 0 } },
		{ { HSM_KEY_RSA, 2048 }, HSM_SHA256_RSA_PSS, { 0 } },
		{ { HSM_KEY_EC, HSM_P384 }, HSM_ECDSA_SHA384, { 0 } },
		{ { HSM_KEY_EC, HSM_P521 }, HSM_ECDSA_SHA512, { 0 } },
		{ { HSM_KEY_EC, HSM_SECP256K1 }, HSM_ECDSA_SHA256, { 0 } },
		{ { HSM_KEY_EDWARDS, HSM_ED25519 }, HSM_EDDSA, { 0 } },
		{ { HSM_KEY_ML_DSA, 44 }, HSM_ML_DSA, { 0 } }, { { HSM_KEY_ML_DSA, 65 }, HSM_ML_DSA, { 0 } },
		{ { HSM_KEY_ML_DSA, 87 }, HSM_ML_DSA, { 0 } }
	};
	const hsm_binding names = { IN("k"), IN("m") };
	static uint8_t sealed[20000], sig[8000];

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		hsm_key pub, priv, back;
		hsm_out out = OUT(sealed), s = OUT(sig);

		if (mech_find(pairs[i].mech) == NULL)
			continue;
		assert_ok(hsm_generate_pair(user, 0, pairs[i].spec, NULL, NULL, 0, NULL, 0, &pub, &priv));
		assert_ok(hsm_object_seal(user, priv, names, &out));
		assert_ok(hsm_destroy(user, priv));
		assert_ok(hsm_object_open(user, 0, names, (hsm_in){ sealed, out.len }, &back));
		assert_ok(hsm_sign(user, back, pairs[i].mech, &pairs[i].params, IN("message"), &s));
		assert_ok(hsm_verify(user, pub, pairs[i].mech, &pairs[i].params, IN("message"), (hsm_in){ sig, s.len }));
		assert_status(hsm_verify(user, pub, pairs[i].mech, &pairs[i].params, IN("massage"), (hsm_in){ sig, s.len }), HSM_E_SIGNATURE);
		assert_true(hsm_approved() == (pairs[i].spec.param != HSM_SECP256K1 || pairs[i].spec.type != HSM_KEY_EC));
		assert_ok(hsm_destroy(user, back));
		assert_ok(hsm_destroy(user, pub));
	}
}

static void
serves_only_what_is_approved(void **state)
{
	const hsm_config only = { .arena_size = 4 << 20, .approved_only = true };
	static const uint8_t iv[12] = { 1 }, bytes[32] = { 2 };
	const hsm_params given = { .iv = IV(iv) };
	const hsm_attr clear[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES), ATTR_BYTES(HSM_ATTR_VALUE, bytes) };
	uint8_t room[64];
	hsm_out out = OUT(room);
	hsm_key key;

	(void)state;
	assert_ok(hsm_open(&only));
	assert_ok(hsm_partition_ephemeral(IN("000000000001"), &part));
	assert_ok(hsm_session_open(part, HSM_SESSION_RW, &user));
	key = make_key(user, aes256, NULL, 0);
	assert_works(user, key);
	assert_status(hsm_encrypt(user, key, HSM_AES_GCM, &given, IN("x"), &out), HSM_E_NOT_APPROVED);
	assert_status(hsm_begin(user, MECH_ENCRYPT, key, HSM_AES_GCM, &given), HSM_E_NOT_APPROVED);
	assert_status(hsm_create(user, 0, clear, 3, &key), HSM_E_NOT_APPROVED);
	assert_status(hsm_generate_pair(user, 0, (hsm_spec){ HSM_KEY_EC, HSM_SECP256K1 }, NULL, NULL, 0, NULL, 0, NULL, &key), HSM_E_NOT_APPROVED);
	hsm_close();
}

int
main(void)
{
#define IN_SERVICE(test) cmocka_unit_test_setup_teardown(test, open_module, close_module)
	const struct CMUnitTest tests[] = {
		IN_SERVICE(streams_like_one_call),
		IN_SERVICE(keeps_what_asks_for_a_size),
		IN_SERVICE(tells_a_made_iv_at_the_beginning),
		IN_SERVICE(verifies_and_digests_in_parts),
		IN_SERVICE(finishes_what_was_begun),
		IN_SERVICE(digests_only_keys_that_may_leave),
		IN_SERVICE(asks_its_user_each_time),
		IN_SERVICE(wraps_and_unwraps),
		IN_SERVICE(carries_the_record_where_strict),
		IN_SERVICE(holds_templates_of_the_working_key),
		IN_SERVICE(derives),
		IN_SERVICE(encapsulates),
		IN_SERVICE(serves_every_kind),
		cmocka_unit_test(serves_only_what_is_approved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
