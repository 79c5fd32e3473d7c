/* What an attested recipient gets that is not a data key: decrypted plaintext,
 * random bytes, an agreed secret. */
#include <string.h>

#include "../crypto/rng.h"
#include "attrs.h"
#include "envelope.h"
#include "leave.h"
#include "loan.h"

#define RANDOM_MAX 1024u
#define AGREED_MAX 256u                 /* longest secret, for those who ask for the size */
#define DECRYPTED_MAX 2048u             /* RSA with 16384 bits */

struct job {
	struct leave leave;
	struct envelope e;
	hsm_in pairs, blob;
	size_t len;
	const struct loan *loan;
	struct secret clear;
	/* Fills clear. */
	hsm_status (*make)(struct job *job);
};

/* The clear bytes exist between two lines of this function, in the arena. */
static hsm_status
run(void *arg)
{
	struct job *job = arg;
	hsm_status st;

	if ((st = leave_open(&job->leave)) != HSM_OK)
		goto out;
	if ((st = leave_need(&job->leave, job->len)) != HSM_OK || job->leave.out->ptr == NULL)
		goto out;
	if ((st = job->make(job)) != HSM_OK)
		goto out;
	if ((st = leave_need(&job->leave, job->clear.len)) == HSM_OK)
		st = leave_put(&job->leave, secret_in(&job->clear));
out:
	secret_wipe(&job->clear);
	leave_close(&job->leave);
	return st;
}

static hsm_status
job_run(struct job *job, size_t heap, size_t depth)
{
	const size_t leave = leave_depth(&job->leave);

	if (job->leave.recipient.ptr == NULL)
		return HSM_E_ARGS;
	return gate_run(run, job, heap + leave_heap(&job->leave, job->len), depth > leave ? depth : leave);
}

/* ---- Decrypt -------------------------------------------------------------- */

static hsm_status
make_opened(struct job *job)
{
	const hsm_status st = secret_alloc(&job->clear, job->len);

	return st == HSM_OK ? envelope_open(&job->e, job->pairs, job->blob, job->clear.ptr) : st;
}

hsm_status
hsm_recipient_open(hsm_session session, hsm_key key, hsm_in pairs, hsm_in blob, hsm_in recipient, hsm_out *cms)
{
	struct job job = { .leave = { .out = cms, .recipient = recipient }, .pairs = pairs, .blob = blob, .make = make_opened };
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	if ((st = object_acquire(s, key, MECH_DECRYPT, NULL, &o)) != HSM_OK)
		goto out;
	if ((st = envelope_name(&job.e, o)) != HSM_OK)
		goto out;
	st = HSM_E_CIPHERTEXT;
	if ((job.len = envelope_plain_len(&job.e, blob.len)) == 0)
		goto out;
	gate_approved(true);
	st = job_run(&job, envelope_heap(pairs) + job.len + 64, ENVELOPE_DEPTH);
out:
	object_release(o);
	if (s != NULL)
		session_release(s);
	return out_settle(cms, st);
}

/* ---- Decrypt with a mechanism (RSA) --------------------------------------- */

static hsm_status
make_decrypted(struct job *job)
{
	hsm_out plain;
	hsm_status st = secret_alloc(&job->clear, job->blob.len);

	if (st != HSM_OK)
		return st;
	plain = (hsm_out){ job->clear.ptr, job->clear.len, 0 };
	st = job->loan->mech->open(object_key(job->loan->object), job->loan->params, job->blob, &plain);
	/* Past the message nothing was written. */
	if (st == HSM_OK)
		job->clear.len = plain.len;
	return st;
}

hsm_status
hsm_recipient_decrypt(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in in, hsm_in recipient, hsm_out *cms)
{
	struct job job = { .leave = { .out = cms, .recipient = recipient }, .blob = in, .make = make_decrypted };
	struct loan loan;
	hsm_status st;

	if ((st = loan_take(session, key, MECH_DECRYPT | USE_ATTESTED, mech, params, &loan)) != HSM_OK)
		goto out;
	job.loan = &loan;
	job.len = cms->ptr == NULL ? in.len : 1;
	st = HSM_E_MECH;
	if (loan.mech->open == NULL)
		goto out;
	st = HSM_E_CIPHERTEXT_LEN;
	if (in.len == 0 || in.len > DECRYPTED_MAX)
		goto out;
	st = job_run(&job, loan.mech->heap + 3 * in.len, loan.mech->depth);
out:
	loan_return(&loan);
	return out_settle(cms, st);
}

/* ---- GenerateRandom ------------------------------------------------------- */

static hsm_status
make_random(struct job *job)
{
	const hsm_status st = secret_alloc(&job->clear, job->len);

	return st == HSM_OK ? rng_bytes(job->clear.ptr, job->clear.len) : st;
}

hsm_status
hsm_recipient_random(hsm_session session, size_t len, hsm_in recipient, hsm_out *cms)
{
	struct job job = { .leave = { .out = cms, .recipient = recipient }, .len = len, .make = make_random };
	struct session *s;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return out_settle(cms, st);
	gate_approved(true);
	st = len == 0 || len > RANDOM_MAX ? HSM_E_DATA_LEN : job_run(&job, len + 64, 0);
	session_release(s);
	return out_settle(cms, st);
}

/* ---- DeriveSharedSecret --------------------------------------------------- */

static hsm_status
make_agreed(struct job *job)
{
	hsm_params params = *job->loan->params;

	params.spec = (hsm_spec){ HSM_KEY_GENERIC, 0 };
	return job->loan->mech->derive(object_key(job->loan->object), &params, 0, &job->clear);
}

hsm_status
hsm_recipient_agree(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in recipient, hsm_out *cms)
{
	struct job job = { .leave = { .out = cms, .recipient = recipient }, .make = make_agreed };
	struct loan loan;
	hsm_status st;

	if ((st = loan_take(session, key, MECH_DERIVE, mech, params, &loan)) != HSM_OK)
		goto out;
	job.loan = &loan;
	job.len = cms->ptr == NULL ? AGREED_MAX : 1;
	st = HSM_E_POLICY;
	if ((object_facts(loan.object)->flags & FACT_REVEAL) == 0)
		goto out;
	st = HSM_E_MECH;
	if (loan.mech->derive == NULL)
		goto out;
	st = job_run(&job, loan.mech->heap + AGREED_MAX, loan.mech->depth);
out:
	loan_return(&loan);
	return out_settle(cms, st);
}
