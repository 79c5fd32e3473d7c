/* hmac.c - generic secrets (HMAC keys, key-derivation keys, access-key
 * secrets, HKDF keys) and HMAC. */
#include "hmac.h"

#include <string.h>

#include <openssl/mem.h>

#include "../crypto/rng.h"
#include "primitive.h"

#define GENERIC_MAX 65536u              /* bytes of a generic secret */

static hsm_in
generic_value(const struct key *key)
{
	const struct generic_key *g = key->ctx;

	return (hsm_in){ g->bytes, g->len };
}

/* ---- kinds --------------------------------------------------------------- */

static hsm_status
generic_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	hsm_status st;

	(void)params;
	(void)pub;
	if (spec.param == 0 || spec.param % 8 != 0 || spec.param / 8 > GENERIC_MAX)
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(material, spec.param / 8)) != HSM_OK)
		return st;
	if ((st = rng_bytes(material->ptr, material->len)) != HSM_OK)
		secret_wipe(material);
	return st;
}

static hsm_status
generic_load(struct key *key, hsm_in material)
{
	struct generic_key *g;

	if (material.len == 0 || material.len > GENERIC_MAX)
		return HSM_E_KEY_SIZE;
	if ((g = arena_alloc(sizeof *g + material.len)) == NULL)
		return HSM_E_MEMORY;
	g->len = material.len;
	memcpy(g->bytes, material.ptr, material.len);
	key->ctx = g;
	key->spec.param = (uint32_t)material.len * 8;
	return HSM_OK;
}

static void
generic_unload(struct key *key)
{
	struct generic_key *g = key->ctx;

	for (size_t i = 0; i < COUNT(g->keyed); i++)
		HMAC_CTX_free(atomic_load(&g->keyed[i]));
	arena_free(g);
}

static hsm_status
generic_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	uint8_t check[PRIMITIVE_HASH_MAX];
	hsm_in value = generic_value(key);
	hsm_status st;

	switch (attr) {
	case HSM_ATTR_VALUE: return out_bytes(out, value);
	case HSM_ATTR_VALUE_LEN: return out_number(out, value.len);
	case HSM_ATTR_CHECK_VALUE:
		if ((st = primitive_hash(HSM_SHA1, &value, 1, check)) != HSM_OK)
			return st;
		return out_bytes(out, (hsm_in){ check, 3 });
	default: return HSM_E_ATTR_TYPE;
	}
}

/* Worst case: the key, and a keyed state a hash. */
#define GENERIC_HEAP (sizeof(struct generic_key) + 256 + HSM_SHAKE128 * (sizeof(HMAC_CTX) + 16))

static const struct kind kinds[] = {
	{ .type = HSM_KEY_GENERIC, .name = "GENERIC_SECRET", .heap = GENERIC_HEAP, .work = 512, .depth = 2048, .generate = generic_generate,
	  .load = generic_load, .unload = generic_unload, .component = generic_component, .compose = raw_compose, .value = generic_value },
	{ .type = HSM_KEY_SIGV4, .name = "SIGV4", .heap = GENERIC_HEAP,
	  .load = generic_load, .unload = generic_unload, .compose = raw_compose, .value = generic_value },
	{ .type = HSM_KEY_HKDF, .name = "HKDF", .heap = GENERIC_HEAP, .work = 512, .depth = 2048, .generate = generic_generate,
	  .load = generic_load, .unload = generic_unload, .component = generic_component, .compose = raw_compose, .value = generic_value },
};

/* ---- keyed states -------------------------------------------------------- */

