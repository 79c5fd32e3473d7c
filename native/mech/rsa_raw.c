/* rsa_raw.c - RSA without a hash: PKCS#1 v1.5 padding as the caller's input
 * is, and no padding at all; signing, verifying, recovering, encrypting.
 *
 * A PKCS#1 v1.5 ciphertext that is badly padded opens to a message made from
 * the ciphertext and the key (implicit rejection, after the IRTF draft "RSA
 * guidance"): the same every time, as random to whoever has not the key, and
 * found in constant time. So nobody can ask which ciphertexts are well
 * padded (Bleichenbacher). */
#include <string.h>

#include <openssl/mem.h>

#include "primitive.h"
#include "rsa.h"

/* ---- constant time: all ones or zero ------------------------------------------ */

static size_t
mask_of_bit(size_t bit)
{
	return (size_t)0 - bit;
}

static size_t
mask_zero(size_t x)
{
	return mask_of_bit((~x & (x - 1)) >> (8 * sizeof x - 1));
}

static size_t
mask_less(size_t a, size_t b)
{
	return mask_of_bit((a ^ ((a ^ b) | ((a - b) ^ b))) >> (8 * sizeof a - 1));
}

static size_t
pick(size_t mask, size_t a, size_t b)
{
	return (mask & a) | (~mask & b);
}

/* ---- implicit rejection --------------------------------------------------------- */

#define LENGTHS 128u                    /* candidates for the length of the made-up message */

/* HMAC(kdk, i | label | bits of the whole), i counting from 0. */
static hsm_status
made_bytes(const uint8_t kdk[32], const char *label, uint8_t *out, size_t len)
{
	const uint8_t bits[2] = { (uint8_t)(len * 8 >> 8), (uint8_t)(len * 8) };
	uint8_t block[32];
	hsm_status st = HSM_OK;

	for (size_t at = 0, i = 0; at < len && st == HSM_OK; at += sizeof block, i++) {
		const uint8_t counter[2] = { (uint8_t)(i >> 8), (uint8_t)i };
		const hsm_in parts[] = { { counter, 2 }, { (const uint8_t *)label, strlen(label) }, { bits, 2 } };

		st = primitive_hmac(HSM_SHA256, (hsm_in){ kdk, 32 }, parts, 3, block);
		memcpy(out + at, block, len - at < sizeof block ? len - at : sizeof block);
	}
	return st;
}

/* The made-up message lies at the end of `message`, *len bytes of it. */
static hsm_status
made_message(const struct rsa_key *k, hsm_in ciphertext, uint8_t *message, size_t *len)
{
	const size_t max = k->len - 2 - 8;
	uint8_t kdk[32], lengths[2 * LENGTHS];
	size_t mask = max;
	hsm_status st;

	for (unsigned shift = 1; shift < 16; shift *= 2)
		mask |= mask >> shift;
	*len = 0;
	if ((st = primitive_hmac(HSM_SHA256, (hsm_in){ k->reject, 32 }, &ciphertext, 1, kdk)) != HSM_OK
	    || (st = made_bytes(kdk, "length", lengths, sizeof lengths)) != HSM_OK
	    || (st = made_bytes(kdk, "message", message, k->len)) != HSM_OK)
		return st;
	for (size_t i = 0; i < LENGTHS; i++) {
		size_t candidate = ((size_t)lengths[2 * i] << 8 | lengths[2 * i + 1]) & mask;

		*len = pick(mask_less(candidate, max), candidate, *len);
	}
	return HSM_OK;
}

/* em: 00 02, at least 8 nonzero, 00, message. Where em is not that, made takes
 * its place. Answers the message's length; it lies at the end of em. */
static size_t
message_choose(uint8_t *em, const uint8_t *made, size_t made_len, size_t len)
{
	size_t good = mask_zero(em[0]) & mask_zero(em[1] ^ 2u), found = 0, zero_at = 0, message_len;

	for (size_t i = 2; i < len; i++) {
		size_t zero = mask_zero(em[i]);

		zero_at = pick(~found & zero, i, zero_at);
		found |= zero;
	}
	good &= found & ~mask_less(zero_at, 10);
	message_len = pick(good, len - 1 - zero_at, made_len);
	for (size_t i = 0; i < len; i++)
		em[i] = (uint8_t)pick(good, em[i], made[i]);
	return message_len;
}

