/* credential.h - access keys: a secret that verifies SigV4 and does nothing
 * else. They have a table of their own, so that no other call can name one. */
#ifndef STRONGROOM_CREDENTIAL_H
#define STRONGROOM_CREDENTIAL_H

#include "../base/secret.h"
#include "../mech/hkey.h"
#include "hsm.h"
#include "partition.h"

struct credential;

HSM_MUST_USE hsm_status credential_acquire(hsm_key handle, struct credential **c);  /* HSM_E_HANDLE */
void credential_release(struct credential *c);                              /* NULL is fine */
struct partition *credential_partition(const struct credential *c);
hsm_in credential_principal(const struct credential *c);
uint64_t credential_expires(const struct credential *c);                    /* ms; 0: never */

/* The signing key of a scope, copied out: from the cache, or derived (*fresh).
 * credential_remember keeps a fresh one; call it only once a signature under
 * it has fitted, so that strangers cannot push others out. */
HSM_MUST_USE hsm_status credential_signing_key(struct credential *c, const hsm_sigv4 *request, struct hkey *key, bool *fresh);
void credential_remember(struct credential *c, const hsm_sigv4 *request, const struct hkey *key);

/* The partition is closed: its access keys go. NULL: all. */
void credential_forget(const struct partition *p);

#endif
