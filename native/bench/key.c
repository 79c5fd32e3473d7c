/* key.c - keys made and used: generation, agreement, encapsulation. */
#include "token.h"

#include <string.h>

/* known_key where the module takes keys from outside, else one of its own. */
enum outcome
secret_make(struct body *b, CK_KEY_TYPE type, const CK_ATTRIBUTE *usage, CK_ULONG usage_len)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ULONG len = 32;
	CK_MECHANISM generate = { type == CKK_AES ? CKM_AES_KEY_GEN : CKM_GENERIC_SECRET_KEY_GEN, NULL, 0 };
	CK_ATTRIBUTE t[12] = {
		{ CKA_CLASS, &class, sizeof class }, { CKA_KEY_TYPE, &type, sizeof type },
		{ CKA_TOKEN, &no, 1 }, { CKA_VALUE, known_key, 32 },
	};

	if (b->shared)
		return DONE;
	memcpy(t + 4, usage, usage_len * sizeof *usage);
	if (p11->C_CreateObject(b->session, t, 4 + usage_len, &b->key) == CKR_OK) {
		b->known = true;
		return DONE;
	}
	t[3] = (CK_ATTRIBUTE){ CKA_VALUE_LEN, &len, sizeof len };
	return answered(p11->C_GenerateKey(b->session, &generate, t, 4 + usage_len, &b->key), "GenerateKey");
}

struct pair_kind {
	const char *name;
	CK_MECHANISM_TYPE mechanism;
	const char *curve;      /* DER */
	size_t curve_len;
	const char *curve_2;    /* as older modules want it */
	size_t curve_2_len;
	CK_ULONG set;           /* CKA_PARAMETER_SET */
	bool derives, encapsulates;
};

static const struct pair_kind kinds[] = {
	{ "p256", CKM_EC_KEY_PAIR_GEN, "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10, NULL, 0, 0, true, false },
	{ "p384", CKM_EC_KEY_PAIR_GEN, "\x06\x05\x2b\x81\x04\x00\x22", 7, NULL, 0, 0, true, false },
	{ "ed25519", CKM_EC_EDWARDS_KEY_PAIR_GEN, "\x06\x03\x2b\x65\x70", 5, "\x13\x0c" "edwards25519", 14, 0, false, false },
	{ "rsa", CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0, NULL, 0, 0, false, false },
	{ "mldsa65", CKM_ML_DSA_KEY_PAIR_GEN, NULL, 0, NULL, 0, CKP_ML_DSA_65, false, false },
	{ "mlkem768", CKM_ML_KEM_KEY_PAIR_GEN, NULL, 0, NULL, 0, CKP_ML_KEM_768, false, true },
};

static CK_RV
pair_try(CK_SESSION_HANDLE session, const struct pair_kind *kind, const char *curve, size_t curve_len, size_t size,
    CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *key)
{
	CK_MECHANISM mechanism = { kind->mechanism, NULL, 0 };
	CK_ULONG bits = size, set = kind->set;
	CK_BYTE exponent[] = { 1, 0, 1 };
	CK_ATTRIBUTE p[6] = { { CKA_TOKEN, &no, 1 } }, s[6] = { { CKA_TOKEN, &no, 1 }, { CKA_SENSITIVE, &yes, 1 } };
	CK_ULONG pn = 1, sn = 2;
	CK_ATTRIBUTE_TYPE use = kind->encapsulates ? CKA_ENCAPSULATE : CKA_VERIFY;

	p[pn++] = (CK_ATTRIBUTE){ use, &yes, 1 };
	if (curve != NULL)
		p[pn++] = (CK_ATTRIBUTE){ CKA_EC_PARAMS, (void *)(uintptr_t)curve, (CK_ULONG)curve_len };
	else if (set != 0)
		p[pn++] = (CK_ATTRIBUTE){ CKA_PARAMETER_SET, &set, sizeof set };
	else {
		p[pn++] = (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &bits, sizeof bits };
		p[pn++] = (CK_ATTRIBUTE){ CKA_PUBLIC_EXPONENT, exponent, sizeof exponent };
	}
	s[sn++] = (CK_ATTRIBUTE){ kind->encapsulates ? CKA_DECAPSULATE : CKA_SIGN, &yes, 1 };
	if (kind->derives)
		s[sn++] = (CK_ATTRIBUTE){ CKA_DERIVE, &yes, 1 };
	return p11->C_GenerateKeyPair(session, &mechanism, p, pn, s, sn, pub, key);
}

enum outcome
pair_make(CK_SESSION_HANDLE session, const struct order *order, CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *key)
{
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const struct pair_kind *kind = &kinds[i];
		CK_RV rv;

		if (strcmp(kind->name, order->kind) != 0)
			continue;
		rv = pair_try(session, kind, kind->curve, kind->curve_len, order->size, pub, key);
		if (rv != CKR_OK && kind->curve_2 != NULL)
			rv = pair_try(session, kind, kind->curve_2, kind->curve_2_len, order->size, pub, key);
		/* Whatever it says: a module that does not make such a pair has none. */
		return rv == CKR_OK ? DONE : say(UNAVAILABLE, "C_GenerateKeyPair answers 0x%lx", rv);
	}
	return say(UNAVAILABLE, "no such key pair");
}

