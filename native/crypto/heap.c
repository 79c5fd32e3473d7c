/* heap.c - AWS-LC's heap is the arena.
 *
 * AWS-LC refers to these four names weakly and uses its own malloc where they
 * are missing; defined here and hidden, they are this copy's alone, and no
 * other library of the process can supply them. AWS-LC may hold locks of its
 * own while it calls: nothing here may call back into it. */
#include <stddef.h>
#include <string.h>

#include <openssl/err.h>

#include "../base/arena.h"

void *OPENSSL_memory_alloc(size_t size);
void OPENSSL_memory_free(void *ptr);
size_t OPENSSL_memory_get_size(void *ptr);
void *OPENSSL_memory_realloc(void *ptr, size_t size);

void *
OPENSSL_memory_alloc(size_t size)
{
	return arena_alloc(size);
}

/* Wiping on free is AWS-LC's condition, and arena_free's promise. */
void
OPENSSL_memory_free(void *ptr)
{
	arena_free(ptr);
}

size_t
OPENSSL_memory_get_size(void *ptr)
{
	return arena_size(ptr);
}

/* Not in place, not even to shrink: the block's tail would keep its bytes.
 * AWS-LC notes a failed malloc in its error queue, but not a failed realloc
 * of ours; so that callers see the reason, it is noted here (the queue has no
 * lock and does not allocate from this heap). */
void *
OPENSSL_memory_realloc(void *ptr, size_t size)
{
	void *fresh = arena_alloc(size);
	size_t keep;

	if (fresh == NULL)
		ERR_put_error(ERR_LIB_CRYPTO, 0, ERR_R_MALLOC_FAILURE, "heap.c", __LINE__);
	if (fresh == NULL || ptr == NULL)
		return fresh;
	keep = arena_size(ptr);
	memcpy(fresh, ptr, keep < size ? keep : size);
	arena_free(ptr);
	return fresh;
}
