/* cryptoki_arguments.h - what cryptoki_fuzz passes: handles, buffers, mechanisms
 * and templates, mostly sensible, sometimes not. Everything is drawn from one
 * word per call, and lies in a block of exactly its length, so that a sanitizer
 * sees one byte too far and whatever is kept after the call. */
#ifndef STRONGROOM_FUZZ_CRYPTOKI_ARGUMENTS_H
#define STRONGROOM_FUZZ_CRYPTOKI_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pkcs11.h>

#define LENGTH(list) (sizeof(list) / sizeof(list)[0])

/* ---- chance ------------------------------------------------------------------------ */

static uint64_t chance_word;

static void
chance_begin(uint32_t seed)
{
	chance_word = (seed + 1u) * 0x9E3779B97F4A7C15u;
}

static uint32_t
below(uint32_t n)
{
	chance_word ^= chance_word << 13;
	chance_word ^= chance_word >> 7;
	chance_word ^= chance_word << 17;
	return n == 0 ? 0 : (uint32_t)((chance_word >> 16) % n);
}

static bool
one_in(uint32_t n)
{
	return below(n) == 0;
}

/* ---- blocks, given back after the call ------------------------------------------------- */

static void *blocks[512];
static size_t blocks_len;

static void *
block(size_t len)
{
	uint8_t *made = malloc(len + (len == 0));

	if (made == NULL || blocks_len == LENGTH(blocks))
		abort();
	for (size_t i = 0; i < len; i++)
		made[i] = (uint8_t)below(256);
	return blocks[blocks_len++] = made;
}

static void *
block_of(const void *bytes, size_t len)
{
	return memcpy(block(len), bytes, len);
}

static void
blocks_free(void)
{
	while (blocks_len > 0)
		free(blocks[--blocks_len]);
}

static uint32_t
some_length(void)
{
	static const uint16_t likely[] = { 0, 1, 8, 12, 15, 16, 17, 20, 24, 32, 48, 64, 65, 100, 128, 256, 300, 1000, 4096 };

	return one_in(4) ? below(200) : likely[below(LENGTH(likely))];
}

/* ---- handles -------------------------------------------------------------------------- */

#define POOL 24
struct pool { CK_ULONG at[POOL]; size_t len, kept; };
static struct pool sessions, objects;

static void
pool_add(struct pool *pool, CK_ULONG handle)
{
	if (pool->len < POOL)
		pool->at[pool->len++] = handle;
	else
		pool->at[pool->kept + below((uint32_t)(POOL - pool->kept))] = handle;
}

static CK_ULONG
pool_pick(const struct pool *pool)
{
	static const CK_ULONG odd[] = { 0, 1, 0x10001, ~0UL, 1UL << 60, (1UL << 60) + 1, 0x7FFFFFFF };

	if (pool->len == 0 || one_in(40))
		return odd[below(LENGTH(odd))];
	return pool->at[below((uint32_t)pool->len)];
}

/* ---- bytes in and out -------------------------------------------------------------------- */

struct in { CK_BYTE *ptr; CK_ULONG len; };
struct out { CK_BYTE *ptr; CK_ULONG *len; CK_ULONG cap; };

/* What the last call wrote: the likeliest thing to be decrypted or verified. */
static uint8_t last_out[8192];
static size_t last_len;

static struct in
some_bytes(void)
{
	uint32_t len = some_length();

	switch (below(48)) {
	case 0:
		return (struct in){ NULL, len };
	case 1:
		return (struct in){ block(len), ~0UL - len };
	case 2:
		return (struct in){ NULL, 0 };
	default:
		break;
	}
	if (last_len != 0 && one_in(3))
		return (struct in){ block_of(last_out, last_len), last_len };
	return (struct in){ block(len), len };
}

