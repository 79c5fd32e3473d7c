/* ml_kem.c - ML-KEM (FIPS 203). A ciphertext that was not made for the key
 * opens to a secret that only looks like one (implicit rejection); only its
 * length can be wrong. */
#include <string.h>

#include "../crypto/rng.h"
#include "pq.h"

#define SEED 64u                        /* d | z */
#define SHARED 32u

struct kem_set {
	uint32_t param, number;
	struct pq_oid oid;
	size_t pub_len, priv_len, ct_len;
	int (*keypair)(uint8_t *pub, size_t *pub_len, uint8_t *priv, size_t *priv_len, const uint8_t *seed);
	int (*encap)(uint8_t *ct, size_t *ct_len, uint8_t *ss, size_t *ss_len, const uint8_t *pub, const uint8_t *coins);
	int (*decap)(uint8_t *ss, size_t *ss_len, const uint8_t *ct, const uint8_t *priv);
	int (*check_pub)(const uint8_t *pub, size_t len);
	int (*check_priv)(const uint8_t *priv, size_t len);
};

#define SET(n, cka, pub, priv, ct) { n, cka, { 4, cka }, pub, priv, ct, ml_kem_##n##_keypair_deterministic, \
	ml_kem_##n##_encapsulate_deterministic, ml_kem_##n##_decapsulate, ml_kem_##n##_check_pk, ml_kem_##n##_check_sk }

static const struct kem_set sets[] = {
	SET(512, 1, 800, 1632, 768),
	SET(768, 2, 1184, 2400, 1088),
	SET(1024, 3, 1568, 3168, 1568),
};

struct kem_key {
	const struct kem_set *set;
	bool has_seed;
	uint8_t seed[SEED];
	uint8_t *pub, *priv;            /* behind this struct; priv NULL in public keys */
};

/* FIPS 203, 7.3: the expanded private key is the inner one, then the public
 * key, its hash and z. */
static const uint8_t *
public_in(const struct kem_set *set, const uint8_t *priv)
{
	return priv + set->priv_len - 64 - set->pub_len;
}

static bool
pair_make(const struct kem_set *set, const uint8_t *seed, uint8_t *pub, uint8_t *priv)
{
	size_t pub_len = set->pub_len, priv_len = set->priv_len;

	return set->keypair(pub, &pub_len, priv, &priv_len, seed) == 0;
}

static hsm_status
private_fill(struct kem_key *k, const struct pq_private *p)
{
	const struct kem_set *set = k->set;

	if (p->seed.len == 0) {
		memcpy(k->priv, p->expanded.ptr, set->priv_len);
		memcpy(k->pub, public_in(set, k->priv), set->pub_len);
		if (set->check_priv(k->priv, set->priv_len) != 0 || set->check_pub(k->pub, set->pub_len) != 0)
			return library_status(HSM_E_KEY_VALUE);
		return HSM_OK;
	}
	memcpy(k->seed, p->seed.ptr, SEED);
	k->has_seed = true;
	if (!pair_make(set, k->seed, k->pub, k->priv))
		return library_status(HSM_E_CRYPTO);
	if (p->expanded.len != 0 && !bytes_equal_secret(p->expanded.ptr, k->priv, set->priv_len))
		return HSM_E_KEY_VALUE;
	return HSM_OK;
}

static const struct kem_set *
set_of_material(enum key_part part, hsm_in material)
{
	for (size_t i = 0; i < COUNT(sets); i++) {
		if (pq_oid_is(part, material, sets[i].oid))
			return &sets[i];
	}
	return NULL;
}

static hsm_status
kem_load(struct key *key, hsm_in material)
{
	const struct kem_set *set = set_of_material(key->part, material);
	struct pq_private priv;
	struct kem_key *k;
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
		if ((st = pq_private_read(set->oid, material, SEED, set->priv_len, &priv)) != HSM_OK)
			return st;
		return private_fill(k, &priv);
	}
	if ((st = pq_public_read(set->oid, material, set->pub_len, &pub)) != HSM_OK)
		return st;
	memcpy(k->pub, pub.ptr, pub.len);
	return set->check_pub(k->pub, set->pub_len) == 0 ? HSM_OK : library_status(HSM_E_KEY_VALUE);
}

static void
kem_unload(struct key *key)
{
	arena_free(key->ctx);
}

