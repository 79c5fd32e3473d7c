#include "unseal.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../crypto/rng.h"
#include "../mech/primitive.h"
#include "file.h"

/* ---- key file: "strongroom keyfile 1\n" | root id 16 | slot key 32 -------- */

#define KEYFILE_TITLE "strongroom keyfile 1\n"
#define KEYFILE_LEN (sizeof KEYFILE_TITLE - 1 + ROOT_ID_LEN + UNSEAL_KEY_LEN)

static hsm_status
keyfile_make(const char *path, const uint8_t root_id[ROOT_ID_LEN], uint8_t *params, struct secret *key)
{
	struct secret file = SECRET_NONE;
	struct writer w;
	hsm_status st;

	(void)params;
	if ((st = secret_alloc(key, UNSEAL_KEY_LEN)) != HSM_OK)
		goto out;
	if ((st = secret_alloc(&file, KEYFILE_LEN)) != HSM_OK)
		goto out;
	if ((st = rng_bytes(key->ptr, key->len)) != HSM_OK)
		goto out;
	writer_init(&w, file.ptr, file.len);
	writer_put(&w, KEYFILE_TITLE, sizeof KEYFILE_TITLE - 1);
	writer_put(&w, root_id, ROOT_ID_LEN);
	writer_put(&w, key->ptr, key->len);
	st = file_create(path, secret_in(&file));
out:
	secret_wipe(&file);
	return st;
}

static hsm_status
keyfile_find(const char *path, const uint8_t root_id[ROOT_ID_LEN], hsm_in params, struct secret *key)
{
	struct secret file = SECRET_NONE;
	struct reader r;
	hsm_in title, id;
	hsm_status st;

	(void)params;
	if ((st = file_read(path, KEYFILE_LEN, &file, NULL)) != HSM_OK)
		goto out;
	reader_init(&r, secret_in(&file));
	title = reader_take(&r, sizeof KEYFILE_TITLE - 1);
	id = reader_take(&r, ROOT_ID_LEN);
	st = HSM_E_FORMAT;
	if (reader_left(&r) != UNSEAL_KEY_LEN || memcmp(title.ptr, KEYFILE_TITLE, title.len) != 0)
		goto out;
	st = HSM_E_ROOT;
	if (memcmp(id.ptr, root_id, ROOT_ID_LEN) != 0)
		goto out;
	st = secret_copy(key, reader_take(&r, UNSEAL_KEY_LEN));
out:
	secret_wipe(&file);
	return st == HSM_E_DATA_LEN ? HSM_E_FORMAT : st;
}

static void
keyfile_undo(const char *path)
{
	unlink(path);
}

/* ---- passphrase: PBKDF2-HMAC-SHA-512; params: iterations u32 | salt 32 ---- */

#define SALT_LEN 32u
#define PASSPHRASE_MAX 1024u
#define ITERATIONS_MIN 210000u          /* also what a fast machine is held to */
#define ITERATIONS_MAX 20000000u        /* what a header may ask of us */
#define TARGET_NS 100000000u            /* about 100 ms of this machine */
#define PROBE 10000u

static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static hsm_status
stretch(hsm_in passphrase, hsm_in salt, uint32_t iterations, struct secret *key)
{
	hsm_status st = secret_alloc(key, UNSEAL_KEY_LEN);

	if (st == HSM_OK)
		st = primitive_pbkdf2(HSM_SHA512, passphrase, salt, iterations, key->ptr, key->len);
	return st;
}

static hsm_status
calibrate(hsm_in salt, uint32_t *iterations)
{
	struct secret unused = SECRET_NONE;
	const uint64_t start = cpu_ns();
	const hsm_status st = stretch(salt, salt, PROBE, &unused);
	const uint64_t spent = cpu_ns() - start + 1;
	const uint64_t fit = (uint64_t)PROBE * TARGET_NS / spent;

	secret_wipe(&unused);
	*iterations = fit < ITERATIONS_MIN ? ITERATIONS_MIN : fit > ITERATIONS_MAX ? ITERATIONS_MAX : (uint32_t)fit;
	return st;
}

/* Editors end a line that nobody meant to be part of the passphrase. */
static hsm_status
passphrase_read(const char *path, struct secret *file, hsm_in *passphrase)
{
	const hsm_status st = file_read(path, PASSPHRASE_MAX, file, NULL);

	if (st != HSM_OK)
		return st;
	*passphrase = secret_in(file);
	if (passphrase->len > 0 && passphrase->ptr[passphrase->len - 1] == '\n')
		passphrase->len--;
	if (passphrase->len > 0 && passphrase->ptr[passphrase->len - 1] == '\r')
		passphrase->len--;
	return passphrase->len == 0 ? HSM_E_PIN_LEN : HSM_OK;
}

static hsm_status
passphrase_make(const char *path, const uint8_t root_id[ROOT_ID_LEN], uint8_t *params, struct secret *key)
{
	struct secret file = SECRET_NONE;
	const hsm_in salt = { params + 4, SALT_LEN };
	hsm_in passphrase;
	uint32_t iterations;
	struct writer w;
	hsm_status st;

	(void)root_id;
	if ((st = passphrase_read(path, &file, &passphrase)) != HSM_OK)
		goto out;
	if ((st = rng_bytes(params + 4, SALT_LEN)) != HSM_OK)
		goto out;
	if ((st = calibrate(salt, &iterations)) != HSM_OK)
		goto out;
	writer_init(&w, params, 4);
	writer_u32(&w, iterations);
	st = stretch(passphrase, salt, iterations, key);
out:
	secret_wipe(&file);
	return st;
}

static hsm_status
passphrase_find(const char *path, const uint8_t root_id[ROOT_ID_LEN], hsm_in params, struct secret *key)
{
	struct secret file = SECRET_NONE;
	struct reader r;
	hsm_in passphrase, salt;
	uint32_t iterations;
	hsm_status st;

	(void)root_id;
	reader_init(&r, params);
	iterations = reader_u32(&r);
	salt = reader_take(&r, SALT_LEN);
	if (!reader_done(&r) || iterations == 0 || iterations > ITERATIONS_MAX)
		return HSM_E_FORMAT;
	if ((st = passphrase_read(path, &file, &passphrase)) == HSM_OK)
		st = stretch(passphrase, salt, iterations, key);
	secret_wipe(&file);
	return st;
}

/* -------------------------------------------------------------------------- */

static const struct unseal_kind kinds[] = {
	{ .number = 1, .how = HSM_UNSEAL_KEYFILE, .name = "keyfile", .params_len = 0, .wrong = HSM_E_INTEGRITY,
	  .make = keyfile_make, .find = keyfile_find, .undo = keyfile_undo },
	{ .number = 2, .how = HSM_UNSEAL_PASSPHRASE, .name = "passphrase", .params_len = 4 + SALT_LEN, .wrong = HSM_E_PIN,
	  .make = passphrase_make, .find = passphrase_find },
};

_Static_assert(4 + SALT_LEN <= UNSEAL_PARAMS_MAX, "params fit their room");

const struct unseal_kind *
unseal_kind_find(hsm_unseal how)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (kinds[i].how == how)
			return &kinds[i];
	}
	return NULL;
}
