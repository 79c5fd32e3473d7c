/* root.h - the root key: one a process, opened from its header by one of its
 * unseal slots. It only derives (seal.h); nothing outside root.c holds it.
 * Format: docs/formats/root.md. */
#ifndef STRONGROOM_ROOT_H
#define STRONGROOM_ROOT_H

#include <stdbool.h>

#include "../base/secret.h"
#include "hsm.h"

#define ROOT_ID_LEN 16u

struct root_info {
	bool unsealed;
	hsm_mode mode;
	const char *unseal;             /* a kind of unseal slot, or "" */
	uint8_t id[ROOT_ID_LEN];
	uint32_t generation;
};

void root_describe(struct root_info *info);
bool root_mode_served(hsm_mode mode);   /* by this build */
/* For votes.c. HSM_E_ROOT: the header has no slot of that set, or with another
 * threshold. */
HSM_MUST_USE hsm_status root_has_set(hsm_in bytes, const uint8_t set[8], uint8_t threshold);
/* Open the root of `bytes` with the key of its slot of `set`, or,
 * where it is open, say whether that key opens it. Inside gate_run.
 * HSM_E_PIN: it does not; HSM_E_ROOT: no such slot, or another root. */
HSM_MUST_USE hsm_status root_open_set(hsm_in bytes, const uint8_t set[8], const struct secret *slot_key, bool only_check);

/* What the root seals, opens and authenticates. To be called inside
 * gate_run. HSM_E_SEALED: no root is open. */
HSM_MUST_USE hsm_status root_seal(const char *label, hsm_in context, hsm_in clear, hsm_out *sealed);
HSM_MUST_USE hsm_status root_unseal(const char *label, hsm_in context, hsm_in sealed, struct secret *clear);
/* The record MAC: one key, derived once. */
HSM_MUST_USE hsm_status root_mac(const hsm_in *parts, size_t n, uint8_t mac[32]);

#endif
