/* module_known.h - what the tests of native/module share: a module that is
 * open, a partition of this process, short ways to say attributes. */
#ifndef STRONGROOM_MODULE_KNOWN_H
#define STRONGROOM_MODULE_KNOWN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "mech/mech.h"
#include "module/hsm.h"

#define assert_status(got, wanted) assert_string_equal(hsm_status_name(got), hsm_status_name(wanted))
#define assert_ok(got) assert_status(got, HSM_OK)
#define IN(text) ((hsm_in){ (const uint8_t *)(text), sizeof(text) - 1 })
#define OUT(array) ((hsm_out){ (array), sizeof(array), 0 })
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const uint8_t yes = 1, no = 0;

#define ATTR_YES(t) { (t), { &yes, 1 } }
#define ATTR_NO(t) { (t), { &no, 1 } }
#define ATTR_NUMBER(t, n) { (t), { (const uint8_t *)&(const uint64_t){ (n) }, 8 } }
#define ATTR_TEXT(t, s) { (t), { (const uint8_t *)(s), sizeof(s) - 1 } }
#define ATTR_BYTES(t, b) { (t), { (b), sizeof(b) } }

static const hsm_spec aes256 = { HSM_KEY_AES, 256 }, hmac256 = { HSM_KEY_GENERIC, 256 }, p256 = { HSM_KEY_EC, HSM_P256 };
static const hsm_params gcm_made = { .flags = HSM_PARAM_IV_MADE };

static hsm_part part;
static hsm_session user;

static inline int
open_with(size_t arena_size)
{
	const hsm_config config = { .arena_size = arena_size };

	assert_ok(hsm_open(&config));
	assert_ok(hsm_partition_ephemeral(IN("000000000001"), &part));
	assert_ok(hsm_session_open(part, HSM_SESSION_RW, &user));
	return 0;
}

static inline int
open_module(void **state)
{
	(void)state;
	return open_with(4 << 20);
}

/* An arena that a few hundred keys fill. */
static inline int
open_small(void **state)
{
	(void)state;
	return open_with(1 << 20);
}

static inline int
close_module(void **state)
{
	(void)state;
	hsm_close();
	return 0;
}

static inline hsm_key
make_key(hsm_session session, hsm_spec spec, const hsm_attr *attrs, size_t n)
{
	hsm_key key;

	assert_ok(hsm_generate(session, 0, spec, attrs, n, &key));
	assert_true(key != 0 && key < (UINT64_C(1) << 53));
	return key;
}

/* Does this key still open what it sealed? */
static inline void
assert_works(hsm_session session, hsm_key key)
{
	uint8_t sealed[128], clear[128];
	hsm_out out = OUT(sealed), back = OUT(clear);

	assert_ok(hsm_encrypt(session, key, HSM_AES_GCM, &gcm_made, IN("attack at dawn"), &out));
	assert_ok(hsm_decrypt(session, key, HSM_AES_GCM, &gcm_made, (hsm_in){ sealed, out.len }, &back));
	assert_int_equal(back.len, 14);
	assert_memory_equal(clear, "attack at dawn", 14);
}

static inline uint64_t
number_of(hsm_session session, hsm_key key, uint32_t type)
{
	uint64_t number = 0;
	uint8_t bytes[8];
	hsm_out out = OUT(bytes);

	assert_ok(hsm_attr_get(session, key, type, &out));
	if (out.len == 1)
		return bytes[0];
	assert_int_equal(out.len, 8);
	memcpy(&number, bytes, 8);
	return number;
}

#endif
