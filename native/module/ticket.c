/* ticket.c - what a token's file needs to be opened elsewhere, sealed.
 *
 *   "SRtt" | version 1 | kind u8 | id 16 | iterations u32 | salt 16 | blob
 *
 * kind 0: under a key of this device; kind 1: under a passphrase. The blob's
 * context is all before it and the file's SHA-256; in it: device key 32 |
 * failed tries of the SO and of the user, u8 each. */
#include <string.h>

#include "../crypto/rng.h"
#include "../mech/primitive.h"
#include "device.h"
#include "gate.h"
#include "partition.h"
#include "pin.h"
#include "seal.h"
#include "session.h"
#include "tries.h"

#define VERSION 1u
#define SALT_LEN 16u
#define HEAD_LEN (4u + 1 + 1 + DEVICE_ID_LEN + 4 + SALT_LEN)
#define CLEAR_LEN (SEAL_KEY_LEN + 2u)
#define TICKET_LEN (HEAD_LEN + CLEAR_LEN + SEAL_OVERHEAD)
#define DIGEST_LEN 32u

/* A passphrase is tried offline by whoever has the backup: three times a PIN's. */
#ifdef STRONGROOM_FAULTS
#define ITERATIONS 1000u
#else
#define ITERATIONS 650000u
#endif
#define ITERATIONS_MAX 10000000u

#define HEAP 16384u
#define DEPTH 16384u

_Static_assert(TICKET_LEN <= HSM_TOKEN_TICKET_MAX, "a ticket fits its room");

enum ticket_kind { TICKET_DEVICE, TICKET_PASSPHRASE };

struct ticket { uint8_t kind, id[DEVICE_ID_LEN], salt[SALT_LEN]; uint32_t iterations; };

struct ticket_job {
	struct pin *pin;
	const char *device;
	hsm_in passphrase, digest;
	uint8_t bytes[TICKET_LEN];
};

static const uint8_t magic[4] = { 'S', 'R', 't', 't' };

static void
head_write(const struct ticket *t, uint8_t bytes[HEAD_LEN])
{
	struct writer w;

	writer_init(&w, bytes, HEAD_LEN);
	writer_put(&w, magic, sizeof magic);
	writer_u8(&w, VERSION);
	writer_u8(&w, t->kind);
	writer_put(&w, t->id, sizeof t->id);
	writer_u32(&w, t->iterations);
	writer_put(&w, t->salt, sizeof t->salt);
}

static hsm_status
head_read(const uint8_t bytes[HEAD_LEN], struct ticket *t)
{
	uint8_t start[4], version;
	struct reader r;

	reader_init(&r, (hsm_in){ bytes, HEAD_LEN });
	reader_copy(&r, start, sizeof start);
	version = reader_u8(&r);
	t->kind = reader_u8(&r);
	reader_copy(&r, t->id, sizeof t->id);
	t->iterations = reader_u32(&r);
	reader_copy(&r, t->salt, sizeof t->salt);
	if (!reader_done(&r) || memcmp(start, magic, sizeof magic) != 0 || version != VERSION || t->kind > TICKET_PASSPHRASE)
		return HSM_E_FORMAT;
	return t->iterations <= ITERATIONS_MAX && (t->kind == TICKET_DEVICE) == (t->iterations == 0) ? HSM_OK : HSM_E_FORMAT;
}

#define CONTEXT_LEN (HEAD_LEN + DIGEST_LEN)

static hsm_in
ticket_context(const struct ticket_job *job, uint8_t room[CONTEXT_LEN])
{
	memcpy(room, job->bytes, HEAD_LEN);
	memcpy(room + HEAD_LEN, job->digest.ptr, DIGEST_LEN);
	return (hsm_in){ room, CONTEXT_LEN };
}

static hsm_status
ticket_key(const struct ticket_job *job, const struct ticket *t, struct secret *key)
{
	const hsm_in salt = { t->salt, sizeof t->salt };
	hsm_status st;

	if (t->kind == TICKET_DEVICE)
		return device_derive(job->device, false, "token ticket", salt, key);
	if ((st = secret_alloc(key, SEAL_KEY_LEN)) != HSM_OK)
		return st;
	return primitive_pbkdf2(HSM_SHA512, job->passphrase, salt, t->iterations, key->ptr, key->len);
}

/* ---- out ------------------------------------------------------------------------ */

static hsm_status
ticket_seal(struct ticket_job *job, const struct ticket *t, const struct pin_escrow *e)
{
	struct secret key = SECRET_NONE, clear = SECRET_NONE;
	uint8_t context[CONTEXT_LEN];
	hsm_out out = { job->bytes + HEAD_LEN, TICKET_LEN - HEAD_LEN, 0 };
	hsm_status st;

	head_write(t, job->bytes);
	if ((st = secret_alloc(&clear, CLEAR_LEN)) != HSM_OK || (st = ticket_key(job, t, &key)) != HSM_OK)
		goto out;
	memcpy(clear.ptr, e->key.ptr, SEAL_KEY_LEN);
	memcpy(clear.ptr + SEAL_KEY_LEN, e->failed, sizeof e->failed);
	st = seal_close(&key, "token ticket", ticket_context(job, context), secret_in(&clear), &out);
out:
	secret_wipe(&clear);
	secret_wipe(&key);
	return st;
}

