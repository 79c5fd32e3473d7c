/* fork.c - a fork finds no thread inside SQLite.
 *
 * SQLite keeps, for each file, what this process has locked; a child that
 * inherits that in the middle of a transaction believes the lock is its own
 * brother's for ever. So whoever forks waits until nobody is at work, and
 * nobody begins until it is done.
 *
 * The handler is registered when the first token is opened, after the core's:
 * the last registered runs first, so those at work can still use the core,
 * which comes to rest next. */
#include <string.h>

#include "inside.h"

static pthread_rwlock_t at_work;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
lock_make(void)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	/* A busy process must not keep a fork waiting. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&at_work, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static void
before(void)
{
	pthread_rwlock_wrlock(&at_work);
}

static void
parent(void)
{
	pthread_rwlock_unlock(&at_work);
}

/* Threads that waited are not there any more: a lock without them. */
static void
child(void)
{
	pthread_rwlock_unlock(&at_work);
	lock_make();
	token_attached_forget();
}

static void
watch(void)
{
	lock_make();
	(void)!pthread_atfork(before, parent, child);
}

void
token_work_begin(void)
{
	pthread_once(&once, watch);
	pthread_rwlock_rdlock(&at_work);
}

void
token_work_end(void)
{
	pthread_rwlock_unlock(&at_work);
}
