/* module.c - power on and off, self-tests, status.
 *
 * hsm_open is counted and safe to race: the first does the work, the others
 * wait for it. A self-test that fails latches the error state, in which only
 * hsm_describe and hsm_close answer. A forked child starts over: what the
 * parent had open is forgotten, not touched. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/arena.h"
#include "../base/lab.h"
#include "../base/state.h"
#include "../crypto/library.h"
#include "gate.h"
#include "object.h"
#include "partition.h"
#include "resident.h"
#include "root.h"
#include "session.h"

#define TEST_HEAP 262144u
#define TEST_DEPTH 163840u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned opens;                  /* under the lock */
static pthread_once_t watch = PTHREAD_ONCE_INIT;

/* ---- forks ------------------------------------------------------------------------------ */

/* In the child. Other threads of the parent are gone, with whatever they held. */
static void
fork_child(void)
{
	pthread_mutex_init(&lock, NULL);
}

static void
fork_watch(void)
{
	(void)pthread_atfork(NULL, NULL, fork_child);
}

/* The first hsm_open of a child: what the parent had is forgotten, untouched. */
static void
fork_recover(void)
{
	if (!arena_forked())
		return;
	gate_forget();
	session_fork();
	object_fork();
	resident_fork();
	opens = 0;
	(void)!state_event(EVENT_CLOSE, NULL);
}

/* ---- self-tests --------------------------------------------------------------------------- */

struct testing { const struct self_test *test; bool broken; };

static hsm_status
test_enter(void *arg)
{
	const struct testing *t = arg;

	return t->test->run(t->broken);
}

/* Test builds can break one by name. */
static bool
test_broken(const char *name)
{
	if (lab_fails(name))
		return true;
#ifdef STRONGROOM_FAULTS
	const char *broken = getenv("STRONGROOM_BREAK_SELF_TEST");

	return broken != NULL && strcmp(broken, name) == 0;
#else
	(void)name;
	return false;
#endif
}

static hsm_status
test_run(const struct self_test *test)
{
	struct testing t = { test, test_broken(test->name) };

	const hsm_status st = gate_run_testing(test_enter, &t, TEST_HEAP, TEST_DEPTH);

	lab_trace("\"event\":\"self-test\",\"name\":\"%s\",\"status\":\"%s\"", test->name, hsm_status_name(st));
	return st;
}

/* All, or the one of this name; the first that fails ends the module's
 * service. Too little memory for a test is no verdict. */
static hsm_status
tests_run(const char *name, const char **failed)
{
	const struct self_test *test;
	hsm_status st = HSM_OK;
	bool found = name == NULL;

	*failed = NULL;
	for (size_t i = 0; (test = self_test_at(i)) != NULL; i++) {
		if (name != NULL && strcmp(name, test->name) != 0)
			continue;
		found = true;
		if ((st = test_run(test)) == HSM_OK)
			continue;
		if (st == HSM_E_MEMORY)
			return st;
		*failed = test->name;
		(void)!state_event(EVENT_TEST_FAILED, test->name);
		return HSM_E_SELF_TEST;
	}
	return found ? HSM_OK : HSM_E_ARGS;
}

hsm_status
hsm_self_test(const char *name, const char **failed)
{
	const char *ignored;
	hsm_status st;

	if (failed == NULL)
		failed = &ignored;
	*failed = NULL;
	if ((st = gate_enter()) != HSM_OK)
		return st;
	st = tests_run(name, failed);
	gate_leave();
	return st;
}

const char *
hsm_self_test_at(size_t i)
{
	const struct self_test *test = self_test_at(i);

	return test == NULL ? NULL : test->name;
}

/* ---- power --------------------------------------------------------------------------------- */

static const struct timespec pause = { 0, 200000 };

/* Nobody comes in any more (the state says so); wait until all have left. */
static void
power_drain(void)
{
	while (!gate_empty())
		nanosleep(&pause, NULL);
	session_forget(NULL);
	while (session_count() != 0)
		nanosleep(&pause, NULL);
	object_forget(NULL);
	while (object_count() != 0)
		nanosleep(&pause, NULL);
}

