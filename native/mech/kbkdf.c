/* kbkdf.c - SP 800-108 key derivation in counter, feedback and double-pipeline
 * mode, over HMAC or AES-CMAC.
 * (KMS symmetric keys, account keys and root keys derive through hkey.c.) */
#include <string.h>

#include "aes_cmac.h"
#include "hmac.h"
#include "primitive.h"

#define KBKDF_MAX 8192u                 /* bytes of one derivation */

/* ---- the pseudorandom function ------------------------------------------------- */

struct prf {
	size_t len;                     /* bytes it gives */
	bool cmac;
	HMAC_CTX keyed;
	AES_KEY schedule;
};

static hsm_status
prf_hmac(struct prf *f, const struct key *key, hsm_hash hash)
{
	f->len = primitive_hash_len(hash);
	return f->len == 0 ? HSM_E_PARAM : hmac_keyed(key, hash, &f->keyed);
}

static hsm_status
prf_cmac(struct prf *f, hsm_in key)
{
	f->len = 16;
	f->cmac = true;
	if (key.len != 16 && key.len != 24 && key.len != 32)
		return HSM_E_KEY_SIZE;
	return AES_set_encrypt_key(key.ptr, (unsigned)key.len * 8, &f->schedule) == 0 ? HSM_OK : library_status(HSM_E_CRYPTO);
}

static hsm_status
prf_run(const struct prf *f, const hsm_in *parts, size_t n, uint8_t *out)
{
	struct cmac c;
	HMAC_CTX ctx;
	bool ok;

	if (f->cmac) {
		cmac_open(&c, &f->schedule);
		for (size_t i = 0; i < n; i++)
			cmac_add(&c, parts[i]);
		cmac_close(&c, out);
		return HSM_OK;
	}
	HMAC_CTX_init(&ctx);
	ok = HMAC_CTX_copy_ex(&ctx, &f->keyed);
	for (size_t i = 0; ok && i < n; i++)
		ok = HMAC_Update(&ctx, parts[i].ptr, parts[i].len);
	ok = ok && HMAC_Final(&ctx, out, NULL);
	HMAC_CTX_cleanup(&ctx);
	return ok ? HSM_OK : library_status(HSM_E_CRYPTO);
}

/* ---- counter mode ---------------------------------------------------------------- */

/* What the function reads for each block: label, then by our layout 00, context
 * and [L]32 with the counter in front of all; by the caller's (raw) the counter
 * after the label, and the context is all that follows. */
struct layout { hsm_in label, context; size_t counter_len; bool raw; };

