/* text.h - text that may be secret: UTF-8, and base64 in constant time. */
#ifndef STRONGROOM_TEXT_H
#define STRONGROOM_TEXT_H

#include "../base/bytes.h"

/* Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates. Time depends
 * on which bytes are above 0x7f only. */
bool utf8_valid(hsm_in bytes);

/* Standard alphabet with padding; other text, and bits left over that are not
 * zero, are refused. Time depends on lengths only: no table, no branch on a
 * character but the padding. Decode in pieces: quads first (a multiple of four
 * characters, never padded), the last one by itself. */
#define BASE64_LEN(bytes) (((bytes) + 2) / 3 * 4)

void base64_encode(hsm_in bytes, uint8_t *text);
/* text.len / 4 * 3 bytes. *bad is set, never cleared. */
void base64_quads(hsm_in text, uint8_t *out, unsigned *bad);
/* The last four characters; answers how many bytes they gave. */
size_t base64_last(const uint8_t text[4], uint8_t out[3], unsigned *bad);

#endif
