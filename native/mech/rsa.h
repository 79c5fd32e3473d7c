/* rsa.h - RSA keys. */
#ifndef STRONGROOM_RSA_H
#define STRONGROOM_RSA_H

#include <openssl/rsa.h>

#include "ec.h"

#define RSA_BITS_MIN 512u               /* below 2048 not approved, and refused where it is strict */
#define RSA_BITS_MAX 8192u

struct rsa_key {
	EVP_PKEY *pkey;
	RSA *rsa;                       /* of pkey */
	size_t len;                     /* bytes of the modulus */
	uint8_t reject[32];             /* private: seeds the random message of a bad PKCS#1 ciphertext */
};

static inline const struct rsa_key *
rsa_of(const struct key *key)
{
	return key->ctx;
}

#define RSA_EXPONENT_BITS_MAX 256u      /* FIPS 186-5 */

struct rsa_numbers { BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi; };
void rsa_numbers_free(struct rsa_numbers *k);

/* rsa_der.c */
RSA *rsa_public_new(const BIGNUM *n, const BIGNUM *e);
RSA *rsa_private_new(const struct rsa_numbers *k);
hsm_status rsa_der_read(enum key_part part, hsm_in material, EVP_PKEY **pkey);

/* rsa_parts.c - PKCS#11's numbers into a key, whatever is left out of those
 * that follow from the others. *rsa is the caller's. */
hsm_status rsa_parts_read(enum key_part part, const hsm_attr *attrs, size_t n, RSA **rsa);

/* rsa_crypt.c - OAEP on its own, for RSA_AES_KEY_WRAP. */
hsm_status rsa_oaep_seal(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out);
hsm_status rsa_oaep_open(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out);

#endif
