/* aes_gcm.c - AES-GCM: one immutable context a key, shared by all threads.
 *
 * Where the core makes the iv (HSM_PARAM_IV_MADE) it comes from the DRBG's
 * pool: 96 random bits (SP 800-38D 8.2.2), or random bits after a fixed field
 * that the caller gave. It is written to iv_out, or put before the
 * ciphertext. */
#include "aes.h"

#include <string.h>

#include <openssl/cipher.h>

#include "../crypto/rng.h"
#include "primitive.h"

#define GCM_TAG 16u
#define GCM_IV 12u
#define GCM_MAX ((uint64_t)0xFFFFFFFE0u)        /* 2^36 - 32 bytes a message */

/* Everything a message needs, worked out once. */
struct gcm_plan {
	hsm_in iv;
	size_t tag_len;
	size_t prefix;                          /* bytes of iv before the ciphertext */
	uint8_t made[GCM_IV];
};

static bool
gcm_tag_fits(size_t len)
{
	return (len >= 12 && len <= 16) || len == 8 || len == 4;
}

static hsm_status
gcm_plan(const hsm_params *params, struct gcm_plan *plan)
{
	*plan = (struct gcm_plan){ .iv = params->iv, .tag_len = params->tag_bits == 0 ? GCM_TAG : params->tag_bits / 8 };
	if (params->tag_bits % 8 != 0 || !gcm_tag_fits(plan->tag_len))
		return HSM_E_PARAM;
	if ((params->flags & HSM_PARAM_IV_MADE) != 0 && params->iv_out == NULL)
		plan->prefix = GCM_IV;
	else if ((params->flags & HSM_PARAM_IV_MADE) == 0 && params->iv.len == 0)
		return HSM_E_PARAM;
	return HSM_OK;
}

/* The iv for a message to seal: what was given, or a fresh one. */
static hsm_status
gcm_iv_make(const hsm_params *params, struct gcm_plan *plan)
{
	size_t fixed = params->iv.len;
	hsm_status st;

	if ((params->flags & HSM_PARAM_IV_MADE) == 0)
		return HSM_OK;
	if (fixed > GCM_IV - 4)
		return HSM_E_PARAM;
	if (fixed > 0)
		memcpy(plan->made, params->iv.ptr, fixed);
	if (lab(LAB_IV_STUCK) != 0)
		memset(plan->made + fixed, 0x5a, GCM_IV - fixed);
	else if ((st = rng_nonce(plan->made + fixed, GCM_IV - fixed)) != HSM_OK)
		return st;
	plan->iv = (hsm_in){ plan->made, GCM_IV };
	if (params->iv_out == NULL)
		return HSM_OK;
	if ((st = out_need(params->iv_out, GCM_IV)) != HSM_OK || params->iv_out->ptr == NULL)
		return st != HSM_OK ? st : HSM_E_PARAM;
	memcpy(params->iv_out->ptr, plan->made, GCM_IV);
	return HSM_OK;
}

/* Room for the message, and for the tag where it goes apart. `asks`: only
 * the size was wanted. */
static hsm_status
gcm_room(const hsm_params *params, const struct gcm_plan *plan, size_t in_len, hsm_out *out, bool *asks)
{
	size_t tail = params->tag_out == NULL ? plan->tag_len : 0;
	hsm_status st;

	*asks = false;
	if (in_len > GCM_MAX)
		return HSM_E_DATA_LEN;
	if (params->tag_out != NULL && (st = out_need(params->tag_out, plan->tag_len)) != HSM_OK)
		return st;
	st = out_need(out, plan->prefix + in_len + tail);
	*asks = st == HSM_OK && (out->ptr == NULL ? out->len > 0 || params->tag_out == NULL || params->tag_out->ptr == NULL
	                                          : params->tag_out != NULL && params->tag_out->ptr == NULL);
	return st;
}