static hsm_status
keyed_make(struct generic_key *g, hsm_hash hash, HMAC_CTX **made)
{
	HMAC_CTX *none = NULL, *ctx = HMAC_CTX_new();

	if (ctx == NULL)
		return library_status(HSM_E_MEMORY);
	if (!HMAC_Init_ex(ctx, g->bytes, g->len, hash_md(hash), NULL)) {
		HMAC_CTX_free(ctx);
		return library_status(HSM_E_CRYPTO);
	}
	*made = ctx;
	if (!atomic_compare_exchange_strong(&g->keyed[hash], &none, ctx)) {
		*made = none;                   /* another thread was first */
		HMAC_CTX_free(ctx);
	}
	return HSM_OK;
}

/* Derivations may start from keys of other kinds, which keep no states. */
static hsm_status
keyed_once(hsm_in value, hsm_hash hash, HMAC_CTX *ctx)
{
	if (value.len == 0)
		return HSM_E_KEY_TYPE;
	return HMAC_Init_ex(ctx, value.ptr, value.len, hash_md(hash), NULL) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

hsm_status
hmac_keyed(const struct key *key, hsm_hash hash, HMAC_CTX *copy)
{
	struct generic_key *g = key->ctx;
	HMAC_CTX *ctx;
	hsm_status st;

	HMAC_CTX_init(copy);
	if (key->kind->value != generic_value)
		return keyed_once(raw_value(key), hash, copy);
	ctx = atomic_load_explicit(&g->keyed[hash], memory_order_acquire);
	if (ctx == NULL && (st = keyed_make(g, hash, &ctx)) != HSM_OK)
		return st;
	return HMAC_CTX_copy_ex(copy, ctx) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

/* The copy is plain state on the arena stack, wiped with it. */
static hsm_status
hmac_all(const struct key *key, hsm_hash hash, hsm_in msg, uint8_t *out)
{
	HMAC_CTX ctx;
	hsm_status st = hmac_keyed(key, hash, &ctx);

	if (st != HSM_OK)
		return st;
	if (!HMAC_Update(&ctx, msg.ptr, msg.len) || !HMAC_Final(&ctx, out, NULL))
		st = library_status(HSM_E_CRYPTO);
	return st;
}

/* Bytes of the MAC: all, or what a GENERAL row was asked for. */
static hsm_status
mac_len(const hsm_params *params, hsm_hash hash, bool general, size_t *len)
{
	size_t full = primitive_hash_len(hash);

	*len = full;
	if (!general)
		return HSM_OK;
	if (params == NULL || params->tag_bits == 0 || params->tag_bits % 8 != 0 || params->tag_bits / 8 > full)
		return HSM_E_PARAM;
	*len = params->tag_bits / 8;
	return HSM_OK;
}

static hsm_status
sign_with(const struct key *key, const hsm_params *params, hsm_hash hash, bool general, hsm_in msg, hsm_out *sig)
{
	uint8_t mac[PRIMITIVE_HASH_MAX];
	size_t len;
	hsm_status st;

	if ((st = mac_len(params, hash, general, &len)) != HSM_OK)
		return out_done(sig, st);
	if ((st = out_need(sig, len)) != HSM_OK || sig->ptr == NULL)
		return st;
	if ((st = hmac_all(key, hash, msg, mac)) != HSM_OK)
		return out_done(sig, st);
	memcpy(sig->ptr, mac, len);
	return HSM_OK;
}

static hsm_status
verify_with(const struct key *key, const hsm_params *params, hsm_hash hash, bool general, hsm_in msg, hsm_in sig)
{
	uint8_t mac[PRIMITIVE_HASH_MAX];
	size_t len;
	hsm_status st;

	if ((st = mac_len(params, hash, general, &len)) != HSM_OK)
		return st;
	if (sig.len != len)
		return HSM_E_SIGNATURE_LEN;
	if ((st = hmac_all(key, hash, msg, mac)) != HSM_OK)
		return st;
	return mac_compare(mac, sig.ptr, len);
}

/* ---- many parts ---------------------------------------------------------- */

static hsm_status
hmac_begin(struct stream *s)
{
	HMAC_CTX *ctx = arena_alloc(sizeof *ctx);

	if (ctx == NULL)
		return HSM_E_MEMORY;
	s->ctx = ctx;
	return hmac_keyed(s->key, s->mech->hash, ctx);
}

static hsm_status
hmac_update(struct stream *s, hsm_in in, hsm_out *out)
{
	if (out != NULL)
		out->len = 0;
	return HMAC_Update(s->ctx, in.ptr, in.len) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static hsm_status
final_with(struct stream *s, bool general, hsm_in sig, hsm_out *out)
{
	uint8_t mac[PRIMITIVE_HASH_MAX];
	size_t len;
	hsm_status st;

	if ((st = mac_len(&s->params, s->mech->hash, general, &len)) != HSM_OK)
		return st;
	if (s->use == MECH_VERIFY && sig.len != len)
		return HSM_E_SIGNATURE_LEN;
	if (s->use == MECH_SIGN && ((st = out_need(out, len)) != HSM_OK || out->ptr == NULL))
		return st;
	if (!HMAC_Final(s->ctx, mac, NULL))
		return library_status(HSM_E_CRYPTO);
	if (s->use == MECH_VERIFY)
		return mac_compare(mac, sig.ptr, len);
	memcpy(out->ptr, mac, len);
	return HSM_OK;
}

static hsm_status
hmac_final(struct stream *s, hsm_in sig, hsm_out *out)
{
	return final_with(s, false, sig, out);
}

static hsm_status
general_final(struct stream *s, hsm_in sig, hsm_out *out)
{
	return final_with(s, true, sig, out);
}

static hsm_status
hmac_clone(const struct stream *from, struct stream *to)
{
	HMAC_CTX *ctx = arena_alloc(sizeof *ctx);

	if (ctx == NULL)
		return HSM_E_MEMORY;
	to->ctx = ctx;
	HMAC_CTX_init(ctx);
	return HMAC_CTX_copy_ex(ctx, from->ctx) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static void
hmac_end(struct stream *s)
{
	if (s->ctx != NULL)
		HMAC_CTX_cleanup(s->ctx);
	arena_free(s->ctx);
	s->ctx = NULL;
}

/* SP 800-131A: keys of at least 112 bits to make a MAC; any to check one.
 * SP 800-107: a MAC cut below 32 bits is none. */
static bool
hmac_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	if (params != NULL && params->tag_bits != 0 && params->tag_bits < 32)
		return false;
	return use == MECH_VERIFY || key->spec.param >= 112;
}

/* ---- rows ---------------------------------------------------------------- */

#define HMAC_SLOTS(tag, hash)                                                 \
	static hsm_status sign_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig) \
	{                                                                     \
		return sign_with(key, params, hash, false, msg, sig);         \
	}                                                                     \
	static hsm_status verify_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig) \
	{                                                                     \
		return verify_with(key, params, hash, false, msg, sig);       \
	}                                                                     \
	static hsm_status sign_general_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig) \
	{                                                                     \
		return sign_with(key, params, hash, true, msg, sig);          \
	}                                                                     \
	static hsm_status verify_general_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig) \
	{                                                                     \
		return verify_with(key, params, hash, true, msg, sig);        \
	}
