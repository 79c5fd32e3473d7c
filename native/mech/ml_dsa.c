/* ml_dsa.c - the ML-DSA kind. */
#include "ml_dsa.h"

#include <string.h>

#include <openssl/digest.h>

#include "../crypto/rng.h"

#define SET(n, cka, arc_last, pub, priv, sig) { n, cka, { 3, arc_last }, pub, priv, sig, ml_dsa_##n##_keypair_internal, \
	ml_dsa_##n##_pack_pk_from_sk, ml_dsa_extmu_##n##_sign_internal, ml_dsa_extmu_##n##_verify }

static const struct ml_dsa_set sets[] = {
	SET(44, 1, 17, 1312, 2560, 2420),
	SET(65, 2, 18, 1952, 4032, 3309),
	SET(87, 3, 19, 2592, 4896, 4627),
};

static const struct ml_dsa_set *
set_by(uint32_t param)
{
	for (size_t i = 0; i < COUNT(sets); i++) {
		if (sets[i].param == param)
			return &sets[i];
	}
	return NULL;
}

static const struct ml_dsa_set *
set_of_material(enum key_part part, hsm_in material)
{
	for (size_t i = 0; i < COUNT(sets); i++) {
		if (pq_oid_is(part, material, sets[i].oid))
			return &sets[i];
	}
	return NULL;
}

/* ---- loading ------------------------------------------------------------------ */

static hsm_status
private_fill(struct ml_dsa_key *k, const struct pq_private *p)
{
	const struct ml_dsa_set *set = k->set;

	if (p->seed.len == 0) {
		memcpy(k->priv, p->expanded.ptr, set->priv_len);
		/* Computes the public key, and compares its hash with the one inside. */
		return set->public_of(k->pub, k->priv) ? HSM_OK : library_status(HSM_E_KEY_VALUE);
	}
	memcpy(k->seed, p->seed.ptr, ML_DSA_SEED);
	k->has_seed = true;
	if (!set->keypair(k->pub, k->priv, k->seed))
		return library_status(HSM_E_CRYPTO);
	if (p->expanded.len != 0 && !bytes_equal_secret(p->expanded.ptr, k->priv, set->priv_len))
		return HSM_E_KEY_VALUE;
	return HSM_OK;
}

static hsm_status
tr_make(struct ml_dsa_key *k)
{
	EVP_MD_CTX ctx;
	bool ok;

	EVP_MD_CTX_init(&ctx);
	ok = EVP_DigestInit_ex(&ctx, EVP_shake256(), NULL) && EVP_DigestUpdate(&ctx, k->pub, k->set->pub_len)
	     && EVP_DigestFinalXOF(&ctx, k->tr, sizeof k->tr);
	EVP_MD_CTX_cleanup(&ctx);
	return ok ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static hsm_status
ml_dsa_load(struct key *key, hsm_in material)
{
	const struct ml_dsa_set *set = set_of_material(key->part, material);
	struct pq_private priv;
	struct ml_dsa_key *k;
	hsm_in pub;
	hsm_status st;

	if (set == NULL)
		return HSM_E_KEY_VALUE;
	if ((k = arena_alloc(sizeof *k + set->pub_len + (key->part == PART_PRIVATE ? set->priv_len : 0))) == NULL)
		return HSM_E_MEMORY;
	key->ctx = k;
	key->spec.param = set->param;
	k->set = set;
	k->pub = (uint8_t *)(k + 1);
	if (key->part == PART_PRIVATE) {
		k->priv = k->pub + set->pub_len;
		if ((st = pq_private_read(set->oid, material, ML_DSA_SEED, set->priv_len, &priv)) != HSM_OK
		    || (st = private_fill(k, &priv)) != HSM_OK)
			return st;
	} else {
		if ((st = pq_public_read(set->oid, material, set->pub_len, &pub)) != HSM_OK)
			return st;
		memcpy(k->pub, pub.ptr, pub.len);
	}
	return tr_make(k);
}

static void
ml_dsa_unload(struct key *key)
{
	arena_free(key->ctx);
}

static hsm_status
ml_dsa_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	const struct ml_dsa_set *set = set_by(spec.param);
	struct secret pair = SECRET_NONE;
	uint8_t seed[ML_DSA_SEED];
	hsm_status st;

	(void)params;
	if (set == NULL)
		return HSM_E_CURVE;
	if ((st = secret_alloc(&pair, set->pub_len + set->priv_len)) != HSM_OK)
		return st;
	if ((st = rng_bytes(seed, sizeof seed)) != HSM_OK)
		goto out;
	if (!set->keypair(pair.ptr, pair.ptr + set->pub_len, seed)) {
		st = library_status(HSM_E_CRYPTO);
		goto out;
	}
	if ((st = pq_private_write(set->oid, (hsm_in){ seed, sizeof seed }, HSM_NONE, material)) != HSM_OK)
		goto out;
	if ((st = pq_public_secret(set->oid, (hsm_in){ pair.ptr, set->pub_len }, pub)) != HSM_OK)
		secret_wipe(material);
out:
	bytes_wipe(seed, sizeof seed);
	secret_wipe(&pair);
	return st;
}

