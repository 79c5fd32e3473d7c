/* Only what was sealed opens: a sealed blob, an account's key, an access key. */
#include "fuzz.h"

#include "module/seal.h"

static struct secret kdk;
static uint8_t blob[128], account[256], access_key[256];
static size_t blob_len, account_len, access_len;
static hsm_session service;
static hsm_part part;

static void
fuzz_open(void)
{
	uint8_t header[512];
	hsm_out root = ROOM(header), sealed = ROOM(account), credential = ROOM(access_key), object = ROOM(blob);
	hsm_key key;

	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("root.key"), &root), HSM_OK);
	assert_int_equal(hsm_partition_create(IN("123456789012"), &sealed, &part), HSM_OK);
	assert_int_equal(hsm_session_service(&service), HSM_OK);
	assert_int_equal(hsm_credential_create(service, part, IN("AKIA"), IN("p"), 0, HSM_SECRET_MADE, NULL, NULL, &credential, &key), HSM_OK);
	assert_int_equal(secret_alloc(&kdk, SEAL_KEY_LEN), HSM_OK);
	assert_int_equal(seal_close(&kdk, "object", IN("context"), IN("a clear text"), &object), HSM_OK);
	blob_len = object.len;
	account_len = sealed.len;
	access_len = credential.len;
}

static hsm_in
fuzz_seed(size_t i)
{
	const hsm_in seeds[] = { { blob, blob_len }, { account, account_len }, { access_key, access_len }, HSM_NONE };

	return seeds[i];
}

static void
fuzz_one(hsm_in input)
{
	const bool is_blob = bytes_equal(input, fuzz_seed(0)), is_account = bytes_equal(input, fuzz_seed(1));
	const bool is_access = bytes_equal(input, fuzz_seed(2));
	struct secret clear;
	hsm_part opened;
	hsm_key key;

	assert_int_equal(seal_open(&kdk, "object", IN("context"), input, &clear) == HSM_OK, is_blob);
	assert_int_equal(clear.ptr != NULL, is_blob);
	secret_wipe(&clear);
	assert_int_equal(hsm_partition_open(IN("123456789012"), input, &opened) == HSM_OK, is_account);
	if (is_account)
		assert_int_equal(hsm_partition_close(opened), HSM_OK);
	assert_int_equal(hsm_credential_open(service, part, IN("AKIA"), input, &key) == HSM_OK, is_access);
	if (is_access)
		assert_int_equal(hsm_credential_close(service, key), HSM_OK);
}
