/* life.c - initialised or not, and who is inside.
 *
 * Calls that name no session are counted while they run; C_Initialize and
 * C_Finalize change the stage first and count afterwards, a call counts first
 * and looks at the stage afterwards, so that nothing is taken away under it.
 * The counts lie in shards, a line each: two threads share none. A call in a
 * session holds its session's lock, which C_Finalize takes to end the session,
 * and needs no count. A forked child starts over: it answers CKR_CRYPTOKI_NOT_INITIALIZED until it initialises, and what
 * it inherited is left alone, because other threads of the parent may have
 * held any of it half-way. */
#include <string.h>
#include <time.h>

#include "door.h"

enum stage { CLOSED, CHANGING, OPEN };

#define SHARDS 16u

static _Atomic enum stage stage;
static struct { _Alignas(64) _Atomic int64_t n; } inside[SHARDS];
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static unsigned lives;          /* how often it was opened; changed by C_Initialize, alone */

static const struct timespec nap = { 0, 50000 };

static void
child_start(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	memcpy(&change, &fresh, sizeof change);
	for (unsigned i = 0; i < SHARDS; i++)
		atomic_store(&inside[i].n, 0);
	atomic_store(&stage, CLOSED);
	ck_slots_forget();
	ck_sessions_forget();
	ck_states_forget();
}

static void
watch_fork(void)
{
	(void)!pthread_atfork(NULL, NULL, child_start);
}

/* Threads take shards in turn. */
static unsigned
shard_mine(void)
{
	static _Atomic unsigned turn;
	static _Thread_local unsigned mine __attribute__((tls_model("initial-exec")));

	if (mine == 0)
		mine = 1 + atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % SHARDS;
	return mine - 1;
}

bool
door_open(void)
{
	return atomic_load(&stage) == OPEN;
}

CK_RV
door_enter(void)
{
	enum stage now;

	for (;;) {
		atomic_fetch_add(&inside[shard_mine()].n, 1);
		if ((now = atomic_load(&stage)) == OPEN)
			return CKR_OK;
		door_leave();
		if (now == CLOSED)
			return CKR_CRYPTOKI_NOT_INITIALIZED;
		nanosleep(&nap, NULL);          /* until it is one or the other */
	}
}

void
door_leave(void)
{
	atomic_fetch_sub(&inside[shard_mine()].n, 1);
}

/* Alone: nobody is inside, and who comes waits. */
static void
stage_change(void)
{
	int64_t sum;

	atomic_store(&stage, CHANGING);
	for (;;) {
		sum = 0;
		for (unsigned i = 0; i < SHARDS; i++)
			sum += atomic_load(&inside[i].n);
		if (sum == 0)
			return;
		nanosleep(&nap, NULL);
	}
}

unsigned
door_life(void)
{
	return lives;
}

static CK_RV
args_check(const CK_C_INITIALIZE_ARGS *args)
{
	int given;

	if (args == NULL)
		return CKR_OK;
	if (args->pReserved != NULL)
		return CKR_ARGUMENTS_BAD;
	given = (args->CreateMutex != NULL) + (args->DestroyMutex != NULL) + (args->LockMutex != NULL)
	    + (args->UnlockMutex != NULL);
	if (given != 0 && given != 4)
		return CKR_ARGUMENTS_BAD;
	/* Our locks are the operating system's, also for a caller that brings
	 * its own: what it calls threads are the operating system's too. */
	return CKR_OK;
}

static CK_RV
life_begin(void)
{
	const hsm_config config = { .arena_size = 0 };
	CK_RV rv = rv_from(hsm_open(&config));

	if (rv != CKR_OK)
		return rv == CKR_HOST_MEMORY || rv == CKR_FIPS_SELF_TEST_FAILED ? rv : CKR_GENERAL_ERROR;
	if ((rv = ck_sessions_open()) == CKR_OK && (rv = ck_slots_open()) == CKR_OK)
		return CKR_OK;
	ck_sessions_close();
	hsm_close();
	return rv;
}

CK_RV
C_Initialize(void *args)
{
	CK_RV rv = args_check(args);

	if (rv != CKR_OK)
		return rv;
	pthread_once(&fork_once, watch_fork);
	pthread_mutex_lock(&change);
	if (door_open()) {
		pthread_mutex_unlock(&change);
		return CKR_CRYPTOKI_ALREADY_INITIALIZED;
	}
	stage_change();
	if ((rv = life_begin()) == CKR_OK)
		lives++;
	atomic_store(&stage, rv == CKR_OK ? OPEN : CLOSED);
	pthread_mutex_unlock(&change);
	return rv;
}

CK_RV
C_Finalize(void *reserved)
{
	if (reserved != NULL)
		return CKR_ARGUMENTS_BAD;
	pthread_mutex_lock(&change);
	if (!door_open()) {
		pthread_mutex_unlock(&change);
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	}
	stage_change();
	/* Sessions first: whoever is in one may still use the rest. */
	ck_sessions_close();
	ck_states_close();
	ck_slots_close();
	hsm_close();
	atomic_store(&stage, CLOSED);
	pthread_mutex_unlock(&change);
	return CKR_OK;
}
