/* kbkdf.c - SP 800-108 key derivation in counter mode: every KMS symmetric
 * key, account key and root key does nothing else. */
#include <string.h>

#include "hmac.h"
#include "primitive.h"

#define KBKDF_MAX 8192u                 /* bytes of one derivation */

/* What the PRF reads for each block: label, then by our layout 00, context and
 * [L]32 with the counter in front of all; by the caller's (raw) the counter
 * after the label, and the context is all that follows. */
struct layout { hsm_in label, context; bool raw; };

static bool
around_counter(HMAC_CTX *ctx, const struct layout *l, const uint8_t *counter, size_t counter_len, uint32_t bits)
{
	const uint8_t length[4] = { (uint8_t)(bits >> 24), (uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits };
	const uint8_t zero = 0;

	if (l->raw)
		return HMAC_Update(ctx, l->label.ptr, l->label.len)
		    && HMAC_Update(ctx, counter, counter_len)
		    && HMAC_Update(ctx, l->context.ptr, l->context.len);
	return HMAC_Update(ctx, counter, counter_len)
	    && HMAC_Update(ctx, l->label.ptr, l->label.len)
	    && HMAC_Update(ctx, &zero, 1)
	    && HMAC_Update(ctx, l->context.ptr, l->context.len)
	    && HMAC_Update(ctx, length, sizeof length);
}

static hsm_status
block_make(const HMAC_CTX *keyed, const struct layout *l, uint32_t i, size_t counter_len, uint32_t bits, uint8_t *out)
{
	const uint8_t counter[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
	HMAC_CTX ctx;
	bool ok;

	HMAC_CTX_init(&ctx);
	ok = HMAC_CTX_copy_ex(&ctx, keyed)
	     && around_counter(&ctx, l, counter + 4 - counter_len, counter_len, bits)
	     && HMAC_Final(&ctx, out, NULL);
	HMAC_CTX_cleanup(&ctx);
	return ok ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static hsm_status
counter_mode(const HMAC_CTX *keyed, size_t prf_len, size_t counter_len, const struct layout *l, uint8_t *out, size_t out_len)
{
	uint64_t blocks = (out_len + prf_len - 1) / prf_len;
	uint8_t block[PRIMITIVE_HASH_MAX];
	hsm_status st = HSM_OK;

	if (out_len > KBKDF_MAX || (counter_len < 4 && blocks >> (8 * counter_len) != 0))
		return HSM_E_PARAM;
	for (uint32_t i = 1; i <= blocks && st == HSM_OK; i++) {
		size_t at = (i - 1) * prf_len, n = out_len - at < prf_len ? out_len - at : prf_len;

		if ((st = block_make(keyed, l, i, counter_len, (uint32_t)out_len * 8, block)) == HSM_OK)
			memcpy(out + at, block, n);
	}
	bytes_wipe(block, sizeof block);
	return st;
}

hsm_status
primitive_kbkdf(hsm_in key, hsm_in label, hsm_in context, uint8_t *out, size_t out_len)
{
	const struct layout l = { label, context, false };
	HMAC_CTX keyed;
	hsm_status st;

	HMAC_CTX_init(&keyed);
	if (HMAC_Init_ex(&keyed, key.ptr, key.len, EVP_sha256(), NULL))
		st = counter_mode(&keyed, 32, 4, &l, out, out_len);
	else
		st = library_status(HSM_E_CRYPTO);
	HMAC_CTX_cleanup(&keyed);
	return st;
}

static hsm_status
kbkdf_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	hsm_hash hash = params->hash == HSM_HASH_NONE ? HSM_SHA256 : params->hash;
	size_t prf_len = primitive_hash_len(hash), len = derive_len(params, want, prf_len);
	uint32_t counter_bits = params->counter_bits == 0 ? 32 : params->counter_bits;
	const struct layout l = { params->label, params->data, (params->flags & HSM_PARAM_RAW) != 0 };
	HMAC_CTX keyed;
	hsm_status st;

	if (prf_len == 0 || counter_bits % 8 != 0 || counter_bits > 32)
		return HSM_E_PARAM;
	if (len > KBKDF_MAX)
		return HSM_E_KEY_SIZE;
	if ((st = hmac_keyed(key, hash, &keyed)) != HSM_OK)
		return st;
	if ((st = secret_alloc(out, len)) == HSM_OK
	    && (st = counter_mode(&keyed, prf_len, counter_bits / 8, &l, out->ptr, len)) != HSM_OK)
		secret_wipe(out);
	HMAC_CTX_cleanup(&keyed);
	return st;
}

static bool
kbkdf_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)use;
	(void)params;
	return key->spec.param >= 112;
}

static const struct mech rows[] = {
	{ .id = HSM_SP800_108_COUNTER, .name = "SP800_108_COUNTER_KDF", .key_type = HSM_KEY_ANY, .min_bits = 8, .max_bits = 524288,
	  .flags = MECH_DERIVE | MECH_APPROVED, .heap = 16384, .depth = 8192, .approved = kbkdf_approved, .derive = kbkdf_derive },
};

const struct family family_kbkdf = { rows, COUNT(rows), NULL, 0, NULL, 0 };
