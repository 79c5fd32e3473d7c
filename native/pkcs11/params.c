/* params.c - mechanism parameters: which form a mechanism's have, and how each
 * form reads. A parameter that no form expects is refused. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

enum form { FORM_NONE, FORM_IV16, FORM_IV8, FORM_IV_ANY, FORM_CTR, FORM_GCM, FORM_GMAC, FORM_CCM, FORM_POLY, FORM_CHACHA, FORM_LENGTH,
	FORM_PSS, FORM_OAEP, FORM_RSA_AES, FORM_ECDH, FORM_EDDSA, FORM_SIGN_CONTEXT, FORM_HASH_CONTEXT,
	FORM_STRING, FORM_KEY, FORM_BIT, FORM_CBC_DATA, FORM_DES_CBC_DATA, FORM_HKDF, FORM_KBKDF, FORM_FEEDBACK, FORM_PBKDF2 };

/* Numbers first..last have the form; what is not here has none. */
static const struct { CK_MECHANISM_TYPE first, last; enum form form; } forms[] = {
	{ CKM_RSA_PKCS_OAEP, CKM_RSA_PKCS_OAEP, FORM_OAEP },
	{ CKM_RSA_PKCS_PSS, CKM_SHA1_RSA_PKCS_PSS, FORM_PSS },
	{ CKM_ML_DSA, CKM_ML_DSA, FORM_SIGN_CONTEXT },
	{ CKM_HASH_ML_DSA, CKM_HASH_ML_DSA, FORM_HASH_CONTEXT },
	{ CKM_HASH_ML_DSA_SHA224, CKM_HASH_ML_DSA_SHAKE256, FORM_SIGN_CONTEXT },
	{ CKM_SHA256_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS, FORM_PSS },
	{ CKM_SHA224_RSA_PKCS_PSS, CKM_SHA224_RSA_PKCS_PSS, FORM_PSS },
	{ CKM_SHA512_224_HMAC_GENERAL, CKM_SHA512_224_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA512_256_HMAC_GENERAL, CKM_SHA512_256_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA3_256_RSA_PKCS_PSS, CKM_SHA3_512_RSA_PKCS_PSS, FORM_PSS },
	{ CKM_SHA3_224_RSA_PKCS_PSS, CKM_SHA3_224_RSA_PKCS_PSS, FORM_PSS },
	{ CKM_DES3_CBC, CKM_DES3_CBC, FORM_IV8 },
	{ CKM_DES3_CBC_PAD, CKM_DES3_CBC_PAD, FORM_IV8 },
	{ CKM_SHA_1_HMAC_GENERAL, CKM_SHA_1_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA256_HMAC_GENERAL, CKM_SHA256_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA224_HMAC_GENERAL, CKM_SHA224_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA384_HMAC_GENERAL, CKM_SHA384_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA512_HMAC_GENERAL, CKM_SHA512_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA3_256_HMAC_GENERAL, CKM_SHA3_256_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA3_224_HMAC_GENERAL, CKM_SHA3_224_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA3_384_HMAC_GENERAL, CKM_SHA3_384_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_SHA3_512_HMAC_GENERAL, CKM_SHA3_512_HMAC_GENERAL, FORM_LENGTH },
	{ CKM_CONCATENATE_BASE_AND_KEY, CKM_CONCATENATE_BASE_AND_KEY, FORM_KEY },
	{ CKM_EXTRACT_KEY_FROM_KEY, CKM_EXTRACT_KEY_FROM_KEY, FORM_BIT },
	{ CKM_CONCATENATE_BASE_AND_DATA, CKM_XOR_BASE_AND_DATA, FORM_STRING },
	{ CKM_SP800_108_COUNTER_KDF, CKM_SP800_108_COUNTER_KDF, FORM_KBKDF },
	{ CKM_SP800_108_FEEDBACK_KDF, CKM_SP800_108_FEEDBACK_KDF, FORM_FEEDBACK },
	{ CKM_SP800_108_DOUBLE_PIPELINE_KDF, CKM_SP800_108_DOUBLE_PIPELINE_KDF, FORM_KBKDF },
	{ CKM_PKCS5_PBKD2, CKM_PKCS5_PBKD2, FORM_PBKDF2 },
	{ CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE, FORM_ECDH },
	{ CKM_RSA_AES_KEY_WRAP, CKM_RSA_AES_KEY_WRAP, FORM_RSA_AES },
	{ CKM_EDDSA, CKM_EDDSA, FORM_EDDSA },
	{ CKM_AES_XTS, CKM_AES_XTS, FORM_IV16 },
	{ CKM_AES_CBC, CKM_AES_CBC, FORM_IV16 },
	{ CKM_AES_MAC_GENERAL, CKM_AES_MAC_GENERAL, FORM_LENGTH },
	{ CKM_AES_CBC_PAD, CKM_AES_CBC_PAD, FORM_IV16 },
	{ CKM_AES_CTR, CKM_AES_CTR, FORM_CTR },
	{ CKM_AES_GCM, CKM_AES_GCM, FORM_GCM },
	{ CKM_AES_CCM, CKM_AES_CCM, FORM_CCM },
	{ CKM_AES_CTS, CKM_AES_CTS, FORM_IV16 },
	{ CKM_AES_CMAC_GENERAL, CKM_AES_CMAC_GENERAL, FORM_LENGTH },
	{ CKM_AES_GMAC, CKM_AES_GMAC, FORM_GMAC },
	{ CKM_DES3_ECB_ENCRYPT_DATA, CKM_DES3_ECB_ENCRYPT_DATA, FORM_STRING },
	{ CKM_DES3_CBC_ENCRYPT_DATA, CKM_DES3_CBC_ENCRYPT_DATA, FORM_DES_CBC_DATA },
	{ CKM_AES_ECB_ENCRYPT_DATA, CKM_AES_ECB_ENCRYPT_DATA, FORM_STRING },
	{ CKM_AES_CBC_ENCRYPT_DATA, CKM_AES_CBC_ENCRYPT_DATA, FORM_CBC_DATA },
	{ CKM_CHACHA20, CKM_CHACHA20, FORM_CHACHA },
	{ CKM_AES_OFB, CKM_AES_CFB128, FORM_IV16 },
	{ CKM_AES_CFB1, CKM_AES_CFB1, FORM_IV16 },
	{ CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PKCS7, FORM_IV_ANY },
	{ CKM_CHACHA20_POLY1305, CKM_CHACHA20_POLY1305, FORM_POLY },
	{ CKM_HKDF_DERIVE, CKM_HKDF_DATA, FORM_HKDF },
};

