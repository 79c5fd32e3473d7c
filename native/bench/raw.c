/* raw.c - the same work by the crypto library itself, in the shape that costs
 * least: contexts made once, no copies, no checks. The limit under every module
 * that stands on this library. */
#include "drive.h"

#include <openssl/aead.h>
#include <openssl/aes.h>
#include <openssl/bn.h>
#include <openssl/curve25519.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include <stdlib.h>
#include <string.h>

struct body {
	struct order copy;
	EVP_AEAD_CTX *aead;
	EVP_CIPHER_CTX *cipher;
	HMAC_CTX *hmac;
	AES_KEY aes;
	EVP_PKEY *key, *peer;
	EVP_PKEY_CTX *use;
	EVP_MD_CTX *digest;
	uint8_t iv[12], *out, *in;
	size_t out_cap, out_len, in_len;
	uint8_t hash[64];
	size_t hash_len;
};

static void
body_close(void *arg)
{
	struct body *b = arg;

	if (b == NULL)
		return;
	EVP_AEAD_CTX_free(b->aead);
	EVP_CIPHER_CTX_free(b->cipher);
	HMAC_CTX_free(b->hmac);
	EVP_PKEY_CTX_free(b->use);
	EVP_MD_CTX_free(b->digest);
	EVP_PKEY_free(b->key);
	EVP_PKEY_free(b->peer);
	free(b->out);
	free(b->in);
	free(b);
}

static struct body *
body_new(const struct order *order)
{
	struct body *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->copy = *order;
	b->out_cap = order->size + 8192;
	b->out = malloc(b->out_cap);
	b->in = malloc(b->out_cap);
	if (b->out == NULL || b->in == NULL) {
		body_close(b);
		return NULL;
	}
	return b;
}

static enum outcome
made(struct body *b, bool ok, void **body)
{
	if (ok) {
		*body = b;
		return DONE;
	}
	body_close(b);
	return say(UNAVAILABLE, "the library refuses");
}

static enum outcome
did(int ok)
{
	return ok > 0 ? DONE : say(BROKEN, "the library refuses");
}

/* AES-GCM: one context, the next IV by counting. */

static enum outcome
gcm_open(const struct order *order, void *first, void **body)
{
	struct body *b = body_new(order);

	(void)first;
	if (b != NULL)
		b->aead = EVP_AEAD_CTX_new(EVP_aead_aes_256_gcm(), known_key, 32, 16);
	return made(b, b != NULL && b->aead != NULL, body);
}

static enum outcome
gcm_seal_once(void *arg)
{
	struct body *b = arg;
	uint64_t count;

	memcpy(&count, b->iv, sizeof count);
	count++;
	memcpy(b->iv, &count, sizeof count);
	return did(EVP_AEAD_CTX_seal(b->aead, b->out, &b->out_len, b->out_cap, b->iv, 12, message, b->copy.size, NULL, 0));
}

static enum outcome
gcm_seal_check(void *arg, FILE *answer)
{
	struct body *b = arg;

	if (b->out_len == 0 && gcm_seal_once(b) != DONE)
		return BROKEN;
	tell(answer, "key", known_key, 32);
	tell(answer, "iv", b->iv, 12);
	tell(answer, "sealed", b->out, b->out_len);
	return DONE;
}

static enum outcome
gcm_opener_open(const struct order *order, void *first, void **body)
{
	enum outcome outcome = gcm_open(order, first, body);
	struct body *b = *body;

	if (outcome != DONE)
		return outcome;
	return did(EVP_AEAD_CTX_seal(b->aead, b->in, &b->in_len, b->out_cap, b->iv, 12, message, b->copy.size, NULL, 0));
}

static enum outcome
gcm_open_once(void *arg)
{
	struct body *b = arg;

	return did(EVP_AEAD_CTX_open(b->aead, b->out, &b->out_len, b->out_cap, b->iv, 12, b->in, b->in_len, NULL, 0));
}

static enum outcome
is_message(void *arg, FILE *answer)
{
	struct body *b = arg;

	(void)answer;
	if (b->out_len != 0 && (b->out_len != b->copy.size || memcmp(b->out, message, b->out_len) != 0))
		return say(WRONG, "not what was sealed");
	return DONE;
}

/* AES-CBC with padding */

static enum outcome
cbc_open(const struct order *order, void *first, void **body)
{
	struct body *b = body_new(order);

	(void)first;
	if (b != NULL)
		b->cipher = EVP_CIPHER_CTX_new();
	return made(b, b != NULL && b->cipher != NULL && EVP_EncryptInit_ex(b->cipher, EVP_aes_256_cbc(), NULL, known_key, b->iv) == 1, body);
}

