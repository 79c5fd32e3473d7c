/* aes_cmac.h - CMAC over an expanded AES key; also a PRF for SP 800-108. */
#ifndef STRONGROOM_AES_CMAC_H
#define STRONGROOM_AES_CMAC_H

#include "aes.h"

struct cmac {
	const AES_KEY *key;
	uint8_t x[16], held[16];
	size_t held_len;
};

void cmac_open(struct cmac *c, const AES_KEY *key);
void cmac_add(struct cmac *c, hsm_in in);
void cmac_close(struct cmac *c, uint8_t mac[16]);

#endif
