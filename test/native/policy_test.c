/* The one gate: role x object x use, as a table; then mechanisms, dates,
 * wrapping, and the same through the face of the core. */
#include "module_known.h"

#include "module/attrs.h"
#include "module/policy.h"
#include "module/session.h"

/* Whose object it is to the session, and who may see it. */
enum whose { HOME_PRIVATE, HOME_PUBLIC, FOREIGN, FOREIGN_SHARED, FOREIGN_ALL };

struct row { hsm_role role; enum whose whose; hsm_status work, describe, change, seal, destroy; };

#define OK HSM_OK
#define ROLE HSM_E_ROLE
#define PART HSM_E_PARTITION
#define NONE HSM_E_HANDLE

static const struct row table[] = {
	/*                                    work  describe change seal  destroy */
	{ HSM_ROLE_SERVICE, HOME_PRIVATE,     ROLE, OK,      OK,    OK,   OK },
	{ HSM_ROLE_SERVICE, HOME_PUBLIC,      ROLE, OK,      OK,    OK,   OK },
	{ HSM_ROLE_SERVICE, FOREIGN,          ROLE, OK,      OK,    OK,   OK },
	{ HSM_ROLE_CALLER,  HOME_PRIVATE,     OK,   OK,      ROLE,  ROLE, ROLE },
	{ HSM_ROLE_CALLER,  HOME_PUBLIC,      OK,   OK,      ROLE,  ROLE, ROLE },
	{ HSM_ROLE_CALLER,  FOREIGN,          PART, PART,    PART,  PART, PART },
	{ HSM_ROLE_CALLER,  FOREIGN_SHARED,   OK,   OK,      ROLE,  ROLE, ROLE },
	{ HSM_ROLE_CALLER,  FOREIGN_ALL,      OK,   OK,      ROLE,  ROLE, ROLE },
	{ HSM_ROLE_USER,    HOME_PRIVATE,     OK,   OK,      OK,    OK,   OK },
	{ HSM_ROLE_USER,    HOME_PUBLIC,      OK,   OK,      OK,    OK,   OK },
	{ HSM_ROLE_USER,    FOREIGN,          PART, PART,    PART,  PART, PART },
	{ HSM_ROLE_USER,    FOREIGN_SHARED,   PART, PART,    PART,  PART, PART },
	{ HSM_ROLE_USER,    FOREIGN_ALL,      PART, PART,    PART,  PART, PART },
	{ HSM_ROLE_OFFICER, HOME_PRIVATE,     NONE, NONE,    NONE,  NONE, NONE },
	{ HSM_ROLE_OFFICER, HOME_PUBLIC,      OK,   OK,      OK,    OK,   OK },
	{ HSM_ROLE_OFFICER, FOREIGN_SHARED,   PART, PART,    PART,  PART, PART },
	{ HSM_ROLE_PUBLIC,  HOME_PRIVATE,     NONE, NONE,    NONE,  NONE, NONE },
	{ HSM_ROLE_PUBLIC,  HOME_PUBLIC,      OK,   OK,      OK,    OK,   OK },
	{ HSM_ROLE_PUBLIC,  FOREIGN_ALL,      PART, PART,    PART,  PART, PART },
	{ HSM_ROLE_CONTEXT, HOME_PUBLIC,      ROLE, ROLE,    ROLE,  ROLE, ROLE },
};

static const uint32_t working[] = {
	MECH_ENCRYPT, MECH_DECRYPT, MECH_SIGN, MECH_VERIFY, MECH_WRAP, MECH_UNWRAP, MECH_DERIVE, MECH_ENCAP, MECH_DECAP, MECH_RECOVER
};
#define EVERY_USE 0x0FFFu

static hsm_status
ask(const struct row *row, uint32_t use)
{
	const hsm_in account = IN("111111111111"), list = IN("222222222222111111111111"), all = IN("************");
	const struct facts f = {
		.klass = HSM_CLASS_SECRET, .spec = aes256, .use = EVERY_USE,
		.flags = row->whose == HOME_PUBLIC ? 0 : FACT_PRIVATE,
		.shared_with = row->whose == FOREIGN_SHARED ? list : row->whose == FOREIGN_ALL ? all : HSM_NONE
	};

	return policy_check(&(struct policy_ask){
		.role = row->role, .writable = true, .home = row->whose <= HOME_PUBLIC, .account = account, .facts = &f, .use = use
	});
}

