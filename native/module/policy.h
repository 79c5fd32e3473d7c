/* policy.h - the one gate: who may do what with which key.
 *
 * Everything that uses, shows, changes, seals or destroys an object asks
 * here, and only here. The gate above (identities, policies, grants) is not
 * trusted: a mistake there cannot cross a tenant's wall, use a key for what
 * it is not for, or let the service's own work decrypt. */
#ifndef STRONGROOM_POLICY_H
#define STRONGROOM_POLICY_H

#include "attrs.h"
#include "object.h"
#include "partition.h"
#include "session.h"

/* One question. role, account and partition are the session's. */
struct policy_ask {
	hsm_role role;
	bool writable;                  /* the session's */
	bool home;                      /* the object's partition is the session's */
	bool strict;                    /* the object's partition */
	hsm_in account;                 /* the session's */
	const struct facts *facts;
	uint32_t use;                   /* one MECH_ or USE_ bit; USE_ATTESTED beside MECH_DECRYPT */
	const struct mech *mech;        /* NULL: none */
};

HSM_MUST_USE hsm_status policy_check(const struct policy_ask *ask);
/* Before anything of the object is read: may this session come near it? Only
 * a caller of another account may, for the object's word (SHARED_WITH). */
HSM_MUST_USE hsm_status policy_near(const struct session *s, const struct partition *p);

/* Where a new object goes, and whether this session may make one there. The
 * partition is on loan. HSM_E_PARTITION, HSM_E_ROLE. */
HSM_MUST_USE hsm_status policy_home(struct session *s, hsm_part part, struct partition **p);
/* The finished record: HSM_E_NOT_LOGGED_IN, HSM_E_READ_ONLY. */
HSM_MUST_USE hsm_status policy_make(const struct session *s, const struct facts *f);
/* May `kek` take `target` out of the core? HSM_E_UNEXTRACTABLE, HSM_E_WRAPPING. */
HSM_MUST_USE hsm_status policy_wrap(const struct facts *kek, const struct facts *target, const struct mech *mech, bool strict);

#endif