/* The same by number, filled once when the image is loaded and only read
 * afterwards: it is asked for with every operation. */
#define FORMS_END (CKM_HKDF_DATA + 1)
static uint8_t by_number[FORMS_END];

__attribute__((constructor)) static void
forms_index(void)
{
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		for (CK_MECHANISM_TYPE n = forms[i].first; n <= forms[i].last && n < FORMS_END; n++)
			by_number[n] = (uint8_t)forms[i].form;
}

static enum form
form_of(CK_MECHANISM_TYPE mech)
{
	return mech < FORMS_END ? (enum form)by_number[mech] : FORM_NONE;
}

/* ---- words -------------------------------------------------------------------- */

static const struct { CK_MECHANISM_TYPE digest, mgf; CK_ULONG kdf, prf; hsm_hash hash; } hashes[] = {
	{ CKM_SHA_1, CKG_MGF1_SHA1, CKD_SHA1_KDF, CKP_PKCS5_PBKD2_HMAC_SHA1, HSM_SHA1 },
	{ CKM_SHA224, CKG_MGF1_SHA224, CKD_SHA224_KDF, CKP_PKCS5_PBKD2_HMAC_SHA224, HSM_SHA224 },
	{ CKM_SHA256, CKG_MGF1_SHA256, CKD_SHA256_KDF, CKP_PKCS5_PBKD2_HMAC_SHA256, HSM_SHA256 },
	{ CKM_SHA384, CKG_MGF1_SHA384, CKD_SHA384_KDF, CKP_PKCS5_PBKD2_HMAC_SHA384, HSM_SHA384 },
	{ CKM_SHA512, CKG_MGF1_SHA512, CKD_SHA512_KDF, CKP_PKCS5_PBKD2_HMAC_SHA512, HSM_SHA512 },
	{ CKM_SHA512_224, 0, 0, CKP_PKCS5_PBKD2_HMAC_SHA512_224, HSM_SHA512_224 },
	{ CKM_SHA512_256, 0, 0, CKP_PKCS5_PBKD2_HMAC_SHA512_256, HSM_SHA512_256 },
	{ CKM_SHA3_224, CKG_MGF1_SHA3_224, CKD_SHA3_224_KDF, 0, HSM_SHA3_224 },
	{ CKM_SHA3_256, CKG_MGF1_SHA3_256, CKD_SHA3_256_KDF, 0, HSM_SHA3_256 },
	{ CKM_SHA3_384, CKG_MGF1_SHA3_384, CKD_SHA3_384_KDF, 0, HSM_SHA3_384 },
	{ CKM_SHA3_512, CKG_MGF1_SHA3_512, CKD_SHA3_512_KDF, 0, HSM_SHA3_512 },
};
#define HASHES (sizeof hashes / sizeof hashes[0])