static hsm_status
pkcs_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	struct secret em = SECRET_NONE, made = SECRET_NONE;
	size_t len, made_len;
	hsm_status st;

	(void)params;
	if (in.len != k->len)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if (out->ptr == NULL)
		return out_need(out, k->len - 11);
	if ((st = secret_alloc(&em, k->len)) != HSM_OK || (st = secret_alloc(&made, k->len)) != HSM_OK)
		goto out;
	if ((st = made_message(k, in, made.ptr, &made_len)) != HSM_OK)
		goto out;
	/* Fails only for numbers that are no ciphertext under any key: those not
	 * below n, 0, 1 and n - 1. */
	if (!RSA_decrypt(k->rsa, &len, em.ptr, em.len, in.ptr, in.len, RSA_NO_PADDING)) {
		st = library_status(HSM_E_CIPHERTEXT);
		goto out;
	}
	if (lab(LAB_PKCS1_ORACLE) != 0 && (em.ptr[0] != 0 || em.ptr[1] != 2)) {
		st = HSM_E_CIPHERTEXT;
		goto out;
	}
	len = message_choose(em.ptr, made.ptr, made_len, em.len);
	mark_public(&len, sizeof len);          /* the message's, or the made-up one's */
	st = out_bytes(out, (hsm_in){ em.ptr + em.len - len, len });
out:
	secret_wipe(&em);
	secret_wipe(&made);
	return out_done(out, st);
}

static hsm_status
raw_seal(const struct key *key, int padding, hsm_in in, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	size_t len;
	hsm_status st;

	if ((st = out_need(out, k->len)) != HSM_OK || out->ptr == NULL)
		return st;
	if (!RSA_encrypt(k->rsa, &len, out->ptr, out->cap, in.ptr, in.len, padding))
		return out_done(out, library_status(HSM_E_DATA));
	return HSM_OK;
}

static hsm_status
pkcs_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	(void)params;
	if (in.len > rsa_of(key)->len - 11)
		return out_done(out, HSM_E_DATA_LEN);
	return raw_seal(key, RSA_PKCS1_PADDING, in, out);
}

static hsm_status
x509_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	uint8_t padded[RSA_BITS_MAX / 8] = { 0 };

	(void)params;
	if (in.len > k->len)
		return out_done(out, HSM_E_DATA_LEN);
	if (in.len > 0)
		memcpy(padded + k->len - in.len, in.ptr, in.len);
	return raw_seal(key, RSA_NO_PADDING, (hsm_in){ padded, k->len }, out);
}

static hsm_status
x509_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	size_t len;
	hsm_status st;

	(void)params;
	if (in.len != k->len)
		return out_done(out, HSM_E_CIPHERTEXT_LEN);
	if ((st = out_need(out, k->len)) != HSM_OK || out->ptr == NULL)
		return st;
	if (!RSA_decrypt(k->rsa, &len, out->ptr, out->cap, in.ptr, in.len, RSA_NO_PADDING))
		return out_done(out, library_status(HSM_E_CIPHERTEXT));
	return HSM_OK;
}

/* ---- signatures ------------------------------------------------------------------ */

static hsm_status
raw_sign(const struct key *key, int padding, hsm_in msg, hsm_out *out)
{
	const struct rsa_key *k = rsa_of(key);
	size_t len;
	hsm_status st;

	if ((st = out_need(out, k->len)) != HSM_OK || out->ptr == NULL)
		return st;
	if (!RSA_sign_raw(k->rsa, &len, out->ptr, out->cap, msg.ptr, msg.len, padding))
		return out_done(out, library_status(HSM_E_DATA));
	return HSM_OK;
}

