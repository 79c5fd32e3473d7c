/* digest.c - hashing and random bytes: services without a key. */
#include "../base/state.h"
#include "../crypto/rng.h"
#include "../mech/primitive.h"
#include "loan.h"

#define RANDOM_DEPTH 8192u

struct job { const struct mech *mech; const hsm_params *params; hsm_in in; hsm_out *out; };

static hsm_status
digest(void *arg)
{
	const struct job *j = arg;

	return j->mech->digest(j->params, j->in, j->out);
}

hsm_status
hsm_digest(hsm_session session, hsm_mech mech, const hsm_params *params, hsm_in in, hsm_out *out)
{
	struct job job = { mech_find(mech), params != NULL ? params : &params_none, in, out };
	struct session *s;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	if (job.mech == NULL || (job.mech->flags & MECH_DIGEST) == 0 || job.mech->digest == NULL)
		st = HSM_E_MECH;
	else if ((st = gate_indicate(job.mech, NULL, MECH_DIGEST, job.params)) == HSM_OK)
		st = gate_run(digest, &job, job.mech->heap, job.mech->depth);
	session_release(s);
out:
	return out_settle(out, st);
}

/* Public data and no key: on the caller's own stack. */
hsm_status
hsm_sha256(hsm_in bytes, uint8_t digest[32])
{
	hsm_status st = state_operational();

	return st == HSM_OK ? primitive_hash(HSM_SHA256, &bytes, 1, digest) : st;
}

static hsm_status
random_fill(void *arg)
{
	hsm_out *out = arg;

	return out->cap <= 64 ? rng_nonce(out->ptr, out->cap) : rng_bytes(out->ptr, out->cap);
}

hsm_status
hsm_random(hsm_session session, hsm_out *out)
{
	struct session *s;
	hsm_status st;

	out->len = 0;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	gate_approved(true);
	if (out->cap != 0 && out->ptr == NULL)
		st = HSM_E_ARGS;
	else if (out->cap != 0 && (st = gate_run(random_fill, out, 0, RANDOM_DEPTH)) == HSM_OK)
		out->len = out->cap;
	session_release(s);
	return st;
}

static hsm_status
random_add(void *arg)
{
	return rng_add(*(const hsm_in *)arg);
}

hsm_status
hsm_random_add(hsm_session session, hsm_in in)
{
	struct session *s;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	st = in.len != 0 && in.ptr == NULL ? HSM_E_ARGS : gate_run(random_add, &in, 0, RANDOM_DEPTH);
	session_release(s);
	return st;
}
