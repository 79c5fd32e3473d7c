/* cms.h - plaintext for an attested recipient: CMS EnvelopedData (RFC 5652) in
 * DER, one key transport recipient (version 2, by subject key identifier),
 * RSAES-OAEP with SHA-256, content in AES-256-CBC. What leaves can be opened
 * by whoever holds the private key and by nobody on the way. */
#ifndef STRONGROOM_CMS_H
#define STRONGROOM_CMS_H

#include "../mech/mech.h"

#define CMS_HEAP 65536u                 /* arena bytes beside the clear ones, doubled */
#define CMS_DEPTH 16384u

struct cms_recipient { struct key key; size_t modulus_len; uint8_t id[32]; };

/* All inside gate_run. spki: RSA, 2048 to 4096 bits; HSM_E_KEY_VALUE,
 * HSM_E_KEY_SIZE, HSM_E_KEY_TYPE. */
HSM_MUST_USE hsm_status cms_recipient_load(struct cms_recipient *r, hsm_in spki);
void cms_recipient_unload(struct cms_recipient *r);
size_t cms_len(const struct cms_recipient *r, size_t clear_len);
/* out: cms_len bytes. */
HSM_MUST_USE hsm_status cms_seal(const struct cms_recipient *r, hsm_in clear, uint8_t *out);

#endif
