/* aes_cmac.c - CMAC (SP 800-38B) on the schedule the key keeps: AWS-LC's own
 * would expand the key and allocate for every message. */
#include "aes_cmac.h"

#include <string.h>

#define BLOCK 16u

void
cmac_open(struct cmac *c, const AES_KEY *key)
{
	*c = (struct cmac){ .key = key };
}

static void
cmac_block(struct cmac *c, const uint8_t *block)
{
	for (size_t i = 0; i < BLOCK; i++)
		c->x[i] ^= block[i];
	AES_encrypt(c->x, c->x, c->key);
}

/* The last block is held back: it is treated apart. */
void
cmac_add(struct cmac *c, hsm_in in)
{
	while (in.len > 0) {
		size_t n = BLOCK - c->held_len;

		if (n == 0) {
			cmac_block(c, c->held);
			c->held_len = 0;
			n = BLOCK;
		}
		if (n > in.len)
			n = in.len;
		memcpy(c->held + c->held_len, in.ptr, n);
		c->held_len += n;
		in = (hsm_in){ in.ptr + n, in.len - n };
	}
}

/* Times x in GF(2^128), big-endian bytes. */
static void
subkey_step(uint8_t k[BLOCK])
{
	unsigned top = k[0] >> 7;

	for (size_t i = 0; i < BLOCK; i++)
		k[i] = (uint8_t)(k[i] << 1 | (i + 1 < BLOCK ? k[i + 1] >> 7 : 0));
	k[BLOCK - 1] ^= (uint8_t)(0x87 & (0u - top));
}

void
cmac_close(struct cmac *c, uint8_t mac[BLOCK])
{
	uint8_t k[BLOCK] = { 0 };

	AES_encrypt(k, k, c->key);
	subkey_step(k);
	if (c->held_len < BLOCK) {
		subkey_step(k);
		c->held[c->held_len] = 0x80;
		memset(c->held + c->held_len + 1, 0, BLOCK - c->held_len - 1);
	}
	for (size_t i = 0; i < BLOCK; i++)
		c->held[i] ^= k[i];
	cmac_block(c, c->held);
	memcpy(mac, c->x, BLOCK);
	bytes_wipe(k, sizeof k);
}

/* ---- rows -------------------------------------------------------------------- */

static hsm_status
mac_len(const hsm_params *params, bool general, size_t *len)
{
	*len = BLOCK;
	if (!general)
		return HSM_OK;
	if (params->tag_bits == 0 || params->tag_bits % 8 != 0 || params->tag_bits > 128)
		return HSM_E_PARAM;
	*len = params->tag_bits / 8;
	return HSM_OK;
}

static hsm_status
state_sign(struct cmac *c, const hsm_params *params, bool general, hsm_in msg, hsm_out *sig)
{
	uint8_t mac[BLOCK];
	size_t len;
	hsm_status st;

	if ((st = mac_len(params, general, &len)) != HSM_OK)
		return out_done(sig, st);
	if ((st = out_need(sig, len)) != HSM_OK || sig->ptr == NULL)
		return st;
	cmac_add(c, msg);
	cmac_close(c, mac);
	memcpy(sig->ptr, mac, len);
	return HSM_OK;
}

static hsm_status
state_verify(struct cmac *c, const hsm_params *params, bool general, hsm_in msg, hsm_in sig)
{
	uint8_t mac[BLOCK];
	size_t len;
	hsm_status st;

	if ((st = mac_len(params, general, &len)) != HSM_OK)
		return st;
	if (sig.len != len)
		return HSM_E_SIGNATURE_LEN;
	cmac_add(c, msg);
	cmac_close(c, mac);
	return mac_compare(mac, sig.ptr, len);
}

#define CMAC_SLOTS(tag, general)                                              \
	static hsm_status tag##_sign(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig) \
	{                                                                     \
		struct cmac c;                                                \
		cmac_open(&c, &aes_of(key)->enc);                             \
		return state_sign(&c, params, general, msg, sig);             \
	}                                                                     \
	static hsm_status tag##_verify(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig) \
	{                                                                     \
		struct cmac c;                                                \
		cmac_open(&c, &aes_of(key)->enc);                             \
		return state_verify(&c, params, general, msg, sig);           \
	}                                                                     \
	static hsm_status tag##_final(struct stream *s, hsm_in sig, hsm_out *out) \
	{                                                                     \
		if (s->use == MECH_SIGN)                                      \
			return state_sign(s->ctx, &s->params, general, HSM_NONE, out); \
		return state_verify(s->ctx, &s->params, general, HSM_NONE, sig); \
	}
CMAC_SLOTS(cmac, false)
CMAC_SLOTS(general, true)

static hsm_status
cmac_begin(struct stream *s)
{
	if ((s->ctx = arena_alloc(sizeof(struct cmac))) == NULL)
		return HSM_E_MEMORY;
	cmac_open(s->ctx, &aes_of(s->key)->enc);
	return HSM_OK;
}

static hsm_status
cmac_update(struct stream *s, hsm_in in, hsm_out *out)
{
	if (out != NULL)
		out->len = 0;
	cmac_add(s->ctx, in);
	return HSM_OK;
}

static hsm_status
cmac_clone(const struct stream *from, struct stream *to)
{
	if ((to->ctx = arena_alloc(sizeof(struct cmac))) == NULL)
		return HSM_E_MEMORY;
	memcpy(to->ctx, from->ctx, sizeof(struct cmac));
	return HSM_OK;
}

static void
cmac_end(struct stream *s)
{
	arena_free(s->ctx);
	s->ctx = NULL;
}

/* SP 800-38B, appendix A: at least 64 bits, unless risks were weighed. */
static bool
cmac_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)key;
	(void)use;
	return params->tag_bits == 0 || params->tag_bits >= 32;
}

#define CMAC_ROW(number, text, tag) { .id = number, .name = text, .key_type = HSM_KEY_AES, .min_bits = 128, .max_bits = 256, \
	.flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_APPROVED, .heap = 512, .depth = 1536, .approved = cmac_approved, \
	.sign = tag##_sign, .verify = tag##_verify, .begin = cmac_begin, .update = cmac_update, .final = tag##_final, \
	.clone = cmac_clone, .end = cmac_end }

static const struct mech rows[] = {
	CMAC_ROW(HSM_AES_CMAC, "AES_CMAC", cmac),
	CMAC_ROW(HSM_AES_CMAC_GENERAL, "AES_CMAC_GENERAL", general),
};

const struct family family_aes_cmac = { rows, COUNT(rows), NULL, 0, NULL, 0 };
