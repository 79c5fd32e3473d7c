/* Layout of a sealed blob:
 *
 *   "SRs" | version 1 | nonce 16 | commitment 32 | ciphertext | tag 16
 *
 * One derivation gives 64 bytes: the AES-256-GCM key, then the commitment. The
 * key serves this blob alone, so the IV is all zero. The commitment makes a
 * blob open under one key only: GCM by itself does not promise that. */
#include "seal.h"

#include <string.h>

#include "../base/arena.h"
#include "../crypto/rng.h"
#include "../mech/primitive.h"

#define VERSION 1u
#define NONCE 16u
#define COMMITMENT 32u
#define HEADER (4u + NONCE + COMMITMENT)
#define DEPTH 8192u

_Static_assert(HEADER + PRIMITIVE_TAG == SEAL_OVERHEAD, "the overhead is what the header says");

static const uint8_t magic[3] = { 'S', 'R', 's' };
static const uint8_t zero_iv[12];

struct job {
	hsm_status (*run)(struct job *job);
	hsm_status st;
	const struct secret *kdk;
	const char *label;
	hsm_in context, in;
	uint8_t *out;
	size_t out_len;
};

static void
job_enter(void *arg)
{
	struct job *job = arg;

	job->st = rng_prepare();
	if (job->st == HSM_OK)
		job->st = job->run(job);
}

static hsm_status
job_start(struct job *job)
{
	const size_t label_len = strlen(job->label);
	hsm_status st;

	if (job->kdk->len != SEAL_KEY_LEN || label_len == 0 || label_len > SEAL_LABEL_MAX
	    || job->context.len > SEAL_CONTEXT_MAX)
		return HSM_E_ARGS;
	st = arena_run(job_enter, job, DEPTH);
	return st == HSM_OK ? job->st : st;
}

static hsm_in
text(const char *s)
{
	return (hsm_in){ (const uint8_t *)s, strlen(s) };
}

static hsm_status
derive(struct job *job)
{
	return primitive_kbkdf(secret_in(job->kdk), text(job->label), job->context, job->out, job->out_len);
}

/* The key and the commitment of one blob. */
static hsm_status
blob_keys(const struct job *job, const uint8_t *nonce, uint8_t keys[SEAL_KEY_LEN + COMMITMENT])
{
	uint8_t label[5 + SEAL_LABEL_MAX], context[NONCE + SEAL_CONTEXT_MAX];
	struct writer l, c;

	writer_init(&l, label, sizeof label);
	writer_put(&l, "seal:", 5);
	writer_put(&l, job->label, strlen(job->label));
	writer_init(&c, context, sizeof context);
	writer_put(&c, nonce, NONCE);
	writer_put(&c, job->context.ptr, job->context.len);
	return primitive_kbkdf(secret_in(job->kdk), (hsm_in){ label, l.len }, (hsm_in){ context, c.len },
	                       keys, SEAL_KEY_LEN + COMMITMENT);
}

static hsm_status
close_blob(struct job *job)
{
	uint8_t keys[SEAL_KEY_LEN + COMMITMENT];
	uint8_t *const header = job->out, *const nonce = header + 4;
	hsm_status st;

	memcpy(header, magic, sizeof magic);
	header[3] = VERSION;
	if ((st = rng_nonce(nonce, NONCE)) != HSM_OK)
		goto out;
	if ((st = blob_keys(job, nonce, keys)) != HSM_OK)
		goto out;
	memcpy(nonce + NONCE, keys + SEAL_KEY_LEN, COMMITMENT);
	st = primitive_gcm_seal((hsm_in){ keys, SEAL_KEY_LEN }, zero_iv, (hsm_in){ header, HEADER }, job->in,
	                        header + HEADER);
out:
	bytes_wipe(keys, sizeof keys);
	return st;
}

static hsm_status
open_blob(struct job *job)
{
	uint8_t keys[SEAL_KEY_LEN + COMMITMENT];
	const uint8_t *const header = job->in.ptr, *const nonce = header + 4;
	const hsm_in body = { header + HEADER, job->in.len - HEADER };
	hsm_status st;

	if ((st = blob_keys(job, nonce, keys)) != HSM_OK)
		goto out;
	st = HSM_E_INTEGRITY;
	if (!bytes_equal_secret(nonce + NONCE, keys + SEAL_KEY_LEN, COMMITMENT))
		goto out;
	st = primitive_gcm_open((hsm_in){ keys, SEAL_KEY_LEN }, zero_iv, (hsm_in){ header, HEADER }, body, job->out);
	if (st == HSM_E_CIPHERTEXT)
		st = HSM_E_INTEGRITY;
out:
	bytes_wipe(keys, sizeof keys);
	return st;
}

hsm_status
seal_derive(const struct secret *kdk, const char *label, hsm_in context, uint8_t *out, size_t out_len)
{
	struct job job = { .run = derive, .kdk = kdk, .label = label, .context = context, .out = out, .out_len = out_len };

	return job_start(&job);
}

hsm_status
seal_close(const struct secret *kdk, const char *label, hsm_in context, hsm_in clear, hsm_out *sealed)
{
	struct job job = { .run = close_blob, .kdk = kdk, .label = label, .context = context, .in = clear };
	hsm_status st;

	if (clear.len == 0 || clear.len > SIZE_MAX - SEAL_OVERHEAD) {
		sealed->len = 0;
		return HSM_E_ARGS;
	}
	if ((st = out_need(sealed, clear.len + SEAL_OVERHEAD)) != HSM_OK || sealed->ptr == NULL)
		return st;
	job.out = sealed->ptr;
	if ((st = job_start(&job)) != HSM_OK) {
		bytes_wipe(sealed->ptr, sealed->len);
		sealed->len = 0;
	}
	return st;
}

hsm_status
seal_open(const struct secret *kdk, const char *label, hsm_in context, hsm_in sealed, struct secret *clear)
{
	struct job job = { .run = open_blob, .kdk = kdk, .label = label, .context = context, .in = sealed };
	hsm_status st;

	*clear = SECRET_NONE;
	if (sealed.len <= SEAL_OVERHEAD || memcmp(sealed.ptr, magic, sizeof magic) != 0 || sealed.ptr[3] != VERSION)
		return HSM_E_FORMAT;
	if ((st = secret_alloc(clear, sealed.len - SEAL_OVERHEAD)) != HSM_OK)
		return st;
	job.out = clear->ptr;
	if ((st = job_start(&job)) != HSM_OK)
		secret_wipe(clear);
	return st;
}
