/* device.h - the folder the core keeps for itself, apart from the tokens' files:
 *
 *   secret     32 random bytes; each token's device key is derived from it
 *   ID.key     instead: the device key of a token that came from elsewhere
 *   ID.tries   see tries.h
 *
 * Inside gate_run. */
#ifndef STRONGROOM_DEVICE_H
#define STRONGROOM_DEVICE_H

#include "../base/secret.h"

#define DEVICE_ID_LEN 16u

/* The device key of the token `id`; `make`: where there is no secret yet, one
 * is made. HSM_E_INTEGRITY: this device has none. */
HSM_MUST_USE hsm_status device_key(const char *device, bool make, const uint8_t id[DEVICE_ID_LEN], struct secret *key);
/* From now on `key` is the device key of `id` here. HSM_E_EXISTS: it has another. */
HSM_MUST_USE hsm_status device_key_take(const char *device, const uint8_t id[DEVICE_ID_LEN], const struct secret *key);
/* A key for this device alone: derived from the secret by purpose. */
HSM_MUST_USE hsm_status device_derive(const char *device, bool make, const char *label, hsm_in context, struct secret *key);

#endif
