/* context.h - the encryption context in its canonical form.
 *
 * Callers give pairs in any order (u32 length | UTF-8, name and value in
 * turn); what is authenticated is: count u32, then the same blocks sorted by
 * the names' bytes. The form is as long as the pairs and four bytes more. */
#ifndef STRONGROOM_CONTEXT_H
#define STRONGROOM_CONTEXT_H

#include "../base/bytes.h"

#define CONTEXT_MAX 32768u              /* bytes of pairs */
#define CONTEXT_PAIRS 1024u

#define CONTEXT_LEN(pairs_len) ((pairs_len) + 4)

/* Arena bytes that context_write may take for these pairs. */
size_t context_heap(hsm_in pairs);
/* Writes CONTEXT_LEN bytes. HSM_E_DATA: not pairs, not UTF-8, a name twice;
 * HSM_E_DATA_LEN: too long or too many; HSM_E_MEMORY. */
HSM_MUST_USE hsm_status context_write(hsm_in pairs, uint8_t *canonical);

#endif
