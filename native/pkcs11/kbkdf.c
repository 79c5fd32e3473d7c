/* kbkdf.c - the data of SP 800-108 as PKCS#11 gives them: a list of parts, of
 * which one stands for what changes from block to block (the counter; in the
 * other two modes what is fed back), one may for a counter beside that, one for
 * the length. What stands between them is joined to one range each. */
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

/* Bytes that one turn of the function gives. */
static CK_ULONG
prf_len(hsm_hash hash)
{
	switch (hash) {
	case HSM_SHA1:
		return 20;
	case HSM_SHA224:
	case HSM_SHA3_224:
		return 28;
	case HSM_SHA256:
	case HSM_SHA3_256:
		return 32;
	case HSM_SHA384:
	case HSM_SHA3_384:
		return 48;
	case HSM_SHA512:
	case HSM_SHA3_512:
		return 64;
	default:
		return 16;              /* AES-CMAC */
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

/* Where the parts that change stand: the offsets at which the joined bytes are
 * split, and what stands there. */
struct plan {
	bool chained;                   /* feedback, double pipeline */
	bool length;                    /* a length was there: one may be */
	unsigned n;
	size_t split[2];
	bool counter[2];                /* else what is fed back */
};

static bool
plan_split(struct plan *p, size_t at, bool counter)
{
	if (p->n == 2 || (p->n == 1 && p->counter[0] == counter))
		return false;
	p->split[p->n] = at;
	p->counter[p->n++] = counter;
	return true;
}

static bool
counter_read(const CK_PRF_DATA_PARAM *part, struct plan *p, size_t at, hsm_params *to)
{
	const CK_SP800_108_COUNTER_FORMAT *f = part->pValue;

	if (f == NULL || part->ulValueLen != sizeof *f || f->bLittleEndian || !width_fits(f->ulWidthInBits, 32))
		return false;
	to->counter_bits = (uint32_t)f->ulWidthInBits;
	return plan_split(p, at, true);
}

/* One part, into the bytes being joined or the plan. */
static bool
part_read(const CK_PRF_DATA_PARAM *part, CK_ULONG bits, struct writer *w, hsm_params *to, struct plan *p)
{
	switch (part->type) {
	case CK_SP800_108_ITERATION_VARIABLE:
		if (!p->chained)
			return counter_read(part, p, w->len, to);
		return part->pValue == NULL && part->ulValueLen == 0 && plan_split(p, w->len, false);
	case CK_SP800_108_COUNTER:
		return p->chained && counter_read(part, p, w->len, to);
	case CK_SP800_108_DKM_LENGTH: {
		const CK_SP800_108_DKM_LENGTH_FORMAT *f = part->pValue;

		if (f == NULL || part->ulValueLen != sizeof *f || !width_fits(f->ulWidthInBits, 64) || p->length)
			return false;
		p->length = true;
		/* One key is derived: its own length, or that of the turns it takes. */
		if (f->dkmLengthMethod == CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS)
			bits = (bits + 8 * prf_len(to->hash) - 1) / (8 * prf_len(to->hash)) * (8 * prf_len(to->hash));
		else if (f->dkmLengthMethod != CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS)
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

/* What the three mechanisms' parameters have in common. */
struct given { CK_MECHANISM_TYPE prf; const CK_PRF_DATA_PARAM *parts; CK_ULONG n, more; };

static struct given
given_from(const CK_MECHANISM *mechanism)
{
	if (mechanism->mechanism == CKM_SP800_108_FEEDBACK_KDF) {
		const CK_SP800_108_FEEDBACK_KDF_PARAMS *p = mechanism->pParameter;

		return (struct given){ p->prfType, p->pDataParams, p->ulNumberOfDataParams, p->ulAdditionalDerivedKeys };
	} else {
		const CK_SP800_108_KDF_PARAMS *p = mechanism->pParameter;

		return (struct given){ p->prfType, p->pDataParams, p->ulNumberOfDataParams, p->ulAdditionalDerivedKeys };
	}
}

static bool
parts_read(const struct given *g, CK_ULONG bits, struct writer *w, hsm_params *to, struct plan *p)
{
	bool fed = false;

	p->n = 0;
	p->length = false;
	for (CK_ULONG i = 0; i < g->n; i++)
		if (!part_read(&g->parts[i], bits, w, to, p))
			return false;
	for (unsigned i = 0; i < p->n; i++)
		fed = fed || p->counter[i] != p->chained;
	return fed && w->len <= DATA_MAX;
}

/* Counter mode has one split; the others one, or two with the counter's. */
static void
params_split(const struct plan *p, const uint8_t *joined, size_t len, hsm_params *to)
{
	size_t second = p->n == 2 ? p->split[1] : p->split[0];

	to->label = (hsm_in){ joined, p->split[0] };
	if (p->chained)
		to->aad = (hsm_in){ joined + p->split[0], second - p->split[0] };
	to->data = (hsm_in){ joined + second, len - second };
	if (p->chained && p->n == 2 && p->counter[0])
		to->flags |= HSM_PARAM_CHAIN_LAST;
	to->flags |= HSM_PARAM_RAW;
}

CK_RV
ck_params_kbkdf(const CK_MECHANISM *mechanism, CK_ULONG bytes, hsm_params *params, uint8_t **room)
{
	const struct given g = given_from(mechanism);
	struct plan plan = { .chained = mechanism->mechanism != CKM_SP800_108_COUNTER_KDF };
	struct writer w;

	*room = NULL;
	params->hash = prf_hash(g.prf);
	params->flags |= g.prf == CKM_AES_CMAC ? HSM_PARAM_CMAC : 0;
	if ((params->hash == HSM_HASH_NONE && g.prf != CKM_AES_CMAC) || g.more != 0 || g.parts == NULL || g.n > PARTS_MAX)
		return CKR_MECHANISM_PARAM_INVALID;
	writer_init(&w, NULL, 0);
	if (!parts_read(&g, bytes * 8, &w, params, &plan))
		return CKR_MECHANISM_PARAM_INVALID;
	if ((*room = malloc(w.len + 1)) == NULL)
		return CKR_HOST_MEMORY;
	writer_init(&w, *room, w.len);
	(void)parts_read(&g, bytes * 8, &w, params, &plan);
	params_split(&plan, *room, w.len, params);
	return CKR_OK;
}
