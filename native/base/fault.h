/* fault.h - making allocations fail on purpose (arena.h: fault_after). */
#ifndef STRONGROOM_FAULT_H
#define STRONGROOM_FAULT_H

#include <stdbool.h>

#ifdef STRONGROOM_FAULTS
bool fault_now(void);
#else
static inline bool
fault_now(void)
{
	return false;
}
#endif

#endif
