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

#endif
