/* ml_dsa_sign.c - ML-DSA signatures: pure and over a hash, with a context,
 * hedged or deterministic, or over mu computed outside (HSM_PARAM_PREHASHED
 * with CKM_ML_DSA).
 *
 * Everything goes through mu = SHAKE256(tr | M'), so that many parts hash as
 * they come. */
#include <string.h>

#include <openssl/digest.h>

#include "../crypto/rng.h"
#include "ml_dsa.h"
#include "primitive.h"

/* ---- M' ------------------------------------------------------------------------- */

/* Last byte of the hash's OID 2.16.840.1.101.3.4.2.x, and its length here
 * (SHAKE as FIPS 204 wants it); 0: not for ML-DSA. */
static const struct { hsm_hash hash; uint8_t oid; size_t len; } hashes[] = {
	{ HSM_SHA224, 4, 28 }, { HSM_SHA256, 1, 32 }, { HSM_SHA384, 2, 48 }, { HSM_SHA512, 3, 64 }, { HSM_SHA512_224, 5, 28 },
	{ HSM_SHA512_256, 6, 32 }, { HSM_SHA3_224, 7, 28 }, { HSM_SHA3_256, 8, 32 }, { HSM_SHA3_384, 9, 48 },
	{ HSM_SHA3_512, 10, 64 }, { HSM_SHAKE128, 11, 32 }, { HSM_SHAKE256, 12, 64 },
};

static size_t
hash_at(hsm_hash hash)
{
	for (size_t i = 0; i < COUNT(hashes); i++) {
		if (hashes[i].hash == hash)
			return i;
	}
	return COUNT(hashes);
}

static hsm_status
mu_open(const struct key *key, const hsm_params *params, uint8_t mark, EVP_MD_CTX *ctx)
{
	const struct ml_dsa_key *k = key->ctx;
	const uint8_t head[2] = { mark, (uint8_t)params->label.len };

	EVP_MD_CTX_init(ctx);
	if (params->label.len > 255)
		return HSM_E_PARAM;
	if (EVP_DigestInit_ex(ctx, EVP_shake256(), NULL) && EVP_DigestUpdate(ctx, k->tr, sizeof k->tr)
	    && EVP_DigestUpdate(ctx, head, sizeof head) && EVP_DigestUpdate(ctx, params->label.ptr, params->label.len))
		return HSM_OK;
	return library_status(HSM_E_CRYPTO);
}