static struct out
some_room(void)
{
	CK_ULONG len = one_in(3) ? some_length() : 4096;
	CK_ULONG *said = block_of(&len, sizeof len);

	if (one_in(40))
		return (struct out){ block(len), NULL, 0 };
	if (one_in(5))
		return (struct out){ NULL, said, 0 };
	return (struct out){ block(len), said, len };
}

/* ---- mechanisms ---------------------------------------------------------------------------- */

static CK_MECHANISM_TYPE mechanisms[512];
static CK_ULONG mechanisms_len;

static CK_MECHANISM_TYPE
some_hash(void)
{
	static const CK_MECHANISM_TYPE likely[] = { CKM_SHA256, CKM_SHA_1, CKM_SHA384, CKM_SHA512, CKM_SHA3_256, CKM_SHA224, CKM_AES_CBC };

	return likely[below(LENGTH(likely))];
}

static CK_ULONG
some_bits(void)
{
	static const CK_ULONG likely[] = { 128, 96, 0, 64, 32, 8, 120, 256, 127, ~0UL };

	return likely[one_in(2) ? 0 : below(LENGTH(likely))];
}

#define GIVE(type, ...) (*size = sizeof(type), block_of(&(type){ __VA_ARGS__ }, sizeof(type)))

/* What a structure's pointers point to belongs to the caller: each mechanism
 * gets its own structure, with any numbers in it, or bytes that are none. */

static void *
params_gcm(CK_ULONG *size)
{
	CK_ULONG iv_len = one_in(4) ? below(20) : 12, aad_len = below(40);

	return GIVE(CK_GCM_PARAMS, block(iv_len), iv_len, iv_len * 8, block(aad_len), aad_len, some_bits());
}

static void *
params_ccm(CK_ULONG *size)
{
	CK_ULONG iv_len = one_in(4) ? below(20) : 12, aad_len = below(40);

	return GIVE(CK_CCM_PARAMS, some_length(), block(iv_len), iv_len, block(aad_len), aad_len, some_bits() / 8);
}

static void *
params_poly(CK_ULONG *size)
{
	CK_ULONG iv_len = one_in(4) ? below(20) : 12, aad_len = below(40);

	return GIVE(CK_SALSA20_CHACHA20_POLY1305_PARAMS, block(iv_len), iv_len, block(aad_len), aad_len);
}

static void *
params_oaep(CK_ULONG *size)
{
	CK_ULONG n = one_in(2) ? 0 : below(60);

	return GIVE(CK_RSA_PKCS_OAEP_PARAMS, some_hash(), one_in(2) ? CKG_MGF1_SHA256 : below(10), one_in(8) ? below(3) : CKZ_DATA_SPECIFIED, block(n), n);
}

static void *
params_rsa_aes(CK_ULONG *size)
{
	CK_RSA_PKCS_OAEP_PARAMS *oaep = params_oaep(size);

	return GIVE(CK_RSA_AES_KEY_WRAP_PARAMS, 64 * below(6), one_in(20) ? NULL : oaep);
}

static void *
params_ecdh(CK_ULONG *size)
{
	CK_ULONG shared = below(20), n = one_in(4) ? below(100) : 65;

	return GIVE(CK_ECDH1_DERIVE_PARAMS, one_in(2) ? CKD_NULL : below(24), shared, block(shared), n, block(n));
}

static void *
params_context(CK_ULONG *size, CK_MECHANISM_TYPE type)
{
	CK_ULONG n = below(300);

	if (type == CKM_EDDSA)
		return GIVE(CK_EDDSA_PARAMS, (CK_BBOOL)below(2), n, block(n));
	if (type == CKM_HASH_ML_DSA)
		return GIVE(CK_HASH_SIGN_ADDITIONAL_CONTEXT, below(4), block(n), n, some_hash());
	return GIVE(CK_SIGN_ADDITIONAL_CONTEXT, below(4), block(n), n);
}

static void *
params_hkdf(CK_ULONG *size)
{
	CK_ULONG n = below(60);

	return GIVE(CK_HKDF_PARAMS, (CK_BBOOL)below(2), (CK_BBOOL)below(2), some_hash(), 1u << below(4), block(n), n, pool_pick(&objects), block(9), 9);
}