#define HMAC_ROWS(tag, h, number, text)                                       \
	{ .id = (number), .name = text "_HMAC", .key_type = HSM_KEY_GENERIC, .min_bits = 8, .max_bits = GENERIC_MAX * 8, \
	  .flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_APPROVED, .hash = h, .heap = 2048, .depth = 3072, \
	  .approved = hmac_approved, .sign = sign_##tag, .verify = verify_##tag, .begin = hmac_begin, .update = hmac_update, \
	  .final = hmac_final, .clone = hmac_clone, .end = hmac_end },        \
	{ .id = (number) + 1, .name = text "_HMAC_GENERAL", .key_type = HSM_KEY_GENERIC, .min_bits = 8, .max_bits = GENERIC_MAX * 8, \
	  .flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_APPROVED, .hash = h, .heap = 2048, .depth = 3072, \
	  .approved = hmac_approved, .sign = sign_general_##tag, .verify = verify_general_##tag, .begin = hmac_begin, \
	  .update = hmac_update, .final = general_final, .clone = hmac_clone, .end = hmac_end }

#define EACH_HMAC(X)                                                          \
	X(sha1, HSM_SHA1, 0x221, "SHA_1")                                     \
	X(sha224, HSM_SHA224, 0x256, "SHA224")                                \
	X(sha256, HSM_SHA256, 0x251, "SHA256")                                \
	X(sha384, HSM_SHA384, 0x261, "SHA384")                                \
	X(sha512, HSM_SHA512, 0x271, "SHA512")                                \
	X(sha512_224, HSM_SHA512_224, 0x049, "SHA512_224")                    \
	X(sha512_256, HSM_SHA512_256, 0x04D, "SHA512_256")                    \
	X(sha3_224, HSM_SHA3_224, 0x2B6, "SHA3_224")                          \
	X(sha3_256, HSM_SHA3_256, 0x2B1, "SHA3_256")                          \
	X(sha3_384, HSM_SHA3_384, 0x2C1, "SHA3_384")                          \
	X(sha3_512, HSM_SHA3_512, 0x2D1, "SHA3_512")

