/* rsa_sign.c - RSA signatures: PKCS#1 v1.5, PSS and the bare primitive, with
 * the hash outside or inside. */
#include <string.h>

#include <openssl/mem.h>

#include "lab_fault.h"
#include "primitive.h"
#include "rsa.h"

/* ---- PKCS#1 v1.5 ------------------------------------------------------------- */

static hsm_status
pkcs_sign(const struct key *key, const hsm_params *params, hsm_hash hash, hsm_in msg, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	uint8_t buf[PRIMITIVE_HASH_MAX];
	hsm_in digest;
	unsigned len;
	hsm_status st;

	if ((st = out_need(out, k->len)) != HSM_OK || out->ptr == NULL)
		return st;
	if ((st = hashed_input(hash, params, msg, buf, &digest)) != HSM_OK)
		return out_done(out, st);
	/* DigestInfo takes 19 bytes, the padding 11: short keys have no room for
	 * long hashes. */
	if (digest.len + 30 > k->len)
		return out_done(out, HSM_E_KEY_SIZE);
#ifdef STRONGROOM_LAB
	if (lab(LAB_DP_FLIP) != 0 || lab(LAB_UNCHECKED) != 0)
		return out_done(out, lab_rsa_sign(k, hash_md(hash), digest, out));
#endif
	if (!RSA_sign(EVP_MD_type(hash_md(hash)), digest.ptr, digest.len, out->ptr, &len, k->rsa))
		return out_done(out, library_status(HSM_E_CRYPTO));
	return HSM_OK;
}

static hsm_status
pkcs_verify(const struct key *key, const hsm_params *params, hsm_hash hash, hsm_in msg, hsm_in sig)
{
	const struct rsa_key *k = rsa_of(key);
	uint8_t buf[PRIMITIVE_HASH_MAX];
	hsm_in digest;
	hsm_status st;

	if (sig.len != k->len)
		return HSM_E_SIGNATURE_LEN;
	if ((st = hashed_input(hash, params, msg, buf, &digest)) != HSM_OK)
		return st;
	if (!RSA_verify(EVP_MD_type(hash_md(hash)), digest.ptr, digest.len, sig.ptr, sig.len, k->rsa))
		return library_status(HSM_E_SIGNATURE);
	return HSM_OK;
}

/* ---- PSS ------------------------------------------------------------------------ */

#define SALT_MAX 1024u

/* `fixed`: the row's hash, or HSM_HASH_NONE where the caller says. */
static hsm_status
pss_plan(const hsm_params *params, hsm_hash fixed, hsm_hash *hash, const EVP_MD **mgf, int *salt_len)
{
	*hash = fixed != HSM_HASH_NONE ? fixed : params->hash;
	if (primitive_hash_len(*hash) == 0 || (params->hash != HSM_HASH_NONE && params->hash != *hash))
		return HSM_E_PARAM;
	*mgf = hash_md(params->mgf == HSM_HASH_NONE ? *hash : params->mgf);
	if (params->mgf != HSM_HASH_NONE && primitive_hash_len(params->mgf) == 0)
		return HSM_E_PARAM;
	if (params->salt_len != HSM_SALT_DIGEST && params->salt_len > SALT_MAX)
		return HSM_E_PARAM;
	*salt_len = params->salt_len == HSM_SALT_DIGEST ? (int)primitive_hash_len(*hash) : (int)params->salt_len;
	return HSM_OK;
}

static hsm_status
pss_sign(const struct key *key, const hsm_params *params, hsm_hash fixed, hsm_in msg, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	uint8_t buf[PRIMITIVE_HASH_MAX];
	const EVP_MD *mgf;
	hsm_hash hash;
	hsm_in digest;
	size_t len;
	int salt_len;
	hsm_status st;

	if ((st = pss_plan(params, fixed, &hash, &mgf, &salt_len)) != HSM_OK)
		return out_done(out, st);
	if ((st = out_need(out, k->len)) != HSM_OK || out->ptr == NULL)
		return st;
	if ((st = hashed_input(hash, params, msg, buf, &digest)) != HSM_OK)
		return out_done(out, st);
	if ((size_t)salt_len + digest.len + 2 > (key->spec.param + 6) / 8)
		return out_done(out, HSM_E_KEY_SIZE);   /* no room for hash and salt */
	if (!RSA_sign_pss_mgf1(k->rsa, &len, out->ptr, out->cap, digest.ptr, digest.len, hash_md(hash), mgf, salt_len))
		return out_done(out, library_status(HSM_E_CRYPTO));
	return HSM_OK;
}

static hsm_status
pss_verify(const struct key *key, const hsm_params *params, hsm_hash fixed, hsm_in msg, hsm_in sig)
{
	const struct rsa_key *k = rsa_of(key);
	uint8_t buf[PRIMITIVE_HASH_MAX];
	const EVP_MD *mgf;
	hsm_hash hash;
	hsm_in digest;
	int salt_len;
	hsm_status st;

	if ((st = pss_plan(params, fixed, &hash, &mgf, &salt_len)) != HSM_OK)
		return st;
	if (sig.len != k->len)
		return HSM_E_SIGNATURE_LEN;
	if ((st = hashed_input(hash, params, msg, buf, &digest)) != HSM_OK)
		return st;
	if (!RSA_verify_pss_mgf1(k->rsa, digest.ptr, digest.len, hash_md(hash), mgf, salt_len, sig.ptr, sig.len))
		return library_status(HSM_E_SIGNATURE);
	return HSM_OK;
}

/* CKM_RSA_PKCS_PSS: the input is the hash already. */
static hsm_params
prehashed(const hsm_params *params)
{
	hsm_params p = *params;

	p.flags |= HSM_PARAM_PREHASHED;
	return p;
}