static enum outcome
cbc_once(void *arg)
{
	struct body *b = arg;
	int some = 0, last = 0;
	int ok = EVP_EncryptInit_ex(b->cipher, NULL, NULL, NULL, b->iv) == 1 &&
	    EVP_EncryptUpdate(b->cipher, b->out, &some, message, (int)b->copy.size) == 1 &&
	    EVP_EncryptFinal_ex(b->cipher, b->out + some, &last) == 1;

	b->out_len = (size_t)(some + last);
	return did(ok);
}

static enum outcome
cbc_check(void *arg, FILE *answer)
{
	struct body *b = arg;
	uint8_t iv[16] = { 0 };

	if (b->out_len == 0 && cbc_once(b) != DONE)
		return BROKEN;
	tell(answer, "key", known_key, 32);
	tell(answer, "iv", iv, sizeof iv);
	tell(answer, "sealed", b->out, b->out_len);
	return DONE;
}

/* AES key wrap of a 32-byte key */

static enum outcome
kw_open(const struct order *order, void *first, void **body)
{
	struct body *b = body_new(order);

	(void)first;
	return made(b, b != NULL && AES_set_encrypt_key(known_key, 256, &b->aes) == 0, body);
}

static enum outcome
kw_once(void *arg)
{
	struct body *b = arg;
	int len = AES_wrap_key(&b->aes, NULL, b->out, known_key + 32, 32);

	b->out_len = len > 0 ? (size_t)len : 0;
	return did(len);
}

static enum outcome
kw_check(void *arg, FILE *answer)
{
	struct body *b = arg;

	if (kw_once(b) != DONE)
		return BROKEN;
	tell(answer, "key", known_key, 32);
	tell(answer, "plain", known_key + 32, 32);
	tell(answer, "wrapped", b->out, b->out_len);
	return DONE;
}

/* HMAC, SHA-256, random */

static enum outcome
hmac_open(const struct order *order, void *first, void **body)
{
	struct body *b = body_new(order);

	(void)first;
	if (b != NULL)
		b->hmac = HMAC_CTX_new();
	return made(b, b != NULL && b->hmac != NULL && HMAC_Init_ex(b->hmac, known_key, 32, EVP_sha256(), NULL) == 1, body);
}

static enum outcome
hmac_once(void *arg)
{
	struct body *b = arg;
	unsigned len = 0;
	int ok = HMAC_Init_ex(b->hmac, NULL, 0, NULL, NULL) == 1 && HMAC_Update(b->hmac, message, b->copy.size) == 1 &&
	    HMAC_Final(b->hmac, b->out, &len) == 1;

	b->out_len = len;
	return did(ok);
}

static enum outcome
hmac_check(void *arg, FILE *answer)
{
	struct body *b = arg;

	if (hmac_once(b) != DONE)
		return BROKEN;
	tell(answer, "key", known_key, 32);
	tell(answer, "mac", b->out, b->out_len);
	return DONE;
}

static enum outcome
plain_open(const struct order *order, void *first, void **body)
{
	struct body *b = body_new(order);

	(void)first;
	return made(b, b != NULL, body);
}

static enum outcome
sha_once(void *arg)
{
	struct body *b = arg;

	(void)SHA256(message, b->copy.size, b->out);
	b->out_len = 32;
	return DONE;
}

static enum outcome
sha_check(void *arg, FILE *answer)
{
	struct body *b = arg;

	(void)sha_once(b);
	tell(answer, "digest", b->out, b->out_len);
	return DONE;
}

static enum outcome
random_once(void *arg)
{
	struct body *b = arg;

	return did(RAND_bytes(b->out, b->copy.size));
}

/* Key pairs */

static EVP_PKEY *
pair_by(EVP_PKEY_CTX *ctx, const struct order *order)
{
	EVP_PKEY *key = NULL;
	bool ok = ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1;

	if (ok && strcmp(order->kind, "rsa") == 0)
		ok = EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)order->size) == 1;
	if (ok)
		(void)EVP_PKEY_keygen(ctx, &key);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *
pair_by_nid(int type, int nid, int (*set)(EVP_PKEY_CTX *, int))
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(type, NULL);

	if (ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 && set(ctx, nid) == 1)
		(void)EVP_PKEY_keygen(ctx, &key);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *
pqdsa_pair(int nid)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_PQDSA, NULL);

	if (ctx != NULL && EVP_PKEY_CTX_pqdsa_set_params(ctx, nid) == 1 && EVP_PKEY_keygen_init(ctx) == 1)
		(void)EVP_PKEY_keygen(ctx, &key);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *
kem_pair(int nid)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_KEM, NULL);

	if (ctx != NULL && EVP_PKEY_CTX_kem_set_params(ctx, nid) == 1 && EVP_PKEY_keygen_init(ctx) == 1)
		(void)EVP_PKEY_keygen(ctx, &key);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *
