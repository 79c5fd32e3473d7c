/* Keys from outside in DER, PKCS#8 and SubjectPublicKeyInfo: what is taken in
 * publishes a key that is taken in again; all else is refused, and leaves no
 * object behind. The first byte says what the rest is offered as. */
#define FUZZ_RUNS 4000u
#include "fuzz.h"

#include "mech/known_answers.h"
#include "mech/mech.h"

static const hsm_spec specs[] = {
	{ HSM_KEY_EC, HSM_P256 }, { HSM_KEY_EDWARDS, HSM_ED25519 }, { HSM_KEY_MONTGOMERY, HSM_X25519 }, { HSM_KEY_ML_DSA, 44 },
	{ HSM_KEY_ML_KEM, 512 }, { HSM_KEY_RSA, 2048 },
};
#define SPECS (sizeof specs / sizeof *specs)
#define PUBLIC 0x80u

static uint8_t seeds[2 * SPECS][FUZZ_MAX];
static size_t seed_lens[2 * SPECS];
static hsm_session session;

static void
seed_put(size_t i, uint8_t first, hsm_in der)
{
	assert_true(der.len + 1 <= FUZZ_MAX);
	seeds[i][0] = first;
	memcpy(seeds[i] + 1, der.ptr, der.len);
	seed_lens[i] = der.len + 1;
}

static hsm_status
offer(uint8_t first, hsm_in der, hsm_key *key)
{
	uint64_t klass = (first & PUBLIC) != 0 ? HSM_CLASS_PUBLIC : HSM_CLASS_PRIVATE, type = specs[first % PUBLIC % SPECS].type;
	const hsm_attr attrs[] = {
		{ HSM_ATTR_CLASS, { (const uint8_t *)&klass, sizeof klass } }, { HSM_ATTR_KEY_TYPE, { (const uint8_t *)&type, sizeof type } },
		{ HSM_ATTR_VALUE, der },
	};

	return hsm_create(session, 0, attrs, 3, key);
}

static void
fuzz_open(void)
{
	static const hsm_params none;
	hsm_part part;

	assert_int_equal(hsm_partition_ephemeral(IN("fuzz"), &part), HSM_OK);
	assert_int_equal(hsm_session_open(part, HSM_SESSION_RW, &session), HSM_OK);
	for (size_t i = 0; i < SPECS; i++) {
		struct secret material = SECRET_NONE, spki = SECRET_NONE;
		uint8_t room[FUZZ_MAX];
		hsm_out out = ROOM(room);
		hsm_key key;

		/* One that is known is quicker than one that is found. */
		if (specs[i].type == HSM_KEY_RSA)
			assert_int_equal(secret_copy(&material, (hsm_in){ known_rsa_pkcs8, sizeof known_rsa_pkcs8 }), HSM_OK);
		else
			assert_int_equal(kind_find(specs[i].type)->generate(specs[i], &none, &material, &spki), HSM_OK);
		seed_put(2 * i, (uint8_t)i, secret_in(&material));
		assert_int_equal(offer((uint8_t)i, secret_in(&material), &key), HSM_OK);
		assert_int_equal(hsm_public_key(session, key, &out), HSM_OK);
		assert_int_equal(hsm_destroy(session, key), HSM_OK);
		seed_put(2 * i + 1, (uint8_t)(i | PUBLIC), (hsm_in){ room, out.len });
		secret_wipe(&material);
		secret_wipe(&spki);
	}
}

static hsm_in
fuzz_seed(size_t i)
{
	return i < 2 * SPECS ? (hsm_in){ seeds[i], seed_lens[i] } : HSM_NONE;
}

static void
fuzz_one(hsm_in input)
{
	uint8_t room[FUZZ_MAX];
	hsm_out out = ROOM(room);
	hsm_info before, after;
	hsm_key key, again;

	if (input.len == 0)
		return;
	assert_int_equal(hsm_describe(&before), HSM_OK);
	if (offer(input.ptr[0], (hsm_in){ input.ptr + 1, input.len - 1 }, &key) == HSM_OK) {
		assert_int_equal(hsm_public_key(session, key, &out), HSM_OK);
		assert_int_equal(offer((uint8_t)(input.ptr[0] | PUBLIC), (hsm_in){ room, out.len }, &again), HSM_OK);
		assert_int_equal(hsm_destroy(session, again), HSM_OK);
		assert_int_equal(hsm_destroy(session, key), HSM_OK);
	}
	assert_int_equal(hsm_describe(&after), HSM_OK);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.loaded, before.loaded);
}
