/* ecdsa.c - ECDSA, raw and with the hash inside.
 *
 * The nonce is AWS-LC's: from the DRBG, with a hash of key and message mixed
 * in, so that a failing generator does not repeat one. Signatures are r || s,
 * each as long as the order, or DER with HSM_PARAM_DER. Verifying takes r || s
 * of any even length up to that: some callers cut leading zeros off both. */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/mem.h>

#include "ec.h"
#include "lab_fault.h"
#include "primitive.h"

#define DER_MAX 160u                    /* two numbers of 66 bytes, and some */

static hsm_status
sig_write_der(const ECDSA_SIG *sig, hsm_out *out)
{
	uint8_t der[DER_MAX];
	hsm_status st;
	CBB cbb;

	CBB_init_fixed(&cbb, der, sizeof der);
	if (ECDSA_SIG_marshal(&cbb, sig) && CBB_flush(&cbb))
		st = out_bytes(out, (hsm_in){ der, CBB_len(&cbb) });
	else
		st = library_status(HSM_E_CRYPTO);
	CBB_cleanup(&cbb);
	return st;
}

static hsm_status
sig_write_raw(const ECDSA_SIG *sig, size_t len, hsm_out *out)
{
	if (!BN_bn2bin_padded(out->ptr, len, ECDSA_SIG_get0_r(sig))
	    || !BN_bn2bin_padded(out->ptr + len, len, ECDSA_SIG_get0_s(sig)))
		return library_status(HSM_E_CRYPTO);
	return HSM_OK;
}

/* With HSM_PARAM_DETERMINISTIC the nonce is RFC 6979's; else AWS-LC's own. */
static ECDSA_SIG *
digest_sig(const struct ec_key *e, const hsm_params *params, hsm_hash hash, hsm_in digest)
{
	uint8_t nonce[66];
	ECDSA_SIG *sig = NULL;

#ifdef STRONGROOM_LAB
	if (lab(LAB_SHORT_NONCES) != 0)
		return lab_ecdsa_sign(e, digest);
#endif
	if ((params->flags & HSM_PARAM_DETERMINISTIC) == 0)
		return ECDSA_do_sign(digest.ptr, digest.len, e->ec);
	/* Named for tests, since a nonce twice used tells the key; this one
	 * depends on key and digest alone. */
	if (rfc6979_nonce(e, hash, digest, nonce) == HSM_OK)
		sig = ECDSA_sign_with_nonce_and_leak_private_key_for_testing(digest.ptr, digest.len, e->ec, nonce, e->order_len);
	bytes_wipe(nonce, sizeof nonce);
	return sig;
}

static hsm_status
digest_sign(const struct key *key, const hsm_params *params, hsm_hash hash, hsm_in digest, hsm_out *out)
{
	const struct ec_key *e = ec_of(key);
	bool der = (params->flags & HSM_PARAM_DER) != 0;
	ECDSA_SIG *sig;
	hsm_status st;

	if ((st = out_need(out, der ? ECDSA_SIG_max_len(e->order_len) : 2 * e->order_len)) != HSM_OK || out->ptr == NULL)
		return st;
	if ((sig = digest_sig(e, params, hash, digest)) == NULL)
		return out_done(out, library_status(HSM_E_CRYPTO));
	st = der ? sig_write_der(sig, out) : sig_write_raw(sig, e->order_len, out);
	ECDSA_SIG_free(sig);
	return out_done(out, st);
}

/* NULL: not a signature in this form. */
static ECDSA_SIG *
sig_read(const struct ec_key *e, const hsm_params *params, hsm_in in)
{
	ECDSA_SIG *sig;
	BIGNUM *r, *s;

	if ((params->flags & HSM_PARAM_DER) != 0)
		return ECDSA_SIG_from_bytes(in.ptr, in.len);
	(void)e;
	sig = ECDSA_SIG_new();
	r = BN_bin2bn(in.ptr, in.len / 2, NULL);
	s = BN_bin2bn(in.ptr + in.len / 2, in.len / 2, NULL);
	if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s))
		return sig;
	ECDSA_SIG_free(sig);
	BN_free(r);
	BN_free(s);
	return NULL;
}

static hsm_status
digest_verify(const struct key *key, const hsm_params *params, hsm_in digest, hsm_in in)
{
	const struct ec_key *e = ec_of(key);
	ECDSA_SIG *sig;
	bool ok;

	if ((params->flags & HSM_PARAM_DER) == 0 && (in.len == 0 || in.len % 2 != 0 || in.len > 2 * e->order_len))
		return HSM_E_SIGNATURE_LEN;
	if ((sig = sig_read(e, params, in)) == NULL)
		return library_status(HSM_E_SIGNATURE);
	ok = ECDSA_do_verify(digest.ptr, digest.len, sig, e->ec) == 1;
	ECDSA_SIG_free(sig);
	return ok ? HSM_OK : library_status(HSM_E_SIGNATURE);
}

