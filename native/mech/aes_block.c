/* aes_block.c - AES in ECB, CBC, CBC with PKCS#7 padding.
 *
 * One engine: whole blocks go through as they come, the rest is held. When
 * unpadding, the last whole block is held too, since it may be the padding. */
#include <string.h>

#include "aes.h"

#define BLOCK 16u

struct engine {
	const struct aes_key *key;
	bool cbc, pad, encrypt;
	uint8_t iv[BLOCK];
	uint8_t held[BLOCK];
	size_t held_len;
};

static hsm_status
engine_open(struct engine *e, const struct key *key, const hsm_params *params, bool cbc, bool pad, bool encrypt)
{
	*e = (struct engine){ .key = aes_of(key), .cbc = cbc, .pad = pad, .encrypt = encrypt };
	if (!cbc)
		return HSM_OK;
	if (params->iv.len != BLOCK)
		return HSM_E_PARAM;
	memcpy(e->iv, params->iv.ptr, BLOCK);
	return HSM_OK;
}

/* len is a multiple of BLOCK. */
static void
engine_blocks(struct engine *e, const uint8_t *in, size_t len, uint8_t *out)
{
	const AES_KEY *schedule = e->encrypt ? &e->key->enc : &e->key->dec;

	if (e->cbc) {
		AES_cbc_encrypt(in, out, len, schedule, e->iv, e->encrypt ? AES_ENCRYPT : AES_DECRYPT);
		return;
	}
	for (size_t i = 0; i < len; i += BLOCK) {
		if (e->encrypt)
			AES_encrypt(in + i, out + i, schedule);
		else
			AES_decrypt(in + i, out + i, schedule);
	}
}

/* Bytes that `in` more bytes set free. */
static size_t
engine_ready(const struct engine *e, size_t in)
{
	size_t all = e->held_len + in;
	size_t whole = all - all % BLOCK;

	if (e->pad && !e->encrypt && whole > 0 && whole == all)
		whole -= BLOCK;
	return whole;
}

static void
engine_update(struct engine *e, hsm_in in, uint8_t *out)
{
	size_t ready = engine_ready(e, in.len), take;

	if (ready > 0 && e->held_len > 0) {
		take = BLOCK - e->held_len;
		memcpy(e->held + e->held_len, in.ptr, take);
		engine_blocks(e, e->held, BLOCK, out);
		in = (hsm_in){ in.ptr + take, in.len - take };
		out += BLOCK;
		ready -= BLOCK;
		e->held_len = 0;
	}
	if (ready > 0) {
		engine_blocks(e, in.ptr, ready, out);
		in = (hsm_in){ in.ptr + ready, in.len - ready };
	}
	if (in.len > 0) {
		memcpy(e->held + e->held_len, in.ptr, in.len);
		e->held_len += in.len;
	}
}

/* Length of the padding of a clear block, 0 if it is none; in constant time. */
static size_t
padding_len(const uint8_t block[BLOCK])
{
	unsigned n = block[BLOCK - 1], bad = (n - 1u) >> 8 | (BLOCK - n) >> 8;

	for (unsigned i = 0; i < BLOCK; i++) {
		unsigned inside = (BLOCK - 1 - i - n) >> 8;     /* all ones where i is padding */

		bad |= inside & (block[i] ^ n);
	}
	bad = (bad | (0u - bad)) >> 31;
	return n & (bad - 1u);
}

static hsm_status
engine_final(struct engine *e, hsm_out *out)
{
	uint8_t last[BLOCK];
	size_t n;
	hsm_status st;

	if (!e->pad) {
		if (e->held_len != 0)
			return e->encrypt ? HSM_E_DATA_LEN : HSM_E_CIPHERTEXT_LEN;
		out->len = 0;
		return HSM_OK;
	}
	if (e->encrypt) {
		if ((st = out_need(out, BLOCK)) != HSM_OK || out->ptr == NULL)
			return st;
		memset(e->held + e->held_len, (int)(BLOCK - e->held_len), BLOCK - e->held_len);
		engine_blocks(e, e->held, BLOCK, out->ptr);
		return HSM_OK;
	}
	if (e->held_len != BLOCK)
		return HSM_E_CIPHERTEXT_LEN;
	if (out->ptr == NULL)
		return out_need(out, BLOCK);
	{
		uint8_t iv[BLOCK];

		memcpy(iv, e->iv, BLOCK);
		engine_blocks(e, e->held, BLOCK, last);
		memcpy(e->iv, iv, BLOCK);       /* a short room may make the caller come again */
	}
	n = padding_len(last);
	mark_public(&n, sizeof n);      /* the caller is told: how long the message is, or that there is none */
	if (n == 0)
		return HSM_E_CIPHERTEXT;
	if ((st = out_need(out, BLOCK - n)) == HSM_OK)
		memcpy(out->ptr, last, BLOCK - n);
	bytes_wipe(last, sizeof last);
	return st;
}

/* ---- one shot ------------------------------------------------------------- */

