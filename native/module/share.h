/* share.h - one part of an unseal slot's key, as the text that a person keeps.
 *
 *   "srs1-" | 19 groups of 4 letters and digits, "-" between them: base32 (RFC
 *   4648, lower case) of  version 1 | set 8 | threshold | place | value 32 | check 4
 *
 * The check is the beginning of a digest: it finds slips of the pen. Inside
 * gate_run. Format: docs/formats/root.md. */
#ifndef STRONGROOM_SHARE_H
#define STRONGROOM_SHARE_H

#include "hsm.h"
#include "shamir.h"

#define SHARE_SET_LEN 8u                /* tells the shares of one splitting from those of another */

struct share { uint8_t set[SHARE_SET_LEN]; uint8_t threshold, place; uint8_t value[SHAMIR_LEN]; };

HSM_MUST_USE hsm_status share_write(const struct share *share, uint8_t text[HSM_SHARE_TEXT]);
/* Upper case, and blanks and line ends after it, are fine. HSM_E_FORMAT. */
HSM_MUST_USE hsm_status share_read(hsm_in text, struct share *share);

#endif
