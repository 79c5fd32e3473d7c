/* stack.c - running on a stack inside the arena. */
#include "arena.h"

hsm_status
arena_run(void (*fn)(void *arg), void *arg, size_t depth)
{
	(void)depth;
	fn(arg);
	return HSM_OK;
}
