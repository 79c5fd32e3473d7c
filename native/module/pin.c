/* pin.c - see pin.h. Header of a token, 306 bytes, numbers big-endian:
 *
 *   "SRtk" | version 1 | id 16 | flags u8 | key id 16 | iterations u32
 *   | SO: salt 16, wrapped 100 | user: salt 16, wrapped 100 (zero: no PIN) | MAC 32
 *
 * wrapped is the token key (seal.h, label "token key") under
 * seal_derive(device key, "pin", role | salt | iterations | PBKDF2(pin)). */
#include "pin.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../crypto/rng.h"
#include "../mech/primitive.h"
#include "device.h"
#include "gate.h"
#include "object.h"
#include "partition.h"
#include "seal.h"
#include "session.h"
#include "tries.h"

#define VERSION 1u
#define ID_LEN 16u
#define SALT_LEN 16u
#define MAC_LEN 32u
#define WRAPPED_LEN (SEAL_KEY_LEN + SEAL_OVERHEAD)
#define HEADER_LEN (4u + 1 + ID_LEN + 1 + ID_LEN + 4 + 2 * (SALT_LEN + WRAPPED_LEN) + MAC_LEN)

#define FLAG_STRICT 1u
#define FLAG_USER 2u

/* The least that is spent on a guess, and the most a header may ask for. */
#ifdef STRONGROOM_FAULTS
#define ITERATIONS_MIN 1000u
#else
#define ITERATIONS_MIN 210000u
#endif
#define ITERATIONS_MAX 10000000u
#define STRETCH_MS 120u

#define HEAP 16384u
#define DEPTH 16384u

_Static_assert(HEADER_LEN <= HSM_TOKEN_HEADER_MAX, "a header fits its room");
_Static_assert(HSM_PIN_TRIES == TRIES_MAX, "one number of tries");

struct lock_wrap { uint8_t salt[SALT_LEN], wrapped[WRAPPED_LEN]; };

struct header {
	uint8_t id[ID_LEN], key_id[ID_LEN];     /* key_id: of this token key; a reset makes another */
	uint8_t flags;
	uint32_t iterations;
	struct lock_wrap officer, user;
};

struct pin {
	pthread_mutex_t lock;
	struct tries tries;
	struct header header;
	struct secret device;           /* this token's own, from the device secret */
	struct secret open_key;         /* seals objects with CKA_PRIVATE FALSE */
	struct secret open_tags, mac;   /* index tags of those; MACs of header and index */
	struct secret key, tags;        /* the token key and its tags: only while a user is there */
	struct secret officer;          /* the token key, to wrap anew: only while the SO is there */
};

static const uint8_t magic[4] = { 'S', 'R', 't', 'k' };

void
pin_free(struct pin *pin)
{
	if (pin == NULL)
		return;
	secret_wipe(&pin->device);
	secret_wipe(&pin->open_key);
	secret_wipe(&pin->open_tags);
	secret_wipe(&pin->mac);
	secret_wipe(&pin->key);
	secret_wipe(&pin->tags);
	secret_wipe(&pin->officer);
	pthread_mutex_destroy(&pin->lock);
	free(pin);
}

/* ---- the header -------------------------------------------------------------- */

static hsm_status
header_mac(const struct pin *pin, hsm_in bytes, uint8_t mac[MAC_LEN])
{
	const hsm_in parts[2] = { { (const uint8_t *)"header", 6 }, bytes };

	return primitive_hmac(HSM_SHA256, secret_in(&pin->mac), parts, 2, mac);
}

