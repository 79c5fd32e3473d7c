/* text.h - the fixed, blank-padded texts of CK_ structures. */
#ifndef STRONGROOM_PKCS11_TEXT_H
#define STRONGROOM_PKCS11_TEXT_H

#include "door.h"

void text_pad(CK_UTF8CHAR *to, size_t len, const char *format, ...) __attribute__((format(printf, 3, 4)));
void text_hex(CK_CHAR *to, const uint8_t *bytes, size_t n);
void text_utc(CK_CHAR to[16]);                  /* YYYYMMDDhhmmss00 */
CK_VERSION text_version(void);                  /* of the module */
int text_number_order(const void *a, const void *b);

#endif
