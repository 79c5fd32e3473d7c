/* sign.c - signatures of every kind, made and checked. ECDSA is over the digest of
 * 64 bytes of the message, which this program cannot make; all others are over
 * those bytes. */
#include "token.h"

#include <string.h>

static CK_BYTE sha256_of_message[] = {
	0x29, 0x2b, 0xe9, 0x1a, 0xbe, 0x8c, 0x09, 0x09, 0xfe, 0x3d, 0x26, 0x57, 0x5a, 0xf5, 0x75, 0x5e,
	0xee, 0x74, 0xd2, 0x38, 0x16, 0xdc, 0x68, 0xc3, 0xba, 0x41, 0x76, 0x51, 0x36, 0x96, 0x76, 0x54,
};
static CK_BYTE sha384_of_message[] = {
	0xad, 0xe0, 0xaf, 0xdd, 0x52, 0x59, 0x2b, 0xac, 0xe6, 0x1e, 0xf2, 0xa2, 0x86, 0xb2, 0xe4, 0x0f,
	0x7b, 0xc6, 0xe4, 0x6e, 0x4d, 0x4c, 0xac, 0x58, 0x0c, 0x9f, 0x19, 0x1e, 0xa7, 0x38, 0xdd, 0x7c,
	0x5d, 0xb6, 0x2f, 0x48, 0x2d, 0x94, 0x05, 0x32, 0x68, 0xbd, 0x8f, 0x7d, 0x69, 0x95, 0x13, 0xa5,
};

static CK_MECHANISM_TYPE
mechanism_of(const char *kind)
{
	if (kind[0] == 'p')
		return CKM_ECDSA;
	if (strcmp(kind, "rsa") == 0)
		return CKM_SHA256_RSA_PKCS;
	return strcmp(kind, "ed25519") == 0 ? CKM_EDDSA : CKM_ML_DSA;
}

static enum outcome
sign_once(void *arg)
{
	struct body *b = arg;
	CK_RV rv;

	b->out_len = b->out_cap;
	if ((rv = p11->C_SignInit(b->session, &b->mechanism, b->key)) != CKR_OK)
		return answered(rv, "SignInit");
	return answered(p11->C_Sign(b->session, (CK_BYTE *)(uintptr_t)b->in, b->in_len, b->out, &b->out_len), "Sign");
}

static enum outcome
sign_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	if (outcome != DONE)
		return outcome;
	b->mechanism = (CK_MECHANISM){ mechanism_of(order->kind), NULL, 0 };
	b->in = message;
	b->in_len = 64;
	if (strcmp(order->kind, "p256") == 0) {
		b->in = sha256_of_message;
		b->in_len = sizeof sha256_of_message;
	} else if (strcmp(order->kind, "p384") == 0) {
		b->in = sha384_of_message;
		b->in_len = sizeof sha384_of_message;
	}
	if (!b->shared)
		outcome = pair_make(b->session, order, &b->pub, &b->key);
	return outcome == DONE ? sign_once(b) : outcome;
}

static enum outcome
verify_once(void *arg)
{
	struct body *b = arg;
	CK_RV rv;

	if ((rv = p11->C_VerifyInit(b->session, &b->mechanism, b->pub)) != CKR_OK)
		return answered(rv, "VerifyInit");
	rv = p11->C_Verify(b->session, (CK_BYTE *)(uintptr_t)b->in, b->in_len, b->out, b->out_len);
	if (rv == CKR_SIGNATURE_INVALID || rv == CKR_SIGNATURE_LEN_RANGE)
		return say(WRONG, "a good signature is refused");
	return answered(rv, "Verify");
}

/* A signature with one bit turned must be refused. */
static enum outcome
forgery_refused(struct body *b)
{
	CK_RV rv;

	b->out[b->out_len / 2] ^= 1;
	if ((rv = p11->C_VerifyInit(b->session, &b->mechanism, b->pub)) == CKR_OK)
		rv = p11->C_Verify(b->session, (CK_BYTE *)(uintptr_t)b->in, b->in_len, b->out, b->out_len);
	b->out[b->out_len / 2] ^= 1;
	return rv == CKR_OK ? say(WRONG, "a forged signature is taken") : DONE;
}

static void
tell_attribute(struct body *b, CK_ATTRIBUTE_TYPE type, const char *name, FILE *answer)
{
	CK_BYTE value[4096];
	CK_ULONG len = sizeof value;

	if (attribute_get(b->session, b->pub, type, value, &len) == DONE)
		tell(answer, name, value, len);
}

static enum outcome
sign_check(void *arg, FILE *answer)
{
	struct body *b = arg;
	enum outcome outcome = verify_once(b);

	if (outcome == DONE)
		outcome = forgery_refused(b);
	if (outcome != DONE)
		return outcome;
	tell(answer, "signature", b->out, b->out_len);
	if (strcmp(b->order.kind, "rsa") == 0) {
		tell_attribute(b, CKA_MODULUS, "modulus", answer);
		tell_attribute(b, CKA_PUBLIC_EXPONENT, "exponent", answer);
	} else if (b->mechanism.mechanism != CKM_ML_DSA) {
		tell_attribute(b, CKA_EC_POINT, "point", answer);
	}
	return DONE;
}

const struct work sign_works[] = {
	{ "sign", sign_open, sign_once, sign_check, body_close, false },
	{ "verify", sign_open, verify_once, sign_check, body_close, false },
	{ NULL, NULL, NULL, NULL, NULL, false },
};
