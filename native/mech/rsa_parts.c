/* rsa_parts.c - an RSA key from PKCS#11 attributes.
 *
 * Complete sets are taken and checked as they are. What may be missing is
 * worked out: d from e and the primes, e from d, the CRT numbers, and the
 * primes themselves from n, e and d (NIST SP 800-56B, appendix C). */
#include <openssl/bn.h>
#include <openssl/mem.h>

#include "rsa.h"

void
rsa_numbers_free(struct rsa_numbers *k)
{
	BN_free(k->n);
	BN_free(k->e);
	BN_clear_free(k->d);
	BN_clear_free(k->p);
	BN_clear_free(k->q);
	BN_clear_free(k->dp);
	BN_clear_free(k->dq);
	BN_clear_free(k->qi);
}

/* A missing attribute leaves NULL. */
static hsm_status
part_read(const hsm_attr *attrs, size_t n, uint32_t type, BIGNUM **number)
{
	hsm_in value = attr_find(attrs, n, type, NULL);

	*number = NULL;
	if (value.len == 0)
		return HSM_OK;
	if (value.len > RSA_BITS_MAX / 8 + 1)
		return HSM_E_ATTR_VALUE;
	*number = BN_bin2bn(value.ptr, value.len, NULL);
	return *number == NULL ? library_status(HSM_E_MEMORY) : HSM_OK;
}

static hsm_status
parts_read(const hsm_attr *attrs, size_t n, struct rsa_numbers *k)
{
	const struct { uint32_t type; BIGNUM **number; } all[] = {
		{ HSM_ATTR_MODULUS, &k->n }, { HSM_ATTR_PUBLIC_EXPONENT, &k->e }, { HSM_ATTR_PRIVATE_EXPONENT, &k->d },
		{ HSM_ATTR_PRIME_1, &k->p }, { HSM_ATTR_PRIME_2, &k->q }, { HSM_ATTR_EXPONENT_1, &k->dp },
		{ HSM_ATTR_EXPONENT_2, &k->dq }, { HSM_ATTR_COEFFICIENT, &k->qi },
	};
	hsm_status st = HSM_OK;

	for (size_t i = 0; i < COUNT(all) && st == HSM_OK; i++)
		st = part_read(attrs, n, all[i].type, all[i].number);
	return st;
}

/* x with x * y = 1 modulo lcm(p - 1, q - 1); NULL on failure. */
static BIGNUM *
exponent_inverse(const BIGNUM *y, const BIGNUM *p, const BIGNUM *q, BN_CTX *ctx)
{
	BIGNUM *p1 = BN_dup(p), *q1 = BN_dup(q), *g = BN_new(), *m = BN_new(), *x = NULL;

	if (p1 != NULL && q1 != NULL && g != NULL && m != NULL && BN_sub_word(p1, 1) && BN_sub_word(q1, 1)
	    && BN_gcd(g, p1, q1, ctx) && BN_mul(m, p1, q1, ctx) && BN_div(m, NULL, m, g, ctx))
		x = BN_mod_inverse(NULL, y, m, ctx);
	BN_clear_free(p1);
	BN_clear_free(q1);
	BN_clear_free(g);
	BN_clear_free(m);
	return x;
}

/* One try at the primes with a random base: true when p and q were found. */
static bool
primes_try(struct rsa_numbers *k, const BIGNUM *odd, int twos, BN_CTX *ctx)
{
	BIGNUM *x = BN_new(), *y = BN_new(), *one_less = BN_dup(k->n), *swap;
	bool found = false;

	if (x == NULL || y == NULL || one_less == NULL || !BN_sub_word(one_less, 1) || !BN_rand_range_ex(x, 2, one_less)
	    || !BN_mod_exp(x, x, odd, k->n, ctx))
		goto out;
	if (BN_is_one(x) || BN_cmp(x, one_less) == 0)
		goto out;
	for (int i = 0; i < twos && !found; i++) {
		if (!BN_mod_sqr(y, x, k->n, ctx))
			goto out;
		if (BN_is_one(y)) {
			/* x is a root of 1 other than 1 and -1. */
			if (!BN_sub_word(x, 1) || !BN_gcd(k->p, x, k->n, ctx) || !BN_div(k->q, NULL, k->n, k->p, ctx))
				goto out;
			found = true;
		} else if (BN_cmp(y, one_less) == 0) {
			goto out;
		}
		swap = x;
		x = y;
		y = swap;
	}
out:
	BN_clear_free(x);
	BN_clear_free(y);
	BN_free(one_less);
	return found;
}

