/* root.h - the root key: one a process, opened from its header and one slot.
 * Format: docs/formats/root.md. */
#ifndef STRONGROOM_ROOT_H
#define STRONGROOM_ROOT_H

#include <stdbool.h>

#include "hsm.h"

struct root_info { bool unsealed; hsm_mode mode; const char *unseal; };  /* unseal: "keyfile", "passphrase" or "" */

void root_describe(struct root_info *info);

#endif
