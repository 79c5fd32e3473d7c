/* tries.h - how often a token's PINs were tried in vain: a file of its own in
 * the device folder, written before a PIN is checked.
 *
 * Two records take turns, each with a sequence number and a MAC, so that a
 * torn write leaves the one before. Inside gate_run. */
#ifndef STRONGROOM_TRIES_H
#define STRONGROOM_TRIES_H

#include <limits.h>

#include "../base/secret.h"

#define TRIES_MAX 10u

enum tries_of { TRIES_OFFICER, TRIES_USER };

struct tries { char path[PATH_MAX]; };

/* Names the file of a token; `device` is where. */
HSM_MUST_USE hsm_status tries_at(struct tries *t, const char *device, const uint8_t id[16]);
/* Begin to count, with what failed so far (by enum tries_of; NULL: nothing).
 * HSM_E_EXISTS: they are counted already. */
HSM_MUST_USE hsm_status tries_make(const struct tries *t, const struct secret *key, const uint8_t failed[2]);
HSM_MUST_USE hsm_status tries_failed(const struct tries *t, const struct secret *key, uint8_t failed[2]);
/* Take one try, on disk. The file stays locked, by *fd, until tries_end.
 * HSM_E_PIN_LOCKED: none left; HSM_E_INTEGRITY: the file is gone or altered. */
HSM_MUST_USE hsm_status tries_take(const struct tries *t, const struct secret *key, enum tries_of who, int *fd);
/* Answers st; HSM_OK gives all tries back. */
HSM_MUST_USE hsm_status tries_end(const struct tries *t, const struct secret *key, enum tries_of who, int fd, hsm_status st);
HSM_MUST_USE hsm_status tries_forgive(const struct tries *t, const struct secret *key, enum tries_of who);
HSM_MUST_USE hsm_status tries_left(const struct tries *t, const struct secret *key, uint32_t *user, uint32_t *officer);

#endif