static hsm_status
header_write(const struct pin *pin, const struct header *h, uint8_t bytes[HEADER_LEN])
{
	struct writer w;

	writer_init(&w, bytes, HEADER_LEN);
	writer_put(&w, magic, sizeof magic);
	writer_u8(&w, VERSION);
	writer_put(&w, h->id, sizeof h->id);
	writer_u8(&w, h->flags);
	writer_put(&w, h->key_id, sizeof h->key_id);
	writer_u32(&w, h->iterations);
	writer_put(&w, h->officer.salt, SALT_LEN);
	writer_put(&w, h->officer.wrapped, WRAPPED_LEN);
	writer_put(&w, h->user.salt, SALT_LEN);
	writer_put(&w, h->user.wrapped, WRAPPED_LEN);
	return header_mac(pin, (hsm_in){ bytes, HEADER_LEN - MAC_LEN }, bytes + HEADER_LEN - MAC_LEN);
}

static hsm_status
header_parse(hsm_in bytes, struct header *h)
{
	uint8_t start[4];
	struct reader r;
	uint8_t version;

	memset(h, 0, sizeof *h);
	reader_init(&r, bytes);
	reader_copy(&r, start, sizeof start);
	version = reader_u8(&r);
	reader_copy(&r, h->id, sizeof h->id);
	h->flags = reader_u8(&r);
	reader_copy(&r, h->key_id, sizeof h->key_id);
	h->iterations = reader_u32(&r);
	reader_copy(&r, h->officer.salt, SALT_LEN);
	reader_copy(&r, h->officer.wrapped, WRAPPED_LEN);
	reader_copy(&r, h->user.salt, SALT_LEN);
	reader_copy(&r, h->user.wrapped, WRAPPED_LEN);
	(void)reader_take(&r, MAC_LEN);
	if (!reader_done(&r) || memcmp(start, magic, sizeof magic) != 0 || version != VERSION)
		return HSM_E_FORMAT;
	if (h->iterations == 0 || h->iterations > ITERATIONS_MAX || (h->flags & ~(FLAG_STRICT | FLAG_USER)) != 0)
		return HSM_E_FORMAT;
	return HSM_OK;
}

static hsm_status
header_check(const struct pin *pin, hsm_in bytes)
{
	uint8_t mac[MAC_LEN];
	hsm_status st = header_mac(pin, (hsm_in){ bytes.ptr, HEADER_LEN - MAC_LEN }, mac);

	if (st != HSM_OK)
		return st;
	return bytes_equal_secret(mac, bytes.ptr + HEADER_LEN - MAC_LEN, MAC_LEN) ? HSM_OK : HSM_E_INTEGRITY;
}

/* ---- the device ---------------------------------------------------------------- */

static hsm_status
derive(const struct secret *from, const char *label, hsm_in context, struct secret *to)
{
	hsm_status st = secret_alloc(to, SEAL_KEY_LEN);

	return st == HSM_OK ? seal_derive(from, label, context, to->ptr, to->len) : st;
}

/* All keys of the token `id` that need no PIN. */
static hsm_status
device_keys(struct pin *pin, const char *device, bool make, const uint8_t id[ID_LEN])
{
	hsm_status st = device_key(device, make, id, &pin->device);

	if (st == HSM_OK && (st = derive(&pin->device, "open objects", HSM_NONE, &pin->open_key)) == HSM_OK
	    && (st = derive(&pin->device, "open tags", HSM_NONE, &pin->open_tags)) == HSM_OK
	    && (st = derive(&pin->device, "token mac", HSM_NONE, &pin->mac)) == HSM_OK)
		st = tries_at(&pin->tries, device, id);
	return st;
}

hsm_status
pin_place(struct pin *pin, const char *purpose, char folder[PATH_MAX], struct secret *key)
{
	const size_t len = (size_t)(strrchr(pin->tries.path, '/') + 1 - pin->tries.path);

	/* Neither changes while the pin lives. */
	memcpy(folder, pin->tries.path, len);
	folder[len] = '\0';
	return derive(&pin->device, purpose, HSM_NONE, key);
}

/* ---- PINs ------------------------------------------------------------------------ */

