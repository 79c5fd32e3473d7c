/* ecdh.c - ECDH on the Weierstrass curves and X25519, with PKCS#11's key
 * derivation functions.
 *
 * The other side's key may come as SubjectPublicKeyInfo, as a DER OCTET
 * STRING or bare; it is checked whole. All curves here have cofactor 1 (or
 * clear it in the scalar), so the cofactor form computes the same. */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/mem.h>

#include "ec.h"
#include "primitive.h"

#define DERIVED_MAX 4096u

static hsm_status
peer_read(const struct ec_key *e, hsm_in peer, EC_POINT **point)
{
	EVP_PKEY *pkey = NULL;
	const EC_KEY *ec;
	hsm_status st = der_read(PART_PUBLIC, peer, &pkey);

	*point = NULL;
	if (st == HSM_E_MEMORY)
		return st;
	if (st != HSM_OK) {
		st = ec_point_read(e->group, peer, point);
		return st == HSM_E_KEY_VALUE ? HSM_E_PARAM : st;
	}
	ec = EVP_PKEY_get0_EC_KEY(pkey);
	if (ec == NULL || !ec_curve_named(peer) || EC_GROUP_cmp(EC_KEY_get0_group(ec), e->group, NULL) != 0)
		st = HSM_E_PARAM;
	else if ((*point = EC_POINT_dup(EC_KEY_get0_public_key(ec), e->group)) == NULL)
		st = HSM_E_MEMORY;
	EVP_PKEY_free(pkey);
	return st == HSM_OK ? st : library_status(st);
}

/* By the point's own arithmetic: ECDH_compute_key would check the peer once
 * more and, where memory ends in the middle of that, read a NULL. */
static bool
x_of_product(const struct ec_key *e, const EC_POINT *point, uint8_t *x_bytes)
{
	EC_POINT *product = EC_POINT_new(e->group);
	BIGNUM *x = BN_new();
	bool ok;

	ok = product != NULL && x != NULL && EC_POINT_mul(e->group, product, NULL, point, EC_KEY_get0_private_key(e->ec), NULL)
	     && !mark_shown(EC_POINT_is_at_infinity(e->group, product))         /* no: the order is prime */
	     && mark_shown(EC_POINT_get_affine_coordinates_GFp(e->group, product, x, NULL, NULL))
	     && mark_shown(BN_bn2bin_padded(x_bytes, e->field_len, x));
	EC_POINT_free(product);
	BN_clear_free(x);
	return ok;
}

static hsm_status
weierstrass_agree(const struct ec_key *e, hsm_in peer, struct secret *shared)
{
	EC_POINT *point;
	hsm_status st;

	if ((st = peer_read(e, peer, &point)) != HSM_OK)
		return st;
	if ((st = secret_alloc(shared, e->field_len)) == HSM_OK && !x_of_product(e, point, shared->ptr)) {
		secret_wipe(shared);
		st = library_status(HSM_E_PARAM);
	}
	EC_POINT_free(point);
	return st;
}

/* ANSI X9.63: hash(Z | counter | info); SP 800-56C puts the counter first. */
static hsm_status
expand(const hsm_params *params, hsm_in z, size_t len, struct secret *out)
{
	bool first = (params->flags & HSM_PARAM_COUNTER_FIRST) != 0;
	size_t step = primitive_hash_len(params->hash);
	uint8_t block[PRIMITIVE_HASH_MAX];
	hsm_status st;

	if (step == 0)
		return HSM_E_PARAM;
	if (len > DERIVED_MAX)
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(out, len)) != HSM_OK)
		return st;
	for (size_t at = 0, i = 1; at < len && st == HSM_OK; at += step, i++) {
		const uint8_t counter[4] = { 0, 0, (uint8_t)(i >> 8), (uint8_t)i };
		const hsm_in c = { counter, sizeof counter };
		const hsm_in parts[] = { first ? c : z, first ? z : c, params->label };

		st = primitive_hash(params->hash, parts, 3, block);
		memcpy(out->ptr + at, block, len - at < step ? len - at : step);
	}
	bytes_wipe(block, sizeof block);
	if (st != HSM_OK)
		secret_wipe(out);
	return st;
}

static hsm_status
ecdh_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	struct secret z = SECRET_NONE;
	size_t len;
	hsm_status st;

	if (key->part != PART_PRIVATE)
		return HSM_E_KEY_TYPE;
	if (montgomery_is(key))
		st = montgomery_agree(key, params->peer, &z);
	else if (key->kind->type == HSM_KEY_EC)
		st = weierstrass_agree(ec_of(key), params->peer, &z);
	else
		st = HSM_E_KEY_TYPE;
	if (st != HSM_OK)
		return st;
	len = derive_len(params, want, params->hash == HSM_HASH_NONE ? z.len : primitive_hash_len(params->hash));
	if (params->hash != HSM_HASH_NONE)
		st = expand(params, secret_in(&z), len, out);
	else if (len > z.len)
		st = HSM_E_KEY_SIZE;
	else
		/* PKCS#11: what is too much is dropped from the front. */
		st = secret_copy(out, (hsm_in){ z.ptr + z.len - len, len });
	secret_wipe(&z);
	return st;
}

/* SP 800-56A names the NIST curves; X25519 is for SP 800-56A r4 to bring. */
static bool
ecdh_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	return key->kind->type == HSM_KEY_EC && ec_approved(key, use, params) && params->hash != HSM_SHA1;
}

#define ECDH_ROW(number, text) { .id = number, .name = text, .key_type = HSM_KEY_ANY, .min_bits = 224, .max_bits = 521, \
	.flags = MECH_DERIVE | MECH_APPROVED, .heap = 2048, .depth = 12288, .approved = ecdh_approved, .derive = ecdh_derive }

static const struct mech rows[] = {
	ECDH_ROW(HSM_ECDH1_DERIVE, "ECDH1_DERIVE"),
	ECDH_ROW(HSM_ECDH1_COFACTOR_DERIVE, "ECDH1_COFACTOR_DERIVE"),
};

const struct family family_ecdh = { rows, COUNT(rows), NULL, 0, NULL, 0 };
