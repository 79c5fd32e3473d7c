/* rng.c - random bytes. */
#include "rng.h"

#include <stdint.h>

#include <openssl/rand.h>

hsm_status
rng_prepare(void)
{
	uint8_t one;

	return RAND_bytes(&one, 1) == 1 ? HSM_OK : HSM_E_RANDOM;
}

hsm_status
rng_bytes(void *out, size_t len)
{
	return RAND_bytes(out, len) == 1 ? HSM_OK : HSM_E_RANDOM;
}

hsm_status
rng_nonce(void *out, size_t len)
{
	if (len > 64)
		return HSM_E_ARGS;
	return rng_bytes(out, len);
}
