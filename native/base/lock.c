/* lock.c - waiting for a lock. */
#include "lock.h"

#include <time.h>

#define SPINS 100

void
lock_wait(struct lock *l)
{
	static const struct timespec nap = { 0, 20000 };

	for (unsigned n = 0;; n++) {
		if (atomic_load_explicit(&l->held, memory_order_relaxed) == 0 &&
		    atomic_exchange_explicit(&l->held, 1, memory_order_acquire) == 0)
			return;
		if (n >= SPINS)
			nanosleep(&nap, NULL);
#if defined(__x86_64__)
		else
			__builtin_ia32_pause();
#endif
	}
}
