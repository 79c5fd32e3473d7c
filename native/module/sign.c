/* sign.c - signatures and MACs in one call. */
#include "loan.h"

struct job { const struct loan *loan; hsm_in message, sig; hsm_out *out; };

static hsm_status
sign(void *arg)
{
	const struct job *j = arg;
	const struct mech *m = j->loan->mech;

	return m->sign == NULL ? HSM_E_MECH : m->sign(object_key(j->loan->object), j->loan->params, j->message, j->out);
}

static hsm_status
verify(void *arg)
{
	const struct job *j = arg;
	const struct mech *m = j->loan->mech;

	return m->verify == NULL ? HSM_E_MECH : m->verify(object_key(j->loan->object), j->loan->params, j->message, j->sig);
}

static hsm_status
recover(void *arg)
{
	const struct job *j = arg;
	const struct mech *m = j->loan->mech;

	return m->recover == NULL ? HSM_E_MECH : m->recover(object_key(j->loan->object), j->loan->params, j->sig, j->out);
}

hsm_status
hsm_sign(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in message, hsm_out *sig)
{
	struct loan loan;
	struct job job = { .loan = &loan, .message = message, .out = sig };
	hsm_status st;

	if ((st = loan_use(session, key, MECH_SIGN, mech, params, &loan)) == HSM_OK && (st = loan_count(&loan, sig, 1)) == HSM_OK)
		st = gate_run(sign, &job, loan.mech->heap, loan.mech->depth);
	loan_return(&loan);
	return out_settle(sig, st);
}

hsm_status
hsm_verify(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in message, hsm_in sig)
{
	struct loan loan;
	struct job job = { .loan = &loan, .message = message, .sig = sig };
	hsm_status st;

	if ((st = loan_use(session, key, MECH_VERIFY, mech, params, &loan)) == HSM_OK)
		st = gate_run(verify, &job, loan.mech->heap, loan.mech->depth);
	loan_return(&loan);
	return st;
}

hsm_status
hsm_recover(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in sig, hsm_out *message)
{
	struct loan loan;
	struct job job = { .loan = &loan, .sig = sig, .out = message };
	hsm_status st;

	if ((st = loan_use(session, key, MECH_RECOVER, mech, params, &loan)) == HSM_OK)
		st = gate_run(recover, &job, loan.mech->heap, loan.mech->depth);
	loan_return(&loan);
	return out_settle(message, st);
}
