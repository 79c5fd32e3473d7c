/* life.c - initialised or not, and who is inside.
 *
 * Every call holds the life lock shared, C_Initialize and C_Finalize hold it
 * alone, so that nothing is taken away under a call. A forked child starts
 * over: it answers CKR_CRYPTOKI_NOT_INITIALIZED until it initialises, and what
 * it inherited is left alone, because other threads of the parent may have
 * held any of it half-way. */
#include <string.h>

#include "door.h"

static pthread_rwlock_t life = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static bool initialised;

static void
child_start(void)
{
	static const pthread_rwlock_t fresh = PTHREAD_RWLOCK_INITIALIZER;

	memcpy(&life, &fresh, sizeof life);
	initialised = false;
	ck_slots_forget();
	ck_sessions_forget();
	ck_states_forget();
}

static void
watch_fork(void)
{
	(void)!pthread_atfork(NULL, NULL, child_start);
}

CK_RV
door_enter(void)
{
	pthread_rwlock_rdlock(&life);
	if (initialised)
		return CKR_OK;
	pthread_rwlock_unlock(&life);
	return CKR_CRYPTOKI_NOT_INITIALIZED;
}

void
door_leave(void)
{
	pthread_rwlock_unlock(&life);
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
	pthread_rwlock_wrlock(&life);
	if (initialised)
		rv = CKR_CRYPTOKI_ALREADY_INITIALIZED;
	else if ((rv = life_begin()) == CKR_OK)
		initialised = true;
	pthread_rwlock_unlock(&life);
	return rv;
}

CK_RV
C_Finalize(void *reserved)
{
	if (reserved != NULL)
		return CKR_ARGUMENTS_BAD;
	pthread_rwlock_wrlock(&life);
	if (!initialised) {
		pthread_rwlock_unlock(&life);
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	}
	ck_states_close();
	ck_sessions_close();
	ck_slots_close();
	hsm_close();
	initialised = false;
	pthread_rwlock_unlock(&life);
	return CKR_OK;
}
