/* invocations.h - how often a key sealed with GCM. SP 800-38D, 8.3: no more
 * than 2^32 times, whoever makes the ivs; then the key is exhausted.
 *
 * The count of a token's key outlives the process: blocks of it are reserved on
 * disk, in the device folder, before any of them is used, and what a process
 * had reserved when it ended counts as used. Files are named by a keyed
 * digest of the key itself, so a key that is in a token twice is counted
 * once. Other keys live as long as the process, and so do their counts.
 * Format: docs/formats/token.md. */
#ifndef STRONGROOM_INVOCATIONS_H
#define STRONGROOM_INVOCATIONS_H

#include "object.h"

struct invocations;

/* n more. The key is on loan. HSM_E_COUNTER: none are left; HSM_E_IO,
 * HSM_E_INTEGRITY: they cannot be reserved. */
HSM_MUST_USE hsm_status invocations_count(struct object *o, uint32_t n);
void invocations_free(struct invocations *i);           /* NULL is fine */

#endif
