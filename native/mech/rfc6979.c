/* rfc6979.c - deterministic ECDSA nonces (RFC 6979, section 3.2). */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/mem.h>

#include "ec.h"
#include "primitive.h"

struct generator { hsm_hash hash; size_t len; uint8_t k[PRIMITIVE_HASH_MAX], v[PRIMITIVE_HASH_MAX]; };

/* K = HMAC(K, V | mark | seed), V = HMAC(K, V). */
static hsm_status
generator_feed(struct generator *g, uint8_t mark, hsm_in x, hsm_in h)
{
	const hsm_in parts[] = { { g->v, g->len }, { &mark, 1 }, x, h };
	hsm_status st = primitive_hmac(g->hash, (hsm_in){ g->k, g->len }, parts, 4, g->k);

	if (st != HSM_OK)
		return st;
	return primitive_hmac(g->hash, (hsm_in){ g->k, g->len }, parts, 1, g->v);
}

static hsm_status
generator_take(struct generator *g, uint8_t *out, size_t len)
{
	const hsm_in v = { g->v, g->len };
	hsm_status st = HSM_OK;

	for (size_t at = 0; at < len && st == HSM_OK; at += g->len) {
		st = primitive_hmac(g->hash, (hsm_in){ g->k, g->len }, &v, 1, g->v);
		memcpy(out + at, g->v, len - at < g->len ? len - at : g->len);
	}
	return st;
}

/* bits2int: the leftmost bits, as many as the order has. */
static BIGNUM *
number_of(hsm_in bytes, size_t order_bits)
{
	size_t len = bytes.len * 8 > order_bits ? (order_bits + 7) / 8 : bytes.len;
	BIGNUM *n = BN_bin2bn(bytes.ptr, len, NULL);

	if (n != NULL && len * 8 > order_bits && !BN_rshift(n, n, (int)(len * 8 - order_bits))) {
		BN_clear_free(n);
		return NULL;
	}
	return n;
}

hsm_status
rfc6979_nonce(const struct ec_key *e, hsm_hash hash, hsm_in digest, uint8_t *nonce)
{
	const BIGNUM *order = EC_GROUP_get0_order(e->group);
	size_t bits = (size_t)EC_GROUP_order_bits(e->group);
	struct generator g = { .hash = hash, .len = primitive_hash_len(hash) };
	uint8_t x[66], h[66];
	hsm_in x_in = { x, e->order_len }, h_in = { h, e->order_len };
	BIGNUM *z = number_of(digest, bits), *k = NULL;
	hsm_status st = HSM_E_CRYPTO;
	bool found = false;

	if (z == NULL || (BN_cmp(z, order) >= 0 && !BN_sub(z, z, order)))
		goto out;
	if (!BN_bn2bin_padded(h, e->order_len, z) || !BN_bn2bin_padded(x, e->order_len, EC_KEY_get0_private_key(e->ec)))
		goto out;
	memset(g.v, 1, g.len);
	if ((st = generator_feed(&g, 0, x_in, h_in)) != HSM_OK || (st = generator_feed(&g, 1, x_in, h_in)) != HSM_OK)
		goto out;
	while (!found) {
		if ((st = generator_take(&g, nonce, e->order_len)) != HSM_OK)
			goto out;
		st = HSM_E_CRYPTO;
		if ((k = number_of((hsm_in){ nonce, e->order_len }, bits)) == NULL)
			goto out;
		found = !BN_is_zero(k) && BN_cmp(k, order) < 0 && BN_bn2bin_padded(nonce, e->order_len, k);
		BN_clear_free(k);
		if (!found && (st = generator_feed(&g, 0, HSM_NONE, HSM_NONE)) != HSM_OK)
			goto out;
	}
	nonce[e->order_len - 1] ^= (uint8_t)(lab(LAB_NONCE_FLIP) & 1);
	st = HSM_OK;
out:
	BN_clear_free(z);
	bytes_wipe(&g, sizeof g);
	bytes_wipe(x, sizeof x);
	return st == HSM_OK ? st : library_status(st);
}
