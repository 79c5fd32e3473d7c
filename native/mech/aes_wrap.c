/* aes_wrap.c - key wrap (SP 800-38F): KW, KWP, and KW over PKCS#7 padding.
 *
 * KWP is served under its own number and under 0x210A, which SoftHSM2 and
 * programs made for it use for the same thing. */
#include <string.h>

#include "aes.h"

static hsm_status
kw_iv(const hsm_params *params, const uint8_t **iv)
{
	*iv = params->iv.len == 0 ? NULL : params->iv.ptr;
	return params->iv.len == 0 || params->iv.len == 8 ? HSM_OK : HSM_E_PARAM;
}

static hsm_status
kw_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const uint8_t *iv;
	hsm_status st;

	if ((st = kw_iv(params, &iv)) != HSM_OK)
		return out_done(out, st);
	if (in.len < 16 || in.len % 8 != 0)
		return out_done(out, HSM_E_DATA_LEN);
	if ((st = out_need(out, in.len + 8)) != HSM_OK || out->ptr == NULL)
		return st;
	if (AES_wrap_key(&aes_of(key)->enc, iv, out->ptr, in.ptr, in.len) < 0)
		return out_done(out, library_status(HSM_E_DATA_LEN));
	return HSM_OK;
}

static hsm_status
kw_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const uint8_t *iv;
	hsm_status st;

	if ((st = kw_iv(params, &iv)) != HSM_OK)
		return out_done(out, st);
	if (in.len < 24 || in.len % 8 != 0)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if ((st = out_need(out, in.len - 8)) != HSM_OK || out->ptr == NULL)
		return st;
	if (mark_shown(AES_unwrap_key(&aes_of(key)->dec, iv, out->ptr, in.ptr, in.len)) < 0) {
		bytes_wipe(out->ptr, in.len - 8);
		return out_done(out, library_status(HSM_E_CIPHERTEXT));
	}
	return HSM_OK;
}

/* The alternative initial value cannot be chosen with AWS-LC. */
static bool
kwp_iv_fits(const hsm_params *params)
{
	static const uint8_t aiv[4] = { 0xA6, 0x59, 0x59, 0xA6 };

	return params->iv.len == 0 || (params->iv.len == 4 && memcmp(params->iv.ptr, aiv, 4) == 0);
}

static hsm_status
kwp_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	size_t len;
	hsm_status st;

	if (!kwp_iv_fits(params))
		return out_done(out, HSM_E_PARAM);
	if (in.len == 0 || in.len > UINT32_MAX - 8)
		return out_done(out, HSM_E_DATA_LEN);
	if ((st = out_need(out, (in.len + 7) / 8 * 8 + 8)) != HSM_OK || out->ptr == NULL)
		return st;
	if (!AES_wrap_key_padded(&aes_of(key)->enc, out->ptr, &len, out->cap, in.ptr, in.len))
		return out_done(out, library_status(HSM_E_DATA_LEN));
	out->len = len;
	return HSM_OK;
}

/* Opens into the arena first: how long the result is shows only then. */
static hsm_status
kwp_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	struct secret clear = SECRET_NONE;
	size_t len = 0;
	hsm_status st;

	if (!kwp_iv_fits(params))
		return out_done(out, HSM_E_PARAM);
	if (in.len < 16 || in.len % 8 != 0)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if (out->ptr == NULL)
		return out_need(out, in.len - 8);
	if ((st = secret_alloc(&clear, in.len)) != HSM_OK)
		return out_done(out, st);
	if (mark_shown(AES_unwrap_key_padded(&aes_of(key)->dec, clear.ptr, &len, clear.len, in.ptr, in.len)))
		st = out_shown(out, clear.ptr, len);
	else
		st = library_status(HSM_E_CIPHERTEXT);
	secret_wipe(&clear);
	return out_done(out, st);
}

static hsm_status
pkcs7_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	size_t pad = 8 - in.len % 8;
	struct secret padded = SECRET_NONE;
	hsm_status st;

	if (in.len + pad < 16)
		return out_done(out, HSM_E_DATA_LEN);
	if (out->ptr == NULL)
		return out_need(out, in.len + pad + 8);
	if ((st = secret_alloc(&padded, in.len + pad)) != HSM_OK)
		return out_done(out, st);
	memcpy(padded.ptr, in.ptr, in.len);
	memset(padded.ptr + in.len, (int)pad, pad);
	st = kw_seal(key, params, secret_in(&padded), out);
	secret_wipe(&padded);
	return st;
}

/* Length of the padding that ends these eight bytes, 0 if it is none. KW has
 * authenticated it, and still it is looked at in constant time. */
static size_t
padding_len(const uint8_t last[8])
{
	unsigned n = last[7], bad = (n - 1u) >> 8 | (8u - n) >> 8;

	for (unsigned i = 0; i < 8; i++)
		bad |= (7u - i - n) >> 8 & (last[i] ^ n);       /* all ones where i is padding */
	bad = (bad | (0u - bad)) >> 31;
	return n & (bad - 1u);
}

static hsm_status
pkcs7_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	struct secret padded = SECRET_NONE;
	hsm_out room;
	size_t pad;
	hsm_status st;

	if (in.len < 24)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if (out->ptr == NULL)
		return out_need(out, in.len - 8);
	if ((st = secret_alloc(&padded, in.len)) != HSM_OK)
		return out_done(out, st);
	room = (hsm_out){ padded.ptr, padded.len, 0 };
	if ((st = kw_open(key, params, in, &room)) != HSM_OK)
		goto out;
	pad = padding_len(padded.ptr + room.len - 8);
	mark_public(&pad, sizeof pad);
	st = pad == 0 ? HSM_E_CIPHERTEXT : out_bytes(out, (hsm_in){ padded.ptr, room.len - pad });
out:
	secret_wipe(&padded);
	return out_done(out, st);
}

#define WRAP_ROW(number, text, tag) { .id = number, .name = text, .key_type = HSM_KEY_AES, .min_bits = 128, .max_bits = 256, \
	.flags = MECH_ENCRYPT | MECH_DECRYPT | MECH_WRAP | MECH_UNWRAP | MECH_STREAM | MECH_APPROVED, .heap = 16384, .depth = 2048, \
	.seal = tag##_seal, .open = tag##_open, GATHER_SLOTS }

static const struct mech rows[] = {
	WRAP_ROW(HSM_AES_KEY_WRAP, "AES_KEY_WRAP", kw),
	WRAP_ROW(HSM_AES_KEY_WRAP_KWP, "AES_KEY_WRAP_KWP", kwp),
	WRAP_ROW(0x210A, "AES_KEY_WRAP_PAD", kwp),
	WRAP_ROW(0x210C, "AES_KEY_WRAP_PKCS7", pkcs7),
};

const struct family family_aes_wrap = { rows, COUNT(rows), NULL, 0, NULL, 0 };