#define HASH_BY(member, number) do { \
	for (size_t i_ = 0; i_ < HASHES; i_++) \
		if (hashes[i_].member == (number) && (number) != 0) \
			return hashes[i_].hash; \
	return HSM_HASH_NONE; \
} while (0)

static hsm_hash hash_by_digest(CK_MECHANISM_TYPE n) { HASH_BY(digest, n); }
static hsm_hash hash_by_mgf(CK_ULONG n) { HASH_BY(mgf, n); }
static hsm_hash hash_by_kdf(CK_ULONG n) { HASH_BY(kdf, n); }
/* CKD_SHA1_KDF_SP800 and on, in the order of the hashes. */
static hsm_hash
hash_by_sp800_kdf(CK_ULONG n)
{
	static const hsm_hash order[] = { HSM_SHA1, HSM_SHA224, HSM_SHA256, HSM_SHA384, HSM_SHA512,
		HSM_SHA3_224, HSM_SHA3_256, HSM_SHA3_384, HSM_SHA3_512 };

	return n >= CKD_SHA1_KDF_SP800 && n <= CKD_SHA3_512_KDF_SP800 ? order[n - CKD_SHA1_KDF_SP800] : HSM_HASH_NONE;
}
static hsm_hash hash_by_prf(CK_ULONG n) { HASH_BY(prf, n); }

/* A view of bytes the caller names; false for a length with no bytes, or one
 * that no memory has. */
static bool
view(hsm_in *to, const void *ptr, CK_ULONG len)
{
	if (len > LEN_MAX || (ptr == NULL && len != 0))
		return false;
	*to = (hsm_in){ ptr, len };
	return true;
}

/* ---- forms: true when the parameters are well made ---------------------------------- */

static bool
read_gcm(const CK_GCM_PARAMS *p, hsm_params *to)
{
	/* Some callers give the IV's bits alone. */
	CK_ULONG iv_len = p->ulIvLen != 0 ? p->ulIvLen : p->ulIvBits / 8;

	to->tag_bits = (uint32_t)p->ulTagBits;
	return p->ulTagBits <= 128 && iv_len != 0 && view(&to->iv, p->pIv, iv_len) && view(&to->aad, p->pAAD, p->ulAADLen);
}

