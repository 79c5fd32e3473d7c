/* Let each promise and allocation on the path of each call fail once. Whatever
 * fails, nothing half-made stays behind, and nothing is served that is not
 * whole. */
#include "module_known.h"

#ifdef STRONGROOM_FAULTS

struct scene {
	hsm_key aes, mac, pub, priv, loose, base, rsa_pub, rsa, kem_pub, kem;
	uint8_t sealed[2048], message[256], sig[512], rsa_sig[512], wrapped[256], spki[256], ct[2000];
	size_t sealed_len, message_len, sig_len, rsa_sig_len, wrapped_len, spki_len, ct_len;
	uint8_t room[8192];
	hsm_out out;
	hsm_key key, other;
};

static struct scene x;

static const hsm_binding names = { { (const uint8_t *)"k", 1 }, { (const uint8_t *)"m", 1 } };
static const hsm_attr loose[] = { ATTR_YES(HSM_ATTR_EXTRACTABLE), ATTR_NO(HSM_ATTR_SENSITIVE), ATTR_YES(HSM_ATTR_DERIVE), ATTR_TEXT(HSM_ATTR_LABEL, "label") };
static const hsm_attr reveals[] = { ATTR_YES(HSM_ATTR_DERIVE), ATTR_YES(HSM_ATTR_REVEAL) };
static const uint8_t bytes[32] = { 5 };

static int
make_scene(void **state)
{
	hsm_out out;

	open_module(state);
	x.aes = make_key(user, aes256, NULL, 0);
	x.mac = make_key(user, hmac256, NULL, 0);
	x.loose = make_key(user, aes256, loose, COUNT(loose));
	x.base = make_key(user, hmac256, loose, COUNT(loose));
	assert_ok(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, reveals, 2, &x.pub, &x.priv));
	assert_ok(hsm_generate_pair(user, 0, (hsm_spec){ HSM_KEY_RSA, 2048 }, NULL, NULL, 0, NULL, 0, &x.rsa_pub, &x.rsa));
	assert_ok(hsm_generate_pair(user, 0, (hsm_spec){ HSM_KEY_ML_KEM, 768 }, NULL, reveals + 1, 1, reveals + 1, 1, &x.kem_pub, &x.kem));
#define KEEP(field, call) do { out = OUT(x.field); assert_ok(call); x.field##_len = out.len; } while (0)
	KEEP(sealed, hsm_object_seal(user, x.loose, names, &out));
	KEEP(message, hsm_encrypt(user, x.aes, HSM_AES_GCM, &gcm_made, IN("message"), &out));
	KEEP(sig, hsm_sign(user, x.priv, HSM_ECDSA_SHA256, NULL, IN("message"), &out));
	KEEP(rsa_sig, hsm_sign(user, x.rsa, HSM_SHA256_RSA_PKCS, NULL, IN("message"), &out));
	KEEP(wrapped, hsm_wrap(user, x.aes, HSM_AES_KEY_WRAP_KWP, NULL, x.loose, &out));
	KEEP(spki, hsm_public_key(user, x.pub, &out));
	hsm_out shared = OUT(x.room);
	KEEP(ct, hsm_kem_seal(user, x.kem_pub, HSM_ML_KEM, &out, &shared));
	return 0;
}

/* Not here: ECDH, in which AWS-LC (EC_KEY_check_fips) uses two numbers without
 * asking whether they could be allocated. The promise that goes before keeps
 * that from happening. */

/* The call with everything, so that its keys and what is kept between calls
 * are there; then with each promise broken in turn. */
#define EACH_FAILS(call, undo) do { \
	unsigned n = 0; \
	for (;; n++) { \
		hsm_info was, is; \
		size_t before; \
		x.out = OUT(x.room); \
		assert_ok(call); \
		undo; \
		before = arena_live(); \
		assert_ok(hsm_describe(&was)); \
		x.out = OUT(x.room); \
		x.key = x.other = 99; \
		fault_after(n); \
		hsm_status st = (call); \
		fault_off(); \
		if (!fault_fired()) { \
			assert_ok(st); \
			undo; \
			break; \
		} \
		if (st == HSM_OK) {             /* a broken promise: other keys made room */ \
			undo; \
			continue; \
		} \
		assert_status(st, HSM_E_MEMORY); \
		assert_true(x.key == 99 || x.key == 0); \
		assert_true(x.other == 99 || x.other == 0); \
		assert_ok(hsm_describe(&is)); \
		assert_int_equal(is.objects, was.objects); \
		assert_int_equal(is.loaded, was.loaded); \
		assert_int_equal(arena_live(), before); \
		assert_string_equal(is.state, "ready"); \
	} \
	assert_true(n > 0); \
} while (0)

