/* primitive.h - algorithms on bare bytes, for the core's own work: sealing,
 * record MACs, SigV4, PINs. Keys that users hold go through rows (mech.h).
 *
 * All answer HSM_OK, HSM_E_MEMORY or HSM_E_CRYPTO unless said otherwise. Call
 * them where rows are called: on an arena stack, the generator prepared. */
#ifndef STRONGROOM_PRIMITIVE_H
#define STRONGROOM_PRIMITIVE_H

#include "../base/bytes.h"
#include "params.h"

#define PRIMITIVE_HASH_MAX 64u
#define PRIMITIVE_TAG 16u

size_t primitive_hash_len(hsm_hash hash);           /* bytes; 0: no such hash */

/* The hash of `parts` joined. out: primitive_hash_len bytes. HSM_E_PARAM: no
 * such hash. */
HSM_MUST_USE hsm_status primitive_hash(hsm_hash hash, const hsm_in *parts, size_t n, uint8_t *out);
HSM_MUST_USE hsm_status primitive_hmac(hsm_hash hash, hsm_in key, const hsm_in *parts, size_t n, uint8_t *out);

/* SP 800-108 counter mode, HMAC-SHA-256: [i]32 | label | 00 | context | [L]32. */
HSM_MUST_USE hsm_status primitive_kbkdf(hsm_in key, hsm_in label, hsm_in context, uint8_t *out, size_t out_len);

HSM_MUST_USE hsm_status primitive_pbkdf2(hsm_hash hash, hsm_in password, hsm_in salt, uint32_t iterations, uint8_t *out, size_t out_len);

/* AES-GCM, key of 16 or 32 bytes, iv of 12. out: clear.len + PRIMITIVE_TAG
 * bytes; out may be clear.ptr. */
HSM_MUST_USE hsm_status primitive_gcm_seal(hsm_in key, const uint8_t iv[12], hsm_in aad, hsm_in clear, uint8_t *out);
/* out: sealed.len - PRIMITIVE_TAG bytes, wiped on failure; out may be
 * sealed.ptr. HSM_E_CIPHERTEXT. */
HSM_MUST_USE hsm_status primitive_gcm_open(hsm_in key, const uint8_t iv[12], hsm_in aad, hsm_in sealed, uint8_t *out);

#endif
