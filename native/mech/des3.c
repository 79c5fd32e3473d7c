/* des3.c - three-key triple DES, to decrypt what is old. Nothing is encrypted
 * with it and no key of it is made (SP 800-131A); not approved. */
#include <string.h>

#include <openssl/des.h>

#include "family.h"

#define BLOCK 8u

struct des3_key { DES_key_schedule ks[3]; uint8_t bytes[24]; };

static hsm_status
des3_load(struct key *key, hsm_in material)
{
	struct des3_key *d;

	if (material.len != 24)
		return HSM_E_KEY_SIZE;
	if ((d = arena_alloc(sizeof *d)) == NULL)
		return HSM_E_MEMORY;
	key->ctx = d;
	key->spec.param = 192;
	memcpy(d->bytes, material.ptr, 24);
	for (size_t i = 0; i < 3; i++) {
		DES_cblock part;

		memcpy(&part, d->bytes + 8 * i, sizeof part);
		DES_set_key_unchecked(&part, &d->ks[i]);
		bytes_wipe(&part, sizeof part);
	}
	return HSM_OK;
}

static void
des3_unload(struct key *key)
{
	arena_free(key->ctx);
}

static hsm_in
des3_value(const struct key *key)
{
	const struct des3_key *d = key->ctx;

	return (hsm_in){ d->bytes, sizeof d->bytes };
}

static hsm_status
des3_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	return attr == HSM_ATTR_VALUE ? out_bytes(out, des3_value(key)) : HSM_E_ATTR_TYPE;
}

static void
cbc_open(const struct des3_key *d, hsm_in iv, hsm_in in, uint8_t *out)
{
	DES_cblock chain;

	memcpy(&chain, iv.ptr, sizeof chain);
	DES_ede3_cbc_encrypt(in.ptr, out, in.len, &d->ks[0], &d->ks[1], &d->ks[2], &chain, DES_DECRYPT);
}

static hsm_status
des3_check(const hsm_params *params, hsm_in in)
{
	if (params->iv.len != BLOCK)
		return HSM_E_PARAM;
	return in.len % BLOCK == 0 ? HSM_OK : HSM_E_CIPHERTEXT_LEN;
}

static hsm_status
des3_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	hsm_status st = des3_check(params, in);

	if (st != HSM_OK)
		return out_done(out, st);
	if ((st = out_need(out, in.len)) != HSM_OK || out->ptr == NULL)
		return st;
	cbc_open(key->ctx, params->iv, in, out->ptr);
	return HSM_OK;
}

static hsm_status
des3_pad_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	struct secret clear = SECRET_NONE;
	unsigned n, bad = 0;
	hsm_status st = des3_check(params, in);

	if (st != HSM_OK || in.len == 0)
		return out_done(out, st != HSM_OK ? st : HSM_E_CIPHERTEXT_LEN);
	if (out->ptr == NULL)
		return out_need(out, in.len);
	if ((st = secret_alloc(&clear, in.len)) != HSM_OK)
		return out_done(out, st);
	cbc_open(key->ctx, params->iv, in, clear.ptr);
	n = clear.ptr[in.len - 1];
	for (unsigned i = 0; i < BLOCK; i++)
		bad |= ((i - n) >> 8) & (clear.ptr[in.len - 1 - i] ^ n);
	if (bad != 0 || n == 0 || n > BLOCK)
		st = HSM_E_CIPHERTEXT;
	else
		st = out_bytes(out, (hsm_in){ clear.ptr, in.len - n });
	secret_wipe(&clear);
	return out_done(out, st);
}

static hsm_status
des3_ecb_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	static const uint8_t zero[BLOCK];
	hsm_status st;

	(void)params;
	if (in.len % BLOCK != 0)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if ((st = out_need(out, in.len)) != HSM_OK || out->ptr == NULL)
		return st;
	for (size_t i = 0; i < in.len; i += BLOCK)
		cbc_open(key->ctx, (hsm_in){ zero, BLOCK }, (hsm_in){ in.ptr + i, BLOCK }, out->ptr + i);
	return HSM_OK;
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_DES3, .name = "DES3", .heap = sizeof(struct des3_key) + 64, .work = 256, .depth = 2048, .load = des3_load, .unload = des3_unload,
	  .component = des3_component, .compose = raw_compose, .value = des3_value },
};

#define DES3_ROW(number, text, slot) { .id = number, .name = text, .key_type = HSM_KEY_DES3, .min_bits = 192, .max_bits = 192, \
	.flags = MECH_DECRYPT | MECH_UNWRAP | MECH_STREAM, .heap = 8192, .depth = 2048, .open = slot, GATHER_SLOTS }

static const struct mech rows[] = {
	DES3_ROW(0x132, "DES3_ECB", des3_ecb_open),
	DES3_ROW(0x133, "DES3_CBC", des3_open),
	DES3_ROW(0x136, "DES3_CBC_PAD", des3_pad_open),
};

const struct family family_des3 = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