/* Rounds that take about STRETCH_MS here, by trying. */
static hsm_status
calibrate(uint32_t *iterations)
{
	static const uint8_t salt[SALT_LEN];
	const uint32_t probe = 20000;
	struct timespec a, b;
	uint8_t out[SEAL_KEY_LEN];
	hsm_status st;
	uint64_t ns, n;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	st = primitive_pbkdf2(HSM_SHA512, (hsm_in){ salt, 8 }, (hsm_in){ salt, SALT_LEN }, probe, out, sizeof out);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	ns = (uint64_t)(b.tv_sec - a.tv_sec) * 1000000000u + (uint64_t)b.tv_nsec - (uint64_t)a.tv_nsec;
	n = ns == 0 ? ITERATIONS_MIN : (uint64_t)probe * STRETCH_MS * 1000000u / ns;
#ifdef STRONGROOM_FAULTS
	n = ITERATIONS_MIN;             /* test builds run under sanitizers and valgrind */
#endif
	if (n < ITERATIONS_MIN)
		n = ITERATIONS_MIN;
	*iterations = n > 1000000u ? 1000000u : (uint32_t)n;
	return st;
}

/* The key a PIN gives: stretched, then bound to the device. */
static hsm_status
pin_stretch(const struct pin *pin, hsm_role role, const uint8_t salt[SALT_LEN], uint32_t iterations, hsm_in given,
	struct secret *key)
{
	struct secret context = SECRET_NONE;
	struct writer w;
	hsm_status st;

	if ((st = secret_alloc(&context, 1 + SALT_LEN + 4 + 32)) != HSM_OK)
		return st;
	writer_init(&w, context.ptr, context.len);
	writer_u8(&w, role == HSM_ROLE_OFFICER);
	writer_put(&w, salt, SALT_LEN);
	writer_u32(&w, iterations);
	st = primitive_pbkdf2(HSM_SHA512, given, (hsm_in){ salt, SALT_LEN }, iterations, context.ptr + w.len, 32);
	if (st == HSM_OK)
		st = derive(&pin->device, "pin", secret_in(&context), key);
	secret_wipe(&context);
	return st;
}

#define CONTEXT_LEN (2u + 2 * ID_LEN)

/* What the wrapped key is bound to. */
static hsm_in
wrap_context(const struct header *h, hsm_role role, uint8_t room[CONTEXT_LEN])
{
	struct writer w;

	writer_init(&w, room, CONTEXT_LEN);
	writer_u8(&w, role == HSM_ROLE_OFFICER);
	writer_u8(&w, h->flags & FLAG_STRICT);
	writer_put(&w, h->id, ID_LEN);
	writer_put(&w, h->key_id, ID_LEN);
	return (hsm_in){ room, w.len };
}

static struct lock_wrap *
wrap_of(struct header *h, hsm_role role)
{
	return role == HSM_ROLE_OFFICER ? &h->officer : &h->user;
}

static hsm_status
key_wrap(const struct pin *pin, struct header *h, hsm_role role, hsm_in given, const struct secret *token_key)
{
	struct lock_wrap *wrap = wrap_of(h, role);
	hsm_out out = { wrap->wrapped, WRAPPED_LEN, 0 };
	struct secret key = SECRET_NONE;
	uint8_t room[CONTEXT_LEN];
	hsm_status st;

	if ((st = rng_bytes(wrap->salt, SALT_LEN)) == HSM_OK
	    && (st = pin_stretch(pin, role, wrap->salt, h->iterations, given, &key)) == HSM_OK)
		st = seal_close(&key, "token key", wrap_context(h, role, room), secret_in(token_key), &out);
	secret_wipe(&key);
	return st;
}

static hsm_status
key_unwrap(const struct pin *pin, struct header *h, hsm_role role, hsm_in given, struct secret *token_key)
{
	struct lock_wrap *wrap = wrap_of(h, role);
	struct secret key = SECRET_NONE;
	uint8_t room[CONTEXT_LEN];
	hsm_status st;

	if ((st = pin_stretch(pin, role, wrap->salt, h->iterations, given, &key)) == HSM_OK)
		st = seal_open(&key, "token key", wrap_context(h, role, room), (hsm_in){ wrap->wrapped, WRAPPED_LEN }, token_key);
	secret_wipe(&key);
	return st == HSM_E_INTEGRITY || st == HSM_E_FORMAT ? HSM_E_PIN : st;
}

