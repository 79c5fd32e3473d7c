/* region.h - a small heap in one run of bytes: first fit, neighbours melt
 * together on free.
 *
 * The reserve is one, and so is the spare room of each slot: both must give
 * what was promised, and neither is on a fast path. All the state but the
 * struct lies in the run itself, so that a byte copy of it is a copy of it. */
#ifndef STRONGROOM_REGION_H
#define STRONGROOM_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lock.h"

struct region {
	struct lock lock;
	uint8_t *base;                  /* NULL: not in use */
	size_t len;
	atomic_size_t live;             /* blocks; changes under the lock */
	bool orphan;                    /* nobody's: to be dissolved with its last block */
};

void region_init(struct region *r, uint8_t *base, size_t len);     /* bytes: zeros, shut */
void *region_alloc(struct region *r, size_t len);                   /* zeros; NULL: does not fit */
bool region_free(struct region *r, void *ptr);                      /* wipes; true: an orphan's last */
size_t region_room(struct region *r);                               /* longest block that fits */
void region_end(struct region *r);                                  /* empty: all its bytes are zeros again */
size_t region_top(const struct region *r);                           /* bytes up to the last cell's head, that included */
/* Each block in use, as it lies in a copy of the run at `image`. */
void region_each(const struct region *r, uint8_t *image, void (*see)(void *copy, size_t len));

#endif
