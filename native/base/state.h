/* state.h - the module's life as one state machine with one way to change.
 *
 *   OFF -> TESTING -> READY -> OFF
 *             |         |
 *             v         v
 *           ERROR <-----+      ERROR and ZEROISED are left only through OFF
 *                       |
 *                       v
 *                    ZEROISED
 *
 * In ERROR and ZEROISED every service is refused; status still answers. */
#ifndef STRONGROOM_STATE_H
#define STRONGROOM_STATE_H

#include "status.h"

enum module_state { STATE_OFF, STATE_TESTING, STATE_READY, STATE_ERROR, STATE_ZEROISED };

enum module_event { EVENT_OPEN, EVENT_TESTS_PASSED, EVENT_TEST_FAILED, EVENT_TAMPER, EVENT_CLOSE };

/* HSM_E_STATE when the event does not fit the state; nothing changes then.
 * why: a short reason kept for EVENT_TEST_FAILED and EVENT_TAMPER. */
HSM_MUST_USE hsm_status state_event(enum module_event event, const char *why);
enum module_state state_now(void);
const char *state_name(enum module_state state);
const char *state_why(void);                        /* last failure, or "" */

HSM_MUST_USE hsm_status state_operational(void);    /* HSM_OK in READY; HSM_E_SELF_TEST in ERROR, HSM_E_STATE else */

#endif
