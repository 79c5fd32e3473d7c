/* montgomery.c - X25519 keys. (AWS-LC has no X448.) */
#include <string.h>

#include <openssl/curve25519.h>
#include <openssl/mem.h>

#include "../crypto/rng.h"
#include "ec.h"

struct montgomery_key { uint8_t priv[32], pub[32]; };

bool
montgomery_is(const struct key *key)
{
	return key->kind->type == HSM_KEY_MONTGOMERY;
}

static hsm_status
pkey_material(EVP_PKEY *pkey, bool private, struct secret *out)
{
	if (pkey == NULL)
		return library_status(HSM_E_CRYPTO);
	return private ? der_private(pkey, out) : der_public_secret(pkey, out);
}

static hsm_status
montgomery_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	EVP_PKEY *pkey = NULL;
	uint8_t priv[32];
	hsm_status st;

	(void)params;
	if (spec.param != HSM_X25519)
		return HSM_E_CURVE;
	if ((st = rng_bytes(priv, sizeof priv)) != HSM_OK)
		return st;
	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, priv, sizeof priv);
	bytes_wipe(priv, sizeof priv);
	if ((st = pkey_material(pkey, true, material)) == HSM_OK && (st = pkey_material(pkey, false, pub)) != HSM_OK)
		secret_wipe(material);
	EVP_PKEY_free(pkey);
	return st;
}

static hsm_status
montgomery_load(struct key *key, hsm_in material)
{
	struct montgomery_key *m = arena_alloc(sizeof *m);
	EVP_PKEY *pkey = NULL;
	size_t priv = 32, pub = 32;
	hsm_status st;

	if (m == NULL)
		return HSM_E_MEMORY;
	key->ctx = m;
	key->spec.param = HSM_X25519;
	if ((st = der_read(key->part, material, &pkey)) != HSM_OK)
		return st;
	if (EVP_PKEY_id(pkey) != EVP_PKEY_X25519)
		st = HSM_E_CURVE;
	else if (!EVP_PKEY_get_raw_public_key(pkey, m->pub, &pub)
	         || (key->part == PART_PRIVATE && !EVP_PKEY_get_raw_private_key(pkey, m->priv, &priv)))
		st = library_status(HSM_E_KEY_VALUE);
	EVP_PKEY_free(pkey);
	return st;
}

static void
montgomery_unload(struct key *key)
{
	arena_free(key->ctx);
}

static hsm_status
montgomery_publish(const struct key *key, hsm_out *spki)
{
	const struct montgomery_key *m = key->ctx;
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, m->pub, sizeof m->pub);
	hsm_status st = pkey == NULL ? library_status(HSM_E_CRYPTO) : der_public(pkey, spki);

	EVP_PKEY_free(pkey);
	return out_done(spki, st);
}

static hsm_status
montgomery_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	const struct montgomery_key *m = key->ctx;

	switch (attr) {
	case HSM_ATTR_EC_PARAMS: return raw_curve_write(HSM_X25519, out);
	case HSM_ATTR_EC_POINT: return raw_point_write(m->pub, out);
	case HSM_ATTR_PUBLIC_KEY_INFO: return montgomery_publish(key, out);
	case HSM_ATTR_VALUE:
		return key->part == PART_PRIVATE ? out_bytes(out, (hsm_in){ m->priv, sizeof m->priv }) : HSM_E_ATTR_TYPE;
	default: return HSM_E_ATTR_TYPE;
	}
}

static hsm_status
montgomery_compose(enum key_part part, const hsm_attr *attrs, size_t n, struct secret *material)
{
	return raw_curve_compose(part, attrs, n, HSM_X25519, material);
}

/* SP 800-56A 5.6.2.1.4: the public key computed anew. */
static hsm_status
montgomery_consistent(const struct key *key)
{
	const struct montgomery_key *m = key->ctx;
	uint8_t again[32];

	X25519_public_from_private(again, m->priv);
	return memcmp(again, m->pub, sizeof again) == 0 ? HSM_OK : HSM_E_SELF_TEST;
}

/* SPKI, OCTET STRING or bare; each has its own length. */
static hsm_status
peer_read(hsm_in peer, uint8_t point[32])
{
	hsm_in inner = der_unwrap(peer);
	EVP_PKEY *pkey = NULL;
	size_t len = 32;
	hsm_status st;
	bool ok;

	if (inner.len == 32) {
		memcpy(point, inner.ptr, 32);
		return HSM_OK;
	}
	if ((st = der_read(PART_PUBLIC, peer, &pkey)) != HSM_OK)
		return st == HSM_E_MEMORY ? st : HSM_E_PARAM;
	ok = EVP_PKEY_id(pkey) == EVP_PKEY_X25519 && EVP_PKEY_get_raw_public_key(pkey, point, &len);
	EVP_PKEY_free(pkey);
	return ok ? HSM_OK : library_status(HSM_E_PARAM);
}

hsm_status
montgomery_agree(const struct key *key, hsm_in peer, struct secret *shared)
{
	const struct montgomery_key *m = key->ctx;
	uint8_t point[32];
	hsm_status st;

	if ((st = peer_read(peer, point)) != HSM_OK || (st = secret_alloc(shared, 32)) != HSM_OK)
		return st;
	if (mark_shown(X25519(shared->ptr, m->priv, point)))
		return HSM_OK;
	secret_wipe(shared);            /* a point of small order: the secret would be zero */
	return library_status(HSM_E_PARAM);
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_MONTGOMERY, .name = "EC_MONTGOMERY", .heap = 512, .work = 2048, .depth = 4096, .generate = montgomery_generate,
	  .load = montgomery_load, .unload = montgomery_unload, .publish = montgomery_publish,
	  .component = montgomery_component, .compose = montgomery_compose, .consistent = montgomery_consistent },
};

static const struct mech rows[] = {
	{ .id = HSM_MONTGOMERY_KEY_PAIR_GEN, .name = "EC_MONTGOMERY_KEY_PAIR_GEN", .key_type = HSM_KEY_MONTGOMERY,
	  .min_bits = 255, .max_bits = 255, .flags = MECH_GENERATE, .heap = 1024, .depth = 4096 },
};

const struct family family_montgomery = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
