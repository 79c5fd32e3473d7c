/* fork.h - what a child of the process may keep, and how it learns it is one.
 *
 * No page of the arena reaches a child (MADV_DONTFORK). The reserve must, for
 * AWS-LC walks its generators' states there at exit; a child gets a copy with
 * the secrets taken out. See arena.h for what a child may do. */
#ifndef STRONGROOM_FORK_H
#define STRONGROOM_FORK_H

#include "arena.h"

/* arena.c: a copy of the reserve, `see` called on each block in the copy.
 * Bytes of it that are not zeros by nature. */
size_t reserve_image(uint8_t *image, void (*see)(void *copy, size_t len));

/* The reserve changed. Called by whoever changed it, before others may. */
void fork_image(void);

/* Once the reserve is mapped; idempotent. */
HSM_MUST_USE hsm_status fork_watch(void);
/* In arena_open: what was before this fork is over. A new generation. */
void fork_renewed(void);

#endif