#define NOTHING (void)0
#define DESTROY assert_ok(hsm_destroy(user, x.key))
#define DESTROY_BOTH do { assert_ok(hsm_destroy(user, x.key)); assert_ok(hsm_destroy(user, x.other)); } while (0)

static void
uses_keys(void **state)
{
	(void)state;
	EACH_FAILS(hsm_encrypt(user, x.aes, HSM_AES_GCM, &gcm_made, IN("message"), &x.out), NOTHING);
	EACH_FAILS(hsm_decrypt(user, x.aes, HSM_AES_GCM, &gcm_made, (hsm_in){ x.message, x.message_len }, &x.out), NOTHING);
	EACH_FAILS(hsm_sign(user, x.mac, HSM_SHA256_HMAC, NULL, IN("message"), &x.out), NOTHING);
	EACH_FAILS(hsm_sign(user, x.priv, HSM_ECDSA_SHA256, NULL, IN("message"), &x.out), NOTHING);
	EACH_FAILS(hsm_verify(user, x.pub, HSM_ECDSA_SHA256, NULL, IN("message"), (hsm_in){ x.sig, x.sig_len }), NOTHING);
	EACH_FAILS(hsm_sign(user, x.rsa, HSM_SHA256_RSA_PKCS, NULL, IN("message"), &x.out), NOTHING);
	EACH_FAILS(hsm_verify(user, x.rsa_pub, HSM_SHA256_RSA_PKCS, NULL, IN("message"), (hsm_in){ x.rsa_sig, x.rsa_sig_len }), NOTHING);
	EACH_FAILS(hsm_digest(user, HSM_SHA256_, NULL, IN("message"), &x.out), NOTHING);
	EACH_FAILS(hsm_random(user, &x.out), NOTHING);
}

static void
makes_keys(void **state)
{
	const hsm_attr given[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES), ATTR_BYTES(HSM_ATTR_VALUE, bytes) };
	const hsm_attr spki[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_PUBLIC), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_EC), { HSM_ATTR_VALUE, { x.spki, x.spki_len } } };
	const hsm_attr aes[] = { ATTR_NUMBER(HSM_ATTR_CLASS, HSM_CLASS_SECRET), ATTR_NUMBER(HSM_ATTR_KEY_TYPE, HSM_KEY_AES), ATTR_NUMBER(HSM_ATTR_VALUE_LEN, 32) };
	const hsm_params kdf = { .hash = HSM_SHA256, .flags = HSM_PARAM_EXPAND | HSM_PARAM_EXTRACT };

	(void)state;
	EACH_FAILS(hsm_generate(user, 0, aes256, NULL, 0, &x.key), DESTROY);
	EACH_FAILS(hsm_generate_pair(user, 0, p256, NULL, NULL, 0, NULL, 0, &x.other, &x.key), DESTROY_BOTH);
	EACH_FAILS(hsm_create(user, 0, given, 3, &x.key), DESTROY);
	EACH_FAILS(hsm_create(user, 0, spki, 3, &x.key), DESTROY);
	EACH_FAILS(hsm_copy(user, x.loose, NULL, 0, &x.key), DESTROY);
	EACH_FAILS(hsm_unwrap(user, x.aes, HSM_AES_KEY_WRAP_KWP, NULL, (hsm_in){ x.wrapped, x.wrapped_len }, aes, 2, &x.key), DESTROY);
	EACH_FAILS(hsm_derive(user, x.base, HSM_HKDF_DERIVE, &kdf, aes, 3, &x.key), DESTROY);
	EACH_FAILS(hsm_encapsulate(user, x.kem_pub, HSM_ML_KEM, NULL, &x.out, aes, 2, &x.key), DESTROY);
	EACH_FAILS(hsm_decapsulate(user, x.kem, HSM_ML_KEM, NULL, (hsm_in){ x.ct, x.ct_len }, aes, 2, &x.key), DESTROY);
}

/* Opening reads nothing; the first use does. */
static hsm_status
open_and_use(void)
{
	hsm_out room = OUT(x.message);
	hsm_status st, closed;

	if ((st = hsm_object_open(user, 0, names, (hsm_in){ x.sealed, x.sealed_len }, &x.key)) != HSM_OK)
		return st;
	st = hsm_encrypt(user, x.key, HSM_AES_GCM, &gcm_made, IN("message"), &room);
	closed = hsm_object_close(user, x.key);
	x.key = 0;
	return st != HSM_OK ? st : closed;
}

