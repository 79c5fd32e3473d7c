#include "unseal.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../crypto/rng.h"
#include "../mech/primitive.h"
#include "file.h"
#include "seal.h"
#include "share.h"

/* ---- key file: "strongroom keyfile 1\n" | root id 16 | slot key 32 -------- */

#define KEYFILE_TITLE "strongroom keyfile 1\n"
#define KEYFILE_LEN (sizeof KEYFILE_TITLE - 1 + ROOT_ID_LEN + UNSEAL_KEY_LEN)

static hsm_status
path_check(const hsm_slot *slot)
{
	return slot->path != NULL ? HSM_OK : HSM_E_ARGS;
}

static size_t
no_params(const hsm_slot *slot)
{
	(void)slot;
	return 0;
}

static hsm_status
keyfile_make(const struct unseal_ask *ask, uint8_t *params, struct secret *key)
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
	writer_put(&w, ask->root_id, ROOT_ID_LEN);
	writer_put(&w, key->ptr, key->len);
	st = file_create(ask->slot->path, secret_in(&file));
out:
	secret_wipe(&file);
	return st;
}

static hsm_status
keyfile_read(const struct unseal_ask *ask, struct secret *key)
{
	struct secret file = SECRET_NONE;
	struct reader r;
	hsm_in title, id;
	hsm_status st;

	if ((st = file_read(ask->slot->path, KEYFILE_LEN, &file, NULL)) != HSM_OK)
		goto out;
	reader_init(&r, secret_in(&file));
	title = reader_take(&r, sizeof KEYFILE_TITLE - 1);
	id = reader_take(&r, ROOT_ID_LEN);
	st = HSM_E_FORMAT;
	if (reader_left(&r) != UNSEAL_KEY_LEN || memcmp(title.ptr, KEYFILE_TITLE, title.len) != 0)
		goto out;
	st = HSM_E_ROOT;
	if (memcmp(id.ptr, ask->root_id, ROOT_ID_LEN) != 0)
		goto out;
	st = secret_copy(key, reader_take(&r, UNSEAL_KEY_LEN));
out:
	secret_wipe(&file);
	return st == HSM_E_DATA_LEN ? HSM_E_FORMAT : st;
}

static hsm_status
keyfile_find(const struct unseal_ask *ask, hsm_in params, struct secret *key)
{
	return params.len == 0 ? keyfile_read(ask, key) : HSM_E_FORMAT;
}

static void
keyfile_undo(const hsm_slot *slot)
{
	unlink(slot->path);
}

