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
/* Does this SubjectPublicKeyInfo name its curve (RFC 5480), and not spell it
 * out? What is spelt out may leave numbers away or change them. */
bool ec_curve_named(hsm_in spki);
/* A curve from CKA_EC_PARAMS: an OID, a name, or explicit numbers of a curve
 * we know. */
hsm_status ec_params_read(hsm_in params, uint32_t *curve);
hsm_status ec_params_write(uint32_t curve, hsm_out *out);

/* A point, bare or DER-wrapped (both may start with 04), on the curve and not
 * infinity; else HSM_E_KEY_VALUE and NULL. */
hsm_status ec_point_read(const EC_GROUP *group, hsm_in value, EC_POINT **point);
bool ec_approved(const struct key *key, uint32_t use, const hsm_params *params);

/* rfc6979.c - the nonce for a digest, as long as the order. */
hsm_status rfc6979_nonce(const struct ec_key *e, hsm_hash hash, hsm_in digest, uint8_t *nonce);

/* edwards.c - Ed25519 and X25519 keys as attributes. */
hsm_status raw_curve_write(uint32_t curve, hsm_out *out);
bool raw_curve_read(hsm_in params, uint32_t curve);
hsm_status raw_point_write(const uint8_t point[32], hsm_out *out);
hsm_status raw_curve_compose(enum key_part part, const hsm_attr *attrs, size_t n, uint32_t curve, struct secret *material);

/* montgomery.c */
bool montgomery_is(const struct key *key);
hsm_status montgomery_agree(const struct key *key, hsm_in peer, struct secret *shared);

/* der.c - what the families of public-key kinds share. */
hsm_status der_private(const EVP_PKEY *pkey, struct secret *material);  /* PKCS#8 */
hsm_status der_public(const EVP_PKEY *pkey, hsm_out *spki);
hsm_status der_public_secret(const EVP_PKEY *pkey, struct secret *spki);
hsm_status der_read(enum key_part part, hsm_in material, EVP_PKEY **pkey);
/* What an OCTET STRING holds, or the bytes themselves where they are none. */
hsm_in der_unwrap(hsm_in bytes);

#endif
