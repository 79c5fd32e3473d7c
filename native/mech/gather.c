/* gather.c - many-part use of mechanisms that need the whole input at once:
 * decryption of an AEAD (nothing may leave before the tag fits), EdDSA,
 * ML-DSA, raw RSA and ECDSA, key wrap.
 *
 * What is gathered is the caller's own input: a message or a ciphertext, no
 * key. It lies in ordinary memory, so that a long message does not push keys
 * out of the arena, and is wiped before it is given back. */
#include <stdlib.h>
#include <string.h>

#include "family.h"

struct gather { uint8_t *bytes; size_t len, cap; };

#define GATHER_MAX ((size_t)1 << 31)

hsm_status
gather_begin(struct stream *s)
{
	s->ctx = arena_alloc(sizeof(struct gather));
	return s->ctx == NULL ? HSM_E_MEMORY : HSM_OK;
}

static hsm_status
gather_grow(struct gather *g, size_t need)
{
	size_t cap = g->cap == 0 ? 4096 : g->cap;
	uint8_t *bytes;

	while (cap < need)
		cap *= 2;
	if ((bytes = malloc(cap)) == NULL)
		return HSM_E_MEMORY;
	if (g->len > 0)
		memcpy(bytes, g->bytes, g->len);
	if (g->bytes != NULL)
		bytes_wipe(g->bytes, g->len);
	free(g->bytes);
	g->bytes = bytes;
	g->cap = cap;
	return HSM_OK;
}

hsm_status
gather_update(struct stream *s, hsm_in in, hsm_out *out)
{
	struct gather *g = s->ctx;
	hsm_status st = HSM_OK;

	if (out != NULL)
		out->len = 0;
	/* A question how much comes out: nothing does, and nothing is spent. */
	if ((s->use == MECH_ENCRYPT || s->use == MECH_DECRYPT) && (out == NULL || out->ptr == NULL))
		return HSM_OK;
	if (in.len > GATHER_MAX - g->len)
		return HSM_E_DATA_LEN;
	if (g->len + in.len > g->cap && (st = gather_grow(g, g->len + in.len)) != HSM_OK)
		return st;
	if (in.len > 0)
		memcpy(g->bytes + g->len, in.ptr, in.len);
	g->len += in.len;
	return HSM_OK;
}

hsm_status
gather_final(struct stream *s, hsm_in sig, hsm_out *out)
{
	const struct gather *g = s->ctx;
	hsm_in all = { g->bytes, g->len };

	switch (s->use) {
	case MECH_ENCRYPT: return s->mech->seal(s->key, &s->params, all, out);
	case MECH_DECRYPT: return s->mech->open(s->key, &s->params, all, out);
	case MECH_SIGN: return s->mech->sign(s->key, &s->params, all, out);
	case MECH_VERIFY: return s->mech->verify(s->key, &s->params, all, sig);
	default: return HSM_E_MECH;
	}
}

void
gather_end(struct stream *s)
{
	struct gather *g = s->ctx;

	if (g != NULL && g->bytes != NULL) {
		bytes_wipe(g->bytes, g->len);
		free(g->bytes);
	}
	arena_free(g);
	s->ctx = NULL;
}
