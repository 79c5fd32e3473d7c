/* hmac.h - generic secrets and their keyed HMAC states. */
#ifndef STRONGROOM_HMAC_H
#define STRONGROOM_HMAC_H

#include <stdatomic.h>

#include <openssl/hmac.h>

#include "family.h"

/* A generic secret serves every hash. The keyed state of each is made at its
 * first use, published once and never changed: threads copy it without a lock. */
struct generic_key {
	size_t len;
	_Atomic(HMAC_CTX *) keyed[HSM_SHAKE128];
	uint8_t bytes[];
};

/* A copy of the keyed state, ready for data. */
hsm_status hmac_keyed(const struct key *key, hsm_hash hash, HMAC_CTX *copy);

#endif
