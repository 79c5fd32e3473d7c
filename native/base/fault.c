/* fault.c - the n-th allocation, promise or stack from now fails; and what a
 * thread takes, metered. */
#include "fault.h"

#ifdef STRONGROOM_FAULTS
#include <limits.h>
#include <stdatomic.h>

#include "arena.h"

#define NEVER LONG_MIN

static atomic_long countdown = NEVER;
static atomic_bool fired;

bool
fault_now(void)
{
	if (atomic_load(&countdown) == NEVER)
		return false;
	/* Once only: below 0 it goes on counting and fails nobody. */
	if (atomic_fetch_sub(&countdown, 1) != 0)
		return false;
	atomic_store(&fired, true);
	return true;
}

void
fault_after(unsigned n)
{
	atomic_store(&fired, false);
	atomic_store(&countdown, (long)n);
}

bool
fault_fired(void)
{
	return atomic_load(&fired);
}

void
fault_off(void)
{
	atomic_store(&countdown, NEVER);
}

#define BLOCK_COST 48           /* a cell in a spare, and its rounding */

static _Thread_local size_t alive, peak;

void
meter_start(void)
{
	alive = peak = 0;
}

void
meter_add(size_t len)
{
	alive += len + BLOCK_COST;
	peak = alive > peak ? alive : peak;
}

/* What was there before the start is not counted twice. */
void
meter_take(size_t len)
{
	len += BLOCK_COST;
	alive -= len < alive ? len : alive;
}

size_t
arena_hold_peak(void)
{
	return peak;
}
#else
typedef int fault_none;         /* a translation unit is never empty */
#endif
