/* Only what was sealed opens, under its own context; what peeks has its names
 * in the one form they have; what is no context is refused. */
#include "fuzz.h"

#include "module/context.h"
#include "module/envelope.h"
#include "module/session.h"

#define UUID "1234abcd-12ab-34cd-56ef-1234567890ab"
#define PAIRS "\0\0\0\6tenant\0\0\0\1a\0\0\0\1b\0\0\0\0"

static hsm_session caller;
static hsm_key key;
static uint8_t blob[256];
static size_t blob_len;

static void
fuzz_open(void)
{
	uint8_t header[512], sealed[1024];
	hsm_out root = ROOM(header), account = ROOM(sealed), object = ROOM(sealed), out = ROOM(blob);
	hsm_session service;
	struct partition *p;
	hsm_part part;

	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("root.key"), &root), HSM_OK);
	assert_int_equal(hsm_partition_create(IN("111111111111"), &account, &part), HSM_OK);
	assert_int_equal(hsm_session_service(&service), HSM_OK);
	assert_int_equal(partition_acquire(part, &p), HSM_OK);
	assert_int_equal(session_make(p, HSM_ROLE_CALLER, 0, IN("p"), &caller), HSM_OK);
	partition_release(p);
	assert_int_equal(hsm_generate(service, part, (hsm_spec){ HSM_KEY_KDK, 256 }, NULL, 0, &key), HSM_OK);
	assert_int_equal(hsm_object_seal(service, key, (hsm_binding){ IN(UUID), IN("material") }, &object), HSM_OK);
	assert_int_equal(hsm_envelope_seal(caller, key, IN(PAIRS), IN("a message"), &out), HSM_OK);
	blob_len = out.len;
}

static hsm_in
fuzz_seed(size_t i)
{
	const hsm_in seeds[] = { { blob, blob_len }, IN(PAIRS), IN("SRe\1" "111111111111" "\0\1a\1b0123456789012345678901234567890123456789012345678901234567890123456789"), HSM_NONE };

	return seeds[i];
}

static void
check_context(hsm_in input)
{
	static uint8_t canonical[CONTEXT_LEN(CONTEXT_MAX)], again[CONTEXT_LEN(CONTEXT_MAX)];
	const hsm_in pairs = { canonical + 4, input.len };

	if (input.len > CONTEXT_MAX || context_write(input, canonical) != HSM_OK)
		return;
	assert_int_equal(context_write(pairs, again), HSM_OK);
	assert_memory_equal(again, canonical, CONTEXT_LEN(input.len));
}

static void
fuzz_one(hsm_in input)
{
	uint8_t plain[ENVELOPE_PLAIN_MAX];
	hsm_out out = ROOM(plain);
	hsm_envelope_name name;
	hsm_status st;

	st = hsm_envelope_peek(input, &name);
	assert_true(st == HSM_OK || st == HSM_E_FORMAT);
	if (st == HSM_OK)
		assert_true(name.object_id_len - 1 < 64 && name.material_id_len - 1 < 64);
	st = hsm_envelope_open(caller, key, IN(PAIRS), input, &out);
	assert_int_equal(st, bytes_equal(input, fuzz_seed(0)) ? HSM_OK : HSM_E_CIPHERTEXT);
	out = ROOM(plain);
	st = hsm_envelope_open(caller, key, input, fuzz_seed(0), &out);
	assert_true(st == HSM_E_CIPHERTEXT || st == HSM_E_DATA || st == HSM_E_DATA_LEN || st == HSM_OK);
	check_context(input);
}