static void
decides_by_role_and_object(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		for (size_t j = 0; j < COUNT(working); j++)
			assert_status(ask(&table[i], working[j]), table[i].work);
		assert_status(ask(&table[i], USE_DESCRIBE), table[i].describe);
		assert_status(ask(&table[i], USE_CHANGE), table[i].change);
		assert_status(ask(&table[i], USE_SEAL), table[i].seal);
		assert_status(ask(&table[i], USE_DESTROY), table[i].destroy);
	}
}

/* Every use needs its own bit: no other bit, nor all others, will do. */
static void
needs_the_bit_of_the_use(void **state)
{
	struct facts f = { .klass = HSM_CLASS_SECRET, .spec = aes256 };
	struct policy_ask q = { .role = HSM_ROLE_USER, .home = true, .writable = true, .facts = &f };

	(void)state;
	for (size_t i = 0; i < COUNT(working); i++) {
		q.use = working[i];
		f.use = EVERY_USE & ~working[i];
		assert_status(policy_check(&q), HSM_E_POLICY);
		f.use = working[i];
		assert_ok(policy_check(&q));
	}
}

static void
holds_shared_lists_to_whole_accounts(void **state)
{
	/* Not at a multiple of twelve; too short; nobody. */
	const hsm_in lists[] = { IN("x111111111111x11111111111"), IN("11111111111"), IN(""), IN("11111111111*") };
	struct facts f = { .spec = aes256, .use = EVERY_USE };

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		f.shared_with = lists[i];
		assert_status(policy_check(&(struct policy_ask){ .role = HSM_ROLE_CALLER, .account = IN("111111111111"),
			.facts = &f, .use = MECH_ENCRYPT }), HSM_E_PARTITION);
	}
	/* A token's partition has no account of twelve digits. */
	f.shared_with = IN("************");
	assert_status(policy_check(&(struct policy_ask){ .role = HSM_ROLE_CALLER, .account = IN("token"),
		.facts = &f, .use = MECH_ENCRYPT }), HSM_E_PARTITION);
}

static void
fits_mechanisms_to_keys(void **state)
{
	const uint64_t only[] = { HSM_AES_CBC, HSM_AES_GCM }, other[] = { HSM_AES_CBC };
	struct facts f = { .klass = HSM_CLASS_SECRET, .spec = aes256, .use = EVERY_USE };
	struct policy_ask q = { .role = HSM_ROLE_USER, .home = true, .facts = &f, .use = MECH_ENCRYPT, .mech = mech_find(HSM_AES_GCM) };

	(void)state;
	assert_ok(policy_check(&q));
	q.use = MECH_SIGN;
	assert_status(policy_check(&q), HSM_E_MECH);
	q.use = MECH_ENCRYPT;
	f.allowed = (hsm_in){ (const uint8_t *)other, sizeof other };
	assert_status(policy_check(&q), HSM_E_POLICY);
	f.allowed = (hsm_in){ (const uint8_t *)only, sizeof only };
	assert_ok(policy_check(&q));
	f.spec = (hsm_spec){ HSM_KEY_GENERIC, 256 };
	assert_status(policy_check(&q), HSM_E_KEY_TYPE);
	f.spec = (hsm_spec){ HSM_KEY_AES, 64 };
	assert_status(policy_check(&q), HSM_E_KEY_SIZE);
	/* Keys of one job have no row. */
	q.mech = mech_find(HSM_SHA256_HMAC);
	q.use = MECH_SIGN;
	f.allowed = HSM_NONE;
	f.spec = (hsm_spec){ HSM_KEY_KDK, 256 };
	assert_status(policy_check(&q), HSM_E_POLICY);
	f.spec = (hsm_spec){ HSM_KEY_SIGV4, 320 };
	assert_status(policy_check(&q), HSM_E_POLICY);
}

static void
holds_dates_where_strict(void **state)
{
	struct facts f = { .klass = HSM_CLASS_SECRET, .spec = aes256, .use = EVERY_USE };
	struct policy_ask q = { .role = HSM_ROLE_USER, .home = true, .facts = &f, .use = MECH_ENCRYPT };

	(void)state;
	f.end = IN("20010101");
	assert_ok(policy_check(&q));
	q.strict = true;
	assert_status(policy_check(&q), HSM_E_EXPIRED);
	q.use = MECH_DECRYPT;
	assert_ok(policy_check(&q));
	q.use = MECH_ENCRYPT;
	f.end = HSM_NONE;
	f.start = IN("29990101");
	assert_status(policy_check(&q), HSM_E_EXPIRED);
	f.start = IN("20010101");
	f.end = IN("29990101");
	assert_ok(policy_check(&q));
}

