/* device.c - see device.h. */
#include "device.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "../crypto/rng.h"
#include "file.h"
#include "seal.h"

/* The laboratory has a secret of its own: what was made outside does not open
 * there, nor the other way round. */
#ifdef STRONGROOM_LAB
#define SECRET_NAME "secret.lab"
#define KEY_ENDING ".lab.key"
#else
#define SECRET_NAME "secret"
#define KEY_ENDING ".key"
#endif

static hsm_status
path_make(char path[PATH_MAX], const char *device, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", device, name);

	return n > 0 && n < PATH_MAX ? HSM_OK : HSM_E_IO;
}

static hsm_status
key_path(char path[PATH_MAX], const char *device, const uint8_t id[DEVICE_ID_LEN])
{
	char name[2 * DEVICE_ID_LEN + sizeof KEY_ENDING];
	int n = 0;

	for (unsigned i = 0; i < DEVICE_ID_LEN; i++)
		n += snprintf(name + n, sizeof name - (size_t)n, "%02x", id[i]);
	(void)!snprintf(name + n, sizeof name - (size_t)n, KEY_ENDING);
	return path_make(path, device, name);
}

static hsm_status
folder_make(const char *device)
{
	if (mkdir(device, 0700) == 0 || errno == EEXIST)
		return HSM_OK;
	return errno == ENOSPC ? HSM_E_LIMIT : HSM_E_IO;
}

/* A file that holds one key, or is damaged. */
static hsm_status
key_read(const char *path, struct secret *key, bool *missing)
{
	hsm_status st = file_read(path, SEAL_KEY_LEN, key, missing);

	if ((st == HSM_OK && key->len != SEAL_KEY_LEN) || st == HSM_E_DATA_LEN) {
		secret_wipe(key);
		st = HSM_E_INTEGRITY;
	}
	return st;
}

static hsm_status
secret_make(const char *path, struct secret *secret)
{
	struct secret fresh = SECRET_NONE;
	hsm_status st;

	if ((st = secret_alloc(&fresh, SEAL_KEY_LEN)) == HSM_OK && (st = rng_bytes(fresh.ptr, fresh.len)) == HSM_OK)
		st = file_create(path, secret_in(&fresh));
	secret_wipe(&fresh);
	/* Of two makers, both go by the file that is there. */
	return st == HSM_OK || st == HSM_E_EXISTS ? key_read(path, secret, NULL) : st;
}

static hsm_status
device_secret(const char *device, bool make, struct secret *secret)
{
	char path[PATH_MAX];
	bool missing = false;
	hsm_status st;

	if ((st = path_make(path, device, SECRET_NAME)) != HSM_OK || (make && (st = folder_make(device)) != HSM_OK))
		return st;
	st = key_read(path, secret, &missing);
	if (missing)
		st = make ? secret_make(path, secret) : HSM_E_INTEGRITY;
	return st;
}

hsm_status
device_derive(const char *device, bool make, const char *label, hsm_in context, struct secret *key)
{
	struct secret secret = SECRET_NONE;
	hsm_status st;

	if ((st = device_secret(device, make, &secret)) == HSM_OK && (st = secret_alloc(key, SEAL_KEY_LEN)) == HSM_OK)
		st = seal_derive(&secret, label, context, key->ptr, key->len);
	secret_wipe(&secret);
	return st;
}

hsm_status
device_key(const char *device, bool make, const uint8_t id[DEVICE_ID_LEN], struct secret *key)
{
	char path[PATH_MAX];
	bool missing = false;
	hsm_status st;

	if ((st = key_path(path, device, id)) != HSM_OK)
		return st;
	if ((st = key_read(path, key, &missing)) == HSM_OK || !missing)
		return st;
	return device_derive(device, make, "token", (hsm_in){ id, DEVICE_ID_LEN }, key);
}

hsm_status
device_key_take(const char *device, const uint8_t id[DEVICE_ID_LEN], const struct secret *key)
{
	struct secret here = SECRET_NONE;
	char path[PATH_MAX];
	hsm_status st;

	if ((st = folder_make(device)) != HSM_OK || (st = key_path(path, device, id)) != HSM_OK)
		return st;
	/* A device without a secret yet knows nobody. */
	st = device_key(device, false, id, &here);
	if (st == HSM_OK && here.len == key->len && bytes_equal_secret(here.ptr, key->ptr, key->len))
		goto out;
	if ((st = file_create(path, secret_in(key))) == HSM_E_EXISTS) {
		secret_wipe(&here);
		if ((st = key_read(path, &here, NULL)) == HSM_OK && !bytes_equal_secret(here.ptr, key->ptr, key->len))
			st = HSM_E_EXISTS;
	}
out:
	secret_wipe(&here);
	return st;
}