static bool
read_ccm(const CK_CCM_PARAMS *p, hsm_params *to)
{
	to->data_len = p->ulDataLen;
	to->tag_bits = (uint32_t)p->ulMACLen * 8;
	return p->ulMACLen <= 16 && view(&to->iv, p->pNonce, p->ulNonceLen) && view(&to->aad, p->pAAD, p->ulAADLen);
}

static bool
read_pss(const CK_RSA_PKCS_PSS_PARAMS *p, hsm_params *to)
{
	to->hash = hash_by_digest(p->hashAlg);
	to->mgf = hash_by_mgf(p->mgf);
	to->salt_len = (uint32_t)p->sLen;
	return to->hash != HSM_HASH_NONE && to->mgf != HSM_HASH_NONE && p->sLen < 65536;
}

static bool
read_oaep(const CK_RSA_PKCS_OAEP_PARAMS *p, hsm_params *to)
{
	to->hash = hash_by_digest(p->hashAlg);
	to->mgf = hash_by_mgf(p->mgf);
	/* A source of 0 is not a source; SoftHSM2's callers send it with no label. */
	if (p->source != CKZ_DATA_SPECIFIED && (p->source != 0 || p->ulSourceDataLen != 0))
		return false;
	return to->hash != HSM_HASH_NONE && to->mgf != HSM_HASH_NONE && view(&to->label, p->pSourceData, p->ulSourceDataLen);
}

static bool
read_rsa_aes(const CK_RSA_AES_KEY_WRAP_PARAMS *p, hsm_params *to)
{
	to->wrap_bits = (uint32_t)p->ulAESKeyBits;
	return (p->ulAESKeyBits == 128 || p->ulAESKeyBits == 192 || p->ulAESKeyBits == 256)
	    && p->pOAEPParams != NULL && read_oaep(p->pOAEPParams, to);
}

static bool
read_ecdh(const CK_ECDH1_DERIVE_PARAMS *p, hsm_params *to)
{
	if (p->kdf != CKD_NULL && (to->hash = hash_by_kdf(p->kdf)) == HSM_HASH_NONE
	    && (to->hash = hash_by_sp800_kdf(p->kdf)) != HSM_HASH_NONE)
		to->flags |= HSM_PARAM_COUNTER_FIRST;
	if (p->kdf != CKD_NULL && to->hash == HSM_HASH_NONE)
		return false;
	if (p->kdf == CKD_NULL && p->ulSharedDataLen != 0)
		return false;
	return p->ulPublicDataLen != 0 && view(&to->peer, p->pPublicData, p->ulPublicDataLen)
	    && view(&to->label, p->pSharedData, p->ulSharedDataLen);
}

static bool
read_eddsa(const CK_EDDSA_PARAMS *p, hsm_params *to)
{
	to->flags |= p->phFlag ? HSM_PARAM_PH : 0;
	return p->ulContextDataLen <= 255 && view(&to->label, p->pContextData, p->ulContextDataLen);
}

static bool
read_hedge(CK_HEDGE_TYPE hedge, hsm_params *to)
{
	to->flags |= hedge == CKH_DETERMINISTIC_REQUIRED ? HSM_PARAM_DETERMINISTIC : 0;
	return hedge <= CKH_DETERMINISTIC_REQUIRED;
}

static bool
read_hkdf(const CK_HKDF_PARAMS *p, hsm_params *to)
{
	to->flags |= (p->bExtract ? HSM_PARAM_EXTRACT : 0) | (p->bExpand ? HSM_PARAM_EXPAND : 0);
	to->hash = hash_by_digest(p->prfHashMechanism);
	if (to->hash == HSM_HASH_NONE || (!p->bExtract && !p->bExpand))
		return false;
	if (p->bExtract && p->ulSaltType == CKF_HKDF_SALT_DATA) {
		if (p->ulSaltLen == 0 || !view(&to->salt, p->pSalt, p->ulSaltLen))
			return false;
	} else if (p->bExtract && p->ulSaltType == CKF_HKDF_SALT_KEY) {
		to->other = p->hSaltKey;
		if (p->hSaltKey == CK_INVALID_HANDLE)
			return false;
	} else if (p->bExtract && p->ulSaltType != CKF_HKDF_SALT_NULL) {
		return false;
	}
	return view(&to->label, p->pInfo, p->ulInfoLen);
}

