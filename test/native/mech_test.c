/* mech_test.c - a few answers known from outside for each family, and what
 * the slots promise: sizes asked for, short rooms, refusals. The whole vector
 * files are played through the Node door (test/vectors). */
#include "mech_known.h"
#include "mech/primitive.h"

static const hsm_params none;

/* ---- registry --------------------------------------------------------------- */

static void
rows_are_found_by_number(void **state)
{
	const struct mech *row;

	(void)state;
	for (size_t i = 0; (row = mech_at(i)) != NULL; i++) {
		assert_ptr_equal(mech_find(row->id), row);
		assert_true(row->heap > 0 && row->depth > 0);
	}
	assert_null(mech_find(0x7FFFFFFF));
}

/* ---- digests ---------------------------------------------------------------- */

static void
digests(void **state)
{
	static const struct { hsm_mech mech; const char *answer; } known[] = {   /* of "abc", FIPS 180-4 and 202 examples */
		{ 0x220, "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ 0x250, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ 0x270, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
		{ 0x2B0, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		const struct mech *row = mech_find(known[i].mech);
		struct stream s = { .mech = row, .use = MECH_DIGEST };
		struct bytes b;
		hsm_out out = { NULL, 0, 0 };

		assert_status(row->digest(&none, text("abc"), &out), HSM_OK);
		assert_int_equal(out.len, strlen(known[i].answer) / 2);
		out = (hsm_out){ b.at, 4, 0 };
		assert_status(row->digest(&none, text("abc"), &out), HSM_E_BUFFER);
		out = room(&b);
		assert_status(row->digest(&none, text("abc"), &out), HSM_OK);
		assert_bytes(out_in(out), hex(known[i].answer));

		assert_status(row->begin(&s), HSM_OK);
		assert_status(row->update(&s, text("a"), NULL), HSM_OK);
		assert_status(row->update(&s, text("bc"), NULL), HSM_OK);
		out = room(&b);
		assert_status(row->final(&s, HSM_NONE, &out), HSM_OK);
		assert_bytes(out_in(out), hex(known[i].answer));
		row->end(&s);
	}
}

/* ---- HMAC (RFC 4231, case 2) -------------------------------------------------- */

static void
hmac(void **state)
{
	const hsm_in answer = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	struct key key = key_of(HSM_KEY_GENERIC, PART_SECRET, text("Jefe"));
	const struct mech *row = mech_find(HSM_SHA256_HMAC), *general = mech_find(HSM_SHA256_HMAC_GENERAL);
	const hsm_in msg = text("what do ya want for nothing?"), name = text("Jefe");
	hsm_params half = { .tag_bits = 128 };
	uint8_t mac[32], wrong[32];
	struct bytes b;
	hsm_out out;

	(void)state;
	for (int i = 0; i < 2; i++) {
		out = room(&b);
		assert_status(row->sign(&key, &none, msg, &out), HSM_OK);
		assert_bytes(out_in(out), answer);
	}
	assert_status(row->verify(&key, &none, msg, answer), HSM_OK);
	memcpy(wrong, answer.ptr, 32);
	wrong[31] ^= 1;
	assert_status(row->verify(&key, &none, msg, (hsm_in){ wrong, 32 }), HSM_E_SIGNATURE);
	assert_status(row->verify(&key, &none, msg, (hsm_in){ wrong, 31 }), HSM_E_SIGNATURE_LEN);
	out = room(&b);
	assert_status(general->sign(&key, &half, msg, &out), HSM_OK);
	assert_bytes(out_in(out), (hsm_in){ answer.ptr, 16 });
	assert_status(general->sign(&key, &none, msg, &out), HSM_E_PARAM);
	assert_status(primitive_hmac(HSM_SHA256, name, &msg, 1, mac), HSM_OK);
	assert_bytes((hsm_in){ mac, 32 }, answer);
	key_unload(&key);
}

/* ---- AES-GCM (McGrew and Viega, test case 16) --------------------------------- */

#define GCM_KEY "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define GCM_CLEAR "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define GCM_AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_CIPHER "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
#define GCM_TAG "76fc6ece0f4e1768cddf8853bb2d551b"

static void
gcm(void **state)
{
	const struct mech *row = mech_find(HSM_AES_GCM);
	struct key key = key_of(HSM_KEY_AES, PART_SECRET, hex(GCM_KEY));
	hsm_params p = { .iv = hex("cafebabefacedbaddecaf888"), .aad = hex(GCM_AAD) };
	const hsm_in clear = hex(GCM_CLEAR), sealed = hex(GCM_CIPHER GCM_TAG);
	struct stream s = { .mech = row, .key = &key, .use = MECH_ENCRYPT, .params = p };
	struct bytes b, c;
	hsm_out out, tag = { c.at, 16, 0 };

	(void)state;
	out = room(&b);
	assert_status(row->seal(&key, &p, clear, &out), HSM_OK);
	assert_bytes(out_in(out), sealed);
	out = room(&b);
	assert_status(row->open(&key, &p, sealed, &out), HSM_OK);
	assert_bytes(out_in(out), clear);
	memcpy(c.at, sealed.ptr, sealed.len);
	for (size_t i = 0; i < sealed.len; i++) {
		c.at[i] ^= 0x80;
		out = room(&b);
		assert_status(row->open(&key, &p, (hsm_in){ c.at, sealed.len }, &out), HSM_E_CIPHERTEXT);
		assert_int_equal(out.len, 0);
		c.at[i] ^= 0x80;
	}
	for (size_t bits = 32; bits <= 120; bits += 8) {
		hsm_status wanted = bits == 32 || bits == 64 || bits >= 96 ? HSM_OK : HSM_E_PARAM;
		hsm_in cut = { sealed.ptr, clear.len + bits / 8 };

		p.tag_bits = (uint32_t)bits;
		out = room(&b);
		assert_status(row->open(&key, &p, cut, &out), wanted);
		out = room(&b);
		assert_status(row->seal(&key, &p, clear, &out), wanted);
		if (wanted == HSM_OK)
			assert_bytes(out_in(out), cut);
	}
	p.tag_bits = 0;
	p.tag_out = &tag;
	out = room(&b);
	assert_status(row->seal(&key, &p, clear, &out), HSM_OK);
	assert_bytes(out_in(out), hex(GCM_CIPHER));
	assert_bytes(out_in(tag), hex(GCM_TAG));

	assert_status(row->begin(&s), HSM_OK);
	out = (hsm_out){ b.at, 100, 0 };
	assert_status(row->update(&s, (hsm_in){ clear.ptr, 7 }, &out), HSM_OK);
	assert_int_equal(out.len, 7);
	out = (hsm_out){ b.at + 7, 100, 0 };
	assert_status(row->update(&s, (hsm_in){ clear.ptr + 7, clear.len - 7 }, &out), HSM_OK);
	out = (hsm_out){ b.at + clear.len, 15, 0 };
	assert_status(row->final(&s, HSM_NONE, &out), HSM_E_BUFFER);
	out.cap = 16;
	assert_status(row->final(&s, HSM_NONE, &out), HSM_OK);
	assert_bytes((hsm_in){ b.at, sealed.len }, sealed);
	row->end(&s);

	s.use = MECH_DECRYPT;
	assert_status(row->begin(&s), HSM_OK);
	out = room(&b);
	assert_status(row->update(&s, sealed, &out), HSM_OK);
	assert_int_equal(out.len, 0);
	out = room(&b);
	assert_status(row->final(&s, HSM_NONE, &out), HSM_OK);
	assert_bytes(out_in(out), clear);
	row->end(&s);
	key_unload(&key);
}

static void
gcm_makes_ivs(void **state)
{
	const struct mech *row = mech_find(HSM_AES_GCM);
	struct key key = key_of(HSM_KEY_AES, PART_SECRET, hex(GCM_KEY));
	uint8_t iv[12];
	hsm_out iv_out = { iv, sizeof iv, 0 };
	hsm_params made = { .flags = HSM_PARAM_IV_MADE }, apart = { .flags = HSM_PARAM_IV_MADE, .iv_out = &iv_out };
	hsm_params back = { .iv = { iv, sizeof iv } };
	struct bytes b, c;
	hsm_out out = room(&b), again = room(&c);

	(void)state;
	assert_status(row->seal(&key, &made, text("hello"), &out), HSM_OK);
	assert_status(row->seal(&key, &made, text("hello"), &again), HSM_OK);
	assert_int_equal(out.len, 12 + 5 + 16);
	assert_memory_not_equal(b.at, c.at, 12);
	assert_status(row->open(&key, &made, out_in(out), &again), HSM_OK);
	assert_bytes(out_in(again), text("hello"));
	assert_status(row->seal(&key, &apart, text("hello"), &out), HSM_OK);
	assert_int_equal(out.len, 5 + 16);
	assert_status(row->open(&key, &back, out_in(out), &again), HSM_OK);
	assert_bytes(out_in(again), text("hello"));
	assert_true(row->approved(&key, MECH_ENCRYPT, &made));
	assert_false(row->approved(&key, MECH_ENCRYPT, &back));
	assert_true(row->approved(&key, MECH_DECRYPT, &back));
	assert_status(row->seal(&key, &none, text("hello"), &out), HSM_E_PARAM);
	key_unload(&key);
}

/* ---- AES-CTS (RFC 3962, appendix B; there the last two blocks always change
 * places, here only where one is cut) ---- */

static void
cts(void **state)
{
	static const struct { size_t len; const char *answer; } known[] = {
		{ 17, "97" "c6353568f2bf8cb4d8a580362da7ff7f" },
		{ 31, "97687268d6ecccc0c07b25e25ecfe5" "fc00783e0efdb2c1d445d4c8eff7ed22" },
		{ 32, "97687268d6ecccc0c07b25e25ecfe584" "39312523a78662d5be7fcbcc98ebf5a8" },
	};
	const struct mech *row = mech_find(0x1089);
	struct key key = key_of(HSM_KEY_AES, PART_SECRET, text("chicken teriyaki"));
	const hsm_params p = { .iv = hex("00000000000000000000000000000000") };
	const hsm_in clear = text("I would like the General Gau's Chicken, please, and wonton soup.");

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		struct bytes b, c;
		hsm_out out = room(&b), back = room(&c);

		assert_status(row->seal(&key, &p, (hsm_in){ clear.ptr, known[i].len }, &out), HSM_OK);
		assert_bytes(out_in(out), hex(known[i].answer));
		assert_status(row->open(&key, &p, out_in(out), &back), HSM_OK);
		assert_bytes(out_in(back), (hsm_in){ clear.ptr, known[i].len });
		assert_status(row->seal(&key, &p, (hsm_in){ clear.ptr, 15 }, &out), HSM_E_DATA_LEN);
	}
	key_unload(&key);
}

/* ---- ChaCha20-Poly1305 (RFC 8439, 2.8.2) and DES3 (SP 800-67's own example) ---- */

static void
chacha(void **state)
{
	const struct mech *row = mech_find(HSM_CHACHA20_POLY1305);
	struct key key = key_of(HSM_KEY_CHACHA20, PART_SECRET, hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
	const hsm_params p = { .iv = hex("070000004041424344454647"), .aad = hex("50515253c0c1c2c3c4c5c6c7") };
	const hsm_in clear = text("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.");
	const hsm_in sealed = hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116" "1ae10b594f09e26a7e902ecbd0600691");
	struct bytes b;
	hsm_out out = room(&b);

	(void)state;
	assert_status(row->seal(&key, &p, clear, &out), HSM_OK);
	assert_bytes(out_in(out), sealed);
	assert_status(row->open(&key, &p, sealed, &out), HSM_OK);
	assert_bytes(out_in(out), clear);
	key_unload(&key);
}

static void
des3(void **state)
{
	const struct mech *row = mech_find(0x132);
	struct key key = key_of(HSM_KEY_DES3, PART_SECRET, hex("0123456789abcdef23456789abcdef01456789abcdef0123"));
	struct bytes b;
	hsm_out out = room(&b);

	(void)state;
	assert_status(row->open(&key, &none, hex("a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900"), &out), HSM_OK);
	assert_bytes(out_in(out), text("The qufck brown fox jump"));
	assert_null(row->seal);
	assert_null(key.kind->generate);
	key_unload(&key);
}

/* ---- KBKDF ------------------------------------------------------------------- */

/* The row, the primitive and HMAC by hand agree. */
static void
kbkdf(void **state)
{
	const struct mech *row = mech_find(HSM_SP800_108_COUNTER);
	struct key key = key_of(HSM_KEY_GENERIC, PART_SECRET, hex(GCM_KEY));
	hsm_params p = { .label = text("label"), .data = text("context"), .spec = { HSM_KEY_AES, 256 } };
	const hsm_in parts[] = { hex("00000001"), text("label"), hex("00"), text("context"), hex("00000100") };
	struct secret made = SECRET_NONE;
	uint8_t plain[32], by_hand[32];

	(void)state;
	assert_status(row->derive(&key, &p, 0, &made), HSM_OK);
	assert_status(primitive_kbkdf(hex(GCM_KEY), p.label, p.data, plain, sizeof plain), HSM_OK);
	assert_status(primitive_hmac(HSM_SHA256, hex(GCM_KEY), parts, 5, by_hand), HSM_OK);
	assert_int_equal(made.len, 32);
	assert_memory_equal(made.ptr, plain, 32);
	assert_memory_equal(plain, by_hand, 32);
	secret_wipe(&made);
	key_unload(&key);
}

/* ---- EC ---------------------------------------------------------------------- */

/* RFC 6979 A.2.5: key, message "sample", SHA-256. */
#define P256_X "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
#define P256_POINT "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define P256_SIG "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
#define P256_OID "06082a8648ce3d030107"

static struct key
p256(enum key_part part)
{
	const hsm_attr priv[] = { { HSM_ATTR_EC_PARAMS, hex(P256_OID) }, { HSM_ATTR_VALUE, hex(P256_X) } };
	const hsm_attr pub[] = { { HSM_ATTR_EC_PARAMS, hex(P256_OID) }, { HSM_ATTR_EC_POINT, hex("0441" P256_POINT) } };
	struct secret material = SECRET_NONE;
	struct key key;

	assert_status(kind_find(HSM_KEY_EC)->compose(part, part == PART_PUBLIC ? pub : priv, 2, &material), HSM_OK);
	key = key_of(HSM_KEY_EC, part, secret_in(&material));
	secret_wipe(&material);
	return key;
}

static void
ecdsa(void **state)
{
	const struct mech *row = mech_find(HSM_ECDSA_SHA256), *raw = mech_find(HSM_ECDSA);
	struct key priv = p256(PART_PRIVATE), pub = p256(PART_PUBLIC);
	hsm_params der = { .flags = HSM_PARAM_DER };
	hsm_in msg = text("sample"), sig = hex(P256_SIG);
	struct stream s = { .mech = row, .key = &priv, .use = MECH_SIGN };
	uint8_t digest[32];
	struct bytes b;
	hsm_out out = { NULL, 0, 0 };

	(void)state;
	assert_int_equal(priv.spec.param, HSM_P256);
	assert_status(priv.kind->consistent(&priv), HSM_OK);
	assert_status(row->verify(&pub, &none, msg, sig), HSM_OK);
	assert_status(row->verify(&pub, &none, text("Sample"), sig), HSM_E_SIGNATURE);
	assert_status(row->verify(&pub, &none, msg, (hsm_in){ sig.ptr, 63 }), HSM_E_SIGNATURE_LEN);
	assert_status(row->sign(&priv, &none, msg, &out), HSM_OK);
	assert_int_equal(out.len, 64);
	out = room(&b);
	assert_status(row->sign(&priv, &none, msg, &out), HSM_OK);
	assert_status(row->verify(&pub, &none, msg, out_in(out)), HSM_OK);
	out = room(&b);
	assert_status(row->sign(&priv, &der, msg, &out), HSM_OK);
	assert_status(row->verify(&priv, &der, msg, out_in(out)), HSM_OK);
	assert_status(row->verify(&priv, &none, msg, out_in(out)), out.len > 64 || out.len % 2 != 0 ? HSM_E_SIGNATURE_LEN : HSM_E_SIGNATURE);
	assert_status(primitive_hash(HSM_SHA256, &msg, 1, digest), HSM_OK);
	assert_status(raw->verify(&pub, &none, (hsm_in){ digest, 32 }, sig), HSM_OK);

	assert_status(row->begin(&s), HSM_OK);
	assert_status(row->update(&s, text("sam"), NULL), HSM_OK);
	assert_status(row->update(&s, text("ple"), NULL), HSM_OK);
	out = (hsm_out){ NULL, 0, 0 };
	assert_status(row->final(&s, HSM_NONE, &out), HSM_OK);
	assert_int_equal(out.len, 64);
	out = room(&b);
	assert_status(row->final(&s, HSM_NONE, &out), HSM_OK);
	assert_status(row->verify(&pub, &none, msg, out_in(out)), HSM_OK);
	row->end(&s);
	key_unload(&priv);
	key_unload(&pub);
}

static void
ec_components(void **state)
{
	struct key key = p256(PART_PRIVATE);
	struct bytes b;
	hsm_out out = room(&b);

	(void)state;
	assert_status(key.kind->component(&key, HSM_ATTR_EC_POINT, &out), HSM_OK);
	assert_bytes(out_in(out), hex("0441" P256_POINT));
	assert_status(key.kind->component(&key, HSM_ATTR_EC_PARAMS, &out), HSM_OK);
	assert_bytes(out_in(out), hex(P256_OID));
	out = room(&b);
	assert_status(key.kind->component(&key, HSM_ATTR_VALUE, &out), HSM_OK);
	assert_bytes(out_in(out), hex(P256_X));
	assert_status(key.kind->component(&key, HSM_ATTR_MODULUS, &out), HSM_E_ATTR_TYPE);
	key_unload(&key);
}

static void
ec_every_curve(void **state)
{
	const struct mech *row = mech_find(HSM_ECDSA_SHA384);

	(void)state;
	for (uint32_t curve = HSM_P224; curve <= HSM_SECP256K1; curve++) {
		struct key priv, pub;
		struct bytes b;
		hsm_out out = room(&b);

		pair_of((hsm_spec){ HSM_KEY_EC, curve }, NULL, &priv, &pub);
		assert_int_equal(priv.spec.param, curve);
		assert_status(priv.kind->consistent(&priv), HSM_OK);
		assert_status(row->sign(&priv, &none, text("x"), &out), HSM_OK);
		assert_status(row->verify(&pub, &none, text("x"), out_in(out)), HSM_OK);
		assert_int_equal(row->approved(&priv, MECH_SIGN, &none), curve != HSM_SECP256K1);
		key_unload(&priv);
		key_unload(&pub);
	}
}

/* ---- self-tests ------------------------------------------------------------- */

static void
self_tests_pass_and_can_fail(void **state)
{
	const struct self_test *test;

	(void)state;
	for (size_t i = 0; (test = self_test_at(i)) != NULL; i++) {
		print_message("%s\n", test->name);
		assert_status(test->run(false), HSM_OK);
		assert_status(test->run(true), HSM_E_SELF_TEST);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_found_by_number), cmocka_unit_test(digests), cmocka_unit_test(hmac),
		cmocka_unit_test(gcm), cmocka_unit_test(gcm_makes_ivs), cmocka_unit_test(cts),
		cmocka_unit_test(chacha), cmocka_unit_test(des3), cmocka_unit_test(kbkdf),
		cmocka_unit_test(ecdsa), cmocka_unit_test(ec_components), cmocka_unit_test(ec_every_curve),
		cmocka_unit_test(self_tests_pass_and_can_fail),
	};

	return cmocka_run_group_tests(tests, mech_setup, NULL);
}
