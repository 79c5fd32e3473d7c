/* Only the header and the key file that were made open the root. */
#define FUZZ_RUNS 1000u                         /* each writes a file */
#include "fuzz.h"

static uint8_t header[512], keyfile[128];
static size_t header_len, keyfile_len;
static char good[128], other[128];

static void
fuzz_open(void)
{
	hsm_out root = ROOM(header);

	strcpy(good, at("root.key"));
	strcpy(other, at("other.key"));
	assert_int_equal(hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, good, &root), HSM_OK);
	header_len = root.len;
	keyfile_len = read_file(good, keyfile, sizeof keyfile);
	hsm_root_close();
}

static hsm_in
fuzz_seed(size_t i)
{
	const hsm_in seeds[] = { { header, header_len }, { keyfile, keyfile_len }, HSM_NONE };

	return seeds[i];
}

static void
fuzz_one(hsm_in input)
{
	hsm_status st = hsm_root_open(input, HSM_UNSEAL_KEYFILE, good);

	assert_int_equal(st == HSM_OK, bytes_equal(input, fuzz_seed(0)));
	hsm_root_close();
	assert_int_not_equal(hsm_root_open(input, HSM_UNSEAL_PASSPHRASE, good), HSM_OK);
	write_file(other, input.ptr, input.len);
	st = hsm_root_open(fuzz_seed(0), HSM_UNSEAL_KEYFILE, other);
	assert_int_equal(st == HSM_OK, bytes_equal(input, fuzz_seed(1)));
	hsm_root_close();
}
