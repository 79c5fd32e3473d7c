/* concat.c - deriving by joining, cutting and hashing (PKCS#11 6.26, 6.20 ..).
 * None is approved: whoever chooses the data learns about the key. Which keys
 * may be derived so at all is for module/policy. */
#include <string.h>

#include <openssl/digest.h>

#include "family.h"
#include "primitive.h"

/* PKCS#11: the leading bytes are kept. */
static hsm_status
take(const hsm_params *params, size_t want, hsm_in a, hsm_in b, struct secret *out)
{
	size_t len = derive_len(params, want, a.len + b.len), first;
	hsm_status st;

	if (len == 0 || len > a.len + b.len)
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(out, len)) != HSM_OK)
		return st;
	first = a.len < len ? a.len : len;
	if (first > 0)
		memcpy(out->ptr, a.ptr, first);
	if (len > first)
		memcpy(out->ptr + first, b.ptr, len - first);
	return HSM_OK;
}

/* params->data: for BASE_AND_KEY the other key's value, which the module put
 * there from its handle. */
static hsm_status
base_and_data(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	hsm_in base = raw_value(key);

	return base.len == 0 ? HSM_E_KEY_TYPE : take(params, want, base, params->data, out);
}

static hsm_status
data_and_base(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	hsm_in base = raw_value(key);

	return base.len == 0 ? HSM_E_KEY_TYPE : take(params, want, params->data, base, out);
}

static hsm_status
xor_data(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	hsm_in base = raw_value(key);
	size_t all = base.len < params->data.len ? base.len : params->data.len;
	hsm_status st;

	if (base.len == 0)
		return HSM_E_KEY_TYPE;
	if (params->data.len == 0)
		return HSM_E_PARAM;
	if ((st = take(params, want, (hsm_in){ base.ptr, all }, HSM_NONE, out)) != HSM_OK)
		return st;
	for (size_t i = 0; i < out->len; i++)
		out->ptr[i] ^= params->data.ptr[i];
	return HSM_OK;
}

/* params->data_len: the first bit taken, counted from the left. */
static hsm_status
extract(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	hsm_in base = raw_value(key);
	size_t byte = params->data_len / 8, len;
	unsigned shift = (unsigned)(params->data_len % 8);
	hsm_status st;

	if (base.len == 0)
		return HSM_E_KEY_TYPE;
	if (byte >= base.len)
		return HSM_E_PARAM;
	len = derive_len(params, want, base.len - byte - (shift > 0));
	if (len == 0 || len > base.len - byte || (len == base.len - byte && shift > 0))
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(out, len)) != HSM_OK)
		return st;
	for (size_t i = 0; i < len; i++) {
		unsigned pair = (unsigned)base.ptr[byte + i] << 8 | (byte + i + 1 < base.len ? base.ptr[byte + i + 1] : 0u);

		out->ptr[i] = (uint8_t)(pair << shift >> 8);
	}
	return HSM_OK;
}

static hsm_status
hash_of(const struct key *key, const hsm_params *params, hsm_hash hash, size_t want, struct secret *out)
{
	uint8_t digest[PRIMITIVE_HASH_MAX];
	hsm_in base = raw_value(key);
	hsm_status st;

	if (base.len == 0)
		return HSM_E_KEY_TYPE;
	if ((st = primitive_hash(hash, &base, 1, digest)) != HSM_OK)
		return st;
	st = take(params, want, (hsm_in){ digest, primitive_hash_len(hash) }, HSM_NONE, out);
	bytes_wipe(digest, sizeof digest);
	return st;
}

static hsm_status
shake_of(const struct key *key, const hsm_params *params, hsm_hash hash, size_t want, struct secret *out)
{
	size_t len = derive_len(params, want, hash == HSM_SHAKE128 ? 32 : 64);
	hsm_in base = raw_value(key);
	EVP_MD_CTX ctx;
	hsm_status st;

	if (base.len == 0)
		return HSM_E_KEY_TYPE;
	if (len > 65536)
		return HSM_E_KEY_SIZE;
	if ((st = secret_alloc(out, len)) != HSM_OK)
		return st;
	EVP_MD_CTX_init(&ctx);
	if (!EVP_DigestInit_ex(&ctx, hash_md(hash), NULL) || !EVP_DigestUpdate(&ctx, base.ptr, base.len)
	    || !EVP_DigestFinalXOF(&ctx, out->ptr, len)) {
		st = library_status(HSM_E_CRYPTO);
		secret_wipe(out);
	}
	EVP_MD_CTX_cleanup(&ctx);
	return st;
}

#define EACH_DERIVING_HASH(X)                                                 \
	X(sha1, HSM_SHA1, 0x392, "SHA1", hash_of) X(sha256, HSM_SHA256, 0x393, "SHA256", hash_of) \
	X(sha384, HSM_SHA384, 0x394, "SHA384", hash_of) X(sha512, HSM_SHA512, 0x395, "SHA512", hash_of) \
	X(sha224, HSM_SHA224, 0x396, "SHA224", hash_of) X(sha512_224, HSM_SHA512_224, 0x04B, "SHA512_224", hash_of) \
	X(sha512_256, HSM_SHA512_256, 0x04F, "SHA512_256", hash_of) X(sha3_256, HSM_SHA3_256, 0x397, "SHA3_256", hash_of) \
	X(sha3_224, HSM_SHA3_224, 0x398, "SHA3_224", hash_of) X(sha3_384, HSM_SHA3_384, 0x399, "SHA3_384", hash_of) \
	X(sha3_512, HSM_SHA3_512, 0x39A, "SHA3_512", hash_of) X(shake128, HSM_SHAKE128, 0x39B, "SHAKE_128", shake_of) \
	X(shake256, HSM_SHAKE256, 0x39C, "SHAKE_256", shake_of)
#define HASH_SLOT(tag, hash, number, text, how)                               \
	static hsm_status tag##_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out) \
	{                                                                     \
		return how(key, params, hash, want, out);                     \
	}
EACH_DERIVING_HASH(HASH_SLOT)

#define DERIVE_ROW(number, text, slot) { .id = number, .name = text, .key_type = HSM_KEY_ANY, .min_bits = 8, .max_bits = 524288, \
	.flags = MECH_DERIVE, .heap = 16384, .depth = 2048, .derive = slot }
#define HASH_ROW(tag, hash, number, text, how) DERIVE_ROW(number, text "_KEY_DERIVATION", tag##_derive),

static const struct mech rows[] = {
	DERIVE_ROW(0x360, "CONCATENATE_BASE_AND_KEY", base_and_data),
	DERIVE_ROW(0x362, "CONCATENATE_BASE_AND_DATA", base_and_data),
	DERIVE_ROW(0x363, "CONCATENATE_DATA_AND_BASE", data_and_base),
	DERIVE_ROW(0x364, "XOR_BASE_AND_DATA", xor_data),
	DERIVE_ROW(0x365, "EXTRACT_KEY_FROM_KEY", extract),
	EACH_DERIVING_HASH(HASH_ROW)
};

const struct family family_concat = { rows, COUNT(rows), NULL, 0, NULL, 0 };
