/* batch.c - many messages under one key: one session, one loan, one arena
 * stack for all. */
#include "loan.h"

struct job {
	const struct loan *loan;
	uint32_t use;
	hsm_in in;
	const uint32_t *lens;
	size_t n;
	hsm_out *out;
	uint32_t *out_lens;
	size_t *done;
};

static hsm_status
one(const struct job *j, hsm_in in, hsm_out *out)
{
	const struct mech *m = j->loan->mech;
	const struct key *key = j->loan->object != NULL ? object_key(j->loan->object) : NULL;

	switch (j->use) {
	case MECH_ENCRYPT:
		return m->seal == NULL ? HSM_E_MECH : m->seal(key, j->loan->params, in, out);
	case MECH_DECRYPT:
		return m->open == NULL ? HSM_E_MECH : m->open(key, j->loan->params, in, out);
	case MECH_SIGN:
		return m->sign == NULL ? HSM_E_MECH : m->sign(key, j->loan->params, in, out);
	default:
		return m->digest == NULL ? HSM_E_MECH : m->digest(j->loan->params, in, out);
	}
}

static hsm_status
all(void *arg)
{
	const struct job *j = arg;
	hsm_in left = j->in;
	hsm_out room;
	hsm_status st;

	for (size_t i = 0; i < j->n; i++) {
		if (j->lens[i] > left.len)
			return HSM_E_ARGS;
		room = (hsm_out){ j->out->ptr == NULL ? NULL : j->out->ptr + j->out->len,
			j->out->ptr == NULL ? 0 : j->out->cap - j->out->len, 0 };
		if ((st = one(j, (hsm_in){ left.ptr, j->lens[i] }, &room)) != HSM_OK)
			return st;
		if (room.len > UINT32_MAX)
			return HSM_E_DATA_LEN;
		j->out->len += room.len;
		j->out_lens[i] = (uint32_t)room.len;
		left.ptr = left.ptr == NULL ? NULL : left.ptr + j->lens[i];
		left.len -= j->lens[i];
		*j->done = i + 1;
	}
	return left.len == 0 ? HSM_OK : HSM_E_ARGS;
}

static hsm_status
take_digest(hsm_session session, hsm_mech mech, const hsm_params *params, struct loan *loan)
{
	hsm_status st;

	*loan = (struct loan){ .mech = mech_find(mech), .params = params != NULL ? params : &params_none };
	if ((st = session_acquire(session, &loan->session)) != HSM_OK)
		return st;
	if (loan->mech == NULL || (loan->mech->flags & MECH_DIGEST) == 0)
		return HSM_E_MECH;
	return gate_indicate(loan->mech, NULL, MECH_DIGEST, loan->params);
}

hsm_status
hsm_batch(hsm_session session, uint32_t use, hsm_key key, hsm_mech mech, const hsm_params *params,
	hsm_in in, const uint32_t *lens, size_t n, hsm_out *out, uint32_t *out_lens, size_t *done)
{
	struct loan loan = LOAN_NONE;
	struct job job = { &loan, use, in, lens, n, out, out_lens, done };
	hsm_status st;

	*done = 0;
	out->len = 0;
	if (use == MECH_DIGEST)
		st = take_digest(session, mech, params, &loan);
	else if (use == MECH_ENCRYPT || use == MECH_DECRYPT || use == MECH_SIGN)
		st = loan_use(session, key, use, mech, params, &loan);
	else
		st = HSM_E_ARGS;
	if (st == HSM_OK && (use == MECH_ENCRYPT || use == MECH_SIGN))
		st = loan_count(&loan, out, n);
	if (st == HSM_OK)
		st = gate_run(all, &job, loan.mech->heap, loan.mech->depth);
	loan_return(&loan);
	return st;
}
