/* secret.h - bytes in the arena that somebody owns. */
#ifndef STRONGROOM_SECRET_H
#define STRONGROOM_SECRET_H

#include "bytes.h"

struct secret { uint8_t *ptr; size_t len; };

#define SECRET_NONE ((struct secret){ NULL, 0 })

HSM_MUST_USE hsm_status secret_alloc(struct secret *s, size_t len);
HSM_MUST_USE hsm_status secret_copy(struct secret *s, hsm_in bytes);
void secret_wipe(struct secret *s);                 /* frees too; empty is fine */
hsm_in secret_in(const struct secret *s);
void secret_move(struct secret *to, struct secret *from);  /* from is empty after */

#endif
