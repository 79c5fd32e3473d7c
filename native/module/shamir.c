/* shamir.c - see shamir.h. */
#include "shamir.h"

#include "../crypto/rng.h"

/* Eight steps whatever the factors are. */
static uint8_t
field_mul(uint8_t a, uint8_t b)
{
	unsigned x = a, sum = 0;

	for (unsigned bit = 0; bit < 8; bit++) {
		sum ^= x & (0u - (((unsigned)b >> bit) & 1u));
		x = (x << 1) ^ (0x11Bu & (0u - (x >> 7)));
	}
	return (uint8_t)sum;
}

/* a^254; 0 gives 0. */
static uint8_t
field_invert(uint8_t a)
{
	uint8_t square = a, product = 1;

	for (unsigned i = 0; i < 7; i++) {
		square = field_mul(square, square);
		product = field_mul(product, square);
	}
	return product;
}

hsm_status
shamir_split(const uint8_t secret[SHAMIR_LEN], unsigned threshold, unsigned count, uint8_t (*parts)[SHAMIR_LEN])
{
	uint8_t terms[SHAMIR_PARTS_MAX][SHAMIR_LEN];
	hsm_status st = HSM_OK;

	if (threshold == 0 || threshold > count || count > SHAMIR_PARTS_MAX)
		return HSM_E_ARGS;
	for (unsigned i = 0; i < SHAMIR_LEN; i++)
		terms[0][i] = secret[i];
	if (threshold > 1)
		st = rng_bytes(terms[1], (threshold - 1) * SHAMIR_LEN);
	if (st != HSM_OK)
		goto out;
	for (unsigned part = 0; part < count; part++) {
		for (unsigned i = 0; i < SHAMIR_LEN; i++) {
			uint8_t y = 0;

			for (unsigned t = threshold; t-- > 0;)
				y = (uint8_t)(field_mul(y, (uint8_t)(part + 1)) ^ terms[t][i]);
			parts[part][i] = y;
		}
	}
out:
	bytes_wipe(terms, sizeof terms);
	return st;
}

/* What part k weighs at x = 0. */
static uint8_t
weight(const uint8_t *xs, unsigned n, unsigned k)
{
	uint8_t above = 1, below = 1;

	for (unsigned i = 0; i < n; i++) {
		if (i == k)
			continue;
		above = field_mul(above, xs[i]);
		below = field_mul(below, xs[i] ^ xs[k]);
	}
	return field_mul(above, field_invert(below));
}

void
shamir_join(const uint8_t *xs, const uint8_t (*parts)[SHAMIR_LEN], unsigned n, uint8_t secret[SHAMIR_LEN])
{
	for (unsigned i = 0; i < SHAMIR_LEN; i++)
		secret[i] = 0;
	for (unsigned k = 0; k < n; k++) {
		const uint8_t w = weight(xs, n, k);

		for (unsigned i = 0; i < SHAMIR_LEN; i++)
			secret[i] ^= field_mul(w, parts[k][i]);
	}
}
