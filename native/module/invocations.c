/* invocations.c - see invocations.h.
 *
 * Counting must not cost what sealing a short message costs, nor have threads
 * fight for one line: each group of threads has a portion of its own, and the
 * lock is taken once a portion. A file: two records take turns, each with a
 * sequence number and a MAC, so that a torn write leaves the one before. */
#include "invocations.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../mech/primitive.h"
#include "file.h"
#include "gate.h"
#include "pin.h"
#include "resident.h"
#include "seal.h"

#define LIMIT (UINT64_C(1) << 32)
#define BLOCK_FIRST 64u
#define BLOCK_MOST 65536u               /* what a process may lose when it ends */
#define PORTION_MOST 1024u
#define HEAP 8192u
#define DEPTH 16384u

#define MAC_LEN 32u
#define RECORD_LEN (4u + 8 + 8 + MAC_LEN)
#define RECORD_STEP 512
#define FILE_LEN (RECORD_STEP + RECORD_LEN)

static const uint8_t magic[4] = { 'S', 'R', 'u', 'c' };

struct invocations {
	struct { _Alignas(64) _Atomic int64_t left; } shard[GATE_SHARDS];
	pthread_mutex_t lock;
	uint64_t left;                  /* reserved, and in no portion */
	uint64_t total;                 /* of a key without a file */
	uint32_t block;
};

static uint64_t
limit(void)
{
#ifdef STRONGROOM_FAULTS
	const char *lower = getenv("STRONGROOM_GCM_LIMIT");

	if (lower != NULL)
		return strtoull(lower, NULL, 10);
#endif
	return LIMIT;
}

/* ---- a key's file --------------------------------------------------------------- */

struct record { uint64_t seq, total; };

struct count_file { char path[PATH_MAX]; struct secret key; };

static hsm_status
record_mac(const struct secret *key, const uint8_t *bytes, uint8_t mac[MAC_LEN])
{
	const hsm_in parts[2] = { { (const uint8_t *)"invocations", 11 }, { bytes, RECORD_LEN - MAC_LEN } };

	return primitive_hmac(HSM_SHA256, secret_in(key), parts, 2, mac);
}

static hsm_status
record_write(const struct secret *key, const struct record *r, uint8_t bytes[RECORD_LEN])
{
	struct writer w;

	writer_init(&w, bytes, RECORD_LEN);
	writer_put(&w, magic, sizeof magic);
	writer_u64(&w, r->seq);
	writer_u64(&w, r->total);
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
	r->total = reader_u64(&in);
	return true;
}

static hsm_status
file_name(struct count_file *f, struct pin *pin, hsm_in material)
{
	const hsm_in parts[2] = { { (const uint8_t *)"name", 4 }, material };
	uint8_t digest[32];
	size_t at;
	hsm_status st;

	if ((st = pin_place(pin, "gcm invocations", f->path, &f->key)) != HSM_OK)
		return st;
	if ((st = primitive_hmac(HSM_SHA256, secret_in(&f->key), parts, 2, digest)) != HSM_OK)
		return st;
	at = strlen(f->path);
	if (at + 32 + sizeof ".uses" > sizeof f->path)
		return HSM_E_IO;
	for (unsigned i = 0; i < 16; i++)
		at += (size_t)snprintf(f->path + at, sizeof f->path - at, "%02x", digest[i]);
	memcpy(f->path + at, ".uses", sizeof ".uses");
	return HSM_OK;
}

static hsm_status
file_make(const struct count_file *f)
{
	uint8_t bytes[FILE_LEN] = { 0 };
	hsm_status st = record_write(&f->key, &(struct record){ .seq = 1 }, bytes + RECORD_STEP);

	if (st == HSM_OK)
		st = file_create(f->path, (hsm_in){ bytes, sizeof bytes });
	/* Of two makers, both go by the file that is there. */
	return st == HSM_E_EXISTS ? HSM_OK : st;
}