static hsm_status
mu_close(EVP_MD_CTX *ctx, uint8_t mu[ML_DSA_MU])
{
	return EVP_DigestFinalXOF(ctx, mu, ML_DSA_MU) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static hsm_status
hash_make(size_t at, hsm_in msg, uint8_t out[PRIMITIVE_HASH_MAX])
{
	EVP_MD_CTX ctx;
	bool ok;

	if (hashes[at].hash != HSM_SHAKE128 && hashes[at].hash != HSM_SHAKE256)
		return primitive_hash(hashes[at].hash, &msg, 1, out);
	EVP_MD_CTX_init(&ctx);
	ok = EVP_DigestInit_ex(&ctx, hash_md(hashes[at].hash), NULL) && EVP_DigestUpdate(&ctx, msg.ptr, msg.len)
	     && EVP_DigestFinalXOF(&ctx, out, hashes[at].len);
	EVP_MD_CTX_cleanup(&ctx);
	return ok ? HSM_OK : library_status(HSM_E_CRYPTO);
}

/* HashML-DSA: M' = 01 | |ctx| | ctx | OID | hash(M). */
static hsm_status
mu_of_hash(const struct key *key, const hsm_params *params, hsm_hash hash, hsm_in msg, uint8_t mu[ML_DSA_MU])
{
	size_t at = hash_at(hash);
	uint8_t oid[] = { 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0 };
	uint8_t digest[PRIMITIVE_HASH_MAX];
	EVP_MD_CTX ctx;
	hsm_status st;

	if (at == COUNT(hashes))
		return HSM_E_PARAM;
	if ((params->flags & HSM_PARAM_PREHASHED) != 0) {
		if (msg.len != hashes[at].len)
			return HSM_E_DATA_LEN;
		memcpy(digest, msg.ptr, msg.len);
	} else if ((st = hash_make(at, msg, digest)) != HSM_OK) {
		return st;
	}
	oid[sizeof oid - 1] = hashes[at].oid;
	if ((st = mu_open(key, params, 1, &ctx)) == HSM_OK) {
		if (!EVP_DigestUpdate(&ctx, oid, sizeof oid) || !EVP_DigestUpdate(&ctx, digest, hashes[at].len))
			st = library_status(HSM_E_CRYPTO);
		else
			st = mu_close(&ctx, mu);
	}
	EVP_MD_CTX_cleanup(&ctx);
	return st;
}

static hsm_status
mu_of(const struct key *key, const hsm_params *params, hsm_in msg, uint8_t mu[ML_DSA_MU])
{
	EVP_MD_CTX ctx;
	hsm_status st;

	if ((params->flags & HSM_PARAM_PREHASHED) != 0) {
		if (msg.len != ML_DSA_MU)
			return HSM_E_DATA_LEN;
		memcpy(mu, msg.ptr, ML_DSA_MU);
		return HSM_OK;
	}
	if ((st = mu_open(key, params, 0, &ctx)) == HSM_OK) {
		if (!EVP_DigestUpdate(&ctx, msg.ptr, msg.len))
			st = library_status(HSM_E_CRYPTO);
		else
			st = mu_close(&ctx, mu);
	}
	EVP_MD_CTX_cleanup(&ctx);
	return st;
}

/* ---- signing mu ------------------------------------------------------------------ */

static hsm_status
mu_sign(const struct key *key, const hsm_params *params, const uint8_t mu[ML_DSA_MU], hsm_out *out)
{
	const struct ml_dsa_key *k = key->ctx;
	uint8_t rnd[32] = { 0 };
	size_t len;
	hsm_status st = HSM_OK;

	if ((params->flags & HSM_PARAM_DETERMINISTIC) == 0)
		st = rng_bytes(rnd, sizeof rnd);
	if (st == HSM_OK && !k->set->sign(k->priv, out->ptr, &len, mu, ML_DSA_MU, NULL, 0, rnd))
		st = library_status(HSM_E_CRYPTO);
	bytes_wipe(rnd, sizeof rnd);
	return out_done(out, st);
}

static hsm_status
mu_verify(const struct key *key, const uint8_t mu[ML_DSA_MU], hsm_in sig)
{
	const struct ml_dsa_key *k = key->ctx;

	if (sig.len != k->set->sig_len)
		return HSM_E_SIGNATURE_LEN;
	return k->set->verify(k->pub, sig.ptr, sig.len, mu, ML_DSA_MU) ? HSM_OK : library_status(HSM_E_SIGNATURE);
}

/* Room for a signature; false: only the size was asked, or it is too small. */
static bool
sig_room(const struct key *key, hsm_out *out, hsm_status *st)
{
	const struct ml_dsa_key *k = key->ctx;

	*st = k->priv == NULL ? HSM_E_KEY_TYPE : out_need(out, k->set->sig_len);
	return *st == HSM_OK && out->ptr != NULL;
}

static hsm_status
pure_sign(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *out)
{
	uint8_t mu[ML_DSA_MU];
	hsm_status st;

	if (!sig_room(key, out, &st))
		return out_done(out, st);
	if ((st = mu_of(key, params, msg, mu)) != HSM_OK)
		return out_done(out, st);
	return mu_sign(key, params, mu, out);
}

static hsm_status
pure_verify(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig)
{
	uint8_t mu[ML_DSA_MU];
	hsm_status st = mu_of(key, params, msg, mu);

	return st == HSM_OK ? mu_verify(key, mu, sig) : st;
}

static hsm_status
hash_sign(const struct key *key, const hsm_params *params, hsm_hash hash, hsm_in msg, hsm_out *out)
{
	uint8_t mu[ML_DSA_MU];
	hsm_status st;

	if (!sig_room(key, out, &st))
		return out_done(out, st);
	if ((st = mu_of_hash(key, params, hash, msg, mu)) != HSM_OK)
		return out_done(out, st);
	return mu_sign(key, params, mu, out);
}

static hsm_status
hash_verify(const struct key *key, const hsm_params *params, hsm_hash hash, hsm_in msg, hsm_in sig)
{
	uint8_t mu[ML_DSA_MU];
	hsm_status st = mu_of_hash(key, params, hash, msg, mu);

	return st == HSM_OK ? mu_verify(key, mu, sig) : st;
}

/* CKM_HASH_ML_DSA takes the hash itself; which one, the parameters say. */
static hsm_params
prehashed(const hsm_params *params)
{
	hsm_params p = *params;

	p.flags |= HSM_PARAM_PREHASHED;
	return p;
}

static hsm_status
hash_raw_sign(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *out)
{
	hsm_params p = prehashed(params);

	return hash_sign(key, &p, params->hash, msg, out);
}

static hsm_status
hash_raw_verify(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig)
{
	hsm_params p = prehashed(params);

	return hash_verify(key, &p, params->hash, msg, sig);
}

/* ---- many parts of the pure form --------------------------------------------------- */

static hsm_status
pure_begin(struct stream *s)
{
	EVP_MD_CTX *ctx;

	if ((s->params.flags & HSM_PARAM_PREHASHED) != 0)
		return gather_begin(s);
	if ((ctx = arena_alloc(sizeof *ctx)) == NULL)
		return HSM_E_MEMORY;
	s->ctx = ctx;
	return mu_open(s->key, &s->params, 0, ctx);
}

static hsm_status
pure_update(struct stream *s, hsm_in in, hsm_out *out)
{
	if ((s->params.flags & HSM_PARAM_PREHASHED) != 0)
		return gather_update(s, in, out);
	if (out != NULL)
		out->len = 0;
	return EVP_DigestUpdate(s->ctx, in.ptr, in.len) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static hsm_status
pure_final(struct stream *s, hsm_in sig, hsm_out *out)
{
	uint8_t mu[ML_DSA_MU];
	hsm_status st = HSM_OK;

	if ((s->params.flags & HSM_PARAM_PREHASHED) != 0)
		return gather_final(s, sig, out);
	if (s->use == MECH_SIGN && !sig_room(s->key, out, &st))
		return st;
	if ((st = mu_close(s->ctx, mu)) != HSM_OK)
		return st;
	return s->use == MECH_SIGN ? mu_sign(s->key, &s->params, mu, out) : mu_verify(s->key, mu, sig);
}

static void
pure_end(struct stream *s)
{
	if ((s->params.flags & HSM_PARAM_PREHASHED) != 0) {
		gather_end(s);
		return;
	}
	if (s->ctx != NULL)
		EVP_MD_CTX_cleanup(s->ctx);
	arena_free(s->ctx);
	s->ctx = NULL;
}

#define EACH_ML_DSA_HASH(X)                                                   \
	X(sha224, HSM_SHA224, 0x23, "SHA224") X(sha256, HSM_SHA256, 0x24, "SHA256") \
	X(sha384, HSM_SHA384, 0x25, "SHA384") X(sha512, HSM_SHA512, 0x26, "SHA512") \
	X(sha3_224, HSM_SHA3_224, 0x27, "SHA3_224") X(sha3_256, HSM_SHA3_256, 0x28, "SHA3_256") \
	X(sha3_384, HSM_SHA3_384, 0x29, "SHA3_384") X(sha3_512, HSM_SHA3_512, 0x2A, "SHA3_512") \
	X(shake128, HSM_SHAKE128, 0x2B, "SHAKE128") X(shake256, HSM_SHAKE256, 0x2C, "SHAKE256")
#define HASH_SLOTS(tag, hash, number, text)                                   \
	static hsm_status sign_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig) \
	{                                                                     \
		return hash_sign(key, params, hash, msg, sig);                \
	}                                                                     \
	static hsm_status verify_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig) \
	{                                                                     \
		return hash_verify(key, params, hash, msg, sig);              \
	}
