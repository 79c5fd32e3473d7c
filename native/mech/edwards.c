/* edwards.c - Ed25519: pure, with a context, and over a hash (RFC 8032). */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/curve25519.h>
#include <openssl/mem.h>
#include <openssl/sha.h>

#include "../crypto/rng.h"
#include "ec.h"

struct edwards_key { uint8_t priv[64], pub[32]; };

/* ---- points ------------------------------------------------------------------ */

/* Is this the encoding of a point: y below p = 2^255 - 19, and
 * x^2 = (y^2 - 1) / (d y^2 + 1) a square? */
static bool
on_curve(const uint8_t pub[32])
{
	static const char d_hex[] = "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3";
	uint8_t y_bytes[32];
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = BN_new(), *y = BN_new(), *u = BN_new(), *v = BN_new(), *d = NULL, *e = BN_new();
	bool ok = false;

	memcpy(y_bytes, pub, 32);
	y_bytes[31] &= 0x7F;
	if (ctx == NULL || p == NULL || u == NULL || v == NULL || e == NULL || !BN_hex2bn(&d, d_hex) || y == NULL)
		goto out;
	if (!BN_set_bit(p, 255) || !BN_sub_word(p, 19) || !BN_le2bn(y_bytes, 32, y) || BN_cmp(y, p) >= 0)
		goto out;
	/* u = y^2 - 1, v = d y^2 + 1; u v is a square when u / v is. */
	if (!BN_mod_sqr(u, y, p, ctx) || !BN_mod_mul(v, u, d, p, ctx) || !BN_add_word(v, 1)
	    || !BN_mod_sub(u, u, BN_value_one(), p, ctx) || !BN_mod_mul(u, u, v, p, ctx))
		goto out;
	if (BN_is_zero(u)) {
		ok = pub[31] >> 7 == 0;         /* x = 0 has no sign */
		goto out;
	}
	if (!BN_copy(e, p) || !BN_sub_word(e, 1) || !BN_rshift1(e, e) || !BN_mod_exp(v, u, e, p, ctx))
		goto out;
	ok = BN_is_one(v);
out:
	BN_CTX_free(ctx);
	BN_free(p);
	BN_free(y);
	BN_free(u);
	BN_free(v);
	BN_free(d);
	BN_free(e);
	return ok;
}

/* ---- what X25519 and Ed25519 keys share --------------------------------------- */

/* CKA_EC_PARAMS as an OID (RFC 8410); older programs give a curve name. */
static const struct { uint32_t curve; int pkey; uint8_t oid[5]; const char *names[2]; } raw_curves[] = {
	{ HSM_ED25519, EVP_PKEY_ED25519, { 0x06, 0x03, 0x2B, 0x65, 0x70 }, { "edwards25519", "Ed25519" } },
	{ HSM_X25519, EVP_PKEY_X25519, { 0x06, 0x03, 0x2B, 0x65, 0x6E }, { "curve25519", "X25519" } },
};

hsm_status
raw_curve_write(uint32_t curve, hsm_out *out)
{
	return out_bytes(out, (hsm_in){ raw_curves[curve == HSM_X25519].oid, 5 });
}

bool
raw_curve_read(hsm_in params, uint32_t curve)
{
	size_t at = curve == HSM_X25519;
	CBS cbs, name;

	if (bytes_equal(params, (hsm_in){ raw_curves[at].oid, 5 }))
		return true;
	CBS_init(&cbs, params.ptr, params.len);
	if (!CBS_get_asn1(&cbs, &name, CBS_ASN1_PRINTABLESTRING) || CBS_len(&cbs) != 0)
		return false;
	for (size_t i = 0; i < 2; i++) {
		const char *known = raw_curves[at].names[i];

		if (CBS_mem_equal(&name, (const uint8_t *)known, strlen(known)))
			return true;
	}
	return false;
}

hsm_status
raw_point_write(const uint8_t point[32], hsm_out *out)
{
	uint8_t der[34] = { 0x04, 0x20 };

	memcpy(der + 2, point, 32);
	return out_bytes(out, (hsm_in){ der, sizeof der });
}

/* PKCS#11 2.40 programs give the point as a BIT STRING. */
static hsm_in
point_unwrap(hsm_in value)
{
	CBS cbs, inner;
	uint8_t unused;

	CBS_init(&cbs, value.ptr, value.len);
	if (CBS_get_asn1(&cbs, &inner, CBS_ASN1_BITSTRING) && CBS_len(&cbs) == 0 && CBS_get_u8(&inner, &unused) && unused == 0)
		return (hsm_in){ CBS_data(&inner), CBS_len(&inner) };
	return der_unwrap(value);
}

