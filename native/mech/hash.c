/* hash.c - digests. One shot SHA-2 goes straight to the compression function
 * (no allocation); everything else through EVP. */
#include <string.h>

#include <openssl/digest.h>
#include <openssl/sha.h>

#include "family.h"
#include "primitive.h"

const EVP_MD *
hash_md(hsm_hash hash)
{
	switch (hash) {
	case HSM_SHA1: return EVP_sha1();
	case HSM_SHA224: return EVP_sha224();
	case HSM_SHA256: return EVP_sha256();
	case HSM_SHA384: return EVP_sha384();
	case HSM_SHA512: return EVP_sha512();
	case HSM_SHA512_224: return EVP_sha512_224();
	case HSM_SHA512_256: return EVP_sha512_256();
	case HSM_SHA3_224: return EVP_sha3_224();
	case HSM_SHA3_256: return EVP_sha3_256();
	case HSM_SHA3_384: return EVP_sha3_384();
	case HSM_SHA3_512: return EVP_sha3_512();
	case HSM_SHAKE128: return EVP_shake128();
	case HSM_SHAKE256: return EVP_shake256();
	case HSM_HASH_NONE: return NULL;
	}
	return NULL;
}

bool
hash_secure(hsm_hash hash)
{
	return hash != HSM_HASH_NONE && hash != HSM_SHA1;
}

size_t
primitive_hash_len(hsm_hash hash)
{
	const EVP_MD *md;

	if (hash == HSM_SHAKE128 || hash == HSM_SHAKE256)
		return 0;
	md = hash_md(hash);
	return md == NULL ? 0 : EVP_MD_size(md);
}

static hsm_status
hash_one(hsm_hash hash, hsm_in in, uint8_t *out)
{
	switch (hash) {
	case HSM_SHA224: SHA224(in.ptr, in.len, out); return HSM_OK;
	case HSM_SHA256: SHA256(in.ptr, in.len, out); return HSM_OK;
	case HSM_SHA384: SHA384(in.ptr, in.len, out); return HSM_OK;
	case HSM_SHA512: SHA512(in.ptr, in.len, out); return HSM_OK;
	default: break;
	}
	if (!EVP_Digest(in.ptr, in.len, out, NULL, hash_md(hash), NULL))
		return library_status(HSM_E_CRYPTO);
	return HSM_OK;
}

hsm_status
primitive_hash(hsm_hash hash, const hsm_in *parts, size_t n, uint8_t *out)
{
	EVP_MD_CTX ctx;
	bool ok;

	if (primitive_hash_len(hash) == 0)
		return HSM_E_PARAM;
	if (n == 1)
		return hash_one(hash, parts[0], out);
	EVP_MD_CTX_init(&ctx);
	ok = EVP_DigestInit_ex(&ctx, hash_md(hash), NULL);
	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(&ctx, parts[i].ptr, parts[i].len);
	ok = ok && EVP_DigestFinal_ex(&ctx, out, NULL);
	EVP_MD_CTX_cleanup(&ctx);
	return ok ? HSM_OK : library_status(HSM_E_CRYPTO);
}

/* The row's hash is not known to its slot, so each row has a slot of its own. */
static hsm_status
digest_with(hsm_hash hash, hsm_in in, hsm_out *out)
{
	hsm_status st = out_need(out, primitive_hash_len(hash));

	if (st != HSM_OK || out->ptr == NULL)
		return st;
	return out_done(out, hash_one(hash, in, out->ptr));
}

#define DIGEST_SLOT(name, hash)                                               \
	static hsm_status name(const hsm_params *params, hsm_in in, hsm_out *out) \
	{                                                                     \
		(void)params;                                                 \
		return digest_with(hash, in, out);                            \
	}
DIGEST_SLOT(digest_sha1, HSM_SHA1)
DIGEST_SLOT(digest_sha224, HSM_SHA224)
DIGEST_SLOT(digest_sha256, HSM_SHA256)
DIGEST_SLOT(digest_sha384, HSM_SHA384)
DIGEST_SLOT(digest_sha512, HSM_SHA512)
DIGEST_SLOT(digest_sha512_224, HSM_SHA512_224)
DIGEST_SLOT(digest_sha512_256, HSM_SHA512_256)
DIGEST_SLOT(digest_sha3_224, HSM_SHA3_224)
DIGEST_SLOT(digest_sha3_256, HSM_SHA3_256)
DIGEST_SLOT(digest_sha3_384, HSM_SHA3_384)
DIGEST_SLOT(digest_sha3_512, HSM_SHA3_512)

/* An extendable output: as many bytes as the caller has room for; asked for
 * the size, twice the security strength. */