/* Check a PIN: counted on disk first, forgiven when it was right. The count
 * stays locked meanwhile, so that processes that log in at once wait for each
 * other instead of counting each other's tries. */
static hsm_status
pin_check(struct pin *pin, hsm_role role, hsm_in given, struct secret *token_key)
{
	enum tries_of who = role == HSM_ROLE_OFFICER ? TRIES_OFFICER : TRIES_USER;
	int fd = -1;
	hsm_status st;

	if (role == HSM_ROLE_USER && (pin->header.flags & FLAG_USER) == 0)
		return HSM_E_PIN_UNSET;
	if ((st = tries_take(&pin->tries, &pin->device, who, &fd)) != HSM_OK)
		return st;
	st = given.len < HSM_PIN_MIN || given.len > HSM_PIN_MAX ? HSM_E_PIN : key_unwrap(pin, &pin->header, role, given, token_key);
	return tries_end(&pin->tries, &pin->device, who, fd, st);
}

struct pin_job {
	struct pin *pin;
	hsm_role role;
	hsm_in old, given;
	bool strict;
	const char *device;
	struct header header;
	uint8_t *bytes;                 /* HEADER_LEN, in or out */
	bool fresh_key;
};

/* ---- in and out --------------------------------------------------------------------- */

static hsm_status
job_login(void *arg)
{
	struct pin_job *job = arg;
	struct pin *pin = job->pin;
	struct secret key = SECRET_NONE;
	hsm_status st = pin_check(pin, job->role == HSM_ROLE_CONTEXT ? HSM_ROLE_USER : job->role, job->given, &key);

	if (st == HSM_OK && job->role == HSM_ROLE_USER
	    && (st = derive(&key, "private tags", HSM_NONE, &pin->tags)) == HSM_OK)
		secret_move(&pin->key, &key);
	if (st == HSM_OK && job->role == HSM_ROLE_OFFICER)
		secret_move(&pin->officer, &key);
	secret_wipe(&key);
	return st;
}

hsm_status
pin_login(struct pin *pin, hsm_role role, hsm_in given)
{
	struct pin_job job = { .pin = pin, .role = role, .given = given };
	hsm_status st;

	pthread_mutex_lock(&pin->lock);
	st = gate_run(job_login, &job, HEAP, DEPTH);
	pthread_mutex_unlock(&pin->lock);
	return st;
}

hsm_status
pin_escrow(struct pin *pin, struct pin_escrow *e)
{
	hsm_status st;

	pthread_mutex_lock(&pin->lock);
	memcpy(e->id, pin->header.id, ID_LEN);
	st = secret_copy(&e->key, secret_in(&pin->device));
	if (st == HSM_OK)
		st = tries_failed(&pin->tries, &pin->device, e->failed);
	pthread_mutex_unlock(&pin->lock);
	return st;
}

void
pin_logout(struct pin *pin)
{
	pthread_mutex_lock(&pin->lock);
	secret_wipe(&pin->key);
	secret_wipe(&pin->tags);
	secret_wipe(&pin->officer);
	pthread_mutex_unlock(&pin->lock);
}

hsm_status
pin_key(struct pin *pin, bool priv, struct secret *key)
{
	const struct secret *from = priv ? &pin->key : &pin->open_key;
	hsm_status st = HSM_E_NOT_LOGGED_IN;

	pthread_mutex_lock(&pin->lock);
	if (from->len != 0)
		st = secret_copy(key, secret_in(from));
	pthread_mutex_unlock(&pin->lock);
	return st;
}

/* ---- making and opening ---------------------------------------------------------------- */

