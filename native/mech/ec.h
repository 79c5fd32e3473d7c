/* ec.h - keys on Weierstrass curves. */
#ifndef STRONGROOM_EC_H
#define STRONGROOM_EC_H

#include <openssl/ec.h>
#include <openssl/ec_key.h>

#include "family.h"

struct ec_key {
	EVP_PKEY *pkey;
	const EC_KEY *ec;               /* of pkey */
	const EC_GROUP *group;
	size_t field_len, order_len;    /* bytes */
};

static inline const struct ec_key *
ec_of(const struct key *key)
{
	return key->ctx;
}

int ec_nid(uint32_t curve);                              /* NID_undef: no such */
uint32_t ec_curve(const EC_GROUP *group);                /* 0: no such */
/* A curve from CKA_EC_PARAMS: an OID, a name, or explicit numbers of a curve
 * we know. */
hsm_status ec_params_read(hsm_in params, uint32_t *curve);
hsm_status ec_params_write(uint32_t curve, hsm_out *out);

bool ec_approved(const struct key *key, uint32_t use, const hsm_params *params);

/* der.c - what the families of public-key kinds share. */
hsm_status der_private(const EVP_PKEY *pkey, struct secret *material);  /* PKCS#8 */
hsm_status der_public(const EVP_PKEY *pkey, hsm_out *spki);
hsm_status der_public_secret(const EVP_PKEY *pkey, struct secret *spki);
hsm_status der_read(enum key_part part, hsm_in material, EVP_PKEY **pkey);
/* What an OCTET STRING holds, or the bytes themselves where they are none. */
hsm_in der_unwrap(hsm_in bytes);

#endif
