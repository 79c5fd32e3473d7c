/* kbkdf.c - SP 800-108 key derivation in counter mode, over HMAC or AES-CMAC.
 * (KMS symmetric keys, account keys and root keys derive through hkey.c.) */
#include <string.h>

#include "aes_cmac.h"
#include "hmac.h"
#include "primitive.h"

#define KBKDF_MAX 8192u                 /* bytes of one derivation */

/* ---- the pseudorandom function ------------------------------------------------- */

struct prf {
	size_t len;                     /* bytes it gives */
	bool cmac;
	HMAC_CTX keyed;
	AES_KEY schedule;
};

static hsm_status
prf_hmac(struct prf *f, const struct key *key, hsm_hash hash)
{
	f->len = primitive_hash_len(hash);
	return f->len == 0 ? HSM_E_PARAM : hmac_keyed(key, hash, &f->keyed);
}

static hsm_status
prf_cmac(struct prf *f, hsm_in key)
{
	f->len = 16;
	f->cmac = true;
	if (key.len != 16 && key.len != 24 && key.len != 32)
		return HSM_E_KEY_SIZE;
	return AES_set_encrypt_key(key.ptr, (unsigned)key.len * 8, &f->schedule) == 0 ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static hsm_status
prf_run(const struct prf *f, const hsm_in *parts, size_t n, uint8_t *out)
{
	struct cmac c;
	HMAC_CTX ctx;
	bool ok;

	if (f->cmac) {
		cmac_open(&c, &f->schedule);
		for (size_t i = 0; i < n; i++)
			cmac_add(&c, parts[i]);
		cmac_close(&c, out);
		return HSM_OK;
	}
	HMAC_CTX_init(&ctx);
	ok = HMAC_CTX_copy_ex(&ctx, &f->keyed);
	for (size_t i = 0; ok && i < n; i++)
		ok = HMAC_Update(&ctx, parts[i].ptr, parts[i].len);
	ok = ok && HMAC_Final(&ctx, out, NULL);
	HMAC_CTX_cleanup(&ctx);
	return ok ? HSM_OK : library_status(HSM_E_CRYPTO);
}

/* ---- counter mode ---------------------------------------------------------------- */

/* What the function reads for each block: label, then by our layout 00, context
 * and [L]32 with the counter in front of all; by the caller's (raw) the counter
 * after the label, and the context is all that follows. */
struct layout { hsm_in label, context; size_t counter_len; bool raw; };

static hsm_status
block_make(const struct prf *f, const struct layout *l, uint32_t i, uint32_t bits, uint8_t *out)
{
	const uint8_t counter[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
	const uint8_t length[4] = { (uint8_t)(bits >> 24), (uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits };
	const uint8_t zero = 0;
	const hsm_in c = { counter + 4 - l->counter_len, l->counter_len };
	const hsm_in theirs[] = { l->label, c, l->context };
	const hsm_in ours[] = { c, l->label, { &zero, 1 }, l->context, { length, 4 } };

	return l->raw ? prf_run(f, theirs, COUNT(theirs), out) : prf_run(f, ours, COUNT(ours), out);
}

static hsm_status
counter_mode(const struct prf *f, const struct layout *l, uint8_t *out, size_t out_len)
{
	uint64_t blocks = (out_len + f->len - 1) / f->len;
	uint8_t block[PRIMITIVE_HASH_MAX];
	hsm_status st = HSM_OK;

	if (out_len > KBKDF_MAX || (l->counter_len < 4 && blocks >> (8 * l->counter_len) != 0))
		return HSM_E_PARAM;
	for (uint32_t i = 1; i <= blocks && st == HSM_OK; i++) {
		size_t at = (i - 1) * f->len, n = out_len - at < f->len ? out_len - at : f->len;

		if ((st = block_make(f, l, i, (uint32_t)out_len * 8, block)) == HSM_OK)
			memcpy(out + at, block, n);
	}
	bytes_wipe(block, sizeof block);
	return st;
}

static void
prf_close(struct prf *f)
{
	HMAC_CTX_cleanup(&f->keyed);
	bytes_wipe(&f->schedule, sizeof f->schedule);
}

hsm_status
primitive_kbkdf(hsm_in key, hsm_in label, hsm_in context, uint8_t *out, size_t out_len)
{
	const struct layout l = { label, context, 4, false };
	struct prf f = { .len = 32 };
	hsm_status st;

	HMAC_CTX_init(&f.keyed);
	if (HMAC_Init_ex(&f.keyed, key.ptr, key.len, EVP_sha256(), NULL))
		st = counter_mode(&f, &l, out, out_len);
	else
		st = library_status(HSM_E_CRYPTO);
	prf_close(&f);
	return st;
}

static hsm_status
kbkdf_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	uint32_t counter_bits = params->counter_bits == 0 ? 32 : params->counter_bits;
	const struct layout l = { params->label, params->data, counter_bits / 8, (params->flags & HSM_PARAM_RAW) != 0 };
	struct prf f = { 0 };
	size_t len;
	hsm_status st;

	if (counter_bits % 8 != 0 || counter_bits > 32)
		return HSM_E_PARAM;
	HMAC_CTX_init(&f.keyed);
	if ((params->flags & HSM_PARAM_CMAC) != 0)
		st = prf_cmac(&f, raw_value(key));
	else
		st = prf_hmac(&f, key, params->hash == HSM_HASH_NONE ? HSM_SHA256 : params->hash);
	if (st != HSM_OK)
		goto out;
	len = derive_len(params, want, f.len);
	if (len > KBKDF_MAX)
		st = HSM_E_KEY_SIZE;
	else if ((st = secret_alloc(out, len)) == HSM_OK && (st = counter_mode(&f, &l, out->ptr, len)) != HSM_OK)
		secret_wipe(out);
out:
	prf_close(&f);
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
	  .flags = MECH_DERIVE | MECH_APPROVED, .heap = 512, .depth = 5120, .approved = kbkdf_approved, .derive = kbkdf_derive },
};

const struct family family_kbkdf = { rows, COUNT(rows), NULL, 0, NULL, 0 };
