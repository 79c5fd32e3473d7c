/* secret.c - owned bytes in the arena. */
#include "secret.h"

#include <string.h>

#include "arena.h"

hsm_status
secret_alloc(struct secret *s, size_t len)
{
	*s = SECRET_NONE;
	s->ptr = arena_alloc(len);
	if (s->ptr == NULL)
		return HSM_E_MEMORY;
	s->len = len;
	return HSM_OK;
}

hsm_status
secret_copy(struct secret *s, hsm_in bytes)
{
	hsm_status st = secret_alloc(s, bytes.len);

	if (st == HSM_OK && bytes.len > 0)
		memcpy(s->ptr, bytes.ptr, bytes.len);
	return st;
}

void
secret_wipe(struct secret *s)
{
	arena_free(s->ptr);
	*s = SECRET_NONE;
}

hsm_in
secret_in(const struct secret *s)
{
	return (hsm_in){ s->ptr, s->len };
}

void
secret_move(struct secret *to, struct secret *from)
{
	*to = *from;
	*from = SECRET_NONE;
}