static hsm_status
ml_dsa_publish(const struct key *key, hsm_out *spki)
{
	const struct ml_dsa_key *k = key->ctx;

	return pq_public_write(k->set->oid, (hsm_in){ k->pub, k->set->pub_len }, spki);
}

static hsm_status
ml_dsa_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	const struct ml_dsa_key *k = key->ctx;

	switch (attr) {
	case HSM_ATTR_PARAMETER_SET: return out_number(out, k->set->number);
	case HSM_ATTR_PUBLIC_KEY_INFO: return ml_dsa_publish(key, out);
	case HSM_ATTR_VALUE:
		return out_bytes(out, k->priv == NULL ? (hsm_in){ k->pub, k->set->pub_len } : (hsm_in){ k->priv, k->set->priv_len });
	case HSM_ATTR_SEED:
		return k->has_seed ? out_bytes(out, (hsm_in){ k->seed, sizeof k->seed }) : HSM_E_ATTR_TYPE;
	default: return HSM_E_ATTR_TYPE;
	}
}

/* CKA_PARAMETER_SET, and CKA_SEED or CKA_VALUE (both must agree: checked when
 * the key is loaded). */
static hsm_status
ml_dsa_compose(enum key_part part, const hsm_attr *attrs, size_t n, struct secret *material)
{
	hsm_in number = attr_find(attrs, n, HSM_ATTR_PARAMETER_SET, NULL);
	hsm_in value = attr_find(attrs, n, HSM_ATTR_VALUE, NULL);
	hsm_in seed = attr_find(attrs, n, HSM_ATTR_SEED, NULL);
	const struct ml_dsa_set *set = NULL;
	uint64_t wanted = 0;

	if (part == PART_SECRET)
		return HSM_E_TEMPLATE;
	if (number.len != sizeof wanted)
		return number.len == 0 ? HSM_E_TEMPLATE_INCOMPLETE : HSM_E_ATTR_VALUE;
	memcpy(&wanted, number.ptr, sizeof wanted);
	for (size_t i = 0; i < COUNT(sets); i++) {
		if (sets[i].number == wanted)
			set = &sets[i];
	}
	if (set == NULL)
		return HSM_E_CURVE;
	if (part == PART_PUBLIC) {
		if (value.len == 0)
			return HSM_E_TEMPLATE_INCOMPLETE;
		return value.len == set->pub_len ? pq_public_secret(set->oid, value, material) : HSM_E_ATTR_VALUE;
	}
	if (seed.len == 0 && value.len == 0)
		return HSM_E_TEMPLATE_INCOMPLETE;
	if ((seed.len != 0 && seed.len != ML_DSA_SEED) || (value.len != 0 && value.len != set->priv_len))
		return HSM_E_ATTR_VALUE;
	return pq_private_write(set->oid, seed, value, material);
}

static hsm_status
ml_dsa_consistent(const struct key *key)
{
	static const uint8_t mu[ML_DSA_MU] = { 1 }, rnd[32];
	const struct ml_dsa_key *k = key->ctx;
	struct secret sig = SECRET_NONE;
	size_t len;
	hsm_status st = secret_alloc(&sig, k->set->sig_len);

	if (st != HSM_OK)
		return st;
	if (!k->set->sign(k->priv, sig.ptr, &len, mu, sizeof mu, NULL, 0, rnd)
	    || !k->set->verify(k->pub, sig.ptr, len, mu, sizeof mu))
		st = library_status(HSM_E_SELF_TEST);
	secret_wipe(&sig);
	return st;
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_ML_DSA, .name = "ML_DSA", .heap = 9216, .work = 16384, .depth = 131072, .slow = true, .generate = ml_dsa_generate, .load = ml_dsa_load,
	  .unload = ml_dsa_unload, .publish = ml_dsa_publish, .component = ml_dsa_component, .compose = ml_dsa_compose,
	  .consistent = ml_dsa_consistent },
};

static const struct mech rows[] = {
	{ .id = HSM_ML_DSA_KEY_PAIR_GEN, .name = "ML_DSA_KEY_PAIR_GEN", .key_type = HSM_KEY_ML_DSA, .min_bits = 44, .max_bits = 87,
	  .flags = MECH_GENERATE | MECH_SLOW | MECH_APPROVED, .heap = 24576, .depth = 131072 },
};

const struct family family_ml_dsa = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
