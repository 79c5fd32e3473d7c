/* fault.h - making allocations fail on purpose (arena.h: fault_after). */
#ifndef STRONGROOM_FAULT_H
#define STRONGROOM_FAULT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef STRONGROOM_FAULTS
bool fault_now(void);
/* Meter of this thread (arena.h: arena_hold_peak). */
void meter_start(void);
void meter_add(size_t len);
void meter_take(size_t len);
#else
#define meter_start() ((void)0)
#define meter_add(len) ((void)0)
#define meter_take(len) ((void)0)
static inline bool
fault_now(void)
{
	return false;
}
#endif

#endif
