/* integrity.h - is the code that runs the code that was built?
 *
 * HMAC-SHA-256 over every read-only segment of our own image (the addon or the
 * Cryptoki module) as it lies in memory, compared with a value that a build
 * step wrote into it after linking (integrity_stamp.c). The key is in the
 * code: the value is there to find damage and patches, not a forger who could
 * as well replace the check. Writable segments are not covered, but what fills
 * them is: their relocations lie in the first read-only segment.
 *
 *   message = for each PT_LOAD without PF_W, in order:
 *             u64 address in the image | u64 length | the bytes     (big-endian)
 *   with the stamp's own 32 bytes as zeros. */
#ifndef STRONGROOM_INTEGRITY_H
#define STRONGROOM_INTEGRITY_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/status.h"

#define INTEGRITY_MAC 32u
#define INTEGRITY_KEY "strongroom image integrity, v1"
/* Never whole in any file but once: the stamp's first bytes. */
#define INTEGRITY_MAGIC_A "sr-stamp"
#define INTEGRITY_MAGIC_B "\x8f\x1d\xc2\x03\x5a\xe7\x94\x6b"

struct integrity_stamp { uint8_t magic[16]; uint8_t mac[INTEGRITY_MAC]; };

/* HSM_E_INTEGRITY: altered, or a loaded module that was never stamped.
 * HSM_E_UNSUPPORTED: linked into a program of its own (native tests), which
 * nobody stamps. broken corrupts the answer: the self-test of this test. */
HSM_MUST_USE hsm_status integrity_check(bool broken);

#endif
