/* cipher.c - AES, HMAC, digests, random bytes. */
#include "token.h"

#include <string.h>

static const CK_BYTE zero_iv[16];

static enum outcome
crypt_open(const struct order *order, void *first, struct body **body)
{
	const CK_ATTRIBUTE usage[] = { { CKA_ENCRYPT, &yes, 1 }, { CKA_DECRYPT, &yes, 1 } };
	enum outcome outcome = body_open(order, first, body);
	struct body *b = *body;

	if (outcome != DONE)
		return outcome;
	b->gcm = (CK_GCM_PARAMS){ b->iv, 12, 96, NULL, 0, 128 };
	b->in = message;
	b->in_len = (CK_ULONG)order->size;
	return secret_make(b, CKK_AES, usage, COUNT(usage));
}

static enum outcome
seal_once(void *arg)
{
	struct body *b = arg;
	CK_RV rv;

	b->out_len = b->out_cap;
	if ((rv = p11->C_EncryptInit(b->session, &b->mechanism, b->key)) != CKR_OK)
		return answered(rv, "EncryptInit");
	if ((rv = p11->C_Encrypt(b->session, (CK_BYTE *)(uintptr_t)b->in, b->in_len, b->out, &b->out_len)) != CKR_OK)
		return answered(rv, "Encrypt");
	return DONE;
}

/* A fresh IV for every message, by counting. */
static enum outcome
gcm_seal_once(void *arg)
{
	struct body *b = arg;
	uint64_t count;

	memcpy(&count, b->iv, sizeof count);
	count++;
	memcpy(b->iv, &count, sizeof count);
	return seal_once(b);
}

/* What was sealed last opens, in the module, to what went in. */
static enum outcome
sealed_check(void *arg, FILE *answer)
{
	struct body *b = arg;
	CK_ULONG len = b->out_cap;
	enum outcome outcome = b->out_len == 0 ? seal_once(b) : DONE;

	if (outcome == DONE)
		outcome = answered(p11->C_DecryptInit(b->session, &b->mechanism, b->key), "DecryptInit");
	if (outcome == DONE)
		outcome = answered(p11->C_Decrypt(b->session, b->out, b->out_len, b->back, &len), "Decrypt");
	if (outcome == DONE && (len != b->in_len || memcmp(b->back, b->in, len) != 0))
		outcome = say(WRONG, "what was sealed does not open");
	if (outcome == DONE && b->known) {
		tell(answer, "key", known_key, 32);
		tell(answer, "iv", b->iv, b->mechanism.mechanism == CKM_AES_GCM ? 12 : 16);
		tell(answer, "sealed", b->out, b->out_len);
	}
	return outcome;
}

static enum outcome
gcm_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = crypt_open(order, first, &b);

	*body = b;
	if (outcome != DONE)
		return outcome;
	b->mechanism = (CK_MECHANISM){ CKM_AES_GCM, &b->gcm, sizeof b->gcm };
	/* Lanes of one key must not meet in an IV. */
	memcpy(b->iv + 8, &b->session, 4);
	return seal_once(b);
}

static enum outcome
cbc_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = crypt_open(order, first, &b);

	*body = b;
	if (outcome != DONE)
		return outcome;
	memcpy(b->iv, zero_iv, sizeof zero_iv);
	b->mechanism = (CK_MECHANISM){ CKM_AES_CBC_PAD, b->iv, 16 };
	return seal_once(b);
}

static enum outcome
open_once(void *arg)
{
	struct body *b = arg;
	CK_ULONG len = b->out_cap;
	CK_RV rv;

	if ((rv = p11->C_DecryptInit(b->session, &b->mechanism, b->key)) != CKR_OK)
		return answered(rv, "DecryptInit");
	if ((rv = p11->C_Decrypt(b->session, b->out, b->out_len, b->back, &len)) != CKR_OK)
		return answered(rv, "Decrypt");
	return len == b->in_len ? DONE : say(WRONG, "what was sealed opens to another length");
}

/* Key wrap: a key by a key, out and in again. */

static enum outcome
wrap_once(void *arg)
{
	struct body *b = arg;

	b->out_len = b->out_cap;
	return answered(p11->C_WrapKey(b->session, &b->mechanism, b->key, b->other, b->out, &b->out_len), "WrapKey");
}

static enum outcome
wrap_key_make(struct body *b)
{
	const CK_ATTRIBUTE usage[] = { { CKA_WRAP, &yes, 1 }, { CKA_UNWRAP, &yes, 1 } };
	const CK_ATTRIBUTE inner[] = { { CKA_EXTRACTABLE, &yes, 1 }, { CKA_SENSITIVE, &no, 1 }, { CKA_ENCRYPT, &yes, 1 } };
	enum outcome outcome = secret_make(b, CKK_AES, inner, COUNT(inner));

	if (b->shared || outcome != DONE)
		return outcome;
	b->other = b->key;
	b->key = 0;
	return secret_make(b, CKK_AES, usage, COUNT(usage));
}

