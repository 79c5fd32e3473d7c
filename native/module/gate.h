/* gate.h - the way into a mechanism: state, reserve, arena stack, indicator.
 * Every room of the module that runs a mech or kind slot goes through here. */
#ifndef STRONGROOM_GATE_H
#define STRONGROOM_GATE_H

#include "../mech/mech.h"

/* Run `call(arg)` on an arena stack wiped to `depth`, with `heap` bytes of the
 * arena promised, this thread's generator ready and the module operational.
 * Evicts sealed objects when room is short. Answers what `call` answers, or
 * HSM_E_STATE, HSM_E_SELF_TEST, HSM_E_MEMORY. */
HSM_MUST_USE hsm_status gate_run(hsm_status (*call)(void *arg), void *arg, size_t heap, size_t depth);
/* For one call of a row over `len` bytes, aad included. */
static inline hsm_status
gate_run_row(const struct mech *mech, size_t len, hsm_status (*call)(void *arg), void *arg)
{
	return len < mech->brief.len ? gate_run(call, arg, 0, mech->brief.depth)
	                             : gate_run(call, arg, mech->heap, mech->depth);
}

/* The same when `keep` of those bytes stay: a key is loaded. */
HSM_MUST_USE hsm_status gate_run_keep(hsm_status (*call)(void *arg), void *arg, size_t heap, size_t keep, size_t depth);
/* A copy that stays. */
HSM_MUST_USE hsm_status gate_copy(struct secret *to, hsm_in bytes);
/* The same for the self-tests, before the module is operational. */
HSM_MUST_USE hsm_status gate_run_testing(hsm_status (*call)(void *arg), void *arg, size_t heap, size_t depth);

/* Secret memory is there, but not memfd_secret. */
bool gate_weakened(void);
/* HSM_OK: operational, and not a forked child. */
HSM_MUST_USE hsm_status gate_ready(void);

/* Calls that name no session are counted while they run, so that hsm_close
 * waits for them (a session on loan counts by itself). Paired; leave only
 * after HSM_OK. HSM_E_STATE, HSM_E_SELF_TEST: the module is not operational. */
HSM_MUST_USE hsm_status gate_enter(void);
void gate_leave(void);
/* gate_enter, gate_run, gate_leave: for calls that name no session. */
HSM_MUST_USE hsm_status gate_call(hsm_status (*call)(void *arg), void *arg, size_t heap, size_t depth);
/* A number below GATE_SHARDS for this thread: what is counted per group of
 * threads is fought for by none. */
#define GATE_SHARDS 16u
unsigned gate_shard(void);
bool gate_empty(void);                  /* nobody is inside */
void gate_forget(void);                 /* in a forked child */

/* Is a key's `use` with this row and these parameters approved? Sets this
 * thread's indicator; HSM_E_NOT_APPROVED where only approved is served. */
HSM_MUST_USE hsm_status gate_indicate(const struct mech *mech, const struct key *key, uint32_t use, const hsm_params *params);
/* The same for a service that is no row (envelopes: true). */
void gate_approved(bool approved);
void gate_approved_only(bool only);     /* refuse what is not approved */
bool gate_is_approved_only(void);

#endif