static void *
params_kbkdf(CK_ULONG *size)
{
	static CK_SP800_108_COUNTER_FORMAT counter = { CK_FALSE, 32 };
	static CK_SP800_108_DKM_LENGTH_FORMAT length = { CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32 };
	CK_ULONG n = below(5), bytes = below(30);
	CK_PRF_DATA_PARAM *parts = block(n * sizeof *parts);

	for (CK_ULONG i = 0; i < n; i++)
		switch (i == 0 ? 0 : below(4)) {
		case 0:
			parts[i] = (CK_PRF_DATA_PARAM){ CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof counter };
			break;
		case 1:
			parts[i] = (CK_PRF_DATA_PARAM){ CK_SP800_108_DKM_LENGTH, &length, sizeof length };
			break;
		default:
			parts[i] = (CK_PRF_DATA_PARAM){ CK_SP800_108_BYTE_ARRAY, block(bytes), bytes };
			break;
		}
	return GIVE(CK_SP800_108_KDF_PARAMS, one_in(4) ? CKM_AES_CMAC : CKM_SHA256_HMAC, n, parts, 0, NULL);
}

static void *
params_derive(CK_ULONG *size, CK_MECHANISM_TYPE type)
{
	CK_ULONG n = one_in(2) ? 16 * (1 + below(4)) : below(60);

	switch (type) {
	case CKM_ECDH1_DERIVE:
	case CKM_ECDH1_COFACTOR_DERIVE:
		return params_ecdh(size);
	case CKM_HKDF_DERIVE:
	case CKM_HKDF_DATA:
		return params_hkdf(size);
	case CKM_SP800_108_COUNTER_KDF:
		return params_kbkdf(size);
	case CKM_PKCS5_PBKD2:
		return GIVE(CK_PKCS5_PBKD2_PARAMS2, one_in(9) ? 0 : 1, block(n), n, below(20), 1u + below(9), NULL, 0, block(8), 8);
	case CKM_CONCATENATE_BASE_AND_DATA:
	case CKM_CONCATENATE_DATA_AND_BASE:
	case CKM_XOR_BASE_AND_DATA:
	case CKM_AES_ECB_ENCRYPT_DATA:
	case CKM_DES3_ECB_ENCRYPT_DATA:
		return GIVE(CK_KEY_DERIVATION_STRING_DATA, block(n), n);
	case CKM_AES_CBC_ENCRYPT_DATA:
		return GIVE(CK_AES_CBC_ENCRYPT_DATA_PARAMS, { 1, 2 }, block(n), n);
	case CKM_DES3_CBC_ENCRYPT_DATA:
		return GIVE(CK_DES_CBC_ENCRYPT_DATA_PARAMS, { 1, 2 }, block(n), n);
	case CKM_CONCATENATE_BASE_AND_KEY:
		return GIVE(CK_OBJECT_HANDLE, pool_pick(&objects));
	case CKM_EXTRACT_KEY_FROM_KEY:
		return GIVE(CK_EXTRACT_PARAMS, below(400));
	default:
		return NULL;
	}
}

static void *
params_crypt(CK_ULONG *size, CK_MECHANISM_TYPE type)
{
	switch (type) {
	case CKM_AES_GCM:
	case CKM_AES_GMAC:
		return params_gcm(size);
	case CKM_AES_CCM:
		return params_ccm(size);
	case CKM_CHACHA20_POLY1305:
		return params_poly(size);
	case CKM_CHACHA20:
		return GIVE(CK_CHACHA20_PARAMS, block(8), one_in(2) ? 32 : 64, block(12), 96);
	case CKM_AES_CTR:
		return GIVE(CK_AES_CTR_PARAMS, some_bits(), { 9 });
	case CKM_RSA_PKCS_OAEP:
		return params_oaep(size);
	case CKM_RSA_AES_KEY_WRAP:
		return params_rsa_aes(size);
	case CKM_AES_CBC:
	case CKM_AES_CBC_PAD:
	case CKM_AES_CTS:
	case CKM_AES_XTS:
		return *size = 16, block(16);
	default:
		return params_derive(size, type);
	}
}

