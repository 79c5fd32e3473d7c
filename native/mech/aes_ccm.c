/* aes_ccm.c - AES-CCM (SP 800-38C). The mode needs the message's length
 * before its first byte, so many parts are gathered and done at the end. */
#include <string.h>

#include <openssl/cipher.h>

#include "../crypto/rng.h"
#include "aes.h"

#define CCM_IV_MADE 13u                 /* bytes of an iv made here */

static const EVP_CIPHER *
ccm_cipher(size_t len)
{
	return len == 16 ? EVP_aes_128_ccm() : len == 24 ? EVP_aes_192_ccm() : EVP_aes_256_ccm();
}

struct ccm_plan { hsm_in iv; size_t tag_len, prefix; uint8_t made[CCM_IV_MADE]; };

static hsm_status
ccm_plan(const hsm_params *params, size_t in_len, bool encrypt, struct ccm_plan *p)
{
	hsm_status st;

	*p = (struct ccm_plan){ .iv = params->iv, .tag_len = params->tag_bits == 0 ? 16 : params->tag_bits / 8 };
	if (params->tag_bits % 16 != 0 || p->tag_len < 4 || p->tag_len > 16)
		return HSM_E_PARAM;
	if ((params->flags & HSM_PARAM_IV_MADE) != 0 && params->iv.len == 0) {
		p->prefix = params->iv_out == NULL ? CCM_IV_MADE : 0;
		if (encrypt && (st = rng_nonce(p->made, CCM_IV_MADE)) != HSM_OK)
			return st;
		p->iv = (hsm_in){ p->made, CCM_IV_MADE };
	}
	if (p->iv.len < 7 || p->iv.len > 13 || params->aad.len > INT32_MAX)
		return HSM_E_PARAM;
	/* The length field has 15 - iv bytes. */
	if (in_len > INT32_MAX || (15 - p->iv.len < 4 && in_len >> (8 * (15 - p->iv.len)) != 0))
		return encrypt ? HSM_E_DATA_LEN : HSM_E_CIPHERTEXT_LEN;
	return HSM_OK;
}

/* tag: written when encrypting, checked when decrypting. */
static bool
ccm_run(const struct aes_key *a, const hsm_params *params, const struct ccm_plan *p, hsm_in in, uint8_t *out, uint8_t *tag, bool encrypt)
{
	static const uint8_t nothing[1];
	uint8_t none[16];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, enc = encrypt ? 1 : 0;
	bool ok;

	ok = ctx != NULL && EVP_CipherInit_ex(ctx, ccm_cipher(a->len), NULL, NULL, NULL, enc)
	     && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)p->iv.len, NULL)
	     && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)p->tag_len, encrypt ? NULL : tag)
	     && EVP_CipherInit_ex(ctx, NULL, NULL, a->bytes, p->iv.ptr, enc)
	     && EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)in.len)
	     && (params->aad.len == 0 || EVP_CipherUpdate(ctx, NULL, &n, params->aad.ptr, (int)params->aad.len))
	     && EVP_CipherUpdate(ctx, out == NULL ? none : out, &n, in.len == 0 ? nothing : in.ptr, (int)in.len)
	     && (!encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)p->tag_len, tag));
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static hsm_status
ccm_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	struct ccm_plan p;
	uint8_t *tag;
	hsm_status st;

	if ((st = ccm_plan(params, in.len, true, &p)) != HSM_OK)
		return out_done(out, st);
	if (params->tag_out != NULL && ((st = out_need(params->tag_out, p.tag_len)) != HSM_OK || params->tag_out->ptr == NULL))
		return st != HSM_OK ? out_done(out, st) : out_need(out, p.prefix + in.len);
	if ((st = out_need(out, p.prefix + in.len + (params->tag_out == NULL ? p.tag_len : 0))) != HSM_OK
	    || (out->ptr == NULL && out->len > 0))
		return st;
	if (params->iv_out != NULL && p.iv.ptr == p.made
	    && ((st = out_bytes(params->iv_out, p.iv)) != HSM_OK || params->iv_out->ptr == NULL))
		return out_done(out, st != HSM_OK ? st : HSM_E_PARAM);
	tag = params->tag_out != NULL ? params->tag_out->ptr : out->ptr + p.prefix + in.len;
	if (!ccm_run(aes_of(key), params, &p, in, out->ptr == NULL ? NULL : out->ptr + p.prefix, tag, true))
		return out_done(out, library_status(HSM_E_CRYPTO));
	if (p.prefix > 0)
		memcpy(out->ptr, p.made, p.prefix);
	return HSM_OK;
}

static hsm_status
ccm_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	struct ccm_plan p;
	uint8_t tag[16];
	hsm_in given;
	size_t tail;
	hsm_status st;

	if ((st = ccm_plan(params, in.len, false, &p)) != HSM_OK)
		return out_done(out, st);
	tail = params->tag_out == NULL ? p.tag_len : 0;
	if (p.iv.ptr == p.made)
		p.prefix = CCM_IV_MADE;         /* as ccm_seal put it */
	if (in.len < p.prefix + tail)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if (p.prefix > 0)
		memcpy(p.made, in.ptr, p.prefix);
	in = (hsm_in){ in.ptr + p.prefix, in.len - p.prefix - tail };
	given = params->tag_out == NULL ? (hsm_in){ in.ptr + in.len, tail } : (hsm_in){ params->tag_out->ptr, params->tag_out->len };
	if (given.len != p.tag_len)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	memcpy(tag, given.ptr, p.tag_len);
	if ((st = out_need(out, in.len)) != HSM_OK || (out->ptr == NULL && in.len > 0))
		return st;
	if (!ccm_run(aes_of(key), params, &p, in, out->ptr, tag, false)) {
		if (in.len > 0)
			bytes_wipe(out->ptr, in.len);
		return out_done(out, library_status(HSM_E_CIPHERTEXT));
	}
	return HSM_OK;
}

/* As with GCM: what encrypts needs a nonce made here. */
static bool
ccm_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)key;
	if (params->tag_bits != 0 && params->tag_bits < 64)
		return false;
	return use == MECH_DECRYPT || use == MECH_UNWRAP || ((params->flags & HSM_PARAM_IV_MADE) != 0 && params->iv.len == 0);
}

static const struct mech rows[] = {
	{ .id = HSM_AES_CCM, .name = "AES_CCM", .key_type = HSM_KEY_AES, .min_bits = 128, .max_bits = 256,
	  .flags = MECH_ENCRYPT | MECH_DECRYPT | MECH_WRAP | MECH_UNWRAP | MECH_STREAM | MECH_AEAD | MECH_APPROVED,
	  .heap = 1536, .depth = 2048, .approved = ccm_approved, .seal = ccm_seal, .open = ccm_open, GATHER_SLOTS },
};

const struct family family_aes_ccm = { rows, COUNT(rows), NULL, 0, NULL, 0 };