static bool
read_pbkdf2(const CK_MECHANISM *m, hsm_params *to)
{
	const CK_PKCS5_PBKD2_PARAMS2 *p = m->pParameter;
	const CK_PKCS5_PBKD2_PARAMS *old = m->pParameter;
	CK_ULONG len;

	/* Both forms have one size. In the old one the length is pointed to, and
	 * no address is a sensible length. */
	len = p->ulPasswordLen;
	if (len > UINT32_MAX)
		len = *old->ulPasswordLen;
	to->hash = hash_by_prf(p->prf);
	to->iterations = (uint32_t)p->iterations;
	return p->saltSource == CKZ_SALT_SPECIFIED && to->hash != HSM_HASH_NONE && p->iterations != 0
	    && p->iterations <= 100000000 && p->ulPrfDataLen == 0
	    && view(&to->salt, p->pSaltSourceData, p->ulSaltSourceDataLen) && view(&to->data, p->pPassword, len);
}

#define SIZED(type) (m->pParameter != NULL && m->ulParameterLen == sizeof(type))

static bool
read_optional(const CK_MECHANISM *m)
{
	return m->pParameter == NULL || m->ulParameterLen == 0;
}

static bool
read_kdf(enum form form, const CK_MECHANISM *m, hsm_params *to)
{
	switch (form) {
	case FORM_STRING: {
		const CK_KEY_DERIVATION_STRING_DATA *p = m->pParameter;

		return SIZED(*p) && view(&to->data, p->pData, p->ulLen);
	}
	case FORM_KEY: {
		CK_OBJECT_HANDLE other;

		if (!SIZED(other))
			return false;
		memcpy(&other, m->pParameter, sizeof other);
		to->other = other;
		return other != CK_INVALID_HANDLE;
	}
	case FORM_BIT: {
		CK_EXTRACT_PARAMS bit;

		if (!SIZED(bit))
			return false;
		memcpy(&bit, m->pParameter, sizeof bit);
		to->data_len = bit;
		return true;
	}
	case FORM_CBC_DATA: {
		const CK_AES_CBC_ENCRYPT_DATA_PARAMS *p = m->pParameter;

		return SIZED(*p) && view(&to->iv, p->iv, sizeof p->iv) && view(&to->data, p->pData, p->length);
	}
	case FORM_DES_CBC_DATA: {
		const CK_DES_CBC_ENCRYPT_DATA_PARAMS *p = m->pParameter;

		return SIZED(*p) && view(&to->iv, p->iv, sizeof p->iv) && view(&to->data, p->pData, p->length);
	}
	case FORM_ECDH:
		return SIZED(CK_ECDH1_DERIVE_PARAMS) && read_ecdh(m->pParameter, to);
	case FORM_HKDF:
		return SIZED(CK_HKDF_PARAMS) && read_hkdf(m->pParameter, to);
	case FORM_KBKDF:
		return SIZED(CK_SP800_108_KDF_PARAMS);  /* read by ck_params_kbkdf, which knows the key's length */
	case FORM_FEEDBACK: {
		const CK_SP800_108_FEEDBACK_KDF_PARAMS *p = m->pParameter;

		return SIZED(*p) && view(&to->iv, p->pIV, p->ulIVLen);
	}
	case FORM_PBKDF2:
		return SIZED(CK_PKCS5_PBKD2_PARAMS2) && read_pbkdf2(m, to);
	default:
		return false;
	}
}

