/* root_header.h - the root's header: what lies at rest.
 *
 *   "SRrt" | version 1 | mode | root id 16 | generation u32 | slots n u8
 *   n times: kind u8 | params, u16 length | sealed root key, u16 length
 *   MAC 32
 *
 * A slot's blob is sealed (seal.h) under its slot key, with the fixed fields
 * and the slot's own kind and params as context: mode, id and generation cannot
 * be changed even by somebody who holds no slot key. The MAC, under a key
 * derived from the root, covers all slots together. Inside gate_run. */
#ifndef STRONGROOM_ROOT_HEADER_H
#define STRONGROOM_ROOT_HEADER_H

#include "root.h"
#include "seal.h"

#define HEADER_NAME_LEN (4u + 1 + 1 + ROOT_ID_LEN + 4)
#define HEADER_MAC_LEN 32u
#define HEADER_SEALED_LEN (SEAL_KEY_LEN + SEAL_OVERHEAD)

struct root_name { uint8_t id[ROOT_ID_LEN]; uint32_t generation; hsm_mode mode; };

struct header_slot { uint8_t kind; hsm_in params, sealed; };

struct header { struct root_name name; struct header_slot slots[HSM_SLOTS_MAX]; unsigned n; };

/* Views into `bytes`. Slots of kinds we do not know are kept: they are
 * somebody else's. HSM_E_FORMAT; HSM_E_MODE: a mode this build does not serve. */
HSM_MUST_USE hsm_status header_read(hsm_in bytes, struct header *h);
size_t header_len(const struct header *h);
/* Room is there. The MAC is the root key's. */
HSM_MUST_USE hsm_status header_write(const struct header *h, const struct secret *root_key, hsm_out *bytes);
/* HSM_E_INTEGRITY */
HSM_MUST_USE hsm_status header_check(hsm_in bytes, const struct header *h, const struct secret *root_key);

HSM_MUST_USE hsm_status header_slot_seal(const struct root_name *name, const struct secret *slot_key, const struct secret *root_key,
	struct header_slot *slot, uint8_t sealed[HEADER_SEALED_LEN]);
HSM_MUST_USE hsm_status header_slot_open(const struct root_name *name, const struct secret *slot_key, const struct header_slot *slot,
	struct secret *root_key);

#endif