static hsm_status
gcm_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	struct gcm_plan plan;
	uint8_t tag[GCM_TAG], *at, *tag_at;
	size_t tag_len;
	bool asks;
	hsm_status st;

	if ((st = gcm_plan(params, &plan)) != HSM_OK)
		return out_done(out, st);
	if ((st = gcm_room(params, &plan, in.len, out, &asks)) != HSM_OK || asks)
		return out_done(out, st);
	if ((st = gcm_iv_make(params, &plan)) != HSM_OK)
		return out_done(out, st);
	at = out->ptr + plan.prefix;
	if (!EVP_AEAD_CTX_seal_scatter(&aes_of(key)->gcm, at, tag, &tag_len, sizeof tag, plan.iv.ptr, plan.iv.len,
	                               in.ptr, in.len, NULL, 0, params->aad.ptr, params->aad.len))
		return out_done(out, library_status(HSM_E_CRYPTO));
	if (plan.prefix > 0)
		memcpy(out->ptr, plan.made, plan.prefix);
	tag_at = params->tag_out != NULL ? params->tag_out->ptr : at + in.len;
	memcpy(tag_at, tag, plan.tag_len);
	return HSM_OK;
}

/* Tags shorter than 16 bytes need a context of their own. */
static bool
gcm_gather(const struct aes_key *a, const hsm_params *params, const struct gcm_plan *plan, hsm_in in, hsm_in tag, uint8_t *out)
{
	EVP_AEAD_CTX cut;
	bool ok;

	if (tag.len == GCM_TAG)
		return EVP_AEAD_CTX_open_gather(&a->gcm, out, plan->iv.ptr, plan->iv.len, in.ptr, in.len,
		                                tag.ptr, tag.len, params->aad.ptr, params->aad.len);
	if (!EVP_AEAD_CTX_init(&cut, EVP_AEAD_CTX_aead(&a->gcm), a->bytes, a->len, tag.len, NULL))
		return false;
	ok = EVP_AEAD_CTX_open_gather(&cut, out, plan->iv.ptr, plan->iv.len, in.ptr, in.len,
	                              tag.ptr, tag.len, params->aad.ptr, params->aad.len);
	EVP_AEAD_CTX_cleanup(&cut);
	return ok;
}

static hsm_status
gcm_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	struct gcm_plan plan;
	hsm_in tag;
	hsm_status st;

	if ((st = gcm_plan(params, &plan)) != HSM_OK)
		return out_done(out, st);
	if ((params->flags & HSM_PARAM_IV_MADE) != 0 && params->iv.len == 0)
		plan.prefix = GCM_IV;           /* as gcm_seal put it */
	else
		plan.prefix = 0;
	if (in.len < plan.prefix + (params->tag_out == NULL ? plan.tag_len : 0))
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if (plan.prefix > 0)
		plan.iv = (hsm_in){ in.ptr, GCM_IV };
	in = (hsm_in){ in.ptr + plan.prefix, in.len - plan.prefix };
	if (params->tag_out != NULL) {
		tag = (hsm_in){ params->tag_out->ptr, params->tag_out->len };
		if (tag.len != plan.tag_len)
			return out_done(out, HSM_E_CIPHERTEXT_LEN);
	} else {
		in.len -= plan.tag_len;
		tag = (hsm_in){ in.ptr + in.len, plan.tag_len };
	}
	if ((st = out_need(out, in.len)) != HSM_OK || (out->ptr == NULL && in.len > 0))
		return st;
	if (!gcm_gather(aes_of(key), params, &plan, in, tag, out->ptr)) {
		if (in.len > 0)
			bytes_wipe(out->ptr, in.len);
		return out_done(out, library_status(HSM_E_CIPHERTEXT));
	}
	return HSM_OK;
}

/* ---- many parts: sealing gives bytes as they come ------------------------- */

struct gcm_stream {
	EVP_CIPHER_CTX *ctx;
	struct gcm_plan plan;
	uint64_t total;
	bool started;                           /* the iv has left */
};

static const EVP_CIPHER *
gcm_cipher(size_t len)
{
	return len == 16 ? EVP_aes_128_gcm() : len == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
}

