/* lab_noise.c - the laboratory's noise source, in front of the system's.
 *
 * AWS-LC asks two functions for noise: CRYPTO_sysrand (getrandom) and, where the
 * processor has one, its instruction. A laboratory build is linked so that both
 * come here first (--wrap). With a seed they give a stream that follows from it,
 * so that all keys, nonces and blindings of a run do; with `entropy-same` they
 * give the same bytes each time. */
#include "lab_noise.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/sha.h>

#include "../base/lab.h"

void __real_CRYPTO_sysrand(uint8_t *out, size_t len);
void __wrap_CRYPTO_sysrand(uint8_t *out, size_t len);
#if defined(__x86_64__)
int __real_CRYPTO_rdrand_multiple8(uint8_t *out, size_t len);
int __wrap_CRYPTO_rdrand_multiple8(uint8_t *out, size_t len);
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t blocks;

/* SHA-256(seed | number of the block). */
static void
block_make(const char *seed, uint64_t number, uint8_t block[SHA256_DIGEST_LENGTH])
{
	SHA256_CTX sha;

	SHA256_Init(&sha);
	SHA256_Update(&sha, seed, strlen(seed));
	SHA256_Update(&sha, &number, sizeof number);
	SHA256_Final(block, &sha);
}

static bool
made(uint8_t *out, size_t len)
{
	const bool same = lab(LAB_ENTROPY_SAME) != 0;
	uint8_t block[SHA256_DIGEST_LENGTH];
	const char *seed;

	if (!lab_seed(&seed) && !same)
		return false;
	pthread_mutex_lock(&lock);
	for (size_t at = 0; at < len; at += sizeof block) {
		block_make(seed, same ? at : blocks++, block);
		memcpy(out + at, block, len - at < sizeof block ? len - at : sizeof block);
	}
	pthread_mutex_unlock(&lock);
	return true;
}

void
__wrap_CRYPTO_sysrand(uint8_t *out, size_t len)
{
	if (!made(out, len))
		__real_CRYPTO_sysrand(out, len);
}

#if defined(__x86_64__)
int
__wrap_CRYPTO_rdrand_multiple8(uint8_t *out, size_t len)
{
	return made(out, len) ? 1 : __real_CRYPTO_rdrand_multiple8(out, len);
}
#endif

bool
lab_noise(enum lab_source source, uint8_t *out, size_t len)
{
	if (source == LAB_SYSTEM) {
		__wrap_CRYPTO_sysrand(out, len);
		return true;
	}
#if defined(__x86_64__)
	if (__builtin_cpu_supports("rdrnd") && len % 8 == 0)
		return __wrap_CRYPTO_rdrand_multiple8(out, len) == 1;
#endif
	return false;
}
