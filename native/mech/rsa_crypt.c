/* rsa_crypt.c - RSA-OAEP, and RSA_AES_KEY_WRAP on top of it: a fresh AES key
 * under OAEP, then the wrapped key under KWP. */
#include <string.h>

#include <openssl/aes.h>
#include <openssl/mem.h>

#include "../crypto/rng.h"
#include "primitive.h"
#include "rsa.h"

struct oaep { const EVP_MD *hash, *mgf; size_t hash_len; };

static hsm_status
oaep_plan(const hsm_params *params, struct oaep *o)
{
	hsm_hash mgf = params->mgf == HSM_HASH_NONE ? params->hash : params->mgf;

	o->hash_len = primitive_hash_len(params->hash);
	if (o->hash_len == 0 || primitive_hash_len(mgf) == 0 || params->label.len > UINT16_MAX)
		return HSM_E_PARAM;
	o->hash = hash_md(params->hash);
	o->mgf = hash_md(mgf);
	return HSM_OK;
}

/* A context for one operation; the label is copied into it. NULL: failed. */
static EVP_PKEY_CTX *
oaep_context(const struct rsa_key *k, const struct oaep *o, hsm_in label, int (*init)(EVP_PKEY_CTX *ctx))
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
	uint8_t *copy = NULL;

	if (ctx == NULL || !init(ctx) || !EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING)
	    || !EVP_PKEY_CTX_set_rsa_oaep_md(ctx, o->hash) || !EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, o->mgf))
		goto fail;
	if (label.len > 0 && ((copy = OPENSSL_memdup(label.ptr, label.len)) == NULL
	                      || !EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, label.len)))
		goto fail;
	return ctx;                     /* the label is its own now */
fail:
	OPENSSL_free(copy);
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

hsm_status
rsa_oaep_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	static const uint8_t nothing[1];
	const struct rsa_key *k = rsa_of(key);
	EVP_PKEY_CTX *ctx;
	struct oaep o;
	size_t len;
	hsm_status st;

	if ((st = oaep_plan(params, &o)) != HSM_OK)
		return out_done(out, st);
	if (2 * o.hash_len + 2 > k->len)
		return out_done(out, HSM_E_KEY_SIZE);
	if (in.len > k->len - 2 * o.hash_len - 2)
		return out_done(out, HSM_E_DATA_LEN);
	if ((st = out_need(out, k->len)) != HSM_OK || out->ptr == NULL)
		return st;
	len = out->cap;
	if ((ctx = oaep_context(k, &o, params->label, EVP_PKEY_encrypt_init)) == NULL
	    || !EVP_PKEY_encrypt(ctx, out->ptr, &len, in.len == 0 ? nothing : in.ptr, in.len))
		st = library_status(HSM_E_CRYPTO);
	EVP_PKEY_CTX_free(ctx);
	return out_done(out, st);
}

/* Any failure is one answer: where the padding broke must not show (Manger). */
hsm_status
rsa_oaep_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	struct secret clear = SECRET_NONE;
	EVP_PKEY_CTX *ctx = NULL;
	struct oaep o;
	size_t len = k->len;
	hsm_status st;

	if ((st = oaep_plan(params, &o)) != HSM_OK)
		return out_done(out, st);
	if (in.len != k->len || 2 * o.hash_len + 2 > k->len)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if (out->ptr == NULL)
		return out_need(out, k->len - 2 * o.hash_len - 2);
	if ((st = secret_alloc(&clear, k->len)) != HSM_OK)
		return out_done(out, st);
	if ((ctx = oaep_context(k, &o, params->label, EVP_PKEY_decrypt_init)) == NULL)
		st = library_status(HSM_E_CRYPTO);
	else if (!mark_shown(EVP_PKEY_decrypt(ctx, clear.ptr, &len, in.ptr, in.len)))
		st = library_status(HSM_E_CIPHERTEXT);
	else
		st = out_shown(out, clear.ptr, len);
	EVP_PKEY_CTX_free(ctx);
	secret_wipe(&clear);
	return out_done(out, st);
}

