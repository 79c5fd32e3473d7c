/* aes.c - the AES key kind: all schedules are made when a key is loaded and
 * never change, so that no operation expands a key or takes a lock. */
#include "aes.h"

#include <string.h>

#include "../crypto/rng.h"

static bool
aes_len_fits(size_t len)
{
	return len == 16 || len == 24 || len == 32;
}

static const EVP_AEAD *
aes_gcm_of(size_t len)
{
	return len == 16 ? EVP_aead_aes_128_gcm() : len == 24 ? EVP_aead_aes_192_gcm() : EVP_aead_aes_256_gcm();
}

static hsm_status
aes_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	hsm_status st;

	(void)params;
	(void)pub;
	if (spec.param % 8 != 0 || !aes_len_fits(spec.param / 8))
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(material, spec.param / 8)) != HSM_OK)
		return st;
	if ((st = rng_bytes(material->ptr, material->len)) != HSM_OK)
		secret_wipe(material);
	return st;
}

static hsm_status
aes_load(struct key *key, hsm_in material)
{
	unsigned bits = (unsigned)material.len * 8;
	struct aes_key *a;

	if (!aes_len_fits(material.len))
		return HSM_E_KEY_SIZE;
	if ((a = arena_alloc(sizeof *a)) == NULL)
		return HSM_E_MEMORY;
	key->ctx = a;
	key->spec.param = bits;
	a->len = material.len;
	memcpy(a->bytes, material.ptr, material.len);
	if (AES_set_encrypt_key(a->bytes, bits, &a->enc) != 0 || AES_set_decrypt_key(a->bytes, bits, &a->dec) != 0)
		return library_status(HSM_E_CRYPTO);
	if (!EVP_AEAD_CTX_init(&a->gcm, aes_gcm_of(a->len), a->bytes, a->len, 16, NULL))
		return library_status(HSM_E_CRYPTO);
	return HSM_OK;
}

static void
aes_unload(struct key *key)
{
	struct aes_key *a = key->ctx;

	EVP_AEAD_CTX_cleanup(&a->gcm);
	arena_free(a);
}

static hsm_status
aes_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	static const uint8_t zero[16];
	const struct aes_key *a = aes_of(key);
	uint8_t check[16];

	switch (attr) {
	case HSM_ATTR_VALUE: return out_bytes(out, (hsm_in){ a->bytes, a->len });
	case HSM_ATTR_VALUE_LEN: return out_number(out, a->len);
	case HSM_ATTR_CHECK_VALUE:
		AES_encrypt(zero, check, &a->enc);
		return out_bytes(out, (hsm_in){ check, 3 });
	default: return HSM_E_ATTR_TYPE;
	}
}

static hsm_in
aes_value(const struct key *key)
{
	return (hsm_in){ aes_of(key)->bytes, aes_of(key)->len };
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_AES, .name = "AES", .heap = sizeof(struct aes_key) + 64, .work = 256, .depth = 2048, .generate = aes_generate,
	  .load = aes_load, .unload = aes_unload, .component = aes_component, .compose = raw_compose, .value = aes_value },
};

static const struct mech rows[] = {
	{ .id = HSM_AES_KEY_GEN, .name = "AES_KEY_GEN", .key_type = HSM_KEY_AES, .min_bits = 128, .max_bits = 256,
	  .flags = MECH_GENERATE | MECH_APPROVED, .heap = 512, .depth = 2048 },
};

const struct family family_aes = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
