/* file.h - the few files the core reads and writes itself, because what is in
 * them is a key. Bytes go between the file and the arena, with no buffer of
 * stdio between. All answer HSM_E_IO where the system says no. */
#ifndef STRONGROOM_FILE_H
#define STRONGROOM_FILE_H

#include "../base/secret.h"

/* The whole file, at most `max` bytes (more: HSM_E_DATA_LEN). Pipes are read to
 * their end. An empty file gives an empty secret. HSM_E_IO also when it is not
 * there; *missing, where given, tells. */
HSM_MUST_USE hsm_status file_read(const char *path, size_t max, struct secret *bytes, bool *missing);
/* A new file, 0600, whole or not at all, on disk when this returns.
 * HSM_E_EXISTS: there is one already. */
HSM_MUST_USE hsm_status file_create(const char *path, hsm_in bytes);
/* The same, over a file that may be there. */
HSM_MUST_USE hsm_status file_replace(const char *path, hsm_in bytes);

#endif
