/* bytes.h - byte ranges, and the one bounded way to read and write them.
 *
 * A parser reads like the format it parses: every read checks, the first
 * failure sticks, and the caller asks once at the end (reader_done). */
#ifndef STRONGROOM_BYTES_H
#define STRONGROOM_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* Bytes somebody else owns. ptr may be NULL when len is 0. */
typedef struct { const uint8_t *ptr; size_t len; } hsm_in;

/* Room the caller brought: cap bytes at ptr; len is what was written.
 * ptr NULL asks for the size: len is set, nothing is spent. */
typedef struct { uint8_t *ptr; size_t cap, len; } hsm_out;

#define HSM_NONE ((hsm_in){ NULL, 0 })

struct reader { const uint8_t *at, *end; bool failed; };

void reader_init(struct reader *r, hsm_in bytes);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);              /* big-endian, all of them */
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
hsm_in reader_take(struct reader *r, size_t len);   /* a view, never a copy */
hsm_in reader_block16(struct reader *r);            /* u16 length, then bytes */
hsm_in reader_block32(struct reader *r);            /* u32 length, then bytes */
void reader_copy(struct reader *r, void *to, size_t len);
size_t reader_left(const struct reader *r);
bool reader_done(const struct reader *r);           /* nothing failed, nothing left */

/* Writes into an hsm_out; counts on when there is no room, so that one pass
 * both measures and writes. */
struct writer { uint8_t *ptr; size_t cap, len; bool failed; };

void writer_init(struct writer *w, uint8_t *ptr, size_t cap);
void writer_u8(struct writer *w, uint8_t value);
void writer_u16(struct writer *w, uint16_t value);
void writer_u32(struct writer *w, uint32_t value);
void writer_u64(struct writer *w, uint64_t value);
void writer_put(struct writer *w, const void *bytes, size_t len);
void writer_block16(struct writer *w, hsm_in bytes);
void writer_block32(struct writer *w, hsm_in bytes);

/* Sets out->len to need and says whether the room is there:
 * HSM_OK with ptr NULL (a size was asked), HSM_E_BUFFER when too small. */
HSM_MUST_USE hsm_status out_need(hsm_out *out, size_t need);

bool bytes_equal(hsm_in a, hsm_in b);                   /* public data only */
bool bytes_equal_secret(const void *a, const void *b, size_t len); /* constant time */
void bytes_wipe(void *ptr, size_t len);                 /* not optimised away */

#endif
