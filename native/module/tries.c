/* tries.c - see tries.h. A record: "SRtr" | u64 sequence | u8 officer | u8 user
 * failed tries | MAC 32, at offset 0 or 512. */
#include "tries.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../mech/primitive.h"
#include "file.h"

#define MAC_LEN 32u
#define RECORD_LEN (4u + 8 + 2 + MAC_LEN)
#define RECORD_STEP 512
#define FILE_LEN (RECORD_STEP + RECORD_LEN)

struct record { uint64_t seq; uint8_t failed[2]; };

static const uint8_t magic[4] = { 'S', 'R', 't', 'r' };

hsm_status
tries_at(struct tries *t, const char *device, const uint8_t id[16])
{
	int n = snprintf(t->path, sizeof t->path, "%s/", device);

	if (n <= 0 || (size_t)n > sizeof t->path - 48)
		return HSM_E_IO;
	for (int i = 0; i < 16; i++)
		n += snprintf(t->path + n, sizeof t->path - (size_t)n, "%02x", id[i]);
	(void)!snprintf(t->path + n, sizeof t->path - (size_t)n, ".tries");
	return HSM_OK;
}

static hsm_status
record_mac(const struct secret *key, const uint8_t *bytes, uint8_t mac[MAC_LEN])
{
	const hsm_in parts[2] = { { (const uint8_t *)"tries ", 6 }, { bytes, RECORD_LEN - MAC_LEN } };

	return primitive_hmac(HSM_SHA256, secret_in(key), parts, 2, mac);
}

static hsm_status
record_write(const struct secret *key, const struct record *r, uint8_t bytes[RECORD_LEN])
{
	struct writer w;

	writer_init(&w, bytes, RECORD_LEN);
	writer_put(&w, magic, sizeof magic);
	writer_u64(&w, r->seq);
	writer_put(&w, r->failed, sizeof r->failed);
	return record_mac(key, bytes, bytes + w.len);
}

static bool
record_read(const struct secret *key, const uint8_t bytes[RECORD_LEN], struct record *r)
{
	uint8_t mac[MAC_LEN];
	struct reader in;

	if (memcmp(bytes, magic, sizeof magic) != 0 || record_mac(key, bytes, mac) != HSM_OK
	    || !bytes_equal_secret(mac, bytes + RECORD_LEN - MAC_LEN, MAC_LEN))
		return false;
	reader_init(&in, (hsm_in){ bytes + sizeof magic, RECORD_LEN - sizeof magic });
	r->seq = reader_u64(&in);
	reader_copy(&in, r->failed, sizeof r->failed);
	return true;
}

hsm_status
tries_make(const struct tries *t, const struct secret *key, const uint8_t failed[2])
{
	struct record first = { .seq = 1 };
	uint8_t bytes[FILE_LEN] = { 0 };
	hsm_status st;

	if (failed != NULL)
		memcpy(first.failed, failed, sizeof first.failed);
	st = record_write(key, &first, bytes + RECORD_STEP);

	return st == HSM_OK ? file_create(t->path, (hsm_in){ bytes, sizeof bytes }) : st;
}

static hsm_status
tries_lock(const struct tries *t, short type, int *fd)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };
	int rc;

	if ((*fd = open(t->path, (type == F_WRLCK ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return errno == ENOENT ? HSM_E_INTEGRITY : HSM_E_IO;
	while ((rc = fcntl(*fd, F_OFD_SETLKW, &lock)) != 0 && errno == EINTR)
		;
	if (rc == 0)
		return HSM_OK;
	close(*fd);
	*fd = -1;
	return HSM_E_IO;
}

/* The newer of the two that is whole. */
static hsm_status
tries_load(int fd, const struct secret *key, struct record *r)
{
	uint8_t bytes[FILE_LEN];
	struct record other;
	bool first, second;

	if (pread(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return HSM_E_INTEGRITY;
	first = record_read(key, bytes, r);
	second = record_read(key, bytes + RECORD_STEP, &other);
	if (!first && !second)
		return HSM_E_INTEGRITY;
	if (!first || (second && other.seq > r->seq))
		*r = other;
	return HSM_OK;
}

/* Over the older one. */
static hsm_status
tries_store(int fd, const struct secret *key, struct record *r)
{
	uint8_t bytes[RECORD_LEN];
	hsm_status st;

	r->seq++;
	if ((st = record_write(key, r, bytes)) != HSM_OK)
		return st;
	if (pwrite(fd, bytes, sizeof bytes, (r->seq & 1) == 0 ? 0 : RECORD_STEP) != (ssize_t)sizeof bytes || fdatasync(fd) != 0)
		return HSM_E_IO;
	return HSM_OK;
}

hsm_status
tries_take(const struct tries *t, const struct secret *key, enum tries_of who, int *fd)
{
	struct record r;
	hsm_status st = tries_lock(t, F_WRLCK, fd);

	if (st != HSM_OK)
		return st;
	if ((st = tries_load(*fd, key, &r)) == HSM_OK) {
		st = r.failed[who] >= TRIES_MAX ? HSM_E_PIN_LOCKED : HSM_OK;
		r.failed[who]++;
		if (st == HSM_OK)
			st = tries_store(*fd, key, &r);
	}
	if (st != HSM_OK) {
		close(*fd);
		*fd = -1;
	}
	return st;
}

hsm_status
tries_end(const struct tries *t, const struct secret *key, enum tries_of who, int fd, hsm_status st)
{
	struct record r;

	(void)t;
	if (st != HSM_E_PIN && tries_load(fd, key, &r) == HSM_OK) {
		/* A check that could not be made costs no try. */
		r.failed[who] = st == HSM_OK ? 0 : (uint8_t)(r.failed[who] - 1);
		if (tries_store(fd, key, &r) != HSM_OK && st == HSM_OK)
			st = HSM_E_IO;
	}
	close(fd);
	return st;
}

hsm_status
tries_forgive(const struct tries *t, const struct secret *key, enum tries_of who)
{
	struct record r;
	int fd;
	hsm_status st = tries_lock(t, F_WRLCK, &fd);

	if (st != HSM_OK)
		return st;
	if ((st = tries_load(fd, key, &r)) == HSM_OK && r.failed[who] != 0) {
		r.failed[who] = 0;
		st = tries_store(fd, key, &r);
	}
	close(fd);
	return st;
}

hsm_status
tries_failed(const struct tries *t, const struct secret *key, uint8_t failed[2])
{
	struct record r;
	int fd;
	hsm_status st = tries_lock(t, F_RDLCK, &fd);

	if (st != HSM_OK)
		return st;
	if ((st = tries_load(fd, key, &r)) == HSM_OK)
		memcpy(failed, r.failed, sizeof r.failed);
	close(fd);
	return st;
}

hsm_status
tries_left(const struct tries *t, const struct secret *key, uint32_t *user, uint32_t *officer)
{
	uint8_t failed[2] = { TRIES_MAX, TRIES_MAX };
	hsm_status st = tries_failed(t, key, failed);

	*user = failed[TRIES_USER] >= TRIES_MAX ? 0 : TRIES_MAX - failed[TRIES_USER];
	*officer = failed[TRIES_OFFICER] >= TRIES_MAX ? 0 : TRIES_MAX - failed[TRIES_OFFICER];
	return st;
}
