/* A module for integrity_test: loaded like ours, stamped like ours. */
#include "base/arena.h"
#include "crypto/integrity.h"

__attribute__((visibility("default"))) int probe_check(int broken);

int
probe_check(int broken)
{
	if (arena_open((size_t)1 << 20) != HSM_OK)
		return -1;
	return integrity_check(broken != 0);
}
