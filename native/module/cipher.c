/* cipher.c - encrypting and decrypting in one call. */
#include "loan.h"

struct job { const struct loan *loan; hsm_in in; hsm_out *out; };

static hsm_status
seal(void *arg)
{
	const struct job *j = arg;
	const struct mech *m = j->loan->mech;

	return m->seal == NULL ? HSM_E_MECH : m->seal(object_key(j->loan->object), j->loan->params, j->in, j->out);
}

static hsm_status
open(void *arg)
{
	const struct job *j = arg;
	const struct mech *m = j->loan->mech;

	return m->open == NULL ? HSM_E_MECH : m->open(object_key(j->loan->object), j->loan->params, j->in, j->out);
}

hsm_status
hsm_encrypt(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in plain, hsm_out *out)
{
	struct loan loan;
	struct job job = { &loan, plain, out };
	hsm_status st;

	if ((st = loan_use(session, key, MECH_ENCRYPT, mech, params, &loan)) == HSM_OK && (st = loan_count(&loan, out, 1)) == HSM_OK)
		st = gate_run_row(loan.mech, plain.len + loan.params->aad.len, seal, &job);
	loan_return(&loan);
	return out_settle(out, st);
}

hsm_status
hsm_decrypt(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in in, hsm_out *plain)
{
	struct loan loan;
	struct job job = { &loan, in, plain };
	hsm_status st;

	if ((st = loan_use(session, key, MECH_DECRYPT, mech, params, &loan)) == HSM_OK)
		st = gate_run_row(loan.mech, in.len + loan.params->aad.len, open, &job);
	loan_return(&loan);
	return out_settle(plain, st);
}