static bool
is_pss(CK_MECHANISM_TYPE type)
{
	static const CK_MECHANISM_TYPE all[] = { CKM_RSA_PKCS_PSS, CKM_SHA1_RSA_PKCS_PSS, CKM_SHA224_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS_PSS,
		CKM_SHA384_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS, CKM_SHA3_256_RSA_PKCS_PSS };

	for (size_t i = 0; i < LENGTH(all); i++)
		if (all[i] == type)
			return true;
	return false;
}

static void *
params_of(CK_MECHANISM_TYPE type, CK_ULONG *size)
{
	*size = 0;
	if (one_in(16))
		return *size = 1 + 2 * below(20), block(*size);
	if (is_pss(type))
		return GIVE(CK_RSA_PKCS_PSS_PARAMS, one_in(3) ? some_hash() : CKM_SHA256, one_in(3) ? below(10) : CKG_MGF1_SHA256, one_in(2) ? 32 : below(300));
	if (type == CKM_EDDSA || type == CKM_HASH_ML_DSA || type == CKM_ML_DSA)
		return type != CKM_HASH_ML_DSA && one_in(2) ? NULL : params_context(size, type);
	if (type >= CKM_SHA256_HMAC_GENERAL && type <= CKM_SHA3_512_HMAC_GENERAL && type % 16 == 2)
		return GIVE(CK_MAC_GENERAL_PARAMS, below(70));
	return params_crypt(size, type);
}

static CK_MECHANISM *
mechanism_of(CK_MECHANISM_TYPE type)
{
	CK_MECHANISM m = { type, NULL, 0 };

	m.pParameter = params_of(type, &m.ulParameterLen);
	/* Never longer than it is: that would be the caller's fault. */
	if (one_in(40) && m.ulParameterLen != 0)
		m.ulParameterLen = below((uint32_t)m.ulParameterLen);
	if (one_in(60))
		m.pParameter = NULL;
	return block_of(&m, sizeof m);
}

/* Half the time the same as last time: what was encrypted is to be decrypted. */
static CK_MECHANISM *
some_mechanism(void)
{
	static uint32_t last;
	uint64_t word;
	CK_MECHANISM *made;

	if (one_in(80))
		return NULL;
	if (one_in(2))
		last = below(1u << 30);
	word = chance_word;
	chance_begin(last);
	made = mechanism_of(one_in(30) ? below(0x5000) : mechanisms[below((uint32_t)mechanisms_len)]);
	chance_word = word;
	return made;
}

static CK_MECHANISM *
one_of(const CK_MECHANISM_TYPE *likely, uint32_t n)
{
	return one_in(12) ? some_mechanism() : mechanism_of(likely[below(n)]);
}

/* ---- templates ------------------------------------------------------------------------------- */