static hsm_status
primes_find(struct rsa_numbers *k, BN_CTX *ctx)
{
	BIGNUM *odd = BN_new();
	int twos = 0;
	bool found = false;
	hsm_status st = HSM_E_KEY_VALUE;

	k->p = BN_new();
	k->q = BN_new();
	if (odd == NULL || k->p == NULL || k->q == NULL || !BN_mul(odd, k->d, k->e, ctx) || !BN_sub_word(odd, 1)) {
		st = HSM_E_MEMORY;
		goto out;
	}
	if (BN_is_zero(odd) || BN_is_odd(odd))
		goto out;
	while (!BN_is_odd(odd) && BN_rshift1(odd, odd))
		twos++;
	for (int tries = 0; tries < 100 && !found; tries++)
		found = primes_try(k, odd, twos, ctx);
	if (found)
		st = HSM_OK;
out:
	BN_clear_free(odd);
	return st;
}

static hsm_status
parts_complete(struct rsa_numbers *k)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p1 = NULL, *q1 = NULL;
	hsm_status st = HSM_E_MEMORY;

	if (ctx == NULL)
		return library_status(st);
	if (k->p == NULL && (st = primes_find(k, ctx)) != HSM_OK)
		goto out;
	st = HSM_E_KEY_VALUE;
	if (BN_is_zero(k->p) || BN_is_zero(k->q) || BN_is_one(k->p) || BN_is_one(k->q))
		goto out;
	if (k->d == NULL && (k->d = exponent_inverse(k->e, k->p, k->q, ctx)) == NULL)
		goto out;
	if (k->e == NULL && (k->e = exponent_inverse(k->d, k->p, k->q, ctx)) == NULL)
		goto out;
	if ((p1 = BN_dup(k->p)) == NULL || (q1 = BN_dup(k->q)) == NULL || !BN_sub_word(p1, 1) || !BN_sub_word(q1, 1))
		goto out;
	if (k->dp == NULL && ((k->dp = BN_new()) == NULL || !BN_mod(k->dp, k->d, p1, ctx)))
		goto out;
	if (k->dq == NULL && ((k->dq = BN_new()) == NULL || !BN_mod(k->dq, k->d, q1, ctx)))
		goto out;
	if (k->qi == NULL && (k->qi = BN_mod_inverse(NULL, k->q, k->p, ctx)) == NULL)
		goto out;
	st = HSM_OK;
out:
	BN_clear_free(p1);
	BN_clear_free(q1);
	BN_CTX_free(ctx);
	return st == HSM_OK ? st : library_status(st);
}

hsm_status
rsa_parts_read(enum key_part part, const hsm_attr *attrs, size_t n, RSA **rsa)
{
	struct rsa_numbers k = { 0 };
	hsm_status st = parts_read(attrs, n, &k);

	*rsa = NULL;
	if (st != HSM_OK)
		goto out;
	st = HSM_E_TEMPLATE_INCOMPLETE;
	if (k.n == NULL)
		goto out;
	if (part == PART_PUBLIC) {
		if (k.e == NULL)
			goto out;
		*rsa = rsa_public_new(k.n, k.e);
	} else {
		bool primes = k.p != NULL && k.q != NULL;

		if ((k.p == NULL) != (k.q == NULL) || (primes ? k.d == NULL && k.e == NULL : k.d == NULL || k.e == NULL))
			goto out;
		if ((st = parts_complete(&k)) != HSM_OK)
			goto out;
		*rsa = rsa_private_new(&k);
	}
	st = *rsa != NULL ? HSM_OK : library_status(HSM_E_KEY_VALUE);
out:
	rsa_numbers_free(&k);
	return st;
}
