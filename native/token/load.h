/* load.h - a whole file of public or sealed bytes, on the heap. */
#ifndef STRONGROOM_TOKEN_LOAD_H
#define STRONGROOM_TOKEN_LOAD_H

#include "../base/bytes.h"

#define LOAD_MAX (1u << 30)

/* A regular file, not by a link. The caller frees. HSM_E_IO, HSM_E_LIMIT,
 * HSM_E_MEMORY. */
HSM_MUST_USE hsm_status file_load(const char *path, uint8_t **bytes, size_t *len);

#endif
