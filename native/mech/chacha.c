/* chacha.c - ChaCha20-Poly1305 (RFC 8439). Not approved. */
#include <string.h>

#include <openssl/aead.h>

#include "../crypto/rng.h"
#include "family.h"

#define KEY_LEN 32u
#define IV_LEN 12u
#define TAG_LEN 16u

struct chacha_key { EVP_AEAD_CTX ctx; uint8_t bytes[KEY_LEN]; };

static hsm_status
chacha_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	hsm_status st;

	(void)params;
	(void)pub;
	if (spec.param != 0 && spec.param != KEY_LEN * 8)
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(material, KEY_LEN)) == HSM_OK && (st = rng_bytes(material->ptr, KEY_LEN)) != HSM_OK)
		secret_wipe(material);
	return st;
}

static hsm_status
chacha_load(struct key *key, hsm_in material)
{
	struct chacha_key *c;

	if (material.len != KEY_LEN)
		return HSM_E_KEY_SIZE;
	if ((c = arena_alloc(sizeof *c)) == NULL)
		return HSM_E_MEMORY;
	key->ctx = c;
	key->spec.param = KEY_LEN * 8;
	memcpy(c->bytes, material.ptr, KEY_LEN);
	if (!EVP_AEAD_CTX_init(&c->ctx, EVP_aead_chacha20_poly1305(), c->bytes, KEY_LEN, TAG_LEN, NULL))
		return library_status(HSM_E_CRYPTO);
	return HSM_OK;
}

static void
chacha_unload(struct key *key)
{
	struct chacha_key *c = key->ctx;

	EVP_AEAD_CTX_cleanup(&c->ctx);
	arena_free(c);
}

static hsm_in
chacha_value(const struct key *key)
{
	const struct chacha_key *c = key->ctx;

	return (hsm_in){ c->bytes, KEY_LEN };
}

static hsm_status
chacha_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	switch (attr) {
	case HSM_ATTR_VALUE: return out_bytes(out, chacha_value(key));
	case HSM_ATTR_VALUE_LEN: return out_number(out, KEY_LEN);
	default: return HSM_E_ATTR_TYPE;
	}
}

/* iv: given, or made here and put before the ciphertext or into iv_out. */
static hsm_status
seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const struct chacha_key *c = key->ctx;
	bool made = (params->flags & HSM_PARAM_IV_MADE) != 0;
	size_t prefix = made && params->iv_out == NULL ? IV_LEN : 0, tail = params->tag_out == NULL ? TAG_LEN : 0, tag_len;
	uint8_t iv[IV_LEN], tag[TAG_LEN];
	hsm_status st;

	if ((made && params->iv.len != 0) || (!made && params->iv.len != IV_LEN) || (params->tag_bits != 0 && params->tag_bits != 128))
		return out_done(out, HSM_E_PARAM);
	if (params->tag_out != NULL && ((st = out_need(params->tag_out, TAG_LEN)) != HSM_OK || params->tag_out->ptr == NULL))
		return st != HSM_OK ? out_done(out, st) : out_need(out, prefix + in.len);
	if ((st = out_need(out, prefix + in.len + tail)) != HSM_OK || (out->ptr == NULL && out->len > 0))
		return st;
	if (!made)
		memcpy(iv, params->iv.ptr, IV_LEN);
	else if ((st = rng_nonce(iv, IV_LEN)) != HSM_OK)
		return out_done(out, st);
	if (made && params->iv_out != NULL
	    && ((st = out_bytes(params->iv_out, (hsm_in){ iv, IV_LEN })) != HSM_OK || params->iv_out->ptr == NULL))
		return out_done(out, st != HSM_OK ? st : HSM_E_PARAM);
	if (!EVP_AEAD_CTX_seal_scatter(&c->ctx, out->ptr + prefix, tag, &tag_len, sizeof tag, iv, IV_LEN, in.ptr, in.len,
	                               NULL, 0, params->aad.ptr, params->aad.len))
		return out_done(out, library_status(HSM_E_CRYPTO));
	if (prefix > 0)
		memcpy(out->ptr, iv, prefix);
	memcpy(tail > 0 ? out->ptr + prefix + in.len : params->tag_out->ptr, tag, TAG_LEN);
	return HSM_OK;
}

static hsm_status
open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const struct chacha_key *c = key->ctx;
	hsm_in iv = params->iv, tag;
	hsm_status st;

	if (params->tag_bits != 0 && params->tag_bits != 128)
		return out_done(out, HSM_E_PARAM);
	if ((params->flags & HSM_PARAM_IV_MADE) != 0 && iv.len == 0) {
		if (in.len < IV_LEN)
			return out_done(out, HSM_E_CIPHERTEXT_LEN);
		iv = (hsm_in){ in.ptr, IV_LEN };
		in = (hsm_in){ in.ptr + IV_LEN, in.len - IV_LEN };
	}
	if (iv.len != IV_LEN)
		return out_done(out, HSM_E_PARAM);
	if (params->tag_out != NULL) {
		tag = (hsm_in){ params->tag_out->ptr, params->tag_out->len };
	} else {
		if (in.len < TAG_LEN)
			return out_done(out, HSM_E_CIPHERTEXT_LEN);
		in.len -= TAG_LEN;
		tag = (hsm_in){ in.ptr + in.len, TAG_LEN };
	}
	if (tag.len != TAG_LEN)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if ((st = out_need(out, in.len)) != HSM_OK || (out->ptr == NULL && in.len > 0))
		return st;
	if (!EVP_AEAD_CTX_open_gather(&c->ctx, out->ptr, iv.ptr, iv.len, in.ptr, in.len, tag.ptr, tag.len, params->aad.ptr, params->aad.len)) {
		if (in.len > 0)
			bytes_wipe(out->ptr, in.len);
		return out_done(out, library_status(HSM_E_CIPHERTEXT));
	}
	return HSM_OK;
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_CHACHA20, .name = "CHACHA20", .heap = sizeof(struct chacha_key) + 64, .work = 256, .depth = 2048, .generate = chacha_generate,
	  .load = chacha_load, .unload = chacha_unload, .component = chacha_component, .compose = raw_compose, .value = chacha_value },
};

static const struct mech rows[] = {
	{ .id = 0x1225, .name = "CHACHA20_KEY_GEN", .key_type = HSM_KEY_CHACHA20, .min_bits = 256, .max_bits = 256,
	  .flags = MECH_GENERATE, .heap = 512, .depth = 2048 },
	{ .id = HSM_CHACHA20_POLY1305, .name = "CHACHA20_POLY1305", .key_type = HSM_KEY_CHACHA20, .min_bits = 256, .max_bits = 256,
	  .flags = MECH_ENCRYPT | MECH_DECRYPT | MECH_WRAP | MECH_UNWRAP | MECH_STREAM | MECH_AEAD, .heap = 512, .depth = 2560,
	  .seal = seal, .open = open, GATHER_SLOTS },
};

const struct family family_chacha = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
