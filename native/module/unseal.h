/* unseal.h - an unseal slot: one way to get at the root key.
 *
 * A kind knows where its 32-byte slot key comes from and what it must remember
 * in the header (params). A new way to unseal (shares, another token, another
 * KMS) adds a kind to the table in unseal.c and nothing elsewhere. */
#ifndef STRONGROOM_UNSEAL_H
#define STRONGROOM_UNSEAL_H

#include "../base/secret.h"
#include "root.h"

#define UNSEAL_KEY_LEN 32u
#define UNSEAL_PARAMS_MAX 64u

struct unseal_kind {
	uint8_t number;                 /* in the header */
	hsm_unseal how;
	const char *name;
	size_t params_len;
	hsm_status wrong;               /* the slot key does not open the root: whose fault */

	/* A slot key for a new root. Fills params. */
	hsm_status (*make)(const char *path, const uint8_t root_id[ROOT_ID_LEN], uint8_t *params, struct secret *key);
	/* The slot key of an existing one. */
	hsm_status (*find)(const char *path, const uint8_t root_id[ROOT_ID_LEN], hsm_in params, struct secret *key);
	/* What `make` left behind, when the root was not made after all. */
	void (*undo)(const char *path);
};

const struct unseal_kind *unseal_kind_find(hsm_unseal how);         /* NULL: no such */

#endif