static hsm_status
pin_new(struct pin **pin)
{
	if ((*pin = calloc(1, sizeof **pin)) == NULL)
		return HSM_E_MEMORY;
	pthread_mutex_init(&(*pin)->lock, NULL);
	return HSM_OK;
}

/* A header with a fresh token key for the SO alone. */
static hsm_status
header_fresh(const struct pin *pin, struct header *h, hsm_in so_pin)
{
	struct secret key = SECRET_NONE;
	hsm_status st;

	memset(&h->officer, 0, sizeof h->officer);
	memset(&h->user, 0, sizeof h->user);
	if ((st = rng_bytes(h->key_id, sizeof h->key_id)) == HSM_OK && (st = secret_alloc(&key, SEAL_KEY_LEN)) == HSM_OK
	    && (st = rng_bytes(key.ptr, key.len)) == HSM_OK)
		st = key_wrap(pin, h, HSM_ROLE_OFFICER, so_pin, &key);
	secret_wipe(&key);
	return st;
}

static hsm_status
job_create(void *arg)
{
	struct pin_job *job = arg;
	struct pin *pin = job->pin;
	struct header *h = &pin->header;
	hsm_status st;

	h->flags = job->strict ? FLAG_STRICT : 0;
	if ((st = rng_bytes(h->id, sizeof h->id)) == HSM_OK && (st = calibrate(&h->iterations)) == HSM_OK
	    && (st = device_keys(pin, job->device, true, h->id)) == HSM_OK
	    && (st = tries_make(&pin->tries, &pin->device, NULL)) == HSM_OK && (st = header_fresh(pin, h, job->given)) == HSM_OK)
		st = header_write(pin, h, job->bytes);
	return st;
}

static hsm_status
job_open(void *arg)
{
	struct pin_job *job = arg;
	struct pin *pin = job->pin;
	hsm_status st;

	if ((st = header_parse((hsm_in){ job->bytes, HEADER_LEN }, &pin->header)) == HSM_OK
	    && (st = device_keys(pin, job->device, false, pin->header.id)) == HSM_OK)
		st = header_check(pin, (hsm_in){ job->bytes, HEADER_LEN });
	return st;
}

static hsm_status
pin_publish(struct pin *pin, hsm_part *part)
{
	struct partition *p;

	return partition_make_token((hsm_in){ pin->header.id, ID_LEN }, (pin->header.flags & FLAG_STRICT) != 0, pin, &p, part);
}

hsm_status
hsm_token_create(const char *device, hsm_in so_pin, bool strict, hsm_out *header, hsm_part *part)
{
	struct pin_job job = { .device = device, .given = so_pin, .strict = strict, .bytes = header->ptr };
	hsm_status st;

	*part = 0;
	if ((st = out_need(header, HEADER_LEN)) != HSM_OK || header->ptr == NULL)
		return st;
	header->len = 0;
	if (device == NULL)
		return HSM_E_ARGS;
	if (so_pin.len < HSM_PIN_MIN || so_pin.len > HSM_PIN_MAX)
		return HSM_E_PIN_LEN;
	if (strict && gate_weakened())
		return HSM_E_WEAKENED;
	if ((st = pin_new(&job.pin)) != HSM_OK)
		return st;
	if ((st = gate_run(job_create, &job, HEAP, DEPTH)) == HSM_OK && (st = pin_publish(job.pin, part)) == HSM_OK)
		header->len = HEADER_LEN;
	if (st != HSM_OK) {
		pin_free(job.pin);
		bytes_wipe(header->ptr, HEADER_LEN);
	}
	return st;
}

hsm_status
hsm_token_open(const char *device, hsm_in header, hsm_part *part)
{
	uint8_t bytes[HEADER_LEN];
	struct pin_job job = { .device = device, .bytes = bytes };
	hsm_status st;

	*part = 0;
	if (device == NULL)
		return HSM_E_ARGS;
	if (header.len != HEADER_LEN)
		return HSM_E_FORMAT;
	memcpy(bytes, header.ptr, HEADER_LEN);
	if ((st = pin_new(&job.pin)) != HSM_OK)
		return st;
	if ((st = gate_run(job_open, &job, HEAP, DEPTH)) == HSM_OK)
		st = pin_publish(job.pin, part);
	if (st != HSM_OK)
		pin_free(job.pin);
	return st;
}

