/* loan.c - see loan.h. */
#include "loan.h"

#include "attrs.h"

const hsm_params params_none;

hsm_status
loan_take(hsm_session session, hsm_key key, uint32_t use, hsm_mech mech, const hsm_params *params, struct loan *loan)
{
	hsm_status st;

	*loan = (struct loan){ .params = params != NULL ? params : &params_none };
	if ((st = session_acquire(session, &loan->session)) != HSM_OK)
		return st;
	if ((loan->mech = mech_find(mech)) == NULL) {
		st = HSM_E_MECH;
		goto out;
	}
	if ((st = object_acquire(loan->session, key, use, loan->mech, &loan->object)) != HSM_OK)
		goto out;
	/* A key that asks for its user every time is used in steps, with a
	 * login between. */
	if ((object_facts(loan->object)->flags & FACT_ALWAYS_ASKS) != 0) {
		st = HSM_E_NOT_LOGGED_IN;
		goto out;
	}
	st = gate_indicate(loan->mech, object_key(loan->object), use, loan->params);
out:
	if (st != HSM_OK)
		loan_return(loan);
	return st;
}

void
loan_return(struct loan *loan)
{
	object_release(loan->object);
	session_release(loan->session);
	loan->object = NULL;
	loan->session = NULL;
}
