/* rng.h - random bytes for keys, nonces and callers.
 *
 * AWS-LC's DRBG (seeded by the operating system) behind a per-thread pool
 * inside the arena: a DRBG call per 12 bytes costs ten times the encryption.
 * Pool bytes are wiped as they are used and dropped across a fork. */
#ifndef STRONGROOM_RNG_H
#define STRONGROOM_RNG_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/bytes.h"
#include "../base/status.h"

/* Make this thread's generator state now, from the reserve. Called by every
 * way into the core before AWS-LC is entered; cheap when done already. */
HSM_MUST_USE hsm_status rng_prepare(void);

HSM_MUST_USE hsm_status rng_nonce(void *out, size_t len);   /* pooled; len <= 64 */
HSM_MUST_USE hsm_status rng_bytes(void *out, size_t len);   /* straight from the DRBG: keys */

/* Additional input: every thread's generator takes it with its next draw. It
 * replaces no seed, so bytes that somebody knows take nothing away. */
HSM_MUST_USE hsm_status rng_add(hsm_in in);

/* Build switch STRONGROOM_FAULTS only: a generator that gives the same bytes
 * for ever. */
void rng_stick(bool on);
unsigned rng_additions(void);           /* draws that took what rng_add left */

#endif