enum outcome
attribute_get(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, CK_BYTE *out, CK_ULONG *len)
{
	CK_ATTRIBUTE t = { type, out, *len };
	enum outcome outcome = answered(p11->C_GetAttributeValue(session, object, &t, 1), "GetAttributeValue");

	*len = t.ulValueLen;
	return outcome;
}

enum outcome
secret_token(CK_SESSION_HANDLE session, unsigned long number, CK_OBJECT_HANDLE *key)
{
	CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
	char label[32];
	int n = snprintf(label, sizeof label, "bench-%08lu", number);
	CK_ULONG len = 32;
	CK_ATTRIBUTE t[] = {
		{ CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &yes, 1 }, { CKA_VALUE_LEN, &len, sizeof len },
		{ CKA_LABEL, label, (CK_ULONG)n }, { CKA_ID, &number, sizeof number }, { CKA_ENCRYPT, &yes, 1 }, { CKA_DECRYPT, &yes, 1 },
	};

	return answered(p11->C_GenerateKey(session, &mechanism, t, COUNT(t), key), "GenerateKey");
}

/* Key generation, with the taking away of what was made. */

static enum outcome
keygen_once(void *arg)
{
	struct body *b = arg;
	CK_OBJECT_HANDLE pub = 0, key = 0;
	enum outcome outcome;

	if (strcmp(b->order.kind, "aes") == 0) {
		CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
		CK_ULONG len = 32;
		CK_ATTRIBUTE t[] = { { CKA_TOKEN, &no, 1 }, { CKA_VALUE_LEN, &len, sizeof len }, { CKA_ENCRYPT, &yes, 1 } };

		outcome = answered(p11->C_GenerateKey(b->session, &mechanism, t, COUNT(t), &key), "GenerateKey");
	} else {
		outcome = pair_make(b->session, &b->order, &pub, &key);
	}
	if (outcome == DONE && pub != 0)
		outcome = answered(p11->C_DestroyObject(b->session, pub), "DestroyObject");
	if (outcome == DONE)
		outcome = answered(p11->C_DestroyObject(b->session, key), "DestroyObject");
	return outcome;
}

static enum outcome
keygen_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	return outcome == DONE ? keygen_once(b) : outcome;
}

/* Agreement: our key with a peer's point; the secret is an object that goes again. */

