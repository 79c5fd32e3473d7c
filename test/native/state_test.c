#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/state.h"

/* Bring the machine from OFF to `to`. */
static void
reach(enum module_state to)
{
	if (state_now() != STATE_OFF)
		assert_int_equal(state_event(EVENT_CLOSE, NULL), HSM_OK);
	if (to == STATE_OFF)
		return;
	assert_int_equal(state_event(EVENT_OPEN, NULL), HSM_OK);
	if (to == STATE_READY)
		assert_int_equal(state_event(EVENT_TESTS_PASSED, NULL), HSM_OK);
	if (to == STATE_ERROR)
		assert_int_equal(state_event(EVENT_TEST_FAILED, "why"), HSM_OK);
	if (to == STATE_ZEROISED)
		assert_int_equal(state_event(EVENT_TAMPER, "why"), HSM_OK);
	assert_int_equal(state_now(), to);
}

static void
every_event_in_every_state(void **state)
{
	enum { NO = -1 };
	static const int want[5][5] = {
		[STATE_OFF] = { STATE_TESTING, NO, NO, NO, NO },
		[STATE_TESTING] = { NO, STATE_READY, STATE_ERROR, STATE_ZEROISED, STATE_OFF },
		[STATE_READY] = { NO, NO, STATE_ERROR, STATE_ZEROISED, STATE_OFF },
		[STATE_ERROR] = { NO, NO, STATE_ERROR, STATE_ZEROISED, STATE_OFF },
		[STATE_ZEROISED] = { NO, NO, NO, STATE_ZEROISED, STATE_OFF },
	};

	(void)state;
	for (int from = 0; from < 5; from++) {
		for (int event = 0; event < 5; event++) {
			hsm_status st;

			reach((enum module_state)from);
			st = state_event((enum module_event)event, "why");
			assert_int_equal(st, want[from][event] == NO ? HSM_E_STATE : HSM_OK);
			assert_int_equal(state_now(), want[from][event] == NO ? from : want[from][event]);
		}
	}
	reach(STATE_OFF);
	assert_int_equal(state_event((enum module_event)5, NULL), HSM_E_ARGS);
}

static void
services_run_in_ready_alone(void **state)
{
	(void)state;
	reach(STATE_OFF);
	assert_int_equal(state_operational(), HSM_E_STATE);
	reach(STATE_TESTING);
	assert_int_equal(state_operational(), HSM_E_STATE);
	reach(STATE_READY);
	assert_int_equal(state_operational(), HSM_OK);
	reach(STATE_ERROR);
	assert_int_equal(state_operational(), HSM_E_SELF_TEST);
	reach(STATE_ZEROISED);
	assert_int_equal(state_operational(), HSM_E_STATE);
	reach(STATE_OFF);
}

static void
the_last_failure_is_kept(void **state)
{
	(void)state;
	reach(STATE_TESTING);
	assert_int_equal(state_event(EVENT_TEST_FAILED, "AES-GCM"), HSM_OK);
	assert_string_equal(state_why(), "AES-GCM");
	assert_int_equal(state_event(EVENT_TAMPER, "opened lid"), HSM_OK);
	assert_string_equal(state_why(), "opened lid");
	assert_int_equal(state_event(EVENT_CLOSE, NULL), HSM_OK);
	assert_string_equal(state_why(), "opened lid");
	assert_string_equal(state_name(STATE_ZEROISED), "zeroised");
	assert_string_equal(state_name((enum module_state)9), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_in_every_state),
		cmocka_unit_test(services_run_in_ready_alone),
		cmocka_unit_test(the_last_failure_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