static hsm_status
file_lock(const struct count_file *f, int *fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	hsm_status st;
	int rc;

	*fd = open(f->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0 && errno == ENOENT) {
		if ((st = file_make(f)) != HSM_OK)
			return st;
		*fd = open(f->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	}
	if (*fd < 0)
		return HSM_E_IO;
	while ((rc = fcntl(*fd, F_OFD_SETLKW, &whole)) != 0 && errno == EINTR)
		;
	return rc == 0 ? HSM_OK : HSM_E_IO;
}

/* The newer of the two that is whole. */
static hsm_status
file_load(int fd, const struct secret *key, struct record *r)
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

/* Over the older one; on disk when this returns. */
static hsm_status
file_store(int fd, const struct secret *key, struct record *r)
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

/* Of `want`, as many as the limit leaves; at least `least`. */
static hsm_status
total_add(uint64_t *total, uint64_t want, uint64_t least, uint64_t *got)
{
	const uint64_t most = limit(), free = *total < most ? most - *total : 0;

	*got = want < free ? want : free;
	if (*got < least)
		return HSM_E_COUNTER;
	*total += *got;
	return HSM_OK;
}

struct reserving { struct pin *pin; hsm_in material; uint64_t want, least, got; };

static hsm_status
file_reserve(void *arg)
{
	struct reserving *r = arg;
	struct count_file f = { .key = SECRET_NONE };
	struct record record;
	hsm_status st;
	int fd = -1;

	if ((st = file_name(&f, r->pin, r->material)) != HSM_OK)
		goto out;
	if ((st = file_lock(&f, &fd)) != HSM_OK)
		goto out;
	if ((st = file_load(fd, &f.key, &record)) != HSM_OK)
		goto out;
	if ((st = total_add(&record.total, r->want, r->least, &r->got)) != HSM_OK)
		goto out;
	st = file_store(fd, &f.key, &record);
out:
	if (fd >= 0)
		close(fd);
	secret_wipe(&f.key);
	return st;
}

/* ---- portions --------------------------------------------------------------------- */

/* A name is given when the object is sealed, by whoever does that now. */
static bool
named(struct object *o)
{
	bool has;

	pthread_mutex_lock(&o->lock);
	has = o->id_len != 0;
	pthread_mutex_unlock(&o->lock);
	return has;
}

static hsm_status
block_reserve(struct object *o, struct invocations *i, uint32_t least)
{
	struct reserving r = { .pin = partition_pin(o->part), .material = secret_in(&o->material),
		.want = i->block > least ? i->block : least, .least = least };
	hsm_status st;

	if (r.pin != NULL && named(o))
		st = gate_run(file_reserve, &r, HEAP, DEPTH);
	else
		st = total_add(&i->total, r.want, r.least, &r.got);
	if (st != HSM_OK)
		return st;
	i->left += r.got;
	if (i->block < BLOCK_MOST)
		i->block *= 2;
	return HSM_OK;
}

/* What the other portions have left comes back: near the limit each counts. */
static void
portions_recall(struct invocations *i)
{
	for (unsigned s = 0; s < GATE_SHARDS; s++) {
		const int64_t left = atomic_exchange(&i->shard[s].left, 0);

		if (left >= 0)
			i->left += (uint64_t)left;
		else
			atomic_fetch_add(&i->shard[s].left, left);
	}
}

/* n of the new portion are the caller's. */
static hsm_status
portion_take(struct object *o, struct invocations *i, unsigned shard, uint32_t n)
{
	uint64_t portion;
	hsm_status st = HSM_OK;

	pthread_mutex_lock(&i->lock);
	if (i->left < n && (st = block_reserve(o, i, (uint32_t)(n - i->left))) == HSM_E_COUNTER) {
		portions_recall(i);
		st = i->left >= n ? HSM_OK : HSM_E_COUNTER;
	}
	if (st == HSM_OK) {
		portion = i->left / 4 < PORTION_MOST ? i->left / 4 : PORTION_MOST;
		portion = portion < n ? n : portion;
		i->left -= portion;
		atomic_fetch_add(&i->shard[shard].left, (int64_t)(portion - n));
	}
	pthread_mutex_unlock(&i->lock);
	return st;
}

static struct invocations *
invocations_of(struct object *o)
{
	struct invocations *i = atomic_load_explicit(&o->invocations, memory_order_acquire), *none = NULL;

	if (i != NULL)
		return i;
	if ((i = aligned_alloc(64, (sizeof *i + 63) / 64 * 64)) == NULL)
		return NULL;
	memset(i, 0, sizeof *i);
	pthread_mutex_init(&i->lock, NULL);
	i->block = BLOCK_FIRST;
	if (atomic_compare_exchange_strong(&o->invocations, &none, i))
		return i;
	invocations_free(i);
	return none;
}

hsm_status
invocations_count(struct object *o, uint32_t n)
{
	struct invocations *i = invocations_of(o);
	const unsigned shard = gate_shard();

	if (i == NULL)
		return HSM_E_MEMORY;
	if (atomic_fetch_sub_explicit(&i->shard[shard].left, n, memory_order_relaxed) >= (int64_t)n)
		return HSM_OK;
	atomic_fetch_add_explicit(&i->shard[shard].left, n, memory_order_relaxed);
	return portion_take(o, i, shard, n);
}

void
invocations_free(struct invocations *i)
{
	if (i == NULL)
		return;
	pthread_mutex_destroy(&i->lock);
	free(i);
}
