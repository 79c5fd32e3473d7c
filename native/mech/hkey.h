/* hkey.h - a key for HMAC-SHA-256 made ready once: both midstates, no heap.
 *
 * For the core's hot paths (envelopes, record MACs, SigV4), where keying anew
 * would cost as much as the MAC. The struct is key material: it lies in the
 * arena or on an arena stack, and whoever owns it wipes it. It is constant
 * once made, so threads share it without a lock. */
#ifndef STRONGROOM_HKEY_H
#define STRONGROOM_HKEY_H

#include "../base/bytes.h"

#define HKEY_MAC_LEN 32u

struct hkey { uint64_t inner[14], outer[14]; };

/* Any key length; over 64 bytes it is hashed first (RFC 2104). */
HSM_MUST_USE hsm_status hkey_make(struct hkey *k, hsm_in key);
/* The MAC of `parts` joined. */
HSM_MUST_USE hsm_status hkey_mac(const struct hkey *k, const hsm_in *parts, size_t n, uint8_t mac[HKEY_MAC_LEN]);
/* SP 800-108 counter mode: [i]32 | label | 00 | context | [L]32. out_len at
 * most 255 MACs, else HSM_E_ARGS. */
HSM_MUST_USE hsm_status hkey_derive(const struct hkey *k, hsm_in label, hsm_in context, uint8_t *out, size_t out_len);
/* SHA-256 of `parts` joined, on the stack it is called on. */
HSM_MUST_USE hsm_status hkey_digest(const hsm_in *parts, size_t n, uint8_t digest[32]);

#endif