static hsm_status
job_export(void *arg)
{
	struct ticket_job *job = arg;
	struct pin_escrow e = { .key = SECRET_NONE };
	struct ticket t = { .kind = job->passphrase.len == 0 ? TICKET_DEVICE : TICKET_PASSPHRASE };
	hsm_status st;

	t.iterations = t.kind == TICKET_DEVICE ? 0 : ITERATIONS;
	if ((st = pin_escrow(job->pin, &e)) == HSM_OK && (st = rng_bytes(t.salt, sizeof t.salt)) == HSM_OK) {
		memcpy(t.id, e.id, sizeof t.id);
		st = ticket_seal(job, &t, &e);
	}
	secret_wipe(&e.key);
	return st;
}

static bool
passphrase_fits(hsm_in passphrase)
{
	return passphrase.len == 0 || (passphrase.len >= HSM_PASSPHRASE_MIN && passphrase.len <= HSM_PIN_MAX);
}

hsm_status
hsm_token_export(hsm_session session, const char *device, hsm_in passphrase, hsm_in file_sha256, hsm_out *ticket)
{
	struct ticket_job job = { .device = device, .passphrase = passphrase, .digest = file_sha256 };
	struct session *s;
	hsm_status st;

	if ((st = out_need(ticket, TICKET_LEN)) != HSM_OK || ticket->ptr == NULL)
		return st;
	ticket->len = 0;
	if (device == NULL || file_sha256.len != DIGEST_LEN)
		return HSM_E_ARGS;
	if (!passphrase_fits(passphrase))
		return HSM_E_PIN_LEN;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	job.pin = session_partition(s) == NULL ? NULL : partition_pin(session_partition(s));
	if (job.pin == NULL)
		st = HSM_E_PARTITION;
	else if (passphrase.len != 0 && session_role(s) != HSM_ROLE_OFFICER)
		st = HSM_E_ROLE;
	else
		st = gate_run(job_export, &job, HEAP, DEPTH);
	if (st == HSM_OK)
		memcpy(ticket->ptr, job.bytes, ticket->len = TICKET_LEN);
	session_release(s);
	return st;
}

/* ---- in -------------------------------------------------------------------------- */

static hsm_status
ticket_take(const struct ticket_job *job, const struct ticket *t, const struct secret *clear)
{
	struct secret key = SECRET_NONE;
	struct tries tries;
	hsm_status st;

	if ((st = secret_copy(&key, (hsm_in){ clear->ptr, SEAL_KEY_LEN })) == HSM_OK
	    && (st = device_key_take(job->device, t->id, &key)) == HSM_OK
	    && (st = tries_at(&tries, job->device, t->id)) == HSM_OK
	    && (st = tries_make(&tries, &key, clear->ptr + SEAL_KEY_LEN)) == HSM_E_EXISTS)
		st = HSM_OK;            /* counted here already: no try is won back */
	secret_wipe(&key);
	return st;
}

static hsm_status
job_import(void *arg)
{
	struct ticket_job *job = arg;
	struct secret key = SECRET_NONE, clear = SECRET_NONE;
	uint8_t context[CONTEXT_LEN];
	struct ticket t;
	hsm_status st;

	if ((st = head_read(job->bytes, &t)) != HSM_OK)
		return st;
	if ((t.kind == TICKET_DEVICE) != (job->passphrase.len == 0))
		return t.kind == TICKET_DEVICE ? HSM_E_ARGS : HSM_E_PIN;
	if ((st = ticket_key(job, &t, &key)) != HSM_OK)
		goto out;
	st = seal_open(&key, "token ticket", ticket_context(job, context),
		(hsm_in){ job->bytes + HEAD_LEN, TICKET_LEN - HEAD_LEN }, &clear);
	if (st == HSM_OK)
		st = clear.len == CLEAR_LEN ? ticket_take(job, &t, &clear) : HSM_E_FORMAT;
	else if (t.kind == TICKET_PASSPHRASE && st == HSM_E_INTEGRITY)
		st = HSM_E_PIN;
out:
	secret_wipe(&clear);
	secret_wipe(&key);
	return st;
}

hsm_status
hsm_token_import(const char *device, hsm_in passphrase, hsm_in ticket, hsm_in file_sha256)
{
	struct ticket_job job = { .device = device, .passphrase = passphrase, .digest = file_sha256 };

	if (device == NULL || file_sha256.len != DIGEST_LEN)
		return HSM_E_ARGS;
	if (ticket.len != TICKET_LEN)
		return HSM_E_FORMAT;
	memcpy(job.bytes, ticket.ptr, TICKET_LEN);
	return gate_call(job_import, &job, HEAP, DEPTH);
}