static hsm_status
gcm_begin_seal(struct stream *s)
{
	const struct aes_key *a = aes_of(s->key);
	struct gcm_stream *g = arena_alloc(sizeof *g);
	hsm_status st;
	int n;

	if (g == NULL)
		return HSM_E_MEMORY;
	s->ctx = g;
	if ((st = gcm_plan(&s->params, &g->plan)) != HSM_OK || (st = gcm_iv_make(&s->params, &g->plan)) != HSM_OK)
		return st;
	if ((g->ctx = EVP_CIPHER_CTX_new()) == NULL)
		return library_status(HSM_E_MEMORY);
	if (g->plan.iv.len > INT32_MAX || s->params.aad.len > INT32_MAX)
		return HSM_E_PARAM;
	if (!EVP_EncryptInit_ex(g->ctx, gcm_cipher(a->len), NULL, NULL, NULL)
	    || !EVP_CIPHER_CTX_ctrl(g->ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)g->plan.iv.len, NULL)
	    || !EVP_EncryptInit_ex(g->ctx, NULL, NULL, a->bytes, g->plan.iv.ptr))
		return library_status(HSM_E_CRYPTO);
	if (s->params.aad.len > 0 && !EVP_EncryptUpdate(g->ctx, NULL, &n, s->params.aad.ptr, (int)s->params.aad.len))
		return library_status(HSM_E_CRYPTO);
	return HSM_OK;
}

static hsm_status
gcm_begin(struct stream *s)
{
	return s->use == MECH_ENCRYPT ? gcm_begin_seal(s) : gather_begin(s);
}

static hsm_status
gcm_update(struct stream *s, hsm_in in, hsm_out *out)
{
	struct gcm_stream *g = s->ctx;
	size_t prefix;
	hsm_status st;
	int n = 0;

	if (s->use != MECH_ENCRYPT)
		return gather_update(s, in, out);
	prefix = g->started ? 0 : g->plan.prefix;
	if (in.len > INT32_MAX || g->total + in.len > GCM_MAX)
		return out_done(out, HSM_E_DATA_LEN);
	if ((st = out_need(out, prefix + in.len)) != HSM_OK || (out->ptr == NULL && out->len > 0))
		return st;
	if (prefix > 0)
		memcpy(out->ptr, g->plan.made, prefix);
	if (in.len > 0 && !EVP_EncryptUpdate(g->ctx, out->ptr + prefix, &n, in.ptr, (int)in.len))
		return out_done(out, library_status(HSM_E_CRYPTO));
	g->started = true;
	g->total += in.len;
	return HSM_OK;
}

static hsm_status
gcm_final(struct stream *s, hsm_in sig, hsm_out *out)
{
	struct gcm_stream *g = s->ctx;
	hsm_out *tag_out = s->params.tag_out != NULL ? s->params.tag_out : out;
	uint8_t none[16];
	size_t prefix;
	hsm_status st;
	int n;

	if (s->use != MECH_ENCRYPT)
		return gather_final(s, sig, out);
	prefix = g->started ? 0 : g->plan.prefix;
	if (tag_out != out) {
		if ((st = out_need(tag_out, g->plan.tag_len)) != HSM_OK || tag_out->ptr == NULL)
			return st;
		st = out_need(out, prefix);
	} else {
		st = out_need(out, prefix + g->plan.tag_len);
	}
	if (st != HSM_OK || (out->ptr == NULL && out->len > 0))
		return st;
	if (prefix > 0)
		memcpy(out->ptr, g->plan.made, prefix);
	if (!EVP_EncryptFinal_ex(g->ctx, none, &n)
	    || !EVP_CIPHER_CTX_ctrl(g->ctx, EVP_CTRL_AEAD_GET_TAG, (int)g->plan.tag_len,
	                            tag_out == out ? out->ptr + prefix : tag_out->ptr))
		return out_done(out, library_status(HSM_E_CRYPTO));
	return HSM_OK;
}

static void
gcm_end(struct stream *s)
{
	struct gcm_stream *g = s->ctx;

	if (s->use != MECH_ENCRYPT) {
		gather_end(s);
		return;
	}
	if (g != NULL)
		EVP_CIPHER_CTX_free(g->ctx);
	arena_free(g);
	s->ctx = NULL;
}

/* ---- GMAC: the tag over aad alone ----------------------------------------- */

static hsm_status
gmac_sign(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig)
{
	hsm_params p = *params;

	p.aad = msg;
	p.tag_out = NULL;
	if ((p.flags & HSM_PARAM_IV_MADE) != 0 && p.iv_out == NULL)
		return out_done(sig, HSM_E_PARAM);
	return gcm_seal(key, &p, HSM_NONE, sig);
}