/* ---- RSA_AES_KEY_WRAP ---------------------------------------------------------- */

static hsm_status
hybrid_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	unsigned bits = params->wrap_bits == 0 ? 256 : params->wrap_bits;
	struct secret fresh = SECRET_NONE;
	AES_KEY schedule;
	hsm_out head;
	size_t len;
	hsm_status st;

	if (bits != 128 && bits != 192 && bits != 256)
		return out_done(out, HSM_E_PARAM);
	if (in.len == 0 || in.len > UINT16_MAX)
		return out_done(out, HSM_E_DATA_LEN);
	if ((st = out_need(out, k->len + (in.len + 7) / 8 * 8 + 8)) != HSM_OK || out->ptr == NULL)
		return st;
	if ((st = secret_alloc(&fresh, bits / 8)) != HSM_OK)
		return out_done(out, st);
	head = (hsm_out){ out->ptr, k->len, 0 };
	if ((st = rng_bytes(fresh.ptr, fresh.len)) == HSM_OK
	    && (st = rsa_oaep_seal(key, params, secret_in(&fresh), &head)) == HSM_OK
	    && (AES_set_encrypt_key(fresh.ptr, bits, &schedule) != 0
	        || !AES_wrap_key_padded(&schedule, out->ptr + k->len, &len, out->cap - k->len, in.ptr, in.len)))
		st = library_status(HSM_E_CRYPTO);
	bytes_wipe(&schedule, sizeof schedule);
	secret_wipe(&fresh);
	return out_done(out, st);
}

static hsm_status
hybrid_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	struct secret clear = SECRET_NONE;
	uint8_t fresh[RSA_BITS_MAX / 8];
	hsm_out room = { fresh, sizeof fresh, 0 };
	AES_KEY schedule;
	size_t len;
	hsm_status st;

	if (in.len < k->len + 16 || (in.len - k->len) % 8 != 0)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if (out->ptr == NULL)
		return out_need(out, in.len - k->len - 8);
	if ((st = secret_alloc(&clear, in.len - k->len)) != HSM_OK)
		return out_done(out, st);
	if ((st = rsa_oaep_open(key, params, (hsm_in){ in.ptr, k->len }, &room)) != HSM_OK)
		goto out;
	st = HSM_E_CIPHERTEXT;
	if (room.len != 16 && room.len != 24 && room.len != 32)
		goto out;
	if (AES_set_decrypt_key(fresh, (unsigned)room.len * 8, &schedule) == 0
	    && mark_shown(AES_unwrap_key_padded(&schedule, clear.ptr, &len, clear.len, in.ptr + k->len, in.len - k->len)))
		st = out_shown(out, clear.ptr, len);
out:
	bytes_wipe(fresh, sizeof fresh);
	bytes_wipe(&schedule, sizeof schedule);
	secret_wipe(&clear);
	return out_done(out, st == HSM_E_CIPHERTEXT ? library_status(st) : st);
}

static bool
oaep_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)use;
	(void)params;
	return key->spec.param >= 2048;
}

#define OAEP_ROW(number, text, tag, uses) { .id = number, .name = text, .key_type = HSM_KEY_RSA, .min_bits = RSA_BITS_MIN, \
	.max_bits = RSA_BITS_MAX, .flags = (uses) | MECH_SLOW | MECH_APPROVED, .heap = 49152, .depth = 12288, \
	.approved = oaep_approved, .seal = tag##_seal, .open = tag##_open

static const struct mech rows[] = {
	OAEP_ROW(HSM_RSA_OAEP, "RSA_PKCS_OAEP", rsa_oaep, MECH_ENCRYPT | MECH_DECRYPT | MECH_WRAP | MECH_UNWRAP | MECH_STREAM),
	  GATHER_SLOTS },
	OAEP_ROW(HSM_RSA_AES_KEY_WRAP, "RSA_AES_KEY_WRAP", hybrid, MECH_WRAP | MECH_UNWRAP) },
};

const struct family family_rsa_crypt = { rows, COUNT(rows), NULL, 0, NULL, 0 };
