/* aes_xts.c - AES-XTS (SP 800-38E): keys of two halves, 256 or 512 bits. The
 * last block that is not whole is completed from the one before. */
#include <string.h>

#include "../crypto/rng.h"
#include "aes.h"

#define BLOCK 16u
#define XTS_MAX ((size_t)BLOCK << 20)   /* 2^20 blocks a data unit */

struct xts_key {
	AES_KEY enc, dec, tweak;
	size_t len;
	uint8_t bytes[64];
};

static bool
halves_differ(const uint8_t *bytes, size_t len)
{
	return !bytes_equal_secret(bytes, bytes + len / 2, len / 2);
}

static hsm_status
xts_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	hsm_status st;

	(void)params;
	(void)pub;
	if (spec.param != 256 && spec.param != 512)
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(material, spec.param / 8)) != HSM_OK)
		return st;
	do
		st = rng_bytes(material->ptr, material->len);
	while (st == HSM_OK && !halves_differ(material->ptr, material->len));
	if (st != HSM_OK)
		secret_wipe(material);
	return st;
}

static hsm_status
xts_load(struct key *key, hsm_in material)
{
	unsigned bits = (unsigned)material.len * 4;
	struct xts_key *x;

	if (material.len != 32 && material.len != 64)
		return HSM_E_KEY_SIZE;
	if (!halves_differ(material.ptr, material.len))
		return HSM_E_KEY_VALUE;
	if ((x = arena_alloc(sizeof *x)) == NULL)
		return HSM_E_MEMORY;
	key->ctx = x;
	key->spec.param = (uint32_t)material.len * 8;
	x->len = material.len;
	memcpy(x->bytes, material.ptr, material.len);
	if (AES_set_encrypt_key(x->bytes, bits, &x->enc) != 0 || AES_set_decrypt_key(x->bytes, bits, &x->dec) != 0
	    || AES_set_encrypt_key(x->bytes + material.len / 2, bits, &x->tweak) != 0)
		return library_status(HSM_E_CRYPTO);
	return HSM_OK;
}

static void
xts_unload(struct key *key)
{
	arena_free(key->ctx);
}

static hsm_in
xts_value(const struct key *key)
{
	const struct xts_key *x = key->ctx;

	return (hsm_in){ x->bytes, x->len };
}

static hsm_status
xts_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	hsm_in value = xts_value(key);

	switch (attr) {
	case HSM_ATTR_VALUE: return out_bytes(out, value);
	case HSM_ATTR_VALUE_LEN: return out_number(out, value.len);
	default: return HSM_E_ATTR_TYPE;
	}
}

/* Times x in GF(2^128), little-endian bytes. */
static void
tweak_step(uint8_t t[BLOCK])
{
	unsigned carry = 0;

	for (size_t i = 0; i < BLOCK; i++) {
		unsigned next = t[i] >> 7;

		t[i] = (uint8_t)((unsigned)t[i] << 1 | carry);
		carry = next;
	}
	t[0] ^= (uint8_t)(0x87 & (0u - carry));
}

static void
block_run(const struct xts_key *x, const uint8_t t[BLOCK], const uint8_t *in, uint8_t *out, bool encrypt)
{
	uint8_t b[BLOCK];

	for (size_t i = 0; i < BLOCK; i++)
		b[i] = in[i] ^ t[i];
	if (encrypt)
		AES_encrypt(b, b, &x->enc);
	else
		AES_decrypt(b, b, &x->dec);
	for (size_t i = 0; i < BLOCK; i++)
		out[i] = b[i] ^ t[i];
}

static void
xts_bytes(const struct xts_key *x, const uint8_t iv[BLOCK], hsm_in in, uint8_t *out, bool encrypt)
{
	size_t rest = in.len % BLOCK, whole = in.len - rest - (rest > 0 ? BLOCK : 0);
	uint8_t t[BLOCK], next[BLOCK], b[BLOCK], last[BLOCK];

	AES_encrypt(iv, t, &x->tweak);
	for (size_t i = 0; i < whole; i += BLOCK) {
		block_run(x, t, in.ptr + i, out + i, encrypt);
		tweak_step(t);
	}
	if (rest == 0)
		return;
	memcpy(next, t, BLOCK);
	tweak_step(next);
	/* Stealing: when decrypting the two tweaks change places. */
	block_run(x, encrypt ? t : next, in.ptr + whole, b, encrypt);
	memcpy(last, b, BLOCK);
	memcpy(last, in.ptr + whole + BLOCK, rest);
	memcpy(out + whole + BLOCK, b, rest);
	block_run(x, encrypt ? next : t, last, out + whole, encrypt);
}

static hsm_status
run(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out, bool encrypt)
{
	hsm_status st;

	if (params->iv.len != BLOCK)
		return out_done(out, HSM_E_PARAM);
	if (in.len < BLOCK || in.len > XTS_MAX)
		return out_done(out, encrypt ? HSM_E_DATA_LEN : HSM_E_CIPHERTEXT_LEN);
	if ((st = out_need(out, in.len)) != HSM_OK || out->ptr == NULL)
		return st;
	xts_bytes(key->ctx, params->iv.ptr, in, out->ptr, encrypt);
	return HSM_OK;
}

static hsm_status
xts_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	return run(key, params, in, out, true);
}

static hsm_status
xts_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	return run(key, params, in, out, false);
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_AES_XTS, .name = "AES_XTS", .heap = sizeof(struct xts_key) + 64, .work = 256, .depth = 2048, .generate = xts_generate,
	  .load = xts_load, .unload = xts_unload, .component = xts_component, .compose = raw_compose, .value = xts_value },
};

static const struct mech rows[] = {
	{ .id = 0x1072, .name = "AES_XTS_KEY_GEN", .key_type = HSM_KEY_AES_XTS, .min_bits = 256, .max_bits = 512,
	  .flags = MECH_GENERATE | MECH_APPROVED, .heap = 512, .depth = 2048 },
	{ .id = HSM_AES_XTS, .name = "AES_XTS", .key_type = HSM_KEY_AES_XTS, .min_bits = 256, .max_bits = 512,
	  .flags = MECH_ENCRYPT | MECH_DECRYPT | MECH_STREAM | MECH_APPROVED, .heap = 512, .depth = 1536,
	  .seal = xts_seal, .open = xts_open, GATHER_SLOTS },
};

const struct family family_aes_xts = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