/* ---- changes ---------------------------------------------------------------------------- */

/* A token's partition, on loan. */
static hsm_status
token_acquire(hsm_part part, struct partition **p)
{
	hsm_status st = partition_acquire(part, p);

	if (st == HSM_OK && partition_pin(*p) == NULL) {
		partition_release(*p);
		*p = NULL;
		st = HSM_E_PARTITION;
	}
	return st;
}

static hsm_status
job_refresh(void *arg)
{
	struct pin_job *job = arg;
	struct pin *pin = job->pin;
	struct header h;
	hsm_status st;

	if ((st = header_parse((hsm_in){ job->bytes, HEADER_LEN }, &h)) != HSM_OK)
		return st;
	if (memcmp(h.id, pin->header.id, ID_LEN) != 0)
		return HSM_E_PARTITION;
	if ((st = header_check(pin, (hsm_in){ job->bytes, HEADER_LEN })) != HSM_OK)
		return st;
	job->fresh_key = memcmp(h.key_id, pin->header.key_id, ID_LEN) != 0;
	job->strict = (h.flags & FLAG_STRICT) != 0;
	pin->header = h;
	return HSM_OK;
}

hsm_status
hsm_token_refresh(hsm_part part, hsm_in header)
{
	uint8_t bytes[HEADER_LEN];
	struct pin_job job = { .bytes = bytes };
	struct partition *p;
	hsm_status st;

	if (header.len != HEADER_LEN)
		return HSM_E_FORMAT;
	memcpy(bytes, header.ptr, HEADER_LEN);
	if ((st = token_acquire(part, &p)) != HSM_OK)
		return st;
	job.pin = partition_pin(p);
	pthread_mutex_lock(&job.pin->lock);
	st = gate_run(job_refresh, &job, HEAP, DEPTH);
	pthread_mutex_unlock(&job.pin->lock);
	/* The token was initialised anew: who is logged in holds the key of
	 * objects that are no more. */
	if (st == HSM_OK && job.fresh_key && partition_logout(p) == HSM_OK)
		object_forget_private(p);
	if (st == HSM_OK)
		partition_token_strict(p, job.strict);
	partition_release(p);
	return st;
}

struct left_job { struct pin *pin; hsm_token_info *info; };

static hsm_status
job_left(void *arg)
{
	struct left_job *job = arg;

	return tries_left(&job->pin->tries, &job->pin->device, &job->info->user_tries, &job->info->so_tries);
}

hsm_status
hsm_token_describe(hsm_part part, hsm_token_info *info)
{
	struct left_job job = { .info = info };
	struct partition *p;
	struct pin *pin;
	hsm_status st = token_acquire(part, &p);

	memset(info, 0, sizeof *info);
	if (st != HSM_OK)
		return st;
	job.pin = pin = partition_pin(p);
	pthread_mutex_lock(&pin->lock);
	memcpy(info->id, pin->header.id, ID_LEN);
	info->strict = (pin->header.flags & FLAG_STRICT) != 0;
	info->user_pin = (pin->header.flags & FLAG_USER) != 0;
	info->iterations = pin->header.iterations;
	st = gate_run(job_left, &job, HEAP, DEPTH);
	pthread_mutex_unlock(&pin->lock);
	partition_release(p);
	return st;
}

