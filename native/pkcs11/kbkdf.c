/* kbkdf.c - the data of SP 800-108 as PKCS#11 gives them: a list of parts, one
 * of which stands for the counter and one may for the length. What comes
 * before the counter and what comes after it are each joined to one range. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

#define PARTS_MAX 32u
#define DATA_MAX 65536u

static hsm_hash
prf_hash(CK_MECHANISM_TYPE prf)
{
	switch (prf) {
	case CKM_SHA_1_HMAC:
		return HSM_SHA1;
	case CKM_SHA224_HMAC:
		return HSM_SHA224;
	case CKM_SHA256_HMAC:
		return HSM_SHA256;
	case CKM_SHA384_HMAC:
		return HSM_SHA384;
	case CKM_SHA512_HMAC:
		return HSM_SHA512;
	case CKM_SHA3_224_HMAC:
		return HSM_SHA3_224;
	case CKM_SHA3_256_HMAC:
		return HSM_SHA3_256;
	case CKM_SHA3_384_HMAC:
		return HSM_SHA3_384;
	case CKM_SHA3_512_HMAC:
		return HSM_SHA3_512;
	default:
		return HSM_HASH_NONE;
	}
}

static bool
width_fits(CK_ULONG bits, CK_ULONG max)
{
	return bits >= 8 && bits <= max && bits % 8 == 0;
}

static void
length_write(struct writer *w, CK_ULONG bits, CK_ULONG width, bool little)
{
	for (CK_ULONG i = 0; i < width / 8; i++) {
		CK_ULONG at = little ? i : width / 8 - 1 - i;

		writer_u8(w, (uint8_t)(at < 8 ? bits >> (8 * at) : 0));
	}
}

/* One part into the range being joined; the counter ends the first range. */
static bool
part_read(const CK_PRF_DATA_PARAM *part, CK_ULONG bits, struct writer *w, hsm_params *to, size_t *split, bool *counted)
{
	switch (part->type) {
	case CK_SP800_108_ITERATION_VARIABLE: {
		const CK_SP800_108_COUNTER_FORMAT *f = part->pValue;

		if (*counted || f == NULL || part->ulValueLen != sizeof *f || f->bLittleEndian || !width_fits(f->ulWidthInBits, 32))
			return false;
		to->counter_bits = (uint32_t)f->ulWidthInBits;
		*split = w->len;
		return *counted = true;
	}
	case CK_SP800_108_DKM_LENGTH: {
		const CK_SP800_108_DKM_LENGTH_FORMAT *f = part->pValue;

		/* One key is derived: its sum is its own length either way. */
		if (f == NULL || part->ulValueLen != sizeof *f || !width_fits(f->ulWidthInBits, 64)
		    || f->dkmLengthMethod != CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS)
			return false;
		length_write(w, bits, f->ulWidthInBits, f->bLittleEndian);
		return true;
	}
	case CK_SP800_108_BYTE_ARRAY:
		if (part->pValue == NULL || part->ulValueLen == 0 || part->ulValueLen > DATA_MAX)
			return false;
		writer_put(w, part->pValue, part->ulValueLen);
		return true;
	default:
		return false;
	}
}

static bool
parts_read(const CK_SP800_108_KDF_PARAMS *p, CK_ULONG bits, struct writer *w, hsm_params *to, size_t *split)
{
	bool counted = false;

	*split = 0;
	for (CK_ULONG i = 0; i < p->ulNumberOfDataParams; i++)
		if (!part_read(&p->pDataParams[i], bits, w, to, split, &counted))
			return false;
	return counted && w->len <= DATA_MAX;
}

CK_RV
ck_params_kbkdf(const CK_MECHANISM *mechanism, CK_ULONG bytes, hsm_params *params, uint8_t **room)
{
	const CK_SP800_108_KDF_PARAMS *p = mechanism->pParameter;
	struct writer w;
	size_t split;

	*room = NULL;
	params->hash = prf_hash(p->prfType);
	params->flags |= p->prfType == CKM_AES_CMAC ? HSM_PARAM_CMAC : 0;
	if ((params->hash == HSM_HASH_NONE && p->prfType != CKM_AES_CMAC) || p->ulAdditionalDerivedKeys != 0
	    || p->pDataParams == NULL || p->ulNumberOfDataParams > PARTS_MAX)
		return CKR_MECHANISM_PARAM_INVALID;
	writer_init(&w, NULL, 0);
	if (!parts_read(p, bytes * 8, &w, params, &split))
		return CKR_MECHANISM_PARAM_INVALID;
	if ((*room = malloc(w.len + 1)) == NULL)
		return CKR_HOST_MEMORY;
	writer_init(&w, *room, w.len);
	(void)parts_read(p, bytes * 8, &w, params, &split);
	params->flags |= HSM_PARAM_RAW;
	params->label = (hsm_in){ *room, split };
	params->data = (hsm_in){ *room + split, w.len - split };
	return CKR_OK;
}
