/* hkdf.c - HKDF (RFC 5869) and PBKDF2 (SP 800-132). */
#include <string.h>

#include <openssl/hkdf.h>

#include "family.h"
#include "primitive.h"

#define HKDF_BLOCKS 255u

static hsm_status
hkdf_extract(const hsm_params *params, hsm_in base, struct secret *out)
{
	size_t len = primitive_hash_len(params->hash);
	hsm_status st = secret_alloc(out, len);

	if (st != HSM_OK)
		return st;
	if (HKDF_extract(out->ptr, &len, hash_md(params->hash), base.ptr, base.len, params->salt.ptr, params->salt.len))
		return HSM_OK;
	secret_wipe(out);
	return library_status(HSM_E_CRYPTO);
}

static hsm_status
hkdf_expand(const hsm_params *params, hsm_in prk, size_t len, struct secret *out)
{
	hsm_status st;

	if (len > HKDF_BLOCKS * primitive_hash_len(params->hash))
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(out, len)) != HSM_OK)
		return st;
	if (HKDF_expand(out->ptr, len, hash_md(params->hash), prk.ptr, prk.len, params->label.ptr, params->label.len))
		return HSM_OK;
	secret_wipe(out);
	return library_status(HSM_E_CRYPTO);
}

static hsm_status
hkdf_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	bool extract = (params->flags & HSM_PARAM_EXTRACT) != 0, expand = (params->flags & HSM_PARAM_EXPAND) != 0;
	size_t hash_len = primitive_hash_len(params->hash);
	struct secret prk = SECRET_NONE;
	hsm_in base = raw_value(key);
	hsm_status st = HSM_OK;

	if (hash_len == 0 || (!extract && !expand))
		return HSM_E_PARAM;
	if (base.len == 0)
		return HSM_E_KEY_TYPE;
	if (!expand) {
		/* The pseudorandom key is as long as the hash, no other length. */
		if (derive_len(params, want, hash_len) != hash_len)
			return HSM_E_KEY_SIZE;
		return hkdf_extract(params, base, out);
	}
	if (extract && (st = hkdf_extract(params, base, &prk)) != HSM_OK)
		return st;
	st = hkdf_expand(params, extract ? secret_in(&prk) : base, derive_len(params, want, hash_len), out);
	secret_wipe(&prk);
	return st;
}

/* SP 800-56C r2 (two steps) and SP 800-108 allow any of these hashes. */
static bool
kdf_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)use;
	(void)params;
	return key->spec.param >= 112;
}

/* ---- PBKDF2 ----------------------------------------------------------------------- */

#define PBKDF2_MAX 4096u

/* The password is params.data where no key holds it (C_GenerateKey), else the
 * base key. */
static hsm_status
pbkdf2_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	hsm_in password = key == NULL ? params->data : raw_value(key);
	size_t len = derive_len(params, want, primitive_hash_len(params->hash));
	hsm_status st;

	if (primitive_hash_len(params->hash) == 0 || params->iterations == 0)
		return HSM_E_PARAM;
	if (key != NULL && password.len == 0)
		return HSM_E_KEY_TYPE;
	if (len > PBKDF2_MAX)
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(out, len)) != HSM_OK)
		return st;
	if ((st = primitive_pbkdf2(params->hash, password, params->salt, params->iterations, out->ptr, len)) != HSM_OK)
		secret_wipe(out);
	return st;
}

hsm_status
primitive_pbkdf2(hsm_hash hash, hsm_in password, hsm_in salt, uint32_t iterations, uint8_t *out, size_t out_len)
{
	if (primitive_hash_len(hash) == 0 || iterations == 0)
		return HSM_E_PARAM;
	if (PKCS5_PBKDF2_HMAC((const char *)password.ptr, password.len, salt.ptr, salt.len, iterations, hash_md(hash), out_len, out))
		return HSM_OK;
	return library_status(HSM_E_CRYPTO);
}

/* SP 800-132: a salt of 128 bits, 1000 rounds, 112 bits of key. */
static bool
pbkdf2_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)key;
	(void)use;
	return params->salt.len >= 16 && params->iterations >= 1000;
}

#define HKDF_ROW(number, text) { .id = number, .name = text, .key_type = HSM_KEY_ANY, .min_bits = 8, .max_bits = 524288, \
	.flags = MECH_DERIVE | MECH_APPROVED, .heap = 512, .depth = 4096, .approved = kdf_approved, .derive = hkdf_derive }

static const struct mech rows[] = {
	HKDF_ROW(HSM_HKDF_DERIVE, "HKDF_DERIVE"),
	HKDF_ROW(HSM_HKDF_DATA, "HKDF_DATA"),
	{ .id = HSM_PBKDF2, .name = "PKCS5_PBKD2", .key_type = HSM_KEY_ANY, .min_bits = 8, .max_bits = 524288,
	  .flags = MECH_GENERATE | MECH_DERIVE | MECH_SLOW | MECH_APPROVED, .heap = 512, .depth = 4096,
	  .approved = pbkdf2_approved, .derive = pbkdf2_derive },
};

const struct family family_hkdf = { rows, COUNT(rows), NULL, 0, NULL, 0 };
