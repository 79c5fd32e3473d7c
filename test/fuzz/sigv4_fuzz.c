/* Nothing but the request that was signed verifies. Fields are lines. */
#include "fuzz.h"

/* From the signing suite (test/vectors/sigv4): get-vanilla. */
#define SIGNED "20150830\nus-east-1\nservice\n20150830T123600Z\n\n5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\n" \
	"GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n"

static hsm_key key;

static void
fuzz_open(void)
{
	uint8_t header[512], sealed[512];
	hsm_out root = ROOM(header), account = ROOM(sealed), credential = ROOM(sealed);
	hsm_session service;
	hsm_part part;

	write_file(at("secret"), "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 40);
	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("root.key"), &root), HSM_OK);
	assert_int_equal(hsm_partition_create(IN("111111111111"), &account, &part), HSM_OK);
	assert_int_equal(hsm_session_service(&service), HSM_OK);
	assert_int_equal(hsm_credential_create(service, part, IN("AKIDEXAMPLE"), IN("p"), 0, HSM_SECRET_FILE, at("secret"), NULL, &credential, &key), HSM_OK);
}

static hsm_in
fuzz_seed(size_t i)
{
	return i == 0 ? IN(SIGNED) : HSM_NONE;
}

static hsm_in
take_line(hsm_in *rest)
{
	const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
	const hsm_in line = { rest->ptr, end == NULL ? rest->len : (size_t)(end - rest->ptr) };
	const size_t taken = line.len + (end != NULL);

	rest->ptr += taken;
	rest->len -= taken;
	return line;
}

static void
fuzz_one(hsm_in input)
{
	hsm_in rest = input;
	hsm_sigv4 r = { .now_ms = 1 };
	hsm_session session;
	hsm_status st;

	r.date = take_line(&rest);
	r.region = take_line(&rest);
	r.service = take_line(&rest);
	r.timestamp = take_line(&rest);
	r.payload_hash = take_line(&rest);
	r.signature = take_line(&rest);
	r.canonical = rest;
	st = hsm_sigv4_verify(key, &r, &session);
	assert_int_equal(st == HSM_OK, bytes_equal(input, IN(SIGNED)));
	assert_true(st == HSM_OK || st == HSM_E_SIGNATURE || st == HSM_E_DATA);
	if (st == HSM_OK)
		assert_int_equal(hsm_session_close(session), HSM_OK);
}