pair_new(const struct order *order)
{
	const char *kind = order->kind;

	if (strcmp(kind, "p256") == 0)
		return pair_by_nid(EVP_PKEY_EC, NID_X9_62_prime256v1, EVP_PKEY_CTX_set_ec_paramgen_curve_nid);
	if (strcmp(kind, "p384") == 0)
		return pair_by_nid(EVP_PKEY_EC, NID_secp384r1, EVP_PKEY_CTX_set_ec_paramgen_curve_nid);
	if (strcmp(kind, "ed25519") == 0)
		return pair_by(EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL), order);
	if (strcmp(kind, "rsa") == 0)
		return pair_by(EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL), order);
	if (strcmp(kind, "mldsa65") == 0)
		return pqdsa_pair(NID_MLDSA65);
	if (strcmp(kind, "mlkem768") == 0)
		return kem_pair(NID_MLKEM768);
	return NULL;
}

/* Signatures. ECDSA is over a digest, all others over the message. */

static bool
over_digest(const struct body *b)
{
	return b->copy.kind[0] == 'p';
}

static bool
sign_setup(struct body *b, bool verify)
{
	const EVP_MD *md = strcmp(b->copy.kind, "rsa") == 0 ? EVP_sha256() : NULL;

	b->hash_len = strcmp(b->copy.kind, "p384") == 0 ? 48 : 32;
	memcpy(b->hash, message, b->hash_len);
	b->in_len = over_digest(b) ? b->hash_len : 64;
	if (over_digest(b)) {
		b->use = EVP_PKEY_CTX_new(b->key, NULL);
		return b->use != NULL && (verify ? EVP_PKEY_verify_init(b->use) : EVP_PKEY_sign_init(b->use)) == 1;
	}
	b->digest = EVP_MD_CTX_new();
	return b->digest != NULL && (md != NULL || EVP_DigestSignInit(b->digest, NULL, NULL, NULL, b->key) == 1);
}

static enum outcome
sign_open(const struct order *order, void *first, void **body)
{
	struct body *b = body_new(order), *shared = first;

	if (b == NULL)
		return made(NULL, false, body);
	if (shared != NULL && !order->own_key && EVP_PKEY_up_ref(shared->key) == 1)
		b->key = shared->key;
	else
		b->key = pair_new(order);
	return made(b, b->key != NULL && sign_setup(b, false), body);
}

static enum outcome
sign_once(void *arg)
{
	struct body *b = arg;
	const EVP_MD *md = strcmp(b->copy.kind, "rsa") == 0 ? EVP_sha256() : NULL;
	int ok;

	b->out_len = b->out_cap;
	if (over_digest(b))
		return did(EVP_PKEY_sign(b->use, b->out, &b->out_len, b->hash, b->hash_len));
	ok = EVP_DigestSignInit(b->digest, NULL, md, NULL, b->key) == 1 &&
	    EVP_DigestSign(b->digest, b->out, &b->out_len, message, b->in_len) == 1;
	EVP_MD_CTX_reset(b->digest);
	return did(ok);
}

