/* loan.c - see loan.h. */
#include "loan.h"

#include "attrs.h"

const hsm_params params_none;

/* A key that asks for its user every time is used in steps, with a login
 * between. */
static hsm_status
loan_indicate(const struct loan *loan, uint32_t use)
{
	if ((object_facts(loan->object)->flags & FACT_ALWAYS_ASKS) != 0)
		return HSM_E_NOT_LOGGED_IN;
	return gate_indicate(loan->mech, object_key(loan->object), use & ~USE_ATTESTED, loan->params);
}

hsm_status
loan_use(hsm_session session, hsm_key key, uint32_t use, hsm_mech mech, const hsm_params *params, struct loan *loan)
{
	struct session_glance glance;
	hsm_status st;

	*loan = (struct loan){ .params = params != NULL ? params : &params_none };
	if ((st = session_look(session, &glance)) != HSM_OK)
		return st;
	if ((loan->mech = mech_find(mech)) == NULL)
		return HSM_E_MECH;
	if ((st = object_borrow(session, &glance, key, use, loan->mech, &loan->object)) != HSM_OK)
		return st;
	if ((st = loan_indicate(loan, use)) != HSM_OK)
		loan_return(loan);
	return st;
}

hsm_status
loan_take(hsm_session session, hsm_key key, uint32_t use, hsm_mech mech, const hsm_params *params, struct loan *loan)
{
	hsm_status st;

	*loan = (struct loan){ .params = params != NULL ? params : &params_none };
	if ((st = session_acquire(session, &loan->session)) != HSM_OK)
		return st;
	if ((loan->mech = mech_find(mech)) == NULL)
		st = HSM_E_MECH;
	else if ((st = object_acquire(loan->session, key, use, loan->mech, &loan->object)) == HSM_OK)
		st = loan_indicate(loan, use);
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