#define AS_SLOTS(tag, h, number, text) HMAC_SLOTS(tag, h)
#define AS_ROWS(tag, h, number, text) HMAC_ROWS(tag, h, number, text),
EACH_HMAC(AS_SLOTS)

#define KEY_GEN(number, text, type, least, most, more) { .id = number, .name = text, .key_type = type, .min_bits = least, \
	.max_bits = most, .flags = MECH_GENERATE | (more), .heap = 512, .depth = 2048 }

static const struct mech rows[] = {
	KEY_GEN(HSM_GENERIC_SECRET_KEY_GEN, "GENERIC_SECRET_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(HSM_KDK_KEY_GEN, "VENDOR_KDK_KEY_GEN", HSM_KEY_KDK, 256, 256, MECH_APPROVED),
	KEY_GEN(0x402C, "HKDF_KEY_GEN", HSM_KEY_HKDF, 8, GENERIC_MAX * 8, MECH_APPROVED),
	/* Keys of CKK_<hash>_HMAC: generic secrets here. */
	KEY_GEN(0x4003, "SHA_1_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x4004, "SHA224_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x4005, "SHA256_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x4006, "SHA384_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x4007, "SHA512_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x4008, "SHA512_224_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x4009, "SHA512_256_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x2B8, "SHA3_224_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x2B3, "SHA3_256_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x2C3, "SHA3_384_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	KEY_GEN(0x2D3, "SHA3_512_KEY_GEN", HSM_KEY_GENERIC, 8, GENERIC_MAX * 8, MECH_APPROVED),
	EACH_HMAC(AS_ROWS)
};

const struct family family_hmac = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };

/* ---- on bare bytes ------------------------------------------------------- */

hsm_status
primitive_hmac(hsm_hash hash, hsm_in key, const hsm_in *parts, size_t n, uint8_t *out)
{
	HMAC_CTX ctx;
	bool ok;

	if (primitive_hash_len(hash) == 0)
		return HSM_E_PARAM;
	HMAC_CTX_init(&ctx);
	/* AWS-LC takes a NULL key for "keep the last one". */
	ok = HMAC_Init_ex(&ctx, key.len == 0 ? (const uint8_t *)"" : key.ptr, key.len, hash_md(hash), NULL);
	for (size_t i = 0; ok && i < n; i++)
		ok = HMAC_Update(&ctx, parts[i].ptr, parts[i].len);
	ok = ok && HMAC_Final(&ctx, out, NULL);
	HMAC_CTX_cleanup(&ctx);
	return ok ? HSM_OK : library_status(HSM_E_CRYPTO);
}