static hsm_status
block_make(const struct prf *f, const struct layout *l, uint32_t i, uint32_t bits, uint8_t *out)
{
	const uint8_t counter[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
	const uint8_t length[4] = { (uint8_t)(bits >> 24), (uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits };
	const uint8_t zero = 0;
	const hsm_in c = { counter + 4 - l->counter_len, l->counter_len };
	const hsm_in theirs[] = { l->label, c, l->context };
	const hsm_in ours[] = { c, l->label, { &zero, 1 }, l->context, { length, 4 } };

	return l->raw ? prf_run(f, theirs, COUNT(theirs), out) : prf_run(f, ours, COUNT(ours), out);
}

static hsm_status
counter_mode(const struct prf *f, const struct layout *l, uint8_t *out, size_t out_len)
{
	uint64_t blocks = (out_len + f->len - 1) / f->len;
	uint8_t block[PRIMITIVE_HASH_MAX];
	hsm_status st = HSM_OK;

	if (out_len > KBKDF_MAX || (l->counter_len < 4 && blocks >> (8 * l->counter_len) != 0))
		return HSM_E_PARAM;
	for (uint32_t i = 1; i <= blocks && st == HSM_OK; i++) {
		size_t at = (i - 1) * f->len, n = out_len - at < f->len ? out_len - at : f->len;

		if ((st = block_make(f, l, i, (uint32_t)out_len * 8, block)) == HSM_OK)
			memcpy(out + at, block, n);
	}
	bytes_wipe(block, sizeof block);
	return st;
}

/* ---- feedback and two pipelines ------------------------------------------------------ */

/* What is fed back: the block before, at first the IV; or A(i), a pipeline of its
 * own that begins with all that is fixed. */
struct chain { const hsm_params *params; size_t counter_len; bool two; uint8_t length[4]; };

/* By the caller's layout (raw): label | chain | aad | counter | data, or with the
 * counter before the chain; by ours: chain | counter | label | 00 | data | [L]32. */
static hsm_status
chained_block(const struct prf *f, const struct chain *c, hsm_in fed, uint32_t i, uint8_t *out)
{
	const uint8_t counter[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
	const hsm_params *p = c->params;
	const hsm_in number = { counter + 4 - c->counter_len, c->counter_len };
	const bool last = (p->flags & HSM_PARAM_CHAIN_LAST) != 0;
	const uint8_t zero = 0;
	const hsm_in theirs[] = { p->label, last ? number : fed, p->aad, last ? fed : number, p->data };
	const hsm_in ours[] = { fed, number, p->label, { &zero, 1 }, p->data, { c->length, 4 } };

	return (p->flags & HSM_PARAM_RAW) != 0 ? prf_run(f, theirs, COUNT(theirs), out) : prf_run(f, ours, COUNT(ours), out);
}

static hsm_status
pipeline_next(const struct prf *f, const struct chain *c, uint32_t i, uint8_t *a)
{
	const hsm_params *p = c->params;
	const uint8_t zero = 0;
	const hsm_in theirs[] = { p->label, p->aad, p->data };
	const hsm_in ours[] = { p->label, { &zero, 1 }, p->data, { c->length, 4 } };
	const hsm_in before = { a, f->len };

	if (i != 1)
		return prf_run(f, &before, 1, a);
	return (p->flags & HSM_PARAM_RAW) != 0 ? prf_run(f, theirs, COUNT(theirs), a) : prf_run(f, ours, COUNT(ours), a);
}

static hsm_status
chained_mode(const struct prf *f, const struct chain *c, uint8_t *out, size_t out_len)
{
	uint64_t blocks = (out_len + f->len - 1) / f->len;
	uint8_t block[PRIMITIVE_HASH_MAX], a[PRIMITIVE_HASH_MAX];
	hsm_in fed = c->params->iv;
	hsm_status st = HSM_OK;

	if (out_len > KBKDF_MAX || (c->counter_len != 0 && c->counter_len < 4 && blocks >> (8 * c->counter_len) != 0))
		return HSM_E_PARAM;
	for (uint32_t i = 1; i <= blocks && st == HSM_OK; i++) {
		size_t at = (i - 1) * f->len, n = out_len - at < f->len ? out_len - at : f->len;

		if (c->two && (st = pipeline_next(f, c, i, a)) == HSM_OK)
			fed = (hsm_in){ a, f->len };
		if (st != HSM_OK || (st = chained_block(f, c, fed, i, block)) != HSM_OK)
			break;
		memcpy(out + at, block, n);
		fed = (hsm_in){ block, f->len };
	}
	bytes_wipe(block, sizeof block);
	bytes_wipe(a, sizeof a);
	return st;
}

static void
prf_close(struct prf *f)
{
	HMAC_CTX_cleanup(&f->keyed);
	bytes_wipe(&f->schedule, sizeof f->schedule);
}

hsm_status
primitive_kbkdf(hsm_in key, hsm_in label, hsm_in context, uint8_t *out, size_t out_len)
{
	const struct layout l = { label, context, 4, false };
	struct prf f = { .len = 32 };
	hsm_status st;

	HMAC_CTX_init(&f.keyed);
	if (HMAC_Init_ex(&f.keyed, key.ptr, key.len, EVP_sha256(), NULL))
		st = counter_mode(&f, &l, out, out_len);
	else
		st = library_status(HSM_E_CRYPTO);
	prf_close(&f);
	return st;
}

static hsm_status
prf_open(struct prf *f, const struct key *key, const hsm_params *params)
{
	*f = (struct prf){ 0 };
	HMAC_CTX_init(&f->keyed);
	if ((params->flags & HSM_PARAM_CMAC) != 0)
		return prf_cmac(f, raw_value(key));
	return prf_hmac(f, key, params->hash == HSM_HASH_NONE ? HSM_SHA256 : params->hash);
}

/* Which of the three. */
enum mode { MODE_COUNTER, MODE_FEEDBACK, MODE_DOUBLE };

static hsm_status
mode_run(enum mode mode, const struct prf *f, const hsm_params *params, uint8_t *out, size_t len)
{
	const bool raw = (params->flags & HSM_PARAM_RAW) != 0;
	/* A chain needs no counter; where the caller says all, he says that too. */
	const uint32_t bits = params->counter_bits == 0 && (mode == MODE_COUNTER || !raw) ? 32 : params->counter_bits;
	const uint32_t n = (uint32_t)len * 8;
	const struct layout l = { params->label, params->data, bits / 8, raw };
	const struct chain c = { params, bits / 8, mode == MODE_DOUBLE,
		{ (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };

	if (bits % 8 != 0 || bits > 32)
		return HSM_E_PARAM;
	return mode == MODE_COUNTER ? counter_mode(f, &l, out, len) : chained_mode(f, &c, out, len);
}

static hsm_status
kbkdf_run(enum mode mode, const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	struct prf f;
	size_t len;
	hsm_status st;

	if ((st = prf_open(&f, key, params)) != HSM_OK)
		goto out;
	len = derive_len(params, want, f.len);
	if (len > KBKDF_MAX)
		st = HSM_E_KEY_SIZE;
	else if ((st = secret_alloc(out, len)) == HSM_OK && (st = mode_run(mode, &f, params, out->ptr, len)) != HSM_OK)
		secret_wipe(out);
out:
	prf_close(&f);
	return st;
}

static hsm_status
counter_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	return kbkdf_run(MODE_COUNTER, key, params, want, out);
}

static hsm_status
feedback_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	return kbkdf_run(MODE_FEEDBACK, key, params, want, out);
}

static hsm_status
double_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	return kbkdf_run(MODE_DOUBLE, key, params, want, out);
}

static bool
kbkdf_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)use;
	(void)params;
	return key->spec.param >= 112;
}

#define KBKDF_ROW(number, text, call) { .id = number, .name = text, .key_type = HSM_KEY_ANY, .min_bits = 8, .max_bits = 524288, \
	.flags = MECH_DERIVE | MECH_APPROVED, .heap = 512, .depth = 6144, .approved = kbkdf_approved, .derive = call }

static const struct mech rows[] = {
	KBKDF_ROW(HSM_SP800_108_COUNTER, "SP800_108_COUNTER_KDF", counter_derive),
	KBKDF_ROW(HSM_SP800_108_FEEDBACK, "SP800_108_FEEDBACK_KDF", feedback_derive),
	KBKDF_ROW(HSM_SP800_108_DOUBLE_PIPELINE, "SP800_108_DOUBLE_PIPELINE_KDF", double_derive),
};

const struct family family_kbkdf = { rows, COUNT(rows), NULL, 0, NULL, 0 };
