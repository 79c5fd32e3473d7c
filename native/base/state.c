/* state.c - one table, one way to change. */
#include "state.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "lab.h"

#define STATES 5
#define EVENTS 5
#define STAY (-1)       /* the event does not fit the state */

_Static_assert(STATE_ZEROISED + 1 == STATES && EVENT_CLOSE + 1 == EVENTS, "the table is whole");

static const signed char next[STATES][EVENTS] = {
	/*                OPEN           TESTS_PASSED TEST_FAILED  TAMPER          CLOSE */
	[STATE_OFF]      = { STATE_TESTING, STAY,        STAY,        STAY,           STAY },
	[STATE_TESTING]  = { STAY,          STATE_READY, STATE_ERROR, STATE_ZEROISED, STATE_OFF },
	[STATE_READY]    = { STAY,          STAY,        STATE_ERROR, STATE_ZEROISED, STATE_OFF },
	[STATE_ERROR]    = { STAY,          STAY,        STATE_ERROR, STATE_ZEROISED, STATE_OFF },
	[STATE_ZEROISED] = { STAY,          STAY,        STAY,        STATE_ZEROISED, STATE_OFF },
};

/* The reason is published by swapping between two buffers, so that a reader
 * never sees half of one; a third change while somebody still reads would be
 * needed to disturb it, and failures do not come at that pace. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int now = STATE_OFF;
static char reasons[2][128];
static _Atomic unsigned reason;

hsm_status
state_event(enum module_event event, const char *why)
{
	hsm_status st = HSM_E_STATE;
	int to;

	if ((unsigned)event >= EVENTS)
		return HSM_E_ARGS;
	pthread_mutex_lock(&lock);
	to = next[atomic_load(&now)][event];
	if (to == STAY)
		goto out;
	if (event == EVENT_TEST_FAILED || event == EVENT_TAMPER) {
		unsigned fresh = !atomic_load(&reason);

		snprintf(reasons[fresh], sizeof(reasons[fresh]), "%s", why == NULL ? "" : why);
		atomic_store(&reason, fresh);
	}
	lab_trace("\"event\":\"state\",\"from\":\"%s\",\"to\":\"%s\",\"why\":\"%s\"", state_name((enum module_state)atomic_load(&now)),
	          state_name((enum module_state)to), why == NULL ? "" : why);
	atomic_store(&now, to);
	st = HSM_OK;
out:
	pthread_mutex_unlock(&lock);
	return st;
}

enum module_state
state_now(void)
{
	return (enum module_state)atomic_load_explicit(&now, memory_order_acquire);
}

const char *
state_name(enum module_state state)
{
	static const char *const names[STATES] = {
		[STATE_OFF] = "off", [STATE_TESTING] = "testing", [STATE_READY] = "ready",
		[STATE_ERROR] = "error", [STATE_ZEROISED] = "zeroised",
	};

	return (unsigned)state < STATES ? names[state] : "unknown";
}

const char *
state_why(void)
{
	return reasons[atomic_load(&reason)];
}

hsm_status
state_operational(void)
{
	switch (state_now()) {
	case STATE_READY:
		return HSM_OK;
	case STATE_ERROR:
		return HSM_E_SELF_TEST;
	default:
		return HSM_E_STATE;
	}
}