static int
signature_holds(struct body *b)
{
	const EVP_MD *md = strcmp(b->copy.kind, "rsa") == 0 ? EVP_sha256() : NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(b->key, NULL);
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	int ok = 0;

	if (ctx != NULL && digest != NULL) {
		if (over_digest(b))
			ok = EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_verify(ctx, b->out, b->out_len, b->hash, b->hash_len) == 1;
		else
			ok = EVP_DigestVerifyInit(digest, NULL, md, NULL, b->key) == 1 &&
			    EVP_DigestVerify(digest, b->out, b->out_len, message, b->in_len) == 1;
	}
	EVP_MD_CTX_free(digest);
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static enum outcome
sign_check(void *arg, FILE *answer)
{
	struct body *b = arg;

	(void)answer;
	if (sign_once(b) != DONE)
		return BROKEN;
	return signature_holds(b) == 1 ? DONE : say(WRONG, "the signature does not hold");
}

static enum outcome
verify_open(const struct order *order, void *first, void **body)
{
	enum outcome outcome = sign_open(order, first, body);
	struct body *b = *body;

	if (outcome == DONE)
		outcome = sign_once(b);
	if (outcome == DONE && over_digest(b))
		outcome = did(EVP_PKEY_verify_init(b->use));
	return outcome;
}

static enum outcome
verify_once(void *arg)
{
	struct body *b = arg;
	const EVP_MD *md = strcmp(b->copy.kind, "rsa") == 0 ? EVP_sha256() : NULL;
	int ok;

	if (over_digest(b))
		return did(EVP_PKEY_verify(b->use, b->out, b->out_len, b->hash, b->hash_len));
	ok = EVP_DigestVerifyInit(b->digest, NULL, md, NULL, b->key) == 1 &&
	    EVP_DigestVerify(b->digest, b->out, b->out_len, message, b->in_len) == 1;
	EVP_MD_CTX_reset(b->digest);
	return did(ok);
}

/* Agreement, encapsulation, key generation */

static enum outcome
ecdh_open(const struct order *order, void *first, void **body)
{
	struct body *b = body_new(order);

	(void)first;
	if (b == NULL)
		return made(NULL, false, body);
	b->key = pair_new(order);
	b->peer = pair_new(order);
	b->use = b->key == NULL ? NULL : EVP_PKEY_CTX_new(b->key, NULL);
	return made(b, b->use != NULL && b->peer != NULL && EVP_PKEY_derive_init(b->use) == 1 &&
	    EVP_PKEY_derive_set_peer(b->use, b->peer) == 1, body);
}

static enum outcome
ecdh_once(void *arg)
{
	struct body *b = arg;

	b->out_len = b->out_cap;
	return did(EVP_PKEY_derive(b->use, b->out, &b->out_len));
}

static enum outcome
kem_open(const struct order *order, void *first, void **body)
{
	struct body *b = body_new(order);

	(void)first;
	if (b == NULL)
		return made(NULL, false, body);
	b->key = pair_new(order);
	b->use = b->key == NULL ? NULL : EVP_PKEY_CTX_new(b->key, NULL);
	return made(b, b->use != NULL, body);
}

static enum outcome
encapsulate_once(void *arg)
{
	struct body *b = arg;
	size_t secret_len = sizeof b->hash;

	b->out_len = b->out_cap;
	return did(EVP_PKEY_encapsulate(b->use, b->out, &b->out_len, b->hash, &secret_len));
}

static enum outcome
decapsulate_once(void *arg)
{
	struct body *b = arg;
	size_t secret_len = b->out_cap;

	return did(EVP_PKEY_decapsulate(b->use, b->in, &secret_len, b->out, b->out_len));
}

static enum outcome
kem_check(void *arg, FILE *answer)
{
	struct body *b = arg;

	(void)answer;
	if (encapsulate_once(b) != DONE || decapsulate_once(b) != DONE)
		return BROKEN;
	return memcmp(b->in, b->hash, 32) == 0 ? DONE : say(WRONG, "the two sides have different secrets");
}

static enum outcome
decapsulate_open(const struct order *order, void *first, void **body)
{
	enum outcome outcome = kem_open(order, first, body);

	return outcome == DONE ? encapsulate_once(*body) : outcome;
}

static enum outcome
keygen_once(void *arg)
{
	struct body *b = arg;
	EVP_PKEY *key;

	if (strcmp(b->copy.kind, "aes") == 0)
		return did(RAND_bytes(b->out, 32));
	key = pair_new(&b->copy);
	EVP_PKEY_free(key);
	return did(key != NULL);
}

static enum outcome
keygen_open(const struct order *order, void *first, void **body)
{
	enum outcome outcome = plain_open(order, first, body);

	if (outcome == DONE && keygen_once(*body) != DONE)
		outcome = say(UNAVAILABLE, "the library has no such key");
	return outcome;
}

int
main(void)
{
	static const struct work works[] = {
		{ "gcm-seal", gcm_open, gcm_seal_once, gcm_seal_check, body_close, false },
		{ "gcm-open", gcm_opener_open, gcm_open_once, is_message, body_close, false },
		{ "cbc", cbc_open, cbc_once, cbc_check, body_close, false },
		{ "kw", kw_open, kw_once, kw_check, body_close, false },
		{ "hmac", hmac_open, hmac_once, hmac_check, body_close, false },
		{ "sha256", plain_open, sha_once, sha_check, body_close, false },
		{ "random", plain_open, random_once, NULL, body_close, false },
		{ "sign", sign_open, sign_once, sign_check, body_close, false },
		{ "verify", verify_open, verify_once, NULL, body_close, false },
		{ "ecdh", ecdh_open, ecdh_once, NULL, body_close, false },
		{ "encapsulate", kem_open, encapsulate_once, kem_check, body_close, false },
		{ "decapsulate", decapsulate_open, decapsulate_once, kem_check, body_close, false },
		{ "keygen", keygen_open, keygen_once, NULL, body_close, false },
		{ NULL, NULL, NULL, NULL, NULL, false },
	};

	printf("ready name=AWS-LC version=%s\n", AWSLC_VERSION_NUMBER_STRING);
	(void)fflush(stdout);
	return drive(works);
}