enum kind { K_FLAG, K_NUMBER, K_BYTES, K_CURVE, K_TEMPLATE, K_DATE };
static const struct { CK_ATTRIBUTE_TYPE type; enum kind kind; CK_ULONG likely[6]; } attributes[] = {
	{ CKA_CLASS, K_NUMBER, { CKO_SECRET_KEY, CKO_DATA, CKO_PUBLIC_KEY, CKO_PRIVATE_KEY, CKO_CERTIFICATE, CKO_DOMAIN_PARAMETERS } },
	{ CKA_KEY_TYPE, K_NUMBER, { CKK_AES, CKK_GENERIC_SECRET, CKK_RSA, CKK_EC, CKK_ML_DSA, CKK_EC_EDWARDS } },
	{ CKA_TOKEN, K_FLAG, { 0 } }, { CKA_PRIVATE, K_FLAG, { 0 } }, { CKA_SENSITIVE, K_FLAG, { 0 } }, { CKA_EXTRACTABLE, K_FLAG, { 0 } },
	{ CKA_ENCRYPT, K_FLAG, { 0 } }, { CKA_DECRYPT, K_FLAG, { 0 } }, { CKA_SIGN, K_FLAG, { 0 } }, { CKA_VERIFY, K_FLAG, { 0 } },
	{ CKA_WRAP, K_FLAG, { 0 } }, { CKA_UNWRAP, K_FLAG, { 0 } }, { CKA_DERIVE, K_FLAG, { 0 } }, { CKA_MODIFIABLE, K_FLAG, { 0 } },
	{ CKA_COPYABLE, K_FLAG, { 0 } }, { CKA_DESTROYABLE, K_FLAG, { 0 } }, { CKA_TRUSTED, K_FLAG, { 0 } }, { CKA_WRAP_WITH_TRUSTED, K_FLAG, { 0 } },
	{ CKA_ALWAYS_AUTHENTICATE, K_FLAG, { 0 } }, { CKA_LOCAL, K_FLAG, { 0 } }, { CKA_ALWAYS_SENSITIVE, K_FLAG, { 0 } },
	{ CKA_VALUE_LEN, K_NUMBER, { 16, 32, 24, 0, 64, 1 } }, { CKA_VALUE_LEN, K_NUMBER, { 16, 32, 24, 16, 32, 20 } },
	{ CKA_MODULUS_BITS, K_NUMBER, { 512, 1024, 2047, 0, 1, 65536 } }, { CKA_PARAMETER_SET, K_NUMBER, { 1, 2, 3, 0, 4, 9 } },
	{ CKA_CERTIFICATE_TYPE, K_NUMBER, { 0, 0, 0, 1, 2, 9 } }, { CKA_KEY_GEN_MECHANISM, K_NUMBER, { 1, 2, 3, 4, 5, 6 } },
	{ CKA_LABEL, K_BYTES, { 4 } }, { CKA_ID, K_BYTES, { 4 } }, { CKA_VALUE, K_BYTES, { 32 } }, { CKA_VALUE, K_BYTES, { 16 } }, { CKA_SUBJECT, K_BYTES, { 20 } },
	{ CKA_MODULUS, K_BYTES, { 256 } }, { CKA_PUBLIC_EXPONENT, K_BYTES, { 3 } }, { CKA_PRIVATE_EXPONENT, K_BYTES, { 256 } }, { CKA_PRIME_1, K_BYTES, { 128 } },
	{ CKA_EC_PARAMS, K_CURVE, { 0 } }, { CKA_EC_POINT, K_BYTES, { 67 } }, { CKA_APPLICATION, K_BYTES, { 3 } }, { CKA_OBJECT_ID, K_BYTES, { 5 } },
	{ CKA_UNIQUE_ID, K_BYTES, { 36 } }, { CKA_CHECK_VALUE, K_BYTES, { 3 } }, { CKA_SEED, K_BYTES, { 32 } }, { CKA_PUBLIC_KEY_INFO, K_BYTES, { 91 } },
	{ CKA_ALLOWED_MECHANISMS, K_BYTES, { 16 } }, { CKA_START_DATE, K_DATE, { 0 } }, { CKA_END_DATE, K_DATE, { 0 } },
	{ CKA_WRAP_TEMPLATE, K_TEMPLATE, { 0 } }, { CKA_UNWRAP_TEMPLATE, K_TEMPLATE, { 0 } }, { CKA_DERIVE_TEMPLATE, K_TEMPLATE, { 0 } },
	{ CKA_VENDOR_DEFINED | 3, K_BYTES, { 8 } }, { 0x777, K_BYTES, { 8 } }, { ~0UL, K_BYTES, { 8 } },
};

struct templ { CK_ATTRIBUTE *at; CK_ULONG n; };

