/* seal.h - sealing: bytes at rest under a key that only derives.
 *
 * Root and account keys do one job, SP 800-108 derivation (counter mode,
 * HMAC-SHA-256) by purpose label; every sealed blob has its own AES-256-GCM
 * key from (label, 128-bit nonce, context) and a key commitment. The context
 * is not stored: whoever opens builds it again, from fields of fixed width or
 * with their length before them. Format: docs/formats/sealed.md.
 *
 * These run on an arena stack of their own when not on one already; the
 * module must be operational and the arena room held (gate_run does both). */
#ifndef STRONGROOM_SEAL_H
#define STRONGROOM_SEAL_H

#include "../base/secret.h"

#define SEAL_KEY_LEN 32u
#define SEAL_OVERHEAD 68u               /* sealed.len - clear.len */
#define SEAL_CONTEXT_MAX 512u
#define SEAL_LABEL_MAX 32u

/* out_len bytes from (kdk, label, context). label is a C string constant of
 * 1..SEAL_LABEL_MAX characters that does not begin with "seal:". */
HSM_MUST_USE hsm_status seal_derive(const struct secret *kdk, const char *label, hsm_in context, uint8_t *out, size_t out_len);
/* clear: at least one byte. HSM_E_ARGS: label or context too long. */
HSM_MUST_USE hsm_status seal_close(const struct secret *kdk, const char *label, hsm_in context, hsm_in clear, hsm_out *sealed);
/* HSM_E_INTEGRITY: altered, or another key, label or context; HSM_E_FORMAT. */
HSM_MUST_USE hsm_status seal_open(const struct secret *kdk, const char *label, hsm_in context, hsm_in sealed, struct secret *clear);

#endif
