/* sigv4.h - Signature Version 4, computed: what verifying an access key's
 * request and signing one for somebody else's service have in common. */
#ifndef STRONGROOM_SIGV4_H
#define STRONGROOM_SIGV4_H

#include "../mech/hkey.h"
#include "hsm.h"

/* Nothing in the scope or the time could make one request read as another. */
bool sigv4_fits(const hsm_sigv4 *request);
/* The signing key of a request's scope. `from`: HMAC key "AWS4" | secret. */
HSM_MUST_USE hsm_status sigv4_derive(const struct hkey *from, const hsm_sigv4 *request, struct hkey *key);
/* The signature. HSM_E_DATA: payload_hash is not the body's. */
HSM_MUST_USE hsm_status sigv4_mac(const struct hkey *key, const hsm_sigv4 *request, uint8_t mac[HKEY_MAC_LEN]);

#define SIGV4_HEX_LEN 64u
void sigv4_hex(const uint8_t bytes[32], uint8_t hex[SIGV4_HEX_LEN]);

#endif
