/* aes_cts.c - AES-CBC with ciphertext stealing (CKM_AES_CTS): SP 800-38A's
 * addendum, variant CBC-CS1: whole blocks are plain CBC; else the last block
 * but one is cut to what is missing, and stands before the last. */
#include <string.h>

#include "aes.h"

#define BLOCK 16u

static hsm_status
cts_check(const hsm_params *params, hsm_in in, bool encrypt)
{
	if (params->iv.len != BLOCK)
		return HSM_E_PARAM;
	if (in.len < BLOCK)
		return encrypt ? HSM_E_DATA_LEN : HSM_E_CIPHERTEXT_LEN;
	return HSM_OK;
}

static hsm_status
cts_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const AES_KEY *k = &aes_of(key)->enc;
	size_t rest = in.len % BLOCK, whole = in.len - rest;
	uint8_t iv[BLOCK], last[BLOCK] = { 0 };
	hsm_status st = cts_check(params, in, true);

	if (st != HSM_OK)
		return out_done(out, st);
	if ((st = out_need(out, in.len)) != HSM_OK || out->ptr == NULL)
		return st;
	memcpy(iv, params->iv.ptr, BLOCK);
	if (rest > 0)
		memcpy(last, in.ptr + whole, rest);
	AES_cbc_encrypt(in.ptr, out->ptr, whole, k, iv, AES_ENCRYPT);
	if (rest > 0) {
		/* iv is the last whole block's ciphertext: its first bytes stay. */
		AES_cbc_encrypt(last, last, BLOCK, k, iv, AES_ENCRYPT);
		memcpy(out->ptr + in.len - BLOCK, last, BLOCK);
	}
	return HSM_OK;
}

static hsm_status
cts_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const AES_KEY *k = &aes_of(key)->dec;
	size_t rest = in.len % BLOCK, before = in.len - rest - (rest > 0 ? BLOCK : 0);
	uint8_t iv[BLOCK], cut[BLOCK], last[BLOCK], clear[BLOCK];
	hsm_status st = cts_check(params, in, false);

	if (st != HSM_OK)
		return out_done(out, st);
	if ((st = out_need(out, in.len)) != HSM_OK || out->ptr == NULL)
		return st;
	memcpy(iv, params->iv.ptr, BLOCK);
	if (rest > 0) {
		memcpy(cut, in.ptr + before, rest);
		memcpy(last, in.ptr + before + rest, BLOCK);
	}
	if (before > 0)
		AES_cbc_encrypt(in.ptr, out->ptr, before, k, iv, AES_DECRYPT);
	if (rest == 0)
		return HSM_OK;
	/* The last block opens to (stolen bytes | clear bytes) under the cut one. */
	AES_decrypt(last, clear, k);
	memcpy(cut + rest, clear + rest, BLOCK - rest);
	for (size_t i = 0; i < rest; i++)
		clear[i] ^= cut[i];
	AES_cbc_encrypt(cut, out->ptr + before, BLOCK, k, iv, AES_DECRYPT);
	memcpy(out->ptr + before + BLOCK, clear, rest);
	bytes_wipe(clear, sizeof clear);
	return HSM_OK;
}

static const struct mech rows[] = {
	{ .id = 0x1089, .name = "AES_CTS", .key_type = HSM_KEY_AES, .min_bits = 128, .max_bits = 256,
	  .flags = MECH_ENCRYPT | MECH_DECRYPT | MECH_STREAM | MECH_APPROVED, .heap = 512, .depth = 2048,
	  .seal = cts_seal, .open = cts_open, GATHER_SLOTS },
};

const struct family family_aes_cts = { rows, COUNT(rows), NULL, 0, NULL, 0 };