static hsm_status
job_set(void *arg)
{
	struct pin_job *job = arg;
	struct pin *pin = job->pin;
	struct secret key = SECRET_NONE;
	hsm_status st;

	job->header = pin->header;
	/* The SO gives the user a PIN: its tries begin again. */
	if (job->old.len == 0 && (st = secret_copy(&key, secret_in(&pin->officer))) == HSM_OK)
		st = tries_forgive(&pin->tries, &pin->device, TRIES_USER);
	else if (job->old.len != 0)
		st = pin_check(pin, job->role, job->old, &key);
	if (st == HSM_OK && (st = key_wrap(pin, &job->header, job->role, job->given, &key)) == HSM_OK) {
		if (job->role == HSM_ROLE_USER)
			job->header.flags |= FLAG_USER;
		st = header_write(pin, &job->header, job->bytes);
	}
	secret_wipe(&key);
	return st;
}

static hsm_status
pin_may_set(const struct session *s, const struct pin *pin, const struct pin_job *job)
{
	if (job->role != HSM_ROLE_USER && job->role != HSM_ROLE_OFFICER)
		return HSM_E_ARGS;
	if (job->given.len < HSM_PIN_MIN || job->given.len > HSM_PIN_MAX)
		return HSM_E_PIN_LEN;
	if (job->old.len != 0)
		return HSM_OK;
	if (job->role != HSM_ROLE_USER || session_role(s) != HSM_ROLE_OFFICER || pin->officer.len == 0)
		return HSM_E_ROLE;
	return HSM_OK;
}

hsm_status
hsm_token_pin(hsm_session session, hsm_role role, hsm_in old, hsm_in given, hsm_out *header)
{
	struct pin_job job = { .role = role, .old = old, .given = given, .bytes = header->ptr };
	struct session *s;
	hsm_status st;

	if ((st = out_need(header, HEADER_LEN)) != HSM_OK || header->ptr == NULL)
		return st;
	header->len = 0;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	job.pin = session_partition(s) == NULL ? NULL : partition_pin(session_partition(s));
	if (job.pin == NULL) {
		session_release(s);
		return HSM_E_PARTITION;
	}
	pthread_mutex_lock(&job.pin->lock);
	if ((st = pin_may_set(s, job.pin, &job)) == HSM_OK && (st = gate_run(job_set, &job, HEAP, DEPTH)) == HSM_OK)
		header->len = HEADER_LEN;
	pthread_mutex_unlock(&job.pin->lock);
	session_release(s);
	return st;
}

static hsm_status
job_reset(void *arg)
{
	struct pin_job *job = arg;
	struct pin *pin = job->pin;
	struct secret key = SECRET_NONE;
	hsm_status st = pin_check(pin, HSM_ROLE_OFFICER, job->given, &key);

	secret_wipe(&key);
	job->header = pin->header;
	job->header.flags = job->strict ? FLAG_STRICT : 0;
	if (st == HSM_OK && (st = header_fresh(pin, &job->header, job->given)) == HSM_OK
	    && (st = tries_forgive(&pin->tries, &pin->device, TRIES_USER)) == HSM_OK)
		st = header_write(pin, &job->header, job->bytes);
	return st;
}

hsm_status
hsm_token_reset(hsm_part part, hsm_in so_pin, bool strict, hsm_out *header)
{
	struct pin_job job = { .given = so_pin, .strict = strict, .bytes = header->ptr };
	struct partition *p;
	hsm_status st;

	if ((st = out_need(header, HEADER_LEN)) != HSM_OK || header->ptr == NULL)
		return st;
	header->len = 0;
	if ((st = token_acquire(part, &p)) != HSM_OK)
		return st;
	job.pin = partition_pin(p);
	pthread_mutex_lock(&job.pin->lock);
	if (strict && gate_weakened())
		st = HSM_E_WEAKENED;
	else if ((st = gate_run(job_reset, &job, HEAP, DEPTH)) == HSM_OK)
		header->len = HEADER_LEN;
	pthread_mutex_unlock(&job.pin->lock);
	partition_release(p);
	return st;
}

/* The policy stands in the context of both wrapped keys: each is opened under
 * the old one and closed under the new one. */
