/* aes_stream.c - AES as a stream cipher: CTR, OFB, CFB. Every byte in gives a
 * byte out, so one shot and many parts are the same code. */
#include <string.h>

#include "aes.h"

#define BLOCK 16u

enum flavour { CTR, OFB, CFB128, CFB8 };

struct flow {
	const struct aes_key *key;
	enum flavour flavour;
	bool encrypt;
	uint8_t iv[BLOCK], pad[BLOCK];
	unsigned used;
	uint64_t left;                          /* CTR: bytes until the counter would wrap */
};

/* Bytes a counter of `bits` still counts from `iv`: the counter must not run
 * over, since then a block would be used twice or the nonce changed. */
static uint64_t
counter_left(const uint8_t iv[BLOCK], uint32_t bits)
{
	uint64_t at = 0, blocks;

	if (bits >= 60)
		return UINT64_MAX;
	for (size_t i = 8; i < BLOCK; i++)
		at = at << 8 | iv[i];
	blocks = ((uint64_t)1 << bits) - (at & (((uint64_t)1 << bits) - 1));
	return blocks * BLOCK;
}

static hsm_status
flow_open(struct flow *f, const struct key *key, const hsm_params *params, enum flavour flavour, bool encrypt)
{
	uint32_t bits = params->counter_bits == 0 ? 128 : params->counter_bits;

	*f = (struct flow){ .key = aes_of(key), .flavour = flavour, .encrypt = encrypt, .left = UINT64_MAX };
	if (params->iv.len != BLOCK || (flavour == CTR && bits > 128))
		return HSM_E_PARAM;
	memcpy(f->iv, params->iv.ptr, BLOCK);
	if (flavour == CTR)
		f->left = counter_left(f->iv, bits);
	return HSM_OK;
}

static void
flow_bytes(struct flow *f, hsm_in in, uint8_t *out)
{
	const AES_KEY *key = &f->key->enc;
	int used = (int)f->used, enc = f->encrypt ? AES_ENCRYPT : AES_DECRYPT;

	switch (f->flavour) {
	case CTR: AES_ctr128_encrypt(in.ptr, out, in.len, key, f->iv, f->pad, &f->used); return;
	case OFB: AES_ofb128_encrypt(in.ptr, out, in.len, key, f->iv, &used); break;
	case CFB128: AES_cfb128_encrypt(in.ptr, out, in.len, key, f->iv, &used, enc); break;
	case CFB8: AES_cfb8_encrypt(in.ptr, out, in.len, key, f->iv, &used, enc); break;
	}
	f->used = (unsigned)used;
}

static hsm_status
flow_step(struct flow *f, hsm_in in, hsm_out *out)
{
	hsm_status st;

	if (in.len > f->left)
		return out_done(out, f->encrypt ? HSM_E_DATA_LEN : HSM_E_CIPHERTEXT_LEN);
	if ((st = out_need(out, in.len)) != HSM_OK || out->ptr == NULL)
		return st;
	flow_bytes(f, in, out->ptr);
	if (f->left != UINT64_MAX)
		f->left -= in.len;
	return HSM_OK;
}

static hsm_status
run(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out, enum flavour flavour, bool encrypt)
{
	struct flow f;
	hsm_status st = flow_open(&f, key, params, flavour, encrypt);

	return st == HSM_OK ? flow_step(&f, in, out) : out_done(out, st);
}

#define FLOW_SLOTS(tag, flavour)                                              \
	static hsm_status tag##_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out) \
	{                                                                     \
		return run(key, params, in, out, flavour, true);              \
	}                                                                     \
	static hsm_status tag##_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out) \
	{                                                                     \
		return run(key, params, in, out, flavour, false);             \
	}                                                                     \
	static hsm_status tag##_begin(struct stream *s)                       \
	{                                                                     \
		if ((s->ctx = arena_alloc(sizeof(struct flow))) == NULL)      \
			return HSM_E_MEMORY;                                  \
		return flow_open(s->ctx, s->key, &s->params, flavour, s->use == MECH_ENCRYPT); \
	}
FLOW_SLOTS(ctr, CTR)
FLOW_SLOTS(ofb, OFB)
FLOW_SLOTS(cfb128, CFB128)
FLOW_SLOTS(cfb8, CFB8)

static hsm_status
flow_update(struct stream *s, hsm_in in, hsm_out *out)
{
	return flow_step(s->ctx, in, out);
}

static hsm_status
flow_final(struct stream *s, hsm_in sig, hsm_out *out)
{
	(void)s;
	(void)sig;
	return out_need(out, 0);
}

static void
flow_end(struct stream *s)
{
	arena_free(s->ctx);
	s->ctx = NULL;
}

#define FLOW_ROW(number, text, tag) { .id = number, .name = text, .key_type = HSM_KEY_AES, .min_bits = 128, .max_bits = 256, \
	.flags = MECH_ENCRYPT | MECH_DECRYPT | MECH_STREAM | MECH_APPROVED, .heap = 512, .depth = 1536, \
	.seal = tag##_seal, .open = tag##_open, .begin = tag##_begin, .update = flow_update, .final = flow_final, .end = flow_end }

static const struct mech rows[] = {
	FLOW_ROW(HSM_AES_CTR, "AES_CTR", ctr),
	FLOW_ROW(0x2104, "AES_OFB", ofb),
	FLOW_ROW(0x2107, "AES_CFB128", cfb128),
	FLOW_ROW(0x2106, "AES_CFB8", cfb8),
};

const struct family family_aes_stream = { rows, COUNT(rows), NULL, 0, NULL, 0 };