static hsm_status
run(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out, bool cbc, bool pad, bool encrypt)
{
	struct engine e;
	hsm_out tail;
	size_t ready;
	hsm_status st;

	if ((st = engine_open(&e, key, params, cbc, pad, encrypt)) != HSM_OK)
		return out_done(out, st);
	if ((!pad || !encrypt) && (in.len % BLOCK != 0 || (pad && in.len == 0)))
		return out_done(out, encrypt ? HSM_E_DATA_LEN : HSM_E_CIPHERTEXT_LEN);
	ready = engine_ready(&e, in.len);
	if (out->ptr == NULL)
		return out_need(out, ready + (pad ? BLOCK : 0));
	/* Unpadding needs less room than the whole; how much, the end tells. */
	if ((st = out_need(out, ready + (pad && encrypt ? BLOCK : 0))) != HSM_OK)
		return st;
	engine_update(&e, in, out->ptr);
	tail = (hsm_out){ out->ptr + ready, out->cap - ready, 0 };
	st = engine_final(&e, &tail);
	out->len = ready + tail.len;
	if (st != HSM_OK && ready > 0)
		bytes_wipe(out->ptr, ready);
	return out_done(out, st);
}

#define RUN_SLOTS(tag, cbc, pad)                                              \
	static hsm_status tag##_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out) \
	{                                                                     \
		return run(key, params, in, out, cbc, pad, true);             \
	}                                                                     \
	static hsm_status tag##_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out) \
	{                                                                     \
		return run(key, params, in, out, cbc, pad, false);            \
	}                                                                     \
	static hsm_status tag##_begin(struct stream *s)                       \
	{                                                                     \
		if ((s->ctx = arena_alloc(sizeof(struct engine))) == NULL)    \
			return HSM_E_MEMORY;                                  \
		return engine_open(s->ctx, s->key, &s->params, cbc, pad, s->use == MECH_ENCRYPT); \
	}
RUN_SLOTS(ecb, false, false)
RUN_SLOTS(cbc, true, false)
RUN_SLOTS(cbc_pad, true, true)

/* ---- many parts ------------------------------------------------------------ */

static hsm_status
block_update(struct stream *s, hsm_in in, hsm_out *out)
{
	struct engine *e = s->ctx;
	hsm_status st = out_need(out, engine_ready(e, in.len));

	if (st != HSM_OK || out->ptr == NULL)
		return st;              /* also where nothing would come out: a question spends nothing */
	engine_update(e, in, out->ptr);
	return HSM_OK;
}

static hsm_status
block_final(struct stream *s, hsm_in sig, hsm_out *out)
{
	(void)sig;
	return out_done(out, engine_final(s->ctx, out));
}

static void
block_end(struct stream *s)
{
	arena_free(s->ctx);
	s->ctx = NULL;
}

/* ---- deriving by encrypting data -------------------------------------------- */

/* PKCS#11 2.15: what is not needed of the ciphertext is dropped at the end. */
static hsm_status
data_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out, bool cbc)
{
	struct engine e;
	struct secret all = SECRET_NONE;
	hsm_status st;

	if (params->data.len == 0 || params->data.len % BLOCK != 0)
		return HSM_E_PARAM;
	want = derive_len(params, want, params->data.len);
	if (want > params->data.len)
		return HSM_E_KEY_SIZE;
	if ((st = engine_open(&e, key, params, cbc, false, true)) != HSM_OK)
		return st;
	if ((st = secret_alloc(&all, params->data.len)) != HSM_OK)
		return st;
	engine_blocks(&e, params->data.ptr, params->data.len, all.ptr);
	st = secret_copy(out, (hsm_in){ all.ptr, want });
	secret_wipe(&all);
	return st;
}

static hsm_status
ecb_data_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	return data_derive(key, params, want, out, false);
}

static hsm_status
cbc_data_derive(const struct key *key, const hsm_params *params, size_t want, struct secret *out)
{
	return data_derive(key, params, want, out, true);
}

#define BLOCK_ROW(number, text, tag, more) { .id = number, .name = text, .key_type = HSM_KEY_AES, .min_bits = 128, \
	.max_bits = 256, .flags = MECH_ENCRYPT | MECH_DECRYPT | MECH_STREAM | MECH_APPROVED | (more), .heap = 512, .depth = 1536, \
	.seal = tag##_seal, .open = tag##_open, .begin = tag##_begin, .update = block_update, .final = block_final, .end = block_end }
#define DATA_ROW(number, text, slot) { .id = number, .name = text, .key_type = HSM_KEY_AES, .min_bits = 128, .max_bits = 256, \
	.flags = MECH_DERIVE, .heap = 512, .depth = 1536, .derive = slot }

static const struct mech rows[] = {
	BLOCK_ROW(HSM_AES_ECB, "AES_ECB", ecb, 0),
	BLOCK_ROW(HSM_AES_CBC, "AES_CBC", cbc, MECH_WRAP | MECH_UNWRAP),
	BLOCK_ROW(HSM_AES_CBC_PAD, "AES_CBC_PAD", cbc_pad, MECH_WRAP | MECH_UNWRAP),
	DATA_ROW(0x1104, "AES_ECB_ENCRYPT_DATA", ecb_data_derive),
	DATA_ROW(0x1105, "AES_CBC_ENCRYPT_DATA", cbc_data_derive),
};

const struct family family_aes_block = { rows, COUNT(rows), NULL, 0, NULL, 0 };