static hsm_status
kem_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	const struct kem_set *set = NULL;
	struct secret pair = SECRET_NONE;
	uint8_t seed[SEED];
	hsm_status st;

	(void)params;
	for (size_t i = 0; i < COUNT(sets); i++) {
		if (sets[i].param == spec.param)
			set = &sets[i];
	}
	if (set == NULL)
		return HSM_E_CURVE;
	if ((st = secret_alloc(&pair, set->pub_len + set->priv_len)) != HSM_OK)
		return st;
	if ((st = rng_bytes(seed, sizeof seed)) != HSM_OK)
		goto out;
	if (!pair_make(set, seed, pair.ptr, pair.ptr + set->pub_len)) {
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
kem_publish(const struct key *key, hsm_out *spki)
{
	const struct kem_key *k = key->ctx;

	return pq_public_write(k->set->oid, (hsm_in){ k->pub, k->set->pub_len }, spki);
}

static hsm_status
kem_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	const struct kem_key *k = key->ctx;

	switch (attr) {
	case HSM_ATTR_PARAMETER_SET: return out_number(out, k->set->number);
	case HSM_ATTR_PUBLIC_KEY_INFO: return kem_publish(key, out);
	case HSM_ATTR_VALUE:
		return out_bytes(out, k->priv == NULL ? (hsm_in){ k->pub, k->set->pub_len } : (hsm_in){ k->priv, k->set->priv_len });
	case HSM_ATTR_SEED:
		return k->has_seed ? out_bytes(out, (hsm_in){ k->seed, sizeof k->seed }) : HSM_E_ATTR_TYPE;
	default: return HSM_E_ATTR_TYPE;
	}
}

static hsm_status
kem_compose(enum key_part part, const hsm_attr *attrs, size_t n, struct secret *material)
{
	hsm_in number = attr_find(attrs, n, HSM_ATTR_PARAMETER_SET, NULL);
	hsm_in value = attr_find(attrs, n, HSM_ATTR_VALUE, NULL);
	hsm_in seed = attr_find(attrs, n, HSM_ATTR_SEED, NULL);
	const struct kem_set *set = NULL;
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
	if ((seed.len != 0 && seed.len != SEED) || (value.len != 0 && value.len != set->priv_len))
		return HSM_E_ATTR_VALUE;
	return pq_private_write(set->oid, seed, value, material);
}

static hsm_status
kem_consistent(const struct key *key)
{
	static const uint8_t coins[32] = { 1 };
	const struct kem_key *k = key->ctx;
	struct secret ct = SECRET_NONE;
	uint8_t made[SHARED], back[SHARED];
	size_t ct_len = k->set->ct_len, made_len = SHARED, back_len = SHARED;
	hsm_status st = secret_alloc(&ct, ct_len);

	if (st != HSM_OK)
		return st;
	if (k->set->encap(ct.ptr, &ct_len, made, &made_len, k->pub, coins) != 0
	    || k->set->decap(back, &back_len, ct.ptr, k->priv) != 0 || !bytes_equal_secret(made, back, SHARED))
		st = library_status(HSM_E_SELF_TEST);
	secret_wipe(&ct);
	return st;
}

/* ---- the mechanism ---------------------------------------------------------------- */

static hsm_status
kem_encap(const struct key *key, const hsm_params *params, hsm_out *ct, struct secret *shared)
{
	const struct kem_key *k = key->ctx;
	size_t ct_len = k->set->ct_len, ss_len = SHARED;
	uint8_t coins[32];
	hsm_status st;

	(void)params;
	if ((st = out_need(ct, ct_len)) != HSM_OK || ct->ptr == NULL)
		return st;
	if ((st = rng_bytes(coins, sizeof coins)) != HSM_OK || (st = secret_alloc(shared, SHARED)) != HSM_OK)
		return out_done(ct, st);
	if (k->set->encap(ct->ptr, &ct_len, shared->ptr, &ss_len, k->pub, coins) != 0) {
		secret_wipe(shared);
		st = library_status(HSM_E_CRYPTO);
	}
	bytes_wipe(coins, sizeof coins);
	return out_done(ct, st);
}

static hsm_status
kem_decap(const struct key *key, const hsm_params *params, hsm_in ct, struct secret *shared)
{
	const struct kem_key *k = key->ctx;
	size_t ss_len = SHARED;
	hsm_status st;

	(void)params;
	if (k->priv == NULL)
		return HSM_E_KEY_TYPE;
	if (ct.len != k->set->ct_len)
		return HSM_E_CIPHERTEXT_LEN;
	if ((st = secret_alloc(shared, SHARED)) != HSM_OK)
		return st;
	if (k->set->decap(shared->ptr, &ss_len, ct.ptr, k->priv) == 0)
		return HSM_OK;
	secret_wipe(shared);
	return library_status(HSM_E_CIPHERTEXT);
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_ML_KEM, .name = "ML_KEM", .heap = 6144, .work = 10240, .depth = 40960, .generate = kem_generate, .load = kem_load,
	  .unload = kem_unload, .publish = kem_publish, .component = kem_component, .compose = kem_compose,
	  .consistent = kem_consistent },
};

static const struct mech rows[] = {
	{ .id = HSM_ML_KEM_KEY_PAIR_GEN, .name = "ML_KEM_KEY_PAIR_GEN", .key_type = HSM_KEY_ML_KEM, .min_bits = 512,
	  .max_bits = 1024, .flags = MECH_GENERATE | MECH_APPROVED, .heap = 16384, .depth = 40960 },
	{ .id = HSM_ML_KEM, .name = "ML_KEM", .key_type = HSM_KEY_ML_KEM, .min_bits = 512, .max_bits = 1024,
	  .flags = MECH_ENCAP | MECH_DECAP | MECH_APPROVED, .heap = 512, .depth = 40960, .encap = kem_encap, .decap = kem_decap },
};

const struct family family_ml_kem = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
