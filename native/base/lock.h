/* lock.h - a lock for a few instructions.
 *
 * Not a pthread mutex: one atomic in, one plain store out, no state outside
 * its word, so that a forked child may simply zero it. Whoever waits long
 * sleeps, also so that a preempted holder of lower priority gets to run. */
#ifndef STRONGROOM_LOCK_H
#define STRONGROOM_LOCK_H

#include <stdatomic.h>

struct lock { atomic_uint held; };

void lock_wait(struct lock *l);

static inline void
lock_take(struct lock *l)
{
	if (atomic_exchange_explicit(&l->held, 1, memory_order_acquire) != 0)
		lock_wait(l);
}

static inline void
lock_give(struct lock *l)
{
	atomic_store_explicit(&l->held, 0, memory_order_release);
}

#endif
