/* pin.h - a token's two keys, and the PINs that open one of them.
 *
 *   device secret (file, 0600) -> device key of the token id -> public key: objects with CKA_PRIVATE FALSE
 *                                                            -> header MAC, index tags of public objects
 *   PIN -> PBKDF2-HMAC-SHA-512 -> mixed with the device key  -> PIN key, wraps the token key (user, SO)
 *   token key (random)                                       -> private objects, their index tags
 *
 * Tries are counted in the device folder, not in the token's file, and the
 * count is on disk before the PIN is checked. Format: docs/formats/token.md. */
#ifndef STRONGROOM_PIN_H
#define STRONGROOM_PIN_H

#include <limits.h>

#include "hsm.h"
#include "../base/secret.h"

struct pin;

/* For partition.c. All have the pin's own lock. */
void pin_free(struct pin *pin);                                     /* wipes; NULL is fine */
/* Checks and counts. USER brings the token key into the arena for
 * pin_key(priv); OFFICER only for re-wrapping; CONTEXT brings nothing. */
HSM_MUST_USE hsm_status pin_login(struct pin *pin, hsm_role role, hsm_in given);
void pin_logout(struct pin *pin);
/* A copy: HSM_E_NOT_LOGGED_IN for priv while no user is there. */
HSM_MUST_USE hsm_status pin_key(struct pin *pin, bool priv, struct secret *key);

/* The device folder, with the "/" at its end, and a key for one purpose on
 * this device. Inside gate_run; the caller wipes key. */
HSM_MUST_USE hsm_status pin_place(struct pin *pin, const char *purpose, char folder[PATH_MAX], struct secret *key);

/* What a token needs beside its file, for ticket.c: its device key, its failed
 * tries (TRIES_OFFICER, TRIES_USER). Inside gate_run; the caller wipes key. */
struct pin_escrow { uint8_t id[16]; uint8_t failed[2]; struct secret key; };
HSM_MUST_USE hsm_status pin_escrow(struct pin *pin, struct pin_escrow *e);

#endif
