/* A token's header, its ticket and its objects at rest: only what was written
 * opens, whole. */
#define FUZZ_RUNS 4000u
#include "fuzz.h"

static uint8_t header[HSM_TOKEN_HEADER_MAX], ticket[HSM_TOKEN_TICKET_MAX], object[512];
static const uint8_t digest[32] = { 7 };
static hsm_binding binding = { { (const uint8_t *)"object", 6 }, { (const uint8_t *)"", 0 } };
static size_t header_len, ticket_len, object_len;
static hsm_session session;
static hsm_part part;

static void
fuzz_open(void)
{
	hsm_out out = ROOM(header), room = ROOM(ticket), sealed = ROOM(object);
	uint64_t klass = HSM_CLASS_DATA;
	static const uint8_t no = 0;
	const hsm_attr attrs[] = {
		{ HSM_ATTR_CLASS, { (const uint8_t *)&klass, sizeof klass } }, { HSM_ATTR_VALUE, { (const uint8_t *)"data", 4 } },
		{ HSM_ATTR_PRIVATE, { &no, 1 } },
	};
	hsm_key key;

	assert_int_equal(hsm_token_create(at("device"), IN("officer"), false, &out, &part), HSM_OK);
	header_len = out.len;
	assert_int_equal(hsm_session_open(part, HSM_SESSION_RW, &session), HSM_OK);
	assert_int_equal(hsm_create(session, 0, attrs, 3, &key), HSM_OK);
	assert_int_equal(hsm_object_seal(session, key, binding, &sealed), HSM_OK);
	object_len = sealed.len;
	assert_int_equal(hsm_destroy(session, key), HSM_OK);
	assert_int_equal(hsm_login(session, HSM_ROLE_OFFICER, IN("officer")), HSM_OK);
	assert_int_equal(hsm_token_export(session, at("device"), HSM_NONE, (hsm_in){ digest, sizeof digest }, &room), HSM_OK);
	ticket_len = room.len;
	assert_int_equal(hsm_logout(session), HSM_OK);
}

static hsm_in
fuzz_seed(size_t i)
{
	const hsm_in seeds[] = { { header, header_len }, { ticket, ticket_len }, { object, object_len }, HSM_NONE };

	return seeds[i];
}

static void
fuzz_one(hsm_in input)
{
	const bool is_header = bytes_equal(input, fuzz_seed(0)), is_ticket = bytes_equal(input, fuzz_seed(1));
	const bool is_object = bytes_equal(input, fuzz_seed(2));
	uint8_t room[512];
	hsm_out value = ROOM(room);
	hsm_part opened;
	hsm_key key;

	assert_int_equal(hsm_token_open(at("device"), input, &opened) == HSM_OK, is_header);
	if (is_header)
		assert_int_equal(hsm_partition_close(opened), HSM_OK);
	assert_int_equal(hsm_token_refresh(part, input) == HSM_OK, is_header);
	assert_int_equal(hsm_token_import(at("device"), HSM_NONE, input, (hsm_in){ digest, sizeof digest }) == HSM_OK, is_ticket);
	/* It is read when it is used. */
	if (hsm_object_open(session, 0, binding, input, &key) != HSM_OK) {
		assert_false(is_object);
		return;
	}
	assert_int_equal(hsm_attr_get(session, key, HSM_ATTR_VALUE, &value) == HSM_OK, is_object);
	assert_int_equal(hsm_object_close(session, key), HSM_OK);
}