static hsm_status
gmac_verify(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig)
{
	hsm_params p = *params;
	hsm_out none = { NULL, 0, 0 };
	hsm_status st;

	p.aad = msg;
	p.tag_out = NULL;
	p.flags &= ~HSM_PARAM_IV_MADE;
	if (sig.len != (p.tag_bits == 0 ? GCM_TAG : p.tag_bits / 8))
		return HSM_E_SIGNATURE_LEN;
	st = gcm_open(key, &p, sig, &none);
	return st == HSM_E_CIPHERTEXT ? HSM_E_SIGNATURE : st;
}

/* Encryption needs an iv made here, whole (IG C.H); opening takes any. Tags
 * below 96 bits are for the special cases of appendix C only. */
static bool
gcm_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)key;
	if (params->tag_bits != 0 && params->tag_bits < 96)
		return false;
	if (use == MECH_ENCRYPT || use == MECH_WRAP || use == MECH_SIGN)
		return (params->flags & HSM_PARAM_IV_MADE) != 0 && params->iv.len == 0;
	return true;
}

static const struct mech rows[] = {
	{ .id = HSM_AES_GCM, .name = "AES_GCM", .key_type = HSM_KEY_AES, .min_bits = 128, .max_bits = 256,
	  .flags = MECH_ENCRYPT | MECH_DECRYPT | MECH_WRAP | MECH_UNWRAP | MECH_STREAM | MECH_AEAD | MECH_COUNTED | MECH_APPROVED,
	  .heap = 2048, .depth = 4096, .brief = { 256, 2048 }, .approved = gcm_approved, .seal = gcm_seal, .open = gcm_open,
	  .begin = gcm_begin, .update = gcm_update, .final = gcm_final, .end = gcm_end },
	{ .id = HSM_AES_GMAC, .name = "AES_GMAC", .key_type = HSM_KEY_AES, .min_bits = 128, .max_bits = 256,
	  .flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_COUNTED | MECH_APPROVED, .heap = 2048, .depth = 4096,
	  .approved = gcm_approved, .sign = gmac_sign, .verify = gmac_verify, GATHER_SLOTS },
};

const struct family family_aes_gcm = { rows, COUNT(rows), NULL, 0, NULL, 0 };

/* ---- on bare bytes -------------------------------------------------------- */

static bool
bare_init(EVP_AEAD_CTX *ctx, hsm_in key)
{
	const EVP_AEAD *aead = key.len == 16 ? EVP_aead_aes_128_gcm() : EVP_aead_aes_256_gcm();

	EVP_AEAD_CTX_zero(ctx);
	return EVP_AEAD_CTX_init(ctx, aead, key.ptr, key.len, GCM_TAG, NULL);
}

hsm_status
primitive_gcm_seal(hsm_in key, const uint8_t iv[12], hsm_in aad, hsm_in clear, uint8_t *out)
{
	EVP_AEAD_CTX ctx;
	size_t tag_len;
	bool ok;

	ok = bare_init(&ctx, key)
	     && EVP_AEAD_CTX_seal_scatter(&ctx, out, out + clear.len, &tag_len, GCM_TAG, iv, GCM_IV,
	                                  clear.ptr, clear.len, NULL, 0, aad.ptr, aad.len);
	EVP_AEAD_CTX_cleanup(&ctx);
	bytes_wipe(&ctx, sizeof ctx);
	return ok ? HSM_OK : library_status(HSM_E_CRYPTO);
}

hsm_status
primitive_gcm_open(hsm_in key, const uint8_t iv[12], hsm_in aad, hsm_in sealed, uint8_t *out)
{
	EVP_AEAD_CTX ctx;
	size_t len = sealed.len - GCM_TAG;
	bool ok;

	if (sealed.len < GCM_TAG)
		return HSM_E_CIPHERTEXT;
	ok = bare_init(&ctx, key)
	     && EVP_AEAD_CTX_open_gather(&ctx, out, iv, GCM_IV, sealed.ptr, len, sealed.ptr + len, GCM_TAG, aad.ptr, aad.len);
	if (!ok && len > 0)
		bytes_wipe(out, len);
	EVP_AEAD_CTX_cleanup(&ctx);
	bytes_wipe(&ctx, sizeof ctx);
	return ok ? HSM_OK : library_status(HSM_E_CIPHERTEXT);
}