static enum outcome
wrap_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	b->mechanism = (CK_MECHANISM){ CKM_AES_KEY_WRAP, NULL, 0 };
	if (outcome == DONE)
		outcome = wrap_key_make(b);
	return outcome == DONE ? wrap_once(b) : outcome;
}

static enum outcome
wrap_check(void *arg, FILE *answer)
{
	struct body *b = arg;
	enum outcome outcome = wrap_once(b);

	if (outcome == DONE && b->known) {
		tell(answer, "key", known_key, 32);
		tell(answer, "plain", known_key, 32);
		tell(answer, "wrapped", b->out, b->out_len);
	}
	return outcome;
}

static enum outcome
unwrap_once(void *arg)
{
	struct body *b = arg;
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_OBJECT_HANDLE key = 0;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof class }, { CKA_KEY_TYPE, &type, sizeof type }, { CKA_TOKEN, &no, 1 }, { CKA_ENCRYPT, &yes, 1 } };
	CK_RV rv = p11->C_UnwrapKey(b->session, &b->mechanism, b->key, b->out, b->out_len, t, COUNT(t), &key);

	if (rv != CKR_OK)
		return answered(rv, "UnwrapKey");
	return answered(p11->C_DestroyObject(b->session, key), "DestroyObject");
}

/* MACs and digests */

static enum outcome
hmac_once(void *arg)
{
	struct body *b = arg;
	CK_RV rv;

	b->out_len = b->out_cap;
	if ((rv = p11->C_SignInit(b->session, &b->mechanism, b->key)) != CKR_OK)
		return answered(rv, "SignInit");
	return answered(p11->C_Sign(b->session, message, (CK_ULONG)b->order.size, b->out, &b->out_len), "Sign");
}

static enum outcome
hmac_open(const struct order *order, void *first, void **body)
{
	const CK_ATTRIBUTE usage[] = { { CKA_SIGN, &yes, 1 }, { CKA_VERIFY, &yes, 1 } };
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	b->mechanism = (CK_MECHANISM){ CKM_SHA256_HMAC, NULL, 0 };
	if (outcome == DONE)
		outcome = secret_make(b, CKK_GENERIC_SECRET, usage, COUNT(usage));
	return outcome == DONE ? hmac_once(b) : outcome;
}

static enum outcome
hmac_check(void *arg, FILE *answer)
{
	struct body *b = arg;
	enum outcome outcome = answered(p11->C_VerifyInit(b->session, &b->mechanism, b->key), "VerifyInit");

	if (outcome == DONE && p11->C_Verify(b->session, message, (CK_ULONG)b->order.size, b->out, b->out_len) != CKR_OK)
		outcome = say(WRONG, "the MAC does not hold");
	if (outcome == DONE && b->known) {
		tell(answer, "key", known_key, 32);
		tell(answer, "mac", b->out, b->out_len);
	}
	return outcome;
}

static enum outcome
digest_once(void *arg)
{
	struct body *b = arg;
	CK_RV rv;

	b->out_len = b->out_cap;
	if ((rv = p11->C_DigestInit(b->session, &b->mechanism)) != CKR_OK)
		return answered(rv, "DigestInit");
	return answered(p11->C_Digest(b->session, message, (CK_ULONG)b->order.size, b->out, &b->out_len), "Digest");
}

static enum outcome
digest_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	b->mechanism = (CK_MECHANISM){ CKM_SHA256, NULL, 0 };
	return outcome == DONE ? digest_once(b) : outcome;
}

static enum outcome
digest_check(void *arg, FILE *answer)
{
	struct body *b = arg;

	tell(answer, "digest", b->out, b->out_len);
	return DONE;
}

static enum outcome
random_once(void *arg)
{
	struct body *b = arg;

	return answered(p11->C_GenerateRandom(b->session, b->out, (CK_ULONG)b->order.size), "GenerateRandom");
}

static enum outcome
random_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	return outcome == DONE ? random_once(b) : outcome;
}

const struct work cipher_works[] = {
	{ "gcm-seal", gcm_open, gcm_seal_once, sealed_check, body_close, false },
	{ "gcm-open", gcm_open, open_once, sealed_check, body_close, false },
	{ "cbc", cbc_open, seal_once, sealed_check, body_close, false },
	{ "cbc-open", cbc_open, open_once, sealed_check, body_close, false },
	{ "kw", wrap_open, wrap_once, wrap_check, body_close, false },
	{ "kw-open", wrap_open, unwrap_once, wrap_check, body_close, false },
	{ "hmac", hmac_open, hmac_once, hmac_check, body_close, false },
	{ "sha256", digest_open, digest_once, digest_check, body_close, false },
	{ "random", random_open, random_once, NULL, body_close, false },
	{ NULL, NULL, NULL, NULL, NULL, false },
};