static bool
read_sign(enum form form, const CK_MECHANISM *m, hsm_params *to)
{
	switch (form) {
	case FORM_PSS:
		return SIZED(CK_RSA_PKCS_PSS_PARAMS) && read_pss(m->pParameter, to);
	case FORM_EDDSA:
		return read_optional(m) || (SIZED(CK_EDDSA_PARAMS) && read_eddsa(m->pParameter, to));
	case FORM_SIGN_CONTEXT: {
		const CK_SIGN_ADDITIONAL_CONTEXT *p = m->pParameter;

		return read_optional(m) || (SIZED(*p) && read_hedge(p->hedgeVariant, to) && p->ulContextLen <= 255
		    && view(&to->label, p->pContext, p->ulContextLen));
	}
	case FORM_HASH_CONTEXT: {
		const CK_HASH_SIGN_ADDITIONAL_CONTEXT *p = m->pParameter;

		return SIZED(*p) && read_hedge(p->hedgeVariant, to) && p->ulContextLen <= 255
		    && view(&to->label, p->pContext, p->ulContextLen) && (to->hash = hash_by_digest(p->hash)) != HSM_HASH_NONE;
	}
	default:
		return read_kdf(form, m, to);
	}
}

static bool
read_cipher(enum form form, const CK_MECHANISM *m, hsm_params *to)
{
	switch (form) {
	case FORM_CTR: {
		const CK_AES_CTR_PARAMS *p = m->pParameter;

		if (!SIZED(*p) || p->ulCounterBits == 0 || p->ulCounterBits > 128)
			return false;
		to->counter_bits = (uint32_t)p->ulCounterBits;
		return view(&to->iv, p->cb, sizeof p->cb);
	}
	case FORM_GCM:
		return SIZED(CK_GCM_PARAMS) && read_gcm(m->pParameter, to);
	case FORM_GMAC:
		return SIZED(CK_GCM_PARAMS) ? read_gcm(m->pParameter, to)
		    : m->ulParameterLen != 0 && view(&to->iv, m->pParameter, m->ulParameterLen);
	case FORM_CCM:
		return SIZED(CK_CCM_PARAMS) && read_ccm(m->pParameter, to);
	case FORM_POLY: {
		const CK_SALSA20_CHACHA20_POLY1305_PARAMS *p = m->pParameter;

		return SIZED(*p) && view(&to->iv, p->pNonce, p->ulNonceLen) && view(&to->aad, p->pAAD, p->ulAADLen);
	}
	case FORM_CHACHA: {
		const CK_CHACHA20_PARAMS *p = m->pParameter;

		if (!SIZED(*p) || p->pBlockCounter == NULL || (p->blockCounterBits != 32 && p->blockCounterBits != 64))
			return false;
		return view(&to->iv, p->pNonce, p->ulNonceBits / 8) && view(&to->data, p->pBlockCounter, p->blockCounterBits / 8);
	}
	case FORM_OAEP:
		return SIZED(CK_RSA_PKCS_OAEP_PARAMS) && read_oaep(m->pParameter, to);
	case FORM_RSA_AES:
		return SIZED(CK_RSA_AES_KEY_WRAP_PARAMS) && read_rsa_aes(m->pParameter, to);
	default:
		return read_sign(form, m, to);
	}
}

static bool
read_form(enum form form, const CK_MECHANISM *m, hsm_params *to)
{
	switch (form) {
	case FORM_NONE:
		return read_optional(m);
	case FORM_IV16:
		return m->ulParameterLen == 16 && m->pParameter != NULL && view(&to->iv, m->pParameter, 16);
	case FORM_IV8:
		return m->ulParameterLen == 8 && m->pParameter != NULL && view(&to->iv, m->pParameter, 8);
	case FORM_IV_ANY:
		return read_optional(m) || view(&to->iv, m->pParameter, m->ulParameterLen);
	case FORM_LENGTH: {
		CK_MAC_GENERAL_PARAMS len;

		if (!SIZED(len))
			return false;
		memcpy(&len, m->pParameter, sizeof len);
		to->tag_bits = (uint32_t)len * 8;
		return len != 0 && len <= 64;
	}
	default:
		return read_cipher(form, m, to);
	}
}