static void
wraps_only_what_may_leave(void **state)
{
	const struct mech *kwp = mech_find(HSM_AES_KEY_WRAP_KWP), *cbc = mech_find(HSM_AES_CBC_PAD);
	struct facts kek = { .klass = HSM_CLASS_SECRET, .spec = aes256, .flags = FACT_ALWAYS_SENSITIVE | FACT_LOCAL };
	struct facts key = { .klass = HSM_CLASS_SECRET, .spec = aes256, .flags = FACT_EXTRACTABLE };

	(void)state;
	assert_ok(policy_wrap(&kek, &key, kwp, false));
	assert_ok(policy_wrap(&kek, &key, kwp, true));
	assert_ok(policy_wrap(&kek, &key, cbc, false));
	assert_status(policy_wrap(&kek, &key, cbc, true), HSM_E_WRAPPING);
	key.flags |= FACT_WRAP_WITH_TRUSTED;
	assert_status(policy_wrap(&kek, &key, kwp, false), HSM_E_WRAPPING);
	kek.flags |= FACT_TRUSTED;
	assert_ok(policy_wrap(&kek, &key, kwp, false));
	key.flags = 0;
	assert_status(policy_wrap(&kek, &key, kwp, false), HSM_E_UNEXTRACTABLE);
	key.flags = FACT_EXTRACTABLE;
	key.spec = (hsm_spec){ HSM_KEY_KDK, 256 };
	assert_status(policy_wrap(&kek, &key, kwp, false), HSM_E_UNEXTRACTABLE);
	/* Never under a weaker key. */
	key.spec = aes256;
	kek.spec = (hsm_spec){ HSM_KEY_AES, 128 };
	assert_status(policy_wrap(&kek, &key, kwp, false), HSM_E_WRAPPING);
	/* Strict: a wrapping key that somebody outside may know. */
	kek = (struct facts){ .klass = HSM_CLASS_SECRET, .spec = aes256 };
	assert_ok(policy_wrap(&kek, &key, kwp, false));
	assert_status(policy_wrap(&kek, &key, kwp, true), HSM_E_WRAPPING);
	/* RSA-2048 is weaker than AES-256; every client does it all the same. */
	kek = (struct facts){ .klass = HSM_CLASS_PUBLIC, .spec = { HSM_KEY_RSA, 2048 }, .flags = FACT_TRUSTED };
	assert_ok(policy_wrap(&kek, &key, mech_find(HSM_RSA_OAEP), false));
	assert_status(policy_wrap(&kek, &key, mech_find(HSM_RSA_OAEP), true), HSM_E_WRAPPING);
}

/* ---- the same through the face -------------------------------------------- */

static hsm_session
caller_of(const char *account)
{
	struct partition *p;
	hsm_session session;
	hsm_part at;

	assert_ok(hsm_partition_ephemeral((hsm_in){ (const uint8_t *)account, 12 }, &at));
	assert_ok(partition_acquire(at, &p));
	assert_ok(session_make(p, HSM_ROLE_CALLER, 0, IN("arn"), &session));
	partition_release(p);
	return session;
}