static CK_ATTRIBUTE
some_attribute(bool nested)
{
	static const uint8_t curves[][12] = {
		{ 10, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 }, { 7, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22 },
		{ 5, 0x06, 0x03, 0x2B, 0x65, 0x70 }, { 5, 0x06, 0x03, 0x2B, 0x65, 0x6E }, { 7, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x0A }, { 2, 0x05, 0x00 },
	};
	size_t which = below(LENGTH(attributes));
	CK_ATTRIBUTE made = { attributes[which].type, NULL, 0 };
	CK_ULONG number = attributes[which].likely[below(6)];
	CK_ATTRIBUTE *list;

	switch (attributes[which].kind) {
	case K_FLAG:
		made.ulValueLen = 1;
		made.pValue = block_of(&(CK_BBOOL){ (CK_BBOOL)below(2) }, 1);
		break;
	case K_NUMBER:
		made.ulValueLen = sizeof number;
		made.pValue = block_of(&number, sizeof number);
		break;
	case K_CURVE:
		which = below(LENGTH(curves));
		made.ulValueLen = curves[which][0];
		made.pValue = block_of(&curves[which][1], made.ulValueLen);
		break;
	case K_TEMPLATE:
		if (nested)
			break;
		made.ulValueLen = sizeof *list * (1 + below(3));
		made.pValue = list = block(made.ulValueLen);
		for (size_t i = 0; i < made.ulValueLen / sizeof *list; i++)
			list[i] = some_attribute(true);
		break;
	case K_DATE:
		made.ulValueLen = 8;
		made.pValue = block_of("20270101", 8);
		break;
	case K_BYTES:
		made.ulValueLen = one_in(3) ? some_length() : attributes[which].likely[0];
		made.pValue = block(made.ulValueLen);
		break;
	}
	if (one_in(60))
		made.ulValueLen = below((uint32_t)made.ulValueLen + 1);
	if (one_in(80))
		made.pValue = NULL;
	return made;
}

static void
templ_put(struct templ *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
	t->at[t->n++] = (CK_ATTRIBUTE){ type, block_of(value, len), len };
}

/* A kind of object or key that can be made, and whatever else. */
static struct templ
some_template(bool valued)
{
	static const CK_ULONG klass[] = { CKO_SECRET_KEY, CKO_DATA }, type[] = { CKK_AES, CKK_GENERIC_SECRET }, len[] = { 16, 32 };
	struct templ t = { block(16 * sizeof *t.at), 0 };

	if (one_in(60))
		return (struct templ){ NULL, below(4) };
	if (!one_in(4)) {
		templ_put(&t, CKA_CLASS, &klass[one_in(5)], sizeof *klass);
		if (!one_in(4))
			templ_put(&t, CKA_KEY_TYPE, &type[below(2)], sizeof *type);
		if (valued)
			templ_put(&t, CKA_VALUE, block(32), 32);
		else if (!one_in(4))
			templ_put(&t, CKA_VALUE_LEN, &len[below(2)], sizeof *len);
	}
	for (CK_ULONG i = one_in(2) ? 0 : below(6); i > 0; i--)
		t.at[t.n++] = some_attribute(false);
	return t;
}

/* What is asked for: types, and room for each. */
static struct templ
some_query(void)
{
	CK_ULONG n = 1 + below(6);
	struct templ t = { block(n * sizeof *t.at), n };

	for (CK_ULONG i = 0; i < n; i++) {
		CK_ULONG len = one_in(3) ? below(40) : 512;

		t.at[i] = (CK_ATTRIBUTE){ attributes[below(LENGTH(attributes))].type, one_in(3) ? NULL : block(len), len };
		/* Room for attributes must itself be attributes. */
		if ((t.at[i].type & CKF_ARRAY_ATTRIBUTE) != 0 && t.at[i].type != CKA_ALLOWED_MECHANISMS)
			t.at[i] = (CK_ATTRIBUTE){ t.at[i].type, NULL, 0 };
	}
	return t;
}

#endif