EACH_ML_DSA_HASH(HASH_SLOTS)

/* The hash must be as strong as the set (FIPS 204, 5.4): collisions at half
 * the output's bits. */
static bool
hash_approved(const struct key *key, hsm_hash hash)
{
	const struct ml_dsa_key *k = key->ctx;
	size_t at = hash_at(hash), need = k->set->param == 44 ? 32 : k->set->param == 65 ? 48 : 64;

	return at < COUNT(hashes) && hashes[at].len >= need;
}

static bool
raw_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)use;
	return hash_approved(key, params->hash);
}

#define HASH_CHECK(tag, hash, number, text)                                   \
	static bool approved_##tag(const struct key *key, uint32_t use, const hsm_params *params) \
	{                                                                     \
		(void)use;                                                    \
		(void)params;                                                 \
		return hash_approved(key, hash);                              \
	}
EACH_ML_DSA_HASH(HASH_CHECK)

#define ML_DSA_ROW .key_type = HSM_KEY_ML_DSA, .min_bits = 44, .max_bits = 87, .heap = 1024, .depth = 131072, \
	.flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_SLOW | MECH_APPROVED
/* SHAKE streams would need the length fixed here: those two rows gather. */
#define HASH_ROW(tag, h, number, text) { .id = number, .name = "HASH_ML_DSA_" text, ML_DSA_ROW, .hash = h, \
	.approved = approved_##tag, .sign = sign_##tag, .verify = verify_##tag, GATHER_SLOTS },

static const struct mech rows[] = {
	{ .id = HSM_ML_DSA, .name = "ML_DSA", ML_DSA_ROW, .sign = pure_sign, .verify = pure_verify,
	  .begin = pure_begin, .update = pure_update, .final = pure_final, .end = pure_end },
	{ .id = HSM_HASH_ML_DSA, .name = "HASH_ML_DSA", ML_DSA_ROW, .approved = raw_approved, .sign = hash_raw_sign,
	  .verify = hash_raw_verify, GATHER_SLOTS },
	EACH_ML_DSA_HASH(HASH_ROW)
};

const struct family family_ml_dsa_sign = { rows, COUNT(rows), NULL, 0, NULL, 0 };
