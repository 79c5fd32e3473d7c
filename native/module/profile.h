/* profile.h - an AWS shared credentials file: one profile written, all others
 * and all comments kept as they are. */
#ifndef STRONGROOM_PROFILE_H
#define STRONGROOM_PROFILE_H

#include "../base/bytes.h"

/* The file is 0600 and replaced as one. profile: printable, no brackets.
 * HSM_E_ARGS, HSM_E_IO, HSM_E_DATA_LEN (the file there is over 1 MiB). */
HSM_MUST_USE hsm_status profile_write(const char *path, const char *profile, hsm_in id, hsm_in secret);

#endif
