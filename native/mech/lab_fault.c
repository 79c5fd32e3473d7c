/* lab_fault.c - the laboratory's own RSA and ECDSA signatures: by the book,
 * without what protects the real ones, or with a bit flipped. */
#include "lab_fault.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/mem.h>

#include "../base/lab.h"
#include "../crypto/rng.h"

/* s = m^d by its halves: h = qinv (m^dP - m^dQ) mod p; s = m^dQ + h q. */
static bool
crt_power(const RSA *rsa, const BIGNUM *m, BIGNUM *s)
{
	const BIGNUM *p = RSA_get0_p(rsa), *q = RSA_get0_q(rsa);
	BIGNUM *dp = BN_dup(RSA_get0_dmp1(rsa)), *half = BN_new(), *r = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	bool ok;

	ok = dp != NULL && half != NULL && r != NULL && ctx != NULL
	     && (lab(LAB_DP_FLIP) == 0 || (BN_is_bit_set(dp, 1) ? BN_clear_bit(dp, 1) : BN_set_bit(dp, 1)))
	     && BN_mod(r, m, p, ctx) && BN_mod_exp(half, r, dp, p, ctx)
	     && BN_mod(r, m, q, ctx) && BN_mod_exp(s, r, RSA_get0_dmq1(rsa), q, ctx)
	     && BN_mod_sub(half, half, s, p, ctx) && BN_mod_mul(half, half, RSA_get0_iqmp(rsa), p, ctx)
	     && BN_mul(half, half, q, ctx) && BN_add(s, s, half);
	BN_clear_free(dp);
	BN_clear_free(half);
	BN_free(r);
	BN_CTX_free(ctx);
	return ok;
}

static bool
fits(const RSA *rsa, const BIGNUM *m, const BIGNUM *s)
{
	BIGNUM *back = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	bool ok = back != NULL && ctx != NULL && BN_mod_exp(back, s, RSA_get0_e(rsa), RSA_get0_n(rsa), ctx) && BN_cmp(back, m) == 0;

	BN_free(back);
	BN_CTX_free(ctx);
	return ok;
}

hsm_status
lab_rsa_sign(const struct rsa_key *k, const EVP_MD *md, hsm_in digest, hsm_out *out)
{
	uint8_t em[RSA_BITS_MAX / 8], *info = NULL;
	size_t info_len;
	int allocated;
	BIGNUM *m = NULL, *s = BN_new();
	hsm_status st = HSM_E_CRYPTO;

	if (s == NULL || !RSA_add_pkcs1_prefix(&info, &info_len, &allocated, EVP_MD_type(md), digest.ptr, digest.len)
	    || info_len + 11 > k->len)
		goto out;
	memset(em, 0xff, k->len);
	em[0] = 0;
	em[1] = 1;
	em[k->len - info_len - 1] = 0;
	memcpy(em + k->len - info_len, info, info_len);
	if ((m = BN_bin2bn(em, k->len, NULL)) == NULL || !crt_power(k->rsa, m, s))
		goto out;
	if (lab(LAB_UNCHECKED) == 0 && !fits(k->rsa, m, s))
		goto out;               /* as the real one: a wrong signature does not leave */
	if (BN_bn2bin_padded(out->ptr, k->len, s))
		st = HSM_OK;
out:
	if (info != NULL && allocated)
		OPENSSL_free(info);
	BN_free(m);
	BN_free(s);
	return st == HSM_OK ? st : library_status(st);
}

ECDSA_SIG *
lab_ecdsa_sign(const struct ec_key *e, hsm_in digest)
{
	uint32_t zero_bits = lab(LAB_SHORT_NONCES);
	uint8_t nonce[66];
	ECDSA_SIG *sig = NULL;

	/* What the order's top byte leaves free counts as zero already. */
	zero_bits += (uint32_t)(e->order_len * 8 - (size_t)EC_GROUP_order_bits(e->group));
	if (zero_bits >= e->order_len * 8 || rng_bytes(nonce, e->order_len) != HSM_OK)
		return NULL;
	for (uint32_t i = 0; i < zero_bits; i++)
		nonce[i / 8] &= (uint8_t)~(0x80u >> i % 8);
	sig = ECDSA_sign_with_nonce_and_leak_private_key_for_testing(digest.ptr, digest.len, e->ec, nonce, e->order_len);
	bytes_wipe(nonce, sizeof nonce);
	return sig;
}
