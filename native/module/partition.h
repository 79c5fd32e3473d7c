/* partition.h - a tenant's room: its account key, its roles. Counted loans. */
#ifndef STRONGROOM_PARTITION_H
#define STRONGROOM_PARTITION_H

#include <stdbool.h>

#include "../base/secret.h"
#include "hsm.h"

struct partition;

HSM_MUST_USE hsm_status partition_acquire(hsm_part part, struct partition **p);   /* HSM_E_PARTITION */
void partition_retain(struct partition *p);
void partition_release(struct partition *p);                                      /* NULL is fine */
hsm_part partition_handle(const struct partition *p);
hsm_in partition_account(const struct partition *p);
const struct secret *partition_key(const struct partition *p);                    /* only derives: seal.h */
bool partition_strict(const struct partition *p);
/* False once it was closed: whoever still holds a loan refuses new work. */
bool partition_alive(const struct partition *p);

/* A token's partition: `pin` is pin.c's and taken over (pin_free at the end);
 * partition_login and partition_logout hand to pin_login and pin_logout, then
 * change the role. account is the token's id. */
struct pin;
HSM_MUST_USE hsm_status partition_make_token(hsm_in account, bool strict, struct pin *pin, struct partition **p, hsm_part *part);
void partition_token_strict(struct partition *p, bool strict);                    /* as its header says */
struct pin *partition_pin(const struct partition *p);                             /* NULL: not a token's */
/* The key an object of `p` is sealed under, as a copy the caller wipes: a
 * logout may come between. priv: CKA_PRIVATE; only a token's partition has two.
 * HSM_E_NOT_LOGGED_IN: a private object's, and no user is there. */
HSM_MUST_USE hsm_status partition_seal_key(struct partition *p, bool priv, struct secret *key);

/* Roles are the partition's: who is logged in, for all its sessions. */
hsm_role partition_role(const struct partition *p);
HSM_MUST_USE hsm_status partition_login(struct partition *p, hsm_role role, hsm_in pin);
HSM_MUST_USE hsm_status partition_logout(struct partition *p);
/* The officer sets any PIN; a user its own, and the officer's while there is
 * none. HSM_E_ROLE, HSM_E_PIN_LEN, HSM_E_UNSUPPORTED (not ephemeral). */
HSM_MUST_USE hsm_status partition_pin_set(struct partition *p, hsm_role role, hsm_in pin);

/* Closing a partition drops its credentials, then calls session_forget and
 * object_forget. The root closes those sealed under it; hsm_close and
 * zeroising, after hsm_root_close, all others. */
void partition_close_sealed(void);
void partition_close_all(void);

#endif