CK_RV
ck_params(const CK_MECHANISM *mechanism, hsm_mech *mech, hsm_params *params)
{
	hsm_mech_info info;

	memset(params, 0, sizeof *params);
	if (mechanism == NULL)
		return CKR_ARGUMENTS_BAD;
	*mech = mechanism->mechanism;
	if (*mech >= CKM_VENDOR_DEFINED || hsm_mech_describe(*mech, &info) != HSM_OK)
		return CKR_MECHANISM_INVALID;
	return read_form(form_of(*mech), mechanism, params) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

/* ---- wrapping and messages: an IV may be made here ------------------------------------- */

/* Bits of the IV that the caller fixes; the rest is made. With none fixed the
 * core makes it, else the caller's part stays and random bits follow. */
static bool
read_generator(CK_GENERATOR_FUNCTION generator, CK_BYTE *iv, CK_ULONG len, CK_ULONG fixed_bits, struct made *made)
{
	made->iv = iv;
	made->len = len;
	made->fixed_bits = fixed_bits;
	made->generator = generator;
	return iv != NULL && len != 0 && len <= 256 && generator <= CKG_GENERATE_COUNTER_XOR && fixed_bits <= len * 8;
}

static bool
read_gcm_wrap(const CK_GCM_WRAP_PARAMS *p, hsm_params *to, struct made *made)
{
	to->tag_bits = (uint32_t)p->ulTagBits;
	return p->ulTagBits <= 128 && view(&to->aad, p->pAAD, p->ulAADLen)
	    && read_generator(p->ivGenerator, p->pIv, p->ulIvLen, p->ulIvFixedBits, made);
}

static bool
read_ccm_wrap(const CK_CCM_WRAP_PARAMS *p, hsm_params *to, struct made *made)
{
	to->data_len = p->ulDataLen;
	to->tag_bits = (uint32_t)p->ulMACLen * 8;
	return p->ulMACLen <= 16 && view(&to->aad, p->pAAD, p->ulAADLen)
	    && read_generator(p->nonceGenerator, p->pNonce, p->ulNonceLen, p->ulNonceFixedBits, made);
}

CK_RV
ck_params_wrap(const CK_MECHANISM *m, hsm_mech *mech, hsm_params *params, struct made *made)
{
	hsm_mech_info info;
	bool gcm, ccm;

	memset(made, 0, sizeof *made);
	gcm = m->mechanism == CKM_AES_GCM && SIZED(CK_GCM_WRAP_PARAMS);
	ccm = m->mechanism == CKM_AES_CCM && SIZED(CK_CCM_WRAP_PARAMS);
	if (!gcm && !ccm)
		return ck_params(m, mech, params);
	memset(params, 0, sizeof *params);
	*mech = m->mechanism;
	if (hsm_mech_describe(*mech, &info) != HSM_OK)
		return CKR_MECHANISM_INVALID;
	if (gcm ? !read_gcm_wrap(m->pParameter, params, made) : !read_ccm_wrap(m->pParameter, params, made))
		return CKR_MECHANISM_PARAM_INVALID;
	return CKR_OK;
}

static bool
read_message(hsm_mech mech, void *ptr, CK_ULONG len, hsm_params *to, struct made *made)
{
	const CK_MECHANISM it = { mech, ptr, len }, *m = &it;

	if (mech == CKM_AES_GCM && SIZED(CK_GCM_MESSAGE_PARAMS)) {
		const CK_GCM_MESSAGE_PARAMS *p = ptr;

		to->tag_bits = (uint32_t)p->ulTagBits;
		made->tag = p->pTag;
		made->tag_len = p->ulTagBits / 8;
		return p->ulTagBits >= 32 && p->ulTagBits <= 128
		    && read_generator(p->ivGenerator, p->pIv, p->ulIvLen, p->ulIvFixedBits, made);
	}
	if (mech == CKM_AES_CCM && SIZED(CK_CCM_MESSAGE_PARAMS)) {
		const CK_CCM_MESSAGE_PARAMS *p = ptr;

		to->data_len = p->ulDataLen;
		to->tag_bits = (uint32_t)p->ulMACLen * 8;
		made->tag = p->pMAC;
		made->tag_len = p->ulMACLen;
		return p->ulMACLen >= 4 && p->ulMACLen <= 16
		    && read_generator(p->nonceGenerator, p->pNonce, p->ulNonceLen, p->ulNonceFixedBits, made);
	}
	if (mech == CKM_CHACHA20_POLY1305 && SIZED(CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS)) {
		const CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS *p = ptr;

		made->tag = p->pTag;
		made->tag_len = 16;
		return read_generator(CKG_NO_GENERATE, p->pNonce, p->ulNonceLen, 0, made);
	}
	return false;
}

CK_RV
ck_params_message(hsm_mech mech, void *ptr, CK_ULONG len, hsm_params *params, struct made *made)
{
	memset(params, 0, sizeof *params);
	memset(made, 0, sizeof *made);
	if (!read_message(mech, ptr, len, params, made) || made->tag == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	return CKR_OK;
}

#define MADE_IV_LEN 12u

/* Random bits after those that are fixed, in place. */
static CK_RV
iv_complete(hsm_session core, const struct made *made)
{
	uint8_t fresh[256];
	hsm_out out = { fresh, made->len, 0 };
	CK_RV rv = rv_from(hsm_random(core, &out));

	for (CK_ULONG i = 0; i < made->len && rv == CKR_OK; i++) {
		CK_ULONG fixed = made->fixed_bits > i * 8 ? made->fixed_bits - i * 8 : 0;
		uint8_t keep = fixed >= 8 ? 0xFF : (uint8_t)(0xFF00u >> fixed);

		made->iv[i] = (uint8_t)((made->iv[i] & keep) | (fresh[i] & ~keep));
	}
	return rv;
}

/* All generators draw random bits: a counter would start over with every
 * operation and repeat an IV under the same key. At least 64 of them. */
CK_RV
made_iv(hsm_session core, struct made *made, bool encrypting, hsm_params *params)
{
	CK_RV rv;

	if (made->iv == NULL)
		return CKR_OK;
	params->iv = (hsm_in){ made->iv, made->len };
	if (!encrypting || made->generator == CKG_NO_GENERATE)
		return CKR_OK;
	if (made->fixed_bits == 0 && made->len == MADE_IV_LEN) {
		params->iv = HSM_NONE;
		params->flags |= HSM_PARAM_IV_MADE;
		made->out = (hsm_out){ made->iv, made->len, 0 };
		params->iv_out = &made->out;
		return CKR_OK;
	}
	if (made->len * 8 - made->fixed_bits < 64)
		return CKR_MECHANISM_PARAM_INVALID;
	if ((rv = iv_complete(core, made)) != CKR_OK)
		return rv;
	return CKR_OK;
}

/* ---- kept for a later call ----------------------------------------------------------- */

static void
keep(struct held *held, size_t *used, hsm_in *range)
{
	if (range->len == 0)
		return;
	memcpy(held->bytes + *used, range->ptr, range->len);
	range->ptr = held->bytes + *used;
	*used += range->len;
}

CK_RV
held_keep(const hsm_params *params, struct held **out)
{
	size_t len = params->iv.len + params->aad.len + params->label.len + params->salt.len + params->peer.len + params->data.len;
	struct held *held = len > LEN_MAX / 2 ? NULL : malloc(sizeof *held + len);
	size_t used = 0;

	if ((*out = held) == NULL)
		return CKR_HOST_MEMORY;
	held->params = *params;
	keep(held, &used, &held->params.iv);
	keep(held, &used, &held->params.aad);
	keep(held, &used, &held->params.label);
	keep(held, &used, &held->params.salt);
	keep(held, &used, &held->params.peer);
	keep(held, &used, &held->params.data);
	return CKR_OK;
}