static hsm_status
nothing_told(hsm_in params, hsm_slot_info *info, hsm_in *note)
{
	(void)params;
	(void)info;
	(void)note;
	return HSM_OK;
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

static size_t
passphrase_params(const hsm_slot *slot)
{
	(void)slot;
	return 4 + SALT_LEN;
}

static hsm_status
passphrase_make(const struct unseal_ask *ask, uint8_t *params, struct secret *key)
{
	struct secret file = SECRET_NONE;
	const hsm_in salt = { params + 4, SALT_LEN };
	hsm_in passphrase;
	uint32_t iterations;
	struct writer w;
	hsm_status st;

	if ((st = passphrase_read(ask->slot->path, &file, &passphrase)) != HSM_OK)
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
passphrase_find(const struct unseal_ask *ask, hsm_in params, struct secret *key)
{
	struct secret file = SECRET_NONE;
	struct reader r;
	hsm_in passphrase, salt;
	uint32_t iterations;
	hsm_status st;

	reader_init(&r, params);
	iterations = reader_u32(&r);
	salt = reader_take(&r, SALT_LEN);
	if (!reader_done(&r) || iterations == 0 || iterations > ITERATIONS_MAX)
		return HSM_E_FORMAT;
	if ((st = passphrase_read(ask->slot->path, &file, &passphrase)) == HSM_OK)
		st = stretch(passphrase, salt, iterations, key);
	secret_wipe(&file);
	return st;
}

/* ---- shares; params: set 8 | threshold u8 | count u8 ----------------------- */

static hsm_status
shares_check(const hsm_slot *slot)
{
	return slot->threshold != 0 && slot->threshold <= slot->count && slot->count <= HSM_SHARES_MAX ? HSM_OK : HSM_E_ARGS;
}

static size_t
shares_params(const hsm_slot *slot)
{
	(void)slot;
	return SHARE_SET_LEN + 2;
}

static hsm_status
shares_write(const struct unseal_ask *ask, const uint8_t *set, const uint8_t (*parts)[SHAMIR_LEN])
{
	struct share share = { .threshold = (uint8_t)ask->slot->threshold };
	uint8_t *at = ask->shares->ptr;
	hsm_status st = HSM_OK;

	memcpy(share.set, set, sizeof share.set);
	for (unsigned i = 0; i < ask->slot->count && st == HSM_OK; i++) {
		share.place = (uint8_t)(i + 1);
		memcpy(share.value, parts[i], sizeof share.value);
		st = share_write(&share, at);
		at[HSM_SHARE_TEXT] = '\n';
		at += HSM_SHARE_TEXT + 1;
	}
	bytes_wipe(&share, sizeof share);
	return st;
}

/* The caller has seen to the room. */
static hsm_status
shares_make(const struct unseal_ask *ask, uint8_t *params, struct secret *key)
{
	uint8_t parts[SHAMIR_PARTS_MAX][SHAMIR_LEN];
	hsm_status st;

	if ((st = rng_bytes(params, SHARE_SET_LEN)) != HSM_OK)
		goto out;
	params[SHARE_SET_LEN] = (uint8_t)ask->slot->threshold;
	params[SHARE_SET_LEN + 1] = (uint8_t)ask->slot->count;
	if ((st = secret_alloc(key, UNSEAL_KEY_LEN)) != HSM_OK)
		goto out;
	if ((st = rng_bytes(key->ptr, key->len)) != HSM_OK)
		goto out;
	if ((st = shamir_split(key->ptr, ask->slot->threshold, ask->slot->count, parts)) == HSM_OK)
		st = shares_write(ask, params, (const uint8_t (*)[SHAMIR_LEN])parts);
out:
	bytes_wipe(parts, sizeof parts);
	return st;
}

hsm_status
unseal_set(hsm_in params, uint8_t set[SHARE_SET_LEN], uint8_t *threshold)
{
	struct reader r;
	uint8_t count;

	reader_init(&r, params);
	reader_copy(&r, set, SHARE_SET_LEN);
	*threshold = reader_u8(&r);
	count = reader_u8(&r);
	return reader_done(&r) && *threshold != 0 && *threshold <= count && count <= HSM_SHARES_MAX ? HSM_OK : HSM_E_FORMAT;
}

static hsm_status
shares_told(hsm_in params, hsm_slot_info *info, hsm_in *note)
{
	uint8_t set[SHARE_SET_LEN], threshold;
	hsm_status st;

	(void)note;
	if ((st = unseal_set(params, set, &threshold)) != HSM_OK)
		return st;
	info->threshold = threshold;
	info->count = params.ptr[SHARE_SET_LEN + 1];
	return HSM_OK;
}

/* ---- held by somebody else; params: the note -------------------------------- */

static hsm_status
held_check(const hsm_slot *slot)
{
	const bool fits = slot->note.len != 0 && slot->note.len <= HSM_NOTE_MAX && slot->answer.len >= 16 && slot->answer.len <= 64;

	return slot->path != NULL && fits ? HSM_OK : HSM_E_ARGS;
}

static size_t
held_params(const hsm_slot *slot)
{
	return slot->note.len;
}

/* From the file's key and the answer: who has one of them has nothing. */
static hsm_status
held_mix(const struct secret *part, hsm_in answer, struct secret *key)
{
	const hsm_status st = secret_alloc(key, UNSEAL_KEY_LEN);

	return st == HSM_OK ? seal_derive(part, "held slot", answer, key->ptr, key->len) : st;
}

static hsm_status
held_make(const struct unseal_ask *ask, uint8_t *params, struct secret *key)
{
	struct secret part = SECRET_NONE;
	hsm_status st;

	memcpy(params, ask->slot->note.ptr, ask->slot->note.len);
	if ((st = keyfile_make(ask, params, &part)) == HSM_OK && (st = held_mix(&part, ask->slot->answer, key)) != HSM_OK)
		keyfile_undo(ask->slot);
	secret_wipe(&part);
	return st;
}

static hsm_status
held_find(const struct unseal_ask *ask, hsm_in params, struct secret *key)
{
	struct secret part = SECRET_NONE;
	hsm_status st;

	if (params.len == 0 || params.len > HSM_NOTE_MAX)
		return HSM_E_FORMAT;
	if (ask->slot->answer.len < 16 || ask->slot->answer.len > 64)
		return HSM_E_ARGS;
	if ((st = keyfile_read(ask, &part)) == HSM_OK)
		st = held_mix(&part, ask->slot->answer, key);
	secret_wipe(&part);
	return st;
}

static hsm_status
held_told(hsm_in params, hsm_slot_info *info, hsm_in *note)
{
	(void)info;
	*note = params;
	return HSM_OK;
}

/* -------------------------------------------------------------------------- */

static const struct unseal_kind kinds[] = {
	{ .number = 1, .how = HSM_UNSEAL_KEYFILE, .name = "keyfile", .wrong = HSM_E_INTEGRITY, .check = path_check,
	  .params_len = no_params, .make = keyfile_make, .find = keyfile_find, .undo = keyfile_undo, .tell = nothing_told },
	{ .number = 2, .how = HSM_UNSEAL_PASSPHRASE, .name = "passphrase", .wrong = HSM_E_PIN, .check = path_check,
	  .params_len = passphrase_params, .make = passphrase_make, .find = passphrase_find, .tell = nothing_told },
	{ .number = 3, .how = HSM_UNSEAL_SHARES, .name = "shares", .wrong = HSM_E_PIN, .check = shares_check,
	  .params_len = shares_params, .make = shares_make, .tell = shares_told },
	{ .number = 4, .how = HSM_UNSEAL_HELD, .name = "held", .wrong = HSM_E_PIN, .check = held_check,
	  .params_len = held_params, .make = held_make, .find = held_find, .undo = keyfile_undo, .tell = held_told },
};

_Static_assert(4 + SALT_LEN <= UNSEAL_PARAMS_MAX, "params fit their room");
_Static_assert(UNSEAL_KEY_LEN == SHAMIR_LEN, "a slot key is what is split");

const struct unseal_kind *
unseal_kind_find(hsm_unseal how)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (kinds[i].how == how)
			return &kinds[i];
	}
	return NULL;
}

const struct unseal_kind *
unseal_kind_numbered(uint8_t number)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (kinds[i].number == number)
			return &kinds[i];
	}
	return NULL;
}