static hsm_status
raw_recover(const struct key *key, int padding, hsm_in sig, hsm_out *msg)
{
	const struct rsa_key *k = rsa_of(key);
	struct secret clear = SECRET_NONE;
	size_t len;
	hsm_status st;

	if (sig.len != k->len)
		return out_done(msg, HSM_E_SIGNATURE_LEN);
	if (msg->ptr == NULL)
		return out_need(msg, k->len);
	if ((st = secret_alloc(&clear, k->len)) != HSM_OK)
		return out_done(msg, st);
	if (RSA_verify_raw(k->rsa, &len, clear.ptr, clear.len, sig.ptr, sig.len, padding))
		st = out_bytes(msg, (hsm_in){ clear.ptr, len });
	else
		st = library_status(HSM_E_SIGNATURE);
	secret_wipe(&clear);
	return out_done(msg, st);
}

static hsm_status
pkcs_raw_sign(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig)
{
	(void)params;
	if (msg.len > rsa_of(key)->len - 11)
		return out_done(sig, HSM_E_DATA_LEN);
	return raw_sign(key, RSA_PKCS1_PADDING, msg, sig);
}

static hsm_status
pkcs_raw_recover(const struct key *key, const hsm_params *params, hsm_in sig, hsm_out *msg)
{
	(void)params;
	return raw_recover(key, RSA_PKCS1_PADDING, sig, msg);
}

/* A number as long as the modulus: shorter input gets leading zeros. */
static hsm_status
x509_sign(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig)
{
	const struct rsa_key *k = rsa_of(key);
	uint8_t padded[RSA_BITS_MAX / 8] = { 0 };

	(void)params;
	if (msg.len > k->len)
		return out_done(sig, HSM_E_DATA_LEN);
	if (msg.len > 0)
		memcpy(padded + k->len - msg.len, msg.ptr, msg.len);
	return raw_sign(key, RSA_NO_PADDING, (hsm_in){ padded, k->len }, sig);
}

static hsm_status
x509_recover(const struct key *key, const hsm_params *params, hsm_in sig, hsm_out *msg)
{
	(void)params;
	return raw_recover(key, RSA_NO_PADDING, sig, msg);
}

static hsm_status
pkcs_raw_verify(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig)
{
	uint8_t clear[RSA_BITS_MAX / 8];
	hsm_out out = { clear, sizeof clear, 0 };
	hsm_status st;

	if (msg.len > rsa_of(key)->len - 11)
		return HSM_E_DATA_LEN;
	if ((st = pkcs_raw_recover(key, params, sig, &out)) != HSM_OK)
		return st;
	return bytes_equal((hsm_in){ clear, out.len }, msg) ? HSM_OK : HSM_E_SIGNATURE;
}

static hsm_status
x509_verify(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig)
{
	static const uint8_t zeros[RSA_BITS_MAX / 8];
	const size_t len = rsa_of(key)->len;
	uint8_t clear[RSA_BITS_MAX / 8];
	hsm_out out = { clear, sizeof clear, 0 };
	hsm_status st;

	if (msg.len > len)
		return HSM_E_DATA_LEN;
	if ((st = x509_recover(key, params, sig, &out)) != HSM_OK)
		return st;
	if (memcmp(clear, zeros, len - msg.len) != 0)
		return HSM_E_SIGNATURE;
	return bytes_equal((hsm_in){ clear + len - msg.len, msg.len }, msg) ? HSM_OK : HSM_E_SIGNATURE;
}

/* Not approved: PKCS#1 v1.5 for encryption since 2024; and nobody here knows
 * what was signed, or how it was padded. */
#define RAW_ROW(number, text, tag, signs) { .id = number, .name = text, .key_type = HSM_KEY_RSA, .min_bits = RSA_BITS_MIN, \
	.max_bits = RSA_BITS_MAX, .flags = MECH_ENCRYPT | MECH_DECRYPT | MECH_SIGN | MECH_VERIFY | MECH_RECOVER | MECH_WRAP \
	| MECH_UNWRAP | MECH_STREAM | MECH_SLOW, .heap = 49152, .depth = 12288, .seal = tag##_seal, .open = tag##_open, \
	.sign = signs##_sign, .verify = signs##_verify, .recover = signs##_recover, GATHER_SLOTS }

static const struct mech rows[] = {
	RAW_ROW(HSM_RSA_PKCS, "RSA_PKCS", pkcs, pkcs_raw),
	RAW_ROW(HSM_RSA_X_509, "RSA_X_509", x509, x509),
};

const struct family family_rsa_raw = { rows, COUNT(rows), NULL, 0, NULL, 0 };
