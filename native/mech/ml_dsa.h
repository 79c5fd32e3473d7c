/* ml_dsa.h - ML-DSA keys (FIPS 204). */
#ifndef STRONGROOM_ML_DSA_H
#define STRONGROOM_ML_DSA_H

#include "pq.h"

#define ML_DSA_SEED 32u
#define ML_DSA_MU 64u

struct ml_dsa_set {
	uint32_t param;                 /* 44, 65, 87 */
	uint32_t number;                /* CKP_ number */
	struct pq_oid oid;
	size_t pub_len, priv_len, sig_len;
	int (*keypair)(uint8_t *pub, uint8_t *priv, const uint8_t *seed);
	int (*public_of)(uint8_t *pub, const uint8_t *priv);
	int (*sign)(const uint8_t *priv, uint8_t *sig, size_t *sig_len, const uint8_t *mu, size_t mu_len,
	            const uint8_t *pre, size_t pre_len, const uint8_t *rnd);
	int (*verify)(const uint8_t *pub, const uint8_t *sig, size_t sig_len, const uint8_t *mu, size_t mu_len);
};

struct ml_dsa_key {
	const struct ml_dsa_set *set;
	bool has_seed;
	uint8_t seed[ML_DSA_SEED];
	uint8_t tr[64];                 /* SHAKE256 of the public key: what mu starts with */
	uint8_t *pub, *priv;            /* behind this struct; priv NULL in public keys */
};

#endif
