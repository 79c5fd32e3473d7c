/* loan.h - what every use of a key does first: the session, the row, the key
 * on loan after the gate said yes, the indicator. */
#ifndef STRONGROOM_LOAN_H
#define STRONGROOM_LOAN_H

#include "gate.h"
#include "invocations.h"
#include "object.h"
#include "session.h"

struct loan {
	struct session *session;
	struct object *object;
	const struct mech *mech;
	const hsm_params *params;       /* never NULL */
};

#define LOAN_NONE ((struct loan){ NULL, NULL, NULL, NULL })

/* For calls that need nothing of the session but its yes: loan->session stays
 * NULL, and nothing of it is written. */
HSM_MUST_USE hsm_status loan_use(hsm_session session, hsm_key key, uint32_t use, hsm_mech mech, const hsm_params *params, struct loan *loan);
HSM_MUST_USE hsm_status loan_take(hsm_session session, hsm_key key, uint32_t use, hsm_mech mech, const hsm_params *params, struct loan *loan);
/* The key is about to seal n messages for whoever brought `out` (NULL: for
 * sure). HSM_E_COUNTER: as many as it may, it has. */
static inline hsm_status
loan_count(const struct loan *loan, const hsm_out *out, size_t n)
{
	if ((loan->mech->flags & MECH_COUNTED) == 0 || (out != NULL && out->ptr == NULL))
		return HSM_OK;
	return n <= UINT32_MAX ? invocations_count(loan->object, (uint32_t)n) : HSM_E_LIMIT;
}
void loan_return(struct loan *loan);            /* empty is fine */

extern const hsm_params params_none;

/* Out is empty on every failure but one. */
static inline hsm_status
out_settle(hsm_out *out, hsm_status st)
{
	if (st != HSM_OK && st != HSM_E_BUFFER)
		out->len = 0;
	return st;
}

#endif
