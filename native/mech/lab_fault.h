/* lab_fault.h - signatures of the laboratory (lab_fault.c); laboratory builds only. */
#ifndef STRONGROOM_LAB_FAULT_H
#define STRONGROOM_LAB_FAULT_H

#include <openssl/ecdsa.h>

#include "rsa.h"

/* PKCS#1 v1.5 by the Chinese remainder theorem, as the switches say. */
hsm_status lab_rsa_sign(const struct rsa_key *k, const EVP_MD *md, hsm_in digest, hsm_out *out);
/* With a nonce that begins with zero bits. */
ECDSA_SIG *lab_ecdsa_sign(const struct ec_key *e, hsm_in digest);

#endif
