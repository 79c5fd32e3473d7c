/* kdk.h - the kind of a KMS symmetric key: 32 bytes that only derive.
 * key->ctx is a `struct hkey` in the arena. No row takes a KDK and it has no
 * value to show: nothing but module/envelope.c can use one. */
#ifndef STRONGROOM_KDK_H
#define STRONGROOM_KDK_H

#include "hkey.h"

#define KDK_LEN 32u

#endif