static hsm_status
raw_sign(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig)
{
	if (msg.len == 0)
		return out_done(sig, HSM_E_DATA_LEN);
	/* RFC 6979 needs a hash, which only the caller knows. */
	if ((params->flags & HSM_PARAM_DETERMINISTIC) != 0 && primitive_hash_len(params->hash) == 0)
		return out_done(sig, HSM_E_PARAM);
	return digest_sign(key, params, params->hash, msg, sig);
}

static hsm_status
raw_verify(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig)
{
	return msg.len == 0 ? HSM_E_DATA_LEN : digest_verify(key, params, msg, sig);
}

static hsm_status
sign_with(const struct key *key, const hsm_params *params, hsm_hash hash, hsm_in msg, hsm_out *sig)
{
	uint8_t buf[PRIMITIVE_HASH_MAX];
	hsm_in digest;
	hsm_status st;

	if (sig->ptr == NULL)
		return digest_sign(key, params, hash, HSM_NONE, sig);
	if ((st = hashed_input(hash, params, msg, buf, &digest)) != HSM_OK)
		return out_done(sig, st);
	return digest_sign(key, params, hash, digest, sig);
}

static hsm_status
verify_with(const struct key *key, const hsm_params *params, hsm_hash hash, hsm_in msg, hsm_in sig)
{
	uint8_t buf[PRIMITIVE_HASH_MAX];
	hsm_in digest;
	hsm_status st;

	if ((st = hashed_input(hash, params, msg, buf, &digest)) != HSM_OK)
		return st;
	return digest_verify(key, params, digest, sig);
}

#define ECDSA_SLOTS(tag, hash)                                                \
	static hsm_status sign_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig) \
	{                                                                     \
		return sign_with(key, params, hash, msg, sig);                \
	}                                                                     \
	static hsm_status verify_##tag(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig) \
	{                                                                     \
		return verify_with(key, params, hash, msg, sig);              \
	}
EACH_HASH(ECDSA_SLOTS)

/* SHA-1 signatures are approved to be checked, not made; what was hashed
 * outside is for the caller to answer for. */
static bool
sha1_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	return use == MECH_VERIFY && ec_approved(key, use, params);
}

#define ECDSA_ROW(number, text, tag, h, check) { .id = number, .name = text, .key_type = HSM_KEY_EC, .min_bits = 224, \
	.max_bits = 521, .flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_APPROVED, .hash = h, .heap = 2048, .depth = 16384, \
	.approved = check, .sign = sign_##tag, .verify = verify_##tag, HASHED_SLOTS }

static const struct mech rows[] = {
	{ .id = HSM_ECDSA, .name = "ECDSA", .key_type = HSM_KEY_EC, .min_bits = 224, .max_bits = 521,
	  .flags = MECH_SIGN | MECH_VERIFY | MECH_STREAM | MECH_APPROVED, .heap = 2048, .depth = 16384,
	  .approved = ec_approved, .sign = raw_sign, .verify = raw_verify, GATHER_SLOTS },
	ECDSA_ROW(HSM_ECDSA_SHA1, "ECDSA_SHA1", sha1, HSM_SHA1, sha1_approved),
	ECDSA_ROW(HSM_ECDSA_SHA224, "ECDSA_SHA224", sha224, HSM_SHA224, ec_approved),
	ECDSA_ROW(HSM_ECDSA_SHA256, "ECDSA_SHA256", sha256, HSM_SHA256, ec_approved),
	ECDSA_ROW(HSM_ECDSA_SHA384, "ECDSA_SHA384", sha384, HSM_SHA384, ec_approved),
	ECDSA_ROW(HSM_ECDSA_SHA512, "ECDSA_SHA512", sha512, HSM_SHA512, ec_approved),
	ECDSA_ROW(0x1047, "ECDSA_SHA3_224", sha3_224, HSM_SHA3_224, ec_approved),
	ECDSA_ROW(0x1048, "ECDSA_SHA3_256", sha3_256, HSM_SHA3_256, ec_approved),
	ECDSA_ROW(0x1049, "ECDSA_SHA3_384", sha3_384, HSM_SHA3_384, ec_approved),
	ECDSA_ROW(0x104A, "ECDSA_SHA3_512", sha3_512, HSM_SHA3_512, ec_approved),
};

const struct family family_ecdsa = { rows, COUNT(rows), NULL, 0, NULL, 0 };