hsm_status
raw_curve_compose(enum key_part part, const hsm_attr *attrs, size_t n, uint32_t curve, struct secret *material)
{
	bool has_params, has_value;
	hsm_in params = attr_find(attrs, n, HSM_ATTR_EC_PARAMS, &has_params);
	hsm_in value = attr_find(attrs, n, part == PART_PUBLIC ? HSM_ATTR_EC_POINT : HSM_ATTR_VALUE, &has_value);
	int type = raw_curves[curve == HSM_X25519].pkey;
	EVP_PKEY *pkey;
	hsm_status st;

	if (part == PART_SECRET)
		return HSM_E_TEMPLATE;
	if (!has_params || !has_value)
		return HSM_E_TEMPLATE_INCOMPLETE;
	if (!raw_curve_read(params, curve))
		return HSM_E_CURVE;
	if (value.len != 32)
		value = part == PART_PUBLIC ? point_unwrap(value) : der_unwrap(value);
	if (value.len != 32)
		return HSM_E_ATTR_VALUE;
	pkey = part == PART_PUBLIC ? EVP_PKEY_new_raw_public_key(type, NULL, value.ptr, value.len)
	                           : EVP_PKEY_new_raw_private_key(type, NULL, value.ptr, value.len);
	if (pkey == NULL)
		return library_status(HSM_E_KEY_VALUE);
	st = part == PART_PUBLIC ? der_public_secret(pkey, material) : der_private(pkey, material);
	EVP_PKEY_free(pkey);
	return st;
}

/* ---- the kind -------------------------------------------------------------------- */

static hsm_status
edwards_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	uint8_t seed[32];
	EVP_PKEY *pkey;
	hsm_status st;

	(void)params;
	if (spec.param != HSM_ED25519)
		return HSM_E_CURVE;
	if ((st = rng_bytes(seed, sizeof seed)) != HSM_OK)
		return st;
	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
	bytes_wipe(seed, sizeof seed);
	if (pkey == NULL)
		return library_status(HSM_E_CRYPTO);
	if ((st = der_private(pkey, material)) == HSM_OK && (st = der_public_secret(pkey, pub)) != HSM_OK)
		secret_wipe(material);
	EVP_PKEY_free(pkey);
	return st;
}

static hsm_status
edwards_load(struct key *key, hsm_in material)
{
	struct edwards_key *k = arena_alloc(sizeof *k);
	EVP_PKEY *pkey = NULL;
	uint8_t seed[32];
	size_t seed_len = 32, pub_len = 32;
	hsm_status st;

	if (k == NULL)
		return HSM_E_MEMORY;
	key->ctx = k;
	key->spec.param = HSM_ED25519;
	if ((st = der_read(key->part, material, &pkey)) != HSM_OK)
		return st;
	st = HSM_E_KEY_VALUE;
	if (EVP_PKEY_id(pkey) != EVP_PKEY_ED25519) {
		st = HSM_E_CURVE;
	} else if (key->part == PART_PRIVATE) {
		if (EVP_PKEY_get_raw_private_key(pkey, seed, &seed_len)) {
			ED25519_keypair_from_seed(k->pub, k->priv, seed);
			st = HSM_OK;
		}
		bytes_wipe(seed, sizeof seed);
	} else if (EVP_PKEY_get_raw_public_key(pkey, k->pub, &pub_len) && on_curve(k->pub)) {
		st = HSM_OK;
	}
	EVP_PKEY_free(pkey);
	return st == HSM_OK ? st : library_status(st);
}

static void
edwards_unload(struct key *key)
{
	arena_free(key->ctx);
}

static hsm_status
edwards_publish(const struct key *key, hsm_out *spki)
{
	const struct edwards_key *k = key->ctx;
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->pub, sizeof k->pub);
	hsm_status st = pkey == NULL ? library_status(HSM_E_CRYPTO) : der_public(pkey, spki);

	EVP_PKEY_free(pkey);
	return out_done(spki, st);
}

static hsm_status
edwards_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	const struct edwards_key *k = key->ctx;

	switch (attr) {
	case HSM_ATTR_EC_PARAMS: return raw_curve_write(HSM_ED25519, out);
	case HSM_ATTR_EC_POINT: return raw_point_write(k->pub, out);
	case HSM_ATTR_PUBLIC_KEY_INFO: return edwards_publish(key, out);
	case HSM_ATTR_VALUE:
		return key->part == PART_PRIVATE ? out_bytes(out, (hsm_in){ k->priv, 32 }) : HSM_E_ATTR_TYPE;
	default: return HSM_E_ATTR_TYPE;
	}
}

static hsm_status
edwards_compose(enum key_part part, const hsm_attr *attrs, size_t n, struct secret *material)
{
	return raw_curve_compose(part, attrs, n, HSM_ED25519, material);
}

