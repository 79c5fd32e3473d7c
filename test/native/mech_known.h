/* mech_known.h - what the tests of native/mech share: hex, keys, one-call
 * forms of the slots. */
#ifndef STRONGROOM_MECH_KNOWN_H
#define STRONGROOM_MECH_KNOWN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/arena.h"
#include "crypto/rng.h"
#include "mech/mech.h"

#define assert_status(got, wanted) assert_string_equal(hsm_status_name(got), hsm_status_name(wanted))

struct bytes { size_t len; uint8_t at[20000]; };

static inline uint8_t
nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static inline struct bytes *
hex_into(struct bytes *b, const char *text)
{
	b->len = strlen(text) / 2;
	for (size_t i = 0; i < b->len; i++)
		b->at[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
	return b;
}

/* Each use gets a buffer of its own, good until 32 uses later. */
static inline hsm_in
hex(const char *text)
{
	static struct bytes pool[32];
	static size_t next;
	struct bytes *b = hex_into(&pool[next++ % 32], text);

	return (hsm_in){ b->at, b->len };
}

static inline hsm_in
text(const char *s)
{
	return (hsm_in){ (const uint8_t *)s, strlen(s) };
}

static inline hsm_out
room(struct bytes *b)
{
	return (hsm_out){ b->at, sizeof b->at, 0 };
}

static inline hsm_in
out_in(hsm_out out)
{
	return (hsm_in){ out.ptr, out.len };
}

static inline void
assert_bytes(hsm_in got, hsm_in wanted)
{
	assert_int_equal(got.len, wanted.len);
	assert_memory_equal(got.ptr, wanted.ptr, wanted.len);
}

static inline struct key
key_of(uint32_t type, enum key_part part, hsm_in material)
{
	struct key key;

	assert_status(key_load(&key, type, part, material), HSM_OK);
	return key;
}

/* A fresh pair, loaded; either may be NULL. */
static inline void
pair_of(hsm_spec spec, const hsm_params *params, struct key *priv, struct key *pub)
{
	static const hsm_params none;
	struct secret material = SECRET_NONE, spki = SECRET_NONE;
	const struct kind *kind = kind_find(spec.type);

	assert_status(kind->generate(spec, params == NULL ? &none : params, &material, &spki), HSM_OK);
	if (priv != NULL)
		*priv = key_of(spec.type, PART_PRIVATE, secret_in(&material));
	if (pub != NULL)
		*pub = key_of(spec.type, PART_PUBLIC, secret_in(&spki));
	secret_wipe(&material);
	secret_wipe(&spki);
}

static inline int
mech_setup(void **state)
{
	(void)state;
	return arena_open(0) == HSM_OK && rng_prepare() == HSM_OK ? 0 : -1;
}

#endif
