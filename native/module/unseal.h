/* unseal.h - an unseal slot: one way to get at the root key.
 *
 * A kind knows where its 32-byte slot key comes from and what it must remember
 * in the header (params). A new way to unseal adds a kind to the table in
 * unseal.c and nothing elsewhere. */
#ifndef STRONGROOM_UNSEAL_H
#define STRONGROOM_UNSEAL_H

#include "../base/secret.h"
#include "root.h"

#define UNSEAL_KEY_LEN 32u
#define UNSEAL_PARAMS_MAX HSM_NOTE_MAX

/* A slot's source, for the root of this id. */
struct unseal_ask {
	const hsm_slot *slot;
	const uint8_t *root_id;
	hsm_out *shares;                /* make of SHARES alone */
};

struct unseal_kind {
	uint8_t number;                 /* in the header */
	hsm_unseal how;
	const char *name;
	hsm_status wrong;               /* the slot key does not open the root: whose fault */

	/* HSM_E_ARGS: the slot does not say what this kind needs. */
	hsm_status (*check)(const hsm_slot *slot);
	size_t (*params_len)(const hsm_slot *slot);
	/* A slot key for a new slot. Fills params. */
	hsm_status (*make)(const struct unseal_ask *ask, uint8_t *params, struct secret *key);
	/* The slot key of an existing one. HSM_E_FORMAT: params are not of this kind. */
	hsm_status (*find)(const struct unseal_ask *ask, hsm_in params, struct secret *key);
	/* What `make` left behind, when the slot was not made after all. */
	void (*undo)(const hsm_slot *slot);
	/* What the header says. */
	hsm_status (*tell)(hsm_in params, hsm_slot_info *info, hsm_in *note);
};

const struct unseal_kind *unseal_kind_find(hsm_unseal how);         /* NULL: no such */
const struct unseal_kind *unseal_kind_numbered(uint8_t number);

/* The set that a slot's params name. HSM_E_FORMAT. */
HSM_MUST_USE hsm_status unseal_set(hsm_in params, uint8_t set[8], uint8_t *threshold);

#endif