static hsm_status
policy_move(struct pin *pin, struct header *h, hsm_role role, hsm_in given)
{
	struct secret key = SECRET_NONE;
	hsm_status st = pin_check(pin, role, given, &key);

	if (st == HSM_OK)
		st = key_wrap(pin, h, role, given, &key);
	secret_wipe(&key);
	return st;
}

static hsm_status
job_policy(void *arg)
{
	struct pin_job *job = arg;
	struct pin *pin = job->pin;
	hsm_status st;

	job->header = pin->header;
	job->header.flags = (uint8_t)((pin->header.flags & ~FLAG_STRICT) | (job->strict ? FLAG_STRICT : 0));
	if ((st = policy_move(pin, &job->header, HSM_ROLE_OFFICER, job->old)) != HSM_OK)
		return st;
	if ((pin->header.flags & FLAG_USER) != 0 && (st = policy_move(pin, &job->header, HSM_ROLE_USER, job->given)) != HSM_OK)
		return st;
	return header_write(pin, &job->header, job->bytes);
}

hsm_status
hsm_token_policy(hsm_part part, hsm_in so_pin, hsm_in user_pin, bool strict, hsm_out *header)
{
	struct pin_job job = { .old = so_pin, .given = user_pin, .strict = strict, .bytes = header->ptr };
	struct partition *p;
	hsm_status st;

	if ((st = out_need(header, HEADER_LEN)) != HSM_OK || header->ptr == NULL)
		return st;
	header->len = 0;
	if (strict && gate_weakened())
		return HSM_E_WEAKENED;
	if ((st = token_acquire(part, &p)) != HSM_OK)
		return st;
	job.pin = partition_pin(p);
	pthread_mutex_lock(&job.pin->lock);
	if ((st = gate_run(job_policy, &job, HEAP, DEPTH)) == HSM_OK)
		header->len = HEADER_LEN;
	pthread_mutex_unlock(&job.pin->lock);
	partition_release(p);
	return st;
}

/* ---- tags and MACs for the index ----------------------------------------------------------- */

struct mac_job { const struct secret *key; hsm_in parts[2]; uint8_t mac[MAC_LEN]; };

static hsm_status
job_mac(void *arg)
{
	struct mac_job *job = arg;

	return primitive_hmac(HSM_SHA256, secret_in(job->key), job->parts, 2, job->mac);
}

static hsm_status
token_hmac(hsm_part part, size_t key_at, struct mac_job *job)
{
	struct partition *p;
	struct pin *pin;
	hsm_status st = token_acquire(part, &p);

	if (st != HSM_OK)
		return st;
	pin = partition_pin(p);
	job->key = (const struct secret *)(const void *)((const char *)pin + key_at);
	pthread_mutex_lock(&pin->lock);
	st = job->key->len == 0 ? HSM_E_NOT_LOGGED_IN : gate_run(job_mac, job, HEAP, DEPTH);
	pthread_mutex_unlock(&pin->lock);
	partition_release(p);
	return st;
}

hsm_status
hsm_token_tag(hsm_part part, bool priv, uint32_t attr, hsm_in value, uint8_t tag[HSM_TOKEN_TAG])
{
	uint8_t type[4];
	struct writer w;
	struct mac_job job = { .parts = { { type, sizeof type }, value } };
	hsm_status st;

	writer_init(&w, type, sizeof type);
	writer_u32(&w, attr);
	st = token_hmac(part, priv ? offsetof(struct pin, tags) : offsetof(struct pin, open_tags), &job);
	if (st == HSM_OK)
		memcpy(tag, job.mac, HSM_TOKEN_TAG);
	return st;
}

hsm_status
hsm_token_mac(hsm_part part, hsm_in bytes, uint8_t mac[32])
{
	struct mac_job job = { .parts = { { (const uint8_t *)"index ", 6 }, bytes } };
	hsm_status st = token_hmac(part, offsetof(struct pin, mac), &job);

	if (st == HSM_OK)
		memcpy(mac, job.mac, MAC_LEN);
	return st;
}
