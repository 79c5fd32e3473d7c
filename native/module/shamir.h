/* shamir.h - a secret in parts: any `threshold` of them give it back, fewer
 * say nothing about it (Shamir 1979). Byte by byte in GF(256), polynomial
 * x^8 + x^4 + x^3 + x + 1; no table, no branch on a secret.
 *
 * Part i is the value at x = i + 1. Inside gate_run. */
#ifndef STRONGROOM_SHAMIR_H
#define STRONGROOM_SHAMIR_H

#include "../base/bytes.h"

#define SHAMIR_LEN 32u
#define SHAMIR_PARTS_MAX 32u

HSM_MUST_USE hsm_status shamir_split(const uint8_t secret[SHAMIR_LEN], unsigned threshold, unsigned count,
	uint8_t (*parts)[SHAMIR_LEN]);
/* xs: n different places, none of them 0. */
void shamir_join(const uint8_t *xs, const uint8_t (*parts)[SHAMIR_LEN], unsigned n, uint8_t secret[SHAMIR_LEN]);

#endif