static hsm_status
pss_raw_sign(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig)
{
	hsm_params p = prehashed(params);

	return pss_sign(key, &p, HSM_HASH_NONE, msg, sig);
}

static hsm_status
pss_raw_verify(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig)
{
	hsm_params p = prehashed(params);

	return pss_verify(key, &p, HSM_HASH_NONE, msg, sig);
}

/* ---- rows ---------------------------------------------------------------------- */

/* Checking takes keys of 1024 bits (legacy use, SP 800-131A); making does not. */
static bool
sign_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)params;
	return key->spec.param >= (use == MECH_VERIFY ? 1024u : 2048u);
}

static bool
sha1_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	return use == MECH_VERIFY && sign_approved(key, use, params);
}

/* FIPS 186-5 5.4: the salt is at most as long as the hash. */
static bool
pss_approved_with(const struct key *key, uint32_t use, const hsm_params *params, hsm_hash hash)
{
	if (!(hash_secure(hash) ? sign_approved : sha1_approved)(key, use, params))
		return false;
	return params->salt_len == HSM_SALT_DIGEST || params->salt_len <= primitive_hash_len(hash);
}

static bool
pss_raw_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	return pss_approved_with(key, use, params, params->hash);
}

#define HASHED(tag, hash)                                                     \
	static hsm_status pkcs_sign_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig) \
	{                                                                     \
		return pkcs_sign(key, params, hash, msg, sig);                \
	}                                                                     \
	static hsm_status pkcs_verify_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig) \
	{                                                                     \
		return pkcs_verify(key, params, hash, msg, sig);              \
	}                                                                     \
	static hsm_status pss_sign_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig) \
	{                                                                     \
		return pss_sign(key, params, hash, msg, sig);                 \
	}                                                                     \
	static hsm_status pss_verify_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig) \
	{                                                                     \
		return pss_verify(key, params, hash, msg, sig);               \
	}                                                                     \
	static bool pss_approved_##tag(const struct key *key, uint32_t use, const hsm_params *params) \
	{                                                                     \
		return pss_approved_with(key, use, params, hash);             \
	}
EACH_HASH(HASHED)

#define RSA_ROW .key_type = HSM_KEY_RSA, .min_bits = RSA_BITS_MIN, .max_bits = RSA_BITS_MAX, .heap = 49152, .depth = 12288
#define PKCS_ROW(number, text, tag, h, check) { .id = number, .name = text "_RSA_PKCS", RSA_ROW, \
	.flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_SLOW | MECH_APPROVED, .hash = h, .approved = check, \
	.sign = pkcs_sign_##tag, .verify = pkcs_verify_##tag, HASHED_SLOTS }
#define PSS_ROW(number, text, tag, h) { .id = number, .name = text "_RSA_PKCS_PSS", RSA_ROW, \
	.flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_SLOW | MECH_APPROVED, .hash = h, .approved = pss_approved_##tag, \
	.sign = pss_sign_##tag, .verify = pss_verify_##tag, HASHED_SLOTS }

static const struct mech rows[] = {
	PKCS_ROW(HSM_SHA1_RSA_PKCS, "SHA1", sha1, HSM_SHA1, sha1_approved),
	PKCS_ROW(HSM_SHA224_RSA_PKCS, "SHA224", sha224, HSM_SHA224, sign_approved),
	PKCS_ROW(HSM_SHA256_RSA_PKCS, "SHA256", sha256, HSM_SHA256, sign_approved),
	PKCS_ROW(HSM_SHA384_RSA_PKCS, "SHA384", sha384, HSM_SHA384, sign_approved),
	PKCS_ROW(HSM_SHA512_RSA_PKCS, "SHA512", sha512, HSM_SHA512, sign_approved),
	PKCS_ROW(0x66, "SHA3_224", sha3_224, HSM_SHA3_224, sign_approved),
	PKCS_ROW(0x60, "SHA3_256", sha3_256, HSM_SHA3_256, sign_approved),
	PKCS_ROW(0x61, "SHA3_384", sha3_384, HSM_SHA3_384, sign_approved),
	PKCS_ROW(0x62, "SHA3_512", sha3_512, HSM_SHA3_512, sign_approved),
	{ .id = HSM_RSA_PSS, .name = "RSA_PKCS_PSS", RSA_ROW, .flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_SLOW | MECH_APPROVED,
	  .approved = pss_raw_approved, .sign = pss_raw_sign, .verify = pss_raw_verify, GATHER_SLOTS },
	PSS_ROW(HSM_SHA1_RSA_PSS, "SHA1", sha1, HSM_SHA1),
	PSS_ROW(HSM_SHA224_RSA_PSS, "SHA224", sha224, HSM_SHA224),
	PSS_ROW(HSM_SHA256_RSA_PSS, "SHA256", sha256, HSM_SHA256),
	PSS_ROW(HSM_SHA384_RSA_PSS, "SHA384", sha384, HSM_SHA384),
	PSS_ROW(HSM_SHA512_RSA_PSS, "SHA512", sha512, HSM_SHA512),
	PSS_ROW(0x67, "SHA3_224", sha3_224, HSM_SHA3_224),
	PSS_ROW(0x63, "SHA3_256", sha3_256, HSM_SHA3_256),
	PSS_ROW(0x64, "SHA3_384", sha3_384, HSM_SHA3_384),
	PSS_ROW(0x65, "SHA3_512", sha3_512, HSM_SHA3_512),
};

const struct family family_rsa_sign = { rows, COUNT(rows), NULL, 0, NULL, 0 };
