/* gate.c - see gate.h. Cheap first: an operation on a small message costs
 * little more than its mechanism. */
#include "gate.h"

#include <pthread.h>
#include <stdatomic.h>

#include "../base/arena.h"
#include "../base/lab.h"
#include "../base/state.h"
#include "../crypto/rng.h"
#include "hsm.h"
#include "resident.h"

#define HOT __attribute__((tls_model("initial-exec")))

static _Thread_local bool here_inside HOT;      /* on an arena stack already */
static _Thread_local bool here_testing HOT;     /* this thread runs the self-tests */
static _Thread_local bool here_approved HOT;

static _Atomic bool approved_only;

/* ---- who is inside ------------------------------------------------------- */

/* Counted per thread group, as loans are: no line is fought for. */
static struct { _Alignas(64) _Atomic int64_t n; } entered[GATE_SHARDS];

unsigned
gate_shard(void)
{
	static _Atomic unsigned turn;
	static _Thread_local unsigned mine HOT;

	if (mine == 0)
		mine = 1 + atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % GATE_SHARDS;
	return mine - 1;
}

hsm_status
gate_ready(void)
{
	if (arena_forked())
		return HSM_E_STATE;
	return state_operational();
}

hsm_status
gate_enter(void)
{
	hsm_status st;

	atomic_fetch_add(&entered[gate_shard()].n, 1);
	if ((st = gate_ready()) != HSM_OK)
		gate_leave();
	return st;
}

void
gate_leave(void)
{
	atomic_fetch_sub(&entered[gate_shard()].n, 1);
}

bool
gate_empty(void)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < GATE_SHARDS; i++)
		sum += atomic_load(&entered[i].n);
	return sum == 0;
}

void
gate_forget(void)
{
	for (unsigned i = 0; i < GATE_SHARDS; i++)
		atomic_store(&entered[i].n, 0);
	here_inside = here_testing = false;
}

/* ---- room ---------------------------------------------------------------- */

/* Promise room, evicting keys that can be loaded again until it is there. */
static hsm_status
gate_hold(size_t heap, size_t keep)
{
	hsm_status st;

	while ((st = arena_hold_keep(heap, keep)) == HSM_E_MEMORY && resident_evict(heap))
		;
	return st;
}

/* ---- the way in ---------------------------------------------------------- */

#ifdef STRONGROOM_LAB
static void *
tamper_run(void *arg)
{
	(void)arg;
	(void)!hsm_zeroise("laboratory: tamper event during an operation");
	return NULL;
}

/* From elsewhere, as such events come, while the operation goes on: on this
 * thread it might hold what the event waits for. */
static void
tamper_now(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, tamper_run, NULL) == 0)
		pthread_detach(thread);
}
#else
#define tamper_now() ((void)0)
#endif

struct passage { hsm_status (*call)(void *arg); void *arg; hsm_status st; };

static void
passage_run(void *arg)
{
	struct passage *p = arg;

	if (lab_count_down(LAB_TAMPER_AT))
		tamper_now();
	p->st = p->call(p->arg);
}

hsm_status
gate_run_keep(hsm_status (*call)(void *arg), void *arg, size_t heap, size_t keep, size_t depth)
{
	struct passage p = { call, arg, HSM_OK };
	hsm_status st;

	if (here_inside)
		return call(arg);
	if (!here_testing && (st = gate_ready()) != HSM_OK)
		return st;
	if ((st = rng_prepare()) != HSM_OK)
		return st;
	if (heap != 0 && (st = gate_hold(heap, keep)) != HSM_OK)
		return st;
	here_inside = true;
	(void)arena_refused();
	st = arena_run(passage_run, &p, depth);
	here_inside = false;
	if (heap != 0)
		arena_release();
	lab_trace("\"event\":\"operation\",\"status\":\"%s\"", hsm_status_name(st != HSM_OK ? st : p.st));
	if (st != HSM_OK || p.st == HSM_OK || p.st == HSM_E_BUFFER)
		return st == HSM_OK ? p.st : st;
	/* Not every failure says that it was for want of memory. */
	return arena_refused() ? HSM_E_MEMORY : p.st;
}

hsm_status
gate_run(hsm_status (*call)(void *arg), void *arg, size_t heap, size_t depth)
{
	return gate_run_keep(call, arg, heap, 0, depth);
}

struct copying { struct secret *to; hsm_in bytes; };

static hsm_status
copy_run(void *arg)
{
	struct copying *c = arg;

	return secret_copy(c->to, c->bytes);
}

hsm_status
gate_copy(struct secret *to, hsm_in bytes)
{
	struct copying c = { to, bytes };

	return gate_run_keep(copy_run, &c, bytes.len + 64, bytes.len + 64, 1024);
}

hsm_status
gate_run_testing(hsm_status (*call)(void *arg), void *arg, size_t heap, size_t depth)
{
	bool before = here_testing;
	hsm_status st;

	here_testing = true;
	st = gate_run(call, arg, heap, depth);
	here_testing = before;
	return st;
}

hsm_status
gate_call(hsm_status (*call)(void *arg), void *arg, size_t heap, size_t depth)
{
	hsm_status st;

	if ((st = gate_enter()) != HSM_OK)
		return st;
	st = gate_run(call, arg, heap, depth);
	gate_leave();
	return st;
}

/* ---- the indicator -------------------------------------------------------- */

void
gate_approved_only(bool only)
{
	atomic_store_explicit(&approved_only, only, memory_order_relaxed);
}

bool
gate_is_approved_only(void)
{
	return atomic_load_explicit(&approved_only, memory_order_relaxed);
}

void
gate_approved(bool approved)
{
	here_approved = approved;
}

bool
hsm_approved(void)
{
	return here_approved;
}

void
hsm_approved_carry(bool approved)
{
	here_approved = approved;
}

hsm_status
gate_indicate(const struct mech *mech, const struct key *key, uint32_t use, const hsm_params *params)
{
	here_approved = mech->approved != NULL ? mech->approved(key, use, params)
	                                       : (mech->flags & MECH_APPROVED) != 0;
	if (!here_approved && atomic_load_explicit(&approved_only, memory_order_relaxed))
		return HSM_E_NOT_APPROVED;
	return HSM_OK;
}

bool
gate_weakened(void)
{
	struct arena_info arena;

	arena_describe(&arena);
	return arena.kind != ARENA_SECRET && arena.kind != ARENA_NONE;
}