static void
power_off(void)
{
	(void)!state_event(EVENT_CLOSE, NULL);
	power_drain();
	hsm_root_close();
	partition_close_all();
	resident_close_boot();
	arena_close();
}

static hsm_status
power_on(const hsm_config *config)
{
	const char *failed;
	hsm_status st;

	if ((st = lab_power_on()) != HSM_OK || (st = state_event(EVENT_OPEN, NULL)) != HSM_OK)
		return st;
	gate_approved_only(config != NULL && config->approved_only);
	if ((st = arena_open(config != NULL ? config->arena_size : 0)) != HSM_OK)
		goto out;
	if ((st = tests_run(NULL, &failed)) != HSM_OK)
		goto out;
	if ((st = resident_open_boot()) != HSM_OK)
		goto out;
	st = state_event(EVENT_TESTS_PASSED, NULL);
out:
	/* The error state stays, to be seen; anything else is as if never tried. */
	if (st != HSM_OK && st != HSM_E_SELF_TEST)
		power_off();
	return st;
}

hsm_status
hsm_open(const hsm_config *config)
{
	hsm_status st = HSM_OK;

	pthread_once(&watch, fork_watch);
	pthread_mutex_lock(&lock);
	fork_recover();
	/* An open that failed is not counted; trying again is a fresh start. */
	if (opens == 0 && state_now() != STATE_OFF)
		power_off();
	if (opens == 0)
		st = power_on(config);
	else
		st = state_operational();
	if (st == HSM_OK)
		opens++;
	pthread_mutex_unlock(&lock);
	return st;
}

void
hsm_close(void)
{
	pthread_mutex_lock(&lock);
	if (!arena_forked() && state_now() != STATE_OFF) {
		if (opens > 0)
			opens--;
		if (opens == 0)
			power_off();
	}
	pthread_mutex_unlock(&lock);
}

hsm_status
hsm_zeroise(const char *why)
{
	hsm_status st;

	if (arena_forked())
		return HSM_E_STATE;
	if ((st = state_event(EVENT_TAMPER, why)) != HSM_OK)
		return st;
	session_forget(NULL);
	object_forget(NULL);
	hsm_root_close();
	partition_close_all();
	return HSM_OK;
}

/* ---- status ---------------------------------------------------------------------------------- */

static const char *
arena_name(enum arena_kind kind)
{
	switch (kind) {
	case ARENA_SECRET:
		return "memfd_secret";
	case ARENA_LOCKED:
		return "locked";
	case ARENA_PLAIN:
		return "plain";
	default:
		return "";
	}
}

hsm_status
hsm_describe(hsm_info *info)
{
	static _Thread_local struct arena_info arena;
	struct root_info root = { .unseal = "" };
	bool off = arena_forked();

	memset(&arena, 0, sizeof arena);
	if (!off) {
		arena_describe(&arena);
		root_describe(&root);
	}
	*info = (hsm_info){
		.version = STRONGROOM_VERSION, .state = state_name(off ? STATE_OFF : state_now()), .why = state_why(),
		.arena_kind = arena_name(arena.kind), .arena_reason = arena.reason, .weakened = gate_weakened(),
		.arena_size = arena.size, .arena_used = arena.used, .arena_high = arena.high,
		.lock_limit = arena.lock_limit, .library = library_name(),
		.mode = root.mode, .unsealed = root.unsealed, .unseal = root.unseal,
		.approved_only = gate_is_approved_only()
	};
	if (!off) {
		info->sessions = session_count();
		info->objects = object_count();
		info->loaded = resident_count();
	}
	return HSM_OK;
}

static void
mech_tell(const struct mech *row, hsm_mech_info *info)
{
	*info = (hsm_mech_info){ row->id, row->name, row->key_type, row->min_bits, row->max_bits, row->flags };
}

hsm_status
hsm_mech_at(size_t i, hsm_mech_info *info)
{
	const struct mech *row = mech_at(i);

	if (row == NULL)
		return HSM_E_MECH;
	mech_tell(row, info);
	return HSM_OK;
}

hsm_status
hsm_mech_describe(hsm_mech id, hsm_mech_info *info)
{
	const struct mech *row = mech_find(id);

	if (row == NULL)
		return HSM_E_MECH;
	mech_tell(row, info);
	return HSM_OK;
}
