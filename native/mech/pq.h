/* pq.h - ML-DSA and ML-KEM keys at rest, and AWS-LC's functions for them.
 *
 * A private key is kept as the seed it was made from (RFC 9881, and the same
 * shape for ML-KEM); keys that others give expanded only stay expanded. */
#ifndef STRONGROOM_PQ_H
#define STRONGROOM_PQ_H

#include "family.h"

/* What a PKCS#8 private key of these types holds: either or both. */
struct pq_private { hsm_in seed, expanded; };

/* oid_last: the last byte of 2.16.840.1.101.3.4.x.oid_last, oid_arc the x. */
struct pq_oid { uint8_t arc, last; };

hsm_status pq_private_read(struct pq_oid oid, hsm_in pkcs8, size_t seed_len, size_t expanded_len, struct pq_private *p);
/* Either may be empty; both are written where both are given. */
hsm_status pq_private_write(struct pq_oid oid, hsm_in seed, hsm_in expanded, struct secret *pkcs8);
hsm_status pq_public_read(struct pq_oid oid, hsm_in spki, size_t len, hsm_in *pub);
hsm_status pq_public_write(struct pq_oid oid, hsm_in pub, hsm_out *spki);
hsm_status pq_public_secret(struct pq_oid oid, hsm_in pub, struct secret *spki);
/* Which of several oids a SPKI or PKCS#8 names. */
bool pq_oid_is(enum key_part part, hsm_in material, struct pq_oid oid);

/* AWS-LC links these but shows no header for them; EVP has neither external mu
 * with deterministic signing nor coins for known answers. */
#define PQ_DSA(n)                                                             \
	int ml_dsa_##n##_keypair_internal(uint8_t *pub, uint8_t *priv, const uint8_t *seed); \
	int ml_dsa_##n##_pack_pk_from_sk(uint8_t *pub, const uint8_t *priv);  \
	int ml_dsa_extmu_##n##_sign_internal(const uint8_t *priv, uint8_t *sig, size_t *sig_len, const uint8_t *mu, \
		size_t mu_len, const uint8_t *pre, size_t pre_len, const uint8_t *rnd); \
	int ml_dsa_extmu_##n##_verify(const uint8_t *pub, const uint8_t *sig, size_t sig_len, const uint8_t *mu, size_t mu_len);
PQ_DSA(44)
PQ_DSA(65)
PQ_DSA(87)

/* These answer 0 for success, the others 1. */
#define PQ_KEM(n)                                                             \
	int ml_kem_##n##_keypair_deterministic(uint8_t *pub, size_t *pub_len, uint8_t *priv, size_t *priv_len, const uint8_t *seed); \
	int ml_kem_##n##_encapsulate_deterministic(uint8_t *ct, size_t *ct_len, uint8_t *ss, size_t *ss_len, \
		const uint8_t *pub, const uint8_t *coins);                    \
	int ml_kem_##n##_decapsulate(uint8_t *ss, size_t *ss_len, const uint8_t *ct, const uint8_t *priv); \
	int ml_kem_##n##_check_pk(const uint8_t *pub, size_t len);            \
	int ml_kem_##n##_check_sk(const uint8_t *priv, size_t len);
PQ_KEM(512)
PQ_KEM(768)
PQ_KEM(1024)

#endif
