#include "kdk.h"

#include "../crypto/rng.h"
#include "family.h"

static hsm_status
kdk_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	hsm_status st;

	(void)params;
	(void)pub;
	if (spec.param != KDK_LEN * 8)
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(material, KDK_LEN)) != HSM_OK)
		return st;
	if ((st = rng_bytes(material->ptr, KDK_LEN)) != HSM_OK)
		secret_wipe(material);
	return st;
}

static void
kdk_unload(struct key *key)
{
	arena_free(key->ctx);
}

static hsm_status
kdk_load(struct key *key, hsm_in material)
{
	if (material.len != KDK_LEN)
		return HSM_E_KEY_SIZE;
	if ((key->ctx = arena_alloc(sizeof(struct hkey))) == NULL)
		return HSM_E_MEMORY;
	key->spec.param = KDK_LEN * 8;
	return hkey_make(key->ctx, material);
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_KDK, .name = "KDK", .heap = sizeof(struct hkey) + 64, .work = 256, .depth = 2048, .generate = kdk_generate,
	  .load = kdk_load, .unload = kdk_unload, .compose = raw_compose },
};

extern const struct family family_kdk;
const struct family family_kdk = { .kinds = kinds, .kinds_n = COUNT(kinds) };