static hsm_status
digest_xof(const EVP_MD *md, size_t usual, hsm_in in, hsm_out *out)
{
	EVP_MD_CTX ctx;
	bool ok;
	hsm_status st = out_need(out, out->ptr == NULL ? usual : out->cap);

	if (st != HSM_OK || out->ptr == NULL)
		return st;
	EVP_MD_CTX_init(&ctx);
	ok = EVP_DigestInit_ex(&ctx, md, NULL) && EVP_DigestUpdate(&ctx, in.ptr, in.len)
	     && EVP_DigestFinalXOF(&ctx, out->ptr, out->cap);
	EVP_MD_CTX_cleanup(&ctx);
	return out_done(out, ok ? HSM_OK : library_status(HSM_E_CRYPTO));
}

static hsm_status
digest_shake128(const hsm_params *params, hsm_in in, hsm_out *out)
{
	(void)params;
	return digest_xof(EVP_shake128(), 32, in, out);
}

static hsm_status
digest_shake256(const hsm_params *params, hsm_in in, hsm_out *out)
{
	(void)params;
	return digest_xof(EVP_shake256(), 64, in, out);
}

static hsm_status
digest_begin(struct stream *s)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL)
		return library_status(HSM_E_MEMORY);
	s->ctx = ctx;
	return EVP_DigestInit_ex(ctx, hash_md(s->mech->hash), NULL) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static hsm_status
digest_update(struct stream *s, hsm_in in, hsm_out *out)
{
	if (out != NULL)
		out->len = 0;
	return EVP_DigestUpdate(s->ctx, in.ptr, in.len) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static hsm_status
digest_final(struct stream *s, hsm_in sig, hsm_out *out)
{
	hsm_status st = out_need(out, primitive_hash_len(s->mech->hash));

	(void)sig;
	if (st != HSM_OK || out->ptr == NULL)
		return st;
	if (!EVP_DigestFinal_ex(s->ctx, out->ptr, NULL))
		return out_done(out, library_status(HSM_E_CRYPTO));
	return HSM_OK;
}

static hsm_status
digest_clone(const struct stream *from, struct stream *to)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL)
		return library_status(HSM_E_MEMORY);
	to->ctx = ctx;
	return EVP_MD_CTX_copy_ex(ctx, from->ctx) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static void
digest_end(struct stream *s)
{
	EVP_MD_CTX_free(s->ctx);
	s->ctx = NULL;
}

#define DIGEST_ROW(number, text, h, slot, more) { .id = number, .name = text, .key_type = HSM_KEY_ANY, \
	.flags = MECH_DIGEST | MECH_STREAM | (more), .hash = h, .heap = 768, .depth = 1536, \
	.digest = slot, .begin = digest_begin, .update = digest_update, .final = digest_final, \
	.clone = digest_clone, .end = digest_end }
#define XOF_ROW(number, text, h, slot) { .id = number, .name = text, .key_type = HSM_KEY_ANY, \
	.flags = MECH_DIGEST | MECH_APPROVED, .hash = h, .heap = 768, .depth = 1536, .digest = slot }

static const struct mech rows[] = {
	DIGEST_ROW(0x220, "SHA_1", HSM_SHA1, digest_sha1, 0),
	DIGEST_ROW(0x255, "SHA224", HSM_SHA224, digest_sha224, MECH_APPROVED),
	DIGEST_ROW(0x250, "SHA256", HSM_SHA256, digest_sha256, MECH_APPROVED),
	DIGEST_ROW(0x260, "SHA384", HSM_SHA384, digest_sha384, MECH_APPROVED),
	DIGEST_ROW(0x270, "SHA512", HSM_SHA512, digest_sha512, MECH_APPROVED),
	DIGEST_ROW(0x048, "SHA512_224", HSM_SHA512_224, digest_sha512_224, MECH_APPROVED),
	DIGEST_ROW(0x04C, "SHA512_256", HSM_SHA512_256, digest_sha512_256, MECH_APPROVED),
	DIGEST_ROW(0x2B5, "SHA3_224", HSM_SHA3_224, digest_sha3_224, MECH_APPROVED),
	DIGEST_ROW(0x2B0, "SHA3_256", HSM_SHA3_256, digest_sha3_256, MECH_APPROVED),
	DIGEST_ROW(0x2C0, "SHA3_384", HSM_SHA3_384, digest_sha3_384, MECH_APPROVED),
	DIGEST_ROW(0x2D0, "SHA3_512", HSM_SHA3_512, digest_sha3_512, MECH_APPROVED),
	/* PKCS#11 has no number for these two as digests. */
	XOF_ROW(HSM_SHAKE128_, "VENDOR_SHAKE_128", HSM_SHAKE128, digest_shake128),
	XOF_ROW(HSM_SHAKE256_, "VENDOR_SHAKE_256", HSM_SHAKE256, digest_shake256),
};

const struct family family_hash = { rows, COUNT(rows), NULL, 0, NULL, 0 };