static enum outcome
derive(struct body *b, CK_OBJECT_HANDLE key, CK_BYTE *point, CK_ULONG point_len, CK_OBJECT_HANDLE *secret)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ULONG len = 32;
	CK_ECDH1_DERIVE_PARAMS ecdh = { CKD_NULL, 0, NULL, point_len, point };
	CK_MECHANISM mechanism = { CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh };
	CK_ATTRIBUTE t[] = {
		{ CKA_CLASS, &class, sizeof class }, { CKA_KEY_TYPE, &type, sizeof type }, { CKA_TOKEN, &no, 1 },
		{ CKA_SENSITIVE, &no, 1 }, { CKA_EXTRACTABLE, &yes, 1 }, { CKA_VALUE_LEN, &len, sizeof len },
	};

	return answered(p11->C_DeriveKey(b->session, &mechanism, key, t, COUNT(t), secret), "DeriveKey");
}

/* The point without the head of its OCTET STRING: all modules take that. */
static enum outcome
point_get(struct body *b, CK_OBJECT_HANDLE pub, CK_BYTE *out, CK_ULONG *len)
{
	enum outcome outcome = attribute_get(b->session, pub, CKA_EC_POINT, out, len);

	if (outcome == DONE && *len > 2 && out[1] == *len - 2) {
		*len -= 2;
		memmove(out, out + 2, *len);
	}
	return outcome;
}

static enum outcome
ecdh_once(void *arg)
{
	struct body *b = arg;
	CK_OBJECT_HANDLE secret = 0;
	enum outcome outcome = derive(b, b->key, b->point, b->point_len, &secret);

	return outcome == DONE ? answered(p11->C_DestroyObject(b->session, secret), "DestroyObject") : outcome;
}

/* The other side comes to the same secret. */
static enum outcome
ecdh_check(void *arg, FILE *answer)
{
	struct body *b = arg;
	CK_OBJECT_HANDLE ours = 0, theirs = 0;
	CK_BYTE point[256], one[64], two[64];
	CK_ULONG point_len = sizeof point, one_len = sizeof one, two_len = sizeof two;
	enum outcome outcome = point_get(b, b->pub, point, &point_len);

	(void)answer;
	if (outcome == DONE)
		outcome = derive(b, b->key, b->point, b->point_len, &ours);
	if (outcome == DONE)
		outcome = derive(b, b->other, point, point_len, &theirs);
	if (outcome == DONE)
		outcome = attribute_get(b->session, ours, CKA_VALUE, one, &one_len);
	if (outcome == DONE)
		outcome = attribute_get(b->session, theirs, CKA_VALUE, two, &two_len);
	if (outcome == DONE && (one_len != 32 || two_len != 32 || memcmp(one, two, 32) != 0))
		outcome = say(WRONG, "the two sides have different secrets");
	if (ours != 0)
		(void)p11->C_DestroyObject(b->session, ours);
	if (theirs != 0)
		(void)p11->C_DestroyObject(b->session, theirs);
	return outcome;
}

static enum outcome
ecdh_open(const struct order *order, void *first, void **body)
{
	struct body *b, *leader = first;
	CK_OBJECT_HANDLE peer_pub = 0;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	if (outcome != DONE)
		return outcome;
	b->point_len = sizeof b->point;
	if (b->shared) {
		memcpy(b->point, leader->point, sizeof b->point);
		b->point_len = leader->point_len;
		return ecdh_once(b);
	}
	if ((outcome = pair_make(b->session, order, &b->pub, &b->key)) != DONE)
		return outcome;
	if ((outcome = pair_make(b->session, order, &peer_pub, &b->other)) != DONE)
		return outcome;
	outcome = point_get(b, peer_pub, b->point, &b->point_len);
	(void)p11->C_DestroyObject(b->session, peer_pub);
	return outcome == DONE ? ecdh_once(b) : outcome;
}

/* ML-KEM */

static const CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;
static const CK_KEY_TYPE secret_type = CKK_GENERIC_SECRET;