static hsm_status
edwards_consistent(const struct key *key)
{
	static const uint8_t msg[] = { 'p', 'c', 't' };
	const struct edwards_key *k = key->ctx;
	uint8_t sig[64];

	if (!ED25519_sign(sig, msg, sizeof msg, k->priv) || !ED25519_verify(msg, sizeof msg, sig, k->pub))
		return library_status(HSM_E_SELF_TEST);
	return HSM_OK;
}

/* ---- EdDSA ------------------------------------------------------------------------- */

static hsm_status
eddsa_check(const hsm_params *params, hsm_in msg)
{
	if (params->label.len > 255)
		return HSM_E_PARAM;
	if ((params->flags & HSM_PARAM_PREHASHED) == 0)
		return HSM_OK;
	if ((params->flags & HSM_PARAM_PH) == 0)
		return HSM_E_PARAM;             /* only the hash variant takes a hash */
	return msg.len == SHA512_DIGEST_LENGTH ? HSM_OK : HSM_E_DATA_LEN;
}

static hsm_status
eddsa_sign(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *out)
{
	const struct edwards_key *k = key->ctx;
	const hsm_in c = params->label;
	hsm_status st = eddsa_check(params, msg);
	int ok;

	if (st != HSM_OK)
		return out_done(out, st);
	if ((st = out_need(out, ED25519_SIGNATURE_LEN)) != HSM_OK || out->ptr == NULL)
		return st;
	if ((params->flags & HSM_PARAM_PREHASHED) != 0)
		ok = ED25519ph_sign_digest(out->ptr, msg.ptr, k->priv, c.ptr, c.len);
	else if ((params->flags & HSM_PARAM_PH) != 0)
		ok = ED25519ph_sign(out->ptr, msg.ptr, msg.len, k->priv, c.ptr, c.len);
	else if (c.len > 0)
		ok = ED25519ctx_sign(out->ptr, msg.ptr, msg.len, k->priv, c.ptr, c.len);
	else
		ok = ED25519_sign(out->ptr, msg.ptr, msg.len, k->priv);
	return ok ? HSM_OK : out_done(out, library_status(HSM_E_CRYPTO));
}

static hsm_status
eddsa_verify(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig)
{
	const struct edwards_key *k = key->ctx;
	const hsm_in c = params->label;
	hsm_status st = eddsa_check(params, msg);
	int ok;

	if (st != HSM_OK)
		return st;
	if (sig.len != ED25519_SIGNATURE_LEN)
		return HSM_E_SIGNATURE_LEN;
	if ((params->flags & HSM_PARAM_PREHASHED) != 0)
		ok = ED25519ph_verify_digest(msg.ptr, sig.ptr, k->pub, c.ptr, c.len);
	else if ((params->flags & HSM_PARAM_PH) != 0)
		ok = ED25519ph_verify(msg.ptr, msg.len, sig.ptr, k->pub, c.ptr, c.len);
	else if (c.len > 0)
		ok = ED25519ctx_verify(msg.ptr, msg.len, sig.ptr, k->pub, c.ptr, c.len);
	else
		ok = ED25519_verify(msg.ptr, msg.len, sig.ptr, k->pub);
	return ok ? HSM_OK : library_status(HSM_E_SIGNATURE);
}

/* FIPS 186-5 names Ed25519 and Ed25519ph, not Ed25519ctx. */
static bool
eddsa_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)key;
	(void)use;
	return (params->flags & HSM_PARAM_PH) != 0 || params->label.len == 0;
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_EDWARDS, .name = "EC_EDWARDS", .heap = 5120, .work = 2048, .depth = 6144, .generate = edwards_generate, .load = edwards_load,
	  .unload = edwards_unload, .publish = edwards_publish, .component = edwards_component,
	  .compose = edwards_compose, .consistent = edwards_consistent },
};

static const struct mech rows[] = {
	{ .id = HSM_EDWARDS_KEY_PAIR_GEN, .name = "EC_EDWARDS_KEY_PAIR_GEN", .key_type = HSM_KEY_EDWARDS,
	  .min_bits = 255, .max_bits = 255, .flags = MECH_GENERATE | MECH_APPROVED, .heap = 1024, .depth = 6144 },
	{ .id = HSM_EDDSA, .name = "EDDSA", .key_type = HSM_KEY_EDWARDS, .min_bits = 255, .max_bits = 255,
	  .flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_APPROVED, .heap = 1024, .depth = 6144,
	  .approved = eddsa_approved, .sign = eddsa_sign, .verify = eddsa_verify, GATHER_SLOTS },
};

const struct family family_edwards = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