static void
keeps_tenants_apart(void **state)
{
	static const hsm_attr shared[] = { ATTR_TEXT(HSM_ATTR_SHARED_WITH, "333333333333") };
	hsm_session b = caller_of("222222222222"), c = caller_of("333333333333"), service;
	hsm_key mine = make_key(user, aes256, NULL, 0), open = make_key(user, aes256, shared, 1), made;
	uint8_t room[128];
	hsm_out out = OUT(room);
	hsm_key_info info;

	(void)state;
	assert_status(hsm_encrypt(b, mine, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_PARTITION);
	assert_status(hsm_encrypt(b, open, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_PARTITION);
	assert_status(hsm_key_describe(b, mine, &info), HSM_E_PARTITION);
	assert_status(hsm_encrypt(c, mine, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_PARTITION);
	assert_works(c, open);
	assert_status(hsm_destroy(c, open), HSM_E_ROLE);
	assert_status(hsm_attr_set(c, open, shared, 1), HSM_E_ROLE);
	/* The word of the key can be taken back. */
	const hsm_attr nobody[] = { ATTR_TEXT(HSM_ATTR_SHARED_WITH, "") };
	assert_ok(hsm_session_service(&service));
	assert_ok(hsm_attr_set(service, open, nobody, 1));
	assert_status(hsm_encrypt(c, open, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_PARTITION);
	/* The service makes, seals and opens; it never works. */
	assert_status(hsm_generate(service, 0, aes256, NULL, 0, &made), HSM_E_PARTITION);
	assert_ok(hsm_generate(service, part, aes256, NULL, 0, &made));
	assert_status(hsm_encrypt(service, made, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_ROLE);
	assert_status(hsm_begin(service, MECH_ENCRYPT, made, HSM_AES_GCM, &gcm_made), HSM_E_ROLE);
	out = OUT(room);
	uint8_t sealed[512];
	out = OUT(sealed);
	assert_ok(hsm_object_seal(service, made, (hsm_binding){ IN("k"), IN("m") }, &out));
	assert_ok(hsm_object_open(service, part, (hsm_binding){ IN("k"), IN("m") }, (hsm_in){ sealed, out.len }, &made));
	assert_ok(hsm_destroy(service, made));
	/* A caller may not bring sealed bytes in. */
	assert_status(hsm_object_open(b, 0, (hsm_binding){ IN("k"), IN("m") }, (hsm_in){ sealed, out.len }, &made), HSM_E_ROLE);
	/* The derivation key of envelopes works in no other call. */
	assert_ok(hsm_generate(user, 0, (hsm_spec){ HSM_KEY_KDK, 256 }, NULL, 0, &made));
	out = OUT(room);
	assert_status(hsm_sign(user, made, HSM_SHA256_HMAC, NULL, IN("x"), &out), HSM_E_POLICY);
}

static void
shows_private_objects_to_the_user_alone(void **state)
{
	static const hsm_attr open[] = { ATTR_NO(HSM_ATTR_PRIVATE) };
	hsm_key hidden = make_key(user, aes256, NULL, 0), seen = make_key(user, aes256, open, 1), key, keys[8];
	uint64_t cursor = 0;
	size_t count = COUNT(keys);
	uint8_t room[64];
	hsm_out out = OUT(room);
	hsm_role role;

	(void)state;
	assert_ok(hsm_pin_set(user, HSM_ROLE_OFFICER, IN("87654321")));
	assert_ok(hsm_pin_set(user, HSM_ROLE_USER, IN("1234")));
	assert_ok(hsm_session_role(user, &role));
	if (role == HSM_ROLE_USER)
		assert_ok(hsm_logout(user));
	assert_status(hsm_encrypt(user, hidden, HSM_AES_GCM, &gcm_made, IN("x"), &out), HSM_E_HANDLE);
	assert_works(user, seen);
	assert_ok(hsm_find(user, NULL, 0, &cursor, keys, &count));
	assert_int_equal(count, 1);
	assert_true(keys[0] == seen);
	assert_status(hsm_generate(user, 0, aes256, NULL, 0, &key), HSM_E_NOT_LOGGED_IN);
	assert_ok(hsm_login(user, HSM_ROLE_OFFICER, IN("87654321")));
	assert_status(hsm_generate(user, 0, aes256, NULL, 0, &key), HSM_E_NOT_LOGGED_IN);
	static const hsm_attr trusted[] = { ATTR_NO(HSM_ATTR_PRIVATE), ATTR_YES(HSM_ATTR_TRUSTED) };
	assert_ok(hsm_generate(user, 0, aes256, trusted, 2, &key));
	assert_int_equal(number_of(user, key, HSM_ATTR_TRUSTED), 1);
	assert_ok(hsm_logout(user));
	assert_ok(hsm_login(user, HSM_ROLE_USER, IN("1234")));
	assert_status(hsm_generate(user, 0, aes256, trusted, 2, &key), HSM_E_ATTR_READ_ONLY);
	assert_works(user, seen);
}

int
main(void)
{
#define IN_SERVICE(test) cmocka_unit_test_setup_teardown(test, open_module, close_module)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decides_by_role_and_object),
		cmocka_unit_test(needs_the_bit_of_the_use),
		cmocka_unit_test(holds_shared_lists_to_whole_accounts),
		cmocka_unit_test(fits_mechanisms_to_keys),
		cmocka_unit_test(holds_dates_where_strict),
		cmocka_unit_test(wraps_only_what_may_leave),
		IN_SERVICE(keeps_tenants_apart),
		IN_SERVICE(shows_private_objects_to_the_user_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