static void
shared_secret(CK_ATTRIBUTE *t)
{
	t[0] = (CK_ATTRIBUTE){ CKA_CLASS, (void *)(uintptr_t)&secret_class, sizeof secret_class };
	t[1] = (CK_ATTRIBUTE){ CKA_KEY_TYPE, (void *)(uintptr_t)&secret_type, sizeof secret_type };
	t[2] = (CK_ATTRIBUTE){ CKA_TOKEN, &no, 1 };
	t[3] = (CK_ATTRIBUTE){ CKA_SENSITIVE, &no, 1 };
	t[4] = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, &yes, 1 };
}

static enum outcome
encapsulate(struct body *b, CK_OBJECT_HANDLE *secret)
{
	CK_ATTRIBUTE t[5];

	shared_secret(t);
	b->out_len = b->out_cap;
	return answered(p11_3->C_EncapsulateKey(b->session, &b->mechanism, b->pub, t, COUNT(t), b->out, &b->out_len, secret), "EncapsulateKey");
}

static enum outcome
decapsulate(struct body *b, CK_OBJECT_HANDLE *secret)
{
	CK_ATTRIBUTE t[5];

	shared_secret(t);
	return answered(p11_3->C_DecapsulateKey(b->session, &b->mechanism, b->key, t, COUNT(t), b->out, b->out_len, secret), "DecapsulateKey");
}

static enum outcome
encapsulate_once(void *arg)
{
	struct body *b = arg;
	CK_OBJECT_HANDLE secret = 0;
	enum outcome outcome = encapsulate(b, &secret);

	return outcome == DONE ? answered(p11->C_DestroyObject(b->session, secret), "DestroyObject") : outcome;
}

static enum outcome
decapsulate_once(void *arg)
{
	struct body *b = arg;
	CK_OBJECT_HANDLE secret = 0;
	enum outcome outcome = decapsulate(b, &secret);

	return outcome == DONE ? answered(p11->C_DestroyObject(b->session, secret), "DestroyObject") : outcome;
}

static enum outcome
kem_check(void *arg, FILE *answer)
{
	struct body *b = arg;
	CK_OBJECT_HANDLE ours = 0, theirs = 0;
	CK_BYTE one[64], two[64];
	CK_ULONG one_len = sizeof one, two_len = sizeof two;
	enum outcome outcome = encapsulate(b, &ours);

	(void)answer;
	if (outcome == DONE)
		outcome = decapsulate(b, &theirs);
	if (outcome == DONE)
		outcome = attribute_get(b->session, ours, CKA_VALUE, one, &one_len);
	if (outcome == DONE)
		outcome = attribute_get(b->session, theirs, CKA_VALUE, two, &two_len);
	if (outcome == DONE && (one_len != 32 || two_len != 32 || memcmp(one, two, 32) != 0))
		outcome = say(WRONG, "the two sides have different secrets");
	if (ours != 0)
		(void)p11->C_DestroyObject(b->session, ours);
	if (theirs != 0)
		(void)p11->C_DestroyObject(b->session, theirs);
	return outcome;
}

static enum outcome
kem_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	if (outcome != DONE)
		return outcome;
	if (p11_3 == NULL)
		return say(UNAVAILABLE, "the module has no 3.2 interface");
	b->mechanism = (CK_MECHANISM){ CKM_ML_KEM, NULL, 0 };
	if (!b->shared)
		outcome = pair_make(b->session, order, &b->pub, &b->key);
	return outcome == DONE ? encapsulate_once(b) : outcome;
}

const struct work key_works[] = {
	{ "keygen", keygen_open, keygen_once, NULL, body_close, false },
	{ "ecdh", ecdh_open, ecdh_once, ecdh_check, body_close, false },
	{ "encapsulate", kem_open, encapsulate_once, kem_check, body_close, false },
	{ "decapsulate", kem_open, decapsulate_once, kem_check, body_close, false },
	{ NULL, NULL, NULL, NULL, NULL, false },
};
