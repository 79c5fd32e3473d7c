/* aes.h - an AES key ready for every mode, shared by all threads. */
#ifndef STRONGROOM_AES_H
#define STRONGROOM_AES_H

#include <openssl/aead.h>
#include <openssl/aes.h>

#include "family.h"

struct aes_key {
	EVP_AEAD_CTX gcm;               /* tag of 16 bytes */
	AES_KEY enc, dec;
	size_t len;
	uint8_t bytes[32];
};

static inline const struct aes_key *
aes_of(const struct key *key)
{
	return key->ctx;
}

#endif
