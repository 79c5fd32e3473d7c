/* head.h - what lies before each block's bytes.
 *
 * guard is a word nobody can guess over the block's address and length:
 * a write that ran over from the block before, a free of what is none, a
 * second free are found before they do harm, and end the process. While the
 * block is free it is 0. */
#ifndef STRONGROOM_HEAD_H
#define STRONGROOM_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "mark.h"

struct head {
	uint64_t guard;
	uint32_t asked;                 /* bytes the caller asked for */
	uint32_t next;                  /* free in a slab: the next free block */
};

#define HEAD_LEN sizeof(struct head)

_Static_assert(sizeof(struct head) == 16, "blocks are 16-aligned");

/* Drawn once, before the first block. */
void head_init(void);
void head_make(void *ptr, size_t asked);
/* Bytes asked for. Ends the process when the head is not as it was left;
 * head_check also when the slack (what follows, up to `room` bytes) is not. */
size_t head_asked(const void *ptr);
size_t head_check(const void *ptr, size_t room);
void head_drop(void *ptr);

#endif