static void
shows_and_keeps(void **state)
{
	uint8_t second[256];
	hsm_out shared;

	(void)state;
	EACH_FAILS(hsm_object_seal(user, x.aes, names, &x.out), NOTHING);
	EACH_FAILS(open_and_use(), NOTHING);
	EACH_FAILS(hsm_attr_get(user, x.loose, HSM_ATTR_VALUE, &x.out), NOTHING);
	EACH_FAILS(hsm_attr_get(user, x.loose, HSM_ATTR_CHECK_VALUE, &x.out), NOTHING);
	EACH_FAILS(hsm_attr_get(user, x.pub, HSM_ATTR_EC_POINT, &x.out), NOTHING);
	EACH_FAILS(hsm_public_key(user, x.priv, &x.out), NOTHING);
	EACH_FAILS(hsm_wrap(user, x.aes, HSM_AES_KEY_WRAP_KWP, NULL, x.loose, &x.out), NOTHING);
	EACH_FAILS((shared = OUT(second), hsm_kem_seal(user, x.kem_pub, HSM_ML_KEM, &x.out, &shared)), NOTHING);
	EACH_FAILS(hsm_kem_open(user, x.kem, HSM_ML_KEM, (hsm_in){ x.ct, x.ct_len }, &x.out), NOTHING);
}

static hsm_status
in_parts(uint32_t use, hsm_key key, hsm_mech mech, const hsm_params *params)
{
	hsm_out room = OUT(x.room);
	hsm_status st;

	if ((st = hsm_begin(user, use, key, mech, params)) != HSM_OK)
		return st;
	if ((st = hsm_update(user, use, IN("one"), &room)) != HSM_OK)
		return st;
	room = OUT(x.room);
	if ((st = hsm_update(user, use, IN("two"), &room)) != HSM_OK)
		return st;
	room = OUT(x.room);
	return hsm_final(user, use, HSM_NONE, &room);
}

static hsm_status
begin_and_once(void)
{
	hsm_status st = hsm_begin(user, MECH_ENCRYPT, x.aes, HSM_AES_GCM, &gcm_made);

	return st != HSM_OK ? st : hsm_once(user, MECH_ENCRYPT, IN("message"), HSM_NONE, &x.out);
}

static void
works_in_parts(void **state)
{
	(void)state;
	EACH_FAILS(begin_and_once(), NOTHING);
	EACH_FAILS(in_parts(MECH_ENCRYPT, x.aes, HSM_AES_GCM, &gcm_made), NOTHING);
	EACH_FAILS(in_parts(MECH_SIGN, x.mac, HSM_SHA256_HMAC, NULL), NOTHING);
	EACH_FAILS(in_parts(MECH_SIGN, x.priv, HSM_ECDSA_SHA256, NULL), NOTHING);
	EACH_FAILS(in_parts(MECH_SIGN, x.rsa, HSM_SHA256_RSA_PSS, NULL), NOTHING);
	EACH_FAILS(in_parts(MECH_DIGEST, 0, HSM_SHA256_, NULL), NOTHING);
}

#define BEFORE_ECDH 300         /* of some 400 allocations */

/* Power on as well: too little memory is no failed self-test, and leaves the
 * module off. */
static void
opens_or_stays_off(void **state)
{
	const hsm_config config = { .arena_size = 4 << 20 };
	hsm_info info;
	unsigned n;

	(void)state;
	for (n = 0; n < BEFORE_ECDH; n++) {
		fault_after(n);
		hsm_status st = hsm_open(&config);
		fault_off();
		assert_true(fault_fired());
		if (st == HSM_OK) {
			hsm_close();
			continue;
		}
		assert_status(st, HSM_E_MEMORY);
		assert_ok(hsm_describe(&info));
		assert_string_equal(info.state, "off");
	}
	assert_ok(hsm_open(&config));
	hsm_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(uses_keys, make_scene, close_module),
		cmocka_unit_test_setup_teardown(makes_keys, make_scene, close_module),
		cmocka_unit_test_setup_teardown(shows_and_keeps, make_scene, close_module),
		cmocka_unit_test_setup_teardown(works_in_parts, make_scene, close_module),
		cmocka_unit_test(opens_or_stays_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
	return 0;       /* nothing can be made to fail in this build */
}

#endif
